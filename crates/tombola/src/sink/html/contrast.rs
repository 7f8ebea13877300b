//! The page of two sides.

use super::ledger::{number, text};
use super::markup::{escape, put};
use super::page::page;
use crate::comparison::{Comparison, Pieces};
use crate::sink::seconds;

/// Rows of the table: all that differ, and of the others as many as fit. They keep a page below 300 KB.
const ROWS: usize = 300;

/// Both sides as a page; `json` is what a program would read.
pub(crate) fn render(comparison: &Comparison, json: &str) -> String {
    let [a, b] = &comparison.sides;
    let mut body = String::new();
    put(
        &mut body,
        format_args!(
            "<h1>{} and {}</h1>\n<p class=\"verdict\" id=\"verdict\">{}</p>\n<h2>Sides</h2>\n<table id=\"sides\"><thead><tr>\
             <th class=\"t\">Side</th><th class=\"t\">Machine</th><th>Length s</th><th>{}</th><th class=\"t\">Not measured</th><th class=\"t\">Certainty</th></tr>\
             </thead><tbody>\n",
            escape(&a.name),
            escape(&b.name),
            escape(&comparison.verdict()),
            if comparison.pieces == Pieces::Runs { "Runs" } else { "Stretches" },
        ),
    );
    for side in &comparison.sides {
        body.push_str("<tr>");
        text(&mut body, &side.name);
        text(&mut body, &side.machine);
        put(&mut body, format_args!("<td>{}</td><td>{}</td>", seconds(side.length_ns), side.pieces.len()));
        text(&mut body, &side.loss);
        text(&mut body, side.certainty.as_deref().unwrap_or("-"));
        body.push_str("</tr>\n");
    }
    body.push_str(
        "</tbody></table>\n<h2>Differences</h2>\n<p class=\"needs-script quiet\">A click on a title sorts.</p>\n\
         <div class=\"wide\"><table class=\"sortable\" id=\"differences\"><thead><tr><th class=\"t\">More than noise</th><th class=\"t\">Of</th>\
         <th class=\"t\">Name</th><th class=\"t\">Figure</th><th class=\"t\">Unit</th><th>First</th><th>Second</th><th>Difference</th><th>From</th>\
         <th>To</th><th>p</th></tr></thead><tbody>\n",
    );
    for difference in comparison.differences.iter().take(ROWS) {
        let contrast = &difference.contrast;
        let (level, name) = difference.subject.words();
        let is_one = difference.is_one();
        body.push_str(if is_one { "<tr class=\"found\">" } else { "<tr class=\"quiet\">" });
        text(&mut body, if is_one { "yes" } else { "no" });
        text(&mut body, level.trim());
        text(&mut body, name);
        text(&mut body, difference.figure.name());
        text(&mut body, difference.figure.unit());
        let (delta, digits) = (contrast.difference(), difference.figure.decimals());
        for value in
            [contrast.first, contrast.second, delta, delta - contrast.half_width, delta + contrast.half_width]
        {
            number(&mut body, &format!("{value:.6}"), &format!("{value:.digits$}"));
        }
        number(&mut body, &format!("{:.3e}", difference.p), &p_text(difference.p));
        body.push_str("</tr>\n");
    }
    body.push_str("</tbody></table></div>\n");
    let more = comparison.differences.len().saturating_sub(ROWS);
    if more > 0 {
        put(&mut body, format_args!("<p class=\"quiet\">{more} figures more differ less.</p>\n"));
    }
    body.push_str("<h2>How it was compared</h2>\n<ul>\n");
    for sentence in comparison.method() {
        put(&mut body, format_args!("<li>{}</li>\n", escape(&sentence)));
    }
    body.push_str("</ul>\n");
    page(&format!("tombola: {} and {}", a.name, b.name), &body, json)
}

/// A probability for people.
pub(crate) fn p_text(p: f64) -> String {
    if p < 0.001 { "<0.001".to_owned() } else { format!("{p:.3}") }
}
