//! Lines added up: by task, process, group or name.

use super::{Audit, Entry, Limit, Line, Waiting};
use crate::identity::TaskId;
use crate::ledger::Account;
use crate::policy::Policy;
use crate::snapshot::Group;
use crate::tickets::Nice;
use crate::usage::Usage;
use crate::window::TaskWindow;
use std::cmp::Reverse;
use std::fmt;
use std::str::FromStr;
use thiserror::Error;

/// What a row is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum By {
    /// Each task (thread).
    #[default]
    Task,
    /// Each process (thread group).
    Process,
    /// Each scheduling group, without its subgroups: rows add up.
    Group,
    /// All tasks of one name.
    Comm,
}

impl fmt::Display for By {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Task => "task",
            Self::Process => "process",
            Self::Group => "group",
            Self::Comm => "comm",
        })
    }
}

/// A word that names no way to add up.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("there are no rows by '{0}'; use 'task', 'process', 'group' or 'comm'")]
pub struct UnknownBy(String);

impl FromStr for By {
    type Err = UnknownBy;

    fn from_str(word: &str) -> Result<Self, UnknownBy> {
        match word {
            "task" => Ok(Self::Task),
            "process" => Ok(Self::Process),
            "group" => Ok(Self::Group),
            "comm" => Ok(Self::Comm),
            _ => Err(UnknownBy(word.to_owned())),
        }
    }
}

/// Whom a row is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Who {
    /// A task.
    Task(TaskId),
    /// A process, by its id.
    Process(u32),
    /// A scheduling group.
    Group(Group),
    /// A name: raw bytes.
    Comm(Vec<u8>),
}

impl Who {
    /// The row that a task belongs to.
    pub fn of(by: By, task: &TaskWindow) -> Self {
        match by {
            By::Task => Self::Task(task.totals.id),
            By::Process => Self::Process(task.totals.tgid),
            By::Group => Self::Group(task.totals.group),
            By::Comm => Self::Comm(task.totals.comm.clone()),
        }
    }
}

/// One or more lines of the ledger, added up.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Whom it is about.
    pub who: Who,
    /// Tasks in it.
    pub tasks: usize,
    /// Process, where all tasks are of one.
    pub tgid: Option<u32>,
    /// Name: of a process that of its leader, or else of the task that ran most; raw bytes.
    pub comm: Vec<u8>,
    /// Group, where all tasks are in one.
    pub group: Option<Group>,
    /// Nice value, where all tasks have the same.
    pub nice: Option<Nice>,
    /// Policy, where all tasks have the same.
    pub policy: Option<Policy>,
    /// The weight it competes with: of a group its own, else the sum of the tasks'. `None` where there is
    /// none.
    pub weight: Option<u64>,
    /// Whether tickets that were set by hand are in that weight.
    pub tickets_set: bool,
    /// What it got.
    pub usage: Usage,
    /// Entitled and received; `None` where no task takes part in the division.
    pub account: Option<Account>,
    /// Received, as a part of the capacity.
    pub got_share: f64,
    /// Entitled, as a part of the capacity.
    pub fair_share: f64,
    /// What its waits were made of.
    pub waiting: Waiting,
    /// Why it is not entitled to more, where that is the same for all tasks.
    pub limit: Option<Limit>,
}

impl Row {
    /// Entitled − received; 0 for a row without a part in the division.
    pub fn lag_ns(&self) -> i64 {
        self.account.map_or(0, |account| account.lag_ns())
    }

    /// The row of one line.
    pub fn of(who: Who, line: &Line) -> Self {
        let totals = &line.task.totals;
        let entry = line.entry.as_ref();
        Self {
            who,
            tasks: 1,
            tgid: Some(totals.tgid),
            comm: totals.comm.clone(),
            group: Some(totals.group),
            nice: Some(totals.nice),
            policy: Some(totals.policy),
            weight: entry.map(|entry| entry.weight),
            tickets_set: entry.is_some() && totals.tickets_set.is_some(),
            usage: line.task.delta.clone(),
            account: entry.map(|entry| entry.account),
            got_share: entry.map_or(0.0, |entry| entry.got_share),
            fair_share: entry.map_or(0.0, |entry| entry.fair_share),
            waiting: line.waiting,
            limit: entry.map(|entry| entry.limit.clone()),
        }
    }

    /// Adds a line. The name stays that of the first.
    pub fn add(&mut self, line: &Line) {
        let totals = &line.task.totals;
        self.tasks += 1;
        self.tgid = self.tgid.filter(|tgid| *tgid == totals.tgid);
        self.group = self.group.filter(|group| *group == totals.group);
        self.nice = self.nice.filter(|nice| *nice == totals.nice);
        self.policy = self.policy.filter(|policy| *policy == totals.policy);
        self.usage.merge(&line.task.delta);
        self.waiting.merge(&line.waiting);
        let Some(Entry { weight, account, got_share, fair_share, limit }) = &line.entry else { return };
        self.add_entry(*weight, *account, (*got_share, *fair_share), Some(limit));
        self.tickets_set |= totals.tickets_set.is_some();
    }

    /// Adds another row. The name stays that of the first.
    pub fn add_row(&mut self, row: &Self) {
        self.tasks += row.tasks;
        self.tgid = self.tgid.filter(|tgid| Some(*tgid) == row.tgid);
        self.group = self.group.filter(|group| Some(*group) == row.group);
        self.nice = self.nice.filter(|nice| Some(*nice) == row.nice);
        self.policy = self.policy.filter(|policy| Some(*policy) == row.policy);
        self.usage.merge(&row.usage);
        self.waiting.merge(&row.waiting);
        let Some(account) = row.account else { return };
        let shares = (row.got_share, row.fair_share);
        self.add_entry(row.weight.unwrap_or(0), account, shares, row.limit.as_ref());
        self.tickets_set |= row.tickets_set;
    }

    fn add_entry(&mut self, weight: u64, account: Account, (got, fair): (f64, f64), limit: Option<&Limit>) {
        self.limit = match self.account {
            None => limit.cloned(),
            Some(_) => self.limit.take().filter(|mine| Some(mine) == limit),
        };
        let before = self.account.unwrap_or_default();
        self.account = Some(Account {
            entitled_ns: before.entitled_ns.saturating_add(account.entitled_ns),
            received_ns: before.received_ns.saturating_add(account.received_ns),
        });
        self.weight = Some(self.weight.unwrap_or(0).saturating_add(weight));
        self.got_share += got;
        self.fair_share += fair;
    }
}

/// The lines of an audit by rows, without the rows: which lines each of them adds up. Of ten thousand rows
/// few are looked at, and a row is some hundred bytes; [`Audit::row`] makes one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Members {
    by: By,
    /// Places in [`Audit::lines`], those of a row together.
    lines: Vec<u32>,
    /// Where in `lines` each row ends, by whom rows are about.
    ends: Vec<u32>,
}

impl Members {
    /// Of an audit, ordered by who the rows are about; lines stay in their order.
    pub(super) fn of(audit: &Audit, by: By) -> Self {
        let mut lines: Vec<u32> = (0u32..).take(audit.lines.len()).collect();
        let totals = |at: &u32| &audit.lines[*at as usize].task.totals;
        match by {
            By::Task => {}
            By::Process => lines.sort_by_key(|at| totals(at).tgid),
            By::Group => lines.sort_by_key(|at| totals(at).group),
            By::Comm => lines.sort_by(|a, b| totals(a).comm.cmp(&totals(b).comm)),
        }
        let is_one = |a: &u32, b: &u32| match by {
            By::Task => false,
            By::Process => totals(a).tgid == totals(b).tgid,
            By::Group => totals(a).group == totals(b).group,
            By::Comm => totals(a).comm == totals(b).comm,
        };
        let rows = lines.chunk_by(is_one).scan(0, |end, row| {
            *end += u32::try_from(row.len()).unwrap_or(u32::MAX);
            Some(*end)
        });
        let ends = rows.collect();
        Self { by, lines, ends }
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The lines of the row at this place, at least one, in their order.
    ///
    /// # Panics
    /// If there is no such row, or the audit is another than the members'.
    pub fn lines<'a>(
        &'a self,
        audit: &'a Audit,
        row: usize,
    ) -> impl ExactSizeIterator<Item = &'a Line> + Clone {
        let begin = row.checked_sub(1).map_or(0, |before| self.ends[before]);
        let places = &self.lines[begin as usize..self.ends[row] as usize];
        places.iter().map(|at| &audit.lines[*at as usize])
    }

    /// Whom the row at this place is about.
    ///
    /// # Panics
    /// As [`Members::lines`].
    pub fn who(&self, audit: &Audit, row: usize) -> Who {
        let mut lines = self.lines(audit, row);
        Who::of(self.by, &lines.next().expect("a row has lines").task)
    }

    pub(super) fn row(&self, audit: &Audit, row: usize) -> Row {
        let mut lines = self.lines(audit, row);
        let mut named_by = lines.next().expect("a row has lines");
        let mut sum = Row::of(Who::of(self.by, &named_by.task), named_by);
        for line in lines {
            sum.add(line);
            if name_rank(self.by, line) > name_rank(self.by, named_by) {
                named_by = line;
            }
        }
        sum.comm.clone_from(&named_by.task.totals.comm);
        if let Who::Group(group) = &sum.who
            && let Ok(at) = audit.groups.binary_search_by_key(group, |g| g.totals.id)
        {
            sum.weight = Some(audit.groups[at].totals.weight);
            sum.tickets_set = false;
        }
        sum
    }
}

/// A process is called by its leader's name; else who ran most comes first, then the lower identity.
fn name_rank(by: By, line: &Line) -> (bool, u64, Reverse<TaskId>) {
    let totals = &line.task.totals;
    (by == By::Process && totals.id.pid == totals.tgid, line.task.delta.runtime_ns, Reverse(totals.id))
}
