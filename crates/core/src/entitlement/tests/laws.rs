//! What holds for every division, whatever the numbers.

use super::agreement::float;
use super::oracle::largest_sum;
use super::strategy::{AFFINITY, ALL, BOTH, FLAT, GROUPS, Shape, demand};
use crate::entitlement::{CpuSet, Demand, Entitlement, GroupId, entitle, tolerance_ns};
use proptest::prelude::*;

fn solve(demand: &Demand) -> Entitlement {
    entitle(demand).expect("valid")
}

/// Far below what is promised.
fn close(demand: &Demand) -> f64 {
    tolerance_ns(demand) / 1000.0 + 1e-6
}

/// Every set of the listed CPUs.
fn cpu_subsets(demand: &Demand) -> impl Iterator<Item = CpuSet> + '_ {
    let cpus: Vec<u32> = demand.capacity_ns.keys().copied().collect();
    (0u32..1 << cpus.len())
        .map(move |t| cpus.iter().enumerate().filter(|(b, _)| t >> b & 1 == 1).map(|(_, &c)| c).collect())
}

/// What those have together that may run nowhere but on these CPUs.
fn given_within(demand: &Demand, result: &Entitlement, cpus: &CpuSet) -> f64 {
    let claims = demand.claims.iter().zip(&result.claims);
    claims.filter(|(c, _)| demand.cpu_sets[c.cpus.0].is_subset(cpus)).map(|(_, s)| s.entitled_ns).sum()
}

fn is_in(demand: &Demand, claim: usize, group: usize) -> bool {
    std::iter::successors(demand.claims[claim].group, |g| demand.groups[g.0].parent).any(|g| g.0 == group)
}

/// Cases with more of everything than the exact method can do.
const LARGE: Shape = Shape { tasks: 60, groups: 20, cpus: 8, affinity: true, quotas: true };
const LARGE_ONE_GROUP: Shape = Shape { groups: 0, quotas: false, ..LARGE };

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nobody_gets_what_is_not_there(demand in prop_oneof![demand(ALL), demand(LARGE)]) {
        let result = solve(&demand);
        for (claim, share) in demand.claims.iter().zip(&result.claims) {
            prop_assert!((0.0..=demand.most_ns(claim) as f64).contains(&share.entitled_ns));
        }
        for (index, group) in demand.groups.iter().enumerate() {
            let members = (0..demand.claims.len()).filter(|&c| is_in(&demand, c, index));
            let sum: f64 = members.map(|c| result.claims[c].entitled_ns).sum();
            prop_assert!((result.groups[index].entitled_ns - sum).abs() <= close(&demand));
            prop_assert!(group.quota_ns.is_none_or(|q| sum <= q as f64 + close(&demand)));
        }
        for cpus in cpu_subsets(&demand) {
            let has = demand.capacity_of(&cpus) as f64;
            prop_assert!(given_within(&demand, &result, &cpus) <= has + close(&demand), "on CPUs {cpus}");
        }
    }

    #[test]
    fn no_time_is_left_that_somebody_could_use(
        demand in prop_oneof![demand(FLAT), demand(AFFINITY), demand(BOTH), demand(LARGE_ONE_GROUP)]
    ) {
        let (sum, largest) = (solve(&demand).total_ns(), float(&largest_sum(&demand)));
        prop_assert!((sum - largest).abs() <= close(&demand), "{sum} of {largest}");
    }

    #[test]
    fn with_quotas_nobody_can_grow_alone(demand in prop_oneof![demand(ALL), demand(LARGE)]) {
        let result = solve(&demand);
        for (index, (claim, share)) in demand.claims.iter().zip(&result.claims).enumerate() {
            let at_most = share.entitled_ns >= demand.most_ns(claim) as f64 - close(&demand);
            let at_quota = demand.groups.iter().enumerate().any(|(g, group)| {
                is_in(&demand, index, g)
                    && group.quota_ns.is_some_and(|q| result.groups[g].entitled_ns >= q as f64 - close(&demand))
            });
            let mine = &demand.cpu_sets[claim.cpus.0];
            let at_cpus = cpu_subsets(&demand).filter(|cpus| mine.is_subset(cpus)).any(|cpus| {
                given_within(&demand, &result, &cpus) >= demand.capacity_of(&cpus) as f64 - close(&demand)
            });
            prop_assert!(at_most || at_quota || at_cpus, "claim {index} could have more");
        }
    }

    /// The other definition of max-min fairness (Bertsekas and Gallager): who is short has a bottleneck, a
    /// full set of CPUs in which nobody has more for his weight.
    #[test]
    fn in_one_group_who_is_short_has_a_bottleneck(
        demand in prop_oneof![demand(FLAT), demand(AFFINITY), demand(LARGE_ONE_GROUP)]
    ) {
        let result = solve(&demand);
        let level = |c: usize| result.claims[c].entitled_ns / demand.claims[c].weight as f64;
        for (index, claim) in demand.claims.iter().enumerate() {
            let mine = &demand.cpu_sets[claim.cpus.0];
            let short = result.claims[index].entitled_ns < demand.most_ns(claim) as f64 - close(&demand);
            let bottleneck = |cpus: &CpuSet| {
                let full = given_within(&demand, &result, cpus) >= demand.capacity_of(cpus) as f64 - close(&demand);
                let inside = |c: &usize| demand.cpu_sets[demand.claims[*c].cpus.0].is_subset(cpus);
                full && mine.is_subset(cpus)
                    && (0..demand.claims.len()).filter(inside).all(|c| level(c) <= level(index) + close(&demand))
            };
            prop_assert!(!short || cpu_subsets(&demand).any(|cpus| bottleneck(&cpus)), "claim {index}");
        }
    }

    #[test]
    fn more_weight_is_never_less_time(
        demand in prop_oneof![demand(GROUPS), demand(AFFINITY), demand(ALL), demand(LARGE)],
        who in any::<prop::sample::Index>(),
        more in 1u64..2000,
    ) {
        prop_assume!(!demand.claims.is_empty());
        let who = who.index(demand.claims.len());
        let mut raised = demand.clone();
        raised.claims[who].weight += more;
        let (before, after) = (solve(&demand).claims[who].entitled_ns, solve(&raised).claims[who].entitled_ns);
        prop_assert!(after >= before - close(&demand), "{before} became {after}");
    }

    #[test]
    fn only_ratios_among_siblings_matter(
        demand in prop_oneof![demand(ALL), demand(LARGE)],
        factors in proptest::collection::vec(1u64..1000, 21),
    ) {
        let mut scaled = demand.clone();
        let factor = |parent: Option<GroupId>| factors[parent.map_or(0, |g| g.0 + 1)];
        for claim in &mut scaled.claims {
            claim.weight *= factor(claim.group);
        }
        for group in &mut scaled.groups {
            group.weight *= factor(group.parent);
        }
        let (plain, scaled) = (solve(&demand), solve(&scaled));
        for (a, b) in plain.claims.iter().zip(&scaled.claims) {
            prop_assert!((a.entitled_ns - b.entitled_ns).abs() <= close(&demand));
            prop_assert_eq!(a.bound, b.bound);
        }
    }

    #[test]
    fn order_does_not_matter(
        (demand, claims, groups, sets) in prop_oneof![demand(ALL), demand(LARGE)].prop_flat_map(|d| {
            let order = |n: usize| Just((0..n).collect::<Vec<_>>()).prop_shuffle();
            let orders = (order(d.claims.len()), order(d.groups.len()), order(d.cpu_sets.len()));
            (Just(d), orders.0, orders.1, orders.2)
        })
    ) {
        // `claims[k]` is the old place of the claim that comes to place k; the others likewise.
        let mut shuffled = demand.clone();
        let place = |order: &[usize], old: usize| order.iter().position(|&o| o == old).expect("a permutation");
        shuffled.cpu_sets = sets.iter().map(|&old| demand.cpu_sets[old].clone()).collect();
        shuffled.groups = groups.iter().map(|&old| demand.groups[old]).collect();
        for group in &mut shuffled.groups {
            group.parent = group.parent.map(|g| GroupId(place(&groups, g.0)));
        }
        shuffled.claims = claims.iter().map(|&old| demand.claims[old]).collect();
        for claim in &mut shuffled.claims {
            claim.group = claim.group.map(|g| GroupId(place(&groups, g.0)));
            claim.cpus.0 = place(&sets, claim.cpus.0);
        }
        let (plain, shuffled) = (solve(&demand), solve(&shuffled));
        for (new, &old) in claims.iter().enumerate() {
            let (a, b) = (plain.claims[old].entitled_ns, shuffled.claims[new].entitled_ns);
            prop_assert!((a - b).abs() <= close(&demand), "{a} became {b}");
        }
    }

    /// A claim envies another of its group if it has no more weight, asks for no more and may run nowhere
    /// else, and has more: with equal attributes this says both have the same.
    #[test]
    fn nobody_envies_an_equal(demand in prop_oneof![demand(ALL), demand(LARGE)]) {
        let result = solve(&demand);
        for (mine, a) in demand.claims.iter().zip(&result.claims) {
            for (other, b) in demand.claims.iter().zip(&result.claims) {
                let stronger = mine.group == other.group
                    && mine.weight >= other.weight
                    && demand.most_ns(mine) >= demand.most_ns(other)
                    && demand.cpu_sets[other.cpus.0].is_subset(&demand.cpu_sets[mine.cpus.0]);
                prop_assert!(!stronger || a.entitled_ns >= b.entitled_ns - close(&demand));
            }
        }
    }
}

fn wild() -> impl Strategy<Value = u64> {
    prop_oneof![1u64..10, 1u64..100_000, 1u64..=u64::MAX, Just(u64::MAX), Just(u64::MAX / 3)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    /// The sums that every division must keep are asserted by `entitle` itself.
    #[test]
    fn numbers_of_any_size_keep_the_sums(
        demand in demand(LARGE),
        weights in proptest::collection::vec(wild(), 80),
        amounts in proptest::collection::vec(wild(), 100),
        length_ns in wild(),
    ) {
        let mut demand = Demand { length_ns, ..demand };
        let (mut weights, mut amounts) = (weights.into_iter().cycle(), amounts.into_iter().cycle());
        for capacity_ns in demand.capacity_ns.values_mut() {
            *capacity_ns = amounts.next().expect("a cycle");
        }
        for group in &mut demand.groups {
            group.weight = weights.next().expect("a cycle");
            group.quota_ns = group.quota_ns.and(amounts.next());
        }
        for claim in &mut demand.claims {
            claim.weight = weights.next().expect("a cycle");
            claim.demand_ns = amounts.next().expect("a cycle");
        }
        let result = solve(&demand);
        for (claim, share) in demand.claims.iter().zip(&result.claims) {
            prop_assert!((0.0..=demand.most_ns(claim) as f64).contains(&share.entitled_ns));
        }
        for cpus in cpu_subsets(&demand) {
            let has = demand.capacity_of(&cpus) as f64;
            prop_assert!(given_within(&demand, &result, &cpus) <= has + tolerance_ns(&demand), "on CPUs {cpus}");
        }
    }
}
