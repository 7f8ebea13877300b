//! A file of lines under one header: opened early, appended to in whole lines.
//!
//! What it promises for a regular file:
//! - One writer at a time, by an advisory lock (`flock(2)`), held until it is dropped.
//! - The first line is the header. A file with another one is refused and left as it is.
//! - Lines are whole. Those of one call go out in one `write(2)` where the kernel takes them at once; after a
//!   failed or short write (a full disk, a quota, a size limit) the file is cut back to its last whole line.
//!   A crash in the middle of a write leaves at most one cut line, at the end, which the next opening
//!   removes.
//!
//! A FIFO, a terminal or another character device is a stream: it gets the header and the lines, without a
//! lock, and what went out cannot be taken back. A FIFO that nobody reads is refused instead of waiting for a
//! reader. Directories, block devices and sockets are refused. `-` is standard output, always a stream, even
//! where it is redirected to a file.

use crate::target::cannot_create;
use crate::text::{clip, harmless};
use anyhow::{Context, Result, anyhow, bail};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, Flock, FlockArg, OFlag, fcntl};
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, FileTypeExt, OpenOptionsExt};
use std::path::Path;

/// Columns of a foreign header that an error message shows.
const SHOWN_COLUMNS: usize = 300;

/// Bytes looked at in one step when searching for line breaks.
const BLOCK: u64 = 64 * 1024;

/// A file or stream of lines.
#[derive(Debug)]
pub(crate) struct LineFile {
    target: Target,
    /// What messages call it, quotes included.
    name: String,
}

#[derive(Debug)]
enum Target {
    Regular(Flock<File>),
    Stream(File),
}

impl LineFile {
    /// Opens or creates `path`, checks or writes the header, and removes a last line that was cut. What was
    /// removed is told in the notice, for the user to see.
    ///
    /// # Errors
    /// What cannot be opened, created, locked, repaired or written, with the remedy; another header than
    /// `header`, which has no line break of its own.
    pub(crate) fn open(path: &Path, header: &str) -> Result<(Self, Option<String>)> {
        let file = Self::find(path)?;
        let notice = file.prepare(header)?;
        Ok((file, notice))
    }

    /// Opens or creates a file of lines without a header, all of which begin with `begin`, and removes a last
    /// line that was cut.
    ///
    /// # Errors
    /// Those of [`LineFile::open`]; the beginning of another kind of file takes the place of another header.
    pub(crate) fn open_bare(path: &Path, begin: &str) -> Result<(Self, Option<String>)> {
        let file = Self::find(path)?;
        let notice = match (&file.target, file.length()?) {
            (Target::Regular(inner), length @ 1..) => {
                let examine = || format!("cannot read {}", file.name);
                let mut first = begin.as_bytes().to_vec();
                first.truncate(usize::try_from(length).unwrap_or(usize::MAX));
                inner.read_exact_at(&mut first, 0).with_context(examine)?;
                if !begin.as_bytes().starts_with(&first) {
                    bail!(
                        "{} is left as it is: its lines do not begin with {begin}; choose another file",
                        file.name
                    );
                }
                let whole = end_of_lines(inner, length).with_context(examine)?;
                file.keep(inner, whole, length, "last line")?
            }
            _ => None,
        };
        Ok((file, notice))
    }

    fn find(path: &Path) -> Result<Self> {
        let file = if path == Path::new("-") {
            let stdout = io::stdout().as_fd().try_clone_to_owned().context("cannot use standard output")?;
            Self { target: Target::Stream(stdout.into()), name: "standard output".to_owned() }
        } else {
            let name = format!("'{}'", harmless(path.as_os_str().as_bytes()));
            Self { target: open_target(path, &name)?, name }
        };
        Ok(file)
    }

    /// Appends whole lines, the last one ended too. An error leaves a regular file with its last whole line
    /// at the end: some of the new lines may be there, none of them in part.
    ///
    /// # Errors
    /// The kernel's reason as an [`io::Error`] at the root; [`ErrorKind::BrokenPipe`] where the reader of a
    /// stream has gone.
    pub(crate) fn append(&self, lines: &[u8]) -> Result<()> {
        debug_assert!(lines.last().is_none_or(|b| *b == b'\n'), "lines are whole");
        let mut file = self.file();
        let before = self.length()?;
        let mut written = 0;
        while written < lines.len() {
            let error = match file.write(&lines[written..]) {
                Ok(0) => io::Error::from(ErrorKind::WriteZero),
                Ok(n) => {
                    written += n;
                    continue;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => error,
            };
            let whole = past_last_break(&lines[..written]);
            let kept = self.cut_back(before, written, whole);
            let count = |lines: &[u8]| lines.split_inclusive(|b| *b == b'\n').count();
            let (done, all) = (count(&lines[..whole]), count(lines));
            return Err(error).with_context(|| {
                format!("cannot write to {}: {done} of {all} lines written, {kept}", self.name)
            });
        }
        Ok(())
    }

    fn file(&self) -> &File {
        match &self.target {
            Target::Regular(file) => file,
            Target::Stream(file) => file,
        }
    }

    /// Length of a regular file, 0 of a stream.
    fn length(&self) -> Result<u64> {
        match &self.target {
            Target::Stream(_) => Ok(0),
            Target::Regular(file) => {
                Ok(file.metadata().with_context(|| format!("cannot examine {}", self.name))?.len())
            }
        }
    }

    /// After `written` bytes of a write that began at `before`: takes back what follows the first `whole` of
    /// them. Returns what has become of the file, in words.
    fn cut_back(&self, before: u64, written: usize, whole: usize) -> String {
        let Target::Regular(file) = &self.target else { return "the last one perhaps in part".to_owned() };
        if written == whole {
            return "all whole".to_owned();
        }
        let cut = || -> io::Result<()> {
            // The lock keeps other writers of this kind away; whoever ignores it must not lose what it
            // appended.
            if file.metadata()?.len() != before + written as u64 {
                return Err(io::Error::other("another program has written to the file"));
            }
            file.set_len(before + whole as u64)
        };
        match cut() {
            Ok(()) => "all whole".to_owned(),
            Err(error) => format!("the last line is cut ({error}) and will be removed on the next opening"),
        }
    }

    /// Makes the file begin with the header and end with a whole line.
    fn prepare(&self, header: &str) -> Result<Option<String>> {
        let title = format!("{header}\n");
        let (Target::Regular(file), length @ 1..) = (&self.target, self.length()?) else {
            self.append(title.as_bytes())?;
            return Ok(None);
        };
        let examine = || format!("cannot read {}", self.name);
        let mut first = vec![0; usize::try_from(length.min(BLOCK)).expect("at most BLOCK")];
        file.read_exact_at(&mut first, 0).with_context(examine)?;
        let whole = match first.iter().position(|b| *b == b'\n') {
            Some(end) if first[..end] == *header.as_bytes() => {
                end_of_lines(file, length).with_context(examine)?
            }
            None if header.as_bytes().starts_with(&first) => 0,
            end => {
                first.truncate(end.unwrap_or(first.len()));
                bail!(
                    "{} has another header and is left as it is; choose another file\n  expected: {header}\n  found:    {}",
                    self.name,
                    clip(&harmless(&first), SHOWN_COLUMNS)
                );
            }
        };
        let notice = self.keep(file, whole, length, if whole == 0 { "header" } else { "last line" })?;
        if whole == 0 {
            self.append(title.as_bytes())?;
        }
        Ok(notice)
    }

    /// Cuts a file of `length` bytes back to its first `whole`; the notice says so, where there was something
    /// to cut.
    fn keep(&self, file: &File, whole: u64, length: u64, what: &str) -> Result<Option<String>> {
        if whole == length {
            return Ok(None);
        }
        file.set_len(whole)
            .with_context(|| format!("cannot remove the incomplete last line of {}", self.name))?;
        Ok(Some(format!(
            "repaired: removed an incomplete {what} ({} bytes) from {}",
            length - whole,
            self.name
        )))
    }
}

/// Opens `path`, called `name` in messages, for appending.
fn open_target(path: &Path, name: &str) -> Result<Target> {
    let kind = match fs::metadata(path) {
        Ok(metadata) => Some(metadata.file_type()),
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(error) => return Err(error).with_context(|| format!("cannot open {name}")),
    };
    if let Some(kind) = kind.filter(|k| !k.is_file()) {
        if kind.is_dir() {
            bail!("cannot write to {name}: it is a directory; name a file in it");
        }
        if !kind.is_fifo() && !kind.is_char_device() {
            bail!("cannot write to {name}: it is neither a file nor a FIFO nor a character device");
        }
        return open_stream(path, name);
    }
    // O_NONBLOCK means nothing to a regular file; should the name mean something else by now, nothing hangs.
    let flags = (OFlag::O_NONBLOCK | OFlag::O_NOCTTY).bits();
    let file = OpenOptions::new().read(true).append(true).create(true).custom_flags(flags).open(path);
    let file = file.map_err(|error| match error.kind() {
        ErrorKind::NotFound => cannot_create(path, error),
        _ => anyhow::Error::new(error).context(format!("cannot open {name} for appending")),
    })?;
    if !file.metadata().with_context(|| format!("cannot examine {name}"))?.is_file() {
        bail!("{name} was replaced while it was being opened; try again");
    }
    match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
        Ok(file) => Ok(Target::Regular(file)),
        Err((_, Errno::EWOULDBLOCK)) => {
            bail!("another process is writing to {name}; end it, or choose another file")
        }
        Err((_, errno)) => Err(io::Error::from(errno)).with_context(|| {
            format!("cannot lock {name}; where the file system has no locks, write to '-' and redirect it")
        }),
    }
}

/// Opens a FIFO or a character device without waiting for whoever is at its other end.
fn open_stream(path: &Path, name: &str) -> Result<Target> {
    let flags = OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    let file = OpenOptions::new().write(true).custom_flags(flags.bits()).open(path).map_err(|error| {
        if error.raw_os_error() == Some(Errno::ENXIO as i32) {
            anyhow!("cannot write to {name}: nobody reads from it; start the reader first")
        } else {
            anyhow::Error::new(error).context(format!("cannot open {name} for writing"))
        }
    })?;
    if file.metadata().with_context(|| format!("cannot examine {name}"))?.is_file() {
        bail!("{name} was replaced while it was being opened; try again");
    }
    // From here on a slow reader is waited for.
    fcntl(&file, FcntlArg::F_GETFL)
        .map(|flags| OFlag::from_bits_retain(flags) - OFlag::O_NONBLOCK)
        .and_then(|flags| fcntl(&file, FcntlArg::F_SETFL(flags)))
        .map_err(io::Error::from)
        .with_context(|| format!("cannot set up {name}"))?;
    Ok(Target::Stream(file))
}

/// Where the last line break of the file ends, searched from the end; 0 without any.
fn end_of_lines(file: &File, length: u64) -> io::Result<u64> {
    let mut end = length;
    let mut block = Vec::new();
    while end > 0 {
        let begin = end.saturating_sub(BLOCK);
        block.resize(usize::try_from(end - begin).expect("at most BLOCK"), 0);
        file.read_exact_at(&mut block, begin)?;
        match past_last_break(&block) {
            0 => end = begin,
            found => return Ok(begin + found as u64),
        }
    }
    Ok(0)
}

/// Length of the whole lines at the beginning of `bytes`.
fn past_last_break(bytes: &[u8]) -> usize {
    bytes.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1)
}

#[cfg(test)]
mod tests;
