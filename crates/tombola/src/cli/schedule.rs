//! The flags of `schedule` and `tickets`.

use super::OutputArgs;
use crate::interval::{Interval, NoLength, length_between};
use crate::whole;
use clap::{Args, Subcommand};
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;
use tombola_kernel::scheduler::{Guard, Law, Slice};

/// Put a lottery scheduler into the kernel, until Ctrl-C, a time, or the end of a command; then report who
/// won what.
///
/// Needs a kernel with `sched_ext` (tried: Linux 6.17, 6.19, 7.3), and root. However this process ends, the
/// kernel's own scheduler is back at once. With a command the exit status is the command's. With --scenario,
/// one of the simulator's scenarios is acted out by real threads, and held against the simulation: status 3
/// where the two differ by more than chance allows.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sudo tombola schedule                             the whole machine, until Ctrl-C
  sudo tombola schedule --partial -- make -j8       only this command and its children
  sudo tombola schedule --slice 2ms --policy stride --duration 1min
  sudo tombola schedule --scenario three-burners --duration 20s")]
pub struct ScheduleArgs {
    /// Schedule only tasks of the policy `SCHED_EXT`: the command and its children, or whoever joins with
    /// chrt --ext 0 COMMAND. All others stay with the kernel's scheduler, and come first
    #[arg(long)]
    pub partial: bool,
    /// How long a slice lasts at most, 100us to 1s [default: 5ms, or the quantum of the scenario]
    #[arg(long, value_name = "TIME", allow_negative_numbers = true, value_parser = slice)]
    pub slice: Option<Slice>,
    /// lottery = who runs next is drawn; stride = the same shares without chance
    #[arg(long, value_name = "lottery|stride", default_value_t)]
    pub policy: Law,
    /// How long a task may wait before it goes first, before all draws, 100ms to 20s [default: 10s]
    #[arg(long, value_name = "TIME", allow_negative_numbers = true, value_parser = guard)]
    pub guard: Option<Guard>,
    /// How long to schedule, 1ms to 1d [default: until Ctrl-C or the end of the command; with a scenario, its
    /// duration]
    #[arg(long, value_name = "TIME", allow_negative_numbers = true, value_parser = super::duration)]
    pub duration: Option<Duration>,
    /// Report every so often too, 1ms to 1d: what it came to since the start
    #[arg(long, value_name = "TIME", allow_negative_numbers = true, conflicts_with = "scenario")]
    pub interval: Option<Interval>,
    /// Tasks in a report, most wins first, 0 to 1000000; 0 = all
    #[arg(long, value_name = "N", default_value_t = 20, allow_negative_numbers = true, conflicts_with = "scenario",
          value_parser = whole::between::<usize>(0, 1_000_000))]
    pub top: usize,
    /// Act out a scenario of simulate: a TOML file, or the name of a built-in one
    #[arg(long, value_name = "FILE|NAME", conflicts_with = "command")]
    pub scenario: Option<PathBuf>,
    #[command(flatten)]
    pub output: OutputArgs,
    /// Command to run; the scheduler goes when it ends
    #[arg(last = true, value_name = "COMMAND")]
    pub command: Vec<OsString>,
}

/// Show and change the tickets of tasks, while 'tombola schedule' runs.
///
/// Tickets follow from the nice value until they are set. They are in the currency of the task's group: a
/// cgroup divides what its own weight gets among its tasks. Children inherit them. When the scheduler goes,
/// they are gone.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sudo tombola tickets show
  sudo tombola tickets set 4711 500
  sudo tombola tickets set 4711 --by-nice
  sudo tombola tickets give 4711 4712 100")]
pub struct TicketsArgs {
    /// What to do
    #[command(subcommand)]
    pub what: TicketsVerb,
}

/// What to do with tickets.
#[derive(Debug, Subcommand)]
pub enum TicketsVerb {
    /// All tasks of the scheduler
    #[command(after_help = "Example: sudo tombola tickets show --format json")]
    Show {
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Set the tickets of a task
    #[command(
        after_help = "Examples:\n  sudo tombola tickets set 4711 500\n  sudo tombola tickets set 4711 --by-nice"
    )]
    Set {
        /// PID of the task; of a thread its thread id
        #[arg(value_name = "PID", allow_negative_numbers = true, value_parser = pid())]
        pid: u32,
        /// Tickets, 1 to 1048576
        #[arg(value_name = "N", allow_negative_numbers = true, value_parser = amount(),
              required_unless_present = "by_nice")]
        tickets: Option<u32>,
        /// Take them from the nice value again
        #[arg(long, conflicts_with = "tickets")]
        by_nice: bool,
    },
    /// Move tickets from a task to another of the same group
    #[command(after_help = "Example: sudo tombola tickets give 4711 4712 100")]
    Give {
        /// PID of the task that gives
        #[arg(value_name = "FROM", allow_negative_numbers = true, value_parser = pid())]
        from: u32,
        /// PID of the task that gets
        #[arg(value_name = "TO", allow_negative_numbers = true, value_parser = pid())]
        to: u32,
        /// Tickets, 1 to 1048576 [default: all but one]
        #[arg(value_name = "N", allow_negative_numbers = true, value_parser = amount())]
        tickets: Option<u32>,
    },
}

/// Most tickets of a task.
const MOST_TICKETS: u64 = 1 << 20;

fn amount() -> impl Fn(&str) -> Result<u32, String> + Clone + Send + Sync + 'static {
    whole::between::<u32>(1, MOST_TICKETS)
}

/// The kernel's largest PID is 2²² (`PID_MAX_LIMIT`).
fn pid() -> impl Fn(&str) -> Result<u32, String> + Clone + Send + Sync + 'static {
    whole::between::<u32>(1, 1 << 22)
}

fn slice(text: &str) -> Result<Slice, NoLength> {
    let length = length_between(text, Slice::LEAST, Slice::MOST)?;
    Ok(Slice::new(length).expect("the range is the same"))
}

fn guard(text: &str) -> Result<Guard, NoLength> {
    let length = length_between(text, Guard::LEAST, Guard::MOST)?;
    Ok(Guard::new(length).expect("the range is the same"))
}
