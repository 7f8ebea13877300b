//! Tickets, the currencies they are issued in, and who has lent them to whom.

use crate::machine::{Machine, TaskIx};
use std::collections::BTreeMap;

/// The books of a lottery: what every owner's tickets are worth at the moment.
#[derive(Clone, Debug)]
pub struct Currencies {
    owners: Vec<Owner>,
    groups: Vec<Currency>,
    /// Who lent to whom, by the borrower.
    loans: BTreeMap<TaskIx, Vec<TaskIx>>,
}

/// In one cache line, hence the short indices.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
struct Owner {
    /// Tickets in the currency of its group.
    amount: f64,
    compensation: f64,
    group: Option<u32>,
    active: bool,
    /// Affinity class its tickets are queued for; `None` while they are not in the draw.
    class: Option<u32>,
    lent_to: Option<u32>,
}

#[derive(Clone, Copy, Debug)]
struct Currency {
    parent: Option<usize>,
    /// Tickets of the parent that back it.
    weight: f64,
    /// Tickets it has issued to those who want the CPU, or have it. A sum of integers below 2^53: exact.
    active: f64,
}

/// An index of a scenario: it allows a million tasks, with a group and an affinity class each at most.
fn short(index: usize) -> u32 {
    u32::try_from(index).expect("a scenario has fewer than 2³² of anything")
}

/// By what the amounts of a currency are divided ([`fitted`]) whose largest number of tickets is above
/// `most`: by what they have in common if that is enough.
pub(super) fn divisor(amounts: impl Iterator<Item = u64>, largest: f64, most: u64) -> f64 {
    let common = amounts.fold(0, num_integer::gcd);
    (common as f64).max(largest / most as f64)
}

/// What becomes of an amount: a whole number, 1 at least.
pub(super) fn fitted(amount: f64, divisor: f64) -> f64 {
    (amount / divisor).round().max(1.0)
}

/// A count of tickets, which the books keep as a whole number below 2⁵³.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
pub(super) fn whole(tickets: f64) -> u64 {
    tickets as u64
}

impl Currencies {
    pub(super) fn new(machine: &Machine) -> Self {
        let owners = machine.tasks().iter().map(|t| Owner {
            amount: t.tickets as f64,
            compensation: 1.0,
            group: t.group.map(short),
            active: false,
            class: None,
            lent_to: None,
        });
        let groups = machine.groups().iter().map(|g| Currency {
            parent: g.parent,
            weight: g.weight as f64,
            active: 0.0,
        });
        Self { owners: owners.collect(), groups: groups.collect(), loans: BTreeMap::new() }
    }

    pub(super) fn set_amounts(&mut self, amount: impl Fn(TaskIx) -> u64) {
        for (task, owner) in self.owners.iter_mut().enumerate() {
            owner.amount = amount(task) as f64;
        }
    }

    /// Scales currencies down in which somebody has more tickets than `most`: all amounts and backing weights
    /// of one currency alike, by what they have in common if that is enough, or else rounded, to 1 at least.
    pub(super) fn fit(&mut self, most: u64) {
        for currency in (0..self.groups.len()).map(Some).chain([None]) {
            let amounts = self.owners.iter_mut().filter(|o| o.group.map(|g| g as usize) == currency);
            let amounts: Vec<&mut f64> = amounts.map(|owner| &mut owner.amount).collect();
            let largest = amounts.iter().fold(0.0, |largest: f64, amount| largest.max(**amount));
            if largest <= most as f64 {
                continue;
            }
            let weights = self.groups.iter_mut().filter(|group| group.parent == currency);
            let all: Vec<&mut f64> = amounts.into_iter().chain(weights.map(|g| &mut g.weight)).collect();
            let divisor = divisor(all.iter().map(|amount| whole(**amount)), largest, most);
            for amount in all {
                *amount = fitted(*amount, divisor);
            }
        }
    }

    /// Number of owners.
    pub fn owners(&self) -> usize {
        self.owners.len()
    }

    /// Number of groups.
    pub fn groups(&self) -> usize {
        self.groups.len()
    }

    /// Tickets of an owner in its group's currency, without compensation.
    pub fn amount(&self, owner: TaskIx) -> f64 {
        self.owners[owner].amount
    }

    /// The same with compensation: its rate in the draw among its group.
    pub fn rate(&self, owner: TaskIx) -> f64 {
        self.owners[owner].amount * self.owners[owner].compensation
    }

    /// The group of an owner.
    pub fn group_of(&self, owner: TaskIx) -> Option<usize> {
        self.owners[owner].group.map(|group| group as usize)
    }

    /// The group a group is in.
    pub fn parent(&self, group: usize) -> Option<usize> {
        self.groups[group].parent
    }

    /// Tickets that back a group.
    pub fn weight(&self, group: usize) -> f64 {
        self.groups[group].weight
    }

    /// Tickets a group has issued to those who want the CPU, or have it.
    pub fn active(&self, group: usize) -> f64 {
        self.groups[group].active
    }

    /// Worth of one ticket of a group in tickets of its parent; 0 while none is active.
    pub fn exchange(&self, group: usize) -> f64 {
        let currency = &self.groups[group];
        if currency.active > 0.0 { currency.weight / currency.active } else { 0.0 }
    }

    /// Worth of an owner's tickets in base tickets.
    pub fn value(&self, owner: TaskIx) -> f64 {
        let mut value = self.rate(owner);
        let mut at = self.group_of(owner);
        while let Some(group) = at {
            value *= self.exchange(group);
            at = self.groups[group].parent;
        }
        value
    }

    /// Worth of an owner's tickets in base tickets if it alone became active now.
    pub(super) fn amount_as_if_active(&self, owner: TaskIx) -> f64 {
        let mut value = self.owners[owner].amount;
        let mut coming = if self.owners[owner].active { 0.0 } else { value };
        let mut at = self.group_of(owner);
        while let Some(group) = at {
            let currency = &self.groups[group];
            value *= currency.weight / (currency.active + coming);
            coming = if currency.active > 0.0 { 0.0 } else { currency.weight };
            at = currency.parent;
        }
        value
    }

    pub(super) fn is_active(&self, owner: TaskIx) -> bool {
        self.owners[owner].active
    }

    /// Whether that was a change.
    pub(super) fn mark_active(&mut self, owner: TaskIx, active: bool) -> bool {
        std::mem::replace(&mut self.owners[owner].active, active) != active
    }

    /// Adds to the active amount of a group; whether the group itself became active, or ceased to be.
    pub(super) fn change_active(&mut self, group: usize, by: f64) -> bool {
        let before = self.groups[group].active;
        self.groups[group].active = before + by;
        (before > 0.0) != (self.groups[group].active > 0.0)
    }

    pub(super) fn set_compensation(&mut self, owner: TaskIx, factor: f64) {
        self.owners[owner].compensation = factor;
    }

    pub(super) fn class(&self, owner: TaskIx) -> Option<usize> {
        self.owners[owner].class.map(|class| class as usize)
    }

    pub(super) fn set_class(&mut self, owner: TaskIx, class: Option<usize>) {
        self.owners[owner].class = class.map(short);
    }

    pub(super) fn take_class(&mut self, owner: TaskIx) -> Option<usize> {
        self.owners[owner].class.take().map(|class| class as usize)
    }

    /// The tickets of an owner won and leave the draw; who [runs](Self::runner).
    #[inline]
    pub(super) fn won(&mut self, owner: TaskIx) -> TaskIx {
        let tickets = &mut self.owners[owner];
        tickets.class = None;
        if tickets.lent_to.is_none() { owner } else { self.runner(owner) }
    }

    pub(super) fn has_loans(&self) -> bool {
        !self.loans.is_empty()
    }

    pub(super) fn lend(&mut self, waiter: TaskIx, holder: TaskIx) {
        self.owners[waiter].lent_to = Some(short(holder));
        self.loans.entry(holder).or_default().push(waiter);
    }

    pub(super) fn take_back(&mut self, waiter: TaskIx) {
        let Some(holder) = self.owners[waiter].lent_to.take() else { return };
        let holder = holder as usize;
        if let Some(lenders) = self.loans.get_mut(&holder) {
            lenders.retain(|l| *l != waiter);
            if lenders.is_empty() {
                self.loans.remove(&holder);
            }
        }
    }

    /// Who runs when tickets of `owner` win: itself, or at the end of the chain of loans the one who holds
    /// the lock.
    pub(super) fn runner(&self, owner: TaskIx) -> TaskIx {
        let mut at = owner;
        while let Some(next) = self.owners[at].lent_to {
            at = next as usize;
        }
        at
    }

    /// All who have lent to a task, directly or through others, in a fixed order.
    pub(super) fn lenders(&self, task: TaskIx) -> Vec<TaskIx> {
        let mut all = self.loans.get(&task).cloned().unwrap_or_default();
        let mut next = 0;
        while next < all.len() {
            all.extend(self.loans.get(&all[next]).into_iter().flatten());
            next += 1;
        }
        all
    }
}
