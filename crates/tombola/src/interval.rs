//! Lengths of time on the command line, within a range.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;
use thiserror::Error;
use tombola_core::duration::parse_ns;

pub use tombola_core::duration::Plain;

/// A text that is no length of time, or one outside the range accepted here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("it must be a length of time from {} to {}, such as 1, 0.5, 250ms, 2s or 1min", Plain(*.min), Plain(*.max))]
pub struct NoLength {
    min: Duration,
    max: Duration,
}

/// Parses a length of time from `min` to `max`, both included, in the grammar of [`tombola_core::duration`].
///
/// # Errors
/// [`NoLength`], which names the range, for everything else.
pub fn length_between(text: &str, min: Duration, max: Duration) -> Result<Duration, NoLength> {
    let length = parse_ns(text).ok().map(Duration::from_nanos);
    length.filter(|length| (min..=max).contains(length)).ok_or(NoLength { min, max })
}

/// Time between two samples, 1 ms to 1 day; 1 s unless told otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interval(Duration);

impl Interval {
    /// Below this the reader itself would be the load it measures.
    pub const MIN: Duration = Duration::from_millis(1);
    /// A sample a day.
    pub const MAX: Duration = Duration::from_secs(86_400);

    /// The length, from the monotonic clock's point of view.
    pub fn get(self) -> Duration {
        self.0
    }
}

impl Default for Interval {
    fn default() -> Self {
        Self(Duration::from_secs(1))
    }
}

impl FromStr for Interval {
    type Err = NoLength;

    fn from_str(text: &str) -> Result<Self, NoLength> {
        length_between(text, Self::MIN, Self::MAX).map(Self)
    }
}

impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Plain(self.0).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_forms_of_the_manual_are_understood() {
        for (text, ms) in [
            ("1", 1000),
            ("0.5", 500),
            (".5", 500),
            ("250ms", 250),
            ("2s", 2000),
            ("1m", 60_000),
            ("1min", 60_000),
            ("1ms", 1),
            ("1000us", 1),
            ("0.001", 1),
            ("24h", 86_400_000),
            ("86400", 86_400_000),
            ("1d", 86_400_000),
        ] {
            assert_eq!(text.parse::<Interval>().unwrap().get(), Duration::from_millis(ms), "{text}");
        }
    }

    #[test]
    fn everything_else_is_refused_with_the_range() {
        for text in [
            "0",
            "0ms",
            "-1",
            "-0",
            "+1",
            "1e9",
            "1e-3",
            "1000000000",
            "86401",
            "2d",
            "0.9ms",
            "999us",
            "0.0009",
            "NaN",
            "nan",
            "inf",
            "infinity",
            "",
            " ",
            "1 s",
            " 1",
            "1s ",
            "s",
            "ms",
            ".",
            "..5",
            "1.2.3",
            "1,5",
            "abc",
            "1w",
            "1S",
            "0x10",
            "١",
            "1\0",
            "99999999999999999999999999999999999999999999d",
        ] {
            let error = text.parse::<Interval>().expect_err(text).to_string();
            assert!(error.contains("from 1ms to 1d"), "{text}: {error}");
        }
    }

    #[test]
    fn what_is_printed_can_be_typed() {
        for us in
            [1, 10, 999, 1000, 1500, 250_000, 1_000_000, 1_500_000, 60_000_000, 5_400_000_000, 86_400_000_000]
        {
            let length = Duration::from_micros(us);
            let text = Plain(length).to_string();
            assert_eq!(length_between(&text, Duration::ZERO, Interval::MAX), Ok(length), "{text}");
        }
    }
}
