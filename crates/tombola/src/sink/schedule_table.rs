//! What a scheduler of ours came to: a table of its tasks, and the tests of its draws.

use super::layout::{
    Layout,
    Side::{Left, Right},
};
use super::print::seconds;
use super::print::{line, name, probability, signed};
use std::cmp::Reverse;
use std::time::Duration;
use tombola_core::tally::{Tally, shares_p_value};
use tombola_kernel::scheduler::{Law, ScheduledTask, Totals};

/// A scheduler since its start.
pub(crate) struct ScheduleView<'a> {
    /// Number of the report, from 1.
    pub(crate) number: u64,
    /// How long it has been in charge.
    pub(crate) length: Duration,
    /// Its law.
    pub(crate) law: Law,
    /// The longest a slice may last.
    pub(crate) slice: Duration,
    /// The whole.
    pub(crate) totals: &'a Totals,
    /// Its tasks.
    pub(crate) tasks: &'a [ScheduledTask],
    /// Tasks shown, most wins first; 0 = all.
    pub(crate) top: usize,
}

/// The report as text that ends with a line break.
pub(crate) fn render(view: &ScheduleView<'_>) -> String {
    let mut out = String::with_capacity(1024 + view.tasks.len().min(view.top) * 80);
    if view.number > 1 {
        out.push('\n');
    }
    let mut tasks: Vec<&ScheduledTask> = view.tasks.iter().filter(|task| took_part(&task.tally)).collect();
    tasks.sort_by_key(|task| (Reverse(task.tally.wins), Reverse(task.tally.used_ns), task.id));
    write_head(&mut out, view, tasks.len());
    let shown = if view.top == 0 { tasks.len() } else { view.top.min(tasks.len()) };
    if shown > 0 {
        write_tasks(&mut out, view, &tasks[..shown]);
    }
    if shown < tasks.len() {
        line(&mut out, format_args!("and {} tasks more: --top 0 shows all", tasks.len() - shown));
    }
    if tasks.iter().take(shown).any(|task| task.explicit) {
        line(&mut out, format_args!("* tickets that were set; all others follow from nice"));
    }
    out
}

/// Whether there is anything to tell of a task.
fn took_part(tally: &Tally) -> bool {
    tally.slices > 0 || tally.wins > 0 || tally.undrawn > 0
}

fn write_head(out: &mut String, view: &ScheduleView<'_>, tasks: usize) {
    let totals = view.totals;
    let length = u64::try_from(view.length.as_nanos()).unwrap_or(u64::MAX);
    line(
        out,
        format_args!(
            "schedule {}: {} for {} s, {} draws, {tasks} tasks took part, {} ended",
            view.number,
            view.law,
            seconds(length),
            totals.draws,
            totals.ended
        ),
    );
    let (shares, independence) = match view.law {
        Law::Stride => ("not random".to_owned(), "not random".to_owned()),
        Law::Lottery => {
            let tallies = view.tasks.iter().map(|task| task.tally).chain([totals.of_ended]);
            let p = |p: Option<f64>| p.map_or_else(|| "- (too few draws)".to_owned(), probability);
            (p(shares_p_value(tallies)), p(totals.returns.p_value()))
        }
    };
    line(
        out,
        format_args!(
            "p-value of the shares: {shares}; of independence: {independence} (who had just run won {} of {} draws, expected {:.1})",
            totals.returns.wins, totals.returns.draws, totals.returns.expected
        ),
    );
    line(
        out,
        format_args!(
            "guard: {} went first after too long a wait; without a draw: {} on idle CPUs, {} of kernel threads of one CPU, \
             {} for lack of room; winners that the kernel moved: {}",
            totals.guarded, totals.idle, totals.kernel, totals.overflow, totals.redrawn
        ),
    );
    if totals.ended > 0 {
        let ended = &totals.of_ended;
        line(
            out,
            format_args!(
                "ended tasks: {} wins, expected {:.1}, {} slices",
                ended.wins, ended.expected, ended.slices
            ),
        );
    }
}

fn write_tasks(out: &mut String, view: &ScheduleView<'_>, tasks: &[&ScheduledTask]) {
    let mut layout = Layout::new(&[
        ("PID", Right),
        ("COMM", Left),
        ("NICE", Right),
        ("TICKETS", Right),
        ("WINS", Right),
        ("EXPECTED", Right),
        ("Z", Right),
        ("SLICES", Right),
        ("MEAN_SLICE_MS", Right),
        ("USED%", Right),
    ]);
    for task in tasks {
        let tally = &task.tally;
        let random = view.law == Law::Lottery;
        let mean_ns = tally.mean_slice_ns();
        let slice_ns = view.slice.as_nanos() as f64;
        layout.cell(task.id.pid.to_string());
        layout.cell(name(&task.comm));
        layout.cell(task.nice.to_string());
        layout.cell(tickets(task));
        layout.cell(tally.wins.to_string());
        layout.cell(format!("{:.1}", tally.expected));
        layout.cell(tally.z().filter(|_| random).map_or_else(dash, signed));
        layout.cell(tally.slices.to_string());
        layout.cell(mean_ns.map_or_else(dash, |ns| format!("{:.3}", ns / 1e6)));
        layout.cell(mean_ns.map_or_else(dash, |ns| format!("{:.1}", ns / slice_ns * 100.0)));
    }
    layout.write(out, "");
}

/// Tickets, with a mark where they were set.
pub(super) fn tickets(task: &ScheduledTask) -> String {
    format!("{}{}", task.tickets, if task.explicit { "*" } else { "" })
}

fn dash() -> String {
    "-".to_owned()
}

#[cfg(test)]
mod tests;
