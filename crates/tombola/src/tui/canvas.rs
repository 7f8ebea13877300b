//! Lines of text in a rectangle of the terminal. Whatever lies outside is not drawn, so no size is too small.

use super::app::View;
use super::columns::Column;
use super::theme::Theme;
use crate::text::clip;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::widgets::{Clear, Widget};
use unicode_width::UnicodeWidthStr;

/// A rectangle to draw in.
pub(super) struct Canvas<'a> {
    /// What is drawn on.
    pub(super) buffer: &'a mut Buffer,
    /// Where.
    pub(super) area: Rect,
    /// What the places drawn so far stand for.
    pub(super) targets: &'a mut Targets,
}

/// What somebody can point at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// The row at this place of the view.
    Row(usize),
    /// The title of a column.
    Column(Column),
    /// The name of a view.
    View(View),
    /// The line at this place of the list that is open.
    Choice(usize),
}

/// What the places of a picture stand for.
#[derive(Debug, Default)]
pub(super) struct Targets(Vec<(Rect, Target)>);

impl Targets {
    /// What is at this place; what was drawn last lies on top.
    pub(super) fn at(&self, x: u16, y: u16) -> Option<Target> {
        let holds = |(area, _): &&(Rect, Target)| area.contains((x, y).into());
        self.0.iter().rev().find(holds).map(|(_, target)| *target)
    }
}

impl Canvas<'_> {
    /// Lines there are.
    pub(super) fn height(&self) -> usize {
        usize::from(self.area.height)
    }

    /// Columns there are.
    pub(super) fn width(&self) -> usize {
        usize::from(self.area.width)
    }

    /// The lines from `top` on, at most `height` of them.
    pub(super) fn part(&mut self, top: usize, height: usize) -> Canvas<'_> {
        let top = u16::try_from(top).unwrap_or(u16::MAX).min(self.area.height);
        let height = u16::try_from(height).unwrap_or(u16::MAX).min(self.area.height - top);
        let area = Rect { y: self.area.y + top, height, ..self.area };
        Canvas { buffer: self.buffer, area, targets: self.targets }
    }

    /// A line stands for this.
    pub(super) fn stands_for(&mut self, at: usize, target: Target) {
        self.part_stands_for(at, (0, self.width()), target);
    }

    /// So many columns of a line, from the first on, stand for this.
    pub(super) fn part_stands_for(&mut self, at: usize, (x, width): (usize, usize), target: Target) {
        if at >= self.height() || x >= self.width() {
            return;
        }
        let cells = |number: usize| u16::try_from(number).unwrap_or(u16::MAX);
        let area = Rect {
            x: self.area.x + cells(x),
            y: self.area.y + cells(at),
            width: cells(width.min(self.width() - x)),
            height: 1,
        };
        self.targets.0.push((area, target));
    }

    /// Whatever was drawn here is gone.
    pub(super) fn clear(&mut self) {
        Clear.render(self.area, self.buffer);
        self.targets.0.retain(|(area, _)| !self.area.intersects(*area));
    }

    /// Writes pieces of text into a line, one after the other, cut at its end.
    pub(super) fn line(&mut self, at: usize, pieces: &[(&str, Style)]) {
        if at >= self.height() {
            return;
        }
        let y = self.area.y + u16::try_from(at).unwrap_or(u16::MAX);
        let (mut x, end) = (self.area.x, self.area.right());
        for (text, style) in pieces {
            let room = usize::from(end - x);
            if room == 0 {
                break;
            }
            (x, _) = self.buffer.set_stringn(x, y, clip(text, room), room, *style);
        }
    }

    /// Writes a text into a line.
    pub(super) fn text(&mut self, at: usize, text: &str, style: Style) {
        self.line(at, &[(text, style)]);
    }

    /// Writes a title with a rule behind it.
    pub(super) fn title(&mut self, at: usize, title: &str, theme: Theme, rule: char) {
        let rest: String =
            std::iter::repeat_n(rule, self.width().saturating_sub(title.width() + 1)).collect();
        self.line(at, &[(title, theme.title()), (" ", Style::new()), (&rest, theme.quiet())]);
    }

    /// Sets the style of a whole line.
    pub(super) fn mark(&mut self, at: usize, style: Style) {
        if at < self.height() {
            let y = self.area.y + u16::try_from(at).unwrap_or(u16::MAX);
            self.buffer.set_style(Rect { y, height: 1, ..self.area }, style);
        }
    }

    /// Writes a text over as many lines as it needs, at most to the end; the next free line.
    pub(super) fn wrapped(&mut self, mut at: usize, text: &str, indent: usize, style: Style) -> usize {
        for line in wrap(text, self.width(), indent) {
            self.text(at, &line, style);
            at += 1;
        }
        at
    }
}

/// A text in lines of at most `width` columns, broken at blanks, those after the first indented.
pub(super) fn wrap(text: &str, width: usize, indent: usize) -> Vec<String> {
    let indent = indent.min(width / 2);
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split(' ') {
        let first = lines.is_empty() && line.is_empty();
        if first || line.trim().is_empty() {
            line.push_str(word);
        } else if line.width() + 1 + word.width() <= width {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(line);
            line = " ".repeat(indent) + word;
        }
    }
    lines.push(line);
    lines
}

/// A text in exactly `width` columns.
pub(super) fn fit(text: &str, width: usize, right: bool) -> String {
    let text = clip(text, width);
    let gap = " ".repeat(width.saturating_sub(text.width()));
    if right { gap + &text } else { text.into_owned() + &gap }
}

/// The first row that is shown where `position` is to be seen in the middle of `height` of `count` rows, as
/// far as there are rows around it.
pub(super) fn offset(position: usize, height: usize, count: usize) -> usize {
    position.saturating_sub(height / 2).min(count.saturating_sub(height))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_broken_at_blanks_and_nothing_is_lost() {
        assert_eq!(wrap("aa bb cc dd", 5, 2), ["aa bb", "  cc", "  dd"]);
        assert_eq!(wrap("", 5, 2), [""]);
        assert_eq!(wrap("longer than this", 4, 9), ["longer", "  than", "  this"]);
    }

    #[test]
    fn a_cell_has_its_width() {
        assert_eq!(
            [fit("ab", 4, false), fit("ab", 4, true), fit("abcde", 4, true)],
            ["ab  ", "  ab", "abc+"]
        );
        assert_eq!(fit("日本", 3, false), "日+");
    }

    #[test]
    fn the_selected_row_is_seen() {
        for count in [0, 1, 5, 100] {
            for height in [0, 1, 2, 7, 200] {
                for position in 0..count {
                    let first = offset(position, height, count);
                    assert!(height == 0 || (first..first + height).contains(&position));
                    assert!(first + height <= count.max(height));
                }
            }
        }
        assert_eq!(offset(0, 10, 100), 0);
    }
}
