//! A task as far as the recording has told it.

use crate::event::{Left, Task};
use crate::interval::{Doubt, Ready};
use tombola_core::cpu_set::CpuSet;
use tombola_core::identity::TaskId;
use tombola_core::snapshot::Group;

/// What is known of a living task.
#[derive(Clone, Debug, PartialEq)]
pub struct Life {
    /// Who: `start_ns` is its birth where the recording has it, 0 where it lived before.
    pub id: TaskId,
    /// Its process, where told.
    pub tgid: Option<u32>,
    /// Its latest name.
    pub comm: Vec<u8>,
    /// Its latest priority, the kernel's number.
    pub prio: Option<i32>,
    /// Weight in the fair class, where told.
    pub weight: Option<u32>,
    /// Scheduling policy, the kernel's number, where told.
    pub policy: Option<u32>,
    /// Its scheduling group, where told.
    pub group: Option<Group>,
    /// CPUs it may use, where told.
    pub affinity: Option<CpuSet>,
    /// The CPU it ran on last, or is to run on.
    pub cpu: Option<u32>,
    /// What it does.
    pub doing: Doing,
    /// Since when, ns on the clock of the events.
    pub since_ns: u64,
    /// A wake that came while it was still on its CPU.
    pub(super) carried: Option<Ready>,
    /// Whether it is runnable only by such a wake.
    pub(super) by_carried: Option<Left>,
    /// Whether its exit was seen.
    pub(super) exiting: bool,
}

/// What a task does at present.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doing {
    /// Born and not yet woken for the first time.
    Unborn,
    /// On this CPU.
    Running(u32),
    /// Waiting for a CPU.
    Runnable(Ready),
    /// Waiting for something else, having left its CPU so.
    Blocked(Left),
    /// Not known; from `clear_ns` on it did one thing, which its next event will tell.
    Unknown {
        /// Why.
        why: Doubt,
        /// From when on nothing can have been missed.
        clear_ns: u64,
    },
}

impl Life {
    pub(super) fn new(id: TaskId, doing: Doing, since_ns: u64) -> Self {
        Self {
            id,
            tgid: None,
            comm: Vec::new(),
            prio: None,
            weight: None,
            policy: None,
            group: None,
            affinity: None,
            cpu: None,
            doing,
            since_ns,
            carried: None,
            by_carried: None,
            exiting: false,
        }
    }

    /// Takes over what an event says of the task.
    pub(super) fn note(&mut self, task: &Task) {
        self.tgid = task.tgid.or(self.tgid);
        self.prio = task.prio.or(self.prio);
        if !task.comm.is_empty() && task.comm != self.comm {
            self.comm.clone_from(&task.comm);
        }
    }
}
