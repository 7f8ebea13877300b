//! Shortest job first, and shortest remaining time first.
//!
//! Source: E. G. Coffman, P. J. Denning, "Operating Systems Theory", 1973; L. Schrage, "A proof of the
//! optimality of the shortest remaining processing time discipline", Operations Research 16, 1968.
//!
//! Law. The queued task whose present phase needs the least CPU time runs, ties by declaration, until the
//! phase is over. A phase is all it runs until it sleeps, waits for an event or ends, with `total` and
//! `loops` counted; a wait for a lock does not end it. Under SRTF a task that comes with less than what a
//! running one still needs takes its CPU. The lengths are known exactly, which no real scheduler has; a task
//! that never blocks comes last. Long phases may starve.

use super::queue::ClassQueue;
use super::{Arrival, Pick, Policy};
use crate::machine::{CpuIx, Machine, TaskIx};

/// SJF or SRTF.
pub struct Shortest {
    queue: ClassQueue<u64>,
    preemptive: bool,
}

impl Shortest {
    /// SRTF if `preemptive`, otherwise SJF.
    pub fn new(machine: &Machine, preemptive: bool) -> Self {
        Self { queue: ClassQueue::new(machine), preemptive }
    }
}

impl Policy for Shortest {
    fn enqueue(&mut self, machine: &mut Machine, task: TaskIx, _why: Arrival) {
        self.queue.push(machine, task, machine.left_ns(task));
    }

    fn pick(&mut self, machine: &mut Machine, cpu: CpuIx) -> Option<Pick> {
        let (_, task) = self.queue.pop(machine, cpu)?;
        Some(Pick { task, slice_ns: u64::MAX })
    }

    fn preempt(&mut self, machine: &mut Machine) -> Option<CpuIx> {
        if !self.preemptive {
            return None;
        }
        self.queue.worst_running(machine, |_, task| machine.left_ns(task))
    }
}
