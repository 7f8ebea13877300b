//! The heap of the policies against another four-ary one: the first entry is taken out and put back later in
//! the order, as a scheduler does. orx's takes any of equal keys first; with the number of the item in its
//! key it has the order that the laws ask for.

#![allow(missing_docs)] // criterion_group! makes an undocumented function

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use orx_priority_queue::{DaryHeap, PriorityQueue as _};
use tombola_lab::heap::IndexedHeap;

/// Entries that the heap has.
const ENTRIES: [u32; 2] = [100, 10_000];

/// A step of Marsaglia's xorshift: how far behind an entry is put back.
fn next(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state >> 44
}

fn heaps(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("heap");
    for entries in ENTRIES {
        let mut state = 88_172_645_463_325_252;
        let keys: Vec<u64> = (0..entries).map(|_| next(&mut state)).collect();
        group.bench_function(BenchmarkId::new("own", entries), |bencher| {
            let mut heap = IndexedHeap::new(keys.len());
            keys.iter().enumerate().for_each(|(item, key)| heap.set(item, *key));
            bencher.iter(|| {
                if let Some((key, item)) = heap.pop() {
                    heap.set(item, key + next(&mut state));
                }
            });
        });
        group.bench_function(BenchmarkId::new("orx, ties by number", entries), |bencher| {
            let mut heap = DaryHeap::<u32, (u64, u32), 4>::default();
            (0..).zip(&keys).for_each(|(item, key)| heap.push(item, (*key, item)));
            bencher.iter(|| {
                if let Some((item, (key, _))) = heap.pop() {
                    heap.push(item, (key + next(&mut state), item));
                }
            });
        });
        group.bench_function(BenchmarkId::new("orx, ties in no order", entries), |bencher| {
            let mut heap = DaryHeap::<u32, u64, 4>::default();
            (0..).zip(&keys).for_each(|(item, key)| heap.push(item, *key));
            bencher.iter(|| {
                if let Some((item, key)) = heap.pop() {
                    heap.push(item, key + next(&mut state));
                }
            });
        });
    }
    group.finish();
}

criterion_group!(benches, heaps);
criterion_main!(benches);
