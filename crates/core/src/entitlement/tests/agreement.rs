//! The solver against exact fractions.

use super::oracle;
use super::strategy::{AFFINITY, ALL, BOTH, FLAT, GROUPS, Shape, demand};
use crate::entitlement::{Bound, Demand, entitle};
use num_rational::BigRational;
use proptest::prelude::*;

/// As an f64, with one rounding.
pub(super) fn float(exact: &BigRational) -> f64 {
    let scaled = exact * BigRational::from_integer((1u64 << 20).into());
    let whole: i128 = scaled.round().to_integer().to_string().parse().expect("small numbers");
    whole as f64 / f64::from(1 << 20)
}

/// A thousandth of what is promised.
fn close(demand: &Demand) -> f64 {
    crate::entitlement::tolerance_ns(demand) / 1000.0 + 1e-6
}

fn agrees(demand: &Demand) -> Result<(), TestCaseError> {
    let (fast, slow) = (entitle(demand).expect("valid"), oracle::solve(demand));
    for (claim, (share, exact)) in fast.claims.iter().zip(&slow.given).enumerate() {
        let error = (share.entitled_ns - float(exact)).abs();
        prop_assert!(error <= close(demand), "claim {claim}: {} instead of {exact}", share.entitled_ns);
        prop_assert!(
            slow.why[claim].agrees(share.bound),
            "claim {claim}: {:?} instead of {:?}",
            share.bound,
            slow.why[claim]
        );
        if let Bound::Cpus(cut) = share.bound {
            let mine = demand.claims[claim].cpus.0;
            let usable = |cpu: &u32| demand.capacity_ns.get(cpu).is_some_and(|&ns| ns > 0);
            prop_assert!(
                demand.cpu_sets[mine].iter().filter(usable).all(|cpu| fast.full_cpus[cut].contains(cpu)),
                "claim {claim} is bound by CPUs {} and may use {}",
                fast.full_cpus[cut],
                demand.cpu_sets[mine]
            );
        }
    }
    for cpus in &fast.full_cpus {
        let inside = |c: &&crate::entitlement::Claim| {
            demand.cpu_sets[c.cpus.0]
                .iter()
                .all(|cpu| cpus.contains(cpu) || demand.capacity_ns.get(&cpu).is_none_or(|&ns| ns == 0))
        };
        let given: f64 = demand
            .claims
            .iter()
            .zip(&fast.claims)
            .filter(|(c, _)| inside(c))
            .map(|(_, share)| share.entitled_ns)
            .sum();
        let has = demand.capacity_of(cpus) as f64;
        prop_assert!(
            (given - has).abs() <= close(demand),
            "CPUs {cpus} are called full with {given} of {has}"
        );
    }
    Ok(())
}

fn check(cases: u32, shape: Shape) {
    let config = ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() };
    let mut runner = proptest::test_runner::TestRunner::new(config);
    runner.run(&demand(shape), |d| agrees(&d)).unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn flat() {
    check(1000, FLAT);
}

#[test]
fn groups_and_quotas() {
    check(1500, GROUPS);
}

#[test]
fn affinity() {
    check(1500, AFFINITY);
}

#[test]
fn groups_and_affinity() {
    check(1500, BOTH);
}

#[test]
fn groups_affinity_and_quotas() {
    check(1500, ALL);
}
