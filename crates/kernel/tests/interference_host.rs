//! What a CPU is remembered to have run, beside all slices there ever were: the program's own code, compiled
//! for the host, is asked who ran since any instant. No clock, no root; seeds are fixed.
#![allow(clippy::unwrap_used)] // functions that tests share are no #[test] themselves

#[path = "common/host_c.rs"]
mod host_c;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// Slices that are exact: those of the closest marks.
const EXACT_SLICES: u64 = 240;

/// One wait: what is remembered of it, and what was.
struct Asked {
    from_ns: u64,
    to_ns: u64,
    stopped_ns: u64,
    unknown_ns: u64,
    remembered: BTreeMap<u64, u64>,
    true_ns: BTreeMap<u64, u64>,
}

impl Asked {
    fn of(line: &str) -> Self {
        let mut parts = line.strip_prefix("wait ").unwrap().split('|');
        let mut numbers = || -> Vec<u64> {
            parts.next().unwrap().split_ascii_whitespace().map(|word| word.parse().unwrap()).collect()
        };
        let pairs = |numbers: Vec<u64>| numbers.chunks(2).map(|pair| (pair[0], pair[1])).collect();
        let (wait, remembered, true_ns) = (numbers(), pairs(numbers()), pairs(numbers()));
        let [from_ns, stopped, resumed, to_ns, unknown_ns] = wait[..] else { panic!("{line}") };
        Self { from_ns, to_ns, stopped_ns: resumed - stopped, unknown_ns, remembered, true_ns }
    }

    fn length_ns(&self) -> u64 {
        self.to_ns - self.from_ns
    }

    fn known_ns(&self) -> u64 {
        self.remembered.values().sum()
    }

    /// How much is with another task than it was.
    fn misplaced_ns(&self) -> u64 {
        let of = |pid, all: &BTreeMap<u64, u64>| all.get(pid).copied().unwrap_or(0);
        self.remembered.iter().map(|(pid, ns)| ns.saturating_sub(of(pid, &self.true_ns))).sum()
    }
}

/// Compiled once for all tests here; `None` where there is no C compiler.
fn programs() -> Option<&'static [PathBuf]> {
    static PROGRAMS: OnceLock<Option<Vec<PathBuf>>> = OnceLock::new();
    let programs = PROGRAMS.get_or_init(|| {
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("interference");
        host_c::programs(&directory, "interference_host.c", &["-Wno-sign-compare"])
    });
    if programs.is_none() {
        println!("SKIP: there is no C compiler, neither cc nor clang");
    }
    programs.as_deref()
}

/// Waits among so many switches of so many tasks, whose PIDs are so far apart, with an idle slice among so
/// many (0: none).
fn asked(program: &Path, seed: u64, switches: u64, tasks: u64, spread: u64, idle: u64) -> Vec<Asked> {
    let arguments = [seed, switches, tasks, spread, idle].map(|number| number.to_string());
    let run = Command::new(program).args(&arguments).output().unwrap();
    let errors = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success(), "{} {arguments:?}: {} {errors}", program.display(), run.status);
    let asked: Vec<Asked> = String::from_utf8(run.stdout).unwrap().lines().map(Asked::of).collect();
    assert!(asked.len() > 200, "{} waits", asked.len());
    asked
}

#[test]
fn waits_through_few_slices_are_known_to_the_nanosecond() {
    for program in programs().unwrap_or_default() {
        for seed in 0..8 {
            for wait in asked(program, seed, EXACT_SLICES, 20, 1, 8) {
                assert_eq!((wait.unknown_ns, &wait.remembered), (0, &wait.true_ns));
            }
        }
    }
}

#[test]
fn of_a_long_wait_a_part_is_wrong_in_whose_it_was_and_nothing_in_how_much() {
    for program in programs().unwrap_or_default() {
        for (seed, switches) in [(0, 5_000), (1, 5_000), (2, 100_000)] {
            let mut misplaced = 0.0f64;
            for wait in asked(program, seed, switches, 20, 1, 0) {
                let true_ns: u64 = wait.true_ns.values().sum();
                // Three instants, at each of which every place is cut to whole nanoseconds and to 2⁻²⁰ of the
                // gap.
                let (known_ns, cut_ns) =
                    (wait.known_ns() + wait.unknown_ns, 3 * 32 + 3 * (wait.length_ns() >> 20));
                assert_eq!(wait.unknown_ns, 0);
                assert!(known_ns.abs_diff(true_ns) <= cut_ns, "{known_ns} ns of {true_ns}");
                // Three instants, each between two marks.
                let most_ns = 3 * 2 * wait.length_ns() / 15 + cut_ns;
                assert!(wait.misplaced_ns() <= most_ns, "{} of {} ns", wait.misplaced_ns(), wait.length_ns());
                if wait.stopped_ns == 0 {
                    let part = wait.misplaced_ns() as f64 / wait.length_ns() as f64;
                    assert!(part <= 2.0 / 15.0, "{part}");
                    misplaced = misplaced.max(part);
                }
            }
            // The bound is one of something.
            assert!(misplaced > 0.0);
        }
    }
}

#[test]
fn of_more_tasks_than_there_is_room_for_the_rest_is_unknown() {
    for program in programs().unwrap_or_default() {
        // Many, and few that all want the same four places.
        for (seed, tasks, spread) in [(0, 200, 1), (1, 5, 8), (2, 400, 3)] {
            let mut unknown = 0;
            for wait in asked(program, seed, 240, tasks, spread, 8) {
                let true_ns: u64 = wait.true_ns.values().sum();
                assert_eq!(wait.known_ns() + wait.unknown_ns, true_ns);
                assert_eq!(wait.misplaced_ns(), 0);
                unknown += wait.unknown_ns;
            }
            assert!(unknown > 0);
        }
    }
}
