//! Names that later entries refer to.

use crate::scenario::{Event, EventKind};

/// What has a name in a scenario.
pub(super) struct Names {
    pub(super) groups: Vec<String>,
    pub(super) tasks: Vec<String>,
    pub(super) locks: Vec<String>,
    pub(super) events: Vec<Event>,
}

impl Names {
    pub(super) fn lock(&mut self, name: &str) -> usize {
        self.locks.iter().position(|l| l == name).unwrap_or_else(|| {
            self.locks.push(name.to_owned());
            self.locks.len() - 1
        })
    }

    /// The event by which one task wakes another.
    pub(super) fn event(&mut self, sender: usize, receiver: usize) -> usize {
        let name = format!("wake of '{}' by '{}'", self.tasks[receiver], self.tasks[sender]);
        self.events.iter().position(|e| e.name == name).unwrap_or_else(|| {
            self.events.push(Event { name, kind: EventKind::Receiver(receiver) });
            self.events.len() - 1
        })
    }
}
