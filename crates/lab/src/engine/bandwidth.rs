//! Quotas of groups: a group that has used its quota waits for its next period.
//!
//! The rule of `cpu.max` (`CONFIG_CFS_BANDWIDTH`), with one global pool: a group gets its quota at the beginning of each
//! period and keeps nothing of the last. Tasks of a group without bandwidth are set aside when they are picked, so a
//! policy needs to know nothing of quotas. On several CPUs a group may run over by what they run between two events;
//! the debt is taken from the next period.

use super::{Arrival, CpuIx, Departure, Simulation, TaskIx, TaskPlace};

/// Bandwidth of a group with a quota.
#[derive(Clone, Debug, Default)]
pub(super) struct Bandwidth {
    pub(super) left_ns: i64,
    pub(super) throttled: bool,
    pub(super) parked: Vec<TaskIx>,
}

impl Simulation<'_> {
    /// Takes what was charged on a CPU out of the bandwidth of the groups its task is in.
    #[inline(never)] // a scenario without groups should pay for none of this
    pub(super) fn spend_unspent(&mut self, cpu: CpuIx) {
        let unspent = std::mem::take(&mut self.lanes[cpu].unspent_ns);
        if let (Some(task), true) = (self.machine.cpus[cpu].task, unspent > 0) {
            self.spend(task, unspent);
        }
    }

    fn spend(&mut self, task: TaskIx, ran_ns: u64) {
        let mut at = self.machine.tasks[task].group;
        while let Some(group) = at {
            let view = self.machine.groups[group];
            if view.quota.is_some() {
                let bandwidth = &mut self.groups[group];
                bandwidth.left_ns = bandwidth.left_ns.saturating_sub_unsigned(ran_ns);
                if bandwidth.left_ns <= 0 && !bandwidth.throttled {
                    bandwidth.throttled = true;
                    for cpu in 0..self.lanes.len() {
                        if self.machine.cpus[cpu].task.is_some_and(|t| self.is_inside(t, group)) {
                            self.mark_due(cpu);
                        }
                    }
                }
            }
            at = view.parent;
        }
    }

    /// When a task that runs from now on will have used what a group it is in has left; `u64::MAX` = never.
    #[inline(never)]
    pub(super) fn out_of_bandwidth(&self, task: TaskIx) -> u64 {
        let mut at = u64::MAX;
        let mut group = self.machine.tasks[task].group;
        while let Some(index) = group {
            let g = self.machine.groups[index];
            if g.quota.is_some() {
                let left = u64::try_from(self.groups[index].left_ns).unwrap_or(0);
                at = at.min(self.machine.now_ns.saturating_add(left));
            }
            group = g.parent;
        }
        at
    }

    fn is_inside(&self, task: TaskIx, group: usize) -> bool {
        let mut at = self.machine.tasks[task].group;
        while let Some(here) = at {
            if here == group {
                return true;
            }
            at = self.machine.groups[here].parent;
        }
        false
    }

    /// The innermost group without bandwidth that a task is in.
    pub(super) fn throttling(&self, task: TaskIx) -> Option<usize> {
        let mut at = self.machine.tasks[task].group;
        while let Some(group) = at {
            if self.groups[group].throttled {
                return Some(group);
            }
            at = self.machine.groups[group].parent;
        }
        None
    }

    pub(super) fn is_throttled(&self, task: TaskIx) -> bool {
        !self.groups.is_empty() && self.throttling(task).is_some()
    }

    pub(super) fn refill(&mut self, group: usize) {
        let Some(quota) = self.machine.groups[group].quota else { return };
        let slot = self.lanes.len() + self.bodies.len() + group;
        self.schedule(slot, self.machine.now_ns + quota.period_ns);
        for cpu in 0..self.lanes.len() {
            self.charge(cpu);
        }
        let full = i64::try_from(quota.quota_ns).unwrap_or(i64::MAX);
        let bandwidth = &mut self.groups[group];
        bandwidth.left_ns = bandwidth.left_ns.saturating_add(full).min(full);
        if bandwidth.left_ns > 0 && bandwidth.throttled {
            bandwidth.throttled = false;
            for task in std::mem::take(&mut bandwidth.parked) {
                self.enqueue(task, Arrival::Unthrottled);
            }
        }
    }

    pub(super) fn park(&mut self, cpu: CpuIx, task: TaskIx) {
        self.policy.stopped(&mut self.machine, cpu, task, 0, Departure::Throttled);
        self.take_timers();
        self.machine.tasks[task].place = TaskPlace::Away;
        if let Some(group) = self.throttling(task) {
            self.groups[group].parked.push(task);
        }
    }

    /// Those who wait for the bandwidth of their group.
    pub(crate) fn parked_tasks(&self) -> impl Iterator<Item = TaskIx> + '_ {
        self.groups.iter().flat_map(|group| group.parked.iter().copied())
    }

    /// Whether a task waits for the bandwidth of its group.
    pub(crate) fn is_parked(&self, task: TaskIx) -> bool {
        self.groups.iter().any(|g| g.parked.contains(&task))
    }
}
