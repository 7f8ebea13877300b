//! A limit for a verdict: `waited>20%`.

use std::fmt;
use std::str::FromStr;
use thiserror::Error;
use tombola_core::duration::parse_ns;

/// What is limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// Time runnable without a CPU, of the time that was wanted (run + wait).
    Waited,
    /// That part of it in which a quota was used up, of the time that was wanted.
    Throttled,
    /// Entitled − received: of what was entitled, or a length of time.
    Lag,
    /// CPU time of slices that were not measured, or perhaps with another task, of all CPU time; or a length
    /// of time.
    Lost,
}

/// How much is allowed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Limit {
    /// A part of 1.
    Part(f64),
    /// A length of time, ns.
    Time(u64),
}

/// A limit that may not be exceeded.
#[derive(Clone, Debug, PartialEq)]
pub struct Threshold {
    /// What is limited.
    pub measure: Measure,
    /// How much is allowed.
    pub limit: Limit,
    /// As it was written.
    text: String,
}

/// A text that is no limit.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "it must be waited, throttled, lag or lost, then > and a percentage, such as 'waited>20%' (in quotes, or the shell takes the >); lag and \
     lost take a length of time too, such as 'lag>100ms'"
)]
pub struct NoThreshold;

/// What became of a limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// It is kept.
    Kept,
    /// It is exceeded: the sentence says by what.
    Exceeded(String),
    /// What it is about was not seen: the sentence says why.
    Unknown(String),
}

impl FromStr for Threshold {
    type Err = NoThreshold;

    fn from_str(text: &str) -> Result<Self, NoThreshold> {
        let (name, limit) = text.split_once('>').ok_or(NoThreshold)?;
        let measure = match name.trim() {
            "waited" => Measure::Waited,
            "throttled" => Measure::Throttled,
            "lag" => Measure::Lag,
            "lost" => Measure::Lost,
            _ => return Err(NoThreshold),
        };
        let limit = limit.trim();
        let limit = match limit.strip_suffix('%') {
            Some(number) => Limit::Part(percent(number.trim()).ok_or(NoThreshold)? / 100.0),
            None if limit.ends_with(|c: char| c.is_ascii_alphabetic()) => {
                Limit::Time(parse_ns(limit).map_err(|_| NoThreshold)?)
            }
            None if limit == "0" => Limit::Part(0.0),
            None => return Err(NoThreshold),
        };
        let is_of_time = matches!(limit, Limit::Time(_));
        if is_of_time && matches!(measure, Measure::Waited | Measure::Throttled) {
            return Err(NoThreshold);
        }
        Ok(Self { measure, limit, text: text.to_owned() })
    }
}

/// A plain decimal number from 0 to 10^6: no sign, no exponent, no `inf` or `NaN`.
fn percent(text: &str) -> Option<f64> {
    let is_plain = text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    text.parse().ok().filter(|number| is_plain && (0.0..=1e6).contains(number))
}

impl fmt::Display for Threshold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_read() {
        for (text, measure, limit) in [
            ("waited>20%", Measure::Waited, Limit::Part(0.2)),
            ("throttled > 0.5 %", Measure::Throttled, Limit::Part(0.005)),
            ("lag>100ms", Measure::Lag, Limit::Time(100_000_000)),
            ("lag>5%", Measure::Lag, Limit::Part(0.05)),
            ("lost>0", Measure::Lost, Limit::Part(0.0)),
            ("lost>1ms", Measure::Lost, Limit::Time(1_000_000)),
        ] {
            let threshold: Threshold = text.parse().unwrap();
            assert_eq!((threshold.measure, threshold.limit), (measure, limit), "{text}");
            assert_eq!(threshold.to_string(), text);
        }
    }

    #[test]
    fn everything_else_is_refused() {
        for text in [
            "",
            "waited",
            "waited>",
            "waited>20",
            "waited<20%",
            "waited>1s",
            "throttled>1ms",
            "frob>1%",
            "lag>-1%",
            "lag>1e3%",
            "lag>NaN%",
            "lag>%",
            "lag>1x",
        ] {
            assert!(text.parse::<Threshold>().is_err(), "{text}");
        }
    }
}
