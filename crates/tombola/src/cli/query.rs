//! The command line of `query`.

use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// Ask a log, of one host or of many, one of the shipped questions: SQL, answered by `DuckDB` where it is
/// installed.
///
/// Without NAME, lists the questions. `DuckDB` is looked for as the program `duckdb`, then as the module of
/// `python3`. Only sealed files are asked: an interval is in one at the latest when the time of `log --seal`
/// is over.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tombola query                                   the questions, a sentence each
  tombola query owed --dir /var/log/tombola
  tombola query loss --dir /srv/fleet --format csv --output loss.csv
  tombola query owed --dir /srv/fleet --print      the SQL, for another engine")]
pub struct QueryArgs {
    /// The question
    pub name: Option<String>,
    /// Log to ask, as `tombola log --dir` writes it
    #[arg(long, value_name = "DIR", requires = "name")]
    pub dir: Option<PathBuf>,
    /// table = for people, csv and json = for programs
    #[arg(long, value_enum, value_name = "table|csv|json", default_value_t, hide_possible_values = true)]
    pub format: QueryFormat,
    /// File that the answer replaces once it is whole, - for standard output [default: standard output]
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Print the SQL in place of asking
    #[arg(long)]
    pub print: bool,
}

/// How an answer is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum QueryFormat {
    /// For people.
    #[default]
    Table,
    /// Comma-separated values under a header.
    Csv,
    /// A list of objects, one a row.
    Json,
}
