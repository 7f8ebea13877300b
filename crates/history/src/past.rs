//! A log as a source of frames: intervals are added up to totals again, so that whoever looks at a live machine can look at a past one.
//!
//! Threads that the log holds one by one are themselves; the rest of a group is one task named `(rest)`, with the sum of their weights. The
//! ledger of several intervals is computed anew from their sums, as a live one of that length would be.

use crate::error::{Error, Result};
use crate::file::Reader;
use crate::journal::Records;
use crate::log::span;
use crate::place;
use crate::row::Row;
use crate::rows::group_of;
use crate::schema::{Int, Text};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::error::Error as StdError;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tombola_core::cpu_set::CpuSet;
use tombola_core::frame::{Frame, Machine};
use tombola_core::histogram::Histogram;
use tombola_core::identity::TaskId;
use tombola_core::policy::Policy;
use tombola_core::snapshot::{
    CpuBooks, ExitTotals, Group, GroupTotals, Loss, Quota, Snapshot, TaskState, TaskTotals,
};
use tombola_core::source::{Origin, Source};
use tombola_core::tickets::Nice;
use tombola_core::usage::Usage;

/// First number that no task has: the kernel's limit of PIDs. Rests count from here.
const REST_PIDS: u32 = (1 << 22) + 1;

/// What of a log is looked at, µs since the Unix epoch: intervals that lie in it, of which a part lies in it, too.
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
        let host = match (host, &hosts[..]) {
            (_, []) => return Err(Error::NoLog { dir: dir.to_owned() }),
            (Some(host), _) => host.to_owned(),
            (None, [host]) => host.clone(),
            (None, _) => {
                let shown: Vec<&str> = hosts.iter().take(5).map(String::as_str).collect();
                let hosts_text = shown.join(", ") + if hosts.len() > 5 { ", …" } else { "" };
                return Err(Error::ManyHosts { dir: dir.to_owned(), count: hosts.len(), hosts: hosts_text });
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

    /// Notes every group of the span: a group that is not there in a first frame has counted since before it, for whoever compares frames.
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
            // An interval may go on in the next row group, and never in the next file or in the journal, which may hold it again.
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
        Frame {
            snapshot: self.totals.snapshot(),
            groups: self.totals.names.clone(),
            owners: None,
            machine: Machine { host: self.host.clone(), ..Machine::default() },
        }
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

#[derive(Default)]
struct Totals {
    taken_ns: u64,
    /// Of the latest interval.
    interval_ns: u64,
    unix_us: i64,
    cpus: BTreeMap<u32, CpuBooks>,
    tasks: BTreeMap<TaskId, TaskTotals>,
    /// Tasks of the latest frame's intervals.
    active: BTreeSet<TaskId>,
    exits: ExitTotals,
    groups: BTreeMap<Group, GroupTotals>,
    names: BTreeMap<Group, String>,
    loss: Loss,
}

impl Totals {
    fn add(&mut self, rows: &[Row]) {
        let Some(first) = rows.first() else { return };
        self.interval_ns = first.count(Int::Interval);
        self.taken_ns = self.taken_ns.saturating_add(self.interval_ns);
        self.unix_us = first.int(Int::Ts).unwrap_or(0) / 1000;
        self.cpus.values_mut().for_each(|cpu| cpu.online = false);
        for row in rows {
            match row.level() {
                "machine" => self.add_machine(row),
                "cpu" => self.add_cpu(row),
                "group" => self.add_group(row),
                "thread" | "thread_rest" => self.add_task(row),
                _ => {}
            }
        }
    }

    /// A group with nothing counted yet, if it is one.
    fn learn(&mut self, row: &Row) {
        let (id, parent) =
            (group_of(row.int(Int::GroupId)), row.int(Int::ParentId).map(|id| group_of(Some(id))));
        if row.level() == "group" && id != Group::Unknown {
            let weight = row.count(Int::Weight);
            let plain = GroupTotals { id, parent, weight, quota: None, throttled_ns: 0, throttles: 0 };
            self.groups.entry(id).or_insert(plain);
        }
    }

    fn add_machine(&mut self, row: &Row) {
        self.exits.count += row.count(Int::UnlistedTasks);
        self.exits.runtime_ns += row.count(Int::Unlisted);
        let loss = &mut self.loss;
        for (field, column) in [
            (&mut loss.untracked_ns, Int::Untracked),
            (&mut loss.map_full, Int::MapFull),
            (&mut loss.map_busy, Int::MapBusy),
            (&mut loss.map_other, Int::MapOther),
            (&mut loss.clock_backwards, Int::ClockBackwards),
            (&mut loss.stale_records, Int::StaleRecords),
            (&mut loss.groups_full, Int::GroupsFull),
            (&mut loss.unseen_switches, Int::UnseenSwitches),
            (&mut loss.unseen_ns, Int::Unseen),
        ] {
            *field += row.count(column);
        }
    }

    fn add_cpu(&mut self, row: &Row) {
        let Ok(cpu) = u32::try_from(row.count(Int::Cpu)) else { return };
        let books = self.cpus.entry(cpu).or_insert(CpuBooks { cpu, ..CpuBooks::default() });
        books.online = row.count(Int::Wall) > 0;
        books.busy_ns += row.count(Int::Busy);
        books.unfair_ns += row.count(Int::Unfair);
        books.idle_ns += row.count(Int::Idle);
        books.taken_ns += row.count(Int::Taken);
    }

    fn add_group(&mut self, row: &Row) {
        let id = group_of(row.int(Int::GroupId));
        if let Some(path) = row.text(Text::Cgroup) {
            self.names.insert(id, path.to_string());
        }
        if row.int(Int::Throttled).is_none() {
            return; // the source did not know it as a group
        }
        let before = self.groups.get(&id);
        let quota = row.int(Int::Quota).zip(row.int(Int::Period));
        let totals = GroupTotals {
            id,
            parent: row.int(Int::ParentId).map(|id| group_of(Some(id))),
            weight: row.count(Int::Weight),
            quota: quota.map(|(quota, period)| Quota {
                quota_ns: quota.unsigned_abs(),
                period_ns: period.unsigned_abs(),
            }),
            throttled_ns: before.map_or(0, |group| group.throttled_ns) + row.count(Int::Throttled),
            throttles: before.map_or(0, |group| group.throttles) + row.count(Int::Throttles),
        };
        self.groups.insert(id, totals);
    }

    fn add_task(&mut self, row: &Row) {
        let group = group_of(row.int(Int::GroupId));
        let small = |column| u32::try_from(row.count(column)).unwrap_or(u32::MAX);
        let is_rest = row.level() == "thread_rest";
        let policy = row.text(Text::Policy).map_or(Policy::Other, |text| policy(text));
        let id = if is_rest {
            // One rest a group, policy and affinity: the hash keeps them apart.
            let key = format!("{policy}{:?}", row.text(Text::Affinity));
            let start_ns = row.int(Int::GroupId).unwrap_or(0).unsigned_abs();
            TaskId { pid: REST_PIDS + crc32fast::hash(key.as_bytes()) % (1 << 22), start_ns }
        } else {
            TaskId { pid: small(Int::Pid), start_ns: row.count(Int::Start) }
        };
        let usage = Usage {
            runtime_ns: row.count(Int::Run),
            wait_ns: row.count(Int::Wait),
            wait_max_ns: row.count(Int::WaitMax),
            waits: row.waits.as_ref().map_or_else(Histogram::default, |waits| {
                Histogram(waits.map(|count| u64::try_from(count).unwrap_or(0)))
            }),
            switches: row.count(Int::Switches),
            involuntary: row.count(Int::Involuntary),
            wakeups: row.count(Int::Wakeups),
            migrations: row.count(Int::Migrations),
        };
        self.active.insert(id);
        let comm = if is_rest { "(rest)" } else { row.text(Text::Comm).map_or("", |text| text) };
        let mut totals = TaskTotals {
            id,
            tgid: if is_rest { id.pid } else { small(Int::Tgid) },
            comm: comm.as_bytes().to_vec(),
            nice: row.int(Int::Nice).and_then(|nice| Nice::new(nice).ok()).unwrap_or_default(),
            policy,
            weight: small(Int::Weight).max(1),
            tickets_set: None,
            group,
            affinity: row.text(Text::Affinity).and_then(|text| cpus(text)),
            cpu: 0,
            state: TaskState::Sleeping,
            usage,
        };
        if let Some(before) = self.tasks.get(&id) {
            totals.usage.merge(&before.usage);
        }
        self.tasks.insert(id, totals);
    }

    /// Forgets tasks without a part in the latest frame. What they ran stays in the sum, so that nothing is missing later.
    fn forget_idle(&mut self) {
        let active = std::mem::take(&mut self.active);
        let exits = &mut self.exits;
        self.tasks.retain(|id, task| {
            let keep = active.contains(id);
            if !keep {
                exits.runtime_ns += task.usage.runtime_ns;
            }
            keep
        });
    }

    /// Forgets all tasks: identities of another boot mean other ones.
    fn forget_all(&mut self) {
        self.active.clear();
        self.forget_idle();
    }

    fn snapshot(&self) -> Snapshot {
        Snapshot {
            taken_ns: self.taken_ns,
            unix_us: u64::try_from(self.unix_us).unwrap_or(0),
            begin_ns: 0,
            cpus: self.cpus.values().copied().collect(),
            tasks: self.tasks.values().cloned().collect(),
            exited: Vec::new(),
            exits: self.exits,
            groups: self.groups.values().copied().collect(),
            interference: None,
            loss: self.loss,
        }
    }
}

fn policy(text: &str) -> Policy {
    let named = (0..=u8::MAX).map(Policy::from_number).find(|policy| policy.to_string() == text);
    named.unwrap_or_default()
}

/// The kernel's list format; `None` for what is none.
fn cpus(text: &str) -> Option<CpuSet> {
    let mut set = CpuSet::default();
    for part in text.split(',').filter(|part| !part.is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (u32, u32) = (first.parse().ok()?, last.parse().ok()?);
        // No kernel has more CPUs: a damaged text asks for no memory.
        (first..=last.min(65_535)).for_each(|cpu| set.insert(cpu));
    }
    Some(set)
}
