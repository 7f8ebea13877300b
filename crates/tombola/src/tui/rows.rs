//! Rows of the ledger in the order in which they are shown. What is put in order are places: of ten thousand
//! rows the screen shows fifty, and only those are made.

use super::app::{App, View};
use super::columns::SortValue;
use crate::moment::Moment;
use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use tombola_core::audit::{Audit, By, Line, Members, Row, Who};
use tombola_core::snapshot::Group;

/// The rows of a view.
#[derive(Default)]
pub(crate) struct Entries {
    members: Members,
    order: Vec<Entry>,
}

enum Entry {
    /// The row at this place among the members.
    Place(usize),
    /// A group with all that is below it, and how many groups are above it.
    Sum(Box<Row>, usize),
}

impl Entries {
    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.order.len()
    }

    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// The row at this place, of the audit that they are of.
    pub(crate) fn row<'a>(&'a self, audit: &Audit, at: usize) -> Cow<'a, Row> {
        match &self.order[at] {
            Entry::Place(place) => Cow::Owned(audit.row(&self.members, *place)),
            Entry::Sum(row, _) => Cow::Borrowed(row),
        }
    }

    /// Whom the row at this place is about.
    pub(crate) fn who(&self, audit: &Audit, at: usize) -> Option<Who> {
        Some(match self.order.get(at)? {
            Entry::Place(place) => self.members.who(audit, *place),
            Entry::Sum(row, _) => row.who.clone(),
        })
    }

    /// How deep it stands in a tree: groups above it that are shown.
    pub(crate) fn depth(&self, at: usize) -> usize {
        match &self.order[at] {
            Entry::Place(_) => 0,
            Entry::Sum(_, depth) => *depth,
        }
    }
}

/// Who is owed most, as the overview lists it: the worst deficit first, then the longest wait.
pub(crate) fn owed(moment: &Moment, app: &App) -> Entries {
    let members = moment.audit.members(By::Task);
    // Below a thousandth of the interval a deficit is rounding and sampling, and the wait says more.
    let least_ns = i64::try_from(moment.audit.length_ns / 1000).unwrap_or(i64::MAX);
    let rank = |place: &usize| {
        let lines = members.lines(&moment.audit, *place);
        let lag_ns: i64 = lines.clone().map(Line::lag_ns).sum();
        let wait_ns: u64 = lines.map(|line| line.task.delta.imposed_wait_ns()).sum();
        (Reverse(if lag_ns > least_ns { lag_ns } else { 0 }), Reverse(wait_ns))
    };
    let mut places = kept(moment, app, &members);
    places.sort_by_cached_key(rank);
    Entries { order: places.into_iter().map(Entry::Place).collect(), members }
}

/// Rows of a view with columns.
pub(crate) fn entries(moment: &Moment, app: &App) -> Entries {
    let members = moment.audit.members(match app.view {
        View::Groups => By::Group,
        View::Processes => By::Process,
        _ => By::Task,
    });
    let places = kept(moment, app, &members);
    if app.view == View::Groups && app.tree {
        let rows = places.into_iter().map(|place| moment.audit.row(&members, place)).collect();
        return Entries { order: tree(moment, app, rows), members };
    }
    let value = |place: &usize| app.sort.sort_value(moment, &moment.audit.row(&members, *place));
    let order = sorted(app, places, value).into_iter().map(Entry::Place).collect();
    Entries { members, order }
}

/// The places of the rows in which the filter occurs.
fn kept(moment: &Moment, app: &App, members: &Members) -> Vec<usize> {
    let wanted = app.filter.to_lowercase();
    if wanted.is_empty() {
        return (0..members.len()).collect();
    }
    let has = |text: &str| text.to_lowercase().contains(&wanted);
    let all = moment.audit.lines.iter().map(|line| line.task.totals.group).collect::<BTreeSet<Group>>();
    let groups: BTreeSet<Group> = all.into_iter().filter(|group| has(&moment.group(*group))).collect();
    let pid: Option<u32> = wanted.parse().ok();
    let holds = |line: &Line| {
        let totals = &line.task.totals;
        groups.contains(&totals.group)
            || has(&crate::text::harmless(&totals.comm))
            || pid.is_some_and(|pid| pid == totals.tgid || pid == totals.id.pid)
    };
    (0..members.len()).filter(|place| members.lines(&moment.audit, *place).any(holds)).collect()
}

/// Rows in the order that was chosen; equal ones stay as they were.
fn sorted<T>(app: &App, rows: Vec<T>, value: impl Fn(&T) -> SortValue) -> Vec<T> {
    let mut keyed: Vec<(SortValue, T)> = rows.into_iter().map(|row| (value(&row), row)).collect();
    keyed.sort_by(|(a, _), (b, _)| {
        let order = a.compare(b);
        if app.inverted { order.reverse() } else { order }
    });
    keyed.into_iter().map(|(_, row)| row).collect()
}

/// Groups under the groups they are in, siblings in the order that was chosen. A row adds up all that is
/// below it.
fn tree(moment: &Moment, app: &App, rows: Vec<Row>) -> Vec<Entry> {
    let value = |row: &Row| app.sort.sort_value(moment, row);
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
    let roots = sorted(app, children.remove(&None).unwrap_or_default(), value);
    let mut open: Vec<(usize, Row)> = roots.into_iter().rev().map(|row| (0, row)).collect();
    while let Some((depth, row)) = open.pop() {
        let Who::Group(group) = row.who else { continue };
        let below = sorted(app, children.remove(&Some(group)).unwrap_or_default(), value);
        open.extend(below.into_iter().rev().map(|row| (depth + 1, row)));
        entries.push(Entry::Sum(Box::new(row), depth));
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
