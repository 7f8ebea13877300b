//! What a recording can tell, before its first event is read.

use tombola_core::snapshot::GroupTotals;

/// What stands at the head of a recording.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Header {
    /// Format, with its version: `perf.data`, `trace.dat 7`, `Perfetto`, `ftrace text`.
    pub format: String,
    /// Host name, where told.
    pub host: Option<String>,
    /// Kernel release, where told.
    pub release: Option<String>,
    /// Architecture, where told.
    pub arch: Option<String>,
    /// CPUs of the machine, where told.
    pub cpus: Option<u32>,
    /// The clock of the events: `perf`, `local`, `monotonic`, `boot`, `simulated`.
    pub clock: Option<String>,
    /// Wall clock at an instant of the events' clock, (event clock ns, Unix µs), where told.
    pub wall: Option<(u64, u64)>,
    /// From when on the events of every CPU are complete, where the recording says so: what stands before its
    /// first switch is then known too.
    pub begin_ns: Option<u64>,
    /// Until when the events of every CPU are complete, where the recording says so.
    pub end_ns: Option<u64>,
    /// Groups as they are first told: what they counted before that is no part of the recording.
    pub groups: Vec<GroupTotals>,
    /// Whose events these are.
    pub scope: Scope,
    /// What the events can tell.
    pub can: Capabilities,
}

/// Whose events a recording holds, as far as it tells that some were left out on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Scope {
    /// Nothing says that any were left out.
    #[default]
    Whole,
    /// Those of some CPUs: a task that goes to another one is out of sight there.
    Cpus,
    /// Those that happened while one of some tasks was on its CPU. A switch is told by who leaves, so it is
    /// not seen who comes behind another task, and not who wakes one of them.
    Tasks,
    /// Those that passed a filter.
    Filtered,
}

impl Header {
    /// The format in which the events were first recorded: `perf.data` also of a file that was converted from
    /// one.
    pub fn first_format(&self) -> &str {
        self.format.strip_prefix("Perfetto of ").unwrap_or(&self.format)
    }
}

/// What the events of a recording can tell. Every figure that is derived says from this whether it is exact,
/// bounded or unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[allow(clippy::struct_excessive_bools)] // a table of yes and no
pub struct Capabilities {
    /// Switches name who left.
    pub prev: bool,
    /// `sched_waking` is there.
    pub waking: bool,
    /// `sched_wakeup` is there.
    pub wakeup: bool,
    /// Wakes tell their waker.
    pub waker: bool,
    /// Wakes tell whether they came from an interrupt.
    pub interrupt: bool,
    /// Births and ends are there.
    pub fork_exit: bool,
    /// Migrations are there.
    pub migrations: bool,
    /// The process of a thread is told.
    pub tgid: bool,
    /// Weights, groups and quotas are told.
    pub groups: bool,
    /// Affinity is told.
    pub affinity: bool,
    /// Whether a task that left its CPU runnable was preempted is *not* told.
    pub hides_preemption: bool,
    /// Whether a task that left its CPU runnable gave it away (`sched_yield`) is told.
    pub yields: bool,
    /// How losses are told.
    pub loss: LossTold,
    /// Finest difference of two time stamps, ns; 1,000 for text with microseconds.
    pub resolution_ns: u64,
}

/// How a recording tells that events are missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum LossTold {
    /// Place and count.
    Exact,
    /// A count, without the place.
    Counted,
    /// That something is missing.
    Flagged,
    /// Not at all.
    #[default]
    Unknown,
}
