//! The flags of `record`.

use crate::interval::{Interval, NoLength, length_between};
use clap::Args;
use std::ffi::OsString;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;
use tombola_kernel::recorder::LaneRoom;

/// Record every switch, wakeup and migration of the machine into a Perfetto trace.
///
/// Needs `CAP_BPF` and `CAP_PERFMON`, or root; no monitor needs to be loaded. Records until COMMAND ends, for
/// --duration, or until Ctrl-C. What was recorded and what was lost is printed at the end: together they are
/// what the kernel has shown.
///
/// The file is written from the start, so that it is readable whatever happens: after SIGKILL the last second
/// is missing. A file that exists is not overwritten without --force. It opens in <https://ui.perfetto.dev>,
/// and holds what other formats have no words for: weights, groups with their quotas, affinity, exact losses.
///
/// With a command, the exit status is the command's.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sudo tombola record -o build.pftrace -- make -j8
  sudo tombola record -o x.pftrace --duration 30s
  sudo tombola record -o late.pftrace --flight 60s --trigger 'wait>50ms'
  sudo tombola record -o owed.pftrace --flight 60s --trigger 'lag>100ms'
  sudo tombola record -o last.pftrace --flight 60s        then: kill -USR1 its PID
  sudo tombola record -o - --duration 5s | gzip >x.pftrace.gz")]
pub struct RecordArgs {
    /// File to write, - for standard output
    #[arg(short, long, value_name = "FILE")]
    pub output: PathBuf,
    /// Overwrite a file that exists
    #[arg(long)]
    pub force: bool,
    /// How long to record, 1ms to 1d: a number of seconds, or with a unit (us, ms, s, min, h, d) [default:
    /// until COMMAND ends, or Ctrl-C]
    #[arg(long, value_name = "TIME", allow_negative_numbers = true, value_parser = super::duration)]
    pub duration: Option<Duration>,
    /// Keep the last so much time in memory, 1s to 1d, and write it to the file on SIGUSR1 or --trigger. On
    /// each further SIGUSR1 it goes to FILE.2, FILE.3, …; without any nothing is written
    #[arg(long, value_name = "TIME", allow_negative_numbers = true, value_parser = flight)]
    pub flight: Option<Duration>,
    /// With --flight: write and end when a task has waited longer than so for a CPU, 'wait>50ms', or is owed
    /// more CPU time than so by what it was entitled to in the time that is kept, 'lag>100ms' (10us to 1d)
    #[arg(long, value_name = "CONDITION", requires = "flight", allow_hyphen_values = true)]
    pub trigger: Option<Trigger>,
    /// Room in each CPU's lane, in records of 24 bytes: a power of two from 64 to 1048576 [default: by CPUs,
    /// 131072 up to 21 of them]
    #[arg(long, value_name = "RECORDS", allow_negative_numbers = true)]
    pub lane: Option<LaneRoom>,
    /// End with status 3 if events were lost
    #[arg(long)]
    pub strict: bool,
    /// Command to run and to record, with its arguments
    #[arg(last = true, value_name = "COMMAND")]
    pub command: Vec<OsString>,
}

/// What makes a flight recorder write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// A task that has waited longer than this for a CPU, and got it.
    Wait(Duration),
    /// A task whose lag, entitled less received, has grown by more than this in the time that is kept.
    Lag(Duration),
}

impl FromStr for Trigger {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let packed: String = text.chars().filter(|c| !c.is_ascii_whitespace()).collect();
        let (is_lag, word, length) = match (packed.strip_prefix("wait>"), packed.strip_prefix("lag>")) {
            (Some(length), _) => (false, "wait>", length),
            (_, Some(length)) => (true, "lag>", length),
            _ => {
                return Err("it must be 'wait>TIME' or 'lag>TIME', such as 'wait>50ms' or 'lag>100ms'".into());
            }
        };
        let length = length_between(length, Duration::from_micros(10), Interval::MAX);
        let length = length.map_err(|range| format!("the time after '{word}': {range}"))?;
        Ok(if is_lag { Self::Lag(length) } else { Self::Wait(length) })
    }
}

fn flight(text: &str) -> Result<Duration, NoLength> {
    length_between(text, Duration::from_secs(1), Interval::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trigger_is_a_wait_or_a_lag_and_nothing_else() {
        let trigger = str::parse::<Trigger>;
        assert_eq!(trigger("wait>50ms"), Ok(Trigger::Wait(Duration::from_millis(50))));
        assert_eq!(trigger(" wait > 2 s"), Ok(Trigger::Wait(Duration::from_secs(2))));
        assert_eq!(trigger("lag>100ms"), Ok(Trigger::Lag(Duration::from_millis(100))));
        assert!(trigger("lag>1us").unwrap_err().contains("'lag>'"));
        for text in [
            "",
            "wait",
            "wait>",
            "wait<50ms",
            "lag<100ms",
            "lag>=100ms",
            "wait>50ms,lag>1s",
            "sleep>1s",
            "wait>1us",
            "wait>-1ms",
            "wait>2d",
            "wait>>1s",
            "50ms",
        ] {
            let error = trigger(text).unwrap_err();
            assert!(error.contains("wait>") || error.contains("lag>"), "{text}: {error}");
        }
    }
}
