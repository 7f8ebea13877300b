//! Where a whole result goes: standard output, or a file that it replaces once it is whole.

use crate::terminal;
use crate::text::harmless;
use anyhow::{Context, Result, anyhow, bail};
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, BufWriter, ErrorKind, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;

/// Opened early, so that no work is done for what cannot be written. What is written shows in a file only
/// after [`Target::finish`]: until then, and for ever if the run fails, the old content stays.
pub struct Target {
    place: Place,
    /// What messages call it.
    name: String,
}

enum Place {
    Output,
    /// A pipe or a device, which cannot be replaced.
    Stream(BufWriter<File>),
    /// A file beside the one that it is going to be.
    New(BufWriter<NamedTempFile>, PathBuf),
}

/// Why a file cannot be made: the directory that is missing, with the way to make it, or the kernel's reason.
pub fn cannot_create(path: &Path, error: io::Error) -> anyhow::Error {
    let name = format!("'{}'", harmless(path.as_os_str().as_bytes()));
    match path.parent().filter(|parent| !parent.as_os_str().is_empty() && !parent.exists()) {
        Some(parent) if error.kind() == ErrorKind::NotFound => {
            let parent = harmless(parent.as_os_str().as_bytes());
            anyhow!(
                "cannot create {name}: there is no directory '{parent}'; create it with: mkdir -p '{parent}'"
            )
        }
        _ => {
            // The words of what is not the kernel's own error name a temporary file, which nobody asked for.
            let is_kernels = error.raw_os_error().is_some();
            let error = if is_kernels { error } else { io::Error::from(error.kind()) };
            anyhow::Error::new(error).context(format!("cannot create {name}"))
        }
    }
}

impl Target {
    /// No path and `-` are standard output.
    ///
    /// # Errors
    /// A file that cannot be written, or a directory that takes no new file.
    pub fn open(path: Option<&Path>) -> Result<Self> {
        let Some(path) = path.filter(|path| *path != Path::new("-")) else {
            return Ok(Self { place: Place::Output, name: "the result".to_owned() });
        };
        let name = format!("'{}'", harmless(path.as_os_str().as_bytes()));
        let cannot = || format!("cannot write {name}");
        let (path, mode) = match fs::metadata(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => (path.to_owned(), None),
            Err(error) => return Err(error).with_context(cannot),
            Ok(metadata) if metadata.is_dir() => {
                bail!("cannot write to {name}: it is a directory; name a file in it")
            }
            Ok(metadata) => {
                // Whoever may not write a file may not replace it either.
                let file = OpenOptions::new().write(true).open(path).with_context(cannot)?;
                if !metadata.is_file() {
                    return Ok(Self { place: Place::Stream(BufWriter::new(file)), name });
                }
                // Behind a symbolic link the file is replaced, not the link.
                (path.canonicalize().with_context(cannot)?, Some(metadata.permissions().mode()))
            }
        };
        let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let new = tempfile::Builder::new()
            .prefix(".tombola-")
            .permissions(Permissions::from_mode(0o666))
            .tempfile_in(dir)
            .map_err(|error| cannot_create(&path, error))?;
        if let Some(mode) = mode {
            new.as_file().set_permissions(Permissions::from_mode(mode)).with_context(cannot)?;
        }
        Ok(Self { place: Place::New(BufWriter::new(new), path), name })
    }

    /// The same, for a result that begins with `begin`: a file of another kind, perhaps one that was appended
    /// to for days, is not replaced.
    ///
    /// # Errors
    /// Those of [`Target::open`], and another beginning.
    pub fn open_like(path: Option<&Path>, begin: &str) -> Result<Self> {
        let target = Self::open(path)?;
        if let Place::New(_, old) = &target.place {
            let mut first = Vec::new();
            let length = begin.len() as u64;
            match File::open(old).map(|file| file.take(length).read_to_end(&mut first)) {
                // A new file.
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(error).with_context(|| format!("cannot read {}", target.name)),
                Ok(_) if begin.as_bytes().starts_with(&first) => {}
                Ok(_) => bail!(
                    "{} is left as it is: it does not begin with {begin}; choose another file, or remove it",
                    target.name
                ),
            }
        }
        Ok(target)
    }

    /// Columns that a table may fill: those of the terminal, if the result goes to one.
    pub fn columns(&self) -> Option<usize> {
        match self.place {
            Place::Output => terminal::columns(),
            Place::Stream(_) | Place::New(..) => None,
        }
    }

    /// Adds to the result; `out` is standard output.
    ///
    /// # Errors
    /// The kernel's reason.
    pub fn write(&mut self, out: &mut dyn Write, bytes: &[u8]) -> Result<()> {
        let writer = self.writer(out);
        let written = writer.write_all(bytes).and_then(|()| writer.flush());
        written.with_context(|| format!("cannot write {}", self.name))
    }

    /// Takes the result piece by piece.
    pub fn writer<'a>(&'a mut self, out: &'a mut dyn Write) -> &'a mut dyn Write {
        match &mut self.place {
            Place::Output => out,
            Place::Stream(file) => file,
            Place::New(file, _) => file,
        }
    }

    /// Writes a result that is whole, and puts it in the place of the old content.
    ///
    /// # Errors
    /// The kernel's reason; the old content then stays.
    pub fn put(mut self, out: &mut dyn Write, bytes: &[u8]) -> Result<()> {
        self.write(out, bytes)?;
        self.finish()
    }

    /// Puts the result in the place of the old content.
    ///
    /// # Errors
    /// The kernel's reason; the old content then stays.
    pub fn finish(self) -> Result<()> {
        let cannot = || format!("cannot write {}", self.name);
        match self.place {
            Place::Output => Ok(()),
            Place::Stream(mut file) => file.flush().with_context(cannot),
            Place::New(file, path) => {
                let file =
                    file.into_inner().map_err(std::io::IntoInnerError::into_error).with_context(cannot)?;
                file.as_file().sync_all().with_context(cannot)?;
                file.persist(path).map(drop).map_err(|error| error.error).with_context(cannot)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn the_old_content_stays_until_the_new_is_whole() {
        let dir = tempfile::tempdir().unwrap();
        let (path, link) = (dir.path().join("a"), dir.path().join("link"));
        fs::write(&path, "old").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        symlink(&path, &link).unwrap();
        let mut out = Vec::new();
        let mut target = Target::open(Some(&link)).unwrap();
        target.write(&mut out, b"half").unwrap();
        drop(target);
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2, "nothing is left behind");

        let mut target = Target::open(Some(&link)).unwrap();
        target.write(&mut out, b"ne").unwrap();
        target.write(&mut out, b"w").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
        target.finish().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        assert!(link.is_symlink());
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
        assert!(out.is_empty());
    }

    #[test]
    fn a_dash_is_standard_output_and_a_device_is_written_as_it_is() {
        let mut out = Vec::new();
        for path in [None, Some(Path::new("-"))] {
            let mut target = Target::open(path).unwrap();
            target.write(&mut out, b"x").unwrap();
            target.finish().unwrap();
        }
        assert_eq!(out, b"xx");
        let mut target = Target::open(Some(Path::new("/dev/null"))).unwrap();
        target.write(&mut out, b"y").unwrap();
        target.finish().unwrap();
        assert!(!Path::new("-").exists() && fs::metadata("/dev/null").unwrap().len() == 0);
    }

    #[test]
    fn a_file_of_another_kind_is_not_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("days.csv");
        let begin = "{\"schema\":";
        for (old, taken) in [("iteration,pid\n1,2\n", false), ("{\"schema\":1,\"x\":2}\n", true), ("", true)]
        {
            fs::write(&path, old).unwrap();
            assert_eq!(Target::open_like(Some(&path), begin).is_ok(), taken, "{old}");
            assert_eq!(fs::read_to_string(&path).unwrap(), old);
        }
        assert!(Target::open_like(Some(&dir.path().join("new")), begin).is_ok());
        assert!(Target::open_like(None, begin).is_ok());
    }

    #[test]
    fn what_cannot_be_written_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let error = format!("{:#}", Target::open(Some(dir.path())).err().unwrap());
        assert!(
            error.contains("it is a directory; name a file in it")
                && error.contains(dir.path().to_str().unwrap()),
            "{error}"
        );
        let error = format!("{:#}", Target::open(Some(&dir.path().join("no/file"))).err().unwrap());
        let parent = dir.path().join("no");
        assert!(error.contains(&format!("mkdir -p '{}'", parent.display())), "{error}");
    }
}
