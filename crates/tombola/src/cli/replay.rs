//! The flags of `replay` and `periods`: what a recording would have been, and whether its real-time tasks
//! fit.

use super::output::OutputArgs;
use super::past::Edge;
use crate::interval;
use crate::whole;
use clap::Args;
use std::path::PathBuf;
use std::time::Duration;
use tombola_lab::policy::PolicyKind;

/// Replay what the tasks of a recording wanted under other schedulers, and say how far that can be believed.
///
/// The scheduler of the recording is replayed first: what comes out differs from what was recorded, and that
/// error is the honesty score. What another policy changes by less is "no difference". A simulation: no root.
/// Ctrl-C prints the policies that are done.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tombola replay x.pftrace --policy lottery,stride,rr
  tombola replay perf.data --from 1s --to 3s --policy lottery --format json
  tombola replay trace.dat --recorded cfs --tick 1ms")]
pub struct ReplayArgs {
    /// The recording, of any known format; - for standard input
    #[arg(value_name = "FILE", required_unless_present = "json_schema")]
    pub file: Option<PathBuf>,
    /// Policies to replay it under, with commas between; that of the recording always comes first
    #[arg(long, value_name = "NAME,…", value_delimiter = ',', default_value = "lottery,stride,rr")]
    pub policy: Vec<PolicyKind>,
    /// Policy under which it was recorded [default: the fair class of its kernel, eevdf-linux from 6.6 on,
    /// cfs before]
    #[arg(long, value_name = "NAME")]
    pub recorded: Option<PolicyKind>,
    /// Begin, as a length of time since the begin of the recording, such as 1.2s
    #[arg(long, value_name = "TIME")]
    pub from: Option<Edge>,
    /// End, as --from
    #[arg(long, value_name = "TIME")]
    pub to: Option<Edge>,
    /// Slice of policies that have none of their own, 10us to 1d
    #[arg(long, value_name = "TIME", default_value = "10ms", value_parser = super::step)]
    pub quantum: Duration,
    /// Tick of the kernel, at which slices end: 1ms where `CONFIG_HZ` is 1000; 0 = at once [default: 4ms, 0
    /// for simulations]
    #[arg(long, value_name = "TIME", value_parser = tick)]
    pub tick: Option<Duration>,
    /// Runs of a policy with chance, 1 to 1000
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = whole::between::<u32>(1, 1000))]
    pub runs: u32,
    /// Seed of policies with chance
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Tasks that are shown, those with the most CPU time first; 0 = all
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub top: usize,
    #[command(flatten)]
    pub output: OutputArgs,
}

/// Find the periodic tasks of a recording: period, jitter, execution time, lateness, and whether EDF and RM
/// would be in time.
///
/// A task is periodic where its wakes by timers keep their distance. Needs no root.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tombola periods -i x.pftrace
  tombola periods -i trace.dat --deadline control=5ms --deadline 4711=10ms
  tombola periods -i perf.data --format json")]
pub struct PeriodsArgs {
    /// The recording, of any known format; - for standard input
    #[arg(short, long, value_name = "FILE", required_unless_present = "json_schema")]
    pub input: Option<PathBuf>,
    /// Deadline of a task, by name or thread id, after its wake; may be repeated [default: the period]
    #[arg(long, value_name = "TASK=TIME", value_parser = deadline)]
    pub deadline: Vec<(String, Duration)>,
    /// Begin, as a length of time since the begin of the recording, such as 1.2s
    #[arg(long, value_name = "TIME")]
    pub from: Option<Edge>,
    /// End, as --from
    #[arg(long, value_name = "TIME")]
    pub to: Option<Edge>,
    /// CPUs for which EDF and RM are tried [default: those of the recording]
    #[arg(long, value_name = "N", value_parser = whole::between::<u32>(1, 1024))]
    pub cpus: Option<u32>,
    #[command(flatten)]
    pub output: OutputArgs,
}

fn tick(text: &str) -> Result<Duration, interval::NoLength> {
    if text == "0" { Ok(Duration::ZERO) } else { super::step(text) }
}

fn deadline(text: &str) -> Result<(String, Duration), String> {
    let (task, length) = text.rsplit_once('=').ok_or("it must be TASK=TIME, such as control=10ms")?;
    if task.is_empty() {
        return Err("it must be TASK=TIME, such as control=10ms".to_owned());
    }
    Ok((task.to_owned(), super::step(length).map_err(|error| error.to_string())?))
}
