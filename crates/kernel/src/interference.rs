//! A second, private monitor for the time of an audit: who stood in whose way.

use crate::batch::{each_entry, each_value};
use crate::error::{Error, Result, os_error};
use crate::object::{LoadedObject, Parts, kernel_has_member, possible_cpus};
use crate::settings::MaxPairs;
use crate::wire::{INTERFERENCE, Wire as _, pair_key, pair_record, slice_ring};
use libbpf_rs::{Link, MapCore as _, MapFlags, MapHandle};
use std::collections::BTreeMap;
use tombola_core::identity::TaskId;
use tombola_core::interference::{Interference, Pair, Standing};

/// Counts until it is dropped.
///
/// Pairs to which nothing was added between two reads leave when the map is more than half full: of tasks that are gone, most of them.
pub struct InterferenceMonitor {
    pairs: MapHandle,
    rings: MapHandle,
    /// What the latest read found, where the map was more than half full.
    before: BTreeMap<Pair, Standing>,
    put_out: u64,
    _links: Vec<Link>,
}

impl InterferenceMonitor {
    /// Loads and attaches it, without pins.
    ///
    /// # Errors
    /// Whatever keeps this kernel or this user from it.
    pub fn start(room: MaxPairs) -> Result<Self> {
        let waking: &[&str] =
            if kernel_has_member("sched_entity", "sched_delayed")? { &["interference_waking"] } else { &[] };
        let loaded = LoadedObject::load(&Parts {
            bytes: INTERFERENCE,
            btf: None,
            switch: ["interference", "interference_3"],
            others: waking,
            rooms: &[
                ("ring_map", possible_cpus()?),
                ("pair_map", room.get()),
                ("stop_map", 4096 + 128 * possible_cpus()?),
            ],
            grown: &[],
        })?;
        let (pairs, rings) = (loaded.map("pair_map")?, loaded.map("ring_map")?);
        let links =
            waking.iter().chain([&loaded.switch]).map(|name| loaded.attach(name)).collect::<Result<_>>()?;
        Ok(Self { pairs, rings, before: BTreeMap::new(), put_out: 0, _links: links })
    }

    /// Everything since it began.
    ///
    /// # Errors
    /// [`crate::Error::ReadMap`] if the kernel refuses to read a map.
    pub fn read(&mut self) -> Result<Interference> {
        let mut all = Interference::default();
        each_entry(&self.pairs, |key, record: &pair_record| {
            if let Some(key) = pair_key::read(key) {
                all.pairs.insert(pair_of(&key), standing(record));
            }
        })?;
        self.make_room(&mut all.pairs)?;
        let is_quota = |pair: &Pair| pair.culprit.pid == 0;
        let quotas = all.pairs.iter().filter(|(pair, _)| is_quota(pair));
        all.quota_ns = quotas.map(|(pair, standing)| (pair.victim, standing.held_ns)).collect();
        all.pairs.retain(|pair, _| !is_quota(pair));
        each_value(&self.rings, |ring: &slice_ring| {
            all.unseen_ns += ring.unseen_ns;
            all.refused += ring.pairs_full;
        })?;
        all.put_out = self.put_out;
        Ok(all)
    }

    /// Puts out the pairs that are as they were at the latest read, where there are many. What is added to one between the look at it
    /// and its end is lost.
    fn make_room(&mut self, pairs: &mut BTreeMap<Pair, Standing>) -> Result<()> {
        if pairs.len() <= self.pairs.max_entries() as usize / 2 {
            self.before.clear();
            return Ok(());
        }
        let refused = |e: libbpf_rs::Error| Error::ReadMap { map: "pair_map".into(), reason: os_error(&e) };
        let (mut left, before) = (Vec::new(), std::mem::take(&mut self.before));
        for (pair, then) in pairs.iter().filter(|(pair, now)| before.get(pair) == Some(now)) {
            let key = key_of(pair);
            let now = self.pairs.lookup(key.bytes(), MapFlags::ANY).map_err(refused)?;
            if now.as_deref().and_then(pair_record::read).is_some_and(|now| standing(&now) == *then) {
                self.pairs.delete(key.bytes()).map_err(refused)?;
                left.push(*pair);
            }
        }
        self.put_out += left.len() as u64;
        for pair in left {
            pairs.remove(&pair);
        }
        self.before.clone_from(pairs);
        Ok(())
    }
}

fn standing(record: &pair_record) -> Standing {
    Standing { preemptions: record.preemptions, held_ns: record.held_ns }
}

fn pair_of(key: &pair_key) -> Pair {
    Pair {
        victim: TaskId { pid: key.victim, start_ns: key.victim_start_ns },
        culprit: TaskId { pid: key.culprit, start_ns: key.culprit_start_ns },
    }
}

fn key_of(pair: &Pair) -> pair_key {
    pair_key {
        victim: pair.victim.pid,
        victim_start_ns: pair.victim.start_ns,
        culprit: pair.culprit.pid,
        culprit_start_ns: pair.culprit.start_ns,
    }
}
