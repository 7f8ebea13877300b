//! The draw by list, as in the paper's prototype: add up values in order until the winning ticket is passed. O(n),
//! and the plainest of the three: the others are tested against it.

use super::{Currencies, Draw, TaskIx};
use crate::chance::unit;
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;

/// Queued tickets, by owner, with the affinity class they are queued for.
#[derive(Clone, Debug, Default)]
pub struct List {
    queued: BTreeMap<TaskIx, usize>,
}

impl Draw for List {
    fn insert(&mut self, _books: &Currencies, _rng: &mut ChaCha8Rng, owner: TaskIx, class: usize) {
        self.queued.insert(owner, class);
    }

    fn remove(&mut self, _books: &Currencies, owner: TaskIx, _class: usize) {
        self.queued.remove(&owner);
    }

    fn draw(&mut self, books: &Currencies, rng: &mut ChaCha8Rng, classes: &[usize]) -> Option<TaskIx> {
        let allowed =
            || self.queued.iter().filter(|(_, class)| classes.contains(class)).map(|(owner, _)| *owner);
        let total: f64 = allowed().map(|owner| books.value(owner)).sum();
        let mut left = unit(rng) * total;
        let mut winner = None;
        for owner in allowed() {
            winner = Some(owner);
            left -= books.value(owner);
            if left <= 0.0 {
                break;
            }
        }
        winner.inspect(|owner| {
            self.queued.remove(owner);
        })
    }
}
