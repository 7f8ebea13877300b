//! The flags of `report`.

use super::PastArgs;
use crate::interval::Interval;
use crate::sink::result::outlet::ResultFormat;
use crate::whole;
use clap::{ArgGroup, Args};
use std::path::PathBuf;
use tombola_core::contrast::LEAST;
use tombola_lab::policy::PolicyKind;

/// Measure for a while and write one HTML file to hand on: verdict, findings, ledger, charts, books, loss.
///
/// The file holds all it needs, asks nobody for anything, and can be read without its script. A program finds
/// JSON in it. Reads the loaded monitor; where none is loaded and no --map is given, attaches a private one
/// for the time of the run.
///
/// Two names compare: what of the difference of two recordings, logs or scenarios is more than noise. Each is
/// cut into equal stretches, which tell how much a side varies by itself; docs/report.md says how. --versus
/// does the same with two commands, run one after the other, and with --runs in turns, several times each.
/// The result is printed, and with -o a page too.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("compared").args(["sides", "versus"]))]
#[command(after_help = "\
Examples:
  sudo tombola report --duration 30s -o report.html
  sudo tombola report --light -o report.html              nothing at the switches meanwhile
  tombola report -i trace.perf.data --duration 60s -o report.html
  tombola report --simulate web-and-batch -o lab-world.html
  tombola report before.pftrace after.pftrace -o difference.html
  tombola report /var/log/tombola@02:00..03:00 /var/log/tombola@03:00..04:00
  sudo tombola report --versus 'make -j2' 'make -j4' --runs 10 -o jobs.html
  sudo tombola audit --report build.html -- make -j8      the same page for a command")]
pub struct ReportArgs {
    /// Two recordings, directories of logs, or scenarios (*.toml) to compare; of a recording or a log also a
    /// stretch, as NAME@FROM..TO with the forms of --from and --to
    #[arg(value_name = "FIRST SECOND", num_args = 2, conflicts_with_all = ["duration", "interval", "map", "no_interference",
          "input", "dir", "simulate", "save_frames"])]
    pub sides: Vec<String>,
    /// Two commands to run and compare, each a line of the shell in quotes. They read nothing, and what they
    /// print is thrown away, but for standard error. One that fails ends the comparison
    #[arg(long, value_names = ["COMMAND", "COMMAND"], num_args = 2, conflicts_with_all = ["sides", "duration", "interval",
          "no_interference", "input", "dir", "simulate", "save_frames"])]
    pub versus: Vec<String>,
    /// Runs of each command, 4 to 1000, in turns; how much a command varies from run to run is then known. 1
    /// = one run each, cut into stretches
    #[arg(long, value_name = "N", default_value_t = 1, allow_negative_numbers = true, requires = "versus", conflicts_with = "sides",
          value_parser = runs)]
    pub runs: u32,
    /// Stretches that each side of a comparison is cut into, 4 to 1000
    #[arg(long, value_name = "N", default_value_t = 30, allow_negative_numbers = true, requires = "compared",
          value_parser = whole::between::<u32>(4, 1000))]
    pub stretches: u32,
    /// How a comparison is printed: a table, or json
    #[arg(
        long,
        value_enum,
        value_name = "table|json",
        default_value_t,
        hide_possible_values = true,
        requires = "compared"
    )]
    pub format: ResultFormat,
    /// File for the page, which it replaces when all is measured
    #[arg(short = 'o', long, value_name = "FILE", required_unless_present = "compared")]
    pub output: Option<PathBuf>,
    /// How long to measure, 1ms to 1d: a number of seconds, or with a unit (us, ms, s, min, h, d); Ctrl-C
    /// ends it early, with the page [default: 10s; of what is past, all of it]
    #[arg(long, value_name = "TIME", allow_negative_numbers = true)]
    pub duration: Option<Interval>,
    /// Length of an interval of the charts, 1ms to 1d; at most 3600 of them [default: a sixtieth of the
    /// duration, 100ms at least]
    #[arg(long, value_name = "TIME", allow_negative_numbers = true)]
    pub interval: Option<Interval>,
    /// Pinned map of tasks to read [default: that of the loaded monitor, else a private monitor]
    #[arg(long, env = "MAP_PIN", value_name = "PATH", conflicts_with = "simulate")]
    pub map: Option<PathBuf>,
    /// Attach a private light monitor, whatever is loaded: the kernel's own counters, and nothing at the
    /// switches. How long single waits were and who stood in the way is not known then
    #[arg(long, conflicts_with_all = ["map", "input", "dir", "simulate", "sides"])]
    pub light: bool,
    /// Do not watch who preempts whom and who holds the CPU meanwhile
    #[arg(long)]
    pub no_interference: bool,
    #[command(flatten)]
    pub past: PastArgs,
    /// Report a simulated scenario: a TOML file, or the name of a built-in one
    #[arg(long, value_name = "FILE|NAME", conflicts_with_all = ["input", "dir", "save_frames"])]
    pub simulate: Option<PathBuf>,
    /// Scheduler of the simulation
    #[arg(long, value_name = "NAME", default_value = "eevdf", requires = "simulate")]
    pub policy: PolicyKind,
}

/// One, or as many as tell how much they vary.
fn runs(text: &str) -> Result<u32, String> {
    let refused = || {
        format!("it must be 1, or a whole number from {LEAST} to 1000: fewer do not tell how much runs vary")
    };
    text.parse()
        .ok()
        .filter(|runs| *runs == 1 || (LEAST..=1000).contains(&(*runs as usize)))
        .ok_or_else(refused)
}
