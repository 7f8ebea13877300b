//! The flags of `report`.

use super::PastArgs;
use crate::interval::Interval;
use clap::Args;
use std::path::PathBuf;
use tombola_lab::policy::PolicyKind;

/// Measure for a while and write one HTML file to hand on: verdict, findings, ledger, charts, books, loss.
///
/// The file holds all it needs, asks nobody for anything, and can be read without its script. A program finds JSON in it. Reads the
/// loaded monitor; where none is loaded and no --map is given, attaches a private one for the time of the run.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sudo tombola report --duration 30s -o report.html
  tombola report -i trace.perf.data --duration 60s -o report.html
  tombola report --simulate web-and-batch -o lab-world.html
  sudo tombola audit --report build.html -- make -j8      the same page for a command")]
pub struct ReportArgs {
    /// File for the page, which it replaces when all is measured
    #[arg(short = 'o', long, value_name = "FILE")]
    pub output: PathBuf,
    /// How long to measure, 1ms to 1d: a number of seconds, or with a unit (us, ms, s, m, h, d); Ctrl-C ends it early, with the
    /// page. Of what is past: at most its own length
    #[arg(long, value_name = "TIME", default_value = "10s", allow_negative_numbers = true)]
    pub duration: Interval,
    /// Length of an interval of the charts, 1ms to 1d; at most 3600 of them [default: a sixtieth of the duration, 100ms at
    /// least]
    #[arg(long, value_name = "TIME", allow_negative_numbers = true)]
    pub interval: Option<Interval>,
    /// Pinned map of tasks to read [default: that of the loaded monitor, else a private monitor]
    #[arg(long, env = "MAP_PIN", value_name = "PATH", conflicts_with = "simulate")]
    pub map: Option<PathBuf>,
    /// Do not watch who preempts whom and who holds the CPU meanwhile
    #[arg(long)]
    pub no_interference: bool,
    #[command(flatten)]
    pub past: PastArgs,
    /// Report a simulated scenario: a TOML file, or the name of a built-in one
    #[arg(long, value_name = "FILE|NAME", conflicts_with_all = ["input", "dir"])]
    pub simulate: Option<PathBuf>,
    /// Scheduler of the simulation
    #[arg(long, value_name = "NAME", default_value = "eevdf", requires = "simulate")]
    pub policy: PolicyKind,
}
