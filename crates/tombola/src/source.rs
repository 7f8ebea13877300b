//! The one place where a world is chosen: a pinned monitor, or a private one.

use anyhow::Result;
use std::collections::{BTreeMap, BTreeSet};
use std::error::Error as StdError;
use std::path::Path;
use tombola_core::snapshot::{Group, Snapshot};
use tombola_core::source::{Origin, Source};
use tombola_kernel::{
    Error, GroupNames, InterferenceMonitor, PinnedMonitor, Pins, PrivateMonitor, Reader, Settings,
};

/// The live machine.
pub struct Live {
    monitor: Monitor,
    interference: Option<InterferenceMonitor>,
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
        Ok(Self { monitor, interference: None, names: None })
    }

    /// Looks from now on who stands in whose way, with a second monitor that ends with this value.
    ///
    /// # Errors
    /// Whatever keeps this user from loading one; a reader of pins may lack the right.
    pub fn watch_interference(&mut self) -> Result<()> {
        self.interference = Some(InterferenceMonitor::start()?);
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
        Ok(Snapshot { interference, ..self.reader().snapshot()? })
    }

    fn group_names(&mut self, groups: &BTreeSet<Group>) -> BTreeMap<Group, String> {
        let names = self.names.get_or_insert_with(GroupNames::new);
        names.learn(groups.iter().copied());
        groups.iter().map(|&group| (group, names.name(group))).collect()
    }
}
