//! Scheduling decisions per second: burners on one CPU, one decision each quantum.
//!
//! In CPU time: what other processes take of the CPU is not the engine's.

#![allow(missing_docs)] // criterion_group! makes an undocumented function

use cpu_time::ProcessTime;
use criterion::measurement::{Measurement, ValueFormatter, WallTime};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use std::fmt::Write;
use std::hint::black_box;
use std::time::Duration;
use tombola_lab::engine::Simulation;
use tombola_lab::policy::PolicyKind;
use tombola_lab::scenario::Scenario;

/// Decisions measured at a time.
const DECISIONS: u64 = 100_000;

/// CPU time of this process, which has one thread that works.
struct CpuTime;

impl Measurement for CpuTime {
    type Intermediate = ProcessTime;
    type Value = Duration;

    fn start(&self) -> ProcessTime {
        ProcessTime::now()
    }

    fn end(&self, start: ProcessTime) -> Duration {
        start.elapsed()
    }

    fn add(&self, one: &Duration, other: &Duration) -> Duration {
        *one + *other
    }

    fn zero(&self) -> Duration {
        Duration::ZERO
    }

    fn to_f64(&self, value: &Duration) -> f64 {
        WallTime.to_f64(value)
    }

    fn formatter(&self) -> &dyn ValueFormatter {
        WallTime.formatter()
    }
}

fn burners(count: u32) -> Scenario {
    let mut text = String::from("name='burners'\nquantum='1ms'\nduration='100h'\n");
    for tickets in 1..=10 {
        let _ = write!(text, "[[task]]\nname='t{tickets}'\ncount={}\ntickets={tickets}\n", count / 10);
    }
    Scenario::from_toml(&text).expect("a scenario")
}

fn decisions(c: &mut Criterion<CpuTime>) {
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

criterion_group! {
    name = benches;
    config = Criterion::default().with_measurement(CpuTime);
    targets = decisions
}
criterion_main!(benches);
