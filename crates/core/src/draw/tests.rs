use super::*;
use crate::statistics::chi_square;
use proptest::prelude::*;
use rand::RngExt;

/// The slow second method: every draw by itself, by prefix sums.
fn one_by_one(tickets: &[u64], draws: u64, rng: &mut impl Rng) -> Vec<u64> {
    let sums: Vec<u64> = tickets.iter().scan(0, |sum, held| (*sum += held, Some(*sum)).1).collect();
    let mut wins = vec![0; tickets.len()];
    for _ in 0..draws {
        let number = rng.random_range(0..*sums.last().unwrap());
        wins[sums.partition_point(|&sum| sum <= number)] += 1;
    }
    wins
}

/// p-value of counts (0, 1, 2, …; the last class is "or more") against Bin(n, p) by the recursion
/// `P(k+1)/P(k) = (n−k)/(k+1) · p/(1−p)`, which is exact enough for every n.
fn binomial_fit(counts: &[u64], n: u64, p: f64) -> f64 {
    let mut mass = (n as f64 * (-p).ln_1p()).exp();
    let mut masses = Vec::new();
    for k in 0..counts.len() - 1 {
        masses.push(mass);
        mass *= (n as f64 - k as f64) / (k + 1) as f64 * p / (1.0 - p);
    }
    masses.push(1.0 - masses.iter().sum::<f64>());
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let weights: Vec<u64> = masses.iter().map(|mass| (mass * 2f64.powi(60)) as u64).collect();
    chi_square(counts, &weights).unwrap().p_value
}

/// How often each count came up in `runs` samples.
fn tally(classes: usize, runs: usize, mut sample: impl FnMut() -> u64) -> Vec<u64> {
    let mut counts = vec![0; classes];
    for _ in 0..runs {
        let count = usize::try_from(sample()).unwrap();
        counts[count.min(classes - 1)] += 1;
    }
    counts
}

#[test]
fn the_generator_is_chacha8() {
    // Test vector TC1 (key and nonce zero, 8 rounds, 256-bit key) of
    // draft-strombergson-chacha-test-vectors-01.
    let mut block = [0; 16];
    ChaCha8Rng::from_seed([0; 32]).fill_bytes(&mut block);
    assert_eq!(block, 0x3e00_ef2f_895f_40d6_7f5b_b8e8_1f09_a5a1_u128.to_be_bytes());
}

#[test]
fn a_seed_stands_for_the_same_numbers_for_ever() {
    // Worked out by a second implementation of the PCG32 key expansion and of ChaCha8.
    let stream = |seed| seeded(seed).random::<[u64; 2]>();
    assert_eq!(stream(1), [0x6709_4cea_8ca4_0db1, 0x1494_06d8_fc0e_8e6b]);
    assert_ne!(stream(1), stream(2));
}

#[test]
fn no_tickets_and_too_many_are_errors() {
    let draw = |tickets: &[u64], draws| winners(tickets, draws, &mut seeded(1));
    assert_eq!(draw(&[], 1), Err(DrawError::NoTickets { holders: 0 }));
    assert_eq!(draw(&[0, 0], 1), Err(DrawError::NoTickets { holders: 2 }));
    assert_eq!(draw(&[u64::MAX, 1], 1), Err(DrawError::TooManyTickets { holders: 2 }));
    assert_eq!(draw(&[u64::MAX, 1], 0), Err(DrawError::TooManyTickets { holders: 2 }));
    let said = draw(&[0, 0], 1).unwrap_err().to_string();
    assert_eq!(said, "no tickets in the draw: all 2 holders have 0; give at least one of them a ticket");
}

#[test]
fn no_draws_have_no_winners() {
    assert_eq!(winners(&[], 0, &mut seeded(1)), Ok(vec![]));
    assert_eq!(winners(&[0, 0], 0, &mut seeded(1)), Ok(vec![0, 0]));
    assert_eq!(winners(&[3, 2], 0, &mut seeded(1)), Ok(vec![0, 0]));
}

#[test]
fn four_draws_at_3_2_1_are_multinomial_and_so_are_four_single_draws() {
    let tickets = [3u64, 2, 1];
    let factorial = |n: u64| (1..=n).product::<u64>();
    let outcomes: Vec<Vec<u64>> =
        (0..=4).flat_map(|a| (0..=4 - a).map(move |b| vec![a, b, 4 - a - b])).collect();
    let weights: Vec<u64> = outcomes
        .iter()
        .map(|wins| {
            let ways = 24 / wins.iter().map(|w| factorial(*w)).product::<u64>();
            ways * wins.iter().zip(tickets).map(|(w, t)| t.pow(u32::try_from(*w).unwrap())).product::<u64>()
        })
        .collect();
    assert_eq!(weights.iter().sum::<u64>(), 6u64.pow(4));
    let mut rng = seeded(4);
    let mut seen = [vec![0u64; outcomes.len()], vec![0; outcomes.len()]];
    for _ in 0..60_000 {
        let both = [winners(&tickets, 4, &mut rng).unwrap(), one_by_one(&tickets, 4, &mut rng)];
        for (seen, wins) in seen.iter_mut().zip(both) {
            seen[outcomes.iter().position(|o| *o == wins).unwrap()] += 1;
        }
    }
    for seen in &seen {
        let fit = chi_square(seen, &weights).unwrap();
        assert!(fit.p_value > 1e-6, "{fit:?}");
    }
    // Negative control: the second binomial with 2/6 for 2/3, the tickets of the first holder not taken out.
    let mut unconditioned = vec![0; outcomes.len()];
    for _ in 0..60_000 {
        let first = successes(4, 3, 6, &mut rng);
        let second = successes(4 - first, 2, 6, &mut rng);
        unconditioned[outcomes.iter().position(|o| o[..2] == [first, second]).unwrap()] += 1;
    }
    assert!(chi_square(&unconditioned, &weights).unwrap().p_value < 1e-6);
}

#[test]
fn every_regime_of_the_sampler_follows_the_binomial_law() {
    // (draws, tickets of the watched holder, tickets of the others): inversion, acceptance–rejection, both
    // with p > ½, Poisson with a small and a large mean, many draws just above the Poisson limit.
    let cases = [
        (20, 1, 4),
        (1_000, 1, 9),
        (1_000, 1, 1),
        (60, 9, 1),
        (1 << 28, 1, 1 << 26),
        (1 << 40, 1, (1 << 38) - 1),
        (1 << 40, 1, (1 << 33) - 1),
        (1 << 33, 1, 1 << 25),
        (1 << 50, 17, (1 << 54) - 17),
    ];
    for (seed, (draws, held, others)) in (0u64..).zip(cases) {
        let mut rng = seeded(seed);
        let p = held as f64 / (held + others) as f64;
        let counts = tally(600, 40_000, || winners(&[held, others], draws, &mut rng).unwrap()[0]);
        let p_value = binomial_fit(&counts, draws, p);
        assert!(p_value > 1e-6, "{draws} draws at {held}:{others}: p {p_value:e}");
        let first_last = tally(600, 40_000, || winners(&[others, held], draws, &mut rng).unwrap()[1]);
        let p_value = binomial_fit(&first_last, draws, p);
        assert!(p_value > 1e-6, "{draws} draws at {others}:{held}: p {p_value:e}");
    }
}

#[test]
fn the_bare_binomial_sampler_would_be_wrong_for_many_draws_and_a_tiny_chance() {
    // Negative control for the Poisson regime: 1 − 17/2⁵⁴ rounds to 1 − 16/2⁵⁴, and P(0) becomes e^−1 for
    // e^−1.0625.
    let chance = 17.0 / 2f64.powi(54);
    let bare = Binomial::new(1 << 50, chance).unwrap();
    let mut rng = seeded(8);
    let counts = tally(600, 40_000, || bare.sample(&mut rng));
    assert!(binomial_fit(&counts, 1 << 50, chance) < 1e-6);
}

#[test]
fn low_bits_stay_random_where_the_bare_sampler_loses_them() {
    let odd = |mut sample: Box<dyn FnMut() -> u64>| (0..1_000).filter(|_| sample() % 2 == 1).count();
    let (mut ours, mut bares) = (seeded(5), seeded(5));
    let here = odd(Box::new(move || winners(&[1, 1], 1 << 56, &mut ours).unwrap()[0]));
    assert!((here as f64 - 500.0).abs() < 5.0 * 250f64.sqrt(), "{here} of 1000 odd");
    let bare = Binomial::new(1 << 56, 0.5).unwrap();
    assert_eq!(odd(Box::new(move || bare.sample(&mut bares))), 0);
}

/// Mean, variance and covariance of multinomial counts against n·p, n·p(1−p) and −n·p·p', over `runs` seeds.
fn check_moments(tickets: &[u64], draws: u64, runs: u64, play: impl Fn(u64) -> Vec<u64>) {
    let total: u64 = tickets.iter().sum();
    let p: Vec<f64> = tickets.iter().map(|t| *t as f64 / total as f64).collect();
    let n = draws as f64;
    let sigma = |i: usize| (n * p[i] * (1.0 - p[i])).sqrt();
    let scores: Vec<Vec<f64>> = (0..runs)
        .map(|seed| {
            let wins = play(seed);
            assert_eq!(wins.iter().sum::<u64>(), draws);
            wins.iter().enumerate().map(|(i, w)| (*w as f64 - n * p[i]) / sigma(i)).collect()
        })
        .collect();
    let runs = runs as f64;
    for i in 0..tickets.len() {
        let mean = scores.iter().map(|s| s[i]).sum::<f64>() / runs;
        assert!(mean.abs() * runs.sqrt() < 5.0, "holder {i}: mean off by {mean} σ");
        for j in i..tickets.len() {
            // Correlation of two multinomial counts; the variance of a product of normals is 1 + ρ².
            let rho = if i == j { 1.0 } else { -(p[i] * p[j] / ((1.0 - p[i]) * (1.0 - p[j]))).sqrt() };
            let seen = scores.iter().map(|s| s[i] * s[j]).sum::<f64>() / runs;
            let z = (seen - rho) / ((1.0 + rho * rho) / runs).sqrt();
            assert!(z.abs() < 5.0, "holders {i}, {j}: correlation {seen}, expected {rho}");
        }
    }
}

#[test]
fn moments_agree_with_the_formulas_and_with_single_draws() {
    let tickets = [1024, 335, 15, 1024, 110];
    check_moments(&tickets, 2_000, 1_000, |seed| one_by_one(&tickets, 2_000, &mut seeded(seed)));
    for draws in [2_000, 100_000_000, 1_000_000_000_000, 1 << 52] {
        check_moments(&tickets, draws, 2_000, |seed| winners(&tickets, draws, &mut seeded(seed)).unwrap());
    }
}

#[test]
fn ten_to_the_12_draws_give_a_thousand_holders_their_shares() {
    let tickets: Vec<u64> = (1..=1_000).collect();
    let wins = winners(&tickets, 1_000_000_000_000, &mut seeded(12)).unwrap();
    assert_eq!(wins.iter().sum::<u64>(), 1_000_000_000_000);
    for (held, wins) in tickets.iter().zip(&wins) {
        let p = *held as f64 / 500_500.0;
        let z = (*wins as f64 - 1e12 * p) / (1e12 * p * (1.0 - p)).sqrt();
        assert!(z.abs() < 5.0, "{held} tickets: {wins} wins, z {z}");
    }
    assert!(chi_square(&wins, &tickets).unwrap().p_value > 1e-6);
    // A bias of one win in 10⁵, moved from the last to the first holder, is seen.
    let mut biased = wins;
    biased[0] += 10_000_000;
    biased[999] -= 10_000_000;
    assert!(chi_square(&biased, &tickets).unwrap().p_value < 1e-6);
}

#[test]
fn one_ticket_of_2_to_the_64_wins_once_in_2_to_the_64_draws() {
    // Poisson(1) in the limit, and the sum of 2¹⁴ pieces. The other holder's chance is 1.0 in floating point.
    let runs = 60u32;
    for tickets in [[1, u64::MAX - 1], [u64::MAX - 1, 1]] {
        let wins: u64 = (0..u64::from(runs))
            .map(|seed| *winners(&tickets, u64::MAX, &mut seeded(seed)).unwrap().iter().min().unwrap())
            .sum();
        let z = (wins as f64 - f64::from(runs)) / f64::from(runs).sqrt();
        assert!(z.abs() < 5.0, "{wins} wins in {runs} runs");
    }
}

proptest! {
    #[test]
    fn every_draw_has_one_winner_who_holds_tickets(
        tickets in prop::collection::vec(
            prop_oneof![Just(0u64), 1..100u64, any::<u64>().prop_map(|t| t >> 6)], 0..40,
        ),
        draws in prop_oneof![0..1_000u64, 0..(1u64 << 52)],
        seed: u64,
    ) {
        prop_assume!(draws == 0 || tickets.iter().any(|held| *held > 0));
        let wins = winners(&tickets, draws, &mut seeded(seed)).unwrap();
        prop_assert_eq!(wins.len(), tickets.len());
        prop_assert_eq!(wins.iter().sum::<u64>(), draws);
        prop_assert!(wins.iter().zip(&tickets).all(|(wins, held)| *wins == 0 || *held > 0));
        prop_assert_eq!(&wins, &winners(&tickets, draws, &mut seeded(seed)).unwrap());
    }

    #[test]
    fn sums_beyond_64_bits_are_refused(first in 1u64.., more in 0..1_000u64, seed: u64) {
        let tickets = [first, (u64::MAX - first).saturating_add(1 + more), 7];
        prop_assert_eq!(
            winners(&tickets, 5, &mut seeded(seed)),
            Err(DrawError::TooManyTickets { holders: 3 })
        );
    }
}
