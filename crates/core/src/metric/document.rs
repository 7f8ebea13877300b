//! The catalogue as a document.

use super::{Metric, audit, dump};
use std::fmt::Write;

/// The catalogue as tables in Markdown, a section for each kind of row: the middle part of docs/metrics.md.
pub fn markdown() -> String {
    let mut text = String::new();
    section(&mut text, "Rows of `dump`", dump::METRICS);
    text.push('\n');
    section(&mut text, "Rows of `audit`", audit::METRICS);
    text
}

fn section<R>(text: &mut String, title: &str, metrics: &[Metric<R>]) {
    let mut add =
        |line: std::fmt::Arguments<'_>| writeln!(text, "{line}").expect("a String takes everything");
    add(format_args!("### {title}\n"));
    add(format_args!("| key in CSV | in JSON | column | kind | unit | over several tasks | meaning |"));
    add(format_args!("|---|---|---|---|---|---|---|"));
    for metric in metrics {
        let Metric { key, title, kind, unit, sum, meaning, .. } = metric;
        let json = metric.json.map_or_else(|| "the same".to_owned(), |name| format!("`{name}`"));
        add(format_args!("| `{key}` | {json} | `{title}` | {kind} | {unit} | {sum} | {meaning} |"));
    }
}
