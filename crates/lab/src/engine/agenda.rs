//! What is to come: at most one event for each slot, by time and then in the order of being set.
//!
//! The end of a slice is most often the next that happens, on one CPU with burners always. So the earliest
//! event may stand beside the queue of the others, and passes through no queue.

use crate::heap::IndexedHeap;

/// Marks that no event stands beside the queue.
const NOBODY: usize = usize::MAX;

/// The events of a simulation.
#[derive(Clone, Debug)]
pub(super) struct Agenda {
    /// The slot of an event that comes before all in the queue, and its time and number.
    first: usize,
    first_at: (u64, u64),
    others: IndexedHeap<(u64, u64)>,
    /// How many were set so far.
    set: u64,
}

impl Agenda {
    pub(super) fn new(slots: usize) -> Self {
        Self { first: NOBODY, first_at: (0, 0), others: IndexedHeap::new(slots), set: 0 }
    }

    /// How many events were set so far.
    pub(super) fn count(&self) -> u64 {
        self.set
    }

    /// When the next event is.
    #[inline]
    pub(super) fn next_at(&self) -> Option<u64> {
        if self.first == NOBODY { self.others.peek().map(|((at, _), _)| at) } else { Some(self.first_at.0) }
    }

    /// Takes the slot of the next event.
    #[inline]
    pub(super) fn pop(&mut self) -> Option<usize> {
        match std::mem::replace(&mut self.first, NOBODY) {
            NOBODY => self.others.pop().map(|(_, slot)| slot),
            slot => Some(slot),
        }
    }

    /// Sets the event of a slot to a time.
    #[inline]
    pub(super) fn set(&mut self, slot: usize, at_ns: u64) {
        self.set += 1;
        if self.others.is_empty() && (self.first == NOBODY || self.first == slot) {
            (self.first, self.first_at) = (slot, (at_ns, self.set));
        } else {
            self.set_among(slot, (at_ns, self.set));
        }
    }

    #[inline(never)] // so that what calls `set` is small enough to be inlined itself
    fn set_among(&mut self, slot: usize, key: (u64, u64)) {
        if self.first == slot {
            self.first = NOBODY;
        }
        let is_first = if self.first == NOBODY {
            self.others
                .peek()
                .is_none_or(|(least, other)| key < least || other == slot && self.others.len() == 1)
        } else {
            key < self.first_at
        };
        if !is_first {
            self.others.set(slot, key);
            return;
        }
        self.others.remove(slot);
        if self.first != NOBODY {
            self.others.set(self.first, self.first_at);
        }
        (self.first, self.first_at) = (slot, key);
    }

    /// The event of a slot, if it has one, will not be.
    #[inline]
    pub(super) fn remove(&mut self, slot: usize) {
        if self.first == slot {
            self.first = NOBODY;
        } else {
            self.others.remove(slot);
        }
    }

    /// The slots that have an event, in no particular order.
    pub(super) fn slots(&self) -> impl Iterator<Item = usize> + '_ {
        let first = (self.first != NOBODY).then_some(self.first);
        first.into_iter().chain(self.others.iter().map(|(_, slot)| slot))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Clone, Debug)]
    enum Step {
        Set(usize, u64),
        Remove(usize),
        Pop,
    }

    proptest! {
        /// The second method: one list, scanned for its least.
        #[test]
        fn events_come_by_time_and_then_as_they_were_set(
            steps in prop::collection::vec(
                prop_oneof![
                    3 => (0usize..6, 0u64..5).prop_map(|(slot, at)| Step::Set(slot, at)),
                    1 => (0usize..6).prop_map(Step::Remove),
                    2 => Just(Step::Pop),
                ],
                0..100,
            ),
        ) {
            let (mut agenda, mut list, mut set) = (Agenda::new(6), Vec::<(u64, u64, usize)>::new(), 0);
            for step in steps {
                match step {
                    Step::Set(slot, at) => {
                        set += 1;
                        agenda.set(slot, at);
                        list.retain(|event| event.2 != slot);
                        list.push((at, set, slot));
                    }
                    Step::Remove(slot) => {
                        agenda.remove(slot);
                        list.retain(|event| event.2 != slot);
                    }
                    Step::Pop => {
                        let next = list.iter().min().map(|event| event.2);
                        prop_assert_eq!(agenda.pop(), next);
                        list.retain(|event| Some(event.2) != next);
                    }
                }
                prop_assert_eq!(agenda.next_at(), list.iter().min().map(|event| event.0));
                let (mut has, mut had): (Vec<_>, Vec<_>) =
                    (agenda.slots().collect(), list.iter().map(|event| event.2).collect());
                has.sort_unstable();
                had.sort_unstable();
                prop_assert_eq!(has, had);
                prop_assert_eq!(agenda.count(), set);
            }
        }
    }
}
