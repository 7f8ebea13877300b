//! Weights that do nothing, or not what they seem to say.
//!
//! What nice values alone would give is a second division, of the same time among the same tasks without
//! their groups: the difference is what the groups do.

use super::{Claims, Waiting};
use crate::cpu_set::CpuSet;
use crate::entitlement::{Bound, Demand, DemandError, Entitlement, GroupId, entitle};
use crate::identity::TaskId;
use crate::policy::Policy;
use crate::reservation::Reservation;
use crate::snapshot::Group;
use crate::tickets::Nice;
use crate::window::{TaskWindow, Window};
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// A place where weights do not decide, in numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// What is found.
    pub about: About,
    /// CPU time at stake: the scale findings are ordered by.
    pub effect_ns: u64,
    /// The tasks it is about, ordered by identity; never empty.
    pub tasks: Vec<TaskId>,
    /// That one of them that waited most (of [`About::RealTime`] and [`About::NotFair`]: ran most), among
    /// equals the lower identity.
    pub foremost: TaskId,
}

/// What is found.
#[derive(Clone, Debug, PartialEq)]
pub enum About {
    /// All that compete in this group have the same weight, not that of nice 0: their nice value acts on
    /// nobody. Often it is one task alone in its session's autogroup.
    NiceActsOnNobody {
        /// The group.
        group: Group,
        /// Their nice value.
        nice: Nice,
        /// The group that competes in its place: itself, or the one above it that is not alone. `None` where
        /// nobody else competes.
        competing: Option<Group>,
        /// The weight of that group; its own, where nobody else competes.
        group_weight: u64,
        /// What they are entitled to together.
        entitled_ns: u64,
        /// What they would be entitled to if there were no groups.
        by_nice_ns: u64,
    },
    /// The group's weight, not its tasks' nice values, decides what they are entitled to.
    GroupWeight {
        /// The group that competes: the tasks' own, or the one above it that is not alone.
        group: Group,
        /// Its weight.
        group_weight: u64,
        /// Its tasks' weights added up.
        task_weights: u64,
        /// What they are entitled to together.
        entitled_ns: u64,
        /// What they would be entitled to if there were no groups.
        by_nice_ns: u64,
    },
    /// The group's quota keeps its tasks from what they ask for.
    Quota {
        /// The group.
        group: Group,
        /// CPU time the quota allows in the interval, on average.
        quota_ns: u64,
        /// What its tasks asked for: run + wait.
        asked_ns: u64,
        /// What they had.
        received_ns: u64,
        /// How often its run queues were throttled.
        throttles: u64,
        /// How long, over all CPUs.
        throttled_ns: u64,
    },
    /// Tasks waited for these CPUs, the only ones they may use, while others idled.
    Affinity {
        /// The CPUs they may use.
        cpus: CpuSet,
        /// What they waited together.
        wait_ns: u64,
        /// What the other CPUs idled together.
        idle_ns: u64,
    },
    /// Tasks without weights took time from this CPU before the rest was divided. The tasks named are those
    /// that last ran there.
    RealTime {
        /// The CPU.
        cpu: u32,
        /// What they took of it.
        unfair_ns: u64,
        /// Its time.
        wall_ns: u64,
    },
    /// A `SCHED_DEADLINE` task asked for more than its reservation gives, and waited for its next periods:
    /// nobody stood in its way.
    Budget {
        /// What it had.
        runtime_ns: u64,
        /// What it waited with its budget used up.
        throttled_ns: u64,
        /// What it is promised, where that is known.
        reservation: Option<Reservation>,
    },
    /// Tasks are run by a `sched_ext` scheduler: whether it heeds weights is its own affair.
    NotFair {
        /// What they ran.
        runtime_ns: u64,
    },
}

impl Finding {
    /// The most that an audit lists.
    pub const MOST: usize = 100;

    /// From which part of the interval on a wait, or a difference, is worth a sentence.
    const THRESHOLD: u64 = 100;
}

impl About {
    /// A fixed order of those with the same effect.
    fn rank(&self) -> u8 {
        match self {
            Self::NiceActsOnNobody { .. } => 0,
            Self::GroupWeight { .. } => 1,
            Self::Quota { .. } => 2,
            Self::Affinity { .. } => 3,
            Self::RealTime { .. } => 4,
            Self::NotFair { .. } => 5,
            Self::Budget { .. } => 6,
        }
    }
}

/// All findings of a window, the one with the largest effect first.
///
/// # Errors
/// [`DemandError`] as the division itself.
pub(super) fn find(
    window: &Window,
    claims: &Claims,
    entitlement: &Entitlement,
    waits: &[Waiting],
) -> Result<Vec<Finding>, DemandError> {
    let search = Search { window, claims, entitlement, least_ns: window.length_ns() / Finding::THRESHOLD };
    let mut findings = search.groups()?;
    findings.extend(search.quotas());
    findings.extend(search.affinity());
    findings.extend(search.real_time());
    findings.extend(search.not_fair());
    findings.extend(search.budgets(waits));
    findings.sort_by_key(|f| (Reverse(f.effect_ns), f.about.rank(), f.foremost));
    Ok(findings)
}

struct Search<'a> {
    window: &'a Window,
    claims: &'a Claims,
    entitlement: &'a Entitlement,
    /// Less than this is not worth a sentence.
    least_ns: u64,
}

/// What the claims that stand directly in one group have in common.
#[derive(Default)]
struct Members {
    claims: Vec<usize>,
    has_subgroups: bool,
}

impl Search<'_> {
    fn task(&self, claim: usize) -> &TaskWindow {
        &self.window.tasks[self.claims.tasks[claim]]
    }

    /// A finding about claims.
    fn about(&self, about: About, effect_ns: u64, claims: &[usize]) -> Option<Finding> {
        finding(about, effect_ns, claims.iter().map(|&claim| self.task(claim)), |t| t.delta.imposed_wait_ns())
    }

    /// Groups whose members' nice values do nothing, or less than the group's own weight.
    fn groups(&self) -> Result<Vec<Finding>, DemandError> {
        let demand = &self.claims.demand;
        let mut members: BTreeMap<GroupId, Members> = BTreeMap::new();
        for (index, claim) in demand.claims.iter().enumerate() {
            let mut path = self.claims.path(claim.group);
            let Some(own) = path.next() else { continue };
            members.entry(own).or_default().claims.push(index);
            for above in path {
                members.entry(above).or_default().has_subgroups = true;
            }
        }
        if members.is_empty() {
            return Ok(Vec::new());
        }
        let flat = entitle(&without_groups(demand))?;
        let rivals = self.rivals();
        let found = members.iter().filter_map(|(id, members)| {
            let competing = self.competing(*id, &rivals);
            self.group(*id, competing, members, &flat)
        });
        Ok(found.collect())
    }

    /// How many tasks and groups compete directly in each group, and in the root.
    fn rivals(&self) -> BTreeMap<Option<GroupId>, usize> {
        let demand = &self.claims.demand;
        let mut rivals: BTreeMap<Option<GroupId>, usize> = BTreeMap::new();
        let mut counted = vec![false; demand.groups.len()];
        for claim in &demand.claims {
            *rivals.entry(claim.group).or_default() += 1;
            for group in self.claims.path(claim.group) {
                if !std::mem::replace(&mut counted[group.0], true) {
                    *rivals.entry(demand.groups[group.0].parent).or_default() += 1;
                }
            }
        }
        rivals
    }

    /// The group whose weight competes for a group's tasks: a group that is alone in the one above it has no
    /// say, whatever it weighs.
    fn competing(&self, group: GroupId, rivals: &BTreeMap<Option<GroupId>, usize>) -> Option<GroupId> {
        let parent = |group: GroupId| self.claims.demand.groups[group.0].parent;
        self.claims.path(Some(group)).find(|at| rivals.get(&parent(*at)).is_some_and(|rivals| *rivals > 1))
    }

    fn group(
        &self,
        id: GroupId,
        competing: Option<GroupId>,
        members: &Members,
        flat: &Entitlement,
    ) -> Option<Finding> {
        let first = self.task(*members.claims.first()?);
        let waited_ns: u64 =
            members.claims.iter().map(|&claim| self.task(claim).delta.imposed_wait_ns()).sum();
        if waited_ns < self.least_ns {
            return None;
        }
        let sum = |of: &Entitlement| whole(members.claims.iter().map(|&c| of.claims[c].entitled_ns).sum());
        let (entitled_ns, by_nice_ns) = (sum(self.entitlement), sum(flat));
        let difference_ns = entitled_ns.abs_diff(by_nice_ns);
        let group = self.claims.groups[id.0];
        let at = self.claims.group_windows[competing.unwrap_or(id).0];
        let group_weight = self.window.groups[at].totals.weight.max(1);
        let competing = competing.map(|id| self.claims.groups[id.0]);
        let weight = |claim: usize| self.claims.demand.claims[claim].weight;
        let first_weight = weight(members.claims[0]);
        // Whose tickets were set has no weight by nice value.
        let is_same = members
            .claims
            .iter()
            .all(|&claim| weight(claim) == first_weight && self.task(claim).totals.tickets_set.is_none());
        if is_same && !members.has_subgroups && first_weight != u64::from(Nice::default().weight()) {
            let nice = first.totals.nice;
            let about =
                About::NiceActsOnNobody { group, nice, competing, group_weight, entitled_ns, by_nice_ns };
            return self.about(about, difference_ns, &members.claims);
        }
        // What a quota withholds is the quota's doing, not the weight's.
        let is_by_weight =
            members.claims.iter().all(|&c| !matches!(self.entitlement.claims[c].bound, Bound::Quota(_)));
        let is_large = difference_ns >= self.least_ns.saturating_mul(5) && difference_ns >= by_nice_ns / 4;
        let task_weights = members.claims.iter().map(|&claim| weight(claim)).sum();
        let about =
            About::GroupWeight { group: competing?, group_weight, task_weights, entitled_ns, by_nice_ns };
        (is_by_weight && is_large).then(|| self.about(about, difference_ns, &members.claims)).flatten()
    }

    /// Quotas that stop somebody.
    fn quotas(&self) -> Vec<Finding> {
        let demand = &self.claims.demand;
        let bound = |group: &usize| self.entitlement.groups[*group].bound == Bound::Quota(GroupId(*group));
        let mut below: BTreeMap<usize, Vec<usize>> =
            (0..demand.groups.len()).filter(bound).map(|group| (group, Vec::new())).collect();
        if below.is_empty() {
            return Vec::new();
        }
        for (index, claim) in demand.claims.iter().enumerate() {
            for group in self.claims.path(claim.group) {
                if let Some(members) = below.get_mut(&group.0) {
                    members.push(index);
                }
            }
        }
        let found = |(group, members): (usize, Vec<usize>)| {
            let asked_ns = members.iter().map(|&claim| demand.most_ns(&demand.claims[claim])).sum();
            let kept_ns = asked_ns - whole(self.entitlement.groups[group].entitled_ns).min(asked_ns);
            let of = &self.window.groups[self.claims.group_windows[group]];
            let about = About::Quota {
                group: self.claims.groups[group],
                quota_ns: self.claims.mean_quota_ns[group].unwrap_or(0),
                asked_ns,
                received_ns: members.iter().map(|&claim| self.claims.received_ns[claim]).sum(),
                throttles: of.throttles,
                throttled_ns: of.throttled_ns,
            };
            (kept_ns >= self.least_ns).then(|| self.about(about, kept_ns, &members)).flatten()
        };
        below.into_iter().filter_map(found).collect()
    }

    /// CPU sets that tasks waited for while other CPUs idled.
    fn affinity(&self) -> Vec<Finding> {
        let sets = &self.claims.demand.cpu_sets;
        let mut waiting: Vec<Vec<usize>> = vec![Vec::new(); sets.len()];
        for (index, claim) in self.claims.demand.claims.iter().enumerate() {
            // Whoever a quota stops would not have run on the free CPU either.
            let stopped = matches!(self.entitlement.claims[index].bound, Bound::Quota(_));
            if !stopped && self.task(index).delta.imposed_wait_ns() > 0 {
                waiting[claim.cpus.0].push(index);
            }
        }
        let found = |(cpus, claims): (&CpuSet, Vec<usize>)| {
            let others = self.window.cpus.iter().filter(|c| !cpus.contains(c.cpu));
            let idle_ns: u64 = others.map(|c| c.idle_ns).sum();
            let wait_ns: u64 = claims.iter().map(|&claim| self.task(claim).delta.imposed_wait_ns()).sum();
            let effect_ns = wait_ns.min(idle_ns);
            let about = About::Affinity { cpus: cpus.clone(), wait_ns, idle_ns };
            (effect_ns >= self.least_ns).then(|| self.about(about, effect_ns, &claims)).flatten()
        };
        sets.iter().zip(waiting).filter_map(found).collect()
    }

    /// CPUs that tasks without weights took time from.
    fn real_time(&self) -> Vec<Finding> {
        let found = |cpu: &crate::window::CpuWindow| {
            let takes = |t: &&TaskWindow| {
                t.totals.cpu == cpu.cpu && !t.totals.policy.holds_tickets() && t.delta.runtime_ns > 0
            };
            let tasks = self.window.tasks.iter().filter(takes);
            let about = About::RealTime { cpu: cpu.cpu, unfair_ns: cpu.unfair_ns, wall_ns: cpu.wall_ns };
            (cpu.unfair_ns >= self.least_ns.max(1))
                .then(|| finding(about, cpu.unfair_ns, tasks, |t| t.delta.runtime_ns))
                .flatten()
        };
        self.window.cpus.iter().filter_map(found).collect()
    }

    /// Tasks whose reservation gives less than they ask for.
    fn budgets(&self, waits: &[Waiting]) -> Vec<Finding> {
        let found = |(task, waiting): (&TaskWindow, &Waiting)| {
            let (runtime_ns, throttled_ns) = (task.delta.runtime_ns, waiting.throttled_ns);
            let is_found = task.totals.policy == Policy::Deadline && throttled_ns >= self.least_ns.max(1);
            let reservation = self.window.reservations.get(&task.totals.id).copied();
            let about = About::Budget { runtime_ns, throttled_ns, reservation };
            is_found.then(|| finding(about, throttled_ns, std::iter::once(task), |_| 0)).flatten()
        };
        self.window.tasks.iter().zip(waits).filter_map(found).collect()
    }

    /// Tasks that another scheduler runs. Tasks of `SCHED_EXT` with none loaded are the fair class's
    /// (`task_should_scx`, kernel/sched/ext.c).
    fn not_fair(&self) -> Option<Finding> {
        if !self.window.ext_runs {
            return None;
        }
        let tasks =
            || self.window.tasks.iter().filter(|t| t.totals.policy == Policy::Ext && t.delta.runtime_ns > 0);
        let runtime_ns = tasks().map(|t| t.delta.runtime_ns).sum();
        finding(About::NotFair { runtime_ns }, runtime_ns, tasks(), |t| t.delta.runtime_ns)
    }
}

/// A finding about tasks, the foremost of which has most of something; `None` about nobody.
fn finding<'a>(
    about: About,
    effect_ns: u64,
    tasks: impl Iterator<Item = &'a TaskWindow>,
    most: impl Fn(&TaskWindow) -> u64,
) -> Option<Finding> {
    let mut of: Vec<(u64, TaskId)> = tasks.map(|task| (most(task), task.totals.id)).collect();
    let foremost = of.iter().max_by_key(|(most, id)| (*most, Reverse(*id)))?.1;
    of.sort_unstable_by_key(|(_, id)| *id);
    Some(Finding { about, effect_ns, tasks: of.into_iter().map(|(_, id)| id).collect(), foremost })
}

fn without_groups(demand: &Demand) -> Demand {
    let mut flat = demand.clone();
    flat.groups.clear();
    for claim in &mut flat.claims {
        claim.group = None;
    }
    flat
}

/// To whole nanoseconds; a sum of shares is neither negative nor beyond 2⁶⁴.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "`as` saturates, which is what is meant"
)]
fn whole(ns: f64) -> u64 {
    ns.round() as u64
}
