//! The recording's clock.
//!
//! Switches have the time of their CPU's run-queue clock, everything else that of `CLOCK_MONOTONIC`. What
//! matters most is that durations between switches are exact, so the recording's clock is the run queue's,
//! moved by a distance that stays the same for the whole recording: chosen so that it begins as the monotonic
//! clock. The monotonic one is slewed by NTP, by up to 500 ppm, so it drifts away from that; the pairs in the
//! lane tell how far, and stamps of it are moved back by as much.

/// The monotonic clock is slewed by at most 500 ppm (kernel/time/ntp.c, MAXFREQ), about 1/2048.
const SLEW_SHIFT: u32 = 11;
/// How much later than usual the second clock of a pair may be read, where nothing stands still: cold caches,
/// an interrupt.
const JITTER_NS: u64 = 10_000;

/// One CPU's clocks.
#[derive(Debug, Default)]
pub(super) struct Timeline {
    /// Monotonic clock less run-queue clock, as it was at the begin.
    begin: Option<u64>,
    /// The run queue's clock at the latest pair that was taken in, and the distance then.
    late: Option<(u64, u64)>,
    /// Whether the latest pair was left out.
    left_out: bool,
    /// Begin of the recording: what seems to lie before it is put there.
    floor_ns: u64,
    /// The latest stamp that was given out.
    last_ns: u64,
    /// Stamps that lay before it.
    pub(super) backwards: u64,
}

impl Timeline {
    /// Of a recording that begins then.
    pub(super) fn new(begin_ns: u64) -> Self {
        Self { floor_ns: begin_ns, last_ns: begin_ns, ..Self::default() }
    }

    /// Whether its distance is known.
    pub(super) fn is_tied(&self) -> bool {
        self.begin.is_some()
    }

    /// Ties it, from the first pairs of the CPU. Of a pair the run queue's clock was read first, up to a
    /// stall of the machine before the other: the least distance is the truest. Nothing happens without a
    /// pair.
    pub(super) fn tie(&mut self, pairs: impl Iterator<Item = (u64, u64)>) {
        let least = pairs.map(|(clock, mono)| mono.wrapping_sub(clock).cast_signed()).min();
        self.begin = self.begin.or(least.map(i64::cast_unsigned));
    }

    /// Takes another pair in. One with a stall between its readings is left out, once: twice in a row, the
    /// clocks have parted.
    pub(super) fn pair(&mut self, clock_ns: u64, mono_ns: u64) {
        let distance = mono_ns.wrapping_sub(clock_ns);
        if let Some((clock_before, before)) = self.late {
            let slewed = clock_ns.saturating_sub(clock_before) >> SLEW_SHIFT;
            let late = distance.wrapping_sub(before).cast_signed();
            if late > 0 && late.unsigned_abs() > slewed + JITTER_NS && !self.left_out {
                self.left_out = true;
                return;
            }
        }
        self.left_out = false;
        self.late = Some((clock_ns, distance));
    }

    /// An instant of the run queue's clock.
    pub(super) fn of_clock(&mut self, clock_ns: u64) -> u64 {
        self.forward(self.moved(clock_ns))
    }

    /// An instant of the monotonic clock, at the latest that of the next switch on the CPU, where it is
    /// known: distances are known less exactly than that order.
    pub(super) fn of_monotonic(&mut self, mono_ns: u64, next_switch_ns: Option<u64>) -> u64 {
        let latest = next_switch_ns.map_or(u64::MAX, |clock| self.moved(clock));
        self.last_ns = mono_ns.wrapping_sub(self.drift_ns()).min(latest).max(self.last_ns);
        self.last_ns
    }

    /// How far the monotonic clock is ahead of the recording's (wrapping: it may be behind).
    pub(super) fn drift_ns(&self) -> u64 {
        match (self.late, self.begin) {
            (Some((_, now)), Some(begin)) => now.wrapping_sub(begin),
            _ => 0,
        }
    }

    fn moved(&self, clock_ns: u64) -> u64 {
        clock_ns.wrapping_add(self.begin.unwrap_or(0))
    }

    /// A stamp that is not before the one before it.
    fn forward(&mut self, ts_ns: u64) -> u64 {
        self.backwards += u64::from(ts_ns < self.last_ns && self.last_ns > self.floor_ns);
        self.last_ns = self.last_ns.max(ts_ns);
        self.last_ns
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_between_switches_are_those_of_the_queue_however_the_other_clock_drifts() {
        let mut line = Timeline::default();
        line.tie([(1_000, 51_200), (2_000, 52_100), (3_000, 54_000)].into_iter());
        assert_eq!(line.of_clock(1_000), 51_100, "tied by the pair read with the least delay");
        for second in 1..100u64 {
            // 500 ppm, and a stall of a millisecond in every other pair.
            let clock = 1_000 + second * 1_000_000_000;
            line.pair(clock, clock + 50_100 + second * 500_000 + second % 2 * 1_000_000);
        }
        assert_eq!(line.of_clock(5_000_001_000) - 51_100, 5_000_000_000);
        assert_eq!(line.backwards, 0);
    }

    #[test]
    fn stamps_of_the_other_clock_stay_between_the_switches_around_them() {
        let mut line = Timeline::default();
        line.tie([(0, 1_000)].into_iter());
        for at in 1..100u64 {
            let clock = at * 67_000_000;
            // 500 ppm; the pair is read 300 ns late, every tenth one a millisecond.
            let mono = |clock: u64| clock + 1_000 + clock / 2_048;
            let stall = if at % 10 == 0 { 1_000_000 } else { 300 };
            line.pair(clock, mono(clock) + stall);
            let switch = line.of_clock(clock);
            let wake = line.of_monotonic(mono(clock + 40_000), Some(clock + 41_000));
            let off = (wake - switch).abs_diff(40_000);
            // Where a pair is left out, the one before it is 67 ms old, in which the clocks part by 33 us.
            assert!(off <= if at % 10 == 0 { 34_000 } else { 400 }, "{at}: {off}");
            assert!(wake <= switch + 41_000);
        }
        assert_eq!(line.backwards, 0);
    }

    #[test]
    fn a_wake_that_seems_later_than_the_next_switch_is_put_before_it() {
        let mut line = Timeline::default();
        line.tie([(0, 1_000)].into_iter());
        assert_eq!(line.of_monotonic(1_500, Some(400)), 1_400);
        assert_eq!((line.of_clock(400), line.backwards), (1_400, 0));
    }

    #[test]
    fn time_never_runs_backwards_and_is_counted_where_it_would() {
        let mut line = Timeline::default();
        line.tie([(0, 0)].into_iter());
        assert_eq!((line.of_clock(10), line.of_clock(7), line.of_clock(12)), (10, 10, 12));
        assert_eq!(line.of_monotonic(3, None), 12);
        assert_eq!(line.backwards, 1);
    }
}
