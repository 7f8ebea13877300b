//! An inverse lottery: losers are drawn, and who is left runs.
//!
//! Source: Waldspurger's thesis, MIT/LCS/TR-667, 1995. Of n candidates one loses with the chance (1 − t/T)/(n
//! − 1).
//!
//! Losers leave one after another until one is left. That is a lottery: by induction on n, who is left is k
//! with the chance Σ (1 − tᵢ/T)/(n − 1) · tₖ/(T − tᵢ) over all i ≠ k = Σ tₖ/((n − 1)T) = tₖ/T. O(n²).

use super::list::Queued;
use super::{Currencies, Draw, TaskIx};
use crate::chance::unit;
use rand_chacha::ChaCha8Rng;

/// The draw of losers.
#[derive(Clone, Debug, Default)]
pub struct Inverse {
    queued: Queued,
}

impl Draw for Inverse {
    fn insert(&mut self, _books: &Currencies, _rng: &mut ChaCha8Rng, owner: TaskIx, class: usize) {
        self.queued.insert(owner, class);
    }

    fn remove(&mut self, _books: &Currencies, owner: TaskIx, _class: usize) {
        self.queued.remove(owner);
    }

    fn draw(&mut self, books: &Currencies, rng: &mut ChaCha8Rng, classes: &[usize]) -> Option<TaskIx> {
        let mut left: Vec<(TaskIx, f64)> =
            self.queued.allowed(classes).map(|owner| (owner, books.value(owner))).collect();
        while left.len() > 1 {
            let total: f64 = left.iter().map(|(_, value)| value).sum();
            // The chances not to win sum to n − 1.
            let mut at = unit(rng) * total * (left.len() - 1) as f64;
            let loser = left.iter().position(|(_, value)| {
                at -= total - value;
                at <= 0.0
            });
            left.remove(loser.unwrap_or(left.len() - 1));
        }
        let (winner, _) = left.pop()?;
        self.queued.remove(winner);
        Some(winner)
    }
}
