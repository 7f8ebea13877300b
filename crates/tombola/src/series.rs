//! What became of a machine and its tasks over several intervals: little of each, for charts.

use crate::moment::Moment;
use std::collections::BTreeMap;
use tombola_core::audit::Line;
use tombola_core::identity::TaskId;

/// Intervals that a series holds at most.
pub(crate) const INTERVALS: usize = 3600;

/// A task that neither waited nor is owed this part of an interval is left out of it: 1/1000.
const LEAST: u64 = 1000;

/// Intervals, in order.
#[derive(Default)]
pub(crate) struct Series {
    /// Each of them.
    pub(crate) intervals: Vec<Interval>,
}

/// One interval.
pub(crate) struct Interval {
    /// Its end, microseconds since the Unix epoch.
    pub(crate) unix_us: u64,
    /// Its length.
    pub(crate) length_ns: u64,
    /// Waits of all tasks.
    pub(crate) wait_ns: u64,
    /// What is owed to those that are owed something.
    pub(crate) owed_ns: u64,
    /// Jain's index.
    pub(crate) jain: Option<f64>,
    /// For each CPU its number and the parts of the interval in which it ran tasks with weights, and others.
    pub(crate) cpus: Vec<(u32, f64, f64)>,
    /// Tasks that waited or are owed enough to be seen.
    pub(crate) tasks: BTreeMap<TaskId, Part>,
}

/// What one task had in one interval.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_field_names, reason = "the unit is a part of the name")]
pub(crate) struct Part {
    /// Time on a CPU.
    pub(crate) run_ns: u64,
    /// Time runnable without one, but for what it gave away by a yield.
    pub(crate) wait_ns: u64,
    /// Entitled − received.
    pub(crate) lag_ns: i64,
}

impl Series {
    /// Adds an interval. The caller bounds their number.
    pub(crate) fn push(&mut self, moment: &Moment) {
        let audit = &moment.audit;
        let part = |line: &Line| Part {
            run_ns: line.task.delta.runtime_ns,
            wait_ns: line.task.delta.imposed_wait_ns(),
            lag_ns: line.lag_ns(),
        };
        let least_ns = audit.length_ns / LEAST;
        let is_seen = |part: &Part| part.wait_ns > least_ns || part.lag_ns.unsigned_abs() > least_ns;
        let cpus = moment.cpus.iter().map(|cpu| {
            let wall = cpu.wall_ns.max(1) as f64;
            (cpu.cpu, cpu.busy_ns.saturating_sub(cpu.unfair_ns) as f64 / wall, cpu.unfair_ns as f64 / wall)
        });
        self.intervals.push(Interval {
            unix_us: audit.unix_us,
            length_ns: audit.length_ns,
            wait_ns: audit.lines.iter().map(|line| line.task.delta.imposed_wait_ns()).sum(),
            owed_ns: audit.lines.iter().map(|line| u64::try_from(line.lag_ns()).unwrap_or(0)).sum(),
            jain: audit.fairness.jain,
            cpus: cpus.collect(),
            tasks: audit
                .lines
                .iter()
                .map(|line| (line.task.totals.id, part(line)))
                .filter(|(_, part)| is_seen(part))
                .collect(),
        });
    }

    /// What a task had, interval by interval.
    pub(crate) fn of(&self, id: TaskId) -> Vec<Part> {
        self.intervals.iter().map(|i| i.tasks.get(&id).copied().unwrap_or_default()).collect()
    }
}
