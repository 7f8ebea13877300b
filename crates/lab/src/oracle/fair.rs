//! The Linux fair classes on one CPU, without groups (`fair_groups` has those of CFS); v is in nanoseconds of
//! nice 0.

use super::{Choice, Job, Law, MS, Task, Why, near, ratio, whole};
use num_rational::BigRational;

const NICE_0: u64 = 1024;

fn ready(tasks: &[Task]) -> impl Iterator<Item = usize> + '_ {
    (0..tasks.len()).filter(|i| tasks[*i].ready)
}

fn load(tasks: &[Task]) -> u64 {
    ready(tasks).map(|i| tasks[i].job.tickets).sum()
}

/// `ns` of service in the virtual time of a weight.
pub(super) fn virtual_ns(ns: u64, weight: u64) -> BigRational {
    ratio(ns, weight) * whole(NICE_0)
}

/// The least v of those who want the CPU, and never less than it was.
fn raise(floor: &mut BigRational, v: &[BigRational], tasks: &[Task]) {
    if let Some(least) = ready(tasks).map(|i| &v[i]).min()
        && least > floor
    {
        floor.clone_from(least);
    }
}

/// CFS.
pub(in crate::oracle) struct Cfs {
    v: Vec<BigRational>,
    floor: BigRational,
}

impl Cfs {
    pub(in crate::oracle) fn new(jobs: &[Job]) -> Self {
        Self { v: vec![whole(0); jobs.len()], floor: whole(0) }
    }
}

pub(super) const LATENCY: u64 = 6 * MS;
pub(super) const GRANULARITY: u64 = 750_000;

impl Law for Cfs {
    fn comes(&mut self, tasks: &[Task], task: usize, why: Why) {
        let weight = tasks[task].job.tickets;
        match why {
            Why::New => {
                let alone = ready(tasks).count() == 1;
                let debit = if alone { 0 } else { LATENCY * weight / load(tasks) };
                self.v[task] = &self.floor + virtual_ns(debit, weight);
            }
            Why::Woken => {
                let least = &self.floor - whole(LATENCY / 2);
                if self.v[task] < least {
                    self.v[task] = least;
                }
            }
            _ => {}
        }
    }

    fn ran(&mut self, tasks: &[Task], task: usize, _: u64, ns: u64) {
        self.v[task] += virtual_ns(ns, tasks[task].job.tickets);
        raise(&mut self.floor, &self.v, tasks);
    }

    fn next(&mut self, tasks: &[Task], _: u64) -> Choice {
        let mut all: Vec<usize> = ready(tasks).collect();
        all.sort_by_key(|i| (self.v[*i].clone(), *i));
        let first = all[0];
        if all.len() > 1 && near(&self.v[first], &self.v[all[1]]) && self.v[first] != self.v[all[1]] {
            return Choice::Close;
        }
        raise(&mut self.floor, &self.v, tasks);
        let period = LATENCY.max(all.len() as u64 * GRANULARITY);
        Choice::Run(first, (period * tasks[first].job.tickets / load(tasks)).max(GRANULARITY))
    }

    fn beats(&self, tasks: &[Task], running: usize) -> Option<bool> {
        let head = ready(tasks).filter(|i| *i != running).min_by_key(|i| (self.v[*i].clone(), *i));
        Some(
            head.is_some_and(|head| {
                &self.v[head] + virtual_ns(MS, tasks[head].job.tickets) < self.v[running]
            }),
        )
    }
}

/// EEVDF as in Linux.
pub(in crate::oracle) struct LinuxEevdf {
    v: Vec<BigRational>,
    deadline: Vec<BigRational>,
    lag: Vec<BigRational>,
    /// Service of the present request, and its length: a new task's first is half.
    served_ns: Vec<u64>,
    request_ns: Vec<u64>,
    slice_ns: Vec<u64>,
    /// Who runs and may not be preempted while it is eligible: nobody with a shorter slice has come.
    protected: Option<usize>,
    floor: BigRational,
    /// Somebody has come back with lag: from then on integers round.
    rounds: bool,
}

const SLICE: u64 = 700_000;

impl LinuxEevdf {
    pub(in crate::oracle) fn new(jobs: &[Job]) -> Self {
        let zeros = || vec![whole(0); jobs.len()];
        Self {
            v: zeros(),
            deadline: zeros(),
            lag: zeros(),
            served_ns: vec![0; jobs.len()],
            request_ns: vec![0; jobs.len()],
            slice_ns: jobs
                .iter()
                .map(|job| job.request_ns.map_or(SLICE, |ns| ns.clamp(MS / 10, 100 * MS)))
                .collect(),
            protected: None,
            floor: whole(0),
            rounds: false,
        }
    }

    fn average(&self, tasks: &[Task], without: Option<usize>) -> Option<BigRational> {
        let there = || ready(tasks).filter(|i| Some(*i) != without);
        let weight: u64 = there().map(|i| tasks[i].job.tickets).sum();
        let sum = there().fold(whole(0), |sum, i| sum + &self.v[i] * whole(tasks[i].job.tickets));
        (weight > 0).then(|| sum / whole(weight))
    }

    /// The eligible one of those who wait with the earliest deadline, and whether it is plain which.
    fn earliest(&self, tasks: &[Task], running: Option<usize>) -> (Option<usize>, bool) {
        let Some(average) = self.average(tasks, None) else { return (None, true) };
        let all: Vec<usize> = ready(tasks).filter(|i| Some(*i) != running).collect();
        let alone = all.len() + usize::from(running.is_some()) == 1;
        let plain = alone || !self.rounds || all.iter().all(|i| !near(&self.v[*i], &average));
        let mut eligible: Vec<usize> = all.into_iter().filter(|i| self.v[*i] <= average).collect();
        eligible.sort_by_key(|i| (self.deadline[*i].clone(), *i));
        match eligible[..] {
            [a, b, ..] => (Some(a), plain && (!self.rounds || !near(&self.deadline[a], &self.deadline[b]))),
            [a] => (Some(a), plain),
            [] => (None, plain),
        }
    }
}

impl Law for LinuxEevdf {
    fn comes(&mut self, tasks: &[Task], task: usize, why: Why) {
        if matches!(why, Why::Expired | Why::Preempted) {
            return;
        }
        let weight = tasks[task].job.tickets;
        self.v[task] = match self.average(tasks, Some(task)) {
            None => self.floor.clone(),
            Some(average) => {
                self.rounds |= self.lag[task] != whole(0);
                average - &self.lag[task] * ratio(load(tasks), load(tasks) - weight)
            }
        };
        let slice = self.slice_ns[task];
        self.request_ns[task] = if why == Why::New { slice / 2 } else { slice };
        self.deadline[task] = &self.v[task] + virtual_ns(self.request_ns[task], weight);
        self.served_ns[task] = 0;
    }

    fn leaves(&mut self, tasks: &[Task], task: usize) {
        let most = virtual_ns(2 * self.slice_ns[task], tasks[task].job.tickets);
        let lag = self.average(tasks, None).unwrap() - &self.v[task];
        self.lag[task] = lag.clamp(-most.clone(), most);
        if ready(tasks).count() == 1 && self.v[task] > self.floor {
            self.floor.clone_from(&self.v[task]);
        }
    }

    fn ran(&mut self, tasks: &[Task], task: usize, _: u64, ns: u64) {
        self.v[task] += virtual_ns(ns, tasks[task].job.tickets);
        self.served_ns[task] += ns;
        if self.served_ns[task] >= self.request_ns[task] {
            self.served_ns[task] = 0;
            self.request_ns[task] = self.slice_ns[task];
            self.deadline[task] = &self.v[task] + virtual_ns(self.request_ns[task], tasks[task].job.tickets);
        }
        raise(&mut self.floor, &self.v, tasks);
    }

    fn next(&mut self, tasks: &[Task], _: u64) -> Choice {
        let (first, plain) = self.earliest(tasks, None);
        let first = first.unwrap();
        raise(&mut self.floor, &self.v, tasks);
        self.protected = Some(first);
        if plain { Choice::Run(first, self.request_ns[first] - self.served_ns[first]) } else { Choice::Close }
    }

    /// Who came with a shorter slice, may run and has the earlier deadline, or finds the running task no
    /// longer eligible.
    fn came(&mut self, tasks: &[Task], task: usize, running: usize) -> bool {
        let average = self.average(tasks, None).unwrap();
        let close = |i: usize| self.rounds && near(&self.v[i], &average);
        if self.slice_ns[task] < self.slice_ns[running] {
            if close(task)
                || close(running)
                || self.rounds && near(&self.deadline[task], &self.deadline[running])
            {
                return false;
            }
            let is_earlier = self.deadline[task] < self.deadline[running] || self.v[running] > average;
            if self.v[task] <= average && is_earlier {
                self.protected = None;
            }
        }
        true
    }

    fn beats(&self, tasks: &[Task], running: usize) -> Option<bool> {
        let average = self.average(tasks, None)?;
        let (other, plain) = self.earliest(tasks, Some(running));
        let close = self.rounds && near(&self.v[running], &average) && ready(tasks).count() > 1;
        if !plain || close {
            return None;
        }
        if self.rounds && other.is_some_and(|other| near(&self.deadline[other], &self.deadline[running])) {
            return None;
        }
        let beaten = other.is_some_and(|other| self.deadline[other] < self.deadline[running]);
        Some((self.v[running] > average || self.protected.is_none()) && beaten)
    }
}
