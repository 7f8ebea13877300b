//! Rows of the ledger in the order in which they are shown.

use super::app::{App, View};
use super::columns::SortValue;
use crate::moment::Moment;
use std::cmp::{Ordering, Reverse};
use std::collections::BTreeMap;
use tombola_core::audit::{By, Row, Who};
use tombola_core::snapshot::Group;

/// A row, and how deep it stands in a tree.
pub(crate) struct Entry {
    /// What it says.
    pub(crate) row: Row,
    /// Groups above it that are shown.
    pub(crate) depth: usize,
}

/// Who is owed most, as the overview lists it: the worst deficit first, then the longest wait.
pub(crate) fn owed(moment: &Moment, app: &App) -> Vec<Entry> {
    let mut rows = kept(moment, app, By::Task);
    // Below a thousandth of the interval a deficit is rounding and sampling, and the wait says more.
    let least_ns = i64::try_from(moment.audit.length_ns / 1000).unwrap_or(i64::MAX);
    let rank = |row: &Row| {
        let lag_ns = row.lag_ns();
        (Reverse(if lag_ns > least_ns { lag_ns } else { 0 }), Reverse(row.usage.wait_ns))
    };
    rows.sort_by_key(rank);
    rows.into_iter().map(|row| Entry { row, depth: 0 }).collect()
}

/// Rows of a view with columns.
pub(crate) fn entries(moment: &Moment, app: &App) -> Vec<Entry> {
    let by = match app.view {
        View::Groups => By::Group,
        View::Processes => By::Process,
        _ => By::Task,
    };
    let rows = kept(moment, app, by);
    if app.view == View::Groups && app.tree {
        return tree(moment, app, rows);
    }
    sorted(moment, app, rows).into_iter().map(|row| Entry { row, depth: 0 }).collect()
}

/// The rows in which the filter occurs.
fn kept(moment: &Moment, app: &App, by: By) -> Vec<Row> {
    let wanted = app.filter.to_lowercase();
    if wanted.is_empty() {
        return moment.audit.rows(by, |_| true);
    }
    let view = moment.view();
    let has = |text: &str| text.to_lowercase().contains(&wanted);
    moment.audit.rows(by, |line| {
        let totals = &line.task.totals;
        has(&crate::text::harmless(&totals.comm))
            || has(&view.group(totals.group))
            || totals.tgid.to_string() == wanted
            || totals.id.pid.to_string() == wanted
    })
}

/// The rows in the order that was chosen; equal ones by identity.
fn sorted(moment: &Moment, app: &App, rows: Vec<Row>) -> Vec<Row> {
    let mut keyed: Vec<(SortValue, Row)> =
        rows.into_iter().map(|row| (app.sort.sort_value(moment, &row), row)).collect();
    keyed.sort_by(|(a, _), (b, _)| {
        let order = match (a, b) {
            (SortValue::Number(a), SortValue::Number(b)) => b.total_cmp(a),
            (SortValue::Text(a), SortValue::Text(b)) => a.cmp(b),
            _ => Ordering::Equal,
        };
        if app.inverted { order.reverse() } else { order }
    });
    keyed.into_iter().map(|(_, row)| row).collect()
}

/// Groups under the groups they are in, siblings in the order that was chosen. A row adds up all that is below it.
fn tree(moment: &Moment, app: &App, rows: Vec<Row>) -> Vec<Entry> {
    let parents: BTreeMap<Group, Option<Group>> =
        moment.audit.groups.iter().map(|group| (group.totals.id, group.totals.parent)).collect();
    let mut sums: BTreeMap<Group, Row> = BTreeMap::new();
    for row in rows {
        let Who::Group(own) = row.who else { continue };
        let mut at = Some(own);
        // A group that were its own ancestor would end here: there are no more steps than groups.
        for _ in 0..=parents.len() {
            let Some(group) = at else { break };
            if let Some(sum) = sums.get_mut(&group) {
                add(sum, &row);
            } else {
                sums.insert(group, Row { who: Who::Group(group), group: Some(group), ..row.clone() });
            }
            at = parents.get(&group).copied().flatten();
        }
    }
    for group in &moment.audit.groups {
        if let Some(sum) = sums.get_mut(&group.totals.id) {
            sum.weight = Some(group.totals.weight);
        }
    }
    let mut children: BTreeMap<Option<Group>, Vec<Row>> = BTreeMap::new();
    for (group, row) in sums {
        children.entry(parents.get(&group).copied().flatten()).or_default().push(row);
    }
    let mut entries = Vec::new();
    let roots = sorted(moment, app, children.remove(&None).unwrap_or_default());
    let mut open: Vec<(usize, Row)> = roots.into_iter().rev().map(|row| (0, row)).collect();
    while let Some((depth, row)) = open.pop() {
        let Who::Group(group) = row.who else { continue };
        let below = sorted(moment, app, children.remove(&Some(group)).unwrap_or_default());
        open.extend(below.into_iter().rev().map(|row| (depth + 1, row)));
        entries.push(Entry { row, depth });
    }
    entries
}

fn add(sum: &mut Row, row: &Row) {
    sum.tasks += row.tasks;
    sum.tgid = None;
    sum.nice = sum.nice.filter(|nice| Some(*nice) == row.nice);
    sum.policy = sum.policy.filter(|policy| Some(*policy) == row.policy);
    sum.tickets_set |= row.tickets_set;
    sum.usage.merge(&row.usage);
    sum.waiting.merge(&row.waiting);
    sum.got_share += row.got_share;
    sum.fair_share += row.fair_share;
    sum.limit = sum.limit.take().filter(|limit| Some(limit) == row.limit.as_ref());
    sum.account = match (sum.account, row.account) {
        (Some(mut mine), Some(theirs)) => {
            mine.entitled_ns = mine.entitled_ns.saturating_add(theirs.entitled_ns);
            mine.received_ns = mine.received_ns.saturating_add(theirs.received_ns);
            Some(mine)
        }
        (mine, theirs) => mine.or(theirs),
    };
}
