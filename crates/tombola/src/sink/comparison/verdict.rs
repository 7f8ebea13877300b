//! Expectations in words.

use super::length;
use crate::text::harmless;
use tombola_lab::expectation::Verdict;
use tombola_lab::scenario::expect::Metric;

/// What was expected and what came out: `share.A = 0.500000, expected 0.49 to 0.51`.
pub(super) fn text(verdict: &Verdict) -> String {
    let key = harmless(verdict.key.as_bytes());
    if let Some((expected, got)) = &verdict.sequence {
        let (expected, got) = (harmless(expected.as_bytes()), harmless(got.as_bytes()));
        return format!("{key}: {got}, expected {expected}");
    }
    let metric = verdict.key.split('.').next().unwrap_or_default();
    let time = Metric::ALL.iter().any(|(key, known)| *key == metric && known.is_time());
    let value = |value: f64| if time { time_text(value) } else { number(value) };
    let got = verdict.got.map_or_else(|| "nothing".to_owned(), value);
    let (low, high) = (verdict.bounds.low, verdict.bounds.high);
    if low >= high {
        format!("{key} = {got}, expected {}", value(low))
    } else if high.is_infinite() {
        format!("{key} = {got}, expected at least {}", value(low))
    } else if low <= 0.0 {
        format!("{key} = {got}, expected at most {}", value(high))
    } else {
        format!("{key} = {got}, expected {} to {}", value(low), value(high))
    }
}

fn time_text(ns: f64) -> String {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    // 0 and above; past u64 is past 584 years
    let whole = ns.round() as u64;
    length(whole)
}

/// Six decimals, fewer where they are 0.
fn number(value: f64) -> String {
    let text = format!("{value:.6}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
