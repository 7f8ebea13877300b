//! The report of a measured time.

use super::chart::{self, Series};
use super::ledger;
use super::markup::{escape, put};
use super::page::page;
use crate::audit_view::AuditView;
use crate::matrix::Matrix;
use crate::moment::Moment;
use crate::series::{self, Part};
use crate::sink::json::intervals::Pieces;
use crate::sink::loss::loss_text;
use crate::sink::{finding_sentence, json, ms3, seconds, signed};
use crate::text::harmless;
use crate::wall_time::utc;
use anyhow::Result;
use std::cmp::Reverse;
use std::collections::BTreeMap;
use tombola_core::audit::{By, Row, Who};
use tombola_core::histogram::Histogram;
use tombola_core::identity::TaskId;
use tombola_core::source::Origin;
use tombola_recording::lanes::Lanes;

/// Rows of the ledger; the page says how many more there were. They keep a page below 300 KB.
const ROWS: usize = 200;

/// Rows in the JSON.
const JSON_ROWS: usize = 60;

/// Findings.
const FINDINGS: usize = 30;

/// Names in the matrix, each way.
const NAMES: usize = 12;

/// Tasks with a line or a histogram of their own.
const FOREMOST: usize = 5;

/// Points of a line; more intervals are put together.
const POINTS: usize = 300;

/// What a report is made of.
pub(crate) struct Report<'a> {
    /// The sentence at the top.
    pub(crate) verdict: &'a str,
    /// The whole time as one interval.
    pub(crate) whole: &'a Moment,
    /// The same time, interval by interval.
    pub(crate) series: &'a series::Series,
    /// Who ran where, where the source tells it slice by slice.
    pub(crate) lanes: Option<&'a Lanes>,
    /// How it was measured, sentence by sentence.
    pub(crate) measured: &'a [String],
}

/// The report as a page.
///
/// # Errors
/// What a serializer can refuse: nothing that occurs here.
pub(crate) fn render(report: &Report<'_>) -> Result<String> {
    let moment = report.whole;
    let mut rows = moment.audit.rows(By::Task, |_| true);
    rows.sort_by_key(|row| {
        (Reverse(row.lag_ns().max(0)), Reverse(row.usage.imposed_wait_ns()), Reverse(row.usage.runtime_ns))
    });
    let machine = harmless(format!("{} {}", moment.machine.host, moment.machine.release).as_bytes());
    let title = format!("tombola: {}", machine.trim());
    let mut body = String::new();
    let span = span(moment);
    put(
        &mut body,
        format_args!(
            "<h1>{}</h1>\n<p class=\"quiet\">{}</p>\n<p class=\"verdict\" id=\"verdict\">{}</p>\n",
            escape(machine.trim()),
            escape(&span),
            escape(report.verdict)
        ),
    );
    books(&mut body, moment);
    body.push_str("<h2>Who is owed most, and why</h2>\n");
    body.push_str(&ledger::owed(moment, &rows[..rows.len().min(10)]));
    findings(&mut body, moment);
    put(&mut body, format_args!("<h2>Ledger</h2>\n<p class=\"quiet\">{}</p>\n", ledger_about(rows.len())));
    body.push_str(&ledger::ledger(moment, &rows[..rows.len().min(ROWS)]));
    over_time(&mut body, report, &rows, &span);
    if let Some(lanes) = report.lanes {
        body.push_str(&super::lanes::section(lanes, moment.audit.length_ns));
    }
    culprits(&mut body, moment);
    waits(&mut body, moment, &rows);
    body.push_str("<h2>How it was measured</h2>\n<ul>\n");
    for sentence in report.measured {
        put(&mut body, format_args!("<li>{}</li>\n", escape(sentence)));
    }
    body.push_str("</ul>\n");
    Ok(page(&title, &body, &data(report, &rows)?))
}

fn ledger_about(rows: usize) -> String {
    let more = rows.saturating_sub(ROWS);
    let left_out = if more > 0 {
        format!(" {more} tasks that are owed less and waited less are left out.")
    } else {
        String::new()
    };
    format!(
        "Lag is entitled \u{2212} received: above 0 the task is owed time. Who is owed most comes first.{left_out} \
         <span class=\"needs-script\">A click on a title sorts.</span>"
    )
}

fn span(moment: &Moment) -> String {
    let length = seconds(moment.audit.length_ns);
    match moment.origin {
        Origin::Simulated => format!("{length} s, simulated"),
        _ => format!("{length} s up to {}", utc(moment.audit.unix_us)),
    }
}

fn books(body: &mut String, moment: &Moment) {
    let (audit, books) = (&moment.audit, &moment.audit.books);
    let fair_ns = (books.tasks_ns + books.unlisted_ns).saturating_sub(audit.division.unfair_ns);
    let parts = [
        ("run", "tasks with weights".to_owned(), fair_ns as f64),
        ("rt", "real time, deadline, stop".to_owned(), audit.division.unfair_ns as f64),
        ("owed", "tasks without room in the map".to_owned(), books.untracked_ns as f64),
        ("idle", "idle".to_owned(), books.idle_ns as f64),
    ];
    put(
        body,
        format_args!(
            "<h2>Books</h2>\n<figure>{}<figcaption>wall {} s on {} CPUs, residual {} %; <span id=\"loss\">loss: {}</span></figcaption></figure>\n",
            chart::parts("where the CPU time went", &parts),
            seconds(books.wall_ns),
            audit.cpus,
            signed(books.residual_share() * 100.0),
            escape(&loss_text(&audit.loss)),
        ),
    );
}

fn findings(body: &mut String, moment: &Moment) {
    let audit = &moment.audit;
    body.push_str("<h2>Findings</h2>\n");
    if audit.findings.is_empty() {
        body.push_str("<p>None: weights did what they say, no quota was hit, no CPU idled while a pinned task waited.</p>\n");
        return;
    }
    let view = moment.view();
    body.push_str("<ol>\n");
    for finding in audit.findings.iter().take(FINDINGS) {
        put(body, format_args!("<li>{}</li>\n", escape(&finding_sentence(&view, finding))));
    }
    body.push_str("</ol>\n");
    let more = audit.findings.len().saturating_sub(FINDINGS) + audit.findings_left_out;
    if more > 0 {
        put(body, format_args!("<p class=\"quiet\">and {more} of less effect</p>\n"));
    }
}

fn over_time(body: &mut String, report: &Report<'_>, rows: &[Row], span: &str) {
    let intervals = &report.series.intervals;
    body.push_str("<h2>Over time</h2>\n");
    if intervals.len() < 2 {
        body.push_str("<p class=\"quiet\">The time was not divided into intervals.</p>\n");
        return;
    }
    let percent = |ns: f64, length_ns: u64| 100.0 * ns / length_ns.max(1) as f64;
    let of_all =
        |value: &dyn Fn(&series::Interval) -> f64| mean(&intervals.iter().map(value).collect::<Vec<_>>());
    let all = [
        Series {
            name: "runnable without a CPU, all tasks together".into(),
            values: of_all(&|i| percent(i.wait_ns as f64, i.length_ns)),
        },
        Series {
            name: "owed to those that are owed something".into(),
            values: of_all(&|i| percent(i.owed_ns as f64, i.length_ns)),
        },
    ];
    figure(
        body,
        "All tasks, in percent of an interval",
        &chart::lines("wait and lag of all tasks over time", &all, "%", span),
    );
    let foremost: Vec<&Row> = rows.iter().take(FOREMOST).collect();
    let of_tasks = |value: fn(&Part) -> f64| -> Vec<Series> {
        let line = |row: &&Row| {
            let Who::Task(id) = &row.who else { return None };
            let parts = report.series.of(*id);
            let values = parts.iter().zip(intervals).map(|(part, i)| percent(value(part), i.length_ns));
            Some(Series {
                name: format!("{} ({})", harmless(&row.comm), id.pid),
                values: mean(&values.collect::<Vec<_>>()),
            })
        };
        foremost.iter().filter_map(line).collect()
    };
    let (lag, wait) = (of_tasks(|part| part.lag_ns as f64), of_tasks(|part| part.wait_ns as f64));
    figure(body, "Lag of those that are owed most", &chart::lines("lag over time", &lag, "%", span));
    figure(body, "Wait of the same", &chart::lines("wait over time", &wait, "%", span));
    let mut cpus: BTreeMap<u32, Vec<(f64, f64)>> = BTreeMap::new();
    for interval in intervals {
        for (cpu, fair, unfair) in &interval.cpus {
            cpus.entry(*cpu).or_default().push((*fair, *unfair));
        }
    }
    let halve = |cells: Vec<(f64, f64)>| -> Vec<(f64, f64)> {
        let (fair, unfair): (Vec<f64>, Vec<f64>) = cells.into_iter().unzip();
        mean(&fair).into_iter().zip(mean(&unfair)).collect()
    };
    let left_out = cpus.len().saturating_sub(MOST_CPUS);
    let cpus: Vec<_> = cpus.into_iter().take(MOST_CPUS).map(|(cpu, cells)| (cpu, halve(cells))).collect();
    let more = if left_out > 0 { format!("; {left_out} CPUs more are left out") } else { String::new() };
    figure(
        body,
        &format!("CPUs: tasks with weights below, real time on top{more}"),
        &chart::strips("what each CPU did over time", &cpus, span),
    );
}

/// CPUs with a strip of their own.
const MOST_CPUS: usize = 16;

/// At most [`POINTS`] values: means of neighbours.
fn mean(values: &[f64]) -> Vec<f64> {
    let together = values.len().div_ceil(POINTS).max(1);
    values.chunks(together).map(|chunk| chunk.iter().sum::<f64>() / chunk.len() as f64).collect()
}

fn culprits(body: &mut String, moment: &Moment) {
    body.push_str("<h2>Who stood in whose way</h2>\n");
    let unseen_ns = moment.audit.interference.as_ref().map_or(0, |interference| interference.unseen_ns);
    match Matrix::of(&moment.audit, &moment.groups, NAMES, NAMES) {
        None => body.push_str("<p class=\"quiet\">Not known: the source did not look.</p>\n"),
        Some(matrix) if matrix.culprits.is_empty() && unseen_ns == 0 => body.push_str("<p>Nobody.</p>\n"),
        Some(matrix) if matrix.culprits.is_empty() => {}
        Some(matrix) => {
            let of_what =
                if matrix.by_groups { "By groups, as a log tells them, not by tasks. " } else { "" };
            put(
                body,
                format_args!(
                    "<p class=\"quiet\">{of_what}Milliseconds that a row's tasks ran on the CPU in whose queue a column's tasks waited, and \
                 in brackets how often they got the CPU when the other lost it.</p>\n"
                ),
            );
            body.push_str(&ledger::culprits(&matrix));
        }
    }
    if unseen_ns > 0 {
        let ms = unseen_ns as f64 / 1e6;
        put(
            body,
            format_args!(
                "<p class=\"quiet\">{ms:.1} ms of all waits were behind others that are not known.</p>\n"
            ),
        );
    }
}

fn waits(body: &mut String, moment: &Moment, rows: &[Row]) {
    body.push_str("<h2>How long waits were</h2>\n");
    if moment.audit.loss.light {
        body.push_str("<p>Not known: the kernel's own counters have no histogram of waits.</p>\n");
        return;
    }
    let mut all = Histogram::default();
    for line in &moment.audit.lines {
        all.merge(&line.task.delta.waits);
    }
    figure(body, "All tasks", &histogram("waits of all tasks", &all));
    let mut waiters: Vec<&Row> = rows.iter().filter(|row| row.usage.waits.count() > 0).collect();
    waiters.sort_by_key(|row| Reverse(row.usage.imposed_wait_ns()));
    for row in waiters.into_iter().take(FOREMOST) {
        let pid = if let Who::Task(TaskId { pid, .. }) = &row.who { *pid } else { 0 };
        let name = format!("{} ({pid})", harmless(&row.comm));
        figure(body, &name, &histogram(&format!("waits of {name}"), &row.usage.waits));
    }
}

fn histogram(label: &str, histogram: &Histogram) -> String {
    let counts = histogram.counts();
    let first = counts.iter().position(|count| *count > 0).unwrap_or(0);
    let last = counts.iter().rposition(|count| *count > 0).unwrap_or(0);
    let bar = |bucket: usize| {
        let (low_ns, high_ns) = Histogram::edges_ns(bucket);
        let high = high_ns.map_or_else(|| "more".to_owned(), ms3);
        (format!("{} \u{2013} {high} ms", ms3(low_ns)), counts[bucket] as f64)
    };
    chart::bars(label, &(first..=last).map(bar).collect::<Vec<_>>())
}

fn figure(body: &mut String, caption: &str, chart: &str) {
    put(body, format_args!("<figure><figcaption>{}</figcaption>{chart}</figure>\n", escape(caption)));
}

/// The record of `audit --format json` for the whole time, and the intervals.
fn data(report: &Report<'_>, rows: &[Row]) -> Result<String> {
    let shown = &rows[..rows.len().min(JSON_ROWS)];
    let moment = report.whole;
    let view =
        AuditView { iteration: 1, rows: shown, rows_left_out: rows.len() - shown.len(), ..moment.view() };
    let mut document = Pieces::new(json::SCHEMA);
    let audit = [document.next(&json::whole(&view)?), document.end()].concat();
    let interval = |i: &series::Interval| {
        serde_json::json!({
            "timestamp_us": i.unix_us, "interval_ns": i.length_ns, "wait_ns": i.wait_ns, "owed_ns": i.owed_ns, "jain_index": i.jain,
        })
    };
    let intervals: Vec<_> = report.series.intervals.iter().take(POINTS).map(interval).collect();
    Ok(format!(
        "{{\"report\":1,\"tombola\":{},\"verdict\":{},\"measured\":{},\"intervals\":{},\"audit\":{}}}",
        serde_json::to_string(env!("CARGO_PKG_VERSION"))?,
        serde_json::to_string(report.verdict)?,
        serde_json::to_string(report.measured)?,
        serde_json::to_string(&intervals)?,
        String::from_utf8_lossy(&audit).trim_end()
    ))
}
