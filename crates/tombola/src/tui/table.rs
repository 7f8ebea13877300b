//! Tasks, processes and groups: rows of the ledger in columns.

use super::app::View;
use super::canvas::{Canvas, Target, fit, offset};
use super::columns::Column;
use super::screen::Screen;
use super::theme::Theme;
use crate::moment::Moment;
use ratatui::style::{Modifier, Style};
use tombola_core::audit::Row;
use unicode_width::UnicodeWidthStr;

/// Draws titles and the rows around the selected one.
pub(super) fn draw(canvas: &mut Canvas<'_>, screen: &Screen, moment: &Moment) {
    let (app, theme) = (&screen.app, screen.app.set.theme);
    let columns = fitting(shown(screen), canvas.width());
    let mut titles = String::new();
    for (column, width) in with_widths(&columns, canvas.width()) {
        if !titles.is_empty() {
            titles.push(' ');
        }
        canvas.part_stands_for(0, (titles.width(), width), Target::Column(column));
        let mark = if column == app.sort { if app.inverted { "^" } else { "v" } } else { "" };
        let title = format!("{}{mark}", column.title());
        titles.push_str(&fit(&title, width, !column.is_text()));
    }
    canvas.text(0, &titles, theme.title().add_modifier(Modifier::UNDERLINED));
    let height = canvas.height().saturating_sub(1);
    let first = offset(screen.position, height, screen.entries.len());
    for place in (first..screen.entries.len()).take(height) {
        let y = 1 + place - first;
        let row = screen.entries.row(&moment.audit, place);
        let pieces = cells(screen, moment, &columns, (&row, screen.entries.depth(place)), canvas.width());
        let pieces: Vec<(&str, Style)> = pieces.iter().map(|(text, style)| (text.as_str(), *style)).collect();
        canvas.line(y, &pieces);
        canvas.stands_for(y, Target::Row(place));
        if place == screen.position {
            canvas.mark(y, Theme::selected());
        }
    }
    if screen.entries.is_empty() {
        canvas.text(1, "nobody ran or waited that the filter holds for", theme.quiet());
    }
}

/// What a group has not of its own, or shows elsewhere: its name is last, where the tree has room.
const OF_TASKS: [&str; 10] =
    ["pid", "tgid", "start_ns", "USER", "nice", "policy", "comm", "group", "tasks", "weight"];

/// What a narrow terminal does without, the first to go first; after these, whatever stands last before the
/// name.
const DISPENSABLE: [&str; 6] = ["policy", "USER", "GOT/FAIR", "nice", "wait_p99_ns", "group"];

/// The columns of the view: a group has no PID, user or name of its own.
fn shown(screen: &Screen) -> Vec<Column> {
    let columns = screen.app.set.columns.iter().copied();
    match screen.app.view {
        View::Groups => ["tasks", "weight"]
            .map(Column::of)
            .into_iter()
            .chain(columns.filter(|column| !OF_TASKS.contains(&column.key())))
            .chain([Column::of("group")])
            .collect(),
        _ => columns.collect(),
    }
}

/// The columns that have room, so that a narrow terminal still shows the last one, which is the name: others
/// go first.
fn fitting(mut columns: Vec<Column>, width: usize) -> Vec<Column> {
    let needed = |columns: &[Column]| -> usize {
        columns.iter().map(|column| column.width() + 1).sum::<usize>().saturating_sub(1)
    };
    for least in DISPENSABLE {
        if needed(&columns) <= width {
            break;
        }
        if columns.last().is_some_and(|column| column.key() != least) {
            columns.retain(|column| column.key() != least);
        }
    }
    while columns.len() > 2 && needed(&columns) > width {
        columns.remove(columns.len() - 2);
    }
    columns
}

/// Each column with its width; the last one has what is left.
fn with_widths(columns: &[Column], width: usize) -> Vec<(Column, usize)> {
    let mut left = width;
    let last = columns.len().saturating_sub(1);
    let mut widths = Vec::with_capacity(columns.len());
    for (at, column) in columns.iter().enumerate() {
        let own = column.width();
        let own = if at == last { own.max(left) } else { own };
        left = left.saturating_sub(own + 1);
        widths.push((*column, own));
    }
    widths
}

fn cells(
    screen: &Screen,
    moment: &Moment,
    columns: &[Column],
    (row, depth): (&Row, usize),
    width: usize,
) -> Vec<(String, Style)> {
    let theme = screen.app.set.theme;
    let cell = |(column, width): (Column, usize)| {
        let mut text = column.text(moment, row);
        if column.key() == "group" && screen.app.view == View::Groups {
            text.insert_str(0, &"  ".repeat(depth.min(20)));
        }
        let style = match column.key() {
            _ if column == Column::CPU => theme.run(),
            _ if column.is_of_waits() => theme.wait(),
            "lag_ns" if row.lag_ns() > 0 => theme.owed(),
            _ => Style::new(),
        };
        (fit(&text, width, !column.is_text()), style)
    };
    let mut pieces: Vec<(String, Style)> = Vec::new();
    for column in with_widths(columns, width) {
        if !pieces.is_empty() {
            pieces.push((" ".to_owned(), Style::new()));
        }
        pieces.push(cell(column));
    }
    pieces
}
