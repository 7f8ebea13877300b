//! That two CPUs together hold the lottery that the theory and the simulator expect of them. Needs a kernel
//! with sched_ext: the lane boots some (`scripts/run.sh test --vm`).
#![allow(clippy::unwrap_used)]

mod common;

use common::play::{DRAWS, Played, options, play, tids};
use common::{Worker, cpus, last_cpu};
use tombola_kernel::scheduler::Scheduler;
use tombola_lab::outcome::{Observe, run};
use tombola_lab::policy::PolicyKind;
use tombola_lab::scenario::Scenario;

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
