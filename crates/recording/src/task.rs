//! A thread as events name it.

use crate::comm::Comm;

/// A thread as an event names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Task {
    /// Thread id; 0 is the idle task of a CPU.
    pub pid: u32,
    /// Process, where the format tells it.
    pub tgid: Option<u32>,
    /// Name; empty where the format does not tell it.
    pub comm: Comm,
    /// The kernel's priority: 100 to 139 are nice −20 to 19, 0 to 99 real time, −1 deadline. Boosted under
    /// priority inheritance.
    pub prio: Option<i32>,
}
