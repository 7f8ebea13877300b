//! The command line of `log`.

use super::whole;
use crate::interval::{self, Interval, NoLength};
use clap::Args;
use std::path::PathBuf;
use std::time::Duration;
use tombola_kernel::MaxPairs;

/// Write what every interval came to into Parquet files, as a service that survives being killed and a full
/// disk.
///
/// Reads the loaded monitor, or attaches a private one. An interval goes into a journal at once and whole;
/// journals become sealed files, which `DuckDB`, Spark and others read, and which `audit`, `dump`, `hist`,
/// `report` and `top` read with --dir. What cannot be written, because the disk is full, goes into the next
/// interval that can. SIGTERM writes what has passed, seals, and ends with 0.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sudo tombola log --dir /var/log/tombola --interval 10s --keep 14d
  sudo tombola log --dir /var/log/tombola --light
  sudo tombola audit --dir /var/log/tombola --at 03:12
  sudo tombola audit --dir /var/log/tombola --from 03:10 --to 03:15 --by group")]
pub struct LogArgs {
    /// Directory of the log, made where it is missing; logs of many hosts may be in one, each has its folders
    #[arg(long, value_name = "DIR")]
    pub dir: PathBuf,
    /// Pinned map of tasks to read [default: that of the loaded monitor, else a private monitor]
    #[arg(long, env = "MAP_PIN", value_name = "PATH")]
    pub map: Option<PathBuf>,
    /// Attach a private light monitor, whatever is loaded: the kernel's own counters, and nothing at the
    /// switches. How long single waits were and who stood in the way is not known then
    #[arg(long, conflicts_with_all = ["map", "interference"])]
    pub light: bool,
    /// Length of an interval, 100ms to 1h
    #[arg(long, value_name = "TIME", default_value = "10s", allow_negative_numbers = true, value_parser = length)]
    pub interval: Duration,
    /// Age at which this host's files are removed, 1min to 3650d
    #[arg(long, value_name = "TIME", default_value = "14d", allow_negative_numbers = true, value_parser = age)]
    pub keep: Duration,
    /// Size of this host's files beyond which the oldest are removed, in MiB, 1 to 2^40 [default: no limit]
    #[arg(long, value_name = "MIB", allow_negative_numbers = true, value_parser = whole::between::<u64>(1, 1 << 40))]
    pub keep_mib: Option<u64>,
    /// Time that goes into one file, 1s to 1d; until then it is in the journal, which only tombola reads
    #[arg(long, value_name = "TIME", default_value = "1h", allow_negative_numbers = true, value_parser = seal)]
    pub seal: Duration,
    /// Threads logged one by one, 0 to 100000: so many that ran longest and so many that waited longest; the
    /// rest is added up by group
    #[arg(long, value_name = "N", default_value_t = 50, allow_negative_numbers = true,
          value_parser = whole::between::<usize>(0, 100_000))]
    pub top: usize,
    /// Processes and names logged one by one, 0 to 100000, those that ran and waited longest; the rest is
    /// added up
    #[arg(long, value_name = "N", default_value_t = 500, allow_negative_numbers = true,
          value_parser = whole::between::<usize>(0, 100_000))]
    pub top_processes: usize,
    /// Watch who stands in whose way, and log the pairs of groups; it costs at every switch
    #[arg(long)]
    pub interference: bool,
    /// With --interference: pairs of tasks watched at once, 1 to 4194304, at 90 bytes each; quiet ones make
    /// room for others
    #[arg(long, value_name = "N", default_value_t, allow_negative_numbers = true)]
    pub max_pairs: MaxPairs,
    /// Host name in the log [default: that of the machine]
    #[arg(long, value_name = "NAME")]
    pub host: Option<String>,
    /// Intervals to log; 0 = until SIGTERM
    #[arg(long, value_name = "N", default_value_t = 0, allow_negative_numbers = true,
          value_parser = whole::between::<u64>(0, u64::MAX))]
    pub iterations: u64,
}

fn length(text: &str) -> Result<Duration, NoLength> {
    interval::length_between(text, Duration::from_millis(100), Duration::from_secs(3600))
}

fn age(text: &str) -> Result<Duration, NoLength> {
    interval::length_between(text, Duration::from_secs(60), Duration::from_secs(3650 * 86_400))
}

fn seal(text: &str) -> Result<Duration, NoLength> {
    interval::length_between(text, Duration::from_secs(1), Interval::MAX)
}
