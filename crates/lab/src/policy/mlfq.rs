//! Multi-level feedback queue.
//!
//! Source: F. J. Corbató, M. Merwin-Daggett, R. C. Daley, "An experimental time-sharing system", 1962; the
//! rules are those of R. and A. Arpaci-Dusseau, "Operating Systems: Three Easy Pieces", chapter 8.
//!
//! Law. (1) The highest level with a queued task runs, (2) in turns within a level; (3) a new task begins at
//! the top; (4) a task that has used up its allotment at a level, however often it gave up the CPU in
//! between, goes one level down; (5) every second, or as `mlfq.boost` says, all tasks go back to the top.
//! There are four levels, or `mlfq.levels`; the allotment and the slice are one quantum at the top and twice
//! as long at each level below. Tickets mean nothing.

use super::queue::ClassQueue;
use super::{Arrival, Departure, Pick, Policy};
use crate::machine::{CpuIx, Machine, TaskIx};

/// The multi-level feedback queue.
pub struct Mlfq {
    queue: ClassQueue<(u8, u64)>,
    sequence: u64,
    levels: Vec<Level>,
    /// The lowest level; 0 = top.
    bottom: u8,
    /// Time between two boosts; 0 = never.
    boost_ns: u64,
    /// The boost that the queue has seen last, by number.
    boosted: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Level {
    depth: u8,
    used_ns: u64,
    /// The boost it has seen last, by number.
    boost: u64,
}

impl Mlfq {
    /// A feedback queue of so many levels for a machine, with a boost in each `boost_ns` (0 = never).
    pub fn new(machine: &Machine, levels: u8, boost_ns: u64) -> Self {
        Self {
            queue: ClassQueue::new(machine),
            sequence: 0,
            levels: vec![Level::default(); machine.tasks().len()],
            bottom: levels.max(1) - 1,
            boost_ns,
            boosted: 0,
        }
    }

    fn allotment(machine: &Machine, level: u8) -> u64 {
        machine.quantum_ns.saturating_mul(1 << level.min(63))
    }

    /// Number of the boost that was last.
    fn number(&self, now_ns: u64) -> u64 {
        now_ns.checked_div(self.boost_ns).unwrap_or(0)
    }

    /// Rule 5, applied to a task when it is looked at.
    fn boost(&mut self, task: TaskIx, now_ns: u64) {
        let number = self.number(now_ns);
        let level = &mut self.levels[task];
        if level.boost != number {
            *level = Level { depth: 0, used_ns: 0, boost: number };
        }
    }

    /// Rule 5, for those who wait: once in a period, whoever is at the head. A head at the top would
    /// otherwise keep those below it from being boosted for as long as the top level is never empty.
    fn boost_queued(&mut self, machine: &Machine) {
        let number = self.number(machine.now_ns());
        if self.boosted == number {
            return;
        }
        self.boosted = number;
        let mut stale: Vec<((u8, u64), TaskIx)> =
            self.queue.iter().filter(|(_, task)| self.levels[*task].boost != number).collect();
        stale.sort_unstable();
        for ((_, sequence), task) in stale {
            self.boost(task, machine.now_ns());
            self.queue.push(machine, task, (0, sequence));
        }
    }
}

impl Policy for Mlfq {
    fn enqueue(&mut self, machine: &mut Machine, task: TaskIx, _why: Arrival) {
        self.boost(task, machine.now_ns());
        self.sequence += 1;
        self.queue.push(machine, task, (self.levels[task].depth, self.sequence));
    }

    fn pick(&mut self, machine: &mut Machine, cpu: CpuIx) -> Option<Pick> {
        self.boost_queued(machine);
        let (_, task) = self.queue.pop(machine, cpu)?;
        let level = self.levels[task];
        Some(Pick {
            task,
            slice_ns: Self::allotment(machine, level.depth).saturating_sub(level.used_ns).max(1),
        })
    }

    fn stopped(&mut self, machine: &mut Machine, _cpu: CpuIx, task: TaskIx, ran_ns: u64, _why: Departure) {
        // Of a slice that a boost fell into, only what came after it counts, and that at the top.
        let boosted = self.levels[task].boost != self.number(machine.now_ns());
        let since_ns = machine.now_ns().checked_rem(self.boost_ns).unwrap_or(u64::MAX);
        let bottom = self.bottom;
        self.boost(task, machine.now_ns());
        let level = &mut self.levels[task];
        level.used_ns += if boosted { ran_ns.min(since_ns) } else { ran_ns };
        if level.used_ns >= Self::allotment(machine, level.depth) {
            *level = Level { depth: (level.depth + 1).min(bottom), used_ns: 0, ..*level };
        }
    }

    fn preempt(&mut self, machine: &mut Machine) -> Option<CpuIx> {
        self.boost_queued(machine);
        let (levels, number) = (&self.levels, self.number(machine.now_ns()));
        self.queue.worst_running(machine, |_, task| {
            let level = levels[task];
            (if level.boost == number { level.depth } else { 0 }, 0)
        })
    }
}
