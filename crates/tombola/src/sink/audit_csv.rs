//! An audit's rows as CSV: the fields of the JSON rows under their names, after number, time and kind of the interval.
//!
//! Columns keep their places for ever; new ones are added at the end. A value that there is none of is an empty cell.

use super::AuditView;
use super::json::{RowRecord, SCHEMA, rows};
use crate::text::harmless_in_csv;
use anyhow::{Context, Result, anyhow};
use serde::Serialize;

/// What every row begins with.
#[derive(Serialize)]
struct Prefix {
    schema: u32,
    iteration: u64,
    timestamp_us: u64,
    interval_ns: u64,
    by: String,
}

/// The header, without a line break.
///
/// # Errors
/// What a serializer can refuse: nothing that occurs here.
pub(crate) fn header() -> Result<String> {
    let interval =
        Prefix { schema: SCHEMA, iteration: 0, timestamp_us: 0, interval_ns: 0, by: String::new() };
    let text = write([(interval, RowRecord::default())].into_iter(), true)?;
    let text = String::from_utf8(text).context("the header is no text")?;
    text.lines().next().map(str::to_owned).ok_or_else(|| anyhow!("the header is empty"))
}

/// All rows as lines.
///
/// # Errors
/// As [`header`].
pub(crate) fn lines(view: &AuditView<'_>) -> Result<Vec<u8>> {
    let interval = || Prefix {
        schema: SCHEMA,
        iteration: view.iteration,
        timestamp_us: view.audit.unix_us,
        interval_ns: view.audit.length_ns,
        by: view.by.to_string(),
    };
    write(rows(view, harmless_in_csv).into_iter().map(|row| (interval(), row)), false)
}

fn write(rows: impl Iterator<Item = (Prefix, RowRecord)>, with_header: bool) -> Result<Vec<u8>> {
    let mut writer = csv::WriterBuilder::new().has_headers(with_header).from_writer(Vec::new());
    for row in rows {
        writer.serialize(row).context("cannot write CSV")?;
    }
    writer.into_inner().map_err(|error| anyhow!("cannot write CSV: {}", error.error()))
}

#[cfg(test)]
mod tests {
    use super::super::audit_table::tests::{example, view};
    use super::*;
    use crate::sink::fixture::hostile;
    use tombola_core::audit::By;

    #[test]
    fn rows_under_their_header() {
        let (audit, groups) = example();
        let rows = audit.rows(By::Task, |_| true);
        let text = lines(&view(&audit, &rows, &groups)).unwrap();
        insta::assert_snapshot!(header().unwrap() + "\n" + std::str::from_utf8(&text).unwrap());
    }

    #[test]
    fn hostile_names_make_no_line_and_no_formula() {
        let audit = tombola_core::audit::Audit::new(&crate::sink::fixture::window(hostile())).unwrap();
        let rows = audit.rows(By::Task, |_| true);
        let groups = crate::sink::Groups::new();
        let text = lines(&view(&audit, &rows, &groups)).unwrap();
        let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(text.as_slice());
        let records: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
        assert_eq!(records.len(), rows.len());
        assert!(records.iter().all(|record| !record[9].starts_with(['=', '-'])), "{records:?}");
        assert!(std::str::from_utf8(&text).unwrap().chars().all(|c| !c.is_control() || c == '\n'));
    }
}
