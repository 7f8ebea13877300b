//! The order in which to run tasks if all lags were to be made good.

use super::claims::Claims;
use crate::entitlement::{DemandError, entitle};
use crate::identity::TaskId;
use crate::ledger::Account;
use crate::window::Window;
use std::cmp::Reverse;

/// Living tasks with weights by what they are owed in an interval: the ledger without its explanation, at a
/// part of its cost.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Order {
    /// The first of them.
    pub first: Vec<Owed>,
    /// How many there are.
    pub count: usize,
}

/// A task and its lag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owed {
    /// Who.
    pub id: TaskId,
    /// Its name.
    pub comm: Vec<u8>,
    /// Entitled − received.
    pub lag_ns: i64,
}

impl Order {
    /// The order of a window: who is owed most comes first, among equals the lower identity. The `most` first
    /// ones are kept.
    ///
    /// # Errors
    /// As [`super::Audit::new`].
    pub fn new(window: &Window, most: usize) -> Result<Self, DemandError> {
        let claims = Claims::of(window);
        let entitlement = entitle(&claims.demand)?;
        let accounts = entitlement.claims.iter().zip(&claims.received_ns);
        let lags = accounts.map(|(share, &received_ns)| Account::new(share, received_ns).lag_ns());
        let mut living: Vec<(i64, usize)> =
            lags.zip(claims.tasks.iter().copied()).filter(|&(_, task)| !window.tasks[task].ended).collect();
        living.sort_by_key(|&(lag_ns, task)| (Reverse(lag_ns), task));
        let owed = |&(lag_ns, task): &(i64, usize)| {
            let totals = &window.tasks[task].totals;
            Owed { id: totals.id, comm: totals.comm.clone(), lag_ns }
        };
        Ok(Self { first: living.iter().take(most).map(owed).collect(), count: living.len() })
    }
}
