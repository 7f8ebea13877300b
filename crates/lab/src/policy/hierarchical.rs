//! Hierarchical stride scheduling: stride at every node of a binary tree, so that a task with many tickets is
//! spread evenly among many with few.
//!
//! Source: C. A. Waldspurger, W. E. Weihl, MIT/LCS/TM-528, 1995, section 4.
//!
//! Law. The members of a group stand, in order of declaration, at the leaves of a binary tree of logarithmic
//! height; a group is itself a leaf of its parent's tree. A node's tickets are those of its active leaves (a
//! group's: its weight). An allocation goes from the root down to the child with the smaller pass, ties to
//! the first; service is charged to every node on the way: pass += service/tickets. The absolute error is
//! O(log n) quanta.
//!
//! When the tickets of a node change from t to t′, its remain (pass − the pass its parent's service stands
//! for) is multiplied by t/t′; what runs at that moment is charged first. Arithmetic is that of
//! [`super::stride`].
//!
//! On several CPUs nobody can use more than one. The source has one resource and says nothing of it; here
//! tickets are readjusted as in surplus fair scheduling (A. Chandra and others, OSDI 2000): among the members
//! of a group, whoever would be due more than a CPU (a group: more than its members can use) counts with what
//! makes it just that. So 10:1:1 on two CPUs is 1, ½, ½. Affinity and quotas are not part of the
//! readjustment.

use super::stride::Quotient;
use super::{Arrival, Departure, Pick, Policy};
use crate::machine::{CpuIx, Machine, TaskIx};
use std::collections::BTreeMap;

#[derive(Clone, Debug)]
struct Node {
    parent: Option<usize>,
    kids: Vec<usize>,
    /// The task of a leaf.
    task: Option<TaskIx>,
    /// Tickets while active: of a task or a group. Inner nodes: 0, theirs are the sum of their kids'.
    own: u64,
    /// The same, readjusted.
    due: u64,
    /// A leaf whose task wants the CPU.
    active: bool,
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
    /// Leaves and nodes of groups that stand in each group, the top's first; only where there are several
    /// CPUs.
    members: Vec<Vec<usize>>,
    /// The group whose node this is, as an index into `members`.
    group_of: Vec<Option<usize>>,
    cpus: u32,
    /// Active tasks by their tickets, where there are no groups: who has most is readjusted first.
    active: BTreeMap<u64, u32>,
    /// Sum of the same.
    active_tickets: u64,
    /// Somebody counts with other tickets than its own.
    readjusted: bool,
    /// Part of the slice of each CPU that has been charged.
    charged_ns: Vec<u64>,
    caught_up_ns: u64,
}

impl Hierarchical {
    /// A tree for the tasks and groups of a machine.
    pub fn new(machine: &Machine) -> Self {
        let cpus = machine.cpus().len();
        let mut tree = Self {
            nodes: Vec::new(),
            root: 0,
            leaf: vec![0; machine.tasks().len()],
            members: Vec::new(),
            group_of: Vec::new(),
            cpus: u32::try_from(cpus).unwrap_or(u32::MAX),
            active: BTreeMap::new(),
            active_tickets: 0,
            readjusted: false,
            charged_ns: vec![0; cpus],
            caught_up_ns: 0,
        };
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
        tree.group_of = vec![None; tree.nodes.len()];
        for (index, node) in group_node.iter().enumerate() {
            tree.group_of[*node] = Some(index + 1);
        }
        if cpus > 1 {
            tree.members = members;
        }
        tree
    }

    fn node(&mut self, classes: usize, task: Option<TaskIx>, own: u64) -> usize {
        self.nodes.push(Node {
            parent: None,
            kids: Vec::new(),
            task,
            own,
            due: own,
            active: false,
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

    /// A tree over some nodes; its root. The left half is a full tree, so that a member more at the end
    /// leaves the order of all others as it is.
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
        let leaf = self.leaf[task];
        self.nodes[leaf].active = active;
        if self.cpus > 1 && !self.is_as_declared(leaf, active) {
            self.readjust(0, f64::from(self.cpus));
            self.renew(machine, self.root);
            return;
        }
        let mut at = leaf;
        let mut tickets = if active { self.nodes[at].own } else { 0 };
        loop {
            self.set_tickets(machine, at, tickets);
            let Some(parent) = self.nodes[at].parent else { return };
            tickets = self.tickets_above(parent);
            at = parent;
        }
    }

    /// Whether everybody counts with its own tickets, now and before a task came or went: then only the nodes
    /// above it change. Without groups that is so as long as the task with most tickets is due less than a
    /// CPU.
    fn is_as_declared(&mut self, leaf: usize, active: bool) -> bool {
        if self.members.len() > 1 {
            return false;
        }
        let own = self.nodes[leaf].own;
        let count = self.active.entry(own).or_insert(0);
        if active {
            *count += 1;
            self.active_tickets += own;
        } else {
            *count -= 1;
            self.active_tickets -= own;
            if *count == 0 {
                self.active.remove(&own);
            }
        }
        let most = self.active.last_key_value().map_or(0.0, |(most, _)| *most as f64);
        let is_due_more = most * (f64::from(self.cpus) / self.active_tickets as f64) >= 1.0 + 1e-9;
        let was = std::mem::replace(&mut self.readjusted, is_due_more);
        !was && !is_due_more
    }

    /// Tickets of a node that is no leaf.
    fn tickets_above(&mut self, node: usize) -> u64 {
        let below: u64 = self.nodes[node].kids.iter().map(|kid| self.nodes[*kid].tickets).sum();
        let this = &mut self.nodes[node];
        this.virtual_pass.rest = 0;
        if this.own > 0 && below > 0 { this.due } else { below }
    }

    /// Gives all nodes from here down the tickets that are due to them.
    fn renew(&mut self, machine: &Machine, node: usize) {
        for kid in 0..self.nodes[node].kids.len() {
            self.renew(machine, self.nodes[node].kids[kid]);
        }
        let tickets = match (self.nodes[node].task, self.nodes[node].active) {
            (Some(_), true) => self.nodes[node].due,
            (Some(_), false) => 0,
            (None, _) => self.tickets_above(node),
        };
        self.set_tickets(machine, node, tickets);
    }

    /// CPUs that a member of a group can use.
    fn most(&self, member: usize) -> u32 {
        match self.group_of[member] {
            None => u32::from(self.nodes[member].active),
            Some(group) => {
                self.members[group].iter().map(|inner| self.most(*inner)).sum::<u32>().min(self.cpus)
            }
        }
    }

    /// Divides some CPUs among the members of a group by their tickets, none getting more than it can use,
    /// and so on down.
    fn readjust(&mut self, group: usize, cpus: f64) {
        // Node, tickets, and the most it can use.
        let mut open: Vec<(usize, f64, f64)> = Vec::new();
        for member in &self.members[group] {
            let most = self.most(*member);
            if most > 0 {
                open.push((*member, self.nodes[*member].own as f64, f64::from(most)));
            }
        }
        let all = open.clone();
        let (mut left, mut capped) = (cpus, false);
        let rate = loop {
            if open.is_empty() {
                break f64::INFINITY; // all have what they can use; the sum of no f64 is −0
            }
            let rate = left / open.iter().map(|(_, own, _)| own).sum::<f64>();
            let before = open.len();
            open.retain(|(_, own, most)| {
                let full = own * rate >= most * (1.0 + 1e-9);
                left -= if full { *most } else { 0.0 };
                !full
            });
            if open.len() == before {
                break rate;
            }
            capped = true;
            left = left.max(0.0);
        };
        for (node, own, most) in all {
            let part = (own * rate).min(most);
            // Where nobody is readjusted tickets stay as they are, and exact; otherwise they are parts of a
            // CPU.
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // at most CPUs · 2^32
            let parts = (part * 4_294_967_296.0) as u64;
            self.nodes[node].due = if capped { parts.max(1) } else { self.nodes[node].own };
            if let Some(inner) = self.group_of[node] {
                self.readjust(inner, part);
            }
        }
    }

    /// Charges a CPU's task and the nodes above it.
    fn charge(&mut self, cpu: CpuIx, task: TaskIx, ran_ns: u64) {
        let service = ran_ns - std::mem::replace(&mut self.charged_ns[cpu], ran_ns);
        let mut at = Some(self.leaf[task]).filter(|_| service > 0);
        while let Some(node) = at {
            let this = &mut self.nodes[node];
            let below = if this.own > 0 && this.task.is_none() {
                this.kids.first().map_or(0, |kid| *kid)
            } else {
                node
            };
            let tickets = this.tickets;
            this.pass.add(service, tickets);
            // A group divides its service among its members' tickets and not among its own weight.
            let divided = self.nodes[below].tickets;
            self.nodes[node].virtual_pass.add(service, divided);
            at = self.nodes[node].parent;
        }
    }

    /// Charges everybody who runs up to now: before passes are compared and before tickets change.
    fn catch_up(&mut self, machine: &Machine) {
        if std::mem::replace(&mut self.caught_up_ns, machine.now_ns()) == machine.now_ns() {
            return;
        }
        for cpu in 0..machine.cpus().len() {
            if let Some(task) = machine.cpus()[cpu].task {
                self.charge(cpu, task, machine.ran_ns(cpu));
            }
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
            self.catch_up(machine);
            self.set_active(machine, task, true);
        }
        self.count(task, machine.tasks()[task].class, true);
    }

    fn pick(&mut self, machine: &mut Machine, cpu: CpuIx) -> Option<Pick> {
        self.catch_up(machine);
        self.charged_ns[cpu] = 0;
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

    fn stopped(&mut self, machine: &mut Machine, cpu: CpuIx, task: TaskIx, ran_ns: u64, why: Departure) {
        self.charge(cpu, task, ran_ns);
        if matches!(why, Departure::Blocked | Departure::Ended | Departure::Throttled) {
            self.catch_up(machine);
            self.set_active(machine, task, false);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::laws::slices_of;
    use crate::policy::PolicyKind;
    use crate::scenario::Scenario;

    fn cpus(text: &str) -> Vec<f64> {
        let scenario = Scenario::from_toml(text).unwrap();
        let outcome = slices_of(&scenario, PolicyKind::HierarchicalStride);
        outcome.tasks.iter().map(|task| task.share * f64::from(scenario.cpus)).collect()
    }

    /// B needs 5 ms at half a CPU, 10 ms, and sleeps 10 ms: 5 of 20. A pass that is stale while A runs gives
    /// it 5 of 15.
    #[test]
    fn who_sleeps_gets_half_while_it_is_awake() {
        let got = cpus(
            "name='x'\nduration='60s'\n[[task]]\nname='A'\ntickets=1\n\
             [[task]]\nname='B'\ntickets=1\nrun='5ms'\nsleep='10ms'\n",
        );
        // Within one quantum in 60 s.
        assert!((got[1] - 0.25).abs() < 0.010 / 60.0, "{got:?}");
    }

    /// Nobody can use more than a CPU; what is left of the other is divided by tickets, level by level.
    #[test]
    fn on_several_cpus_it_is_the_entitlement() {
        for (text, due) in [
            ("A 10, B 1, C 1", vec![1.0, 0.5, 0.5]),
            ("A 3, B 2, C 1", vec![1.0, 2.0 / 3.0, 1.0 / 3.0]),
            ("A 5, B 4, C 1", vec![1.0, 0.8, 0.2]),
            ("A 1, B 1, C 1, D 1, E 1", vec![0.4; 5]),
        ] {
            let tasks = text.split(", ").map(|task| {
                let (name, tickets) = task.split_once(' ').unwrap();
                format!("[[task]]\nname='{name}'\ntickets={tickets}\n")
            });
            let got = cpus(&format!("name='x'\ncpus=2\nduration='60s'\n{}", tasks.collect::<String>()));
            for (got_one, due) in got.iter().zip(&due) {
                assert!((got_one - due).abs() < 0.001, "{text}: {got:?}");
            }
        }
        // The group has one member and can use one CPU of its two thirds of two; the others share the second.
        let got = cpus(
            "name='x'\ncpus=2\nduration='60s'\n[[group]]\nname='g'\nweight=4\n[[task]]\nname='in'\ngroup='g'\n\
             [[task]]\nname='a'\ntickets=1\n[[task]]\nname='b'\ntickets=1\n",
        );
        assert!(got.iter().zip([1.0, 0.5, 0.5]).all(|(got, due)| (got - due).abs() < 0.001), "{got:?}");
    }
}
