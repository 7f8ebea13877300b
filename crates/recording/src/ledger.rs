//! The exact ledger: what every task was entitled to at every instant, beside what it got.
//!
//! Between two changes of who is runnable, of what the CPUs give to the fair class, or of a weight, every
//! runnable task is entitled to a constant rate: the weighted max-min fair division of
//! [`tombola_core::entitlement`] for an interval in which all of them want all of it, with groups, quotas (as
//! a rate) and affinity where the recording tells them, otherwise by nice value on one level, with all CPUs
//! for everybody ([`Basis`]). Lag = entitled − received is a broken line; its extremes lie where it bends,
//! and its square is integrated exactly.
//!
//! CPUs that run a task without tickets (real time, deadline) give nothing to the fair class meanwhile. What
//! is unknown takes no part, and the time in which something was is counted ([`Ledger::doubtful_ns`]): of a
//! recording without losses and hidden switches that has told its begin everything is exact but for the first
//! stretch of tasks that lived before it.

use crate::capabilities::Header;
use crate::event::{Event, Kind};
use crate::interval::{Doubt, Ready};
use crate::life::{Doing, Life};
use crate::normaliser::{Normaliser, OnCpu};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use tombola_core::cpu_set::CpuSet;
use tombola_core::entitlement::{Claim, CpuSetId, Demand, Group as DemandGroup, GroupId, entitle_unless};
use tombola_core::identity::TaskId;
use tombola_core::snapshot::Group;
use tombola_core::tickets::Nice;

/// Rates are worked out for an interval of this length: rounding is below 10⁻⁹.
const INTERVAL_NS: u64 = 1_000_000_000;

/// Divisions that are remembered.
const REMEMBERED: usize = 4096;

/// What the division goes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Basis {
    /// Weights, groups, quotas and affinity, as the recording tells them.
    Told,
    /// Nice values on one level, and all CPUs for everybody: the recording tells no more.
    NiceOneLevel,
}

/// What one task was entitled to and got.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Account {
    /// CPU time it was entitled to, ns.
    pub entitled_ns: f64,
    /// CPU time it got while it was known to be runnable, ns.
    pub received_ns: u64,
    /// Time it was runnable, ns.
    pub runnable_ns: u64,
    /// Largest |entitled − received| at any time, ns.
    pub lag_max_ns: f64,
    /// When that was, on the clock of the events.
    pub lag_max_at_ns: u64,
    /// ∫ lag² dt over the time it was runnable, ns³.
    square: f64,
    rate: f64,
    is_running: bool,
}

impl Account {
    /// Entitled less received, ns: positive if it is owed CPU time.
    pub fn lag_ns(&self) -> f64 {
        self.entitled_ns - self.received_ns as f64
    }

    /// Root of the mean square of the lag over the time it was runnable, ns.
    pub fn lag_rms_ns(&self) -> f64 {
        if self.runnable_ns > 0 { (self.square / self.runnable_ns as f64).sqrt() } else { 0.0 }
    }

    fn settle(&mut self, passed_ns: u64, now_ns: u64) {
        let (before, passed) = (self.lag_ns(), passed_ns as f64);
        self.entitled_ns += self.rate * passed;
        self.received_ns += if self.is_running { passed_ns } else { 0 };
        self.runnable_ns += passed_ns;
        let after = self.lag_ns();
        self.square += passed * (before * before + before * after + after * after) / 3.0;
        if after.abs() > self.lag_max_ns {
            (self.lag_max_ns, self.lag_max_at_ns) = (after.abs(), now_ns);
        }
    }
}

/// A division, as it is remembered: who, and which CPUs are not there for them.
type Question = (Vec<u32>, Vec<u32>);

/// The ledger. It is told of each event before and after the normaliser takes it.
#[derive(Debug)]
pub struct Ledger {
    basis: Basis,
    accounts: HashMap<TaskId, Account>,
    /// Runnable tasks of the fair class by thread id.
    runnable: BTreeMap<u32, TaskId>,
    /// CPUs that give nothing to the fair class.
    taken: BTreeSet<u32>,
    doubtful: bool,
    doubtful_ns: u64,
    now_ns: u64,
    is_changed: bool,
    known: HashMap<Question, Vec<f64>>,
    touched: Vec<u32>,
    /// Ends it when it is set.
    ended: Arc<AtomicBool>,
    has_ended: bool,
}

impl Ledger {
    /// For a recording with this header.
    pub fn new(header: &Header) -> Self {
        Self {
            basis: if header.can.groups { Basis::Told } else { Basis::NiceOneLevel },
            accounts: HashMap::new(),
            runnable: BTreeMap::new(),
            taken: BTreeSet::new(),
            doubtful: false,
            doubtful_ns: 0,
            now_ns: header.begin_ns.unwrap_or(0),
            is_changed: true,
            known: HashMap::new(),
            touched: Vec::new(),
            ended: Arc::default(),
            has_ended: false,
        }
    }

    /// Has it end where it is, in the middle of a division too, when `ended` is set: accounts then hold up to
    /// the latest event before that.
    pub fn end_by(&mut self, ended: Arc<AtomicBool>) {
        self.ended = ended;
    }

    /// Up to when accounts hold, where it has ended by that.
    pub fn ended_ns(&self) -> Option<u64> {
        self.has_ended.then_some(self.now_ns)
    }

    /// What the division goes by.
    pub fn basis(&self) -> Basis {
        self.basis
    }

    /// The account of a task; `None` if it was never runnable.
    pub fn account(&self, task: TaskId) -> Option<&Account> {
        self.accounts.get(&task)
    }

    /// All accounts, in no order. They hold up to the latest event, or the latest [`advance`](Self::advance).
    pub fn accounts(&self) -> impl Iterator<Item = (TaskId, &Account)> {
        self.accounts.iter().map(|(id, account)| (*id, account))
    }

    /// Forgets the account of a task, for whoever keeps the ledger for longer than tasks live.
    pub fn close(&mut self, task: TaskId) {
        self.accounts.remove(&task);
    }

    /// Time in which the state of a CPU was unknown, or that of a task since events were lost or hidden, ns:
    /// figures of this time are too high or too low by what the unknown would have taken.
    pub fn doubtful_ns(&self) -> u64 {
        self.doubtful_ns
    }

    /// Time goes on to `at_ns`, under the rates that hold.
    pub fn advance(&mut self, normaliser: &Normaliser, at_ns: u64) {
        let passed_ns = at_ns.saturating_sub(self.now_ns);
        if passed_ns == 0 || self.has_ended {
            return;
        }
        if std::mem::take(&mut self.is_changed) && !self.renew(normaliser) {
            self.has_ended = true;
            return;
        }
        for id in self.runnable.values() {
            if let Some(account) = self.accounts.get_mut(id) {
                account.settle(passed_ns, at_ns);
            }
        }
        self.doubtful_ns += if self.doubtful { passed_ns } else { 0 };
        self.now_ns = at_ns;
    }

    /// Before the normaliser takes an event.
    pub fn before(&mut self, event: &Event, normaliser: &Normaliser) {
        self.touched.clear();
        if normaliser.cpus().is_empty() {
            self.now_ns = self.now_ns.max(normaliser.begin_ns()); // nothing was told before the first event
        }
        self.advance(normaliser, event.ts_ns);
        if let Some(OnCpu::Task(pid)) = normaliser.cpus().get(&event.cpu).map(|cpu| cpu.doing) {
            self.touched.push(pid);
        }
    }

    /// After the normaliser has taken it.
    pub fn after(&mut self, event: &Event, normaliser: &Normaliser) {
        match &event.kind {
            Kind::Switch { prev, next, .. } => {
                self.touched.extend(prev.iter().map(|task| task.pid));
                self.touched.push(next.pid);
            }
            Kind::Wake { wakee: task, .. } | Kind::Fork { child: task, .. } => self.touched.push(task.pid),
            Kind::Exec { task, old_pid } => self.touched.extend([task.pid, *old_pid]),
            Kind::Attributes { pid, .. } => {
                self.touched.push(*pid);
                self.forget();
            }
            Kind::Group { .. } => self.forget(),
            Kind::Online | Kind::Offline => self.is_changed = true,
            Kind::Loss { .. } => {
                self.touched.extend(self.runnable.keys());
                self.is_changed = true;
            }
            Kind::Migrate { .. }
            | Kind::Exit { .. }
            | Kind::Rename { .. }
            | Kind::Throttled { .. }
            | Kind::Asleep { .. } => return,
        }
        for pid in std::mem::take(&mut self.touched) {
            self.look_at(pid, normaliser);
        }
        let cpu = event.cpu;
        let runs_unfair = match normaliser.cpus().get(&cpu).map(|cpu| cpu.doing) {
            Some(OnCpu::Task(pid)) => normaliser.life(pid).is_some_and(|life| !is_fair(life)),
            _ => false,
        };
        let has_changed = if runs_unfair { self.taken.insert(cpu) } else { self.taken.remove(&cpu) };
        self.is_changed |= has_changed;
        let is_unknown = |doing| match doing {
            OnCpu::Unknown { .. } => true,
            OnCpu::Task(pid) => normaliser.life(pid).is_none_or(|life| {
                matches!(life.doing, Doing::Unknown { why: Doubt::Loss | Doubt::Hidden, .. })
            }),
            OnCpu::Idle | OnCpu::Offline => false,
        };
        self.doubtful = normaliser.cpus().values().any(|cpu| is_unknown(cpu.doing));
    }

    fn forget(&mut self) {
        self.known.clear();
        self.is_changed = true;
    }

    /// Whether a task is runnable may have changed, and who it is.
    fn look_at(&mut self, pid: u32, normaliser: &Normaliser) {
        let life = normaliser.life(pid).filter(|life| is_fair(life));
        // Who gave its CPU away asks for none until it has one again.
        let wants = |doing| match doing {
            Doing::Running(_) => true,
            Doing::Runnable(ready) => ready != Ready::Yielded,
            Doing::Unborn | Doing::Blocked(_) | Doing::Unknown { .. } => false,
        };
        let is_runnable = life.is_some_and(|life| wants(life.doing));
        let id = life.filter(|_| is_runnable).map(|life| life.id);
        let before = self.runnable.get(&pid).copied();
        if before != id {
            if let Some(account) = before.and_then(|id| self.accounts.get_mut(&id)) {
                account.is_running = false;
                account.rate = 0.0;
            }
            match id {
                Some(id) => self.runnable.insert(pid, id),
                None => self.runnable.remove(&pid),
            };
            self.is_changed = true;
        }
        if let Some(id) = id {
            self.accounts.entry(id).or_default().is_running =
                life.is_some_and(|life| matches!(life.doing, Doing::Running(_)));
        }
    }

    /// New rates for all that are runnable; false if it is to end instead.
    fn renew(&mut self, normaliser: &Normaliser) -> bool {
        let gone = |(cpu, of): (&u32, &crate::normaliser::Cpu)| {
            (of.doing == OnCpu::Offline || self.taken.contains(cpu)).then_some(*cpu)
        };
        let question: Question =
            (self.runnable.keys().copied().collect(), normaliser.cpus().iter().filter_map(gone).collect());
        let rates = match self.known.get(&question) {
            // Weights by nice may have changed without being told; then the division is another.
            Some(rates) if self.basis == Basis::Told => rates.clone(),
            _ => match self.divide(normaliser, &question) {
                Some(rates) => rates,
                None => return false,
            },
        };
        for (id, rate) in self.runnable.values().zip(&rates) {
            if let Some(account) = self.accounts.get_mut(id) {
                account.rate = *rate;
            }
        }
        if self.known.len() == REMEMBERED {
            self.known.clear();
        }
        if self.basis == Basis::Told {
            self.known.insert(question, rates);
        }
        true
    }

    /// The rates of these; `None` if it is to end instead.
    fn divide(&self, normaliser: &Normaliser, (pids, gone): &Question) -> Option<Vec<f64>> {
        let all: CpuSet = normaliser.cpus().keys().copied().filter(|cpu| !gone.contains(cpu)).collect();
        let mut demand = Demand {
            length_ns: INTERVAL_NS,
            capacity_ns: all.iter().map(|cpu| (cpu, INTERVAL_NS)).collect(),
            cpu_sets: vec![all],
            ..Demand::default()
        };
        let mut groups = BTreeMap::new();
        if self.basis == Basis::Told {
            let told = normaliser.groups();
            // The root is where everybody competes who is in no other.
            let inner: Vec<Group> = told
                .values()
                .filter(|(group, _)| group.parent.is_some())
                .map(|(group, _)| group.id)
                .collect();
            groups.extend(inner.iter().enumerate().map(|(n, id)| (*id, GroupId(n))));
            demand.groups = inner
                .iter()
                .filter_map(|id| told.get(id))
                .map(|(group, _)| DemandGroup {
                    parent: group.parent.and_then(|parent| groups.get(&parent)).copied(),
                    weight: group.weight.max(1),
                    quota_ns: group.quota.map(|quota| {
                        let part = u128::from(quota.quota_ns) * u128::from(INTERVAL_NS)
                            / u128::from(quota.period_ns.max(1));
                        u64::try_from(part).unwrap_or(u64::MAX)
                    }),
                })
                .collect();
        }
        for pid in pids {
            let Some(life) = normaliser.life(*pid) else { continue };
            let set = life.attributes.affinity.as_ref().filter(|_| self.basis == Basis::Told);
            let cpus = set.map_or(0, |set| {
                demand.cpu_sets.iter().position(|known| known == set).unwrap_or_else(|| {
                    demand.cpu_sets.push(set.clone());
                    demand.cpu_sets.len() - 1
                })
            });
            demand.claims.push(Claim {
                weight: u64::from(weight(life)),
                demand_ns: INTERVAL_NS,
                group: life.attributes.group.and_then(|group| groups.get(&group)).copied(),
                cpus: CpuSetId(cpus),
            });
        }
        match entitle_unless(&demand, &self.ended) {
            Ok(shares) => {
                Some(shares?.claims.iter().map(|share| share.entitled_ns / INTERVAL_NS as f64).collect())
            }
            // A tree of groups that contradicts itself, in a file that was tampered with: nobody is entitled
            // to anything.
            Err(_) => Some(vec![0.0; pids.len()]),
        }
    }
}

/// Whether a task takes part in the fair class.
fn is_fair(life: &Life) -> bool {
    match life.attributes.policy {
        Some(policy) => !matches!(policy, 1 | 2 | 6),
        None => life.attributes.prio.is_none_or(|prio| prio >= 100),
    }
}

/// Its weight: as told, otherwise by its nice value; never 0.
fn weight(life: &Life) -> u32 {
    let by_nice = || {
        let nice = life
            .attributes
            .prio
            .filter(|prio| (100..140).contains(prio))
            .map(|prio| Nice::new(i64::from(prio) - 120));
        nice.and_then(Result::ok).unwrap_or_default().weight()
    };
    life.attributes.weight.unwrap_or_else(by_nice).max(1)
}
