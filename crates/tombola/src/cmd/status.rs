//! `tombola status`: what is loaded, what it tracks, lost and costs.

use crate::cli::StatusArgs;
use crate::exit::Exit;
use crate::sink::loss::loss_text;
use crate::wall_time::utc;
use anyhow::{Context, Result};
use std::io::Write;
use tombola_kernel::{Error, Pins, Status, status};

/// Prints it; status 0 also where nothing is loaded, which is an answer.
pub fn run(args: StatusArgs, out: &mut dyn Write) -> Result<Exit> {
    let pins = Pins::from(args.pins);
    match status(&pins) {
        Ok(found) => print(&found, out)?,
        Err(Error::NotLoaded { map }) => writeln!(out, "not loaded: nothing is pinned at {}", map.display())?,
        Err(error) => return Err(error).context("cannot tell the monitor's status"),
    }
    Ok(Exit::Ok)
}

fn print(status: &Status, out: &mut dyn Write) -> Result<()> {
    let monitor = &status.monitor;
    writeln!(out, "loaded   since {}, by version {}", utc(monitor.begin_unix_us), monitor.version)?;
    writeln!(out, "measured {:.3} s", status.measured_ns as f64 / 1e9)?;
    writeln!(
        out,
        "tracks   {} tasks, room for {}; {} tasks ended",
        status.tracked, monitor.max_tasks, status.exits
    )?;
    writeln!(out, "loss     {}", loss_text(&status.loss))?;
    match (&status.cost, status.costs_are_counted) {
        (Some(cost), counting) => writeln!(
            out,
            "cost     {:.1} ns a run, mean of {} runs counted{}",
            cost.per_run_ns(),
            cost.runs,
            if counting { "" } else { " (kernel.bpf_stats_enabled is off now)" }
        )?,
        (None, true) => {
            writeln!(out, "cost     counted by the kernel, but this user may not ask: run as root")?;
        }
        (None, false) => writeln!(
            out,
            "cost     not counted: 'sudo sysctl kernel.bpf_stats_enabled=1' counts it, at a price"
        )?,
    }
    for (label, pin) in std::iter::once("pins").chain(std::iter::repeat("")).zip(&status.pins) {
        writeln!(out, "{label:<8} {} (mode {:04o}, uid {})", pin.path.display(), pin.mode, pin.uid)?;
    }
    Ok(())
}
