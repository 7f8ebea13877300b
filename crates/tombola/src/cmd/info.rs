//! `tombola info`: what is in a recording, and what can be known from it.

use crate::cli::{InfoArgs, OutputArgs};
use crate::exit::Exit;
use crate::pace::notify;
use crate::sink::certainty::CertaintyRecord;
use crate::sink::ms3;
use crate::sink::result;
use crate::sink::result::info::{Figure, Info, Known};
use crate::sink::result::outlet::ResultFormat;
use crate::source::{nothing_in, open_recording, part_told};
use crate::target::Target;
use crate::text::harmless;
use crate::wall_time::utc;
use anyhow::{Context, Result};
use std::io::Write;
use std::path::Path;
use tombola_core::worth::Judged;
use tombola_recording::capabilities::{Capabilities, LossTold, Scope};
use tombola_recording::event::Event;
use tombola_recording::gaps::Early;
use tombola_recording::normaliser::Normaliser;
use tombola_recording::summary::Summary;
use tombola_recording::worth::Judge;

/// Events between two looks at the terminal and at signals.
const WATCHED_EVENTS: u64 = 1 << 14;

/// Reads all of it once.
pub fn run(args: &InfoArgs, out: &mut dyn Write) -> Result<Exit> {
    let OutputArgs { format, output, json_schema } = &args.output;
    if *json_schema {
        out.write_all(result::info::schema()?.as_bytes())?;
        return Ok(Exit::Ok);
    }
    let file = args.file.as_deref().context("no recording")?;
    let mut target = Target::open(output.as_deref())?;
    let exit = look(file, *format, target.writer(out))?;
    target.finish()?;
    Ok(exit)
}

fn look(file: &Path, format: ResultFormat, out: &mut dyn Write) -> Result<Exit> {
    let (mut reader, mut watch) = open_recording(file)?;
    let mut normaliser = Normaliser::new(reader.header());
    let mut info = Info::default();
    let (mut summary, mut early) = (Summary::default(), Early::default());
    let mut judge = Judge::new(reader.header());
    loop {
        let event = match reader.next_event() {
            Ok(Some(event)) => event,
            Ok(None) => break,
            Err(error) => {
                info.stopped_by = Some(error.to_string());
                break;
            }
        };
        info.events += 1;
        summary.add(&event);
        if let Some(event) = early.add(event) {
            play(&event, &mut normaliser, &mut judge);
        }
        let (done, all) = reader.progress();
        if info.events.is_multiple_of(WATCHED_EVENTS) && !watch(done, all) {
            info.stopped_by = Some("a signal".to_owned());
            break;
        }
    }
    while let Some(event) = early.rest() {
        play(&event, &mut normaliser, &mut judge);
    }
    let header = reader.header();
    normaliser.finish(header.end_ns);
    normaliser.facts().for_each(|fact| judge.fact(&fact));
    let text = |text: &Option<String>| text.as_ref().map(|text| harmless(text.as_bytes()));
    info.format.clone_from(&header.format);
    (info.host, info.release, info.arch) = (text(&header.host), text(&header.release), text(&header.arch));
    (info.cpus, info.cpus_seen, info.clock) = (header.cpus, summary.cpus.len(), text(&header.clock));
    info.begin_ns = header.begin_ns.or(summary.first_ns).unwrap_or(0);
    info.end_ns = header.end_ns.unwrap_or(0).max(normaliser.now_ns());
    info.begin_unix_us = header.wall.map(|(event_ns, unix_us)| {
        let us = (i128::from(info.begin_ns) - i128::from(event_ns)) / 1000;
        u64::try_from(i128::from(unix_us) + us).unwrap_or(0)
    });
    info.tasks_seen = summary.threads.len();
    info.events_by_kind = summary.events;
    info.repairs = normaliser.repairs().each().into_iter().filter(|(_, count)| *count > 0).collect();
    let damage = reader.damage();
    info.pieces_left_out = damage.skipped;
    info.first_left_out = damage.first.as_ref().map(|(place, what)| format!("{place}: {what}"));
    let is_cut = info.stopped_by.is_some();
    info.known = known(header.can, header.scope, is_cut && judge.silent_cpus() > 0);
    let judged = judge.grounds(&normaliser, info.end_ns, is_cut).judge();
    let figure =
        |judged: &Judged| Figure { certainty: CertaintyRecord::of(judged), columns: judged.kind.columns() };
    info.figures = judged.iter().map(figure).collect();
    match format {
        ResultFormat::Table => print(&info, out)?,
        ResultFormat::Json | ResultFormat::Ndjson => out.write_all(&result::info::line(&info)?)?,
    }
    out.flush()?;
    if info.events == 0 {
        notify(&nothing_in(file));
        return Ok(Exit::Failure);
    }
    Ok(Exit::Ok)
}

fn play(event: &Event, normaliser: &mut Normaliser, judge: &mut Judge) {
    normaliser.event(event);
    judge.event(event, normaliser);
    normaliser.facts().for_each(drop);
}

fn print(info: &Info, out: &mut dyn Write) -> Result<()> {
    let or_not = |text: &Option<String>| text.clone().unwrap_or_else(|| "not told".to_owned());
    writeln!(out, "format   {}", info.format)?;
    writeln!(
        out,
        "machine  {}, kernel {}, {}",
        or_not(&info.host),
        or_not(&info.release),
        or_not(&info.arch)
    )?;
    let cpus = info.cpus.map_or("not told how many".to_owned(), |cpus| format!("{cpus} of the machine"));
    writeln!(out, "CPUs     {} with events, {cpus}", info.cpus_seen)?;
    let length_s = info.end_ns.saturating_sub(info.begin_ns) as f64 / 1e9;
    let begin = info.begin_unix_us.map_or("wall clock not told".to_owned(), utc);
    writeln!(out, "span     {length_s:.6} s, clock {}, begin {begin}", or_not(&info.clock))?;
    writeln!(out, "events   {}, of {} tasks", info.events, info.tasks_seen)?;
    for (kind, count) in &info.events_by_kind {
        writeln!(out, "         {count:>10}  {kind}")?;
    }
    let none = if info.repairs.is_empty() { "none" } else { "" };
    writeln!(out, "repairs  {none}")?;
    for (what, count) in &info.repairs {
        writeln!(out, "         {count:>10}  {what}")?;
    }
    if let Some(first) = &info.first_left_out {
        writeln!(out, "left out {} pieces, the first at {first}", info.pieces_left_out)?;
    }
    if let Some(why) = &info.stopped_by {
        writeln!(out, "stopped  {why}")?;
    }
    writeln!(out, "from it")?;
    for Known { what, is_told, how } in &info.known {
        writeln!(out, "  {:<7}  {what}: {how}", if *is_told { "known" } else { "unknown" })?;
    }
    writeln!(out, "figures")?;
    for Figure { certainty: CertaintyRecord { what, worth, too_low_ns, why }, columns } in &info.figures {
        let by =
            too_low_ns.map(|ns| format!("; together too low by {} ms at most", ms3(ns))).unwrap_or_default();
        let why = if why.is_empty() { String::new() } else { format!(": {why}{by}") };
        writeln!(out, "  {worth:<7}  {what} ({}){why}", columns.join(", "))?;
    }
    Ok(())
}

/// What the events can tell, in the words of the figures that depend on it.
fn known(can: Capabilities, scope: Scope, breaks_off: bool) -> Vec<Known> {
    let of = |what, is_told, yes, no| Known { what, is_told, how: if is_told { yes } else { no } };
    let silent = breaks_off.then_some("the file breaks off, and of some CPUs nothing was read");
    let part = part_told(scope).or(silent);
    vec![
        of(
            "the whole machine",
            part.is_none(),
            "nothing says that events were left out",
            part.unwrap_or_default(),
        ),
        of(
            "run time",
            matches!(scope, Scope::Whole | Scope::Cpus),
            "exact, but for losses and hidden switches",
            "only where both switches of a slice are among the events",
        ),
        of(
            "run-queue wait",
            can.waking || can.wakeup,
            "from the wake or the preemption to the switch",
            "no wakes are recorded: only waits of the preempted",
        ),
        of("who woke whom", can.waker, "by the waker's thread", "wakes do not tell their waker"),
        of(
            "why a task slept",
            can.interrupt,
            "wakes tell interrupts from tasks",
            "wakes do not tell interrupts from tasks",
        ),
        of(
            "births and ends",
            can.fork_exit,
            "recorded",
            "not recorded: a thread id used again may go unnoticed",
        ),
        of("processes", can.tgid, "threads tell their process", "each thread counts as a process"),
        of(
            "weights, groups, quotas",
            can.groups,
            "recorded: the ledger divides as the kernel does",
            "not recorded: the ledger divides by nice value, on one level",
        ),
        of(
            "yields",
            can.yields,
            "who called sched_yield is told from who was preempted",
            "not told: who gave its CPU away counts as preempted, and waits",
        ),
        of("affinity", can.affinity, "recorded", "not recorded: every CPU counts as allowed"),
        of(
            "losses",
            can.loss != LossTold::Unknown,
            match can.loss {
                LossTold::Exact => "told with place and count",
                LossTold::Counted => "counted, without their place",
                _ => "told where, not how many",
            },
            "not told by this format",
        ),
        of(
            "order",
            can.resolution_ns <= 1,
            "to the nanosecond",
            "time stamps are coarse: ties keep the order of the file",
        ),
    ]
}
