//! The answer: who is owed most and why, what the CPUs did, what became of the selected one.

use super::canvas::{Canvas, Target, fit, offset};
use super::columns::{Column, signed_ms};
use super::screen::Screen;
use super::theme::Theme;
use super::{cpus, history};
use crate::moment::Moment;
use crate::why::why;
use ratatui::style::Style;

/// Draws it. The list has what the strips of the CPUs and the history leave.
pub(super) fn draw(canvas: &mut Canvas<'_>, screen: &Screen, moment: &Moment) {
    let height = canvas.height();
    let strips = moment.cpus.len().min(height / 4).max(1);
    let chart = if height >= 30 { height / 3 } else { 3 };
    let list = height.saturating_sub(strips + 1 + chart + 1).max(height.min(2));
    owed(&mut canvas.part(0, list), screen, moment);
    let rule = screen.app.set.glyphs.rule();
    let theme = screen.app.set.theme;
    let (pid, comm) = (Column::of("pid"), Column::of("comm"));
    canvas.part(list, 1).title(0, "CPUs: # tasks, + real time, now running", theme, rule);
    cpus::strips(&mut canvas.part(list + 1, strips), screen, moment);
    let who = screen.row().map_or_else(
        || "nobody".to_owned(),
        |row| format!("{} {}", comm.text(moment, &row), pid.text(moment, &row)),
    );
    let title = format!("History of {who}: part of each interval it ran, waited, was owed");
    canvas.part(list + 1 + strips, 1).title(0, &title, theme, rule);
    history::draw(&mut canvas.part(list + strips + 2, height), screen);
}

fn owed(canvas: &mut Canvas<'_>, screen: &Screen, moment: &Moment) {
    let theme = screen.app.set.theme;
    canvas.title(0, "    LAG ms  WAIT%   CPU% WHO              WHY", theme, screen.app.set.glyphs.rule());
    let (pid, comm) = (Column::of("pid"), Column::of("comm"));
    let height = canvas.height().saturating_sub(1);
    let first = offset(screen.position, height, screen.entries.len());
    for place in (first..screen.entries.len()).take(height) {
        let row = &*screen.entries.row(&moment.audit, place);
        let y = 1 + place - first;
        let lag = fit(&row.account.map_or_else(|| "-".to_owned(), |a| signed_ms(a.lag_ns())), 10, true) + " ";
        let wait = fit(&Column::WAIT.text(moment, row), 6, true) + " ";
        let run = fit(&Column::CPU.text(moment, row), 6, true) + " ";
        let who = format!("{} {}", pid.text(moment, row), comm.text(moment, row));
        let who = fit(&who, 16, false) + " ";
        let lag_style = if row.lag_ns() > 0 { theme.owed() } else { Style::new() };
        canvas.line(
            y,
            &[
                (&lag, lag_style),
                (&wait, theme.wait()),
                (&run, theme.run()),
                (&who, Style::new()),
                (&why(moment, row), Style::new()),
            ],
        );
        canvas.stands_for(y, Target::Row(place));
        if place == screen.position {
            canvas.mark(y, Theme::selected());
        }
    }
    if screen.entries.is_empty() {
        canvas.text(1, "nobody ran or waited", theme.quiet());
    }
}
