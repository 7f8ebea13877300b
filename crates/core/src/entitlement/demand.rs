//! What there is to divide, and who asks for it.

use crate::cpu_set::CpuSet;
use std::collections::BTreeMap;
use thiserror::Error;

/// An index into [`Demand::groups`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupId(pub usize);

/// An index into [`Demand::cpu_sets`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CpuSetId(pub usize);

/// The CPU time of one interval and all claims on it.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Demand {
    /// Length of the interval: the most that one task can run.
    pub length_ns: u64,
    /// What each CPU had for the fair class in the interval: its wall time less what real-time, deadline and
    /// stop tasks, interrupts and the hypervisor took. A CPU that is not listed had nothing.
    pub capacity_ns: BTreeMap<u32, u64>,
    /// The distinct CPU sets that tasks are allowed. A set that is in twice costs time and changes nothing.
    pub cpu_sets: Vec<CpuSet>,
    /// The group tree, in any order.
    pub groups: Vec<Group>,
    /// One claim for each task that was runnable.
    pub claims: Vec<Claim>,
}

/// A task group: a cgroup with the cpu controller, or an autogroup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Group {
    /// The group it competes in; `None` at the top.
    pub parent: Option<GroupId>,
    /// Weight among its siblings, tasks and groups, in one unit with theirs (`cpu.weight` 100 is 1024 of a
    /// task's weight). Not 0.
    pub weight: u64,
    /// The most CPU time its members together may take in the interval (quota / period × length).
    pub quota_ns: Option<u64>,
}

/// What one task asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Weight among its siblings in the group. Not 0: a task without weight has no claim on the fair class.
    pub weight: u64,
    /// Time it was runnable: run + wait. What exceeds the length of the interval is cut off.
    pub demand_ns: u64,
    /// The group it is in; `None` for the root group.
    pub group: Option<GroupId>,
    /// Where it may run.
    pub cpus: CpuSetId,
}

/// A demand that contradicts itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum DemandError {
    /// A claim's weight is 0.
    #[error("claim {0} has weight 0; a task without weight takes no part in the fair class, leave it out")]
    ClaimWithoutWeight(usize),
    /// A group's weight is 0.
    #[error("group {0} has weight 0; the least weight of a group is 1")]
    GroupWithoutWeight(usize),
    /// A claim names a group that is not in the demand.
    #[error("claim {claim} is in group {group}, and there are {groups} groups")]
    ClaimInUnknownGroup {
        /// The claim.
        claim: usize,
        /// The group it names.
        group: usize,
        /// How many there are.
        groups: usize,
    },
    /// A group names a parent that is not in the demand.
    #[error("group {group} has parent {parent}, and there are {groups} groups")]
    UnknownParent {
        /// The group.
        group: usize,
        /// The parent it names.
        parent: usize,
        /// How many there are.
        groups: usize,
    },
    /// A claim names a CPU set that is not in the demand.
    #[error("claim {claim} names CPU set {set}, and there are {sets} sets")]
    UnknownCpuSet {
        /// The claim.
        claim: usize,
        /// The set it names.
        set: usize,
        /// How many there are.
        sets: usize,
    },
    /// A group is its own ancestor.
    #[error("group {0} is its own ancestor")]
    Cycle(usize),
}

impl Demand {
    /// All that the fair class had, on every CPU.
    pub fn total_capacity_ns(&self) -> u128 {
        self.capacity_ns.values().map(|&ns| u128::from(ns)).sum()
    }

    /// What the CPUs of a set had together.
    pub fn capacity_of(&self, cpus: &CpuSet) -> u128 {
        self.capacity_ns.iter().filter(|(cpu, _)| cpus.contains(**cpu)).map(|(_, &ns)| u128::from(ns)).sum()
    }

    /// What a claim can use at most: its demand, and no more than the whole interval.
    pub fn most_ns(&self, claim: &Claim) -> u64 {
        claim.demand_ns.min(self.length_ns)
    }

    /// Checks references and weights, and puts the groups in an order in which parents come before their
    /// children.
    ///
    /// # Errors
    /// [`DemandError`] for the first contradiction found.
    pub(super) fn top_down(&self) -> Result<Vec<usize>, DemandError> {
        let (groups, sets) = (self.groups.len(), self.cpu_sets.len());
        for (index, claim) in self.claims.iter().enumerate() {
            if claim.weight == 0 {
                return Err(DemandError::ClaimWithoutWeight(index));
            }
            if let Some(GroupId(group)) = claim.group.filter(|g| g.0 >= groups) {
                return Err(DemandError::ClaimInUnknownGroup { claim: index, group, groups });
            }
            if claim.cpus.0 >= sets {
                return Err(DemandError::UnknownCpuSet { claim: index, set: claim.cpus.0, sets });
            }
        }
        let mut children = vec![Vec::new(); groups];
        let mut order = Vec::with_capacity(groups);
        for (index, group) in self.groups.iter().enumerate() {
            if group.weight == 0 {
                return Err(DemandError::GroupWithoutWeight(index));
            }
            match group.parent {
                None => order.push(index),
                Some(GroupId(parent)) if parent < groups => children[parent].push(index),
                Some(GroupId(parent)) => {
                    return Err(DemandError::UnknownParent { group: index, parent, groups });
                }
            }
        }
        let mut next = 0;
        while next < order.len() {
            order.append(&mut children[order[next]]);
            next += 1;
        }
        if order.len() < groups {
            // Whatever the walk from the top did not reach hangs on a cycle; its first member on the cycle is
            // named.
            let mut at = children.iter().position(|c| !c.is_empty()).unwrap_or(0);
            for _ in 0..groups {
                at = self.groups[at].parent.map_or(at, |p| p.0);
            }
            return Err(DemandError::Cycle(at));
        }
        Ok(order)
    }
}
