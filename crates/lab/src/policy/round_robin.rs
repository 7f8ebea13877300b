//! First in, first out, and round robin, with fixed priorities.
//!
//! Source: POSIX.1-2017, `SCHED_FIFO` and `SCHED_RR` (2.8.4 Process Scheduling).
//!
//! Law. The queued task with the highest priority runs; among equals the one that has waited longest. A task
//! whose slice is over goes to the tail of its priority; one that was preempted by a higher priority goes
//! back to the head and finishes the rest of its slice. (With a new slice a task that is preempted often
//! enough would never let its equals run.) FIFO has no slices; under round robin a task of the class `fifo`
//! has none either.

use super::queue::ClassQueue;
use super::{Arrival, Departure, Pick, Policy};
use crate::machine::{CpuIx, Machine, TaskIx};
use crate::scenario::Class;

/// FIFO, or round robin.
pub struct RoundRobin {
    /// By falling priority, then by order of coming.
    queue: ClassQueue<(i16, i64)>,
    sliced: bool,
    sequence: i64,
    /// What each task was given when it last got a CPU, and after a preemption what is left of it; 0: a whole
    /// slice.
    left_ns: Vec<u64>,
}

impl RoundRobin {
    /// Round robin with the machine's quantum, or FIFO.
    pub fn new(machine: &Machine, sliced: bool) -> Self {
        Self { queue: ClassQueue::new(machine), sliced, sequence: 0, left_ns: vec![0; machine.tasks().len()] }
    }
}

impl Policy for RoundRobin {
    fn enqueue(&mut self, machine: &mut Machine, task: TaskIx, why: Arrival) {
        self.sequence += 1;
        let order = if why == Arrival::Preempted { -self.sequence } else { self.sequence };
        self.queue.push(machine, task, (-i16::from(machine.tasks()[task].priority), order));
    }

    fn pick(&mut self, machine: &mut Machine, cpu: CpuIx) -> Option<Pick> {
        let (_, task) = self.queue.pop(machine, cpu)?;
        let sliced = self.sliced && machine.tasks()[task].scheduling != Class::Fifo;
        let slice_ns = match self.left_ns[task] {
            _ if !sliced => u64::MAX,
            0 => machine.quantum_ns,
            left_ns => left_ns,
        };
        self.left_ns[task] = slice_ns;
        Some(Pick { task, slice_ns })
    }

    fn stopped(&mut self, _: &mut Machine, _: CpuIx, task: TaskIx, ran_ns: u64, why: Departure) {
        let given_ns = self.left_ns[task];
        self.left_ns[task] = if why == Departure::Preempted { given_ns.saturating_sub(ran_ns) } else { 0 };
    }

    fn preempt(&mut self, machine: &mut Machine) -> Option<CpuIx> {
        let tasks = machine.tasks();
        // Only a strictly higher priority preempts: within one, order of coming does not.
        self.queue.worst_running(machine, |_, task| (-i16::from(tasks[task].priority), i64::MIN))
    }
}
