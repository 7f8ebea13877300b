//! Where snapshots come from.

use crate::snapshot::{Group, Snapshot};
use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;

/// A world that can be looked at: the live machine, a recording, a simulation.
pub trait Source {
    /// How it came to measure.
    fn origin(&self) -> Origin;

    /// The world now. Instants and totals never run backwards from one call to the next.
    ///
    /// # Errors
    /// Whatever keeps the source from being read; what was read before stays valid.
    fn snapshot(&mut self) -> Result<Snapshot, Box<dyn Error + Send + Sync>>;

    /// Names of these groups, as far as the source knows them. They are raw: whoever shows them makes them harmless.
    fn group_names(&mut self, groups: &BTreeSet<Group>) -> BTreeMap<Group, String>;
}

/// How the source came to measure, which is what the deltas of its first sample reach back to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Origin {
    /// A monitor that was loaded and pinned earlier.
    #[default]
    Load,
    /// A private monitor, attached for the time of the run.
    Attach,
}
