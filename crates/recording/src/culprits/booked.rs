//! The pairs, as far as they are booked.

use foldhash::fast::RandomState;
use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use tombola_core::identity::TaskId;
use tombola_core::interference::{Interference, Pair, Standing};

/// Pairs that there is room for.
pub(super) const MOST_PAIRS: usize = 1 << 18;

/// Ended tasks whose pairs are kept at least, as many as are remembered by name.
const ENDED: usize = crate::books::EXITED;

/// What culprits did, by who waited.
#[derive(Debug, Default)]
pub(super) struct Booked {
    of: HashMap<TaskId, HashMap<TaskId, Standing, RandomState>, RandomState>,
    pairs: usize,
    unknown_ns: HashMap<TaskId, u64, RandomState>,
    quota_ns: HashMap<TaskId, u64, RandomState>,
    unseen_ns: u64,
    refused: u64,
    /// Who ended, the latest last.
    ended: VecDeque<TaskId>,
}

impl Booked {
    /// `culprit` had the CPU for so long in whose queue `victim` waited.
    pub(super) fn held(&mut self, victim: TaskId, culprit: TaskId, ns: u64) {
        match self.pair(victim, culprit) {
            Some(standing) => standing.held_ns += ns,
            None => self.unknown(victim, ns),
        }
    }

    /// `culprit` got the CPU that `victim` lost.
    pub(super) fn preempted(&mut self, victim: TaskId, culprit: TaskId) {
        if let Some(standing) = self.pair(victim, culprit) {
            standing.preemptions += 1;
        }
    }

    /// The queue in which `victim` waited stood throttled for so long.
    pub(super) fn throttled(&mut self, victim: TaskId, ns: u64) {
        if ns > 0 {
            *self.quota_ns.entry(victim).or_default() += ns;
        }
    }

    /// It is not known behind whom `victim` waited for so long.
    pub(super) fn unknown(&mut self, victim: TaskId, ns: u64) {
        if ns > 0 {
            *self.unknown_ns.entry(victim).or_default() += ns;
            self.unseen_ns += ns;
        }
    }

    fn pair(&mut self, victim: TaskId, culprit: TaskId) -> Option<&mut Standing> {
        let row = self.of.entry(victim).or_default();
        if !row.contains_key(&culprit) {
            if self.pairs == MOST_PAIRS {
                self.refused += 1;
                return None;
            }
            self.pairs += 1;
        }
        Some(row.entry(culprit).or_default())
    }

    /// A task has ended. Of those that ended long ago nobody knows the name any more: their waits are
    /// forgotten, and what they did to others was done by somebody.
    pub(super) fn ended(&mut self, task: TaskId) {
        self.ended.push_back(task);
        if self.ended.len() < 2 * ENDED {
            return;
        }
        let gone: HashSet<TaskId, RandomState> = self.ended.drain(..ENDED).collect();
        self.of.retain(|victim, _| !gone.contains(victim));
        self.unknown_ns.retain(|victim, _| !gone.contains(victim));
        self.quota_ns.retain(|victim, _| !gone.contains(victim));
        let mut lost: Vec<(TaskId, u64)> = Vec::new();
        for (victim, row) in &mut self.of {
            row.retain(|culprit, standing| {
                let stays = !gone.contains(culprit);
                if !stays {
                    lost.push((*victim, standing.held_ns));
                }
                stays
            });
        }
        self.pairs = self.of.values().map(HashMap::len).sum();
        for (victim, ns) in lost {
            self.unknown(victim, ns);
        }
    }

    /// What was said of `from` is of `to`.
    pub(super) fn became(&mut self, from: TaskId, to: TaskId) {
        if from == to {
            return;
        }
        self.ended.retain(|task| *task != to);
        for of in [&mut self.unknown_ns, &mut self.quota_ns] {
            if let Some(ns) = of.remove(&from) {
                *of.entry(to).or_default() += ns;
            }
        }
        let row = self.of.remove(&from).unwrap_or_default();
        let into = self.of.entry(to).or_default();
        for (culprit, standing) in row {
            add(into.entry(culprit).or_default(), standing);
        }
        for row in self.of.values_mut() {
            if let Some(standing) = row.remove(&from) {
                add(row.entry(to).or_default(), standing);
            }
        }
        self.pairs = self.of.values().map(HashMap::len).sum();
    }

    /// All of it.
    pub(super) fn told(&self) -> Interference {
        let of = |(victim, row): (&TaskId, &HashMap<TaskId, Standing, RandomState>)| {
            let victim = *victim;
            let pair = move |(culprit, standing): (TaskId, Standing)| (Pair { victim, culprit }, standing);
            row.clone().into_iter().map(pair)
        };
        Interference {
            pairs: self.of.iter().flat_map(of).collect(),
            quota_ns: self.quota_ns.iter().map(|(victim, ns)| (*victim, *ns)).collect(),
            unknown_ns: self.unknown_ns.iter().map(|(victim, ns)| (*victim, *ns)).collect(),
            unseen_ns: self.unseen_ns,
            refused: self.refused,
            put_out: 0,
            groups: BTreeMap::new(),
        }
    }
}

fn add(to: &mut Standing, more: Standing) {
    to.held_ns += more.held_ns;
    to.preemptions += more.preemptions;
}
