//! What was recorded, as plain values.
//!
//! They are no events of `tombola-recording`: an event carries names, which are known above, and owns memory,
//! which a hundred thousand of them a second should not ask for here. The binary makes one of the other.

use tombola_core::cpu_set::CpuSet;
use tombola_core::identity::TaskId;
use tombola_core::reservation::Reservation;
use tombola_core::snapshot::Group;

/// Something that happened on a CPU. Those of one CPU come in their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// When, nanoseconds of the recording's clock ([`Recorder::start`](crate::Recorder::start)). It never
    /// goes back on one CPU.
    pub ts_ns: u64,
    /// Where.
    pub cpu: u32,
    /// What.
    pub what: What,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// `sched_switch`.
    Switch {
        /// Thread id of who left, 0 for idle.
        prev: u32,
        /// Its priority as the kernel counts it: 100 to 139 are nice −20 to 19, 0 to 99 real time, −1
        /// deadline.
        prev_prio: i32,
        /// State in which it left, the low 16 bits of the kernel's `prev_state`.
        state: u16,
        /// The kernel's preemption flag: it was runnable, whatever its state.
        preempted: bool,
        /// It was runnable and gave its CPU away by `sched_yield(2)`, where
        /// [`Recorder::tells_yields`](crate::Recorder::tells_yields).
        yielded: bool,
        /// Who came.
        next: u32,
        /// Its priority.
        next_prio: i32,
    },
    /// `sched_waking`, or `sched_wakeup_new`.
    Wake {
        /// Who is woken.
        wakee: u32,
        /// Its priority.
        prio: i32,
        /// Who was on the CPU that woke it.
        waker: u32,
        /// Whether an interrupt on top of it did it; `None` where the kernel does not let us tell.
        interrupt: Option<bool>,
        /// The CPU it was last on (waking) or is to run on (new), where known.
        target: Option<u32>,
        /// Whether it is its first.
        new: bool,
    },
    /// `sched_migrate_task`.
    Migrate {
        /// Who.
        pid: u32,
        /// Its priority.
        prio: i32,
        /// From the queue of this CPU, where known.
        from: Option<u32>,
        /// To that of this one.
        to: u32,
    },
    /// `sched_process_fork`.
    Fork {
        /// The thread that did it.
        parent: u32,
        /// Who was born.
        child: Box<Known>,
    },
    /// `sched_process_exec`.
    Exec {
        /// Who, with its new name.
        task: Box<Known>,
        /// Its thread id before.
        old_pid: u32,
    },
    /// `sched_process_exit`. The final switch comes later.
    Exit {
        /// Who.
        task: Box<Known>,
    },
    /// `task_rename`.
    Rename {
        /// Who, with the new name. It is asked from procfs when the record is read; where the task is gone by
        /// then, the name that it had before stands here.
        task: Box<Known>,
    },
    /// The queue in which a task waited, who comes to the CPU now, stood throttled. No event of the kernel's.
    Throttled {
        /// Who.
        pid: u32,
        /// How long, until now, ns.
        ns: u64,
    },
    /// A task was seen asleep: it is on no CPU and in no queue. No event of the kernel's, and of no CPU: its
    /// `cpu` is 0.
    Asleep {
        /// Who.
        pid: u32,
        /// In which state, as in [`What::Switch`].
        state: u16,
    },
    /// Events of this CPU were lost, for want of room in its lane.
    Loss {
        /// How many.
        count: u64,
        /// When the first of them happened; the last one did at `ts_ns`.
        from_ns: u64,
    },
}

/// What is known of a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// Who: thread id and start on `CLOCK_BOOTTIME`.
    pub id: TaskId,
    /// Its process.
    pub tgid: u32,
    /// Name, up to 15 bytes, any but NUL.
    pub comm: Vec<u8>,
    /// Priority, as in [`What::Switch`].
    pub prio: i32,
    /// Nice value.
    pub nice: i32,
    /// Weight in the fair class, 1024 for nice 0.
    pub weight: u32,
    /// Scheduling policy, the kernel's number.
    pub policy: u32,
    /// The group whose weight the scheduler uses.
    pub group: Group,
    /// CPUs its affinity allows; `None` where they are not all among the first 64 and the task is gone.
    pub affinity: Option<CpuSet>,
    /// What the deadline class promises it, while it is in that.
    pub reservation: Option<Reservation>,
}

/// What it came to. Nothing is left unsaid: `seen` is counted by the programs on their way in, and equals
/// `written + lost()`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Events that the kernel showed the programs.
    pub seen: u64,
    /// Events that were handed over.
    pub written: u64,
    /// Events that found their CPU's lane full.
    pub lost_in_lanes: u64,
    /// Forks, execs, exits and new names that found the ring full.
    pub lost_notes: u64,
    /// Times the kernel did not run a program because it was running on that CPU already: not among `seen`.
    pub not_run: u64,
    /// Time stamps that ran backwards on a CPU, and were set to the one before.
    pub backwards: u64,
    /// Until when every CPU was recorded, on the recording's clock.
    pub end_ns: u64,
}

impl Totals {
    /// Events that were lost.
    pub fn lost(&self) -> u64 {
        self.lost_in_lanes + self.lost_notes
    }
}
