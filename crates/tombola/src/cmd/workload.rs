//! `tombola workload`: a repeatable load, and what each of its threads got.

pub(super) mod burner;

use crate::cli::{Pattern, WorkloadArgs};
use crate::exit::Exit;
use crate::interrupt::Interrupt;
use crate::interval::Plain;
use anyhow::{Context, Result, bail};
use burner::{Got, Plan};
use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;
use rustix::process::{getpriority_process, setpriority_process};
use std::io::{self, Write};
use std::time::Duration;
use tombola_core::tickets::Nice;

/// Burns as told, then reports. The main thread takes nice value and CPU first: what is refused is refused
/// before anything burns, and the burners inherit both.
pub fn run(args: &WorkloadArgs, out: &mut dyn Write) -> Result<Exit> {
    let interrupt = Interrupt::catch()?;
    if let Some(nice) = args.nice {
        renice(nice)?;
    }
    if let Some(cpu) = args.cpu {
        confine(cpu)?;
    }
    announce(args, out)?;
    let plan = Plan { duration: args.duration, pattern: args.pattern, burst: args.burst, pause: args.pause };
    let got = burner::run(&plan, args.threads, &interrupt)?;
    report(&got, interrupt.raised(), out)?;
    Ok(Exit::Ok)
}

fn renice(nice: Nice) -> Result<()> {
    let before = getpriority_process(None).unwrap_or(0);
    setpriority_process(None, nice.get().into()).with_context(|| {
        format!(
            "cannot lower nice from {before} to {nice}: it needs CAP_SYS_NICE or a limit that allows it \
             (ulimit -e); type it with sudo"
        )
    })
}

fn confine(cpu: usize) -> Result<()> {
    let mut set = CpuSet::new();
    if set.set(cpu).and_then(|()| sched_setaffinity(Pid::from_raw(0), &set)).is_ok() {
        return Ok(());
    }
    let status = std::fs::read_to_string("/proc/self/status").context("cannot read /proc/self/status")?;
    match status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:")) {
        Some(allowed) => bail!("cannot run on CPU {cpu}: this process may use {}", allowed.trim()),
        None => bail!("cannot run on CPU {cpu}: there is none of that number, or it is not allowed"),
    }
}

/// One line, at once, so that a script learns the PID while the load runs.
fn announce(args: &WorkloadArgs, out: &mut dyn Write) -> io::Result<()> {
    let threads = if args.threads == 1 { "1 thread".to_owned() } else { format!("{} threads", args.threads) };
    let nice = getpriority_process(None).unwrap_or(0);
    let place = args.cpu.map_or_else(|| "any CPU".to_owned(), |cpu| format!("CPU {cpu}"));
    let pattern = match args.pattern {
        Pattern::Spin => "spin".to_owned(),
        Pattern::Sleep => format!("sleep ({} burst, {} pause)", Plain(args.burst), Plain(args.pause)),
        Pattern::Mixed => format!("mixed ({} burst, {} pause)", Plain(args.burst), Plain(args.pause)),
    };
    let pid = std::process::id();
    writeln!(out, "pid {pid}: {threads}, nice {nice}, {place}, {pattern}, for {}", Plain(args.duration))?;
    out.flush()
}

fn report(got: &[Got], interrupted: bool, out: &mut dyn Write) -> io::Result<()> {
    if interrupted {
        writeln!(out, "interrupted: this is what was got until then")?;
    }
    writeln!(
        out,
        "{:>8} {:>11} {:>11} {:>8} {:>11} {:>9} {:>11}",
        "TID", "WALL_MS", "CPU_MS", "SHARE%", "WAIT_MS", "VOLUNTARY", "INVOLUNTARY"
    )?;
    for one in got {
        row(&one.tid.to_string(), one, out)?;
    }
    if got.len() > 1 {
        let mut sum = got.iter().fold(Got::default(), |sum, one| sum.plus(one));
        sum.wall = got.iter().map(|one| one.wall).max().unwrap_or_default();
        row("all", &sum, out)?;
    }
    Ok(())
}

fn row(name: &str, got: &Got, out: &mut dyn Write) -> io::Result<()> {
    let ms = |length: Duration| format!("{:.3}", length.as_secs_f64() * 1e3);
    writeln!(
        out,
        "{name:>8} {:>11} {:>11} {:>8.2} {:>11} {:>9} {:>11}",
        ms(got.wall),
        ms(got.cpu),
        got.share() * 100.0,
        got.wait.map_or_else(|| "-".to_owned(), ms),
        got.voluntary,
        got.involuntary
    )
}
