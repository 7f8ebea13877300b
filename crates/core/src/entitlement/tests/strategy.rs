//! Random demands.

use crate::entitlement::{Claim, CpuSet, CpuSetId, Demand, Group, GroupId};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

/// What a random demand may contain.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    pub(super) tasks: usize,
    pub(super) groups: usize,
    pub(super) cpus: usize,
    pub(super) affinity: bool,
    pub(super) quotas: bool,
}

pub(super) const FLAT: Shape = Shape { tasks: 8, groups: 0, cpus: 4, affinity: false, quotas: false };
pub(super) const GROUPS: Shape = Shape { groups: 5, quotas: true, ..FLAT };
pub(super) const AFFINITY: Shape = Shape { affinity: true, ..FLAT };
pub(super) const BOTH: Shape = Shape { groups: 5, affinity: true, ..FLAT };
pub(super) const ALL: Shape = Shape { quotas: true, ..BOTH };

/// Small numbers, so that several limits are often met at one moment; sometimes the weights of the kernel's
/// table and lengths that divide nothing.
fn weight() -> impl Strategy<Value = u64> {
    prop_oneof![4 => 1u64..=6, 1 => prop::sample::select(vec![3u64, 15, 335, 1024, 3121, 88761])]
}

fn amount(length_ns: u64) -> impl Strategy<Value = u64> {
    prop_oneof![
        2 => Just(length_ns),
        2 => (0u64..=12).prop_map(move |twelfths| length_ns / 12 * twelfths),
        1 => 0..=length_ns,
    ]
}

pub(super) fn demand(shape: Shape) -> impl Strategy<Value = Demand> {
    let length_ns = prop_oneof![Just(12u64), Just(1_200_000_000), Just(999_999_937)];
    (length_ns, 1..=shape.cpus).prop_flat_map(move |(length_ns, cpus)| {
        let sets = if shape.affinity { 1..=5usize } else { 1..=1 };
        let set = vec(any::<bool>(), cpus).prop_map(move |member| {
            (0u32..)
                .zip(&member)
                .filter(|(_, in_it)| !shape.affinity || **in_it)
                .map(|(cpu, _)| cpu)
                .collect()
        });
        let parents = vec((any::<prop::sample::Index>(), option::weighted(0.6, Just(()))), 0..=shape.groups);
        let quota = option::weighted(0.4, amount(length_ns)).prop_map(move |q| q.filter(|_| shape.quotas));
        (
            vec(amount(length_ns), cpus),
            vec(set, sets),
            parents,
            vec((weight(), quota), shape.groups),
            vec(
                (weight(), amount(length_ns), any::<prop::sample::Index>(), any::<prop::sample::Index>()),
                0..=shape.tasks,
            ),
        )
            .prop_map(move |(capacity, sets, parents, attributes, tasks)| {
                build(length_ns, &capacity, sets, &parents, &attributes, &tasks)
            })
    })
}

type Pick = prop::sample::Index;

fn build(
    length_ns: u64,
    capacity: &[u64],
    cpu_sets: Vec<CpuSet>,
    parents: &[(Pick, Option<()>)],
    attributes: &[(u64, Option<u64>)],
    tasks: &[(u64, u64, Pick, Pick)],
) -> Demand {
    let groups: Vec<Group> = parents
        .iter()
        .zip(attributes)
        .enumerate()
        .map(|(index, ((parent, nested), &(weight, quota_ns)))| {
            let parent = (nested.is_some() && index > 0).then(|| GroupId(parent.index(index)));
            Group { parent, weight, quota_ns }
        })
        .collect();
    let claims = tasks
        .iter()
        .map(|(weight, demand_ns, group, set)| {
            let group = group.index(groups.len() + 1).checked_sub(1).map(GroupId);
            Claim { weight: *weight, demand_ns: *demand_ns, group, cpus: CpuSetId(set.index(cpu_sets.len())) }
        })
        .collect();
    let capacity_ns = (0u32..).zip(capacity.iter().copied()).collect();
    Demand { length_ns, capacity_ns, cpu_sets, groups, claims }
}
