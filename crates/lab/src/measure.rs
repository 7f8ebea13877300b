//! What a simulation measures while it runs, in memory that does not grow with time.

use super::machine::{CpuIx, TaskIx};
use super::scenario::Scenario;
use tombola_core::histogram::{BUCKETS, Histogram};
use tombola_core::usage::Usage;

/// Parts of each power of two in a [`Sketch`].
const PARTS: u32 = 16;

/// Counts of durations in log-linear buckets: 16 for each power of two, so a quantile is at most 1/16 too
/// high.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sketch {
    counts: Vec<u64>,
    count: u64,
    sum_ns: u128,
    max_ns: u64,
    /// 0 while nothing was recorded.
    min_ns: u64,
}

impl Sketch {
    /// Below 2 × [`PARTS`] a bucket is one nanosecond.
    #[inline]
    fn bucket(ns: u64) -> usize {
        let shift = (ns | u64::from(PARTS)).ilog2() - PARTS.ilog2();
        #[allow(clippy::cast_possible_truncation)] // below 2 × PARTS
        let part = (ns >> shift) as usize;
        (shift * PARTS) as usize + part
    }

    /// Largest duration of a bucket.
    fn upper(bucket: usize) -> u64 {
        let bucket = bucket as u64;
        let parts = u64::from(PARTS);
        if bucket < parts {
            return bucket;
        }
        let (octave, part) = (bucket / parts - 1, bucket % parts);
        let next = (u128::from(parts + part) + 1) << octave;
        u64::try_from(next - 1).unwrap_or(u64::MAX)
    }

    /// Adds one duration.
    #[inline]
    pub fn record(&mut self, ns: u64) {
        let bucket = Self::bucket(ns);
        match self.counts.get_mut(bucket) {
            Some(count) => *count += 1,
            None => self.widen(bucket, ns),
        }
        self.min_ns = self.min_ns.min(ns);
        self.count += 1;
        self.sum_ns += u128::from(ns);
        self.max_ns = self.max_ns.max(ns);
    }

    /// Adds the first duration of a bucket that is longer than any before, or the first of all.
    #[cold]
    fn widen(&mut self, bucket: usize, ns: u64) {
        if self.count == 0 {
            self.min_ns = ns;
        }
        self.counts.resize(bucket, 0);
        self.counts.push(1);
    }

    /// Adds something that is under way and has lasted this long; nothing if that is no time yet.
    pub(super) fn record_open(&mut self, ns: u64) {
        self.record_falling(ns, 1, u64::from(ns > 0));
    }

    /// Adds `n` durations: the first, and each `step` shorter than the one before. All must be above 0.
    pub(super) fn record_falling(&mut self, first_ns: u64, step_ns: u64, n: u64) {
        let Some(last) = n.checked_sub(1) else { return };
        let mut at = first_ns - last * step_ns;
        self.min_ns = if self.count == 0 { at } else { self.min_ns.min(at) };
        self.max_ns = self.max_ns.max(first_ns);
        self.sum_ns += u128::from(n) * u128::from(at + first_ns) / 2;
        self.count += n;
        let mut left = n;
        while left > 0 {
            let bucket = Self::bucket(at);
            let here = left.min((Self::upper(bucket) - at) / step_ns + 1);
            if bucket >= self.counts.len() {
                self.counts.resize(bucket + 1, 0);
            }
            self.counts[bucket] += here;
            left -= here;
            at = at.saturating_add(here.saturating_mul(step_ns));
        }
    }

    /// These, which have ended, and others that have not. The shortest is of those that have ended, if there
    /// are any: of the others it is not known.
    #[must_use]
    pub(super) fn with_open(&self, open: &Self) -> Self {
        let mut all = self.clone();
        if open.count == 0 {
            return all;
        }
        if all.counts.len() < open.counts.len() {
            all.counts.resize(open.counts.len(), 0);
        }
        for (all, open) in all.counts.iter_mut().zip(&open.counts) {
            *all += open;
        }
        all.min_ns = if self.count == 0 { open.min_ns } else { self.min_ns };
        all.count += open.count;
        all.sum_ns += open.sum_ns;
        all.max_ns = all.max_ns.max(open.max_ns);
        all
    }

    /// The sum of all.
    #[cfg(test)]
    pub(super) fn sum_ns(&self) -> u128 {
        self.sum_ns
    }

    /// How many were recorded.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The longest; 0 when there is none.
    pub fn max_ns(&self) -> u64 {
        self.max_ns
    }

    /// The shortest; 0 when there is none.
    pub fn min_ns(&self) -> u64 {
        self.min_ns
    }

    /// The mean; 0 when there is none.
    pub fn mean_ns(&self) -> f64 {
        if self.count == 0 { 0.0 } else { self.sum_ns as f64 / self.count as f64 }
    }

    /// The quantile `q` (0…1), at most 1/16 above the exact one; 0 when nothing was recorded.
    pub fn quantile_ns(&self, q: f64) -> u64 {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // 0 ≤ q·count ≤ count
        let rank = ((q.clamp(0.0, 1.0) * self.count as f64).ceil() as u64).max(1);
        let mut seen = 0;
        for (bucket, n) in self.counts.iter().enumerate() {
            seen += n;
            if seen >= rank {
                return Self::upper(bucket).min(self.max_ns);
            }
        }
        self.max_ns
    }
}

/// What one task instance got. What a decision touches stands first, in one cache line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[repr(C, align(64))]
pub(super) struct Tally {
    pub(super) runtime_ns: u64,
    wait_ns: u64,
    wait_max_ns: u64,
    /// Since when it waits for a CPU.
    pub(super) waits_from_ns: u64,
    pub(super) switches: u64,
    pub(super) involuntary: u64,
    pub(super) migrations: u64,
    /// Entry of the scenario it is an instance of.
    entry: u32,
    woken: bool,
    wakeups: u64,
    /// The part of its run time that went into switches and did no work.
    pub(super) overhead_ns: u64,
    /// Phases or jobs completed.
    pub(super) completed: u64,
    /// Jobs completed after their deadline.
    pub(super) late: u64,
    /// Longest time past a deadline.
    pub(super) tardiness_max_ns: u64,
    /// When it ended.
    pub(super) ended_ns: Option<u64>,
    /// Ended waits.
    waits: [u64; BUCKETS],
}

/// Measurements of a run.
#[derive(Clone, Debug)]
pub(super) struct Meter {
    pub(super) tallies: Vec<Tally>,
    /// Waits and response times by entry of the scenario.
    pub(super) waits: Vec<Sketch>,
    pub(super) responses: Vec<Sketch>,
    pub(super) busy_ns: Vec<u64>,
}

impl Meter {
    pub(super) fn new(scenario: &Scenario) -> Self {
        let mut tallies = Vec::with_capacity(scenario.instances());
        for (entry, task) in scenario.tasks.iter().enumerate() {
            let entry = u32::try_from(entry).unwrap_or(u32::MAX);
            tallies.extend(std::iter::repeat_n(Tally { entry, ..Tally::default() }, task.count as usize));
        }
        Self {
            tallies,
            waits: vec![Sketch::default(); scenario.tasks.len()],
            responses: vec![Sketch::default(); scenario.tasks.len()],
            busy_ns: vec![0; scenario.cpus as usize],
        }
    }

    /// Forgets everything but what is under way.
    pub(super) fn restart(&mut self) {
        for tally in &mut self.tallies {
            let Tally { waits_from_ns, entry, woken, ended_ns, .. } = *tally;
            *tally = Tally { waits_from_ns, entry, woken, ended_ns, ..Tally::default() };
        }
        self.waits.fill(Sketch::default());
        self.responses.fill(Sketch::default());
        self.busy_ns.fill(0);
    }

    /// The counters that the monitor keeps too.
    pub(super) fn usage(&self, task: TaskIx) -> Usage {
        let tally = &self.tallies[task];
        Usage {
            runtime_ns: tally.runtime_ns,
            wait_ns: tally.wait_ns,
            wait_max_ns: tally.wait_max_ns,
            waits: tally.waits.into(),
            switches: tally.switches,
            involuntary: tally.involuntary,
            wakeups: tally.wakeups,
            migrations: tally.migrations,
            ..Usage::default()
        }
    }

    #[inline]
    pub(super) fn ran(&mut self, task: TaskIx, cpu: CpuIx, ran_ns: u64, overhead_ns: u64) {
        let tally = &mut self.tallies[task];
        tally.runtime_ns += ran_ns;
        if overhead_ns > 0 {
            tally.overhead_ns += overhead_ns;
        }
        self.busy_ns[cpu] += ran_ns;
    }

    pub(super) fn wakes(&mut self, task: TaskIx, now_ns: u64) {
        let tally = &mut self.tallies[task];
        tally.waits_from_ns = now_ns;
        tally.woken = true;
    }

    #[inline]
    pub(super) fn starts(&mut self, task: TaskIx, now_ns: u64, moved: bool) {
        let tally = &mut self.tallies[task];
        let wait = now_ns - tally.waits_from_ns;
        tally.wait_ns += wait;
        tally.wait_max_ns = tally.wait_max_ns.max(wait);
        if std::mem::take(&mut tally.woken) {
            tally.wakeups += 1;
        }
        if moved {
            tally.migrations += 1;
        }
        tally.waits[Histogram::bucket(wait)] += 1;
        self.waits[tally.entry as usize].record(wait);
    }

    /// A task runs as soon as it wants to.
    pub(super) fn starts_at_once(&mut self, task: TaskIx) {
        self.waits[self.tallies[task].entry as usize].record(0);
    }

    /// A task gave its CPU up.
    pub(super) fn left(&mut self, task: TaskIx) {
        self.tallies[task].switches += 1;
    }

    /// Another task has the CPU that it still wants.
    #[inline]
    pub(super) fn displaced(&mut self, task: TaskIx, now_ns: u64) {
        let tally = &mut self.tallies[task];
        tally.switches += 1;
        tally.involuntary += 1;
        tally.waits_from_ns = now_ns;
    }

    pub(super) fn completed(&mut self, task: TaskIx, ready_ns: u64, deadline_ns: u64, now_ns: u64) {
        let tally = &mut self.tallies[task];
        tally.completed += 1;
        if now_ns > deadline_ns {
            tally.late += 1;
            tally.tardiness_max_ns = tally.tardiness_max_ns.max(now_ns - deadline_ns);
        }
        self.responses[tally.entry as usize].record(now_ns - ready_ns);
    }

    pub(super) fn ended(&mut self, task: TaskIx, now_ns: u64) {
        self.tallies[task].ended_ns = Some(now_ns);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_sketched_quantile_is_at_most_a_sixteenth_too_high(
            mut durations in prop::collection::vec(0u64..50_000_000_000, 1..200), q in 0.0f64..=1.0,
        ) {
            let mut sketch = Sketch::default();
            for duration in &durations {
                sketch.record(*duration);
            }
            durations.sort_unstable();
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            let rank = ((q * durations.len() as f64).ceil() as usize).clamp(1, durations.len());
            let (exact, got) = (durations[rank - 1], sketch.quantile_ns(q));
            prop_assert!(exact <= got && got - exact <= exact / 16, "{exact} {got}");
        }

        #[test]
        fn a_falling_row_is_recorded_as_its_members_are(
            last in 1u64..1_000_000_000, step in 1u64..40_000_000, n in 0u64..300,
        ) {
            let (mut row, mut each) = (Sketch::default(), Sketch::default());
            row.record_falling(last + n.saturating_sub(1) * step, step, n);
            (0..n).for_each(|i| each.record(last + i * step));
            prop_assert_eq!(row, each);
        }

        #[test]
        fn buckets_are_ordered_and_closed(ns in any::<u64>()) {
            let bucket = Sketch::bucket(ns);
            prop_assert!(ns <= Sketch::upper(bucket));
            prop_assert!(bucket == 0 || Sketch::upper(bucket - 1) < ns);
        }
    }
}
