//! Intervals of the live machine, one after the other.

use crate::interrupt::Interrupt;
use crate::source::Live;
use anyhow::{Context, Result, anyhow};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};
use tombola_core::snapshot::{Group, Snapshot};
use tombola_core::source::{Origin, Source};
use tombola_core::window::Window;

/// What a private monitor needs to get to know the machine: it learns a task's group, and what that group was throttled, when
/// the task leaves a CPU. Two of the usual periods of a quota.
const ACQUAINTANCE: Duration = Duration::from_millis(200);

/// What ends a wait before its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waited {
    /// Nothing.
    Full,
    /// There will be no further interval; what has passed of this one counts.
    Last,
}

/// Samples at equal distances, each interval from one sample to the next. After a stop (SIGSTOP, suspend) the distances
/// begin anew.
pub struct Windows {
    source: Live,
    interval: Option<Duration>,
    left: Option<u64>,
    before: Snapshot,
    next: Instant,
}

impl Windows {
    /// Opens the monitor as [`Live::open`] does and takes the first sample. `iterations` of 0 never end, and an interval of
    /// `None` ends when its wait does.
    ///
    /// # Errors
    /// Whatever keeps this user from a monitor.
    pub fn open(map: Option<&Path>, interval: Option<Duration>, iterations: u64) -> Result<Self> {
        let mut source = Live::open(map).context("cannot read a monitor")?;
        if source.origin() == Origin::Attach {
            notify("no monitor is loaded: a private one is attached for this run");
            thread::sleep(ACQUAINTANCE);
        }
        let before = sample(&mut source)?;
        let left = (iterations > 0).then_some(iterations);
        let next = Instant::now();
        Ok(Self { source, interval, left, before, next })
    }

    /// The next interval, which `wait` lets pass; `None` after the last one.
    ///
    /// # Errors
    /// Whatever keeps the monitor from being read.
    pub fn next(&mut self, wait: impl FnOnce(Option<Duration>) -> Result<Waited>) -> Result<Option<Window>> {
        if self.left == Some(0) {
            return Ok(None);
        }
        let length = self.interval.map(|interval| {
            let now = Instant::now();
            let late = now.saturating_duration_since(self.next);
            self.next = if late > interval { now } else { self.next } + interval;
            self.next.saturating_duration_since(now)
        });
        self.left = match wait(length)? {
            Waited::Last => Some(0),
            Waited::Full => self.left.map(|left| left - 1),
        };
        let now = sample(&mut self.source)?;
        let window = Window::between(&self.before, &now);
        self.before = now;
        Ok(Some(window))
    }

    /// Looks from the next interval on who stands in whose way. Where this user may not, says so and goes on without.
    pub fn watch_interference(&mut self) -> Result<()> {
        match self.source.watch_interference() {
            Ok(()) => self.before = sample(&mut self.source)?,
            Err(error) => notify(&format!("who stands in the way is not watched: {error:#}")),
        }
        Ok(())
    }

    /// Asks from the next interval on for tickets that were set by hand. Where this user may not, says so and goes on without.
    pub fn ask_for_tickets(&mut self) {
        if let Err(error) = self.source.ask_for_tickets() {
            notify(&format!("tickets that were set by hand are not known: {error:#}"));
        }
    }

    /// How the source began.
    pub fn origin(&self) -> Origin {
        self.source.origin()
    }

    /// Names of groups, as the source knows them.
    pub fn group_names(&mut self, groups: &BTreeSet<Group>) -> BTreeMap<Group, String> {
        self.source.group_names(groups)
    }
}

/// Waits until the interval is over or a signal ends the run.
pub fn wait_for(interrupt: &Interrupt, length: Option<Duration>) -> Waited {
    if interrupt.wait(length.unwrap_or(Duration::MAX)) { Waited::Last } else { Waited::Full }
}

fn sample(source: &mut Live) -> Result<Snapshot> {
    source.snapshot().map_err(|error| anyhow!(error)).context("cannot read the monitor")
}

/// A word to the user that is no part of the output. If nobody hears it, the work goes on.
pub fn notify(notice: &str) {
    let _ = writeln!(io::stderr(), "tombola: {notice}");
}
