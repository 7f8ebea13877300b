//! What the filling came to, for each task and group.

use super::bucket::Bucket;
use super::demand::{Demand, GroupId};
use super::filling::Filling;
use super::tolerance_ns;
use crate::cpu_set::CpuSet;

/// The division of an interval's CPU time.
#[derive(Clone, Debug, PartialEq)]
pub struct Entitlement {
    /// One share for each claim, in the order of the demand.
    pub claims: Vec<Share>,
    /// One share for each group, in the order of the demand: the sum of its members, subgroups included.
    pub groups: Vec<Share>,
    /// Sets of CPUs that are given out in full, in the order in which they were full; two that were full at
    /// the same moment are two if they have no CPU in common.
    pub full_cpus: Vec<CpuSet>,
}

/// What one claim or group is entitled to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Share {
    /// Entitled CPU time in nanoseconds, exact to within [`tolerance_ns`]; not rounded, so that sums stay
    /// sums.
    pub entitled_ns: f64,
    /// Why it is not more.
    pub bound: Bound,
}

/// What stopped a share from growing.
///
/// A claim has one: of limits met at the same moment its own demand is named first, then a quota (the
/// innermost), then the CPUs. A group is bound by its own or an ancestor's quota if that stopped any member;
/// else by the last CPU set that stopped a member; else by demand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// Nothing: it got all that it asked for. For a group: all that its members can take within their own
    /// demands and quotas.
    Demand,
    /// The quota of this group, which is its own group, an ancestor, or the group itself.
    Quota(GroupId),
    /// All CPUs that it may use are given out: the index into [`Entitlement::full_cpus`].
    Cpus(usize),
}

impl Bound {
    /// The one that names a group's bound, of those of two members.
    fn stronger(self, other: Self) -> Self {
        match (self, other) {
            (Self::Quota(_), _) | (_, Self::Demand) => self,
            (Self::Cpus(mine), Self::Cpus(theirs)) => Self::Cpus(mine.max(theirs)),
            _ => other,
        }
    }
}

impl Entitlement {
    /// What all claims are entitled to together.
    pub fn total_ns(&self) -> f64 {
        self.claims.iter().fold(0.0, |sum, c| sum + c.entitled_ns) // `sum` of nothing is −0
    }

    pub(super) fn read(demand: &Demand, top_down: &[usize], filling: &Filling) -> Self {
        let nothing = Share { entitled_ns: 0.0, bound: Bound::Demand };
        let mut result = Self {
            claims: vec![nothing; demand.claims.len()],
            groups: vec![nothing; demand.groups.len()],
            full_cpus: filling.cuts.iter().map(|c| c.cpus.clone()).collect(),
        };
        for bucket in &filling.tree.buckets {
            result.read_bucket(bucket, filling);
        }
        for &group in top_down.iter().rev() {
            if let Some(GroupId(parent)) = demand.groups[group].parent {
                result.groups[parent].entitled_ns += result.groups[group].entitled_ns;
            }
        }
        result.assert_balanced(demand);
        result
    }

    fn read_bucket(&mut self, bucket: &Bucket, filling: &Filling) {
        let (level, bound) = if let Some(frozen) = bucket.frozen {
            (frozen.level, frozen.quota.map_or(Bound::Cpus(frozen.cut), Bound::Quota))
        } else {
            let (level, quota) = filling.tree.end(bucket, &filling.state);
            (level, quota.map_or(Bound::Demand, Bound::Quota))
        };
        let (mut sum, mut all_full) = (0.0, true);
        for member in &bucket.members {
            let (entitled_ns, is_full) = member.amount_ns(level);
            let bound = if is_full { Bound::Demand } else { bound };
            self.claims[member.claim] = Share { entitled_ns, bound };
            sum += entitled_ns;
            all_full &= is_full;
        }
        if bucket.node == 0 {
            return;
        }
        self.groups[bucket.node - 1].entitled_ns += sum;
        if all_full {
            return;
        }
        // A quota speaks for the group that has it and for those below it; above it, it is part of what
        // members ask.
        for group in filling.tree.path(bucket.node).map(|node| node - 1) {
            self.groups[group].bound = self.groups[group].bound.stronger(bound);
            if bound == Bound::Quota(GroupId(group)) {
                break;
            }
        }
    }

    /// The sums that hold for every division: no claim above its most, no group above its quota, no set of
    /// CPUs above its capacity.
    ///
    /// # Panics
    /// When one of them is broken by more than rounding: an error in this module, and no result to be shown.
    fn assert_balanced(&self, demand: &Demand) {
        let tolerance_ns = tolerance_ns(demand);
        for (claim, share) in demand.claims.iter().zip(&self.claims) {
            let most_ns = demand.most_ns(claim) as f64;
            let within = (0.0..=most_ns).contains(&share.entitled_ns);
            assert!(within, "a claim on {most_ns} ns was given {} ns", share.entitled_ns);
        }
        for (group, share) in demand.groups.iter().zip(&self.groups) {
            let most_ns = group.quota_ns.map_or(f64::INFINITY, |q| q as f64);
            let within = share.entitled_ns <= most_ns + tolerance_ns;
            assert!(within, "a quota of {most_ns} ns was given {} ns", share.entitled_ns);
        }
        let mut by_set = vec![0.0; demand.cpu_sets.len()];
        for (claim, share) in demand.claims.iter().zip(&self.claims) {
            by_set[claim.cpus.0] += share.entitled_ns;
        }
        let everything = demand.capacity_ns.keys().copied().collect();
        for cpus in self.full_cpus.iter().chain(std::iter::once(&everything)) {
            let inside = demand.cpu_sets.iter().zip(&by_set).filter(|(set, _)| set.is_subset(cpus));
            let given_ns: f64 = inside.map(|(_, ns)| ns).sum();
            let capacity_ns = demand.capacity_of(cpus) as f64;
            let within = given_ns <= capacity_ns + tolerance_ns;
            assert!(within, "CPUs {cpus} have {capacity_ns} ns and were given {given_ns} ns");
        }
    }
}
