//! A task as far as the recording has told it.

use crate::attributes::Attributes;
use crate::event::Left;
use crate::interval::{Doubt, Ready};
use tombola_core::identity::TaskId;

/// What is known of a living task.
#[derive(Clone, Debug, PartialEq)]
pub struct Life {
    /// Who: `start_ns` is its birth where the recording has it, 0 where it lived before.
    pub id: TaskId,
    /// What is told of it, the latest.
    pub attributes: Attributes,
    /// The CPU it ran on last, or is to run on.
    pub cpu: Option<u32>,
    /// What it does.
    pub doing: Doing,
    /// Since when, ns on the clock of the events.
    pub since_ns: u64,
    /// When it was born, as attributes tell it: some microseconds before the event of its birth, by which it
    /// goes.
    pub(crate) born_ns: Option<u64>,
    /// A wake that came while it was still on its CPU.
    pub(crate) carried: Option<Ready>,
    /// Whether it is runnable only by such a wake.
    pub(crate) by_carried: Option<Left>,
    /// Whether it came to a CPU before its first wake was told, which is still to come.
    pub(crate) unwoken: bool,
    /// Whether its exit was seen.
    pub(crate) exiting: bool,
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
    pub(crate) fn new(id: TaskId, doing: Doing, since_ns: u64) -> Self {
        Self {
            id,
            attributes: Attributes::default(),
            cpu: None,
            doing,
            since_ns,
            born_ns: None,
            carried: None,
            by_carried: None,
            unwoken: false,
            exiting: false,
        }
    }
}
