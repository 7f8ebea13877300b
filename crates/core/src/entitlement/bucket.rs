//! Claims that rise and stop together.

use super::demand::{Demand, GroupId};
use std::collections::BTreeMap;

/// Levels that differ by less than this part are one level: far above what rounding does to a level, far
/// below any difference that shows in a report.
const SAME_LEVEL: f64 = 1.0 + 1.0 / (1u64 << 44) as f64;

/// The claims of one group that have one CPU set.
///
/// They stand at one level λ, in nanoseconds for each unit of weight: a claim of weight w holds min(most,
/// λw).
pub(super) struct Bucket {
    /// The group they are in, as a node of the tree.
    pub(super) node: usize,
    /// Their CPU set, by its index in the demand.
    pub(super) set: usize,
    /// By ascending level at which they are full.
    pub(super) members: Vec<Member>,
    /// Where they stopped, once their CPUs were full.
    pub(super) frozen: Option<Frozen>,
    weight: f64,
}

/// One claim in a bucket.
pub(super) struct Member {
    /// Its index in the demand.
    pub(super) claim: usize,
    /// The level at which it is full.
    pub(super) full_at: f64,
    /// What it can use at most.
    pub(super) most_ns: u64,
    pub(super) weight: u64,
    /// What the members up to this one hold when they are full.
    full_ns: f64,
    /// Weight of the members after this one.
    weight_after: f64,
}

/// The end of a bucket's growth by a cut.
#[derive(Clone, Copy)]
pub(super) struct Frozen {
    pub(super) level: f64,
    pub(super) amount_ns: f64,
    /// The group whose quota had stopped it before.
    pub(super) quota: Option<GroupId>,
    /// Which cut it was, by number.
    pub(super) cut: usize,
}

impl Bucket {
    /// Sorts the claims of a demand into buckets, ordered by node, then by CPU set.
    pub(super) fn sort(demand: &Demand, node_of: impl Fn(Option<GroupId>) -> usize) -> Vec<Self> {
        let mut runs: BTreeMap<(usize, usize), Vec<Member>> = BTreeMap::new();
        for (index, claim) in demand.claims.iter().enumerate() {
            let member = Member::new(index, claim.weight, demand.most_ns(claim));
            runs.entry((node_of(claim.group), claim.cpus.0)).or_default().push(member);
        }
        runs.into_iter().map(|((node, set), members)| Self::new(node, set, members)).collect()
    }

    /// Sums are kept as integers and rounded once.
    fn new(node: usize, set: usize, mut members: Vec<Member>) -> Self {
        members.sort_unstable_by(|a, b| a.full_at.total_cmp(&b.full_at).then(a.claim.cmp(&b.claim)));
        let total: u128 = members.iter().map(|m| u128::from(m.weight)).sum();
        let (mut full, mut after) = (0u128, total);
        for member in &mut members {
            full += u128::from(member.most_ns);
            after -= u128::from(member.weight);
            member.full_ns = rounded(full);
            member.weight_after = rounded(after);
        }
        Self { node, set, members, frozen: None, weight: rounded(total) }
    }

    /// What its claims hold together at a level.
    pub(super) fn amount_ns(&self, level: f64) -> f64 {
        match self.members.partition_point(|m| m.full_at <= level) {
            0 => self.weight * level,
            full if full == self.members.len() => self.members[full - 1].full_ns,
            full => {
                let last = &self.members[full - 1];
                last.full_ns + last.weight_after * level
            }
        }
    }
}

impl Member {
    fn new(claim: usize, weight: u64, most_ns: u64) -> Self {
        let full_at = most_ns as f64 / weight as f64;
        Self { claim, full_at, most_ns, weight, full_ns: 0.0, weight_after: 0.0 }
    }

    /// What the claim holds at a level, and whether that is all it can use.
    pub(super) fn amount_ns(&self, level: f64) -> (f64, bool) {
        if is_full(self.full_at, level) {
            (self.most_ns as f64, true)
        } else {
            (level * self.weight as f64, false)
        }
    }
}

/// Whether a claim that is full at one level is full at another.
#[inline]
pub(super) fn is_full(full_at: f64, level: f64) -> bool {
    full_at <= level * SAME_LEVEL
}

/// To the nearest f64. Sums seldom need more than 64 bits, for which there is an instruction.
pub(super) fn rounded(sum: u128) -> f64 {
    u64::try_from(sum).map_or(sum as f64, |sum| sum as f64)
}
