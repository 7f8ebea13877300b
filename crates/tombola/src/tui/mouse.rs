//! What the mouse does to the state: what keys do, said by pointing.

use super::app::{App, Mode};
use super::canvas::{Target, Targets};
use super::screen::Screen;
use ratatui::crossterm::event::{KeyCode, MouseButton, MouseEvent, MouseEventKind};

/// Rows that a notch of the wheel goes on.
const NOTCH: usize = 3;

impl App {
    /// What an event of the mouse does, on this screen and over these places.
    pub(super) fn point(&mut self, event: MouseEvent, targets: &Targets, screen: &Screen) {
        let target = targets.at(event.column, event.row);
        match event.kind {
            MouseEventKind::ScrollUp => self.wheel(KeyCode::Up, screen),
            MouseEventKind::ScrollDown => self.wheel(KeyCode::Down, screen),
            MouseEventKind::Down(MouseButton::Left) => {
                self.message = None;
                self.click(target, screen);
            }
            _ => {}
        }
    }

    fn wheel(&mut self, code: KeyCode, screen: &Screen) {
        match self.mode {
            Mode::Help => {}
            Mode::Sort(at) => self.choose_order(code, at),
            Mode::Columns(at) => self.choose_columns(code, at),
            Mode::Normal | Mode::Filter | Mode::Search => {
                let at = screen.position;
                let is_up = code == KeyCode::Up;
                self.select(screen, if is_up { at.saturating_sub(NOTCH) } else { at + NOTCH });
            }
        }
    }

    fn click(&mut self, target: Option<Target>, screen: &Screen) {
        match (&self.mode, target) {
            (Mode::Help, _) => self.mode = Mode::Normal,
            (Mode::Sort(_), Some(Target::Choice(at))) => self.choose_order(KeyCode::Enter, at),
            (Mode::Columns(_), Some(Target::Choice(at))) => {
                self.mode = Mode::Columns(at);
                self.choose_columns(KeyCode::Char(' '), at);
            }
            (_, Some(Target::View(view))) => {
                self.mode = Mode::Normal;
                self.go(view);
            }
            (_, Some(Target::Row(at))) => {
                self.mode = Mode::Normal;
                // The second click on a row says as much as Enter.
                self.detail = self.key().is_some() && at == screen.position;
                self.select(screen, at);
            }
            (_, Some(Target::Column(column))) => {
                self.inverted = self.sort == column && !self.inverted;
                self.sort = column;
            }
            _ => {}
        }
    }
}
