//! `tombola hist`: how long tasks waited for a CPU.

use crate::cli::HistArgs;
use crate::exit::Exit;
use crate::interrupt::Interrupt;
use crate::pace::{First, Pace, Step, wait_for};
use crate::past;
use crate::sink::certainty::certainty_text;
use crate::sink::hist_table::{self, Waits};
use crate::sink::result::{self, outlet::Outlet};
use crate::source::{self, Wanted};
use crate::terminal;
use anyhow::{Result, bail};
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::io::Write;
use std::time::Duration;
use tombola_core::audit::Who;
use tombola_core::frame::Frame;
use tombola_core::usage::Usage;
use tombola_core::window::{TaskWindow, Window};
use tombola_core::worth::Kind;

/// Prints histograms interval by interval.
pub fn run(args: &HistArgs, out: &mut dyn Write) -> Result<Exit> {
    if args.output.json_schema {
        out.write_all(result::hist::schema()?.as_bytes())?;
        return Ok(Exit::Ok);
    }
    let mut outlet = Outlet::open(args.output.format, args.output.output.as_deref())?;
    let interrupt = Interrupt::catch()?;
    let interval = args.past.interval_or(args.interval, Duration::from_secs(5));
    let wanted = Wanted {
        owners: args.select.user.is_some(),
        light: args.light,
        histograms: true,
        ..Wanted::default()
    };
    let source = past::open_or(&args.past, false, || source::open(args.map.as_deref(), wanted))?;
    let origin = source.origin();
    let mut pace =
        Pace::new(source, interval, args.past.iterations_or_usual(args.iterations), First::FromNow)?;
    terminal::tell_long("watching", interval.unwrap_or_default());
    let mut found = false;
    let mut iteration = 0;
    while let Some(Step { window, frame }) = pace.next(|length| Ok(wait_for(&interrupt, length)))? {
        iteration += 1;
        if window.loss.light {
            bail!(
                "what was logged here is of a light monitor, which knows no histogram of waits: 'tombola audit' has their sums"
            );
        }
        let all = of_window(args, &window, frame);
        found |= all.iter().any(|waits| waits.usage.waits.count() > 0);
        let table = || {
            let texts: Vec<String> =
                all.iter().map(|waits| hist_table::render(waits, &frame.groups)).collect();
            let gap = if iteration > 1 && !texts.is_empty() { "\n" } else { "" };
            let is_shown = |kind| matches!(kind, Kind::Wait | Kind::Lengths);
            let certainty = certainty_text(&window.worths, is_shown).filter(|_| !texts.is_empty());
            let certainty = certainty.map_or_else(String::new, |text| format!("certainty: {text}\n"));
            format!("{gap}{certainty}{}", texts.join("\n"))
        };
        let record = || result::hist::interval(iteration, &window, &all, &frame.groups);
        outlet.write(out, table, record)?;
    }
    outlet.finish(out)?;
    if !found && !args.select.is_all() {
        args.select.tell_nobody("nothing waited", origin);
        return Ok(Exit::Failure);
    }
    Ok(Exit::Ok)
}

/// The histograms of an interval, who waited longest first.
fn of_window(args: &HistArgs, window: &Window, frame: &Frame) -> Vec<Waits> {
    let shown = || window.tasks.iter().filter(|task| args.select.holds(task, frame));
    let Some(by) = args.by else {
        let mut usage = Usage::default();
        shown().for_each(|task| usage.merge(&task.delta));
        return vec![Waits { who: None, comm: Vec::new(), usage }];
    };
    let mut sums: BTreeMap<Who, (Usage, &TaskWindow)> = BTreeMap::new();
    for task in shown().filter(|task| task.delta.waits.count() > 0) {
        let (usage, named_by) = sums.entry(Who::of(by, task)).or_insert_with(|| (Usage::default(), task));
        usage.merge(&task.delta);
        let rank = |task: &TaskWindow| (task.totals.id.pid == task.totals.tgid, task.delta.wait_ns);
        if rank(task) > rank(named_by) {
            *named_by = task;
        }
    }
    let mut all: Vec<Waits> = sums
        .into_iter()
        .map(|(who, (usage, task))| Waits { who: Some(who), comm: task.totals.comm.clone(), usage })
        .collect();
    all.sort_by_key(|waits| Reverse(waits.usage.wait_ns));
    if args.top > 0 {
        all.truncate(args.top);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Cli, Verb};
    use crate::groups::Groups;
    use crate::sink::fixture::{burners, frame, window};
    use clap::Parser;

    #[test]
    fn the_longest_waits_come_first() {
        let Verb::Hist(args) =
            Cli::try_parse_from(["tombola", "hist", "--by", "task", "--top", "2"]).unwrap().verb
        else {
            panic!("another verb")
        };
        let mut tasks = burners();
        for task in &mut tasks {
            task.delta.waits.record(1000);
        }
        let all = of_window(&args, &window(tasks), &frame(Groups::new()));
        let pids: Vec<Option<Who>> = all.into_iter().map(|waits| waits.who).collect();
        let ids = [101, 7].map(|pid| {
            Some(Who::Task(tombola_core::identity::TaskId { pid, start_ns: 1_000_000 + u64::from(pid) }))
        });
        assert_eq!(pids, ids);
    }
}
