//! The flags of `info`, `convert` and `timehist`: verbs that are about recordings alone.

use super::OutputArgs;
use super::past::Edge;
use clap::{Args, ValueEnum};
use regex::bytes::Regex;
use std::path::PathBuf;

/// Tell what is in a recording: where it is from, its span, its events, what is missing, and what can be
/// known from it.
///
/// Reads perf.data, trace.dat, Perfetto traces, and the text of ftrace, trace-cmd report, perf script and
/// systrace, recognised by content. Needs no root.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tombola info perf.data
  perf script -i perf.data | tombola info -
  tombola info x.pftrace --format json")]
pub struct InfoArgs {
    /// The recording; - for standard input
    #[arg(value_name = "FILE", required_unless_present = "json_schema")]
    pub file: Option<PathBuf>,
    #[command(flatten)]
    pub output: OutputArgs,
}

/// Write a recording in another form: a Perfetto trace, which opens in the Perfetto UI, its events as rows,
/// or a scenario.
///
/// The result replaces a file of that name only when it is whole.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tombola convert perf.data x.pftrace
  tombola convert trace.dat - --format csv | head
  tombola convert x.pftrace events.ndjson
  tombola convert x.pftrace x.toml --to scenario")]
pub struct ConvertArgs {
    /// The recording; - for standard input
    #[arg(value_name = "FROM")]
    pub from: PathBuf,
    /// Where the result goes; - for standard output
    #[arg(value_name = "TO")]
    pub to: PathBuf,
    /// Its form [default: by the ending of TO: .csv, .ndjson, .toml for scenario, .json for rt-app, else
    /// pftrace]
    #[arg(long, visible_alias = "to", value_name = "FORMAT")]
    pub format: Option<ConvertFormat>,
}

/// Forms that events can be written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ConvertFormat {
    /// A Perfetto trace, deflated.
    Pftrace,
    /// Comma-separated values, one row an event.
    Csv,
    /// One JSON object a line, one line an event.
    Ndjson,
    /// What its tasks wanted, as a scenario for simulate.
    Scenario,
    /// The same as a workload of rt-app, JSON.
    RtApp,
}

/// List every slice of a recording: who ran when and where, how long it had waited for the CPU, and how long
/// it had slept before.
///
/// `SLEEP_MS` and `WAIT_MS` are those before the slice; "?" where the recording cannot tell.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tombola timehist -i perf.data --comm make
  tombola timehist -i x.pftrace --from 1.2s --to 1.3s
  tombola timehist -i x.pftrace --format csv > slices.csv")]
pub struct TimehistArgs {
    /// The recording; - for standard input
    #[arg(short, long, value_name = "FILE")]
    pub input: PathBuf,
    /// Begin, as a length of time since the begin of the recording, such as 1.2s
    #[arg(long, value_name = "TIME")]
    pub from: Option<Edge>,
    /// End, as --from
    #[arg(long, value_name = "TIME")]
    pub to: Option<Edge>,
    /// How it is printed
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    pub format: TimehistFormat,
    /// File that the result replaces once it is whole, - for standard output [default: standard output]
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Only tasks of this process; may be repeated
    #[arg(short = 'p', long = "pid", value_name = "PID", value_delimiter = ',')]
    pub pids: Vec<u32>,
    /// Only this task (thread); may be repeated
    #[arg(short = 't', long = "tid", value_name = "TID", value_delimiter = ',')]
    pub tids: Vec<u32>,
    /// Only tasks whose name matches this regular expression somewhere
    #[arg(long, value_name = "REGEX", value_parser = super::audit::expression)]
    pub comm: Option<Regex>,
}

/// Forms of `timehist`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum TimehistFormat {
    /// Columns to read.
    Table,
    /// Comma-separated values in nanoseconds; what is not known is empty.
    Csv,
}
