//! The history of somebody: run, wait and lag over the intervals that are kept.

use super::canvas::Canvas;
use super::screen::Screen;
use super::theme::Glyphs;
use super::timeline::Point;
use ratatui::style::Style;
use ratatui::symbols::Marker;
use ratatui::text::Span;
use ratatui::widgets::{Axis, Chart, Dataset, GraphType, LegendPosition, Widget};

/// Lines from which on there is room for a chart with axes.
const CHART: usize = 7;

/// Draws it: a chart where there is room, else a strip each.
pub(super) fn draw(canvas: &mut Canvas<'_>, screen: &Screen) {
    if canvas.height() >= CHART && canvas.width() >= 40 && screen.app.set.glyphs == Glyphs::Unicode {
        chart(canvas, screen);
    } else {
        strips(canvas, screen);
    }
}

fn strips(canvas: &mut Canvas<'_>, screen: &Screen) {
    let (theme, glyphs) = (screen.app.set.theme, screen.app.set.glyphs);
    let history = &screen.history;
    let part = |of: fn(&Point) -> f64| -> Vec<f64> { history.iter().map(of).collect() };
    let strips = [
        ("run ", part(|p| p.run), theme.run()),
        ("wait", part(|p| p.wait), theme.wait()),
        ("lag ", part(|p| p.lag), theme.owed()),
    ];
    for (at, (name, parts, style)) in strips.into_iter().enumerate() {
        let width = canvas.width().saturating_sub(14);
        let now = format!("{:>7.1} % ", 100.0 * parts.last().copied().unwrap_or(0.0));
        let strip = glyphs.levels(&parts, width);
        canvas.line(at, &[(name, Style::new()), (&now, Style::new()), (&strip, style)]);
    }
}

fn chart(canvas: &mut Canvas<'_>, screen: &Screen) {
    let theme = screen.app.set.theme;
    // A braille cell has two columns of dots.
    let shown = canvas.width().saturating_sub(10) * 2;
    let history = &screen.history[screen.history.len().saturating_sub(shown)..];
    let points = |of: fn(&Point) -> f64| -> Vec<(f64, f64)> {
        history.iter().enumerate().map(|(at, point)| (at as f64, 100.0 * of(point))).collect()
    };
    let (run, wait, lag) = (points(|p| p.run), points(|p| p.wait), points(|p| p.lag));
    let of_all = || run.iter().chain(&wait).chain(&lag).map(|(_, y)| *y);
    let most = of_all().fold(1.0, f64::max);
    let least = of_all().fold(0.0, f64::min);
    let width = history.len().saturating_sub(1).max(1) as f64;
    let dataset = |name, marker, style, data| {
        Dataset::default().name(name).marker(marker).graph_type(GraphType::Line).style(style).data(data)
    };
    // A long label would push the chart to the right.
    let begin = format!("-{}", history.len().saturating_sub(1));
    let chart = Chart::new(vec![
        dataset("run", Marker::Braille, theme.run(), &run),
        dataset("wait +", Marker::Custom('+'), theme.wait(), &wait),
        dataset("lag o", Marker::Custom('o'), theme.owed(), &lag),
    ])
    .x_axis(
        Axis::default()
            .style(theme.quiet())
            .bounds([0.0, width])
            .labels([Span::raw(begin), Span::raw("now")]),
    )
    .y_axis(
        Axis::default()
            .style(theme.quiet())
            .bounds([least, most])
            .labels([format!("{least:.0} %"), format!("{most:.0} %")]),
    )
    .legend_position(Some(LegendPosition::TopLeft));
    chart.render(canvas.area, canvas.buffer);
}
