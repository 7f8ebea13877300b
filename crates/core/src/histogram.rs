//! Log₂ histograms of durations in microseconds, the shape every scheduler tool prints.

use serde::{Deserialize, Serialize};

/// Buckets in a histogram.
pub const BUCKETS: usize = 24;

/// Counts of durations by power of two: bucket 0 holds less than 1 µs, bucket k ≥ 1 holds [2^(k−1), 2^k) µs, and the
/// last one, 23, everything from 2^22 µs (4.2 s) on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Histogram(pub [u64; BUCKETS]);

impl Histogram {
    /// Bucket of a duration in nanoseconds.
    pub fn bucket(duration_ns: u64) -> usize {
        let us = duration_ns / 1000;
        ((u64::BITS - us.leading_zeros()) as usize).min(BUCKETS - 1)
    }

    /// Lower and upper edge of a bucket in nanoseconds; the last bucket has no upper edge.
    pub fn edges_ns(bucket: usize) -> (u64, Option<u64>) {
        let low = if bucket == 0 { 0 } else { 1000 << (bucket - 1) };
        (low, (bucket < BUCKETS - 1).then(|| 1000 << bucket))
    }

    /// Adds one duration.
    pub fn record(&mut self, duration_ns: u64) {
        self.0[Self::bucket(duration_ns)] += 1;
    }

    /// How many durations were recorded.
    pub fn count(&self) -> u64 {
        self.0.iter().sum()
    }

    /// What was recorded since `earlier`; a bucket that went backwards counts as empty.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        Self(std::array::from_fn(|i| self.0[i].saturating_sub(earlier.0[i])))
    }

    /// Adds all counts of another histogram.
    pub fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.0.iter_mut().zip(other.0) {
            *mine += theirs;
        }
    }

    /// Upper bound in nanoseconds of the bucket that holds the quantile `q` (0…1), or `None` when nothing was
    /// recorded. `max_ns`, the longest duration recorded, bounds the answer from above and closes the last bucket.
    pub fn quantile_ns(&self, q: f64, max_ns: u64) -> Option<u64> {
        let count = self.count();
        if count == 0 {
            return None;
        }
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // 0 ≤ q·count ≤ count
        let rank = ((q.clamp(0.0, 1.0) * count as f64).ceil() as u64).clamp(1, count);
        let mut seen = 0;
        for (bucket, n) in self.0.iter().enumerate() {
            seen += n;
            if seen >= rank {
                return Some(Self::edges_ns(bucket).1.map_or(max_ns, |upper| upper.min(max_ns)));
            }
        }
        Some(max_ns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn bucket_edges_are_powers_of_two_microseconds() {
        assert_eq!(Histogram::bucket(999), 0);
        assert_eq!(Histogram::bucket(1_000), 1);
        assert_eq!(Histogram::bucket(1_999), 1);
        assert_eq!(Histogram::bucket(2_000), 2);
        assert_eq!(Histogram::bucket(u64::MAX), BUCKETS - 1);
        assert_eq!(Histogram::edges_ns(0), (0, Some(1_000)));
        assert_eq!(Histogram::edges_ns(23), (4_194_304_000, None));
    }

    proptest! {
        #[test]
        fn a_duration_lies_within_the_edges_of_its_bucket(ns in any::<u64>()) {
            let (low, high) = Histogram::edges_ns(Histogram::bucket(ns));
            prop_assert!(low <= ns && high.is_none_or(|high| ns < high));
        }

        #[test]
        fn the_quantile_is_at_most_one_bucket_above_the_sorted_answer(
            mut durations in prop::collection::vec(0u64..20_000_000_000, 1..200), q in 0.0f64..=1.0,
        ) {
            let mut histogram = Histogram::default();
            for duration in &durations {
                histogram.record(*duration);
            }
            durations.sort_unstable();
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            let rank = ((q * durations.len() as f64).ceil() as usize).clamp(1, durations.len());
            let exact = durations[rank - 1];
            let got = histogram.quantile_ns(q, *durations.last().unwrap()).unwrap();
            prop_assert!(got >= exact);
            prop_assert!(Histogram::bucket(got.saturating_sub(1)) <= Histogram::bucket(exact));
        }
    }
}
