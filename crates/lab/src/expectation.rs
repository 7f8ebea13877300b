//! Holding results against what the scenario expects.

use super::estimate::Estimate;
use super::scenario::expect::{Bounds, Check, Subject};

/// The verdict on one expectation.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// The expectation, as its key in the scenario.
    pub key: String,
    /// What came out (the mean over runs); `None` where it is a sequence or could not be worked out.
    pub got: Option<f64>,
    /// Where it had to lie.
    pub bounds: Bounds,
    /// For a sequence: expected and got.
    pub sequence: Option<(String, String)>,
    /// Whether it holds.
    pub holds: bool,
}

impl Verdict {
    /// Judges one expectation. `value` gives the mean of what the subject names.
    pub(super) fn of(
        check: &Check,
        value: impl FnOnce(&Subject) -> Option<Estimate>,
        ran: &[String],
    ) -> Self {
        let mut verdict =
            Self { key: check.key.clone(), got: None, bounds: check.bounds, sequence: None, holds: false };
        if let Subject::Sequence(names) = &check.subject {
            let ran = &ran[..ran.len().min(names.len())];
            verdict.holds = ran == names;
            verdict.sequence = Some((names.join(" "), ran.join(" ")));
        } else {
            verdict.got = value(&check.subject).map(|estimate| estimate.mean);
            verdict.holds = verdict.got.is_some_and(|got| check.bounds.hold(got));
        }
        verdict
    }
}
