//! The draw by list, as in the paper's prototype: add up values in order until the winning ticket is passed.
//! O(n), and the plainest of all: the others are tested against it. Tickets are numbered from 0 in order of
//! declaration; instead of chance a list of numbers may say which is drawn.

use super::{Currencies, Draw, TaskIx};
use crate::chance::unit;
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;

/// Queued tickets, by owner, with the affinity class they are queued for.
#[derive(Clone, Debug, Default)]
pub(super) struct Queued {
    classes: BTreeMap<TaskIx, usize>,
}

impl Queued {
    pub(super) fn insert(&mut self, owner: TaskIx, class: usize) {
        self.classes.insert(owner, class);
    }

    pub(super) fn remove(&mut self, owner: TaskIx) {
        self.classes.remove(&owner);
    }

    pub(super) fn is_allowed(&self, owner: TaskIx, classes: &[usize]) -> bool {
        self.classes.get(&owner).is_some_and(|class| classes.contains(class))
    }

    /// Those of some affinity classes, in order.
    pub(super) fn allowed(&self, classes: &[usize]) -> impl Iterator<Item = TaskIx> {
        self.classes.iter().filter(|(_, class)| classes.contains(class)).map(|(owner, _)| *owner)
    }

    /// Who is the first at whom `is_passed` says of the tickets up to and with his own that they pass the
    /// winning one; the last of all where rounding hides it.
    pub(super) fn holder(
        &self,
        books: &Currencies,
        classes: &[usize],
        is_passed: impl Fn(f64) -> bool,
    ) -> Option<TaskIx> {
        let mut tickets = 0.0;
        let mut holder = None;
        for owner in self.allowed(classes) {
            holder = Some(owner);
            tickets += books.value(owner);
            if is_passed(tickets) {
                break;
            }
        }
        holder
    }
}

/// The draw by list.
#[derive(Clone, Debug, Default)]
pub struct List {
    queued: Queued,
    /// Numbers of tickets to draw, over and over; none: by chance.
    given: Vec<u64>,
    drawn: usize,
}

impl List {
    /// A list that draws these tickets, over and over; by chance if there are none.
    pub fn given(given: Vec<u64>) -> Self {
        Self { given, ..Self::default() }
    }
}

impl Draw for List {
    fn insert(&mut self, _books: &Currencies, _rng: &mut ChaCha8Rng, owner: TaskIx, class: usize) {
        self.queued.insert(owner, class);
    }

    fn remove(&mut self, _books: &Currencies, owner: TaskIx, _class: usize) {
        self.queued.remove(owner);
    }

    fn draw(&mut self, books: &Currencies, rng: &mut ChaCha8Rng, classes: &[usize]) -> Option<TaskIx> {
        let total: f64 = self.queued.allowed(classes).map(|owner| books.value(owner)).sum();
        let winner = if self.given.is_empty() {
            let ticket = unit(rng) * total;
            self.queued.holder(books, classes, |passed| passed >= ticket)
        } else if total > 0.0 {
            let ticket = self.given[self.drawn % self.given.len()] as f64 % total;
            self.drawn += 1;
            self.queued.holder(books, classes, |passed| passed > ticket)
        } else {
            None
        };
        winner.inspect(|owner| self.queued.remove(*owner))
    }
}
