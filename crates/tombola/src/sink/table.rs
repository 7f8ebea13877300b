//! The table `dump` prints: plain text for people, one block an interval.
//!
//! Durations are in milliseconds. All columns but `DELTA_MS` and `ROLL_MS` are totals since the monitor
//! began, or since the task was born. A task whose policy holds no tickets shows `-` for them, and its policy
//! in place of a share.

mod head;

use super::cell;
use super::certainty::{certainty_text, is_among};
use super::layout::Layout;
use super::layout::Side::{Left, Right};
use super::print::{line, name, percent, probability, signed};
use crate::groups::Groups;
use crate::text::count;
use tombola_core::audit::{By, Order};
use tombola_core::draw::DrawError;
use tombola_core::metric::{Metric, dump};
use tombola_core::report::{Draws, Report, Row};
use tombola_core::worth::Kind;

/// A sample as it is to be shown.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View<'a> {
    /// Number of the sample, from 1.
    pub(crate) iteration: u64,
    /// All of it.
    pub(crate) report: &'a Report,
    /// The rows to show.
    pub(crate) rows: &'a [Row],
    /// Rows that no filter hides, and that are left out because there are too many.
    pub(crate) rows_left_out: usize,
    /// What the rows are about.
    pub(crate) by: By,
    /// Their columns; none for the usual ones.
    pub(crate) columns: &'a [&'static Metric<Row>],
    /// Whether the usual columns include those after `SHARE%`.
    pub(crate) wide: bool,
    /// Columns of the terminal.
    pub(crate) width: Option<usize>,
    /// Draws.
    pub(crate) draws: Option<DrawResult<'a>>,
    /// Who is owed most.
    pub(crate) order: &'a Order,
    /// How many candidates the list by share and the suggested order name; 0 leaves both out.
    pub(crate) top: usize,
    /// Full names of the groups, raw.
    pub(crate) groups: &'a Groups,
}

/// Draws that were asked for, and what came of them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DrawResult<'a> {
    /// How many were asked for.
    pub(crate) wanted: u64,
    /// Seed of the lottery.
    pub(crate) seed: u64,
    /// The outcome.
    pub(crate) outcome: &'a Result<Draws, DrawError>,
}

/// The sample as text that ends with a line break.
pub(crate) fn render(view: &View<'_>) -> String {
    let mut out = String::with_capacity(1024 + view.rows.len() * if view.wide { 200 } else { 100 });
    head::write(&mut out, view.iteration, &view.report.head);
    let usual = || dump::default_columns(view.wide, view.by);
    let columns = if view.columns.is_empty() { usual() } else { view.columns.to_vec() };
    let is_shown = |kind| match kind {
        // Of the books, and of the order by what is owed.
        Kind::Run => true,
        Kind::Entitlement if view.top > 0 => true,
        _ => is_among(kind, columns.iter().map(|metric| metric.key)),
    };
    if let Some(text) = certainty_text(&view.report.head.worths, is_shown) {
        line(&mut out, format_args!("certainty: {text}"));
    }
    let fitted = cell::fitted(columns, dump::DISPENSABLE, view.rows, view.groups, view.width);
    cell::write_fitted(&mut out, &fitted);
    if view.rows_left_out > 0 {
        line(&mut out, format_args!("and {} more: --top 0 shows all", count(view.rows_left_out, "row")));
    }
    if let Some(draws) = view.draws {
        write_draws(&mut out, &draws);
    }
    if view.top > 0 {
        write_top(&mut out, view.report, view.top);
        write_order(&mut out, view.order);
    }
    out
}

fn write_draws(out: &mut String, draws: &DrawResult<'_>) {
    let DrawResult { wanted, seed, outcome } = *draws;
    let draws = match outcome {
        Ok(draws) => draws,
        Err(DrawError::NoTickets { .. }) => {
            line(out, format_args!("draws: {wanted} impossible, no candidate holds tickets (seed {seed})"));
            return;
        }
        Err(error) => {
            line(out, format_args!("draws: {wanted} impossible, {error} (seed {seed})"));
            return;
        }
    };
    line(
        out,
        format_args!("draws: {} among {}, seed {seed}", draws.held, count(draws.candidates, "candidate")),
    );
    if !draws.winners.is_empty() {
        let mut layout = Layout::new(&[
            ("WINS", Right),
            ("RATE%", Right),
            ("SHARE%", Right),
            ("PID", Right),
            ("COMM", Left),
        ]);
        for winner in &draws.winners {
            layout.cell(winner.wins.to_string());
            layout.cell(percent(winner.rate));
            layout.cell(percent(winner.row.ticket_share));
            layout.cell(winner.row.task.totals.id.pid.to_string());
            layout.cell(name(&winner.row.task.totals.comm));
        }
        layout.write(out, "  ");
    }
    match &draws.fit {
        Some(fit) => line(
            out,
            format_args!(
                "  χ² {:.3}, degrees of freedom {}, p {}",
                fit.statistic,
                fit.degrees,
                probability(fit.p_value)
            ),
        ),
        None => line(out, format_args!("  χ² not computed: it takes two classes that expect 5 wins each")),
    }
}

fn write_top(out: &mut String, report: &Report, top: usize) {
    let rows = report.by_share();
    line(out, format_args!("top {} of {} candidates by share", top.min(rows.len()), rows.len()));
    if rows.is_empty() {
        return;
    }
    let mut layout = Layout::new(&[("SHARE%", Right), ("TICKETS", Right), ("PID", Right), ("COMM", Left)]);
    for row in rows.iter().take(top) {
        layout.cell(percent(row.ticket_share));
        layout.cell(row.tickets.to_string());
        layout.cell(row.task.totals.id.pid.to_string());
        layout.cell(name(&row.task.totals.comm));
    }
    layout.write(out, "  ");
}

/// The ledger's order: who is owed most in the interval comes first.
fn write_order(out: &mut String, order: &Order) {
    line(
        out,
        format_args!("suggested order: first {} of {} by what they are owed", order.first.len(), order.count),
    );
    let mut layout = Layout::new(&[("OWED_MS", Right), ("PID", Right), ("COMM", Left)]);
    for owed in &order.first {
        layout.cell(signed(owed.lag_ns as f64 / 1e6));
        layout.cell(owed.id.pid.to_string());
        layout.cell(name(&owed.comm));
    }
    layout.write(out, "  ");
}

#[cfg(test)]
pub(super) mod tests;
