//! The moments that are kept, and what became of somebody in them.

use crate::moment::Moment;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use tombola_core::audit::Who;

/// Moments that are kept at most: an hour of seconds.
const MOMENTS: usize = 3600;

/// Lines of the ledger in them at most, of about 800 bytes each: 90 MB.
const LINES: usize = 120_000;

/// Moments that are kept in any case: what is shown, and what comes.
const LEAST: usize = 2;

/// The latest moments, in order. A bound on their number and on their size keeps memory steady.
#[derive(Clone, Default)]
pub(crate) struct Timeline {
    moments: VecDeque<Kept>,
    lines: usize,
}

#[derive(Clone)]
struct Kept {
    moment: Arc<Moment>,
    /// What those had in it whose history was asked for: a row of thousands of tasks is added up once, not at
    /// each picture.
    points: Arc<Mutex<BTreeMap<Who, Point>>>,
}

/// What somebody had in one moment, as parts of its length; of several tasks together it may be more than 1.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Point {
    /// Time on a CPU.
    pub(crate) run: f64,
    /// Time runnable without one.
    pub(crate) wait: f64,
    /// Entitled − received.
    pub(crate) lag: f64,
}

impl Timeline {
    /// Adds the next moment; the oldest ones go where there are too many.
    pub(crate) fn push(&mut self, moment: Moment) {
        self.lines += moment.audit.lines.len();
        self.moments.push_back(Kept { moment: Arc::new(moment), points: Arc::default() });
        while self.moments.len() > LEAST && (self.moments.len() > MOMENTS || self.lines > LINES) {
            if let Some(gone) = self.moments.pop_front() {
                self.lines -= gone.moment.audit.lines.len();
            }
        }
    }

    /// The latest moment.
    pub(crate) fn latest(&self) -> Option<&Arc<Moment>> {
        self.moments.back().map(|kept| &kept.moment)
    }

    /// Number of the oldest moment that is kept.
    pub(crate) fn first_number(&self) -> Option<u64> {
        self.moments.front().map(|kept| kept.moment.number)
    }

    /// The moment of this number, or the nearest that is kept.
    pub(crate) fn nearest(&self, number: u64) -> Option<&Arc<Moment>> {
        self.moments.get(self.at(number)?).map(|kept| &kept.moment)
    }

    /// How many are kept.
    pub(crate) fn len(&self) -> usize {
        self.moments.len()
    }

    /// What somebody had in the `most` moments up to the one of this number, the oldest first.
    pub(crate) fn history(&self, who: &Who, number: u64, most: usize) -> Vec<Point> {
        self.up_to(number, most).map(|kept| kept.point(who)).collect()
    }

    /// What part of a CPU was busy in the `most` moments up to the one of this number.
    pub(crate) fn busy(&self, cpu: u32, number: u64, most: usize) -> Vec<f64> {
        let busy = |kept: &Kept| {
            let found = kept.moment.cpus.iter().find(|window| window.cpu == cpu)?;
            (found.wall_ns > 0).then(|| found.busy_ns as f64 / found.wall_ns as f64)
        };
        self.up_to(number, most).map(|kept| busy(kept).unwrap_or(0.0)).collect()
    }

    fn up_to(&self, number: u64, most: usize) -> impl Iterator<Item = &Kept> {
        let end = self.at(number).map_or(0, |at| at + 1);
        self.moments.range(end.saturating_sub(most)..end)
    }

    fn at(&self, number: u64) -> Option<usize> {
        let first = self.first_number()?;
        let at = usize::try_from(number.saturating_sub(first)).unwrap_or(usize::MAX);
        Some(at.min(self.moments.len() - 1))
    }
}

impl Kept {
    fn point(&self, who: &Who) -> Point {
        let mut points = self.points.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(point) = points.get(who) {
            return *point;
        }
        let point = added_up(&self.moment, who);
        points.insert(who.clone(), point);
        point
    }
}

fn added_up(moment: &Moment, who: &Who) -> Point {
    let length_ns = moment.audit.length_ns.max(1) as f64;
    let mut point = Point::default();
    for line in moment.lines_of(who) {
        point.run += line.task.delta.runtime_ns as f64 / length_ns;
        point.wait += line.task.delta.imposed_wait_ns() as f64 / length_ns;
        point.lag += line.lag_ns() as f64 / length_ns;
    }
    point
}
