//! The one loop that asks a world for its next interval: at equal distances where it is live, at once where
//! it is past.

use crate::interrupt::Interrupt;
use anyhow::{Context, Result, anyhow};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike as _;
use std::io::{self, Write};
use std::thread;
use std::time::{Duration, Instant};
use tombola_core::frame::Frame;
use tombola_core::source::{Origin, Source};
use tombola_core::window::Window;

/// What a private monitor needs to get to know the machine: it learns a task's group, and what that group was
/// throttled, when the task leaves a CPU. Two of the usual periods of a quota.
pub const ACQUAINTANCE: Duration = Duration::from_millis(200);

/// What ends a wait before its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waited {
    /// Nothing.
    Full,
    /// There will be no further interval; what has passed of this one counts.
    Last,
    /// There will be no further interval, and what has passed of this one is not wanted.
    Never,
}

/// What the first interval of a live world reaches back to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum First {
    /// The moment the source began to measure. A loaded monitor has something to tell at once.
    SinceBegin,
    /// Now.
    FromNow,
}

/// Intervals of a source, one after the other.
pub struct Pace {
    source: Box<dyn Source>,
    interval: Option<Duration>,
    left: Option<u64>,
    before: Option<Frame>,
    rhythm: Rhythm,
}

/// One interval.
pub struct Step<'a> {
    /// What happened in it.
    pub window: Window,
    /// The frame at its end.
    pub frame: &'a Frame,
}

impl Pace {
    /// Intervals of a source. `iterations` of 0 never end, and an interval of `None` ends when its wait does,
    /// or with the world.
    ///
    /// # Errors
    /// Whatever keeps the source from being read.
    pub fn new(
        mut source: Box<dyn Source>,
        interval: Option<Duration>,
        iterations: u64,
        first: First,
    ) -> Result<Self> {
        let origin = source.origin();
        let mut before = None;
        if first == First::FromNow && origin.is_live() {
            if origin == Origin::Private {
                thread::sleep(ACQUAINTANCE);
            }
            before = sample(source.as_mut(), None)?;
        }
        if origin == Origin::Recorded {
            // What a past world was at its begin: groups that it knows then have counted nothing yet.
            before = sample(source.as_mut(), Some(Duration::ZERO))?;
        }
        let at_once = first == First::SinceBegin && origin == Origin::Loaded;
        let rhythm = Rhythm::new(interval.unwrap_or_default(), at_once);
        Ok(Self { source, interval, left: (iterations > 0).then_some(iterations), before, rhythm })
    }

    /// What the next interval is measured against; `None` where that is the moment at which the source began.
    pub fn before(&self) -> Option<&Frame> {
        self.before.as_ref()
    }

    /// The next interval, which `wait` lets pass where the world is live; `None` after the last one.
    ///
    /// # Errors
    /// Whatever keeps the source from being read.
    pub fn next(
        &mut self,
        wait: impl FnOnce(Option<Duration>) -> Result<Waited>,
    ) -> Result<Option<Step<'_>>> {
        if self.left == Some(0) {
            return Ok(None);
        }
        let length = match (self.source.origin().is_live(), self.interval) {
            (false, _) => Some(Duration::ZERO),
            (true, interval) => interval.map(|_| self.rhythm.until_next()),
        };
        self.left = match wait(length)? {
            Waited::Never if self.source.origin().is_live() => return Ok(None),
            // A past world is asked once more: it says how much of it was read.
            Waited::Never | Waited::Last => Some(0),
            Waited::Full => self.left.map(|left| left - 1),
        };
        let Some(frame) = sample(self.source.as_mut(), self.interval)? else { return Ok(None) };
        let window = frame.since(self.before.as_ref());
        Ok(Some(Step { window, frame: self.before.insert(frame) }))
    }
}

/// Waits until the interval is over or a signal ends the run; what has passed until then counts.
pub fn wait_for(interrupt: &Interrupt, length: Option<Duration>) -> Waited {
    if interrupt.wait(length.unwrap_or(Duration::MAX)) { Waited::Last } else { Waited::Full }
}

fn sample(source: &mut dyn Source, interval: Option<Duration>) -> Result<Option<Frame>> {
    let what =
        if source.origin().is_live() { "cannot read the monitor" } else { "cannot read the recording" };
    source.next(interval).map_err(|error| anyhow!(error)).context(what)
}

/// Instants at equal distances. After a stop (SIGSTOP, suspend) the distances begin anew, without a burst of
/// those that were missed.
pub struct Rhythm {
    interval: Duration,
    next: Instant,
}

impl Rhythm {
    /// Begins now, with its first instant at once or an interval later.
    pub fn new(interval: Duration, at_once: bool) -> Self {
        let now = Instant::now();
        Self { interval, next: if at_once { now } else { now + interval } }
    }

    /// Time until the next instant, which is then behind us.
    pub fn until_next(&mut self) -> Duration {
        self.step(Instant::now())
    }

    fn step(&mut self, now: Instant) -> Duration {
        let late = now.saturating_duration_since(self.next);
        let wait = self.next.saturating_duration_since(now);
        self.next = if late > self.interval { now + self.interval } else { self.next + self.interval };
        wait
    }
}

/// CPU time that this process has used, ns.
pub fn cpu_ns() -> u64 {
    cpu_ns_of(UsageWho::RUSAGE_SELF)
}

/// CPU time that the children of this process had used which have ended and were waited for, and those that
/// these had waited for, ns.
pub fn cpu_of_children_ns() -> u64 {
    cpu_ns_of(UsageWho::RUSAGE_CHILDREN)
}

fn cpu_ns_of(who: UsageWho) -> u64 {
    getrusage(who).map_or(0, |usage| {
        let us = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
        u64::try_from(us).unwrap_or(0).saturating_mul(1000)
    })
}

/// A word to the user that is no part of the output. If nobody hears it, the work goes on.
pub fn notify(notice: &str) {
    let _ = writeln!(io::stderr(), "tombola: {notice}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_keep_their_distance_and_missed_ones_are_skipped() {
        let second = Duration::from_secs(1);
        let mut rhythm = Rhythm::new(second, true);
        let start = rhythm.next;
        assert_eq!(rhythm.step(start), Duration::ZERO);
        assert_eq!(rhythm.step(start + second / 4), second * 3 / 4);
        assert_eq!(
            rhythm.step(start + second * 9 / 8),
            second * 7 / 8,
            "a slow sample does not move the next"
        );
        assert_eq!(rhythm.step(start + second * 100), Duration::ZERO, "stopped for long: once now");
        assert_eq!(rhythm.step(start + second * 100), second, "and then an interval later");
    }
}
