//! Demand: what the tasks of a simulated machine want, and on what machine.
//!
//! A [`Scenario`] is made by [`Scenario::from_toml`] (or [`rtapp`]) and is valid by construction: every index
//! in it points at something, every sum fits, groups form a tree. The engine relies on that.

pub mod expect;
mod parse;
pub mod place;
pub mod rtapp;
pub mod tuning;

use crate::span::Span;
use expect::Expectations;
pub use place::{Place, ScenarioError};
use tombola_core::tickets::Nice;
use tuning::Tuning;

/// Most CPUs a simulated machine may have.
pub const MAX_CPUS: u32 = 1024;
/// Most task instances a scenario may have.
pub const MAX_TASKS: u64 = 1_000_000;
/// Most tickets all instances together may hold: sums stay exact in an `f64`.
pub const MAX_TICKETS: u64 = 1 << 53;
/// Most groups times CPUs: the Linux classes have a queue for each.
pub const MAX_GROUP_QUEUES: u64 = 1_000_000;
/// When a task comes that only the first wake of another brings: its first step then is [`Step::Await`].
pub const WHEN_WOKEN: u64 = u64::MAX;
/// Deepest nesting of groups.
pub const MAX_DEPTH: usize = 32;

/// A workload and the machine it runs on.
#[derive(Clone, Debug, PartialEq)]
pub struct Scenario {
    /// Its name.
    pub name: String,
    /// Prose: what it shows, and where it was published.
    pub about: String,
    /// CPUs of the machine, 1…[`MAX_CPUS`].
    pub cpus: u32,
    /// How long it is simulated, above 0.
    pub duration_ns: u64,
    /// Statistics begin at this time, below `duration_ns`.
    pub warm_up_ns: u64,
    /// Slice, unless the policy has its own, above 0.
    pub quantum_ns: u64,
    /// Time a CPU needs to change from one task to another. It is on the account of the task that comes, as
    /// it is in the kernel's own accounting, and does none of its work.
    pub switch_cost_ns: u64,
    /// The end of a slice is seen only at multiples of this; 0 = at once.
    pub tick_ns: u64,
    /// Seed, unless the caller gives one.
    pub seed: u64,
    /// Policies to run when the caller names none.
    pub policies: Vec<String>,
    /// Parameters of policies.
    pub tuning: Tuning,
    /// Groups, in order of declaration.
    pub groups: Vec<Group>,
    /// Tasks, in order of declaration.
    pub tasks: Vec<Task>,
    /// Names of the locks.
    pub locks: Vec<String>,
    /// Events that tasks wait for.
    pub events: Vec<Event>,
    /// What must come out.
    pub expect: Expectations,
}

/// A currency: it divides what its weight gets among its members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// The group it is in; `None` at the top. Never a descendant of its own.
    pub parent: Option<usize>,
    /// Tickets of the parent that back it.
    pub weight: u64,
    /// CPU time it may use in every period.
    pub quota: Option<Quota>,
}

/// A bound on CPU time (cgroup `cpu.max`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// CPU time in each period, above 0.
    pub quota_ns: u64,
    /// The period, above 0.
    pub period_ns: u64,
}

/// One or more equal tasks.
#[derive(Clone, Debug, PartialEq)]
pub struct Task {
    /// Its name; with `count` > 1 the instances are NAME.0, NAME.1, ….
    pub name: String,
    /// How many, at least 1.
    pub count: u32,
    /// The group it is in.
    pub group: Option<usize>,
    /// Tickets of its group's currency, at least 1: `tickets`, `weight`, or the weight of `nice`.
    pub tickets: u64,
    /// Nice value, for the record.
    pub nice: Nice,
    /// Class under a fixed-priority policy.
    pub class: Class,
    /// Fixed priority 1 (least) … 99; 0 = none, below all others.
    pub priority: u8,
    /// When it comes, or [`WHEN_WOKEN`].
    pub arrive_ns: u64,
    /// CPUs it may use, ascending, never empty; `None` = all.
    pub cpus: Option<Vec<u32>>,
    /// What it does, over and over.
    pub steps: Vec<Step>,
    /// How often it goes through its steps; 0 = for ever.
    pub loops: u64,
    /// The step at which every round but the first begins, below the number of steps: those before it are
    /// done once.
    pub again: usize,
    /// CPU time after which it ends; 0 = never.
    pub total_ns: u64,
    /// Real time: a job every period.
    pub periodic: Option<Periodic>,
    /// Budget and period of a constant bandwidth server that serves it under EDF.
    pub reserve: Option<Quota>,
    /// Length of its requests under `eevdf`, and its slice under `eevdf-linux`; 0 = the usual one.
    pub request_ns: u64,
}

/// Scheduling class of a task under Linux. The `rr` policy gives no slices to tasks of the class `fifo`;
/// snapshots carry it; other policies ignore it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Class {
    /// `SCHED_OTHER`.
    #[default]
    Fair,
    /// `SCHED_FIFO`: until it blocks.
    Fifo,
    /// `SCHED_RR`: in turns among equals.
    RoundRobin,
}

/// Period and relative deadline of the jobs of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Periodic {
    /// Time between two releases, above 0.
    pub period_ns: u64,
    /// Time from release to deadline, above 0.
    pub deadline_ns: u64,
}

/// One step of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Needs the CPU for this long.
    Run(Span),
    /// Needs the CPU for ever.
    Burn,
    /// Wants nothing for this long.
    Sleep(Span),
    /// Wants nothing until this instant, ns since the simulation began; goes on without a sleep if it has
    /// passed.
    Until(u64),
    /// Ends a job; sleeps until the task's next release, `period_ns` after the one before. Where that has
    /// passed already the next job begins at once, late.
    NextJob {
        /// Time between releases.
        period_ns: u64,
        /// Which of the task's timers, from 0: each counts its own releases, from the task's arrival on.
        timer: usize,
        /// A release that has passed already is skipped, and the next is counted from now on.
        skips: bool,
    },
    /// Ends a job; sleeps until the next one arrives, so long after this one did. Arrivals wait for nobody:
    /// one that has passed already begins at once, late.
    NextArrival(Span),
    /// Gives every receiver of the event one token; a semaphore gets one; otherwise wakes whom it finds
    /// waiting.
    Post {
        /// Index into [`Scenario::events`].
        event: usize,
        /// All who wait, or the first. Has a meaning only for condition variables.
        all: bool,
    },
    /// Blocks until it can take a token.
    Await {
        /// Index into [`Scenario::events`].
        event: usize,
    },
    /// Takes a lock, or blocks until it gets it.
    Lock(usize),
    /// Gives a lock back.
    Unlock(usize),
}

/// Something tasks wait for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// What to call it in messages.
    pub name: String,
    /// What becomes of a post that finds nobody waiting, and who may wait.
    pub kind: EventKind,
}

/// The kinds of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// Posts are counted for each instance of this task until it takes them.
    Receiver(usize),
    /// A condition variable: a post that finds nobody waiting is lost.
    Condition,
    /// Posts are counted until somebody takes them; the first who waits gets the next.
    Semaphore,
    /// Nobody posts: whoever completes this number of waiting tasks wakes all of them and goes on.
    Barrier(u64),
}

impl Scenario {
    /// Number of task instances.
    pub fn instances(&self) -> usize {
        self.tasks.iter().map(|t| t.count as usize).sum()
    }

    /// How long statistics are kept.
    pub fn measured_ns(&self) -> u64 {
        self.duration_ns - self.warm_up_ns
    }

    /// Names of all task instances, in order of declaration.
    pub fn instance_names(&self) -> Vec<String> {
        self.tasks.iter().flat_map(|t| (0..t.count).map(|i| t.instance_name(i))).collect()
    }

    /// Whether any phase is drawn at random.
    pub fn is_random(&self) -> bool {
        self.tasks.iter().flat_map(|t| &t.steps).any(|step| match step {
            Step::Run(span) | Step::Sleep(span) | Step::NextArrival(span) => span.is_random(),
            _ => false,
        })
    }

    /// The task of a name.
    pub fn task(&self, name: &str) -> Option<usize> {
        self.tasks.iter().position(|t| t.name == name)
    }
}

impl Task {
    /// Whether it never blocks: it wants the CPU from its arrival to its end.
    pub fn is_burner(&self) -> bool {
        self.steps.iter().all(|step| matches!(step, Step::Run(_) | Step::Burn))
    }

    /// Timers that its releases are counted by.
    pub fn timers(&self) -> usize {
        let number = |step: &Step| if let Step::NextJob { timer, .. } = step { timer + 1 } else { 0 };
        self.steps.iter().map(number).max().unwrap_or(0)
    }

    /// Name of one instance, counted from 0.
    pub fn instance_name(&self, instance: u32) -> String {
        if self.count == 1 { self.name.clone() } else { format!("{}.{instance}", self.name) }
    }

    /// Mean CPU time of one pass through the steps; `None` for one that never blocks.
    pub fn mean_burst_ns(&self) -> Option<u64> {
        let mut sum = 0u64;
        for step in &self.steps {
            match step {
                Step::Burn => return None,
                Step::Run(span) => sum = sum.saturating_add(span.mean_ns()),
                _ => {}
            }
        }
        (!self.is_burner()).then_some(sum)
    }

    /// The part of a CPU that is set aside for it: of its server, or else its utilisation; 0 without either.
    pub fn bandwidth(&self) -> f64 {
        match self.reserve {
            Some(Quota { quota_ns, period_ns }) => quota_ns as f64 / period_ns as f64,
            None => self.utilisation().unwrap_or(0.0),
        }
    }

    /// CPU time it demands per period (its utilisation), for a periodic task.
    pub fn utilisation(&self) -> Option<f64> {
        let periodic = self.periodic?;
        Some(self.mean_burst_ns()? as f64 / periodic.period_ns as f64)
    }
}
