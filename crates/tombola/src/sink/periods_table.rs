//! Periodic tasks for people.

use super::certainty::certainty_text;
use super::layout::Layout;
use super::layout::Side::{Left, Right};
use crate::periodic::{Found, Periodic, utilisation};
use crate::text::{clip, count};
use std::fmt::Write;
use tombola_core::worth::Kind;

/// Columns a name may fill.
const NAME_COLUMNS: usize = 20;

/// What a narrow terminal goes without, in this order.
const DISPENSABLE: [&str; 10] = [
    "±_MS",
    "PEAK_MS",
    "RUN_P99",
    "RESP_MAX",
    "DEADLINE_MS",
    "MISSING",
    "RUN_MAX",
    "RESP_MS",
    "JITTER_MS",
    "LATE_MS",
];

/// The whole text; times in milliseconds. `width`: columns of the terminal, if it is one.
pub(crate) fn render(found: &Found, width: Option<usize>) -> String {
    let mut text = format!(
        "periods in {}: {:.3} s, {}; {}, {} that wake irregularly\n",
        found.name,
        found.span_ns as f64 / 1e9,
        count(found.cpus, "CPU"),
        count(found.tasks.len(), "periodic task"),
        found.irregular
    );
    let is_shown = |kind| matches!(kind, Kind::Run | Kind::Wait | Kind::Wakes);
    if let Some(certainty) = certainty_text(&found.worths, is_shown) {
        let _ = writeln!(text, "certainty: {certainty}");
    }
    let Some(feasible) = &found.feasible else { return text };
    let titles = [
        ("TID", Right),
        ("COMM", Left),
        ("PERIOD_MS", Right),
        ("±_MS", Right),
        ("JITTER_MS", Right),
        ("PEAK_MS", Right),
        ("MISSING", Right),
        ("JOBS", Right),
        ("RUN_MS", Right),
        ("RUN_P99", Right),
        ("RUN_MAX", Right),
        ("U%", Right),
        ("RESP_MS", Right),
        ("RESP_MAX", Right),
        ("DEADLINE_MS", Right),
        ("LATE_MS", Right),
        ("MISSES", Right),
        ("NOTE", Left),
    ];
    let mut layout = Layout::new(&titles);
    let ms = |ns: f64| format!("{:.3}", ns / 1e6);
    for task in &found.tasks {
        let (rhythm, service) = (&task.rhythm, &task.service);
        layout.cell(task.id.pid.to_string());
        layout.cell(clip(&task.comm, NAME_COLUMNS));
        layout.cell(ms(rhythm.period_ns));
        layout.cell(format!("{:.6}", rhythm.period_error_ns / 1e6));
        layout.cell(ms(rhythm.jitter_ns));
        layout.cell(ms(rhythm.jitter_peak_ns));
        layout.cell(rhythm.missing.to_string());
        layout.cell(service.periods.to_string());
        layout.cell(ms(service.run_mean_ns));
        layout.cell(ms(service.run_p99_ns as f64));
        layout.cell(ms(service.run_max_ns as f64));
        layout.cell(format!("{:.2}", utilisation(task) * 100.0));
        layout.cell(ms(service.response_mean_ns));
        layout.cell(ms(service.response_max_ns as f64));
        layout.cell(ms(task.deadline_ns as f64));
        layout.cell(ms(service.lateness_max_ns as f64));
        layout.cell(service.misses.to_string());
        layout.cell(notes(task));
    }
    layout.write_fitted(&mut text, "", width, &DISPENSABLE, "--format json has all");
    let analysis = &feasible.analysis;
    let verdict = |is: bool| if is { "in time" } else { "not in time" };
    let _ = writeln!(
        text,
        "their longest jobs together use {:.2} % of a CPU (U); preemption at no cost, one set of {}",
        analysis.utilisation * 100.0,
        analysis.rm_response_ns.len()
    );
    match (analysis.edf_one_cpu, feasible.edf_margin) {
        (Some(is), Some(margin)) => {
            let _ = writeln!(text, "EDF on one CPU: {} (exact), execution times × {margin:.3}", verdict(is));
        }
        _ => text += "EDF on one CPU: unknown, too many deadlines to look at\n",
    }
    let _ = writeln!(
        text,
        "RM on one CPU: {} (exact), execution times × {:.3}",
        verdict(feasible.rm_one_cpu),
        feasible.rm_margin
    );
    if analysis.cpus > 1 {
        let is = if analysis.within_global_edf_bound { "in time" } else { "unknown: beyond the bound" };
        let _ = writeln!(
            text,
            "global EDF on {} CPUs: {is} (sufficient), execution times × {:.3}",
            analysis.cpus, feasible.global_edf_margin
        );
    }
    text
}

/// What is out of the ordinary about a task.
fn notes(task: &Periodic) -> String {
    let rhythm = &task.rhythm;
    let mut notes = Vec::new();
    if rhythm.wakes > 1 {
        notes.push(format!("{} a period", count(rhythm.wakes, "wake")));
    }
    if rhythm.strays > 0 {
        notes.push(count(rhythm.strays, "stray wake"));
    }
    if !rhythm.is_anchored {
        notes.push("paces itself".to_owned());
    }
    match task.reservation {
        Some(promised) => {
            let [run, by, of] = [promised.runtime_ns, promised.deadline_ns, promised.period_ns]
                .map(|ns| format!("{:.3}", ns as f64 / 1e6));
            notes.push(format!("SCHED_DEADLINE: {run} by {by} of {of}"));
            if task.over_budget > 0 {
                notes.push(format!("{} over that run time", count(task.over_budget, "job")));
            }
        }
        None if task.is_deadline_class && !task.is_given => {
            notes.push("SCHED_DEADLINE: its own deadline is not recorded".to_owned());
        }
        None => {}
    }
    if task.doubtful > 0 {
        notes.push(format!("{} unknown", count(task.doubtful, "job")));
    }
    notes.join(", ")
}
