//! What of a sample `dump` shows, and how.

use super::{Format, SelectArgs};
use crate::sink::dump_json;
use crate::whole;
use clap::builder::PossibleValuesParser;
use clap::{Args, ValueEnum};
use tombola_core::audit::By;
use tombola_core::metric::{Metric, dump};
use tombola_core::report::Row;

/// Rows, columns and format of `dump`.
#[derive(Debug, Args)]
pub struct DumpShowArgs {
    /// Rows of each table, 0 to 1000000; 0 = all [default: 20 tasks, and 5 in the lists by share and by what
    /// is owed]. A CSV file has all rows; json and ndjson have them where no number is given
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = whole::between::<usize>(0, 1_000_000))]
    pub top: Option<usize>,
    /// What a row of the table, of json and of ndjson is about: a task (thread), a process, a scheduling
    /// group, or all tasks of one name. CSV has a row a task
    #[arg(long, value_name = "task|process|group|comm", default_value_t)]
    pub by: By,
    /// Columns of the table, by key or title, from left to right; docs/metrics.md lists them
    #[arg(long, value_name = "KEY,…", value_delimiter = ',', value_parser = column)]
    pub columns: Vec<&'static Metric<Row>>,
    /// table = for people; csv = a row a line under a header; json = one document of all intervals; ndjson =
    /// an object a row, after one for the interval [default: table; with --output FILE a table, and CSV in
    /// the file; with --output - CSV]
    #[arg(long, value_name = "table|csv|json|ndjson", hide_possible_values = true, value_parser = of_dump)]
    pub format: Option<Format>,
    /// Of ndjson only lines of these kinds, so that all lines of a file have the same fields: sample,
    /// row [default: all]
    #[arg(long, value_name = "KIND,…", value_delimiter = ',', value_parser = PossibleValuesParser::new(dump_json::RECORDS), hide_possible_values = true)]
    pub records: Vec<String>,
    /// Print the JSON Schema of json and ndjson, and end
    #[arg(long)]
    pub json_schema: bool,
    #[command(flatten)]
    pub select: SelectArgs,
}

fn column(text: &str) -> Result<&'static Metric<Row>, String> {
    super::find_column(text, dump::METRICS)
}

/// The formats of `dump`: those of `audit` that are no verdict.
fn of_dump(text: &str) -> Result<Format, String> {
    match Format::from_str(text, true) {
        Ok(Format::Junit | Format::Github) | Err(_) => Err("use table, csv, json or ndjson".to_owned()),
        Ok(format) => Ok(format),
    }
}
