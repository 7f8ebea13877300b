//! That the scheduler holds a lottery on one CPU: shares, independence, compensation, tickets that change,
//! and faults that the same judgements find out. Needs a kernel with sched_ext: the lane boots some
//! (`scripts/run.sh test --vm`).
#![allow(clippy::unwrap_used)]

mod common;

use common::play::{DRAWS, FEW_DRAWS, REJECTED, burners_with, options, play, tids};
use common::{Worker, last_cpu, own_cpu_ns, pin_to};
use std::thread;
use std::time::Duration;
use tombola_core::statistics::chi_square;
use tombola_kernel::scheduler::{Flaw, Law, Scheduler, SchedulerOptions, Slice};

/// Plays and holds the outcome against the tickets: draws, their independence, and the CPU time that the
/// kernel counted.
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
        // Slices differ in length, by what ticks, interrupts and the host take: with a coefficient of
        // variation of 1 the variance of a share of time is twice that of a share of draws.
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
        // The burner's slices as long as they should be: an emulated machine ends them late, which nothing
        // compensates.
        let burnt = played.wins()[0] as f64 * slice.as_nanos() as f64;
        let ratio = played.cpu_ns[1] as f64 / burnt;
        let stretched = played.cpu_ns[0] as f64 / burnt;
        println!(
            "equal tickets, one uses a fifth, {flaw:?}: {ratio:.3} to 1, wins {:?}, slices of the burner {stretched:.2} of theirs",
            played.wins(),
        );
        // Where the machine stands still the fifth of a slice is more than a fifth, now and then more than
        // all of it.
        if stretched > 1.25 {
            println!(
                "SKIP: this machine stands still: slices last {stretched:.2} times as long as they should"
            );
            return;
        }
        if flaw.is_none() {
            // About 1/6 of the draws are the burner's: 5 σ of the ratio of 5,000.
            assert!((ratio - 1.0).abs() < 0.2, "{ratio}");
            continue;
        }
        // As many draws as the other and less of each, as much as its own clock says (a fifth, on a machine
        // that does not stand still): by far not what would make up for it.
        let used = played.cpu_ns[1] / played.wins()[1];
        let slice = u64::try_from(slice.as_nanos()).unwrap();
        let made_up = chi_square(&played.wins(), &[used, slice]).unwrap().p_value;
        let equal = chi_square(&played.wins(), &[1, 1]).unwrap().p_value;
        assert!(ratio < 0.5 && made_up < REJECTED && equal > REJECTED, "{ratio} {made_up} {equal}");
    }
}

#[test]
#[ignore = "sched_ext: runs in the lane"]
fn scx_tickets_change_while_tasks_wait() {
    let scheduler = Scheduler::start(&options()).unwrap();
    let control = scheduler.control();
    let workers = burners_with(&scheduler, last_cpu(), &[1, 100_000]);
    let [light, heavy] = [workers[0].tid, workers[1].tid];
    // With one ticket in 100,001 it would wait for minutes, were its race not run at the new speed from now
    // on.
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
