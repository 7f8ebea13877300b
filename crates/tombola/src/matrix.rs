//! Who stood in whose way, as a matrix of names.

use crate::text::harmless;
use std::cmp::Reverse;
use std::collections::BTreeMap;
use tombola_core::audit::{Audit, Line};
use tombola_core::identity::TaskId;
use tombola_core::interference::Standing;

/// Culprits and victims by name, those first that held or waited longest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Matrix {
    /// Names of those that had the CPU, harmless, with what they held in all.
    pub(crate) culprits: Vec<(String, u64)>,
    /// Names of those that waited, harmless, with what they waited behind others in all.
    pub(crate) victims: Vec<(String, u64)>,
    /// For each culprit, for each victim: time it ran on the CPU in whose queue the other waited, and
    /// preemptions.
    pub(crate) cells: Vec<Vec<Standing>>,
}

impl Matrix {
    /// The `rows` foremost culprits and the `columns` foremost victims; `None` where the source did not look.
    pub(crate) fn of(audit: &Audit, rows: usize, columns: usize) -> Option<Self> {
        let interference = audit.interference.as_ref()?;
        let mut cells: BTreeMap<(String, String), Standing> = BTreeMap::new();
        let mut culprits: BTreeMap<String, u64> = BTreeMap::new();
        let mut victims: BTreeMap<String, u64> = BTreeMap::new();
        for (pair, standing) in &interference.pairs {
            let (culprit, victim) = (name(audit, pair.culprit), name(audit, pair.victim));
            *culprits.entry(culprit.clone()).or_default() += standing.held_ns;
            *victims.entry(victim.clone()).or_default() += standing.held_ns;
            let cell = cells.entry((culprit, victim)).or_default();
            cell.held_ns += standing.held_ns;
            cell.preemptions += standing.preemptions;
        }
        let (culprits, victims) = (foremost(culprits, rows), foremost(victims, columns));
        let cell = |culprit: &str, victim: &str| {
            cells.get(&(culprit.to_owned(), victim.to_owned())).copied().unwrap_or_default()
        };
        let cells = culprits.iter().map(|(c, _)| victims.iter().map(|(v, _)| cell(c, v)).collect()).collect();
        Some(Self { culprits, victims, cells })
    }

    /// The largest cell, ns.
    pub(crate) fn most_ns(&self) -> u64 {
        self.cells.iter().flatten().map(|cell| cell.held_ns).max().unwrap_or(0)
    }
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
    use tombola_core::interference::{Interference, Pair};

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
        let matrix = Matrix::of(&Audit::new(&window).unwrap(), 2, 9).unwrap();
        assert_eq!(matrix.culprits, [("(999)".to_owned(), 40), ("burner-0".to_owned(), 12)]);
        assert_eq!(matrix.victims, [("burner-0".to_owned(), 41), ("burner-10".to_owned(), 12)]);
        assert_eq!(matrix.cells[1][1], Standing { preemptions: 2, held_ns: 12 });
        assert_eq!(matrix.most_ns(), 40);
    }
}
