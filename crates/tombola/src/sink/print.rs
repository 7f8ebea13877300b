//! Numbers, names and lines, as all tables print them.

use crate::text::{clip, harmless};
use std::fmt::Write;

/// Columns a name may fill. A comm has 15 bytes: only escapes make it longer.
const COMM_COLUMNS: usize = 20;

/// Nanoseconds as milliseconds with three decimals, rounded half up.
pub(crate) fn ms3(ns: u64) -> String {
    let us = ns / 1000 + u64::from(ns % 1000 >= 500);
    format!("{}.{:03}", us / 1000, us % 1000)
}

/// Nanoseconds as seconds with three decimals, rounded half up.
pub(crate) fn seconds(ns: u64) -> String {
    ms3(ns / 1000)
}

/// The task's name, harmless and of bounded width; `""` where it has none, so that no column is empty.
pub(crate) fn name(comm: &[u8]) -> String {
    let text = harmless(comm);
    if text.is_empty() { "\"\"".to_owned() } else { clip(&text, COMM_COLUMNS).into_owned() }
}

/// A part of 1 in percent, with three decimals.
pub(crate) fn percent(share: f64) -> String {
    format!("{:.3}", share * 100.0)
}

/// A probability with three decimals, or its order of magnitude where these would be zero.
pub(crate) fn probability(p: f64) -> String {
    if p >= 0.001 || p == 0.0 { format!("{p:.3}") } else { format!("{p:.0e}") }
}

/// With a sign and three decimals; what rounds to zero has no sign.
pub(crate) fn signed(value: f64) -> String {
    let text = format!("{value:+.3}");
    if text.bytes().any(|b| matches!(b, b'1'..=b'9')) { text } else { "0.000".to_owned() }
}

/// One line of text.
pub(crate) fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("a String takes everything");
    out.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn milliseconds_are_rounded_and_never_overflow() {
        let cases =
            [(0, "0.000"), (499, "0.000"), (500, "0.001"), (1_234_567, "1.235"), (999_999_500, "1000.000")];
        for (ns, expected) in cases {
            assert_eq!(ms3(ns), expected);
        }
        assert_eq!(ms3(u64::MAX), "18446744073709.552");
    }
}
