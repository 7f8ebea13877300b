//! `tombola status`: what is loaded, what it tracks, lost and costs.

use crate::cli::{OutputArgs, StatusArgs};
use crate::exit::Exit;
use crate::sink::loss::loss_text;
use crate::sink::result;
use crate::sink::result::outlet::ResultFormat;
use crate::target::Target;
use crate::text::{count, harmless};
use crate::wall_time::utc;
use anyhow::{Context, Result};
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use tombola_kernel::{Error, Pins, Status, status};

/// Prints it, and says with the exit status whether a monitor is loaded.
pub fn run(args: StatusArgs, out: &mut dyn Write) -> Result<Exit> {
    let OutputArgs { format, output, json_schema } = args.output;
    if json_schema {
        out.write_all(result::status::schema()?.as_bytes())?;
        return Ok(Exit::Ok);
    }
    let mut target = Target::open(output.as_deref())?;
    let pins = Pins::from(args.pins);
    let found = match status(&pins) {
        Ok(found) => Some(found),
        Err(Error::NotLoaded { .. }) => None,
        Err(error) => return Err(error).context("cannot tell the monitor's status"),
    };
    let mut text = Vec::new();
    match (format, &found) {
        (ResultFormat::Json | ResultFormat::Ndjson, found) => {
            text = result::status::line(&pins.map, found.as_ref())?;
        }
        (ResultFormat::Table, Some(found)) => print(found, &mut text)?,
        (ResultFormat::Table, None) => {
            let map = harmless(pins.map.as_os_str().as_bytes());
            writeln!(text, "not loaded: nothing is pinned at {map}; 'sudo tombola load' loads it")?;
        }
    }
    target.write(out, &text)?;
    target.finish()?;
    Ok(if found.is_some() { Exit::Ok } else { Exit::NotLoaded })
}

fn print(status: &Status, out: &mut dyn Write) -> Result<()> {
    let monitor = &status.monitor;
    writeln!(out, "loaded   since {}, by version {}", utc(monitor.begin_unix_us), monitor.version)?;
    writeln!(out, "measured {:.3} s", status.measured_ns as f64 / 1e9)?;
    if monitor.light {
        writeln!(
            out,
            "kind     light: the kernel's own counters; attached at the ends of tasks, not at the switches"
        )?;
    }
    let room = monitor.max_tasks.map_or_else(String::new, |room| format!(", room for {room}"));
    writeln!(out, "tracks   {}{room}; {} ended", count(status.tracked, "task"), count(status.exits, "task"))?;
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
