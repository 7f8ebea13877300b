//! CFS with groups on one CPU: a queue for each group, in which its members compete, and an entity for the
//! group in the queue above.

use super::fair::{GRANULARITY, LATENCY, virtual_ns};
use super::groups::{Tribe, Tribes, crowds, grouped};
use super::{Choice, Job, Law, MS, Task, UNTIL, Why, burners, near, simulate, sleeper, uneven, whole};
use crate::laws::slices_under;
use crate::policy::PolicyKind;
use num_rational::BigRational;
use proptest::prelude::*;

/// The tasks are the first entities, then the groups. Queue 0 is the root's, and n + 1 that of group n.
struct Queues {
    tasks: usize,
    weight: Vec<u64>,
    queue: Vec<usize>,
    v: Vec<BigRational>,
    /// Whether it wants the CPU: a group if one of its members does.
    member: Vec<bool>,
    floor: Vec<BigRational>,
}

impl Queues {
    fn new(jobs: &[Job], tribes: &[Tribe], group_of: &[Option<usize>]) -> Self {
        let of = |group: Option<usize>| group.map_or(0, |group| group + 1);
        let entities = jobs.len() + tribes.len();
        Self {
            tasks: jobs.len(),
            weight: jobs
                .iter()
                .map(|job| job.tickets)
                .chain(tribes.iter().map(|(_, weight)| *weight))
                .collect(),
            queue: group_of.iter().map(|group| of(*group)).chain(tribes.iter().map(|t| of(t.0))).collect(),
            v: vec![whole(0); entities],
            member: vec![false; entities],
            floor: vec![whole(0); tribes.len() + 1],
        }
    }

    /// The entity whose members are in a queue.
    fn owner(&self, queue: usize) -> Option<usize> {
        Some(self.tasks + queue.checked_sub(1)?)
    }

    /// An entity and those it is in, up to the root's queue.
    fn path(&self, entity: usize) -> Vec<usize> {
        std::iter::successors(Some(entity), |at| self.owner(self.queue[*at])).collect()
    }

    fn members(&self, queue: usize) -> impl Iterator<Item = usize> + '_ {
        (0..self.weight.len()).filter(move |entity| self.member[*entity] && self.queue[*entity] == queue)
    }

    fn raise(&mut self, queue: usize) {
        let least = self.members(queue).map(|entity| self.v[entity].clone()).min();
        if let Some(least) = least.filter(|least| *least > self.floor[queue]) {
            self.floor[queue] = least;
        }
    }

    /// The part of some time that is an entity's at every level, in whole ns, as if it were there.
    fn portion(&self, entity: usize, of_ns: u64) -> u64 {
        self.path(entity).into_iter().fold(of_ns, |part, at| {
            let others = self.members(self.queue[at]).filter(|other| *other != at);
            part * self.weight[at] / (self.weight[at] + others.map(|other| self.weight[other]).sum::<u64>())
        })
    }

    /// Who of a queue is first; `None` if that is too close.
    fn first(&self, queue: usize) -> Option<usize> {
        let mut all: Vec<usize> = self.members(queue).collect();
        all.sort_by_key(|entity| (self.v[*entity].clone(), *entity));
        // What is due to a new task comes in whole ns, and integers round it once more: equal is close, too.
        let is_close = |two: &[usize]| near(&self.v[two[0]], &self.v[two[1]]);
        (!all.windows(2).take(1).any(is_close)).then(|| all[0])
    }
}

impl Law for Queues {
    fn comes(&mut self, _: &[Task], task: usize, why: Why) {
        if matches!(why, Why::Expired | Why::Preempted) {
            return;
        }
        for entity in self.path(task) {
            if self.member[entity] {
                continue;
            }
            let floor = self.floor[self.queue[entity]].clone();
            if entity == task && why == Why::New {
                let alone = self.members(self.queue[entity]).next().is_none();
                let debit = if alone { 0 } else { self.portion(entity, LATENCY) };
                self.v[entity] = floor + virtual_ns(debit, self.weight[entity]);
            } else {
                let least = floor - whole(LATENCY / 2);
                if self.v[entity] < least {
                    self.v[entity] = least;
                }
            }
            self.member[entity] = true;
        }
    }

    fn leaves(&mut self, _: &[Task], task: usize) {
        for entity in self.path(task) {
            let is_task = entity < self.tasks;
            if is_task || self.members(entity - self.tasks + 1).next().is_none() {
                self.member[entity] = false;
            }
        }
    }

    fn ran(&mut self, _: &[Task], task: usize, _: u64, ns: u64) {
        for entity in self.path(task) {
            self.v[entity] += virtual_ns(ns, self.weight[entity]);
            self.raise(self.queue[entity]);
        }
    }

    fn next(&mut self, tasks: &[Task], _: u64) -> Choice {
        let mut queue = 0;
        let task = loop {
            let Some(first) = self.first(queue) else { return Choice::Close };
            self.raise(queue);
            match first.checked_sub(self.tasks) {
                Some(group) => queue = group + 1,
                None => break first,
            }
        };
        let ready = tasks.iter().filter(|task| task.ready).count() as u64;
        Choice::Run(task, self.portion(task, LATENCY.max(ready * GRANULARITY)).max(GRANULARITY))
    }

    /// At any level of those the running task is in.
    fn beats(&self, _: &[Task], running: usize) -> Option<bool> {
        let mut is_beaten = false;
        for entity in self.path(running) {
            let others = self.members(self.queue[entity]).filter(|other| *other != entity);
            let Some(head) = others.min_by_key(|other| (self.v[*other].clone(), *other)) else { continue };
            let bound = &self.v[head] + virtual_ns(MS, self.weight[head]);
            if near(&bound, &self.v[entity]) {
                return None;
            }
            is_beaten |= bound < self.v[entity];
        }
        Some(is_beaten)
    }
}

/// How many slices were compared.
fn agree(jobs: &[Job], (tribes, group_of): &Tribes) -> Result<usize, TestCaseError> {
    // Weights of the order of those of tasks.
    let tribes: Vec<Tribe> = tribes.iter().map(|(parent, weight)| (*parent, weight * 300)).collect();
    let want = simulate(jobs, UNTIL / 2, &mut Queues::new(jobs, &tribes, group_of));
    let mut scenario = grouped(jobs, &tribes, group_of, 1);
    scenario.duration_ns = UNTIL / 2;
    let got = slices_under(&scenario, PolicyKind::Cfs);
    let got: Vec<(usize, u64, u64)> = got.iter().map(|s| (s.task, s.from_ns, s.ran_ns)).collect();
    for (at, want) in want.iter().enumerate() {
        prop_assert!(got.get(at) == Some(want), "slice {}: {:?}, due {:?}", at, got.get(at), want);
    }
    Ok(want.len())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn groups_of_cfs_are_the_law(
        (jobs, tribes) in crowds(prop_oneof![burners(100u64..3000), uneven(100u64..3000)]),
    ) {
        agree(&jobs, &tribes)?;
    }
}

/// The comparison does not end at once.
#[test]
fn close_decisions_between_groups_are_few() {
    let jobs = [
        sleeper(310, 1, 17_123_457, 29_012_345),
        sleeper(1050, 2, 77_654_321, 11_234_567),
        sleeper(1700, 333, 23_456_789, 13_131_313),
        sleeper(700, 4_444, 31_415_926, 41_421_356),
    ];
    let tribes = (vec![(None, 5), (Some(0), 2)], vec![Some(0), None, Some(1), Some(1)]);
    let compared = agree(&jobs, &tribes).unwrap();
    assert!(compared > 150, "{compared}");
}
