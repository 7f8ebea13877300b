//! The draw of the scheduler in BPF, as it is there: the race in integers of [`tombola_core::race`].
//!
//! The same law as [`super::Race`], built otherwise: no heaps within heaps, but one queue for each group and
//! affinity class, of which a draw compares all that have somebody and that the CPU may serve, affinity
//! classes in order and in each the root, then groups in order. Its cost is that of the number of groups.
//!
//! Two limits of the integers are the kernel's too: a task has 2²⁰ tickets at most (where one has more, all
//! of its currency are scaled down alike, rounded to whole tickets if they must be); compensation is in steps
//! of 1/1024 and 1024 at most.

use super::currency::{divisor, fitted, whole};
use super::{Currencies, Draw, TaskIx};
use crate::machine::Machine;
use crate::scenario::Scenario;
use rand::Rng as _;
use rand_chacha::ChaCha8Rng;
use tombola_core::race::{self, Queues};

/// The race in integers.
#[derive(Clone, Debug)]
pub struct KernelRace {
    queues: Queues,
    /// Queues of each affinity class: one for the root, and one for each group.
    nodes: usize,
}

impl KernelRace {
    /// A race for the groups and affinity classes of a machine.
    pub fn new(machine: &Machine) -> Self {
        let groups = machine.groups();
        let nodes = groups.len() + 1;
        let of_class = (0..nodes).map(|node| node.checked_sub(1));
        let queues = (0..machine.class_count()).flat_map(|_| of_class.clone());
        Self { queues: Queues::new(groups.iter().map(|g| g.parent), queues), nodes }
    }
}

/// Tickets that the integers do not hold.
#[derive(Clone, Debug, PartialEq)]
pub struct Unheld {
    /// The task, or group.
    pub name: String,
    /// Its tickets, or weight, in the scenario.
    pub has: u64,
    /// What it counts as beside the others of its currency.
    pub counts: f64,
}

/// Of the tasks and groups of a scenario the one whose tickets `Currencies::fit` changes most, if by more
/// than a hundredth: somebody in its group has more than 2²⁰, and what they have in common is not enough.
pub fn unheld(scenario: &Scenario) -> Option<Unheld> {
    let mut worst: Option<(f64, Unheld)> = None;
    for currency in (0..scenario.groups.len()).map(Some).chain([None]) {
        let tasks = scenario.tasks.iter().filter(|task| task.group == currency);
        let tasks: Vec<(&str, u64)> = tasks.map(|task| (task.name.as_str(), task.tickets)).collect();
        let largest = tasks.iter().map(|(_, tickets)| *tickets).max().unwrap_or(0);
        if largest <= u64::from(race::TICKETS_MOST) {
            continue;
        }
        let groups = scenario.groups.iter().filter(|group| group.parent == currency);
        let all = tasks.into_iter().chain(groups.map(|group| (group.name.as_str(), group.weight)));
        let all: Vec<(&str, u64)> = all.collect();
        let divisor = divisor(all.iter().map(|(_, has)| *has), largest as f64, race::TICKETS_MOST.into());
        for (name, has) in all {
            let counts = fitted(has as f64, divisor) * divisor;
            let error = (counts / has as f64 - 1.0).abs();
            if error > 0.01 && worst.as_ref().is_none_or(|(most, _)| error > *most) {
                worst = Some((error, Unheld { name: name.to_owned(), has, counts }));
            }
        }
    }
    worst.map(|(_, changed)| changed)
}

impl Draw for KernelRace {
    fn insert(&mut self, books: &Currencies, rng: &mut ChaCha8Rng, owner: TaskIx, class: usize) {
        let amount = books.amount(owner);
        let tickets = u32::try_from(whole(amount)).unwrap_or(u32::MAX).clamp(1, race::TICKETS_MOST);
        // Exact: `compensation` is a multiple of 1/1024, and with 2^20 tickets the rate has 41 bits.
        let compensation = whole(books.rate(owner) / amount * race::COMPENSATION_ONE as f64);
        let residual = race::residual(race::exponential(rng.next_u64()), tickets, compensation);
        let node = books.group_of(owner).map_or(0, |group| group + 1);
        self.queues.join(class * self.nodes + node, owner, residual);
    }

    fn remove(&mut self, _books: &Currencies, owner: TaskIx, _class: usize) {
        self.queues.leave(owner);
    }

    fn after_change(&mut self, books: &Currencies, group: usize) {
        self.queues.set_worth(group, whole(books.weight(group)), whole(books.active(group)));
    }

    fn draw(&mut self, _books: &Currencies, _rng: &mut ChaCha8Rng, classes: &[usize]) -> Option<TaskIx> {
        let nodes = self.nodes;
        self.queues.draw(classes.iter().flat_map(|class| class * nodes..(class + 1) * nodes))
    }

    fn compensation(&self, used_ns: u64, slice_ns: u64) -> f64 {
        race::compensation(used_ns, slice_ns) as f64 / race::COMPENSATION_ONE as f64
    }
}
