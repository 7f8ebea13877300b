//! All that is known of the selected row.

use super::canvas::Canvas;
use super::columns::Column;
use super::history;
use super::screen::Screen;
use crate::moment::Moment;
use crate::sink::ms3;
use crate::why::{Blame, why};
use ratatui::style::Style;
use tombola_core::audit::Row;
use tombola_core::histogram::Histogram;

/// Lines of a histogram at most.
const BARS: usize = 12;

/// Draws it; views whose rows are not of the ledger have no more to say than their list.
pub(super) fn draw(canvas: &mut Canvas<'_>, screen: &Screen, moment: &Moment) {
    let theme = screen.app.set.theme;
    let Some(row) = screen.row() else {
        canvas.text(0, "it is gone", theme.quiet());
        return;
    };
    let row = &*row;
    let text = |key: &str| Column::of(key).text(moment, row);
    let rule = screen.app.set.glyphs.rule();
    let title = format!("{} {}  in {}", text("comm"), text("pid"), text("group"));
    canvas.title(0, &title, theme, rule);
    let mut at = canvas.wrapped(1, &why(moment, row), 2, Style::new());
    let account = row.account.unwrap_or_default();
    let figures = format!(
        "ran {} ms, entitled to {} ms, received {} ms, lag {} ms; weight {}, nice {}, {}",
        ms3(row.usage.runtime_ns),
        ms3(account.entitled_ns),
        ms3(account.received_ns),
        super::columns::signed_ms(row.lag_ns()),
        text("weight"),
        text("nice"),
        text("policy"),
    );
    at = canvas.wrapped(at, &figures, 2, Style::new());
    let yielded = match row.waiting.yielded_ns {
        0 => String::new(),
        ns => format!(" after yields {},", ms3(ns)),
    };
    let waited = format!(
        "waited {} ms: others ran {}, a quota {},{} nobody in the way {}; preempted {} times of {} switches",
        ms3(row.usage.wait_ns),
        ms3(row.waiting.contention_ns),
        ms3(row.waiting.throttled_ns),
        yielded,
        ms3(row.waiting.other_ns),
        row.usage.preempted(),
        row.usage.switches,
    );
    at = canvas.wrapped(at, &waited, 2, theme.wait());
    let blame = Blame::of(moment, &row.who);
    if !blame.named.is_empty() {
        let behind: Vec<String> =
            blame.named.iter().take(6).map(|(name, ns)| format!("{name} {} ms", ms3(*ns))).collect();
        at = canvas.wrapped(at, &format!("behind {}", behind.join(", ")), 2, Style::new());
    }
    let left = canvas.height().saturating_sub(at);
    let bars = histogram(row, screen, canvas.width()).len().min(left / 2);
    let chart = left.saturating_sub(bars + 2);
    canvas.part(at, 1).title(0, "History: part of each interval it ran, waited, was owed", theme, rule);
    history::draw(&mut canvas.part(at + 1, chart), screen);
    canvas.part(at + 1 + chart, 1).title(0, "Ended waits", theme, rule);
    for (line, text) in histogram(row, screen, canvas.width()).into_iter().enumerate() {
        canvas.text(at + 2 + chart + line, &text, theme.wait());
    }
}

/// The buckets from the first to the last that hold something, at most [`BARS`] of them, the longest waits
/// kept.
fn histogram(row: &Row, screen: &Screen, width: usize) -> Vec<String> {
    if row.usage.light {
        return vec!["not known: the monitor is a light one".to_owned()];
    }
    let counts = row.usage.waits.counts();
    let (Some(first), Some(last)) =
        (counts.iter().position(|count| *count > 0), counts.iter().rposition(|count| *count > 0))
    else {
        return vec!["none ended in this interval".to_owned()];
    };
    let most = counts.iter().copied().max().unwrap_or(1).max(1) as f64;
    let first = first.max((last + 1).saturating_sub(BARS));
    let line = |bucket: usize| {
        let (low_ns, high_ns) = Histogram::edges_ns(bucket);
        let high = high_ns.map_or_else(|| "more".to_owned(), ms3);
        let bar =
            screen.app.set.glyphs.bar(counts[bucket] as f64 / most, 0.0, width.saturating_sub(40).min(40));
        format!("{:>10} - {high:>10} ms {:>9}  {bar}", ms3(low_ns), counts[bucket])
    };
    (first..=last).map(line).collect()
}
