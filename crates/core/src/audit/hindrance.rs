//! Who stood in the way of those that waited most.

use super::{Audit, Line};
use crate::identity::TaskId;
use crate::interference::{GroupPair, Imposed, Standing};
use crate::policy::Policy;
use crate::snapshot::Group;
use crate::window::GroupWindow;
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// What a task waited behind.
#[derive(Clone, Debug, PartialEq)]
pub struct Hindrance {
    /// Who waited.
    pub victim: TaskId,
    /// How long, but for what it left to others by a yield.
    pub wait_ns: u64,
    /// How much of it the queue of its group stood throttled, and whose quota it was, as far as that is
    /// known.
    pub quota: Option<(u64, Option<Group>)>,
    /// How much of it was behind others that the source does not know, or knows by name no more.
    pub unknown_ns: u64,
    /// Who held the CPU meanwhile or preempted it, the longest first.
    pub tasks: Vec<(TaskId, Standing)>,
    /// The same by the culprits' groups, the longest first; ended tasks that have no line are in none.
    pub groups: Vec<(Group, Standing)>,
}

/// What the tasks of a group waited behind, by groups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupHindrance {
    /// Whose tasks waited.
    pub victim: Group,
    /// How long they did, added up.
    pub wait_ns: u64,
    /// Whose tasks had the CPU meanwhile or took it, who imposed most first.
    pub culprits: Vec<(Group, Imposed)>,
}

impl Audit {
    /// Who stood in whose way by groups, who imposed most first: as the source tells it, or its pairs of
    /// tasks added up. Ended tasks that have no line are in none.
    pub fn imposed(&self) -> Vec<(GroupPair, Imposed)> {
        let Some(interference) = &self.interference else { return Vec::new() };
        let mut sums = interference.groups.clone();
        for (pair, standing) in &interference.pairs {
            if let Some((victim, culprit)) = self.group_of(pair.victim).zip(self.group_of(pair.culprit)) {
                sums.entry(GroupPair { victim, culprit }).or_default().add(*standing);
            }
        }
        let mut sums: Vec<(GroupPair, Imposed)> = sums.into_iter().collect();
        // Stable: the identity decides among equals.
        sums.sort_by_key(|(_, sum)| (Reverse(sum.imposed_wait_ns), Reverse(sum.preemptions)));
        sums
    }

    /// The `most` groups whose tasks waited longest, of those that have a task for which `keep` holds, with
    /// whose tasks stood in their way; nobody where the source did not look.
    pub fn hindered_groups(&self, most: usize, keep: impl Fn(&Line) -> bool) -> Vec<GroupHindrance> {
        let mut culprits: BTreeMap<Group, Vec<(Group, Imposed)>> = BTreeMap::new();
        for (pair, sum) in self.imposed() {
            culprits.entry(pair.victim).or_default().push((pair.culprit, sum));
        }
        let mut waits: BTreeMap<Group, (u64, bool)> = BTreeMap::new();
        for line in &self.lines {
            let (wait_ns, is_kept) = waits.entry(line.task.totals.group).or_default();
            *wait_ns = wait_ns.saturating_add(line.task.delta.imposed_wait_ns());
            *is_kept |= keep(line);
        }
        let kept = waits.into_iter().filter(|(_, (wait_ns, is_kept))| *is_kept && *wait_ns > 0);
        let mut hindered: Vec<GroupHindrance> = kept
            .filter_map(|(victim, (wait_ns, _))| {
                Some(GroupHindrance { victim, wait_ns, culprits: culprits.remove(&victim)? })
            })
            .collect();
        hindered.sort_by_key(|hindrance| Reverse(hindrance.wait_ns));
        hindered.truncate(most);
        hindered
    }

    /// The `most` tasks that waited longest of those for which `keep` holds, with who stood in their way;
    /// nobody where the source did not look.
    pub fn hindered(&self, most: usize, keep: impl Fn(&Line) -> bool) -> Vec<Hindrance> {
        let Some(interference) = &self.interference else { return Vec::new() };
        let mut waiters: Vec<&Line> =
            self.lines.iter().filter(|line| line.task.delta.imposed_wait_ns() > 0 && keep(line)).collect();
        waiters.sort_by_key(|line| Reverse(line.task.delta.imposed_wait_ns())); // stable: identity decides among equals
        let hindrance = |line: &&Line| {
            let victim = line.task.totals.id;
            let mut tasks = interference.culprits_of(victim);
            if line.task.totals.policy == Policy::Deadline {
                // Others ran while its budget was used up: only one of its own kind can have stood in its
                // way.
                tasks.retain(|(id, _)| self.policy_of(*id) == Some(Policy::Deadline));
            }
            let quota_ns = interference.quota_ns.get(&victim);
            let quota = quota_ns.map(|ns| (*ns, self.throttled_group(line.task.totals.group)));
            let wait_ns = line.task.delta.imposed_wait_ns();
            // A wait that is found out about when it ends is cut to the interval: what was before is not
            // behind anybody in it.
            let known_ns = tasks.iter().map(|(_, standing)| standing.held_ns).sum::<u64>();
            let left_ns = wait_ns.saturating_sub(known_ns.saturating_add(quota_ns.copied().unwrap_or(0)));
            let unknown_ns = interference.unknown_ns.get(&victim).copied().unwrap_or(0).min(left_ns);
            Hindrance { victim, wait_ns, quota, unknown_ns, groups: self.by_group(&tasks), tasks }
        };
        let is_known = |hindrance: &Hindrance| {
            !hindrance.tasks.is_empty() || hindrance.quota.is_some() || hindrance.unknown_ns > 0
        };
        waiters.iter().take(most).map(hindrance).filter(is_known).collect()
    }

    fn policy_of(&self, id: TaskId) -> Option<Policy> {
        let at = self.lines.binary_search_by_key(&id, |line| line.task.totals.id).ok()?;
        Some(self.lines[at].task.totals.policy)
    }

    fn group_of(&self, id: TaskId) -> Option<Group> {
        let at = self.lines.binary_search_by_key(&id, |line| line.task.totals.id).ok()?;
        Some(self.lines[at].task.totals.group)
    }

    /// The group with a quota, of this one and those above it, that stood throttled longest.
    fn throttled_group(&self, group: Group) -> Option<Group> {
        let find = |id: Group| self.groups.binary_search_by_key(&id, |g| g.totals.id).ok();
        let mut next = find(group);
        let mut longest: Option<&GroupWindow> = None;
        while let Some(at) = next {
            let this = &self.groups[at];
            if this.totals.quota.is_some() && longest.is_none_or(|l| this.throttled_ns > l.throttled_ns) {
                longest = Some(this);
            }
            next = this.totals.parent.and_then(find);
        }
        longest.map(|group| group.totals.id)
    }

    fn by_group(&self, tasks: &[(TaskId, Standing)]) -> Vec<(Group, Standing)> {
        let mut groups: BTreeMap<Group, Standing> = BTreeMap::new();
        for (id, standing) in tasks {
            if let Some(group) = self.group_of(*id) {
                let sum = groups.entry(group).or_default();
                sum.held_ns += standing.held_ns;
                sum.preemptions += standing.preemptions;
            }
        }
        let mut groups: Vec<(Group, Standing)> = groups.into_iter().collect();
        groups.sort_by_key(|(_, standing)| (Reverse(standing.held_ns), Reverse(standing.preemptions)));
        groups
    }
}
