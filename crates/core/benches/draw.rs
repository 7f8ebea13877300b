//! How long a lottery takes: it must not depend on the number of draws.
use criterion::{BenchmarkId, Criterion};
use std::hint::black_box;
use tombola_core::draw::{seeded, winners};

fn lotteries(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("winners");
    for holders in [10u64, 1_000] {
        let tickets: Vec<u64> = (1..=holders).collect();
        for draws in [1_000_000, 100_000_000, 1_000_000_000_000] {
            let mut rng = seeded(1);
            let id = BenchmarkId::new(format!("{holders} holders"), format!("{:e} draws", draws as f64));
            group.bench_with_input(id, &draws, |bencher, &draws| {
                bencher.iter(|| winners(black_box(&tickets), black_box(draws), &mut rng));
            });
        }
    }
    group.finish();
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    lotteries(&mut criterion);
    criterion.final_summary();
}
