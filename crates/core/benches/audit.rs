//! What it costs to audit an interval, findings and rows included. Goal: 10,000 threads well under 100 ms.

use criterion::{BenchmarkId, Criterion, Throughput};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::hint::black_box;
use tombola_core::audit::{Audit, By};
use tombola_core::identity::TaskId;
use tombola_core::policy::Policy;
use tombola_core::snapshot::{ExitTotals, Group, GroupTotals, Loss, Quota, TaskState, TaskTotals};
use tombola_core::tickets::Nice;
use tombola_core::usage::Usage;
use tombola_core::window::{CpuWindow, GroupWindow, TaskWindow, Window};

const LENGTH_NS: u64 = 5_000_000_000;
const CPUS: u32 = 64;
const GROUPS: u64 = 100;

fn window(tasks: u32) -> Window {
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let nice: Vec<Nice> = Nice::all().collect();
    let mean_ns = (u64::from(CPUS) * LENGTH_NS * 2 / u64::from(tasks)).min(LENGTH_NS);
    let tasks = (1..=tasks)
        .map(|pid| {
            let delta = Usage {
                runtime_ns: rng.random_range(0..mean_ns),
                wait_ns: rng.random_range(0..LENGTH_NS),
                ..Usage::default()
            };
            let nice = nice[rng.random_range(0..nice.len())];
            let first = rng.random_range(0..4u32) * 16;
            let totals = TaskTotals {
                id: TaskId { pid, start_ns: 1 },
                tgid: pid / 8 * 8 + 1,
                comm: format!("worker-{}", pid % 100).into_bytes(),
                nice,
                policy: Policy::Other,
                weight: nice.weight(),
                tickets_set: None,
                group: Group::Cgroup(rng.random_range(1..=GROUPS)),
                affinity: (pid % 2 == 0).then(|| (first..first + 16).collect()),
                cpu: first,
                state: TaskState::Sleeping,
                usage: delta.clone(),
            };
            TaskWindow { totals: totals.into(), delta, ended: false }
        })
        .collect();
    let group = |id| GroupWindow {
        totals: GroupTotals {
            id: Group::Cgroup(id),
            parent: (id > 1).then_some(Group::Cgroup((id / 3).max(1))),
            weight: 1024 + id,
            quota: (id % 10 == 9).then_some(Quota { quota_ns: 100_000_000, period_ns: 100_000_000 }),
            throttled_ns: 0,
            throttles: 0,
        },
        throttled_ns: if id % 10 == 9 { LENGTH_NS } else { 0 },
        throttles: 0,
    };
    let cpu = |cpu| CpuWindow {
        cpu,
        wall_ns: LENGTH_NS,
        busy_ns: LENGTH_NS,
        unfair_ns: 0,
        idle_ns: 0,
        taken_ns: 1_000_000,
    };
    Window {
        from_ns: 0,
        to_ns: LENGTH_NS,
        unix_us: 0,
        is_first: false,
        cpus: (0..CPUS).map(cpu).collect(),
        tasks,
        unlisted_exits: ExitTotals::default(),
        group_rule: tombola_core::entitlement::GroupRule::default(),
        ext_runs: false,
        groups: (1..=GROUPS).map(group).collect(),
        interference: None,
        loss: Loss::default(),
        loss_total: Loss::default(),
    }
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("audit");
    group.sample_size(10);
    for tasks in [1_000, 10_000, 100_000] {
        let window = window(tasks);
        group.throughput(Throughput::Elements(tasks.into()));
        group.bench_with_input(BenchmarkId::from_parameter(tasks), &window, |b, window| {
            b.iter(|| {
                let audit = Audit::new(black_box(window)).expect("no cycle");
                audit.rows(By::Task, |_| true).len() + audit.rows(By::Comm, |_| true).len()
            });
        });
    }
    group.finish();
    criterion.final_summary();
}
