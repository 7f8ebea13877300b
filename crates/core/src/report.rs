//! What a reader is shown: a window, judged by tickets.

mod by;
#[cfg(test)]
pub(crate) mod fixture;
mod lottery;

pub use lottery::{Draws, Lottery, Winner};

use crate::audit::Who;
use crate::policy::Policy;
use crate::rolling::Rolling;
use crate::snapshot::{ExitTotals, Group, Loss};
use crate::source::Origin;
use crate::tickets::{Nice, TicketScale};
use crate::window::{Books, TaskWindow, Window};
use crate::worth::Judged;
use std::cmp::Reverse;
use std::fmt;
use std::str::FromStr;
use thiserror::Error;

/// Which tasks take part in the draw: holders of tickets only, in either case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Candidates {
    /// Those that wanted a CPU at some time in the interval. A draw among sleepers says nothing about the
    /// CPU.
    #[default]
    Runnable,
    /// Every task that lived in the interval.
    All,
}

impl fmt::Display for Candidates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Runnable => "runnable",
            Self::All => "all",
        })
    }
}

/// A word that names no set of candidates.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("unknown candidates '{0}'; use 'runnable' or 'all'")]
pub struct UnknownCandidates(String);

impl FromStr for Candidates {
    type Err = UnknownCandidates;

    fn from_str(word: &str) -> Result<Self, UnknownCandidates> {
        match word {
            "runnable" => Ok(Self::Runnable),
            "all" => Ok(Self::All),
            _ => Err(UnknownCandidates(word.to_owned())),
        }
    }
}

/// What the deltas of a report are measured from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Since {
    /// The sample before.
    PreviousSample,
    /// The moment the source began: there is no earlier sample.
    Begin(Origin),
}

impl fmt::Display for Since {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::PreviousSample => "since the previous sample",
            Self::Begin(Origin::Loaded) => "since load",
            Self::Begin(Origin::Private) => "since attach",
            Self::Begin(Origin::Recorded | Origin::Simulated) => "since the begin",
        })
    }
}

/// What a report is asked to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Options {
    /// How tickets are made.
    pub scale: TicketScale,
    /// Who may win.
    pub candidates: Candidates,
    /// How the source began.
    pub origin: Origin,
}

/// The machine in the interval.
#[derive(Clone, Debug, PartialEq)]
pub struct Head {
    /// Length of the interval.
    pub length_ns: u64,
    /// End of the interval on the wall clock, microseconds since the Unix epoch.
    pub unix_us: u64,
    /// What the deltas are measured from.
    pub since: Since,
    /// CPUs that were there for some of the interval.
    pub cpus: usize,
    /// Where the CPU time went.
    pub books: Books,
    /// Tasks alive at the end of the interval and known by name.
    pub tracked: usize,
    /// Tasks known by name that ended in the interval.
    pub ended: usize,
    /// Tasks that ended in the interval and were forgotten before it was read.
    pub unlisted: ExitTotals,
    /// What was lost in the interval.
    pub loss: Loss,
    /// What was lost since the source began.
    pub loss_total: Loss,
    /// What totals since the source began are worth, by kind, and so what is less than these at most; none
    /// where the source cannot judge it.
    pub worths: Vec<Judged>,
}

/// One task in a report, or several added up by [`Report::rows_by`].
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Whom it is about.
    pub who: Who,
    /// Tasks in it.
    pub tasks: usize,
    /// What all its tasks have in common.
    pub common: Common,
    /// What it got. Of several tasks the usage is the sum, the name that of the leader or of who ran most,
    /// and the rest that of one of them.
    pub task: TaskWindow,
    /// Length of the interval that the deltas of `task` are of, nanoseconds.
    pub length_ns: u64,
    /// Tickets it holds; 0 under policies that hold none.
    pub tickets: u64,
    /// Its tickets as a part (0…1) of all candidates' tickets; 0 for a task that is no candidate.
    pub ticket_share: f64,
    /// Average run time per window, [`Rolling::get`]; 0 for a task that `Rolling` does not know.
    pub rolling_ns: f64,
}

/// What the tasks of a row have in common; `None` where they differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Common {
    /// Process.
    pub tgid: Option<u32>,
    /// Nice value.
    pub nice: Option<Nice>,
    /// Policy.
    pub policy: Option<Policy>,
    /// Scheduling group.
    pub group: Option<Group>,
    /// CPU of the latest slice.
    pub cpu: Option<u32>,
}

impl Row {
    /// Whether it takes part in the draw: in a report, every holder of tickets does.
    pub fn is_candidate(&self) -> bool {
        self.tickets > 0
    }
}

/// One interval as a reader is shown it: a pure function of the window, the moving averages and the options.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// The machine.
    pub head: Head,
    /// The candidates, and the tasks without tickets that wanted a CPU; who ran most in the interval comes
    /// first, among equals the lower identity.
    pub rows: Vec<Row>,
    /// All candidates' tickets.
    pub tickets: u64,
}

impl Report {
    /// The report of a window. `rolling` has taken in this window already.
    pub fn new(window: Window, rolling: &Rolling, options: Options) -> Self {
        let ended = window.tasks.iter().filter(|t| t.ended).count();
        let head = Head {
            length_ns: window.length_ns(),
            unix_us: window.unix_us,
            since: if window.is_first { Since::Begin(options.origin) } else { Since::PreviousSample },
            cpus: window.cpus.iter().filter(|c| c.wall_ns > 0).count(),
            books: window.books(),
            tracked: window.tasks.len() - ended,
            ended,
            unlisted: window.unlisted_exits,
            loss: window.loss,
            loss_total: window.loss_total,
            worths: window.worths_total,
        };
        let mut rows: Vec<Row> =
            window.tasks.into_iter().filter_map(|task| row(task, head.length_ns, rolling, options)).collect();
        // At most 2²² tasks (the kernel's PID limit) of at most 88,761 tickets: far from 2⁶⁴.
        let tickets: u64 = rows.iter().map(|r| r.tickets).sum();
        if tickets > 0 {
            for row in &mut rows {
                row.ticket_share = row.tickets as f64 / tickets as f64;
            }
        }
        rows.sort_by_cached_key(|r| (Reverse(r.task.delta.runtime_ns), r.task.totals.id)); // rows are large
        Self { head, rows, tickets }
    }

    /// Who takes part in the draw, in the order of the rows.
    pub fn candidates(&self) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(|r| r.is_candidate())
    }

    /// Candidates by share, the largest first, among equals the lower identity.
    pub fn by_share(&self) -> Vec<&Row> {
        let mut rows: Vec<&Row> = self.candidates().collect();
        rows.sort_unstable_by_key(|r| (Reverse(r.tickets), r.task.totals.id));
        rows
    }
}

/// The task as a row, its share still open; `None` if the report does not show it.
fn row(task: TaskWindow, length_ns: u64, rolling: &Rolling, options: Options) -> Option<Row> {
    let tickets = options.scale.tickets(task.totals.nice, task.totals.policy);
    let is_shown = task.was_runnable() || (options.candidates == Candidates::All && tickets > 0);
    let totals = &task.totals;
    let common = Common {
        tgid: Some(totals.tgid),
        nice: Some(totals.nice),
        policy: Some(totals.policy),
        group: Some(totals.group),
        cpu: Some(totals.cpu),
    };
    is_shown.then(|| Row {
        who: Who::Task(task.totals.id),
        tasks: 1,
        common,
        length_ns,
        rolling_ns: rolling.get(task.totals.id).unwrap_or(0.0),
        tickets,
        ticket_share: 0.0,
        task,
    })
}

#[cfg(test)]
mod tests;
