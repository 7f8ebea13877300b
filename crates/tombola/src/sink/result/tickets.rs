//! Tickets of the tasks of a running scheduler.

use crate::groups::{Groups, group_text};
use crate::text::harmless;
use anyhow::Result;
use schemars::JsonSchema;
use serde::Serialize;
use tombola_kernel::scheduler::ScheduledTask;

/// All tasks.
#[derive(Serialize, JsonSchema)]
#[schemars(title = "tombola tickets show")]
struct Record {
    tasks: Vec<TaskRecord>,
}

/// A task and what its draws came to.
#[derive(Serialize, JsonSchema)]
pub(super) struct TaskRecord {
    /// The task (thread).
    pid: u32,
    /// Its process.
    tgid: u32,
    /// Start of the task since boot.
    start_ns: u64,
    comm: String,
    /// Full name of its group, whose currency its tickets are in.
    cgroup: String,
    nice: i8,
    tickets: u32,
    /// Whether the tickets were set by hand; else they follow from nice.
    tickets_set: bool,
    /// Whether it is runnable now.
    runnable: bool,
    /// Draws it won.
    wins: u64,
    /// Draws it was to win, by its tickets.
    expected_wins: f64,
    /// Slices it ran.
    slices: u64,
    /// How long those were together.
    used_ns: u64,
}

pub(super) fn record(task: &ScheduledTask, groups: &Groups) -> TaskRecord {
    TaskRecord {
        pid: task.id.pid,
        tgid: task.tgid,
        start_ns: task.id.start_ns,
        comm: harmless(&task.comm),
        cgroup: harmless(group_text(groups, task.group).as_bytes()),
        nice: task.nice,
        tickets: task.tickets,
        tickets_set: task.explicit,
        runnable: task.runnable,
        wins: task.tally.wins,
        expected_wins: task.tally.expected,
        slices: task.tally.slices,
        used_ns: task.tally.used_ns,
    }
}

/// The tasks as a line.
///
/// # Errors
/// What a serializer can refuse: nothing that occurs here.
pub(crate) fn line(tasks: &[ScheduledTask], groups: &Groups) -> Result<Vec<u8>> {
    super::line(Record { tasks: tasks.iter().map(|task| record(task, groups)).collect() })
}

/// The JSON Schema of [`line()`].
///
/// # Errors
/// As [`line()`].
pub(crate) fn schema() -> Result<String> {
    super::schema::<Record>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::fixture::scheduled;

    #[test]
    fn every_task_is_there_with_a_harmless_name() {
        let bytes = line(&scheduled(), &Groups::new()).unwrap();
        let value = super::super::checked(&bytes, &schema().unwrap());
        assert_eq!(value["tasks"].as_array().unwrap().len(), 5);
        assert_eq!(value["tasks"][1]["comm"], "\\x1b[31mred\\x0a");
        assert_eq!(value["tasks"][2]["tickets_set"], true);
    }
}
