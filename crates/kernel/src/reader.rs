//! From the maps of a monitor to a snapshot of one instant.

mod ends;
mod full;
mod groups;
mod light;
mod living;
mod moment;
mod whole;

pub(crate) use full::FullReader;
pub(crate) use light::LightReader;

use crate::error::{Error, Result};
use crate::pinned_map::open_pin;
use crate::wire::Wire;
use libbpf_rs::{MapCore as _, MapHandle, MapType};
use std::collections::BTreeMap;
use std::path::Path;
use tombola_core::identity::TaskId;
use tombola_core::snapshot::Snapshot;

/// Reads one monitor.
pub struct Reader(Kind);

/// What kind of monitor it is.
enum Kind {
    Full(FullReader),
    Light(LightReader),
}

impl Reader {
    /// Whether the monitor is a light one: all that it knows are the kernel's own counters, and nothing of it
    /// runs where tasks are switched.
    pub fn is_light(&self) -> bool {
        matches!(self.0, Kind::Light(_))
    }

    /// Tasks that the task map has room for; `None` where there is no bound.
    pub fn max_tasks(&self) -> Option<u32> {
        match &self.0 {
            Kind::Full(full) => Some(full.max_tasks()),
            Kind::Light(_) => None,
        }
    }

    /// What tasks in queues or on CPUs weigh after all groups above them, by the kernel's own figure
    /// (`se.h_load`, since 7.3), in the kernel's unit. Empty where the kernel keeps none, and where the
    /// monitor is a light one.
    ///
    /// # Errors
    /// [`Error::ReadMap`] if the kernel refuses.
    pub fn effective_weights(&self) -> Result<BTreeMap<TaskId, u32>> {
        match &self.0 {
            Kind::Full(full) => full.effective_weights(),
            Kind::Light(_) => Ok(BTreeMap::new()),
        }
    }

    /// The machine now.
    ///
    /// # Errors
    /// [`Error::ReadMap`] if the kernel refuses to read a map.
    pub fn snapshot(&self) -> Result<Snapshot> {
        match &self.0 {
            Kind::Full(full) => full.snapshot(),
            Kind::Light(light) => light.snapshot(),
        }
    }
}

impl From<FullReader> for Reader {
    fn from(reader: FullReader) -> Self {
        Self(Kind::Full(reader))
    }
}

impl From<LightReader> for Reader {
    fn from(reader: LightReader) -> Self {
        Self(Kind::Light(reader))
    }
}

/// Opens a pin that must be a map of this kind, with keys as large as a `K` and values of type `T`.
fn open<K, T: Wire>(path: &Path, kind: MapType) -> Result<MapHandle> {
    let map = open_pin(path)?;
    let (key, value) = (map.key_size() as usize, map.value_size() as usize);
    if map.map_type() != kind || key != size_of::<K>() || value != size_of::<T>() {
        let why = format!(
            "a {:?} map with keys of {key} and values of {value} bytes, where a {kind:?} map with {} and {} is needed",
            map.map_type(),
            size_of::<K>(),
            size_of::<T>()
        );
        return Err(Error::Shape { path: path.to_owned(), why });
    }
    Ok(map)
}
