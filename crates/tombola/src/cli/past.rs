//! Which recording, or which stretch of a log, a verb looks at in place of the live machine.

use crate::interval::Interval;
use anyhow::{Result, bail};
use clap::Args;
use jiff::civil::{DateTime, Time};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;
use thiserror::Error;
use tombola_core::duration::parse_ns;
use tombola_history::past::Span;

/// A recording, or a stretch of what `tombola log` has written.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "The past (in place of the live machine)")]
pub struct PastArgs {
    /// Recording to read: perf.data, trace.dat, a Perfetto trace, text of ftrace, trace-cmd or perf script,
    /// frames that --save-frames kept, recognised by content; - for standard input
    #[arg(short, long, value_name = "FILE", conflicts_with_all = ["map", "dir"])]
    pub input: Option<PathBuf>,
    /// Log to read, as `tombola log --dir` writes it; without --at, --from and --to all of it
    #[arg(long, value_name = "DIR", conflicts_with = "map")]
    pub dir: Option<PathBuf>,
    /// Host whose log is read [default: the one that the log has]
    #[arg(long, value_name = "NAME", requires = "dir")]
    pub host: Option<String>,
    /// The interval of the log in which this moment lies: HH:MM or HH:MM:SS for the latest such moment, or
    /// YYYY-MM-DDTHH:MM[:SS]; all in UTC
    #[arg(long, value_name = "TIME", requires = "dir", conflicts_with_all = ["from", "to"])]
    pub at: Option<Moment>,
    /// Begin of the stretch, as --at, or of a recording as a length of time since its begin, such as 1.2s
    /// [default: the begin]
    #[arg(long, value_name = "TIME", conflicts_with = "map")]
    pub from: Option<Edge>,
    /// End of the stretch, as --from [default: the end]
    #[arg(long, value_name = "TIME", conflicts_with = "map")]
    pub to: Option<Edge>,
    /// File to keep every look at the live machine in, for --input, here or on another machine
    #[arg(long, value_name = "FILE", conflicts_with_all = ["input", "dir"], help_heading = "Options")]
    pub save_frames: Option<PathBuf>,
}

impl PastArgs {
    /// Length of an interval: what was given; in the past all of the stretch, else `live`.
    pub fn interval_or(&self, given: Option<Interval>, live: Duration) -> Option<Duration> {
        given.map(Interval::get).or(self.is_live().then_some(live))
    }

    /// How many intervals, 0 for all there will be: what was given; in the past all of them, else one.
    pub fn iterations_or_usual(&self, given: Option<u64>) -> u64 {
        given.unwrap_or(u64::from(self.is_live()))
    }

    /// Whether no past was asked for.
    pub fn is_live(&self) -> bool {
        self.dir.is_none() && self.input.is_none()
    }

    /// The stretch of the log that is asked for.
    ///
    /// # Errors
    /// An edge that is no moment, or two that are in the wrong order.
    pub fn span(&self, now: Timestamp) -> Result<Span> {
        let us = |moment: Moment| moment.before(now).as_microsecond();
        if let Some(at) = self.at {
            return Ok(Span { from_us: us(at), to_us: us(at) });
        }
        let moment = |edge: Option<Edge>, flag| edge.map(|edge| edge.moment(flag)).transpose();
        let (from, to) = (moment(self.from, "--from")?, moment(self.to, "--to")?);
        let to_us = to.map_or(i64::MAX, us);
        // A time of day without a date is the latest one before the end.
        let end = to.map_or(now, |to| to.before(now));
        let from_us = from.map_or(i64::MIN, |from| from.before(end).as_microsecond());
        if from_us >= to_us {
            bail!(
                "--from is not before --to: both are UTC, and a time of day without a date is the latest one"
            );
        }
        Ok(Span { from_us, to_us })
    }
}

/// An edge of a stretch: of a log a moment, of a recording a length of time since its begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edge {
    /// A moment, or a time of day.
    Moment(Moment),
    /// A length of time since the begin.
    Since(Duration),
}

impl FromStr for Edge {
    type Err = NoEdge;

    fn from_str(text: &str) -> Result<Self, NoEdge> {
        if text.contains(':') {
            return text.parse().map(Self::Moment).map_err(|NoMoment| NoEdge);
        }
        parse_ns(text).map(|ns| Self::Since(Duration::from_nanos(ns))).map_err(|_| NoEdge)
    }
}

/// A text that is no edge of a stretch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error(
    "it must be a time in UTC, such as 03:12 or 2026-11-28T03:12, for a log, or a length of time, such as 1.2s, for a recording"
)]
pub struct NoEdge;

impl Edge {
    fn moment(self, flag: &str) -> Result<Moment> {
        match self {
            Self::Moment(moment) => Ok(moment),
            Self::Since(_) => bail!("{flag} of a log is a time in UTC, such as 03:12 or 2026-11-28T03:12"),
        }
    }

    /// A length of time since the begin of a recording.
    ///
    /// # Errors
    /// It is a moment, which recordings are not asked for by.
    pub fn length(self, flag: &str) -> Result<Duration> {
        match self {
            Self::Since(length) => Ok(length),
            Self::Moment(_) => {
                bail!("{flag} of a recording is a length of time since its begin, such as 1.2s")
            }
        }
    }
}

/// A moment, or a time of day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// The latest moment with this time of day, in UTC.
    OfDay(Time),
    /// This moment.
    At(Timestamp),
}

/// A text that is no moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("it must be a time in UTC, such as 03:12, 03:12:30 or 2026-11-28T03:12")]
pub struct NoMoment;

impl FromStr for Moment {
    type Err = NoMoment;

    fn from_str(text: &str) -> Result<Self, NoMoment> {
        let plain = text.strip_suffix('Z').unwrap_or(text).replace(' ', "T");
        // jiff takes more forms, fractions of an hour for one; here is what the help says.
        let is_known =
            plain.bytes().all(|byte| byte.is_ascii_digit() || b"T:-.".contains(&byte)) && plain.contains(':');
        if !is_known {
            return Err(NoMoment);
        }
        if let (false, Ok(time)) = (plain.contains('T'), plain.parse::<Time>()) {
            return Ok(Self::OfDay(time));
        }
        let instant = plain.parse::<DateTime>().ok().and_then(|date| date.to_zoned(TimeZone::UTC).ok());
        instant.map(|instant| Self::At(instant.timestamp())).ok_or(NoMoment)
    }
}

impl Moment {
    /// The moment; a time of day is the latest one that is not after `end`.
    fn before(self, end: Timestamp) -> Timestamp {
        match self {
            Self::At(instant) => instant,
            Self::OfDay(time) => {
                let date = end.to_zoned(TimeZone::UTC).date();
                let today =
                    date.to_datetime(time).to_zoned(TimeZone::UTC).map_or(end, |instant| instant.timestamp());
                if today <= end {
                    today
                } else {
                    today.checked_sub(SignedDuration::from_hours(24)).unwrap_or(today)
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_of_day_is_the_latest_one() {
        let now: Timestamp = "2026-11-28T03:30:00Z".parse().unwrap();
        for (text, at) in [
            ("03:12", "2026-11-28T03:12:00Z"),
            ("03:30:00", "2026-11-28T03:30:00Z"),
            ("03:31", "2026-11-27T03:31:00Z"),
            ("2026-01-02T03:04", "2026-01-02T03:04:00Z"),
            ("2026-01-02 03:04:05.5Z", "2026-01-02T03:04:05.5Z"),
        ] {
            let moment: Moment = text.parse().unwrap();
            assert_eq!(moment.before(now), at.parse::<Timestamp>().unwrap(), "{text}");
        }
        for text in
            ["", "3", "03:60", "24:00", "yesterday", "2026-02-30T00:00", "03:12+02:00", "1e9", "T03:12:"]
        {
            assert_eq!(text.parse::<Moment>(), Err(NoMoment), "{text}");
        }
    }

    #[test]
    fn from_is_before_to_also_around_midnight() {
        let now: Timestamp = "2026-11-28T00:30:00Z".parse().unwrap();
        let args = PastArgs { from: "23:50".parse().ok(), to: "00:10".parse().ok(), ..PastArgs::default() };
        let span = args.span(now).unwrap();
        assert_eq!(span.to_us - span.from_us, 20 * 60 * 1_000_000);
        let args = PastArgs { from: "2026-11-28T00:20".parse().ok(), ..args };
        assert!(args.span(now).is_err());
    }
}
