//! The monitor's own programs over a stubbed kernel that keeps true books beside them: what is booked of
//! every task and CPU is true to the nanosecond, and each counter of loss counts what was forced, no more and
//! no less. No clock, no root; seeds are fixed.
#![allow(clippy::unwrap_used)] // functions that tests share are no #[test] themselves

#[path = "common/host_c.rs"]
mod host_c;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use tombola_core::snapshot::Loss;

const STEPS: u64 = 3_000;

/// What of a task is in the books, or true.
#[derive(Debug, PartialEq, Eq)]
struct Books {
    run_ns: u64,
    wait_ns: u64,
    switches: u64,
    involuntary: u64,
    yields: u64,
    yielded_ns: u64,
}

struct Task {
    id: (u64, u64),
    booked: Books,
    is_true: Books,
    /// A wait of it was put right.
    corrected: bool,
    /// Its record is made of two.
    parted: bool,
    /// Kind and id of the group that it was in when it died, as booked and as it is true; without the second
    /// one where nobody shows it.
    group: (u64, u64),
    true_group: Option<(u64, u64)>,
}

#[derive(Default)]
struct Played {
    tasks: Vec<Task>,
    /// Whose slices are open: the wait before them is true already and not booked yet.
    open: BTreeSet<(u64, u64)>,
    /// Run time of all tasks, untracked, of all CPUs busy and idle, and how long they were watched.
    sums: [u64; 5],
    /// Run time of all ends: of the counter, of the ring. Records that were left in the map by tasks that are
    /// dead.
    ends: [u64; 3],
    /// What was counted, and what was forced.
    loss: BTreeMap<String, (u64, u64)>,
}

impl Played {
    fn of(text: &str) -> Self {
        let mut played = Self::default();
        for line in text.lines() {
            let (what, rest) = line.split_once(' ').unwrap();
            let mut words = rest.split(' ').filter(|word| *word != "|").peekable();
            let name = words.next_if(|_| what == "loss").unwrap_or_default();
            let numbers: Vec<u64> = words.map(|word| word.parse().unwrap()).collect();
            let books = |at: usize| Books {
                run_ns: numbers[at],
                wait_ns: numbers[at + 1],
                switches: numbers[at + 2],
                involuntary: numbers[at + 3],
                yields: numbers[at + 4],
                yielded_ns: numbers[at + 5],
            };
            match what {
                "open" => _ = played.open.insert((numbers[0], numbers[1])),
                "task" => played.tasks.push(Task {
                    id: (numbers[0], numbers[1]),
                    booked: books(2),
                    is_true: books(8),
                    corrected: numbers[14] & 1 != 0,
                    parted: numbers[14] & 2 != 0,
                    group: (numbers[15], numbers[16]),
                    true_group: (numbers[14] & 4 == 0).then_some((numbers[17], numbers[18])),
                }),
                "sums" => played.sums = numbers.try_into().unwrap(),
                "ends" => played.ends = numbers.try_into().unwrap(),
                "loss" => _ = played.loss.insert(name.to_owned(), (numbers[0], numbers[1])),
                _ => panic!("{line}"),
            }
        }
        assert!(played.tasks.len() > 12, "tasks were born");
        played
    }

    /// Each nanosecond of each CPU is a task's, or untracked, or idle; who ended is in the ring with what the
    /// sum has.
    fn assert_balanced(&self, name: &str) {
        let [run_ns, untracked_ns, busy_ns, ..] = self.sums;
        assert_eq!(run_ns + untracked_ns, busy_ns, "{name}");
        assert_eq!(self.ends[0], self.ends[1], "{name}");
    }

    /// CPUs are busy or idle all the time.
    fn assert_watched(&self, name: &str) {
        let [_, _, busy_ns, idle_ns, wall_ns] = self.sums;
        assert_eq!(busy_ns + idle_ns, wall_ns, "{name}");
    }

    /// Nobody who is dead is left in the map. Books of all tasks. `corrections`: whether what was put right
    /// is exact, too.
    fn assert_true(&self, name: &str, corrections: bool) {
        assert_eq!(self.ends[2], 0, "{name}");
        for task in &self.tasks {
            let (id, booked, is_true) = (task.id, &task.booked, &task.is_true);
            let name = format!("{name}: {id:?} {booked:?} {is_true:?}");
            assert_eq!(booked.run_ns, is_true.run_ns, "{name}");
            assert_eq!(
                (booked.switches, booked.involuntary, booked.yields),
                (is_true.switches, is_true.involuntary, is_true.yields),
                "{name}"
            );
            let is_known = !self.open.contains(&id) && !task.parted && (corrections || !task.corrected);
            if is_known {
                assert_eq!(
                    (booked.wait_ns, booked.yielded_ns),
                    (is_true.wait_ns, is_true.yielded_ns),
                    "{name}"
                );
            } else if !task.corrected {
                assert!(booked.wait_ns <= is_true.wait_ns, "{name}");
            }
        }
    }

    fn assert_counted(&self, name: &str, counters: &[&str]) {
        for counter in counters {
            let (counted, forced) = self.loss[*counter];
            assert_eq!(counted, forced, "{name}: {counter}");
        }
    }
}

/// Compiled once for all tests here; `None` where there is no C compiler.
fn programs() -> Option<&'static [PathBuf]> {
    static PROGRAMS: OnceLock<Option<Vec<PathBuf>>> = OnceLock::new();
    let programs = PROGRAMS.get_or_init(|| {
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("monitor");
        // The header of the kernel's types is written for clang's BPF; its attributes mean nothing here.
        let but = ["unused-parameter", "sign-compare", "unknown-pragmas", "attributes", "unused-function"];
        let flags = but.map(|warning| format!("-Wno-{warning}"));
        host_c::programs(&directory, "monitor_host.c", &flags.each_ref().map(String::as_str))
    });
    if programs.is_none() {
        println!("SKIP: there is no C compiler, neither cc nor clang");
    }
    programs.as_deref()
}

fn play(program: &Path, seed: u64, how: &str) -> Played {
    let arguments = [seed.to_string(), STEPS.to_string(), how.to_owned()];
    let run = Command::new(program).args(&arguments).output().unwrap();
    let errors = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success(), "{} {arguments:?}: {} {errors}", program.display(), run.status);
    Played::of(&String::from_utf8(run.stdout).unwrap())
}

/// All that the kernel side of a full monitor counts.
const COUNTERS: [&str; 12] = [
    "untracked_ns",
    "map_full",
    "map_busy",
    "map_other",
    "clock_backwards",
    "stale_records",
    "groups_full",
    "groups_deep",
    "unseen_switches",
    "unseen_ns",
    "corrected_waits",
    "corrected_ns",
];

/// Counted of a window, not by the kernel side, and where it is forced.
const OF_WINDOWS: [(&str, &str); 3] = [
    ("overlong_waits", "../core/src/window/tests.rs"),
    ("overlong_ns", "../core/src/window/tests.rs"),
    ("unknown_groups", "tests/root_groups.rs"),
];

/// Programs of several CPUs, one after another, in any order; tasks are born, moved, stopped, put to sleep in
/// their queues, and die.
#[test]
fn books_are_true_to_the_nanosecond() {
    let (mut stale, mut corrected, mut yielded_ns) = (0, 0, 0);
    for program in programs().unwrap_or_default() {
        for seed in 1..=10 {
            let (name, played) = (format!("seed {seed}"), play(program, seed, "exact"));
            played.assert_balanced(&name);
            played.assert_watched(&name);
            played.assert_true(&name, true);
            played.assert_counted(&name, &COUNTERS);
            stale += played.loss["stale_records"].0;
            corrected += played.loss["corrected_waits"].0;
            yielded_ns += played.tasks.iter().map(|task| task.is_true.yielded_ns).sum::<u64>();
        }
        assert!(stale > 0 && corrected > 100 && yielded_ns > 0, "{stale} {corrected} {yielded_ns}");
    }
}

/// Who dies has left the group of its session before anybody sees it die; it may have made that session after
/// its record was begun, or have lived one slice only. In each third run sessions have no groups.
#[test]
fn who_dies_is_of_the_group_it_lived_in() {
    for program in programs().unwrap_or_default() {
        let mut dead: BTreeMap<(bool, u64), u64> = BTreeMap::new();
        for seed in 1..=150 {
            let (name, played) = (format!("seed {seed}"), play(program, seed, "exact"));
            for task in played.tasks.iter().filter(|task| !task.parted) {
                let Some(group) = task.true_group else { continue };
                assert_eq!(task.group, group, "{name}: {:?}", task.id);
                *dead.entry((seed % 3 > 0, group.0)).or_default() += 1;
            }
        }
        let of = |have_groups, kind| dead.get(&(have_groups, kind)).copied().unwrap_or(0);
        assert!(of(true, 2) > 100 && of(true, 1) > 100 && of(false, 1) > 100, "{dead:?}");
        assert_eq!(of(false, 2), 0);
    }
}

#[test]
fn a_thread_that_takes_over_its_leader_has_what_both_had() {
    for program in programs().unwrap_or_default() {
        let mut execs = 0;
        for seed in 1..=10 {
            let (name, played) = (format!("seed {seed}"), play(program, seed, "exec"));
            played.assert_balanced(&name);
            played.assert_watched(&name);
            played.assert_true(&name, false);
            played.assert_counted(&name, &COUNTERS[..10]);
            execs += played.tasks.iter().filter(|task| task.parted).count();
        }
        assert!(execs > 10, "{execs}");
    }
}

/// Another CPU goes on within each program, and a CPU may stand still there. (The first pair of clocks that a
/// CPU reads may then be late, and by that its idle time before the first switch, and what is put right of a
/// wait.)
#[test]
fn books_are_true_whatever_comes_between() {
    for program in programs().unwrap_or_default() {
        for seed in 1..=10 {
            let (name, played) = (format!("seed {seed}"), play(program, seed, "interleaved"));
            played.assert_balanced(&name);
            played.assert_true(&name, false);
            played.assert_counted(&name, &COUNTERS[..10]);
        }
    }
}

#[test]
fn what_finds_no_room_is_counted_and_time_that_runs_back_is_none() {
    let mut forced = BTreeMap::new();
    for program in programs().unwrap_or_default() {
        for seed in 1..=10 {
            let (name, played) = (format!("seed {seed}"), play(program, seed, "faults"));
            played.assert_balanced(&name);
            played.assert_counted(&name, &COUNTERS[..8]);
            for counter in &COUNTERS[..8] {
                *forced.entry(*counter).or_insert(0) += played.loss[*counter].0;
            }
        }
        let of = |counter: &&&str| forced[**counter] == 0 && **counter != "stale_records";
        assert_eq!(COUNTERS[..8].iter().find(of), None, "each is forced: {forced:?}");
    }
}

#[test]
fn switches_that_are_not_shown_are_counted_with_their_length() {
    for program in programs().unwrap_or_default() {
        for seed in 1..=10 {
            let (name, played) = (format!("seed {seed}"), play(program, seed, "hidden"));
            played.assert_balanced(&name);
            played.assert_watched(&name);
            played.assert_counted(&name, &["unseen_switches", "unseen_ns"]);
            assert!(played.loss["unseen_switches"].0 > 10, "{name}");
        }
    }
}

/// A counter of loss that is added is to be forced.
#[test]
fn every_counter_of_loss_is_forced_by_a_test() {
    let loss = format!("{:?}", Loss::default());
    let fields = loss.trim_start_matches("Loss {").trim_end_matches('}').split(',');
    for field in fields.map(|field| field.split(':').next().unwrap().trim()) {
        // `light` says what is not asked for.
        let here = field == "light" || COUNTERS.contains(&field);
        let of_windows = OF_WINDOWS.iter().find(|(counter, _)| *counter == field);
        assert!(here || of_windows.is_some(), "no test forces {field}: make monitor_host.c do it");
        if let Some((_, file)) = of_windows {
            let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap();
            assert!(text.contains(field), "{file} does not force {field}");
        }
    }
}
