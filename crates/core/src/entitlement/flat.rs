//! The division in closed form where it has one: tasks that all want the whole interval and may use all CPUs,
//! in no group.
//!
//! [`Flat`] gives what [`entitle`](super::entitle) gives, bit for bit, and follows a set that changes by one
//! task at a time in a time that does not depend on its size. Weights are sorted; the heaviest are full one
//! by one, each with the whole interval, until the level λ of the rest uses up the CPUs: λ = (CPUs · interval
//! − full) / (weight of the rest).

use super::bucket::{is_full, rounded};
use std::collections::BTreeMap;

/// A set of equal claims but for their weights.
#[derive(Clone, Debug)]
pub struct Flat {
    length_ns: u64,
    capacity_ns: u64,
    weights: BTreeMap<u64, u64>,
    count: u64,
    total: u128,
}

impl Flat {
    /// Nobody yet, on some CPUs that are all there for an interval of this length, whose product is below
    /// 2⁶⁴.
    pub fn new(length_ns: u64, cpus: u64) -> Self {
        Self { length_ns, capacity_ns: length_ns * cpus, weights: BTreeMap::new(), count: 0, total: 0 }
    }

    /// One claim more. Its weight is not 0.
    pub fn add(&mut self, weight: u64) {
        *self.weights.entry(weight).or_insert(0) += 1;
        self.count += 1;
        self.total += u128::from(weight);
    }

    /// One claim less, which was there.
    pub fn remove(&mut self, weight: u64) {
        if let Some(count) = self.weights.get_mut(&weight) {
            *count -= 1;
            if *count == 0 {
                self.weights.remove(&weight);
            }
            self.count -= 1;
            self.total -= u128::from(weight);
        }
    }

    /// The level at which all come to rest, in nanoseconds for each unit of weight; infinite where all can
    /// have all.
    pub fn level(&self) -> f64 {
        if u128::from(self.count) * u128::from(self.length_ns) <= u128::from(self.capacity_ns) {
            return f64::INFINITY;
        }
        let capacity = self.capacity_ns as f64;
        let (mut full, mut weight) = (0u128, self.total);
        for (&heaviest, &count) in self.weights.iter().rev() {
            let full_at = self.length_ns as f64 / heaviest as f64;
            for _ in 0..count {
                let fixed_ns = rounded(full);
                if fixed_ns + full_at * rounded(weight) >= capacity {
                    return ((capacity - fixed_ns) / rounded(weight)).max(0.0);
                }
                full += u128::from(self.length_ns);
                weight -= u128::from(heaviest);
            }
        }
        f64::INFINITY
    }

    /// What a claim of some weight is entitled to at a level, in nanoseconds.
    #[inline]
    pub fn entitled_ns(&self, level: f64, weight: u64) -> f64 {
        let length = self.length_ns as f64;
        if is_full(length / weight as f64, level) { length } else { level * weight as f64 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entitlement::{Claim, CpuSet, CpuSetId, Demand, entitle};
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

        #[test]
        fn it_is_the_division_bit_for_bit(
            cpus in 1u32..9,
            weights in prop::collection::vec(prop_oneof![1u64..12, 1u64..5000, 1u64..1 << 50, Just(1024)], 1..40),
            gone in prop::collection::vec(prop_oneof![1u64..12, 1u64..5000], 0..10),
        ) {
            let length_ns = 1_000_000_000;
            let mut flat = Flat::new(length_ns, u64::from(cpus));
            for weight in gone.iter().chain(&weights) {
                flat.add(*weight);
            }
            for weight in &gone {
                flat.remove(*weight);
            }
            let mut all = CpuSet::default();
            (0..cpus).for_each(|cpu| all.insert(cpu));
            let demand = Demand {
                length_ns,
                capacity_ns: (0..cpus).map(|cpu| (cpu, length_ns)).collect(),
                cpu_sets: vec![all],
                groups: Vec::new(),
                claims: weights
                    .iter()
                    .map(|&weight| Claim { weight, demand_ns: length_ns, group: None, cpus: CpuSetId(0) })
                    .collect(),
            };
            let level = flat.level();
            for (weight, share) in weights.iter().zip(entitle(&demand).unwrap().claims) {
                prop_assert_eq!(flat.entitled_ns(level, *weight).to_bits(), share.entitled_ns.to_bits());
            }
        }
    }
}
