//! The one place where a world is chosen: a pinned monitor, or a private one.

use anyhow::Result;
use std::collections::{BTreeMap, BTreeSet};
use std::error::Error as StdError;
use std::path::Path;
use tombola_core::identity::TaskId;
use tombola_core::snapshot::{ExitedTask, Group, Snapshot};
use tombola_core::source::{Origin, Source};
use tombola_kernel::{
    Error, GroupNames, InterferenceMonitor, PinnedMonitor, Pins, PrivateMonitor, Reader, Settings, scheduler,
};

/// The live machine.
pub struct Live {
    monitor: Monitor,
    interference: Option<InterferenceMonitor>,
    /// Tickets that were set by hand, as of the latest look, where it is asked for them.
    tickets_set: Option<BTreeMap<TaskId, u32>>,
    names: Option<GroupNames>,
}

enum Monitor {
    Pinned(Reader),
    Private(PrivateMonitor),
}

impl Live {
    /// The monitor whose task map is pinned at `map`; without a path the default one, or a private monitor where none is
    /// loaded.
    ///
    /// # Errors
    /// A path that is no monitor's; whatever keeps this user from reading or loading one.
    pub fn open(map: Option<&Path>) -> Result<Self> {
        let pins = Pins { map: map.map_or_else(|| Pins::default().map, Path::to_owned), ..Pins::default() };
        let monitor = match PinnedMonitor::find(&pins) {
            Ok(pinned) => Monitor::Pinned(pinned.reader()?),
            Err(Error::NotLoaded { .. }) if map.is_none() => {
                Monitor::Private(PrivateMonitor::start(&Settings::default())?)
            }
            Err(error) => return Err(error.into()),
        };
        Ok(Self { monitor, interference: None, tickets_set: None, names: None })
    }

    /// Looks from now on who stands in whose way, with a second monitor that ends with this value.
    ///
    /// # Errors
    /// Whatever keeps this user from loading one; a reader of pins may lack the right.
    pub fn watch_interference(&mut self) -> Result<()> {
        self.interference = Some(InterferenceMonitor::start()?);
        Ok(())
    }

    /// Asks from now on a scheduler of ours, while one runs, for the tickets that were set by hand.
    ///
    /// # Errors
    /// One runs, and this user may not ask it.
    pub fn ask_for_tickets(&mut self) -> Result<()> {
        self.tickets_set = Some(scheduler::tickets_set()?);
        Ok(())
    }

    fn reader(&self) -> &Reader {
        match &self.monitor {
            Monitor::Pinned(reader) => reader,
            Monitor::Private(private) => private.reader(),
        }
    }
}

impl Source for Live {
    fn origin(&self) -> Origin {
        match self.monitor {
            Monitor::Pinned(_) => Origin::Load,
            Monitor::Private(_) => Origin::Attach,
        }
    }

    fn snapshot(&mut self) -> Result<Snapshot, Box<dyn StdError + Send + Sync>> {
        let interference = self.interference.as_ref().map(InterferenceMonitor::read).transpose()?;
        let mut snapshot = Snapshot { interference, ..self.reader().snapshot()? };
        if let Some(before) = &mut self.tickets_set {
            // Of a scheduler that began since, and that this user may not ask, they are not known.
            let now = scheduler::tickets_set().unwrap_or_default();
            for task in &mut snapshot.tasks {
                task.tickets_set = now.get(&task.id).copied();
            }
            for ExitedTask { totals, .. } in &mut snapshot.exited {
                totals.tickets_set = before.get(&totals.id).copied();
            }
            *before = now;
        }
        Ok(snapshot)
    }

    fn group_names(&mut self, groups: &BTreeSet<Group>) -> BTreeMap<Group, String> {
        let names = self.names.get_or_insert_with(GroupNames::new);
        names.learn(groups.iter().copied());
        groups.iter().map(|&group| (group, names.name(group))).collect()
    }
}
