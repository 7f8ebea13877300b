//! `tombola timehist`: every slice of a recording.

use crate::cli::{TimehistArgs, TimehistFormat};
use crate::exit::Exit;
use crate::pace::notify;
use crate::sink::certainty::certainty_text;
use crate::source::{check_span, nothing_in, nothing_there, open_recording};
use crate::target::Target;
use crate::text::{harmless, harmless_in_csv};
use anyhow::{Context, Result, bail};
use std::collections::HashMap;
use std::io::Write;
use std::time::Duration;
use tombola_core::identity::TaskId;
use tombola_core::worth::Kind;
use tombola_recording::event::Left;
use tombola_recording::fact::Fact;
use tombola_recording::gaps::Early;
use tombola_recording::interval::{Interval, Ready, What};
use tombola_recording::normaliser::Normaliser;
use tombola_recording::worth::Judge;

/// What a task did before the slice it is in; `None`: not known.
#[derive(Clone, Copy, Default)]
struct Before {
    slept_ns: Option<u64>,
    waited_ns: Option<u64>,
}

/// A slice that is over.
struct Slice {
    interval: Interval,
    cpu: u32,
    left: Option<Left>,
    before: Before,
}

/// What living tasks did before the slices they are in.
#[derive(Default)]
struct Past {
    of: HashMap<TaskId, Before>,
}

impl Past {
    /// Takes what was found out, and gives the slice that ends with it, if one does.
    fn take(&mut self, fact: Fact) -> Option<Slice> {
        let interval = match fact {
            Fact::Task(interval) => interval,
            Fact::Ended { life, .. } => {
                self.of.remove(&life.id);
                return None;
            }
            Fact::Became { from, to } => {
                if let Some(of) = self.of.remove(&from) {
                    self.of.insert(to, of);
                }
                return None;
            }
            Fact::Cpu(_) => return None,
        };
        let of = self.of.entry(interval.task).or_default();
        match interval.what {
            What::Blocked { .. } => of.slept_ns = of.slept_ns.map(|ns| ns + interval.ns()),
            What::Runnable { since: Ready::Unknown, .. } => of.waited_ns = None,
            What::Runnable { .. } => {
                // It begins with a wake or a switch that was seen, whatever was before.
                of.waited_ns = Some(of.waited_ns.unwrap_or(0) + interval.ns());
            }
            What::Unknown(_) => *of = Before::default(),
            What::Running { cpu, left } => {
                let before = std::mem::replace(of, Before { slept_ns: Some(0), waited_ns: Some(0) });
                return Some(Slice { interval, cpu, left, before });
            }
        }
        None
    }
}

/// Events between two looks at the terminal and at signals.
const WATCHED_EVENTS: u64 = 1 << 14;

/// Prints a line for each slice, in the order of their ends.
pub fn run(args: &TimehistArgs, out: &mut dyn Write) -> Result<Exit> {
    let mut target = Target::open(args.output.as_deref())?;
    let exit = print(args, target.writer(out))?;
    target.finish()?;
    Ok(exit)
}

fn print(args: &TimehistArgs, out: &mut dyn Write) -> Result<Exit> {
    let length = |edge: Option<crate::cli::Edge>, flag| edge.map(|edge| edge.length(flag)).transpose();
    let (from, to) = (length(args.from, "--from")?, length(args.to, "--to")?);
    check_span(from, to)?;
    let (mut reader, mut watch) = open_recording(&args.input)?;
    let mut normaliser = Normaliser::new(reader.header());
    let mut judge = Judge::new(reader.header());
    let mut early = Early::default();
    let mut past = Past::default();
    let mut begin_ns = reader.header().begin_ns;
    let (mut events, mut is_cut, mut latest_since_ns) = (0u64, false, 0);
    let ns = |length: Duration| u64::try_from(length.as_nanos()).unwrap_or(u64::MAX);
    let from_ns = from.map_or(0, ns);
    if let Some(begin_ns) = begin_ns {
        judge.begin(begin_ns.saturating_add(from_ns));
    }
    // Up to when it is known what happened, where that is behind the latest event.
    let mut until_ns = 0;
    head(args.format, out)?;
    loop {
        let event = match reader.next_event() {
            Ok(event) => event,
            Err(error) => {
                notify(&format!("{}: {error}; what comes before it is shown", args.input.display()));
                is_cut = true;
                None
            }
        };
        let has_more = event.is_some();
        // A loss goes where its gap begins, so events come out later than they go in.
        let event = match event {
            Some(event) => {
                let Some(event) = early.add(event) else { continue };
                Some(event)
            }
            None => early.rest(),
        };
        let is_over = event.is_none() && !has_more;
        if let Some(event) = event {
            let begin_ns = *begin_ns.get_or_insert_with(|| {
                judge.begin(event.ts_ns.saturating_add(from_ns));
                event.ts_ns
            });
            let since_ns = u128::from(event.ts_ns.saturating_sub(begin_ns));
            latest_since_ns = latest_since_ns.max(since_ns);
            if let Some(to) = to.filter(|to| since_ns > to.as_nanos()) {
                until_ns = begin_ns.saturating_add(ns(to));
                break;
            }
            normaliser.event(&event);
            judge.event(&event, &normaliser);
        } else {
            normaliser.finish(reader.header().end_ns.filter(|_| !is_cut));
            normaliser.found().iter().for_each(|fact| judge.fact(fact));
        }
        let facts: Vec<Fact> = normaliser.facts().collect();
        for fact in facts {
            let Some(slice) = past.take(fact) else { continue };
            let begin_ns = begin_ns.unwrap_or(0);
            let since_ns = u128::from(slice.interval.to_ns.saturating_sub(begin_ns));
            let is_within = from.is_none_or(|from| since_ns >= from.as_nanos());
            let pid = slice.interval.task.pid;
            let life = normaliser.life(pid);
            let comm = life.map(|life| &*life.attributes.comm).unwrap_or_default();
            let tgid = life.and_then(|life| life.attributes.tgid);
            let is_wanted = (args.tids.is_empty() || args.tids.contains(&pid))
                && (args.pids.is_empty() || args.pids.contains(&tgid.unwrap_or(pid)))
                && args.comm.as_ref().is_none_or(|wanted| wanted.is_match(comm));
            if is_within && is_wanted {
                line(args.format, out, &slice, comm, begin_ns)?;
            }
        }
        if is_over {
            if events == 0 {
                bail!("{}", nothing_in(&args.input));
            }
            if from.is_some_and(|from| latest_since_ns < from.as_nanos()) {
                bail!("{}", nothing_there(&args.input));
            }
            break;
        }
        events += 1;
        let (done, all) = reader.progress();
        if events.is_multiple_of(WATCHED_EVENTS) && !watch(done, all) {
            break;
        }
    }
    let worths = judge.grounds(&normaliser, until_ns.max(normaliser.now_ns()), is_cut).judge();
    let is_shown = |kind| matches!(kind, Kind::Run | Kind::Wait | Kind::Wakes);
    if let (TimehistFormat::Table, Some(text)) = (args.format, certainty_text(&worths, is_shown)) {
        writeln!(out, "certainty: {text}")?;
    }
    out.flush()?;
    Ok(Exit::Ok)
}

fn head(format: TimehistFormat, out: &mut dyn Write) -> Result<()> {
    match format {
        TimehistFormat::Table => writeln!(
            out,
            "{:>14}  {:>4}  {:>8}  {:<16}  {:>12}  {:>12}  {:>12}  LEFT",
            "END_S", "CPU", "TID", "COMM", "SLEEP_MS", "WAIT_MS", "RUN_MS"
        ),
        TimehistFormat::Csv => writeln!(out, "end_ns,cpu,tid,comm,sleep_ns,wait_ns,run_ns,left"),
    }
    .context("cannot write")
}

fn line(
    format: TimehistFormat,
    out: &mut dyn Write,
    Slice { interval, cpu, left, before: Before { slept_ns, waited_ns } }: &Slice,
    comm: &[u8],
    begin_ns: u64,
) -> Result<()> {
    let since_ns = interval.to_ns.saturating_sub(begin_ns);
    let ns = interval.ns();
    let left = left.map_or("-", letter);
    match format {
        TimehistFormat::Table => {
            let ms = |part: Option<u64>| part.map_or("?".to_owned(), |ns| format!("{:.3}", ns as f64 / 1e6));
            writeln!(
                out,
                "{:>14}  {cpu:>4}  {:>8}  {:<16}  {:>12}  {:>12}  {:>12.3}  {left}",
                format!("{:.6}", since_ns as f64 / 1e9),
                interval.task.pid,
                harmless(comm),
                ms(*slept_ns),
                ms(*waited_ns),
                ns as f64 / 1e6
            )?;
        }
        TimehistFormat::Csv => {
            let number = |part: Option<u64>| part.map(|ns| ns.to_string()).unwrap_or_default();
            let mut row = csv::Writer::from_writer(&mut *out);
            row.write_record([
                since_ns.to_string(),
                cpu.to_string(),
                interval.task.pid.to_string(),
                harmless_in_csv(comm),
                number(*slept_ns),
                number(*waited_ns),
                ns.to_string(),
                left.to_owned(),
            ])?;
            row.flush()?;
        }
    }
    Ok(())
}

/// The kernel's letter for the state in which a task left its CPU.
fn letter(left: Left) -> &'static str {
    match left {
        Left::Runnable { preempted: Some(true) } => "R+",
        Left::Runnable { .. } | Left::Yielded => "R",
        Left::Sleep => "S",
        Left::Disk => "D",
        Left::Stopped => "T",
        Left::Dead => "X",
        Left::Idle => "I",
        Left::Other(_) | Left::Unknown => "?",
    }
}
