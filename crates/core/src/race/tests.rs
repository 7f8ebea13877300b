use super::*;
use crate::statistics::chi_square;
use num_rational::BigRational;
use proptest::prelude::*;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// p-values below this fail: with fixed seeds a right draw is not rejected by chance.
const REJECT: f64 = 1e-6;

fn exponentials(seed: u64, n: usize) -> impl Iterator<Item = f64> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    (0..n).map(move |_| exponential(rng.next_u64()) as f64 / ONE as f64)
}

/// Counts of values in bins of equal probability under a distribution function.
fn binned(values: impl Iterator<Item = f64>, distribution: impl Fn(f64) -> f64, bins: usize) -> Vec<u64> {
    let mut counts = vec![0; bins];
    for value in values {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let bin = (distribution(value) * bins as f64) as usize;
        counts[bin.min(bins - 1)] += 1;
    }
    counts
}

fn equal(counts: &[u64]) -> f64 {
    chi_square(counts, &vec![1; counts.len()]).unwrap().p_value
}

/// The reference output for the seed 1234567, as printed by the authors' program.
#[test]
fn the_stream_is_splitmix64() {
    let mut state = 1_234_567;
    let got = [(); 5].map(|()| next(&mut state));
    let published = [
        6_457_827_717_110_365_317,
        3_203_168_211_198_807_973,
        9_817_491_932_198_370_423,
        4_593_380_528_125_082_431,
        16_408_922_859_458_223_821,
    ];
    assert_eq!(got, published);
}

/// ln 2 = Σ 1/(k 2ᵏ), and Q[k] from it, in exact fractions.
#[test]
fn the_table_is_that_of_the_algorithm() {
    let whole = |n: u64| BigRational::from_integer(n.into());
    let mut ln2 = whole(0);
    let mut power = whole(1);
    for k in 1..=80 {
        power /= whole(2);
        ln2 += &power / whole(k);
    }
    // What is left out is below 2^-86.
    let unit = whole(1 << 32) * whole(1 << 32);
    let near = |table: u64, exact: &BigRational, unit: &BigRational| {
        let difference = exact * unit - whole(table);
        assert!(difference >= whole(0) && difference < whole(1), "{table:#x} is off by {difference}");
    };
    near(LN2_64, &ln2, &unit);
    near(LN2_52, &ln2, &whole(ONE));
    let (mut q, mut term) = (whole(0), whole(1));
    for (i, table) in (1..).zip(Q) {
        term = (term * &ln2 / whole(i) * &unit * &unit).floor() / (&unit * &unit);
        q += &term;
        near(table, &q, &unit);
    }
}

#[test]
fn mean_variance_and_third_moment() {
    let n = 1 << 20;
    let (mut mean, mut variance, mut third) = (0.0, 0.0, 0.0);
    for e in exponentials(1, n) {
        mean += e / n as f64;
        variance += (e - 1.0).powi(2) / n as f64;
        third += (e - 1.0).powi(3) / n as f64;
    }
    // Of Exp(1) the central moments 2, 3, 4 and 6 are 1, 2, 9 and 265; the estimates have the variances 1, 8
    // and 261 by n.
    let sigma = 1.0 / (n as f64).sqrt();
    assert!((mean - 1.0).abs() < 5.0 * sigma, "{mean}");
    assert!((variance - 1.0).abs() < 5.0 * 8f64.sqrt() * sigma, "{variance}");
    assert!((third - 2.0).abs() < 5.0 * 261f64.sqrt() * sigma, "{third}");
}

#[test]
fn the_distribution_is_exponential() {
    for (seed, bins) in [(2, 64), (3, 1000)] {
        let counts = binned(exponentials(seed, 1_000_000), |e| 1.0 - (-e).exp(), bins);
        let p = equal(&counts);
        assert!(p > REJECT, "{p:e} {counts:?}");
    }
}

/// In a draw among n equal tasks the winner's E is about 1/n: the density near 0 decides. P(E < x) at four
/// places, and within E < 1/64 the law again, in bins of its own.
#[test]
fn the_density_at_zero_is_one() {
    let n = 1 << 22;
    let near: Vec<f64> = exponentials(4, n).filter(|e| *e < 1.0 / 64.0).collect();
    for bits in [6, 8, 10, 12] {
        let x = 0.5f64.powi(bits);
        let expected = n as f64 * (1.0 - (-x).exp());
        let got = near.iter().filter(|e| **e < x).count() as f64;
        assert!((got - expected).abs() < 5.0 * expected.sqrt(), "2^-{bits}: {got} for {expected}");
    }
    let all = 1.0 - (-1f64 / 64.0).exp();
    let p = equal(&binned(near.into_iter(), |e| (1.0 - (-e).exp()) / all, 256));
    assert!(p > REJECT, "{p:e}");
}

/// What the race rests on: the smallest of n is exponential with the rate n, and everybody's equally often.
#[test]
fn the_least_of_many_is_exponential_and_anybodys() {
    for (n, rounds) in [(2, 200_000), (10, 100_000), (300, 10_000)] {
        let mut rng = ChaCha8Rng::seed_from_u64(6);
        let (mut winners, mut least) = (vec![0; n], Vec::new());
        for _ in 0..rounds {
            let (e, winner) = (0..n).map(|i| (exponential(rng.next_u64()), i)).min().unwrap();
            winners[winner] += 1;
            least.push(e as f64 / ONE as f64);
        }
        assert!(equal(&winners) > REJECT, "{winners:?}");
        let p = equal(&binned(least.into_iter(), |e| 1.0 - (-e * n as f64).exp(), 64));
        assert!(p > REJECT, "{n}: {p:e}");
    }
}

/// The tail e^-x, where the number of heads is large; and the bits that the others hide.
#[test]
fn tail_and_low_bits() {
    let n = 1 << 22;
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let (mut beyond, mut low) = ([0u64; 3], vec![0u64; 256]);
    for _ in 0..n {
        let e = exponential(rng.next_u64());
        for (count, x) in beyond.iter_mut().zip([4, 8, 11]) {
            *count += u64::from(e > x * ONE);
        }
        low[(e & 255) as usize] += 1;
    }
    for (count, x) in beyond.iter().zip([4.0, 8.0, 11.0f64]) {
        let expected = f64::from(n) * (-x).exp();
        assert!((*count as f64 - expected).abs() < 5.0 * expected.sqrt(), "{x}: {count} for {expected}");
    }
    assert!(equal(&low) > REJECT, "{low:?}");
}

/// The largest there can be: 64 heads, and the fraction of ln 2 that is next to 1.
#[test]
fn a_residual_is_below_2_to_the_58() {
    assert!(64 * LN2_52 + (high_product(u64::MAX, LN2_64) >> (64 - FRACTION)) < 1 << 58);
}

#[test]
fn compensation_at_its_bounds() {
    assert_eq!(compensation(0, 0), COMPENSATION_ONE);
    assert_eq!(compensation(5, 5), COMPENSATION_ONE);
    assert_eq!(compensation(6, 5), COMPENSATION_ONE);
    assert_eq!(compensation(0, 1), COMPENSATION_MOST);
    assert_eq!(compensation(20_000_000, 100_000_000), 5 * COMPENSATION_ONE);
    assert_eq!(compensation(1, 1024), COMPENSATION_MOST);
    assert_eq!(compensation(2, 1024), 512 * COMPENSATION_ONE);
    // A slice without end.
    assert_eq!(compensation(1 << 40, u64::MAX), COMPENSATION_MOST);
    assert_eq!(compensation(1 << 63, u64::MAX), 2 * COMPENSATION_ONE - 1);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4096, ..ProptestConfig::default() })]

    #[test]
    fn a_residual_is_the_quotient_cut(e in 0u64..1 << 58, t in 1..=TICKETS_MOST, c in COMPENSATION_ONE..=COMPENSATION_MOST) {
        let exact = u128::from(e) * u128::from(COMPENSATION_ONE) / (u128::from(t) * u128::from(c));
        prop_assert!([0, 1].contains(&(exact - u128::from(residual(e, t, c)))), "cut twice");
    }

    #[test]
    fn compensation_is_slice_by_used(slice in any::<u64>(), shift in 0u32..64, fraction in 0.0..1.2f64) {
        let slice = slice >> shift;
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let used = (slice as f64 * fraction) as u64;
        let got = compensation(used, slice);
        prop_assert!((COMPENSATION_ONE..=COMPENSATION_MOST).contains(&got));
        let exact = match (slice, used) {
            (0, _) => 0,
            (_, 0) => u128::MAX,
            _ => u128::from(slice) * u128::from(COMPENSATION_ONE) / u128::from(used),
        };
        let exact = u64::try_from(exact.clamp(1 << 10, 1 << 20)).unwrap();
        // Slices of more than 2^54 ns lose ten bits: one part in 2^34 of what was used.
        prop_assert!(got == exact || slice >> 54 != 0 && got.abs_diff(exact) <= 1, "{} {}", got, exact);
    }
}
