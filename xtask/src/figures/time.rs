//! Time of BPF programs.

use super::quartiles::Quartiles;
use super::{Tool, lines, number, words};
use anyhow::Result;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

/// The table, from lines of `round tool programs nanoseconds`.
pub(super) fn table(costs: &Path, tools: &[Tool]) -> Result<String> {
    let mut all: BTreeMap<String, (u32, Vec<f64>)> = BTreeMap::new();
    for line in lines(costs)? {
        let [_, tool, programs, cost] = words(&line)?;
        let of = all.entry(tool.into()).or_default();
        of.0 = number(programs)?;
        of.1.push(number(cost)?);
    }
    let mut text =
        String::from("| attached | programs | ns a context switch | quartiles |\n|---|---:|---:|---|\n");
    for Tool { key, name } in tools {
        let Some((programs, costs)) = all.get(key) else { continue };
        let Some(q) = Quartiles::of(costs) else { continue };
        let _ = writeln!(text, "| {name} | {programs} | {:.0} | {:.0}–{:.0} |", q.median, q.low, q.high);
    }
    Ok(text)
}
