//! What figures are worth, beside the figures: as a line of a table, and as records.

use super::ms3;
use schemars::JsonSchema;
use serde::Serialize;
use tombola_core::worth::{Judged, Kind, Worth};

/// What the kinds of figures that are shown are worth, and why they are no more; `None` where the source
/// cannot judge them.
pub(crate) fn certainty_text(worths: &[Judged], is_shown: impl Fn(Kind) -> bool) -> Option<String> {
    let shown: Vec<&Judged> = worths.iter().filter(|judged| is_shown(judged.kind)).collect();
    if shown.iter().all(|judged| judged.worth == Worth::Exact) {
        return (!shown.is_empty()).then(|| Worth::Exact.to_string());
    }
    // One reason is told once, for all that it is the reason of.
    let mut parts: Vec<(Worth, &str, Vec<String>)> = Vec::new();
    for Judged { kind, worth, too_low_ns, why } in shown {
        let by = too_low_ns.map_or_else(String::new, |ns| format!(" (+{} ms at most)", ms3(ns)));
        let name = format!("{}{by}", kind.what());
        match parts.iter_mut().find(|(of, because, _)| (of, because) == (worth, why)) {
            Some((_, _, names)) => names.push(name),
            None => parts.push((*worth, why, vec![name])),
        }
    }
    let part = |(worth, why, names): &(Worth, &str, Vec<String>)| {
        let because = if why.is_empty() { String::new() } else { format!(": {why}") };
        format!("{} {worth}{because}", names.join(", "))
    };
    Some(parts.iter().map(part).collect::<Vec<_>>().join("; "))
}

/// The same without reasons.
pub(crate) fn certainty_brief(worths: &[Judged], is_shown: impl Fn(Kind) -> bool) -> Option<String> {
    let bare: Vec<Judged> =
        worths.iter().map(|judged| Judged { too_low_ns: None, why: "", ..*judged }).collect();
    certainty_text(&bare, is_shown)
}

/// Whether a kind of figure has one of these columns.
pub(crate) fn is_among<'a>(kind: Kind, mut columns: impl Iterator<Item = &'a str>) -> bool {
    columns.any(|key| kind.columns().contains(&key))
}

/// A kind of figure, of all tasks together.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Certainty")]
pub(crate) struct CertaintyRecord {
    /// Which figures.
    pub(crate) what: &'static str,
    /// exact, bounded or unknown.
    pub(crate) worth: String,
    /// By how much they may be too low, of all tasks together, where that is what bounds them.
    pub(crate) too_low_ns: Option<u64>,
    /// Why they are no more than that; empty where they are exact.
    pub(crate) why: &'static str,
}

impl CertaintyRecord {
    /// Of one kind.
    pub(crate) fn of(judged: &Judged) -> Self {
        let Judged { kind, worth, too_low_ns, why } = *judged;
        Self { what: kind.what(), worth: worth.to_string(), too_low_ns, why }
    }

    /// Of all kinds; `None` where the source cannot judge its figures.
    pub(crate) fn all(worths: &[Judged]) -> Option<Vec<Self>> {
        (!worths.is_empty()).then(|| worths.iter().map(Self::of).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_told_once() {
        let judged = |kind, worth, too_low_ns, why| Judged { kind, worth, too_low_ns, why };
        let worths = [
            judged(Kind::Run, Worth::Bounded, Some(2_500_000), "dark"),
            judged(Kind::Wait, Worth::Bounded, Some(7_000_000), "dark"),
            judged(Kind::Switches, Worth::Exact, None, ""),
            judged(Kind::Entitlement, Worth::Unknown, None, "blind"),
        ];
        let all = "run time (+2.500 ms at most), wait (+7.000 ms at most) bounded: dark; switches exact; entitlement unknown: blind";
        assert_eq!(certainty_text(&worths, |_| true).unwrap(), all);
        assert_eq!(certainty_text(&worths, |kind| kind == Kind::Switches).unwrap(), "exact");
        let brief = "run time, wait bounded; entitlement unknown";
        assert_eq!(certainty_brief(&worths, |kind| kind != Kind::Switches).unwrap(), brief);
        assert_eq!(certainty_text(&[], |_| true), None);
        let is_shown = |kind| is_among(kind, ["comm", "switches", "wait_ns"].into_iter());
        assert_eq!(
            certainty_text(&worths, is_shown).unwrap(),
            "wait (+7.000 ms at most) bounded: dark; switches exact"
        );
    }
}
