//! Rate monotonic: fixed priorities, the shorter the period the higher.
//!
//! Source: C. L. Liu, J. W. Layland, "Scheduling Algorithms for Multiprogramming in a Hard-Real-Time
//! Environment", JACM 20, 1973.
//!
//! Law. The queued job with the shortest period runs, equal periods in order of declaration; it preempts.
//! Optimal among fixed priorities when deadlines are periods, on one CPU. On more CPUs this is global RM.
//! Tasks without a period run in turns in what is left.

use super::queue::ClassQueue;
use super::{Arrival, Pick, Policy};
use crate::machine::{CpuIx, Machine, TaskIx};

/// Global rate monotonic scheduling.
pub struct RateMonotonic {
    queue: ClassQueue<(u64, u64)>,
    sequence: u64,
}

impl RateMonotonic {
    /// For a machine.
    pub fn new(machine: &Machine) -> Self {
        Self { queue: ClassQueue::new(machine), sequence: 0 }
    }

    /// Priority of a task with a period; `None` without one.
    fn rank(machine: &Machine, task: TaskIx) -> Option<(u64, u64)> {
        machine.tasks()[task].periodic.map(|p| (p.period_ns, task as u64))
    }
}

impl Policy for RateMonotonic {
    fn enqueue(&mut self, machine: &mut Machine, task: TaskIx, _why: Arrival) {
        self.sequence += 1;
        let rank = Self::rank(machine, task).unwrap_or((u64::MAX, self.sequence));
        self.queue.push(machine, task, rank);
    }

    fn pick(&mut self, machine: &mut Machine, cpu: CpuIx) -> Option<Pick> {
        let ((period, _), task) = self.queue.pop(machine, cpu)?;
        Some(Pick { task, slice_ns: if period == u64::MAX { machine.quantum_ns } else { u64::MAX } })
    }

    fn preempt(&mut self, machine: &mut Machine) -> Option<CpuIx> {
        self.queue.worst_running(machine, |_, task| Self::rank(machine, task).unwrap_or((u64::MAX, 0)))
    }
}
