//! Samples of `dump` as JSON: the rows of the catalogue, and the books. `json` is one document, with a sample
//! a line; `ndjson` is one object a line: the sample, then each row.

use super::certainty::CertaintyRecord;
use super::json::intervals::Intervals;
use super::json::row::{DumpRows, RowRecord};
use super::json::{LossRecord, SCHEMA, is_wanted, loss};
use super::table::View;
use crate::groups::Groups;
use anyhow::{Context, Result};
use schemars::{JsonSchema, schema_for};
use serde::Serialize;
use tombola_core::report::Since;
use tombola_core::source::Origin;

/// All that a document or a line can be.
#[derive(Serialize, JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "described, and written piece by piece")]
#[schemars(title = "tombola dump")]
enum Document {
    /// `--format json`: samples with their rows.
    Samples(Intervals<Whole>),
    /// `--format ndjson`.
    Line(OneLine),
}

#[derive(Serialize, JsonSchema)]
struct Whole {
    /// Number of the sample, from 1.
    iteration: u64,
    #[serde(flatten)]
    sample: SampleRecord,
    /// Who ran most in the interval comes first.
    rows: Vec<RowRecord<DumpRows>>,
}

#[derive(Serialize, JsonSchema)]
struct OneLine {
    /// Number of this schema.
    schema: u32,
    /// What the line is: sample or row.
    record: &'static str,
    /// Number of the sample, from 1.
    iteration: u64,
    #[serde(flatten)]
    body: Body,
}

#[derive(Serialize, JsonSchema)]
#[serde(untagged)]
enum Body {
    Sample(Box<SampleRecord>),
    Row(RowRecord<DumpRows>),
}

/// The sample as a whole.
#[derive(Serialize, JsonSchema)]
struct SampleRecord {
    /// End of the interval, microseconds since the Unix epoch.
    timestamp_us: u64,
    /// Its length.
    interval_ns: u64,
    /// What deltas are measured from: sample (the one before), load, attach or begin.
    since: &'static str,
    /// What a row is about: task, process, group or comm.
    by: String,
    /// CPUs that were there.
    cpus: usize,
    /// Length of the interval times its CPUs.
    wall_ns: u64,
    /// What the listed tasks had.
    tasks_ns: u64,
    /// What ended tasks had that no row is about.
    unlisted_ns: u64,
    /// What tasks had that found no room in the map.
    untracked_ns: u64,
    /// What nobody wanted.
    idle_ns: u64,
    /// What the books lack (positive) or counted twice (negative).
    residual_ns: i64,
    /// Tasks alive at the end that are known.
    tracked: usize,
    /// Tasks that ended in the interval.
    ended: u64,
    /// Rows that no filter hides, and --top does.
    rows_left_out: usize,
    /// What could not be measured in the interval.
    loss: LossRecord,
    /// What each kind of figure since the begin is worth, and those of the interval at least; null where the
    /// source cannot judge it, as of a live machine or a log.
    certainty: Option<Vec<CertaintyRecord>>,
}

/// `--format json`: one sample of the document, without a line break.
///
/// # Errors
/// What a serializer can refuse: nothing that occurs here.
pub(crate) fn whole(view: &View<'_>) -> Result<Vec<u8>> {
    let (sample, rows) = (sample(view), rows(view, view.groups));
    let whole = Whole { iteration: view.iteration, sample, rows };
    serde_json::to_vec(&whole).context("cannot write JSON")
}

/// What a line of a sample can be about.
pub(crate) const RECORDS: [&str; 2] = ["sample", "row"];

/// `--format ndjson`: one line for the sample and for each row; of these `records` alone, if any are named.
///
/// # Errors
/// As [`whole`].
pub(crate) fn lines(view: &View<'_>, records: &[String]) -> Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(1024 + view.rows.len() * 640);
    let mut add = |record, body| {
        if !is_wanted(record, records) {
            return Ok(());
        }
        push(&mut bytes, &Document::Line(OneLine { schema: SCHEMA, record, iteration: view.iteration, body }))
    };
    add("sample", Body::Sample(Box::new(sample(view))))?;
    for row in rows(view, view.groups) {
        add("row", Body::Row(row))?;
    }
    Ok(bytes)
}

/// The JSON Schema of both, as text that ends with a line break.
///
/// # Errors
/// As [`whole`].
pub(crate) fn schema() -> Result<String> {
    let text = serde_json::to_string_pretty(&schema_for!(Document)).context("cannot write the schema")?;
    Ok(text + "\n")
}

fn push(bytes: &mut Vec<u8>, document: &Document) -> Result<()> {
    serde_json::to_writer(&mut *bytes, document).context("cannot write JSON")?;
    bytes.push(b'\n');
    Ok(())
}

fn rows(view: &View<'_>, groups: &Groups) -> Vec<RowRecord<DumpRows>> {
    view.rows.iter().map(|row| RowRecord::of(row, groups)).collect()
}

fn sample(view: &View<'_>) -> SampleRecord {
    let head = &view.report.head;
    let books = &head.books;
    SampleRecord {
        timestamp_us: head.unix_us,
        interval_ns: head.length_ns,
        since: match head.since {
            Since::PreviousSample => "sample",
            Since::Begin(Origin::Loaded) => "load",
            Since::Begin(Origin::Private) => "attach",
            Since::Begin(Origin::Recorded | Origin::Simulated) => "begin",
        },
        by: view.by.to_string(),
        cpus: head.cpus,
        wall_ns: books.wall_ns,
        tasks_ns: books.tasks_ns,
        unlisted_ns: books.unlisted_ns,
        untracked_ns: books.untracked_ns,
        idle_ns: books.idle_ns,
        residual_ns: books.residual_ns,
        tracked: head.tracked,
        ended: head.ended as u64 + head.unlisted.count,
        rows_left_out: view.rows_left_out,
        loss: loss(&head.loss),
        certainty: CertaintyRecord::all(&head.worths),
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{hostile, report, window};
    use super::super::json::BEGIN;
    use super::super::table::tests::view;
    use super::*;
    use serde_json::Value;
    use tombola_core::audit::{By, Order};

    #[test]
    fn both_formats_have_the_same_rows_and_no_name_acts() {
        let (report, order, groups) = (report(window(hostile())), Order::default(), Groups::new());
        for by in [By::Task, By::Comm] {
            let rows = report.rows_by(by, |_| true);
            let view = View { by, rows: &rows, ..view(&report, &order, &groups) };
            let one: Value = serde_json::from_slice(&whole(&view).unwrap()).unwrap();
            let bytes = lines(&view, &[]).unwrap();
            let text = std::str::from_utf8(&bytes).unwrap();
            assert!(text.lines().all(|line| line.starts_with(BEGIN)), "{text}");
            assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{text:?}");
            let many: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
            assert_eq!(many.len(), 1 + rows.len());
            // Of one kind are the lines of that kind, as they are among all.
            for (kind, count) in RECORDS.iter().zip([1, rows.len()]) {
                let of_one = lines(&view, &[(*kind).to_owned()]).unwrap();
                let picked = text.lines().filter(|line| line.contains(&format!("\"record\":\"{kind}\"")));
                let picked: String = picked.flat_map(|line| [line, "\n"]).collect();
                assert_eq!(
                    (std::str::from_utf8(&of_one).unwrap(), picked.lines().count()),
                    (&*picked, count)
                );
            }
            for (line, (record, row)) in
                many[1..].iter().zip(one["rows"].as_array().unwrap().iter().zip(&*rows))
            {
                assert_eq!(line["total_runtime_ns"], row.task.totals.usage.runtime_ns);
                assert_eq!(line["runtime_ns"], row.task.delta.runtime_ns);
                assert!(record.as_object().unwrap().iter().all(|(key, value)| line[key] == *value));
            }
            assert_eq!(one["wall_ns"], 2_000_000_000_u64);
        }
        let schema = schema().unwrap();
        assert!(schema.contains("rolling_runtime_ms") && schema.contains("unlisted_ns"));
    }
}
