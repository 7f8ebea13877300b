//! A second, private monitor for the time of an audit: who stood in whose way.

use crate::batch::{each_entry, each_value};
use crate::error::{Error, Result, os_error};
use crate::object::{LoadedObject, Parts, kernel_has_member, possible_cpus};
use crate::settings::MaxPairs;
use crate::task_iterator::TaskIterator;
use crate::wire::{INTERFERENCE, Wire as _, open_wait, pair_key, pair_record, untold};
use libbpf_rs::{Link, MapCore as _, MapFlags, MapHandle};
use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::AsFd as _;
use tombola_core::identity::TaskId;
use tombola_core::interference::{Interference, Pair, Standing};

/// The iterator over waits that have not ended.
const OPEN_WAITS: &str = "open_waits";

/// Times the open waits are read at most, for those whose CPU switched while they were looked at.
const READINGS: usize = 8;

/// Who is named where a wait was behind its own quota.
const QUOTA: TaskId = TaskId { pid: 0, start_ns: 0 };

/// `UNKNOWN_CULPRIT` in `bpf/wire.h`: others, not known by name.
const UNKNOWN: TaskId = TaskId { pid: 0, start_ns: 1 };

/// Counts until it is dropped.
///
/// A wait is booked when it ends; what is made of those that have not ended is added at each read, so a pair
/// holds at any time what the culprit did up to then. Pairs to which nothing was added between two reads
/// leave when the map is more than half full: of tasks that are gone, most of them.
pub struct InterferenceMonitor {
    pairs: MapHandle,
    untold: MapHandle,
    open_waits: TaskIterator,
    /// What the latest read found, where the map was more than half full.
    before: BTreeMap<Pair, Standing>,
    told: Told,
    put_out: u64,
    _links: Vec<Link>,
}

impl InterferenceMonitor {
    /// Loads and attaches it, without pins.
    ///
    /// # Errors
    /// Whatever keeps this kernel or this user from it.
    pub fn start(room: MaxPairs) -> Result<Self> {
        let waking = kernel_has_member("sched_entity", "sched_delayed")?.then_some("interference_waking");
        let others: Vec<&str> = [OPEN_WAITS].into_iter().chain(waking).collect();
        let cpus = possible_cpus()?;
        let loaded = LoadedObject::load(&Parts {
            bytes: INTERFERENCE,
            btf: None,
            switch: ["interference", "interference_3"],
            others: &others,
            rooms: &[
                ("past_map", cpus),
                ("account_map", cpus + 1),
                ("untold_map", cpus),
                ("pair_map", room.get()),
                ("stop_map", 4096 + 128 * cpus),
            ],
            grown: &[],
        })?;
        let (pairs, untold) = (loaded.map("pair_map")?, loaded.map("untold_map")?);
        let iterator = loaded.attach(OPEN_WAITS)?;
        let open_waits = iterator.as_fd().try_clone_to_owned();
        let open_waits = open_waits.map_err(|reason| Error::ReadMap { map: OPEN_WAITS.into(), reason })?;
        let links = waking.iter().chain([&loaded.switch]).map(|name| loaded.attach(name));
        let links = links.chain([Ok(iterator)]).collect::<Result<_>>()?;
        Ok(Self {
            pairs,
            untold,
            open_waits: TaskIterator::of_link(OPEN_WAITS, open_waits),
            before: BTreeMap::new(),
            told: Told::default(),
            put_out: 0,
            _links: links,
        })
    }

    /// Everything since it began.
    ///
    /// # Errors
    /// [`crate::Error::ReadMap`] if the kernel refuses to read a map.
    pub fn read(&mut self) -> Result<Interference> {
        let mut all = Interference::default();
        let (booked, open) = self.booked_and_open()?;
        all.pairs = booked;
        self.make_room(&mut all.pairs, &open)?;
        self.told.add(&mut all.pairs, &open);
        let of = |pairs: &BTreeMap<Pair, Standing>, culprit: TaskId| {
            let of_it = pairs.iter().filter(|(pair, _)| pair.culprit == culprit);
            of_it.map(|(pair, standing)| (pair.victim, standing.held_ns)).collect()
        };
        (all.quota_ns, all.unknown_ns) = (of(&all.pairs, QUOTA), of(&all.pairs, UNKNOWN));
        all.pairs.retain(|pair, _| pair.culprit.pid != 0);
        each_value(&self.untold, |untold: &untold| {
            all.unseen_ns += untold.unseen_ns;
            all.refused += untold.pairs_full;
        })?;
        all.put_out = self.put_out;
        Ok(all)
    }

    /// What was booked, and what the waits are made of that had not ended then. A wait is booked in the
    /// moment in which it ceases to be open: of a victim of whom anything was booked while the open waits
    /// were looked at, both are looked at again.
    fn booked_and_open(&self) -> Result<(BTreeMap<Pair, Standing>, BTreeMap<Pair, u64>)> {
        let mut booked = self.booked()?;
        let mut open: BTreeMap<Pair, u64> = BTreeMap::new();
        let mut settled: BTreeSet<TaskId> = BTreeSet::new();
        for _ in 0..READINGS {
            let waits = self.open_waits()?;
            let now = self.booked()?;
            let victims: BTreeSet<TaskId> = waits.keys().map(|pair| pair.victim).collect();
            let is_same = |victim: &&TaskId| of(&booked, **victim).eq(of(&now, **victim));
            let same: BTreeSet<TaskId> = victims.difference(&settled).filter(is_same).copied().collect();
            open.extend(waits.into_iter().filter(|(pair, _)| same.contains(&pair.victim)));
            // What is booked of these later is of the wait that was open.
            let later = |pair: &Pair| settled.contains(&pair.victim);
            let kept: Vec<_> = booked.into_iter().filter(|(pair, _)| later(pair)).collect();
            booked = now.into_iter().filter(|(pair, _)| !later(pair)).chain(kept).collect();
            settled.extend(&same);
            if victims.is_subset(&settled) {
                break;
            }
        }
        Ok((booked, open))
    }

    fn booked(&self) -> Result<BTreeMap<Pair, Standing>> {
        let mut pairs = BTreeMap::new();
        each_entry(&self.pairs, |key, record: &pair_record| {
            if let Some(key) = pair_key::read(key) {
                pairs.insert(pair_of(&key), standing(record));
            }
        })?;
        Ok(pairs)
    }

    /// What the waits are made of that have not ended. Of one whose CPU switched in every reading nothing is
    /// told.
    fn open_waits(&self) -> Result<BTreeMap<Pair, u64>> {
        let mut waits: Vec<open_wait> = self.open_waits.read()?;
        for _ in 1..READINGS {
            if waits.iter().all(|wait| wait.torn == 0) {
                break;
            }
            // All anew: what was seen before may have ended since.
            waits = self.open_waits.read()?;
        }
        let mut held_ns = BTreeMap::new();
        for wait in waits.iter().filter(|wait| wait.torn == 0) {
            let victim = TaskId { pid: wait.pid, start_ns: wait.start_ns };
            let named = wait.culprits.iter().filter(|culprit| culprit.pid != 0);
            let named = named.map(|c| (TaskId { pid: c.pid, start_ns: c.start_ns }, c.held_ns));
            for (culprit, ns) in named.chain([(QUOTA, wait.quota_ns), (UNKNOWN, wait.unknown_ns)]) {
                if ns > 0 {
                    *held_ns.entry(Pair { victim, culprit }).or_default() += ns;
                }
            }
        }
        Ok(held_ns)
    }

    /// Puts out the pairs that are as they were at the latest read, where there are many. What is added to
    /// one between the look at it and its end is lost. Pairs of open waits stay.
    fn make_room(&mut self, pairs: &mut BTreeMap<Pair, Standing>, open: &BTreeMap<Pair, u64>) -> Result<()> {
        if pairs.len() <= self.pairs.max_entries() as usize / 2 {
            self.before.clear();
            return Ok(());
        }
        let refused = |e: libbpf_rs::Error| Error::ReadMap { map: "pair_map".into(), reason: os_error(&e) };
        let (mut left, before) = (Vec::new(), std::mem::take(&mut self.before));
        let is_open = |pair: &Pair| open.contains_key(pair);
        for (pair, then) in pairs.iter().filter(|(pair, now)| before.get(pair) == Some(now) && !is_open(pair))
        {
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

/// What was told of open waits. The longer a wait lasts, the more of it may be behind tasks that the kernel
/// side knows by name no more: who was named once stays named.
#[derive(Default)]
struct Told {
    /// What the latest read told of pairs of open waits.
    held_ns: BTreeMap<Pair, u64>,
    /// What is added to pairs, and taken off what is unknown of the same victim.
    named_ns: BTreeMap<Pair, u64>,
}

impl Told {
    /// Adds to the pairs what open waits are made of.
    fn add(&mut self, pairs: &mut BTreeMap<Pair, Standing>, open_ns: &BTreeMap<Pair, u64>) {
        for (pair, ns) in open_ns {
            pairs.entry(*pair).or_default().held_ns += ns;
        }
        let unknown = |victim| Pair { victim, culprit: UNKNOWN };
        self.named_ns.retain(|pair, _| pairs.contains_key(&unknown(pair.victim)));
        let mut unknown_ns: BTreeMap<TaskId, u64> = BTreeMap::new();
        for (pair, ns) in &self.named_ns {
            let left_ns =
                unknown_ns.entry(pair.victim).or_insert_with(|| pairs[&unknown(pair.victim)].held_ns);
            *left_ns = left_ns.saturating_sub(*ns);
            pairs.entry(*pair).or_default().held_ns += ns;
        }
        for (pair, told_ns) in std::mem::take(&mut self.held_ns) {
            let Some(of_victim) = pairs.get(&unknown(pair.victim)) else { continue };
            let left_ns = unknown_ns.entry(pair.victim).or_insert(of_victim.held_ns);
            let now = pairs.entry(pair).or_default();
            let again_ns = told_ns.saturating_sub(now.held_ns).min(*left_ns);
            if pair.culprit.pid != 0 && again_ns > 0 {
                *left_ns -= again_ns;
                now.held_ns += again_ns;
                *self.named_ns.entry(pair).or_default() += again_ns;
            }
        }
        for (victim, left_ns) in unknown_ns {
            pairs.entry(unknown(victim)).or_default().held_ns = left_ns;
        }
        self.held_ns = open_ns.keys().map(|pair| (*pair, pairs[pair].held_ns)).collect();
    }
}

/// The pairs of a victim.
fn of(pairs: &BTreeMap<Pair, Standing>, victim: TaskId) -> impl Iterator<Item = (&Pair, &Standing)> {
    pairs.range(Pair { victim, culprit: QUOTA }..).take_while(move |(pair, _)| pair.victim == victim)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn task(pid: u32) -> TaskId {
        TaskId { pid, start_ns: 1 }
    }

    /// What is told of two culprits and of unknown ones, when so much is booked, and so much of a wait is
    /// open.
    fn told(told: &mut Told, booked: [u64; 3], open: [u64; 3]) -> [u64; 3] {
        let culprits = [task(1), task(2), UNKNOWN].map(|culprit| Pair { victim: task(7), culprit });
        let of = |ns: [u64; 3]| culprits.into_iter().zip(ns).filter(|(_, ns)| *ns > 0);
        let mut pairs = of(booked).map(|(p, ns)| (p, Standing { preemptions: 1, held_ns: ns })).collect();
        told.add(&mut pairs, &of(open).collect());
        culprits.map(|pair| pairs.get(&pair).map_or(0, |standing| standing.held_ns))
    }

    #[test]
    fn a_wait_counts_while_it_lasts_and_once() {
        let mut all = Told::default();
        assert_eq!(told(&mut all, [0, 5, 0], [0, 0, 0]), [0, 5, 0]);
        assert_eq!(told(&mut all, [0, 5, 0], [3, 4, 0]), [3, 9, 0]);
        assert_eq!(told(&mut all, [0, 5, 0], [6, 4, 1]), [6, 9, 1]);
        assert_eq!(told(&mut all, [8, 11, 1], [0, 0, 0]), [8, 11, 1]);
    }

    #[test]
    fn who_was_named_once_stays_named_at_the_expense_of_what_is_unknown() {
        let mut all = Told::default();
        assert_eq!(told(&mut all, [0, 0, 0], [30, 4, 0]), [30, 4, 0]);
        // The first one is known no more, and 6 others neither.
        assert_eq!(told(&mut all, [0, 0, 0], [0, 8, 36]), [30, 8, 6]);
        assert_eq!(told(&mut all, [0, 9, 40], [0, 0, 0]), [30, 9, 10]);
        assert_eq!(told(&mut all, [2, 9, 40], [5, 0, 0]), [37, 9, 10]);
        // Not more than that.
        assert_eq!(told(&mut all, [2, 9, 41], [1, 0, 0]), [37, 9, 7]);
        assert_eq!(told(&mut all, [2, 9, 41], [1, 0, 0]), [37, 9, 7]);
    }
}
