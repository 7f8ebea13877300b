//! Whether two stretches of time differ by more than they vary by themselves.
//!
//! Each side is cut into equal stretches, of which each gives one value of a figure. The means of the two
//! sides are compared by Welch's t-test, which lets them vary differently. Neighbouring stretches are alike
//! more than chance would have it, which makes a test that takes them for independent see differences where
//! none are: the number of stretches is therefore replaced by the number of independent ones that would tell
//! as much, n (1 − r) / (1 + r) with r the correlation of neighbours (Zwiers and von Storch, "Taking Serial
//! Correlation into Account in Tests of the Mean", Journal of Climate 8, 1995).

use statrs::distribution::{ContinuousCDF, StudentsT};

/// Stretches that a side has at least: of fewer, no correlation of neighbours can be told.
pub const LEAST: usize = 4;

/// Probability below which a difference is called one.
pub const LEVEL: f64 = 0.05;

/// The figure of one side and the other.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Contrast {
    /// Mean over the stretches of the first side.
    pub first: f64,
    /// Mean over those of the second.
    pub second: f64,
    /// Half the width of the 95 % confidence interval of second − first.
    pub half_width: f64,
    /// Probability of a difference as large as this one, or larger, where there is none (two-sided). 0 where
    /// neither side varies.
    pub p: f64,
}

impl Contrast {
    /// Of one value for each stretch; `None` where a side has fewer than [`LEAST`], or values that are no
    /// numbers.
    pub fn of(first: &[f64], second: &[f64]) -> Option<Self> {
        let (a, b) = (Side::of(first)?, Side::of(second)?);
        let (va, vb) = (a.variance / a.effective, b.variance / b.effective);
        let error = (va + vb).sqrt();
        let difference = b.mean - a.mean;
        let both = Self { first: a.mean, second: b.mean, half_width: 0.0, p: 1.0 };
        // What is left of two equal sums of different order is no variance.
        if error <= f64::EPSILON * a.mean.abs().max(b.mean.abs()) {
            let differs = difference.abs() > 1e-9 * a.mean.abs().max(b.mean.abs());
            return Some(Self { p: if differs { 0.0 } else { 1.0 }, ..both });
        }
        let freedom =
            (va + vb).powi(2) / (va.powi(2) / (a.effective - 1.0) + vb.powi(2) / (b.effective - 1.0));
        let student = StudentsT::new(0.0, 1.0, freedom).ok()?;
        let p = 2.0 * student.sf((difference / error).abs());
        Some(Self { half_width: student.inverse_cdf(0.975) * error, p: p.min(1.0), ..both })
    }

    /// second − first.
    pub fn difference(&self) -> f64 {
        self.second - self.first
    }
}

/// Makes probabilities of many tests those of one: whoever asks often enough finds a difference by chance
/// (Holm's method).
///
/// The probability that any one of them is below [`LEVEL`], where there is no difference at all, is at most
/// [`LEVEL`].
pub fn correct(probabilities: &mut [f64]) {
    let mut order: Vec<usize> = (0..probabilities.len()).collect();
    order.sort_by(|a, b| probabilities[*a].total_cmp(&probabilities[*b]));
    let mut least = 0.0_f64;
    for (rank, at) in order.iter().enumerate() {
        let left = (order.len() - rank) as f64;
        least = least.max((probabilities[*at] * left).min(1.0));
        probabilities[*at] = least;
    }
}

struct Side {
    mean: f64,
    variance: f64,
    /// Independent stretches that would tell as much, 2 at least.
    effective: f64,
}

impl Side {
    fn of(values: &[f64]) -> Option<Self> {
        if values.len() < LEAST || !values.iter().all(|value| value.is_finite()) {
            return None;
        }
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        let products: f64 = values.windows(2).map(|pair| (pair[0] - mean) * (pair[1] - mean)).sum();
        let raw = if squares > 0.0 { products / squares } else { 0.0 };
        // Of few values the correlation comes out too small, by (1 + 4 r) / n (Kendall, Biometrika 41, 1954).
        let correlation = (raw + (1.0 + 4.0 * raw) / n).clamp(0.0, 0.99);
        let effective = (n * (1.0 - correlation) / (1.0 + correlation)).max(2.0);
        Some(Self { mean, variance: squares / (n - 1.0), effective })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    /// With ν = 6 degrees of freedom Student's distribution has a closed form.
    fn p_of_six(t: f64) -> f64 {
        let c2 = 1.0 / (1.0 + t * t / 6.0);
        let sine = (1.0 - c2).sqrt();
        1.0 - sine * (1.0 + c2 / 2.0 + 3.0 / 8.0 * c2 * c2)
    }

    #[test]
    fn four_and_four_have_a_closed_form() {
        // Neighbours of 1, −1, 1, −1 are as unlike as can be: their correlation is below 0 and counts as
        // none.
        let first = [1.0, -1.0, 1.0, -1.0];
        for shift in [0.0, 0.5, 1.0, 2.0, 5.0] {
            let second = first.map(|value| value + shift);
            let contrast = Contrast::of(&first, &second).unwrap();
            // Variance 4/3 each, so that the error is √(2/3) and ν = 2 (4 − 1).
            let t = shift / (2.0_f64 / 3.0).sqrt();
            assert!((contrast.p - p_of_six(t)).abs() < 1e-9, "{shift}: {contrast:?}");
            // Where the edge of the interval lies, p is 0.05.
            let edge = contrast.half_width / (2.0_f64 / 3.0).sqrt();
            assert!((p_of_six(edge) - 0.05).abs() < 1e-9, "{contrast:?}");
        }
    }

    #[test]
    fn what_does_not_vary_differs_or_not() {
        let p = |one: &[f64], other: &[f64]| Contrast::of(one, other).unwrap().p.to_bits();
        assert_eq!(p(&[2.0; 9], &[2.0; 7]), 1f64.to_bits());
        assert_eq!(p(&[2.0; 9], &[2.1; 7]), 0f64.to_bits());
        assert_eq!(p(&[0.0; 9], &[0.0; 9]), 1f64.to_bits());
        assert_eq!(Contrast::of(&[2.0; 3], &[2.0; 9]), None);
        assert_eq!(Contrast::of(&[f64::NAN; 9], &[2.0; 9]), None);
    }

    #[test]
    fn corrected_as_by_hand() {
        let mut p = [0.01, 0.04, 0.03, 0.005];
        correct(&mut p);
        // 0.005·4, 0.01·3, 0.03·2, then 0.04·1, which may not be below its predecessor.
        for (is, should) in p.iter().zip([0.03, 0.06, 0.06, 0.02]) {
            assert!((is - should).abs() < 1e-12, "{p:?}");
        }
        correct(&mut []);
    }

    /// Of 500 pairs of sides that do not differ, about 1 in 20 may be said to, whether neighbours are alike
    /// or not. The count is binomial with σ = √(500·0.05·0.95) = 4.9: 25 + 5 σ is 49. Neighbours with a
    /// correlation of 0.5 triple the variance of a mean: a test that takes them for independent says so of 2
    /// (1 − Φ(1.96 / √3)), 26 % or 129 pairs.
    #[test]
    fn sides_that_do_not_differ_are_said_to_at_the_level() {
        let mut random = ChaCha8Rng::seed_from_u64(7);
        for alike in [0.0, 0.5] {
            let mut side = || {
                let mut value = 0.0;
                let mut next = || {
                    // Twelve uniform ones less 6 have variance 1 and are normal for this purpose.
                    let noise: f64 = (0..12).map(|_| random.random::<f64>()).sum::<f64>() - 6.0;
                    value = alike * value + noise;
                    value
                };
                (0..50).for_each(|_| _ = next());
                (0..30).map(|_| next()).collect::<Vec<f64>>()
            };
            let said = (0..500).filter(|_| Contrast::of(&side(), &side()).unwrap().p < LEVEL).count();
            assert!(said <= 49, "{alike}: {said}");
            assert!(said >= 2, "{alike}: {said}: the test says nothing any more");
        }
    }
}
