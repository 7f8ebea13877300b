//! For whom this runs: what needs root asks sudo for it, and what builds never leaves files of root's in the
//! caller's tree.

use nix::unistd::geteuid;
use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The user who called, and the words before commands that another user is to run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Caller {
    /// Before a command that needs root: none as root.
    root: Vec<String>,
    /// Before a command that must not run as root: none unless sudo made this root.
    own: Vec<String>,
    has_sudo: bool,
}

impl Caller {
    /// From this process's rights, and what sudo left in the environment.
    pub(crate) fn find() -> Self {
        let is_root = geteuid().is_root();
        let words = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect();
        let user = env::var("SUDO_UID").ok().filter(|uid| is_root && uid != "0");
        Self {
            root: if is_root { Vec::new() } else { words(&["sudo", "--"]) },
            own: user.map_or_else(Vec::new, |uid| words(&["sudo", "-H", "-u", &format!("#{uid}"), "--"])),
            has_sudo: is_there("sudo"),
        }
    }

    /// Whether commands can run as root.
    pub(crate) fn can_be_root(&self) -> bool {
        self.root.is_empty() || self.has_sudo
    }

    /// Whether cargo, as the caller, is root's already.
    pub(crate) fn builds_as_root(&self) -> bool {
        self.root.is_empty() && self.own.is_empty()
    }

    /// A command as root.
    pub(crate) fn as_root(&self, program: &str) -> Command {
        command(&self.root, program)
    }

    /// A command as the caller. sudo forgets the environment: the path and cargo's target directory are named
    /// again.
    pub(crate) fn as_caller(&self, program: &str) -> Command {
        if self.own.is_empty() {
            return Command::new(program);
        }
        let mut words = self.own.clone();
        words.push("env".into());
        for name in ["PATH", "CARGO_TARGET_DIR", "CI"] {
            if let Ok(value) = env::var(name) {
                words.push(format!("{name}={value}"));
            }
        }
        command(&words, program)
    }

    /// cargo in the source tree, as the caller.
    pub(crate) fn cargo(&self, root: &Path) -> Command {
        let mut cargo = self.as_caller("cargo");
        cargo.current_dir(root);
        cargo
    }
}

fn command(words: &[String], program: &str) -> Command {
    match words {
        [] => Command::new(program),
        [first, rest @ ..] => {
            let mut command = Command::new(first);
            command.args(rest).arg(program);
            command
        }
    }
}

/// Whether a command runs and ends well. What it says is thrown away.
pub(crate) fn works(command: &mut Command) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Whether a program of this name is in the path.
pub(crate) fn is_there(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).any(|dir| dir.join(program).is_file())
}

/// Where cargo puts what it builds.
pub(crate) fn target(root: &Path) -> PathBuf {
    root.join(
        env::var_os("CARGO_TARGET_DIR").filter(|dir| !dir.is_empty()).unwrap_or_else(|| "target".into()),
    )
}
