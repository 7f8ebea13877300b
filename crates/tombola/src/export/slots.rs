//! A bounded number of series: the busiest keys have one each, the others are added up.
//!
//! A key is added up by itself from the moment it gets a slot until it loses it, and with the others before
//! and after: nothing is counted twice, and no sum runs backwards.

use std::cmp::Ordering;
use std::collections::BTreeMap;

/// How fast the activity of the past is forgotten: an interval ago counts this much.
const MEMORY: f64 = 0.8;

/// A slot goes to another key only if that is so much busier than the least busy that has one.
const LEAD: f64 = 2.0;

/// A key that was not seen for so many intervals loses its slot.
const ABSENT: u32 = 60;

/// Sums of keys.
#[derive(Debug)]
pub struct Slots<K, V> {
    most: usize,
    named: BTreeMap<K, Slot<V>>,
    /// Activity of keys without a slot that were seen lately.
    waiting: BTreeMap<K, f64>,
    /// Sum of all keys while they had no slot.
    pub other: V,
    /// Keys without a slot in the latest interval.
    pub dropped: usize,
    /// Intervals of keys that had to be added to the others, since the begin.
    pub dropped_total: u64,
}

#[derive(Debug)]
struct Slot<V> {
    sum: V,
    activity: f64,
    absent: u32,
}

impl<K: Ord + Clone, V: Default> Slots<K, V> {
    /// At most so many keys have a sum of their own.
    pub fn new(most: usize) -> Self {
        let (named, waiting) = (BTreeMap::new(), BTreeMap::new());
        Self { most, named, waiting, other: V::default(), dropped: 0, dropped_total: 0 }
    }

    /// Adds what each key came to in an interval, with its activity in any unit, by `add`.
    pub fn add(&mut self, interval: BTreeMap<K, (f64, V)>, add: impl Fn(&mut V, V)) {
        for slot in self.named.values_mut() {
            slot.activity *= MEMORY;
            slot.absent += 1;
        }
        self.named.retain(|_, slot| slot.absent <= ABSENT);
        for activity in self.waiting.values_mut() {
            *activity *= MEMORY;
        }
        self.waiting.retain(|key, _| interval.contains_key(key));
        for (key, (activity, _)) in &interval {
            match self.named.get_mut(key) {
                Some(slot) => {
                    slot.activity += activity;
                    slot.absent = 0;
                }
                None => *self.waiting.entry(key.clone()).or_default() += activity,
            }
        }
        self.admit();
        self.dropped = self.waiting.len();
        self.dropped_total += self.waiting.len() as u64;
        for (key, (_, value)) in interval {
            let sum = self.named.get_mut(&key).map_or(&mut self.other, |slot| &mut slot.sum);
            add(sum, value);
        }
    }

    /// The keys with a sum of their own.
    pub fn named(&self) -> impl Iterator<Item = (&K, &V)> {
        self.named.iter().map(|(key, slot)| (key, &slot.sum))
    }

    fn admit(&mut self) {
        let order = |a: &(&K, f64), b: &(&K, f64)| a.1.partial_cmp(&b.1).unwrap_or(Ordering::Equal);
        loop {
            let busiest = self.waiting.iter().map(|(key, activity)| (key, *activity)).max_by(order);
            let Some((key, activity)) = busiest.map(|(key, activity)| (key.clone(), activity)) else {
                return;
            };
            if self.named.len() >= self.most {
                let idlest = self.named.iter().map(|(key, slot)| (key, slot.activity)).min_by(order);
                let idlest = idlest.map(|(key, idle)| (key.clone(), idle));
                let Some((loser, _)) = idlest.filter(|(_, idle)| activity > LEAD * idle) else { return };
                self.named.remove(&loser);
            }
            self.waiting.remove(&key);
            self.named.insert(key, Slot { sum: V::default(), activity, absent: 0 });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn all_is_counted_once_and_nothing_runs_backwards(
            intervals in prop::collection::vec(prop::collection::btree_map(0u8..30, 0u64..1000, 0..20), 1..100),
        ) {
            let mut slots: Slots<u8, u64> = Slots::new(5);
            let (mut total, mut lost) = (0, 0);
            for interval in intervals {
                total += interval.values().sum::<u64>();
                let before: BTreeMap<u8, u64> = slots.named().map(|(key, sum)| (*key, *sum)).collect();
                let (other, dropped) = (slots.other, slots.dropped_total);
                slots.add(interval.into_iter().map(|(key, value)| (key, (value as f64, value))).collect(), |sum, value| *sum += value);
                let now: BTreeMap<u8, u64> = slots.named().map(|(key, sum)| (*key, *sum)).collect();
                prop_assert!(now.len() <= 5 && slots.other >= other && slots.dropped_total >= dropped);
                for (key, sum) in &before {
                    match now.get(key) {
                        Some(now) => prop_assert!(now >= sum || *now == 0),
                        None => lost += sum,
                    }
                }
                // A series that ended keeps what it said; the rest is in those that are there.
                prop_assert_eq!(now.values().sum::<u64>() + slots.other + lost, total);
            }
        }
    }

    #[test]
    fn the_busiest_have_the_slots() {
        let mut slots: Slots<&str, u64> = Slots::new(2);
        let interval = |values: &[(&'static str, u64)]| {
            values.iter().map(|(key, value)| (*key, (*value as f64, *value))).collect()
        };
        for _ in 0..20 {
            slots.add(interval(&[("a", 5), ("b", 6), ("c", 1)]), |sum, value| *sum += value);
        }
        assert_eq!(
            slots.named().map(|(key, sum)| (*key, *sum)).collect::<Vec<_>>(),
            [("a", 100), ("b", 120)]
        );
        assert_eq!((slots.other, slots.dropped, slots.dropped_total), (20, 1, 20));
        for _ in 0..20 {
            slots.add(interval(&[("b", 6), ("c", 50)]), |sum, value| *sum += value);
        }
        assert!(slots.named().any(|(key, _)| *key == "c"));
    }
}
