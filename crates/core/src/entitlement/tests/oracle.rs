//! The definition, word by word, in exact fractions: slow, short, and without anything the solver uses.
//!
//! It keeps the content of every task and moves from stop to stop. Speeds come from a walk down the tree,
//! limits from all 2^m sets of CPUs. No levels, no sorting, no flow, no rounding.

use crate::entitlement::{Bound, Demand, GroupId};
use num_rational::BigRational;

pub(super) struct Exact {
    pub(super) given: Vec<BigRational>,
    pub(super) why: Vec<Stop>,
}

/// Which limits a task has met when it stopped.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Stop {
    demand: bool,
    quotas: Vec<usize>,
    /// The smallest full set of CPUs it lies in, as a mask.
    cpus: Option<u32>,
}

impl Stop {
    /// Whether a bound of the solver names a limit that was met, in the order of [`Bound`].
    pub(super) fn agrees(&self, bound: Bound) -> bool {
        match bound {
            Bound::Demand => self.demand,
            Bound::Quota(GroupId(group)) => !self.demand && self.quotas.contains(&group),
            Bound::Cpus(_) => !self.demand && self.quotas.is_empty() && self.cpus.is_some(),
        }
    }
}

fn whole(ns: u64) -> BigRational {
    BigRational::from_integer(ns.into())
}

fn zero() -> BigRational {
    whole(0)
}

fn sum(of: &[BigRational], member: impl Fn(usize) -> bool) -> BigRational {
    (0..of.len()).filter(|&task| member(task)).map(|task| &of[task]).sum()
}

pub(super) fn solve(demand: &Demand) -> Exact {
    let problem = Problem::new(demand);
    let tasks = demand.claims.len();
    let mut given = vec![zero(); tasks];
    let mut why: Vec<Option<Stop>> = vec![None; tasks];
    loop {
        for (task, why) in why.iter_mut().enumerate().filter(|(_, why)| why.is_none()) {
            *why = problem.stopped(task, &given);
        }
        let growing: Vec<bool> = why.iter().map(Option::is_none).collect();
        if !growing.contains(&true) {
            return Exact { given, why: why.into_iter().flatten().collect() };
        }
        let speed = problem.speeds(&growing);
        let step = problem.step(&given, &speed);
        for task in 0..tasks {
            given[task] += &speed[task] * &step;
        }
    }
}

struct Problem<'d> {
    demand: &'d Demand,
    /// CPUs a task may use, as a mask over the CPUs that are listed, in order.
    masks: Vec<u32>,
    /// Every set of CPUs with its capacity, by mask.
    capacity: Vec<BigRational>,
    /// The groups a task is in, innermost first.
    above: Vec<Vec<usize>>,
}

impl<'d> Problem<'d> {
    fn new(demand: &'d Demand) -> Self {
        let cpus: Vec<u32> = demand.capacity_ns.keys().copied().collect();
        let mask = |set: usize| -> u32 {
            (0..cpus.len()).filter(|&b| demand.cpu_sets[set].contains(cpus[b])).map(|b| 1 << b).sum()
        };
        let capacity = (0..1u32 << cpus.len())
            .map(|t| {
                (0..cpus.len()).filter(|b| t >> b & 1 == 1).map(|b| whole(demand.capacity_ns[&cpus[b]])).sum()
            })
            .collect();
        let above = |group: Option<GroupId>| {
            std::iter::successors(group, |g| demand.groups[g.0].parent).map(|g| g.0).collect()
        };
        Self {
            masks: demand.claims.iter().map(|c| mask(c.cpus.0)).collect(),
            capacity,
            above: demand.claims.iter().map(|c| above(c.group)).collect(),
            demand,
        }
    }

    fn most(&self, task: usize) -> BigRational {
        whole(self.demand.claims[task].demand_ns.min(self.demand.length_ns))
    }

    fn in_group(&self, of: &[BigRational], group: usize) -> BigRational {
        sum(of, |task| self.above[task].contains(&group))
    }

    fn in_cpus(&self, of: &[BigRational], cpus: u32) -> BigRational {
        sum(of, |task| self.masks[task] & !cpus == 0)
    }

    fn stopped(&self, task: usize, given: &[BigRational]) -> Option<Stop> {
        let full = |&group: &usize| {
            let quota = self.demand.groups[group].quota_ns;
            quota.is_some_and(|q| self.in_group(given, group) == whole(q))
        };
        let stop = Stop {
            demand: given[task] == self.most(task),
            quotas: self.above[task].iter().copied().filter(full).collect(),
            cpus: (0u32..)
                .zip(&self.capacity)
                .filter(|&(t, has)| self.masks[task] & !t == 0 && self.in_cpus(given, t) == *has)
                .map(|(t, _)| t)
                .min_by_key(|t| t.count_ones()),
        };
        (stop.demand || !stop.quotas.is_empty() || stop.cpus.is_some()).then_some(stop)
    }

    /// Speed of each task when the whole grows at speed 1.
    fn speeds(&self, growing: &[bool]) -> Vec<BigRational> {
        let grows = |group: usize| (0..growing.len()).any(|t| growing[t] && self.above[t].contains(&group));
        // The weight that grows within a group, or at the top.
        let weight_in = |parent: Option<usize>| -> BigRational {
            let tasks = (0..growing.len())
                .filter(|&t| growing[t] && self.above[t].first().copied() == parent)
                .map(|t| whole(self.demand.claims[t].weight));
            let groups = (0..self.demand.groups.len())
                .filter(|&g| self.demand.groups[g].parent.map(|p| p.0) == parent && grows(g))
                .map(|g| whole(self.demand.groups[g].weight));
            tasks.chain(groups).sum()
        };
        (0..growing.len())
            .map(|task| {
                if !growing[task] {
                    return zero();
                }
                let path = &self.above[task];
                let mut speed = whole(self.demand.claims[task].weight) / weight_in(path.first().copied());
                for (depth, &group) in path.iter().enumerate() {
                    let parent = path.get(depth + 1).copied();
                    speed *= whole(self.demand.groups[group].weight) / weight_in(parent);
                }
                speed
            })
            .collect()
    }

    /// How long all can grow at these speeds until the next limit is met.
    fn step(&self, given: &[BigRational], speed: &[BigRational]) -> BigRational {
        let mut times = Vec::new();
        let mut limit = |left: BigRational, speed: BigRational| {
            assert!(left >= zero(), "a limit is exceeded by {left}");
            if speed > zero() {
                times.push(left / speed);
            }
        };
        for task in 0..given.len() {
            limit(self.most(task) - &given[task], speed[task].clone());
        }
        for (group, quota) in
            self.demand.groups.iter().enumerate().filter_map(|(g, x)| Some((g, x.quota_ns?)))
        {
            limit(whole(quota) - self.in_group(given, group), self.in_group(speed, group));
        }
        for (cpus, has) in (0u32..).zip(&self.capacity) {
            limit(has - self.in_cpus(given, cpus), self.in_cpus(speed, cpus));
        }
        times.into_iter().min().expect("who grows has a demand to meet")
    }
}

/// The largest sum that any division can have, without quotas: the least, over all sets T of CPUs, of T's
/// capacity and the demands of all who may run elsewhere too (max-flow min-cut).
pub(super) fn largest_sum(demand: &Demand) -> BigRational {
    let problem = Problem::new(demand);
    let cut = |(t, has): (u32, &BigRational)| {
        let outside = (0..demand.claims.len()).filter(|&task| problem.masks[task] & !t != 0);
        has + outside.map(|task| problem.most(task)).sum::<BigRational>()
    };
    (0u32..).zip(&problem.capacity).map(cut).min().expect("the empty set is one")
}
