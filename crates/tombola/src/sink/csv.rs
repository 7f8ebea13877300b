//! The CSV file `dump` appends to: one row a task and sample, one header.
//!
//! Text is made harmless before it is quoted, so a row is always one line, and no cell is a formula. Columns keep their
//! places for ever; new ones are added at the end.

use super::Groups;
use super::cell::{Cell, decimal, file_cell};
use super::line_file::LineFile;
use crate::text::harmless_in_csv;
use anyhow::Result;
use std::path::Path;
use tombola_core::metric::dump;
use tombola_core::report::Report;

/// What every row begins with.
const PREFIX: [&str; 2] = ["iteration", "timestamp"];

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
    let columns: Vec<&str> =
        PREFIX.into_iter().chain(dump::file_columns(wide).iter().map(|metric| metric.key)).collect();
    columns.join(",")
}

/// All rows of a report as lines.
fn rows(iteration: u64, report: &Report, groups: &Groups, wide: bool) -> Vec<u8> {
    let mut writer =
        csv::Writer::from_writer(Vec::with_capacity(report.rows.len() * if wide { 300 } else { 120 }));
    let timestamp = decimal(report.head.unix_us);
    for row in &report.rows {
        let mut cells = vec![Cell::Unsigned(iteration), Cell::Text(timestamp.clone())];
        let columns = dump::file_columns(wide).iter();
        cells.extend(columns.map(|metric| file_cell(metric, row, groups, harmless_in_csv)));
        writer.serialize(cells).expect("rows are equally long, and a Vec takes everything");
    }
    writer.into_inner().expect("a Vec takes everything")
}

#[cfg(test)]
mod tests;
