//! How a scheduler is to run.

use crate::error::{Error, Result};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// By which law the CPU is handed out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Law {
    /// Who runs next is drawn, with chances in proportion to tickets.
    #[default]
    Lottery,
    /// Stride: the same shares without chance.
    Stride,
}

impl Law {
    /// What sched_ext calls the scheduler.
    pub(crate) fn ops_name(self) -> &'static str {
        match self {
            Self::Lottery => "tombola_lottery",
            Self::Stride => "tombola_stride",
        }
    }
}

impl fmt::Display for Law {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Lottery => "lottery",
            Self::Stride => "stride",
        })
    }
}

impl FromStr for Law {
    type Err = Error;

    fn from_str(word: &str) -> Result<Self> {
        match word {
            "lottery" => Ok(Self::Lottery),
            "stride" => Ok(Self::Stride),
            _ => Err(Error::SchedulerOption(format!("unknown policy '{word}'; use 'lottery' or 'stride'"))),
        }
    }
}

/// A deliberate fault, for tests that must detect it. No flag of the binary reaches it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// Keys are not offset by the clock of their queue: newcomers race against the spent residuals of others.
    NoOffset,
    /// Keys U/t in place of E/t.
    UniformKeys,
    /// The task whose slice is over does not compete: shares ∝ t(T − t).
    PreviousOut,
    /// What a task leaves unused of its slice is lost.
    NoCompensation,
    /// The guard lets nobody through.
    NoGuard,
}

/// How long a slice lasts at most: 100 µs to 1 s, 5 ms by default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slice(Duration);

impl Slice {
    /// Below it a scheduler does little but switch.
    pub const LEAST: Duration = Duration::from_micros(100);
    /// Above it the watchdog is near.
    pub const MOST: Duration = Duration::from_secs(1);

    /// # Errors
    /// [`Error::SchedulerOption`] outside [`Self::LEAST`] to [`Self::MOST`].
    pub fn new(length: Duration) -> Result<Self> {
        if (Self::LEAST..=Self::MOST).contains(&length) {
            return Ok(Self(length));
        }
        Err(Error::SchedulerOption(format!("a slice of {length:?}; it must be from 100us to 1s")))
    }

    /// Its length.
    pub fn get(self) -> Duration {
        self.0
    }
}

impl Default for Slice {
    fn default() -> Self {
        Self(Duration::from_millis(5))
    }
}

/// How long a task may wait before it goes first: 100 ms to 20 s, 10 s by default.
///
/// The watchdog of sched_ext throws a scheduler out when a task has waited for 30 s. What the guard lets
/// through runs in order of coming, one slice each, so there is room between the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Guard(Duration);

impl Guard {
    /// Below it the guard would schedule in place of the lottery.
    pub const LEAST: Duration = Duration::from_millis(100);
    /// Above it the watchdog is near.
    pub const MOST: Duration = Duration::from_secs(20);

    /// # Errors
    /// [`Error::SchedulerOption`] outside [`Self::LEAST`] to [`Self::MOST`].
    pub fn new(bound: Duration) -> Result<Self> {
        if (Self::LEAST..=Self::MOST).contains(&bound) {
            return Ok(Self(bound));
        }
        Err(Error::SchedulerOption(format!("a guard of {bound:?}; it must be from 100ms to 20s")))
    }

    /// The bound.
    pub fn get(self) -> Duration {
        self.0
    }
}

impl Default for Guard {
    fn default() -> Self {
        Self(Duration::from_secs(10))
    }
}

/// Everything a start can be told.
#[derive(Clone, Copy, Debug, Default)]
pub struct SchedulerOptions {
    /// By which law.
    pub law: Law,
    /// Slice.
    pub slice: Slice,
    /// Guard.
    pub guard: Guard,
    /// Whether only tasks of the policy `SCHED_EXT` are scheduled, and all others stay with the fair class.
    pub partial: bool,
    /// A fault, in tests.
    pub flaw: Option<Flaw>,
    /// How long the kernel's watchdog lets a task wait, in tests that must not take longer than that; 30 s
    /// otherwise, the most that the kernel grants.
    pub watchdog: Option<Duration>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_kept_and_named() {
        assert!(Slice::new(Duration::from_micros(99)).is_err());
        assert!(Slice::new(Duration::from_millis(1)).is_ok());
        assert!(Guard::new(Duration::from_secs(30)).unwrap_err().to_string().contains("20s"));
        assert!("fifo".parse::<Law>().unwrap_err().to_string().contains("'stride'"));
        assert_eq!("stride".parse::<Law>().unwrap(), Law::Stride);
    }

    #[test]
    fn the_guard_leaves_the_watchdog_room() {
        // It looks 16 times in its length; then whoever was found runs within some slices.
        assert!(Guard::MOST + Guard::MOST / 16 + 2 * Slice::MOST < Duration::from_secs(30));
    }
}
