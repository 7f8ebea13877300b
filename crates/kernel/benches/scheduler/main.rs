//! What a decision of the scheduler costs, beside a first-in-first-out scheduler and the kernel's fair class.
//!
//! ```text
//! scheduler OBJECT [--rounds N] …      (root, a kernel with sched_ext; scripts/run.sh bench --scheduler runs it in the lane)
//! ```
//!
//! `OBJECT` is the compiled `scripts/bench/fifo.bpf.c`. Every round puts each scheduler in charge once, in an
//! order that rotates, and measures the same loads under it; ratios are taken within a round.
//! docs/performance.md says what the tables mean.

mod charge;
mod load;
mod programs;
mod report;

use anyhow::{Context as _, Result, ensure};
use charge::{Charge, Kind, References};
use clap::Parser;
use load::{Crowd, Measured, Places, Rate};
use programs::{Programs, Works};
use report::{Results, print};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// What a decision of the scheduler costs, beside a first-in-first-out scheduler and the kernel's fair class.
#[derive(Parser)]
#[command(args_override_self = true)]
struct Arguments {
    /// The compiled scripts/bench/fifo.bpf.c
    object: PathBuf,
    /// Rounds; each measures every scheduler once
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Numbers of threads that compete for one CPU
    #[arg(long, value_delimiter = ',', default_values_t = [2, 10, 100, 500])]
    threads: Vec<usize>,
    /// How long each of the loads of threads is watched, milliseconds
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u64).range(1..))]
    window: u64,
    /// Operations of perf bench sched pipe
    #[arg(long, default_value_t = 10_000)]
    pipe_ops: u32,
    /// Loops of perf bench sched messaging, with 80 processes
    #[arg(long, default_value_t = 20)]
    messaging_loops: u32,
    /// cargo passes it to every bench
    #[arg(long, hide = true)]
    bench: bool,
}

/// What one scheduler did in one round.
struct Run {
    pipe: Measured,
    messaging: Measured,
    /// By number of threads.
    yields: BTreeMap<usize, Rate>,
    burns: BTreeMap<usize, Rate>,
    /// Of the same threads that yield, with counting on.
    works: BTreeMap<usize, Works>,
}

fn main() -> Result<()> {
    let mut arguments = Arguments::parse();
    arguments.threads.sort_unstable();
    arguments.threads.dedup();
    ensure!(arguments.threads.first().is_some_and(|fewest| *fewest > 0), "at least one thread must compete");
    let references = References { object: arguments.object.clone() };
    let places = Places::find()?;
    let mut results = Results::new();
    for round in 0..arguments.rounds {
        eprintln!("bench: round {} of {}", round + 1, arguments.rounds);
        let mut order = Kind::ALL;
        order.rotate_left(round as usize % Kind::ALL.len());
        for kind in order {
            let run = measure(kind, &references, &arguments, &places)
                .with_context(|| format!("measuring under {kind}"))?;
            results.entry(kind).or_default().push(run);
        }
    }
    print(&results, &arguments.threads)?;
    Ok(())
}

fn measure(kind: Kind, references: &References, arguments: &Arguments, places: &Places) -> Result<Run> {
    let programs = Programs::before();
    let charge = Charge::take(kind, references)?;
    let window = Duration::from_millis(arguments.window);
    let pipe = places.perf_on_one(&["sched", "pipe", "-l", &arguments.pipe_ops.to_string()])?;
    let messaging = places.perf_on_all(&[
        "sched",
        "messaging",
        "-g",
        "2",
        "-l",
        &arguments.messaging_loops.to_string(),
    ])?;
    let (mut yields, mut burns, mut works) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
    for &threads in &arguments.threads {
        let crowd = Crowd::start(threads, places, std::thread::yield_now)?;
        yields.insert(threads, crowd.watch(window)?);
        if kind != Kind::Fair {
            works.insert(threads, programs.watch(&crowd, window)?);
        }
        drop(crowd);
        let crowd = Crowd::start(threads, places, load::burn)?;
        burns.insert(threads, crowd.watch(window)?);
        drop(crowd);
        ensure!(charge.holds(), "the scheduler is gone: {}", charge.farewell());
    }
    charge.leave()?;
    Ok(Run { pipe, messaging, yields, burns, works })
}
