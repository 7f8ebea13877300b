//! Two snapshots of many tasks on a machine of 64 CPUs, for benches: who they are, and what they had between.
//!
//! Each task has a nice value and a group below other groups. Who was awake between the two ran and waited,
//! as many nanoseconds as nobody can foresee, and their waits are in a few neighbouring buckets.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tombola_core::identity::TaskId;
use tombola_core::policy::Policy;
use tombola_core::snapshot::{
    CpuBooks, ExitTotals, Group, GroupTotals, Loss, Quota, Snapshot, TaskState, TaskTotals,
};
use tombola_core::tickets::Nice;
use tombola_core::usage::Usage;

const CPUS: u32 = 64;
const LENGTH_NS: u64 = 5_000_000_000;

/// What the tasks are like.
#[derive(Clone, Copy)]
pub(crate) struct Crowd {
    /// Groups that they are in.
    pub(crate) groups: u64,
    /// Whether every tenth group has a quota, and every second task may use a quarter of the CPUs only.
    pub(crate) is_bound: bool,
    /// One of so many tasks is awake.
    pub(crate) awake: u32,
}

/// Two snapshots of `tasks` tasks, an interval apart. `between` is called when the first one is made.
pub(crate) fn snapshots(tasks: u32, crowd: Crowd, between: impl FnOnce()) -> (Snapshot, Snapshot) {
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let nice: Vec<Nice> = Nice::all().collect();
    let all = (1..=tasks).map(|pid| task(pid, &nice, crowd, &mut rng)).collect();
    let earlier = snapshot(0, all, crowd);
    between();
    let mean_ns = (u64::from(CPUS) * LENGTH_NS * 2 / u64::from(tasks)).min(LENGTH_NS);
    let now = earlier.tasks.iter().map(|task| {
        let mut now: TaskTotals = (**task).clone();
        if task.id.pid.is_multiple_of(crowd.awake) {
            now.usage.merge(&usage(&mut rng, mean_ns));
        }
        now
    });
    let later = snapshot(LENGTH_NS, now.collect(), crowd);
    (earlier, later)
}

fn snapshot(taken_ns: u64, tasks: Vec<TaskTotals>, crowd: Crowd) -> Snapshot {
    let busy_ns = taken_ns / 4 * 3;
    let cpu =
        |cpu| CpuBooks { cpu, online: true, busy_ns, idle_ns: taken_ns - busy_ns, ..CpuBooks::default() };
    let group = |id| {
        let quota = Quota { quota_ns: 100_000_000, period_ns: 100_000_000 };
        let is_bound = crowd.is_bound && id % 10 == 9;
        GroupTotals {
            id: Group::Cgroup(id),
            parent: (id > 1).then_some(Group::Cgroup((id / 3).max(1))),
            weight: 1024 + id,
            quota: is_bound.then_some(quota),
            throttled_ns: if is_bound { taken_ns } else { 0 },
            throttles: 0,
        }
    };
    let mut held = Vec::with_capacity(tasks.len());
    held.extend(tasks.into_iter().map(Into::into));
    Snapshot {
        taken_ns,
        read_ns: 0,
        unix_us: taken_ns / 1000,
        begin_ns: 0,
        cpus: (0..CPUS).map(cpu).collect(),
        tasks: held,
        exited: Vec::new(),
        exits: ExitTotals::default(),
        groups: (1..=crowd.groups).map(group).collect(),
        interference: None,
        loss: Loss::default(),
    }
}

fn task(pid: u32, nice: &[Nice], crowd: Crowd, rng: &mut ChaCha8Rng) -> TaskTotals {
    let nice = nice[rng.random_range(0..nice.len())];
    let first = rng.random_range(0..4u32) * CPUS / 4;
    let is_pinned = crowd.is_bound && pid.is_multiple_of(2);
    TaskTotals {
        id: TaskId { pid, start_ns: 1 },
        tgid: pid / 8 * 8 + 1,
        comm: format!("worker-{}", pid % 100).into_bytes(),
        nice,
        policy: Policy::Other,
        weight: nice.weight(),
        tickets_set: None,
        group: Group::Cgroup(rng.random_range(1..=crowd.groups)),
        affinity: Some(if is_pinned { (first..first + CPUS / 4).collect() } else { (0..CPUS).collect() }),
        cpu: first,
        state: TaskState::Sleeping,
        usage: usage(rng, LENGTH_NS),
    }
}

/// What a task had at some time: its waits lie in at most five buckets.
fn usage(rng: &mut ChaCha8Rng, most_ns: u64) -> Usage {
    let mut usage = Usage {
        runtime_ns: rng.random_range(0..most_ns),
        wait_ns: rng.random_range(0..most_ns),
        switches: 9,
        wakeups: 7,
        ..Usage::default()
    };
    for _ in 0..9 {
        usage.waits.record(1_000 << rng.random_range(2..7u32));
    }
    usage
}
