//! The lines above and below every view: the machine, the books, the loss, the sentence that says it all, the
//! views, the keys.

use super::app::{Mode, View};
use super::canvas::{Canvas, Target};
use super::screen::Screen;
use super::theme::Theme;
use crate::moment::Moment;
use crate::sink::certainty::certainty_brief;
use crate::sink::{loss::loss_text, seconds, signed};
use crate::text::harmless;
use crate::verdict;
use crate::wall_time::utc;
use ratatui::style::{Modifier, Style};
use tombola_core::source::Origin;
use tombola_core::worth::Kind;
use unicode_width::UnicodeWidthStr;

/// Lines above a view.
pub(super) const TOP: usize = 4;

/// Lines below it.
pub(super) const BOTTOM: usize = 1;

/// Draws the lines above.
pub(super) fn top(canvas: &mut Canvas<'_>, screen: &Screen) {
    let (app, theme) = (&screen.app, screen.app.set.theme);
    let bold = Style::new().add_modifier(Modifier::BOLD);
    let Some(moment) = &screen.moment else {
        canvas.text(0, "tombola: measuring; the first interval is not over yet", bold);
        return;
    };
    let machine = harmless(format!("{} {}", moment.machine.host, moment.machine.release).as_bytes());
    let length = seconds(moment.audit.length_ns);
    let world = match moment.origin {
        Origin::Loaded => "live, loaded monitor",
        Origin::Private => "live, private monitor",
        Origin::Recorded => "a recording",
        Origin::Simulated => "a simulation",
    };
    let past = if app.at.is_some() && moment.number != screen.kept.1 {
        format!("PAUSED at {} of {}  ", moment.number, screen.kept.1)
    } else if app.at.is_some() {
        "PAUSED  ".to_owned()
    } else if screen.ended {
        "END  ".to_owned()
    } else {
        String::new()
    };
    let what = format!("{machine}  {world}, {length} s up to {}", when(moment));
    // What is not the present comes first, where no narrow terminal cuts it off.
    canvas.line(0, &[("tombola ", theme.title()), (&past, bold), (what.trim_start(), Style::new())]);
    let books = &moment.audit.books;
    let is_complete = moment.audit.loss.is_none();
    let totals = format!(
        "books: {} s, {} CPU{}, busy {:.1} %, idle {:.1} %, residual {} %; ",
        seconds(books.wall_ns),
        moment.audit.cpus,
        if moment.audit.cpus == 1 { "" } else { "s" },
        100.0 * books.busy_share(),
        100.0 * books.idle_share(),
        signed(books.residual_share() * 100.0),
    );
    let is_shown = |kind| matches!(kind, Kind::Run | Kind::Wait | Kind::Entitlement);
    let certainty = certainty_brief(&moment.audit.worths, is_shown);
    let certainty = certainty.map_or_else(String::new, |text| format!("; {text}"));
    let loss = format!("loss: {}{certainty}", loss_text(&moment.audit.loss));
    canvas
        .line(1, &[(&totals, Style::new()), (&loss, if is_complete { Style::new() } else { theme.owed() })]);
    canvas.text(2, &verdict::machine(moment), bold);
    tabs(canvas, screen);
}

/// When the interval ended; of a simulation since it began.
fn when(moment: &Moment) -> String {
    if moment.origin == Origin::Simulated {
        return format!("{} s", seconds(moment.audit.unix_us.saturating_mul(1000)));
    }
    let text = utc(moment.audit.unix_us);
    // The day is of no use to who looks at the present.
    match text.split_once(' ') {
        Some((_, time)) if moment.origin.is_live() => time.to_owned(),
        _ => text,
    }
}

fn tabs(canvas: &mut Canvas<'_>, screen: &Screen) {
    let theme = screen.app.set.theme;
    let titles: Vec<(String, Style)> = View::ALL
        .iter()
        .enumerate()
        .map(|(at, view)| {
            // Brackets say it too where nothing is reversed.
            if *view == screen.app.view {
                (format!("[{} {}]", at + 1, view.title()), Theme::selected())
            } else {
                (format!(" {} {} ", at + 1, view.title()), theme.quiet())
            }
        })
        .collect();
    let pieces: Vec<(&str, Style)> = titles.iter().map(|(text, style)| (text.as_str(), *style)).collect();
    canvas.line(3, &pieces);
    let mut x = 0;
    for ((title, _), view) in titles.iter().zip(View::ALL) {
        canvas.part_stands_for(3, (x, title.width()), Target::View(view));
        x += title.width();
    }
}

/// Draws the line below.
pub(super) fn bottom(canvas: &mut Canvas<'_>, screen: &Screen) {
    let (app, theme) = (&screen.app, screen.app.set.theme);
    let bold = Style::new().add_modifier(Modifier::BOLD);
    match (&app.mode, &app.message) {
        (Mode::Filter, _) => canvas.line(0, &[("filter: ", bold), (&app.filter, Style::new()), ("_", bold)]),
        (Mode::Search, None) => {
            canvas.line(0, &[("search: ", bold), (&app.search, Style::new()), ("_", bold)]);
        }
        (_, Some(message)) => canvas.text(0, message, bold),
        _ => {
            let keys = match app.mode {
                Mode::Sort(_) => "Up Down choose  Enter sort  Esc back".to_owned(),
                Mode::Columns(_) => {
                    "Up Down choose  Space show or hide  Enter done  S (then) remember".to_owned()
                }
                _ => hints(screen),
            };
            let filter =
                if app.filter.is_empty() { String::new() } else { format!("  filter: {}", app.filter) };
            canvas.line(0, &[(&keys, theme.quiet()), (&filter, bold)]);
        }
    }
}

fn hints(screen: &Screen) -> String {
    let app = &screen.app;
    let sort = if app.view.has_columns() {
        format!("  <> sort: {}{}", app.sort.title(), if app.inverted { " inverted" } else { "" })
    } else {
        String::new()
    };
    let detail = if app.detail { "Esc back" } else { "Enter more" };
    format!("q quit  ? help  Tab view  {detail}  / find  f filter{sort}  Space pause  Left Right time")
}
