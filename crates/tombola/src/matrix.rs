//! Who stood in whose way, as a matrix of names.

use crate::groups::{Groups, group_text};
use crate::text::harmless;
use std::cmp::Reverse;
use std::collections::BTreeMap;
use tombola_core::audit::{Audit, Line};
use tombola_core::group_path::short_name;
use tombola_core::identity::{Group, TaskId};
use tombola_core::interference::Imposed;

/// Culprits and victims by name, those first that held or waited longest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Matrix {
    /// Names of those that had the CPU, harmless, with what they held in all.
    pub(crate) culprits: Vec<(String, u64)>,
    /// Names of those that waited, harmless, with what they waited behind others in all.
    pub(crate) victims: Vec<(String, u64)>,
    /// For each culprit, for each victim: time it ran on the CPU in whose queue the other waited, added up
    /// over those of the name that waited, and preemptions.
    pub(crate) cells: Vec<Vec<Imposed>>,
    /// Whether the names are those of groups, because the source tells no tasks.
    pub(crate) by_groups: bool,
}

impl Matrix {
    /// The `rows` foremost culprits and the `columns` foremost victims; `None` where the source did not look.
    pub(crate) fn of(audit: &Audit, groups: &Groups, rows: usize, columns: usize) -> Option<Self> {
        let interference = audit.interference.as_ref()?;
        let mut sums = Sums::default();
        for (pair, standing) in &interference.pairs {
            let mut imposed = Imposed::default();
            imposed.add(*standing);
            sums.add(name(audit, pair.culprit), name(audit, pair.victim), imposed);
        }
        for (pair, imposed) in &interference.groups {
            sums.add(group_name(groups, pair.culprit), group_name(groups, pair.victim), *imposed);
        }
        let Sums { cells, culprits, victims } = sums;
        let (culprits, victims) = (foremost(culprits, rows), foremost(victims, columns));
        let cell = |culprit: &str, victim: &str| {
            cells.get(&(culprit.to_owned(), victim.to_owned())).copied().unwrap_or_default()
        };
        let cells = culprits.iter().map(|(c, _)| victims.iter().map(|(v, _)| cell(c, v)).collect()).collect();
        Some(Self { culprits, victims, cells, by_groups: interference.is_by_groups() })
    }

    /// The largest cell, ns.
    pub(crate) fn most_ns(&self) -> u64 {
        self.cells.iter().flatten().map(|cell| cell.imposed_wait_ns).max().unwrap_or(0)
    }
}

/// Cells by name, and their sums.
#[derive(Default)]
struct Sums {
    cells: BTreeMap<(String, String), Imposed>,
    culprits: BTreeMap<String, u64>,
    victims: BTreeMap<String, u64>,
}

impl Sums {
    fn add(&mut self, culprit: String, victim: String, imposed: Imposed) {
        *self.culprits.entry(culprit.clone()).or_default() += imposed.imposed_wait_ns;
        *self.victims.entry(victim.clone()).or_default() += imposed.imposed_wait_ns;
        let cell = self.cells.entry((culprit, victim)).or_default();
        cell.imposed_wait_ns += imposed.imposed_wait_ns;
        cell.preemptions += imposed.preemptions;
    }
}

/// Short name of a group, harmless.
fn group_name(groups: &Groups, group: Group) -> String {
    harmless(short_name(&group_text(groups, group)).as_bytes())
}

/// Name of a task; of one that is not in the ledger its PID.
fn name(audit: &Audit, id: TaskId) -> String {
    let line: Option<&Line> =
        audit.lines.binary_search_by_key(&id, |line| line.task.totals.id).ok().map(|at| &audit.lines[at]);
    match line.map(|line| harmless(&line.task.totals.comm)) {
        Some(name) if !name.is_empty() => name,
        _ => format!("({})", id.pid),
    }
}

fn foremost(sums: BTreeMap<String, u64>, most: usize) -> Vec<(String, u64)> {
    let mut sums: Vec<(String, u64)> = sums.into_iter().collect();
    sums.sort_by_key(|(_, ns)| Reverse(*ns)); // stable: the name decides among equals
    sums.truncate(most);
    sums
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::fixture::{burners, window};
    use tombola_core::interference::{GroupPair, Interference, Pair, Standing};

    #[test]
    fn pairs_of_the_same_names_add_up_and_the_longest_come_first() {
        let mut tasks = burners();
        tasks[1].totals.comm = b"burner-0".to_vec();
        let mut window = window(tasks);
        let id = |pid| TaskId { pid, start_ns: 1_000_000 + u64::from(pid) };
        let pair = |victim, culprit, held_ns| {
            (Pair { victim: id(victim), culprit: id(culprit) }, Standing { preemptions: 1, held_ns })
        };
        window.interference = Some(Interference {
            pairs: [pair(103, 101, 5), pair(103, 102, 7), pair(101, 7, 1), pair(101, 999, 40)].into(),
            ..Interference::default()
        });
        let matrix = Matrix::of(&Audit::new(&window).unwrap(), &Groups::new(), 2, 9).unwrap();
        assert_eq!(matrix.culprits, [("(999)".to_owned(), 40), ("burner-0".to_owned(), 12)]);
        assert_eq!(matrix.victims, [("burner-0".to_owned(), 41), ("burner-10".to_owned(), 12)]);
        assert_eq!(matrix.cells[1][1], Imposed { preemptions: 2, imposed_wait_ns: 12 });
        assert!(!matrix.by_groups);
        assert_eq!(matrix.most_ns(), 40);
    }

    #[test]
    fn a_source_that_tells_groups_alone_has_their_short_names() {
        let mut window = window(burners());
        let (a, b) = (Group::Cgroup(5), Group::Cgroup(6));
        let pair = |victim, culprit, imposed_wait_ns| {
            (GroupPair { victim, culprit }, Imposed { preemptions: 1, imposed_wait_ns })
        };
        window.interference = Some(Interference {
            groups: [pair(a, b, 30), pair(a, a, 4), pair(b, Group::Unknown, 1)].into(),
            ..Interference::default()
        });
        let names = Groups::from([(a, "/system.slice/web.service".to_owned()), (b, "/job".to_owned())]);
        let matrix = Matrix::of(&Audit::new(&window).unwrap(), &names, 9, 9).unwrap();
        assert!(matrix.by_groups);
        let culprits: Vec<_> = matrix.culprits.iter().map(|(name, ns)| (name.as_str(), *ns)).collect();
        assert_eq!(culprits, [("/job", 30), ("web.service", 4), ("unknown", 1)]);
        assert_eq!(matrix.victims, [("web.service".to_owned(), 34), ("/job".to_owned(), 1)]);
        assert_eq!(matrix.cells[0], [Imposed { preemptions: 1, imposed_wait_ns: 30 }, Imposed::default()]);
    }
}
