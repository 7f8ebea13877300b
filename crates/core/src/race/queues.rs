//! The race of several queues: what the kernel's lottery does when tasks join and when a CPU draws.

use super::Number;
use std::cmp::Ordering;
use std::collections::BTreeSet;

/// Queues with tickets in the currencies of groups, one queue for each group and affinity class.
///
/// Every queue has a clock in its own currency, which wraps around 2⁶⁴. What joins gets the key `clock +
/// residual`. A draw compares, over some queues, how far the first key is ahead of the clock, in base
/// tickets: times x = active / weight for each group up to the root, x cut to a [`Number`] and multiplied
/// from the group to the root. The least wins, of equal ones the first compared. Then every compared queue's
/// clock moves on by as much: the least divided by the same product, cut to a whole number; the winner's
/// clock becomes the winner's key.
///
/// When tickets of a group become active or cease to be, nothing is rescaled: in the group's own currency the
/// residuals stay exponential with the tickets as rates, only their worth has changed.
///
/// A clock never passes a key that waits, because every step is cut and keeps the order. What it falls behind
/// is under one unit a draw: for a queue with T tickets that wins the share s of the draws it is served in,
/// below T/(2⁵² s) of what it moves, by which the queue gets less than its share; the mantissas add 2⁻³¹ for
/// each group on the way.
#[derive(Clone, Debug)]
pub struct Queues {
    groups: Vec<Group>,
    list: Vec<Queue>,
    /// Where each item waits.
    places: Vec<Option<(usize, Entry)>>,
    joined: u64,
}

#[derive(Clone, Copy, Debug)]
struct Group {
    parent: Option<usize>,
    /// Worth of a unit of its clock in units of its parent's: active / weight.
    exchange: Number,
}

#[derive(Clone, Debug)]
struct Queue {
    group: Option<usize>,
    clock: u64,
    waiting: BTreeSet<Entry>,
}

/// Somebody who waits, ordered by key. Keys of one queue lie within 2⁵⁹ of each other and wrap, so they
/// compare by their difference; of equal keys the one that joined first comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    key: u64,
    joined: u64,
    item: usize,
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> Ordering {
        let ahead = self.key.wrapping_sub(other.key).cast_signed();
        ahead.cmp(&0).then(self.joined.cmp(&other.joined))
    }
}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Queues {
    /// Groups by the group each is in (`None`: the root), and queues by the group whose currency their
    /// tickets are in.
    pub fn new(
        parents: impl IntoIterator<Item = Option<usize>>,
        queues: impl IntoIterator<Item = Option<usize>>,
    ) -> Self {
        let group = |parent| Group { parent, exchange: Number::ZERO };
        let queue = |group| Queue { group, clock: 0, waiting: BTreeSet::new() };
        Self {
            groups: parents.into_iter().map(group).collect(),
            list: queues.into_iter().map(queue).collect(),
            places: Vec::new(),
            joined: 0,
        }
    }

    /// What backs a group, in tickets of its parent, and what it has issued to those who want the CPU, or
    /// have it. Both above 0 whenever somebody waits in the group or below it.
    pub fn set_worth(&mut self, group: usize, weight: u64, active: u64) {
        self.groups[group].exchange = Number::of(active).quotient(Number::of(weight));
    }

    /// An item joins a queue with a residual below 2⁵⁸ in the queue's currency. An item that waits already
    /// leaves its place.
    pub fn join(&mut self, queue: usize, item: usize, residual: u64) {
        self.leave(item);
        let to = &mut self.list[queue];
        let entry = Entry { key: to.clock.wrapping_add(residual), joined: self.joined, item };
        self.joined += 1;
        to.waiting.insert(entry);
        if item >= self.places.len() {
            self.places.resize(item + 1, None);
        }
        self.places[item] = Some((queue, entry));
    }

    /// An item leaves the queue it waits in, if any.
    pub fn leave(&mut self, item: usize) {
        if let Some((queue, entry)) = self.places.get_mut(item).and_then(Option::take) {
            self.list[queue].waiting.remove(&entry);
        }
    }

    /// The clock of a queue.
    pub fn clock(&self, queue: usize) -> u64 {
        self.list[queue].clock
    }

    /// Starts a queue's clock elsewhere than at 0: nothing but differences matters, so tests do.
    ///
    /// # Panics
    /// If somebody waits in it.
    pub fn set_clock(&mut self, queue: usize, clock: u64) {
        assert!(self.list[queue].waiting.is_empty(), "keys that wait are relative to the clock");
        self.list[queue].clock = clock;
    }

    /// Draws among those who wait in some queues, compared in this order, and takes the winner out.
    pub fn draw(&mut self, queues: impl Iterator<Item = usize> + Clone) -> Option<usize> {
        let mut best: Option<(Number, usize, Entry)> = None;
        for index in queues.clone() {
            let queue = &self.list[index];
            let Some(first) = queue.waiting.first() else { continue };
            let ahead = first.key.wrapping_sub(queue.clock).cast_signed().max(0).cast_unsigned();
            let residual = Number::of(ahead).product(self.to_root(queue.group));
            if best.is_none_or(|(least, ..)| residual.less(least)) {
                best = Some((residual, index, *first));
            }
        }
        let (least, winner, first) = best?;
        for index in queues {
            let queue = &self.list[index];
            if index == winner {
                self.list[index].clock = first.key;
            } else if !queue.waiting.is_empty() {
                let passed = least.quotient(self.to_root(queue.group)).whole(0);
                self.list[index].clock = queue.clock.wrapping_add(passed);
            }
        }
        self.leave(first.item);
        Some(first.item)
    }

    /// How much longer a residual in a group's currency is in the root's; 1 for the root.
    fn to_root(&self, group: Option<usize>) -> Number {
        let mut product = Number::ONE;
        let mut at = group;
        while let Some(group) = at {
            product = product.product(self.groups[group].exchange);
            at = self.groups[group].parent;
        }
        product
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::race::{COMPENSATION_ONE, exponential, residual};
    use crate::statistics::chi_square;
    use proptest::prelude::*;
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    #[test]
    fn of_equal_keys_the_first_wins_and_the_clock_becomes_the_key() {
        let mut queues = Queues::new([], [None]);
        for item in [3, 1, 2] {
            queues.join(0, item, 5);
        }
        assert_eq!([(); 3].map(|()| queues.draw(0..1).unwrap()), [3, 1, 2]);
        assert_eq!((queues.clock(0), queues.draw(0..1)), (5, None));
    }

    #[test]
    fn of_equal_residuals_the_first_compared_wins_and_a_zero_before_any() {
        let mut queues = Queues::new([], [None, None, None]);
        queues.join(1, 1, 7);
        queues.join(2, 2, 7);
        assert_eq!(queues.clone().draw([1, 2].into_iter()), Some(1));
        assert_eq!(queues.clone().draw([2, 1].into_iter()), Some(2));
        queues.join(0, 0, 0);
        assert_eq!(queues.draw([2, 1, 0].into_iter()), Some(0));
    }

    /// A ticket of the group is worth weight/active = 3/2 of the root's, so 10 of its units are 10 · 2/3 of
    /// the root's.
    #[test]
    fn residuals_compare_at_the_rate_of_exchange() {
        let mut queues = Queues::new([None], [None, Some(0)]);
        queues.set_worth(0, 3, 2);
        queues.join(0, 0, 7);
        queues.join(1, 1, 10);
        queues.join(1, 2, 1000);
        assert_eq!(queues.draw(0..2), Some(1));
        assert_eq!((queues.clock(0), queues.clock(1)), (6, 10));
        assert_eq!(queues.draw(0..2), Some(0));
        assert_eq!((queues.clock(0), queues.clock(1)), (7, 11));
    }

    /// Of 8 base tickets a task of the root has 4, one group 3, another 1; within the first are tasks with 2
    /// and 1 tickets and a third group with 3. The clocks wrap many times.
    #[test]
    fn nested_groups_get_what_they_are_worth() {
        // Groups: 0 in the root (3, active 2 + 1 + 3), 1 in the root (1), 2 in group 0 (3).
        let mut queues = Queues::new([None, None, Some(0)], [None, Some(0), Some(1), Some(2)]);
        queues.set_worth(0, 3, 6);
        queues.set_worth(1, 1, 5);
        queues.set_worth(2, 3, 10);
        // Queue, tickets, and parts of 480: 240 + 180 + 60; the 180 are 60 + 30 + 90; the 90 are 36 + 9 + 45.
        let tasks = [(0, 4, 240), (1, 2, 60), (1, 1, 30), (2, 5, 60), (3, 4, 36), (3, 1, 9), (3, 5, 45)];
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        let mut seed = || exponential(rng.next_u64());
        let mut counts = [0; 7];
        for queue in 0..4 {
            queues.set_clock(queue, u64::MAX - queue as u64 * 1000);
        }
        for (item, (queue, tickets, _)) in tasks.iter().enumerate() {
            queues.join(*queue, item, residual(seed(), *tickets, COMPENSATION_ONE));
        }
        for _ in 0..200_000 {
            let item = queues.draw(0..4).unwrap();
            counts[item] += 1;
            queues.join(tasks[item].0, item, residual(seed(), tasks[item].1, COMPENSATION_ONE));
        }
        let p = chi_square(&counts, &tasks.map(|t| t.2)).unwrap().p_value;
        assert!(p > 1e-6, "{p:e} {counts:?}");
    }

    proptest! {
        /// Whatever happens, no clock passes a key that waits, so that no residual is lost.
        #[test]
        fn no_clock_passes_a_key_that_waits(
            worth in prop::collection::vec((1u64..1 << 20, 1u64..1 << 40), 3),
            seed in any::<u64>(),
            tickets in prop::collection::vec((0usize..4, 1u32..1 << 20), 2..12),
        ) {
            let mut queues = Queues::new([None, Some(0), Some(1)], [None, Some(0), Some(1), Some(2)]);
            for (group, (weight, active)) in worth.iter().enumerate() {
                queues.set_worth(group, *weight, *active);
            }
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            for queue in 0..4 {
                queues.set_clock(queue, rng.next_u64());
            }
            for (item, (queue, tickets)) in tickets.iter().enumerate() {
                queues.join(*queue, item, residual(exponential(rng.next_u64()), *tickets, COMPENSATION_ONE));
            }
            for _ in 0..200 {
                let item = queues.draw((0..4).filter(|q| rng.next_u64() % 4 != *q as u64).collect::<Vec<_>>().into_iter());
                for queue in &queues.list {
                    for entry in &queue.waiting {
                        prop_assert!(entry.key.wrapping_sub(queue.clock).cast_signed() >= 0);
                        prop_assert!(entry.key.wrapping_sub(queue.clock) < 1 << 58);
                    }
                }
                if let Some(item) = item {
                    let (queue, tickets) = tickets[item];
                    queues.join(queue, item, residual(exponential(rng.next_u64()), tickets, COMPENSATION_ONE));
                }
            }
        }
    }
}
