//! What the kernel's deadline class promises a task.

use serde::{Deserialize, Serialize};

/// The parameters of a task under `SCHED_DEADLINE`, as `sched_setattr(2)` takes them, ns. Such a task gets
/// `runtime_ns` of CPU time in each period of `period_ns`, within `deadline_ns` of the period's begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reservation {
    /// CPU time in each period.
    pub runtime_ns: u64,
    /// By when in it, counted from its begin.
    pub deadline_ns: u64,
    /// Length of a period; not 0.
    pub period_ns: u64,
}
