//! The tables `audit` prints: plain text for people, one block an interval. docs/ledger.md says what the
//! columns mean.

use super::certainty::{certainty_text, is_among};
use super::loss::{corrected_text, loss_text};
use super::print::seconds;
use super::print::{line, percent, signed};
use super::{cell, finding, hindrance, ms3};
use crate::audit_view::AuditView;
use crate::text::{count, harmless};
use tombola_core::audit::{Limit, Row, Waiting, Who};
use tombola_core::entitlement::GroupRule;
use tombola_core::ledger::Extreme;
use tombola_core::metric::{Metric, audit};
use tombola_core::worth::Kind;

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
            line(&mut out, format_args!("and {} more: --top 0 shows all", count(view.rows_left_out, "row")));
        }
        write_longest(&mut out, view);
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
            "audit {}: interval {} s, {} ran or waited; entitlement from interval totals",
            view.iteration,
            seconds(audit.length_ns),
            count(audit.lines.len(), "task")
        ),
    );
    if let Some(scheduler) = &view.scheduler {
        line(out, format_args!("scheduler: {}", harmless(scheduler.as_bytes())));
    }
    if let Some(mode) = &view.group_mode {
        line(
            out,
            format_args!(
                "group weights: by the kernel's own rule (cgroup_mode {}); entitled is {}",
                harmless(mode.as_bytes()),
                match mode.parse::<GroupRule>() {
                    Ok(_) => "by that rule, with the tasks that were runnable in the interval",
                    Err(_) => "by the weight for the whole group",
                }
            ),
        );
    }
    let books = &audit.books;
    line(
        out,
        format_args!(
            "books: wall {} s on {}, busy {} %, idle {} %, residual {} %; loss: {}{}",
            seconds(books.wall_ns),
            count(audit.cpus, "CPU"),
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
    let columns = if view.nice_check { Vec::new() } else { columns(view) };
    let is_shown = |kind| match kind {
        // Of the books, the findings and the head.
        Kind::Run | Kind::Wait | Kind::Entitlement => true,
        Kind::Culprits => audit.interference.is_some() && !view.nice_check,
        _ => is_among(kind, columns.iter().map(|metric| metric.key)),
    };
    if let Some(text) = certainty_text(&audit.worths, is_shown) {
        line(out, format_args!("certainty: {text}"));
    }
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

/// What of the rows is shown, where there is room.
fn columns(view: &AuditView<'_>) -> Vec<&'static Metric<Row>> {
    if view.columns.is_empty() { audit::columns_for(view.by, view.rows) } else { view.columns.to_vec() }
}

fn write_rows(out: &mut String, view: &AuditView<'_>) {
    let fitted = cell::fitted(columns(view), audit::DISPENSABLE, view.rows, view.groups, view.width);
    cell::write_fitted(out, &fitted);
    if view.rows.iter().any(|row| row.tickets_set) {
        line(out, format_args!("* tickets that were set count in place of the weight by nice value"));
    }
}

/// Who waited longest, and for what.
fn write_longest(out: &mut String, view: &AuditView<'_>) {
    let Some(row) = view.longest.filter(|row| row.usage.imposed_wait_ns() > 0) else { return };
    let who = match &row.who {
        Who::Task(id) => format!("{} ({})", harmless(&row.comm), id.pid),
        Who::Process(pid) => format!("{} ({pid})", harmless(&row.comm)),
        Who::Group(group) => view.group(*group),
        Who::Comm(comm) => harmless(comm),
    };
    let why = match &row.limit {
        Some(Limit::Quota(group)) => format!("; the quota of {} binds", view.group(*group)),
        Some(Limit::Cpus(cpus)) => format!("; bound to CPUs that are given out: {cpus}"),
        Some(Limit::Demand) | None => String::new(),
    };
    let Waiting { contention_ns, throttled_ns, other_ns, .. } = row.waiting;
    line(
        out,
        format_args!(
            "waited longest: {who} {} ms: behind others {}, by quota {}, else {}{why}",
            ms3(row.usage.imposed_wait_ns()),
            ms3(contention_ns),
            ms3(throttled_ns),
            ms3(other_ns)
        ),
    );
}

#[cfg(test)]
pub(super) mod tests;
