//! What keys do to the state.

use super::app::{App, Mode, View};
use super::columns::Column;
use super::screen::Screen;
use crate::text::harmless;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use std::time::Duration;
use tombola_core::audit::Who;

/// What is to be done that the state cannot do itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Nothing.
    None,
    /// End.
    Quit,
    /// Stop until the shell says go on.
    Suspend,
    /// Draw everything anew.
    Redraw,
    /// Measure at another interval.
    Interval,
    /// Take the mouse, or give it back.
    Mouse,
    /// Write the config file.
    Save,
}

/// Intervals that + and − go through.
const INTERVALS_MS: [u64; 9] = [100, 250, 500, 1000, 2000, 5000, 10_000, 30_000, 60_000];

/// Longest text that can be written into a filter.
const FILTER: usize = 64;

impl App {
    /// What a key does, on this screen.
    pub(crate) fn press(&mut self, key: KeyEvent, screen: &Screen) -> Action {
        self.message = None;
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        match (key.code, control) {
            (KeyCode::Char('c'), true) => return Action::Quit,
            (KeyCode::Char('z'), true) => return Action::Suspend,
            (KeyCode::Char('l'), true) => return Action::Redraw,
            (KeyCode::Char(_), true) => return Action::None,
            _ => {}
        }
        match self.mode.clone() {
            Mode::Normal => self.normal(key.code, screen),
            Mode::Help => {
                self.mode = Mode::Normal;
                Action::None
            }
            Mode::Filter | Mode::Search => {
                self.write(key.code, screen);
                Action::None
            }
            Mode::Sort(at) => {
                self.choose_order(key.code, at);
                Action::None
            }
            Mode::Columns(at) => {
                self.choose_columns(key.code, at);
                Action::None
            }
        }
    }

    fn normal(&mut self, code: KeyCode, screen: &Screen) -> Action {
        match code {
            KeyCode::Char('q') | KeyCode::F(10) => return Action::Quit,
            KeyCode::Char('?' | 'h') | KeyCode::F(1) => self.mode = Mode::Help,
            KeyCode::Char('/') | KeyCode::F(3) => {
                self.search.clear();
                self.mode = Mode::Search;
            }
            KeyCode::Char('n') => self.search(screen, screen.position + 1),
            KeyCode::Char('\\' | 'f') | KeyCode::F(4) => self.mode = Mode::Filter,
            KeyCode::Char('<' | '>') | KeyCode::F(6) => {
                self.mode = Mode::Sort(self.set.columns.iter().position(|c| *c == self.sort).unwrap_or(0));
            }
            KeyCode::Char('I') => self.inverted = !self.inverted,
            KeyCode::Char('t') => {
                self.tree = self.view != View::Groups || !self.tree;
                self.go(View::Groups);
            }
            KeyCode::Char('H') => {
                self.go(if self.view == View::Tasks { View::Processes } else { View::Tasks });
            }
            KeyCode::Char('T') => self.set.theme = self.set.theme.next(),
            KeyCode::Char('M') => {
                self.set.mouse = !self.set.mouse;
                self.message = Some(format!("the mouse is {}", if self.set.mouse { "on" } else { "off" }));
                return Action::Mouse;
            }
            KeyCode::Char('C') | KeyCode::F(2) => self.mode = Mode::Columns(0),
            KeyCode::Char('S') => return Action::Save,
            KeyCode::Char(' ') => self.pause(screen),
            KeyCode::Char('+') => return self.interval(screen, true),
            KeyCode::Char('-') => return self.interval(screen, false),
            KeyCode::Tab => self.turn(1),
            KeyCode::BackTab => self.turn(View::ALL.len() - 1),
            KeyCode::Char(digit @ '1'..='8') => {
                self.go(View::ALL[(digit as usize).saturating_sub('1' as usize)]);
            }
            KeyCode::Enter => self.detail = screen.count() > 0,
            KeyCode::Esc => self.back(),
            KeyCode::Left | KeyCode::Char('[') => self.step(screen, -1),
            KeyCode::Right | KeyCode::Char(']') => self.step(screen, 1),
            KeyCode::Up | KeyCode::Char('k') => self.select(screen, screen.position.saturating_sub(1)),
            KeyCode::Down | KeyCode::Char('j') => self.select(screen, screen.position + 1),
            KeyCode::PageUp => self.select(screen, screen.position.saturating_sub(10)),
            KeyCode::PageDown => self.select(screen, screen.position + 10),
            KeyCode::Home | KeyCode::Char('g') => self.select(screen, 0),
            KeyCode::End | KeyCode::Char('G') => self.select(screen, usize::MAX),
            _ => {}
        }
        Action::None
    }

    /// The row at this place, or the last one, is the selected one from now on, wherever it moves.
    pub(super) fn select(&mut self, screen: &Screen, at: usize) {
        let at = at.min(screen.count().saturating_sub(1));
        if let Some(key) = screen.key(at) {
            self.selected[self.view.place()] = (Some(key), at);
        }
    }

    pub(super) fn go(&mut self, view: View) {
        self.view = view;
        self.detail = false;
    }

    fn turn(&mut self, by: usize) {
        self.go(View::ALL[(self.view.place() + by) % View::ALL.len()]);
    }

    /// One step out: of the detail, of the filter, of the selection, of the past.
    fn back(&mut self) {
        if self.detail {
            self.detail = false;
        } else if !self.filter.is_empty() {
            self.filter.clear();
        } else if self.key().is_some() {
            self.selected[self.view.place()] = (None, 0);
        } else if self.at.is_some() {
            self.at = None;
        } else {
            self.view = View::Overview;
        }
    }

    fn pause(&mut self, screen: &Screen) {
        self.at = match (self.at, &screen.moment) {
            (None, Some(moment)) => Some(moment.number),
            _ => None,
        };
    }

    /// Another moment.
    fn step(&mut self, screen: &Screen, by: i64) {
        let (first, latest) = screen.kept;
        let Some(moment) = &screen.moment else { return };
        self.at = Some(moment.number.saturating_add_signed(by).clamp(first, latest));
    }

    fn interval(&mut self, screen: &Screen, longer: bool) -> Action {
        if screen.moment.as_ref().is_some_and(|moment| !moment.origin.is_live()) {
            self.message =
                Some("what is past has the interval it was read with: --interval sets it".to_owned());
            return Action::None;
        }
        let now = self.set.interval;
        let mut all = INTERVALS_MS.into_iter().map(Duration::from_millis);
        let next = if longer { all.find(|i| *i > now) } else { all.rfind(|i| *i < now) };
        let Some(next) = next else { return Action::None };
        self.set.interval = next;
        Action::Interval
    }

    fn write(&mut self, code: KeyCode, screen: &Screen) {
        let is_filter = self.mode == Mode::Filter;
        let text = if is_filter { &mut self.filter } else { &mut self.search };
        match code {
            // A pasted control character would be no name's: names are shown harmless.
            KeyCode::Char(c) if text.len() < FILTER && !c.is_control() => text.push(c),
            KeyCode::Backspace => {
                text.pop();
            }
            KeyCode::Esc => {
                text.clear();
                self.mode = Mode::Normal;
            }
            KeyCode::Enter => self.mode = Mode::Normal,
            _ => {}
        }
        if !is_filter && !self.search.is_empty() {
            self.search(screen, screen.position);
        }
    }

    /// Selects the next row, from this place on and then from the first, in which what is searched for
    /// occurs.
    fn search(&mut self, screen: &Screen, from: usize) {
        let wanted = self.search.to_lowercase();
        let Some(moment) = &screen.moment else { return };
        let has = |at: &usize| {
            let row = screen.entries.row(&moment.audit, *at);
            harmless(&row.comm).to_lowercase().contains(&wanted)
                || row.group.is_some_and(|group| moment.group(group).to_lowercase().contains(&wanted))
                || row.tgid.is_some_and(|pid| pid.to_string() == wanted)
                || matches!(row.who, Who::Task(id) if id.pid.to_string() == wanted)
        };
        if wanted.is_empty() || screen.entries.is_empty() {
            return;
        }
        let count = screen.entries.len();
        match (0..count).map(|n| (from + n) % count).find(has) {
            Some(at) => self.select(screen, at),
            None => self.message = Some("nothing found".to_owned()),
        }
    }

    pub(super) fn choose_order(&mut self, code: KeyCode, at: usize) {
        let last = self.set.columns.len().saturating_sub(1);
        match code {
            KeyCode::Up | KeyCode::Char('k' | '<') => self.mode = Mode::Sort(at.saturating_sub(1)),
            KeyCode::Down | KeyCode::Char('j' | '>') => self.mode = Mode::Sort((at + 1).min(last)),
            KeyCode::Enter => {
                if let Some(column) = self.set.columns.get(at) {
                    self.sort = *column;
                }
                self.mode = Mode::Normal;
            }
            KeyCode::Esc | KeyCode::Char('q') => self.mode = Mode::Normal,
            _ => {}
        }
    }

    pub(super) fn choose_columns(&mut self, code: KeyCode, at: usize) {
        let all = Column::all();
        let last = all.len() - 1;
        match code {
            KeyCode::Up | KeyCode::Char('k') => self.mode = Mode::Columns(at.saturating_sub(1)),
            KeyCode::Down | KeyCode::Char('j') => self.mode = Mode::Columns((at + 1).min(last)),
            KeyCode::Char(' ') => {
                let column = all[at.min(last)];
                let shown = &mut self.set.columns;
                if !shown.contains(&column) {
                    // The order that was chosen stays, and a name stays last.
                    let names = shown.iter().rev().take_while(|shown| shown.is_name()).count();
                    let at = if column.is_name() { shown.len() } else { shown.len() - names };
                    shown.insert(at, column);
                } else if shown.len() > 1 {
                    shown.retain(|c| *c != column);
                }
            }
            KeyCode::Enter | KeyCode::Esc | KeyCode::Char('q') => self.mode = Mode::Normal,
            _ => {}
        }
    }
}
