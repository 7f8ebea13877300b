//! The laws that have one queue for all CPUs, on several: whoever is first in the queue gets the CPU that
//! asks.
//!
//! What happens at one instant happens in the order in which it was set; then the CPUs whose slices are over
//! choose, from the first on, then those that idle, and then who is behind somebody in the queue gives way,
//! the last of them first.

use super::proportional::{Eevdf, Stride};
use super::queues::{Deadlines, Feedback, InTurn, Shortest};
use super::{
    Choice, Job, Law, MS, QUANTUM, Task, UNTIL, Why, asking, burners, periodic, ranked, scenario, sleepers,
};
use crate::laws::slices_under;
use crate::policy::PolicyKind;
use proptest::prelude::*;
use std::cmp::Reverse;
use std::collections::BTreeSet;

/// What a CPU does.
#[derive(Clone, Copy)]
struct Running {
    task: usize,
    since: u64,
    /// When its slice or its phase ends, and when that was set.
    timer: (u64, u64),
}

struct Machine<'a> {
    tasks: Vec<Task>,
    cpus: Vec<Option<Running>>,
    law: &'a mut dyn Law,
    now: u64,
    sequence: u64,
    /// (from, CPU, task, length)
    slices: Vec<(u64, usize, usize, u64)>,
    arrived: bool,
    /// A decision was too close: what comes now is not known.
    is_close: bool,
}

impl Machine<'_> {
    fn number(&mut self) -> u64 {
        self.sequence += 1;
        self.sequence
    }

    fn end_slice(&mut self, cpu: usize) -> Option<usize> {
        let Running { task, since, .. } = self.cpus[cpu].take()?;
        if self.now > since {
            self.slices.push((since, cpu, task, self.now - since));
        }
        self.tasks[task].on = None;
        Some(task)
    }

    fn choose(&mut self, cpu: usize, why: Why) {
        if let Some(task) = self.end_slice(cpu) {
            self.law.comes(&self.tasks, task, why);
            self.arrived = true;
        }
        if self.is_close || !self.tasks.iter().any(Task::waits) {
            return;
        }
        if let Choice::Run(task, ns) = self.law.next(&self.tasks, self.now) {
            let end = self.now.saturating_add(ns.min(self.tasks[task].left_ns));
            self.tasks[task].on = Some(cpu);
            self.cpus[cpu] = Some(Running { task, since: self.now, timer: (end, self.number()) });
        } else {
            self.is_close = true;
        }
    }

    /// Everything of this instant that was set; which CPUs must choose.
    fn happen(&mut self) -> BTreeSet<usize> {
        let mut due = BTreeSet::new();
        loop {
            let wakes = self.tasks.iter().enumerate().filter_map(|(i, t)| Some((t.wakes?, i)));
            let wake = wakes.min().filter(|((at, _), _)| *at <= self.now).map(|((_, seq), task)| (seq, task));
            let timers = self.cpus.iter().enumerate().filter(|(cpu, _)| !due.contains(cpu));
            let timers = timers.filter_map(|(cpu, on)| Some((on.as_ref()?.timer, cpu)));
            let timer = timers.filter(|((at, _), _)| *at <= self.now).map(|((_, seq), cpu)| (seq, cpu)).min();
            match (wake, timer) {
                (None, None) => return due,
                (Some((seq, task)), timer) if timer.is_none_or(|(other, _)| seq < other) => {
                    let why = if seq <= self.tasks.len() as u64 { Why::New } else { Why::Woken };
                    self.tasks[task].wake();
                    self.law.comes(&self.tasks, task, why);
                    self.arrived = true;
                }
                (_, Some((_, cpu))) => {
                    due.insert(cpu);
                    let done = self.cpus[cpu].filter(|on| self.tasks[on.task].left_ns == 0);
                    if let Some(Running { task, .. }) = done {
                        self.end_slice(cpu);
                        self.law.leaves(&self.tasks, task);
                        let (now, sequence) = (self.now, self.number());
                        self.tasks[task].sleep(now, sequence);
                    }
                }
                (Some(_), None) => unreachable!("it comes before none"),
            }
        }
    }

    fn instant(&mut self) {
        for cpu in self.happen() {
            self.choose(cpu, Why::Expired);
        }
        while std::mem::take(&mut self.arrived) {
            for cpu in 0..self.cpus.len() {
                if self.cpus[cpu].is_none() {
                    self.choose(cpu, Why::Expired);
                }
            }
            let running = (0..self.cpus.len()).filter_map(|cpu| Some((cpu, self.cpus[cpu]?.task)));
            let beaten = running.filter(|(_, task)| self.law.beats(&self.tasks, *task) == Some(true));
            let last = beaten.max_by_key(|(cpu, task)| (self.law.rank(&self.tasks, *task), Reverse(*cpu)));
            if let Some((cpu, _)) = last {
                self.choose(cpu, Why::Preempted);
            }
        }
    }

    fn pass_to(&mut self, next: u64) {
        for on in self.cpus.iter().flatten() {
            self.law.ran(&self.tasks, on.task, self.now, next - self.now);
        }
        for on in self.cpus.iter().flatten() {
            let left = &mut self.tasks[on.task].left_ns;
            if *left != u64::MAX {
                *left -= next - self.now;
            }
        }
        self.now = next;
    }
}

/// Slices by their begin, and until when they are known: to the end, or to a decision that was too close.
pub(super) fn simulate(
    jobs: &[Job],
    cpus: usize,
    until_ns: u64,
    law: &mut dyn Law,
) -> (Vec<(u64, usize, usize, u64)>, u64) {
    let mut machine = Machine {
        tasks: Task::all(jobs),
        cpus: vec![None; cpus],
        law,
        now: 0,
        sequence: jobs.len() as u64,
        slices: Vec::new(),
        arrived: false,
        is_close: false,
    };
    loop {
        machine.instant();
        let until_ns = if machine.is_close { machine.now } else { until_ns };
        let timers = machine.cpus.iter().flatten().map(|on| on.timer.0);
        let wakes = machine.tasks.iter().filter_map(|t| t.wakes.map(|(at, _)| at));
        let next = timers.chain(wakes).min().unwrap_or(until_ns).min(until_ns);
        machine.pass_to(next);
        if next == until_ns {
            for cpu in 0..cpus {
                machine.end_slice(cpu);
            }
            machine.slices.sort_unstable();
            return (machine.slices, until_ns);
        }
    }
}

fn agree(jobs: &[Job], cpus: usize, policy: PolicyKind, law: &mut dyn Law) -> Result<(), TestCaseError> {
    let (want, until) = simulate(jobs, cpus, UNTIL, law);
    prop_assert_eq!(until, UNTIL, "{}: no decision is close", policy);
    let mut scenario = scenario(jobs, QUANTUM, UNTIL);
    scenario.cpus = u32::try_from(cpus).unwrap();
    let got = slices_under(&scenario, policy);
    let mut got: Vec<_> = got.iter().map(|s| (s.from_ns, s.cpu, s.task, s.ran_ns)).collect();
    got.sort_unstable();
    for (got, want) in got.iter().zip(&want) {
        prop_assert!(got == want, "{} on {} CPUs: {:?}, due {:?}", policy, cpus, got, want);
    }
    prop_assert_eq!(got.len(), want.len());
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn stride_on_several_cpus_is_its_law(
        cpus in 2usize..5, jobs in prop::collection::vec(prop_oneof![burners(1u64..6), sleepers(1u64..6)], 1..9),
    ) {
        agree(&jobs, cpus, PolicyKind::Stride, &mut Stride::new(&jobs, QUANTUM))?;
    }

    /// From the beginning: then no average is rounded.
    #[test]
    fn eevdf_of_burners_on_several_cpus_is_its_law(
        cpus in 2usize..5, jobs in prop::collection::vec(asking(burners(1u64..6), 2 * MS..35 * MS), 1..9),
    ) {
        let jobs: Vec<Job> = jobs.into_iter().map(|job| Job { arrive_ns: 0, ..job }).collect();
        agree(&jobs, cpus, PolicyKind::Eevdf, &mut Eevdf::new(&jobs, QUANTUM))?;
    }

    #[test]
    fn queues_on_several_cpus_are_their_laws(
        cpus in 2usize..5, jobs in prop::collection::vec(prop_oneof![burners(1u64..9), sleepers(1u64..9)], 1..9),
    ) {
        agree(&jobs, cpus, PolicyKind::Fifo, &mut InTurn::new(&jobs, u64::MAX))?;
        agree(&jobs, cpus, PolicyKind::RoundRobin, &mut InTurn::new(&jobs, QUANTUM))?;
        agree(&jobs, cpus, PolicyKind::Sjf, &mut Shortest { preemptive: false })?;
        agree(&jobs, cpus, PolicyKind::Srtf, &mut Shortest { preemptive: true })?;
        agree(&jobs, cpus, PolicyKind::Mlfq, &mut Feedback::new(jobs.len(), QUANTUM))?;
    }

    #[test]
    fn priorities_on_several_cpus_are_their_law(
        cpus in 2usize..5, jobs in prop::collection::vec(ranked(sleepers(1u64..2)), 1..12),
    ) {
        agree(&jobs, cpus, PolicyKind::Fifo, &mut InTurn::new(&jobs, u64::MAX))?;
        agree(&jobs, cpus, PolicyKind::RoundRobin, &mut InTurn::new(&jobs, QUANTUM))?;
    }

    #[test]
    fn global_real_time_policies_are_their_laws(
        cpus in 2usize..5, jobs in prop::collection::vec(periodic(), 1..10),
    ) {
        agree(&jobs, cpus, PolicyKind::Edf, &mut Deadlines { by_period: false, quantum_ns: QUANTUM })?;
        agree(&jobs, cpus, PolicyKind::RateMonotonic, &mut Deadlines { by_period: true, quantum_ns: QUANTUM })?;
    }
}
