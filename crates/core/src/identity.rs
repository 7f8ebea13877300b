//! Who a row is about.

use serde::{Deserialize, Serialize};

/// Identity of a task (a thread, in the kernel's sense) for as long as the machine is up.
///
/// PIDs are reused, sometimes within one interval, so the PID alone names nobody: the start time makes it
/// unique. The order is by PID, then by start time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TaskId {
    /// Thread id in the initial PID namespace (what the kernel calls `pid`); never 0, the idle task is no
    /// task here.
    pub pid: u32,
    /// Start of the task in nanoseconds since boot, suspend included (`task_struct::start_boottime`).
    pub start_ns: u64,
}

/// The scheduling group a task is in: the innermost one that competes as a whole with its siblings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Group {
    /// Not known, or the kernel has no group scheduling.
    #[default]
    Unknown,
    /// A cgroup, by its id (inode number) in the hierarchy that the cpu controller is on.
    Cgroup(u64),
    /// A session's autogroup, by the N of `/autogroup-N` in `/proc/PID/autogroup`.
    Autogroup(u64),
}
