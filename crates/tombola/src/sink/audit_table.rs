//! The tables `audit` prints: plain text for people, one block an interval. docs/ledger.md says what the columns mean.

use super::loss::{corrected_text, loss_text};
use super::table::head::seconds;
use super::table::layout::{
    Layout,
    Side::{Left, Right},
};
use super::table::{line, percent, signed};
use super::{AuditView, finding, hindrance, ms3};
use crate::text::{clip, harmless};
use tombola_core::audit::{By, Row, Who};
use tombola_core::ledger::Extreme;

/// Columns a name may fill.
const COMM_COLUMNS: usize = 20;

/// Columns a group's name may fill.
const GROUP_COLUMNS: usize = 28;

/// Findings that are printed; the files have more.
const FINDINGS: usize = 8;

/// The audit of an interval as text that ends with a line break.
pub(crate) fn render(view: &AuditView<'_>) -> String {
    let mut out = String::with_capacity(2048 + view.rows.len() * 160);
    write_head(&mut out, view);
    write_findings(&mut out, view);
    if !view.nice_check {
        write_rows(&mut out, view);
        if view.rows_left_out > 0 {
            line(&mut out, format_args!("and {} rows more: --top 0 shows all", view.rows_left_out));
        }
    }
    if !view.nice_check {
        hindrance::write(&mut out, view);
    }
    if let Some(command) = view.command {
        match command.exit_status {
            Some(status) => {
                line(&mut out, format_args!("command: process {}, ended with status {status}", command.pid));
            }
            None => {
                line(&mut out, format_args!("command: process {}, still running", command.pid));
            }
        }
    }
    out
}

fn write_head(out: &mut String, view: &AuditView<'_>) {
    let audit = view.audit;
    if view.iteration > 1 {
        out.push('\n');
    }
    line(
        out,
        format_args!(
            "audit {}: interval {} s, {} tasks ran or waited; entitlement from interval totals",
            view.iteration,
            seconds(audit.length_ns),
            audit.lines.len()
        ),
    );
    if let Some(scheduler) = &view.scheduler {
        line(out, format_args!("scheduler: {}", harmless(scheduler.as_bytes())));
    }
    if let Some(mode) = &view.group_mode {
        line(
            out,
            format_args!(
                "group weights: this kernel counts them anew for each CPU a group uses (cgroup_mode {}); entitled is by weight \
                 for the whole group",
                harmless(mode.as_bytes())
            ),
        );
    }
    let (books, s) = (&audit.books, if audit.cpus == 1 { "" } else { "s" });
    line(
        out,
        format_args!(
            "books: wall {} s on {} CPU{s}, busy {} %, idle {} %, residual {} %; loss: {}{}",
            seconds(books.wall_ns),
            audit.cpus,
            percent(books.busy_share()),
            percent(books.idle_share()),
            signed(books.residual_share() * 100.0),
            loss_text(&audit.loss),
            corrected_text(&audit.loss)
        ),
    );
    let division = &audit.division;
    line(
        out,
        format_args!(
            "divided: {} s; not divided: real time {} s, interrupts and steal {} s, tasks without a row {} s",
            seconds(division.capacity_ns),
            seconds(division.unfair_ns),
            seconds(division.taken_ns),
            seconds(division.unclaimed_ns)
        ),
    );
    let fairness = &audit.fairness;
    let jain = fairness.jain.map_or_else(|| "-".to_owned(), |jain| format!("{jain:.4}"));
    line(
        out,
        format_args!(
            "fairness: Jain's index {jain}, RMS lag {:.3} ms, owed most {}, furthest beyond {}",
            fairness.rms_lag_ns / 1e6,
            extreme(view, fairness.most_owed),
            extreme(view, fairness.most_ahead)
        ),
    );
}

fn extreme(view: &AuditView<'_>, extreme: Option<Extreme>) -> String {
    let who = extreme.and_then(|extreme| Some((view.audit.line_of(extreme.account)?, extreme.lag_ns)));
    who.map_or_else(
        || "nobody".to_owned(),
        |(line, lag_ns)| format!("{} {} ms", view.task(line.task.totals.id), signed(lag_ns as f64 / 1e6)),
    )
}

fn write_findings(out: &mut String, view: &AuditView<'_>) {
    let left_out = view.findings.len().saturating_sub(FINDINGS) + view.audit.findings_left_out;
    match view.findings.len() {
        0 => line(out, format_args!("findings: none")),
        n => line(out, format_args!("findings: {}", n + view.audit.findings_left_out)),
    }
    for finding in view.findings.iter().take(FINDINGS) {
        line(out, format_args!("  - {}", finding::sentence(view, finding)));
    }
    if left_out > 0 {
        line(out, format_args!("  - and {left_out} more of less effect"));
    }
}

fn write_rows(out: &mut String, view: &AuditView<'_>) {
    let (count, pid, comm, group, nice) =
        (("TASKS", Right), ("PID", Right), ("COMM", Left), ("GROUP", Left), ("NICE", Right));
    let mut layout = Layout::new(&match view.by {
        By::Task => vec![pid, comm, group, nice],
        By::Process => vec![pid, comm, group, nice, count],
        By::Group => vec![group, count],
        By::Comm => vec![comm, group, nice, count],
    });
    layout.add_columns(&[
        ("WEIGHT", Right),
        ("RUN_MS", Right),
        ("WAIT_MS", Right),
        ("ENTITLED_MS", Right),
        ("LAG_MS", Right),
        ("GOT%", Right),
        ("FAIR%", Right),
        ("P50_MS", Right),
        ("P99_MS", Right),
        ("PREEMPTED", Right),
    ]);
    for row in view.rows {
        let tasks = row.tasks.to_string();
        let comm = || clipped(&harmless(&row.comm), COMM_COLUMNS);
        let group =
            || row.group.map_or_else(|| "*".to_owned(), |group| clipped(&view.group(group), GROUP_COLUMNS));
        let nice = || row.nice.map_or_else(|| "*".to_owned(), |nice| nice.to_string());
        let cells = match &row.who {
            Who::Task(id) => vec![id.pid.to_string(), comm(), group(), nice()],
            Who::Process(pid) => vec![pid.to_string(), comm(), group(), nice(), tasks],
            Who::Group(_) => vec![group(), tasks],
            Who::Comm(_) => vec![comm(), group(), nice(), tasks],
        };
        for cell in cells.into_iter().chain(figures(row)) {
            layout.cell(cell);
        }
    }
    layout.write(out, "");
    if view.rows.iter().any(|row| row.tickets_set) {
        line(out, format_args!("* tickets that were set count in place of the weight by nice value"));
    }
}

fn figures(row: &Row) -> [String; 10] {
    let dash = || "-".to_owned();
    let usage = &row.usage;
    let wait = |q| usage.waits.quantile_ns(q, usage.wait_max_ns).map_or_else(dash, ms3);
    let policy = || row.policy.map_or_else(dash, |policy| policy.to_string());
    let entitled = row.account.map(|account| account.entitled_ns);
    [
        // Who has no weight shows the policy that is the reason.
        row.weight
            .map_or_else(policy, |weight| format!("{weight}{}", if row.tickets_set { "*" } else { "" })),
        ms3(usage.runtime_ns),
        ms3(usage.wait_ns),
        entitled.map_or_else(dash, ms3),
        entitled.map_or_else(dash, |_| signed(row.lag_ns() as f64 / 1e6)),
        entitled.map_or_else(dash, |_| percent(row.got_share)),
        entitled.map_or_else(dash, |_| percent(row.fair_share)),
        wait(0.5),
        wait(0.99),
        usage.involuntary.to_string(),
    ]
}

/// A name of bounded width; `""` where there is none, so that no column is empty.
fn clipped(text: &str, columns: usize) -> String {
    if text.is_empty() { "\"\"".to_owned() } else { clip(text, columns).into_owned() }
}

#[cfg(test)]
pub(super) mod tests;
