//! What a scheduler came to since its start.

use super::tickets::{TaskRecord, record};
use crate::groups::Groups;
use crate::sink::schedule_table::ScheduleView;
use anyhow::Result;
use schemars::JsonSchema;
use serde::Serialize;

/// One report.
#[derive(Serialize, JsonSchema)]
struct Record {
    /// Number of the report, from 1.
    report: u64,
    /// How long it has been in charge.
    length_ns: u64,
    /// lottery or stride.
    policy: String,
    /// The longest a slice may last.
    slice_ns: u64,
    /// Decisions in which a waiting task competed.
    draws: u64,
    /// Draws in which the task whose slice was over competed.
    returns: u64,
    /// Those of them that it won.
    return_wins: u64,
    /// Those that it was to win, by its tickets.
    expected_return_wins: f64,
    /// Tasks that waited longer than the guard allows, and so went first.
    guarded: u64,
    /// Slices that began at once, on an idle CPU.
    idle: u64,
    /// Slices of kernel threads that belong to one CPU.
    kernel: u64,
    /// Times a task found no room for its group or its CPUs, and queued without a draw.
    overflow: u64,
    /// Draws whose winner the kernel took before it ran, to move or to change it.
    redrawn: u64,
    /// Slices ended by the scheduler's own timer.
    cut: u64,
    /// Tasks that ended.
    ended: u64,
    /// Living tasks.
    tasks: Vec<TaskRecord>,
}

/// A report, with all tasks.
pub(crate) fn report(view: &ScheduleView<'_>, groups: &Groups) -> impl Serialize + use<> {
    let totals = view.totals;
    let ns = |length: std::time::Duration| u64::try_from(length.as_nanos()).unwrap_or(u64::MAX);
    Record {
        report: view.number,
        length_ns: ns(view.length),
        policy: view.law.to_string(),
        slice_ns: ns(view.slice),
        draws: totals.draws,
        returns: totals.returns.draws,
        return_wins: totals.returns.wins,
        expected_return_wins: totals.returns.expected,
        guarded: totals.guarded,
        idle: totals.idle,
        kernel: totals.kernel,
        overflow: totals.overflow,
        redrawn: totals.redrawn,
        cut: totals.cut,
        ended: totals.ended,
        tasks: view.tasks.iter().map(|task| record(task, groups)).collect(),
    }
}

/// The JSON Schema of these records.
///
/// # Errors
/// What a serializer can refuse: nothing that occurs here.
pub(crate) fn schema() -> Result<String> {
    super::series_schema::<Record>("tombola schedule")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::fixture::scheduled;
    use std::time::Duration;
    use tombola_kernel::scheduler::{Law, Totals};

    #[test]
    fn a_report_has_all_tasks() {
        let (totals, tasks) = (Totals { draws: 7, ..Totals::default() }, scheduled());
        let view = ScheduleView {
            number: 1,
            length: Duration::from_millis(1500),
            law: Law::Lottery,
            slice: Duration::from_millis(5),
            totals: &totals,
            tasks: &tasks,
            top: 1,
        };
        let value = super::super::checked(
            &super::super::line(report(&view, &Groups::new())).unwrap(),
            &schema().unwrap(),
        );
        assert_eq!((&value["draws"], &value["length_ns"]), (&7.into(), &1_500_000_000_u64.into()));
        assert_eq!(value["tasks"].as_array().unwrap().len(), 5);
    }
}
