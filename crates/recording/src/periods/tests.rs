use super::*;
use proptest::prelude::*;

/// A number between -1 and 1 for each argument.
fn uniform(number: u64) -> f64 {
    let mut z = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 52) as f64 - 1.0
}

proptest! {
    /// A line with bounded jitter and drops: the period is found within four of its own standard errors, or
    /// what rounding does.
    #[test]
    fn a_period_is_found_within_its_stated_error(
        period in 1_000_000u64..100_000_000,
        n in 100u64..400,
        seed in any::<u64>(),
        part in 0.0f64..0.15,
        dropped in prop::collection::vec(0usize..400, 0..20),
    ) {
        let begin = 1_000_000_000u64;
        // Independent and uniform between -1 and 1 (SplitMix64): a standard error is one of chance.
        let jitter: Vec<f64> = (0..n).map(|k| uniform(seed.wrapping_add(k))).collect();
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
        // What the line is off at its ends comes on top.
        let tilt = 5.0 * found.period_error_ns * n as f64;
        prop_assert!(found.jitter_peak_ns <= 2.0 * part * period as f64 + tilt + 2.0);
        prop_assert_eq!(found.strays, 0);
    }

    /// Distances drawn from an exponential law have no period.
    #[test]
    fn chance_is_not_periodic(n in 100u64..300, seed in any::<u64>()) {
        let mut at = 0.0;
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let wakes: Vec<u64> = (0..n)
            .map(|k| {
                at -= 1e7 * (0.5 * uniform(seed.wrapping_add(k)) + 0.5).max(1e-9).ln();
                at as u64
            })
            .collect();
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
fn a_wake_in_between_now_and_then_is_a_stray() {
    let mut wakes: Vec<u64> = (0..300u64).map(|k| k * 10_000_000).collect();
    wakes.extend([33_500_000, 1_006_000_000, 2_003_700_000]);
    wakes.sort_unstable();
    let found = rhythm(&wakes).unwrap();
    assert!(found.is_anchored && found.strays == 3 && found.missing == 0, "{found:?}");
    assert!((found.period_ns - 1e7).abs() < 1.0 && found.jitter_ns < 1.0, "{found:?}");
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
