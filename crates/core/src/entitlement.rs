//! What every task should have had: the weighted max-min fair division of an interval's CPU time over a tree
//! of groups, with demands, quotas and affinity.
//!
//! # Definition
//!
//! Given are, for one interval, what each CPU had for the fair class, a tree of groups with weights and
//! quotas, and tasks with a weight, a group, a CPU set and a demand (run + wait, at most the length of the
//! interval, since a task runs on one CPU at a time). A division x is feasible if
//!
//! - no task has more than its demand,
//! - no group has more than its quota (the sum over all tasks below it),
//! - no set T of CPUs is given out twice: the tasks that may run only on CPUs of T have no more than T's
//!   capacity. By the max-flow min-cut theorem this is what it takes to place the tasks' time on their CPUs.
//!
//! The entitlement is the end of this filling. All tasks start at 0 and grow at once; the whole grows at
//! speed 1. The speed of the root, and of every group, is divided among those of its members (tasks and child
//! groups) that still grow, in proportion to their weights. A task stops for good when it has its demand,
//! when a quota above it is used up, or when it is in a set of tasks that has all the CPU time its CPUs have.
//! A group stops growing when no task in it grows; what it leaves goes to its siblings, and only when none of
//! them grows, to the siblings of its parent. The filling ends when nobody grows.
//!
//! Speeds change only when somebody stops, so each claim grows in straight pieces, and the result is unique.
//!
//! # Why this one
//!
//! - In one group it is the weighted max-min fair point of the feasible set: raise x = λw together, stop who
//!   meets a limit (Bertsekas and Gallager, Data Networks, 6.5.2; for sets of this kind, polymatroids,
//!   Megiddo 1974). Without affinity and quotas that is the weight readjustment of Surplus Fair Scheduling
//!   (Chandra et al., OSDI 2000).
//! - Without affinity it is filling from the top: members share what their group has by weight, and a group
//!   can take min(Σ of what its members can take, quota). One currency is worth what it is backed with, as in
//!   lottery scheduling; a cgroup is a currency.
//! - With both, a group's weight goes where its tasks can still run. That is what the kernel does with the
//!   shares of a task group (`calc_group_shares`: to each CPU in proportion to the group's load there). Two
//!   CPUs, equal weights, group A with a on CPU 0 and a′ on any, group B with b on CPU 0: while a′ grows too,
//!   a has half of A's weight, so a ⅓, b ⅔, a′ 1, and the kernel comes to the same. The other way to read
//!   "from the top", to make the groups' sums as equal as possible before looking into them, gives a nothing
//!   (A has its 1 from a′ alone): no kernel does that and no user would call it fair.
//!
//! Where the kernel differs: it moves a group's weight by load averages, with a delay, and does not take it
//! away from a task that has a CPU to itself, so that a group whose one task is full lifts its other tasks
//! less than here; and a quota is handed to CPUs in slices.
//!
//! # Properties
//!
//! - Nobody can be given more without taking from another. Without quotas, or without affinity, the sum is
//!   also the largest possible. (With both it need not be: a in a group of quota 1 CPU with b, a on CPU 0
//!   with c, b alone on CPU 1. To use both CPUs a would have to get nothing.)
//! - Only ratios of weights among siblings matter. The order of claims, groups and sets does not.
//! - Of two claims with the same group, weight and CPU set, the one that asks for more gets no less; if both
//!   ask for the same, they get the same.
//! - More weight never gets a task less.
//! - Feasible in total is not always feasible in time: capacities are sums over the interval, and if
//!   real-time tasks held both CPUs at the same moments, a single task could not have had all that it is
//!   granted here.
//!
//! # Cost and error
//!
//! Claims of one group with one CPU set stand at one level and are sorted once, O(n log n). Each time a set
//! of CPUs is full costs a few evaluations of the tree, O(groups × CPU sets × log n), each with a flow
//! through the network of distinct CPU sets, and one pass over the claims of the groups concerned. Without
//! affinity that happens once.
//!
//! Arithmetic is f64 over exact integer sums. [`tolerance_ns`] bounds the error of each share.

mod bucket;
mod demand;
mod filling;
mod flat;
mod group_rule;
mod network;
mod share;
#[cfg(test)]
mod tests;
mod tree;

pub use crate::cpu_set::CpuSet;
pub use demand::{Claim, CpuSetId, Demand, DemandError, Group, GroupId};
pub use flat::Flat;
pub use group_rule::{GroupLoad, GroupRule, Level, MOST_WEIGHT, UnknownRule, effective_weight};
pub use share::{Bound, Entitlement, Share};

use std::sync::atomic::AtomicBool;

/// Divides the CPU time of an interval.
///
/// # Errors
/// [`DemandError`] if the demand contradicts itself: an index that leads nowhere, a weight of 0, a cycle of
/// groups.
///
/// # Panics
/// If the result would break one of the sums it must keep; see [`Entitlement`].
pub fn entitle(demand: &Demand) -> Result<Entitlement, DemandError> {
    static NEVER: AtomicBool = AtomicBool::new(false);
    Ok(entitle_unless(demand, &NEVER)?.expect("nothing has ended it"))
}

/// The same, unless `ended` is set before it is done: of many groups and CPU sets it may take long.
///
/// # Errors
/// As [`entitle`].
///
/// # Panics
/// As [`entitle`].
pub fn entitle_unless(demand: &Demand, ended: &AtomicBool) -> Result<Option<Entitlement>, DemandError> {
    let top_down = demand.top_down()?;
    let filling = filling::fill(demand, &top_down, ended);
    Ok(filling.map(|filling| Entitlement::read(demand, &top_down, &filling)))
}

/// The most by which a share can differ from the exact division: 10⁻⁹ of the whole capacity or of the
/// interval, whichever is more. That is 5 ns for a CPU over 5 s; in the tests no case comes near it.
pub fn tolerance_ns(demand: &Demand) -> f64 {
    1e-9 * (demand.total_capacity_ns() as f64).max(demand.length_ns as f64)
}
