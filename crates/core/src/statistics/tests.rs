#![allow(clippy::float_cmp)] // only exact values are compared: 0, 1, infinity
use super::*;
use crate::draw::{seeded, winners};
use proptest::prelude::*;
use rand::{Rng, RngExt};

/// Rejection level of the project for fixed seeds.
const ALPHA: f64 = 1e-6;

/// `draws` single draws; `share` of client i is tickets[i] / Σ tickets.
fn lottery(tickets: &[u64], draws: usize, rng: &mut impl Rng) -> Vec<usize> {
    let sums: Vec<u64> = tickets.iter().scan(0, |sum, held| (*sum += held, Some(*sum)).1).collect();
    (0..draws)
        .map(|_| {
            let number = rng.random_range(0..*sums.last().unwrap());
            sums.partition_point(|sum| *sum <= number)
        })
        .collect()
}

/// The stride sequence of 3:2:1, ABAABC, again and again.
fn stride(draws: usize) -> Vec<usize> {
    [0, 1, 0, 0, 1, 2].into_iter().cycle().take(draws).collect()
}

/// A wrong lottery: the client that just ran does not compete, so shares go as t(T − t).
fn winner_left_out(tickets: &[u64], draws: usize, rng: &mut impl Rng) -> Vec<usize> {
    let mut last = None;
    (0..draws)
        .map(|_| {
            let mut rest = tickets.to_vec();
            if let Some(last) = last {
                rest[last] = 0;
            }
            let winner = lottery(&rest, 1, rng)[0];
            last = Some(winner);
            winner
        })
        .collect()
}

fn counts(winners: &[usize], clients: usize) -> Vec<u64> {
    let mut counts = vec![0; clients];
    for &winner in winners {
        counts[winner] += 1;
    }
    counts
}

fn autocorrelation_of(client: usize, winners: &[usize]) -> Autocorrelation {
    lag1_autocorrelation(winners.iter().map(|winner| f64::from(u8::from(*winner == client)))).unwrap()
}

/// P-values under the hypothesis are uniform: those below `level` are a binomial count.
fn assert_calibrated(name: &str, p_values: &[f64]) {
    let n = p_values.len() as f64;
    for level in [0.5, 0.1, 0.01] {
        let below = p_values.iter().filter(|p| **p < level).count() as f64;
        let z = (below - n * level) / (n * level * (1.0 - level)).sqrt();
        assert!(z.abs() < 5.0, "{name}: {below} of {n} p-values below {level}");
    }
}

#[test]
fn p_values_match_published_tables() {
    // Critical values of χ², Abramowitz and Stegun table 26.8, NIST/SEMATECH e-Handbook 1.3.6.7.4.
    let table = [
        (3.841, 1, 0.05),
        (6.635, 1, 0.01),
        (10.828, 1, 0.001),
        (5.991, 2, 0.05),
        (11.070, 5, 0.05),
        (18.307, 10, 0.05),
        (23.209, 10, 0.01),
        (29.588, 10, 0.001),
        (3.940, 10, 0.95),
        (124.342, 100, 0.05),
        (149.449, 100, 0.001),
    ];
    for (statistic, degrees, p) in table {
        let got = GoodnessOfFit::new(statistic, degrees).p_value;
        assert!((got / p - 1.0).abs() < 1e-3, "{statistic} at {degrees}: {got}, table {p}");
    }
}

#[test]
fn p_values_are_accurate_far_out_in_the_tail() {
    // Worked out to 30 digits with arbitrary precision arithmetic.
    let table = [
        (200.0, 10, 1.613_930_533_697_73e-37),
        (1200.0, 5, 2.937_560_480_685_9e-257),
        (1142.0, 999, 1.060_030_474_249_607e-3),
        (102_000.0, 100_000, 4.411_939_255_120_306e-6),
    ];
    for (statistic, degrees, p) in table {
        let got = GoodnessOfFit::new(statistic, degrees).p_value;
        assert!((got / p - 1.0f64).abs() < 1e-9, "{statistic} at {degrees}: {got:e}, exact {p:e}");
    }
    assert_eq!(GoodnessOfFit::new(1e6, 3).p_value, 0.0);
    assert_eq!(GoodnessOfFit::new(0.0, 3).p_value, 1.0);
}

#[test]
fn chi_square_of_a_textbook_case() {
    // Mendel's peas, 315:108:101:32 against 9:3:3:1: χ² = 0.470, 3 degrees, p = 0.925.
    let fit = chi_square(&[315, 108, 101, 32], &[9, 3, 3, 1]).unwrap();
    assert_eq!(fit.degrees, 3);
    assert!((fit.statistic - 0.470_024).abs() < 1e-6, "{fit:?}");
    assert!((fit.p_value - 0.925_426).abs() < 1e-5, "{fit:?}");
}

#[test]
fn small_classes_are_pooled_smallest_first() {
    // 100 draws over weights 1 4 5 90 expect 1, 4, 5, 90: 1 and 4 make one class of exactly 5.
    let fit = chi_square(&[0, 7, 3, 90], &[1, 4, 5, 90]).unwrap();
    assert_eq!(fit.degrees, 2);
    assert!((fit.statistic - (4.0 / 5.0 + 4.0 / 5.0)).abs() < 1e-12, "{fit:?}");
    assert_eq!(pool(&[90, 4, 5, 1], |size| size >= 5), [vec![3, 1], vec![2], vec![0]]);
    assert_eq!(pool(&[2, 2, 2, 2, 2, 2, 2], |size| size >= 5), [vec![0, 1, 2], vec![3, 4, 5, 6]]);
    assert_eq!(pool(&[2, 6], |size| size >= 5), [vec![0, 1]]);
    assert!(pool(&[1, 0, 2], |size| size >= 5).is_empty());
}

#[test]
fn there_is_no_answer_without_two_classes() {
    assert_eq!(chi_square(&[], &[]), None);
    assert_eq!(chi_square(&[10], &[1]), None);
    assert_eq!(chi_square(&[0, 0], &[1, 1]), None);
    assert_eq!(chi_square(&[4, 5], &[1, 1]), None);
    assert_eq!(chi_square(&[5, 5], &[0, 0]), None);
    assert_eq!(chi_square(&[10, 0], &[7, 0]), None);
    assert!(chi_square(&[5, 5], &[1, 1]).is_some());
    assert_eq!(pair_independence::<u8>(&[]), None);
    assert_eq!(pair_independence(&[1; 100]), None);
    assert_eq!(lag1_autocorrelation([1.0; 100]), None);
    assert_eq!(lag1_autocorrelation([1.0, 2.0, 3.0]), None);
    assert_eq!(lag1_autocorrelation((0..50).map(|i| if i == 7 { f64::NAN } else { f64::from(i) })), None);
}

#[test]
fn a_win_without_tickets_refutes_whatever_the_rest() {
    for (observed, weights) in [(vec![500, 500, 1], vec![1, 1, 0]), (vec![1, 3], vec![0, 1])] {
        let fit = chi_square(&observed, &weights).unwrap();
        assert_eq!((fit.statistic, fit.p_value), (f64::INFINITY, 0.0));
    }
    assert_eq!(chi_square(&[500, 500, 0], &[1, 1, 0]).unwrap().p_value, 1.0);
}

#[test]
fn shares_are_accepted_from_a_lottery_and_refused_from_a_wrong_one() {
    let mut rng = seeded(1);
    let tickets = [3, 2, 1];
    let fair = lottery(&tickets, 20_000, &mut rng);
    assert!(chi_square(&counts(&fair, 3), &tickets).unwrap().p_value > ALPHA);
    let wrong = winner_left_out(&tickets, 20_000, &mut rng);
    assert!(chi_square(&counts(&wrong, 3), &tickets).unwrap().p_value < ALPHA);
    // Its own law, t(T − t), is what it does follow.
    let law: Vec<u64> = tickets.iter().map(|t| t * (6 - t)).collect();
    assert!(chi_square(&counts(&wrong, 3), &law).unwrap().p_value > 1e-3);
    // A bias of 5 % on 3:1 in 10⁵ draws.
    let biased = winners(&[315, 100], 100_000, &mut rng).unwrap();
    assert!(chi_square(&biased, &[3, 1]).unwrap().p_value < ALPHA);
}

#[test]
fn stride_has_perfect_shares_and_is_refused_by_every_test_of_chance() {
    let sequence = stride(6_000);
    let shares = chi_square(&counts(&sequence, 3), &[3, 2, 1]).unwrap();
    assert_eq!((shares.statistic, shares.p_value), (0.0, 1.0));
    assert!(pair_independence(&sequence).unwrap().p_value < ALPHA);
    for (client, coefficient, p) in [(0, -1.0 / 3.0, 0.5), (1, -0.5, 1.0 / 3.0), (2, -0.2, 1.0 / 6.0)] {
        let lag1 = autocorrelation_of(client, &sequence);
        assert!((lag1.coefficient - coefficient).abs() < 1e-3, "client {client}: {lag1:?}");
        assert!(lag1.p_value < ALPHA);
        assert!(geometric_waits(&waits(&sequence, &client), p).unwrap().p_value < ALPHA);
    }
}

#[test]
fn a_lottery_passes_every_test_of_chance_and_leaving_the_winner_out_does_not() {
    let mut rng = seeded(2);
    let fair = lottery(&[3, 2, 1], 20_000, &mut rng);
    let wrong = winner_left_out(&[1, 1, 1], 2_000, &mut rng);
    assert!(chi_square(&counts(&wrong, 3), &[1, 1, 1]).unwrap().p_value > ALPHA, "its shares are right");
    assert!(pair_independence(&fair).unwrap().p_value > ALPHA);
    assert!(pair_independence(&wrong).unwrap().p_value < ALPHA);
    for (client, tickets) in [(0, 3.0), (1, 2.0), (2, 1.0)] {
        assert!(autocorrelation_of(client, &fair).p_value > ALPHA);
        assert!(autocorrelation_of(client, &wrong).p_value < ALPHA);
        assert!(geometric_waits(&waits(&fair, &client), tickets / 6.0).unwrap().p_value > ALPHA);
        assert!(geometric_waits(&waits(&wrong, &client), 1.0 / 3.0).unwrap().p_value < ALPHA);
        // The right law with a share that is 10 % off.
        assert!(geometric_waits(&waits(&fair, &client), tickets / 6.6).unwrap().p_value < 1e-2);
    }
}

#[test]
fn p_values_of_a_true_lottery_are_uniform() {
    let tickets = [5, 3, 2, 1, 1];
    let (mut shares, mut pairs, mut lag1, mut first, mut rare) = (vec![], vec![], vec![], vec![], vec![]);
    for seed in 0..2_000 {
        let sequence = lottery(&tickets, 2_400, &mut seeded(seed));
        shares.push(chi_square(&counts(&sequence, 5), &tickets).unwrap().p_value);
        pairs.push(pair_independence(&sequence).unwrap().p_value);
        lag1.push(autocorrelation_of(0, &sequence).p_value);
        first.push(geometric_waits(&waits(&sequence, &0), 5.0 / 12.0).unwrap().p_value);
        rare.push(geometric_waits(&waits(&sequence, &4), 1.0 / 12.0).unwrap().p_value);
    }
    assert_calibrated("shares", &shares);
    assert_calibrated("pairs", &pairs);
    assert_calibrated("lag 1", &lag1);
    assert_calibrated("waits at 5/12", &first);
    assert_calibrated("waits at 1/12", &rare);
}

#[test]
fn many_poor_clients_are_pooled_and_stay_calibrated() {
    let tickets = [1; 300];
    let (mut shares, mut pairs) = (vec![], vec![]);
    for seed in 0..500 {
        let sequence = lottery(&tickets, 600, &mut seeded(seed));
        let fit = chi_square(&counts(&sequence, 300), &tickets).unwrap();
        assert_eq!(fit.degrees, 99, "three of them expect 6");
        shares.push(fit.p_value);
        pairs.push(pair_independence(&sequence).unwrap().p_value);
    }
    assert_calibrated("shares", &shares);
    assert_calibrated("pairs", &pairs);
}

#[test]
fn pair_independence_of_a_table_done_by_hand() {
    // A B alternate 21 times: 10 pairs AB and 10 BA, χ² = n = 20, one degree.
    let alternating: Vec<u8> = (0..21).map(|i| i % 2).collect();
    let fit = pair_independence(&alternating).unwrap();
    assert_eq!(fit.degrees, 1);
    assert!((fit.statistic - 20.0).abs() < 1e-12, "{fit:?}");
}

#[test]
fn geometric_bins_done_by_hand() {
    // p = ½, 44 waits: 1, 2, 3, 4 or more expect 22, 11, 5.5, 5.5; the next bin would expect less than 5.
    let waits: Vec<u64> = [(1, 26), (2, 7), (3, 6), (9, 5)]
        .into_iter()
        .flat_map(|(wait, times)| std::iter::repeat_n(wait, times))
        .collect();
    let fit = geometric_waits(&waits, 0.5).unwrap();
    assert_eq!(fit.degrees, 3);
    let by_hand = 16.0 / 22.0 + 16.0 / 11.0 + 2.0 * 0.25 / 5.5;
    assert!((fit.statistic - by_hand).abs() < 1e-9, "{fit:?}");
}

#[test]
fn impossible_waits_and_probabilities() {
    for p in [0.0, -0.1, 1.1, f64::NAN] {
        assert_eq!(geometric_waits(&[1; 100], p), None);
    }
    assert_eq!(geometric_waits(&[], 0.5), None);
    assert_eq!(geometric_waits(&[1; 9], 0.5), None);
    assert_eq!(geometric_waits(&[1; 100], 1.0), None);
    assert_eq!(geometric_waits(&[1, 1, 2], 1.0).unwrap().p_value, 0.0);
    assert_eq!(geometric_waits(&[3, 0, 2], 0.5).unwrap().p_value, 0.0);
    assert!(geometric_waits(&[u64::MAX; 100], 1e-30).unwrap().p_value < ALPHA, "far shorter than 10³⁰");
}

#[test]
fn waits_are_counted_from_win_to_win() {
    assert_eq!(waits(b"BABAAB", &b'A'), [2, 1]);
    assert_eq!(waits(b"BABAAB", &b'B'), [2, 3]);
    assert!(waits(b"BABAAB", &b'C').is_empty());
    assert!(waits(b"A", &b'A').is_empty());
}

#[test]
fn jain_knows_its_extremes_and_refuses_nonsense() {
    let close = |values: &[f64], expected: f64| {
        let got = jain(values.iter().copied()).unwrap();
        assert!((got - expected).abs() < 1e-12, "{values:?}: {got}");
    };
    close(&[2.0; 7], 1.0);
    close(&[5.0, 0.0, 0.0, 0.0], 0.25);
    close(&[3.0, 2.0, 1.0], 36.0 / 42.0);
    assert_eq!(jain([]), None);
    assert_eq!(jain([0.0, 0.0]), None);
    assert_eq!(jain([1.0, -1.0]), None);
    assert_eq!(jain([1.0, f64::NAN]), None);
    assert_eq!(jain([1.0, f64::INFINITY]), None);
}

#[test]
fn jain_of_a_lottery_has_the_value_luck_gives_it() {
    // E ≈ 1/(1 + (k−1)/n), to first order in (k−1)/n.
    let (clients, draws, runs) = (10usize, 1_000u64, 2_000u32);
    let mean = (0..u64::from(runs))
        .map(|seed| {
            let wins = winners(&vec![1; clients], draws, &mut seeded(seed)).unwrap();
            jain(wins.into_iter().map(|w| w as f64)).unwrap()
        })
        .sum::<f64>()
        / f64::from(runs);
    let expected = 1.0 / (1.0 + (clients - 1) as f64 / draws as f64);
    // 1 − J ≈ χ²(k−1)/n has standard deviation √(2(k−1))/n.
    let error = (2.0 * (clients - 1) as f64).sqrt() / draws as f64 / f64::from(runs).sqrt();
    assert!((mean - expected).abs() < 5.0 * error, "{mean} against {expected} ± {error}");
}

proptest! {
    #[test]
    fn pools_are_a_partition_and_each_is_enough(
        sizes in prop::collection::vec(0u64..50, 0..60), enough in 1u128..120,
    ) {
        let pools = pool(&sizes, |size| size >= enough);
        for members in &pools {
            prop_assert!(members.iter().map(|i| u128::from(sizes[*i])).sum::<u128>() >= enough);
        }
        let mut members = pools.concat();
        members.sort_unstable();
        let positive: Vec<usize> = (0..sizes.len()).filter(|i| sizes[*i] > 0).collect();
        let total: u128 = sizes.iter().map(|s| u128::from(*s)).sum();
        prop_assert_eq!(members, if total >= enough { positive } else { vec![] });
    }

    #[test]
    fn results_are_in_range_and_weights_have_no_unit(
        classes in prop::collection::vec((0u64..1_000, 0u64..1_000), 0..30), unit in 1u64..1_000_000,
    ) {
        let (observed, weights): (Vec<u64>, Vec<u64>) = classes.into_iter().unzip();
        let fit = chi_square(&observed, &weights);
        if let Some(fit) = fit {
            prop_assert!(fit.statistic >= 0.0 && (0.0..=1.0).contains(&fit.p_value) && fit.degrees > 0);
        }
        let scaled: Vec<u64> = weights.iter().map(|w| w * unit).collect();
        match (fit, chi_square(&observed, &scaled)) {
            (Some(a), Some(b)) if a.statistic.is_finite() => {
                prop_assert!((a.statistic - b.statistic).abs() <= 1e-9 * (1.0 + a.statistic));
                prop_assert_eq!(a.degrees, b.degrees);
            }
            (a, b) => prop_assert_eq!(a, b),
        }
    }

    #[test]
    fn jain_lies_between_one_nth_and_one(values in prop::collection::vec(0.0f64..1e6, 1..50), unit in 1e-3f64..1e3) {
        if let Some(index) = jain(values.iter().copied()) {
            prop_assert!(index >= 1.0 / values.len() as f64 - 1e-12 && index <= 1.0);
            let scaled = jain(values.iter().map(|v| v * unit)).unwrap();
            prop_assert!((index - scaled).abs() < 1e-9);
        }
    }

    #[test]
    fn no_input_panics(
        list in prop::collection::vec(0u64..6, 0..200), waits in prop::collection::vec(any::<u64>(), 0..50), p: f64,
        observed in prop::collection::vec(any::<u64>(), 3), weights in prop::collection::vec(any::<u64>(), 3),
        share in 0.0f64..=1.0,
    ) {
        for p in [p, share, share / 1e9] {
            for fit in [pair_independence(&list), geometric_waits(&waits, p), chi_square(&observed, &weights)] {
                prop_assert!(fit.is_none_or(|fit| (0.0..=1.0).contains(&fit.p_value) && fit.statistic >= 0.0));
            }
        }
        let lag1 = lag1_autocorrelation(list.iter().map(|x| *x as f64));
        prop_assert!(lag1.is_none_or(|lag1| lag1.coefficient.abs() <= 1.0 + 1e-12));
    }
}

#[test]
fn a_table_of_pairs_gives_what_the_list_of_winners_gives() {
    let mut rng = seeded(3);
    let winners: Vec<usize> =
        (0..5000).map(|_| usize::from(rng.random_bool(0.3)) + usize::from(rng.random_bool(0.2))).collect();
    let mut table = [0; 16];
    for pair in winners.windows(2) {
        table[pair[0] * 4 + pair[1]] += 1;
    }
    // The fourth class never wins and is left out.
    let (one, other) = (pair_independence(&winners).unwrap(), table_independence(&table, 4).unwrap());
    assert_eq!((one.degrees, other.degrees), (4, 4));
    assert!((one.statistic - other.statistic).abs() < 1e-9, "{one:?} {other:?}");
    assert_eq!(table_independence(&[50], 1), None);
    assert!((two_sided(-1.959_963_985) - 0.05).abs() < 1e-9);
}
