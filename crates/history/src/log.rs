//! The log of one host: intervals go into the journal, the journal into a sealed file, old files away.

use crate::error::{Error, Result};
use crate::file::{About, Writer};
use crate::journal::{Journal, Records};
use crate::place::{self, OPEN, Sealed};
use crate::row::Row;
use crate::schema::{Int, Text};
use nix::fcntl::{Flock, FlockArg};
use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How a log is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keep {
    /// Files whose last interval is older are removed; `None` keeps them.
    pub age: Option<Duration>,
    /// The oldest files are removed until all of this host's are no larger, bytes; `None` sets no limit.
    pub bytes: Option<u64>,
    /// Time that goes into one file. A file holds intervals that begin on one day and are of one boot.
    pub seal: Duration,
}

/// Beyond this the journal is sealed before its time.
const JOURNAL_BYTES: u64 = 64 << 20;

/// A log that is written.
pub struct Log {
    dir: PathBuf,
    about: About,
    keep: Keep,
    journal: Journal,
    /// Begin of the journal's first interval, µs since the Unix epoch.
    begun_us: Option<i64>,
    _lock: Flock<File>,
}

impl Log {
    /// Opens the log of a host for writing: one process at a time. What a run that was killed has left is
    /// sealed first, or, where the disk is full, stays in the journal; why is returned beside the log.
    ///
    /// # Errors
    /// What the file system refuses; a second writer.
    pub fn open(dir: &Path, about: About, keep: Keep) -> Result<(Self, Option<Error>)> {
        let open = dir.join(OPEN);
        fs::create_dir_all(&open).map_err(|source| Error::io("create", &open, source))?;
        let path = open.join(format!("{}.lock", place::folder_of(&about.host)));
        let file = File::create(&path).map_err(|source| Error::io("create", &path, source))?;
        let lock = Flock::lock(file, FlockArg::LockExclusiveNonblock)
            .map_err(|_| Error::Locked { host: about.host.clone(), dir: dir.to_owned() })?;
        let journal = Journal::open(&place::journal_path(dir, &about.host))?;
        let mut log = Self { dir: dir.to_owned(), about, keep, journal, begun_us: None, _lock: lock };
        let mut trouble = None;
        if !log.journal.is_empty() {
            log.begun_us = Some(i64::MIN); // an older run's: sealing is due until it succeeds
            trouble = log.seal().err();
        }
        Ok((log, trouble))
    }

    /// Appends the rows of one interval, after the journal was sealed where it is time. An error while
    /// sealing is returned beside the success of the appending: the journal then goes on, and sealing is
    /// tried again with the next interval.
    ///
    /// # Errors
    /// What the file system refuses: the interval is then in no part in the log, and may be given again, or
    /// as a part of a longer one.
    pub fn append(&mut self, rows: &[Row]) -> Result<Option<Error>> {
        let Some((from_us, to_us)) = span(rows) else { return Ok(None) };
        let mut trouble = None;
        if let Some(begun_us) = self.begun_us
            && self.is_due(begun_us, from_us, to_us)
        {
            trouble = self.seal().err();
        }
        self.journal.append(rows)?;
        self.begun_us.get_or_insert(from_us);
        Ok(trouble)
    }

    /// Whether the interval from `from_us` to `to_us` belongs into another file than the journal's intervals.
    fn is_due(&self, begun_us: i64, from_us: i64, to_us: i64) -> bool {
        let length_us = i64::try_from(self.keep.seal.as_micros()).unwrap_or(i64::MAX);
        to_us.saturating_sub(begun_us) > length_us
            || from_us < begun_us // the wall clock was set back
            || place::date_of(begun_us) != place::date_of(from_us)
            || self.journal.length() > JOURNAL_BYTES
    }

    /// Makes a sealed file of the journal, under its name only when it is whole, and empties the journal.
    /// What is killed between the two is done again by the next run, and makes the same file.
    ///
    /// # Errors
    /// What the file system refuses: the journal stays as it is.
    pub fn seal(&mut self) -> Result<()> {
        let part = self.journal.path().with_extension("part");
        let sealed = self.write_sealed(&part);
        if sealed.is_err() {
            let _ = fs::remove_file(&part);
        }
        sealed?;
        self.journal.clear()?;
        self.begun_us = None;
        self.remove_old().map(drop)
    }

    fn write_sealed(&self, part: &Path) -> Result<()> {
        let mut records = Records::open(self.journal.path())?;
        let mut open: Option<(Writer, About, i64, i64)> = None;
        while let Some(rows) = records.next_rows()? {
            let Some((from, to)) = span(&rows) else { continue };
            let (mut writer, about, from_us, _) = if let Some(open) = open.take() {
                open
            } else {
                let text = |column| rows[0].text(column).map_or(String::new(), ToString::to_string);
                let (host, boot) = (text(Text::Host), text(Text::Boot));
                let about = About { host, boot, release: self.about.release.clone() };
                (Writer::create(part, &about)?, about, from, to)
            };
            writer.add(rows)?;
            open = Some((writer, about, from_us, to));
        }
        let Some((writer, about, from_us, to_us)) = open else { return Ok(()) };
        writer.finish()?;
        let path = place::sealed_path(&self.dir, &self.about.host, from_us, to_us, &about.boot);
        let folder = path.parent().unwrap_or(&self.dir);
        fs::create_dir_all(folder).map_err(|source| Error::io("create", folder, source))?;
        fs::rename(part, &path).map_err(|source| Error::io("rename to", &path, source))?;
        // The name must be on the disk before the journal is emptied.
        for folder in [Some(folder), folder.parent(), Some(&*self.dir)].into_iter().flatten() {
            File::open(folder)
                .and_then(|folder| folder.sync_all())
                .map_err(|source| Error::io("write", folder, source))?;
        }
        Ok(())
    }

    /// Removes files that are too old or too many; returns how many.
    ///
    /// # Errors
    /// What the file system refuses.
    pub fn remove_old(&self) -> Result<usize> {
        let files = place::sealed(&self.dir, &self.about.host)?;
        let now_us = jiff::Timestamp::now().as_microsecond();
        let age_us = self.keep.age.map(|age| i64::try_from(age.as_micros()).unwrap_or(i64::MAX));
        let too_old = |file: &Sealed| age_us.is_some_and(|age| file.to_us < now_us.saturating_sub(age));
        let sizes: Vec<u64> =
            files.iter().map(|file| fs::metadata(&file.path).map_or(0, |m| m.len())).collect();
        let mut total: u64 = sizes.iter().sum();
        let mut removed = 0;
        for (file, size) in files.iter().zip(sizes) {
            if !too_old(file) && self.keep.bytes.is_none_or(|most| total <= most) {
                continue;
            }
            match fs::remove_file(&file.path) {
                Ok(()) => removed += 1,
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(source) => return Err(Error::io("remove", &file.path, source)),
            }
            total -= size;
            // Only empty folders can be removed so.
            for folder in file.path.ancestors().skip(1).take(2) {
                let _ = fs::remove_dir(folder);
            }
        }
        Ok(removed)
    }
}

/// Begin and end of the interval of rows, µs since the Unix epoch.
pub(crate) fn span(rows: &[Row]) -> Option<(i64, i64)> {
    let first = rows.first()?;
    let to_us = first.int(Int::Ts)? / 1000;
    Some((to_us.saturating_sub(first.int(Int::Interval)? / 1000), to_us))
}
