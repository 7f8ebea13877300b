//! How a result is written, and where: the same for every verb with one result.

use crate::sink::result::outlet::ResultFormat;
use clap::error::ErrorKind;
use clap::{Args, Error};
use std::path::PathBuf;

/// Format and place of a result.
#[derive(Clone, Debug, Default, Args)]
pub struct OutputArgs {
    /// table = for people; json = one document, times in ns; ndjson = an object a line, as it comes
    #[arg(long, value_enum, value_name = "table|json|ndjson", default_value_t, hide_possible_values = true)]
    pub format: ResultFormat,
    /// File that the result replaces once it is whole, - for standard output [default: standard output]
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Print the JSON Schema of json and ndjson, and end
    #[arg(long)]
    pub json_schema: bool,
}

/// Ends the run where columns are `chosen` and nothing is a table: all other formats have all of them.
pub fn refuse_columns(chosen: bool, is_table: bool) {
    if chosen && !is_table {
        let message = "--columns chooses columns of a table; csv, json and ndjson always have all of them\n";
        Error::raw(ErrorKind::ArgumentConflict, message).exit();
    }
}
