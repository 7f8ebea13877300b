//! `tombola dump`: a table, draws, CSV or JSON, interval by interval.

mod place;

use crate::cli::DumpArgs;
use crate::exit::Exit;
use crate::interrupt::Interrupt;
use crate::pace::{First, Pace, Step, Waited};
use crate::past;
use crate::sink::dump_json;
use crate::sink::table::{DrawResult, View};
use crate::source::{self, Wanted};
use crate::terminal;
use anyhow::{Context, Result};
use place::Place;
use std::io::Write;
use tombola_core::audit::Order;
use tombola_core::report::{Lottery, Options, Report, Row};
use tombola_core::rolling::Rolling;
use tombola_core::source::Origin;

/// Rows of the table where no number is given.
const ROWS: usize = 20;

/// Entries of the lists by share and by what is owed where no number is given.
const LISTED: usize = 5;

/// Samples until told to stop. What fails, fails before the first sample, but for a disk that fills up.
pub fn run(args: &DumpArgs, out: &mut dyn Write) -> Result<Exit> {
    if args.show.json_schema {
        out.write_all(dump_json::schema()?.as_bytes())?;
        return Ok(Exit::Ok);
    }
    let interrupt = Interrupt::catch()?;
    let mut outlet = Place::open(args)?;
    let wanted = Wanted { owners: args.show.select.user.is_some(), light: args.light, ..Wanted::default() };
    let source = past::open_or(&args.past, false, || source::open(args.map.as_deref(), wanted))?;
    let origin = source.origin();
    let mut pace = Pace::new(source, Some(args.interval.get()), args.iterations, First::SinceBegin)?;
    let mut lottery = Lottery::new(args.seed.unwrap_or_else(rand::random));
    let mut rolling = Rolling::new(args.alpha);
    let options = Options { scale: args.tickets, candidates: args.candidates, origin };
    let top = match args.show.top {
        None => LISTED,
        Some(0) => usize::MAX,
        Some(top) => top,
    };

    let (mut lost, mut found) = (false, false);
    let mut iteration = 0;
    while let Some(Step { window, frame }) = pace.next(|length| {
        // A signal ends the run without a last, shorter sample.
        Ok(if interrupt.wait(length.unwrap_or_default()) { Waited::Never } else { Waited::Full })
    })? {
        iteration += 1;
        lost |= !window.loss.is_none();
        let order = if outlet.prints_table() {
            Order::new(&window, top).context("the groups of the monitor contradict themselves")?
        } else {
            Order::default() // not shown
        };
        let report = if window.is_first && origin == Origin::Loaded {
            // Hours since the load are no interval: they are shown, and do not enter the moving average.
            let mut since_load = Rolling::new(args.alpha);
            since_load.update(&window);
            Report::new(window, &since_load, options)
        } else {
            rolling.update(&window);
            Report::new(window, &rolling, options)
        };
        let draws = (args.simulate_draws > 0).then(|| lottery.hold(&report, args.simulate_draws));
        let draws = draws.as_ref().map(|outcome| DrawResult {
            wanted: args.simulate_draws,
            seed: lottery.seed(),
            outcome,
        });
        let is_kept = |row: &Row| args.show.select.is_all() || args.show.select.holds(&row.task, frame);
        let rows = report.rows_by(args.show.by, is_kept);
        found |= !rows.is_empty();
        let usual = if outlet.prints_table() { ROWS } else { 0 };
        let count = match args.show.top.unwrap_or(usual) {
            0 => rows.len(),
            top => top.min(rows.len()),
        };
        let view = View {
            iteration,
            report: &report,
            rows: &rows[..count],
            rows_left_out: rows.len() - count,
            by: args.show.by,
            columns: &args.show.columns,
            wide: args.wide,
            width: terminal::columns(),
            draws,
            order: &order,
            top,
            groups: &frame.groups,
        };
        outlet.write(&view, &is_kept, out)?;
    }
    outlet.finish(out)?;
    if !found && !args.show.select.is_all() {
        args.show.select.tell_nobody("no task ran or waited", origin);
        return Ok(Exit::Failure);
    }
    Ok(if lost && args.strict { Exit::Loss } else { Exit::Ok })
}
