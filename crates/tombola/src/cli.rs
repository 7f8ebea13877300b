//! The command line: every flag with its unit, range and default, turned into domain values before a verb
//! runs.

mod audit;
mod demo;
mod dump;
mod export;
mod files;
mod grammar;
mod log;
mod manual;
mod output;
mod past;
mod query;
mod record;
mod recording;
mod replay;
mod report;
mod schedule;
mod simulate;
mod top;

pub use audit::{AuditArgs, Format, HistArgs, SelectArgs, Sort};
pub use demo::DemoArgs;
pub use dump::DumpShowArgs;
pub use export::{ExportArgs, ExportVerb, PrometheusArgs};
pub use log::LogArgs;
pub use manual::{CompletionsArgs, ManArgs};
pub use output::{OutputArgs, refuse_columns};
pub use past::{Edge, PastArgs};
pub use query::{QueryArgs, QueryFormat};
pub use record::{RecordArgs, Trigger};
pub use recording::{ConvertArgs, ConvertFormat, InfoArgs, TimehistArgs, TimehistFormat};
pub use replay::{PeriodsArgs, ReplayArgs};
pub use report::ReportArgs;
pub use schedule::{ScheduleArgs, TicketsArgs, TicketsVerb};
pub use simulate::{ComparisonFormat, SimulateArgs};
pub use top::TopArgs;

use crate::interval::{self, Interval, NoLength};
use crate::whole;
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;
use std::time::Duration;
use tombola_core::metric::Metric;
use tombola_core::report::Candidates;
use tombola_core::rolling::Alpha;
use tombola_core::tickets::{Nice, TicketScale};
use tombola_kernel::{MaxGroups, MaxTasks, Pins};

/// Who was entitled to the CPU, who got it, and what another scheduler would have done.
#[derive(Debug, Parser)]
#[command(name = "tombola", version, propagate_version = true, after_help = OVERVIEW)]
pub struct Cli {
    #[command(subcommand)]
    pub verb: Verb,
}

const OVERVIEW: &str = "\
Examples:
  sudo tombola load                       measure from now on, with no process of ours alive
  tombola dump --iterations 3             three tables, a second apart
  sudo tombola top                        the same live: who is owed, who waits, and why
  sudo tombola report -o r.html           a page to hand on
  tombola audit                           who was entitled to what in 5 s, and who got it
  sudo tombola unload                     stop measuring, leave nothing behind
  sudo tombola record -o x.pftrace        every switch and wakeup, for ui.perfetto.dev
  tombola replay x.pftrace                the same work under other schedulers
  tombola simulate three-burners          what four schedulers make of the same work
  sudo tombola schedule -- make -j8       a real lottery in the kernel, as long as make runs

Exit status:
  0    done; also when the reader of the output left early, or after a first Ctrl-C
  1    something failed; one line on standard error says what
  2    usage: an unknown flag, or a value outside its range
  3    done, but a check failed: data was lost under --strict, --max-lag or --min-jain is violated, an [expect]
       of simulate does not hold, schedule --scenario went otherwise than simulated, or status found no monitor
  4    doctor: the monitor cannot be loaded here by this user
  5    done, but a limit of audit --fail-if is exceeded
  130  ended at once by a second Ctrl-C (143 by a second SIGTERM, 129 by a second SIGHUP)

schedule and record with a command end with the status of the command, 128 + the signal's number if a signal killed it.";

#[derive(Debug, Subcommand)]
pub enum Verb {
    Load(LoadArgs),
    Unload(UnloadArgs),
    Status(StatusArgs),
    Dump(Box<DumpArgs>),
    Audit(Box<AuditArgs>),
    Top(Box<TopArgs>),
    Report(Box<ReportArgs>),
    Hist(Box<HistArgs>),
    Info(InfoArgs),
    Timehist(TimehistArgs),
    Convert(ConvertArgs),
    Replay(ReplayArgs),
    Periods(PeriodsArgs),
    Log(LogArgs),
    Record(Box<RecordArgs>),
    Export(ExportArgs),
    Query(QueryArgs),
    Simulate(SimulateArgs),
    Schedule(Box<ScheduleArgs>),
    Tickets(TicketsArgs),
    Workload(WorkloadArgs),
    Doctor(DoctorArgs),
    Completions(CompletionsArgs),
    Man(ManArgs),
    Demo(DemoArgs),
}

/// Where the monitor is pinned: files of a BPF file system, which keep it alive with no process.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub struct PinArgs {
    /// Pin of the map of tasks; companions go into a directory beside it. A path on a BPF file system, no dot
    /// in the file name
    #[arg(long = "map-pin", env = "MAP_PIN", value_name = "PATH", default_value_os_t = Pins::default().map)]
    pub map: PathBuf,
    /// Pin of the program attached to `sched_switch`
    #[arg(long = "prog-pin", env = "PROG_PIN", value_name = "PATH", default_value_os_t = Pins::default().prog)]
    pub prog: PathBuf,
    /// Pin of that program's link, which keeps it attached
    #[arg(long = "link-pin", env = "LINK_PIN", value_name = "PATH", default_value_os_t = Pins::default().link)]
    pub link: PathBuf,
}

impl From<PinArgs> for Pins {
    fn from(args: PinArgs) -> Self {
        Self { map: args.map, prog: args.prog, link: args.link }
    }
}

/// Load the monitor into the running kernel and pin it: it measures until unload, with no process of ours
/// alive.
///
/// Needs `CAP_BPF` and `CAP_PERFMON`, or root. If the same version is loaded already, says since when and
/// ends with 0.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sudo tombola load
  sudo tombola load --max-tasks 131072       a host with 100,000 threads
  sudo tombola load --light                  nothing at the switches: the kernel's own counters, read when asked
  sudo tombola load --force                  replace the monitor of another version")]
pub struct LoadArgs {
    #[command(flatten)]
    pub pins: PinArgs,
    /// BTF file that describes the running kernel [default: the kernel's own, /sys/kernel/btf/vmlinux]
    #[arg(long, env = "BTF_PATH", value_name = "FILE")]
    pub btf: Option<PathBuf>,
    /// BPF object file to load in place of the built-in one
    #[arg(long, value_name = "FILE")]
    pub obj: Option<PathBuf>,
    /// Tasks (threads) the map has room for, 1 to 4194304, at 432 bytes each; what finds no room is counted
    /// in total, not one by one [default: 65536, or less where `kernel.threads-max` is]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub max_tasks: Option<MaxTasks>,
    /// Groups (sessions and cgroups in which tasks ran of late) the monitor has room for, 1 to 1048576, at
    /// 170 bytes each. Where there are more, those in which nobody has run for longest go first [default:
    /// 8192]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub max_groups: Option<MaxGroups>,
    /// Replace pins of another version or layout
    #[arg(long)]
    pub force: bool,
    /// Attach nothing where tasks are switched: read the kernel's own counters when asked, and catch exits.
    /// How long single waits were and who stood in the way is not known then; the pins of program and link
    /// are those of the program that catches exits
    #[arg(long, conflicts_with_all = ["obj", "max_tasks"])]
    pub light: bool,
}

/// Detach the monitor and remove its pins.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sudo tombola unload
  sudo tombola unload --map-pin /sys/fs/bpf/mine/task_map")]
pub struct UnloadArgs {
    #[command(flatten)]
    pub pins: PinArgs,
}

/// Show whether the monitor is loaded, since when and by which version, and what it tracks, lost and costs.
///
/// Ends with 0 where it is loaded, and with 3 where it is not. The cost (ns a run) is shown while the kernel
/// counts it: `sysctl kernel.bpf_stats_enabled=1`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tombola status
  tombola status --output /dev/null || sudo tombola load
  MAP_PIN=/sys/fs/bpf/mine/task_map tombola status")]
pub struct StatusArgs {
    #[command(flatten)]
    pub pins: PinArgs,
    #[command(flatten)]
    pub output: OutputArgs,
}

/// Print what every task got, interval by interval; draw lotteries over the tickets; append CSV.
///
/// Reads the loaded monitor. Where none is loaded and no --map is given, attaches a private one for the time
/// of the run and says so. The first sample of a loaded monitor comes at once and reaches back to the load.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tombola dump                                              a table a second until Ctrl-C
  tombola dump --by group --top 5 --iterations 1
  tombola dump -c '^nginx' --format ndjson --output -
  sudo tombola dump --light --iterations 5                  nothing at the switches: the kernel's own counters
  tombola dump --interval 250ms --iterations 20 --output stats.csv
  tombola dump --iterations 5 --simulate-draws 1000000 --top 3 --seed 7")]
pub struct DumpArgs {
    /// Pinned map of tasks to read [default: that of the loaded monitor, else a private monitor]
    #[arg(long, env = "MAP_PIN", value_name = "PATH")]
    pub map: Option<PathBuf>,
    /// Attach a private light monitor, whatever is loaded: the kernel's own counters, and nothing at the
    /// switches. How long single waits were and who stood in the way is not known then
    #[arg(long, conflicts_with_all = ["map", "input", "dir"])]
    pub light: bool,
    #[command(flatten)]
    pub past: PastArgs,
    /// Time between samples, 1ms to 1d: a number of seconds, or with a unit (us, ms, s, min, h, d)
    #[arg(long, value_name = "TIME", default_value_t, allow_negative_numbers = true)]
    pub interval: Interval,
    /// Samples to take; 0 = until Ctrl-C
    #[arg(long, value_name = "N", default_value_t = 0, allow_negative_numbers = true,
          value_parser = whole::between::<u64>(0, u64::MAX))]
    pub iterations: u64,
    /// File to append CSV to, or what --format says; - for standard output, which then has nothing else. A
    /// file of another kind, or with another header, is refused and left untouched
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Lottery draws over the tickets after each sample, 0 to 10^18; 0 = none
    #[arg(long, value_name = "N", default_value_t = 0, allow_negative_numbers = true,
          value_parser = whole::between::<u64>(0, 1_000_000_000_000_000_000))]
    pub simulate_draws: u64,
    /// Weight of the newest interval in the rolling mean, above 0 and at most 1
    #[arg(long, value_name = "X", default_value_t, allow_negative_numbers = true)]
    pub alpha: Alpha,
    /// Seed of the draws, 0 to 2^64−1, to repeat a run [default: a new one each run; it is printed]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = whole::between::<u64>(0, u64::MAX))]
    pub seed: Option<u64>,
    /// How nice values become tickets: weight = the kernel's table (nice 0 is 1024), linear = max(10, 100 −
    /// 10·nice)
    #[arg(long, value_name = "weight|linear", default_value_t)]
    pub tickets: TicketScale,
    /// Whose rows are shown, and who takes part in the draws: tasks that were runnable in the interval, or
    /// every tracked task
    #[arg(long, value_name = "runnable|all", default_value_t)]
    pub candidates: Candidates,
    /// More columns: wait, voluntary and involuntary switches, wakeups, migrations, policy, cgroup
    #[arg(long)]
    pub wide: bool,
    /// End with status 3 if the monitor lost data
    #[arg(long)]
    pub strict: bool,
    #[command(flatten)]
    pub show: DumpShowArgs,
}

/// Burn CPU in a repeatable way, end on time, and report what each thread got.
///
/// Prints its PID first. Ctrl-C ends it early, with the report.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tombola workload --nice 5 --duration 10
  tombola workload --threads 4 --cpu 0 --pattern sleep --burst 2ms --pause 3ms
  sudo tombola workload --nice -5 --duration 0.5")]
pub struct WorkloadArgs {
    /// Nice value, -20 to 19; a lower one than now needs a right [default: as started]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = nice)]
    pub nice: Option<Nice>,
    /// How long to run, 1ms to 1d: a number of seconds, or with a unit (us, ms, s, min, h, d)
    #[arg(long, value_name = "TIME", default_value = "10s", allow_negative_numbers = true, value_parser = duration)]
    pub duration: Duration,
    /// The one CPU to run on, numbered from 0 [default: every CPU allowed]
    #[arg(long, value_name = "C", allow_negative_numbers = true, value_parser = whole::between::<usize>(0, 65535))]
    pub cpu: Option<usize>,
    /// Threads, 1 to 1024
    #[arg(long, value_name = "K", default_value_t = 1, allow_negative_numbers = true,
          value_parser = whole::between::<usize>(1, 1024))]
    pub threads: usize,
    /// spin = burn without a break; sleep = bursts with pauses between; mixed = 100 ms of each in turn
    #[arg(long, value_enum, value_name = "spin|sleep|mixed", default_value_t, hide_possible_values = true)]
    pub pattern: Pattern,
    /// CPU time of a burst, 10us to 1d (patterns sleep and mixed)
    #[arg(long, value_name = "TIME", default_value = "2ms", allow_negative_numbers = true, value_parser = step)]
    pub burst: Duration,
    /// Sleep after a burst, 10us to 1d (patterns sleep and mixed)
    #[arg(long, value_name = "TIME", default_value = "3ms", allow_negative_numbers = true, value_parser = step)]
    pub pause: Duration,
}

/// What a burner does with its time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Pattern {
    /// Burns without a break.
    #[default]
    Spin,
    /// Bursts of CPU time with pauses between.
    Sleep,
    /// Spin and sleep in turn, 100 ms each.
    Mixed,
}

/// Check, line by line, what this kernel lets this user do, with the reason and the remedy.
///
/// Ends with 0 where the monitor can be loaded, with 4 where it cannot.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tombola doctor
  sudo tombola doctor --btf /boot/btf-6.1")]
pub struct DoctorArgs {
    /// Pin of the map of tasks: its directory is checked
    #[arg(long, env = "MAP_PIN", value_name = "PATH", default_value_os_t = Pins::default().map)]
    pub map_pin: PathBuf,
    /// BTF file that describes the running kernel [default: the kernel's own, /sys/kernel/btf/vmlinux]
    #[arg(long, env = "BTF_PATH", value_name = "FILE")]
    pub btf: Option<PathBuf>,
    #[command(flatten)]
    pub output: OutputArgs,
}

/// The metric of a key or a title, in capitals or not.
fn find_column<R>(text: &str, metrics: &'static [Metric<R>]) -> Result<&'static Metric<R>, String> {
    let names =
        |metric: &Metric<R>| [metric.key, metric.title].iter().any(|name| name.eq_ignore_ascii_case(text));
    metrics.iter().find(|metric| names(metric)).ok_or_else(|| {
        let keys: Vec<&str> = metrics.iter().map(|metric| metric.key).collect();
        let hint = crate::nearest::did_you_mean(&text.to_ascii_lowercase(), keys.iter().copied());
        let stop = if hint.is_empty() { "." } else { "" };
        format!("there is no such column{hint}{stop} There are: {}", keys.join(", "))
    })
}

fn nice(text: &str) -> Result<Nice, String> {
    let number = text.parse().map_err(|_| "it must be a whole number between -20 and 19".to_owned())?;
    Nice::new(number).map_err(|range| range.to_string())
}

fn duration(text: &str) -> Result<Duration, NoLength> {
    interval::length_between(text, Interval::MIN, Interval::MAX)
}

fn step(text: &str) -> Result<Duration, NoLength> {
    interval::length_between(text, Duration::from_micros(10), Interval::MAX)
}

#[cfg(test)]
mod tests;
