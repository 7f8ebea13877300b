//! Lengths of time in a scenario: written with a unit, fixed or drawn from a distribution.

use super::chance::below;
use super::ziggurat::exponential;
use rand_chacha::ChaCha8Rng;
use std::fmt;
use thiserror::Error;
use tombola_core::duration::{DurationError, parse_ns};

pub use tombola_core::duration::MAX_NS;

/// A text that is no length of time.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SpanError {
    /// A time that is none.
    #[error(transparent)]
    Length(#[from] DurationError),
    /// A distribution that is not known or has the wrong arguments.
    #[error("'{0}' is no distribution; use a time, exp(MEAN) or uniform(LOW,HIGH)")]
    Distribution(String),
    /// uniform(high, low).
    #[error("'{0}' begins above its end")]
    Backwards(String),
}

/// Reads a length of time in the grammar of [`tombola_core::duration`], with blanks around number and unit,
/// to integer nanoseconds.
///
/// # Errors
/// [`SpanError::Length`] when it is no length of time, is finer than 1 ns or longer than 100 years.
pub fn duration(text: &str) -> Result<u64, SpanError> {
    let trimmed = text.trim();
    match trimmed.split_once(char::is_whitespace) {
        None => Ok(parse_ns(trimmed)?),
        Some((number, unit)) => Ok(parse_ns(&format!("{number}{}", unit.trim_start()))?),
    }
}

/// How long a phase takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Span {
    /// Always the same.
    Fixed(u64),
    /// Exponential with this mean in nanoseconds.
    Exponential(u64),
    /// Any of the nanoseconds from the first to the second, both included, equally likely.
    Uniform(u64, u64),
}

impl Span {
    /// Reads `3ms`, `exp(3ms)` or `uniform(1ms,5ms)`.
    ///
    /// # Errors
    /// [`SpanError`].
    pub fn parse(text: &str) -> Result<Self, SpanError> {
        let Some((name, rest)) = text.trim().split_once('(') else {
            return duration(text).map(Self::Fixed);
        };
        let unknown = || SpanError::Distribution(text.to_owned());
        let arguments: Vec<&str> = rest.strip_suffix(')').ok_or_else(unknown)?.split(',').collect();
        match (name.trim(), arguments.as_slice()) {
            ("exp", [mean]) => duration(mean).map(Self::Exponential),
            ("uniform", [low, high]) => match (duration(low)?, duration(high)?) {
                (low, high) if low <= high => Ok(Self::Uniform(low, high)),
                _ => Err(SpanError::Backwards(text.to_owned())),
            },
            _ => Err(unknown()),
        }
    }

    /// Its mean in nanoseconds.
    pub fn mean_ns(self) -> u64 {
        match self {
            Self::Fixed(ns) | Self::Exponential(ns) => ns,
            Self::Uniform(low, high) => low + (high - low) / 2,
        }
    }

    /// Whether it differs from draw to draw.
    pub fn is_random(self) -> bool {
        !matches!(self, Self::Fixed(_))
    }

    /// Draws one length, in nanoseconds, at most [`MAX_NS`].
    pub fn sample(self, rng: &mut ChaCha8Rng) -> u64 {
        match self {
            Self::Fixed(ns) => ns,
            Self::Exponential(mean) => {
                #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
                // E ≤ 45 and the mean is bounded
                let ns = (exponential(rng) * mean as f64) as u64;
                ns.min(MAX_NS)
            }
            Self::Uniform(low, high) => low + below(rng, high - low + 1),
        }
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(ns) => write!(f, "{ns}ns"),
            Self::Exponential(mean) => write!(f, "exp({mean}ns)"),
            Self::Uniform(low, high) => write!(f, "uniform({low}ns,{high}ns)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rand::SeedableRng;

    #[test]
    fn times_are_read_exactly() {
        for (text, ns) in [
            ("3ms", 3_000_000),
            ("0us", 0),
            ("1.5s", 1_500_000_000),
            (" 0.25 us ", 250),
            ("2h", 7_200_000_000_000),
        ] {
            assert_eq!(duration(text), Ok(ns), "{text}");
        }
        assert_eq!(duration("3"), Ok(3_000_000_000));
        assert!(matches!(duration("ms"), Err(SpanError::Length(DurationError::Syntax(_)))));
        assert!(matches!(duration("-3ms"), Err(SpanError::Length(DurationError::Syntax(_)))));
        assert!(matches!(duration("1.2.3ms"), Err(SpanError::Length(DurationError::Syntax(_)))));
        assert!(matches!(duration("0.5ns"), Err(SpanError::Length(DurationError::TooFine(_)))));
        assert!(matches!(duration("9999999999999999h"), Err(SpanError::Length(DurationError::TooLong(_)))));
        assert!(matches!(
            duration(&format!("{}s", "9".repeat(60))),
            Err(SpanError::Length(DurationError::TooLong(_)))
        ));
    }

    #[test]
    fn distributions_are_read() {
        assert_eq!(Span::parse("exp(3ms)"), Ok(Span::Exponential(3_000_000)));
        assert_eq!(Span::parse("uniform(1ms, 5ms)"), Ok(Span::Uniform(1_000_000, 5_000_000)));
        assert!(matches!(Span::parse("uniform(5ms,1ms)"), Err(SpanError::Backwards(_))));
        assert!(matches!(Span::parse("gauss(1ms)"), Err(SpanError::Distribution(_))));
        assert!(matches!(Span::parse("exp(3ms"), Err(SpanError::Distribution(_))));
    }

    #[test]
    fn draws_have_the_mean_they_are_named_after() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        for span in [Span::Exponential(1_000_000), Span::Uniform(500_000, 1_500_000)] {
            let n = 100_000;
            let mean = (0..n).map(|_| span.sample(&mut rng) as f64).sum::<f64>() / f64::from(n);
            // Standard error 1e6/√1e5 ≈ 3,200 at most; five of them.
            assert!((mean - 1_000_000.0).abs() < 16_000.0, "{span}: {mean}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in ".{0,40}") {
            let _ = Span::parse(&text);
        }
    }
}
