//! Two sides for people: what differs, and how many figures do not.

use super::html::contrast::p_text;
use super::seconds;
use crate::comparison::{Comparison, Difference};
use std::fmt::Write;

/// Differences that are listed.
const ROWS: usize = 40;

/// The text.
pub(crate) fn render(comparison: &Comparison) -> String {
    let mut text = String::new();
    for (side, which) in comparison.sides.iter().zip(["first ", "second"]) {
        let (length, stretches) = (seconds(side.length_ns), side.stretches.len());
        put(&mut text, format_args!("{which}  {}: {length} s in {stretches} stretches\n", side.name));
        put(&mut text, format_args!("        {}; loss: {}\n", side.machine, side.loss));
    }
    put(&mut text, format_args!("\n{}\n", comparison.verdict()));
    let found: Vec<&Difference> = comparison.differences.iter().filter(|d| d.is_one()).collect();
    if !found.is_empty() {
        put(
            &mut text,
            format_args!(
                "\n{:>9} {:>9} {:>9} {:>21} {:>7}  FIGURE\n",
                "FIRST %", "SECOND %", "CHANGE", "95 % INTERVAL", "P"
            ),
        );
    }
    for difference in found.iter().take(ROWS) {
        let contrast = &difference.contrast;
        let (level, name) = difference.subject.words();
        let change = contrast.difference();
        let interval =
            format!("{:+.2} to {:+.2}", change - contrast.half_width, change + contrast.half_width);
        put(
            &mut text,
            format_args!(
                "{:>9.2} {:>9.2} {change:>+9.2} {interval:>21} {:>7}  {} of {level}{name}\n",
                contrast.first,
                contrast.second,
                p_text(difference.p),
                difference.figure.name(),
            ),
        );
    }
    let more = found.len().saturating_sub(ROWS);
    if more > 0 {
        put(&mut text, format_args!("and {more} more; --format json and -o have all of them\n"));
    }
    text
}

fn put(out: &mut String, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("a String takes everything");
}
