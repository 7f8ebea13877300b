//! What tasks that are away wait for, and those that come when another wakes them for the first time: born of
//! it, or asleep when the simulation begins.

use super::{Simulation, Task, TaskIx};
use crate::scenario::{Step, WHEN_WOKEN};

/// What a task that is away waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Blocked {
    Timer,
    Lock(usize),
    Event(usize),
}

/// The step at which a task begins, and what it waits for there.
pub(super) fn at_start(task: &Task) -> (usize, Blocked) {
    match task.steps.first() {
        Some(Step::Await { event }) if task.arrive_ns == WHEN_WOKEN => (1, Blocked::Event(*event)),
        _ => (0, Blocked::Timer),
    }
}

impl Simulation<'_> {
    /// Whether a task has not come, and comes when it is woken.
    pub(super) fn is_awaited(&self, task: TaskIx) -> bool {
        self.entry(task).arrive_ns == WHEN_WOKEN
    }
}
