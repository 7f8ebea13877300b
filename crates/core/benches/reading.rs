//! What it costs to turn snapshots of many tasks into what is printed, without a kernel: CPU time of each
//! stage, and the memory that is held.
//!
//! ```text
//! cargo bench -p tombola-core --bench reading                       (1,000, 10,000 and 100,000 tasks in 1,000 groups)
//! cargo bench -p tombola-core --bench reading -- --rounds 51 10000
//! ```

mod crowd;

use cpu_time::ProcessTime;
use crowd::Crowd;
use peak_alloc::PeakAlloc;
use std::collections::BTreeMap;
use std::env;
use std::fmt::Write as _;
use std::hint::black_box;
use std::time::Duration;
use tombola_core::audit::{Audit, By, Order};
use tombola_core::report::{Options, Report};
use tombola_core::rolling::{Alpha, Rolling};
use tombola_core::window::Window;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// A full host: most sleep, in many groups, and nothing binds them.
const CROWD: Crowd = Crowd { groups: 1_000, is_bound: false, awake: 3 };

/// What is measured, in the order of the columns.
const STAGES: [&str; 6] = ["window", "order", "report", "ledger", "rows", "all"];

fn main() {
    let mut rounds = 21;
    let mut sizes: Vec<u32> = Vec::new();
    let mut words = env::args().skip(1).filter(|word| word != "--bench");
    while let Some(word) = words.next() {
        let number = |word: &str| -> u32 { word.parse().unwrap_or_else(|_| panic!("'{word}' is no number")) };
        if word == "--rounds" {
            rounds = number(&words.next().expect("--rounds takes a number")).max(1);
        } else {
            sizes.push(number(&word));
        }
    }
    if sizes.is_empty() {
        sizes = vec![1_000, 10_000, 100_000];
    }
    println!("CPU time, median of {rounds} (quartiles), ms; memory beside the first snapshot, kB");
    println!("| tasks | {} | a snapshot | dump at most | audit at most |", STAGES.join(" | "));
    println!("|---:|{}---:|---:|---:|", "---|".repeat(STAGES.len()));
    for tasks in sizes {
        measure(tasks, rounds);
    }
}

fn measure(tasks: u32, rounds: u32) {
    let mut held = 0;
    let (earlier, later) = crowd::snapshots(tasks, CROWD, || held = MEMORY.current_usage());
    let snapshot_bytes = MEMORY.current_usage() - held;
    let mut times: BTreeMap<&str, Vec<Duration>> = BTreeMap::new();
    let (mut of_dump, mut of_audit) = (0, 0);
    for _ in 0..rounds {
        let mut add = |stage, began: ProcessTime| times.entry(stage).or_default().push(began.elapsed());
        let held = MEMORY.current_usage();
        MEMORY.reset_peak_usage();
        let all = ProcessTime::now();
        let began = ProcessTime::now();
        let window = Window::between(&earlier, &later);
        add("window", began);
        let began = ProcessTime::now();
        black_box(Order::new(&window, 5).expect("no cycle"));
        add("order", began);
        let began = ProcessTime::now();
        let mut rolling = Rolling::new(Alpha::default());
        rolling.update(&window);
        black_box(Report::new(window, &rolling, Options::default()));
        add("report", began);
        of_dump = MEMORY.peak_usage() - held;
        MEMORY.reset_peak_usage();
        let window = Window::between(&earlier, &later);
        let began = ProcessTime::now();
        let audit = Audit::new(&window).expect("no cycle");
        add("ledger", began);
        let began = ProcessTime::now();
        black_box(audit.rows(By::Task, |_| true));
        add("rows", began);
        of_audit = MEMORY.peak_usage() - held;
        add("all", all);
    }
    let mut line = format!("| {tasks}");
    for stage in STAGES {
        let stage = times.get_mut(stage).expect("measured");
        stage.sort_unstable();
        let ms = |part: usize| stage[(stage.len() - 1) * part / 4].as_secs_f64() * 1e3;
        write!(line, " | {:.2} ({:.2}–{:.2})", ms(2), ms(1), ms(3)).expect("a String takes everything");
    }
    println!("{line} | {} | {} | {} |", snapshot_bytes / 1000, of_dump / 1000, of_audit / 1000);
}
