//! What the user has chosen: the part of the state that keys change.

use super::columns::Column;
use super::theme::{Glyphs, Theme};
use std::time::Duration;
use tombola_core::audit::Who;

/// A view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum View {
    /// The answer: who is owed most and why, what the CPUs did, and the history of the selected.
    Overview,
    /// Tasks (threads).
    Tasks,
    /// Processes.
    Processes,
    /// Scheduling groups.
    Groups,
    /// CPUs.
    Cpus,
    /// Where weights do not decide.
    Findings,
    /// Who stood in whose way.
    Culprits,
    /// Our scheduler, or whose it is.
    Scheduler,
}

impl View {
    /// All of them, in the order of their digits.
    pub(crate) const ALL: [Self; 8] = [
        Self::Overview,
        Self::Tasks,
        Self::Processes,
        Self::Groups,
        Self::Cpus,
        Self::Findings,
        Self::Culprits,
        Self::Scheduler,
    ];

    /// Its name on the screen.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Overview => "Answer",
            Self::Tasks => "Tasks",
            Self::Processes => "Procs",
            Self::Groups => "Groups",
            Self::Cpus => "CPUs",
            Self::Findings => "Findings",
            Self::Culprits => "Culprits",
            Self::Scheduler => "Sched",
        }
    }

    /// Its place among them, from 0.
    pub(crate) fn place(self) -> usize {
        Self::ALL.iter().position(|view| *view == self).unwrap_or(0)
    }

    /// Whether its rows have columns that can be chosen and sorted by.
    pub(crate) fn has_columns(self) -> bool {
        matches!(self, Self::Tasks | Self::Processes | Self::Groups)
    }
}

/// What a row of a view is about, by which the selection finds it again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    /// A row of the ledger.
    Who(Who),
    /// A CPU.
    Cpu(u32),
    /// A name among the culprits.
    Name(String),
    /// A finding, by its rank.
    Rank(usize),
}

/// What keys do at present.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub(crate) enum Mode {
    /// Move and switch.
    #[default]
    Normal,
    /// Any key ends the help.
    Help,
    /// They write a filter.
    Filter,
    /// They write what is searched for.
    Search,
    /// They choose what is sorted by; the number is the place in the list.
    Sort(usize),
    /// They choose columns.
    Columns(usize),
}

/// What can be set from outside and remembered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Set {
    /// Time between two moments.
    pub(crate) interval: Duration,
    /// Colours.
    pub(crate) theme: Theme,
    /// Columns of tasks, processes and groups.
    pub(crate) columns: Vec<Column>,
    /// Characters of bars and lines.
    pub(crate) glyphs: Glyphs,
    /// Whether clicks and the wheel are ours; the terminal selects no text by them then, but with Shift.
    pub(crate) mouse: bool,
}

impl Default for Set {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(1),
            theme: Theme::default(),
            columns: Column::usual(),
            glyphs: Glyphs::default(),
            mouse: true,
        }
    }
}

/// The state that keys change.
#[derive(Clone, Debug)]
pub(crate) struct App {
    /// What can be remembered.
    pub(crate) set: Set,
    /// What is shown.
    pub(crate) view: View,
    /// What keys do.
    pub(crate) mode: Mode,
    /// Whether the selected row is shown alone, with all that is known of it.
    pub(crate) detail: bool,
    /// The selected row of each view, and its place when it was last seen.
    pub(crate) selected: [(Option<Key>, usize); 8],
    /// What tasks, processes and groups are sorted by.
    pub(crate) sort: Column,
    /// Whether the order is the other way round.
    pub(crate) inverted: bool,
    /// Whether groups are shown as a tree.
    pub(crate) tree: bool,
    /// Only rows in whose name or group this occurs; empty for all.
    pub(crate) filter: String,
    /// What was searched for last.
    pub(crate) search: String,
    /// Number of the moment that is shown; `None` for the latest.
    pub(crate) at: Option<u64>,
    /// A word to the user, until the next key.
    pub(crate) message: Option<String>,
}

impl App {
    /// As it begins.
    pub(crate) fn new(set: Set) -> Self {
        Self {
            set,
            view: View::Overview,
            mode: Mode::Normal,
            detail: false,
            selected: Default::default(),
            sort: Column::of("lag_ns"),
            inverted: false,
            tree: true,
            filter: String::new(),
            search: String::new(),
            at: None,
            message: None,
        }
    }

    /// The selected row of the present view, if one was chosen.
    pub(crate) fn key(&self) -> Option<&Key> {
        self.selected[self.view.place()].0.as_ref()
    }
}
