//! The command line of the verbs that look at an interval as a whole: `audit` and `hist`.

use super::{OutputArgs, PastArgs, whole};
use crate::interval::Interval;
use crate::sink::json;
use crate::threshold::Threshold;
use clap::builder::PossibleValuesParser;
use clap::{Args, ValueEnum};
use regex::bytes::Regex;
use std::convert::Infallible;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use tombola_core::audit::{By, Row};
use tombola_core::duration::parse_ns;
use tombola_core::metric::{Metric, audit};
use tombola_kernel::{GroupNames, MaxPairs};

/// Show what every task was entitled to, what it got, and why.
///
/// Reads the loaded monitor. Where none is loaded and no --map is given, attaches a private one for the time
/// of the run and says so. The entitlement is computed from the totals of the interval; docs/ledger.md says
/// what that means.
///
/// With COMMAND, runs it, audits the time until it ends (or --interval), and shows it and what it could
/// compete with. Its exit status is reported; the status of this command says how the audit went.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sudo tombola audit                                       5 s of the whole machine, worst deficit first
  sudo tombola audit --by group --interval 2 --iterations 0
  sudo tombola audit --light                               the same without a program at the switches
  sudo tombola audit -u www-data --sort wait --top 5
  sudo tombola audit --nice-check -- stress-ng --cpu 4 -t 10
  sudo tombola audit --report build.html --fail-if 'waited>20%' -- make -j8
  sudo tombola audit --format ndjson --output audit.ndjson
  sudo tombola audit --format ndjson --records row --output rows.ndjson
  sudo tombola audit --comm '^nginx$' --max-lag 50ms       status 3 if one is owed more than 50 ms

Exit status: 0 fair enough, 3 if --max-lag, --min-jain or --strict is violated, 5 if --fail-if is, 1 if a filter matched nothing or no task of COMMAND was seen.")]
#[allow(clippy::struct_excessive_bools)] // one for each flag of the command line
pub struct AuditArgs {
    /// Pinned map of tasks to read [default: that of the loaded monitor, else a private monitor]
    #[arg(long, env = "MAP_PIN", value_name = "PATH")]
    pub map: Option<PathBuf>,
    /// Attach a private light monitor, whatever is loaded: the kernel's own counters, and nothing at the
    /// switches. How long single waits were and who stood in the way is not known then
    #[arg(long, conflicts_with_all = ["map", "input", "dir"])]
    pub light: bool,
    #[command(flatten)]
    pub past: PastArgs,
    /// Length of an audited interval, 1ms to 1d: a number of seconds, or with a unit (us, ms, s, min, h, d)
    /// [default: 5s; with COMMAND: until it ends]
    #[arg(long, value_name = "TIME", allow_negative_numbers = true)]
    pub interval: Option<Interval>,
    /// Intervals to audit; 0 = until Ctrl-C, or to the end of what is past [default: 1; of what is past, 0]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = whole::between::<u64>(0, u64::MAX))]
    pub iterations: Option<u64>,
    /// What a row is about: a task (thread), a process, a scheduling group (cgroup or autogroup), or all
    /// tasks of one name
    #[arg(long, value_name = "task|process|group|comm", default_value_t)]
    pub by: By,
    /// Which rows come first: who is owed most, waited most, ran most, was preempted most often
    #[arg(
        long,
        value_enum,
        value_name = "lag|wait|run|preempted",
        default_value_t,
        hide_possible_values = true
    )]
    pub sort: Sort,
    /// Rows shown, 0 to 10000000; 0 = all [default: in a table 20, and who waited longest; else all]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = whole::between::<usize>(0, 10_000_000))]
    pub top: Option<usize>,
    /// Columns of the table, by key or title, from left to right; docs/metrics.md lists them
    #[arg(long, value_name = "KEY,…", value_delimiter = ',', value_parser = column)]
    pub columns: Vec<&'static Metric<Row>>,
    #[command(flatten)]
    pub select: SelectArgs,
    /// table = for people; csv = a row a line under a header; json = one document of all intervals; ndjson =
    /// an object a row, after one for the interval and one for each finding; junit and github = the verdict
    /// for a build, at the end
    /// [default: table, and csv with --output]
    #[arg(long, value_enum, value_name = "table|csv|json|ndjson|junit|github", hide_possible_values = true)]
    pub format: Option<Format>,
    /// Of ndjson only lines of these kinds, so that all lines of a file have the same fields: interval,
    /// finding, hindered (who waited longest, and behind whom), hindered_group (the same by groups), row
    /// [default: all]
    #[arg(long, value_name = "KIND,…", value_delimiter = ',', hide_possible_values = true,
          value_parser = PossibleValuesParser::new(json::RECORDS))]
    pub records: Vec<String>,
    /// File to append to instead of printing, - for standard output; a file of another kind, or with another
    /// header, is refused and left untouched. A document in json replaces it, once it is whole
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Print the JSON Schema of json and ndjson, and end
    #[arg(long)]
    pub json_schema: bool,
    /// Print the findings only: where nice values and weights do nothing
    #[arg(long)]
    pub nice_check: bool,
    /// Do not watch who preempts whom and who holds the CPU meanwhile: the audit then costs no more than the
    /// monitor
    #[arg(long)]
    pub no_interference: bool,
    /// Pairs of tasks of which it is watched who stands in whose way, 1 to 4194304, at 90 bytes each; quiet
    /// ones make room for others
    #[arg(long, value_name = "N", default_value_t, allow_negative_numbers = true)]
    pub max_pairs: MaxPairs,
    /// End with status 5 if a limit is exceeded in all the time that was audited, by COMMAND or else by all
    /// rows that are shown: waited or throttled (of run + wait), lag (of what was entitled, or a time), lost
    /// (of all CPU time, or a time), as in 'waited>20%' or 'lag>100ms'; may be repeated
    #[arg(long, value_name = "LIMIT")]
    pub fail_if: Vec<Threshold>,
    /// File for a page with verdict, findings, ledger and charts of all the time that was audited, which it
    /// replaces
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    /// End with status 3 if the monitor lost data
    #[arg(long)]
    pub strict: bool,
    /// End with status 3 if a shown row is owed more than this in one interval: a number of milliseconds, 0
    /// to 10^9, or with a unit
    #[arg(long, value_name = "TIME", allow_negative_numbers = true, value_parser = lag_limit)]
    pub max_lag: Option<f64>,
    /// End with status 3 if Jain's index of received / entitled, over all tasks, is below this in one
    /// interval, 0 to 1
    #[arg(long, value_name = "X", allow_negative_numbers = true, value_parser = index)]
    pub min_jain: Option<f64>,
    /// Command to run and to audit, with its arguments
    #[arg(last = true, value_name = "COMMAND", conflicts_with_all = ["input", "dir"])]
    pub command: Vec<OsString>,
}

/// Show how long tasks waited for a CPU, as log2 histograms.
///
/// Waits of preempted tasks count like those of woken ones. Reads the loaded monitor, or attaches a private
/// one.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sudo tombola hist                                 all waits of 5 s in one histogram
  sudo tombola hist --by comm --top 3
  sudo tombola hist -p 1234 --interval 1 --iterations 10

Exit status: 1 if a filter matched nothing.")]
pub struct HistArgs {
    /// Pinned map of tasks to read [default: that of the loaded monitor, else a private monitor]
    #[arg(long, env = "MAP_PIN", value_name = "PATH")]
    pub map: Option<PathBuf>,
    /// Refused, with the reason: the kernel's own counters have no histogram
    #[arg(long, hide = true)]
    pub light: bool,
    #[command(flatten)]
    pub past: PastArgs,
    /// Length of an interval, 1ms to 1d: a number of seconds, or with a unit (us, ms, s, min, h, d) [default:
    /// 5s]
    #[arg(long, value_name = "TIME", allow_negative_numbers = true)]
    pub interval: Option<Interval>,
    /// Intervals to show; 0 = until Ctrl-C, or to the end of what is past [default: 1; of what is past, 0]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = whole::between::<u64>(0, u64::MAX))]
    pub iterations: Option<u64>,
    /// A histogram for each task (thread), process, scheduling group or name [default: one of all]
    #[arg(long, value_name = "task|process|group|comm")]
    pub by: Option<By>,
    /// Histograms shown with --by, those of the longest waits first, 0 to 10000000; 0 = all
    #[arg(long, value_name = "N", default_value_t = 5, allow_negative_numbers = true,
          value_parser = whole::between::<usize>(0, 10_000_000))]
    pub top: usize,
    #[command(flatten)]
    pub select: SelectArgs,
    #[command(flatten)]
    pub output: OutputArgs,
}

/// Which tasks are shown. The division is always that of the whole machine: a filter only hides.
///
/// Several filters must all hold; several values of one filter are alternatives. A row of several tasks is
/// shown, whole, if they hold for one of them.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Filters (they hide rows, the ledger stays that of the whole machine)")]
pub struct SelectArgs {
    /// Only this process; may be repeated
    #[arg(short = 'p', long = "pid", value_name = "PID", value_delimiter = ',', allow_negative_numbers = true,
          value_parser = whole::between::<u32>(1, 4_194_304))]
    pub pids: Vec<u32>,
    /// Only this task (thread); may be repeated
    #[arg(short = 't', long = "tid", value_name = "TID", value_delimiter = ',', allow_negative_numbers = true,
          value_parser = whole::between::<u32>(1, 4_194_304))]
    pub tids: Vec<u32>,
    /// Only tasks whose name matches this regular expression somewhere
    #[arg(short = 'c', long, value_name = "REGEX", value_parser = expression)]
    pub comm: Option<Regex>,
    /// Only tasks in this group or below it: a path as in /proc/PID/cgroup or with the mount point before it,
    /// or the short name that the table shows
    #[arg(short = 'g', long, value_name = "PATH", value_parser = group)]
    pub cgroup: Option<String>,
    /// Only living tasks of this user, a name or a number
    #[arg(short = 'u', long = "user", value_name = "USER", value_parser = user)]
    pub user: Option<u32>,
}

/// Which rows come first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Sort {
    /// Who is owed most.
    #[default]
    Lag,
    /// Who waited most.
    Wait,
    /// Who ran most.
    Run,
    /// Who was preempted most often.
    Preempted,
}

/// What an audit is printed as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Aligned columns.
    Table,
    /// Rows under one header.
    Csv,
    /// One object an interval, on one line.
    Json,
    /// One object a line.
    Ndjson,
    /// A test case for each --fail-if, as `JUnit` has them, at the end.
    Junit,
    /// Annotations of GitHub's workflows, at the end.
    Github,
}

fn column(text: &str) -> Result<&'static Metric<Row>, String> {
    super::find_column(text, audit::METRICS)
}

pub(super) fn expression(text: &str) -> Result<Regex, String> {
    Regex::new(text).map_err(|error| error.to_string())
}

/// A path below the mount point of cgroups is what /proc/PID/cgroup shows.
#[expect(clippy::unnecessary_wraps, reason = "the parser wants a result")]
fn group(text: &str) -> Result<String, Infallible> {
    let names = GroupNames::new();
    let below = names.mount_point().and_then(|mount| Path::new(text).strip_prefix(mount).ok());
    Ok(below.map_or_else(|| text.to_owned(), |below| format!("/{}", below.display())))
}

fn user(text: &str) -> Result<u32, String> {
    if let Ok(uid) = text.parse() {
        return Ok(uid);
    }
    match nix::unistd::User::from_name(text) {
        Ok(Some(user)) => Ok(user.uid.as_raw()),
        Ok(None) => Err("there is no user of that name; give a name of this machine or a number".to_owned()),
        Err(error) => Err(format!("the name cannot be looked up ({error}); give a number")),
    }
}

fn lag_limit(text: &str) -> Result<f64, String> {
    let with_unit = || Some(parse_ns(text).ok()? as f64 / 1e6).filter(|ms| *ms <= 1e9);
    number(text, 1e9).or_else(with_unit).ok_or_else(|| {
        "it must be a number of milliseconds from 0 to 1000000000, or a time with its unit, as in 50ms"
            .to_owned()
    })
}

fn index(text: &str) -> Result<f64, String> {
    number(text, 1.0).ok_or_else(|| "it must be a number from 0 to 1".to_owned())
}

/// A plain decimal number from 0 to `most`: no sign, no exponent, no `inf` or `NaN`.
fn number(text: &str, most: f64) -> Option<f64> {
    let is_plain = text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    text.parse().ok().filter(|number| is_plain && (0.0..=most).contains(number))
}
