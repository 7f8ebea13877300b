//! What reading a recording costs, beside what it costs perf.

use super::quartiles::Quartiles;
use super::{Tool, lines, number, words};
use anyhow::Result;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

/// The tool against which the others are held.
const YARDSTICK: &str = "perf";

/// CPU time, seconds, and peak memory, KiB, by round and tool.
pub(super) type Costs = BTreeMap<(u32, String), (f64, f64)>;

/// From lines of `round tool user system peak`.
pub(super) fn costs(path: &Path) -> Result<Costs> {
    lines(path)?.iter().map(|line| cost(line)).collect()
}

fn cost(line: &str) -> Result<((u32, String), (f64, f64))> {
    let [round, tool, user, system, peak] = words(line)?;
    Ok(((number(round)?, tool.into()), (number::<f64>(user)? + number::<f64>(system)?, number(peak)?)))
}

/// The table: ratios are of one round.
pub(super) fn table(costs: &Costs, tools: &[Tool]) -> String {
    let mut text = String::from(
        "| read by | CPU time, s | times as fast as perf | quartiles | peak memory, MB | part of perf's |\n\
         |---|---:|---:|---|---:|---:|\n",
    );
    for Tool { key, name } in tools {
        let of = |value: fn((f64, f64), (f64, f64)) -> f64| {
            let mine = costs.iter().filter(|((_, tool), _)| tool == key);
            let values: Vec<f64> = mine
                .filter_map(|((round, _), cost)| Some(value(*cost, *costs.get(&(*round, YARDSTICK.into()))?)))
                .filter(|value| value.is_finite())
                .collect();
            Quartiles::of(&values)
        };
        let text_of = |quartiles: Option<Quartiles>, digits: usize| {
            quartiles.map_or_else(|| "-".to_owned(), |quartiles| format!("{:.digits$}", quartiles.median))
        };
        let faster = of(|mine, perf| perf.0 / mine.0);
        let spread = faster.map_or_else(|| "-".to_owned(), |q| format!("{:.1}–{:.1}", q.low, q.high));
        let _ = writeln!(
            text,
            "| {name} | {} | {} | {spread} | {} | {} |",
            text_of(of(|mine, _| mine.0), 2),
            text_of(faster, 1),
            text_of(of(|mine, _| mine.1 / 1024.0), 1),
            text_of(of(|mine, perf| mine.1 / perf.1), 2),
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_are_medians_over_the_rounds() {
        let lines =
            ["0 perf 0.5 0.1 102400", "0 ours 0.1 0.0 10240", "1 perf 1.0 0.2 102400", "1 ours 0.3 0.0 6144"];
        let costs: Costs = lines.iter().map(|line| cost(line).unwrap()).collect();
        let tools = [Tool { key: "ours".into(), name: "us".into() }];
        // 6 and 4 times as fast; 10 and 6 MB of 100.
        let table = table(&costs, &tools);
        assert_eq!(table.lines().last(), Some("| us | 0.20 | 5.0 | 4.5–5.5 | 8.0 | 0.08 |"), "{table}");
        assert!(cost("0 perf 0.5 0.1").is_err());
    }
}
