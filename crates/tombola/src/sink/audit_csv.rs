//! An audit's rows as CSV: the fields of the JSON rows under their names, after number, time and kind of the
//! interval.
//!
//! Columns keep their places for ever; new ones are added at the end. A value that there is none of is an
//! empty cell.

use super::cell::{Cell, File, file_cell};
use crate::audit_view::AuditView;
use anyhow::{Context, Result, anyhow};
use tombola_core::metric::audit::METRICS;

/// What the column `schema` says: columns are only ever added, so it stays.
const SCHEMA: u32 = 1;

/// What every row begins with.
const PREFIX: [&str; 5] = ["schema", "iteration", "timestamp_us", "interval_ns", "by"];

/// The header, without a line break.
pub(crate) fn header() -> String {
    let columns: Vec<&str> = PREFIX.into_iter().chain(METRICS.iter().map(|metric| metric.key)).collect();
    columns.join(",")
}

/// All rows as lines.
///
/// # Errors
/// What a serializer can refuse: nothing that occurs here.
pub(crate) fn lines(view: &AuditView<'_>) -> Result<Vec<u8>> {
    let mut writer = csv::Writer::from_writer(Vec::with_capacity(view.rows.len() * 320));
    for row in view.rows {
        let mut cells = vec![
            Cell::Unsigned(SCHEMA.into()),
            Cell::Unsigned(view.iteration),
            Cell::Unsigned(view.audit.unix_us),
            Cell::Unsigned(view.audit.length_ns),
            Cell::Text(view.by.to_string()),
        ];
        cells.extend(METRICS.iter().map(|metric| file_cell(metric, row, view.groups, File::Csv)));
        writer.serialize(cells).context("cannot write CSV")?;
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
        insta::assert_snapshot!(header() + "\n" + std::str::from_utf8(&text).unwrap());
    }

    #[test]
    fn hostile_names_make_no_line_and_no_formula() {
        let audit = tombola_core::audit::Audit::new(&crate::sink::fixture::window(hostile())).unwrap();
        let rows = audit.rows(By::Task, |_| true);
        let groups = crate::groups::Groups::new();
        let text = lines(&view(&audit, &rows, &groups)).unwrap();
        let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(text.as_slice());
        let records: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
        assert_eq!(records.len(), rows.len());
        assert!(records.iter().all(|record| !record[9].starts_with(['=', '-'])), "{records:?}");
        assert!(std::str::from_utf8(&text).unwrap().chars().all(|c| !c.is_control() || c == '\n'));
    }
}
