//! `tombola dump`: a table, draws and CSV rows, interval by interval.

use crate::cli::DumpArgs;
use crate::exit::Exit;
use crate::interrupt::Interrupt;
use crate::sink::csv::Csv;
use crate::sink::table::{self, DrawResult};
use crate::sink::{Groups, groups_of};
use crate::source::Live;
use crate::windows::notify;
use anyhow::{Context, Result, anyhow};
use std::io::Write;
use std::time::{Duration, Instant};
use tombola_core::audit::Order;
use tombola_core::report::{Lottery, Options, Report};
use tombola_core::rolling::Rolling;
use tombola_core::snapshot::Snapshot;
use tombola_core::source::{Origin, Source};
use tombola_core::window::Window;

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
    let mut source = Live::open(args.map.as_deref()).context("cannot read a monitor")?;
    if source.origin() == Origin::Attach {
        notify("no monitor is loaded: a private one is attached for this run");
    }
    let mut lottery = Lottery::new(args.seed.unwrap_or_else(rand::random));
    let mut rolling = Rolling::new(args.alpha);
    let options = Options { scale: args.tickets, candidates: args.candidates, origin: source.origin() };

    let mut lost = false;
    let mut before: Option<Snapshot> = None;
    // What is loaded has something to tell at once; a private monitor after an interval.
    let mut rhythm = Rhythm::new(args.interval.get(), source.origin() == Origin::Load);
    let mut iteration = 0;
    while args.iterations == 0 || iteration < args.iterations {
        if interrupt.wait(rhythm.until_next()) {
            break;
        }
        let now = source.snapshot().map_err(|e| anyhow!(e)).context("cannot read the monitor")?;
        iteration += 1;
        let window = Window::between(before.as_ref().unwrap_or(&now.origin()), &now);
        lost |= !window.loss.is_none();
        let order = match args.top {
            0 => Order::default(), // not shown
            top => Order::new(&window, top).context("the groups of the monitor contradict themselves")?,
        };
        let report = if window.is_first && source.origin() == Origin::Load {
            // Hours since the load are no interval: they are shown, and do not enter the moving average.
            let mut since_load = Rolling::new(args.alpha);
            since_load.update(&window);
            Report::new(window, &since_load, options)
        } else {
            rolling.update(&window);
            Report::new(window, &rolling, options)
        };
        before = Some(now);

        let groups = if args.wide { source.group_names(&groups_of(&report)) } else { Groups::new() };
        let draws = (args.simulate_draws > 0).then(|| lottery.hold(&report, args.simulate_draws));
        let draws = draws.as_ref().map(|outcome| DrawResult {
            wanted: args.simulate_draws,
            seed: lottery.seed(),
            outcome,
        });
        let layout = table::Options { wide: args.wide, top: args.top };
        out.write_all(table::render(iteration, &report, draws, &order, &groups, layout).as_bytes())?;
        out.flush()?;
        if let Some(csv) = &csv {
            csv.append(iteration, &report, &groups)?;
        }
    }
    Ok(if lost && args.strict { Exit::Loss } else { Exit::Ok })
}

/// Samples at equal distances from the first one. After a stop (SIGSTOP, suspend) it begins anew, without a burst of those
/// that were missed.
struct Rhythm {
    interval: Duration,
    next: Instant,
}

impl Rhythm {
    fn new(interval: Duration, at_once: bool) -> Self {
        let now = Instant::now();
        Self { interval, next: if at_once { now } else { now + interval } }
    }

    /// Time until the next sample, which is then behind us.
    fn until_next(&mut self) -> Duration {
        self.step(Instant::now())
    }

    fn step(&mut self, now: Instant) -> Duration {
        let late = now.saturating_duration_since(self.next);
        let wait = self.next.saturating_duration_since(now);
        self.next = if late > self.interval { now + self.interval } else { self.next + self.interval };
        wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_keep_their_distance_and_missed_ones_are_skipped() {
        let second = Duration::from_secs(1);
        let mut rhythm = Rhythm::new(second, true);
        let start = rhythm.next;
        assert_eq!(rhythm.step(start), Duration::ZERO);
        assert_eq!(rhythm.step(start + second / 4), second * 3 / 4);
        assert_eq!(
            rhythm.step(start + second * 9 / 8),
            second * 7 / 8,
            "a slow sample does not move the next"
        );
        assert_eq!(rhythm.step(start + second * 100), Duration::ZERO, "stopped for long: once now");
        assert_eq!(rhythm.step(start + second * 100), second, "and then an interval later");
    }
}
