//! Scheduling decisions per second: burners on one CPU, one decision each quantum.

#![allow(missing_docs)] // criterion_group! makes an undocumented function

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use std::fmt::Write;
use std::hint::black_box;
use tombola_core::sim::engine::Simulation;
use tombola_core::sim::policy::PolicyKind;
use tombola_core::sim::scenario::Scenario;

/// Decisions measured at a time.
const DECISIONS: u64 = 100_000;

fn burners(count: u32) -> Scenario {
    let mut text = String::from("name='burners'\nquantum='1ms'\nduration='100h'\n");
    for tickets in 1..=10 {
        let _ = write!(text, "[[task]]\nname='t{tickets}'\ncount={}\ntickets={tickets}\n", count / 10);
    }
    Scenario::from_toml(&text).expect("a scenario")
}

fn decisions(c: &mut Criterion) {
    let mut group = c.benchmark_group("decisions");
    group.throughput(Throughput::Elements(DECISIONS)).sample_size(20);
    for policy in [
        PolicyKind::Lottery,
        PolicyKind::LotteryTree,
        PolicyKind::Stride,
        PolicyKind::HierarchicalStride,
        PolicyKind::Eevdf,
        PolicyKind::RoundRobin,
    ] {
        for count in [100, 10_000] {
            let scenario = burners(count);
            let mut simulation = Simulation::new(&scenario, policy, 1, 0);
            let mut until = 0;
            group.bench_function(BenchmarkId::new(policy.name(), count), |b| {
                b.iter(|| {
                    until += DECISIONS * 1_000_000;
                    black_box(simulation.run_until(until))
                });
            });
        }
    }
    group.finish();
}

criterion_group!(benches, decisions);
criterion_main!(benches);
