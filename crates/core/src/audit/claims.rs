//! From a window to what there is to divide and who asks for it.

use super::asked_ns;
use super::waiting::queues_throttled_ns;
use crate::cpu_set::CpuSet;
use crate::entitlement::{Claim, CpuSetId, Demand, Group as DemandGroup, GroupId, GroupLoad, GroupRule};
use crate::policy::Policy;
use crate::snapshot::{Group, TaskTotals};
use crate::tickets::IDLE_WEIGHT;
use crate::window::Window;
use std::collections::BTreeMap;

/// What an interval had to divide, on all CPUs: `wall = capacity + unfair + taken + unclaimed`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Division {
    /// Length of the interval times the CPUs that were there.
    pub wall_ns: u64,
    /// What was left for the tasks in the ledger.
    pub capacity_ns: u64,
    /// What tasks without weights had: real time, deadline, stop.
    pub unfair_ns: u64,
    /// What interrupts and the hypervisor took of the rest.
    pub taken_ns: u64,
    /// What tasks had of the rest that are not known one by one.
    pub unclaimed_ns: u64,
}

/// The demand of a window, and what its indices stand for.
pub(super) struct Claims {
    pub(super) demand: Demand,
    pub(super) division: Division,
    /// For each claim its task: an index into [`Window::tasks`].
    pub(super) tasks: Vec<usize>,
    /// For each claim what the task received.
    pub(super) received_ns: Vec<u64>,
    /// For each group of the demand its name.
    pub(super) groups: Vec<Group>,
    /// For each group of the demand its place in [`Window::groups`].
    pub(super) group_windows: Vec<usize>,
    /// For each group of the demand what its quota gives in the interval, on average.
    pub(super) mean_quota_ns: Vec<Option<u64>>,
    /// CPUs that were there.
    pub(super) present: CpuSet,
}

impl Claims {
    /// One claim for each task that holds tickets and ran or waited.
    ///
    /// - Groups that the window does not know are the root's, as are their members. The root group is no
    ///   group of the demand: whoever is in it competes at the top.
    /// - A task that may use none of the CPUs that are there may use all: the kernel gives it a fallback.
    /// - A quota is quota / period × length. A burst that the kernel may grant beyond it is not in it. Who
    ///   asks in bursts is throttled though the interval as a whole is not used up: then the quota gives what
    ///   its tasks had, and what they waited for others.
    pub(super) fn of(window: &Window) -> Self {
        let (capacity_ns, division) = divide(window);
        let present: CpuSet = window.cpus.iter().filter(|c| c.wall_ns > 0).map(|c| c.cpu).collect();
        let length_ns = window.length_ns();
        let mut claims = Self {
            demand: Demand { length_ns, capacity_ns, ..Demand::default() },
            division,
            tasks: Vec::new(),
            received_ns: Vec::new(),
            groups: Vec::new(),
            group_windows: Vec::new(),
            mean_quota_ns: Vec::new(),
            present,
        };
        let ids = claims.add_groups(window);
        let mut sets: BTreeMap<CpuSet, CpuSetId> = BTreeMap::new();
        // Thousands of tasks have a few affinities.
        let mut by_affinity: BTreeMap<Option<&CpuSet>, CpuSetId> = BTreeMap::new();
        let fair_ns = division.wall_ns - division.unfair_ns;
        for (index, task) in window.tasks.iter().enumerate() {
            if !task.totals.policy.holds_tickets() || asked_ns(task) == 0 {
                continue;
            }
            // The kernel's own counters leave out what was taken; the monitor's slices contain it.
            let received_ns = if task.delta.light {
                task.delta.runtime_ns
            } else {
                part(task.delta.runtime_ns, fair_ns - division.taken_ns, fair_ns)
            };
            let cpus = *by_affinity.entry(task.totals.affinity.as_ref()).or_insert_with(|| {
                let next = CpuSetId(sets.len());
                *sets.entry(claims.cpus_of(&task.totals)).or_insert(next)
            });
            claims.demand.claims.push(Claim {
                weight: weight(&task.totals),
                demand_ns: received_ns.saturating_add(task.delta.imposed_wait_ns()),
                group: ids.get(&task.totals.group).copied(),
                cpus,
            });
            claims.tasks.push(index);
            claims.received_ns.push(received_ns);
        }
        let mut by_id: Vec<(CpuSetId, CpuSet)> = sets.into_iter().map(|(set, id)| (id, set)).collect();
        by_id.sort_unstable_by_key(|(id, _)| *id);
        claims.demand.cpu_sets = by_id.into_iter().map(|(_, set)| set).collect();
        claims.apply_rule(window);
        claims.mean_quota_ns = claims.demand.groups.iter().map(|group| group.quota_ns).collect();
        claims.tighten_quotas(window);
        claims
    }

    /// The CPUs a task may use, of those that are there.
    pub(super) fn cpus_of(&self, totals: &TaskTotals) -> CpuSet {
        let Some(affinity) = &totals.affinity else { return self.present.clone() };
        let cpus: CpuSet = affinity.iter().filter(|&cpu| self.present.contains(cpu)).collect();
        if cpus.is_empty() { self.present.clone() } else { cpus }
    }

    /// A group and all above it, below the root.
    pub(super) fn path(&self, group: Option<GroupId>) -> impl Iterator<Item = GroupId> {
        std::iter::successors(group, |group| self.demand.groups[group.0].parent)
    }

    /// Weighs the groups as the kernel's rule does: the tasks that were runnable are what theirs asked for,
    /// as a part of the interval.
    fn apply_rule(&mut self, window: &Window) {
        if window.group_rule == GroupRule::Smp {
            return;
        }
        let mut loads = vec![(0.0, CpuSet::default()); self.groups.len()];
        for claim in &self.demand.claims {
            for group in self.path(claim.group) {
                let (runnable, cpus) = &mut loads[group.0];
                *runnable += self.demand.most_ns(claim) as f64 / window.length_ns().max(1) as f64;
                cpus.union_with(&self.demand.cpu_sets[claim.cpus.0]);
            }
        }
        for (group, (runnable, cpus)) in self.demand.groups.iter_mut().zip(loads) {
            let load = GroupLoad { shares: group.weight, runnable, cpus: (cpus.len() as u64).max(1) };
            group.weight = window.group_rule.whole_weight(&load);
        }
    }

    /// What each quota gave where it was used up in bursts. An interval holds a period more or less than its
    /// length says, so nothing changes for less than what one period gives.
    fn tighten_quotas(&mut self, window: &Window) {
        let throttled_ns = queues_throttled_ns(window, self);
        let mut gave_ns: Vec<Option<u64>> = throttled_ns.iter().map(|ns| (*ns > 0).then_some(0)).collect();
        for (claim, &task) in self.demand.claims.iter().zip(&self.tasks) {
            let delta = &window.tasks[task].delta;
            let most_ns = self.demand.most_ns(claim);
            for group in self.path(claim.group) {
                if let Some(gave_ns) = &mut gave_ns[group.0] {
                    let stopped_ns = throttled_ns[group.0].min(delta.imposed_wait_ns()).min(most_ns);
                    *gave_ns = gave_ns.saturating_add(most_ns - stopped_ns);
                }
            }
        }
        for ((group, gave_ns), &at) in self.demand.groups.iter_mut().zip(gave_ns).zip(&self.group_windows) {
            let a_period_ns = window.groups[at].totals.quota.map_or(0, |quota| quota.quota_ns);
            if let (Some(quota_ns), Some(gave_ns)) = (&mut group.quota_ns, gave_ns)
                && gave_ns.saturating_add(a_period_ns) < *quota_ns
            {
                *quota_ns = gave_ns;
            }
        }
    }

    /// Takes over all groups but the root, whose members get no group.
    fn add_groups(&mut self, window: &Window) -> BTreeMap<Group, GroupId> {
        let mut ids = BTreeMap::new();
        for (index, group) in window.groups.iter().enumerate() {
            if group.totals.parent.is_some() {
                ids.insert(group.totals.id, GroupId(self.groups.len()));
                self.groups.push(group.totals.id);
                self.group_windows.push(index);
            }
        }
        for &index in &self.group_windows {
            let totals = &window.groups[index].totals;
            self.demand.groups.push(DemandGroup {
                parent: totals.parent.and_then(|parent| ids.get(&parent).copied()),
                weight: totals.weight.max(1),
                quota_ns: totals
                    .quota
                    .filter(|quota| quota.period_ns > 0)
                    .map(|quota| part(window.length_ns(), quota.quota_ns, quota.period_ns)),
            });
        }
        ids
    }
}

/// Weight among the members of the group: tickets that were set, or what follows from nice value and policy.
/// The kernel keeps the weight of the fair class up to date only for tasks of that class.
fn weight(totals: &TaskTotals) -> u64 {
    let by_policy = || match totals.policy {
        Policy::Idle => IDLE_WEIGHT,
        Policy::Ext => totals.nice.weight(),
        _ => totals.weight.max(1),
    };
    u64::from(totals.tickets_set.map_or_else(by_policy, |tickets| tickets.max(1)))
}

/// What each CPU had for the tasks in the ledger, and where the rest went.
fn divide(window: &Window) -> (BTreeMap<u32, u64>, Division) {
    let mut division = Division::default();
    let mut capacities = Vec::new();
    let mut fair_busy_ns = 0u64;
    for cpu in window.cpus.iter().filter(|c| c.wall_ns > 0) {
        let fair_ns = cpu.wall_ns.saturating_sub(cpu.unfair_ns);
        let taken_ns = part(fair_ns, cpu.taken_ns.min(cpu.wall_ns), cpu.wall_ns);
        let busy_ns = cpu.busy_ns.saturating_sub(cpu.unfair_ns);
        fair_busy_ns += busy_ns;
        division.wall_ns += cpu.wall_ns;
        division.unfair_ns += cpu.wall_ns - fair_ns;
        division.taken_ns += taken_ns;
        capacities.push((cpu.cpu, fair_ns - taken_ns, busy_ns));
    }
    let fair_ns = division.wall_ns - division.unfair_ns;
    let unknown_ns = window.unlisted_exits.runtime_ns.saturating_add(window.loss.untracked_ns);
    let unknown_ns = part(unknown_ns.min(fair_busy_ns), fair_ns - division.taken_ns, fair_ns);
    let capacity_ns: BTreeMap<u32, u64> = capacities
        .into_iter()
        .map(|(cpu, capacity_ns, busy_ns)| {
            let unclaimed_ns = part(unknown_ns, busy_ns, fair_busy_ns).min(capacity_ns);
            division.unclaimed_ns += unclaimed_ns;
            (cpu, capacity_ns - unclaimed_ns)
        })
        .collect();
    division.capacity_ns = capacity_ns.values().sum();
    (capacity_ns, division)
}

/// `whole` × `part` / `of`, rounded down; 0 of nothing. Saturates at the largest number.
fn part(whole: u64, part: u64, of: u64) -> u64 {
    let product = u128::from(whole) * u128::from(part);
    u64::try_from(product.checked_div(u128::from(of)).unwrap_or(0)).unwrap_or(u64::MAX)
}
