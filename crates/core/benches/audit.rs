//! What it costs to audit an interval, findings and rows included. Goal: 10,000 threads well under 100 ms.

mod crowd;

use criterion::{BenchmarkId, Criterion, Throughput};
use crowd::Crowd;
use std::hint::black_box;
use tombola_core::audit::{Audit, By};
use tombola_core::window::Window;

/// Everybody ran, and quotas and sets of CPUs are in the way.
const CROWD: Crowd = Crowd { groups: 100, is_bound: true, awake: 1 };

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("audit");
    group.sample_size(10);
    for tasks in [1_000, 10_000, 100_000] {
        let (earlier, later) = crowd::snapshots(tasks, CROWD, || ());
        let window = Window::between(&earlier, &later);
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
