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
mod counts;
mod load;
mod programs;
mod report;

use anyhow::{Context as _, Result, ensure};
use charge::{Charge, Kind, References};
use clap::Parser;
use counts::Counts;
use load::{Crowd, Measured, Places, Rate};
use programs::{Programs, Works};
use report::{Results, print};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;
use tombola_kernel::scheduler::Flaw;

/// What a decision of the scheduler costs, beside a first-in-first-out scheduler and the kernel's fair class.
#[derive(Parser)]
#[command(args_override_self = true)]
struct Arguments {
    /// The compiled scripts/bench/fifo.bpf.c
    object: PathBuf,
    /// Rounds; each measures every scheduler once
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// How long a slice of every scheduler but the kernel's own lasts, milliseconds
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=1000))]
    slice: u64,
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
    /// Ours without compensation for what a task leaves unused of its slice: a fault, which tells what that
    /// does
    #[arg(long)]
    no_compensation: bool,
    /// Only perf bench, without the threads on one CPU
    #[arg(long)]
    perf_only: bool,
    /// cargo passes it to every bench
    #[arg(long, hide = true)]
    bench: bool,
}

/// Of two groups, in each of which 20 processes write to each of 20 others.
const MESSAGES_A_LOOP: f64 = 2.0 * 20.0 * 20.0;

/// What one scheduler did in one round.
struct Run {
    pipe: Measured,
    messaging: Measured,
    pipe_counts: Counts,
    messaging_counts: Counts,
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
    if arguments.perf_only {
        arguments.threads.clear();
    }
    ensure!(arguments.threads.first() != Some(&0), "at least one thread must compete");
    let references = References {
        object: arguments.object.clone(),
        slice: Duration::from_millis(arguments.slice),
        flaw: arguments.no_compensation.then_some(Flaw::NoCompensation),
    };
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
    let (ops, loops) = (arguments.pipe_ops.to_string(), arguments.messaging_loops.to_string());
    let benchmark = ["sched", "pipe", "-l", &ops];
    let pipe = places.perf_on_one(&benchmark)?;
    let pipe_counts =
        Counts::of(&charge, &programs, arguments.pipe_ops.into(), || places.migrations_on_one(&benchmark))?;
    let benchmark = ["sched", "messaging", "-g", "2", "-l", &loops];
    let messaging = places.perf_on_all(&benchmark)?;
    let messages = f64::from(arguments.messaging_loops) * MESSAGES_A_LOOP;
    let messaging_counts = Counts::of(&charge, &programs, messages, || places.migrations_on_all(&benchmark))?;
    ensure!(charge.holds(), "the scheduler is gone: {}", charge.farewell());
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
    Ok(Run { pipe, messaging, pipe_counts, messaging_counts, yields, burns, works })
}
