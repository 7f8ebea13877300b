//! The audit of an interval: who was entitled to what, who got it, and what stood between the two.
//!
//! An [`Audit`] is a pure function of a [`Window`]: it turns the window into a [`Demand`], has it divided by
//! [`entitle`], and puts the result beside what was received. It works from the totals of the interval, not
//! from a trace of events: what a task asked for is run + wait, and two tasks that were never runnable at the
//! same moment count as if they had been.
//!
//! # What is divided
//!
//! | figure | formula, for each CPU |
//! |---|---|
//! | fair time | wall − what real-time, deadline and stop tasks had |
//! | capacity | fair time × (1 − taken / wall), less its part of the unclaimed time |
//!
//! *Taken* is what interrupts and the hypervisor took. The kernel books it into the slices it fell into, so
//! nobody knows from whom it was taken: it is spread evenly over the CPU's time. Runtimes contain it and
//! capacities do not, so what a task received is its runtime times capacity / fair time, one factor for all
//! (exactly 1 where nothing was taken).
//!
//! *Unclaimed* is the time of tasks that are not known one by one: ended and forgotten before the interval
//! was read, or never tracked. Their waits are unknown, so the audit calls what they had what they were
//! entitled to: it leaves the capacity (of each CPU by its part of the fair tasks' time), and neither is owed
//! nor owes.
//!
//! Then Σ lag = Σ entitled − Σ received is what CPUs idled while somebody waited, but for the residual of the
//! books.

mod by;
mod claims;
mod finding;
mod hindrance;
mod order;
#[cfg(test)]
mod tests;
mod waiting;

pub use by::{By, Members, Row, UnknownBy, Who};
pub use claims::Division;
pub use finding::{About, Finding};
pub use hindrance::{GroupHindrance, Hindrance};
pub use order::{Order, Owed};
pub use waiting::Waiting;

use crate::cpu_set::CpuSet;
use crate::entitlement::{Bound, DemandError, Entitlement, entitle};
use crate::interference::Interference;
use crate::ledger::{Account, Fairness, Ledger};
use crate::snapshot::{Group, Loss};
use crate::window::{Books, GroupWindow, TaskWindow, Window};
use crate::worth;
use claims::Claims;
use std::borrow::Cow;

#[cfg(doc)]
use crate::entitlement::Demand;

/// The ledger of one interval, with its explanation.
#[derive(Clone, Debug, PartialEq)]
pub struct Audit {
    /// Length of the interval.
    pub length_ns: u64,
    /// End of the interval on the wall clock, microseconds since the Unix epoch.
    pub unix_us: u64,
    /// CPUs that were there for some of the interval.
    pub cpus: usize,
    /// Where the CPU time of the interval went.
    pub books: Books,
    /// What there was to divide.
    pub division: Division,
    /// How fair it was. Its accounts are the claims, in the order of the lines that have an entry.
    pub fairness: Fairness,
    /// Every task that ran or waited, ordered by identity.
    pub lines: Vec<Line>,
    /// Groups that tasks were in, and their ancestors, ordered by id.
    pub groups: Vec<GroupWindow>,
    /// Where weights did not do what they seem to say: the one with the largest effect first.
    pub findings: Vec<Finding>,
    /// Findings beyond [`Finding::MOST`], of smaller effect, that are left out.
    pub findings_left_out: usize,
    /// Who stood in whose way; `None` where the source did not look.
    pub interference: Option<Interference>,
    /// What was lost in the interval.
    pub loss: Loss,
    /// What was lost since the source began.
    pub loss_total: Loss,
    /// What the figures of the interval are worth, by kind; none where the source cannot judge it.
    pub worths: Vec<worth::Judged>,
}

/// One task in the ledger.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// What it is and what it got.
    pub task: TaskWindow,
    /// Its part in the division; `None` for policies without weights, which run before the rest is divided.
    pub entry: Option<Entry>,
    /// What its wait was made of.
    pub waiting: Waiting,
}

/// A task's part in the division.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Its weight among the members of its group.
    pub weight: u64,
    /// Entitled and received.
    pub account: Account,
    /// Received, as a part of the capacity.
    pub got_share: f64,
    /// Entitled, as a part of the capacity.
    pub fair_share: f64,
    /// Why it is not entitled to more.
    pub limit: Limit,
}

/// What bounds an entitlement: [`Bound`] with names in place of indices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Limit {
    /// Its own demand: it is entitled to all it asked for.
    Demand,
    /// The quota of this group, its own or one above.
    Quota(Group),
    /// These CPUs are given out in full, and it may use no others.
    Cpus(CpuSet),
}

impl Audit {
    /// Audits an interval.
    ///
    /// # Errors
    /// [`DemandError`] if the window's groups contradict themselves: a group that is its own ancestor.
    ///
    /// # Panics
    /// If the division would break one of the sums it must keep, as [`entitle`].
    pub fn new(window: &Window) -> Result<Self, DemandError> {
        Ok(Self::assembled(Judged::of(window)?, window, window.tasks.iter().map(Cow::Borrowed)))
    }

    /// Audits an interval that nobody needs any more: its tasks become lines where they are, without a copy.
    ///
    /// # Errors
    /// As [`Audit::new`].
    ///
    /// # Panics
    /// As [`Audit::new`].
    pub fn of(mut window: Window) -> Result<Self, DemandError> {
        let judged = Judged::of(&window)?;
        let tasks = std::mem::take(&mut window.tasks);
        Ok(Self::assembled(judged, &window, tasks.into_iter().map(Cow::Owned)))
    }

    fn assembled<'a>(
        judged: Judged,
        window: &Window,
        tasks: impl ExactSizeIterator<Item = Cow<'a, TaskWindow>>,
    ) -> Self {
        // A line is some hundred bytes: a vector that grew would move each of them several times.
        let mut lines = Vec::with_capacity(tasks.len());
        let parts = tasks.zip(judged.entries).zip(judged.waits);
        let kept = parts.filter(|((task, entry), _)| entry.is_some() || asked_ns(task) > 0);
        lines.extend(kept.map(|((task, entry), waiting)| Line { task: task.into_owned(), entry, waiting }));
        let mut findings = judged.findings;
        let findings_left_out = findings.len().saturating_sub(Finding::MOST);
        findings.truncate(Finding::MOST);
        Self {
            length_ns: window.length_ns(),
            unix_us: window.unix_us,
            cpus: window.cpus.iter().filter(|c| c.wall_ns > 0).count(),
            books: judged.books,
            division: judged.division,
            fairness: judged.fairness,
            lines,
            groups: window.groups.clone(),
            findings,
            findings_left_out,
            interference: window.interference.clone(),
            loss: window.loss,
            loss_total: window.loss_total,
            worths: window.worths.clone(),
        }
    }

    /// The line of an account of [`Audit::fairness`].
    pub fn line_of(&self, account: usize) -> Option<&Line> {
        self.lines.iter().filter(|line| line.entry.is_some()).nth(account)
    }

    /// The lines added up to rows, ordered by who they are about. A row is there if `keep` holds for one of
    /// its tasks; what it adds up are all of them.
    pub fn rows(&self, by: By, keep: impl Fn(&Line) -> bool) -> Vec<Row> {
        let members = self.members(by);
        let kept = (0..members.len()).filter(|row| members.lines(self, *row).any(&keep));
        kept.map(|row| self.row(&members, row)).collect()
    }

    /// Which lines make each row, ordered by who the rows are about.
    pub fn members(&self, by: By) -> Members {
        Members::of(self, by)
    }

    /// The row at this place, added up.
    ///
    /// # Panics
    /// If there is no such row, or the members are those of another audit.
    pub fn row(&self, members: &Members, row: usize) -> Row {
        members.row(self, row)
    }
}

/// What is found out about a window before its tasks become lines.
struct Judged {
    books: Books,
    division: Division,
    fairness: Fairness,
    /// Of each task of the window, in its order.
    entries: Vec<Option<Entry>>,
    /// Of each task of the window, in its order.
    waits: Vec<Waiting>,
    findings: Vec<Finding>,
}

impl Judged {
    fn of(window: &Window) -> Result<Self, DemandError> {
        let claims = Claims::of(window);
        let entitlement = entitle(&claims.demand)?;
        let accounts = entitlement.claims.iter().zip(&claims.received_ns);
        let ledger = Ledger {
            capacity_ns: claims.division.capacity_ns,
            accounts: accounts.map(|(share, &received_ns)| Account::new(share, received_ns)).collect(),
        };
        let mut entries: Vec<Option<Entry>> = vec![None; window.tasks.len()];
        for (claim, &task) in claims.tasks.iter().enumerate() {
            let account = ledger.accounts[claim];
            entries[task] = Some(Entry {
                weight: claims.demand.claims[claim].weight,
                account,
                got_share: ledger.got_share(&account),
                fair_share: ledger.fair_share(&account),
                limit: limit(entitlement.claims[claim].bound, &entitlement, &claims),
            });
        }
        let waits = waiting::split(window, &claims);
        let findings = finding::find(window, &claims, &entitlement, &waits)?;
        let (books, fairness) = (window.books(), ledger.fairness());
        Ok(Self { books, division: claims.division, fairness, entries, waits, findings })
    }
}

impl Line {
    /// Entitled − received; 0 for a task without a part in the division.
    pub fn lag_ns(&self) -> i64 {
        self.entry.as_ref().map_or(0, |entry| entry.account.lag_ns())
    }
}

/// What a task asked for: the time it was runnable, but for that in which it left its CPU to others.
fn asked_ns(task: &TaskWindow) -> u64 {
    task.delta.runtime_ns.saturating_add(task.delta.imposed_wait_ns())
}

fn limit(bound: Bound, entitlement: &Entitlement, claims: &Claims) -> Limit {
    match bound {
        Bound::Demand => Limit::Demand,
        Bound::Quota(group) => Limit::Quota(claims.groups[group.0]),
        Bound::Cpus(set) => Limit::Cpus(entitlement.full_cpus[set].clone()),
    }
}
