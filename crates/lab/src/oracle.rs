//! Every deterministic policy a second time, slowly, in exact fractions: the laws as their files state them,
//! for tasks of fixed lengths, on one CPU; on `several` those that have one queue for all. Nothing here is
//! shared with the engine or the policies but the list of slices that is compared.
//!
//! All is recomputed from scratch at every decision. Where a law keeps lag over sleep its fractions have ever
//! longer denominators, which no integer of the policies holds: there a decision between keys that differ by
//! less than 10⁻¹² is one that rounding may make, and the comparison ends ([`Choice::Close`]).

mod fair;
mod fair_groups;
mod groups;
mod proportional;
mod queues;
mod several;

use crate::laws::slices_under;
use crate::policy::PolicyKind;
use crate::scenario::Scenario;
use num_bigint::BigInt;
use num_rational::BigRational;
use proptest::prelude::*;
use std::fmt::Write as _;

pub(super) const MS: u64 = 1_000_000;

/// A whole number as a fraction.
pub(super) fn whole(n: u64) -> BigRational {
    BigRational::from_integer(BigInt::from(n))
}

/// a / b.
pub(super) fn ratio(a: u64, b: u64) -> BigRational {
    BigRational::new(BigInt::from(a), BigInt::from(b))
}

/// Whether two keys are too near for integers to tell which is smaller, and not the same.
pub(super) fn near(a: &BigRational, b: &BigRational) -> bool {
    let apart = if a > b { a - b } else { b - a };
    apart < ratio(1, 1_000_000_000_000)
}

/// What one task of the oracle does.
#[derive(Clone, Debug)]
pub(super) struct Job {
    pub(super) tickets: u64,
    arrive_ns: u64,
    /// CPU time and sleep of a round; no sleep: for ever.
    run_ns: u64,
    sleep_ns: Option<u64>,
    /// Release every period instead of a sleep.
    pub(super) period_ns: Option<u64>,
    /// Length of its requests, for the laws that have them; the usual one without.
    pub(super) request_ns: Option<u64>,
    /// Priority of the class fifo (`true`) or rr; without one it is of the fair class.
    pub(super) real_time: Option<(bool, u8)>,
}

/// Where a task is.
#[derive(Clone, Debug)]
pub(super) struct Task {
    pub(super) job: Job,
    pub(super) ready: bool,
    /// CPU time to the end of the phase; `u64::MAX` = for ever.
    pub(super) left_ns: u64,
    pub(super) deadline_ns: u64,
    release_ns: u64,
    wakes: Option<(u64, u64)>,
    /// Of several CPUs, the one it has.
    on: Option<usize>,
}

impl Task {
    /// All before they come, in order of declaration.
    fn all(jobs: &[Job]) -> Vec<Self> {
        let unborn = |(sequence, job): (u64, &Job)| Self {
            job: job.clone(),
            ready: false,
            left_ns: 0,
            deadline_ns: u64::MAX,
            release_ns: job.arrive_ns,
            wakes: Some((job.arrive_ns, sequence)),
            on: None,
        };
        (1..).zip(jobs).map(unborn).collect()
    }

    /// Whether it wants a CPU and has none of several.
    pub(super) fn waits(&self) -> bool {
        self.ready && self.on.is_none()
    }

    /// It wants the CPU.
    fn wake(&mut self) {
        (self.wakes, self.ready, self.left_ns) = (None, true, self.job.run_ns);
        if let Some(period) = self.job.period_ns {
            self.deadline_ns = self.release_ns + period;
        }
    }

    /// It has done what it woke for; when it wakes next, as the `sequence`th thing to happen at that time.
    fn sleep(&mut self, now: u64, sequence: u64) {
        (self.ready, self.on) = (false, None);
        self.deadline_ns = u64::MAX;
        let at = match (self.job.period_ns, self.job.sleep_ns) {
            (Some(period), _) => {
                self.release_ns += period;
                self.release_ns.max(now)
            }
            (None, sleep) => now + sleep.unwrap_or(0),
        };
        self.wakes = Some((at, sequence));
    }
}

/// What a law decides.
pub(super) enum Choice {
    /// This task, for this long at most.
    Run(usize, u64),
    /// Which is smaller cannot be known to a policy that rounds.
    Close,
}

/// Why a task is in the queue.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    New,
    Woken,
    Expired,
    Preempted,
}

/// A scheduling law. `running` is not ready for `next`: it was put back before, or has left.
pub(super) trait Law {
    /// A task wants the CPU; `running` is on it.
    fn comes(&mut self, tasks: &[Task], task: usize, why: Why);
    /// A task has left the CPU because it blocked.
    fn leaves(&mut self, _tasks: &[Task], _task: usize) {}
    /// Time passed for the task that runs. All who want the CPU are `ready`, that one too.
    fn ran(&mut self, _tasks: &[Task], _task: usize, _from_ns: u64, _ns: u64) {}
    /// Who of the ready tasks runs next.
    fn next(&mut self, tasks: &[Task], now_ns: u64) -> Choice;
    /// Somebody has come at this instant while another runs; whether what that means is plain.
    fn came(&mut self, _tasks: &[Task], _task: usize, _running: usize) -> bool {
        true
    }
    /// Of those who should give way on several CPUs, the one with the largest does.
    fn rank(&self, _tasks: &[Task], _task: usize) -> (u64, u64) {
        (0, 0)
    }
    /// Whether somebody should have the CPU of `running`; `None`: too close to tell.
    fn beats(&self, _tasks: &[Task], _running: usize) -> Option<bool> {
        Some(false)
    }
}

/// Who ran from when for how long, until a decision was too close.
fn simulate(jobs: &[Job], until_ns: u64, law: &mut dyn Law) -> Vec<(usize, u64, u64)> {
    let mut sequence = jobs.len() as u64;
    let mut tasks = Task::all(jobs);
    let (mut now, mut slices) = (0, Vec::new());
    // Who runs, since when, and until when at most.
    let mut running: Option<(usize, u64, u64)> = None;
    loop {
        let mut arrived = false;
        let mut newcomers = Vec::new();
        loop {
            // All who wake at this instant, in order of having gone to sleep.
            let next = tasks.iter().enumerate().filter_map(|(i, t)| t.wakes.map(|(at, s)| (at, s, i)));
            if let Some((_, seq, task)) = next.filter(|(at, ..)| *at <= now).min() {
                let first = seq <= jobs.len() as u64;
                tasks[task].wake();
                newcomers.push(task);
                law.comes(&tasks, task, if first { Why::New } else { Why::Woken });
                arrived = true;
                continue;
            }
            // Then the end of a phase on the CPU, which may wake its task at once.
            let Some((task, since, _)) = running.filter(|(task, ..)| tasks[*task].left_ns == 0) else {
                break;
            };
            running = None;
            slices.push((task, since, now - since));
            law.leaves(&tasks, task);
            sequence += 1;
            tasks[task].sleep(now, sequence);
        }
        let mut why = Why::Expired;
        let mut new = newcomers;
        loop {
            if let Some((task, since, _)) = running.filter(|(_, _, end)| why == Why::Preempted || *end <= now)
            {
                running = None;
                if now > since {
                    slices.push((task, since, now - since));
                }
                law.comes(&tasks, task, why);
            }
            if running.is_none() && tasks.iter().any(|t| t.ready) {
                match law.next(&tasks, now) {
                    Choice::Run(task, ns) => running = Some((task, now, now.saturating_add(ns))),
                    Choice::Close => return slices,
                }
            }
            if let Some((running, ..)) = running {
                let others = std::mem::take(&mut new).into_iter().filter(|task| *task != running);
                if !others.fold(true, |plain, task| plain & law.came(&tasks, task, running)) {
                    return slices;
                }
            }
            match running.filter(|_| arrived).map(|(task, ..)| law.beats(&tasks, task)) {
                Some(None) => return slices,
                Some(Some(true)) => why = Why::Preempted,
                _ => break,
            }
        }
        let phase = |task: usize| now.saturating_add(tasks[task].left_ns);
        let end = running.map_or(u64::MAX, |(task, _, end)| end.min(phase(task)));
        let wake = tasks.iter().filter_map(|t| t.wakes.map(|(at, _)| at)).min().unwrap_or(u64::MAX);
        let next = end.min(wake).min(until_ns);
        if let Some((task, ..)) = running {
            law.ran(&tasks, task, now, next - now);
            if tasks[task].left_ns != u64::MAX {
                tasks[task].left_ns -= next - now;
            }
        }
        now = next;
        if now == until_ns {
            if let Some((task, since, _)) = running.filter(|(_, since, _)| *since < now) {
                slices.push((task, since, now - since));
            }
            return slices;
        }
    }
}

fn scenario(jobs: &[Job], quantum_ns: u64, until_ns: u64) -> Scenario {
    let mut text = format!("name='x'\nduration='{until_ns}ns'\nquantum='{quantum_ns}ns'\n");
    for (i, job) in jobs.iter().enumerate() {
        let _ =
            write!(text, "[[task]]\nname='t{i}'\ntickets={}\narrive='{}ns'\n", job.tickets, job.arrive_ns);
        if let Some((fifo, priority)) = job.real_time {
            let class = if fifo { "fifo" } else { "rr" };
            let _ = writeln!(text, "class='{class}'\npriority={priority}");
        }
        if let Some(request) = job.request_ns {
            let _ = writeln!(text, "request='{request}ns'");
        }
        if job.run_ns != u64::MAX {
            let _ = writeln!(text, "run='{}ns'", job.run_ns);
        }
        match (job.period_ns, job.sleep_ns) {
            (Some(period), _) => writeln!(text, "period='{period}ns'").unwrap(),
            (None, Some(sleep)) => writeln!(text, "sleep='{sleep}ns'").unwrap(),
            _ => {}
        }
    }
    Scenario::from_toml(&text).unwrap()
}

fn burners(tickets: impl Strategy<Value = u64>) -> impl Strategy<Value = Job> {
    (tickets, 0u64..30).prop_map(|(tickets, arrive)| Job {
        tickets,
        arrive_ns: arrive * MS,
        run_ns: u64::MAX,
        sleep_ns: None,
        period_ns: None,
        request_ns: None,
        real_time: None,
    })
}

fn sleepers(tickets: impl Strategy<Value = u64>) -> impl Strategy<Value = Job> {
    (tickets, 0u64..30, 1u64..60, 1u64..60).prop_map(|(tickets, arrive, run, sleep)| Job {
        tickets,
        arrive_ns: arrive * MS,
        run_ns: run * MS,
        sleep_ns: Some(sleep * MS),
        period_ns: None,
        request_ns: None,
        real_time: None,
    })
}

/// Lengths to the nanosecond, so that keys are hardly ever equal.
fn uneven(tickets: impl Strategy<Value = u64>) -> impl Strategy<Value = Job> {
    (tickets, 0u64..30 * MS, MS..60 * MS, MS..60 * MS).prop_map(|(tickets, arrive_ns, run_ns, sleep)| Job {
        tickets,
        arrive_ns,
        run_ns,
        sleep_ns: Some(sleep),
        period_ns: None,
        request_ns: None,
        real_time: None,
    })
}

fn periodic() -> impl Strategy<Value = Job> {
    (0u64..30, 1u64..20, 10u64..60).prop_map(|(arrive, run, period)| Job {
        tickets: 1,
        arrive_ns: arrive * MS,
        run_ns: run * MS,
        sleep_ns: None,
        period_ns: Some(period * MS),
        request_ns: None,
        real_time: None,
    })
}

/// The same with requests of their own, from a part of the quantum to several, or of the usual length.
fn asking(jobs: impl Strategy<Value = Job>, lengths: std::ops::Range<u64>) -> impl Strategy<Value = Job> {
    (jobs, prop::option::of(lengths)).prop_map(|(job, request_ns)| Job { request_ns, ..job })
}

/// Of few priorities, so that some are equal, and of none.
pub(super) fn ranked(jobs: impl Strategy<Value = Job>) -> impl Strategy<Value = Job> {
    (jobs, prop::option::of((any::<bool>(), 1u8..4))).prop_map(|(job, real_time)| Job { real_time, ..job })
}

const QUANTUM: u64 = 10 * MS;
const UNTIL: u64 = 1_500 * MS;

/// Compares a policy with its law; how many slices were.
fn agree(jobs: &[Job], policy: PolicyKind, law: &mut dyn Law) -> Result<usize, TestCaseError> {
    // A Linux slice is a tenth of the quantum, and every sleep makes the fractions longer.
    let until = if policy == PolicyKind::EevdfLinux { UNTIL / 6 } else { UNTIL };
    let want = simulate(jobs, until, law);
    let got = slices_under(&scenario(jobs, QUANTUM, until), policy);
    let got: Vec<(usize, u64, u64)> = got.iter().map(|s| (s.task, s.from_ns, s.ran_ns)).collect();
    let n = want.len().min(got.len());
    for at in 0..n {
        prop_assert!(got[at] == want[at], "{}: slice {}: {:?}, due {:?}", policy, at, got[at], want[at]);
    }
    prop_assert!(want.len() <= got.len(), "{}: {} of {} slices", policy, got.len(), want.len());
    Ok(n)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Sums of tickets up to 40: exact, ties too.
    #[test]
    fn stride_is_its_law(jobs in prop::collection::vec(prop_oneof![burners(1u64..9), sleepers(1u64..9)], 1..6)) {
        agree(&jobs, PolicyKind::Stride, &mut proportional::Stride::new(&jobs, QUANTUM))?;
    }

    #[test]
    fn hierarchical_stride_is_its_law(
        jobs in prop::collection::vec(prop_oneof![burners(1u64..9), sleepers(1u64..9)], 1..6),
    ) {
        agree(&jobs, PolicyKind::HierarchicalStride, &mut proportional::Tree::new(&jobs, QUANTUM))?;
    }

    #[test]
    fn eevdf_is_its_law(jobs in prop::collection::vec(prop_oneof![burners(1u64..9), sleepers(1u64..9)], 1..6)) {
        agree(&jobs, PolicyKind::Eevdf, &mut proportional::Eevdf::new(&jobs, QUANTUM))?;
    }

    #[test]
    fn eevdf_with_uneven_lengths_is_its_law(jobs in prop::collection::vec(uneven(1u64..40), 2..6)) {
        agree(&jobs, PolicyKind::Eevdf, &mut proportional::Eevdf::new(&jobs, QUANTUM))?;
    }

    #[test]
    fn the_linux_classes_are_their_laws(
        jobs in prop::collection::vec(prop_oneof![burners(100u64..3000), uneven(100u64..3000)], 1..6),
    ) {
        agree(&jobs, PolicyKind::Cfs, &mut fair::Cfs::new(&jobs))?;
        agree(&jobs, PolicyKind::EevdfLinux, &mut fair::LinuxEevdf::new(&jobs))?;
    }

    #[test]
    fn eevdf_with_requests_is_its_law(
        jobs in prop::collection::vec(asking(prop_oneof![burners(1u64..9), uneven(1u64..9)], 2 * MS..35 * MS), 2..6),
    ) {
        agree(&jobs, PolicyKind::Eevdf, &mut proportional::Eevdf::new(&jobs, QUANTUM))?;
    }

    /// Beyond the bounds of a slice too: .1 and 100 ms.
    #[test]
    fn linux_slices_of_ones_own_are_the_law(
        jobs in prop::collection::vec(
            asking(
                prop_oneof![burners(100u64..3000), uneven(100u64..3000)],
                50_000..12 * MS,
            ),
            2..6,
        ),
        longest in prop::option::of(100 * MS..200 * MS),
    ) {
        let mut jobs = jobs;
        if longest.is_some() {
            jobs[0].request_ns = longest;
        }
        agree(&jobs, PolicyKind::EevdfLinux, &mut fair::LinuxEevdf::new(&jobs))?;
    }

    #[test]
    fn queues_are_their_laws(jobs in prop::collection::vec(prop_oneof![burners(1u64..9), sleepers(1u64..9)], 1..6)) {
        agree(&jobs, PolicyKind::Fifo, &mut queues::InTurn::new(&jobs, u64::MAX))?;
        agree(&jobs, PolicyKind::RoundRobin, &mut queues::InTurn::new(&jobs, QUANTUM))?;
        agree(&jobs, PolicyKind::Sjf, &mut queues::Shortest { preemptive: false })?;
        agree(&jobs, PolicyKind::Srtf, &mut queues::Shortest { preemptive: true })?;
        agree(&jobs, PolicyKind::Mlfq, &mut queues::Feedback::new(jobs.len(), QUANTUM))?;
    }

    #[test]
    fn priorities_are_their_law(jobs in prop::collection::vec(ranked(sleepers(1u64..2)), 1..8)) {
        agree(&jobs, PolicyKind::Fifo, &mut queues::InTurn::new(&jobs, u64::MAX))?;
        agree(&jobs, PolicyKind::RoundRobin, &mut queues::InTurn::new(&jobs, QUANTUM))?;
    }

    #[test]
    fn real_time_policies_are_their_laws(
        jobs in prop::collection::vec(periodic(), 1..6), background in prop::option::of(burners(1u64..2)),
    ) {
        let jobs: Vec<Job> = jobs.into_iter().chain(background).collect();
        agree(&jobs, PolicyKind::Edf, &mut queues::Deadlines { by_period: false, quantum_ns: QUANTUM })?;
        agree(&jobs, PolicyKind::EdfSoft, &mut queues::Deadlines { by_period: false, quantum_ns: QUANTUM })?;
        agree(&jobs, PolicyKind::EdfPartitioned, &mut queues::Deadlines { by_period: false, quantum_ns: QUANTUM })?;
        agree(&jobs, PolicyKind::RateMonotonic, &mut queues::Deadlines { by_period: true, quantum_ns: QUANTUM })?;
    }
}

/// A task of these tickets that runs and sleeps in turns, ns.
pub(super) fn sleeper(tickets: u64, arrive_ns: u64, run_ns: u64, sleep_ns: u64) -> Job {
    let sleep_ns = Some(sleep_ns);
    Job { tickets, arrive_ns, run_ns, sleep_ns, period_ns: None, request_ns: None, real_time: None }
}

/// The comparison does not end at once: of fixed sets, most slices are compared to the end.
#[test]
fn close_decisions_are_few() {
    let jobs = [
        sleeper(3, 1, 17_123_457, 29_012_345),
        sleeper(5, 2, 7_654_321, 11_234_567),
        sleeper(2, 333, 23_456_789, 13_131_313),
        sleeper(7, 4_444, 31_415_926, 41_421_356),
    ];
    let eevdf = agree(&jobs, PolicyKind::Eevdf, &mut proportional::Eevdf::new(&jobs, QUANTUM)).unwrap();
    let linux = agree(&jobs, PolicyKind::EevdfLinux, &mut fair::LinuxEevdf::new(&jobs)).unwrap();
    assert!(eevdf > 150 && linux > 150, "{eevdf} {linux}");
}
