//! Values of the catalogue as cells: of a table for people, or of a file for programs.

use super::layout::{Layout, Side};
use super::ms3;
use super::print::{line, percent, signed};
use crate::groups::{Groups, group_text};
use crate::text::{clip, harmless, harmless_in_csv};
use serde::Serialize;
use tombola_core::group_path::short_name;
use tombola_core::metric::{Metric, Sum, Unit, Value};

/// Columns a name may fill. A comm has 15 bytes: only escapes make it longer.
const NAME_COLUMNS: usize = 20;

/// Columns a group's short name may fill.
const GROUP_COLUMNS: usize = 28;

/// A value in a file.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub(super) enum Cell {
    /// Null, or an empty cell.
    None,
    /// A whole number.
    Unsigned(u64),
    /// A whole number with a sign.
    Signed(i64),
    /// Any number.
    Real(f64),
    /// True or false.
    Flag(bool),
    /// Text that is harmless where it goes.
    Text(String),
}

/// What kind of file a cell is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum File {
    /// Numbers have their digits, and no text is a formula.
    Csv,
    /// Numbers are numbers.
    Json,
}

/// The value of a row for a file.
pub(super) fn file_cell<R>(metric: &Metric<R>, row: &R, groups: &Groups, file: File) -> Cell {
    let text = match file {
        File::Csv => harmless_in_csv,
        File::Json => harmless,
    };
    match metric.value(row) {
        Value::None => Cell::None,
        Value::Unsigned(number) | Value::Marked(number) => Cell::Unsigned(number),
        Value::Signed(number) => Cell::Signed(number),
        Value::Real(number) => match metric.decimals.filter(|_| file == File::Csv) {
            Some(digits) => Cell::Text(format!("{number:.digits$}")),
            None => Cell::Real(number),
        },
        Value::Millionths(number) if file == File::Csv => Cell::Text(decimal(number)),
        Value::Millionths(number) => Cell::Real(number as f64 / 1e6),
        Value::Flag(flag) => Cell::Flag(flag),
        Value::Word(word) => Cell::Text(word.into_owned()),
        Value::Name(name) => Cell::Text(text(name)),
        Value::Group(group) => Cell::Text(text(short_name(&group_text(groups, group)).as_bytes())),
        Value::Path(group) => Cell::Text(text(group_text(groups, group).as_bytes())),
    }
}

/// Rows under the titles of their metrics, for people.
pub(super) fn table<'a, R: 'a>(
    columns: &[&Metric<R>],
    rows: impl IntoIterator<Item = &'a R>,
    groups: &Groups,
) -> Layout {
    let side = |metric: &&Metric<R>| if metric.is_text() { Side::Left } else { Side::Right };
    let titles: Vec<(&str, Side)> = columns.iter().map(|metric| (metric.title, side(metric))).collect();
    let mut layout = Layout::new(&titles);
    for row in rows {
        for metric in columns {
            layout.cell(table_cell(metric, row, groups));
        }
    }
    layout
}

/// Rows as [`table`], without as many of the dispensable columns as it takes to fit a width. Their titles are
/// returned.
pub(super) fn fitted<R>(
    mut columns: Vec<&Metric<R>>,
    dispensable: &[&str],
    rows: &[R],
    groups: &Groups,
    width: Option<usize>,
) -> (Layout, Vec<&'static str>) {
    let mut left_out = Vec::new();
    let mut next = dispensable.iter();
    loop {
        let layout = table(&columns, rows, groups);
        if width.is_none_or(|width| layout.width() <= width) {
            return (layout, left_out);
        }
        let Some(key) = next.next() else { return (layout, left_out) };
        if let Some(at) = columns.iter().position(|metric| metric.key == *key) {
            left_out.push(columns.remove(at).title);
        }
    }
}

/// Writes what [`fitted`] made; a table for a terminal says what is missing.
pub(super) fn write_fitted(out: &mut String, (layout, left_out): &(Layout, Vec<&'static str>)) {
    layout.write(out, "");
    if !left_out.is_empty() {
        line(out, format_args!("no room for {}: --columns chooses", left_out.join(", ")));
    }
}

/// The value of a row for people, harmless.
pub(crate) fn table_cell<R>(metric: &Metric<R>, row: &R, groups: &Groups) -> String {
    match metric.table_value(row) {
        // Its tasks have several.
        Value::None if metric.sum == Sum::Common => "*".to_owned(),
        Value::None => "-".to_owned(),
        Value::Unsigned(ns) if metric.unit == Unit::Nanoseconds => ms3(ns),
        Value::Unsigned(number) => number.to_string(),
        Value::Signed(ns) if metric.unit == Unit::Nanoseconds => signed(ns as f64 / 1e6),
        Value::Signed(number) => number.to_string(),
        Value::Real(share) if metric.unit == Unit::Ratio => percent(share),
        Value::Real(number) => format!("{number:.3}"),
        Value::Millionths(number) => ms3(number),
        Value::Marked(number) => format!("{number}*"),
        Value::Flag(flag) => if flag { "yes" } else { "no" }.to_owned(),
        Value::Word(word) => word.into_owned(),
        Value::Name(name) => clipped(&harmless(name), NAME_COLUMNS),
        Value::Group(group) => {
            clipped(&harmless(short_name(&group_text(groups, group)).as_bytes()), GROUP_COLUMNS)
        }
        Value::Path(group) => clipped(&harmless(group_text(groups, group).as_bytes()), usize::MAX),
    }
}

/// A name of bounded width; `""` where there is none, so that no column is empty.
pub(super) fn clipped(text: &str, columns: usize) -> String {
    if text.is_empty() { "\"\"".to_owned() } else { clip(text, columns).into_owned() }
}

/// A millionth of the number, exactly: milliseconds of nanoseconds, seconds of microseconds.
pub(super) fn decimal(millionths: u64) -> String {
    format!("{}.{:06}", millionths / 1_000_000, millionths % 1_000_000)
}
