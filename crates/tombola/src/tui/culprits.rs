//! Culprits: who stood in whose way.

use super::canvas::{Canvas, Target, fit, offset};
use super::screen::Screen;
use super::theme::Theme;
use crate::moment::Moment;
use ratatui::style::{Modifier, Style};

/// Columns of a culprit's name.
const NAME: usize = 18;

/// Columns of a cell.
const CELL: usize = 10;

/// Draws the matrix: a row for each that had the CPU, a column for each that waited meanwhile.
pub(super) fn draw(canvas: &mut Canvas<'_>, screen: &Screen, moment: &Moment) {
    let (theme, glyphs) = (screen.app.set.theme, screen.app.set.glyphs);
    let Some(matrix) = &screen.matrix else {
        let text = "not known: this source does not tell who ran while whom waited. Live and in recordings of events, it is watched unless \
                    --no-interference is given; live it needs the rights that doctor lists. A log has it, by groups, if it was kept with \
                    --interference.";
        canvas.wrapped(0, text, 0, theme.quiet());
        return;
    };
    let unseen_ns = moment.audit.interference.as_ref().map_or(0, |interference| interference.unseen_ns);
    if matrix.culprits.is_empty() {
        let nobody = "nobody stood in anybody's way".to_owned();
        canvas.text(0, &if unseen_ns > 0 { unseen(unseen_ns) } else { nobody }, theme.quiet());
        return;
    }
    let columns = (canvas.width().saturating_sub(NAME + 1 + CELL) / CELL).min(matrix.victims.len());
    let text = if matrix.by_groups {
        "by groups, as the log tells: ms a row's tasks ran where a column's tasks waited"
    } else {
        "ms that a row's tasks ran on the CPU in whose queue a column's tasks waited"
    };
    canvas.text(0, text, theme.quiet());
    let mut titles = fit("HAD THE CPU", NAME, false) + &fit("ALL", CELL, true);
    for (victim, _) in matrix.victims.iter().take(columns) {
        titles.push_str(&fit(victim, CELL - 1, true).replacen("", " ", 1));
    }
    canvas.text(1, &titles, theme.title().add_modifier(Modifier::UNDERLINED));
    let height = canvas.height().saturating_sub(2);
    let first = offset(screen.position, height, matrix.culprits.len());
    let most = matrix.most_ns().max(1) as f64;
    for (place, (name, all_ns)) in matrix.culprits.iter().enumerate().skip(first).take(height) {
        let y = 2 + place - first;
        let mut pieces: Vec<(String, Style)> = vec![
            (fit(name, NAME, false), Style::new()),
            (fit(&format!("{:.1}", *all_ns as f64 / 1e6), CELL, true), Style::new()),
        ];
        for cell in matrix.cells[place].iter().take(columns) {
            let level = glyphs.level(cell.imposed_wait_ns as f64 / most);
            let figure = if cell.imposed_wait_ns == 0 {
                ".".to_owned()
            } else {
                format!("{:.1}", cell.imposed_wait_ns as f64 / 1e6)
            };
            pieces.push((fit(&format!("{figure} {level}"), CELL, true), theme.wait()));
        }
        let pieces: Vec<(&str, Style)> = pieces.iter().map(|(text, style)| (text.as_str(), *style)).collect();
        canvas.line(y, &pieces);
        canvas.stands_for(y, Target::Row(place));
        if place == screen.position {
            canvas.mark(y, Theme::selected());
        }
    }
    if unseen_ns > 0 {
        canvas.text(canvas.height().saturating_sub(1), &unseen(unseen_ns), theme.quiet());
    }
}

fn unseen(ns: u64) -> String {
    format!("{:.1} ms of waits were behind others that are not known", ns as f64 / 1e6)
}
