//! Judging the draws of a random policy: is each what the law of a lottery says, whatever came before?
//!
//! `watched.rs` stands between engine and policy and hears of every draw. It keeps books of its own (tickets,
//! currencies, compensation), so that at every draw it knows the chance p = t/T of each candidate given all
//! that happened before. Judged is the right law of a lottery with the scenario's tickets; what a wrong
//! lottery makes of them is the fault.
//!
//! With these chances all statistics are sums of differences whose mean is 0 given the past (martingales), so
//! they hold on any number of CPUs, with tasks that come and go, and over several runs, whose sums are added:
//!
//! | question | where the candidates and their tickets never change, on one CPU | elsewhere |
//! |---|---|---|
//! | who won how often? | χ² of the wins | the largest of the z = (W − Σp)/√Σp(1−p) |
//! | does a winner depend on the one before? | pair contingency, and both at the right | z of the lag-1 autocorrelation Σ eₖeₖ₊₁/√Σ eₖ²p(1−p), e = won − p; z of wins in a row |
//! | how many draws from a win to the next? | geometric: χ² of its probability integral transform, as at the right | the same with the chances that there were |
//!
//! The transform: a win at the draw k after the last one with the chances p₁ … pₖ is put at a uniformly
//! random place between Π(1−p) over k draws and over k − 1; these places are uniform on 0…1. A wait that the
//! end of the run cuts off is put below the product it has reached.
//!
//! A p-value that is made of several is the smallest times their number (Bonferroni). Draws with one
//! candidate say nothing and are left out; draws while tickets are lent are counted as not judged, because
//! the tickets drawn are not seen.

use tombola_core::statistics::{chi_square, table_independence, two_sided};

/// Below this a lottery is rejected: with a handful of tests on every table that anybody looks at, a right
/// one never is.
pub const REJECT: f64 = 1e-6;
/// Clients that are followed from draw to draw.
pub(crate) const FOLLOWED: usize = 8;
/// Equally likely places of the probability integral transform.
pub(crate) const BINS: usize = 16;
/// Variance from which on a sum of zeros and ones is taken to be normal.
const ENOUGH: f64 = 100.0;
/// Least number of waits in a place.
const WAITS_A_BIN: u64 = 10;

/// What was seen of the draws of one run or more, in memory that does not grow with time.
#[derive(Clone, Debug, PartialEq)]
pub struct Evidence {
    /// Judged draws: those among at least two candidates.
    pub draws: u64,
    /// Draws made while tickets were lent to the holder of a lock: not judged.
    pub unjudged: u64,
    /// One CPU, and at every draw the same candidates with the same tickets.
    pub steady: bool,
    /// Instances, or entries of the scenario when there are very many instances.
    pub(crate) clients: Vec<Client>,
    pub(crate) followed: Vec<Followed>,
    /// The winner of a draw wins the next of its CPU.
    pub(crate) repeats: Balance,
    /// Consecutive winners: followed clients, and all others as one.
    pub(crate) pairs: Vec<u64>,
}

/// Wins of one client.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Client {
    pub(crate) entry: usize,
    /// Tickets it has in all when everybody is there.
    pub(crate) weight: u64,
    pub(crate) won: u64,
    pub(crate) expected: f64,
    pub(crate) variance: f64,
}

/// A sum of terms of mean 0, and its variance.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Balance {
    pub(crate) sum: f64,
    pub(crate) variance: f64,
}

/// What is known of a client that is followed.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Followed {
    pub(crate) client: usize,
    /// Products of consecutive differences.
    pub(crate) lag: Balance,
    /// Expected number of wins in a row.
    pub(crate) doubles: f64,
    /// Expected number of draws in a row that it does not win.
    pub(crate) misses: f64,
    /// Waits by their probability integral transform.
    pub(crate) waits: [u64; BINS],
}

/// p-values of the draws of a policy; `None` where there was too little to see, or the question does not
/// arise.
#[derive(Clone, Debug, PartialEq)]
pub struct Judgement {
    /// Judged draws.
    pub draws: u64,
    /// Draws not judged, because tickets were lent.
    pub unjudged: u64,
    /// Wins against tickets.
    pub shares: Option<f64>,
    /// Pairs of consecutive winners: their contingency table.
    pub pairs: Option<f64>,
    /// Lag-1 autocorrelation.
    pub autocorrelation: Option<f64>,
    /// Wins in a row.
    pub repeats: Option<f64>,
    /// Draws between two wins.
    pub waits: Option<f64>,
    /// Wins of each entry, and how many its tickets make likely.
    pub wins: Vec<(u64, f64)>,
}

impl Balance {
    pub(crate) fn add(&mut self, other: Self) {
        self.sum += other.sum;
        self.variance += other.variance;
    }

    fn p_value(self) -> Option<f64> {
        (self.variance >= ENOUGH).then(|| two_sided(self.sum / self.variance.sqrt()))
    }
}

impl Evidence {
    /// Adds what was seen in another run of the same scenario under the same policy.
    pub fn add(&mut self, other: &Self) {
        self.draws += other.draws;
        self.unjudged += other.unjudged;
        self.steady &= other.steady;
        for (mine, others) in self.clients.iter_mut().zip(&other.clients) {
            mine.won += others.won;
            mine.expected += others.expected;
            mine.variance += others.variance;
        }
        for (mine, others) in self.followed.iter_mut().zip(&other.followed) {
            mine.lag.add(others.lag);
            mine.doubles += others.doubles;
            mine.misses += others.misses;
            for (mine, others) in mine.waits.iter_mut().zip(others.waits) {
                *mine += others;
            }
        }
        self.repeats.add(other.repeats);
        for (mine, others) in self.pairs.iter_mut().zip(&other.pairs) {
            *mine += others;
        }
    }

    /// The p-values.
    pub fn judge(&self) -> Judgement {
        let classes = self.followed.len() + 1;
        let pairs = if self.steady { table_independence(&self.pairs, classes) } else { None };
        let waits = self.followed.iter().filter_map(|followed| {
            let count: u64 = followed.waits.iter().sum();
            let fit = chi_square(&followed.waits, &[1; BINS]).filter(|_| count >= WAITS_A_BIN * BINS as u64);
            fit.map(|fit| fit.p_value)
        });
        // Of a client that nearly always wins, two losses in a row are as rare as two wins of one that nearly
        // never does.
        let lags = self.followed.iter().filter(|f| f.doubles.min(f.misses) >= ENOUGH);
        let entries = self.clients.iter().map(|c| c.entry + 1).max().unwrap_or(0);
        let mut wins = vec![(0, 0.0); entries];
        for client in &self.clients {
            wins[client.entry].0 += client.won;
            wins[client.entry].1 += client.expected;
        }
        Judgement {
            draws: self.draws,
            unjudged: self.unjudged,
            shares: self.shares(),
            pairs: pairs.map(|fit| fit.p_value),
            autocorrelation: least(lags.map(|f| two_sided(f.lag.sum / f.lag.variance.sqrt()))),
            repeats: self.repeats.p_value(),
            waits: least(waits),
            wins,
        }
    }

    fn shares(&self) -> Option<f64> {
        if self.steady {
            let won: Vec<u64> = self.clients.iter().map(|c| c.won).collect();
            let weights: Vec<u64> = self.clients.iter().map(|c| c.weight).collect();
            return chi_square(&won, &weights).map(|fit| fit.p_value);
        }
        let balances =
            self.clients.iter().map(|c| Balance { sum: c.won as f64 - c.expected, variance: c.variance });
        least(balances.filter_map(Balance::p_value))
    }
}

impl Judgement {
    /// Does a winner depend on the one before: of the three tests of this question together.
    pub fn next(&self) -> Option<f64> {
        least([self.pairs, self.autocorrelation, self.repeats].into_iter().flatten())
    }

    /// All questions together.
    pub fn p_value(&self) -> Option<f64> {
        least([self.shares, self.next(), self.waits].into_iter().flatten())
    }

    /// Whether these cannot be the draws of a lottery with these tickets: p below [`REJECT`].
    pub fn is_rejected(&self) -> bool {
        self.p_value().is_some_and(|p| p < REJECT)
    }
}

/// The p-value of several tests together: the smallest times their number.
fn least(p_values: impl IntoIterator<Item = f64>) -> Option<f64> {
    let (mut count, mut least) = (0.0, f64::INFINITY);
    for p in p_values {
        count += 1.0;
        least = least.min(p);
    }
    (count > 0.0).then(|| (least * count).min(1.0))
}

#[cfg(test)]
mod tests;
