//! What recording costs, in time and in bytes.

use super::rounds::{Clock, Rounds};
use super::{Tool, lines, number, words};
use anyhow::Result;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

/// What a tool kept in the first round.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Kept {
    /// Bytes and events of sched pipe.
    pipe: Option<(f64, f64)>,
    /// Lost, of all benchmarks.
    lost: u64,
}

/// From lines of `tool benchmark bytes events lost`.
pub(super) fn sizes(path: &Path) -> Result<BTreeMap<String, Kept>> {
    let mut all: BTreeMap<String, Kept> = BTreeMap::new();
    for line in lines(path)? {
        let [tool, what, bytes, events, lost] = words(&line)?;
        let kept = all.entry(tool.into()).or_default();
        if what == "pipe" {
            kept.pipe = Some((number(bytes)?, number(events)?));
        }
        kept.lost += number::<u64>(lost)?;
    }
    Ok(all)
}

/// The table.
pub(super) fn table(rounds: &Rounds, sizes: &BTreeMap<String, Kept>, tools: &[Tool]) -> String {
    let mut text = String::from(
        "| recorded by | pipe, CPU | quartiles | pipe, wall | messaging, CPU | messaging, wall | bytes an event, pipe \
         | lost, first round |\n|---|---:|---|---:|---:|---:|---:|---:|\n",
    );
    let dash = || "-".to_owned();
    for Tool { key, name } in tools {
        let median =
            |what, clock| rounds.slowdown(key, what, clock).map_or_else(dash, |q| format!("{:.3}", q.median));
        let quartiles = rounds
            .slowdown(key, "pipe", Clock::Cpu)
            .map_or_else(dash, |q| format!("{:.3}–{:.3}", q.low, q.high));
        let kept = sizes.get(key);
        let bytes = kept
            .and_then(|kept| kept.pipe)
            .filter(|(_, events)| *events > 0.0)
            .map_or_else(dash, |(bytes, events)| format!("{:.1}", bytes / events));
        let lost = kept.map_or_else(dash, |kept| kept.lost.to_string());
        let _ = writeln!(
            text,
            "| {name} | {} | {quartiles} | {} | {} | {} | {bytes} | {lost} |",
            median("pipe", Clock::Cpu),
            median("pipe", Clock::Wall),
            median("messaging", Clock::Cpu),
            median("messaging", Clock::Wall),
        );
    }
    let against = |clock| rounds.against("tombola", "perf", "pipe", clock);
    if let (Some(cpu), Some(wall)) = (against(Clock::Cpu), against(Clock::Wall)) {
        let _ = writeln!(
            text,
            "\nOverhead of tombola record on pipe against that of perf record: {cpu:.2} by CPU time, {wall:.2} by wall \
             time."
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::rounds::example;

    #[test]
    fn bytes_are_of_an_event_and_losses_of_everything() {
        let kept = Kept { pipe: Some((3000.0, 200.0)), lost: 7 };
        let tool = |key: &str| Tool { key: key.into(), name: key.into() };
        let text =
            table(&example(), &[("tombola".to_owned(), kept)].into(), &[tool("tombola"), tool("perf")]);
        let rows: Vec<&str> = text.lines().skip(2).collect();
        assert_eq!(rows[0], "| tombola | 1.200 | 1.150–1.250 | 1.200 | - | - | 15.0 | 7 |");
        assert_eq!(rows[1], "| perf | 2.000 | 2.000–2.000 | 2.000 | - | - | - | - |");
        assert_eq!(
            rows[3],
            "Overhead of tombola record on pipe against that of perf record: 0.20 by CPU time, 0.20 by wall time."
        );
    }
}
