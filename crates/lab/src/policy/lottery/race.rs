//! The draw as a race: each owner's tickets get the key v + E/t when they join, E ~ Exp(1), v the key of the
//! last winner, and the smallest key wins. O(log n) for any number of queued tasks.
//!
//! Why it is exact: given all draws so far, the residuals key − v of those who lost are again independent
//! exponentials with rates t (they have no memory), so the smallest belongs to i with probability t/T of i.
//!
//! Groups nest as races within races. The smallest residual of a group, in the group's own clock, is
//! exponential with the rate of its queued tickets; its members are worth `weight / active` of that in the
//! parent's currency, so in the parent's clock the residual is longer by `active / weight`. A group's clock
//! runs at `weight / active` of its parent's, and is worked out only when it is looked at. When the active
//! amount changes, the clock is brought up to date first and the group's key in its parent is made anew: the
//! same as scaling every member's residual.
//!
//! Mixed affinity: one race for each affinity class. A CPU compares the first residual of every class it may
//! serve, runs the smallest, and moves the clock of each of these classes on by it.

use super::{Currencies, Draw, TaskIx};
use crate::chance::unit;
use crate::heap::IndexedHeap;
use crate::machine::Machine;
use crate::ziggurat::exponential;
use rand_chacha::ChaCha8Rng;

/// A deliberate fault: negative controls that statistics must reject.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// Keys U/t: a uniform number where an exponential belongs.
    UniformKeys,
    /// Keys E/t without the clock: newcomers are drawn against residuals that are too long.
    NoOffset,
}

/// The race.
#[derive(Clone, Debug)]
pub struct Race {
    flaw: Option<Flaw>,
    /// Nodes of each affinity class in turn: 0 is the root, g + 1 is group g.
    nodes: Vec<Node>,
    /// How many a class has.
    width: usize,
    /// Place of each owner among the members of its group.
    local: Vec<usize>,
    /// Place of each group among the members of its parent.
    group_local: Vec<usize>,
    /// Members of each node, by place.
    members: Vec<Vec<Member>>,
}

#[derive(Clone, Copy, Debug)]
enum Member {
    Owner(TaskIx),
    Group(usize),
}

/// The race among the members of one group, for one affinity class.
#[derive(Clone, Debug)]
struct Node {
    /// Keys by their bits: numbers that are not negative have the order of their bits, and integers are
    /// compared in fewer instructions.
    queue: IndexedHeap<u64>,
    /// Its clock when the parent's stood at `parent_clock`.
    clock: f64,
    parent_clock: f64,
}

impl Race {
    /// A race for the tasks and groups of a machine.
    pub fn new(machine: &Machine, flaw: Option<Flaw>) -> Self {
        let mut members = vec![Vec::new(); machine.groups().len() + 1];
        let node_of = |group: Option<usize>| group.map_or(0, |g| g + 1);
        let mut join = |group: Option<usize>, member| {
            let list: &mut Vec<Member> = &mut members[node_of(group)];
            list.push(member);
            list.len() - 1
        };
        let local =
            machine.tasks().iter().enumerate().map(|(i, t)| join(t.group, Member::Owner(i))).collect();
        let group_local =
            machine.groups().iter().enumerate().map(|(i, g)| join(g.parent, Member::Group(i))).collect();
        let node = Node { queue: IndexedHeap::new(0), clock: 0.0, parent_clock: 0.0 };
        let width = machine.groups().len() + 1;
        Self { flaw, nodes: vec![node; width * machine.class_count()], width, local, group_local, members }
    }

    /// Where a node of an affinity class stands.
    #[inline]
    fn at(&self, class: usize, node: usize) -> usize {
        class * self.width + node
    }

    /// Place of an owner in its queue. Without groups, by its number: two tables less to fetch for 10,000
    /// tasks.
    #[inline]
    fn place(&self, owner: TaskIx) -> usize {
        if self.width == 1 { owner } else { self.local[owner] }
    }

    /// Who has a place in a queue.
    #[inline]
    fn member(&self, node: usize, place: usize) -> Member {
        if self.width == 1 { Member::Owner(place) } else { self.members[node][place] }
    }

    fn classes(&self) -> std::ops::Range<usize> {
        0..self.nodes.len() / self.width
    }

    /// The clock of a node now.
    #[inline]
    fn clock(&self, books: &Currencies, class: usize, node: usize) -> f64 {
        if node == 0 { self.nodes[self.at(class, 0)].clock } else { self.group_clock(books, class, node) }
    }

    #[inline(never)] // so that what calls it is small enough to be inlined itself
    fn group_clock(&self, books: &Currencies, class: usize, node: usize) -> f64 {
        let this = &self.nodes[self.at(class, node)];
        let parent = books.parent(node - 1).map_or(0, |g| g + 1);
        let passed = self.clock(books, class, parent) - this.parent_clock;
        this.clock + passed * books.exchange(node - 1)
    }

    /// Brings the key of a group in its parent up to date with its first member, and so on upwards.
    #[inline]
    fn update(&mut self, books: &Currencies, class: usize, group: Option<usize>) {
        if group.is_some() {
            self.update_groups(books, class, group);
        }
    }

    #[inline(never)] // so that what calls it is small enough to be inlined itself
    fn update_groups(&mut self, books: &Currencies, class: usize, group: Option<usize>) {
        let mut at = group;
        while let Some(group) = at {
            let parent = books.parent(group).map_or(0, |g| g + 1);
            let node = &self.nodes[self.at(class, group + 1)];
            let exchange = books.exchange(group);
            let key = match node.queue.peek() {
                Some((head, _)) if exchange > 0.0 => {
                    let ahead = (f64::from_bits(head) - node.clock).max(0.0);
                    Some((node.parent_clock + ahead / exchange).to_bits())
                }
                _ => None,
            };
            let local = self.group_local[group];
            let at_parent = self.at(class, parent);
            let queue = &mut self.nodes[at_parent].queue;
            if queue.key(local) == key {
                break;
            }
            match key {
                Some(key) => queue.set(local, key),
                None => drop(queue.remove(local)),
            }
            at = books.parent(group);
        }
    }

    /// What the first entry of a class still has to go.
    #[inline]
    fn residual(&self, class: usize) -> Option<f64> {
        let root = &self.nodes[self.at(class, 0)];
        root.queue.peek().map(|(key, _)| f64::from_bits(key) - root.clock)
    }

    /// The class, among some, whose first entry has the least to go, and how much that is.
    fn first(&self, classes: &[usize]) -> Option<(f64, usize)> {
        if let [only] = classes {
            return self.residual(*only).map(|residual| (residual, *only));
        }
        let mut best: Option<(f64, usize)> = None;
        for &class in classes {
            if let Some(residual) = self.residual(class)
                && best.is_none_or(|(least, _)| residual < least)
            {
                best = Some((residual, class));
            }
        }
        best
    }
}

impl Draw for Race {
    fn insert(&mut self, books: &Currencies, rng: &mut ChaCha8Rng, owner: TaskIx, class: usize) {
        let draw = if self.flaw == Some(Flaw::UniformKeys) { unit(rng) } else { exponential(rng) };
        let after = draw / books.rate(owner);
        let has_offset = self.flaw != Some(Flaw::NoOffset);
        if let [only] = self.nodes.as_mut_slice() {
            let start = if has_offset { only.clock } else { 0.0 };
            only.queue.set(owner, (start + after).to_bits());
            return;
        }
        let group = books.group_of(owner);
        let node = group.map_or(0, |g| g + 1);
        let start = if has_offset { self.clock(books, class, node) } else { 0.0 };
        let at = self.at(class, node);
        let place = self.place(owner);
        self.nodes[at].queue.set(place, (start + after).to_bits());
        self.update(books, class, group);
    }

    fn remove(&mut self, books: &Currencies, owner: TaskIx, class: usize) {
        let group = books.group_of(owner);
        let at = self.at(class, group.map_or(0, |g| g + 1));
        let place = self.place(owner);
        self.nodes[at].queue.remove(place);
        self.update(books, class, group);
    }

    fn before_change(&mut self, books: &Currencies, group: usize) {
        for class in self.classes() {
            let now = self.clock(books, class, group + 1);
            let parent = self.clock(books, class, books.parent(group).map_or(0, |g| g + 1));
            let at = self.at(class, group + 1);
            let node = &mut self.nodes[at];
            (node.clock, node.parent_clock) = (now, parent);
        }
    }

    fn after_change(&mut self, books: &Currencies, group: usize) {
        for class in self.classes() {
            self.update(books, class, Some(group));
        }
    }

    fn draw(&mut self, books: &Currencies, _rng: &mut ChaCha8Rng, classes: &[usize]) -> Option<TaskIx> {
        if let ([only], [_]) = (self.nodes.as_mut_slice(), classes) {
            let (key, owner) = only.queue.pop()?;
            only.clock += (f64::from_bits(key) - only.clock).max(0.0);
            return Some(owner);
        }
        let (residual, class) = self.first(classes)?;
        for &class in classes {
            let root = self.at(class, 0);
            self.nodes[root].clock += residual.max(0.0);
        }
        let mut node = 0;
        loop {
            let at = self.at(class, node);
            let (_, place) = self.nodes[at].queue.peek()?;
            match self.member(node, place) {
                Member::Group(group) => node = group + 1,
                Member::Owner(owner) => {
                    self.nodes[at].queue.pop();
                    self.update(books, class, books.group_of(owner));
                    return Some(owner);
                }
            }
        }
    }
}
