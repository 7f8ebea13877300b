//! What is in a recording, in numbers.

use crate::event::{Event, Kind};
use foldhash::fast::RandomState;
use std::collections::{BTreeMap, BTreeSet, HashSet};

/// Counts over a recording, or a part of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Events by the name of their kind, as in the tables that are written.
    pub events: BTreeMap<&'static str, u64>,
    /// The first instant, ns on the clock of the events; `None` before any event.
    pub first_ns: Option<u64>,
    /// The latest instant.
    pub last_ns: Option<u64>,
    /// CPUs that told something.
    pub cpus: BTreeSet<u32>,
    /// Different thread ids that had a CPU.
    pub threads: HashSet<u32, RandomState>,
    /// Missing events, where they were counted in their place.
    pub lost_events: u64,
}

impl Summary {
    /// Adds an event.
    pub fn add(&mut self, event: &Event) {
        *self.events.entry(event.kind.name()).or_default() += 1;
        self.first_ns = Some(self.first_ns.map_or(event.ts_ns, |first| first.min(event.ts_ns)));
        self.last_ns = Some(self.last_ns.map_or(event.ts_ns, |last| last.max(event.ts_ns)));
        self.cpus.insert(event.cpu);
        match &event.kind {
            Kind::Switch { next, .. } if next.pid != 0 => {
                self.threads.insert(next.pid);
            }
            Kind::Loss { count, .. } => self.lost_events += count.unwrap_or(0),
            _ => {}
        }
    }

    /// From the first instant to the latest, ns.
    pub fn span_ns(&self) -> u64 {
        self.last_ns.unwrap_or(0) - self.first_ns.unwrap_or(0)
    }
}
