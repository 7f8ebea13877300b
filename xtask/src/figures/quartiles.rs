//! Median and quartiles of a few measurements.

/// The quantile of values by linear interpolation between the two nearest, R's type 7: none of no values.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index within the values")]
pub(super) fn quantile(values: &[f64], q: f64) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = q * sorted.len().checked_sub(1)? as f64;
    let low = sorted.get(at.floor() as usize)?;
    let high = sorted.get(at.ceil() as usize)?;
    Some(low + (at - at.floor()) * (high - low))
}

/// Median and both quartiles.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Quartiles {
    /// A quarter is below.
    pub(super) low: f64,
    /// Half is below.
    pub(super) median: f64,
    /// A quarter is above.
    pub(super) high: f64,
}

impl Quartiles {
    /// Of values; none of none.
    pub(super) fn of(values: &[f64]) -> Option<Self> {
        let at = |q| quantile(values, q);
        Some(Self { low: at(0.25)?, median: at(0.5)?, high: at(0.75)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_r() {
        // R: quantile(c(9, 1, 4, 2), c(.25, .5, .75)) is 1.75, 3.00, 5.25.
        let quartiles = Quartiles::of(&[9.0, 1.0, 4.0, 2.0]);
        assert_eq!(quartiles, Some(Quartiles { low: 1.75, median: 3.0, high: 5.25 }));
        assert_eq!(quantile(&[7.0], 0.25), Some(7.0));
        assert_eq!(quantile(&[1.0, 2.0, 3.0], 1.0), Some(3.0));
        assert_eq!(quantile(&[], 0.5), None);
    }
}
