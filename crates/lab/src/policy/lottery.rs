//! Lottery scheduling: who runs next is drawn at random, with chances in proportion to tickets.
//!
//! Source: C. A. Waldspurger, W. E. Weihl, "Lottery Scheduling: Flexible Proportional-Share Resource
//! Management", OSDI 1994; Waldspurger's thesis, MIT/LCS/TR-667, 1995.
//!
//! Law. At every draw a queued task with t of the T tickets of all queued tasks that the CPU may run wins
//! with probability t/T, independent of all draws before; the task whose slice is over competes like the
//! others.
//! - A group is a currency: a member's tickets are worth `value of the group × amount / active amount`, and
//!   the value of the group is found in the same way from its weight. A task on another CPU is active in its
//!   currency.
//! - A task that blocked after the fraction f of its slice has its tickets multiplied by 1/f until it next
//!   starts one. That inflates its value and not the active amount of its currency, so that its group is
//!   compensated too.
//! - A task that blocks on a lock lends its tickets to the holder: they stay in the draw, and when they win,
//!   the holder runs. The next holder is drawn among those who wait.
//!
//! On one CPU with tasks that never sleep the shares are t/T. On more CPUs they are not the entitlement: the
//! set S of running tasks has probability ∝ Π t over S.
//!
//! Five ways to draw have the same distribution: [`Race`] (the default), [`Tree`], [`List`], [`Inverse`], and
//! [`KernelRace`], which is that of the scheduler in BPF. [`Multi`] has the same expectation and less
//! variance.

mod currency;
mod inverse;
mod kernel_race;
mod list;
mod multi;
mod race;
mod tree;

use super::{Arrival, Departure, Pick, Policy};
use crate::chance::unit;
use crate::machine::{CpuIx, Machine, TaskIx};
pub use currency::Currencies;
pub use inverse::Inverse;
pub use kernel_race::{KernelRace, Unheld, unheld};
pub use list::List;
pub use multi::Multi;
pub use race::{Flaw, Race};
use rand_chacha::ChaCha8Rng;
pub use tree::Tree;

/// A way to draw one of the owners of queued tickets with chances in proportion to their value.
pub trait Draw: Send {
    /// Tickets of `owner` join the draw, for CPUs of an affinity class.
    fn insert(&mut self, books: &Currencies, rng: &mut ChaCha8Rng, owner: TaskIx, class: usize);

    /// They leave it.
    fn remove(&mut self, books: &Currencies, owner: TaskIx, class: usize);

    /// The active amount of a group's currency is about to change.
    fn before_change(&mut self, books: &Currencies, group: usize) {
        let _ = (books, group);
    }

    /// It has changed.
    fn after_change(&mut self, books: &Currencies, group: usize) {
        let _ = (books, group);
    }

    /// Draws among the tickets of some affinity classes and takes the winner out.
    fn draw(&mut self, books: &Currencies, rng: &mut ChaCha8Rng, classes: &[usize]) -> Option<TaskIx>;

    /// What the tickets of a task are multiplied by that blocked after `used_ns` (above 0) of its slice: 1 or
    /// more.
    fn compensation(&self, used_ns: u64, slice_ns: u64) -> f64 {
        (slice_ns as f64 / used_ns as f64).max(1.0)
    }
}

/// The lottery policy over one way to draw.
pub struct Lottery<D> {
    books: Currencies,
    draw: D,
    compensates: bool,
    /// The task that left a CPU at the end of its slice and is kept out of the next draw: only in a wrong
    /// lottery.
    held: Option<Vec<Option<TaskIx>>>,
}

impl<D: Draw> Lottery<D> {
    /// A lottery for a machine.
    pub fn new(machine: &Machine, draw: D) -> Self {
        Self { books: Currencies::new(machine), draw, compensates: true, held: None }
    }

    /// A lottery that does not compensate tasks for slices they leave unused.
    #[must_use]
    pub fn without_compensation(mut self) -> Self {
        self.compensates = false;
        self
    }

    /// A wrong lottery, as a negative control: the task whose slice is over takes no part in the draw that
    /// follows. With two tasks they alternate whatever their tickets; in general shares are ∝ t(T − t).
    #[must_use]
    pub fn without_previous(mut self, machine: &Machine) -> Self {
        self.held = Some(vec![None; machine.cpus().len()]);
        self
    }

    /// A wrong lottery, as a negative control: tickets from the linear scale of classroom schedulers.
    #[must_use]
    pub fn with_amounts(mut self, amount: impl Fn(TaskIx) -> u64) -> Self {
        self.books.set_amounts(amount);
        self
    }

    /// With no task of more tickets than this, in the same proportions (`Currencies::fit`).
    #[must_use]
    pub fn with_tickets_up_to(mut self, most: u64) -> Self {
        self.books.fit(most);
        self
    }

    /// All tickets that run `task` join the draw.
    #[inline]
    fn join(&mut self, machine: &mut Machine, task: TaskIx) {
        let class = machine.tasks()[task].class;
        self.books.set_class(task, Some(class));
        self.draw.insert(&self.books, &mut machine.rng, task, class);
        if self.books.has_loans() {
            self.join_lenders(machine, task, class);
        }
    }

    #[inline(never)] // so that what calls it is small enough to be inlined itself
    fn join_lenders(&mut self, machine: &mut Machine, task: TaskIx, class: usize) {
        for lender in self.books.lenders(task) {
            self.books.set_class(lender, Some(class));
            self.draw.insert(&self.books, &mut machine.rng, lender, class);
        }
    }

    /// All tickets that run `task` leave the draw.
    fn leave(&mut self, task: TaskIx) {
        if let Some(class) = self.books.take_class(task) {
            self.draw.remove(&self.books, task, class);
        }
        if self.books.has_loans() {
            for lender in self.books.lenders(task) {
                if let Some(class) = self.books.take_class(lender) {
                    self.draw.remove(&self.books, lender, class);
                }
            }
        }
    }

    /// Tickets of `task`, and those lent to it, become active in their currencies or cease to be.
    fn set_active(&mut self, task: TaskIx, active: bool) {
        self.set_one_active(task, active);
        if self.books.has_loans() {
            for lender in self.books.lenders(task) {
                self.set_one_active(lender, active);
            }
        }
    }

    fn set_one_active(&mut self, task: TaskIx, active: bool) {
        if !self.books.mark_active(task, active) {
            return;
        }
        let mut amount = self.books.amount(task);
        let mut at = self.books.group_of(task);
        while let Some(group) = at {
            self.draw.before_change(&self.books, group);
            let toggled = self.books.change_active(group, if active { amount } else { -amount });
            self.draw.after_change(&self.books, group);
            if !toggled {
                break;
            }
            amount = self.books.weight(group);
            at = self.books.parent(group);
        }
    }
}

#[allow(clippy::inline_always)] // each slice ends with one call
impl<D: Draw> Policy for Lottery<D> {
    #[inline(always)] // into requeue
    fn enqueue(&mut self, machine: &mut Machine, task: TaskIx, why: Arrival) {
        if matches!(why, Arrival::New | Arrival::Woken | Arrival::Unthrottled) {
            self.set_active(task, true);
        }
        if let (Some(held), Arrival::Expired, Some(cpu)) =
            (&mut self.held, why, machine.tasks()[task].last_cpu)
        {
            held[cpu] = Some(task);
            return;
        }
        self.join(machine, task);
    }

    fn pick(&mut self, machine: &mut Machine, cpu: CpuIx) -> Option<Pick> {
        let (rng, classes) = machine.rng_and_classes(cpu);
        let owner = self.draw.draw(&self.books, rng, classes);
        let held = self.held.as_mut().and_then(|held| held[cpu].take());
        let task = match owner {
            Some(owner) => {
                let task = self.books.won(owner);
                if task != owner || self.books.has_loans() {
                    self.leave(task);
                }
                if let Some(held) = held {
                    self.join(machine, held);
                }
                task
            }
            None => held?,
        };
        self.books.set_compensation(task, 1.0);
        Some(Pick { task, slice_ns: machine.quantum_ns })
    }

    #[inline(always)] // into requeue
    fn stopped(&mut self, machine: &mut Machine, _cpu: CpuIx, task: TaskIx, ran_ns: u64, why: Departure) {
        if matches!(why, Departure::Blocked | Departure::Ended | Departure::Throttled) {
            self.set_active(task, false);
        }
        if self.compensates && why == Departure::Blocked && ran_ns > 0 {
            self.books.set_compensation(task, self.draw.compensation(ran_ns, machine.quantum_ns));
        }
    }

    fn lend(&mut self, machine: &mut Machine, waiter: TaskIx, holder: TaskIx) {
        self.books.lend(waiter, holder);
        let runner = self.books.runner(holder);
        if self.books.is_active(runner) {
            self.set_active(waiter, true);
            if let Some(class) = self.books.class(runner) {
                for owner in std::iter::once(waiter).chain(self.books.lenders(waiter)) {
                    self.books.set_class(owner, Some(class));
                    self.draw.insert(&self.books, &mut machine.rng, owner, class);
                }
            }
        }
    }

    fn give_back(&mut self, _machine: &mut Machine, waiter: TaskIx, _holder: TaskIx) {
        self.leave(waiter);
        self.set_active(waiter, false);
        self.books.take_back(waiter);
    }

    fn next_holder(&mut self, machine: &mut Machine, waiters: &[TaskIx]) -> usize {
        let values: Vec<f64> = waiters.iter().map(|w| self.books.amount_as_if_active(*w)).collect();
        let mut left = unit(&mut machine.rng) * values.iter().sum::<f64>();
        for (index, value) in values.iter().enumerate() {
            left -= value;
            if left <= 0.0 {
                return index;
            }
        }
        waiters.len() - 1
    }
}

#[cfg(test)]
mod tests;
