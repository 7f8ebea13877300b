//! Groups. Hierarchical stride as what everybody is ahead of its part, without passes: on one CPU and, by
//! readjusted tickets, on several. The others either divide by flat tickets or do not look at groups.
//!
//! Every node of the tree has had some service more than its part of what its parent had, and first is who is
//! least ahead in terms of its tickets; who comes for the first time is ahead by a quantum, and who is away
//! stays ahead by what it was.

use super::several::simulate;
use super::{
    Choice, Job, Law, QUANTUM, Task, UNTIL, Why, burners, ratio, scenario, sleeper, sleepers, uneven, whole,
};
use crate::laws::slices_under;
use crate::machine::Machine;
use crate::policy::PolicyKind;
use crate::scenario::{Group, Scenario};
use num_rational::BigRational;
use proptest::prelude::*;

/// A group of the oracle: the one it is in, which stands before it, and its weight.
pub(super) type Tribe = (Option<usize>, u64);

/// Groups, and the group of each task.
pub(super) type Tribes = (Vec<Tribe>, Vec<Option<usize>>);

/// Who stands at a leaf.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Member {
    Task(usize),
    Group(usize),
}

/// A node of the binary tree over the members of one group.
struct Node {
    /// None at the leaves.
    kids: Vec<Node>,
    /// Members below it, in order.
    members: Vec<Member>,
    /// The tree of a leaf that is a group.
    inside: Option<Box<Node>>,
    /// CPUs that are due to it; 0 while nobody below wants one.
    due: BigRational,
    /// Service beyond its part, in ns; a quantum before it first comes.
    ahead: BigRational,
}

impl Node {
    fn new(members: &[Member], of: &dyn Fn(usize) -> Vec<Member>) -> Self {
        let kids = match members.len() {
            0 | 1 => Vec::new(),
            n => {
                let mut left = 1;
                while 2 * left < n {
                    left *= 2;
                }
                let (left, right) = members.split_at(left);
                vec![Self::new(left, of), Self::new(right, of)]
            }
        };
        let inside = match members {
            [Member::Group(group)] => Some(Box::new(Self::new(&of(*group), of))),
            _ => None,
        };
        Self { kids, members: members.to_vec(), inside, due: whole(0), ahead: whole(QUANTUM) }
    }

    /// Takes over what is due to each member.
    fn renew(&mut self, due: &dyn Fn(Member) -> BigRational) {
        self.due = self.members.iter().map(|member| due(*member)).sum();
        self.kids.iter_mut().chain(self.inside.as_deref_mut()).for_each(|node| node.renew(due));
    }

    /// Whether one of these members is below it.
    fn holds(&self, path: &[Member]) -> bool {
        self.members.iter().any(|member| path.contains(member))
    }

    /// The members on `path` (a task and its groups) have `ns` of service.
    fn serve(&mut self, path: &[Member], ns: u64) {
        for kid in &mut self.kids {
            let part = &kid.due / &self.due;
            kid.ahead -= part * whole(ns);
            if kid.holds(path) {
                kid.ahead += whole(ns);
                kid.serve(path, ns);
            }
        }
        if let Some(inside) = &mut self.inside {
            inside.serve(path, ns);
        }
    }

    /// Who is least ahead of those who wait, and whether that is plain.
    fn choose(&self, waits: &dyn Fn(Member) -> bool, apart: &BigRational) -> (Option<usize>, bool) {
        if let Some(inside) = &self.inside {
            return inside.choose(waits, apart);
        }
        let mut open: Vec<&Self> =
            self.kids.iter().filter(|kid| kid.members.iter().any(|member| waits(*member))).collect();
        // Stable: of equals the first stays first.
        open.sort_by_key(|kid| &kid.ahead / &kid.due);
        match (&open[..], &self.members[..]) {
            ([], [Member::Task(task)]) => (Some(*task), true),
            ([], _) => (None, true),
            ([first, rest @ ..], _) => {
                let close = |other: &&Self| {
                    let distance = &other.ahead / &other.due - &first.ahead / &first.due;
                    distance < *apart
                };
                let (task, plain) = first.choose(waits, apart);
                (task, plain && !rest.iter().any(close))
            }
        }
    }
}

/// Hierarchical stride with groups on some CPUs.
struct Shares {
    root: Node,
    tribes: Vec<Tribe>,
    group_of: Vec<Option<usize>>,
    cpus: u64,
    /// Closer than this (ns of a whole CPU) cannot be told apart: 0 tells everything, ties too.
    apart: BigRational,
}

impl Shares {
    fn new(group_of: &[Option<usize>], tribes: &[Tribe], cpus: u64) -> Self {
        let members = |group: Option<usize>| -> Vec<Member> {
            let groups = (0..tribes.len()).filter(|g| tribes[*g].0 == group).map(Member::Group);
            let tasks = (0..group_of.len()).filter(|t| group_of[*t] == group).map(Member::Task);
            groups.chain(tasks).collect()
        };
        Self {
            root: Node::new(&members(None), &|group| members(Some(group))),
            tribes: tribes.to_vec(),
            group_of: group_of.to_vec(),
            cpus,
            // Readjusted tickets of the policy are multiples of 2⁻³² of a CPU.
            apart: if cpus == 1 { whole(0) } else { whole(1000) },
        }
    }

    fn is_below(&self, task: usize, group: usize) -> bool {
        let mut above = std::iter::successors(self.group_of[task], |g| self.tribes[*g].0);
        above.any(|g| g == group)
    }

    /// CPUs due to a member: what is due to its group, divided by tickets, but to nobody more than it can
    /// use.
    fn due(&self, tasks: &[Task], member: Member) -> BigRational {
        // Most CPUs that a member can use, and its tickets.
        let most = |member: Member| match member {
            Member::Task(task) => u64::from(tasks[task].ready),
            Member::Group(group) => {
                let below = (0..tasks.len()).filter(|t| tasks[*t].ready && self.is_below(*t, group));
                (below.count() as u64).min(self.cpus)
            }
        };
        let tickets = |member: Member| match member {
            Member::Task(task) => tasks[task].job.tickets,
            Member::Group(group) => self.tribes[group].1,
        };
        let home = match member {
            Member::Task(task) => self.group_of[task],
            Member::Group(group) => self.tribes[group].0,
        };
        if most(member) == 0 {
            return whole(0);
        }
        let groups = (0..self.tribes.len()).filter(|g| self.tribes[*g].0 == home).map(Member::Group);
        let others = (0..tasks.len()).filter(|t| self.group_of[*t] == home).map(Member::Task);
        let mut open: Vec<Member> = groups.chain(others).filter(|other| most(*other) > 0).collect();
        let mut left = home.map_or(whole(self.cpus), |group| self.due(tasks, Member::Group(group)));
        loop {
            let sum: u64 = open.iter().map(|other| tickets(*other)).sum();
            let part = |other: Member| &left * ratio(tickets(other), sum);
            let full: Vec<Member> =
                open.iter().copied().filter(|other| part(*other) >= whole(most(*other))).collect();
            if full.contains(&member) {
                return whole(most(member));
            }
            if full.is_empty() {
                return part(member);
            }
            left -= full.iter().map(|other| whole(most(*other))).sum::<BigRational>();
            open.retain(|other| !full.contains(other));
        }
    }

    fn renew(&mut self, tasks: &[Task]) {
        let groups = (0..self.tribes.len()).map(Member::Group);
        let members: Vec<Member> = groups.chain((0..tasks.len()).map(Member::Task)).collect();
        let due: Vec<BigRational> = members.iter().map(|member| self.due(tasks, *member)).collect();
        let at = |member: Member| members.iter().position(|other| *other == member);
        self.root.renew(&|member| at(member).map_or(whole(0), |at| due[at].clone()));
    }
}

impl Law for Shares {
    fn comes(&mut self, tasks: &[Task], _: usize, why: Why) {
        if matches!(why, Why::New | Why::Woken) {
            self.renew(tasks);
        }
    }

    fn leaves(&mut self, tasks: &[Task], task: usize) {
        let mut without = tasks.to_vec();
        without[task].ready = false;
        self.renew(&without);
    }

    fn ran(&mut self, _: &[Task], task: usize, _: u64, ns: u64) {
        let groups = std::iter::successors(self.group_of[task], |g| self.tribes[*g].0);
        let path: Vec<Member> = groups.map(Member::Group).chain([Member::Task(task)]).collect();
        self.root.serve(&path, ns);
    }

    fn next(&mut self, tasks: &[Task], _: u64) -> Choice {
        let waits = |member: Member| match member {
            Member::Task(task) => tasks[task].waits(),
            Member::Group(group) => (0..tasks.len()).any(|t| tasks[t].waits() && self.is_below(t, group)),
        };
        match self.root.choose(&waits, &self.apart) {
            (Some(task), true) => Choice::Run(task, QUANTUM),
            _ => Choice::Close,
        }
    }
}

/// Some groups, each within one before it or none, and the group of each task.
fn tribes(tasks: usize) -> impl Strategy<Value = Tribes> {
    let group = (any::<prop::sample::Index>(), 1u64..9);
    (prop::collection::vec(group, 0..4), prop::collection::vec(any::<prop::sample::Index>(), tasks)).prop_map(
        |(groups, tasks)| {
            // 0 is none, and n + 1 is group n.
            let pick = |among: usize, index: prop::sample::Index| index.index(among + 1).checked_sub(1);
            let count = groups.len();
            let groups = groups.into_iter().enumerate().map(|(at, (parent, w))| (pick(at, parent), w));
            (groups.collect(), tasks.into_iter().map(|index| pick(count, index)).collect())
        },
    )
}

pub(super) fn grouped(jobs: &[Job], tribes: &[Tribe], group_of: &[Option<usize>], cpus: u32) -> Scenario {
    let mut scenario = scenario(jobs, QUANTUM, UNTIL);
    scenario.cpus = cpus;
    let group = |(at, (parent, weight)): (usize, &Tribe)| Group {
        name: format!("g{at}"),
        parent: *parent,
        weight: *weight,
        quota: None,
    };
    scenario.groups = tribes.iter().enumerate().map(group).collect();
    for (task, group) in scenario.tasks.iter_mut().zip(group_of) {
        task.group = *group;
    }
    scenario
}

/// How many slices were compared.
fn agree(
    jobs: &[Job],
    tribes: &[Tribe],
    group_of: &[Option<usize>],
    cpus: u32,
) -> Result<usize, TestCaseError> {
    let mut law = Shares::new(group_of, tribes, u64::from(cpus));
    let (mut want, until) = simulate(jobs, cpus as usize, UNTIL, &mut law);
    want.retain(|slice| slice.0 < until);
    let got = slices_under(&grouped(jobs, tribes, group_of, cpus), PolicyKind::HierarchicalStride);
    let mut got: Vec<_> = got.iter().map(|s| (s.from_ns, s.cpu, s.task, s.ran_ns)).collect();
    got.sort_unstable();
    for (at, want) in want.iter().enumerate() {
        let Some(got) = got.get(at) else { return Err(TestCaseError::fail(format!("{want:?} is due"))) };
        // What runs when the comparison ends is cut there.
        let same = got == want || until < UNTIL && want.0 + want.3 == until && got.0 == want.0;
        prop_assert!(same, "{} CPUs: {:?}, due {:?} (until {})", cpus, got, want, until);
    }
    Ok(want.len())
}

/// Six tasks or fewer, in groups or not.
pub(super) fn crowds(job: impl Strategy<Value = Job>) -> impl Strategy<Value = (Vec<Job>, Tribes)> {
    let jobs = prop::collection::vec(job, 1..7);
    jobs.prop_flat_map(|jobs| (Just(jobs.clone()), tribes(jobs.len())))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Weights whose products stay exact, ties too.
    #[test]
    fn groups_of_hierarchical_stride_are_the_law(
        (jobs, (tribes, group_of)) in crowds(prop_oneof![burners(1u64..7), sleepers(1u64..7)]),
    ) {
        agree(&jobs, &tribes, &group_of, 1)?;
    }

    #[test]
    fn hierarchical_stride_on_several_cpus_is_its_law(
        cpus in 2u32..5, (jobs, (tribes, group_of)) in crowds(prop_oneof![burners(1u64..99), uneven(1u64..99)]),
    ) {
        agree(&jobs, &tribes, &group_of, cpus)?;
    }

    /// What a ticket is worth when everybody wants a CPU, to the half of 2⁻³² of everything.
    #[test]
    fn flat_tickets_are_those_of_exact_fractions(
        (jobs, (tribes, group_of)) in crowds(burners(1u64..5000)),
    ) {
        let machine = Machine::new(&grouped(&jobs, &tribes, &group_of, 1), 1, 0);
        let law = Shares::new(&group_of, &tribes, 1);
        let all: Vec<Task> = Task::all(&jobs).into_iter().map(|task| Task { ready: true, ..task }).collect();
        for (task, view) in machine.tasks().iter().enumerate() {
            let part = law.due(&all, Member::Task(task));
            if tribes.is_empty() {
                let sum = jobs.iter().map(|job| job.tickets).sum();
                prop_assert_eq!(ratio(view.flat_tickets, sum), part);
                continue;
            }
            let scaled = part * whole(1 << 32);
            // Nobody has less than one.
            let off = scaled.max(whole(1)) - whole(view.flat_tickets);
            // A product of f64 with at most five factors is right to 53 bits but for a few.
            prop_assert!(off < ratio(501, 1000) && -off < ratio(501, 1000), "{}", view.flat_tickets);
        }
    }

    /// Who does not look at tickets does not look at groups either.
    #[test]
    fn groups_do_not_matter_to_queues(
        cpus in 1u32..4, (jobs, (tribes, group_of)) in crowds(prop_oneof![burners(1u64..7), sleepers(1u64..7)]),
    ) {
        use PolicyKind as K;
        let with = grouped(&jobs, &tribes, &group_of, cpus);
        let without = grouped(&jobs, &[], &[], cpus);
        for policy in [K::RoundRobin, K::Fifo, K::Sjf, K::Srtf, K::Mlfq, K::Edf, K::RateMonotonic] {
            prop_assert_eq!(slices_under(&with, policy), slices_under(&without, policy), "{}", policy);
        }
    }
}

/// A comparison on several CPUs does not end at once where lengths and tickets differ.
#[test]
fn close_decisions_on_several_cpus_are_few() {
    let jobs = [
        sleeper(31, 1, 17_123_457, 29_012_345),
        sleeper(5, 2, 77_654_321, 11_234_567),
        sleeper(17, 333, 23_456_789, 13_131_313),
        sleeper(7, 4_444, 31_415_926, 41_421_356),
        sleeper(11, 55_555, 81_415_926, 1_421_356),
    ];
    let tribes = [(None, 13), (Some(0), 7)];
    let compared = agree(&jobs, &tribes, &[Some(0), None, Some(1), Some(1), None], 2).unwrap();
    assert!(compared > 150, "{compared}");
    // For a while only the two of the group want a CPU, and there is one for each.
    let jobs = [
        sleeper(24, 4_062_766, 40_070_320, 35_526_225),
        sleeper(21, 2_742_971, 30_778_583, 57_178_130),
        sleeper(27, 19_793_706, 52_935_375, 5_906_887),
        sleeper(28, 28_963_666, 53_328_499, 47_702_619),
    ];
    let compared = agree(&jobs, &[(None, 1)], &[Some(0), None, None, Some(0)], 3).unwrap();
    assert!(compared > 150, "{compared}");
}

/// By hand: of two equal tasks the one that runs 5 ms and sleeps 10 ms has half of the CPU while it is awake,
/// and so 5 of 20 ms.
#[test]
fn the_law_gives_who_sleeps_half_while_it_is_awake() {
    let mut jobs = vec![Job {
        tickets: 1,
        arrive_ns: 0,
        run_ns: u64::MAX,
        sleep_ns: None,
        period_ns: None,
        request_ns: None,
        real_time: None,
    }];
    jobs.push(Job { run_ns: 5_000_000, sleep_ns: Some(10_000_000), ..jobs[0].clone() });
    let mut law = Shares::new(&[None, None], &[], 1);
    let (slices, _) = simulate(&jobs, 1, 20 * UNTIL, &mut law);
    let got: u64 = slices.iter().filter(|slice| slice.2 == 1).map(|slice| slice.3).sum();
    assert!(got.abs_diff(20 * UNTIL / 4) <= QUANTUM, "{got}");
    // 10:1:1 on two CPUs: a whole one, and half of the other each.
    let jobs: Vec<Job> = [10, 1, 1].map(|tickets| Job { tickets, ..jobs[0].clone() }).to_vec();
    let tasks: Vec<Task> = Task::all(&jobs).into_iter().map(|task| Task { ready: true, ..task }).collect();
    let law = Shares::new(&[None; 3], &[], 2);
    let due = [0, 1, 2].map(|task| law.due(&tasks, Member::Task(task)));
    assert_eq!(due, [whole(1), ratio(1, 2), ratio(1, 2)]);
}
