use super::*;
use crate::outcome::{Observe, run};
use crate::policy::PolicyKind;
use proptest::prelude::*;
use rand::SeedableRng;
use std::fmt::Write;

const MS: u64 = 1_000_000;

fn set(tasks: &[(u64, u64)]) -> Vec<RtTask> {
    tasks.iter().map(|(c, t)| RtTask { run_ns: c * MS, period_ns: t * MS, deadline_ns: t * MS }).collect()
}

fn scenario(set: &[RtTask], cpus: u32, duration_ns: u64) -> Scenario {
    let mut text = format!("name='set'\ncpus={cpus}\nduration='{duration_ns}ns'\n");
    for (i, t) in set.iter().enumerate() {
        let RtTask { run_ns, period_ns, deadline_ns } = t;
        let _ = write!(
            text,
            "[[task]]\nname='{i}'\nrun='{run_ns}ns'\nperiod='{period_ns}ns'\ndeadline='{deadline_ns}ns'\n"
        );
    }
    Scenario::from_toml(&text).unwrap()
}

#[test]
fn response_times_of_a_textbook_set() {
    // C, T = (1,4) (2,6) (3,13): R = 1, 3, 10 by hand: 3+1+2=6, 3+2+2=7, 3+2+4=9, 3+3+4=10, 3+3+4=10.
    assert_eq!(response_times(&set(&[(1, 4), (2, 6), (3, 13)])), [Some(MS), Some(3 * MS), Some(10 * MS)]);
    assert_eq!(response_times(&set(&[(2, 5), (4, 7)])), [Some(2 * MS), None]);
}

#[test]
fn bounds_have_their_known_values() {
    let two = analyse(&set(&[(1, 2), (2, 5)]), 1);
    assert!((two.liu_layland_bound - 0.828_427).abs() < 1e-6);
    assert!(!two.within_liu_layland && !two.within_hyperbolic && two.edf_one_cpu == Some(true));
    // U = ½ + ⅓: above 0.828, but 1.5 · 1.333 = 2 exactly: the hyperbolic bound takes it.
    let product = analyse(&set(&[(1, 2), (1, 3)]), 1);
    assert!(product.within_hyperbolic && !product.within_liu_layland);
    // Three times ⅓ is a whole CPU and not a rounding above it.
    assert_eq!(analyse(&set(&[(1, 3), (1, 3), (1, 3)]), 1).edf_one_cpu, Some(true));
    let dhall = analyse(&set(&[(2, 20), (2, 20), (20, 21)]), 2);
    assert!(!dhall.within_global_edf_bound && dhall.utilisation < 1.2);
}

#[test]
fn uunifast_sums_to_its_total_and_discard_keeps_parts_below_one() {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    for n in 1..20 {
        let parts = uunifast(n, 0.9, &mut rng);
        assert!(parts.len() == n && (parts.iter().sum::<f64>() - 0.9).abs() < 1e-12);
        if n > 3 {
            let parts = uunifast_discard(n, 2.0, 10_000, &mut rng).unwrap();
            assert!(parts.iter().all(|u| (0.0..=1.0).contains(u)));
        }
    }
    assert_eq!(uunifast_discard(2, 3.0, 10, &mut rng), None);
    // Uniform over the simplex: each part has mean total/n and variance (total/n)²·(n − 1)/(n + 1).
    let (n, rounds) = (4, 20_000);
    for part in 0..n {
        let values: Vec<f64> = (0..rounds).map(|_| uunifast(n, 1.0, &mut rng)[part]).collect();
        let mean = values.iter().sum::<f64>() / f64::from(rounds);
        let square = values.iter().map(|v| v * v).sum::<f64>() / f64::from(rounds);
        assert!(
            (mean - 0.25).abs() < 0.007 && (square - mean * mean - 0.0375).abs() < 0.002,
            "{part}: {mean}"
        );
    }
}

fn sets() -> impl Strategy<Value = Vec<RtTask>> {
    // Periods that divide 60 keep the hyperperiod short.
    let periods = prop::sample::select(vec![4u64, 5, 6, 10, 12, 15, 20, 30]);
    prop::collection::vec((1u64..8, periods, 60u64..=100), 1..5).prop_map(|tasks| {
        tasks
            .into_iter()
            .map(|(c, t, d)| {
                let run = c.min(t);
                let deadline = (t * d).div_ceil(100).max(run);
                RtTask { run_ns: run * MS, period_ns: t * MS, deadline_ns: deadline * MS }
            })
            .collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// Simulation is the second method: all tasks begin together, which is the worst case, and are simulated
    /// over the hyperperiod and more.
    #[test]
    fn analysis_and_simulation_agree(set in sets()) {
        let scenario = scenario(&set, 1, 240 * MS);
        let analysis = analyse(&set, 1);
        let rm = run(&scenario, PolicyKind::RateMonotonic, 1, 0, Observe { entitlement: false, draws: false }, None, &|_| true).unwrap();
        for (task, response) in rm.tasks.iter().zip(&analysis.rm_response_ns) {
            match response {
                Some(response) => {
                    prop_assert_eq!(task.misses, 0);
                    prop_assert_eq!(task.response.max_ns, *response);
                }
                None => prop_assert!(task.misses > 0),
            }
        }
        let edf = run(&scenario, PolicyKind::Edf, 1, 0, Observe { entitlement: false, draws: false }, None, &|_| true).unwrap();
        let misses: u64 = edf.tasks.iter().map(|t| t.misses).sum();
        if let Some(in_time) = analysis.edf_one_cpu {
            prop_assert_eq!(in_time, misses == 0);
        }
        if analysis.within_liu_layland || analysis.within_hyperbolic {
            prop_assert!(analysis.rm_response_ns.iter().all(Option::is_some));
        }
    }

    #[test]
    fn the_global_edf_bound_holds(set in sets(), cpus in 2u32..4) {
        let implicit: Vec<RtTask> = set.iter().map(|t| RtTask { deadline_ns: t.period_ns, ..*t }).collect();
        if analyse(&implicit, cpus).within_global_edf_bound {
            let scenario = scenario(&implicit, cpus, 240 * MS);
            let edf = run(&scenario, PolicyKind::Edf, 1, 0, Observe { entitlement: false, draws: false }, None, &|_| true).unwrap();
            prop_assert_eq!(edf.tasks.iter().map(|t| t.misses).sum::<u64>(), 0);
        }
    }
}
