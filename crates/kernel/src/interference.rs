//! A second, private monitor for the time of an audit: who stood in whose way.

use crate::batch::{each_entry, each_value};
use crate::error::Result;
use crate::object::{LoadedObject, Parts, kernel_has_member, possible_cpus};
use crate::wire::{INTERFERENCE, Wire as _, pair_key, pair_record, slice_ring};
use libbpf_rs::{Link, MapHandle};
use tombola_core::identity::TaskId;
use tombola_core::interference::{Interference, Pair, Standing};

/// Counts until it is dropped.
pub struct InterferenceMonitor {
    pairs: MapHandle,
    rings: MapHandle,
    _links: Vec<Link>,
}

impl InterferenceMonitor {
    /// Loads and attaches it, without pins.
    ///
    /// # Errors
    /// Whatever keeps this kernel or this user from it.
    pub fn start() -> Result<Self> {
        let waking: &[&str] =
            if kernel_has_member("sched_entity", "sched_delayed")? { &["interference_waking"] } else { &[] };
        let loaded = LoadedObject::load(&Parts {
            bytes: INTERFERENCE,
            btf: None,
            switch: ["interference", "interference_3"],
            others: waking,
            rooms: &[("ring_map", possible_cpus()?)],
        })?;
        let (pairs, rings) = (loaded.map("pair_map")?, loaded.map("ring_map")?);
        let links =
            waking.iter().chain([&loaded.switch]).map(|name| loaded.attach(name)).collect::<Result<_>>()?;
        Ok(Self { pairs, rings, _links: links })
    }

    /// Everything since it began.
    ///
    /// # Errors
    /// [`crate::Error::ReadMap`] if the kernel refuses to read a map.
    pub fn read(&self) -> Result<Interference> {
        let mut all = Interference::default();
        each_entry(&self.pairs, |key, record: pair_record| {
            if let Some(key) = pair_key::read(key) {
                let pair = Pair {
                    victim: TaskId { pid: key.victim, start_ns: key.victim_start_ns },
                    culprit: TaskId { pid: key.culprit, start_ns: key.culprit_start_ns },
                };
                all.pairs.insert(pair, Standing { preemptions: record.preemptions, held_ns: record.held_ns });
            }
        })?;
        each_value(&self.rings, |ring: slice_ring| {
            all.unseen_ns += ring.unseen_ns;
            all.refused += ring.pairs_full;
        })?;
        Ok(all)
    }
}
