//! `tombola timehist`: every slice of a recording.

use crate::cli::{TimehistArgs, TimehistFormat};
use crate::exit::Exit;
use crate::pace::notify;
use crate::source::{check_span, nothing_in, nothing_there, open_recording};
use crate::target::Target;
use crate::text::{harmless, harmless_in_csv};
use anyhow::{Context, Result, bail};
use std::collections::HashMap;
use std::io::Write;
use tombola_core::identity::TaskId;
use tombola_recording::event::Left;
use tombola_recording::fact::Fact;
use tombola_recording::gaps::Early;
use tombola_recording::interval::{Interval, Ready, What};
use tombola_recording::normaliser::Normaliser;

/// What a task did before the slice it is in; `None`: not known.
#[derive(Clone, Copy, Default)]
struct Before {
    slept_ns: Option<u64>,
    waited_ns: Option<u64>,
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
    let mut early = Early::default();
    let mut before: HashMap<TaskId, Before> = HashMap::new();
    let mut begin_ns = reader.header().begin_ns;
    let (mut events, mut is_cut, mut latest_since_ns) = (0u64, false, 0);
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
            let begin_ns = *begin_ns.get_or_insert(event.ts_ns);
            let since_ns = u128::from(event.ts_ns.saturating_sub(begin_ns));
            latest_since_ns = latest_since_ns.max(since_ns);
            if to.is_some_and(|to| since_ns > to.as_nanos()) {
                break;
            }
            normaliser.event(&event);
        } else {
            normaliser.finish(reader.header().end_ns.filter(|_| !is_cut));
        }
        let facts: Vec<Fact> = normaliser.facts().collect();
        for fact in facts {
            let interval = match fact {
                Fact::Task(interval) => interval,
                Fact::Ended { life, .. } => {
                    before.remove(&life.id);
                    continue;
                }
                Fact::Became { from, to } => {
                    if let Some(of) = before.remove(&from) {
                        before.insert(to, of);
                    }
                    continue;
                }
                Fact::Cpu(_) => continue,
            };
            let of = before.entry(interval.task).or_default();
            match interval.what {
                What::Blocked { .. } => of.slept_ns = of.slept_ns.map(|ns| ns + interval.ns()),
                What::Runnable { since: Ready::Unknown, .. } => of.waited_ns = None,
                What::Runnable { .. } => {
                    // It begins with a wake or a switch that was seen, whatever was before.
                    of.waited_ns = Some(of.waited_ns.unwrap_or(0) + interval.ns());
                }
                What::Unknown(_) => *of = Before::default(),
                What::Running { cpu, left } => {
                    let of = std::mem::replace(of, Before { slept_ns: Some(0), waited_ns: Some(0) });
                    let begin_ns = begin_ns.unwrap_or(0);
                    let since_ns = u128::from(interval.to_ns.saturating_sub(begin_ns));
                    let is_within = from.is_none_or(|from| since_ns >= from.as_nanos());
                    let life = normaliser.life(interval.task.pid);
                    let comm = life.map(|life| &*life.attributes.comm).unwrap_or_default();
                    let tgid = life.and_then(|life| life.attributes.tgid);
                    let pid = interval.task.pid;
                    let is_wanted = (args.tids.is_empty() || args.tids.contains(&pid))
                        && (args.pids.is_empty() || args.pids.contains(&tgid.unwrap_or(pid)))
                        && args.comm.as_ref().is_none_or(|wanted| wanted.is_match(comm));
                    if is_within && is_wanted {
                        line(args.format, out, &interval, (cpu, left), comm, of, begin_ns)?;
                    }
                }
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
    interval: &Interval,
    (cpu, left): (u32, Option<Left>),
    comm: &[u8],
    Before { slept_ns, waited_ns }: Before,
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
                ms(slept_ns),
                ms(waited_ns),
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
                number(slept_ns),
                number(waited_ns),
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
