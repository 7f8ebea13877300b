//! Which demands the CPUs can carry: a flow from CPU sets to CPUs, and the cut that is in its way.
//!
//! All tasks with the same CPU set are one source, and CPUs that occur in exactly the same sets are one sink,
//! so the network is as large as the affinity masks are different, however many tasks and CPUs there are. The
//! flow is computed in whole units of 2⁻⁴⁸ of the capacity: no rounding inside, hence an exact end and an
//! exact cut.

use crate::cpu_set::CpuSet;
use std::collections::{BTreeMap, VecDeque};

/// Units in the capacity of all CPUs that somebody may use.
const UNITS: f64 = (1u64 << 48) as f64;
/// Demand of one set at most, in units: far above what any set can be given, and still far from overflow.
const MOST_UNITS: f64 = (1u64 << 58) as f64;
/// An excess of up to this many units, and one more for each set and sink whose conversion to units was
/// rounded, counts as none: 2⁻⁴⁰ of the capacity, below anything that matters.
const SLACK_UNITS: u64 = 1 << 8;

/// CPUs and the sets that may use them.
pub(super) struct Network {
    sinks: Vec<Sink>,
    /// Of each CPU set, its sinks.
    arcs: Vec<Vec<usize>>,
    units_per_ns: f64,
}

/// CPUs that every set has all of or none of.
struct Sink {
    cpus: CpuSet,
    capacity_ns: u128,
    capacity_units: u64,
    /// Arcs that lead here: the set, and the position among its arcs.
    sources: Vec<(usize, usize)>,
}

/// CPUs whose time is given out in full.
#[derive(Clone, Debug)]
pub(super) struct Cut {
    pub(super) cpus: CpuSet,
    pub(super) capacity_ns: f64,
    /// For each CPU set, whether it lies within the cut.
    pub(super) sets: Vec<bool>,
}

impl Network {
    pub(super) fn new(capacity_ns: &BTreeMap<u32, u64>, sets: &[CpuSet]) -> Self {
        let mut by_sets: BTreeMap<CpuSet, (CpuSet, u128)> = BTreeMap::new();
        for (&cpu, &ns) in capacity_ns.iter().filter(|(_, ns)| **ns > 0) {
            let users = (0u32..).zip(sets).filter(|(_, set)| set.contains(cpu)).map(|(index, _)| index);
            let (cpus, sum) = by_sets.entry(users.collect()).or_default();
            cpus.insert(cpu);
            *sum += u128::from(ns);
        }
        by_sets.remove(&CpuSet::default()); // CPUs that nobody may use
        let total: u128 = by_sets.values().map(|(_, ns)| ns).sum();
        let units_per_ns = if total == 0 { 0.0 } else { UNITS / total as f64 };
        let mut arcs = vec![Vec::new(); sets.len()];
        let mut sinks = Vec::with_capacity(by_sets.len());
        for (users, (cpus, capacity_ns)) in by_sets {
            let mut sources = Vec::with_capacity(users.len());
            for set in users.iter().map(|u| u as usize) {
                sources.push((set, arcs[set].len()));
                arcs[set].push(sinks.len());
            }
            let capacity_units = units(capacity_ns as f64 * units_per_ns);
            sinks.push(Sink { cpus, capacity_ns, capacity_units, sources });
        }
        Self { sinks, arcs, units_per_ns }
    }

    /// Whether a set has no CPU with time to give.
    pub(super) fn is_barren(&self, set: usize) -> bool {
        self.arcs[set].is_empty()
    }

    /// All CPUs that somebody may use, and all sets.
    pub(super) fn everything(&self) -> Cut {
        self.cut(&vec![true; self.sinks.len()])
    }

    /// The CPUs that have less than the sets within them hold, if the sets cannot have so much (in
    /// nanoseconds) together.
    pub(super) fn exceeded(&self, held_ns: &[f64]) -> Option<Cut> {
        let mut flow = Flow::new(self);
        let (mut excess, mut stuck) = (0u64, vec![false; self.sinks.len()]);
        let mut order: Vec<usize> = (0..self.arcs.len()).collect();
        order.sort_by_key(|&set| self.arcs[set].len()); // who has the least choice first: less to move later
        for set in order {
            let left = flow.send(set, units(held_ns[set] * self.units_per_ns), &mut stuck);
            excess = excess.saturating_add(left);
        }
        let slack = SLACK_UNITS + (self.arcs.len() + self.sinks.len()) as u64;
        (excess > slack).then(|| self.cut(&stuck))
    }

    fn cut(&self, within: &[bool]) -> Cut {
        let mut cpus = CpuSet::default();
        let mut capacity_ns = 0;
        for (sink, _) in self.sinks.iter().zip(within).filter(|(_, within)| **within) {
            cpus.union_with(&sink.cpus);
            capacity_ns += sink.capacity_ns;
        }
        let sets = self.arcs.iter().map(|arcs| arcs.iter().all(|&sink| within[sink])).collect();
        Cut { cpus, capacity_ns: capacity_ns as f64, sets }
    }

    /// The cuts that stop the sets `now`, given all sets that are `full` (among them those): one for each
    /// part of the network, ordered by its first set. Two cuts may share CPUs only if the first comes from an
    /// earlier call.
    pub(super) fn cuts(&self, now: &[bool], full: &[bool]) -> Vec<Cut> {
        let mut cuts = Vec::new();
        let mut seen = vec![false; self.arcs.len()];
        for first in (0..self.arcs.len()).filter(|&set| now[set]) {
            if std::mem::replace(&mut seen[first], true) {
                continue;
            }
            let mut within = vec![false; self.sinks.len()];
            let mut queue = vec![first];
            while let Some(set) = queue.pop() {
                for &sink in &self.arcs[set] {
                    if !std::mem::replace(&mut within[sink], true) {
                        let sources = self.sinks[sink].sources.iter().map(|&(other, _)| other);
                        queue.extend(sources.filter(|&o| full[o] && !std::mem::replace(&mut seen[o], true)));
                    }
                }
            }
            let cut = self.cut(&within);
            for (seen, inside) in seen.iter_mut().zip(&cut.sets) {
                *seen |= inside;
            }
            cuts.push(cut);
        }
        cuts
    }
}

/// Rounds to whole units; what is beyond all capacity stays beyond it.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped to 0…2⁵⁸ on the same line"
)]
fn units(value: f64) -> u64 {
    value.round().clamp(0.0, MOST_UNITS) as u64
}

/// A flow that grows by shortest augmenting paths (Edmonds and Karp 1972), one source after the other.
struct Flow<'n> {
    network: &'n Network,
    /// What each arc carries, in the order of [`Network::arcs`].
    carried: Vec<Vec<u64>>,
    /// What each sink has left.
    spare: Vec<u64>,
}

impl<'n> Flow<'n> {
    fn new(network: &'n Network) -> Self {
        Self {
            network,
            carried: network.arcs.iter().map(|arcs| vec![0; arcs.len()]).collect(),
            spare: network.sinks.iter().map(|s| s.capacity_units).collect(),
        }
    }

    /// Sends up to `amount` from a set and returns what found no way. The sinks it could reach are then
    /// marked as stuck: they are full, and all that they carry comes from sets that reach no other sink.
    fn send(&mut self, set: usize, mut amount: u64, stuck: &mut [bool]) -> u64 {
        for (at, &sink) in self.network.arcs[set].iter().enumerate() {
            let part = amount.min(self.spare[sink]);
            self.carried[set][at] += part;
            self.spare[sink] -= part;
            amount -= part;
        }
        while amount > 0 {
            let Some(path) = self.path(set, stuck) else { return amount };
            amount -= self.push(&path, amount);
        }
        0
    }

    /// The shortest way from a set to a sink with something to spare, as pairs of the arc that takes in and
    /// the arc of the same sink that gives back, last sink first. `None` marks what was reached.
    fn path(&self, from: usize, stuck: &mut [bool]) -> Option<Path> {
        let network = self.network;
        let mut sink_by: Vec<Option<(usize, usize)>> = vec![None; network.sinks.len()];
        let mut set_by: Vec<Option<usize>> = vec![None; network.arcs.len()];
        let mut queue = VecDeque::from([from]);
        while let Some(set) = queue.pop_front() {
            for (at, &sink) in network.arcs[set].iter().enumerate() {
                if sink_by[sink].is_some() {
                    continue;
                }
                sink_by[sink] = Some((set, at));
                if self.spare[sink] > 0 {
                    return Some(Self::walk_back(sink, from, &sink_by, &set_by, network));
                }
                for &(other, arc) in &network.sinks[sink].sources {
                    if other != from && set_by[other].is_none() && self.carried[other][arc] > 0 {
                        set_by[other] = Some(arc);
                        queue.push_back(other);
                    }
                }
            }
        }
        for (stuck, by) in stuck.iter_mut().zip(&sink_by) {
            *stuck |= by.is_some();
        }
        None
    }

    fn walk_back(
        sink: usize,
        from: usize,
        sink_by: &[Option<(usize, usize)>],
        set_by: &[Option<usize>],
        network: &Network,
    ) -> Path {
        let mut path = Path { end: sink, takes: Vec::new(), gives: Vec::new() };
        let mut at = Some(sink);
        while let Some((set, arc)) = at.and_then(|sink| sink_by[sink]) {
            path.takes.push((set, arc));
            let back = if set == from { None } else { set_by[set] };
            path.gives.extend(back.map(|arc| (set, arc)));
            at = back.map(|arc| network.arcs[set][arc]);
        }
        path
    }

    fn push(&mut self, path: &Path, most: u64) -> u64 {
        let least_given = path.gives.iter().map(|&(set, arc)| self.carried[set][arc]).min().unwrap_or(most);
        let amount = most.min(self.spare[path.end]).min(least_given);
        for &(set, arc) in &path.takes {
            self.carried[set][arc] += amount;
        }
        for &(set, arc) in &path.gives {
            self.carried[set][arc] -= amount;
        }
        self.spare[path.end] -= amount;
        amount
    }
}

/// Where a flow can grow.
struct Path {
    end: usize,
    takes: Vec<(usize, usize)>,
    gives: Vec<(usize, usize)>,
}
