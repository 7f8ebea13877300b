//! What a tool that runs beside takes for itself.

use super::quartiles::Quartiles;
use super::{Tool, lines, number, words};
use anyhow::Result;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

/// The table, from lines of `round tool milliseconds seconds`: CPU time of the tool's process, and how long
/// it ran.
pub(super) fn table(costs: &Path, tools: &[Tool]) -> Result<String> {
    rows(&lines(costs)?, tools)
}

fn rows(lines: &[String], tools: &[Tool]) -> Result<String> {
    let mut all: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for line in lines {
        let [_, tool, milliseconds, seconds] = words(line)?;
        all.entry(tool).or_default().push(number::<f64>(milliseconds)? / number::<f64>(seconds)?);
    }
    let mut text =
        String::from("| runs beside | ms of its own CPU time a second | quartiles |\n|---|---:|---|\n");
    for Tool { key, name } in tools {
        let Some(q) = all.get(key.as_str()).and_then(|costs| Quartiles::of(costs)) else { continue };
        let _ = writeln!(text, "| {name} | {:.1} | {:.1}–{:.1} |", q.median, q.low, q.high);
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_is_of_a_second() {
        let lines = ["0 below 20 2", "1 below 60 3", "2 below 30 1"].map(str::to_owned);
        let tool = |key: &str| Tool { key: key.into(), name: key.into() };
        // 10, 20 and 30 ms a second; who has no process has no row.
        let text = rows(&lines, &[tool("light"), tool("below")]).unwrap();
        assert_eq!(text.lines().skip(2).collect::<Vec<_>>(), ["| below | 20.0 | 15.0–25.0 |"]);
        assert!(rows(&["0 below 20".to_owned()], &[]).is_err());
    }
}
