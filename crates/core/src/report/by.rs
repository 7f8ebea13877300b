//! Rows added up: by process, group or name.

use super::{Common, Report, Row};
use crate::audit::{By, Who};
use crate::identity::TaskId;
use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::BTreeMap;

impl Report {
    /// The rows added up by who they are about, who ran most in the interval first. A row is there if `keep`
    /// holds for one of its tasks; what it adds up are all of them.
    pub fn rows_by(&self, by: By, keep: impl Fn(&Row) -> bool) -> Cow<'_, [Row]> {
        if by == By::Task {
            if self.rows.iter().all(&keep) {
                return Cow::Borrowed(&self.rows);
            }
            return self.rows.iter().filter(|row| keep(row)).cloned().collect();
        }
        let mut sums: BTreeMap<Who, (Row, bool, &Row)> = BTreeMap::new();
        for row in &self.rows {
            let (who, kept) = (Who::of(by, &row.task), keep(row));
            match sums.get_mut(&who) {
                None => {
                    sums.insert(who.clone(), (Row { who, ..row.clone() }, kept, row));
                }
                Some((sum, any, named_by)) => {
                    sum.add(row);
                    *any |= kept;
                    if name_rank(by, row) > name_rank(by, named_by) {
                        *named_by = row;
                    }
                }
            }
        }
        let kept = sums.into_values().filter(|(_, any, _)| *any);
        let mut rows: Vec<Row> = kept
            .map(|(mut sum, _, named_by)| {
                sum.task.totals.comm.clone_from(&named_by.task.totals.comm);
                sum
            })
            .collect();
        rows.sort_by_cached_key(|row| Reverse(row.task.delta.runtime_ns));
        Cow::Owned(rows)
    }
}

impl Row {
    fn add(&mut self, other: &Self) {
        self.tasks += other.tasks;
        self.task.totals.usage.merge(&other.task.totals.usage);
        self.task.delta.merge(&other.task.delta);
        self.task.totals.weight = self.task.totals.weight.saturating_add(other.task.totals.weight);
        self.task.ended &= other.task.ended;
        self.tickets += other.tickets;
        self.ticket_share += other.ticket_share;
        self.rolling_ns += other.rolling_ns;
        let (mine, theirs) = (self.common, other.common);
        self.common = Common {
            tgid: mine.tgid.filter(|_| mine.tgid == theirs.tgid),
            nice: mine.nice.filter(|_| mine.nice == theirs.nice),
            policy: mine.policy.filter(|_| mine.policy == theirs.policy),
            group: mine.group.filter(|_| mine.group == theirs.group),
            cpu: mine.cpu.filter(|_| mine.cpu == theirs.cpu),
        };
    }
}

/// A process is called by its leader's name; else who ran most comes first, then the lower identity.
fn name_rank(by: By, row: &Row) -> (bool, u64, Reverse<TaskId>) {
    let totals = &row.task.totals;
    (by == By::Process && totals.id.pid == totals.tgid, row.task.delta.runtime_ns, Reverse(totals.id))
}
