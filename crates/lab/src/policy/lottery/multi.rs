//! A lottery with several winners: one number decides about several quanta.
//!
//! Source: Waldspurger's thesis, MIT/LCS/TR-667, 1995, multi-winner lotteries.
//!
//! Law. Of a draw with n winners the first ticket is drawn at random, the others lie T/n further on each,
//! past the last ticket from the first again. The winners run one after another, then the next draw is made.
//! So of n quanta everybody gets ⌊n·t/T⌋ or one more, and the expectation is n·t/T. Who has left the queue
//! when his turn comes is passed over; who comes waits for the next draw.

use super::list::Queued;
use super::{Currencies, Draw, TaskIx};
use crate::chance::unit;
use rand_chacha::ChaCha8Rng;
use std::collections::VecDeque;

/// The draw of several winners.
#[derive(Clone, Debug)]
pub struct Multi {
    queued: Queued,
    winners: u32,
    /// Winners whose turn is yet to come.
    next: VecDeque<TaskIx>,
}

impl Multi {
    /// With so many winners at a time, at least one.
    pub fn new(winners: u32) -> Self {
        Self { queued: Queued::default(), winners: winners.max(1), next: VecDeque::new() }
    }

    /// The next of those drawn already who may run.
    fn drawn(&mut self, classes: &[usize]) -> Option<TaskIx> {
        while let Some(owner) = self.next.pop_front() {
            if self.queued.is_allowed(owner, classes) {
                self.queued.remove(owner);
                return Some(owner);
            }
        }
        None
    }
}

impl Draw for Multi {
    fn insert(&mut self, _books: &Currencies, _rng: &mut ChaCha8Rng, owner: TaskIx, class: usize) {
        self.queued.insert(owner, class);
    }

    fn remove(&mut self, _books: &Currencies, owner: TaskIx, _class: usize) {
        self.queued.remove(owner);
    }

    fn draw(&mut self, books: &Currencies, rng: &mut ChaCha8Rng, classes: &[usize]) -> Option<TaskIx> {
        if let Some(owner) = self.drawn(classes) {
            return Some(owner);
        }
        let total: f64 = self.queued.allowed(classes).map(|owner| books.value(owner)).sum();
        let first = unit(rng) * total;
        for winner in 0..self.winners {
            let ticket = (first + total * f64::from(winner) / f64::from(self.winners)) % total;
            self.next.extend(self.queued.holder(books, classes, |passed| passed > ticket));
        }
        self.drawn(classes)
    }
}
