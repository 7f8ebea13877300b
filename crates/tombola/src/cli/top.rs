//! The flags of `top`.

use super::PastArgs;
use crate::interval::Interval;
use crate::tui::{Column, Theme};
use clap::Args;
use std::path::PathBuf;
use tombola_lab::policy::PolicyKind;

/// Watch live who is owed the CPU and why, who waits, and who stands in the way.
///
/// Reads the loaded monitor. Where none is loaded and no --map is given, attaches a private one for the time
/// of the run. With --simulate a scenario is looked at in place of this machine: no root, no kernel. `?`
/// shows the keys. What is set by a flag comes before the config file (`~/.config/tombola/config.toml`, which
/// S writes), and that before the default.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sudo tombola top
  sudo tombola top --light                    nothing at the switches
  sudo tombola top --interval 500ms --theme light
  tombola top --columns pid,wait%,wait_p99_ns,lag_ns,comm
  tombola top -i trace.perf.data              a recording; arrows left and right move in its time
  tombola top --simulate web-and-batch        to try it anywhere

NO_COLOR turns colours off. Without a terminal, or with TERM=dumb, use audit or dump.")]
pub struct TopArgs {
    /// Pinned map of tasks to read [default: that of the loaded monitor, else a private monitor]
    #[arg(long, env = "MAP_PIN", value_name = "PATH", conflicts_with = "simulate")]
    pub map: Option<PathBuf>,
    /// Attach a private light monitor, whatever is loaded: the kernel's own counters, and nothing at the
    /// switches. How long single waits were and who stood in the way is not known then
    #[arg(long, conflicts_with_all = ["map", "input", "dir", "simulate"])]
    pub light: bool,
    /// Time between two refreshes, 1ms to 1d: a number of seconds, or with a unit (us, ms, s, min, h, d)
    /// [default: 1s]
    #[arg(long, value_name = "TIME", allow_negative_numbers = true)]
    pub interval: Option<Interval>,
    /// Colours: for a dark background, for a light one, or none [default: dark]
    #[arg(long, value_name = "dark|light|mono")]
    pub theme: Option<Theme>,
    /// Columns of tasks and processes.
    #[arg(
        long,
        value_name = "KEY,…",
        value_delimiter = ',',
        help = "Columns of tasks and processes, by key or title, from left to right: those of audit --columns, and USER, CPU%, WAIT% \
                and GOT/FAIR; key C lists them all [default: PID,USER,NICE,POLICY,CPU%,WAIT%,P99_MS,LAG_MS,GOT/FAIR,GROUP,COMM]"
    )]
    pub columns: Vec<Column>,
    /// Leave the mouse to the terminal; key M does the same [default: clicks and the wheel are taken]
    #[arg(long)]
    pub no_mouse: bool,
    /// Do not watch who preempts whom and who holds the CPU meanwhile
    #[arg(long)]
    pub no_interference: bool,
    /// Config file in place of ~/.config/tombola/config.toml
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    #[command(flatten)]
    pub past: PastArgs,
    /// Look at a simulated scenario: a TOML file, or the name of a built-in one
    #[arg(long, value_name = "FILE|NAME", conflicts_with_all = ["input", "dir", "save_frames"])]
    pub simulate: Option<PathBuf>,
    /// Scheduler of the simulation
    #[arg(long, value_name = "NAME", default_value = "eevdf", requires = "simulate")]
    pub policy: PolicyKind,
}
