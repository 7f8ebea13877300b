//! The CSV file `dump` appends to: one row a task and sample, one header.
//!
//! Text is made harmless before it is quoted, so a row is always one line, and no cell is a formula. Columns keep their
//! places for ever; new ones are added at the end.

use super::line_file::LineFile;
use super::{Groups, group_text};
use crate::text::harmless_in_csv;
use anyhow::Result;
use std::path::Path;
use tombola_core::report::{Report, Row};

/// The columns every file has.
const COLUMNS: [&str; 12] = [
    "iteration",
    "timestamp",
    "pid",
    "runtime_ns",
    "runtime_ms",
    "delta_ns",
    "delta_ms",
    "rolling_runtime_ms",
    "switches",
    "nice",
    "tickets",
    "ticket_share",
];

/// The columns that follow in a wide file.
const WIDE_COLUMNS: [&str; 17] = [
    "comm",
    "tgid",
    "start_ns",
    "policy",
    "weight",
    "cpu",
    "cgroup",
    "wait_ns",
    "delta_wait_ns",
    "wait_max_ns",
    "voluntary",
    "involuntary",
    "wakeups",
    "migrations",
    "ended",
    "corrected_waits",
    "corrected_ns",
];

/// An open CSV file.
#[derive(Debug)]
pub(crate) struct Csv {
    file: LineFile,
    wide: bool,
}

impl Csv {
    /// Opens the file by the rules of [`LineFile`]; to be called before anything is measured. The notice says what was
    /// repaired.
    ///
    /// # Errors
    /// Those of [`LineFile::open`].
    pub(crate) fn open(path: &Path, wide: bool) -> Result<(Self, Option<String>)> {
        let (file, notice) = LineFile::open(path, &header(wide))?;
        Ok((Self { file, wide }, notice))
    }

    /// Appends the rows of the `iteration`-th sample.
    ///
    /// # Errors
    /// Those of [`LineFile::append`].
    pub(crate) fn append(&self, iteration: u64, report: &Report, groups: &Groups) -> Result<()> {
        self.file.append(&rows(iteration, report, groups, self.wide))
    }
}

/// The header, without a line break.
fn header(wide: bool) -> String {
    let mut columns = COLUMNS.to_vec();
    if wide {
        columns.extend(WIDE_COLUMNS);
    }
    columns.join(",")
}

/// All rows of a report as lines.
fn rows(iteration: u64, report: &Report, groups: &Groups, wide: bool) -> Vec<u8> {
    let mut writer =
        csv::Writer::from_writer(Vec::with_capacity(report.rows.len() * if wide { 300 } else { 120 }));
    let iteration = iteration.to_string();
    let timestamp = decimal(report.head.unix_us);
    // Of the whole machine in the interval: the same in every row of a sample.
    let loss = &report.head.loss;
    let corrected = [loss.corrected_waits.to_string(), loss.corrected_ns.to_string()];
    for row in &report.rows {
        let mut fields = vec![iteration.clone(), timestamp.clone()];
        fields.extend(narrow_fields(row));
        if wide {
            fields.extend(wide_fields(row, groups));
            fields.extend(corrected.clone());
        }
        writer.write_record(&fields).expect("rows are equally long, and a Vec takes everything");
    }
    writer.into_inner().expect("a Vec takes everything")
}

fn narrow_fields(row: &Row) -> [String; COLUMNS.len() - 2] {
    let totals = &row.task.totals;
    let (runtime_ns, delta_ns) = (totals.usage.runtime_ns, row.task.delta.runtime_ns);
    [
        totals.id.pid.to_string(),
        runtime_ns.to_string(),
        decimal(runtime_ns),
        delta_ns.to_string(),
        decimal(delta_ns),
        format!("{:.6}", row.rolling_ns / 1e6),
        totals.usage.switches.to_string(),
        totals.nice.to_string(),
        row.tickets.to_string(),
        format!("{:.9}", row.ticket_share),
    ]
}

fn wide_fields(row: &Row, groups: &Groups) -> [String; WIDE_COLUMNS.len() - 2] {
    let totals = &row.task.totals;
    let usage = &totals.usage;
    [
        harmless_in_csv(&totals.comm),
        totals.tgid.to_string(),
        totals.id.start_ns.to_string(),
        totals.policy.to_string(),
        totals.weight.to_string(),
        totals.cpu.to_string(),
        harmless_in_csv(group_text(groups, totals.group).as_bytes()),
        usage.wait_ns.to_string(),
        row.task.delta.wait_ns.to_string(),
        usage.wait_max_ns.to_string(),
        usage.voluntary().to_string(),
        usage.involuntary.to_string(),
        usage.wakeups.to_string(),
        usage.migrations.to_string(),
        u8::from(row.task.ended).to_string(),
    ]
}

/// A millionth of the number, exactly: milliseconds of nanoseconds, seconds of microseconds.
fn decimal(millionths: u64) -> String {
    format!("{}.{:06}", millionths / 1_000_000, millionths % 1_000_000)
}

#[cfg(test)]
mod tests;
