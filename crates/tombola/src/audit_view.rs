//! An audit as it is to be shown: what is selected, and under which names.

use crate::groups::{Groups, group_text};
use crate::text::harmless;
use std::borrow::Cow;
use tombola_core::audit::{Audit, By, Finding, GroupHindrance, Hindrance, Line, Row};
use tombola_core::group_path::short_name;
use tombola_core::identity::TaskId;
use tombola_core::metric::Metric;
use tombola_core::snapshot::Group;
use tombola_core::source::Origin;

/// One audited interval for a sink.
pub(crate) struct AuditView<'a> {
    /// Number of the interval, from 1.
    pub(crate) iteration: u64,
    /// The ledger.
    pub(crate) audit: &'a Audit,
    /// How the source came to measure.
    pub(crate) origin: Origin,
    /// Scheduler in BPF that is in charge, and of whom: raw.
    pub(crate) scheduler: Option<String>,
    /// The kernel's rule for the weights of groups, where it is not the ledger's.
    pub(crate) group_mode: Option<String>,
    /// What the rows are about.
    pub(crate) by: By,
    /// Columns of the table; none for the usual ones.
    pub(crate) columns: &'a [&'static Metric<Row>],
    /// Columns of the terminal; `None` where it is none.
    pub(crate) width: Option<usize>,
    /// Rows in the order in which they are shown.
    pub(crate) rows: &'a [Row],
    /// Who waited longest, of the rows that are left out too.
    pub(crate) longest: Option<&'a Row>,
    /// Rows that are not hidden, and left out because there are too many.
    pub(crate) rows_left_out: usize,
    /// Findings about what is shown.
    pub(crate) findings: Vec<&'a Finding>,
    /// Full names of the groups, raw.
    pub(crate) groups: &'a Groups,
    /// The worst waiters, and who stood in their way.
    pub(crate) hindered: Vec<Hindrance>,
    /// The groups whose tasks waited longest, and whose tasks stood in their way.
    pub(crate) hindered_groups: Vec<GroupHindrance>,
    /// The command that was audited.
    pub(crate) command: Option<CommandView>,
    /// Whether the rows stay away.
    pub(crate) nice_check: bool,
}

/// Who was kept waiting longest, of several the first.
pub(crate) fn longest(rows: &[Row]) -> Option<&Row> {
    rows.iter().rev().max_by_key(|row| row.usage.imposed_wait_ns())
}

/// A command that was run for an audit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CommandView {
    /// Its process.
    pub(crate) pid: u32,
    /// How it ended, if it did: its exit status, or 128 + the number of the signal that killed it.
    pub(crate) exit_status: Option<i32>,
}

impl AuditView<'_> {
    /// Short name of a group, harmless.
    pub(crate) fn group(&self, group: Group) -> String {
        harmless(self.short_name(group).as_bytes())
    }

    /// Short name of a group, raw.
    pub(crate) fn short_name(&self, group: Group) -> String {
        short_name(&self.full_name(group)).into_owned()
    }

    /// Full name of a group, raw.
    pub(crate) fn full_name(&self, group: Group) -> Cow<'_, str> {
        group_text(self.groups, group)
    }

    /// The line of a task.
    pub(crate) fn line(&self, id: TaskId) -> Option<&Line> {
        let lines = &self.audit.lines;
        lines.binary_search_by_key(&id, |line| line.task.totals.id).ok().map(|at| &lines[at])
    }

    /// Name and PID of a task, harmless.
    pub(crate) fn task(&self, id: TaskId) -> String {
        let comm = self.line(id).map(|line| harmless(&line.task.totals.comm)).unwrap_or_default();
        format!("{comm} ({})", id.pid)
    }
}
