//! The lines above the table: the interval, the books, the loss.

use crate::sink::loss::{corrected_text, loss_text};
use crate::sink::print::{line, ms3, percent, seconds, signed};
use crate::text::count;
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
    let cpus = count(head.cpus, "CPU");
    line(
        out,
        format_args!(
            "books: wall {} s on {cpus}, busy {} %, idle {} %, residual {} %; {} tracked, {} ended{}",
            seconds(books.wall_ns),
            percent(books.busy_share()),
            percent(books.idle_share()),
            signed(books.residual_share() * 100.0),
            count(head.tracked, "task"),
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
