//! The queue of a CPU: who waits in it, and what the CPU did meanwhile.

use std::collections::VecDeque;
use tombola_core::identity::TaskId;

/// Stretches of a CPU that are remembered. What is longer ago is told to those that wait.
pub(super) const LONGEST: usize = 1024;

/// What a CPU did from one instant to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stretch {
    /// Begin, ns on the clock of the events.
    pub(super) from_ns: u64,
    /// End.
    pub(super) to_ns: u64,
    /// Who had it; `None`: not known.
    pub(super) who: Option<TaskId>,
}

impl Stretch {
    /// Who had the CPU in the part of it that lies between two instants, and how long.
    pub(super) fn between(&self, from_ns: u64, to_ns: u64) -> Option<(Option<TaskId>, u64)> {
        let ns = self.to_ns.min(to_ns).saturating_sub(self.from_ns.max(from_ns));
        (ns > 0).then_some((self.who, ns))
    }
}

/// Who waits, and what its CPU did since the first of them came.
#[derive(Debug, Default)]
pub(super) struct Queue {
    /// Thread ids; of the first less is accounted for than of the others, or as much.
    waiters: Vec<u32>,
    /// In the order of their ends.
    past: VecDeque<Stretch>,
}

impl Queue {
    pub(super) fn waiters(&self) -> &[u32] {
        &self.waiters
    }

    pub(super) fn enter(&mut self, pid: u32) {
        self.waiters.push(pid);
    }

    pub(super) fn leave(&mut self, pid: u32) {
        self.waiters.retain(|waiter| *waiter != pid);
    }

    /// Remembers what its CPU did, if anybody waits. True where that is as much as is remembered.
    pub(super) fn push(&mut self, stretch: Stretch) -> bool {
        if self.waiters.is_empty() {
            return false;
        }
        self.past.push_back(stretch);
        self.past.len() >= LONGEST
    }

    /// Forgets what is told to all that wait.
    pub(super) fn forget(&mut self) {
        self.past.clear();
    }

    /// Forgets what lies before an instant.
    pub(super) fn forget_before(&mut self, ns: u64) {
        while self.past.front().is_some_and(|stretch| stretch.to_ns <= ns) {
            self.past.pop_front();
        }
    }

    /// Who had the CPU between two instants, and how long, as far as that is over.
    pub(super) fn between(&self, from_ns: u64, to_ns: u64) -> impl Iterator<Item = (Option<TaskId>, u64)> {
        let first = self.past.partition_point(|stretch| stretch.to_ns <= from_ns);
        self.past.range(first..).filter_map(move |stretch| stretch.between(from_ns, to_ns))
    }
}
