//! Two sides for people: what differs, and how many figures do not.

use super::html::contrast::p_text;
use super::seconds;
use crate::comparison::{Comparison, Difference, Subject};
use std::fmt::Write;

/// Differences that are listed.
const ROWS: usize = 40;

/// The text.
pub(crate) fn render(comparison: &Comparison) -> String {
    let mut text = String::new();
    for (side, which) in comparison.sides.iter().zip(["first ", "second"]) {
        let (length, pieces) = (seconds(side.length_ns), side.pieces.len());
        let what = comparison.pieces.name();
        put(&mut text, format_args!("{which}  {}: {length} s in {pieces} {what}\n", side.name));
        put(&mut text, format_args!("        {}; loss: {}\n", side.machine, side.loss));
        if let Some(certainty) = &side.certainty {
            put(&mut text, format_args!("        certainty: {certainty}\n"));
        }
    }
    put(&mut text, format_args!("\n{}\n", comparison.verdict()));
    // Of what was run the answer is listed even where it is that there is no difference.
    let is_listed = |d: &&Difference| d.is_one() || d.subject == Subject::Run;
    let found: Vec<&Difference> = comparison.differences.iter().filter(is_listed).collect();
    if !found.is_empty() {
        put(
            &mut text,
            format_args!(
                "\n{:>9} {:>9} {:>9} {:>21} {:>7}  UNIT  FIGURE\n",
                "FIRST", "SECOND", "CHANGE", "95 % INTERVAL", "P"
            ),
        );
    }
    for difference in found.iter().take(ROWS) {
        let contrast = &difference.contrast;
        let (level, name) = difference.subject.words();
        let change = contrast.difference();
        let (figure, digits) = (difference.figure, difference.figure.decimals());
        let noise = if difference.is_one() { "" } else { ": no more than noise" };
        let (from, to) = (change - contrast.half_width, change + contrast.half_width);
        let interval = format!("{from:+.digits$} to {to:+.digits$}");
        put(
            &mut text,
            format_args!(
                "{:>9.digits$} {:>9.digits$} {change:>+9.digits$} {interval:>21} {:>7}  {:<4}  {} of {level}{name}{noise}\n",
                contrast.first,
                contrast.second,
                p_text(difference.p),
                figure.unit(),
                figure.name(),
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
