//! A file that a result replaces.

use anyhow::{Context, Result};
use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

/// Opened early, so that no work is done for a file that cannot be written; emptied only when there is a result.
pub struct Target {
    path: PathBuf,
    file: File,
}

impl Target {
    pub fn open(path: &Path) -> Result<Self> {
        let file = OpenOptions::new().write(true).create(true).truncate(false).open(path);
        Ok(Self {
            path: path.to_owned(),
            file: file.with_context(|| format!("cannot write {}", path.display()))?,
        })
    }

    /// Puts what `write` gives in the place of the old content.
    pub fn replace(&mut self, write: impl FnOnce(&mut dyn Write) -> Result<()>) -> Result<()> {
        let cannot = || format!("cannot write {}", self.path.display());
        // A pipe or a device has no length.
        if self.file.metadata().with_context(cannot)?.is_file() {
            self.file.set_len(0).with_context(cannot)?;
        }
        let mut file = BufWriter::new(&self.file);
        write(&mut file).with_context(cannot)?;
        file.flush().with_context(cannot)
    }
}
