//! The scheduler on more CPUs than two, which draw at the same time: that a draw is booked once, by whoever
//! wins it. Needs a kernel with sched_ext: the lane boots some, with four and with eight CPUs
//! (`scripts/run.sh test --vm`).
#![allow(clippy::unwrap_used)]

mod common;

use common::play::{DRAWS, Played, REJECTED, options, play, tids};
use common::{Worker, cpus};
use tombola_core::statistics::{chi_square, two_sided};
use tombola_kernel::scheduler::Scheduler;

/// Of each draw one task wins, and the chances of all who compete are one together: wins and expected wins of
/// all tasks, those that ended among them, are the draws, and each worker's own differ by chance alone.
///
/// What is drawn while the tasks are read may or may not be in it. And a CPU that has drawn books its
/// winner's wins and expected wins a moment later: what somebody stood to win until it won is Exp(1), so for
/// k CPUs at once that is k + 5 √k + 14 at most, but for 10⁻⁶.
fn assert_booked_once(name: &str, played: &Played, scheduler: &Scheduler) {
    let control = scheduler.control();
    let looks = (0..20).map(|_| {
        let before = control.totals().unwrap().draws;
        let tasks = control.tasks().unwrap();
        let totals = control.totals().unwrap();
        let tallies = tasks.iter().map(|task| task.tally).chain([totals.of_ended]);
        let (wins, expected) = tallies.fold((0, 0.0), |(w, e), t| (w + t.wins, e + t.expected));
        (before, totals.draws, wins, expected)
    });
    let (before, after, wins, expected) = looks.min_by_key(|(before, after, ..)| after - before).unwrap();
    let k = cpus().len() as f64;
    let under_way = k + 5.0 * k.sqrt() + 14.0;
    let z: Vec<f64> =
        played.tallies.iter().map(|t| (t.wins as f64 - t.expected) / t.variance.sqrt()).collect();
    let independence = played.returns.p_value().unwrap();
    println!(
        "{name}: {before} to {after} draws, {wins} wins, {expected:.1} expected; the workers' {} draws: z {z:.2?}, independence p \
         {independence:.3}",
        played.draws()
    );
    let (low, high) = (before as f64, after as f64 + 1.0);
    assert!(
        wins as f64 >= low - k && wins as f64 <= high,
        "{name}: {wins} wins of {before} to {after} draws"
    );
    assert!(
        expected >= low - under_way && expected <= high,
        "{name}: {expected} expected of {before} to {after} draws"
    );
    assert!(z.iter().all(|z| two_sided(*z) > REJECTED), "{name}: {z:?}");
    assert!(independence > REJECTED, "{name}: {independence}");
}

#[test]
#[ignore = "sched_ext: runs in the lane"]
fn scx_wide_draws_of_many_cpus_are_booked_once() {
    let cpus = cpus();
    if cpus.len() < 4 {
        println!("SKIP: needs 4 CPUs, there are {}", cpus.len());
        return;
    }
    let scheduler = Scheduler::start(&options()).unwrap();
    // One queue for all: every CPU draws from it.
    let workers: Vec<Worker> = (0..cpus.len() * 3).map(|_| Worker::burner(0, None)).collect();
    for worker in &workers {
        scheduler.control().set_tickets(worker.tid, Some(1000)).unwrap();
    }
    let played = play(&scheduler, &tids(&workers), DRAWS);
    assert_booked_once("equal tickets", &played, &scheduler);
    let equal = vec![1; workers.len()];
    let p = chi_square(&played.wins(), &equal).unwrap().p_value;
    assert!(p > REJECTED, "equal tickets win equally often: {p}, {:?}", played.wins());

    // 5 to 1 and 25 to 1: who holds much is drawn by several CPUs at once. Not so much that the kernel's own
    // threads, with 1024 each, wait for long: its watchdog is one of them.
    for (at, worker) in workers.iter().enumerate() {
        let tickets = [2_500, 500, 100][at % 3];
        scheduler.control().set_tickets(worker.tid, Some(tickets)).unwrap();
    }
    assert_booked_once("25:5:1", &play(&scheduler, &tids(&workers), DRAWS), &scheduler);
}

#[test]
#[ignore = "sched_ext: runs in the lane"]
fn scx_wide_each_cpu_holds_a_lottery_of_its_own_among_pinned_tasks() {
    let cpus = cpus();
    if cpus.len() < 4 {
        println!("SKIP: needs 4 CPUs, there are {}", cpus.len());
        return;
    }
    let scheduler = Scheduler::start(&options()).unwrap();
    let workers: Vec<Worker> =
        cpus.iter().flat_map(|cpu| [0, 3, 5].map(|nice| Worker::burner(nice, Some(*cpu)))).collect();
    let played = play(&scheduler, &tids(&workers), DRAWS);
    for (cpu, wins) in cpus.iter().zip(played.wins().chunks(3)) {
        let p = chi_square(wins, &[1024, 526, 335]).unwrap().p_value;
        println!("CPU {cpu}: wins {wins:?}, p {p:.3}");
        assert!(p > REJECTED, "CPU {cpu}: {wins:?} against 1024:526:335, p {p}");
    }
}
