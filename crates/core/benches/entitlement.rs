//! What it costs to divide an interval. Goals: 100,000 tasks in one group under 50 ms.

use criterion::{BenchmarkId, Criterion, Throughput};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::hint::black_box;
use tombola_core::entitlement::{Claim, CpuSetId, Demand, Group, GroupId, entitle};
use tombola_core::tickets::Nice;

const LENGTH_NS: u64 = 5_000_000_000;
const CPUS: u32 = 64;

/// Tasks of all nice values. A fifth wants a whole CPU, the others little; together they want more than there
/// is.
fn demand(tasks: usize, groups: usize, sets: u32) -> Demand {
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let weights: Vec<u64> = Nice::all().map(|n| u64::from(n.weight())).collect();
    let mean_ns = u64::from(CPUS) * LENGTH_NS * 2 / tasks as u64;
    let groups: Vec<Group> = (0..groups)
        .map(|index| Group {
            parent: (index % 3 > 0).then_some(GroupId(index / 3)), // a tree of some depth
            weight: rng.random_range(1..=10_000),
            quota_ns: (index % 10 == 9).then_some(LENGTH_NS),
        })
        .collect();
    // All CPUs, each half, quarters: sets as NUMA nodes and cpusets make them. Set k covers 64 /
    // 2^⌊log2(k+1)⌋ CPUs.
    let cpu_sets = (1..=sets).map(|k| {
        let width = CPUS >> k.ilog2();
        let first = (k - (1 << k.ilog2())) * width;
        (first..first + width).collect()
    });
    let claims = (0..tasks)
        .map(|index| Claim {
            weight: weights[rng.random_range(0..weights.len())],
            demand_ns: if index % 5 == 0 { LENGTH_NS } else { rng.random_range(0..mean_ns.min(LENGTH_NS)) },
            group: rng.random_range(0..=groups.len()).checked_sub(1).map(GroupId),
            cpus: CpuSetId(rng.random_range(0..sets as usize)),
        })
        .collect();
    Demand {
        length_ns: LENGTH_NS,
        capacity_ns: (0..CPUS).map(|c| (c, LENGTH_NS)).collect(),
        cpu_sets: cpu_sets.collect(),
        groups,
        claims,
    }
}

fn bench(c: &mut Criterion) {
    let shapes = [
        ("flat", 0, 1),
        ("100 groups", 100, 1),
        ("8 CPU sets", 0, 8),
        ("100 groups, 8 CPU sets", 100, 8),
        ("100 groups, 127 CPU sets", 100, 127),
    ];
    for (name, groups, sets) in shapes {
        let mut group = c.benchmark_group(name);
        group.sample_size(10);
        for tasks in [1_000, 10_000, 100_000] {
            let demand = demand(tasks, groups, sets);
            group.throughput(Throughput::Elements(tasks as u64));
            group.bench_with_input(BenchmarkId::from_parameter(tasks), &demand, |b, demand| {
                b.iter(|| entitle(black_box(demand)).expect("valid"));
            });
        }
        group.finish();
    }
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    bench(&mut criterion);
    criterion.final_summary();
}
