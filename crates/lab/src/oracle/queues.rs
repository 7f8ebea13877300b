//! Laws without fractions: queues, lengths, deadlines, levels.

use super::{Choice, Job, Law, MS, Task, Why};
use std::cmp::Reverse;

/// First in, first out, the higher priority first; with a slice, round robin of all but the class fifo.
pub(in crate::oracle) struct InTurn {
    came: Vec<i64>,
    next: i64,
    slice_ns: u64,
    /// What a preempted task has left of its slice; 0 = nothing.
    left_ns: Vec<u64>,
}

impl InTurn {
    pub(in crate::oracle) fn new(jobs: &[Job], slice_ns: u64) -> Self {
        Self { came: vec![0; jobs.len()], next: 0, slice_ns, left_ns: vec![0; jobs.len()] }
    }
}

fn priority(task: &Task) -> u64 {
    task.job.real_time.map_or(0, |(_, priority)| u64::from(priority))
}

impl Law for InTurn {
    /// Who is preempted stands first of its priority and goes on with what is left of its slice.
    fn comes(&mut self, _: &[Task], task: usize, why: Why) {
        self.next += 1;
        self.came[task] = if why == Why::Preempted { -self.next } else { self.next };
        if why != Why::Preempted {
            self.left_ns[task] = 0;
        }
    }

    fn ran(&mut self, _: &[Task], task: usize, _: u64, ns: u64) {
        self.left_ns[task] = self.left_ns[task].saturating_sub(ns);
    }

    fn next(&mut self, tasks: &[Task], _: u64) -> Choice {
        let ready = (0..tasks.len()).filter(|i| tasks[*i].waits());
        let first = ready.min_by_key(|i| (Reverse(priority(&tasks[*i])), self.came[*i])).unwrap();
        let is_fifo = tasks[first].job.real_time.is_some_and(|(fifo, _)| fifo);
        if is_fifo || self.slice_ns == u64::MAX {
            return Choice::Run(first, u64::MAX);
        }
        if self.left_ns[first] == 0 {
            self.left_ns[first] = self.slice_ns;
        }
        Choice::Run(first, self.left_ns[first])
    }

    fn rank(&self, tasks: &[Task], task: usize) -> (u64, u64) {
        (u64::MAX - priority(&tasks[task]), 0)
    }

    fn beats(&self, tasks: &[Task], running: usize) -> Option<bool> {
        let own = priority(&tasks[running]);
        Some((0..tasks.len()).any(|i| tasks[i].waits() && i != running && priority(&tasks[i]) > own))
    }
}

/// Shortest job, or remaining time, first.
pub(in crate::oracle) struct Shortest {
    pub(in crate::oracle) preemptive: bool,
}

impl Law for Shortest {
    fn comes(&mut self, _: &[Task], _: usize, _: Why) {}

    fn next(&mut self, tasks: &[Task], _: u64) -> Choice {
        let ready = (0..tasks.len()).filter(|i| tasks[*i].waits());
        Choice::Run(ready.min_by_key(|i| (tasks[*i].left_ns, *i)).unwrap(), u64::MAX)
    }

    fn beats(&self, tasks: &[Task], running: usize) -> Option<bool> {
        Some(self.preemptive && tasks.iter().any(|t| t.waits() && t.left_ns < tasks[running].left_ns))
    }

    fn rank(&self, tasks: &[Task], task: usize) -> (u64, u64) {
        (tasks[task].left_ns, 0)
    }
}

/// Earliest deadline first, or rate monotonic; at most one task without jobs, after all others.
pub(in crate::oracle) struct Deadlines {
    pub(in crate::oracle) by_period: bool,
    pub(in crate::oracle) quantum_ns: u64,
}

impl Deadlines {
    fn key(&self, task: &Task) -> u64 {
        if self.by_period { task.job.period_ns.unwrap_or(u64::MAX) } else { task.deadline_ns }
    }
}

impl Law for Deadlines {
    fn comes(&mut self, _: &[Task], _: usize, _: Why) {}

    fn next(&mut self, tasks: &[Task], _: u64) -> Choice {
        let ready = (0..tasks.len()).filter(|i| tasks[*i].waits());
        let first = ready.min_by_key(|i| (self.key(&tasks[*i]), *i)).unwrap();
        Choice::Run(first, if tasks[first].job.period_ns.is_some() { u64::MAX } else { self.quantum_ns })
    }

    fn beats(&self, tasks: &[Task], running: usize) -> Option<bool> {
        // Equal deadlines: to the running job. Equal periods: in order of declaration.
        let own = (self.key(&tasks[running]), if self.by_period { running } else { 0 });
        let key = |i: usize| (self.key(&tasks[i]), if self.by_period { i } else { 0 });
        Some((0..tasks.len()).any(|i| tasks[i].waits() && i != running && key(i) < own))
    }

    fn rank(&self, tasks: &[Task], task: usize) -> (u64, u64) {
        (self.key(&tasks[task]), if self.by_period { task as u64 } else { 0 })
    }
}

/// Four levels, a quantum at the top and twice as much at each below; everybody to the top once a second.
pub(in crate::oracle) struct Feedback {
    came: Vec<u64>,
    next: u64,
    level: Vec<u32>,
    used_ns: Vec<u64>,
    quantum_ns: u64,
    seconds: u64,
}

impl Feedback {
    pub(in crate::oracle) fn new(tasks: usize, quantum_ns: u64) -> Self {
        Self {
            came: vec![0; tasks],
            next: 0,
            level: vec![0; tasks],
            used_ns: vec![0; tasks],
            quantum_ns,
            seconds: 0,
        }
    }

    fn allotment(&self, task: usize) -> u64 {
        self.quantum_ns * 2u64.pow(self.level[task])
    }

    /// It is so late; everybody goes to the top when a second begins.
    fn pass_to(&mut self, now_ns: u64) {
        if now_ns / (1000 * MS) != self.seconds {
            self.seconds = now_ns / (1000 * MS);
            self.level.fill(0);
            self.used_ns.fill(0);
        }
    }

    fn settle(&mut self, task: usize) {
        if self.used_ns[task] >= self.allotment(task) {
            self.level[task] = 3.min(self.level[task] + 1);
            self.used_ns[task] = 0;
        }
    }
}

impl Law for Feedback {
    fn comes(&mut self, _: &[Task], task: usize, why: Why) {
        if matches!(why, Why::Expired | Why::Preempted) {
            self.settle(task);
        }
        self.next += 1;
        self.came[task] = self.next;
    }

    fn leaves(&mut self, _: &[Task], task: usize) {
        self.settle(task);
    }

    fn ran(&mut self, _: &[Task], task: usize, from_ns: u64, ns: u64) {
        self.pass_to(from_ns + ns);
        // Only what came after the begin of a second counts in it.
        self.used_ns[task] += ns.min((from_ns + ns) % (1000 * MS));
    }

    fn next(&mut self, tasks: &[Task], now_ns: u64) -> Choice {
        // All CPUs may have idled when a second began.
        self.pass_to(now_ns);
        let ready = (0..tasks.len()).filter(|i| tasks[*i].waits());
        let first = ready.min_by_key(|i| (self.level[*i], self.came[*i])).unwrap();
        Choice::Run(first, self.allotment(first) - self.used_ns[first])
    }

    fn beats(&self, tasks: &[Task], running: usize) -> Option<bool> {
        let above = |i: usize| tasks[i].waits() && i != running && self.level[i] < self.level[running];
        Some((0..tasks.len()).any(above))
    }

    fn rank(&self, _: &[Task], task: usize) -> (u64, u64) {
        (self.level[task].into(), 0)
    }
}
