//! Files that a command line names: no two of its arguments may mean the same one.
//!
//! A page that replaces the numbers just written, or a result that replaces the recording it was made from,
//! is in no run what was meant.

use crate::text::harmless;
use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{ArgMatches, Error};
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// What two paths have in common that mean one file.
#[derive(PartialEq, Eq)]
enum Identity {
    /// Device and inode number of a file that is there.
    There(u64, u64),
    /// A file to be made: its directory and its name.
    New(PathBuf),
}

impl Identity {
    /// `None` for standard input and output, and for what several may be sent to: a device, a pipe, a
    /// directory.
    fn of(path: &Path) -> Option<Self> {
        if path == Path::new("-") {
            return None;
        }
        if let Ok(file) = fs::metadata(path) {
            return file.is_file().then(|| Self::There(file.dev(), file.ino()));
        }
        let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
        Some(Self::New(dir.canonicalize().ok()?.join(path.file_name()?)))
    }
}

/// That all files of the verb, and of the verb below it, are different ones.
///
/// # Errors
/// Two arguments with the same file.
pub(super) fn are_apart(matches: &ArgMatches) -> Result<(), Error> {
    let mut seen: Vec<(Identity, &str)> = Vec::new();
    let mut level = matches.subcommand();
    while let Some((_, verb)) = level {
        for id in verb.ids() {
            if verb.value_source(id.as_str()) != Some(ValueSource::CommandLine) {
                continue;
            }
            let Ok(Some(paths)) = verb.try_get_many::<PathBuf>(id.as_str()) else { continue };
            for path in paths {
                let Some(identity) = Identity::of(path) else { continue };
                if let Some((_, other)) = seen.iter().find(|(known, _)| *known == identity) {
                    let file = harmless(path.as_os_str().as_bytes());
                    let [first, second] = [other, id.as_str()].map(|id| id.replace('_', "-"));
                    let message =
                        format!("{first} and {second} are the same file, '{file}'; name another one\n");
                    return Err(Error::raw(ErrorKind::ArgumentConflict, message));
                }
                seen.push((identity, id.as_str()));
            }
        }
        level = verb.subcommand();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::Cli;
    use std::ffi::OsString;
    use std::fs;
    use std::os::unix::fs::symlink;

    #[test]
    fn two_arguments_with_one_file_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name).display().to_string();
        fs::write(path("there"), "x").unwrap();
        symlink(path("there"), path("link")).unwrap();
        fs::hard_link(path("there"), path("hard")).unwrap();
        let read = |words: &[&str]| {
            let words: Vec<OsString> = [&["tombola"], words].concat().iter().map(OsString::from).collect();
            Cli::from_words(&words).map(drop)
        };
        let (new, there) = (path("new"), path("there"));
        let same_name = format!("{}/./new", dir.path().display());
        for words in [
            ["simulate", "rt", "--html", &new, "--output", &new],
            ["simulate", "rt", "--html", &new, "--output", &same_name],
            ["simulate", &there, "--output", &path("link"), "--runs", "1"],
            ["audit", "-i", &there, "--report", &path("hard"), "--strict"],
        ] {
            let error = read(&words).unwrap_err().to_string();
            assert!(error.contains("the same file"), "{words:?}: {error}");
        }
        for words in [
            ["simulate", "rt", "--html", &new, "--output", &path("other")],
            ["simulate", "rt", "--html", "/dev/null", "--output", "/dev/null"],
            ["audit", "-i", "-", "--output", "-", "--strict"],
        ] {
            assert!(read(&words).is_ok(), "{words:?}");
        }
    }
}
