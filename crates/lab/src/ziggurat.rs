//! Exponential variables by the ziggurat method: one random word, one table look-up and one product in 98.9 %
//! of draws.
//!
//! Source: G. Marsaglia, W. W. Tsang, "The Ziggurat Method for Generating Random Variables", Journal of
//! Statistical Software 5(8), 2000: 256 layers of equal area V under e⁻ˣ, the last beginning at R. The layer
//! comes from bits that the abscissa does not use (the original shares them, which Doornik showed to be a
//! fault).
//!
//! The logarithm and the exponential are those of the `libm` crate and not the platform's, which differ in
//! the last bit from one machine to the next: the same seed must give the same schedule everywhere.

use super::chance::unit;
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use std::sync::LazyLock;

/// Where the tail begins.
const R: f64 = 7.697_117_470_131_05;
/// Area of each layer.
const V: f64 = 0.003_949_659_822_581_557;
const LAYERS: usize = 256;

struct Tables {
    /// Right edges of the layers, falling; the last is 0.
    x: [f64; LAYERS + 1],
    /// e⁻ˣ at them.
    f: [f64; LAYERS + 1],
}

static TABLES: LazyLock<Tables> = LazyLock::new(|| {
    let mut x = [0.0; LAYERS + 1];
    x[0] = V * libm::exp(R);
    x[1] = R;
    for i in 2..LAYERS {
        x[i] = -libm::log(V / x[i - 1] + libm::exp(-x[i - 1]));
    }
    Tables { x, f: x.map(|x| libm::exp(-x)) }
});

/// An Exp(1) variable.
#[inline]
pub fn exponential(rng: &mut ChaCha8Rng) -> f64 {
    let tables = &*TABLES;
    loop {
        let bits = rng.next_u64();
        let layer = (bits & 0xff) as usize;
        let x = (bits >> 11) as f64 * (1.0 / 9_007_199_254_740_992.0) * tables.x[layer];
        if x < tables.x[layer + 1] {
            return x;
        }
        if let Some(x) = edge(tables, layer, x, rng) {
            return x;
        }
    }
}

/// Outside the rectangle that lies wholly under the curve: the tail of the lowest layer, or the wedge of
/// another.
#[cold]
fn edge(tables: &Tables, layer: usize, x: f64, rng: &mut ChaCha8Rng) -> Option<f64> {
    if layer == 0 {
        return Some(R - libm::log(unit(rng)));
    }
    let (low, high) = (tables.f[layer], tables.f[layer + 1]);
    (low + (high - low) * unit(rng) < libm::exp(-x)).then_some(x)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use tombola_core::statistics::chi_square;

    /// Counts in 64 bins of equal probability by the closed formula, so the tail and the wedges have their
    /// own bins.
    #[test]
    fn the_distribution_is_exponential() {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let mut counts = [0u64; 64];
        for _ in 0..1_000_000 {
            let u = 1.0 - (-exponential(&mut rng)).exp();
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            let bin = ((u * 64.0) as usize).min(63);
            counts[bin] += 1;
        }
        let p = chi_square(&counts, &[1; 64]).unwrap().p_value;
        assert!(p > 1e-6, "{p:e} {counts:?}");
    }

    #[test]
    fn the_tail_has_the_weight_it_should() {
        let mut rng = ChaCha8Rng::seed_from_u64(4);
        let n = 4_000_000;
        let beyond = (0..n).filter(|_| exponential(&mut rng) > R).count() as f64;
        let expected = f64::from(n) * (-R).exp(); // 1,816
        assert!((beyond - expected).abs() < 5.0 * expected.sqrt(), "{beyond} {expected}");
    }

    #[test]
    fn all_layers_have_the_same_area() {
        let tables = &*TABLES;
        for i in 1..LAYERS {
            let area = tables.x[i] * (tables.f[i + 1] - tables.f[i]);
            assert!((area - V).abs() < 1e-12, "layer {i}: {area}");
        }
    }
}
