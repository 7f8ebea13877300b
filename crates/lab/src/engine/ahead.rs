//! The CPU time that the present phase of a task will need, for policies that look at lengths.
//!
//! A phase goes on until the task sleeps, waits for an event or ends, and may have several runs on the way.
//! Their lengths are drawn when the phase begins, in the order in which they are needed, so demand is the
//! same as if each were drawn when it comes. Only the first [`KEPT`] runs of a phase are drawn ahead; what
//! lies beyond counts with its mean until then.

use super::{Simulation, Step, TaskIx};
use crate::scenario::Task;
use std::collections::VecDeque;

/// Runs of a phase whose lengths are kept.
const KEPT: usize = 64;

/// Lengths drawn ahead, for tasks with phases of more than one run.
#[derive(Clone, Debug, Default)]
pub(super) struct Ahead {
    /// By task; empty where no phase of the scenario has more than one run.
    lengths: Vec<VecDeque<u64>>,
    /// By entry: whether it has such phases.
    several: Vec<bool>,
}

/// Whether a phase ends at a step.
fn ends_phase(step: &Step) -> bool {
    matches!(step, Step::Sleep(_) | Step::NextJob { .. } | Step::NextArrival(_) | Step::Await { .. })
}

impl Ahead {
    pub(super) fn new(tasks: &[Task], instances: usize) -> Self {
        let several = |task: &Task| {
            let runs = task.steps.iter().filter(|step| matches!(step, Step::Run(_) | Step::Burn)).count();
            runs > 1 || !task.steps.iter().any(ends_phase)
        };
        let several: Vec<bool> = tasks.iter().map(several).collect();
        let any = several.contains(&true);
        Self { lengths: if any { vec![VecDeque::new(); instances] } else { Vec::new() }, several }
    }

    /// Whether a phase of an entry has more than one run.
    pub(super) fn has_several(&self, entry: usize) -> bool {
        self.several[entry]
    }

    /// What a phase has drawn and not needed belongs to no other.
    pub(super) fn forget(&mut self, task: TaskIx) {
        if let Some(lengths) = self.lengths.get_mut(task) {
            lengths.clear();
        }
    }
}

impl Simulation<'_> {
    /// The length of the run that a task comes to, which is at step `at` of its round; what the phase needs
    /// beyond it goes into the machine's view.
    pub(super) fn next_length(&mut self, task: TaskIx, at: usize) -> u64 {
        if self.ahead.lengths[task].is_empty() {
            self.look_ahead(task, at);
        }
        let length = self.ahead.lengths[task].pop_front().unwrap_or(0);
        let view = &mut self.machine.tasks[task];
        if view.rest_ns != u64::MAX {
            view.rest_ns = view.rest_ns.saturating_sub(length);
        }
        length
    }

    /// Draws the lengths of the runs from step `at` to the end of the phase, and sums them.
    fn look_ahead(&mut self, task: TaskIx, at: usize) {
        let entry = self.entry(task);
        let left = self.rounds_left(task);
        let endless = left.is_none() && !entry.steps[entry.again..].iter().any(ends_phase);
        let (mut sum, mut at, mut round) = (0u64, at, 0u64);
        let lengths = &mut self.ahead.lengths[task];
        loop {
            if at == entry.steps.len() {
                (at, round) = (entry.again, round + 1);
                if left.is_some_and(|left| round >= left) {
                    break;
                }
                if endless {
                    sum = u64::MAX;
                    break;
                }
                if lengths.len() >= KEPT && !entry.steps.iter().any(ends_phase) {
                    // All further rounds are alike, but for luck.
                    let each = entry.steps.iter().fold(0u64, |sum, step| match step {
                        Step::Run(span) => sum.saturating_add(span.mean_ns()),
                        _ => sum,
                    });
                    sum = sum.saturating_add(each.saturating_mul(left.unwrap_or(0) - round));
                    break;
                }
            }
            let step = &entry.steps[at];
            at += 1;
            match step {
                Step::Run(span) if lengths.len() < KEPT => {
                    let length = self.bodies[task].draw(*span);
                    lengths.push_back(length);
                    sum = sum.saturating_add(length);
                }
                Step::Run(span) => sum = sum.saturating_add(span.mean_ns()),
                Step::Burn => {
                    sum = u64::MAX;
                    break;
                }
                step if ends_phase(step) => break,
                _ => {}
            }
        }
        self.machine.tasks[task].rest_ns = sum;
    }
}

#[cfg(test)]
mod tests {
    use crate::laws::slices_under;
    use crate::policy::PolicyKind;
    use crate::scenario::Scenario;

    /// Who ran, and for how many ms.
    fn order(tasks: &str, policy: PolicyKind) -> Vec<(usize, u64)> {
        let text = format!("name='x'\nduration='100ms'\n{tasks}");
        let slices = slices_under(&Scenario::from_toml(&text).unwrap(), policy);
        slices.iter().map(|slice| (slice.task, slice.ran_ns / 1_000_000)).collect()
    }

    /// A phase of 1 + 8 ms is longer than one of 5, although its first run is shorter.
    #[test]
    fn the_length_of_a_phase_is_that_of_all_its_runs() {
        let tasks = "[[task]]\nname='parts'\nloops=1\nphases=[{run='1ms'},{lock='m'},{run='8ms'},{unlock='m'},{sleep='9ms'}]\n\
            [[task]]\nname='whole'\nloops=1\nrun='5ms'\nsleep='1ms'\n";
        for policy in [PolicyKind::Sjf, PolicyKind::Srtf] {
            assert_eq!(order(tasks, policy), [(1, 5), (0, 9)], "{policy}");
        }
        // What is left of it counts: at 3 ms, 6 of 9.
        let late = tasks.replace("name='whole'", "name='whole'\narrive='3ms'");
        assert_eq!(order(&late, PolicyKind::Srtf), [(0, 3), (1, 5), (0, 6)]);
    }

    /// A task that may have 4 ms in all needs no more than those, and one that goes round for ever never
    /// ends.
    #[test]
    fn total_and_loops_bound_a_phase() {
        let tasks = "[[task]]\nname='round'\nrun='1ms'\n[[task]]\nname='three'\nrun='2ms'\nloops=3\n\
            [[task]]\nname='total'\ntotal='4ms'\n[[task]]\nname='five'\nrun='5ms'\nsleep='1s'\n";
        for policy in [PolicyKind::Sjf, PolicyKind::Srtf] {
            assert_eq!(order(tasks, policy), [(2, 4), (3, 5), (1, 6), (0, 85)], "{policy}");
        }
    }
}
