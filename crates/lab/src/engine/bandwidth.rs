//! Quotas of groups: a group that has used its quota waits for its next period.
//!
//! The rule of `cpu.max` (`CONFIG_CFS_BANDWIDTH`), with one global pool: a group gets its quota at the
//! beginning of each period and keeps nothing of the last. No period sees more of it than its quota, on
//! however many CPUs, to the nanosecond: the pool runs dry at the rate of as many CPUs as run the group's
//! tasks, and whenever that number changes the instant is worked out anew. (The kernel hands out slices of 5
//! ms to its CPUs and may overrun by what is left of them.) Tasks of a group without bandwidth are set aside
//! when they are picked, so a policy needs to know nothing of quotas.

use super::{Arrival, CpuIx, Departure, Simulation, TaskIx, TaskPlace};

/// Bandwidth of a group with a quota.
#[derive(Clone, Debug, Default)]
pub(super) struct Bandwidth {
    /// What was left of the quota at `since_ns`.
    pub(super) left_ns: u64,
    since_ns: u64,
    /// CPUs that run tasks of the group.
    running: u64,
    /// Those who want a CPU and wait for the next period, in order of coming.
    pub(super) parked: Vec<TaskIx>,
}

impl Bandwidth {
    /// Takes out what was used up to now.
    fn settle(&mut self, now_ns: u64) {
        self.left_ns = self.left_ns.saturating_sub(self.running * (now_ns - self.since_ns));
        self.since_ns = now_ns;
    }
}

impl Simulation<'_> {
    /// The groups with a quota that a task is in, from the innermost.
    fn bounded(&self, task: TaskIx) -> impl Iterator<Item = usize> + use<'_> {
        let above = |group: &usize| self.machine.groups[*group].parent;
        let all = std::iter::successors(self.machine.tasks[task].group, above);
        all.filter(|group| self.machine.groups[*group].quota.is_some())
    }

    /// A task gets a CPU, or loses it: its groups use their bandwidth faster or slower from now on.
    #[inline]
    pub(super) fn count_running(&mut self, task: TaskIx, runs: bool) {
        if !self.groups.is_empty() {
            self.change_rates(task, runs);
        }
    }

    #[inline(never)] // a scenario without groups should pay for none of this
    fn change_rates(&mut self, task: TaskIx, runs: bool) {
        let mut at = self.machine.tasks[task].group;
        while let Some(group) = at {
            let view = self.machine.groups[group];
            if view.quota.is_some() {
                let bandwidth = &mut self.groups[group];
                bandwidth.settle(self.machine.now_ns);
                bandwidth.running = if runs { bandwidth.running + 1 } else { bandwidth.running - 1 };
                self.bound(group);
            }
            at = view.parent;
        }
    }

    /// Takes CPUs from a group that has less left than one nanosecond for each, and sets when this will be so
    /// next.
    fn bound(&mut self, group: usize) {
        let Bandwidth { left_ns, running, .. } = self.groups[group];
        let slot = self.dry_slot(group);
        if running == 0 {
            self.agenda.remove(slot);
            return;
        }
        let mut too_many = running.saturating_sub(left_ns);
        if too_many == 0 {
            self.schedule(slot, self.machine.now_ns.saturating_add(left_ns / running));
            return;
        }
        // The last CPUs give way; what is left is for the others.
        for cpu in (0..self.machine.cpus.len()).rev() {
            if too_many > 0 && self.machine.cpus[cpu].task.is_some_and(|task| self.is_inside(task, group)) {
                self.mark_due(cpu);
                too_many -= 1;
            }
        }
    }

    /// Slot of the event at which a group has used its bandwidth.
    fn dry_slot(&self, group: usize) -> usize {
        self.machine.cpus.len() + 2 * self.bodies.len() + self.groups.len() + group
    }

    /// The bandwidth of a group is used up, but for less than a nanosecond a CPU.
    pub(super) fn runs_dry(&mut self, group: usize) {
        self.groups[group].settle(self.machine.now_ns);
        self.bound(group);
    }

    fn is_inside(&self, task: TaskIx, group: usize) -> bool {
        self.bounded(task).any(|bounded| bounded == group)
    }

    /// The innermost group that has no bandwidth for one task more on a CPU.
    pub(super) fn throttling(&self, task: TaskIx) -> Option<usize> {
        self.bounded(task).find(|group| {
            let bandwidth = &self.groups[*group];
            let used = bandwidth.running * (self.machine.now_ns - bandwidth.since_ns);
            bandwidth.left_ns.saturating_sub(used) <= bandwidth.running
        })
    }

    pub(super) fn refill(&mut self, group: usize) {
        let Some(quota) = self.machine.groups[group].quota else { return };
        let slot = self.machine.cpus.len() + self.bodies.len() + group;
        let now = self.machine.now_ns;
        self.schedule(slot, now + quota.period_ns);
        let bandwidth = &mut self.groups[group];
        (bandwidth.left_ns, bandwidth.since_ns) = (quota.quota_ns, now);
        let parked = std::mem::take(&mut bandwidth.parked);
        self.bound(group);
        for task in parked {
            self.enqueue(task, Arrival::Unthrottled);
        }
    }

    /// Sets a task aside until a group has bandwidth again.
    pub(super) fn park(&mut self, cpu: CpuIx, task: TaskIx, group: usize) {
        self.policy.stopped(&mut self.machine, cpu, task, 0, Departure::Throttled);
        self.take_timers();
        self.machine.tasks[task].place = TaskPlace::Away;
        self.groups[group].parked.push(task);
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

#[cfg(test)]
mod tests {
    use crate::laws::slices_of;
    use crate::policy::PolicyKind;
    use crate::scenario::Scenario;

    const MS: u64 = 1_000_000;

    /// CPU time of group g in each period of 100 ms.
    fn used(cpus: u32, tasks: u32, quota: &str, policy: PolicyKind) -> Vec<u64> {
        let text = format!(
            "name='x'\ncpus={cpus}\nduration='400ms'\nquantum='50ms'\n[[group]]\nname='g'\nquota='{quota}'\n\
             [[task]]\nname='a'\ngroup='g'\ncount={tasks}\n[[task]]\nname='other'\nrun='3ms'\nsleep='4ms'\n"
        );
        let scenario = Scenario::from_toml(&text).unwrap();
        let slices = crate::laws::slices_under(&scenario, policy);
        let inside = slices.iter().filter(|slice| slice.task < tasks as usize);
        inside.fold(vec![0; 4], |mut used, slice| {
            for (period, used) in (0u64..).zip(&mut used) {
                let (from, to) = (slice.from_ns, slice.from_ns + slice.ran_ns);
                *used += to.min((period + 1) * 100 * MS).saturating_sub(from.max(period * 100 * MS));
            }
            used
        })
    }

    /// Two CPUs would have 40, 0, 40, 0 ms if the end of the quota were worked out for one.
    #[test]
    fn no_period_sees_more_than_the_quota_on_any_number_of_cpus() {
        let policies = PolicyKind::all().filter(|p| *p != PolicyKind::Fluid);
        for policy in policies {
            for (cpus, tasks) in [(1, 1), (2, 2), (3, 2), (3, 5), (7, 9)] {
                assert_eq!(used(cpus, tasks, "20ms", policy), [20 * MS; 4], "{policy} {cpus} {tasks}");
                // A number that no number of CPUs divides.
                assert_eq!(used(cpus, tasks, "1000003ns", policy), [1_000_003; 4], "{policy} {cpus} {tasks}");
            }
        }
    }

    /// Nothing is owed to the next period, and nothing is kept for it: 20 ms of 100 from each, also after a
    /// sleep.
    #[test]
    fn what_a_period_did_not_use_is_gone() {
        let text = "name='x'\ncpus=2\nduration='1s'\n[[group]]\nname='g'\nquota='20ms'\n\
            [[task]]\nname='a'\ngroup='g'\ncount=2\narrive='500ms'\n";
        let outcome = slices_of(&Scenario::from_toml(text).unwrap(), PolicyKind::RoundRobin);
        assert_eq!(outcome.tasks[0].runtime_ns, 5 * 20 * MS);
    }
}
