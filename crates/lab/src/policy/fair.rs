//! The Linux fair class on run queues of its own for each CPU: CFS (2.6.23 to 6.5) and EEVDF (6.6 and later).
//!
//! Source: kernel/sched/fair.c of Linux 6.5 (`check_preempt_tick`, `wakeup_preempt_entity`, `place_entity`,
//! `calc_group_shares`) and of Linux 6.12 (`pick_eevdf`, `place_entity`, `update_deadline`,
//! `reweight_entity`, `RUN_TO_PARITY`, `PLACE_LAG`).
//!
//! Law common to both. vruntime v += ran·1024/weight; every CPU has its own queue. A new task goes to the
//! allowed CPU with the least weight; one that wakes to its last CPU if that idles, else to the first idle
//! one it may use, else to its last. A CPU that would idle pulls a waiting task from the most loaded queue.
//! - **CFS**: run the least v. A slice is period·w/W, where the period is 6 ms (or .75 ms a task when there
//!   are more than eight), times 1 + ⌊log₂ CPUs⌋. One that wakes keeps its v, but is placed at least at min v
//!   − half a latency, and preempts if its v is less by more than a wakeup granularity of 1 ms·factor, in its
//!   own weight.
//! - **EEVDF**: run the eligible task (v ≤ V, the weighted average of its queue) with the earliest deadline
//!   v + slice/w; base slice .70 ms · (1 + ⌊log₂ CPUs⌋), CPUs counted up to 8. Lag is kept over sleep, within
//!   twice the slice or a tick. The running task gives way when its slice is served; one that wakes with an
//!   earlier deadline takes the CPU before that only if the running task is past parity (no longer eligible),
//!   or has the longer slice (`PREEMPT_SHORT`).
//! - **Slices of one's own** (`request`; `sched_attr.sched_runtime` since Linux 6.12): within .1 to 100 ms
//!   (`__setparam_fair`), of EEVDF alone. A group's entity has the shortest of its members' from its next
//!   request on (`cfs_rq_min_slice`).
//! - **Groups** (`hierarchy.rs`): every group has a queue on every CPU, and there an entity in the queue
//!   above. The choice descends from the root by the same rule at every level; what a task runs is charged to
//!   it and to the entities above. A CFS slice is the period times w/W of every level; an EEVDF slice ends
//!   with the first request on the path that is served.
//!
//! - **Balancing** (`balance.rs`): a busy CPU looks from time to time, whether another has more than
//!   its part, and pulls waiting tasks from there.
//!
//! Left out: NUMA and cache topology, delayed dequeue. The load of which a group's entity gets its weight is
//! that of the moment, known on all CPUs at once, not the decaying average that each CPU adds its part to
//! from time to time (PELT). Slices end at ticks if the scenario has one, as in the kernel without `HRTICK`.

mod balance;
mod hierarchy;

use super::stride::Quotient;
use super::{Arrival, Departure, Pick, Policy};
use crate::machine::{CpuIx, Machine, TaskIx};
use crate::scenario::Scenario;
use balance::{Balancer, Burden, imbalance};
use hierarchy::{EntityIx, Hierarchy};

/// Bounds of a slice that a task asks for (`__setparam_fair`).
const SHORTEST_NS: u64 = 100_000;
const LONGEST_NS: u64 = 100_000_000;

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Generation {
    /// The completely fair scheduler.
    Cfs,
    /// Earliest eligible virtual deadline first.
    Eevdf,
}

/// The fair class.
pub struct Fair {
    generation: Generation,
    tree: Hierarchy,
    /// CPU each task belongs to, or did when it last wanted one.
    home: Vec<CpuIx>,
    lanes: Vec<Lane>,
    balancer: Balancer,
    /// Who has come since somebody's preemption was last thought of; empty while all slices are the same.
    came: Vec<TaskIx>,
    /// CFS: minimum granularity, EEVDF: base slice.
    slice_ns: u64,
    /// Of CFS alone, like the next.
    latency_ns: u64,
    wakeup_ns: u64,
}

/// What the policy knows of a CPU.
#[derive(Clone, Copy, Debug, Default)]
struct Lane {
    running: Option<TaskIx>,
    /// Part of the present slice that has been charged.
    charged_ns: u64,
    /// Tasks that wait or run here, at whatever depth.
    tasks: u64,
}

impl Fair {
    /// For a machine.
    pub fn new(machine: &Machine, scenario: &Scenario, generation: Generation) -> Self {
        let cpus = machine.cpus().len();
        let factor = 1 + u64::from(cpus.min(8).ilog2());
        let slice_ns = factor * if generation == Generation::Cfs { 750_000 } else { 700_000 };
        let own_slice = |task: TaskIx| match scenario.tasks[machine.tasks()[task].entry].request_ns {
            request_ns if request_ns > 0 && generation == Generation::Eevdf => {
                request_ns.clamp(SHORTEST_NS, LONGEST_NS)
            }
            _ => slice_ns,
        };
        Self {
            generation,
            tree: Hierarchy::new(machine, slice_ns, own_slice),
            home: vec![0; machine.tasks().len()],
            lanes: vec![Lane::default(); cpus],
            balancer: Balancer::new(cpus, machine.tasks().len(), machine.tick_ns),
            came: Vec::new(),
            slice_ns,
            latency_ns: factor * 6_000_000,
            wakeup_ns: factor * 1_000_000,
        }
    }

    /// `ns` of service in the virtual time of a weight.
    fn virtual_ns(ns: u64, weight: u64) -> i128 {
        let mut v = Quotient::default();
        v.add(ns, weight);
        v.whole
    }

    /// Charges what a CPU's task has run since it was last charged, before anything is compared with it.
    fn catch_up(&mut self, machine: &Machine, cpu: CpuIx) {
        if let (Some(task), Some(_)) = (self.lanes[cpu].running, machine.cpus()[cpu].task) {
            self.charge(cpu, task, machine.ran_ns(cpu));
        }
    }

    /// The same on every CPU whose weights a change here may move.
    fn catch_up_before_change(&mut self, machine: &Machine, cpu: CpuIx) {
        if self.tree.has_groups() {
            (0..self.lanes.len()).for_each(|cpu| self.catch_up(machine, cpu));
        } else {
            self.catch_up(machine, cpu);
        }
    }

    fn charge(&mut self, cpu: CpuIx, task: TaskIx, ran_ns: u64) {
        let service = ran_ns - self.lanes[cpu].charged_ns;
        if service == 0 {
            return;
        }
        self.lanes[cpu].charged_ns = ran_ns;
        let mut at = Some(task);
        while let Some(index) = at {
            let queue = self.tree.queue(index, cpu);
            let average = &mut self.tree.queues[queue].average;
            let entity = &mut self.tree.entities[index];
            average.leave(entity.weight, entity.v);
            entity.v.add(service, entity.weight);
            average.join(entity.weight, entity.v);
            entity.served_ns += service;
            if entity.served_ns >= entity.request_ns {
                entity.served_ns = 0;
                entity.request_ns = entity.slice_ns;
                entity.deadline = entity.v.whole + Self::virtual_ns(entity.request_ns, entity.weight);
            }
            let v = entity.v.whole;
            self.tree.raise_floor(queue, v);
            at = self.tree.owner(queue);
        }
    }

    fn choose_cpu(&self, machine: &Machine, task: TaskIx) -> CpuIx {
        let view = &machine.tasks()[task];
        let cpus = machine.class_cpus(view.class);
        let idle = |cpu: CpuIx| machine.cpus()[cpu].task.is_none() && self.lanes[cpu].tasks == 0;
        match view.last_cpu {
            Some(last) if idle(last) => last,
            Some(last) => cpus.iter().copied().find(|cpu| idle(*cpu)).unwrap_or(last),
            None => {
                let root = |cpu: CpuIx| self.tree.queues_of(cpu).start;
                let load = |cpu: CpuIx| self.tree.queues[root(cpu)].average.weight;
                cpus.iter().copied().min_by_key(|&cpu| (load(cpu), self.lanes[cpu].tasks, cpu)).unwrap_or(0)
            }
        }
    }

    /// Where an entity stands when it comes to a queue; `before` is the queue on the CPU where it was last.
    fn place(&mut self, index: EntityIx, cpu: CpuIx, queue: usize, before: usize) {
        let mut entity = self.tree.entities[index];
        let (floor, left) = (self.tree.queues[queue].floor, self.tree.queues[before].floor);
        let average = self.tree.queues[queue].average;
        match self.generation {
            Generation::Cfs if entity.is_new => {
                // START_DEBIT: a new task has had its first slice, so that forking gains nothing.
                let alone = self.tree.queues[queue].members == 0;
                let debit = if alone { 0 } else { self.tree.portion(index, cpu, self.latency_ns) };
                entity.v.whole = floor + Self::virtual_ns(debit, entity.weight);
            }
            Generation::Cfs => {
                // Not further behind the floor than half a latency (GENTLE_FAIR_SLEEPERS).
                let half = Self::virtual_ns(self.latency_ns / 2, self.tree.nice_0);
                entity.v.whole = (entity.v.whole - left + floor).max(floor - half);
            }
            Generation::Eevdf => {
                entity.v.whole =
                    if average.weight == 0 { floor } else { average.place(entity.weight, entity.lag) };
                entity.request_ns = entity.slice_ns;
                if entity.is_new {
                    entity.request_ns /= 2; // PLACE_DEADLINE_INITIAL: half a slice, to get into the competition
                }
                entity.deadline = entity.v.whole + Self::virtual_ns(entity.request_ns, entity.weight);
                entity.served_ns = 0;
            }
        }
        entity.is_new = false;
        self.tree.entities[index] = entity;
    }

    /// A task comes to a CPU, and with it the entities of its groups that are not there yet.
    fn insert(&mut self, machine: &Machine, task: TaskIx, cpu: CpuIx) {
        self.catch_up_before_change(machine, cpu);
        if self.tree.entities[task].is_new {
            self.balancer.born(task, machine.now_ns());
        } else {
            self.balancer.turn(task, machine.now_ns(), false);
        }
        self.balancer.touch(task);
        let before = std::mem::replace(&mut self.home[task], cpu);
        self.lanes[cpu].tasks += 1;
        let mut at = Some(task);
        while let Some(entity) = at {
            let queue = self.tree.queue(entity, cpu);
            self.tree.renew_slice(entity, cpu);
            if !self.tree.entities[entity].member {
                // A group's entity never leaves its CPU.
                let before = if entity == task { self.tree.queue(task, before) } else { queue };
                self.place(entity, cpu, queue, before);
                self.tree.join(entity, queue);
                self.tree.queues[queue].by_v.set(entity, self.tree.entities[entity].v.whole);
            }
            self.tree.reweigh(queue, self.generation == Generation::Eevdf);
            at = self.tree.owner(queue);
        }
    }

    /// A task leaves its CPU's queues, and with it the entities of groups that have nobody else there.
    fn remove(&mut self, machine: &Machine, task: TaskIx) {
        let cpu = self.home[task];
        self.catch_up_before_change(machine, cpu);
        self.balancer.turn(task, machine.now_ns(), true);
        self.lanes[cpu].tasks -= 1;
        let mut at = Some(task);
        while let Some(index) = at {
            let queue = self.tree.queue(index, cpu);
            if self.tree.members(index).is_none_or(|members| self.tree.queues[members].members == 0) {
                let now = self.tree.queues[queue].average.value();
                let entity = &mut self.tree.entities[index];
                let most = Self::virtual_ns((2 * entity.slice_ns).max(machine.tick_ns), entity.weight);
                entity.lag = i128::from(entity.weight) * (now - entity.v.whole).clamp(-most, most);
                self.tree.depart(index, queue);
            } else {
                self.tree.renew_slice(index, cpu);
            }
            self.tree.reweigh(queue, self.generation == Generation::Eevdf);
            at = self.tree.owner(queue);
        }
        self.put_back(task, cpu);
    }

    /// The groups of a task wait again, unless the CPU runs one of their tasks.
    fn put_back(&mut self, task: TaskIx, cpu: CpuIx) {
        let mut at = self.tree.above(task, cpu);
        while let Some(group) = at {
            let runs =
                self.lanes[cpu].running.is_some_and(|running| self.tree.is_on_path(group, running, cpu));
            let queue = self.tree.queue(group, cpu);
            if self.tree.entities[group].member && !runs {
                self.tree.queues[queue].by_v.set(group, self.tree.entities[group].v.whole);
            }
            at = self.tree.owner(queue);
        }
    }

    /// Moves a waiting task here from the most loaded CPU that has one that may run here.
    fn pull(&mut self, machine: &Machine, cpu: CpuIx) -> bool {
        let waiting = |other: CpuIx| self.lanes[other].tasks > u64::from(self.lanes[other].running.is_some());
        let mut from: Vec<CpuIx> = (0..self.lanes.len()).filter(|other| waiting(*other)).collect();
        from.sort_by_key(|other| {
            (-self.tree.queues[self.tree.queues_of(*other).start].average.weight, *other)
        });
        let task = from.into_iter().flat_map(|other| self.tree.queues_of(other)).find_map(|queue| {
            let waiting = self.tree.queues[queue].by_v.iter();
            let tasks = waiting.filter(|(_, entity)| self.tree.members(*entity).is_none());
            tasks.filter(|(_, task)| machine.allows(*task, cpu)).min().map(|(_, task)| task)
        });
        let Some(task) = task else { return false };
        self.migrate(machine, task, cpu);
        true
    }

    fn migrate(&mut self, machine: &Machine, task: TaskIx, to: CpuIx) {
        self.remove(machine, task);
        self.insert(machine, task, to);
    }

    fn balance_when_due(&mut self, machine: &Machine, cpu: CpuIx) {
        if self.lanes[cpu].tasks > 0 && self.balancer.is_due(cpu, machine.now_ns()) {
            self.balance(machine, cpu);
        }
    }

    /// A busy CPU takes from another what that has above its part.
    fn balance(&mut self, machine: &Machine, cpu: CpuIx) {
        let now = machine.now_ns();
        let mut loads: Vec<Burden> =
            self.lanes.iter().map(|lane| Burden { tasks: lane.tasks, ..Burden::default() }).collect();
        for (task, home) in self.home.iter().enumerate().filter(|(task, _)| !self.tree.entities[*task].is_new)
        {
            let part = self.balancer.part(task, now, self.tree.entities[task].member);
            loads[*home].wants += part;
            loads[*home].load += part * self.tree.root_weight(task, *home);
        }
        let others = (1..loads.len()).map(|step| (cpu + step) % loads.len());
        let busiest = others
            .filter_map(|from| {
                let wanted = imbalance(&loads, from, cpu)?;
                let tasks = self.movable(machine, from, cpu);
                (!tasks.is_empty()).then_some((from, wanted, tasks))
            })
            .reduce(|best, other| if loads[other.0].load > loads[best.0].load { other } else { best });
        let Some((from, mut wanted, tasks)) = busiest else {
            return self.balancer.looked(cpu, now, None);
        };
        let mut moved = false;
        for task in tasks {
            let load = self.balancer.part(task, now, true) * self.tree.root_weight(task, from);
            if self.balancer.counted(cpu, load) <= wanted {
                self.migrate(machine, task, cpu);
                moved = true;
                wanted -= load;
                if wanted <= 0.0 {
                    break;
                }
            }
        }
        self.balancer.looked(cpu, now, Some(moved));
    }

    /// Tasks that wait on a CPU and may run on another, who has not run for longest first.
    fn movable(&self, machine: &Machine, from: CpuIx, to: CpuIx) -> Vec<TaskIx> {
        let waiting = self.tree.queues_of(from).flat_map(|queue| self.tree.queues[queue].by_v.iter());
        let tasks = waiting.map(|(_, entity)| entity).filter(|entity| self.tree.members(*entity).is_none());
        let mut tasks: Vec<TaskIx> = tasks.filter(|task| machine.allows(*task, to)).collect();
        tasks.sort_unstable_by_key(|task| self.balancer.touched(*task));
        tasks
    }

    /// The eligible one of those who wait with the earliest deadline.
    fn earliest(&self, queue: usize) -> Option<EntityIx> {
        let queue = &self.tree.queues[queue];
        let now = queue.average.value();
        let eligible = queue.by_v.iter().filter(|(v, _)| *v <= now).map(|(_, entity)| entity);
        let best = eligible.min_by_key(|entity| (self.tree.entities[*entity].deadline, *entity));
        best.or_else(|| queue.by_v.peek().map(|(_, entity)| entity))
    }

    fn slice(&self, cpu: CpuIx, task: TaskIx) -> u64 {
        match self.generation {
            Generation::Cfs => {
                let period = self.latency_ns.max(self.lanes[cpu].tasks * self.slice_ns);
                self.tree.portion(task, cpu, period).max(self.slice_ns)
            }
            Generation::Eevdf => {
                let (mut left, mut at) = (u64::MAX, Some(task));
                while let Some(index) = at {
                    let entity = &self.tree.entities[index];
                    left = left.min(entity.request_ns.saturating_sub(entity.served_ns));
                    at = self.tree.above(index, cpu);
                }
                left.max(1)
            }
        }
    }

    /// Who comes with a shorter slice than who runs, and is eligible, takes the shield from it, if its
    /// deadline is earlier or the other is past parity (`PREEMPT_SHORT`).
    fn pierce(&mut self, machine: &Machine, task: TaskIx) {
        let cpu = self.home[task];
        let Some(running) = self.lanes[cpu].running.filter(|_| self.tree.entities[task].member) else {
            return;
        };
        self.catch_up(machine, cpu);
        let Some((new, old)) = self.tree.rivals(task, running, cpu) else { return };
        let now = self.tree.queues[self.tree.queue(new, cpu)].average.value();
        let (comes, runs) = (self.tree.entities[new], self.tree.entities[old]);
        let is_earlier = comes.deadline < runs.deadline || runs.v.whole > now;
        if comes.slice_ns < runs.slice_ns && comes.v.whole <= now && is_earlier {
            self.tree.entities[old].shielded = false;
        }
    }

    /// Whether somebody in a queue should have the CPU rather than the member that has it.
    fn is_beaten(&self, running: EntityIx, queue: usize) -> bool {
        let running = &self.tree.entities[running];
        let entities = &self.tree.entities;
        match self.generation {
            Generation::Cfs => self.tree.queues[queue].by_v.peek().is_some_and(|(head, entity)| {
                head + Self::virtual_ns(self.wakeup_ns, entities[entity].weight) < running.v.whole
            }),
            // Run to parity: while the running task is eligible it keeps the CPU.
            Generation::Eevdf => {
                let now = self.tree.queues[queue].average.value();
                (running.v.whole > now || !running.shielded)
                    && self.earliest(queue).is_some_and(|entity| {
                        entities[entity].v.whole <= now && entities[entity].deadline < running.deadline
                    })
            }
        }
    }
}

impl Policy for Fair {
    fn enqueue(&mut self, machine: &mut Machine, task: TaskIx, why: Arrival) {
        if matches!(why, Arrival::Expired | Arrival::Preempted) {
            let queue = self.tree.queue(task, self.home[task]);
            self.tree.queues[queue].by_v.set(task, self.tree.entities[task].v.whole);
        } else {
            let cpu = self.choose_cpu(machine, task);
            self.insert(machine, task, cpu);
            if self.tree.has_requests() {
                self.came.push(task);
            }
        }
    }

    fn pick(&mut self, machine: &mut Machine, cpu: CpuIx) -> Option<Pick> {
        self.balance_when_due(machine, cpu);
        let mut queue = self.tree.queues_of(cpu).start;
        if self.tree.queues[queue].by_v.is_empty() && !self.pull(machine, cpu) {
            return None;
        }
        let task = loop {
            let entity = match self.generation {
                Generation::Cfs => self.tree.queues[queue].by_v.peek()?.1,
                Generation::Eevdf => self.earliest(queue)?,
            };
            self.tree.queues[queue].by_v.remove(entity);
            self.tree.entities[entity].shielded = true;
            self.tree.raise_floor(queue, self.tree.entities[entity].v.whole);
            match self.tree.members(entity) {
                Some(members) => queue = members,
                None => break entity,
            }
        };
        self.balancer.touch(task);
        self.lanes[cpu].running = Some(task);
        self.lanes[cpu].charged_ns = 0;
        let slice_ns = self.slice(cpu, task);
        if let Some(at_ns) = self.balancer.look_before(cpu, machine.now_ns().saturating_add(slice_ns)) {
            machine.set_timer(task, at_ns);
        }
        Some(Pick { task, slice_ns })
    }

    fn stopped(&mut self, machine: &mut Machine, cpu: CpuIx, task: TaskIx, ran_ns: u64, why: Departure) {
        self.charge(cpu, task, ran_ns);
        self.lanes[cpu].running = None;
        if matches!(why, Departure::Blocked | Departure::Ended | Departure::Throttled) {
            self.remove(machine, task);
        } else {
            self.put_back(task, cpu);
        }
    }

    /// The look of a CPU came in the middle of a slice.
    fn timer(&mut self, machine: &mut Machine, task: TaskIx) {
        self.balance_when_due(machine, self.home[task]);
    }

    fn preempt(&mut self, machine: &mut Machine) -> Option<CpuIx> {
        for task in std::mem::take(&mut self.came) {
            self.pierce(machine, task);
        }
        (0..self.lanes.len()).find(|&cpu| {
            self.catch_up(machine, cpu);
            let mut at = self.lanes[cpu].running;
            while let Some(entity) = at {
                let queue = self.tree.queue(entity, cpu);
                if self.is_beaten(entity, queue) {
                    return true;
                }
                at = self.tree.owner(queue);
            }
            false
        })
    }
}

#[cfg(test)]
mod tests;
