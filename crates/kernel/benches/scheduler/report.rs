//! Tables of medians and quartiles over the rounds.

use crate::Run;
use crate::charge::Kind;
use crate::counts::Counts;
use crate::programs::{Work, Works};
use anyhow::{Context as _, Result};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;

/// The runs of each scheduler, by round.
pub(crate) type Results = BTreeMap<Kind, Vec<Run>>;

/// Median and quartiles.
struct Spread {
    low: f64,
    median: f64,
    high: f64,
    digits: usize,
}

impl Spread {
    fn of(values: impl Iterator<Item = f64>, digits: usize) -> Self {
        let mut sorted: Vec<f64> = values.collect();
        sorted.sort_by(f64::total_cmp);
        let quantile = |q: f64| {
            let at = q * (sorted.len() - 1) as f64;
            // At least one round was measured, and 0 ≤ at ≤ length − 1.
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            let (below, above) = (sorted[at.floor() as usize], sorted[at.ceil() as usize]);
            below + (above - below) * at.fract()
        };
        Self { low: quantile(0.25), median: quantile(0.5), high: quantile(0.75), digits }
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { low, median, high, digits } = self;
        write!(f, "{median:.digits$} ({low:.digits$}–{high:.digits$})")
    }
}

/// Ratios of one scheduler to another within each round.
fn ratio(results: &Results, of: Kind, to: Kind, value: impl Fn(&Run) -> f64) -> Spread {
    Spread::of(results[&of].iter().zip(&results[&to]).map(|(a, b)| value(a) / value(b)), 2)
}

/// What the kernel's counting says of a program that does nothing.
fn price(works: &Works) -> f64 {
    let nothing = works.programs.iter().find(|work| work.name == "direct_running");
    nothing.map_or(f64::NAN, |work| work.ns as f64 / work.runs as f64)
}

/// Time in programs for each decision, less the price of counting, in every round.
fn net_ns(results: &Results, kind: Kind, threads: usize) -> Vec<f64> {
    let direct = results[&Kind::Direct].iter().map(|run| price(&run.works[&threads]));
    let works = results[&kind].iter().map(|run| &run.works[&threads]);
    let net = |(works, price): (&Works, f64)| {
        works.programs.iter().map(|work| work.ns as f64 - work.runs as f64 * price).sum::<f64>()
            / works.decisions
    };
    works.zip(direct).map(net).collect()
}

fn row(cells: impl IntoIterator<Item = String>) {
    println!("| {} |", cells.into_iter().collect::<Vec<_>>().join(" | "));
}

fn head(names: &[&str]) {
    println!();
    row(names.iter().map(|name| (*name).to_owned()));
    row(names.iter().enumerate().map(|(at, _)| if at == 0 { "---".into() } else { "---:".to_owned() }));
}

/// Everything, to standard output.
pub(crate) fn print(results: &Results, threads: &[usize]) -> Result<()> {
    println!("{}", machine(results)?);
    let others = &Kind::ALL[1..];

    println!("\nTime against the fair class, `perf bench`:");
    head(&["in charge", "pipe, wall", "pipe, CPU", "messaging, wall", "messaging, CPU"]);
    let values: [fn(&Run) -> f64; 4] =
        [|r| r.pipe.wall, |r| r.pipe.cpu, |r| r.messaging.wall, |r| r.messaging.cpu];
    for &kind in others {
        row([kind.to_string()]
            .into_iter()
            .chain(values.map(|v| ratio(results, kind, Kind::Fair, v).to_string())));
    }
    for kind in [Kind::Least, Kind::Lottery] {
        row([format!("{kind} against FIFO")]
            .into_iter()
            .chain(values.map(|v| ratio(results, kind, Kind::Fifo, v).to_string())));
    }

    counted("an operation of `sched pipe`", results, |run| &run.pipe_counts);
    counted("a message of `sched messaging`", results, |run| &run.messaging_counts);
    if threads.is_empty() {
        return Ok(());
    }
    println!("\nTime of a yield, N threads on one CPU that do nothing else, against the fair class:");
    head(&["N", "global queue", "FIFO", "least", "**lottery**", "stride", "**lottery** against FIFO"]);
    for n in threads {
        let time = |run: &Run| 1.0 / run.yields[n].rounds;
        let against = |kind: Kind, base: Kind| ratio(results, kind, base, time).to_string();
        row([n.to_string()]
            .into_iter()
            .chain(others.iter().map(|&kind| against(kind, Kind::Fair)))
            .chain([against(Kind::Lottery, Kind::Fifo)]));
    }

    growth(results, threads);
    program_time(results, threads);
    throughput(results, threads);
    Ok(())
}

/// What an operation takes, in counts and time of programs; the price of counting is not taken off.
fn counted(what: &str, results: &Results, of: fn(&Run) -> &Counts) {
    println!("\nCounted for {what}:");
    head(&["", "fair class", "global queue", "FIFO", "least", "**lottery**", "stride"]);
    let mut names: Vec<&str> = Vec::new();
    for counts in Kind::ALL.iter().rev().flat_map(|kind| &results[kind]).map(of) {
        for (name, _) in &counts.events {
            if !names.contains(name) {
                names.push(name);
            }
        }
    }
    let cells = |value: &dyn Fn(&Counts) -> Option<f64>, digits: usize| {
        Kind::ALL.map(|kind| {
            let runs = results[&kind].iter().map(of);
            let each =
                runs.map(|counts| Some(value(counts)? / counts.operations)).collect::<Option<Vec<_>>>();
            each.map_or(String::new(), |each| Spread::of(each.into_iter(), digits).to_string())
        })
    };
    for name in names {
        let value = |counts: &Counts| counts.events.iter().find(|(each, _)| *each == name).map(|(_, n)| *n);
        row([name.to_owned()].into_iter().chain(cells(&value, 3)));
    }
    let sum = |counts: &Counts, of: fn(&Work) -> u64| {
        let sum = counts.programs.iter().map(of).sum::<u64>() as f64;
        (sum > 0.0).then_some(sum)
    };
    row(["runs of BPF programs".to_owned()]
        .into_iter()
        .chain(cells(&|counts| sum(counts, |work| work.runs), 2)));
    row(["ns in BPF programs".to_owned()].into_iter().chain(cells(&|counts| sum(counts, |work| work.ns), 0)));
    let works = |kind: &Kind| results[kind].iter().map(of).flat_map(|counts| &counts.programs);
    let programs: BTreeSet<&str> = Kind::ALL.iter().flat_map(works).map(|work| work.name.as_str()).collect();
    for name in programs {
        let of = |counts: &Counts, value: fn(&Work) -> u64| {
            counts.programs.iter().find(|work| work.name == name).map(|work| value(work) as f64)
        };
        row([format!("runs of `{name}`")]
            .into_iter()
            .chain(cells(&|counts| of(counts, |work| work.runs), 3)));
        row([format!("ns in `{name}`")].into_iter().chain(cells(&|counts| of(counts, |work| work.ns), 0)));
    }
}

/// The same time against the same scheduler with the fewest threads.
fn growth(results: &Results, threads: &[usize]) {
    let Some(fewest) = threads.first() else { return };
    println!("\nTime of a yield against that of the same scheduler with {fewest} threads; below, µs:");
    head(&["N", "fair class", "global queue", "FIFO", "least", "**lottery**", "stride"]);
    for n in threads {
        let grown = |kind: &Kind| {
            Spread::of(results[kind].iter().map(|r| r.yields[fewest].rounds / r.yields[n].rounds), 2)
                .to_string()
        };
        row([n.to_string()].into_iter().chain(Kind::ALL.iter().map(grown)));
    }
    for n in threads {
        let time =
            |kind: &Kind| Spread::of(results[kind].iter().map(|r| 1e6 / r.yields[n].rounds), 1).to_string();
        row([format!("{n}, µs")].into_iter().chain(Kind::ALL.iter().map(time)));
    }
}

fn program_time(results: &Results, threads: &[usize]) {
    println!("\nTime in BPF programs for each of these yields, ns, the price of counting taken off:");
    head(&[
        "N",
        "global queue",
        "FIFO",
        "least",
        "**lottery**",
        "stride",
        "**lottery** against FIFO",
        "a program that does nothing",
    ]);
    for &n in threads {
        let of = |kind: Kind| net_ns(results, kind, n);
        let against = of(Kind::Lottery).into_iter().zip(of(Kind::Fifo)).map(|(a, b)| a / b);
        let prices = results[&Kind::Direct].iter().map(|run| price(&run.works[&n]));
        row([n.to_string()]
            .into_iter()
            .chain(Kind::ALL[1..].iter().map(|&kind| Spread::of(of(kind).into_iter(), 0).to_string()))
            .chain([Spread::of(against, 1).to_string(), Spread::of(prices, 0).to_string()]));
    }
    println!("\nThe same by program, ns for each yield, as counted:");
    let heads: Vec<String> = threads.iter().map(|n| format!("N = {n}")).collect();
    head(
        &["program", "runs a yield, at most threads"]
            .into_iter()
            .chain(heads.iter().map(String::as_str))
            .collect::<Vec<_>>(),
    );
    for kind in [Kind::Fifo, Kind::Least, Kind::Lottery] {
        by_program(&results[&kind], threads);
    }
}

/// Programs that run less often than once in a hundred decisions are left out.
fn by_program(runs: &[Run], threads: &[usize]) {
    let of = |name: &str, n: &usize, value: fn(&Work) -> u64| {
        let per_decision = |run: &Run| {
            let Works { programs, decisions } = &run.works[n];
            programs.iter().find(|work| work.name == name).map_or(0.0, |work| value(work) as f64) / decisions
        };
        Spread::of(runs.iter().map(per_decision), 0)
    };
    let names: BTreeSet<&str> = runs
        .iter()
        .flat_map(|run| run.works.values().flat_map(|works| &works.programs))
        .map(|work| work.name.as_str())
        .collect();
    for name in names {
        let Some(most) = threads.last() else { return };
        let often = Spread { digits: 2, ..of(name, most, |work| work.runs) };
        if often.median >= 0.01 {
            row([format!("`{name}`"), often.to_string()]
                .into_iter()
                .chain(threads.iter().map(|n| of(name, n, |work| work.ns).to_string())));
        }
    }
}

fn throughput(results: &Results, threads: &[usize]) {
    println!("\nWork that N burners on one CPU got done, against the fair class; below, switches a second:");
    head(&["N", "fair class", "global queue", "FIFO", "least", "**lottery**", "stride"]);
    for n in threads {
        let done = |&kind: &Kind| ratio(results, kind, Kind::Fair, |run| run.burns[n].rounds).to_string();
        row([n.to_string()].into_iter().chain(Kind::ALL.iter().map(done)));
    }
    for n in threads {
        let switches =
            |kind: &Kind| Spread::of(results[kind].iter().map(|run| run.burns[n].switches), 0).to_string();
        row([format!("{n}, switches")].into_iter().chain(Kind::ALL.iter().map(switches)));
    }
}

fn machine(results: &Results) -> Result<String> {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let processors = fs::read_to_string("/proc/cpuinfo")?;
    let models: Vec<&str> = processors
        .lines()
        .filter_map(|line| line.strip_prefix("model name"))
        .filter_map(|line| line.split_once(": ").map(|(_, model)| model))
        .collect();
    let rounds = results.values().next().context("nothing was measured")?.len();
    Ok(format!(
        "Kernel {}, {} CPUs ({}); {rounds} rounds; medians and quartiles.",
        release.trim(),
        models.len(),
        models.first().unwrap_or(&"?")
    ))
}
