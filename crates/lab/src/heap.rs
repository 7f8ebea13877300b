//! A heap whose entries can be found again: change or remove any of them in O(log n).
//!
//! A scheduler takes out the first task and soon puts one back, so taking out leaves a hole at the top, and
//! the next entry that comes in sinks from there: one way down instead of one down and two up.

use std::hint::select_unpredictable;

/// Marks an item that is not in the heap.
const ABSENT: u32 = u32::MAX;

/// Children of an entry: four keys of 8 bytes with their items fill one cache line, and halve the levels.
const ARITY: usize = 4;

/// A key beside its item.
type Entry<K> = (K, u32);

/// Whether an entry comes before another: it has the smaller key, or of equal keys the smaller item. Without
/// short circuits, so that it compiles to no branch.
#[inline]
#[allow(clippy::needless_bitwise_bool)]
fn comes_before<K: PartialOrd>(entry: &Entry<K>, other: &Entry<K>) -> bool {
    (entry.0 < other.0) | ((entry.0 == other.0) & (entry.1 < other.1))
}

/// A minimum heap over items 0…n−1, each in it at most once, with a key that can be changed.
///
/// Of equal keys the smaller item comes first. Keys must be totally ordered in use (no NaN).
#[derive(Clone, Debug)]
pub struct IndexedHeap<K> {
    entries: Vec<Entry<K>>,
    place: Vec<u32>,
    /// The first entry was taken out and nothing has taken its place: what stands there does not count.
    hole: bool,
}

impl<K: PartialOrd + Copy> IndexedHeap<K> {
    /// An empty heap for items below `items`; it grows when a larger item comes.
    pub fn new(items: usize) -> Self {
        Self { entries: Vec::new(), place: vec![ABSENT; items], hole: false }
    }

    /// How many items are in it.
    #[inline]
    pub fn len(&self) -> usize {
        self.entries.len() - usize::from(self.hole)
    }

    /// Whether it holds nothing.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Key of an item, if it is in the heap.
    pub fn key(&self, item: usize) -> Option<K> {
        match self.place.get(item) {
            None | Some(&ABSENT) => None,
            Some(&at) => Some(self.entries[at as usize].0),
        }
    }

    /// The smallest key and its item.
    #[inline]
    pub fn peek(&self) -> Option<(K, usize)> {
        if self.is_empty() {
            return None; // said at once: the events of one CPU are most often just one
        }
        let first = if self.hole { first_child(&self.entries, 0)?.1 } else { *self.entries.first()? };
        Some((first.0, first.1 as usize))
    }

    /// Puts an item in, or gives it another key.
    ///
    /// # Panics
    /// With an item of 2³² − 1 or more.
    pub fn set(&mut self, item: usize, key: K) {
        if item >= self.place.len() {
            self.place.resize(item + 1, ABSENT);
        }
        let at = self.place[item];
        if at == ABSENT {
            let entry = (key, u32::try_from(item).expect("items are 32-bit indices"));
            if std::mem::take(&mut self.hole) {
                if self.entries.len() == 1 {
                    settle(&mut self.entries, &mut self.place, 0, entry);
                } else {
                    self.down(0, entry);
                }
            } else {
                self.entries.push(entry);
                self.up(self.entries.len() - 1, entry);
            }
        } else {
            self.fill_hole();
            let at = self.place[item] as usize;
            self.put(at, (key, self.entries[at].1));
        }
    }

    /// Takes out the item with the smallest key.
    pub fn pop(&mut self) -> Option<(K, usize)> {
        self.fill_hole();
        let first = *self.entries.first()?;
        self.place[first.1 as usize] = ABSENT;
        self.hole = true;
        Some((first.0, first.1 as usize))
    }

    /// Takes an item out; its key, if it was there.
    #[inline]
    pub fn remove(&mut self, item: usize) -> Option<K> {
        match self.place.get(item) {
            None | Some(&ABSENT) => None,
            Some(_) => self.take(item),
        }
    }

    #[inline(never)] // so that what asks for an item that is not there is small enough to be inlined itself
    fn take(&mut self, item: usize) -> Option<K> {
        self.fill_hole();
        let at = self.place[item] as usize;
        let key = self.entries[at].0;
        self.place[item] = ABSENT;
        let last = self.entries.pop()?;
        if at < self.entries.len() {
            self.put(at, last);
        }
        Some(key)
    }

    /// All entries, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = (K, usize)> + '_ {
        self.entries.iter().skip(usize::from(self.hole)).map(|(key, item)| (*key, *item as usize))
    }

    /// The last entry takes the place of the first if that was taken out.
    #[inline]
    fn fill_hole(&mut self) {
        if self.hole {
            self.hole = false;
            if let Some(last) = self.entries.pop()
                && !self.entries.is_empty()
            {
                self.down(0, last);
            }
        }
    }

    /// Puts an entry where another was that it may come before or after.
    fn put(&mut self, at: usize, entry: Entry<K>) {
        if at > 0 && comes_before(&entry, &self.entries[(at - 1) / ARITY]) {
            self.up(at, entry);
        } else {
            self.down(at, entry);
        }
    }

    /// Puts an entry at `at` or above it.
    fn up(&mut self, mut at: usize, entry: Entry<K>) {
        while at > 0 {
            let parent = (at - 1) / ARITY;
            let moved = self.entries[parent];
            if !comes_before(&entry, &moved) {
                break;
            }
            settle(&mut self.entries, &mut self.place, at, moved);
            at = parent;
        }
        settle(&mut self.entries, &mut self.place, at, entry);
    }

    /// Puts an entry at `at` or below it.
    #[inline(never)] // most calls of what calls it do not come here
    fn down(&mut self, mut at: usize, entry: Entry<K>) {
        let (heap, place) = (self.entries.as_mut_slice(), self.place.as_mut_slice());
        while let Some((child, moved)) = first_child(heap, at) {
            if !comes_before(&moved, &entry) {
                break;
            }
            settle(heap, place, at, moved);
            at = child;
        }
        settle(heap, place, at, entry);
    }
}

#[inline]
fn settle<K>(heap: &mut [Entry<K>], place: &mut [u32], at: usize, entry: Entry<K>) {
    #[allow(clippy::cast_possible_truncation)] // the heap holds at most 2³² − 1 items
    let here = at as u32;
    place[entry.1 as usize] = here;
    heap[at] = entry;
}

/// The child that comes first, and what it is.
#[inline]
fn first_child<K: PartialOrd + Copy>(heap: &[Entry<K>], at: usize) -> Option<(usize, Entry<K>)> {
    let left = ARITY * at + 1;
    if let Some([a, b, c, d]) = heap.get(left..left + ARITY) {
        // Which child is least is as good as random: selections instead of branches to be mispredicted.
        let (ab, cd) = (comes_before(b, a), comes_before(d, c));
        let (first, second) = (select_unpredictable(ab, b, a), select_unpredictable(cd, d, c));
        let right = comes_before(second, first);
        let child = left + select_unpredictable(right, 2 + usize::from(cd), usize::from(ab));
        return Some((child, *select_unpredictable(right, second, first)));
    }
    let rest = heap.get(left..)?.iter().enumerate();
    let (child, least) =
        rest.reduce(|least, child| if comes_before(child.1, least.1) { child } else { least })?;
    Some((left + child, *least))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    #[derive(Clone, Debug)]
    pub(crate) enum Step {
        Set(usize, u16),
        Remove(usize),
        Pop,
    }

    /// Of items below 70.
    pub(crate) fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            3 => (0usize..70, 0u16..20).prop_map(|(i, k)| Step::Set(i, k)),
            1 => (0usize..70).prop_map(Step::Remove),
            2 => Just(Step::Pop),
        ];
        prop::collection::vec(step, 0..300)
    }

    /// The second method of a queue: a map is scanned for its minimum.
    pub(crate) fn least<K: Ord + Copy>(map: &BTreeMap<usize, K>) -> Option<(K, usize)> {
        map.iter().map(|(item, key)| (*key, *item)).min()
    }

    proptest! {
        #[test]
        fn it_does_what_a_scanned_map_does(steps in steps()) {
            let mut heap = IndexedHeap::new(4);
            let mut map = BTreeMap::new();
            for step in steps {
                match step {
                    Step::Set(item, key) => {
                        heap.set(item, key);
                        map.insert(item, key);
                    }
                    Step::Remove(item) => prop_assert_eq!(heap.remove(item), map.remove(&item)),
                    Step::Pop => {
                        let least = least(&map);
                        prop_assert_eq!(heap.pop(), least);
                        least.map(|(_, item)| map.remove(&item));
                    }
                }
                prop_assert_eq!(heap.len(), map.len());
                prop_assert_eq!(heap.peek(), least(&map));
                let mut all: Vec<_> = heap.iter().map(|(key, item)| (item, key)).collect();
                all.sort_unstable();
                prop_assert_eq!(all, map.iter().map(|(item, key)| (*item, *key)).collect::<Vec<_>>());
                prop_assert_eq!(heap.is_empty(), map.is_empty());
                for item in 0..70 {
                    prop_assert_eq!(heap.key(item), map.get(&item).copied());
                }
            }
        }
    }
}
