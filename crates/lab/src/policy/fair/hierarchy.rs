//! Run queues of the fair class: one for each CPU and group, and an entity for each of them in the queue
//! above.
//!
//! An entity is a task, or a group on one CPU. Its weight is that of the task, or the group's shares times
//! the load of its queue on this CPU, divided by the load of its queues on all CPUs (`calc_group_shares`);
//! the load of a queue is the weight of those who want the CPU there, now.

use crate::heap::IndexedHeap;
use crate::machine::{CpuIx, Machine, TaskIx};
use crate::policy::eevdf::Average;
use crate::policy::stride::{Quotient, common_factor};
use std::collections::BTreeMap;

/// Index of an entity: the tasks come first, then the groups, CPU by CPU.
pub(super) type EntityIx = usize;

/// Weights are finer than tickets by this, as in the kernel (`scale_load`): parts of a group's shares stay
/// exact enough.
const SCALE_LOAD: u64 = 1 << 10;
/// Weight of a task of nice 0.
const NICE_0: u64 = 1024;
/// Least weight of a group's entity (`MIN_SHARES`).
const MIN_SHARES: u64 = 2;

#[derive(Clone, Copy, Debug)]
pub(super) struct Entity {
    pub(super) weight: u64,
    pub(super) v: Quotient,
    /// EEVDF: w·(V − v) while away.
    pub(super) lag: i128,
    pub(super) deadline: i128,
    /// Service of the present request, and its length.
    pub(super) served_ns: u64,
    pub(super) request_ns: u64,
    /// Length of its next request: a task's own, or the shortest of a group's members (`cfs_rq_min_slice`).
    pub(super) slice_ns: u64,
    /// Keeps the CPU while it is eligible (`RUN_TO_PARITY`): from its choice until somebody with a shorter
    /// slice comes.
    pub(super) shielded: bool,
    /// A task that has never run. Groups are never new: their queues are there before their tasks.
    pub(super) is_new: bool,
    /// Wants the CPU: counted in its queue.
    pub(super) member: bool,
}

#[derive(Clone, Debug)]
pub(super) struct RunQueue {
    /// Those who wait: the running one is not in it.
    pub(super) by_v: IndexedHeap<i128>,
    /// Weight and average of those who wait or run.
    pub(super) average: Average,
    /// Least v: never goes back.
    pub(super) floor: i128,
    pub(super) members: u64,
    /// How many members have a slice of each length; empty while all have the same.
    slices: BTreeMap<u64, u32>,
}

/// All queues of a machine.
pub(super) struct Hierarchy {
    /// Weight of nice 0, in the unit of the entities.
    pub(super) nice_0: u64,
    cpus: usize,
    /// The root and the groups: 0 is the root, g + 1 is group g.
    nodes: usize,
    tasks: usize,
    parents: Vec<usize>,
    shares: Vec<u64>,
    node_of: Vec<usize>,
    /// Some task has a slice of its own.
    has_requests: bool,
    pub(super) entities: Vec<Entity>,
    pub(super) queues: Vec<RunQueue>,
}

impl RunQueue {
    fn drop_slice(&mut self, slice_ns: u64) {
        if let Some(count) = self.slices.get_mut(&slice_ns) {
            *count -= 1;
            if *count == 0 {
                self.slices.remove(&slice_ns);
            }
        }
    }
}

impl Hierarchy {
    /// `slice_ns`: of every task; a group begins with `base_ns`.
    pub(super) fn new(machine: &Machine, base_ns: u64, slice_ns: impl Fn(TaskIx) -> u64) -> Self {
        let node = |group: Option<usize>| group.map_or(0, |g| g + 1);
        let (cpus, nodes) = (machine.cpus().len(), machine.groups().len() + 1);
        let entity = |weight: u64, slice_ns, is_new| Entity {
            weight,
            v: Quotient::default(),
            lag: 0,
            deadline: 0,
            served_ns: 0,
            request_ns: slice_ns,
            slice_ns,
            shielded: false,
            is_new,
            member: false,
        };
        // Without groups no weight is divided, and what all have in common is left out, so that v is exact
        // more often.
        let unit = if machine.groups().is_empty() { SCALE_LOAD * common_factor(machine, NICE_0) } else { 1 };
        let tasks = machine.tasks().iter().enumerate();
        let tasks = tasks.map(|(i, t)| entity(t.tickets * SCALE_LOAD / unit, slice_ns(i), true));
        let groups = machine.groups().iter();
        let groups = groups.flat_map(|g| vec![entity(g.weight * SCALE_LOAD, base_ns, false); cpus]);
        let queue = RunQueue {
            by_v: IndexedHeap::new(0),
            average: Average::default(),
            floor: 0,
            members: 0,
            slices: BTreeMap::new(),
        };
        Self {
            has_requests: (0..machine.tasks().len()).any(|task| slice_ns(task) != base_ns),
            nice_0: NICE_0 * SCALE_LOAD / unit,
            cpus,
            nodes,
            tasks: machine.tasks().len(),
            parents: std::iter::once(0).chain(machine.groups().iter().map(|g| node(g.parent))).collect(),
            shares: std::iter::once(0)
                .chain(machine.groups().iter().map(|g| g.weight * SCALE_LOAD))
                .collect(),
            node_of: machine.tasks().iter().map(|t| node(t.group)).collect(),
            entities: tasks.chain(groups).collect(),
            queues: vec![queue; cpus * nodes],
        }
    }

    pub(super) fn has_groups(&self) -> bool {
        self.nodes > 1
    }

    /// The queues of a CPU, the root first.
    pub(super) fn queues_of(&self, cpu: CpuIx) -> std::ops::Range<usize> {
        cpu * self.nodes..(cpu + 1) * self.nodes
    }

    /// The queue an entity belongs to on a CPU.
    pub(super) fn queue(&self, entity: EntityIx, cpu: CpuIx) -> usize {
        let node = match entity.checked_sub(self.tasks) {
            None => self.node_of[entity],
            Some(group) => self.parents[group / self.cpus + 1],
        };
        cpu * self.nodes + node
    }

    /// The entity whose members are in a queue; `None` for a root.
    pub(super) fn owner(&self, queue: usize) -> Option<EntityIx> {
        let (cpu, node) = (queue / self.nodes, queue % self.nodes);
        Some(self.tasks + node.checked_sub(1)? * self.cpus + cpu)
    }

    /// The queue of a group's members; `None` for a task.
    pub(super) fn members(&self, entity: EntityIx) -> Option<usize> {
        let group = entity.checked_sub(self.tasks)?;
        Some(group % self.cpus * self.nodes + group / self.cpus + 1)
    }

    /// The entity above an entity on a CPU.
    pub(super) fn above(&self, entity: EntityIx, cpu: CpuIx) -> Option<EntityIx> {
        self.owner(self.queue(entity, cpu))
    }

    /// Whether an entity is a task or one of the groups it is in, on a CPU.
    pub(super) fn is_on_path(&self, entity: EntityIx, task: TaskIx, cpu: CpuIx) -> bool {
        let mut at = Some(task);
        while let Some(here) = at {
            if here == entity {
                return true;
            }
            at = self.above(here, cpu);
        }
        false
    }

    /// Counts an entity in its queue, where its v says.
    pub(super) fn join(&mut self, entity: EntityIx, queue: usize) {
        let Entity { weight, v, member, slice_ns, .. } = &mut self.entities[entity];
        *member = true;
        let queue = &mut self.queues[queue];
        queue.average.join(*weight, *v);
        queue.members += 1;
        if self.has_requests {
            *queue.slices.entry(*slice_ns).or_default() += 1;
        }
    }

    /// Counts an entity no more.
    pub(super) fn depart(&mut self, entity: EntityIx, queue: usize) {
        let Entity { weight, v, member, slice_ns, .. } = &mut self.entities[entity];
        *member = false;
        let queue = &mut self.queues[queue];
        queue.drop_slice(*slice_ns);
        queue.by_v.remove(entity);
        queue.average.leave(*weight, *v);
        queue.members -= 1;
        if queue.members == 0 {
            queue.floor = queue.floor.max(v.whole);
        }
    }

    /// A group's entity has the shortest slice of its members, so that it serves them in the time they ask
    /// for. The request it is at stays as it is.
    pub(super) fn renew_slice(&mut self, entity: EntityIx, cpu: CpuIx) {
        let Some(members) = self.members(entity).filter(|_| self.has_requests) else { return };
        let Some((&shortest, _)) = self.queues[members].slices.first_key_value() else { return };
        let queue = self.queue(entity, cpu);
        let Entity { slice_ns, member, .. } = &mut self.entities[entity];
        let before = std::mem::replace(slice_ns, shortest);
        if *member {
            let queue = &mut self.queues[queue];
            queue.drop_slice(before);
            *queue.slices.entry(shortest).or_default() += 1;
        }
    }

    /// Whether some task has a slice of its own.
    pub(super) fn has_requests(&self) -> bool {
        self.has_requests
    }

    /// Where the paths of two tasks of a CPU to its root first come to one queue: the entities of both there
    /// (`find_matching_se`).
    pub(super) fn rivals(&self, one: TaskIx, other: TaskIx, cpu: CpuIx) -> Option<(EntityIx, EntityIx)> {
        let path = |task: TaskIx| std::iter::successors(Some(task), move |at| self.above(*at, cpu));
        path(one).find_map(|mine| {
            let same = |at: &EntityIx| self.queue(*at, cpu) == self.queue(mine, cpu);
            path(other).find(same).filter(|theirs| *theirs != mine).map(|theirs| (mine, theirs))
        })
    }

    /// Gives the entities of a group their weights anew: the load of its queues has changed. `keep_lag` moves
    /// v and deadline so that service owed, and service still to be had before the deadline, stay what they
    /// were.
    pub(super) fn reweigh(&mut self, queue: usize, keep_lag: bool) {
        let node = queue % self.nodes;
        let load = |cpu: usize| self.queues[cpu * self.nodes + node].average.weight;
        let total: i128 = (0..self.cpus).map(load).sum();
        for cpu in 0..self.cpus {
            let load = self.queues[cpu * self.nodes + node].average.weight;
            if load == 0 {
                continue;
            }
            let Some(entity) = self.owner(cpu * self.nodes + node) else { return };
            let part = i128::from(self.shares[node]) * load / total;
            let weight = u64::try_from(part).unwrap_or(u64::MAX).max(MIN_SHARES);
            self.set_weight(entity, self.queue(entity, cpu), weight, keep_lag);
        }
    }

    fn set_weight(&mut self, index: EntityIx, queue: usize, weight: u64, keep_lag: bool) {
        let entity = &mut self.entities[index];
        let old = std::mem::replace(&mut entity.weight, weight);
        if old == weight || !entity.member {
            return;
        }
        let queue = &mut self.queues[queue];
        let now = queue.average.value();
        queue.average.leave(old, entity.v);
        // The fraction of v is in parts of the weight.
        entity.v.rest =
            u64::try_from(u128::from(entity.v.rest) * u128::from(weight) / u128::from(old)).unwrap_or(0);
        if keep_lag {
            let (was, is) = (i128::from(old), i128::from(weight));
            // The product may be beyond 2^127: whole and remainder apart.
            let scaled = |distance: i128| (distance / is).saturating_mul(was) + distance % is * was / is;
            let left = scaled(entity.deadline - entity.v.whole);
            entity.v.whole = now - scaled(now - entity.v.whole);
            entity.deadline = entity.v.whole + left;
            if queue.by_v.key(index).is_some() {
                queue.by_v.set(index, entity.v.whole);
            }
        }
        queue.average.join(weight, entity.v);
    }

    /// The part of some time that an entity has of its queue, of the group's part in the queue above, and so
    /// on; counted as if it were there.
    pub(super) fn portion(&self, entity: EntityIx, cpu: CpuIx, of_ns: u64) -> u64 {
        let (mut part, mut at) = (of_ns, Some(entity));
        while let Some(here) = at {
            let Entity { weight, member, .. } = self.entities[here];
            let queue = self.queue(here, cpu);
            let coming = if member { 0 } else { i128::from(weight) };
            let whole = u128::try_from(self.queues[queue].average.weight + coming).unwrap_or(1).max(1);
            part = u64::try_from(u128::from(part) * u128::from(weight) / whole).unwrap_or(part);
            at = self.owner(queue);
        }
        part
    }

    /// The weight of an entity at the root of a CPU: its part of the weight of each group above
    /// (`task_h_load`); counted as if it were there.
    pub(super) fn root_weight(&self, entity: EntityIx, cpu: CpuIx) -> f64 {
        let (mut weight, mut at) = (self.entities[entity].weight as f64, entity);
        while let Some(group) = self.above(at, cpu) {
            let Entity { weight: own, member, .. } = self.entities[at];
            let coming = if member { 0 } else { i128::from(own) };
            let members = self.queues[self.queue(at, cpu)].average.weight + coming;
            weight *= self.entities[group].weight as f64 / members as f64;
            at = group;
        }
        weight
    }

    pub(super) fn raise_floor(&mut self, queue: usize, running: i128) {
        let queue = &mut self.queues[queue];
        let least = queue.by_v.peek().map_or(running, |(head, _)| head.min(running));
        queue.floor = queue.floor.max(least);
    }
}
