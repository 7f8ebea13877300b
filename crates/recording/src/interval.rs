//! What tasks and CPUs did, stretch by stretch.

use crate::event::Left;
use tombola_core::identity::TaskId;

/// What a task did from one instant to another.
#[derive(Clone, Debug, PartialEq)]
pub struct Interval {
    /// Who. `start_ns` is what the recording tells: its birth, if that is in it, 0 if it lived before.
    pub task: TaskId,
    /// Begin, ns on the clock of the events.
    pub from_ns: u64,
    /// End, not before the begin.
    pub to_ns: u64,
    /// What.
    pub what: What,
    /// Its priority at the end, the kernel's number, where told.
    pub prio: Option<i32>,
}

impl Interval {
    /// Length, ns.
    pub fn ns(&self) -> u64 {
        self.to_ns - self.from_ns
    }
}

/// What a task does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// It has a CPU.
    Running {
        /// Which.
        cpu: u32,
        /// How it left; `None` where that is not known, or the recording ends.
        left: Option<Left>,
    },
    /// It wants a CPU and has none.
    Runnable {
        /// What made it so.
        since: Ready,
        /// Whether it came to a CPU at the end; not where the recording ends, or something is missing.
        ran: bool,
    },
    /// It waits for something.
    Blocked {
        /// How it left its CPU.
        left: Left,
        /// What ended it.
        cause: Cause,
    },
    /// Not known.
    Unknown(Doubt),
}

/// Why a task became runnable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ready {
    /// It was born.
    New,
    /// It was woken.
    Woken(Cause),
    /// It left its CPU and could have gone on; whether it was preempted, where told. Where yields are not
    /// told, they are among these.
    Displaced(Option<bool>),
    /// It gave its CPU away: what it waits, nobody owes it.
    Yielded,
    /// Not known: the recording began, or something is missing, when it already was.
    Unknown,
}

/// What ended a sleep.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Cause {
    /// The task with this thread id woke it: a causal edge.
    Task(u32),
    /// An interrupt: of a timer or of a device. Events do not tell which; a state of `Disk` speaks for a
    /// device.
    Interrupt,
    /// Not told.
    Unknown,
}

/// Why something is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Doubt {
    /// Events are missing.
    Loss,
    /// The recording had just begun.
    Start,
    /// The kernel has not shown a switch: who leaves is not who came.
    Hidden,
    /// It went from sleep to a CPU, and no wake was seen: when the wait began is not known.
    NoWake,
}

/// What a CPU did without a known task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CpuInterval {
    /// Which.
    pub cpu: u32,
    /// Begin, ns on the clock of the events.
    pub from_ns: u64,
    /// End.
    pub to_ns: u64,
    /// `None`: it idled. Otherwise it is not known what it did.
    pub doubt: Option<Doubt>,
}
