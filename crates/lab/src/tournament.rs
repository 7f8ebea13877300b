//! The least of many keys, each with a place of its own: a tree of matches, whose winners play on.
//!
//! A scheduler takes out the first task, and that one is most often the next to come back. So what is taken
//! out stays on its way up until somebody comes: one way up the tree for each decision, where a heap has one
//! down and a table of who stands where. The way is known from the place before anything of it is read:
//! nothing waits for memory twice.

/// What stands where nobody is: after everybody.
const NOBODY: u128 = u128::MAX;

/// A minimum over items 0…n−1, each in it at most once, with a key that can be changed.
///
/// A key has 128 − `ITEM_BITS` bits, of which not all are set, and an item has `ITEM_BITS`. Of equal keys the
/// smaller item comes first.
#[derive(Clone, Debug)]
pub struct Tournament<const ITEM_BITS: u32> {
    /// Winner of the match between 2i and 2i + 1 at each i; the items themselves in the second half.
    players: Vec<u128>,
    /// Who won all.
    winner: u128,
    /// The item that was taken out as the winner, and still stands on its way up; `usize::MAX` = none.
    taken: usize,
}

impl<const ITEM_BITS: u32> Tournament<ITEM_BITS> {
    /// Nobody yet, with room for items below `items`.
    pub fn new(items: usize) -> Self {
        Self { players: vec![NOBODY; 2 * items], winner: NOBODY, taken: usize::MAX }
    }

    /// Whether a key has the room it needs.
    #[inline]
    pub const fn fits(key: u128) -> bool {
        key < NOBODY >> ITEM_BITS
    }

    #[inline]
    #[allow(clippy::cast_possible_truncation)] // the low bits
    fn item(entry: u128) -> usize {
        (entry & ((1 << ITEM_BITS) - 1)) as usize
    }

    #[inline]
    fn told(entry: u128) -> Option<(u128, usize)> {
        (entry != NOBODY).then(|| (entry >> ITEM_BITS, Self::item(entry)))
    }

    /// The entry of an item.
    fn at(&self, item: usize) -> u128 {
        if item == self.taken { NOBODY } else { self.players[self.players.len() / 2 + item] }
    }

    /// Key of an item, if it is there.
    pub fn key(&self, item: usize) -> Option<u128> {
        Self::told(self.at(item)).map(|(key, _)| key)
    }

    /// The smallest key and its item.
    #[inline]
    pub fn peek(&mut self) -> Option<(u128, usize)> {
        self.withdraw();
        Self::told(self.winner)
    }

    /// Puts an item in, or gives it another key, which [`fits`](Self::fits).
    ///
    /// # Panics
    /// With an item for which there is no room.
    #[inline]
    pub fn set(&mut self, item: usize, key: u128) {
        let entry = key << ITEM_BITS | item as u128;
        if self.taken == item {
            self.taken = usize::MAX;
            self.play(item, entry);
        } else {
            self.join(item, entry);
        }
    }

    /// Takes out the item with the smallest key.
    #[inline]
    pub fn pop(&mut self) -> Option<(u128, usize)> {
        let first = self.peek()?;
        self.taken = first.1;
        Some(first)
    }

    /// Takes an item out; its key, if it was there.
    pub fn remove(&mut self, item: usize) -> Option<u128> {
        let key = self.key(item)?;
        self.withdraw();
        self.play(item, NOBODY);
        Some(key)
    }

    /// All entries, by item.
    pub fn iter(&self) -> impl Iterator<Item = (u128, usize)> + '_ {
        let entries = self.players[self.players.len() / 2..].iter();
        entries.filter_map(|entry| Self::told(*entry)).filter(|(_, item)| *item != self.taken)
    }

    /// Who was taken out leaves.
    #[inline]
    fn withdraw(&mut self) {
        if self.taken != usize::MAX {
            let item = std::mem::replace(&mut self.taken, usize::MAX);
            self.play(item, NOBODY);
        }
    }

    /// An entry comes in that was not there, and goes up as far as it wins.
    #[inline(never)] // so that what calls it is small enough to be inlined itself
    fn join(&mut self, item: usize, entry: u128) {
        self.withdraw();
        let players = self.players.as_mut_slice();
        let mut at = players.len() / 2 + item;
        if players[at] != NOBODY {
            return self.play(item, entry);
        }
        players[at] = entry;
        while at > 1 {
            if players[at ^ 1] < entry {
                return;
            }
            at /= 2;
            players[at] = entry;
        }
        self.winner = entry;
    }

    /// An entry plays its way up from the place of an item.
    #[inline(never)] // as above
    fn play(&mut self, item: usize, entry: u128) {
        let players = self.players.as_mut_slice();
        let (mut at, mut best) = (players.len() / 2 + item, entry);
        players[at] = best;
        while at > 1 {
            let other = players[at ^ 1];
            if other < best {
                best = other;
            }
            at /= 2;
            players[at] = best;
        }
        self.winner = best;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::heap::tests::{Step, least, steps};
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        /// For any number of items.
        #[test]
        fn it_does_what_a_scanned_map_does(steps in steps(), items in 1usize..70) {
            is_a_scanned_map::<32>(&steps, items, u128::from)?;
            is_a_scanned_map::<20>(&steps, items, |key| (u128::MAX >> 20) - 30 + u128::from(key))?;
        }
    }

    fn is_a_scanned_map<const ITEM_BITS: u32>(
        steps: &[Step],
        items: usize,
        wide: impl Fn(u16) -> u128,
    ) -> Result<(), TestCaseError> {
        let mut tournament = Tournament::<ITEM_BITS>::new(items);
        let mut map = BTreeMap::new();
        for step in steps {
            match *step {
                Step::Set(item, key) => {
                    tournament.set(item % items, wide(key));
                    map.insert(item % items, wide(key));
                }
                Step::Remove(item) => {
                    prop_assert_eq!(tournament.remove(item % items), map.remove(&(item % items)));
                }
                Step::Pop => {
                    let first = least(&map);
                    prop_assert_eq!(tournament.pop(), first);
                    first.map(|(_, item)| map.remove(&item));
                }
            }
            let all: Vec<_> = tournament.iter().map(|(key, item)| (item, key)).collect();
            prop_assert_eq!(all, map.iter().map(|(item, key)| (*item, *key)).collect::<Vec<_>>());
            for item in 0..items {
                prop_assert_eq!(tournament.key(item), map.get(&item).copied());
            }
            // A look also makes way for what comes next; not always, for not every user looks.
            if map.len() % 2 == 0 {
                prop_assert_eq!(tournament.peek(), least(&map));
            }
        }
        Ok(())
    }

    #[test]
    fn of_nobody_there_is_no_first() {
        let mut nobody = Tournament::<20>::new(0);
        assert_eq!((nobody.peek(), nobody.pop(), nobody.iter().count()), (None, None, 0));
        assert!(Tournament::<20>::fits((u128::MAX >> 20) - 1) && !Tournament::<20>::fits(u128::MAX >> 20));
    }
}
