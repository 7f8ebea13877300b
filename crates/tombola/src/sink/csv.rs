//! The CSV file `dump` appends to: one row a task and sample, one header.
//!
//! Text is made harmless before it is quoted, so a row is always one line, and no cell is a formula. Columns
//! keep their places for ever; new ones are added at the end.

use super::cell::{Cell, File, decimal, file_cell};
use super::line_file::LineFile;
use crate::groups::Groups;
use anyhow::Result;
use std::path::Path;
use tombola_core::metric::dump;
use tombola_core::report::Row;

/// What every row begins with.
const PREFIX: [&str; 2] = ["iteration", "timestamp"];

/// An open CSV file.
#[derive(Debug)]
pub(crate) struct Csv {
    file: LineFile,
    wide: bool,
}

impl Csv {
    /// Opens the file by the rules of [`LineFile`]; to be called before anything is measured. The notice says
    /// what was repaired.
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
    pub(crate) fn append(&self, iteration: u64, unix_us: u64, shown: &[Row], groups: &Groups) -> Result<()> {
        self.file.append(&rows(iteration, unix_us, shown, groups, self.wide))
    }
}

/// The header, without a line break.
pub(crate) fn header(wide: bool) -> String {
    let columns: Vec<&str> =
        PREFIX.into_iter().chain(dump::file_columns(wide).iter().map(|metric| metric.key)).collect();
    columns.join(",")
}

/// Rows of a report as lines.
pub(crate) fn rows(iteration: u64, unix_us: u64, shown: &[Row], groups: &Groups, wide: bool) -> Vec<u8> {
    let mut writer = csv::Writer::from_writer(Vec::with_capacity(shown.len() * if wide { 300 } else { 120 }));
    let timestamp = decimal(unix_us);
    for row in shown {
        let mut cells = vec![Cell::Unsigned(iteration), Cell::Text(timestamp.clone())];
        let columns = dump::file_columns(wide).iter();
        cells.extend(columns.map(|metric| file_cell(metric, row, groups, File::Csv)));
        writer.serialize(cells).expect("rows are equally long, and a Vec takes everything");
    }
    writer.into_inner().expect("a Vec takes everything")
}

#[cfg(test)]
mod tests;
