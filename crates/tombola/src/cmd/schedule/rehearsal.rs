//! A scenario of the simulator, acted out by real threads under the scheduler in the kernel, and held against
//! the simulation.

mod cgroups;
mod play;
mod refusal;

use super::running::{Figures, RunningScheduler};
use crate::cli::ScheduleArgs;
use crate::cmd::simulate;
use crate::exit::Exit;
use crate::interrupt::Interrupt;
use crate::pace::notify;
use crate::sink::rehearsal_table::{RehearsalView, Row, render};
use crate::sink::result;
use crate::sink::result::outlet::ResultFormat;
use crate::target::Target;
use crate::text::harmless;
use anyhow::{Context, Result, bail};
use cgroups::Cgroups;
use play::{Played, Stage};
use std::io::Write;
use std::path::Path;
use std::time::Duration;
use tombola_kernel::scheduler::{Law, SchedulerOptions, Slice};
use tombola_lab::estimate::Estimate;
use tombola_lab::outcome::{Observe, run as simulate_once};
use tombola_lab::policy::PolicyKind;
use tombola_lab::scenario::Scenario;

/// Runs of the simulation: enough to know the spread of one run to about an eighth of itself.
const RUNS: u32 = 30;

/// By how many standard deviations a share may be off: by chance alone, once in 1.7 million shares.
const DEVIATIONS: f64 = 5.0;

/// Part of the CPUs that others may take before a word about it is due.
const QUIET: f64 = 0.05;

/// Simulates, then acts out, then prints one result.
pub(super) fn run(
    path: &Path,
    args: &ScheduleArgs,
    interrupt: &Interrupt,
    target: Target,
    out: &mut dyn Write,
) -> Result<Exit> {
    let mut scenario = simulate::load(path)?;
    let nanoseconds = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    if let Some(duration) = args.duration {
        scenario.duration_ns = nanoseconds(duration);
    }
    if let Some(slice) = args.slice {
        scenario.quantum_ns = nanoseconds(slice.get());
    }
    let name = harmless(scenario.name.as_bytes());
    let cpus = play::allowed_cpus()?;
    refusal::check(&scenario, cpus.len())
        .with_context(|| format!("scenario '{name}' cannot be rehearsed"))?;
    let slice = Slice::new(Duration::from_nanos(scenario.quantum_ns))
        .with_context(|| format!("scenario '{name}': its quantum is the slice, unless --slice gives one"))?;
    let options = SchedulerOptions {
        law: args.policy,
        slice,
        guard: args.guard.unwrap_or_default(),
        partial: args.partial,
        ..SchedulerOptions::default()
    };
    let policy = policy(&scenario, args.policy);
    let Some(simulated) = simulate_all(&scenario, policy, interrupt)? else {
        notify("interrupted: nothing was put into the kernel");
        return Ok(Exit::Ok);
    };

    let cgroups = Cgroups::make(&scenario)?;
    let running = RunningScheduler::take(&options)?;
    super::announce(&options, false);
    let stage = Stage { scenario: &scenario, cpus: &cpus, partial: args.partial, cgroups: cgroups.as_ref() };
    let played = play::play(&stage, &running, interrupt);
    let farewell = running.give_back();
    drop(cgroups);
    let farewell = farewell?;
    notify(&format!("the kernel's own scheduler is back: {farewell}"));
    let Some(played) = played? else {
        if interrupt.raised() {
            notify("interrupted: what was cut short cannot be compared");
            return Ok(Exit::Ok);
        }
        bail!("the scheduler was gone before the scenario was over: {farewell}");
    };

    let view = RehearsalView {
        scenario: &scenario,
        policy,
        runs: RUNS,
        partial: args.partial,
        draws: played.figures.totals.draws,
        guarded: played.figures.totals.guarded,
        others: played.others,
        rows: rows(&scenario, &simulated, &played, args.policy),
    };
    let bytes = match args.output.format {
        ResultFormat::Table => render(&view).into_bytes(),
        ResultFormat::Json | ResultFormat::Ndjson => result::rehearsal::line(&view)?,
    };
    target.put(out, &bytes)?;
    if played.others > QUIET {
        notify(
            "others took a good part of these CPUs, and the tolerance is wide for it: repeat it on a quiet machine",
        );
    }
    Ok(if view.rows.iter().all(Row::holds) { Exit::Ok } else { Exit::Check })
}

/// The policy of the lab that is the twin of a law of the scheduler.
fn policy(scenario: &Scenario, law: Law) -> PolicyKind {
    match law {
        Law::Lottery => PolicyKind::LotteryKernel,
        // Plain stride of the lab has no groups.
        Law::Stride if scenario.groups.is_empty() => PolicyKind::Stride,
        Law::Stride => PolicyKind::HierarchicalStride,
    }
}

/// Shares of the machine, run by run, and in a run entry by entry; `None` after an interrupt.
fn simulate_all(
    scenario: &Scenario,
    policy: PolicyKind,
    interrupt: &Interrupt,
) -> Result<Option<Vec<Vec<f64>>>> {
    let observe = Observe { entitlement: false, draws: false };
    let mut shares = Vec::new();
    for number in 0..RUNS {
        let outcome =
            simulate_once(scenario, policy, scenario.seed, number, observe, None, &|_| !interrupt.raised());
        let outcome = outcome.with_context(|| format!("the simulation under {policy}"))?;
        if interrupt.raised() {
            return Ok(None);
        }
        shares.push(outcome.tasks.iter().map(|task| task.share).collect());
    }
    Ok(Some(shares))
}

fn rows(scenario: &Scenario, simulated: &[Vec<f64>], played: &Played, law: Law) -> Vec<Row> {
    let whole = played.length.as_secs_f64() * f64::from(scenario.cpus);
    let entries = scenario.tasks.iter().zip(&played.cpu_times).enumerate();
    entries
        .map(|(entry, (task, cpu_time))| {
            let values: Vec<f64> = simulated.iter().map(|run| run[entry]).collect();
            let of_chance = DEVIATIONS * deviation(scenario, entry, &values, played, law);
            Row {
                name: task.name.clone(),
                simulated: Estimate::of(&values),
                measured: cpu_time.as_secs_f64() / whole,
                tolerance: of_chance + edges(scenario, entry, played, law) + played.others,
            }
        })
        .collect()
}

/// Standard deviation of a share, of the machine.
///
/// With n draws on each of m CPUs, of which a task wins x on one CPU at a time, its wins have the variance
/// n·x(1 − x), and its share of the machine the standard deviation √(x(1 − x)/n)/m; c equal ones together at
/// most √c as much. That is short of the truth where demands are random, or draws depend on each other (on
/// several CPUs): then the spread of the simulated runs is larger, and is taken. Their mean errs, too.
fn deviation(scenario: &Scenario, entry: usize, values: &[f64], played: &Played, law: Law) -> f64 {
    let runs = values.len() as f64;
    let mean = values.iter().sum::<f64>() / runs;
    let spread = (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (runs - 1.0)).sqrt();
    let by_draws = match law {
        Law::Stride => 0.0,
        Law::Lottery => {
            let (cpus, count) = (f64::from(scenario.cpus), f64::from(scenario.tasks[entry].count));
            let draws = scenario.duration_ns as f64 / played.slice_ns.max(scenario.quantum_ns as f64);
            let wins = if scenario.cpus == 1 {
                mean * (1.0 - mean)
            } else {
                let each = (mean * cpus / count).min(1.0);
                count * each * (1.0 - each)
            };
            (wins.max(0.0) / draws).sqrt() / cpus
        }
    };
    let one = spread.max(by_draws);
    (one * one + spread * spread / runs).sqrt()
}

/// What the end of the time cuts off, of the machine: a slice of each instance; under stride a task may be a
/// slice off for each of its rivals, too.
fn edges(scenario: &Scenario, entry: usize, played: &Played, law: Law) -> f64 {
    let slices = match law {
        Law::Lottery => scenario.tasks[entry].count as usize,
        Law::Stride => scenario.instances(),
    };
    let slice = played.slice_ns.max(scenario.quantum_ns as f64);
    slices as f64 * slice / (scenario.duration_ns as f64 * f64::from(scenario.cpus))
}

/// Mean slice of the threads, ns: where timers are late it is longer than was asked for, and draws are fewer.
fn mean_slice(figures: &Figures, threads: &[u32]) -> f64 {
    let ours = figures.tasks.iter().filter(|task| threads.contains(&task.id.pid));
    let (slices, used) = ours
        .fold((0u64, 0u64), |(slices, used), task| (slices + task.tally.slices, used + task.tally.used_ns));
    used as f64 / slices.max(1) as f64
}

#[cfg(test)]
mod tests;
