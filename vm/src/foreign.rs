//! What a machine of another architecture is made of.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Programs and libraries of another architecture, and an emulator that runs single programs of it here.
#[derive(Clone, Debug)]
pub struct Foreign {
    /// The tree they are in, as the root of a machine would be.
    pub(crate) root: PathBuf,
    /// The emulator.
    pub(crate) emulator: PathBuf,
}

impl Foreign {
    /// A program of the tree.
    pub fn program(&self, name: &str) -> Option<PathBuf> {
        ["usr/bin", "usr/sbin"]
            .map(|dir| self.root.join(dir).join(name))
            .into_iter()
            .find(|file| file.is_file())
    }

    /// Runs a program of the other architecture here.
    pub fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(&self.emulator);
        command.arg("-L").arg(&self.root).arg(program);
        command
    }

    /// Lets the loader of the other architecture say what a program loads.
    pub fn loader(&self, program: &Path) -> Command {
        let mut command = Command::new(&self.emulator);
        command.arg("-L").arg(&self.root).args(["-E", "LD_TRACE_LOADED_OBJECTS=1"]).arg(program);
        command
    }

    /// Where a file of the machine lies here.
    pub fn here(&self, path: &Path) -> PathBuf {
        self.root.join(path.strip_prefix("/").unwrap_or(path))
    }
}
