//! What a simulated machine did, turn by turn, in the order in which it happened: what a kernel's tracepoints
//! would tell.

use super::machine::{CpuIx, TaskIx};
use super::policy::Departure;
use tombola_core::snapshot::TaskTotals;

/// One thing that happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Turn {
    /// A task came into being; it is woken for the first time next.
    Born {
        /// When, ns since the simulation began.
        at_ns: u64,
        /// Who, with weight, group and affinity.
        totals: Box<TaskTotals>,
    },
    /// A task became runnable.
    Woken {
        /// When.
        at_ns: u64,
        /// Who.
        task: TaskIx,
        /// By which task; `None` by a timer.
        by: Option<TaskIx>,
    },
    /// A task came to a CPU.
    Came {
        /// When.
        at_ns: u64,
        /// Which.
        cpu: CpuIx,
        /// Who.
        task: TaskIx,
    },
    /// A task left its CPU.
    Left {
        /// When.
        at_ns: u64,
        /// Which.
        cpu: CpuIx,
        /// Who.
        task: TaskIx,
        /// Why. Of a task that is still runnable only whether it was `Preempted` means something more.
        why: Departure,
    },
}

/// Receives each turn when it happens.
pub type Tracer<'a> = Box<dyn FnMut(&Turn) + Send + 'a>;
