//! `tombola schedule`: a scheduler of ours in the kernel, for as long as this process wants it.

mod rehearsal;
mod running;

use crate::cli::ScheduleArgs;
use crate::command::Command;
use crate::exit::Exit;
use crate::interrupt::Interrupt;
use crate::interval::{Interval, Plain};
use crate::pace::{Waited, notify};
use crate::sink::result::{self, outlet::Outlet};
use crate::sink::schedule_table::{ScheduleView, render};
use crate::target::Target;
use anyhow::Result;
use running::{RunningScheduler, SchedulerState};
use std::collections::BTreeSet;
use std::io::Write;
use std::time::Instant;
use tombola_kernel::GroupNames;
use tombola_kernel::scheduler::{SchedulerOptions, join};

/// Puts the scheduler in charge, waits for what ends it, reports.
pub fn run(args: &ScheduleArgs, out: &mut dyn Write) -> Result<Exit> {
    if args.output.json_schema {
        let schema = match args.scenario {
            Some(_) => result::rehearsal::schema(),
            None => result::schedule::schema(),
        };
        out.write_all(schema?.as_bytes())?;
        return Ok(Exit::Ok);
    }
    let interrupt = Interrupt::catch()?;
    if let Some(scenario) = &args.scenario {
        let target = Target::open(args.output.output.as_deref())?;
        return rehearsal::run(scenario, args, &interrupt, target, out);
    }
    let outlet = Outlet::open(args.output.format, args.output.output.as_deref())?;
    let options = SchedulerOptions {
        law: args.policy,
        slice: args.slice.unwrap_or_default(),
        guard: args.guard.unwrap_or_default(),
        partial: args.partial,
        ..SchedulerOptions::default()
    };
    let mut running = RunningScheduler::take(&options)?;
    let begin = running.since();
    announce(&options, args.command.is_empty());
    let mut command = match args.command.split_first() {
        None => None,
        Some((program, arguments)) if args.partial => {
            Some(Command::start_after(program, arguments, || Ok(join(0)?))?)
        }
        Some((program, arguments)) => Some(Command::start(program, arguments)?),
    };
    let mut reports = Reports { args, options: &options, number: 0, outlet };
    let thrown_out = loop {
        match watch(args, &running, begin, command.as_mut(), &interrupt, &mut reports, out)? {
            SchedulerState::InCharge => break false,
            SchedulerState::Gone => break true,
            SchedulerState::Restart => {
                reports.write(&running.figures()?, out)?;
                let why = running.give_back()?;
                running = RunningScheduler::take(&options)?;
                notify(&format!("started again, its counts begin anew: {why}"));
            }
        }
    };
    // Before the end: with the scheduler its tasks go.
    let last = running.figures();
    let farewell = running.give_back();
    if let Ok(why) = &farewell {
        notify(&format!("the kernel's own scheduler is back: {why}"));
    }
    let written = last.and_then(|figures| reports.write(&figures, out));
    let status = match &mut command {
        None => None,
        Some(command) => {
            // The scheduler may have gone before the command: whoever started it waits for it.
            if command.exit_status().is_none() {
                notify("the command is still running, under the kernel's own scheduler; waiting for its end");
            }
            command.finish(&interrupt)?
        }
    };
    farewell?;
    written?;
    reports.outlet.finish(out)?;
    if thrown_out {
        return Ok(Exit::Failure);
    }
    Ok(match status {
        None => Exit::Ok,
        // A status has eight bits, and 128 + the largest signal, 64, fits.
        Some(status) => Exit::Command(u8::try_from(status).unwrap_or(u8::MAX)),
    })
}

/// Waits for the first of: the scheduler is thrown out, a signal, the end of the command, the end of the time
/// since `begin`. Returns what has become of the scheduler.
fn watch(
    args: &ScheduleArgs,
    running: &RunningScheduler,
    begin: Instant,
    mut command: Option<&mut Command>,
    interrupt: &Interrupt,
    reports: &mut Reports<'_>,
    out: &mut dyn Write,
) -> Result<SchedulerState> {
    let end = args.duration.and_then(|length| begin.checked_add(length));
    let interval = args.interval.map(Interval::get);
    let mut next = interval.and_then(|interval| begin.checked_add(interval));
    loop {
        let now = Instant::now();
        let until = [end, next].into_iter().flatten().min();
        let wait = until.map_or(running::LOOK, |until| (until - now.min(until)).min(running::LOOK));
        let ended = if let Some(command) = command.as_deref_mut() {
            command.wait(interrupt, Some(wait))? == Waited::Last
        } else {
            interrupt.wait(wait);
            false
        };
        let state = running.state()?;
        if state != SchedulerState::InCharge {
            return Ok(state);
        }
        let now = Instant::now();
        if ended || interrupt.raised() || end.is_some_and(|end| now >= end) {
            return Ok(SchedulerState::InCharge);
        }
        if let (Some(at), Some(interval)) = (next, interval)
            && now >= at
        {
            // After a stop (SIGSTOP, suspend) the distances begin anew.
            next = if now - at > interval { now } else { at }.checked_add(interval);
            reports.write(&running.figures()?, out)?;
        }
    }
}

/// What is in charge, on standard error: the output is for reports.
fn announce(options: &SchedulerOptions, alone: bool) {
    let what = if options.partial { "tasks of the policy SCHED_EXT" } else { "the whole machine" };
    notify(&format!(
        "{} is in charge of {what}: slice {}, guard {}",
        options.law,
        Plain(options.slice.get()),
        Plain(options.guard.get())
    ));
    if options.partial {
        notify("tasks of the kernel's own scheduler come first: where they are busy, those of this one wait");
    }
    if options.partial && alone {
        notify("a task joins with 'chrt --ext 0 COMMAND', or sched_setscheduler(2) and policy 7");
    }
    if alone {
        notify("Ctrl-C ends it");
    }
}

/// Writes one report after the other.
struct Reports<'a> {
    args: &'a ScheduleArgs,
    options: &'a SchedulerOptions,
    number: u64,
    outlet: Outlet,
}

impl Reports<'_> {
    fn write(&mut self, figures: &running::Figures, out: &mut dyn Write) -> Result<()> {
        self.number += 1;
        let view = ScheduleView {
            number: self.number,
            length: figures.length,
            law: self.options.law,
            slice: self.options.slice.get(),
            totals: &figures.totals,
            tasks: &figures.tasks,
            top: self.args.top,
        };
        let record = || {
            let of: BTreeSet<_> = figures.tasks.iter().map(|task| task.group).collect();
            let mut names = GroupNames::new();
            names.learn(of.iter().copied());
            let groups = of.into_iter().map(|group| (group, names.name(group))).collect();
            result::schedule::report(&view, &groups)
        };
        self.outlet.write(out, || render(&view), record)
    }
}
