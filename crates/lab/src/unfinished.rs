//! What is under way when one looks: waits, phases and jobs that have begun and have not ended.
//!
//! They count with the length they have by then, or a task that never runs would have waited 0 ns and missed
//! nothing. With them the waits of a task and its run time sum to the time for which it wanted the CPU. What
//! begins at the very instant has no length yet and does not count.

use super::engine::Simulation;
use super::machine::{TaskIx, TaskPlace};
use super::measure::Sketch;
use std::ops::Range;

/// What is unfinished of the instances of one entry.
#[derive(Clone, Debug, Default)]
pub(super) struct Unfinished {
    /// Waits for a CPU, or for the bandwidth of a group.
    pub(super) waits: Sketch,
    /// From wakeup or release until now, of phases and jobs that are not complete.
    pub(super) responses: Sketch,
    /// Jobs whose deadline has passed.
    pub(super) misses: u64,
    /// Longest time past a deadline.
    pub(super) tardiness_max_ns: u64,
}

impl Simulation<'_> {
    /// For every task, whether it waits for the bandwidth of its group.
    pub(super) fn parked(&self) -> Vec<bool> {
        let mut parked = vec![false; self.machine.tasks().len()];
        self.parked_tasks().for_each(|task| parked[task] = true);
        parked
    }

    /// What is unfinished of some instances of one entry.
    pub(super) fn unfinished(&self, instances: Range<TaskIx>, parked: &[bool]) -> Unfinished {
        let mut open = Unfinished::default();
        for task in instances {
            let queued = self.machine.tasks()[task].place == TaskPlace::Queued && !self.is_fluid();
            if queued || parked[task] {
                open.waits.record_open(self.now_ns() - self.meter.tallies[task].waits_from_ns);
            }
            if self.machine.tasks()[task].periodic.is_some() {
                self.unfinished_jobs(task, &mut open);
            } else if self.is_in_phase(task, parked[task]) {
                open.responses.record_open(self.now_ns() - self.ready_ns(task));
            }
        }
        open
    }

    /// The job a task is at, and those that were released behind it.
    fn unfinished_jobs(&self, task: TaskIx, open: &mut Unfinished) {
        let view = &self.machine.tasks()[task];
        let (Some(periodic), now) = (view.periodic, self.now_ns()) else { return };
        if view.deadline_ns == u64::MAX {
            return;
        }
        let left = self.rounds_left(task).unwrap_or(u64::MAX);
        let since = now - self.ready_ns(task);
        if since > 0 {
            let jobs = left.min((since - 1) / periodic.period_ns + 1);
            open.responses.record_falling(since, periodic.period_ns, jobs);
        }
        if let Some(late) = now.checked_sub(view.deadline_ns) {
            open.misses += left.min(1 + late / periodic.period_ns);
            open.tardiness_max_ns = open.tardiness_max_ns.max(late);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::laws::slices_of;
    use crate::outcome::TaskOutcome;
    use crate::policy::PolicyKind;
    use crate::scenario::Scenario;
    use crate::scenario::expect::Metric;

    const MS: u64 = 1_000_000;

    fn of(text: &str, policy: PolicyKind) -> Vec<TaskOutcome> {
        slices_of(&Scenario::from_toml(text).unwrap(), policy).tasks
    }

    /// By hand: `late` comes at 20 ms, finds a CPU that is never given up, and has waited 80 ms at the end.
    #[test]
    fn a_task_that_never_runs_has_waited_all_the_time() {
        let text = "name='x'\nduration='100ms'\n[[task]]\nname='hog'\n\
            [[task]]\nname='late'\narrive='20ms'\nrun='1ms'\nsleep='1ms'\n[[task]]\nname='never'\narrive='1s'\n";
        for policy in [PolicyKind::Fifo, PolicyKind::Sjf] {
            let tasks = of(text, policy);
            let late = &tasks[1];
            for durations in [&late.wait, &late.response] {
                assert_eq!((durations.count, durations.max_ns), (1, 80 * MS), "{policy}");
                assert_eq!((durations.p50_ns, durations.min_ns), (80 * MS, 80 * MS), "{policy}");
            }
            // Nothing to judge is not 0: the one never came, the other has nothing to complete.
            assert_eq!(tasks[2].metric(Metric::WaitMax, 1), None);
            assert_eq!(tasks[0].metric(Metric::ResponseMax, 1), None);
            assert_eq!(tasks[0].metric(Metric::WaitMax, 1), Some(0.0));
        }
        assert_eq!(of(text, PolicyKind::Fluid)[1].metric(Metric::WaitMax, 1), Some(0.0));
    }

    /// By hand: released at 0, 30, 60 and 90 ms, none ever served; deadlines 30, 60, 90 have passed at 100.
    #[test]
    fn jobs_queued_behind_a_late_one_count_too() {
        let text = "name='x'\nduration='100ms'\n[[task]]\nname='hog'\nrun='9ms'\nperiod='9ms'\n\
            [[task]]\nname='job'\nrun='5ms'\nperiod='30ms'\n";
        let job = &of(text, PolicyKind::RateMonotonic)[1];
        assert_eq!((job.response.count, job.response.max_ns, job.response.min_ns), (4, 100 * MS, 10 * MS));
        assert_eq!((job.misses, job.tardiness_max_ns), (3, 70 * MS));
        // With two jobs in all there are no others to be late.
        let two = text.replace("run='5ms'", "run='5ms'\nloops=2");
        let job = &of(&two, PolicyKind::RateMonotonic)[1];
        assert_eq!((job.response.count, job.misses), (2, 2));
    }

    /// A task that a quota keeps off the CPU waits as well: 5 ms at once, then 45 ms until the end.
    #[test]
    fn who_waits_for_bandwidth_waits() {
        let text = "name='x'\nduration='50ms'\n[[group]]\nname='g'\nquota='5ms'\nperiod='1s'\n\
            [[task]]\nname='a'\ngroup='g'\n";
        let a = &of(text, PolicyKind::RoundRobin)[0];
        assert_eq!((a.runtime_ns, a.wait.max_ns), (5 * MS, 45 * MS));
    }
}
