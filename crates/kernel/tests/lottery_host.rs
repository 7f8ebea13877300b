//! The scheduler's own code over a stubbed kernel, on virtual CPUs that take turns at every call into it:
//! what it books is what was drawn, to the last draw, whatever comes between. No clock, no root, no kernel
//! with sched_ext; seeds are fixed.
#![allow(clippy::unwrap_used)] // functions that tests share are no #[test] themselves

#[path = "common/host_c.rs"]
mod host_c;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use tombola_core::statistics::two_sided;
use tombola_core::tally::{Returns, Tally, shares_p_value};

/// A lottery without fault fails once in a million.
const REJECTED: f64 = 1e-6;
const DRAWS: u64 = 20_000;

/// What the scheduler booked, when nothing was under way any more.
#[derive(Debug, Default)]
struct Booked {
    tasks: Vec<Tally>,
    draws: u64,
    returns: Returns,
    redrawn: u64,
    guarded: u64,
}

/// Compiled once for all tests here; `None` where there is no C compiler.
fn programs() -> Option<&'static [PathBuf]> {
    static PROGRAMS: OnceLock<Option<Vec<PathBuf>>> = OnceLock::new();
    let programs = PROGRAMS.get_or_init(|| {
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR"));
        host_c::programs(directory, "lottery_host.c", &["-Wno-unused-parameter", "-Wno-sign-compare"])
    });
    if programs.is_none() {
        println!("SKIP: there is no C compiler, neither cc nor clang");
    }
    programs.as_deref()
}

fn told(program: &Path, arguments: &[String]) -> String {
    let run = Command::new(program).args(arguments).output().unwrap();
    let errors = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success(), "{} {arguments:?}: {} {errors}", program.display(), run.status);
    String::from_utf8(run.stdout).unwrap()
}

fn play(program: &Path, seed: u64, cpus: usize, mix: &str, tickets: &[u64]) -> Booked {
    let words = ["play".to_owned(), seed.to_string(), DRAWS.to_string(), cpus.to_string(), mix.to_owned()];
    let arguments: Vec<String> = words.into_iter().chain(tickets.iter().map(u64::to_string)).collect();
    let mut booked = Booked::default();
    for line in told(program, &arguments).lines() {
        let mut words = line.split(' ');
        let what = words.next().unwrap();
        let numbers: Vec<u64> = words.map(|word| word.parse().unwrap()).collect();
        let chances = |at: usize| numbers[at] as f64 / (1u64 << 32) as f64;
        match what {
            "task" => booked.tasks.push(Tally {
                wins: numbers[0],
                expected: chances(1),
                variance: chances(2),
                undrawn: numbers[3],
                ..Tally::default()
            }),
            "draws" => booked.draws = numbers[0],
            "returns" => {
                booked.returns = Returns {
                    draws: numbers[0],
                    wins: numbers[1],
                    expected: chances(2),
                    variance: chances(3),
                }
            }
            "redrawn" => booked.redrawn = numbers[0],
            "guarded" => booked.guarded = numbers[0],
            _ => panic!("{line}"),
        }
    }
    booked
}

/// Of each draw one task wins, and the chances of all who compete are one together; each task's wins are its
/// expected ones but for chance, and so are those of who had just run.
fn assert_exact(name: &str, booked: &Booked) {
    let wins: u64 = booked.tasks.iter().map(|t| t.wins).sum();
    let expected: f64 = booked.tasks.iter().map(|t| t.expected).sum();
    assert_eq!(wins, booked.draws, "{name}: each draw is won once");
    // Chances are cut: what all tickets are worth, 600 and more, to 2^-16 for each of at most 10 queues, a
    // ticket's chance to 2^-44 for 10^6 tickets at most, each product to 31 bits; and a task's sum to 2^-32
    // each time it is settled, once or twice a draw.
    let cut = booked.draws as f64 * (10.0 / 600.0 / 65_536.0 + 1e6 / (1u64 << 44) as f64 + 1e-8);
    let gap = expected - booked.draws as f64;
    assert!(gap.abs() < cut, "{name}: {expected} wins expected of {} draws, {gap:+}", booked.draws);
    let z: Vec<f64> = booked.tasks.iter().filter_map(Tally::z).collect();
    assert!(z.iter().all(|z| two_sided(*z) > REJECTED), "{name}: {z:.2?}");
    let shares = shares_p_value(booked.tasks.iter().copied()).unwrap();
    let independence = booked.returns.p_value().unwrap();
    assert!(shares > REJECTED && independence > REJECTED, "{name}: {shares} {independence}");
}

fn equal(cpus: usize) -> Vec<u64> {
    vec![1000; cpus * 3]
}

fn far_apart(cpus: usize) -> Vec<u64> {
    [25_000, 5_000, 1_000].repeat(cpus)
}

#[test]
fn draws_of_many_cpus_at_once_are_booked_as_they_were() {
    let Some(programs) = programs() else { return };
    for cpus in [1, 2, 4, 8] {
        for tickets in [equal(cpus), far_apart(cpus)] {
            for (seed, mix) in [(1, "-"), (2, "-"), (3, "v"), (4, "v")] {
                let name = format!("{cpus} CPUs, {tickets:?}, {mix}, seed {seed}");
                let booked = play(&programs[1], seed, cpus, mix, &tickets);
                assert_exact(&name, &booked);
                assert_eq!(booked.redrawn, 0, "{name}: nobody took a winner away");
                // Only who found an idle CPU at the start began without a draw.
                let undrawn: u64 = booked.tasks.iter().map(|t| t.undrawn).sum();
                assert!(undrawn <= cpus as u64, "{name}: {undrawn} undrawn");
                // With equal tickets the shares are no matter of what the scheduler says it expects.
                if tickets[0] == 1000 {
                    let wins: Vec<u64> = booked.tasks.iter().map(|t| t.wins).collect();
                    let fit = tombola_core::statistics::chi_square(&wins, &tickets).unwrap();
                    assert!(fit.p_value > REJECTED, "{name}: {wins:?}");
                }
            }
        }
    }
}

/// Waldspurger and Weihl, TM-528 (1995): under stride scheduling two tasks that always want the CPU never
/// part from the ratio of their tickets by more than one slice; of n tasks none is more than n from its
/// share.
#[test]
fn under_stride_who_has_waited_counts_from_its_own_pass() {
    let Some(programs) = programs() else { return };
    for tickets in [vec![3000, 2000, 1000], vec![7, 2, 1], vec![1000; 4], vec![100, 1]] {
        let booked = play(&programs[1], 6, 1, "d", &tickets);
        let (all, slack) = (tickets.iter().sum::<u64>() as f64, tickets.len() as f64);
        for (task, own) in booked.tasks.iter().zip(&tickets) {
            let due = booked.draws as f64 * *own as f64 / all;
            // The first slice of whoever found the CPU idle was not drawn.
            let got = (task.wins + task.undrawn) as f64;
            assert!((got - due).abs() <= slack + 1.0, "{tickets:?}: {got} slices of {due} due to {own}");
        }
    }
}

#[test]
fn draws_are_booked_as_they_were_whatever_comes_between() {
    let Some(programs) = programs() else { return };
    let (mut redrawn, mut guarded) = (0, 0);
    for mix in ["a", "av", "s", "t", "k", "kp", "g", "m", "mst", "akst", "agkmpstvy"] {
        // The third program dies of anything undefined.
        for (cpus, program) in [(4, &programs[1]), (6, &programs[2])] {
            for tickets in [equal(cpus), far_apart(cpus)] {
                let name = format!("{cpus} CPUs, {tickets:?}, {mix}");
                let booked = play(program, 5, cpus, mix, &tickets);
                assert_exact(&name, &booked);
                assert!(
                    mix.contains(['a', 'm']) || booked.redrawn == 0,
                    "{name}: {} redrawn",
                    booked.redrawn
                );
                redrawn += booked.redrawn;
                guarded += booked.guarded;
            }
        }
    }
    assert!(redrawn > 0 && guarded > 0, "what should come between did: {redrawn} {guarded}");
}

/// A winner that its CPU is just switching from is left on its way, and whoever looks next takes it: where no
/// other is ever handed over, that is the CPU which it counts as.
#[test]
fn a_winner_that_cannot_leave_its_cpu_yet_runs_all_the_same() {
    let Some(programs) = programs() else { return };
    for (cpus, mix) in [(2, "o"), (2, "ov"), (4, "o"), (4, "os")] {
        let tickets: Vec<u64> = std::iter::once(4000).chain(vec![1000; 2 * cpus]).collect();
        let booked = play(&programs[1], 8, cpus, mix, &tickets);
        assert_exact(&format!("{cpus} CPUs, {mix}"), &booked);
        assert!(booked.tasks[0].wins > booked.draws / 10, "{cpus} CPUs, {mix}: {:?}", booked.tasks[0]);
    }
}

/// A slice that a task gave up after a fifth is worth five tickets for one until its next; one that the timer
/// ended, none.
#[test]
fn who_yields_is_compensated_and_who_is_cut_short_is_not() {
    let Some(programs) = programs() else { return };
    for (mix, due) in [("y", [5, 1]), ("c", [1, 1]), ("yc", [1, 1]), ("-", [1, 1])] {
        let booked = play(&programs[1], 7, 1, mix, &[1000, 1000]);
        assert_exact(mix, &booked);
        let wins: Vec<u64> = booked.tasks.iter().map(|t| t.wins).collect();
        let fit = tombola_core::statistics::chi_square(&wins, &due).unwrap();
        assert!(fit.p_value > REJECTED, "{mix}: {wins:?}");
    }
}

#[test]
fn the_first_of_a_heap_is_the_least_whoever_comes_and_leaves() {
    let Some(programs) = programs() else { return };
    for program in programs {
        assert!(told(program, &["heaps".into()]).ends_with("slots 600\n"), "slots are used again");
    }
}

#[test]
fn queues_of_one_hash_are_two_and_groups_of_one_address_too() {
    let Some(programs) = programs() else { return };
    assert_eq!(told(&programs[0], &["queues".into()]), "0 1\n");
    assert_eq!(told(&programs[0], &["groups".into()]), "2 77 \n");
}
