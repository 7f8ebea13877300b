use super::*;
use proptest::prelude::*;

proptest! {
    /// A line with bounded jitter and drops: the period is found within four of its own standard errors, or what rounding does.
    #[test]
    fn a_period_is_found_within_its_stated_error(
        period in 1_000_000u64..100_000_000,
        jitter in prop::collection::vec(-1.0f64..1.0, 60..400),
        part in 0.0f64..0.15,
        dropped in prop::collection::vec(0usize..400, 0..20),
    ) {
        let begin = 1_000_000_000u64;
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let wakes: Vec<u64> = jitter
            .iter()
            .enumerate()
            .filter(|(k, _)| !dropped.contains(k) || *k == 0 || *k + 1 == jitter.len())
            .map(|(k, off)| ((begin + k as u64 * period) as f64 + off * part * period as f64) as u64)
            .collect();
        let found = rhythm(&wakes).expect("it is periodic");
        prop_assert!(found.is_anchored && found.wakes == 1);
        prop_assert_eq!(found.missing, (jitter.len() - wakes.len()) as u64);
        let off = (found.period_ns - period as f64).abs();
        prop_assert!(off <= 5.0 * found.period_error_ns + 2.0 / wakes.len() as f64, "{off} of {}", found.period_error_ns);
        // Uniform between ±part: standard deviation part/√3; a sample's may be a quarter more.
        prop_assert!(found.jitter_ns <= part * period as f64 / 3f64.sqrt() * 1.25 + 1.0);
        prop_assert!(found.jitter_peak_ns <= 2.0 * part * period as f64 * 1.02 + 2.0);
    }

    /// Distances drawn from an exponential law have no period.
    #[test]
    fn chance_is_not_periodic(units in prop::collection::vec(1e-9f64..1.0, 100..300)) {
        let mut at = 0.0;
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let wakes: Vec<u64> = units.iter().map(|unit| { at += -1e7 * unit.ln(); at as u64 }).collect();
        prop_assert_eq!(rhythm(&wakes), None);
    }
}

#[test]
fn two_harmonics_in_one_task_are_one_period_with_several_wakes() {
    // Every 10 ms, and every 20 ms 3 ms after: three wakes in 20 ms.
    let mut wakes: Vec<u64> =
        (0..100u64).map(|k| k * 10_000_000).chain((0..50).map(|k| k * 20_000_000 + 3_000_000)).collect();
    wakes.sort_unstable();
    let found = rhythm(&wakes).unwrap();
    assert_eq!(found.wakes, 3);
    assert!((found.period_ns - 2e7).abs() < 1.0 && found.jitter_ns < 1.0, "{found:?}");
}

#[test]
fn a_task_that_paces_itself_drifts() {
    let mut at = 0u64;
    let wakes: Vec<u64> = (0..2000u64)
        .map(|k| {
            at += 5_000_000 + k * 7_919 % 400_000;
            at
        })
        .collect();
    let found = rhythm(&wakes).unwrap();
    assert!((found.period_ns - 5.2e6).abs() < 2e4, "{found:?}");
}

#[test]
fn jobs_are_judged_against_their_deadline() {
    let job = |woken_ns, run_ns, until_ns| Job { woken_ns, run_ns, until_ns, is_whole: true };
    let mut jobs: Vec<Job> = (0..100).map(|k| job(k * 100, k % 10 + 1, k * 100 + 20 + k % 10)).collect();
    jobs[50].until_ns += 100;
    jobs.push(Job { woken_ns: 10_000, run_ns: 30, until_ns: 10_090, is_whole: false });
    let of = service(&jobs, 1, 29);
    assert_eq!((of.periods, of.run_max_ns, of.run_p99_ns, of.misses), (100, 10, 10, 2));
    assert_eq!((of.response_max_ns, of.lateness_max_ns), (120, 91));
    assert!((of.run_mean_ns - 5.5).abs() < 1e-9);
}
