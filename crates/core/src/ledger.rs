//! Entitled against received: who is owed CPU time, and how fair the whole was.
//!
//! | figure | formula |
//! |---|---|
//! | lag | entitled − received: positive for who is owed, negative for who is ahead |
//! | got share, fair share | received, entitled / what the fair class had to divide |
//! | Jain's index | (Σr)² / (n·Σr²), r = received / entitled, over the n accounts entitled to something |
//! | RMS lag | √(Σlag² / n) over all n accounts |
//!
//! Jain's index (Jain, Chiu and Hawe, DEC-TR-301, 1984) is 1 when all have received the same part of their
//! entitlement, whatever that part is, and 1/n when one has received everything. It weighs a task that was
//! entitled to a microsecond like one that was entitled to a second; the lags do not.
//!
//! Lags add up to entitled − received as a whole. That is 0 where both divide the same time. It is positive
//! when CPUs idled although someone waited, and negative when tasks received time that is not in the
//! capacity.

use crate::entitlement::{Entitlement, Share};
use thiserror::Error;

/// One line of the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Account {
    /// What the task should have had, rounded to the nanosecond.
    pub entitled_ns: u64,
    /// What it had.
    pub received_ns: u64,
}

impl Account {
    /// What a claim was entitled to, beside what it received.
    pub fn new(share: &Share, received_ns: u64) -> Self {
        Self { entitled_ns: nearest(share.entitled_ns), received_ns }
    }

    /// Entitled − received: positive if time is owed to it, negative if it is ahead. Saturates beyond 292
    /// years.
    pub fn lag_ns(&self) -> i64 {
        let lag = i128::from(self.entitled_ns) - i128::from(self.received_ns);
        i64::try_from(lag).unwrap_or(if lag < 0 { i64::MIN } else { i64::MAX })
    }

    /// Received / entitled; `None` if it was entitled to nothing.
    pub fn satisfaction(&self) -> Option<f64> {
        (self.entitled_ns > 0).then(|| self.received_ns as f64 / self.entitled_ns as f64)
    }
}

/// All accounts of one interval.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Ledger {
    /// What the fair class had to divide, on all CPUs.
    pub capacity_ns: u64,
    /// One account for each claim, in the order of the demand.
    pub accounts: Vec<Account>,
}

/// As many times received as claims entitled is what a ledger needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("{entitled} claims were entitled, and {received} received times are given")]
pub struct Unmatched {
    /// Claims in the entitlement.
    pub entitled: usize,
    /// Received times.
    pub received: usize,
}

/// How fair an interval was, in five numbers.
#[derive(Clone, Copy, Debug, PartialEq, Default)]
pub struct Fairness {
    /// Jain's index of received / entitled, 1/n to 1; `None` if nobody was entitled to anything, or nobody
    /// received anything.
    pub jain: Option<f64>,
    /// Root mean square of the lags, ns.
    pub rms_lag_ns: f64,
    /// Who is owed most.
    pub most_owed: Option<Extreme>,
    /// Who ran most beyond its entitlement.
    pub most_ahead: Option<Extreme>,
    /// What those received that were entitled to nothing. They are in the lags and not in Jain's index.
    pub unentitled_ns: u64,
}

/// The account with an extreme lag; of equal ones the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extreme {
    /// Index into [`Ledger::accounts`].
    pub account: usize,
    /// Its lag: above 0 for who is owed most, below 0 for who is most ahead.
    pub lag_ns: i64,
}

impl Ledger {
    /// Puts what was received beside what was entitled, claim by claim.
    ///
    /// `capacity_ns` is what the fair class had ([`Demand::total_capacity_ns`]).
    ///
    /// # Errors
    /// [`Unmatched`] if the two do not have the same length.
    ///
    /// [`Demand::total_capacity_ns`]: crate::entitlement::Demand::total_capacity_ns
    pub fn balance(
        capacity_ns: u64,
        entitlement: &Entitlement,
        received_ns: &[u64],
    ) -> Result<Self, Unmatched> {
        let (entitled, received) = (entitlement.claims.len(), received_ns.len());
        if entitled != received {
            return Err(Unmatched { entitled, received });
        }
        let pairs = entitlement.claims.iter().zip(received_ns);
        let accounts = pairs.map(|(share, &received_ns)| Account::new(share, received_ns)).collect();
        Ok(Self { capacity_ns, accounts })
    }

    /// What an account received, as a part of what there was to divide; 0 if that was nothing.
    pub fn got_share(&self, account: &Account) -> f64 {
        self.share(account.received_ns)
    }

    /// What an account was entitled to, as a part of what there was to divide; 0 if that was nothing.
    pub fn fair_share(&self, account: &Account) -> f64 {
        self.share(account.entitled_ns)
    }

    fn share(&self, part_ns: u64) -> f64 {
        if self.capacity_ns == 0 { 0.0 } else { part_ns as f64 / self.capacity_ns as f64 }
    }

    /// How fair it was.
    pub fn fairness(&self) -> Fairness {
        let mut result = Fairness::default();
        let (mut sum, mut squares, mut count) = (0.0, 0.0, 0u64);
        let mut lag_squares = 0.0;
        for (index, account) in self.accounts.iter().enumerate() {
            let lag_ns = account.lag_ns();
            lag_squares += (lag_ns as f64).powi(2);
            match account.satisfaction() {
                Some(ratio) => {
                    sum += ratio;
                    squares += ratio * ratio;
                    count += 1;
                }
                None => result.unentitled_ns = result.unentitled_ns.saturating_add(account.received_ns),
            }
            let extreme = Extreme { account: index, lag_ns };
            if lag_ns > result.most_owed.map_or(0, |e| e.lag_ns) {
                result.most_owed = Some(extreme);
            }
            if lag_ns < result.most_ahead.map_or(0, |e| e.lag_ns) {
                result.most_ahead = Some(extreme);
            }
        }
        if squares > 0.0 {
            result.jain = Some(sum * sum / (count as f64 * squares));
        }
        if !self.accounts.is_empty() {
            result.rms_lag_ns = (lag_squares / self.accounts.len() as f64).sqrt();
        }
        result
    }
}

/// To whole nanoseconds.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "`as` saturates, which is what is meant"
)]
fn nearest(ns: f64) -> u64 {
    ns.round() as u64
}

#[cfg(test)]
mod tests;
