//! Lengths of time as people write them, in flags and in scenarios: `5`, `0.5`, `250ms`, `2s`, `1min`, `1d`.
//!
//! A plain decimal number, and a unit right behind it: `ns`, `us` (or `µs`), `ms`, `s`, `min` (or `m`), `h`,
//! `d`; seconds where none stands. Signs, exponents, blanks, `inf` and `NaN` are no part of the grammar. A
//! length is read to whole nanoseconds, exactly, or not at all.
//!
//! ```
//! use tombola_core::duration::{Plain, parse_ns};
//!
//! assert_eq!(parse_ns("1.5ms"), Ok(1_500_000));
//! assert_eq!(parse_ns("1min"), parse_ns("60"));
//! assert_eq!(Plain(std::time::Duration::from_secs(60)).to_string(), "1min");
//! ```

use std::fmt;
use std::time::Duration;
use thiserror::Error;

/// Longest length: 100 years.
pub const MAX_NS: u64 = 100 * 366 * 86_400 * 1_000_000_000;

/// Units by name, the one that is printed first.
const UNITS: [(&str, u128); 11] = [
    ("d", 86_400_000_000_000),
    ("h", 3_600_000_000_000),
    ("min", 60_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("µs", 1_000),
    ("μs", 1_000),
    ("ns", 1),
];

/// A text that is no length of time.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum DurationError {
    /// No number, or another unit.
    #[error(
        "'{0}' is no length of time; write a number and a unit, like 250ms (ns, us, ms, s, min, h, d; seconds without)"
    )]
    Syntax(String),
    /// Longer than [`MAX_NS`].
    #[error("'{0}' is longer than 100 years")]
    TooLong(String),
    /// Finer than a nanosecond.
    #[error("'{0}' is finer than a nanosecond")]
    TooFine(String),
}

/// Reads a length of time to nanoseconds, 0 to [`MAX_NS`].
///
/// # Errors
/// [`DurationError`] when it is no number with a unit, is finer than 1 ns or longer than 100 years.
pub fn parse_ns(text: &str) -> Result<u64, DurationError> {
    let syntax = || DurationError::Syntax(text.to_owned());
    let too_long = || DurationError::TooLong(text.to_owned());
    let unit_at = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(unit_at);
    let (_, scale) = UNITS.into_iter().find(|(name, _)| *name == unit).ok_or_else(syntax)?;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
        return Err(syntax());
    }
    let whole = whole.trim_start_matches('0');
    let whole: u128 = match whole.len() {
        0 => 0,
        1..=20 => whole.parse().map_err(|_| syntax())?,
        _ => return Err(too_long()),
    };
    let fraction = fraction.trim_end_matches('0');
    let mut ns = whole * scale;
    if !fraction.is_empty() {
        let digits = u32::try_from(fraction.len()).ok().filter(|digits| *digits <= 18);
        let one = 10u128.pow(digits.ok_or_else(|| DurationError::TooFine(text.to_owned()))?);
        let parts = fraction.parse::<u128>().map_err(|_| syntax())? * scale;
        if !parts.is_multiple_of(one) {
            return Err(DurationError::TooFine(text.to_owned()));
        }
        ns += parts / one;
    }
    u64::try_from(ns).ok().filter(|ns| *ns <= MAX_NS).ok_or_else(too_long)
}

/// A length in the largest unit that needs no fraction, in the grammar that [`parse_ns`] takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plain(pub Duration);

impl fmt::Display for Plain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ns = self.0.as_nanos();
        if ns == 0 {
            return f.write_str("0s");
        }
        let fits = |(name, scale): &(&str, u128)| !name.is_empty() && ns.is_multiple_of(*scale);
        let (unit, scale) = UNITS.into_iter().find(fits).unwrap_or(("ns", 1));
        write!(f, "{}{unit}", ns / scale)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lengths_are_read_exactly() {
        for (text, ns) in [
            ("5", 5_000_000_000),
            ("0.5", 500_000_000),
            (".5", 500_000_000),
            ("5.", 5_000_000_000),
            ("3ms", 3_000_000),
            ("0us", 0),
            ("1.5s", 1_500_000_000),
            ("0.25us", 250),
            ("7µs", 7_000),
            ("1m", 60_000_000_000),
            ("1min", 60_000_000_000),
            ("2h", 7_200_000_000_000),
            ("1d", 86_400_000_000_000),
            ("0.000000001", 1),
            ("000000000000000000000000000001ns", 1),
        ] {
            assert_eq!(parse_ns(text), Ok(ns), "{text}");
        }
    }

    #[test]
    fn everything_else_is_refused() {
        for text in [
            "", " ", ".", "..5", "1.2.3ms", "1 s", " 1", "1s ", "ms", "-3ms", "+1", "1e9", "1w", "1S",
            "0x10", "NaN", "inf",
        ] {
            assert_eq!(parse_ns(text), Err(DurationError::Syntax(text.to_owned())), "{text}");
        }
        for text in ["0.5ns", "0.0000000001", "0.3333333333333333333s"] {
            assert_eq!(parse_ns(text), Err(DurationError::TooFine(text.to_owned())), "{text}");
        }
        for text in ["36601d".to_owned(), "9999999999999999h".to_owned(), format!("{}s", "9".repeat(60))] {
            assert_eq!(parse_ns(&text), Err(DurationError::TooLong(text.clone())), "{text}");
        }
        assert_eq!(parse_ns("36600d"), Ok(MAX_NS));
    }

    proptest! {
        #[test]
        fn what_is_printed_can_be_read(ns in 0..=MAX_NS, scale in 0u32..16) {
            let ns = ns / 10u64.pow(scale) * 10u64.pow(scale);
            let text = Plain(Duration::from_nanos(ns)).to_string();
            prop_assert_eq!(parse_ns(&text), Ok(ns), "{}", text);
        }

        #[test]
        fn any_text_is_read_or_refused(text in ".{0,40}") {
            let _ = parse_ns(&text);
        }
    }
}
