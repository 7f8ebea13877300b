//! What tasks were entitled to while the simulation ran, and how far they were from it at any time.
//!
//! Between two changes of the set of runnable tasks each of them is entitled to a constant rate, the one that
//! [`entitle`] gives for one interval in which all of them want the whole of it. Lag = entitled − received is
//! then a broken line, bent where the task starts, stops, or the set changes; its extremes lie at the bends,
//! and its square is integrated exactly between them.

use super::machine::{Machine, TaskIx};
use super::measure::Tally;
use super::scenario::Scenario;
use std::collections::BTreeMap;
use tombola_core::entitlement::{Claim, CpuSet, CpuSetId, Demand, Flat, Group, GroupId, entitle};

/// Rates are worked out for an interval of this length: fine enough that rounding is below 10⁻⁹.
const INTERVAL_NS: u64 = 1_000_000_000;
/// Sets whose rates are remembered.
const REMEMBERED: usize = 1024;

/// The entitlement of every task over a simulation.
#[derive(Clone, Debug)]
pub(super) struct LagBook {
    accounts: Vec<LagAccount>,
    /// Runnable tasks, ascending.
    runnable: Vec<TaskIx>,
    since_ns: u64,
    /// The set has changed since rates were worked out.
    dirty: bool,
    /// Without groups and affinity rates have a closed form.
    flat: Option<Flat>,
    known: BTreeMap<Vec<TaskIx>, Vec<f64>>,
    /// Everything of a demand but the claims.
    frame: Demand,
}

/// What one task was entitled to, and its lag.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LagAccount {
    /// Entitled so far, ns.
    pub entitled_ns: f64,
    /// Largest |entitled − received| so far, ns.
    pub max_ns: f64,
    /// ∫ lag² dt over the time it was runnable, ns³.
    square: f64,
    /// Time it was runnable, ns.
    runnable_ns: f64,
    /// CPUs it is entitled to now.
    rate: f64,
    at_ns: u64,
    lag_ns: f64,
}

impl LagAccount {
    /// Root of the mean square of the lag over the time the task was runnable, ns.
    pub fn rms_ns(&self) -> f64 {
        if self.runnable_ns > 0.0 { (self.square / self.runnable_ns).sqrt() } else { 0.0 }
    }

    /// Time for which the task wanted the CPU, ns.
    #[cfg(test)]
    pub(super) fn runnable_ns(&self) -> f64 {
        self.runnable_ns
    }

    fn settle(&mut self, now_ns: u64, received_ns: u64) {
        let passed = (now_ns - self.at_ns) as f64;
        self.entitled_ns += self.rate * passed;
        let (before, after) = (self.lag_ns, self.entitled_ns - received_ns as f64);
        self.square += passed * (before * before + before * after + after * after) / 3.0;
        self.runnable_ns += passed;
        self.max_ns = self.max_ns.max(after.abs());
        self.lag_ns = after;
        self.at_ns = now_ns;
    }
}

impl LagBook {
    pub(super) fn new(scenario: &Scenario, machine: &Machine) -> Self {
        let cpu = |c: usize| u32::try_from(c).unwrap_or(u32::MAX);
        let cpu_sets = (0..machine.class_count())
            .map(|class| {
                let mut set = CpuSet::default();
                machine.class_cpus(class).iter().for_each(|c| set.insert(cpu(*c)));
                set
            })
            .collect();
        let groups = scenario
            .groups
            .iter()
            .map(|g| Group {
                parent: g.parent.map(GroupId),
                weight: g.weight,
                quota_ns: g.quota.map(|q| {
                    let part = u128::from(q.quota_ns) * u128::from(INTERVAL_NS) / u128::from(q.period_ns);
                    u64::try_from(part).unwrap_or(u64::MAX)
                }),
            })
            .collect();
        Self {
            accounts: vec![LagAccount::default(); machine.tasks().len()],
            runnable: Vec::new(),
            since_ns: 0,
            dirty: false,
            flat: (scenario.groups.is_empty()
                && (0..machine.class_count()).all(|c| machine.class_cpus(c).len() == machine.cpus().len()))
            .then(|| Flat::new(INTERVAL_NS, machine.cpus().len() as u64)),
            known: BTreeMap::new(),
            frame: Demand {
                length_ns: INTERVAL_NS,
                capacity_ns: (0..machine.cpus().len()).map(|c| (cpu(c), INTERVAL_NS)).collect(),
                cpu_sets,
                groups,
                claims: Vec::new(),
            },
        }
    }

    /// Everybody begins even. The lines must be settled.
    pub(super) fn restart(&mut self) {
        for account in &mut self.accounts {
            *account = LagAccount { rate: account.rate, at_ns: account.at_ns, ..LagAccount::default() };
        }
    }

    pub(super) fn accounts(&self) -> &[LagAccount] {
        &self.accounts
    }

    /// Rate a task is entitled to now, in CPUs.
    pub(super) fn rate(&self, task: TaskIx) -> f64 {
        self.accounts[task].rate
    }

    pub(super) fn runnable(&self) -> &[TaskIx] {
        &self.runnable
    }

    /// One task's line bends: it starts or stops running.
    pub(super) fn bend(&mut self, task: TaskIx, now_ns: u64, received_ns: u64) {
        self.accounts[task].settle(now_ns, received_ns);
    }

    /// The lines of all runnable tasks up to now.
    pub(super) fn settle(&mut self, now_ns: u64, tallies: &[Tally]) {
        if self.since_ns == now_ns {
            return;
        }
        self.since_ns = now_ns;
        for &task in &self.runnable {
            self.accounts[task].settle(now_ns, tallies[task].runtime_ns);
        }
    }

    /// A task comes to the runnable set or leaves it. The lines must be settled.
    pub(super) fn set_runnable(&mut self, machine: &Machine, task: TaskIx, runnable: bool) {
        let (now_ns, weight) = (machine.now_ns(), machine.tasks()[task].tickets);
        match (self.runnable.binary_search(&task), runnable) {
            (Err(at), true) => {
                self.runnable.insert(at, task);
                self.accounts[task].at_ns = now_ns;
                if let Some(flat) = &mut self.flat {
                    flat.add(weight);
                }
            }
            (Ok(at), false) => {
                self.runnable.remove(at);
                self.accounts[task].rate = 0.0;
                if let Some(flat) = &mut self.flat {
                    flat.remove(weight);
                }
            }
            _ => return,
        }
        self.dirty = true;
    }

    /// New rates, if the set has changed.
    pub(super) fn renew(&mut self, machine: &Machine) {
        if !std::mem::take(&mut self.dirty) {
            return;
        }
        if let Some(flat) = &self.flat {
            let level = flat.level();
            for &task in &self.runnable {
                let entitled_ns = flat.entitled_ns(level, machine.tasks()[task].tickets);
                self.accounts[task].rate = entitled_ns / INTERVAL_NS as f64;
            }
            return;
        }
        if let Some(rates) = self.known.get(&self.runnable) {
            for (task, rate) in self.runnable.iter().zip(rates) {
                self.accounts[*task].rate = *rate;
            }
            return;
        }
        let mut demand = self.frame.clone();
        demand.claims = self
            .runnable
            .iter()
            .map(|task| {
                let view = &machine.tasks()[*task];
                Claim {
                    weight: view.tickets,
                    demand_ns: INTERVAL_NS,
                    group: view.group.map(GroupId),
                    cpus: CpuSetId(view.class),
                }
            })
            .collect();
        let shares =
            entitle(&demand).expect("a scenario is checked: weights above 0, groups a tree, sets not empty");
        let rates: Vec<f64> =
            shares.claims.iter().map(|share| share.entitled_ns / INTERVAL_NS as f64).collect();
        for (task, rate) in self.runnable.iter().zip(&rates) {
            self.accounts[*task].rate = *rate;
        }
        if self.known.len() == REMEMBERED {
            self.known.clear();
        }
        self.known.insert(self.runnable.clone(), rates);
    }
}
