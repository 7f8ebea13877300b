//! Lists over the view: help, what to sort by, which columns.

use super::app::Mode;
use super::canvas::{Canvas, Target};
use super::columns::Column;
use super::screen::Screen;
use super::theme::Theme;
use ratatui::style::Style;

/// What the keys do: as many lines as a terminal of 24 has room for.
const KEYS: [(&str, &str); 18] = [
    ("q F10 Ctrl-C", "quit"),
    ("? h F1", "this help"),
    ("1 to 8, Tab", "views"),
    ("Up Down j k PgUp PgDn", "select a row; the selection stays with it when the order changes"),
    ("Home End g G", "first and last row"),
    ("Enter", "all that is known of the row"),
    ("Esc", "back: out of the detail, the filter, the selection, the past"),
    ("Space", "pause; measuring goes on"),
    ("Left Right [ ]", "earlier and later intervals"),
    ("/ F3, n", "find a name, a group or a PID; the next one"),
    ("\\ f F4", "filter: only rows with this name, group or PID"),
    ("< > F6, I", "sort by another column; invert the order"),
    ("t, H", "groups as a tree or a list; threads or processes"),
    ("+ -", "longer and shorter interval"),
    ("C F2, S", "choose columns; remember them, theme, interval, mouse"),
    ("T, M", "theme: dark, light, mono; the mouse on or off"),
    ("click, wheel", "select a row, click it again for Enter; a title sorts"),
    ("Ctrl-Z Ctrl-L", "stop until fg; draw anew"),
];

/// Draws the list of the present mode, if it has one.
pub(super) fn draw(canvas: &mut Canvas<'_>, screen: &Screen) {
    let (theme, rule) = (screen.app.set.theme, screen.app.set.glyphs.rule());
    let (title, lines, chosen): (&str, Vec<String>, Option<usize>) = match screen.app.mode {
        Mode::Help => {
            let lines = KEYS.iter().map(|(keys, what)| format!("{keys:<22} {what}"));
            ("Keys (any key goes back)", lines.collect(), None)
        }
        Mode::Sort(at) => {
            let line = |column: &Column| format!("{:<13} {}", column.title(), column.about());
            ("Sort by", screen.app.set.columns.iter().map(line).collect(), Some(at))
        }
        Mode::Columns(at) => {
            let shown = |column: &Column| if screen.app.set.columns.contains(column) { "[x]" } else { "[ ]" };
            let line =
                |column: &Column| format!("{} {:<13} {}", shown(column), column.title(), column.about());
            ("Columns", Column::all().iter().map(line).collect(), Some(at))
        }
        Mode::Normal | Mode::Filter | Mode::Search => return,
    };
    canvas.clear();
    canvas.title(0, title, theme, rule);
    let height = canvas.height().saturating_sub(1);
    let first = super::canvas::offset(chosen.unwrap_or(0), height, lines.len());
    for (place, line) in lines.iter().enumerate().skip(first).take(height) {
        canvas.text(1 + place - first, line, Style::new());
        if chosen.is_some() {
            canvas.stands_for(1 + place - first, Target::Choice(place));
        }
        if chosen == Some(place) {
            canvas.mark(1 + place - first, Theme::selected());
        }
    }
}
