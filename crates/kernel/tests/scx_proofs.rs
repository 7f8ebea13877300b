//! That the scheduler holds a lottery: shares, independence, several CPUs, compensation, currencies, and faults that the same
//! judgements find out. Needs a kernel with sched_ext: the lane boots some (`scripts/run.sh test --vm`).
//!
//! Counts of draws come from the scheduler, who had how much CPU from the kernel. Tolerances follow from the number of draws.
#![allow(clippy::unwrap_used)]

mod common;

use common::{Group, NamedShell, Worker, cpus, last_cpu, own_cpu_ns, pin_to, schedstat, wait_for};
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;
use tombola_core::sim::outcome::{Observe, run};
use tombola_core::sim::policy::PolicyKind;
use tombola_core::sim::scenario::Scenario;
use tombola_core::statistics::chi_square;
use tombola_core::tally::{Returns, Tally};
use tombola_kernel::scheduler::{Flaw, Law, Scheduler, SchedulerOptions, Slice};

/// In CI a lottery without fault fails once in a million runs.
const REJECTED: f64 = 1e-6;
/// Draws of a proof.
const DRAWS: u64 = 20_000;
/// Draws of a negative control, which is far off.
const FEW_DRAWS: u64 = 5_000;

fn options() -> SchedulerOptions {
    SchedulerOptions { slice: Slice::new(Duration::from_millis(1)).unwrap(), ..SchedulerOptions::default() }
}

/// What happened to some tasks between two looks.
struct Played {
    tallies: Vec<Tally>,
    cpu_ns: Vec<u64>,
    returns: Returns,
    wall_ns: u64,
}

struct Look {
    tallies: BTreeMap<u32, Tally>,
    cpu_ns: Vec<u64>,
    returns: Returns,
    at: std::time::Instant,
}

fn look(scheduler: &Scheduler, tids: &[u32]) -> Look {
    let tasks = scheduler.control().tasks().unwrap();
    Look {
        cpu_ns: tids.iter().map(|tid| schedstat(*tid).unwrap().runtime_ns).collect(),
        tallies: tasks.iter().map(|task| (task.id.pid, task.tally)).collect(),
        returns: scheduler.control().totals().unwrap().returns,
        at: std::time::Instant::now(),
    }
}

/// Lets the scheduler go on until these tasks have won so many draws together.
fn play(scheduler: &Scheduler, tids: &[u32], draws: u64) -> Played {
    let wins = |look: &Look| tids.iter().filter_map(|tid| look.tallies.get(tid)).map(|t| t.wins).sum::<u64>();
    wait_for("all take part", || {
        let seen = look(scheduler, tids);
        tids.iter().all(|tid| seen.tallies.get(tid).is_some_and(|t| t.wins > 0)).then_some(())
    });
    let before = look(scheduler, tids);
    let start = wins(&before);
    let limit = std::time::Instant::now() + Duration::from_secs(500);
    let after = loop {
        thread::sleep(Duration::from_millis(500));
        if let Some(told) = scheduler.control().farewell().unwrap() {
            panic!("the scheduler is gone: {told}");
        }
        let seen = look(scheduler, tids);
        if wins(&seen) - start >= draws {
            break seen;
        }
        assert!(std::time::Instant::now() < limit, "only {} draws", wins(&seen) - start);
    };
    let since = |tid: &u32| {
        let (a, b) = (before.tallies.get(tid).copied().unwrap_or_default(), after.tallies[tid]);
        Tally {
            wins: b.wins - a.wins,
            expected: b.expected - a.expected,
            variance: b.variance - a.variance,
            undrawn: b.undrawn - a.undrawn,
            slices: b.slices - a.slices,
            used_ns: b.used_ns - a.used_ns,
        }
    };
    let (r, s) = (before.returns, after.returns);
    Played {
        tallies: tids.iter().map(since).collect(),
        cpu_ns: after.cpu_ns.iter().zip(&before.cpu_ns).map(|(b, a)| b - a).collect(),
        returns: Returns {
            draws: s.draws - r.draws,
            wins: s.wins - r.wins,
            expected: s.expected - r.expected,
            variance: s.variance - r.variance,
        },
        wall_ns: u64::try_from((after.at - before.at).as_nanos()).unwrap(),
    }
}

impl Played {
    fn wins(&self) -> Vec<u64> {
        self.tallies.iter().map(|t| t.wins).collect()
    }

    fn draws(&self) -> u64 {
        self.wins().iter().sum()
    }

    /// p-values of the shares and of independence.
    fn judge(&self, tickets: &[u64]) -> (f64, f64) {
        let shares = chi_square(&self.wins(), tickets).unwrap().p_value;
        (shares, self.returns.p_value().unwrap())
    }

    fn shares(&self) -> Vec<f64> {
        let total: u64 = self.cpu_ns.iter().sum();
        self.cpu_ns.iter().map(|ns| *ns as f64 / total as f64).collect()
    }
}

/// Burners on one CPU, each with its tickets set.
fn burners_with(scheduler: &Scheduler, cpu: usize, tickets: &[u32]) -> Vec<Worker> {
    tickets
        .iter()
        .map(|tickets| {
            let worker = Worker::burner(0, Some(cpu));
            scheduler.control().set_tickets(worker.tid, Some(*tickets)).unwrap();
            worker
        })
        .collect()
}

fn tids(workers: &[Worker]) -> Vec<u32> {
    workers.iter().map(|w| w.tid).collect()
}

/// Plays and holds the outcome against the tickets: draws, their independence, and the CPU time that the kernel counted.
fn prove(name: &str, scheduler: &Scheduler, workers: &[Worker], tickets: &[u64]) {
    let played = play(scheduler, &tids(workers), DRAWS);
    let (shares, returns) = played.judge(tickets);
    let total: u64 = tickets.iter().sum();
    println!(
        "{name}: {} draws, wins {:?}, p {shares:.3}; independence p {returns:.3}; CPU {:.4?}",
        played.draws(),
        played.wins(),
        played.shares()
    );
    assert!(shares > REJECTED && returns > REJECTED, "{name}: {shares} {returns}");
    for (share, own) in played.shares().iter().zip(tickets) {
        // Slices differ in length, by what ticks, interrupts and the host take: with a coefficient of variation of 1 the
        // variance of a share of time is twice that of a share of draws.
        let p = *own as f64 / total as f64;
        let tolerance = 5.0 * (2.0 * p * (1.0 - p) / played.draws() as f64).sqrt();
        assert!((share - p).abs() < tolerance, "{name}: {share} of the CPU against {p} ± {tolerance}");
    }
}

#[test]
#[ignore = "sched_ext: runs in the lane"]
fn scx_shares_follow_nice_values() {
    let workers: Vec<Worker> = [0, 3, 5].map(|nice| Worker::burner(nice, Some(last_cpu()))).into();
    let scheduler = Scheduler::start(&options()).unwrap();
    prove("nice 0, 3, 5", &scheduler, &workers, &[1024, 526, 335]);
}

#[test]
#[ignore = "sched_ext: runs in the lane"]
fn scx_shares_follow_tickets() {
    for tickets in [vec![1000, 100], vec![1900, 100], vec![500, 500], (1..=10).map(|i| i * 37).collect()] {
        let scheduler = Scheduler::start(&options()).unwrap();
        let workers = burners_with(&scheduler, last_cpu(), &tickets);
        let tickets: Vec<u64> = tickets.into_iter().map(u64::from).collect();
        prove(&format!("tickets {tickets:?}"), &scheduler, &workers, &tickets);
    }
}

#[test]
#[ignore = "sched_ext: runs in the lane"]
fn scx_wrong_lotteries_are_found_out() {
    for flaw in [Flaw::PreviousOut, Flaw::UniformKeys, Flaw::NoOffset] {
        let workers: Vec<Worker> = [0, 3, 5].map(|nice| Worker::burner(nice, Some(last_cpu()))).into();
        let scheduler = Scheduler::start(&SchedulerOptions { flaw: Some(flaw), ..options() }).unwrap();
        let played = play(&scheduler, &tids(&workers), FEW_DRAWS);
        let shares = chi_square(&played.wins(), &[1024, 526, 335]).unwrap().p_value;
        // Without the previous task there is no return to judge.
        let returns = played.returns.p_value().unwrap_or(1.0);
        println!("{flaw:?}: wins {:?}, p {shares:.1e}; independence p {returns:.1e}", played.wins());
        assert!(shares < REJECTED || returns < REJECTED, "{flaw:?} was not found out: {shares} {returns}");
    }
}

#[test]
#[ignore = "sched_ext: runs in the lane"]
fn scx_stride_has_the_shares_without_the_chance() {
    let workers: Vec<Worker> = [0, 3, 5].map(|nice| Worker::burner(nice, Some(last_cpu()))).into();
    let scheduler = Scheduler::start(&SchedulerOptions { law: Law::Stride, ..options() }).unwrap();
    let played = play(&scheduler, &tids(&workers), FEW_DRAWS);
    println!("stride: wins {:?}, CPU {:.4?}", played.wins(), played.shares());
    for (share, weight) in played.shares().iter().zip([1024.0, 526.0, 335.0]) {
        // Not a matter of luck: what each has used is charged, so the error is some slices of thousands.
        assert!((share - weight / 1885.0).abs() < 0.005, "{share} against {}", weight / 1885.0);
    }
    // Who has just run is behind the others: it wins less often than its tickets would let it in a lottery.
    let returns = played.returns;
    assert!(returns.p_value().unwrap() < REJECTED && (returns.wins as f64) < returns.expected, "{returns:?}");
}

/// CPUs that each task of a scenario gets under the lottery, by simulation: mean of 10 runs.
fn simulated(scenario: &str) -> Vec<f64> {
    let scenario = Scenario::from_toml(scenario).unwrap();
    let policy: PolicyKind = "lottery-kernel".parse().unwrap();
    let mut sums = Vec::new();
    for number in 0..10 {
        let outcome =
            run(&scenario, policy, 7, number, Observe { entitlement: false, draws: false }, None, &|_| true)
                .unwrap();
        sums.resize(outcome.tasks.len(), 0.0);
        for (sum, task) in sums.iter_mut().zip(&outcome.tasks) {
            *sum += task.share * f64::from(scenario.cpus) / 10.0;
        }
    }
    sums
}

/// CPUs that each of the tasks got, in the kernel's own books.
fn cpus_of(played: &Played) -> Vec<f64> {
    let wall = played.wall_ns as f64;
    played.cpu_ns.iter().map(|ns| *ns as f64 / wall).collect()
}

#[test]
#[ignore = "sched_ext: runs in the lane"]
fn scx_two_cpus_give_what_the_policy_expects_and_not_the_entitlement() {
    if cpus().len() != 2 {
        println!("SKIP: needs exactly 2 CPUs");
        return;
    }
    let scheduler = Scheduler::start(&options()).unwrap();
    let workers: Vec<Worker> = (0..3).map(|_| Worker::burner(0, None)).collect();
    for (worker, tickets) in workers.iter().zip([20_000, 10_000, 10_000]) {
        scheduler.control().set_tickets(worker.tid, Some(tickets)).unwrap();
    }
    let played = play(&scheduler, &tids(&workers), DRAWS);
    let got = cpus_of(&played);
    println!("2:1:1 on 2 CPUs: {got:.3?} CPUs; the policy's expectation .8 .6 .6, entitlement 1 .5 .5");
    // What other tasks of the machine took is gone before: compare shares of what these three had.
    let all: f64 = got.iter().sum();
    for (cpus, expected) in got.iter().zip([0.8, 0.6, 0.6]) {
        let share = cpus / all;
        let tolerance = 5.0 * (2.0 * 0.4 * 0.6 / played.draws() as f64).sqrt();
        assert!(
            (share - expected / 2.0).abs() < tolerance,
            "{share} against {} ± {tolerance}",
            expected / 2.0
        );
    }
}

#[test]
#[ignore = "sched_ext: runs in the lane"]
fn scx_pinned_and_free_tasks_share_as_the_simulator_says() {
    if cpus().len() != 2 {
        println!("SKIP: needs exactly 2 CPUs");
        return;
    }
    let expected = simulated(
        r#"
        name = "two pinned, two free"
        cpus = 2
        duration = "10s"
        quantum = "1ms"
        [[task]]
        name = "pinned"
        tickets = 3
        cpus = [1]
        [[task]]
        name = "pinned light"
        tickets = 1
        cpus = [1]
        [[task]]
        name = "free"
        tickets = 2
        [[task]]
        name = "free light"
        tickets = 1
        "#,
    );
    let scheduler = Scheduler::start(&options()).unwrap();
    let places: [(u32, Option<usize>); 4] =
        [(30_000, Some(last_cpu())), (10_000, Some(last_cpu())), (20_000, None), (10_000, None)];
    let workers: Vec<Worker> = places
        .iter()
        .map(|(tickets, cpu)| {
            let worker = Worker::burner(0, *cpu);
            scheduler.control().set_tickets(worker.tid, Some(*tickets)).unwrap();
            worker
        })
        .collect();
    let played = play(&scheduler, &tids(&workers), DRAWS);
    let got = cpus_of(&played);
    println!("pinned 3 and 1, free 2 and 1: {got:.3?} CPUs; simulated {expected:.3?}");
    let (all, expected_all): (f64, f64) = (got.iter().sum(), expected.iter().sum());
    for (cpus, expected) in got.iter().zip(&expected) {
        let (share, p) = (cpus / all, expected / expected_all);
        let tolerance = 5.0 * (2.0 * p * (1.0 - p) / played.draws() as f64).sqrt();
        assert!((share - p).abs() < tolerance, "{share} against {p} ± {tolerance}");
    }
}

/// A task that gives up the rest of each slice after a fifth of it.
fn fifth(slice: Duration, cpu: usize) -> Worker {
    let part = u64::try_from(slice.as_nanos()).unwrap() / 5;
    Worker::start(
        "fifth",
        move || pin_to(&[cpu]),
        move || {
            let begin = own_cpu_ns();
            while own_cpu_ns() - begin < part {
                for _ in 0..200 {
                    std::hint::spin_loop();
                }
            }
            thread::yield_now();
        },
    )
}

#[test]
#[ignore = "sched_ext: runs in the lane"]
fn scx_compensation_gives_the_share_to_a_task_that_uses_a_fifth_of_its_slices() {
    let slice = Duration::from_millis(4);
    for flaw in [None, Some(Flaw::NoCompensation)] {
        let options = SchedulerOptions { slice: Slice::new(slice).unwrap(), flaw, ..options() };
        let scheduler = Scheduler::start(&options).unwrap();
        let workers = [Worker::burner(0, Some(last_cpu())), fifth(slice, last_cpu())];
        let played = play(&scheduler, &workers.each_ref().map(|w| w.tid), FEW_DRAWS);
        // The burner's slices as long as they should be: an emulated machine ends them late, which nothing compensates.
        let burnt = played.wins()[0] as f64 * slice.as_nanos() as f64;
        let ratio = played.cpu_ns[1] as f64 / burnt;
        println!(
            "equal tickets, one uses a fifth, {flaw:?}: {ratio:.3} to 1, wins {:?}, slices of the burner {:.2} ms",
            played.wins(),
            played.cpu_ns[0] as f64 / played.wins()[0] as f64 / 1e6
        );
        match flaw {
            // About 1/6 of the draws are the burner's: 5 σ of the ratio of 5,000.
            None => assert!((ratio - 1.0).abs() < 0.2, "{ratio}"),
            Some(_) => assert!(ratio < 0.35, "{ratio}"),
        }
    }
}

struct Cgroup(PathBuf);

impl Cgroup {
    fn new(name: &str) -> Self {
        let root = PathBuf::from("/sys/fs/cgroup");
        let _ = fs::write(root.join("cgroup.subtree_control"), "+cpu"); // on already, or the next step tells
        let dir = root.join(format!("tombola-scx-{}-{name}", std::process::id()));
        fs::create_dir(&dir).unwrap();
        Self(dir)
    }

    /// A process of one thread that burns on a CPU, in this group.
    fn burner(&self, shell: &NamedShell, cpu: usize) -> Group {
        let group = common::confined_to(cpu, || Group::spawn(&mut shell.command("while :; do :; done")));
        fs::write(self.0.join("cgroup.procs"), group.pid().to_string()).unwrap();
        group
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        for _ in 0..200 {
            if fs::remove_dir(&self.0).is_ok() {
                return;
            }
            thread::sleep(Duration::from_millis(10));
        }
    }
}

#[test]
#[ignore = "sched_ext: runs in the lane"]
fn scx_a_third_task_in_one_group_leaves_the_other_groups_share_alone() {
    let scheduler = Scheduler::start(&options()).unwrap();
    let (a, b) = (Cgroup::new("a"), Cgroup::new("b"));
    fs::write(a.0.join("cpu.weight"), "200").unwrap();
    let shell = NamedShell::new("currency");
    let cpu = last_cpu();
    let mut groups = vec![a.burner(&shell, cpu), b.burner(&shell, cpu), b.burner(&shell, cpu)];
    for members in [2, 3] {
        if members == 3 {
            groups.push(b.burner(&shell, cpu));
        }
        let pids: Vec<u32> = groups.iter().map(Group::pid).collect();
        let played = play(&scheduler, &pids, DRAWS / 2);
        let wins = played.wins();
        let tickets: Vec<u64> = if members == 2 { vec![4, 1, 1] } else { vec![6, 1, 1, 1] };
        let p = chi_square(&wins, &tickets).unwrap().p_value;
        println!("weights 2 and 1, {members} tasks in the second group: wins {wins:?}, p {p:.3}");
        assert!(p > REJECTED, "{wins:?}");
    }
}

#[test]
#[ignore = "sched_ext: runs in the lane"]
fn scx_tickets_change_while_tasks_wait() {
    let scheduler = Scheduler::start(&options()).unwrap();
    let control = scheduler.control();
    let workers = burners_with(&scheduler, last_cpu(), &[1, 100_000]);
    let [light, heavy] = [workers[0].tid, workers[1].tid];
    // With one ticket in 100,001 it would wait for minutes, were its race not run at the new speed from now on.
    assert_eq!(control.set_tickets(light, Some(300)).unwrap().before, 1);
    assert_eq!(control.set_tickets(heavy, Some(100)).unwrap().after, 100);
    let played = play(&scheduler, &[light, heavy], FEW_DRAWS);
    let p = chi_square(&played.wins(), &[300, 100]).unwrap().p_value;
    assert!(p > REJECTED, "{:?}", played.wins());

    let (from, to) = control.give_tickets(light, heavy, Some(200)).unwrap();
    assert_eq!((from.after, to.after), (100, 300));
    let played = play(&scheduler, &[light, heavy], FEW_DRAWS);
    let p = chi_square(&played.wins(), &[100, 300]).unwrap().p_value;
    assert!(p > REJECTED, "{:?}", played.wins());

    assert!(control.give_tickets(light, heavy, Some(100)).is_err());
    assert!(control.give_tickets(light, light, Some(1)).is_err());
    assert!(control.set_tickets(u32::MAX / 2, Some(5)).is_err());
    assert!(control.set_tickets(light, Some(1 << 21)).is_err());
    assert_eq!(control.set_tickets(light, None).unwrap().after, 1024);
}
