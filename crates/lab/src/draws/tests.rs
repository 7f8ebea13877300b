use super::*;
use crate::compare::{Plan, compare};
use crate::library;
use crate::outcome::Observe;
use crate::policy::PolicyKind;
use crate::scenario::Scenario;
use crate::watched::{Watched, compensation_of};
use std::sync::atomic::AtomicBool;

const LOTTERIES: [PolicyKind; 4] =
    [PolicyKind::Lottery, PolicyKind::LotteryTree, PolicyKind::LotteryList, PolicyKind::LotteryUncompensated];
const CONTROLS: [PolicyKind; 4] = [
    PolicyKind::LotteryNoPrevious,
    PolicyKind::LotteryUniformKeys,
    PolicyKind::LotteryNoOffset,
    PolicyKind::LotteryLinear,
];

/// The judgement on each policy that can be judged.
fn judged(text: &str, policies: &[PolicyKind], runs: u32) -> Vec<(PolicyKind, Option<Judgement>)> {
    let scenario = Scenario::from_toml(text).unwrap();
    let plan = Plan {
        scenario: &scenario,
        policies: policies.to_vec(),
        runs,
        seed: 21,
        jobs: 2,
        observe: Observe::default(),
    };
    let comparison = compare(&plan, &|_| (), &AtomicBool::new(false));
    comparison.policies.into_iter().map(|(policy, result)| (policy, result.unwrap().draws)).collect()
}

fn right_ones_pass(text: &str, runs: u32) {
    for (policy, judgement) in judged(text, &LOTTERIES, runs) {
        let judgement = judgement.unwrap();
        let p = judgement.p_value().unwrap();
        assert!(p > REJECT && !judgement.is_rejected(), "{policy}: {judgement:?}");
        assert!(judgement.draws > 1000 && judgement.unjudged == 0, "{policy}: {judgement:?}");
        let (won, due): (Vec<u64>, Vec<f64>) = judgement.wins.iter().copied().unzip();
        let draws = judgement.draws as f64;
        assert_eq!(won.iter().sum::<u64>(), judgement.draws);
        assert!((due.iter().sum::<f64>() / draws - 1.0).abs() < 1e-9, "chances add up to 1: {due:?}");
    }
}

fn wrong_ones_are_rejected(text: &str, runs: u32, controls: &[PolicyKind]) {
    for (policy, judgement) in judged(text, controls, runs) {
        let judgement = judgement.unwrap();
        assert!(judgement.is_rejected() && judgement.p_value().unwrap() < 1e-6, "{policy}: {judgement:?}");
    }
}

/// Tickets differ by nice, so that the linear scale is wrong too.
const BURNERS: &str = "name='x'\nquantum='1ms'\nduration='20s'\n[[task]]\nname='a'\nnice=0\n[[task]]\nname='b'\nnice=3\n\
    [[task]]\nname='c'\nnice=5\n";

#[test]
fn the_steady_case() {
    right_ones_pass(BURNERS, 2);
    wrong_ones_are_rejected(BURNERS, 2, &CONTROLS);
    for (_, judgement) in judged(BURNERS, &LOTTERIES, 2) {
        let judgement = judgement.unwrap();
        let all = [
            judgement.shares,
            judgement.pairs,
            judgement.autocorrelation,
            judgement.repeats,
            judgement.waits,
        ];
        assert!(all.iter().all(Option::is_some), "{judgement:?}");
    }
}

/// Two CPUs, tasks that sleep, compensation, nested groups, mixed affinity, and a quota.
const VARYING: &str = "name='x'\ncpus=2\nquantum='1ms'\nduration='10s'\n\
    [[group]]\nname='g'\nweight=900\nquota='15ms'\nperiod='20ms'\n[[group]]\nname='h'\nparent='g'\nweight=500\n\
    [[task]]\nname='a'\nnice=0\n[[task]]\nname='b'\nnice=3\ncount=2\nrun='exp(400us)'\nsleep='exp(2ms)'\n\
    [[task]]\nname='c'\nnice=5\ncpus=[1]\n[[task]]\nname='d'\ngroup='g'\nnice=2\n\
    [[task]]\nname='e'\ngroup='h'\nnice=1\nrun='exp(3ms)'\nsleep='exp(4ms)'\n[[task]]\nname='f'\ngroup='h'\nnice=8\n";

#[test]
fn where_the_candidates_change() {
    right_ones_pass(VARYING, 3);
    wrong_ones_are_rejected(VARYING, 3, &CONTROLS);
    assert!(judged(VARYING, &[PolicyKind::Lottery], 1)[0].1.as_ref().unwrap().pairs.is_none());
}

/// Many short runs: waits that the end cuts off must not be lost, or the short ones would seem too many.
#[test]
fn what_the_end_cuts_off_is_counted() {
    let text = "name='x'\nquantum='1ms'\nduration='40ms'\n[[task]]\nname='a'\ntickets=9\n[[task]]\nname='b'\ntickets=1\n";
    right_ones_pass(text, 2000);
}

/// Each half of compensation is a fault of its own: a lottery without it is judged by a law with it, and is
/// rejected.
#[test]
fn the_law_knows_compensation() {
    let text = "name='x'\nquantum='5ms'\nduration='200s'\n[[task]]\nname='a'\n[[task]]\nname='b'\nrun='1ms'\nsleep='1ms'\n";
    let scenario = Scenario::from_toml(text).unwrap();
    let judge = |policy: PolicyKind, law: PolicyKind| {
        let mut simulation = crate::engine::Simulation::custom(&scenario, 4, 0, |machine| {
            let rng = crate::machine::stream(4, 0, u32::MAX);
            Box::new(Watched::new(
                machine,
                crate::policy::build(policy, machine, &scenario),
                compensation_of(law),
                rng,
            ))
        });
        simulation.run_until(scenario.duration_ns).unwrap();
        simulation.outcome().draws.unwrap().judge()
    };
    for (policy, law, rejected) in [
        (PolicyKind::Lottery, PolicyKind::Lottery, false),
        (PolicyKind::LotteryUncompensated, PolicyKind::LotteryUncompensated, false),
        (PolicyKind::Lottery, PolicyKind::LotteryUncompensated, true),
        (PolicyKind::LotteryUncompensated, PolicyKind::Lottery, true),
    ] {
        let judgement = judge(policy, law);
        assert_eq!(judgement.is_rejected(), rejected, "{policy} by the law of {law}: {judgement:?}");
    }
}

/// The kernel's integers compensate 1024-fold at most. With a slice of 3,000 bursts that is its law, and it
/// is judged by it.
#[test]
fn the_kernel_is_judged_by_the_compensation_that_it_has() {
    let text = "name='x'\nquantum='3s'\nduration='20s'\n[[task]]\nname='a'\nrun='1ms'\nsleep='1ms'\n\
        [[task]]\nname='b'\ncount=2\nrun='exp(20ms)'\nsleep='1ms'\n";
    for (policy, judgement) in judged(text, &[PolicyKind::Lottery, PolicyKind::LotteryKernel], 20) {
        let judgement = judgement.unwrap();
        assert!(judgement.draws > 1000 && !judgement.is_rejected(), "{policy}: {judgement:?}");
    }
}

/// Tickets from 1 to 2^50 in one scenario: what a client expects is a sum of its own parts, not the
/// difference of two sums beside which it is nothing. Chances add up to 1 in every draw, wherever the tickets
/// are.
#[test]
fn tickets_of_any_size_are_judged_beside_each_other() {
    let head =
        "name='x'\ncpus=2\nquantum='1ms'\nduration='4s'\n[[group]]\nname='g'\nweight=1125899906842624\n";
    let burners = "[[task]]\nname='x'\ncount=4\ntickets=1\n[[task]]\nname='y'\ntickets=3\n";
    for rich in [
        "[[task]]\nname='a'\ngroup='g'\nrun='300us'\nsleep='1ns'\n",
        "[[task]]\nname='a'\ntickets=70368744177664\nrun='300us'\nsleep='exp(1ms)'\n",
        "[[task]]\nname='a'\ntickets=70368744177664\nrun='exp(1us)'\nsleep='exp(1ms)'\n",
    ] {
        let right = [
            PolicyKind::Lottery,
            PolicyKind::LotteryTree,
            PolicyKind::LotteryList,
            PolicyKind::LotteryInverse,
        ];
        for (policy, judgement) in judged(&format!("{head}{burners}{rich}"), &right, 3) {
            let judgement = judgement.unwrap();
            assert!(judgement.draws > 1000 && !judgement.is_rejected(), "{policy}: {rich}: {judgement:?}");
            let due: f64 = judgement.wins.iter().map(|(_, due)| due).sum();
            let wrong = due / judgement.draws as f64 - 1.0;
            assert!(wrong.abs() < 1e-9, "{policy}: {rich}: chances add up to 1 + {wrong}");
        }
    }
}

/// Who nearly always wins loses twice in a row as rarely as others win twice. With 997:3 and 1,000 draws that
/// comes in one of 112 runs (1000 · .003² = .009), and says nothing: of 300 right lotteries none is rejected.
#[test]
fn who_nearly_always_wins_is_not_judged_by_two_losses() {
    let text = "name='x'\nquantum='1ms'\nduration='1s'\n[[task]]\nname='a'\ntickets=997\n[[task]]\nname='b'\ntickets=3\n";
    let scenario = Scenario::from_toml(text).unwrap();
    let observe = Observe { entitlement: false, draws: true };
    for run in 0..300 {
        let outcome =
            crate::outcome::run(&scenario, PolicyKind::LotteryTree, 5, run, observe, None, &|_| true);
        let judgement = outcome.unwrap().draws.unwrap().judge();
        assert!(!judgement.is_rejected(), "run {run}: {judgement:?}");
    }
}

/// The right shares without chance are no lottery either, should anybody judge them as one.
#[test]
fn stride_and_round_robin_are_not_judged_and_would_not_pass() {
    let scenario = Scenario::from_toml(BURNERS).unwrap();
    for policy in [PolicyKind::Stride, PolicyKind::RoundRobin] {
        assert_eq!(judged(BURNERS, &[policy], 1), [(policy, None)]);
        let mut simulation = crate::engine::Simulation::custom(&scenario, 4, 0, |machine| {
            let rng = crate::machine::stream(4, 0, u32::MAX);
            let built = crate::policy::build(policy, machine, &scenario);
            Box::new(Watched::new(machine, built, compensation_of(PolicyKind::Lottery), rng))
        });
        simulation.run_until(scenario.duration_ns).unwrap();
        let judgement = simulation.outcome().draws.unwrap().judge();
        assert!(judgement.is_rejected() && judgement.next().unwrap() < 1e-6, "{policy}: {judgement:?}");
    }
}

/// An observer changes nothing.
#[test]
fn a_watched_lottery_decides_as_it_would_alone() {
    for text in [VARYING, library::find("lottery-transfer").unwrap().text] {
        let scenario = Scenario::from_toml(text).unwrap();
        let run = |draws| {
            let observe = Observe { entitlement: false, draws };
            let run = crate::outcome::run(&scenario, PolicyKind::Lottery, 3, 0, observe, None, &|_| true);
            run.unwrap()
        };
        let (with, without) = (run(true), run(false));
        assert_eq!(with.tasks, without.tasks);
        assert!(with.draws.is_some() && without.draws.is_none());
    }
}

#[test]
fn draws_while_tickets_are_lent_are_counted_and_not_judged() {
    let text = library::find("lottery-transfer").unwrap().text;
    let judgement = judged(text, &[PolicyKind::Lottery], 4).remove(0).1.unwrap();
    assert!(judgement.unjudged > 0 && !judgement.is_rejected(), "{judgement:?}");
}

/// With very many instances the entries are the clients. Among so many, keys U/t hardly differ from
/// exponential ones: the least of many is nearly exponential whatever they are, and nobody is followed alone.
#[test]
fn very_many_instances_are_judged_by_entry() {
    let text = "name='x'\nquantum='1ms'\nduration='20s'\n[[task]]\nname='a'\nnice=0\ncount=400\n\
        [[task]]\nname='b'\nnice=4\ncount=400\n";
    right_ones_pass(text, 2);
    wrong_ones_are_rejected(text, 2, &[PolicyKind::LotteryNoOffset, PolicyKind::LotteryLinear]);
}

/// p-values that are right on average: below .1 in a tenth of many runs, and not much less (a smallest of
/// several times their number is a little too large).
#[test]
fn p_values_are_calibrated() {
    for text in [BURNERS, VARYING] {
        let text = text.replace("duration='20s'", "duration='3s'").replace("duration='10s'", "duration='3s'");
        let scenario = Scenario::from_toml(&text).unwrap();
        let observe = Observe { entitlement: false, draws: true };
        let mut low = [0u32; 3];
        let runs = 300;
        for run in 0..runs {
            let run = crate::outcome::run(&scenario, PolicyKind::Lottery, 77, run, observe, None, &|_| true);
            let judgement = run.unwrap().draws.unwrap().judge();
            for (low, p) in low.iter_mut().zip([judgement.shares, judgement.next(), judgement.waits]) {
                *low += u32::from(p.unwrap() < 0.1);
            }
        }
        // 30 ± 5.2 of 300; three tests that go together leave at least 10.
        assert!(low.iter().all(|low| (10..=50).contains(low)), "{low:?} of {runs} below .1: {text}");
    }
}
