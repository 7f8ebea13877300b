//! Means over runs, with their confidence intervals.

use statrs::distribution::{ContinuousCDF, StudentsT};

/// A mean over runs.
#[derive(Clone, Copy, Debug, PartialEq, Default)]
pub struct Estimate {
    /// The mean.
    pub mean: f64,
    /// Half the width of its 95 % confidence interval (Student's t); `None` for a single run.
    pub half_width: Option<f64>,
}

impl Estimate {
    /// Of one value for each run.
    pub fn of(values: &[f64]) -> Self {
        let n = values.len() as f64;
        if values.is_empty() {
            return Self::default();
        }
        let mean = values.iter().sum::<f64>() / n;
        let half_width = (values.len() > 1).then(|| {
            let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (n - 1.0);
            let t = StudentsT::new(0.0, 1.0, n - 1.0).map_or(f64::NAN, |t| t.inverse_cdf(0.975));
            t * (variance / n).sqrt()
        });
        Self { mean, half_width }
    }
}
