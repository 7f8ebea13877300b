//! What the machine does while a benchmark runs, in the kernel's own counts: a busy host changes times, and
//! these hardly.

use crate::charge::Charge;
use crate::programs::{Programs, Work};
use anyhow::{Context as _, Result};
use std::fs;

/// What one operation of a benchmark takes.
pub(crate) struct Counts {
    /// By name, in the order of the tables: counts of the kernel, and of the lottery where it is in charge.
    pub(crate) events: Vec<(&'static str, f64)>,
    pub(crate) programs: Vec<Work>,
    pub(crate) operations: f64,
}

/// Lines of `/proc/interrupts`, by what the tables call them.
const INTERRUPTS: [(&str, &str); 3] = [
    ("RES", "calls of another CPU to reschedule"),
    ("IWI", "calls of a CPU to itself"),
    ("LOC", "timer interrupts"),
];

impl Counts {
    /// Of a benchmark of so many operations, which returns the migrations that it saw.
    pub(crate) fn of(
        charge: &Charge,
        programs: &Programs,
        operations: f64,
        benchmark: impl FnOnce() -> Result<f64>,
    ) -> Result<Self> {
        let before = Self::events(charge)?;
        let (migrations, programs) = programs.while_counting(benchmark)?;
        let mut events: Vec<_> = Self::events(charge)?
            .into_iter()
            .zip(before)
            .map(|((name, after), (_, before))| (name, after - before))
            .collect();
        events.insert(1, ("migrations", migrations));
        Ok(Self { events, programs, operations })
    }

    fn events(charge: &Charge) -> Result<Vec<(&'static str, f64)>> {
        let text = fs::read_to_string("/proc/stat")?;
        let switches = text.lines().find_map(|line| line.strip_prefix("ctxt ")?.parse().ok());
        let mut events = vec![("switches", switches.context("/proc/stat counts no switches")?)];
        let text = fs::read_to_string("/proc/interrupts")?;
        for (line, name) in INTERRUPTS {
            events.push((name, interrupts(&text, line)));
        }
        if let Charge::Ours(scheduler) = charge {
            let totals = scheduler.control().totals()?;
            events.extend([
                ("draws", totals.draws as f64),
                ("slices begun on an idle CPU", totals.idle as f64),
                ("slices ended by the timer", totals.cut as f64),
                ("winners that the kernel took", totals.redrawn as f64),
            ]);
        }
        Ok(events)
    }
}

/// Of all CPUs.
fn interrupts(text: &str, wanted: &str) -> f64 {
    let counts = text.lines().find_map(|line| line.trim_start().strip_prefix(wanted)?.strip_prefix(':'));
    counts.unwrap_or_default().split_whitespace().map_while(|count| count.parse::<f64>().ok()).sum()
}
