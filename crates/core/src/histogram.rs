//! Log₂ histograms of durations in microseconds, the shape every scheduler tool prints.

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

/// Buckets in a histogram.
pub const BUCKETS: usize = 24;

/// Counts of durations by power of two: bucket 0 holds less than 1 µs, bucket k ≥ 1 holds [2^(k−1), 2^k) µs,
/// and the last one, 23, everything from 2^22 µs (4.2 s) on.
///
/// Kept are the buckets from the first to the last that hold something: of most tasks there are few, and
/// thousands of tasks are held.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(from = "[u64; BUCKETS]", into = "[u64; BUCKETS]")]
pub struct Histogram {
    /// Number of the first bucket that is kept; 0 where none is.
    first: u8,
    /// What it and those behind it hold; neither the first nor the last is 0. Two take no memory elsewhere.
    kept: SmallVec<[u64; 2]>,
}

impl From<[u64; BUCKETS]> for Histogram {
    fn from(counts: [u64; BUCKETS]) -> Self {
        let Some(first) = counts.iter().position(|n| *n > 0) else { return Self::default() };
        let end = counts.iter().rposition(|n| *n > 0).map_or(BUCKETS, |last| last + 1);
        #[allow(clippy::cast_possible_truncation)] // less than BUCKETS
        Self { first: first as u8, kept: SmallVec::from_slice(&counts[first..end]) }
    }
}

impl From<Histogram> for [u64; BUCKETS] {
    fn from(histogram: Histogram) -> Self {
        histogram.counts()
    }
}

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

    /// What each bucket holds.
    pub fn counts(&self) -> [u64; BUCKETS] {
        let mut counts = [0; BUCKETS];
        let first = usize::from(self.first);
        counts[first..first + self.kept.len()].copy_from_slice(&self.kept);
        counts
    }

    /// Whether it holds these counts: of most tasks that is known without making one of them.
    pub fn is_of(&self, counts: &[u64; BUCKETS]) -> bool {
        let (first, kept) = (usize::from(self.first), self.kept.len());
        let (before, rest) = counts.split_at(first);
        let (same, behind) = rest.split_at(kept);
        *same == *self.kept && before.iter().chain(behind).all(|n| *n == 0)
    }

    /// Numbers of the buckets that are kept, and what they hold.
    fn kept(&self) -> impl Iterator<Item = (usize, u64)> + '_ {
        (usize::from(self.first)..).zip(self.kept.iter().copied())
    }

    /// Adds one duration.
    pub fn record(&mut self, duration_ns: u64) {
        self.add(Self::bucket(duration_ns), 1);
    }

    fn add(&mut self, bucket: usize, n: u64) {
        let at = bucket.checked_sub(usize::from(self.first));
        if let Some(count) = at.and_then(|at| self.kept.get_mut(at)) {
            *count += n;
        } else {
            let mut counts = self.counts();
            counts[bucket] += n;
            *self = counts.into();
        }
    }

    /// How many durations were recorded.
    pub fn count(&self) -> u64 {
        self.kept.iter().sum()
    }

    /// What was recorded since `earlier`; a bucket that went backwards counts as empty.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        if self == earlier {
            return Self::default(); // most tasks sleep
        }
        let mut counts = self.counts();
        for (bucket, n) in earlier.kept() {
            counts[bucket] = counts[bucket].saturating_sub(n);
        }
        counts.into()
    }

    /// Adds all counts of another histogram.
    pub fn merge(&mut self, other: &Self) {
        for (bucket, n) in other.kept() {
            if n > 0 {
                self.add(bucket, n);
            }
        }
    }

    /// Upper bound in nanoseconds of the bucket that holds the quantile `q` (0…1), or `None` when nothing was
    /// recorded. `max_ns`, the longest duration recorded, bounds the answer from above and closes the last
    /// bucket.
    pub fn quantile_ns(&self, q: f64, max_ns: u64) -> Option<u64> {
        let count = self.count();
        if count == 0 {
            return None;
        }
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // 0 ≤ q·count ≤ count
        let rank = ((q.clamp(0.0, 1.0) * count as f64).ceil() as u64).clamp(1, count);
        let mut seen = 0;
        for (bucket, n) in self.kept() {
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

    /// Any counts, most of them 0.
    fn any_counts() -> impl Strategy<Value = [u64; BUCKETS]> {
        prop::array::uniform24(prop_oneof![3 => Just(0), 1 => 0u64..1 << 40])
    }

    proptest! {
        /// The plain array, which it was before it kept what it needs.
        #[test]
        fn it_counts_as_an_array_does(a in any_counts(), b in any_counts(), durations in prop::collection::vec(any::<u64>(), 0..9)) {
            let (mut histogram, mut array) = (Histogram::from(a), a);
            prop_assert_eq!(histogram.counts(), a);
            prop_assert!(histogram.is_of(&a));
            prop_assert_eq!(histogram.is_of(&b), a == b);
            prop_assert_eq!(histogram.since(&b.into()).counts(), std::array::from_fn(|at| a[at].saturating_sub(b[at])));
            histogram.merge(&b.into());
            for duration in durations {
                histogram.record(duration);
                array[Histogram::bucket(duration)] += 1;
            }
            let sums: [u64; BUCKETS] = std::array::from_fn(|at| array[at] + b[at]);
            prop_assert_eq!(histogram.counts(), sums);
            prop_assert_eq!(&histogram, &Histogram::from(sums), "one form for the same counts");
            prop_assert_eq!(histogram.count(), sums.iter().sum::<u64>());
        }

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
