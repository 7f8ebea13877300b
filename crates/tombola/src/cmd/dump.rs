//! `tombola dump`: a table, draws and CSV rows, interval by interval.

use crate::cli::DumpArgs;
use crate::exit::Exit;
use crate::interrupt::Interrupt;
use crate::pace::{First, Pace, Step, Waited, notify};
use crate::sink::Groups;
use crate::sink::csv::Csv;
use crate::sink::table::{self, DrawResult};
use crate::source::{self, Wanted};
use anyhow::{Context, Result};
use std::io::Write;
use tombola_core::audit::Order;
use tombola_core::report::{Lottery, Options, Report};
use tombola_core::rolling::Rolling;
use tombola_core::source::Origin;

/// Samples until told to stop. What fails, fails before the first sample, but for a disk that fills up.
pub fn run(args: &DumpArgs, out: &mut dyn Write) -> Result<Exit> {
    let interrupt = Interrupt::catch()?;
    let csv = match &args.output {
        None => None,
        Some(path) => {
            let (csv, notice) = Csv::open(path, args.wide)?;
            if let Some(notice) = notice {
                notify(&notice);
            }
            Some(csv)
        }
    };
    let source = args.past.open_or(|| source::open(args.map.as_deref(), Wanted::default()))?;
    let origin = source.origin();
    let mut pace = Pace::new(source, Some(args.interval.get()), args.iterations, First::SinceBegin)?;
    let mut lottery = Lottery::new(args.seed.unwrap_or_else(rand::random));
    let mut rolling = Rolling::new(args.alpha);
    let options = Options { scale: args.tickets, candidates: args.candidates, origin };

    let mut lost = false;
    let mut iteration = 0;
    while let Some(Step { window, frame }) = pace.next(|length| {
        // A signal ends the run without a last, shorter sample.
        Ok(if interrupt.wait(length.unwrap_or_default()) { Waited::Never } else { Waited::Full })
    })? {
        iteration += 1;
        lost |= !window.loss.is_none();
        let order = match args.top {
            0 => Order::default(), // not shown
            top => Order::new(&window, top).context("the groups of the monitor contradict themselves")?,
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
        let groups = if args.wide { &frame.groups } else { &Groups::new() };
        let draws = (args.simulate_draws > 0).then(|| lottery.hold(&report, args.simulate_draws));
        let draws = draws.as_ref().map(|outcome| DrawResult {
            wanted: args.simulate_draws,
            seed: lottery.seed(),
            outcome,
        });
        let layout = table::Options { wide: args.wide, top: args.top };
        out.write_all(table::render(iteration, &report, draws, &order, groups, layout).as_bytes())?;
        out.flush()?;
        if let Some(csv) = &csv {
            csv.append(iteration, &report, groups)?;
        }
    }
    Ok(if lost && args.strict { Exit::Loss } else { Exit::Ok })
}
