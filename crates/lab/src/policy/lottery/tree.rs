//! The draw by a tree of partial sums, as in section 4.2 of the paper: one random number, and down the tree.
//! O(log n).
//!
//! Every inner node is the sum of its two children, made anew at each change: rounding does not add up over
//! time. Groups are trees within trees: a group's leaf in its parent is `sum of its queued tickets × weight /
//! active`.

use super::{Currencies, Draw, TaskIx};
use crate::chance::unit;
use crate::machine::Machine;
use rand_chacha::ChaCha8Rng;

/// The tree.
#[derive(Clone, Debug)]
pub struct Tree {
    /// Trees of each affinity class: 0 is the root, g + 1 is group g.
    classes: Vec<Vec<Sums>>,
    local: Vec<usize>,
    group_local: Vec<usize>,
    members: Vec<Vec<Member>>,
}

#[derive(Clone, Copy, Debug)]
enum Member {
    Owner(TaskIx),
    Group(usize),
}

/// A complete binary tree of sums: leaf i stands at `leaves + i`, the total at 1.
#[derive(Clone, Debug)]
struct Sums {
    leaves: usize,
    sums: Vec<f64>,
}

impl Sums {
    fn new(leaves: usize) -> Self {
        let leaves = leaves.max(1).next_power_of_two();
        Self { leaves, sums: vec![0.0; 2 * leaves] }
    }

    fn total(&self) -> f64 {
        self.sums[1]
    }

    fn set(&mut self, leaf: usize, value: f64) {
        let mut at = self.leaves + leaf;
        self.sums[at] = value;
        while at > 1 {
            at /= 2;
            self.sums[at] = self.sums[2 * at] + self.sums[2 * at + 1];
        }
    }

    /// The leaf in which a number in (0, total] falls, and what of the number is left within it.
    fn find(&self, mut number: f64) -> (usize, f64) {
        let mut at = 1;
        while at < self.leaves {
            at *= 2;
            // Rounding may leave a number above the sum of both: the left one is passed over only for a right
            // one that holds something.
            if number > self.sums[at] && self.sums[at + 1] > 0.0 {
                number -= self.sums[at];
                at += 1;
            }
        }
        (at - self.leaves, number)
    }
}

impl Tree {
    /// A tree for the tasks and groups of a machine.
    pub fn new(machine: &Machine) -> Self {
        let mut members: Vec<Vec<Member>> = vec![Vec::new(); machine.groups().len() + 1];
        let mut join = |group: Option<usize>, member| {
            let list = &mut members[group.map_or(0, |g| g + 1)];
            list.push(member);
            list.len() - 1
        };
        let local =
            machine.tasks().iter().enumerate().map(|(i, t)| join(t.group, Member::Owner(i))).collect();
        let group_local =
            machine.groups().iter().enumerate().map(|(i, g)| join(g.parent, Member::Group(i))).collect();
        let trees: Vec<Sums> = members.iter().map(|m| Sums::new(m.len())).collect();
        Self { classes: vec![trees; machine.class_count()], local, group_local, members }
    }

    fn set(&mut self, books: &Currencies, owner: TaskIx, class: usize, rate: f64) {
        let group = books.group_of(owner);
        self.classes[class][group.map_or(0, |g| g + 1)].set(self.local[owner], rate);
        self.update(books, class, group);
    }

    fn update(&mut self, books: &Currencies, class: usize, group: Option<usize>) {
        let mut at = group;
        while let Some(group) = at {
            let value = self.classes[class][group + 1].total() * books.exchange(group);
            let parent = books.parent(group);
            self.classes[class][parent.map_or(0, |g| g + 1)].set(self.group_local[group], value);
            at = parent;
        }
    }
}

impl Draw for Tree {
    fn insert(&mut self, books: &Currencies, _rng: &mut ChaCha8Rng, owner: TaskIx, class: usize) {
        self.set(books, owner, class, books.rate(owner));
    }

    fn remove(&mut self, books: &Currencies, owner: TaskIx, class: usize) {
        self.set(books, owner, class, 0.0);
    }

    fn after_change(&mut self, books: &Currencies, group: usize) {
        for class in 0..self.classes.len() {
            self.update(books, class, Some(group));
        }
    }

    fn draw(&mut self, books: &Currencies, rng: &mut ChaCha8Rng, classes: &[usize]) -> Option<TaskIx> {
        let total: f64 = classes.iter().map(|class| self.classes[*class][0].total()).sum();
        if total <= 0.0 {
            return None;
        }
        let mut number = unit(rng) * total;
        let mut class = None;
        for &candidate in classes {
            let sum = self.classes[candidate][0].total();
            if sum > 0.0 {
                class = Some(candidate);
                if number <= sum {
                    break;
                }
                number -= sum;
            }
        }
        let class = class?;
        let mut node = 0;
        loop {
            let sums = &self.classes[class][node];
            let (leaf, within) = sums.find(number.min(sums.total()));
            match self.members[node][leaf] {
                Member::Group(group) => {
                    number = within / books.exchange(group);
                    node = group + 1;
                }
                Member::Owner(owner) => {
                    self.set(books, owner, class, 0.0);
                    return Some(owner);
                }
            }
        }
    }
}
