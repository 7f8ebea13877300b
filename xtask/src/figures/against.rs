//! What a build costs beside an older one.

use super::quartiles::Quartiles;
use super::{Tool, lines, number, words};
use anyhow::Result;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

/// What a question came to, by question, round and build.
pub(super) type Costs = BTreeMap<(String, u32, String), f64>;

/// From lines of `round build question value`; the builds are `old` and `new`.
pub(super) fn costs(path: &Path) -> Result<Costs> {
    lines(path)?.iter().map(|line| cost(line)).collect()
}

fn cost(line: &str) -> Result<((String, u32, String), f64)> {
    let [round, build, question, value] = words(line)?;
    Ok(((question.into(), number(round)?, build.into()), number(value)?))
}

/// The table: a row a question, ratios of one round.
pub(super) fn table(costs: &Costs, questions: &[Tool]) -> String {
    let mut text = String::from("| | then | now | now / then | quartiles |\n|---|---:|---:|---:|---|\n");
    for Tool { key, name } in questions {
        let of = |build: &str| {
            let mine = costs.iter().filter(|((question, _, of), _)| question == key && of == build);
            mine.map(|((_, round, _), value)| (*round, *value)).collect::<BTreeMap<u32, f64>>()
        };
        let (old, new) = (of("old"), of("new"));
        let ratios: Vec<f64> = new
            .iter()
            .filter_map(|(round, now)| Some(now / old.get(round)?))
            .filter(|ratio| ratio.is_finite())
            .collect();
        let median = |values: &BTreeMap<u32, f64>| {
            Quartiles::of(&values.values().copied().collect::<Vec<f64>>())
                .map_or_else(|| "-".to_owned(), |quartiles| format!("{:.1}", quartiles.median))
        };
        let (ratio, spread) = match Quartiles::of(&ratios) {
            Some(q) => (format!("{:.2}", q.median), format!("{:.2}–{:.2}", q.low, q.high)),
            None => ("-".to_owned(), "-".to_owned()),
        };
        let _ = writeln!(text, "| {name} | {} | {} | {ratio} | {spread} |", median(&old), median(&new));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_are_of_one_round() {
        let lines = ["0 old dump 100", "0 new dump 50", "1 old dump 10", "1 new dump 2", "1 new audit 1"];
        let costs: Costs = lines.iter().map(|line| cost(line).unwrap()).collect();
        let question = |key: &str| Tool { key: key.into(), name: key.into() };
        let table = table(&costs, &[question("dump"), question("audit")]);
        // 50 of 100 and 2 of 10; the medians are of 100 and 10, and of 50 and 2.
        let rows: Vec<&str> = table.lines().skip(2).collect();
        assert_eq!(rows, ["| dump | 55.0 | 26.0 | 0.35 | 0.28–0.42 |", "| audit | - | 1.0 | - | - |"]);
        assert!(cost("0 old dump").is_err());
    }
}
