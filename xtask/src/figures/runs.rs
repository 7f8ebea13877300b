//! Wall time and memory of a command.

use super::quartiles::Quartiles;
use super::{lines, number};
use anyhow::{Context as _, Result};
use std::path::Path;

/// One row, from runs in microseconds and peaks in KiB, which may be none.
pub(super) fn row(label: &str, walls: &Path, peaks: &Path) -> Result<String> {
    let walls: Vec<f64> =
        lines(walls)?.iter().map(|us| Ok(number::<f64>(us)? / 1e3)).collect::<Result<_>>()?;
    let q = Quartiles::of(&walls).with_context(|| format!("{label} did not run"))?;
    let peaks: Vec<f64> = lines(peaks)?.iter().map(|kib| number(kib)).collect::<Result<_>>()?;
    let peak = peaks.into_iter().reduce(f64::max);
    let peak = peak.map_or_else(|| "-".to_owned(), |kib| format!("{:.1} MB", kib * 1024.0 / 1e6));
    Ok(format!("| {label} | {:.1} ms | {:.1}–{:.1} | {peak} |\n", q.median, q.low, q.high))
}
