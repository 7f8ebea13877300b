//! `tombola demo`: three burners on one CPU, and what three books say they got.

use crate::cli::DemoArgs;
use crate::exit::Exit;
use crate::interrupt::Interrupt;
use crate::limits::cannot_start;
use crate::pace::{First, Pace, Step, wait_for};
use crate::source::{self, Wanted};
use anyhow::{Context, Result, bail};
use nix::sched::{CpuSet, sched_getaffinity};
use nix::unistd::Pid;
use std::fmt::Write as _;
use std::fs;
use std::io::Write;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};
use tombola_core::duration::Plain;
use tombola_core::tickets::Nice;

/// Nice values of the burners.
const NICE: [i8; 3] = [0, 5, 10];

/// CPU time a burner has had when it counts as started.
const STARTED_NS: u64 = 1_000_000;

/// The longest a burner may take to start on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// Watches, and compares.
pub fn run(args: &DemoArgs, out: &mut dyn Write) -> Result<Exit> {
    let interrupt = Interrupt::catch()?;
    // The last CPU this process may use: CPU 0 is where most interrupts go.
    let allowed = sched_getaffinity(Pid::from_raw(0)).context("cannot read the CPUs this process may use")?;
    let cpu = (0..CpuSet::count()).rev().find(|cpu| allowed.is_set(*cpu).unwrap_or(false)).unwrap_or(0);
    let source = source::open(None, Wanted::default()).context("'tombola doctor' says what is missing")?;
    writeln!(
        out,
        "Three burners of nice {}, {} and {} share CPU {cpu} for {}.",
        NICE[0],
        NICE[1],
        NICE[2],
        Plain(args.duration)
    )?;
    out.flush()?;
    // Children of one process are in one session: with autogroup, nice acts only inside a session.
    let burners: Vec<Burner> = NICE.iter().map(|nice| Burner::start(*nice, cpu)).collect::<Result<_>>()?;
    for burner in &burners {
        burner.wait_for_start()?;
    }
    let mut pace = Pace::new(source, Some(args.duration), 1, First::FromNow)?;
    let own = || burners.iter().map(Burner::runtime_ns).collect::<Result<Vec<u64>>>();
    let before = own()?;
    let Some(Step { window, frame }) = pace.next(|length| Ok(wait_for(&interrupt, length)))? else {
        bail!("the monitor had nothing to tell");
    };
    let after = own()?;
    let measured: Vec<u64> = burners
        .iter()
        .map(|burner| {
            let is_its = |tgid| frame.pid_here(tgid) == Some(burner.child.id());
            let its = window.tasks.iter().filter(|task| is_its(task.totals.tgid));
            its.map(|task| task.delta.runtime_ns).sum()
        })
        .collect();
    let own: Vec<u64> =
        after.iter().zip(&before).map(|(after, before)| after.saturating_sub(*before)).collect();
    write!(out, "\n{}", table(&measured, &own)?)?;
    Ok(Exit::Ok)
}

/// Shares of the three: by weight, as measured, and by the kernel's own books.
fn table(measured: &[u64], own: &[u64]) -> Result<String> {
    let weights =
        NICE.iter().map(|nice| Ok(Nice::new((*nice).into())?.weight())).collect::<Result<Vec<_>>>()?;
    let all: u32 = weights.iter().sum();
    let percent = |part: u64, of: &[u64]| match of.iter().sum::<u64>() {
        0 => "-".to_owned(),
        all => format!("{:.2}%", 100.0 * part as f64 / all as f64),
    };
    let mut text = "nice  weight  predicted  tombola measured  the kernel's own books\n".to_owned();
    for (at, weight) in weights.iter().enumerate() {
        let predicted = format!("{:.2}%", 100.0 * f64::from(*weight) / f64::from(all));
        let (measured, own) = (percent(measured[at], measured), percent(own[at], own));
        let nice = NICE[at];
        let _ = writeln!(text, "{nice:>4}  {weight:>6}  {predicted:>9}  {measured:>16}  {own:>22}"); // a String takes everything
    }
    Ok(text)
}

/// A workload in a process of its own, which ends with this value.
struct Burner {
    child: Child,
}

impl Burner {
    fn start(nice: i8, cpu: usize) -> Result<Self> {
        let program = std::env::current_exe().context("cannot find the program itself")?;
        let mut command = Command::new(program);
        command.args(["workload", "--duration", "1d"]).arg(format!("--cpu={cpu}"));
        if nice > 0 {
            command.arg(format!("--nice={nice}"));
        }
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn();
        Ok(Self { child: child.map_err(|error| cannot_start("a burner", error))? })
    }

    /// CPU time of all its threads, by the kernel's own books.
    fn runtime_ns(&self) -> Result<u64> {
        let dir = format!("/proc/{}/task", self.child.id());
        let mut sum = 0;
        for thread in fs::read_dir(&dir).with_context(|| format!("cannot read {dir}"))? {
            let path = thread?.path().join("schedstat");
            // A thread may have ended since.
            let text = fs::read_to_string(path).unwrap_or_default();
            sum += text.split_whitespace().next().and_then(|first| first.parse::<u64>().ok()).unwrap_or(0);
        }
        Ok(sum)
    }

    fn wait_for_start(&self) -> Result<()> {
        let limit = Instant::now() + PATIENCE;
        // The program itself takes a while to start: what a burner gets beyond that is its burning thread's.
        while self.runtime_ns()? < STARTED_NS
            || fs::read_dir(format!("/proc/{}/task", self.child.id()))?.count() < 2
        {
            if Instant::now() > limit {
                bail!("the burner {} did not start within {}", self.child.id(), Plain(PATIENCE));
            }
            thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }
}

impl Drop for Burner {
    fn drop(&mut self) {
        // It has no state to lose; one that has ended already cannot be killed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn predictions_are_those_of_the_weights() {
        // The kernel's table: 1024, 335, 110.
        let text = table(&[10, 20, 70], &[0, 0, 0]).unwrap();
        let rows: Vec<Vec<&str>> = text.lines().skip(1).map(|row| row.split_whitespace().collect()).collect();
        assert_eq!(rows[0], ["0", "1024", "69.71%", "10.00%", "-"]);
        assert_eq!(rows[1], ["5", "335", "22.80%", "20.00%", "-"]);
        assert_eq!(rows[2], ["10", "110", "7.49%", "70.00%", "-"]);
    }
}
