use crate::engine::{Simulation, Slice};
use crate::policy::PolicyKind;
use crate::predict::lottery_shares;
use crate::scenario::Scenario;
use std::fmt::Write;
use tombola_core::statistics::{chi_square, geometric_waits, lag1_autocorrelation, pair_independence, waits};

/// p-values below this fail: with fixed seeds a right policy is not rejected by chance.
const REJECT: f64 = 1e-6;
/// Draws: enough to detect a missing previous task (853 at α = .001) many times over.
const DRAWS: u64 = 40_000;

fn burners(tickets: &[u64], cpus: u32) -> Scenario {
    let mut text =
        format!("name='burners'\ncpus={cpus}\nquantum='1ms'\nduration='{}ms'\n", DRAWS / u64::from(cpus));
    for (i, t) in tickets.iter().enumerate() {
        let _ = write!(text, "[[task]]\nname='{i}'\ntickets={t}\n");
    }
    Scenario::from_toml(&text).unwrap()
}

/// Who won each draw, in order of time.
fn winners(scenario: &Scenario, policy: PolicyKind, seed: u64) -> Vec<usize> {
    let mut winners = Vec::new();
    let mut simulation = Simulation::new(scenario, policy, seed, 0);
    simulation.observe(Box::new(|slice: &Slice| winners.push(slice.task)));
    simulation.run_until(scenario.duration_ns).unwrap();
    simulation.finish();
    drop(simulation);
    winners
}

fn counts(winners: &[usize], n: usize) -> Vec<u64> {
    let mut counts = vec![0; n];
    for winner in winners {
        counts[*winner] += 1;
    }
    counts
}

/// The least p-value of all tests of a lottery on one CPU.
fn least_p(policy: PolicyKind, tickets: &[u64], seed: u64) -> f64 {
    let winners = winners(&burners(tickets, 1), policy, seed);
    let total: u64 = tickets.iter().sum();
    let mut p = chi_square(&counts(&winners, tickets.len()), tickets).unwrap().p_value;
    p = p.min(pair_independence(&winners).map_or(1.0, |fit| fit.p_value));
    for (client, t) in tickets.iter().enumerate() {
        let indicator = winners.iter().map(|w| f64::from(u8::from(*w == client)));
        p = p.min(lag1_autocorrelation(indicator).map_or(1.0, |test| test.p_value));
        let fit = geometric_waits(&waits(&winners, &client), *t as f64 / total as f64);
        p = p.min(fit.map_or(1.0, |fit| fit.p_value));
    }
    p
}

const LOTTERIES: [PolicyKind; 5] = [
    PolicyKind::Lottery,
    PolicyKind::LotteryTree,
    PolicyKind::LotteryList,
    PolicyKind::LotteryInverse,
    PolicyKind::LotteryKernel,
];

#[test]
fn draws_are_in_proportion_and_independent() {
    for policy in LOTTERIES {
        for tickets in [&[3, 1][..], &[3, 2, 1], &[10, 1, 1, 1], &[1; 12]] {
            let p = least_p(policy, tickets, 11);
            assert!(p > REJECT, "{policy} {tickets:?}: p = {p:e}");
        }
    }
}

/// What must not pass: the same tests on wrong lotteries, and on schedulers that give the right shares
/// without chance. More tickets than the kernel's integers hold: 4:1 stays 4:1, in whole parts or rounded,
/// and nobody calls it wrong.
#[test]
fn too_many_tickets_for_the_kernel_are_scaled_down() {
    for unit in [1u64 << 21, (1 << 30) + 7] {
        assert!(least_p(PolicyKind::LotteryKernel, &[4 * unit, unit], 1) > REJECT);
        assert!(least_p(PolicyKind::LotteryKernel, &[4 * unit + 1, unit], 1) > REJECT);
    }
}

#[test]
fn wrong_lotteries_are_rejected() {
    let controls = [
        PolicyKind::LotteryNoPrevious,
        PolicyKind::LotteryUniformKeys,
        PolicyKind::LotteryNoOffset,
        PolicyKind::Stride,
        PolicyKind::RoundRobin,
    ];
    for policy in controls {
        let p = least_p(policy, &[3, 2, 1], 11);
        assert!(p < REJECT, "{policy} was not detected: p = {p:e}");
    }
}

#[test]
fn linear_tickets_are_rejected() {
    let text =
        "name='x'\nquantum='1ms'\nduration='40s'\n[[task]]\nname='a'\nnice=0\n[[task]]\nname='b'\nnice=5\n";
    let scenario = Scenario::from_toml(text).unwrap();
    let weights: Vec<u64> = scenario.tasks.iter().map(|t| t.tickets).collect();
    let p = |policy| chi_square(&counts(&winners(&scenario, policy, 5), 2), &weights).unwrap().p_value;
    assert!(p(PolicyKind::Lottery) > REJECT);
    assert!(p(PolicyKind::LotteryLinear) < REJECT);
}

/// Shares on several CPUs against the product law. Draws of one chain are not independent (a task that runs
/// stays out of the others' draws), so the tolerance is a plain one: 3 % of the whole.
#[test]
fn two_and_three_cpus_follow_the_product_law() {
    for policy in LOTTERIES {
        for cpus in [2, 3] {
            let tickets = [5, 3, 2, 1, 1];
            let scenario = burners(&tickets, cpus);
            let ran = counts(&winners(&scenario, policy, 3), tickets.len());
            let total: u64 = ran.iter().sum();
            for (got, want) in ran.iter().zip(lottery_shares(&scenario, policy).unwrap()) {
                assert!((*got as f64 / total as f64 - want).abs() < 0.01, "{policy} {cpus}: {ran:?} {want}");
            }
        }
    }
}

/// Two CPUs; A anywhere, B and C on CPU 0. A lottery at each CPU among those it may serve, A not in two
/// places: the chain of redraws, CPU by CPU, solved by hand. On CPU 0 the redraw is among A (if it is not on
/// CPU 1), B and C; on CPU 1 only A may run. Once A is on CPU 1 it stays; so A has CPU 1, and B and C share
/// CPU 0 by tickets.
#[test]
fn affinity_is_exact() {
    let text = "name='x'\ncpus=2\nquantum='1ms'\nduration='40s'\n[[task]]\nname='A'\ntickets=1\ncpus=[0,1]\n\
        [[task]]\nname='B'\ntickets=3\ncpus=[0]\n[[task]]\nname='C'\ntickets=1\ncpus=[0]\n";
    let scenario = Scenario::from_toml(text).unwrap();
    for policy in LOTTERIES {
        let ran = counts(&winners(&scenario, policy, 3), 3);
        let p = chi_square(&ran[1..], &[3, 1]).unwrap().p_value;
        assert!(p > REJECT && ran[0] > 39_900, "{policy}: {ran:?}");
    }
}

/// Two affinity classes that overlap on both CPUs, with more tasks than one: here the races, the tree and the
/// list must agree, and only the list is plain enough to be believed by reading it.
#[test]
fn the_draws_agree_on_mixed_affinity_and_nested_groups() {
    let text = r#"
name = "x"
cpus = 3
quantum = "1ms"
duration = "60s"
[[group]]
name = "g"
weight = 5
[[group]]
name = "h"
parent = "g"
weight = 2
[[task]]
name = "a"
tickets = 4
group = "g"
cpus = [0, 1]
[[task]]
name = "b"
tickets = 3
group = "h"
[[task]]
name = "c"
tickets = 1
group = "h"
cpus = [1, 2]
run = "exp(700us)"
sleep = "exp(2ms)"
[[task]]
name = "d"
count = 3
tickets = 2
cpus = [1, 2]
[[task]]
name = "e"
tickets = 6
cpus = [0]
run = "exp(3ms)"
sleep = "exp(1ms)"
[[task]]
name = "f"
tickets = 2
"#;
    let scenario = Scenario::from_toml(text).unwrap();
    let shares = |policy| {
        let mut simulation = Simulation::new(&scenario, policy, 8, 0);
        simulation.run_until(scenario.duration_ns).unwrap();
        simulation.outcome().tasks.iter().map(|t| t.share).collect::<Vec<f64>>()
    };
    let list = shares(PolicyKind::LotteryList);
    for policy in [PolicyKind::Lottery, PolicyKind::LotteryTree, PolicyKind::LotteryKernel] {
        for (got, want) in shares(policy).iter().zip(&list) {
            assert!((got - want).abs() < 0.006, "{policy}: {got} against {want} of {list:?}");
        }
    }
}
