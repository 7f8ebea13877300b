//! Brings the event of a gap to where the gap begins.
//!
//! Formats tell a loss when it is over. What other CPUs tell meanwhile would be read as if nothing were
//! missing. So a few thousand events are held back, and an event of loss goes before those that lie in its
//! gap.

use crate::event::{Event, Kind};
use foldhash::fast::RandomState;
use std::collections::{HashMap, VecDeque};

/// Events held back: gaps in which other CPUs tell more are known late by what is beyond.
const HELD: usize = 8192;

/// Events that wait until it is known whether they lie in a gap.
#[derive(Debug, Default)]
pub struct Early {
    held: VecDeque<Event>,
    /// The latest event of each CPU.
    last: HashMap<u32, u64, RandomState>,
    last_ns: u64,
}

impl Early {
    /// Takes the next event, and gives one that is known to lie in no gap that is to be told, if there is
    /// one.
    pub fn add(&mut self, event: Event) -> Option<Event> {
        if let Kind::Loss { of_cpu, from_ns, .. } = &event.kind {
            let since = of_cpu.map_or(Some(self.last_ns), |cpu| self.last.get(&cpu).copied());
            let from_ns = from_ns.or(since).unwrap_or(event.ts_ns);
            let at = self.held.iter().rposition(|held| held.ts_ns <= from_ns).map_or(0, |at| at + 1);
            if at == 0 && self.held.len() == HELD {
                return Some(event);
            }
            let ready = self.ready();
            self.held.insert(at - usize::from(ready.is_some()), event);
            return ready;
        }
        self.last.insert(event.cpu, event.ts_ns);
        self.last_ns = event.ts_ns;
        let ready = self.ready();
        self.held.push_back(event);
        ready
    }

    /// Makes room before it is needed: a ring that grows beyond what it holds would go through twice the
    /// memory.
    fn ready(&mut self) -> Option<Event> {
        if self.held.len() == HELD { self.held.pop_front() } else { None }
    }

    /// The next of those that wait, when no more come.
    pub fn rest(&mut self) -> Option<Event> {
        self.held.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loss_goes_where_its_gap_begins() {
        let mut early = Early::default();
        let event = |ts_ns, cpu, kind| Event { ts_ns, cpu, seq: 0, kind };
        let loss = Kind::Loss { of_cpu: Some(1), count: None, from_ns: None };
        for event in [
            event(1, 0, Kind::Online),
            event(2, 1, Kind::Online),
            event(3, 0, Kind::Online),
            event(4, 0, Kind::Online),
            event(5, 1, loss),
            event(5, 1, Kind::Online),
        ] {
            assert_eq!(early.add(event), None);
        }
        let order: Vec<(u64, bool)> = std::iter::from_fn(|| early.rest())
            .map(|e| (e.ts_ns, matches!(e.kind, Kind::Loss { .. })))
            .collect();
        assert_eq!(order, [(1, false), (2, false), (5, true), (3, false), (4, false), (5, false)]);
    }
}
