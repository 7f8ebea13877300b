//! Periodic tasks for people.

use super::layout::Layout;
use super::layout::Side::{Left, Right};
use crate::periodic::{Found, Periodic, utilisation};
use crate::text::clip;
use std::fmt::Write;

/// Columns a name may fill.
const NAME_COLUMNS: usize = 20;

/// The whole text; times in milliseconds.
pub(crate) fn render(found: &Found) -> String {
    let mut text = format!(
        "periods in {}: {:.3} s, {} CPUs; {} periodic tasks, {} that wake irregularly\n",
        found.name,
        found.span_ns as f64 / 1e9,
        found.cpus,
        found.tasks.len(),
        found.irregular
    );
    let Some(feasible) = &found.feasible else { return text };
    let titles = [
        ("TID", Right),
        ("COMM", Left),
        ("PERIOD", Right),
        ("±", Right),
        ("JITTER", Right),
        ("PEAK", Right),
        ("MISSING", Right),
        ("JOBS", Right),
        ("RUN", Right),
        ("P99", Right),
        ("MAX", Right),
        ("U%", Right),
        ("RESPONSE", Right),
        ("MAX", Right),
        ("DEADLINE", Right),
        ("LATENESS", Right),
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
    layout.write(&mut text, "");
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
        notes.push(format!("{} wakes a period", rhythm.wakes));
    }
    if rhythm.strays > 0 {
        notes.push(format!("{} stray wakes", rhythm.strays));
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
                notes.push(format!("{} jobs over that run time", task.over_budget));
            }
        }
        None if task.is_deadline_class && !task.is_given => {
            notes.push("SCHED_DEADLINE: its own deadline is not recorded".to_owned());
        }
        None => {}
    }
    if task.doubtful > 0 {
        notes.push(format!("{} jobs unknown", task.doubtful));
    }
    notes.join(", ")
}
