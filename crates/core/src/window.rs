//! What happened between two snapshots.

use crate::entitlement::GroupRule;
use crate::identity::TaskId;
use crate::interference::Interference;
use crate::reservation::Reservation;
use crate::shared::Shared;
use crate::snapshot::{
    CpuBooks, ExitTotals, ExitedTask, Group, GroupTotals, Loss, Snapshot, TaskState, TaskTotals,
};
use crate::usage::Usage;
use crate::worth::Judged;
use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

/// What the snapshots of an interval may be wrong by in one task beside the time they take to read,
/// nanoseconds: the clocks of two CPUs, and what of a machine that stands still for a moment.
const OVERLONG_FLOOR_NS: u64 = 1_000_000;

/// An interval of one source: a pure function of the snapshots at its ends.
#[derive(Clone, Debug, PartialEq)]
pub struct Window {
    /// Begin, on the monotonic clock.
    pub from_ns: u64,
    /// End, on the monotonic clock.
    pub to_ns: u64,
    /// End on the wall clock, microseconds since the Unix epoch.
    pub unix_us: u64,
    /// Whether it begins where the source began to measure.
    pub is_first: bool,
    /// What each CPU did.
    pub cpus: Vec<CpuWindow>,
    /// Every task that lived in the interval and is known by name, ordered by identity.
    pub tasks: Vec<TaskWindow>,
    /// Tasks that ended in the interval and were forgotten by the source before it was read: how many, and
    /// what they ran within the interval.
    pub unlisted_exits: ExitTotals,
    /// How the kernel turns the weight of a group into what competes. Snapshots do not tell: it is the
    /// kernel's old rule unless somebody who knows says otherwise ([`crate::frame::Frame::since`]).
    pub group_rule: GroupRule,
    /// Whether a scheduler in BPF runs the tasks of `SCHED_EXT`: without one the fair class does, by their
    /// weights. Snapshots do not tell ([`crate::frame::Frame::since`]).
    pub ext_runs: bool,
    /// What tasks under `SCHED_DEADLINE` are promised, as far as it is known. Snapshots do not tell
    /// ([`crate::frame::Frame::since`]).
    pub reservations: BTreeMap<TaskId, Reservation>,
    /// Groups that tasks were in, and their ancestors, as they were at the end; ordered by id.
    pub groups: Vec<GroupWindow>,
    /// Who stood in whose way in the interval; `None` where the source does not look.
    pub interference: Option<Interference>,
    /// What was lost in the interval.
    pub loss: Loss,
    /// What was lost since the source began.
    pub loss_total: Loss,
    /// What the figures of the interval are worth, by kind; none where the source cannot judge it. Snapshots
    /// do not tell ([`crate::frame::Frame::since`]).
    pub worths: Vec<Judged>,
    /// What totals since the source began are worth.
    pub worths_total: Vec<Judged>,
}

/// What one CPU did in an interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CpuWindow {
    /// The kernel's number of the CPU.
    pub cpu: u32,
    /// How much of the interval the CPU was there: all of it, unless it went on- or offline.
    pub wall_ns: u64,
    /// Time it ran tasks.
    pub busy_ns: u64,
    /// Those parts of `busy_ns` that went to tasks without tickets: real time, deadline, stop.
    pub unfair_ns: u64,
    /// Time it idled.
    pub idle_ns: u64,
    /// Time that interrupts and the hypervisor took out of the slices, where the kernel accounts for it.
    pub taken_ns: u64,
}

/// One scheduling group in an interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupWindow {
    /// What it is, and its totals at the end of the interval.
    pub totals: GroupTotals,
    /// Time its run queues stood throttled in the interval, over all CPUs.
    pub throttled_ns: u64,
    /// How often they were throttled in the interval.
    pub throttles: u64,
}

/// One task in an interval.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskWindow {
    /// Its totals at the end of the interval, or at its own end.
    pub totals: Shared<TaskTotals>,
    /// What it got in the interval.
    pub delta: Usage,
    /// Whether it ended in the interval.
    pub ended: bool,
}

impl TaskWindow {
    /// Whether the task wanted a CPU at some time in the interval.
    pub fn was_runnable(&self) -> bool {
        self.delta.runtime_ns > 0
            || self.delta.wait_ns > 0
            || self.delta.switches > 0
            || self.totals.state != TaskState::Sleeping
    }
}

/// Where the CPU time of an interval went. `wall = tasks + unlisted + untracked + idle + residual`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Books {
    /// Length of the interval times the CPUs that were there.
    pub wall_ns: u64,
    /// What the listed tasks received.
    pub tasks_ns: u64,
    /// What ended tasks without a row of their own received.
    pub unlisted_ns: u64,
    /// What tasks received that found no room in the task map.
    pub untracked_ns: u64,
    /// What nobody wanted.
    pub idle_ns: u64,
    /// What is missing (positive) or was counted twice (negative).
    pub residual_ns: i64,
}

impl Books {
    /// The residual as a part of wall time; 0 for an empty interval.
    pub fn residual_share(&self) -> f64 {
        share(self.residual_ns as f64, self.wall_ns)
    }

    /// Everything that ran, as a part of wall time.
    pub fn busy_share(&self) -> f64 {
        share((self.tasks_ns + self.unlisted_ns + self.untracked_ns) as f64, self.wall_ns)
    }

    /// Idle time as a part of wall time.
    pub fn idle_share(&self) -> f64 {
        share(self.idle_ns as f64, self.wall_ns)
    }
}

fn share(part: f64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part / whole as f64 }
}

impl Window {
    /// The interval from `earlier` to `later`, two snapshots of one source.
    pub fn between(earlier: &Snapshot, later: &Snapshot) -> Self {
        let length_ns = later.taken_ns.saturating_sub(earlier.taken_ns);
        let mut before = lives(earlier).peekable();
        let mut loss = later.loss.since(&earlier.loss);
        let floor_ns = OVERLONG_FLOOR_NS + earlier.read_ns + later.read_ns;
        let mut tasks = Vec::with_capacity(later.tasks.len());
        for now in lives(later) {
            while before.next_if(|b| b.totals.id < now.totals.id).is_some() {}
            let base = before.next_if(|b| b.totals.id == now.totals.id);
            if now.ended_ns.is_some() && base.as_ref().is_some_and(|b| b.ended_ns.is_some()) {
                continue; // an earlier window has reported this end
            }
            let mut delta = match &base {
                None => now.totals.usage.clone(),
                // Most tasks sleep, and both snapshots hold the same totals of them.
                Some(then) if then.totals.is_one(&now.totals) => {
                    Usage { light: now.totals.usage.light, ..Usage::default() }
                }
                Some(then) => now.totals.usage.since(&then.totals.usage),
            };
            fit(&mut delta, length_ns, floor_ns, &mut loss);
            tasks.push(TaskWindow { ended: now.ended_ns.is_some(), totals: now.totals.into_owned(), delta });
        }
        let groups = group_windows(&earlier.groups, &later.groups);
        loss.unknown_groups = unknown_groups(&tasks, &groups);
        let listed_ns: u64 = tasks.iter().map(|t| t.delta.runtime_ns).sum();
        let listed_ends = tasks.iter().filter(|t| t.ended).count() as u64;
        let received_ns = received_since_begin(later).saturating_sub(received_since_begin(earlier));
        Self {
            from_ns: earlier.taken_ns,
            to_ns: later.taken_ns,
            unix_us: later.unix_us,
            is_first: earlier.taken_ns == later.begin_ns,
            cpus: cpu_windows(&earlier.cpus, &later.cpus, length_ns),
            unlisted_exits: ExitTotals {
                count: later.exits.count.saturating_sub(earlier.exits.count).saturating_sub(listed_ends),
                runtime_ns: received_ns.saturating_sub(listed_ns),
            },
            tasks,
            group_rule: GroupRule::default(),
            ext_runs: false,
            reservations: BTreeMap::new(),
            groups,
            interference: later.interference.as_ref().map(|now| match &earlier.interference {
                Some(then) => now.since(then),
                None => now.clone(),
            }),
            loss,
            loss_total: later.loss,
            worths: Vec::new(),
            worths_total: Vec::new(),
        }
    }

    /// Length of the interval.
    pub fn length_ns(&self) -> u64 {
        self.to_ns.saturating_sub(self.from_ns)
    }

    /// Where the CPU time of the interval went.
    pub fn books(&self) -> Books {
        let wall_ns = self.cpus.iter().map(|c| c.wall_ns).sum();
        let idle_ns = self.cpus.iter().map(|c| c.idle_ns).sum();
        let tasks_ns = self.tasks.iter().map(|t| t.delta.runtime_ns).sum();
        let (unlisted_ns, untracked_ns) = (self.unlisted_exits.runtime_ns, self.loss.untracked_ns);
        let residual = i128::from(wall_ns)
            - i128::from(idle_ns)
            - i128::from(tasks_ns)
            - i128::from(unlisted_ns)
            - i128::from(untracked_ns);
        let residual_ns = i64::try_from(residual).unwrap_or(if residual < 0 { i64::MIN } else { i64::MAX });
        Books { wall_ns, tasks_ns, unlisted_ns, untracked_ns, idle_ns, residual_ns }
    }
}

/// Run and wait of a task are no longer than the interval. What is beyond that is cut off its wait, and
/// counted.
fn fit(delta: &mut Usage, length_ns: u64, floor_ns: u64, loss: &mut Loss) {
    let fitting_ns = delta.wait_ns.min(length_ns.saturating_sub(delta.runtime_ns));
    let overlong_ns = delta.wait_ns - fitting_ns;
    delta.wait_ns = fitting_ns;
    delta.yielded_ns = delta.yielded_ns.min(fitting_ns);
    if overlong_ns > floor_ns {
        loss.overlong_waits += 1;
        loss.overlong_ns += overlong_ns;
    }
}

/// One identity in one snapshot, with the parts of its life put together.
struct Life<'s> {
    totals: Cow<'s, Shared<TaskTotals>>,
    /// When it ended; `None` while it lives.
    ended_ns: Option<u64>,
}

/// Living and remembered ended tasks of a snapshot, merged by identity.
///
/// One identity may be in both lists: a thread that calls `execve` takes over PID and start time of its
/// leader, whose own end is then a part of the same life.
fn lives(snapshot: &Snapshot) -> impl Iterator<Item = Life<'_>> {
    let (mut living, mut ended) = (snapshot.tasks.iter().peekable(), snapshot.exited.iter().peekable());
    std::iter::from_fn(move || {
        let order = match (living.peek(), ended.peek()) {
            (None, None) => return None,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(l), Some(e)) => l.id.cmp(&e.totals.id),
        };
        let life = if order == Ordering::Greater { None } else { living.next() };
        let end = if order == Ordering::Less { None } else { ended.next() };
        match (life, end) {
            (Some(totals), None) => Some(Life { totals: Cow::Borrowed(totals), ended_ns: None }),
            (None, Some(ExitedTask { ended_ns, totals })) => {
                Some(Life { totals: Cow::Borrowed(totals), ended_ns: Some(*ended_ns) })
            }
            (Some(totals), Some(end)) => {
                let mut totals = totals.clone();
                totals.usage.merge(&end.totals.usage);
                Some(Life { totals: Cow::Owned(totals), ended_ns: None })
            }
            (None, None) => None,
        }
    })
}

/// All time that tracked tasks received since the source began.
fn received_since_begin(snapshot: &Snapshot) -> u64 {
    snapshot.tasks.iter().map(|t| t.usage.runtime_ns).sum::<u64>() + snapshot.exits.runtime_ns
}

/// A group that the source did not know at the begin has counted since before the interval: nothing is said
/// of it then. One that it no longer knows at the end is as it was.
fn group_windows(earlier: &[GroupTotals], later: &[GroupTotals]) -> Vec<GroupWindow> {
    let window = |now: &GroupTotals| {
        let then = find_group(earlier, now.id).unwrap_or(now);
        GroupWindow {
            totals: *now,
            throttled_ns: now.throttled_ns.saturating_sub(then.throttled_ns),
            throttles: now.throttles.saturating_sub(then.throttles),
        }
    };
    let gone = earlier.iter().filter(|group| find_group(later, group.id).is_none());
    let mut windows: Vec<GroupWindow> = later.iter().map(window).collect();
    windows.extend(gone.map(|then| GroupWindow { totals: *then, throttled_ns: 0, throttles: 0 }));
    windows.sort_by_key(|group| group.totals.id); // two sorted runs: the stable sort merges them
    windows
}

fn find_group(groups: &[GroupTotals], id: Group) -> Option<&GroupTotals> {
    groups.binary_search_by_key(&id, |group| group.id).ok().map(|at| &groups[at])
}

/// Groups of tasks that ran or waited of which the source knows nothing; none where it knows of no groups at
/// all.
fn unknown_groups(tasks: &[TaskWindow], groups: &[GroupWindow]) -> u64 {
    if groups.is_empty() {
        return 0;
    }
    let is_unknown = |id: &Group| {
        *id != Group::Unknown && groups.binary_search_by_key(id, |group| group.totals.id).is_err()
    };
    let of_tasks = tasks.iter().filter(|task| task.was_runnable()).map(|task| task.totals.group);
    of_tasks.filter(is_unknown).collect::<BTreeSet<Group>>().len() as u64
}

fn cpu_windows(earlier: &[CpuBooks], later: &[CpuBooks], length_ns: u64) -> Vec<CpuWindow> {
    let at_begin = |cpu| earlier.iter().find(|c| c.cpu == cpu).copied().unwrap_or_default();
    later
        .iter()
        .map(|now| {
            let then = at_begin(now.cpu);
            let busy = now.busy_ns.saturating_sub(then.busy_ns);
            let idle = now.idle_ns.saturating_sub(then.idle_ns);
            // A CPU that comes back online books the time it was away as idle; the interval bounds what it
            // can have had.
            let wall_ns = match (then.online, now.online) {
                (true, true) => length_ns,
                (false, false) => 0,
                _ => length_ns.min(busy.saturating_add(idle)),
            };
            let busy_ns = busy.min(wall_ns);
            CpuWindow {
                cpu: now.cpu,
                wall_ns,
                busy_ns,
                unfair_ns: now.unfair_ns.saturating_sub(then.unfair_ns).min(busy_ns),
                idle_ns: idle.min(wall_ns - busy_ns),
                taken_ns: now.taken_ns.saturating_sub(then.taken_ns).min(busy_ns),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests;
