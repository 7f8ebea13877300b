//! What had to be mended, counted by kind.

/// Where a recording contradicts itself, or leaves something out, and how often.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Repairs {
    /// Switches whose `prev` is not the task that came to the CPU last: a switch is hidden.
    pub hidden_switches: u64,
    /// Sleeps whose wake stands before the switch-out, carried over to it.
    pub carried_wakes: u64,
    /// Wakes of a running task that had no effect: it went on, or slept later and was woken again; or it was
    /// its first, told late.
    pub idle_wakes: u64,
    /// Tasks that went from sleep to a CPU without a wake.
    pub missing_wakes: u64,
    /// Tasks found on a CPU while they still had another.
    pub two_cpus: u64,
    /// Events before one that stands before them, taken as of the same instant.
    pub backwards: u64,
    /// Thread ids in use again whose end was not seen.
    pub reused_pids: u64,
    /// Tasks and CPUs of which it was not known at first what they did.
    pub cut_begin: u64,
    /// Tasks alive at the end.
    pub cut_end: u64,
    /// Marks of missing events.
    pub losses: u64,
    /// Missing events, where counts are told.
    pub lost_events: u64,
}

impl Repairs {
    /// The counters with their names, in the order of the fields, for whoever prints them.
    pub fn each(&self) -> [(&'static str, u64); 11] {
        [
            ("hidden switches", self.hidden_switches),
            ("wakes before the switch-out, carried", self.carried_wakes),
            ("wakes of running tasks", self.idle_wakes),
            ("sleeps without a wake", self.missing_wakes),
            ("tasks on two CPUs", self.two_cpus),
            ("events back in time", self.backwards),
            ("thread ids in use again", self.reused_pids),
            ("cut at the begin", self.cut_begin),
            ("cut at the end", self.cut_end),
            ("losses", self.losses),
            ("lost events", self.lost_events),
        ]
    }
}
