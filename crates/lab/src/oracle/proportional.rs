//! Stride, hierarchical stride and EEVDF as published.

use super::{Choice, Job, Law, Task, Why, near, ratio, whole};
use num_rational::BigRational;

/// Sum of the tickets of all who want the CPU.
fn active(tasks: &[Task]) -> u64 {
    tasks.iter().filter(|t| t.ready).map(|t| t.job.tickets).sum()
}

/// Stride.
pub(in crate::oracle) struct Stride {
    pass: Vec<BigRational>,
    /// Pass − global pass of those who are away.
    remain: Vec<BigRational>,
    global: BigRational,
    quantum_ns: u64,
}

impl Stride {
    pub(in crate::oracle) fn new(jobs: &[Job], quantum_ns: u64) -> Self {
        Self {
            pass: vec![whole(0); jobs.len()],
            remain: jobs.iter().map(|job| ratio(quantum_ns, job.tickets)).collect(),
            global: whole(0),
            quantum_ns,
        }
    }
}

impl Law for Stride {
    fn comes(&mut self, _: &[Task], task: usize, why: Why) {
        if matches!(why, Why::New | Why::Woken) {
            self.pass[task] = &self.global + &self.remain[task];
        }
    }

    fn leaves(&mut self, _: &[Task], task: usize) {
        self.remain[task] = &self.pass[task] - &self.global;
    }

    fn ran(&mut self, tasks: &[Task], task: usize, _: u64, ns: u64) {
        self.pass[task] += ratio(ns, tasks[task].job.tickets);
        self.global += ratio(ns, active(tasks));
    }

    fn next(&mut self, tasks: &[Task], _: u64) -> Choice {
        let ready = (0..tasks.len()).filter(|i| tasks[*i].waits());
        Choice::Run(ready.min_by_key(|i| (self.pass[*i].clone(), *i)).unwrap(), self.quantum_ns)
    }
}

/// A node of the tree of hierarchical stride.
struct Node {
    /// The tasks below, in order of declaration.
    tasks: std::ops::Range<usize>,
    kids: Vec<Node>,
    tickets: u64,
    pass: BigRational,
    /// Service had in advance (times tickets: in quanta of its own) while its tickets are others.
    ahead: Option<BigRational>,
    /// What a kid that is exactly served has as its pass.
    served: BigRational,
}

impl Node {
    fn new(tasks: std::ops::Range<usize>) -> Self {
        let n = tasks.len();
        let mut kids = Vec::new();
        if n > 1 {
            // The left half is a full tree.
            let mut left = 1;
            while left < n.div_ceil(2) {
                left *= 2;
            }
            kids.push(Self::new(tasks.start..tasks.start + left));
            if left < n {
                kids.push(Self::new(tasks.start + left..tasks.end));
            }
        }
        Self { tasks, kids, tickets: 0, pass: whole(0), ahead: None, served: whole(0) }
    }

    /// Tickets anew, with what each node is ahead of its parent's service kept.
    fn renew(&mut self, tickets: &[u64], base: &BigRational, quantum_ns: u64) {
        let now: u64 = tickets[self.tasks.clone()].iter().sum();
        for kid in &mut self.kids {
            kid.renew(tickets, &self.served, quantum_ns);
        }
        if now == self.tickets {
            return;
        }
        if self.tickets > 0 {
            self.ahead = Some((&self.pass - base) * whole(self.tickets));
        }
        if now > 0 {
            let ahead = self.ahead.clone().unwrap_or_else(|| whole(quantum_ns));
            self.pass = base + ahead / whole(now);
        }
        self.tickets = now;
    }

    fn serve(&mut self, task: usize, ns: u64) {
        self.pass += ratio(ns, self.tickets);
        self.served += ratio(ns, self.tickets);
        for kid in self.kids.iter_mut().filter(|kid| kid.tasks.contains(&task)) {
            kid.serve(task, ns);
        }
    }

    fn choose(&self) -> usize {
        let kids = self.kids.iter().filter(|kid| kid.tickets > 0);
        kids.min_by_key(|kid| kid.pass.clone()).map_or(self.tasks.start, Self::choose)
    }
}

/// Hierarchical stride.
pub(in crate::oracle) struct Tree {
    root: Node,
    tickets: Vec<u64>,
    quantum_ns: u64,
}

impl Tree {
    pub(in crate::oracle) fn new(jobs: &[Job], quantum_ns: u64) -> Self {
        Self { root: Node::new(0..jobs.len()), tickets: vec![0; jobs.len()], quantum_ns }
    }
}

impl Law for Tree {
    fn comes(&mut self, tasks: &[Task], task: usize, why: Why) {
        if matches!(why, Why::New | Why::Woken) {
            self.tickets[task] = tasks[task].job.tickets;
            self.root.renew(&self.tickets, &whole(0), self.quantum_ns);
        }
    }

    fn leaves(&mut self, _: &[Task], task: usize) {
        self.tickets[task] = 0;
        self.root.renew(&self.tickets, &whole(0), self.quantum_ns);
    }

    fn ran(&mut self, _: &[Task], task: usize, _: u64, ns: u64) {
        self.root.serve(task, ns);
    }

    fn next(&mut self, _: &[Task], _: u64) -> Choice {
        Choice::Run(self.root.choose(), self.quantum_ns)
    }
}

/// EEVDF, its lag kept over sleep within one quantum.
pub(in crate::oracle) struct Eevdf {
    v: Vec<BigRational>,
    deadline: Vec<BigRational>,
    lag: Vec<BigRational>,
    served_ns: Vec<u64>,
    request_ns: Vec<u64>,
    /// The longest request, or quantum.
    longest_ns: u64,
    /// Somebody has come back with lag: from then on integers round.
    rounds: bool,
}

impl Eevdf {
    pub(in crate::oracle) fn new(jobs: &[Job], quantum_ns: u64) -> Self {
        let n = jobs.len();
        let request_ns: Vec<u64> = jobs.iter().map(|job| job.request_ns.unwrap_or(quantum_ns)).collect();
        Self {
            longest_ns: request_ns.iter().copied().fold(quantum_ns, u64::max),
            request_ns,
            v: vec![whole(0); n],
            deadline: vec![whole(0); n],
            lag: vec![whole(0); n],
            served_ns: vec![0; n],
            rounds: false,
        }
    }

    /// V over those who want the CPU, without one of them.
    fn average(&self, tasks: &[Task], without: Option<usize>) -> Option<BigRational> {
        let there = || (0..tasks.len()).filter(|i| tasks[*i].ready && Some(*i) != without);
        let weight: u64 = there().map(|i| tasks[i].job.tickets).sum();
        let sum = there().fold(whole(0), |sum, i| sum + &self.v[i] * whole(tasks[i].job.tickets));
        (weight > 0).then(|| sum / whole(weight))
    }
}

impl Law for Eevdf {
    fn comes(&mut self, tasks: &[Task], task: usize, why: Why) {
        if matches!(why, Why::New | Why::Woken) {
            // It comes in where its lag, with itself counted, is what it left with: lag = w (V' − v), V' = V
            // − lag / W.
            let weight = tasks[task].job.tickets;
            self.v[task] = match self.average(tasks, Some(task)) {
                None => whole(0),
                Some(average) => {
                    let others = active(tasks) - weight;
                    self.rounds |= self.lag[task] != whole(0);
                    average - &self.lag[task] / whole(others) - &self.lag[task] / whole(weight)
                }
            };
            self.served_ns[task] = self.request_ns[task];
        }
        if self.served_ns[task] >= self.request_ns[task] {
            self.deadline[task] = &self.v[task] + ratio(self.request_ns[task], tasks[task].job.tickets);
            self.served_ns[task] = 0;
        }
    }

    fn leaves(&mut self, tasks: &[Task], task: usize) {
        let average = self.average(tasks, None).unwrap();
        let lag = (average - &self.v[task]) * whole(tasks[task].job.tickets);
        let most = whole(self.longest_ns);
        self.lag[task] = lag.clamp(-most.clone(), most);
    }

    fn ran(&mut self, tasks: &[Task], task: usize, _: u64, ns: u64) {
        self.v[task] += ratio(ns, tasks[task].job.tickets);
        self.served_ns[task] += ns;
    }

    fn next(&mut self, tasks: &[Task], _: u64) -> Choice {
        let average = self.average(tasks, None).unwrap();
        let ready: Vec<usize> = (0..tasks.len()).filter(|i| tasks[*i].waits()).collect();
        if self.rounds && ready.len() > 1 && ready.iter().any(|i| near(&self.v[*i], &average)) {
            return Choice::Close;
        }
        let least = ready.iter().copied().min_by_key(|i| (self.v[*i].clone(), *i));
        let mut eligible: Vec<usize> = ready.into_iter().filter(|i| self.v[*i] <= average).collect();
        eligible.sort_by_key(|i| (self.deadline[*i].clone(), *i));
        match eligible[..] {
            [a, b, ..] if self.rounds && near(&self.deadline[a], &self.deadline[b]) => Choice::Close,
            [a, ..] => Choice::Run(a, self.request_ns[a] - self.served_ns[a]),
            // On several CPUs all who are not above the average may be running.
            [] => least.map_or(Choice::Close, |i| Choice::Run(i, self.request_ns[i] - self.served_ns[i])),
        }
    }
}
