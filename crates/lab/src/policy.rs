//! The seam between the machine and a scheduling policy.
//!
//! The engine owns time, tasks and CPUs; a [`Policy`] owns the order of the run queue. The engine tells it
//! who comes ([`Policy::enqueue`]), asks whom to run ([`Policy::pick`]) and tells it who left a CPU and how
//! long it ran ([`Policy::stopped`]). All events of one instant are told before the first question is asked.
//!
//! A task is *queued* from `enqueue` to the `pick` that returns it, then *running* until `stopped`. At the
//! end of a slice `stopped(Expired)`, `enqueue(Expired)` and `pick` follow each other, so the running task
//! competes with the others unless the policy makes it not.

mod build;
pub mod edf;
pub mod eevdf;
pub mod fair;
pub mod hierarchical;
pub mod lottery;
pub mod mlfq;
pub mod queue;
pub mod rate_monotonic;
pub mod round_robin;
pub mod shortest;
pub mod stride;

use super::draws::Evidence;
pub use super::kind::{PolicyKind, Traits, UnknownPolicy};
use super::machine::{CpuIx, Machine, TaskIx};
pub(crate) use build::build;
use std::fmt;

/// Why a task comes to the run queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// It is new.
    New,
    /// It slept, or was blocked.
    Woken,
    /// Its slice is over.
    Expired,
    /// Another took its CPU before its slice was over.
    Preempted,
    /// Its group had no bandwidth, and has some again.
    Unthrottled,
}

/// Why a task left its CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Departure {
    /// Its slice is over; it is still runnable.
    Expired,
    /// Another takes the CPU; it is still runnable.
    Preempted,
    /// It sleeps, waits or found a lock taken.
    Blocked,
    /// Its group has no bandwidth left.
    Throttled,
    /// It ended.
    Ended,
    /// The simulation ended (a policy never sees this).
    Horizon,
}

impl fmt::Display for Departure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Expired => "expired",
            Self::Preempted => "preempted",
            Self::Blocked => "blocked",
            Self::Throttled => "throttled",
            Self::Ended => "ended",
            Self::Horizon => "horizon",
        })
    }
}

/// What a policy decided for a CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pick {
    /// Who runs next.
    pub task: TaskIx,
    /// For how long at most, above 0; `u64::MAX` = until it blocks.
    pub slice_ns: u64,
}

/// A scheduling policy.
pub trait Policy: Send {
    /// A task has become runnable, or remains so after its slice.
    fn enqueue(&mut self, machine: &mut Machine, task: TaskIx, why: Arrival);

    /// Takes the next task for a CPU out of the queue; `None` leaves the CPU idle until somebody comes.
    fn pick(&mut self, machine: &mut Machine, cpu: CpuIx) -> Option<Pick>;

    /// A task left its CPU after `ran_ns` (0 when it never got to work).
    fn stopped(&mut self, machine: &mut Machine, cpu: CpuIx, task: TaskIx, ran_ns: u64, why: Departure) {
        let _ = (machine, cpu, task, ran_ns, why);
    }

    /// A task left its CPU and competes on: [`stopped`](Self::stopped), then [`enqueue`](Self::enqueue). In
    /// one call, because it is the most frequent one.
    fn requeue(
        &mut self,
        machine: &mut Machine,
        cpu: CpuIx,
        task: TaskIx,
        ran_ns: u64,
        (why, back): (Departure, Arrival),
    ) {
        self.stopped(machine, cpu, task, ran_ns, why);
        self.enqueue(machine, task, back);
    }

    /// Names a CPU whose task should give way to a queued one, until no such CPU is left. Each answer must be
    /// an improvement, or the question would be asked for ever. Asked after every instant at which somebody
    /// came.
    fn preempt(&mut self, machine: &mut Machine) -> Option<CpuIx> {
        let _ = machine;
        None
    }

    /// The timer of a task ([`Machine::set_timer`]) has come.
    fn timer(&mut self, machine: &mut Machine, task: TaskIx) {
        let _ = (machine, task);
    }

    /// `waiter` has blocked on a lock that `holder` holds.
    fn lend(&mut self, machine: &mut Machine, waiter: TaskIx, holder: TaskIx) {
        let _ = (machine, waiter, holder);
    }

    /// `waiter` waits no longer for `holder`.
    fn give_back(&mut self, machine: &mut Machine, waiter: TaskIx, holder: TaskIx) {
        let _ = (machine, waiter, holder);
    }

    /// Which of the tasks waiting for a lock (never empty, in order of coming) gets it next; an index below
    /// its length.
    fn next_holder(&mut self, machine: &mut Machine, waiters: &[TaskIx]) -> usize {
        let _ = (machine, waiters);
        0
    }

    /// What is known of its draws so far: only of a lottery that is watched.
    fn evidence(&self) -> Option<Evidence> {
        None
    }
}
