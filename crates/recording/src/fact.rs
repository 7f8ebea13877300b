//! What the normaliser finds out.

use crate::interval::{CpuInterval, Interval};
use crate::life::Life;
use tombola_core::identity::TaskId;

/// Something the normaliser found out.
#[derive(Clone, Debug, PartialEq)]
pub enum Fact {
    /// What a task did from one instant to another. Those of one task follow each other without a gap, from
    /// the instant at which it was first known of.
    Task(Interval),
    /// A CPU that ran no task, or none that is known.
    Cpu(CpuInterval),
    /// A task ended with its last interval.
    Ended {
        /// Who, as it was last known.
        life: Box<Life>,
        /// When.
        at_ns: u64,
    },
    /// A thread took over the thread id of its leader by `execve`: what is said of `to` from now on is about
    /// the same task.
    Became {
        /// The thread it was.
        from: TaskId,
        /// The leader it is now.
        to: TaskId,
    },
}
