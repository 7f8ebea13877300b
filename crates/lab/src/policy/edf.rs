//! Earliest deadline first, global or partitioned, with constant bandwidth servers.
//!
//! Source: C. L. Liu, J. W. Layland, JACM 20, 1973 (EDF); L. Abeni, G. Buttazzo, "Integrating Multimedia
//! Applications in Hard Real-Time Systems", RTSS 1998 (CBS); Linux `SCHED_DEADLINE`,
//! Documentation/scheduler/sched-deadline.rst (the hard rule at exhaustion).
//!
//! Law. The queued job with the earliest absolute deadline runs, ties to the running job, then by
//! declaration; it preempts. On one CPU with deadlines = periods every job is in time iff ΣC/T ≤ 1. Globally
//! on m CPUs ΣU ≤ m does not suffice (S. K. Dhall, C. L. Liu, Operations Research 26, 1978). Partitioned:
//! each periodic or reserved task is placed on the first of its CPUs where utilisation stays ≤ 1, largest
//! first (S. K. Baruah's and others' FFD), and stays; one that fits nowhere goes to the least loaded.
//!
//! A task with `reserve = { budget = Q, period = P }` is served by a CBS. At a wakeup, if its deadline d has
//! passed or the budget c left is more than (d − now)·Q/P, then d = now + P and c = Q. When c is used up:
//! *hard*, it waits until d, then d += P and c += Q; *soft* (the 1998 paper), d += P and c += Q at once.
//!
//! Tasks with neither period nor reserve take turns in what is left.

use super::{Arrival, Departure, Pick, Policy};
use crate::heap::IndexedHeap;
use crate::machine::{CpuIx, Machine, TaskIx};

/// (deadline, order among those without one, declaration)
type Key = (u64, u64, TaskIx);

/// Earliest deadline first.
pub struct Edf {
    /// By affinity class (global) or by CPU (partitioned).
    lanes: Vec<IndexedHeap<Key>>,
    /// CPU of each task, when partitioned.
    home: Option<Vec<CpuIx>>,
    servers: Vec<Server>,
    soft: bool,
    sequence: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Server {
    deadline_ns: u64,
    left_ns: i64,
    /// Waits for its deadline with nothing left.
    exhausted: bool,
}

impl Edf {
    /// Global EDF with hard reservations.
    pub fn new(machine: &Machine) -> Self {
        Self {
            lanes: vec![IndexedHeap::new(0); machine.class_count()],
            home: None,
            servers: vec![Server::default(); machine.tasks().len()],
            soft: false,
            sequence: 0,
        }
    }

    /// With soft reservations, as in the 1998 paper.
    #[must_use]
    pub fn soft(mut self) -> Self {
        self.soft = true;
        self
    }

    /// Partitioned: first fit, decreasing utilisation.
    #[must_use]
    pub fn partitioned(mut self, machine: &Machine, utilisation: &[f64]) -> Self {
        let mut load = vec![0.0; machine.cpus().len()];
        let mut home = vec![0; machine.tasks().len()];
        let mut order: Vec<TaskIx> = (0..home.len()).collect();
        order.sort_by(|a, b| utilisation[*b].total_cmp(&utilisation[*a]).then(a.cmp(b)));
        for task in order {
            let cpus = machine.class_cpus(machine.tasks()[task].class);
            let need = utilisation[task];
            // Utilisations are quotients: a set that fills a CPU exactly may sum to a hair above 1.
            let fits = cpus.iter().copied().find(|cpu| need > 0.0 && load[*cpu] + need <= 1.0 + 1e-9);
            let least = || cpus.iter().copied().min_by(|a, b| load[*a].total_cmp(&load[*b]));
            home[task] = fits.or_else(least).unwrap_or(0);
            load[home[task]] += need.max(1e-6);
        }
        self.home = Some(home);
        self.lanes = vec![IndexedHeap::new(0); machine.cpus().len()];
        self
    }

    fn lane(&self, machine: &Machine, task: TaskIx) -> usize {
        self.home.as_ref().map_or(machine.tasks()[task].class, |home| home[task])
    }

    fn deadline(&self, machine: &Machine, task: TaskIx) -> u64 {
        let view = &machine.tasks()[task];
        if view.reserve.is_some() { self.servers[task].deadline_ns } else { view.deadline_ns }
    }

    fn best(&self, machine: &Machine, cpu: CpuIx) -> Option<(Key, usize)> {
        let own = [cpu];
        let lanes: &[usize] = if self.home.is_some() { &own } else { machine.classes_of(cpu) };
        lanes.iter().filter_map(|lane| self.lanes[*lane].peek().map(|(key, _)| (key, *lane))).min()
    }

    /// Deadline += P and budget += Q as often as it takes to have some.
    fn recharge(&mut self, machine: &Machine, task: TaskIx) {
        let Some(reserve) = machine.tasks()[task].reserve else { return };
        let server = &mut self.servers[task];
        let budget = i64::try_from(reserve.quota_ns).unwrap_or(i64::MAX);
        while server.left_ns <= 0 {
            server.deadline_ns = server.deadline_ns.saturating_add(reserve.period_ns);
            server.left_ns += budget;
        }
    }

    fn push(&mut self, machine: &Machine, task: TaskIx) {
        let deadline = self.deadline(machine, task);
        self.sequence += 1;
        let order = if deadline == u64::MAX { self.sequence } else { 0 };
        let lane = self.lane(machine, task);
        self.lanes[lane].set(task, (deadline, order, task));
    }
}

impl Policy for Edf {
    fn enqueue(&mut self, machine: &mut Machine, task: TaskIx, why: Arrival) {
        if let Some(reserve) = machine.tasks()[task].reserve {
            let now = machine.now_ns();
            let server = &mut self.servers[task];
            if matches!(why, Arrival::New | Arrival::Woken) && !server.exhausted {
                let left = u128::try_from(server.left_ns).unwrap_or(0);
                let ahead = u128::from(server.deadline_ns.saturating_sub(now));
                if ahead == 0 || left * u128::from(reserve.period_ns) > ahead * u128::from(reserve.quota_ns) {
                    server.deadline_ns = now.saturating_add(reserve.period_ns);
                    server.left_ns = i64::try_from(reserve.quota_ns).unwrap_or(i64::MAX);
                }
            }
            if server.left_ns <= 0 {
                if self.soft {
                    self.recharge(machine, task);
                } else {
                    server.exhausted = true;
                    let at = server.deadline_ns;
                    machine.set_timer(task, at);
                    return;
                }
            }
        }
        self.push(machine, task);
    }

    fn pick(&mut self, machine: &mut Machine, cpu: CpuIx) -> Option<Pick> {
        let ((deadline, ..), lane) = self.best(machine, cpu)?;
        let (_, task) = self.lanes[lane].pop()?;
        let slice_ns = if machine.tasks()[task].reserve.is_some() {
            u64::try_from(self.servers[task].left_ns).unwrap_or(1).max(1)
        } else if deadline == u64::MAX {
            machine.quantum_ns
        } else {
            u64::MAX
        };
        Some(Pick { task, slice_ns })
    }

    fn stopped(&mut self, machine: &mut Machine, _cpu: CpuIx, task: TaskIx, ran_ns: u64, _why: Departure) {
        if machine.tasks()[task].reserve.is_some() {
            let left = &mut self.servers[task].left_ns;
            *left = left.saturating_sub_unsigned(ran_ns);
        }
    }

    fn preempt(&mut self, machine: &mut Machine) -> Option<CpuIx> {
        let mut found: Option<(u64, CpuIx)> = None;
        for (lane, heap) in self.lanes.iter().enumerate() {
            let Some(((head, ..), _)) = heap.peek() else { continue };
            let own = [lane];
            let cpus: &[CpuIx] = if self.home.is_some() { &own } else { machine.class_cpus(lane) };
            for &cpu in cpus {
                let Some(task) = machine.cpus()[cpu].task else { continue };
                let deadline = self.deadline(machine, task);
                if head < deadline && found.is_none_or(|(worst, _)| worst < deadline) {
                    found = Some((deadline, cpu));
                }
            }
        }
        found.map(|(_, cpu)| cpu)
    }

    fn timer(&mut self, machine: &mut Machine, task: TaskIx) {
        if std::mem::take(&mut self.servers[task].exhausted) {
            self.recharge(machine, task);
            self.push(machine, task);
        }
    }
}
