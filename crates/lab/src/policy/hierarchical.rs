//! Hierarchical stride scheduling: stride at every node of a binary tree, so that a task with many tickets is spread
//! evenly among many with few.
//!
//! Source: C. A. Waldspurger, W. E. Weihl, MIT/LCS/TM-528, 1995, section 4.
//!
//! Law. The members of a group stand, in order of declaration, at the leaves of a binary tree of logarithmic height; a group is
//! itself a leaf of its parent's tree. A node's tickets are those of its active leaves (a group's: its weight). An
//! allocation goes from the root down to the child with the smaller pass, ties to the first; service is charged to
//! every node on the way: pass += service/tickets. The absolute error is O(log n) quanta.
//!
//! When the tickets of a node change from t to t′, its remain (pass − the pass its parent's service stands for) is
//! multiplied by t/t′. Arithmetic is exact as in [`super::stride`], but for one rounding of 2⁻⁴⁰ ns at each such change.

use super::stride::Quotient;
use super::{Arrival, Departure, Pick, Policy};
use crate::machine::{CpuIx, Machine, TaskIx};

#[derive(Clone, Debug)]
struct Node {
    parent: Option<usize>,
    kids: Vec<usize>,
    /// The task of a leaf.
    task: Option<TaskIx>,
    /// Tickets while active: of a task or a group. Inner nodes: 0, theirs are the sum of their kids'.
    own: u64,
    /// Tickets now; 0 = nobody below is active.
    tickets: u64,
    pass: Quotient,
    /// Service owed (negative) or had in advance while inactive, in pass units × tickets.
    owed: i128,
    joined: bool,
    /// What the node's service stands for: the pass of a kid that is exactly served.
    virtual_pass: Quotient,
    /// Queued tasks below, by affinity class.
    queued: Vec<u32>,
}

/// The hierarchical stride policy.
pub struct Hierarchical {
    nodes: Vec<Node>,
    root: usize,
    leaf: Vec<usize>,
}

impl Hierarchical {
    /// A tree for the tasks and groups of a machine.
    pub fn new(machine: &Machine) -> Self {
        let mut tree = Self { nodes: Vec::new(), root: 0, leaf: vec![0; machine.tasks().len()] };
        let classes = machine.class_count();
        let mut members = vec![Vec::new(); machine.groups().len() + 1];
        let mut group_node = vec![0; machine.groups().len()];
        for (index, group) in machine.groups().iter().enumerate() {
            group_node[index] = tree.node(classes, None, group.weight);
            members[group.parent.map_or(0, |g| g + 1)].push(group_node[index]);
        }
        for (index, task) in machine.tasks().iter().enumerate() {
            let leaf = tree.node(classes, Some(index), task.tickets);
            tree.leaf[index] = leaf;
            members[task.group.map_or(0, |g| g + 1)].push(leaf);
        }
        for (index, group) in group_node.iter().enumerate() {
            if !members[index + 1].is_empty() {
                let top = tree.balance(classes, &members[index + 1]);
                tree.adopt(*group, top);
            }
        }
        tree.root = tree.balance(classes, &members[0]);
        tree
    }

    fn node(&mut self, classes: usize, task: Option<TaskIx>, own: u64) -> usize {
        self.nodes.push(Node {
            parent: None,
            kids: Vec::new(),
            task,
            own,
            tickets: 0,
            pass: Quotient::default(),
            owed: 0,
            joined: false,
            virtual_pass: Quotient::default(),
            queued: vec![0; classes],
        });
        self.nodes.len() - 1
    }

    fn adopt(&mut self, parent: usize, kid: usize) {
        self.nodes[kid].parent = Some(parent);
        self.nodes[parent].kids.push(kid);
    }

    /// A tree over some nodes; its root. The left half is a full tree, so that a member more at the end leaves the order
    /// of all others as it is.
    fn balance(&mut self, classes: usize, members: &[usize]) -> usize {
        if let [only] = members {
            return *only;
        }
        let top = self.node(classes, None, 0);
        let (left, right) = members.split_at(members.len().div_ceil(2).next_power_of_two());
        for half in [left, right] {
            if !half.is_empty() {
                let kid = self.balance(classes, half);
                self.adopt(top, kid);
            }
        }
        top
    }

    fn count(&mut self, task: TaskIx, class: usize, joins: bool) {
        let mut at = Some(self.leaf[task]);
        while let Some(node) = at {
            let queued = &mut self.nodes[node].queued[class];
            *queued = if joins { *queued + 1 } else { *queued - 1 };
            at = self.nodes[node].parent;
        }
    }

    /// Gives a leaf its tickets, or takes them, and changes the nodes above it.
    fn set_active(&mut self, machine: &Machine, task: TaskIx, active: bool) {
        let mut at = self.leaf[task];
        let mut tickets = if active { self.nodes[at].own } else { 0 };
        loop {
            self.set_tickets(machine, at, tickets);
            let Some(parent) = self.nodes[at].parent else { return };
            let below: u64 = self.nodes[parent].kids.iter().map(|kid| self.nodes[*kid].tickets).sum();
            let own = self.nodes[parent].own;
            tickets = if own > 0 && below > 0 { own } else { below };
            at = parent;
        }
    }

    fn set_tickets(&mut self, machine: &Machine, node: usize, tickets: u64) {
        let base = self.nodes[node].parent.map_or(0, |p| self.nodes[p].virtual_pass.whole);
        let this = &mut self.nodes[node];
        if this.tickets == tickets {
            return;
        }
        if this.tickets > 0 {
            this.owed = (this.pass.whole - base) * i128::from(this.tickets);
        }
        let mut start = Quotient::default();
        if tickets > 0 {
            if std::mem::replace(&mut this.joined, true) {
                start.whole = base + this.owed / i128::from(tickets);
            } else {
                // A new node has yet to wait for its first quantum: remain = stride.
                start.add(machine.quantum_ns, tickets);
                start.whole += base;
            }
            this.pass = start;
        }
        this.tickets = tickets;
    }
}

impl Policy for Hierarchical {
    fn enqueue(&mut self, machine: &mut Machine, task: TaskIx, why: Arrival) {
        if !matches!(why, Arrival::Expired | Arrival::Preempted) {
            self.set_active(machine, task, true);
        }
        self.count(task, machine.tasks()[task].class, true);
    }

    fn pick(&mut self, machine: &mut Machine, cpu: CpuIx) -> Option<Pick> {
        let classes = machine.classes_of(cpu);
        let has_queued = |node: &Node| classes.iter().any(|class| node.queued[*class] > 0);
        let mut at = self.root;
        if !has_queued(&self.nodes[at]) {
            return None;
        }
        let task = loop {
            if let Some(task) = self.nodes[at].task {
                break task;
            }
            let kids = self.nodes[at].kids.iter().copied().filter(|kid| has_queued(&self.nodes[*kid]));
            at = kids.min_by_key(|kid| self.nodes[*kid].pass.whole)?;
        };
        self.count(task, machine.tasks()[task].class, false);
        Some(Pick { task, slice_ns: machine.quantum_ns })
    }

    fn stopped(&mut self, machine: &mut Machine, _cpu: CpuIx, task: TaskIx, ran_ns: u64, why: Departure) {
        let mut at = Some(self.leaf[task]);
        while let Some(node) = at {
            let this = &mut self.nodes[node];
            let below = if this.own > 0 && this.task.is_none() {
                this.kids.first().map_or(0, |kid| *kid)
            } else {
                node
            };
            let tickets = this.tickets;
            this.pass.add(ran_ns, tickets);
            // A group divides its service among its members' tickets and not among its own weight.
            let divided = self.nodes[below].tickets;
            self.nodes[node].virtual_pass.add(ran_ns, divided);
            at = self.nodes[node].parent;
        }
        if matches!(why, Departure::Blocked | Departure::Ended | Departure::Throttled) {
            self.set_active(machine, task, false);
        }
    }
}
