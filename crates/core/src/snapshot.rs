//! Everything a source knows about the machine at one instant.

pub use crate::identity::Group;

use crate::cpu_set::CpuSet;
use crate::identity::TaskId;
use crate::interference::Interference;
use crate::policy::Policy;
use crate::shared::Shared;
use crate::tickets::Nice;
use crate::usage::Usage;
use serde::{Deserialize, Serialize};

/// The machine at one instant: totals since the source began to measure.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    /// The instant, nanoseconds of the monotonic clock. All totals hold at this instant, open slices
    /// included.
    pub taken_ns: u64,
    /// How long the source went on reading after the instant. A task that ran or waited meanwhile may show at
    /// most that much more.
    pub read_ns: u64,
    /// The same instant on the wall clock, microseconds since the Unix epoch.
    pub unix_us: u64,
    /// When the source began to measure, on the clock of `taken_ns`.
    pub begin_ns: u64,
    /// Books of each CPU that exists, by number.
    pub cpus: Vec<CpuBooks>,
    /// Living tasks, ordered by identity, no identity twice.
    pub tasks: Vec<Shared<TaskTotals>>,
    /// Tasks whose end is remembered, ordered by identity, no identity twice. The source's memory is bounded:
    /// old ends are forgotten here, and remain in `exits`.
    pub exited: Vec<ExitedTask>,
    /// All tasks that ended since `begin_ns`, remembered or not.
    pub exits: ExitTotals,
    /// Groups that tasks are or were in, and their ancestors, ordered by id, no id twice.
    pub groups: Vec<GroupTotals>,
    /// Who stood in whose way; `None` where the source does not look.
    pub interference: Option<Interference>,
    /// What could not be measured.
    pub loss: Loss,
}

/// What a CPU did since the source began.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct CpuBooks {
    /// The kernel's number of this CPU.
    pub cpu: u32,
    /// Whether it was online when the snapshot was taken.
    pub online: bool,
    /// Time it ran tasks, the open slice included.
    pub busy_ns: u64,
    /// Those parts of `busy_ns` that went to tasks without tickets: real time, deadline, stop.
    pub unfair_ns: u64,
    /// Time it ran the idle task, the open slice included.
    pub idle_ns: u64,
    /// Time that interrupts and the hypervisor took, where the kernel accounts for it; it is a part of the
    /// slices it fell into. Counts from some instant of its own: only differences mean something.
    pub taken_ns: u64,
    /// What it runs now.
    pub running: Option<Running>,
}

/// The task that has a CPU at the instant of a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Running {
    /// Who.
    pub id: TaskId,
    /// Since when, on the clock of the snapshot.
    pub since_ns: u64,
}

/// What one task got since the source began, or since it was born.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskTotals {
    /// Who.
    pub id: TaskId,
    /// Process (thread group) the task belongs to.
    pub tgid: u32,
    /// Name as the kernel keeps it: up to 15 bytes, chosen by the task, any bytes but NUL.
    #[serde(with = "crate::serial::bytes")]
    pub comm: Vec<u8>,
    /// Nice value (kept by the kernel also under policies that ignore it).
    pub nice: Nice,
    /// Scheduling policy.
    pub policy: Policy,
    /// Weight in the fair class, 1024 for nice 0.
    pub weight: u32,
    /// Tickets that were set for it by hand, in the currency of its group: they count in place of the weight.
    /// `None` where its nice value decides, and where the source does not ask.
    pub tickets_set: Option<u32>,
    /// The group whose weight the scheduler uses for the task.
    pub group: Group,
    /// CPUs its affinity allows; `None` where the source does not know.
    pub affinity: Option<CpuSet>,
    /// CPU of its latest slice.
    pub cpu: u32,
    /// What it is doing.
    pub state: TaskState,
    /// What it got.
    pub usage: Usage,
}

/// A scheduling group, as the scheduler sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupTotals {
    /// Which.
    pub id: Group,
    /// The group it competes in; `None` for the root.
    pub parent: Option<Group>,
    /// Weight among its siblings, groups and tasks: 1024 is `cpu.weight` 100, and a task of nice 0.
    pub weight: u64,
    /// Limit of its CPU time.
    pub quota: Option<Quota>,
    /// Time its run queues stood throttled, over all CPUs, since it exists.
    pub throttled_ns: u64,
    /// How often they were throttled since it exists.
    pub throttles: u64,
}

/// A limit of CPU time: `cpu.max` of cgroup v2, `cpu.cfs_quota_us` and `cpu.cfs_period_us` of v1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quota {
    /// CPU time in each period.
    pub quota_ns: u64,
    /// Length of a period.
    pub period_ns: u64,
}

/// What a task is doing at the instant of a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskState {
    /// On a CPU.
    Running,
    /// Runnable, without a CPU.
    Waiting,
    /// Not runnable.
    #[default]
    Sleeping,
}

/// A task that ended, with its final totals.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ExitedTask {
    /// When its last slice ended.
    pub ended_ns: u64,
    /// Its final totals.
    pub totals: Shared<TaskTotals>,
}

/// Sums over all tasks that ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ExitTotals {
    /// How many.
    pub count: u64,
    /// Their run time.
    pub runtime_ns: u64,
}

/// What a source could not measure: zero everywhere means the books are complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Loss {
    /// CPU time of slices whose task found no room in the task map. It is in the CPU's busy time, in no
    /// task's.
    pub untracked_ns: u64,
    /// Such slices that found the task map full.
    pub map_full: u64,
    /// Such slices that found it busy (`EBUSY`).
    pub map_busy: u64,
    /// Such slices that were refused for any other reason.
    pub map_other: u64,
    /// Time stamps that ran backwards, clamped to a length of zero.
    pub clock_backwards: u64,
    /// Records found under a reused PID whose end had not been seen.
    pub stale_records: u64,
    /// Times a group found no room in the map of groups: its tasks count as members of the root.
    pub groups_full: u64,
    /// Groups of tasks that ran or waited in an interval of which nothing is known: there were more than the
    /// source has room for, and the tasks count as members of the root. A window counts them, not a source.
    pub unknown_groups: u64,
    /// Times a group lay deeper in the tree than the source looks: what is deepest counts as a child of the
    /// root.
    pub groups_deep: u64,
    /// Switches between processes that the kernel did not show to the source.
    pub unseen_switches: u64,
    /// CPU time of the slices around them: it is in the books, a part of it with another task than the one
    /// that ran.
    pub unseen_ns: u64,
    /// Tasks that have more run and wait time in an interval than the interval is long: their wait is cut to
    /// what fits. A window counts them, not a source, if it is more than a millisecond and the times that its
    /// snapshots took to read.
    pub overlong_waits: u64,
    /// Wait that was cut off so.
    pub overlong_ns: u64,
    /// Waits that the kernel's own books begin while the task slept. Nothing is lost: the books hold the true
    /// wait.
    pub corrected_waits: u64,
    /// Sleep that the kernel has booked as wait in them, and that was left out.
    pub corrected_ns: u64,
    /// Whether the kernel's own counters are all that is known. What that leaves unknown was not asked for,
    /// and is not lost.
    pub light: bool,
}

impl Loss {
    /// Whether nothing was lost. What was corrected is not lost.
    pub fn is_none(&self) -> bool {
        Self { corrected_waits: 0, corrected_ns: 0, light: false, ..*self } == Self::default()
    }

    /// Slices whose task found no room in the task map.
    pub fn untracked_slices(&self) -> u64 {
        self.map_full + self.map_busy + self.map_other
    }

    /// What was lost since `earlier`.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let d = u64::saturating_sub;
        Self {
            untracked_ns: d(self.untracked_ns, earlier.untracked_ns),
            map_full: d(self.map_full, earlier.map_full),
            map_busy: d(self.map_busy, earlier.map_busy),
            map_other: d(self.map_other, earlier.map_other),
            clock_backwards: d(self.clock_backwards, earlier.clock_backwards),
            stale_records: d(self.stale_records, earlier.stale_records),
            groups_full: d(self.groups_full, earlier.groups_full),
            unknown_groups: d(self.unknown_groups, earlier.unknown_groups),
            groups_deep: d(self.groups_deep, earlier.groups_deep),
            unseen_switches: d(self.unseen_switches, earlier.unseen_switches),
            unseen_ns: d(self.unseen_ns, earlier.unseen_ns),
            overlong_waits: d(self.overlong_waits, earlier.overlong_waits),
            overlong_ns: d(self.overlong_ns, earlier.overlong_ns),
            corrected_waits: d(self.corrected_waits, earlier.corrected_waits),
            corrected_ns: d(self.corrected_ns, earlier.corrected_ns),
            light: self.light,
        }
    }
}

impl Snapshot {
    /// The empty snapshot at the moment the source began: what a first window is measured against.
    #[must_use]
    pub fn origin(&self) -> Self {
        Self {
            taken_ns: self.begin_ns,
            read_ns: 0,
            unix_us: self.unix_us.saturating_sub((self.taken_ns - self.begin_ns) / 1000),
            begin_ns: self.begin_ns,
            cpus: self
                .cpus
                .iter()
                .map(|c| CpuBooks { busy_ns: 0, unfair_ns: 0, idle_ns: 0, running: None, ..*c })
                .collect(),
            tasks: Vec::new(),
            exited: Vec::new(),
            exits: ExitTotals::default(),
            groups: Vec::new(),
            interference: self.interference.as_ref().map(|_| Interference::default()),
            loss: Loss::default(),
        }
    }
}
