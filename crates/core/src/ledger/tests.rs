use super::*;
use crate::entitlement::{Claim, CpuSetId, Demand, entitle};
use proptest::prelude::*;

fn ledger(capacity_ns: u64, accounts: &[(u64, u64)]) -> Ledger {
    let accounts = accounts.iter().map(|&(entitled_ns, received_ns)| Account { entitled_ns, received_ns });
    Ledger { capacity_ns, accounts: accounts.collect() }
}

#[test]
fn lag_is_what_is_owed() {
    let lag = |entitled_ns, received_ns| Account { entitled_ns, received_ns }.lag_ns();
    assert_eq!((lag(5, 3), lag(3, 5), lag(4, 4)), (2, -2, 0));
    assert_eq!((lag(u64::MAX, 0), lag(0, u64::MAX)), (i64::MAX, i64::MIN));
}

#[test]
fn two_cpus_two_to_one_to_one_by_lottery() {
    // A lottery gives .8 .6 .6 where 1 .5 .5 is fair. r = .8, 1.2, 1.2: Jain (3.2)² / (3 · 3.52).
    let ledger = ledger(2000, &[(1000, 800), (500, 600), (500, 600)]);
    let fairness = ledger.fairness();
    assert!((fairness.jain.unwrap() - 10.24 / 10.56).abs() < 1e-12);
    assert_eq!(fairness.most_owed, Some(Extreme { account: 0, lag_ns: 200 }));
    assert_eq!(fairness.most_ahead, Some(Extreme { account: 1, lag_ns: -100 }));
    assert!((fairness.rms_lag_ns - 20_000f64.sqrt()).abs() < 1e-9); // (200² + 100² + 100²) / 3
    assert!((ledger.got_share(&ledger.accounts[0]) - 0.4).abs() < 1e-12);
    assert!((ledger.fair_share(&ledger.accounts[0]) - 0.5).abs() < 1e-12);
}

#[test]
fn one_takes_all() {
    let fairness = ledger(100, &[(25, 100), (25, 0), (25, 0), (25, 0)]).fairness();
    assert!((fairness.jain.unwrap() - 0.25).abs() < 1e-12);
}

#[test]
fn random_draws_have_the_index_that_theory_expects() {
    // n draws among k equal tasks: E ≈ 1/(1 + (k−1)/n).
    use rand::{RngExt, SeedableRng};
    let (k, n, rounds) = (10usize, 500u64, 2000u32);
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(1);
    let mean = (0..rounds)
        .map(|_| {
            let mut wins = vec![0u64; k];
            for _ in 0..n {
                wins[rng.random_range(0..k)] += 1;
            }
            let accounts: Vec<(u64, u64)> = wins.iter().map(|&w| (n / k as u64, w)).collect();
            ledger(n, &accounts).fairness().jain.unwrap()
        })
        .sum::<f64>()
        / f64::from(rounds);
    let expected = 1.0 / (1.0 + (k - 1) as f64 / n as f64);
    // Σ(wins − n/k)²·k/n is χ² with 9 degrees of freedom: one index spreads by √18/n, the mean by √2000 less.
    let sigma = 18f64.sqrt() / n as f64 / f64::from(rounds).sqrt();
    assert!((mean - expected).abs() < 6.0 * sigma, "{mean} and {expected}, σ {sigma}");
}

#[test]
fn nothing_to_compare() {
    assert_eq!(ledger(0, &[]).fairness(), Fairness::default());
    let idle = ledger(0, &[(0, 0)]);
    assert_eq!(idle.fairness(), Fairness::default());
    assert!(idle.got_share(&idle.accounts[0]).abs() < f64::EPSILON);
    let fairness = ledger(10, &[(0, 7), (10, 3)]).fairness();
    assert_eq!((fairness.unentitled_ns, fairness.jain), (7, Some(1.0)));
    assert_eq!(fairness.most_ahead, Some(Extreme { account: 0, lag_ns: -7 }));
    assert_eq!(ledger(10, &[(5, 0), (5, 0)]).fairness().jain, None);
}

#[test]
fn from_an_entitlement() {
    let claim = |weight| Claim { weight, demand_ns: 900, group: None, cpus: CpuSetId(0) };
    let demand = Demand {
        length_ns: 900,
        capacity_ns: [(0, 900)].into(),
        cpu_sets: vec![std::iter::once(0).collect()],
        groups: Vec::new(),
        claims: vec![claim(2), claim(1)],
    };
    let entitlement = entitle(&demand).unwrap();
    let ledger = Ledger::balance(900, &entitlement, &[500, 400]).unwrap();
    assert_eq!(ledger, self::ledger(900, &[(600, 500), (300, 400)]));
    let error = Ledger::balance(900, &entitlement, &[500]).unwrap_err();
    assert_eq!(error, Unmatched { entitled: 2, received: 1 });
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_index_is_between_one_nth_and_one(accounts in proptest::collection::vec((0u64..1000, 0u64..1000), 1..20)) {
        let entitled = accounts.iter().filter(|(e, _)| *e > 0).count();
        let fairness = ledger(1000, &accounts).fairness();
        if let Some(jain) = fairness.jain {
            prop_assert!(jain <= 1.0 + 1e-12 && jain * entitled as f64 >= 1.0 - 1e-12);
        }
    }

    #[test]
    fn the_same_part_for_all_is_fair(entitled in proptest::collection::vec(1u64..1000, 1..20), times in 1u64..5) {
        let accounts: Vec<(u64, u64)> = entitled.iter().map(|&e| (e, e * times)).collect();
        prop_assert!((ledger(1000, &accounts).fairness().jain.unwrap() - 1.0).abs() < 1e-12);
    }

    #[test]
    fn extremes_and_mean_agree_with_the_lags(
        accounts in proptest::collection::vec((0u64..1000, 0u64..1000), 1..20)
    ) {
        let ledger = ledger(1000, &accounts);
        let lags: Vec<i64> = ledger.accounts.iter().map(Account::lag_ns).collect();
        let fairness = ledger.fairness();
        prop_assert_eq!(fairness.most_owed.map_or(0, |e| e.lag_ns), (*lags.iter().max().unwrap()).max(0));
        prop_assert_eq!(fairness.most_ahead.map_or(0, |e| e.lag_ns), (*lags.iter().min().unwrap()).min(0));
        let worst = lags.iter().map(|l| l.abs()).max().unwrap() as f64;
        prop_assert!(fairness.rms_lag_ns <= worst + 1e-9);
        prop_assert!(fairness.rms_lag_ns * (lags.len() as f64).sqrt() >= worst - 1e-9);
    }
}
