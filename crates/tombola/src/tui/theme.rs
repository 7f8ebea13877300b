//! Colours and characters. No meaning is in a colour alone: every colour goes with a sign, a word or a place.

use ratatui::style::{Color, Modifier, Style};
use std::fmt;
use std::str::FromStr;

/// A set of colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) enum Theme {
    /// For a dark background.
    #[default]
    Dark,
    /// For a light background.
    Light,
    /// No colours: bold and reverse only.
    Mono,
}

impl Theme {
    /// The next one.
    pub(crate) fn next(self) -> Self {
        match self {
            Self::Dark => Self::Light,
            Self::Light => Self::Mono,
            Self::Mono => Self::Dark,
        }
    }

    /// What runs.
    pub(crate) fn run(self) -> Style {
        self.coloured(Color::Green, Color::Green)
    }

    /// What waits.
    pub(crate) fn wait(self) -> Style {
        self.coloured(Color::Yellow, Color::Magenta)
    }

    /// What is owed.
    pub(crate) fn owed(self) -> Style {
        self.coloured(Color::LightRed, Color::Red)
    }

    /// What is of less weight.
    pub(crate) fn quiet(self) -> Style {
        self.coloured(Color::DarkGray, Color::DarkGray)
    }

    /// Titles.
    pub(crate) fn title(self) -> Style {
        self.coloured(Color::Cyan, Color::Blue).add_modifier(Modifier::BOLD)
    }

    /// The selected row.
    pub(crate) fn selected() -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }

    fn coloured(self, dark: Color, light: Color) -> Style {
        match self {
            Self::Dark => Style::new().fg(dark),
            Self::Light => Style::new().fg(light),
            Self::Mono => Style::new(),
        }
    }
}

impl fmt::Display for Theme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Dark => "dark",
            Self::Light => "light",
            Self::Mono => "mono",
        })
    }
}

impl FromStr for Theme {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        match word {
            "dark" => Ok(Self::Dark),
            "light" => Ok(Self::Light),
            "mono" => Ok(Self::Mono),
            _ => Err("there is no theme of that name; use dark, light or mono".to_owned()),
        }
    }
}

/// The characters of bars and lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) enum Glyphs {
    /// Blocks and braille.
    #[default]
    Unicode,
    /// ASCII, for a locale without UTF-8.
    Ascii,
}

impl Glyphs {
    /// A column of `part`, 0 to 1; more is drawn as 1, and whatever is above 0 is seen.
    pub(crate) fn level(self, part: f64) -> char {
        let levels: &[char] = match self {
            Self::Unicode => &[' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'],
            Self::Ascii => &[' ', '.', ':', '-', '=', '+', '*', '%', '#'],
        };
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 8")]
        let at = (part.clamp(0.0, 1.0) * 8.0).ceil() as usize;
        levels[at.min(8)]
    }

    /// Columns of `parts`, the latest ones that have room.
    pub(crate) fn levels(self, parts: &[f64], width: usize) -> String {
        let shown = &parts[parts.len().saturating_sub(width)..];
        let blanks = std::iter::repeat_n(' ', width - shown.len());
        blanks.chain(shown.iter().map(|part| self.level(*part))).collect()
    }

    /// A bar of `width` cells, filled to `first`, then to `first + second` with another character: parts
    /// of 1.
    pub(crate) fn bar(self, first: f64, second: f64, width: usize) -> String {
        let (full, half, empty) = match self {
            Self::Unicode => ('█', '▒', '·'),
            Self::Ascii => ('#', '+', '.'),
        };
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "0 to the width of a terminal"
        )]
        let cells = |part: f64| ((part.clamp(0.0, 1.0) * width as f64).round() as usize).min(width);
        let filled = cells(first);
        let both = cells(first + second).max(filled);
        let cell = |at| {
            if at < filled {
                full
            } else if at < both {
                half
            } else {
                empty
            }
        };
        (0..width).map(cell).collect()
    }

    /// A horizontal line.
    pub(crate) fn rule(self) -> char {
        if self == Self::Unicode { '─' } else { '-' }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_shows_whatever_is_above_zero_and_never_more_than_all() {
        let unicode = Glyphs::Unicode;
        assert_eq!(
            [0.0, 0.001, 0.5, 1.0, 7.0, -1.0].map(|p| unicode.level(p)),
            [' ', '▁', '▄', '█', '█', ' ']
        );
        assert_eq!(unicode.levels(&[0.0, 0.5, 1.0], 2), "▄█");
        assert_eq!(unicode.levels(&[1.0], 3), "  █");
        assert_eq!(unicode.level(f64::NAN), ' ');
    }

    #[test]
    fn a_bar_has_its_width_whatever_it_shows() {
        assert_eq!(Glyphs::Ascii.bar(0.5, 0.25, 8), "####++..");
        for (first, second) in [(0.0, 0.0), (1.0, 1.0), (2.0, 0.0), (0.99, 0.0)] {
            assert_eq!(Glyphs::Unicode.bar(first, second, 7).chars().count(), 7);
        }
    }
}
