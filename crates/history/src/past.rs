//! A log as a source of frames: intervals are added up to totals again, so that whoever looks at a live
//! machine can look at a past one.
//!
//! Threads that the log holds one by one are themselves; the rest of a group is one task named `(rest)`, with
//! the sum of their weights. The ledger of several intervals is computed anew from their sums, as a live one
//! of that length would be.

mod totals;

use crate::error::{Error, Result};
use crate::file::Reader;
use crate::journal::Records;
use crate::log::span;
use crate::place;
use crate::row::Row;
use crate::schema::{Int, Text};
use jiff::Timestamp;
use std::collections::VecDeque;
use std::error::Error as StdError;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tombola_core::frame::{Frame, Machine};
use tombola_core::source::{Origin, Source};
use totals::Totals;

/// What of a log is looked at, µs since the Unix epoch: intervals that lie in it, of which a part lies in it,
/// too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Begin.
    pub from_us: i64,
    /// End, after the begin or equal to it.
    pub to_us: i64,
}

/// A past stretch of one host.
pub struct Past {
    host: String,
    span: Span,
    files: VecDeque<PathBuf>,
    /// The file that is being read, and its next row group.
    open: Option<(Reader, usize)>,
    journal: Option<Records>,
    /// Rows that were read and belong to the next interval.
    ahead: VecDeque<Row>,
    /// End of the latest interval that was taken: what is in the journal and already in a file is taken once.
    seen_us: i64,
    boot: Option<Arc<str>>,
    totals: Totals,
    /// Intervals taken.
    intervals: u64,
}

impl Past {
    /// Opens a stretch of a log; `host` may be left out where the log has but one.
    ///
    /// # Errors
    /// What the file system refuses; no log; several hosts and none chosen; nothing in that time.
    pub fn open(dir: &Path, host: Option<&str>, span: Span) -> Result<Self> {
        let hosts = place::hosts(dir)?;
        let first = || {
            let shown: Vec<&str> = hosts.iter().take(5).map(String::as_str).collect();
            shown.join(", ") + if hosts.len() > 5 { ", …" } else { "" }
        };
        let dir_of = || dir.to_owned();
        let host = match (host, &hosts[..]) {
            (_, []) => return Err(Error::NoLog { dir: dir_of() }),
            (Some(host), _) if hosts.iter().any(|known| known == host) => host.to_owned(),
            (Some(host), _) => {
                return Err(Error::NoHost { dir: dir_of(), host: host.to_owned(), hosts: first() });
            }
            (None, [host]) => host.clone(),
            (None, _) => {
                return Err(Error::ManyHosts { dir: dir_of(), count: hosts.len(), hosts: first() });
            }
        };
        let all = place::sealed(dir, &host)?;
        let meets = |file: &&place::Sealed| {
            file.from_us < span.to_us.max(span.from_us + 1) && file.to_us > span.from_us
        };
        let files: VecDeque<PathBuf> = all.iter().filter(meets).map(|file| file.path.clone()).collect();
        let path = place::journal_path(dir, &host);
        let journal = if path.exists() { Some(Records::open(&path)?) } else { None };
        let mut past = Self {
            host,
            span,
            files,
            open: None,
            journal,
            ahead: VecDeque::new(),
            seen_us: i64::MIN,
            boot: None,
            totals: Totals::default(),
            intervals: 0,
        };
        past.learn_groups(&path)?;
        let Some(begin_us) = past.peek()? else {
            let (from, to) = (all.first().map(|f| f.from_us), all.iter().map(|f| f.to_us).max());
            let text = |us: Option<i64>| us.map_or("no sealed file".to_owned(), utc);
            return Err(Error::NothingThere { host: past.host, from: text(from), to: text(to) });
        };
        past.totals.unix_us = begin_us;
        Ok(past)
    }

    /// Notes every group of the span: a group that is not there in a first frame has counted since before it,
    /// for whoever compares frames.
    fn learn_groups(&mut self, journal: &Path) -> Result<()> {
        let columns = [Text::Level.name(), Int::GroupId.name(), Int::ParentId.name(), Int::Weight.name()];
        for path in &self.files {
            let mut reader = match Reader::open(path) {
                Err(Error::Io { source, .. }) if source.kind() == ErrorKind::NotFound => continue,
                reader => reader?,
            };
            for group in 0..reader.groups() {
                if reader.range(group).is_none_or(|(_, last)| last / 1000 > self.span.from_us) {
                    reader
                        .columns(group, |name| columns.contains(&name))?
                        .iter()
                        .for_each(|row| self.totals.learn(row));
                }
            }
        }
        if self.journal.is_some() {
            let mut records = Records::open(journal)?;
            while let Some(rows) = records.next_rows()? {
                for row in &rows {
                    self.totals.learn(row);
                }
            }
        }
        Ok(())
    }

    /// The rows of the next interval of the span; `None` at its end.
    ///
    /// # Errors
    /// What the file system refuses; a damaged file.
    pub fn next_interval(&mut self) -> Result<Option<Vec<Row>>> {
        if self.peek()?.is_none() {
            return Ok(None);
        }
        let mut rows: Vec<Row> = Vec::new();
        loop {
            while let Some(row) = self.ahead.front() {
                if rows.first().is_some_and(|first| first.int(Int::Ts) != row.int(Int::Ts)) {
                    return Ok(Some(rows));
                }
                self.seen_us = row.int(Int::Ts).unwrap_or(0) / 1000;
                rows.extend(self.ahead.pop_front());
            }
            // An interval may go on in the next row group, and never in the next file or in the journal,
            // which may hold it again.
            if self.open.as_ref().is_none_or(|(reader, next)| *next >= reader.groups()) {
                return Ok(Some(rows));
            }
            self.read_ahead()?;
        }
    }

    /// Begin of the next interval, µs since the Unix epoch.
    fn peek(&mut self) -> Result<Option<i64>> {
        loop {
            while let Some(row) = self.ahead.front() {
                let (from_us, to_us) = span(std::slice::from_ref(row)).unwrap_or_default();
                let is_before = to_us <= self.span.from_us || to_us <= self.seen_us;
                if !is_before && from_us < self.span.to_us.max(self.span.from_us + 1) {
                    return Ok(Some(from_us));
                }
                if !is_before && self.open.is_none() && self.files.is_empty() {
                    return Ok(None);
                }
                self.ahead.pop_front();
            }
            if !self.read_ahead()? {
                return Ok(None);
            }
        }
    }

    /// Reads the next row group or record; false at the end of all.
    fn read_ahead(&mut self) -> Result<bool> {
        if self.open.is_none()
            && let Some(path) = self.files.pop_front()
        {
            match Reader::open(&path) {
                Ok(reader) => self.open = Some((reader, 0)),
                // Retention may have removed it since it was listed.
                Err(Error::Io { source, .. }) if source.kind() == ErrorKind::NotFound => return Ok(true),
                Err(error) => return Err(error),
            }
        }
        if let Some((reader, next)) = &mut self.open {
            let group = *next;
            *next += 1;
            if group >= reader.groups() {
                self.open = None;
                return Ok(true);
            }
            let is_wanted = reader.range(group).is_none_or(|(_, last)| last / 1000 > self.span.from_us);
            if is_wanted {
                self.ahead.extend(reader.rows(group)?);
            }
            return Ok(true);
        }
        let Some(journal) = &mut self.journal else { return Ok(false) };
        match journal.next_rows()? {
            Some(rows) => self.ahead.extend(rows),
            None => self.journal = None,
        }
        Ok(true)
    }

    fn frame(&self) -> Frame {
        let machine = Machine { host: self.host.clone(), ..Machine::default() };
        Frame { machine, ..Frame::new(self.totals.snapshot(), self.totals.names.clone()) }
    }
}

impl Source for Past {
    fn origin(&self) -> Origin {
        Origin::Recorded
    }

    fn next(
        &mut self,
        interval: Option<Duration>,
    ) -> std::result::Result<Option<Frame>, Box<dyn StdError + Send + Sync>> {
        if interval == Some(Duration::ZERO) {
            return Ok(Some(self.frame()));
        }
        self.totals.forget_idle();
        let begin_ns = self.totals.taken_ns;
        let mut taken = false;
        let length_ns = interval.map(|length| u64::try_from(length.as_nanos()).unwrap_or(u64::MAX));
        // Half of an interval of the log is given to a length that is a multiple of it: clocks tick unevenly.
        while length_ns.is_none_or(|length| {
            self.totals.taken_ns - begin_ns + self.totals.interval_ns / 2 < length || !taken
        }) {
            let Some(rows) = self.next_interval()? else { break };
            let boot = rows.first().and_then(|row| row.text(Text::Boot)).cloned();
            if self.boot.is_some() && boot != self.boot {
                self.totals.forget_all();
            }
            self.boot = boot;
            self.totals.add(&rows);
            self.intervals += 1;
            taken = true;
        }
        Ok(taken.then(|| self.frame()))
    }
}

/// An instant for messages.
fn utc(us: i64) -> String {
    Timestamp::from_microsecond(us)
        .map_or_else(|_| format!("{us} µs after 1970"), |at| at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string())
}
