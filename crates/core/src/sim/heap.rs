//! A heap whose entries can be found again: change or remove any of them in O(log n).

/// Marks an item that is not in the heap.
const ABSENT: u32 = u32::MAX;

/// Children of an entry: four keys of 8 bytes with their items fill one cache line, and halve the levels.
const ARITY: usize = 4;

/// A minimum heap over items 0…n−1, each in it at most once, with a key that can be changed.
///
/// Keys must be totally ordered in use (no NaN). Of equal keys the smaller item comes first.
#[derive(Clone, Debug)]
pub struct IndexedHeap<K> {
    heap: Vec<(K, u32)>,
    place: Vec<u32>,
}

/// Whether an entry comes before another. Without short circuits, so that it compiles to no branch.
#[inline]
#[allow(clippy::needless_bitwise_bool)]
fn before<K: PartialOrd>(a: &(K, u32), b: &(K, u32)) -> bool {
    (a.0 < b.0) | ((a.0 == b.0) & (a.1 < b.1))
}

impl<K: PartialOrd + Copy> IndexedHeap<K> {
    /// An empty heap for items below `items`; it grows when a larger item comes.
    pub fn new(items: usize) -> Self {
        Self { heap: Vec::new(), place: vec![ABSENT; items] }
    }

    /// How many items are in it.
    pub fn len(&self) -> usize {
        self.heap.len()
    }

    /// Whether it holds nothing.
    pub fn is_empty(&self) -> bool {
        self.heap.is_empty()
    }

    /// Key of an item, if it is in the heap.
    pub fn key(&self, item: usize) -> Option<K> {
        match self.place.get(item) {
            None | Some(&ABSENT) => None,
            Some(&at) => Some(self.heap[at as usize].0),
        }
    }

    /// The smallest key and its item.
    pub fn peek(&self) -> Option<(K, usize)> {
        self.heap.first().map(|&(key, item)| (key, item as usize))
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
            self.heap.push((key, u32::try_from(item).expect("items are 32-bit indices")));
            self.up(self.heap.len() - 1);
        } else {
            let at = at as usize;
            let smaller = before(&(key, 0), &(self.heap[at].0, 0));
            self.heap[at].0 = key;
            if smaller { self.up(at) } else { self.down(at) }
        }
    }

    /// Takes out the item with the smallest key.
    pub fn pop(&mut self) -> Option<(K, usize)> {
        let &(key, item) = self.heap.first()?;
        let last = self.heap.pop()?;
        self.place[item as usize] = ABSENT;
        if !self.heap.is_empty() {
            // The last entry is most likely a large one: let the hole sink to the bottom and rise from there.
            let mut hole = 0;
            while let Some(child) = self.first_child(hole) {
                self.settle(hole, self.heap[child]);
                hole = child;
            }
            self.heap[hole] = last;
            self.up(hole);
        }
        Some((key, item as usize))
    }

    /// Takes an item out; its key, if it was there.
    pub fn remove(&mut self, item: usize) -> Option<K> {
        let at = match self.place.get(item) {
            None | Some(&ABSENT) => return None,
            Some(&at) => at as usize,
        };
        let key = self.heap[at].0;
        let last = self.heap.pop()?;
        self.place[item] = ABSENT;
        if at < self.heap.len() {
            let smaller = before(&last, &(key, u32::try_from(item).unwrap_or(ABSENT)));
            self.heap[at] = last;
            if smaller { self.up(at) } else { self.down(at) }
        }
        Some(key)
    }

    /// All entries, in heap order.
    pub fn iter(&self) -> impl Iterator<Item = (K, usize)> + '_ {
        self.heap.iter().map(|&(key, item)| (key, item as usize))
    }

    fn settle(&mut self, at: usize, entry: (K, u32)) {
        self.heap[at] = entry;
        #[allow(clippy::cast_possible_truncation)] // the heap holds at most 2³² − 1 items
        let place = at as u32;
        self.place[entry.1 as usize] = place;
    }

    /// The child that comes first.
    #[inline]
    fn first_child(&self, at: usize) -> Option<usize> {
        let left = ARITY * at + 1;
        if let Some([a, b, c, d]) = self.heap.get(left..left + ARITY) {
            // Which child is least is as good as random: sums of comparisons instead of branches to be mispredicted.
            let ab = usize::from(before(b, a));
            let cd = 2 + usize::from(before(d, c));
            let right = usize::from(before(&self.heap[left + cd], &self.heap[left + ab]));
            return Some(left + ab + (cd - ab) * right);
        }
        let mut least = None;
        for child in left..self.heap.len() {
            if least.is_none_or(|l: usize| before(&self.heap[child], &self.heap[l])) {
                least = Some(child);
            }
        }
        least
    }

    fn up(&mut self, mut at: usize) {
        let entry = self.heap[at];
        while at > 0 {
            let parent = (at - 1) / ARITY;
            if !before(&entry, &self.heap[parent]) {
                break;
            }
            self.settle(at, self.heap[parent]);
            at = parent;
        }
        self.settle(at, entry);
    }

    fn down(&mut self, mut at: usize) {
        let entry = self.heap[at];
        while let Some(child) = self.first_child(at) {
            if !before(&self.heap[child], &entry) {
                break;
            }
            self.settle(at, self.heap[child]);
            at = child;
        }
        self.settle(at, entry);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    #[derive(Clone, Debug)]
    enum Step {
        Set(usize, u16),
        Remove(usize),
        Pop,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            (0usize..40, 0u16..20).prop_map(|(i, k)| Step::Set(i, k)),
            (0usize..40).prop_map(Step::Remove),
            Just(Step::Pop),
        ];
        prop::collection::vec(step, 0..300)
    }

    fn least(map: &BTreeMap<usize, u16>) -> Option<(u16, usize)> {
        map.iter().map(|(item, key)| (*key, *item)).min()
    }

    proptest! {
        /// The second method: a map scanned for its minimum.
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
                for item in 0..40 {
                    prop_assert_eq!(heap.key(item), map.get(&item).copied());
                }
            }
        }
    }
}
