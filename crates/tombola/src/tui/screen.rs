//! Everything a picture is made of: owned, so that drawing is a pure function of it.

use super::app::{App, Key, View};
use super::rows::{Entries, entries, owed};
use super::timeline::{Point, Timeline};
use crate::matrix::Matrix;
use crate::moment::Moment;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;
use tombola_core::audit::{Row, Who};

/// Intervals of a history, as many as columns of the widest terminal that is thought of.
const HISTORY: usize = 300;

/// Culprits and victims in a matrix.
pub(super) const CULPRITS: usize = 200;

/// Victims in a matrix.
pub(super) const VICTIMS: usize = 12;

/// What is drawn.
pub(crate) struct Screen {
    /// What the user has chosen.
    pub(super) app: App,
    /// The moment that is shown; `None` before the first.
    pub(super) moment: Option<Arc<Moment>>,
    /// Numbers of the first and of the latest moment that are kept.
    pub(super) kept: (u64, u64),
    /// Whether there will be no further moment.
    pub(super) ended: bool,
    /// Rows of the ledger, in order: of the views that show them.
    pub(super) entries: Entries,
    /// Who stood in whose way; in its view only.
    pub(super) matrix: Option<Matrix>,
    /// Place of the selected row.
    pub(super) position: usize,
    /// History of the selected row of the ledger.
    pub(super) history: Vec<Point>,
    /// History of each CPU's busy part; in the views that show it.
    pub(super) busy: BTreeMap<u32, Vec<f64>>,
}

impl Screen {
    /// What is to be drawn.
    pub(crate) fn of(app: &App, timeline: &Timeline, ended: bool) -> Self {
        let latest = timeline.latest().map_or(0, |moment| moment.number);
        let number = app.at.unwrap_or(latest);
        let moment = timeline.nearest(number).cloned();
        let mut screen = Self {
            app: app.clone(),
            kept: (timeline.first_number().unwrap_or(0), latest),
            ended,
            entries: Entries::default(),
            matrix: None,
            position: 0,
            history: Vec::new(),
            busy: BTreeMap::new(),
            moment,
        };
        let Some(moment) = screen.moment.clone() else { return screen };
        match app.view {
            View::Overview => screen.entries = owed(&moment, app),
            View::Tasks | View::Processes | View::Groups => screen.entries = entries(&moment, app),
            View::Culprits => screen.matrix = Matrix::of(&moment.audit, &moment.groups, CULPRITS, VICTIMS),
            View::Cpus | View::Findings | View::Scheduler => {}
        }
        screen.position = screen.find();
        if let Some(who) = screen.who() {
            screen.history = timeline.history(&who, moment.number, HISTORY);
        }
        if matches!(app.view, View::Overview | View::Cpus) {
            let busy = |cpu: u32| (cpu, timeline.busy(cpu, moment.number, HISTORY));
            screen.busy = moment.cpus.iter().map(|window| busy(window.cpu)).collect();
        }
        screen
    }

    /// Rows of the present view.
    pub(super) fn count(&self) -> usize {
        let Some(moment) = &self.moment else { return 0 };
        match self.app.view {
            View::Overview | View::Tasks | View::Processes | View::Groups => self.entries.len(),
            View::Cpus => moment.cpus.len(),
            View::Findings => moment.audit.findings.len(),
            View::Culprits => self.matrix.as_ref().map_or(0, |matrix| matrix.culprits.len()),
            View::Scheduler => moment.lottery.as_ref().map_or(0, Vec::len),
        }
    }

    /// What the row at this place is about.
    pub(super) fn key(&self, at: usize) -> Option<Key> {
        let moment = self.moment.as_ref()?;
        match self.app.view {
            View::Overview | View::Tasks | View::Processes | View::Groups => {
                Some(Key::Who(self.entries.who(&moment.audit, at)?))
            }
            View::Cpus => Some(Key::Cpu(moment.cpus.get(at)?.cpu)),
            View::Findings => (at < moment.audit.findings.len()).then_some(Key::Rank(at)),
            View::Culprits => Some(Key::Name(self.matrix.as_ref()?.culprits.get(at)?.0.clone())),
            View::Scheduler => Some(Key::Who(Who::Task(moment.lottery.as_ref()?.get(at)?.id))),
        }
    }

    /// Whom the selected row is about, where that is somebody of the ledger.
    pub(super) fn who(&self) -> Option<Who> {
        match self.key(self.position) {
            Some(Key::Who(who)) => Some(who),
            _ => None,
        }
    }

    /// The selected row of the ledger.
    pub(super) fn row(&self) -> Option<Cow<'_, Row>> {
        let moment = self.moment.as_ref()?;
        (self.position < self.entries.len()).then(|| self.entries.row(&moment.audit, self.position))
    }

    /// Where the selected row is now; where it is gone, the place at which it was.
    fn find(&self) -> usize {
        let (key, was_at) = &self.app.selected[self.app.view.place()];
        let last = self.count().saturating_sub(1);
        let Some(key) = key else { return 0 };
        let is_it = |at: &usize| self.key(*at).as_ref() == Some(key);
        // Most often it is where it was.
        Some(*was_at).filter(is_it).or_else(|| (0..self.count()).find(is_it)).unwrap_or((*was_at).min(last))
    }
}
