//! One thing that happened, in the words that all recordings share.

pub use crate::task::Task;

use crate::attributes::Attributes;
use tombola_core::snapshot::GroupTotals;

/// An event as recorded. Events of one CPU are in order; those of several are merged by (`ts_ns`, `seq`,
/// `cpu`).
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// When, nanoseconds of the recording's own clock (of [`Header::clock`](crate::capabilities::Header)).
    pub ts_ns: u64,
    /// The CPU that told it.
    pub cpu: u32,
    /// Its number among the events of its CPU, or of all CPUs where the recording has such an order: keeps
    /// the order of those at one instant.
    pub seq: u64,
    /// What.
    pub kind: Kind,
}

/// What happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// A CPU went from one task to another.
    Switch {
        /// Who left; `None` where the format does not tell it (the first switch of a CPU in compact Perfetto
        /// bundles).
        prev: Option<Task>,
        /// In what state it left.
        state: Left,
        /// Who came.
        next: Task,
    },
    /// A task was made runnable.
    Wake {
        /// Who.
        wakee: Task,
        /// Who was on the CPU that woke it, where known. A cause only if `context` is `Task`.
        waker: Option<u32>,
        /// The CPU it is to run on, where told.
        target: Option<u32>,
        /// Which of the kernel's three points.
        stage: Stage,
        /// In what context the waker was.
        context: Context,
    },
    /// A task was moved between run queues.
    Migrate {
        /// Who.
        task: Task,
        /// From.
        from: Option<u32>,
        /// To.
        to: u32,
    },
    /// A task was born.
    Fork {
        /// By whom.
        parent: Task,
        /// Who.
        child: Task,
    },
    /// A task runs another program from now on; `old_pid` is its thread id before, if it was not the leader.
    Exec {
        /// Who, with its new name where told.
        task: Task,
        /// Its thread id before.
        old_pid: u32,
    },
    /// A task ends. Its final switch comes later.
    Exit {
        /// Who.
        task: Task,
    },
    /// A task has a new name.
    Rename {
        /// Who, with its new name.
        task: Task,
    },
    /// Attributes of a task that no foreign format has.
    Attributes {
        /// Who.
        pid: u32,
        /// When it was born, on the clock of the events; its identity with the thread id.
        start_ns: Option<u64>,
        /// What it is like from now on. In a box, as the group below, so that the frequent events stay small.
        attributes: Box<Attributes>,
    },
    /// A scheduling group as it is from now on.
    Group {
        /// Its weight, quota and parent.
        totals: Box<GroupTotals>,
        /// Its full path, raw.
        name: Option<String>,
    },
    /// The queue of a task's group on this CPU has stood throttled, and stands so no longer: it comes to the
    /// CPU with the next switch.
    Throttled {
        /// Who.
        pid: u32,
        /// How long it stood so, up to now, ns.
        ns: u64,
    },
    /// A task was seen asleep, on no CPU and in no queue. Nothing happened: of a task of which nothing was
    /// told yet it tells what it does. Of no CPU: that of the event is 0.
    Asleep {
        /// Who.
        pid: u32,
        /// In which state it has left its CPU, some time ago.
        left: Left,
    },
    /// The CPU came online.
    Online,
    /// The CPU went offline.
    Offline,
    /// Events are missing.
    Loss {
        /// Of which CPU; `None` for any.
        of_cpu: Option<u32>,
        /// How many; `None` where only the fact is known.
        count: Option<u64>,
        /// Since when nothing is certain; `None` where unknown (since the CPU's previous event).
        from_ns: Option<u64>,
    },
}

impl Kind {
    /// Its name in tables and summaries.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Switch { .. } => "switch",
            Self::Wake { stage: Stage::Waking, .. } => "waking",
            Self::Wake { stage: Stage::Woken, .. } => "wakeup",
            Self::Wake { stage: Stage::New, .. } => "wakeup_new",
            Self::Migrate { .. } => "migrate",
            Self::Fork { .. } => "fork",
            Self::Exec { .. } => "exec",
            Self::Exit { .. } => "exit",
            Self::Rename { .. } => "rename",
            Self::Attributes { .. } => "attributes",
            Self::Group { .. } => "group",
            Self::Throttled { .. } => "throttled",
            Self::Asleep { .. } => "asleep",
            Self::Online => "online",
            Self::Offline => "offline",
            Self::Loss { .. } => "loss",
        }
    }
}

/// The state in which a task left its CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Left {
    /// It could have gone on; whether it was preempted, where the format tells it.
    Runnable {
        /// The kernel's preemption flag ("R+").
        preempted: Option<bool>,
    },
    /// It could have gone on, and gave its CPU away by `sched_yield(2)`. Only recordings of tombola tell it
    /// ([`Capabilities::yields`](crate::capabilities::Capabilities)); elsewhere such a task is runnable.
    Yielded,
    /// Interruptible sleep (S).
    Sleep,
    /// Uninterruptible sleep (D).
    Disk,
    /// Stopped or traced (T, t).
    Stopped,
    /// Its end (X, Z).
    Dead,
    /// Parked, or an idle kernel worker (P, I).
    Idle,
    /// A state of no known letter.
    Other(u64),
    /// Not told.
    Unknown,
}

/// Which of the kernel's wakeup events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Stage {
    /// `sched_waking`: on the waker's CPU, before the task is placed.
    Waking,
    /// `sched_wakeup`: after it was queued.
    Woken,
    /// `sched_wakeup_new`: its first.
    New,
}

/// In what context a wake happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Context {
    /// The waker itself did it: a causal edge.
    Task,
    /// An interrupt on top of whoever ran: a timer, a device.
    Interrupt,
    /// Not told.
    Unknown,
}
