//! The lines above the table: the interval, the books, the loss.

use super::{line, ms3, percent, signed};
use crate::sink::loss::{corrected_text, loss_text};
use tombola_core::report::Head;

/// Writes the head of the `iteration`-th sample; a blank line separates it from the block before.
pub(super) fn write(out: &mut String, iteration: u64, head: &Head) {
    if iteration > 1 {
        out.push('\n');
    }
    line(
        out,
        format_args!("sample {iteration}: interval {} s, deltas {}", seconds(head.length_ns), head.since),
    );
    let books = &head.books;
    let (cpus, s) = (head.cpus, if head.cpus == 1 { "" } else { "s" });
    line(
        out,
        format_args!(
            "books: wall {} s on {cpus} CPU{s}, busy {} %, idle {} %, residual {} %; {} tasks tracked, {} ended{}",
            seconds(books.wall_ns),
            percent(books.busy_share()),
            percent(books.idle_share()),
            signed(books.residual_share() * 100.0),
            head.tracked,
            head.ended as u64 + head.unlisted.count,
            unlisted(head),
        ),
    );
    let now = loss_text(&head.loss);
    let corrected = corrected_text(&head.loss);
    if loss_text(&head.loss_total) == now {
        line(out, format_args!("loss: {now}{corrected}"));
    } else {
        line(out, format_args!("loss: {now}; in total {}{corrected}", loss_text(&head.loss_total)));
    }
}

/// What tasks received that ended and have no row.
fn unlisted(head: &Head) -> String {
    match head.unlisted.count {
        0 => String::new(),
        n => format!(" ({n} of them not listed, {} ms)", ms3(head.unlisted.runtime_ns)),
    }
}

/// Nanoseconds as seconds with three decimals, rounded half up.
pub(in crate::sink) fn seconds(ns: u64) -> String {
    ms3(ns / 1000)
}
