//! Who stood in whose way.

use crate::identity::{Group, TaskId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Two tasks, one of which kept the other waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Pair {
    /// Who waited.
    pub victim: TaskId,
    /// Who had the CPU.
    pub culprit: TaskId,
}

/// What one task did to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Standing {
    /// Times the culprit got the CPU when the victim lost it and was still runnable.
    pub preemptions: u64,
    /// Time the culprit ran on the CPU in whose queue the victim waited.
    pub held_ns: u64,
}

/// Two groups, tasks of one of which kept tasks of the other waiting. Both may be the same group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct GroupPair {
    /// Whose tasks waited.
    pub victim: Group,
    /// Whose tasks had the CPU.
    pub culprit: Group,
}

/// What the tasks of one group did to those of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Imposed {
    /// Wait of the victim's tasks behind the culprit's, added up over those that waited: while one task runs,
    /// it imposes its time on each of them, so this may be longer than the culprit ran.
    pub imposed_wait_ns: u64,
    /// Times a task of the culprit got the CPU when one of the victim lost it and was still runnable.
    pub preemptions: u64,
}

impl Imposed {
    /// Adds what a task did to another.
    pub fn add(&mut self, standing: Standing) {
        self.imposed_wait_ns = self.imposed_wait_ns.saturating_add(standing.held_ns);
        self.preemptions = self.preemptions.saturating_add(standing.preemptions);
    }
}

/// All pairs since the source began to look.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Interference {
    /// The pairs.
    #[serde(with = "crate::serial::map")]
    pub pairs: BTreeMap<Pair, Standing>,
    /// Pairs of groups, from a source that tells them and no tasks: a log. Empty where tasks are told, whose
    /// groups follow from them ([`crate::audit::Audit::imposed`]).
    #[serde(with = "crate::serial::map")]
    pub groups: BTreeMap<GroupPair, Imposed>,
    /// Time that tasks waited while the queue of their group stood throttled, by who waited: they stood
    /// behind a quota of their own.
    #[serde(with = "crate::serial::map")]
    pub quota_ns: BTreeMap<TaskId, u64>,
    #[serde(with = "crate::serial::map")]
    /// Time that tasks waited behind others that the source knows by name no more, longer ago than it
    /// remembers, or in a queue of which it does not know what its CPU did, by who waited.
    pub unknown_ns: BTreeMap<TaskId, u64>,
    /// The same over all waits that have ended, whoever waited.
    pub unseen_ns: u64,
    /// Bookings that found no room.
    pub refused: u64,
    /// Pairs that made room for others: in the interval before they did, nothing was added to them. They are
    /// in no pair any more.
    pub put_out: u64,
}

impl Interference {
    /// What was added since `earlier`; pairs to which nothing was added are left out.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let grown = |(pair, now): (&Pair, &Standing)| {
            let then = earlier.pairs.get(pair).copied().unwrap_or_default();
            let delta = Standing {
                preemptions: now.preemptions.saturating_sub(then.preemptions),
                held_ns: now.held_ns.saturating_sub(then.held_ns),
            };
            (delta != Standing::default()).then_some((*pair, delta))
        };
        let grown_group = |(pair, now): (&GroupPair, &Imposed)| {
            let then = earlier.groups.get(pair).copied().unwrap_or_default();
            let delta = Imposed {
                imposed_wait_ns: now.imposed_wait_ns.saturating_sub(then.imposed_wait_ns),
                preemptions: now.preemptions.saturating_sub(then.preemptions),
            };
            (delta != Imposed::default()).then_some((*pair, delta))
        };
        Self {
            pairs: self.pairs.iter().filter_map(grown).collect(),
            groups: self.groups.iter().filter_map(grown_group).collect(),
            quota_ns: grown_ns(&self.quota_ns, &earlier.quota_ns),
            unknown_ns: grown_ns(&self.unknown_ns, &earlier.unknown_ns),
            unseen_ns: self.unseen_ns.saturating_sub(earlier.unseen_ns),
            refused: self.refused.saturating_sub(earlier.refused),
            put_out: self.put_out.saturating_sub(earlier.put_out),
        }
    }

    /// Whether all that is known is known by groups.
    pub fn is_by_groups(&self) -> bool {
        self.pairs.is_empty() && !self.groups.is_empty()
    }

    /// Who stood in the way of `victim`, who held the CPU longest first; among equals who preempted more
    /// often, then the lower identity.
    pub fn culprits_of(&self, victim: TaskId) -> Vec<(TaskId, Standing)> {
        let lowest = TaskId { pid: 0, start_ns: 0 };
        let mut found: Vec<(TaskId, Standing)> = self
            .pairs
            .range(Pair { victim, culprit: lowest }..)
            .take_while(|(pair, _)| pair.victim == victim)
            .map(|(pair, standing)| (pair.culprit, *standing))
            .collect();
        found.sort_by(|(_, a), (_, b)| b.held_ns.cmp(&a.held_ns).then(b.preemptions.cmp(&a.preemptions)));
        found
    }
}

fn grown_ns(now: &BTreeMap<TaskId, u64>, earlier: &BTreeMap<TaskId, u64>) -> BTreeMap<TaskId, u64> {
    let grown = |(id, now): (&TaskId, &u64)| (*id, now.saturating_sub(earlier.get(id).copied().unwrap_or(0)));
    now.iter().map(grown).filter(|(_, ns)| *ns > 0).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(pid: u32) -> TaskId {
        TaskId { pid, start_ns: 7 }
    }

    fn of(pairs: &[(u32, u32, u64, u64)]) -> Interference {
        let pair = |&(victim, culprit, preemptions, held_ns): &(u32, u32, u64, u64)| {
            (Pair { victim: task(victim), culprit: task(culprit) }, Standing { preemptions, held_ns })
        };
        Interference { pairs: pairs.iter().map(pair).collect(), ..Interference::default() }
    }

    #[test]
    fn culprits_are_those_of_the_victim_alone_the_longest_first() {
        let all = of(&[(1, 2, 0, 5), (1, 3, 9, 50), (1, 4, 1, 5), (2, 1, 99, 999)]);
        let pids: Vec<u32> = all.culprits_of(task(1)).iter().map(|(id, _)| id.pid).collect();
        assert_eq!(pids, [3, 4, 2]);
        assert!(all.culprits_of(task(9)).is_empty());
    }

    #[test]
    fn an_interval_holds_what_was_added_in_it() {
        let (before, after) =
            (of(&[(1, 2, 3, 30), (1, 3, 1, 10)]), of(&[(1, 2, 4, 70), (1, 3, 1, 10), (4, 1, 0, 1)]));
        assert_eq!(after.since(&before), of(&[(1, 2, 1, 40), (4, 1, 0, 1)]));
    }
}
