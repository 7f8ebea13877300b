//! What a task's wait was made of.
//!
//! The kernel knows each task's wait in total and each group's throttled time in total, not which moment was
//! both. The split is therefore an estimate, made of bounds that hold:
//!
//! - What exceeds the interval (run + wait > length) was waited before it and booked when the wait ended:
//!   *other*.
//! - What follows a yield is *yielded*: the task gave its CPU away, whoever ran meanwhile.
//! - A task waits for a quota no longer than its run queue stood throttled. A group's throttled time adds up
//!   over the k CPUs its runnable tasks can be on at once, k = min(their number, the CPUs they may use), so
//!   each of those queues stood about 1/k of it. Of nested groups the one with the longest counts: their
//!   times overlap.
//! - Others cannot have kept the task waiting longer than all tasks together ran on the CPUs it may use, less
//!   its own time.
//! - A `SCHED_DEADLINE` task runs before all but others of its kind: these alone can have kept it waiting, no
//!   longer than they ran. For the rest it waited for its next period, because its budget was used up: that
//!   is *throttled*, by its own reservation.
//! - What is then left was waited with nobody in the way: a CPU that was still waking up, a wait on the wrong
//!   queue. It is *other* too.

use super::Claims;
use crate::cpu_set::CpuSet;
use crate::policy::Policy;
use crate::window::Window;
use std::collections::BTreeMap;

/// A wait in four parts that add up to it; an estimate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Waiting {
    /// Others ran.
    pub contention_ns: u64,
    /// A quota above it was used up, or the budget of its own reservation.
    pub throttled_ns: u64,
    /// It had given its CPU away by a yield. No estimate.
    pub yielded_ns: u64,
    /// The rest.
    pub other_ns: u64,
}

impl Waiting {
    /// Adds what another task waited.
    pub fn merge(&mut self, other: &Self) {
        self.contention_ns += other.contention_ns;
        self.throttled_ns += other.throttled_ns;
        self.yielded_ns += other.yielded_ns;
        self.other_ns += other.other_ns;
    }
}

/// The split of every task's wait, in the order of [`Window::tasks`].
pub(super) fn split(window: &Window, claims: &Claims) -> Vec<Waiting> {
    let throttled_ns = queues_throttled_ns(window, claims);
    let mut claim_of = vec![None; window.tasks.len()];
    for (claim, &task) in claims.tasks.iter().enumerate() {
        claim_of[task] = Some(claim);
    }
    let mut busy_of: BTreeMap<Option<&CpuSet>, u64> = BTreeMap::new();
    let length_ns = window.length_ns();
    let of_deadlines_ns = deadlines_ns(window);
    let tasks = window.tasks.iter().zip(&claim_of);
    let parts = tasks.map(|(task, claim)| {
        let (run_ns, wait_ns) = (task.delta.runtime_ns, task.delta.imposed_wait_ns());
        let yielded_ns = task.delta.wait_ns - wait_ns;
        let within_ns = wait_ns.min(length_ns.saturating_sub(run_ns));
        if task.totals.policy == Policy::Deadline {
            let contention_ns = within_ns.min(of_deadlines_ns.saturating_sub(run_ns));
            let throttled_ns = within_ns - contention_ns;
            return Waiting { contention_ns, throttled_ns, yielded_ns, other_ns: wait_ns - within_ns };
        }
        let above = claim.and_then(|claim| claims.demand.claims[claim].group);
        let longest_ns = claims.path(above).map(|group| throttled_ns[group.0]).max().unwrap_or(0);
        let throttled_ns = longest_ns.min(within_ns);
        let busy_ns = *busy_of.entry(task.totals.affinity.as_ref()).or_insert_with(|| {
            let cpus = claims.cpus_of(&task.totals);
            window.cpus.iter().filter(|c| cpus.contains(c.cpu)).map(|c| c.busy_ns).sum()
        });
        let contention_ns = (within_ns - throttled_ns).min(busy_ns.saturating_sub(run_ns));
        let other_ns = wait_ns - throttled_ns - contention_ns;
        Waiting { contention_ns, throttled_ns, yielded_ns, other_ns }
    });
    parts.collect()
}

/// What all `SCHED_DEADLINE` tasks ran.
fn deadlines_ns(window: &Window) -> u64 {
    let of_them = window.tasks.iter().filter(|task| task.totals.policy == Policy::Deadline);
    of_them.map(|task| task.delta.runtime_ns).sum()
}

/// For each group of the demand: how long one of its run queues stood throttled.
pub(super) fn queues_throttled_ns(window: &Window, claims: &Claims) -> Vec<u64> {
    let mut members = vec![(0u64, CpuSet::default()); claims.groups.len()];
    let is_throttled = |group: usize| window.groups[claims.group_windows[group]].throttled_ns > 0;
    if !(0..members.len()).any(is_throttled) {
        return vec![0; members.len()];
    }
    for claim in &claims.demand.claims {
        for group in claims.path(claim.group).filter(|group| is_throttled(group.0)) {
            let (count, cpus) = &mut members[group.0];
            *count += 1;
            cpus.union_with(&claims.demand.cpu_sets[claim.cpus.0]);
        }
    }
    let queue_ns = |(group, (count, cpus)): (&usize, (u64, CpuSet))| {
        let queues = count.min(cpus.len() as u64).max(1);
        window.groups[*group].throttled_ns / queues
    };
    claims.group_windows.iter().zip(members).map(queue_ns).collect()
}
