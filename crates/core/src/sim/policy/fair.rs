//! The Linux fair class on run queues of its own for each CPU: CFS (2.6.23 to 6.5) and EEVDF (6.6 and later).
//!
//! Source: kernel/sched/fair.c of Linux 6.5 (`check_preempt_tick`, `wakeup_preempt_entity`, `place_entity`) and of Linux
//! 6.12 (`pick_eevdf`, `place_entity`, `update_deadline`, `RUN_TO_PARITY`, `PLACE_LAG`).
//!
//! Law common to both. vruntime v += ran·1024/weight; every CPU has its own queue. A new task goes to the allowed CPU
//! with the least weight; one that wakes to its last CPU if that idles, else to the first idle one it may use, else to
//! its last. A CPU that would idle pulls a waiting task from the most loaded queue.
//! - **CFS**: run the least v. A slice is period·w/W, where the period is 6 ms (or .75 ms a task when there are more
//!   than eight), times 1 + ⌊log₂ CPUs⌋. One that wakes is placed at least at min v − half a latency, and preempts if
//!   its v is less by more than a wakeup granularity of 1 ms·factor, in its own weight.
//! - **EEVDF**: run the eligible task (v ≤ V, the weighted average of its queue) with the earliest deadline
//!   v + slice/w; base slice .70 ms · (1 + ⌊log₂ CPUs⌋), CPUs counted up to 8. Lag is kept over sleep, within
//!   twice the slice or a tick. The running task gives way when its slice is served; one that wakes with an earlier
//!   deadline takes the CPU before that only if the running task is past parity (no longer eligible).
//!
//! Left out: groups (flattened), NUMA and cache topology, periodic balancing between busy CPUs, delayed dequeue.
//! Slices end at ticks if the scenario has one, as in the kernel without `HRTICK`.

use super::eevdf::Average;
use super::stride::Quotient;
use super::{Arrival, Departure, Pick, Policy};
use crate::sim::heap::IndexedHeap;
use crate::sim::machine::{CpuIx, Machine, TaskIx};

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
    entities: Vec<Entity>,
    queues: Vec<RunQueue>,
    /// CPU each queued or running task belongs to.
    home: Vec<CpuIx>,
    slice_ns: u64,
    /// CFS: latency and minimum granularity, EEVDF: none.
    latency_ns: u64,
    wakeup_ns: u64,
}

#[derive(Clone, Copy, Debug)]
struct Entity {
    weight: u64,
    v: Quotient,
    /// EEVDF: w·(V − v) while away. CFS: v − min v while away or between queues.
    lag: i128,
    deadline: i128,
    served_ns: u64,
    is_new: bool,
}

/// One CPU's queue.
#[derive(Clone, Debug)]
struct RunQueue {
    by_v: IndexedHeap<(i128, TaskIx)>,
    /// Weight and average of those queued or running here.
    average: Average,
    floor: i128,
    members: u64,
}

impl Fair {
    /// For a machine.
    pub fn new(machine: &Machine, generation: Generation) -> Self {
        let cpus = machine.cpus().len();
        let factor = 1 + u64::from(cpus.min(8).ilog2());
        let entities = machine.tasks().iter().map(|t| Entity {
            weight: t.flat_tickets,
            v: Quotient::default(),
            lag: 0,
            deadline: 0,
            served_ns: 0,
            is_new: true,
        });
        let queue = RunQueue { by_v: IndexedHeap::new(0), average: Average::default(), floor: 0, members: 0 };
        Self {
            generation,
            entities: entities.collect(),
            queues: vec![queue; cpus],
            home: vec![0; machine.tasks().len()],
            slice_ns: factor * if generation == Generation::Cfs { 750_000 } else { 700_000 },
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

    /// V of a queue now, what its running task has had since it was charged included.
    fn average(&self, machine: &Machine, cpu: CpuIx) -> Average {
        let average = self.queues[cpu].average;
        if machine.cpus()[cpu].task.is_some() { average.with_service(machine.ran_ns(cpu)) } else { average }
    }

    fn choose_cpu(&self, machine: &Machine, task: TaskIx) -> CpuIx {
        let view = &machine.tasks()[task];
        let cpus = machine.class_cpus(view.class);
        let idle = |cpu: CpuIx| machine.cpus()[cpu].task.is_none() && self.queues[cpu].members == 0;
        match view.last_cpu {
            Some(last) if idle(last) => last,
            Some(last) => cpus.iter().copied().find(|cpu| idle(*cpu)).unwrap_or(last),
            None => {
                let load = |cpu: CpuIx| (self.queues[cpu].average.weight, self.queues[cpu].members, cpu);
                cpus.iter().copied().min_by_key(|cpu| load(*cpu)).unwrap_or(0)
            }
        }
    }

    /// Where a task stands when it comes to a queue.
    fn place(&mut self, machine: &Machine, task: TaskIx, cpu: CpuIx) {
        let average = self.average(machine, cpu);
        let queue = &self.queues[cpu];
        let mut entity = self.entities[task];
        match self.generation {
            Generation::Cfs => {
                let half = Self::virtual_ns(self.latency_ns / 2, 1024);
                entity.v.whole = if entity.is_new {
                    // START_DEBIT: a new task has had its first slice, so that forking gains nothing.
                    let weight = average.weight + i128::from(entity.weight);
                    let share = u128::from(self.latency_ns) * u128::from(entity.weight);
                    let slice = share / u128::try_from(weight).unwrap_or(1).max(1);
                    let debit = if queue.members == 0 { 0 } else { u64::try_from(slice).unwrap_or(u64::MAX) };
                    queue.floor + Self::virtual_ns(debit, entity.weight)
                } else {
                    // Behind the floor by what it had left, but not by more than half a latency.
                    (queue.floor + entity.lag).max(queue.floor - half)
                };
            }
            Generation::Eevdf => {
                entity.v.whole =
                    if average.weight == 0 { queue.floor } else { average.place(entity.weight, entity.lag) };
                let mut slice = self.slice_ns;
                if entity.is_new {
                    slice /= 2; // PLACE_DEADLINE_INITIAL: half a slice, to get into the competition
                }
                entity.deadline = entity.v.whole + Self::virtual_ns(slice, entity.weight);
                entity.served_ns = self.slice_ns - slice;
            }
        }
        entity.is_new = false;
        self.entities[task] = entity;
    }

    fn join(&mut self, task: TaskIx, cpu: CpuIx) {
        let entity = self.entities[task];
        self.home[task] = cpu;
        let queue = &mut self.queues[cpu];
        queue.average.join(entity.weight, entity.v.whole);
        queue.members += 1;
    }

    fn leave(&mut self, machine: &Machine, task: TaskIx) {
        let cpu = self.home[task];
        let now = self.average(machine, cpu).value();
        let entity = &mut self.entities[task];
        let queue = &mut self.queues[cpu];
        queue.average.leave(entity.weight, entity.v.whole);
        queue.members -= 1;
        if queue.members == 0 {
            queue.floor = queue.floor.max(entity.v.whole);
        }
        entity.lag = match self.generation {
            Generation::Cfs => entity.v.whole - queue.floor,
            Generation::Eevdf => {
                let most = Self::virtual_ns((2 * self.slice_ns).max(machine.tick_ns), entity.weight);
                i128::from(entity.weight) * (now - entity.v.whole).clamp(-most, most)
            }
        };
    }

    fn raise_floor(&mut self, cpu: CpuIx, running: Option<i128>) {
        let head = self.queues[cpu].by_v.peek().map(|((v, _), _)| v);
        if let Some(least) = [head, running].into_iter().flatten().min() {
            self.queues[cpu].floor = self.queues[cpu].floor.max(least);
        }
    }

    /// A waiting task from the most loaded queue that may run here.
    fn pull(&mut self, machine: &Machine, cpu: CpuIx) -> Option<TaskIx> {
        let mut from: Vec<CpuIx> =
            (0..self.queues.len()).filter(|other| !self.queues[*other].by_v.is_empty()).collect();
        from.sort_by_key(|other| (-self.queues[*other].average.weight, *other));
        let task = from.into_iter().find_map(|other| {
            let queue = self.queues[other].by_v.iter();
            queue.filter(|(_, task)| machine.allows(*task, cpu)).map(|(key, _)| key).min().map(|(_, t)| t)
        })?;
        self.queues[self.home[task]].by_v.remove(task);
        self.leave(machine, task);
        self.place(machine, task, cpu);
        self.join(task, cpu);
        Some(task)
    }

    /// The eligible task with the earliest deadline. The running task's `v` and deadline come from the caller.
    fn earliest(&self, machine: &Machine, cpu: CpuIx) -> Option<TaskIx> {
        let now = self.average(machine, cpu).value();
        let queue = &self.queues[cpu].by_v;
        let eligible = queue.iter().filter(|((v, _), _)| *v <= now).map(|(_, task)| task);
        let best = eligible.min_by_key(|task| (self.entities[*task].deadline, *task));
        best.or_else(|| queue.peek().map(|(_, task)| task))
    }

    fn slice(&self, cpu: CpuIx, task: TaskIx) -> u64 {
        let entity = &self.entities[task];
        match self.generation {
            Generation::Cfs => {
                let queue = &self.queues[cpu];
                let period = self.latency_ns.max(queue.members * self.slice_ns);
                let total = u128::try_from(queue.average.weight).unwrap_or(1).max(1);
                let slice = u128::from(period) * u128::from(entity.weight) / total;
                u64::try_from(slice).unwrap_or(u64::MAX).max(self.slice_ns)
            }
            Generation::Eevdf => self.slice_ns.saturating_sub(entity.served_ns).max(1),
        }
    }
}

impl Policy for Fair {
    fn enqueue(&mut self, machine: &mut Machine, task: TaskIx, why: Arrival) {
        if !matches!(why, Arrival::Expired | Arrival::Preempted) {
            let cpu = self.choose_cpu(machine, task);
            self.place(machine, task, cpu);
            self.join(task, cpu);
        }
        let cpu = self.home[task];
        self.queues[cpu].by_v.set(task, (self.entities[task].v.whole, task));
    }

    fn pick(&mut self, machine: &mut Machine, cpu: CpuIx) -> Option<Pick> {
        let task = match self.generation {
            _ if self.queues[cpu].by_v.is_empty() => self.pull(machine, cpu)?,
            Generation::Cfs => self.queues[cpu].by_v.pop()?.1,
            Generation::Eevdf => {
                let task = self.earliest(machine, cpu)?;
                self.queues[cpu].by_v.remove(task);
                task
            }
        };
        let v = self.entities[task].v.whole;
        self.raise_floor(cpu, Some(v));
        Some(Pick { task, slice_ns: self.slice(cpu, task) })
    }

    fn stopped(&mut self, machine: &mut Machine, cpu: CpuIx, task: TaskIx, ran_ns: u64, why: Departure) {
        let mut entity = self.entities[task];
        let queue = &mut self.queues[cpu];
        queue.average.leave(entity.weight, entity.v.whole);
        entity.v.add(ran_ns, entity.weight);
        queue.average.join(entity.weight, entity.v.whole);
        entity.served_ns += ran_ns;
        if entity.served_ns >= self.slice_ns {
            entity.served_ns = 0;
            entity.deadline = entity.v.whole + Self::virtual_ns(self.slice_ns, entity.weight);
        }
        self.entities[task] = entity;
        self.raise_floor(cpu, Some(entity.v.whole));
        if matches!(why, Departure::Blocked | Departure::Ended | Departure::Throttled) {
            self.leave(machine, task);
        }
    }

    fn preempt(&mut self, machine: &mut Machine) -> Option<CpuIx> {
        (0..self.queues.len()).find(|&cpu| {
            let Some(current) = machine.cpus()[cpu].task else { return false };
            let running = &self.entities[current];
            let v = running.v.whole + Self::virtual_ns(machine.ran_ns(cpu), running.weight);
            match self.generation {
                Generation::Cfs => self.queues[cpu].by_v.peek().is_some_and(|((head, task), _)| {
                    head + Self::virtual_ns(self.wakeup_ns, self.entities[task].weight) < v
                }),
                // Run to parity: while the running task is eligible it keeps the CPU.
                Generation::Eevdf => {
                    let now = self.average(machine, cpu).value();
                    v > now
                        && self.earliest(machine, cpu).is_some_and(|task| {
                            let queued = &self.entities[task];
                            queued.v.whole <= now && queued.deadline < running.deadline
                        })
                }
            }
        })
    }
}
