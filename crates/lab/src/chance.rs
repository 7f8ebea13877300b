//! Uniform numbers from a seeded stream.

use rand::Rng;
use rand_chacha::ChaCha8Rng;

/// A uniform number in (0, 1]: 53 random bits, never 0, so that its logarithm is finite.
pub fn unit(rng: &mut ChaCha8Rng) -> f64 {
    ((rng.next_u64() >> 11) + 1) as f64 * (1.0 / 9_007_199_254_740_992.0)
}

/// A uniform integer in 0…n−1, without bias (Lemire 2019, "Fast random integer generation in an interval").
///
/// # Panics
/// With n = 0.
pub fn below(rng: &mut ChaCha8Rng, n: u64) -> u64 {
    assert!(n > 0, "no number is below zero");
    let mut wide = u128::from(rng.next_u64()) * u128::from(n);
    #[allow(clippy::cast_possible_truncation)] // the low half decides whether a draw is kept
    if (wide as u64) < n {
        let refused = n.wrapping_neg() % n;
        while (wide as u64) < refused {
            wide = u128::from(rng.next_u64()) * u128::from(n);
        }
    }
    u64::try_from(wide >> 64).expect("the high half of 128 bits")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rand::SeedableRng;

    proptest! {
        #[test]
        fn bounded_draws_stay_below(n in 1u64.., seed in any::<u64>()) {
            prop_assert!(below(&mut ChaCha8Rng::seed_from_u64(seed), n) < n);
        }
    }
}
