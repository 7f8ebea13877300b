//! What it costs to turn snapshots of many tasks into what is printed, without a kernel: CPU time of each
//! stage, and the memory that is held.
//!
//! ```text
//! cargo bench -p tombola-core --bench reading                       (1,000, 10,000 and 100,000 tasks in 1,000 groups)
//! cargo bench -p tombola-core --bench reading -- --rounds 51 10000
//! ```
//!
//! Two thirds of the tasks sleep from the first snapshot to the second. The others ran and waited, as many
//! nanoseconds as nobody can foresee, and their waits are in a few neighbouring buckets.

use cpu_time::ProcessTime;
use peak_alloc::PeakAlloc;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;
use std::env;
use std::fmt::Write as _;
use std::hint::black_box;
use std::time::Duration;
use tombola_core::audit::{Audit, By, Order};
use tombola_core::identity::TaskId;
use tombola_core::policy::Policy;
use tombola_core::report::{Options, Report};
use tombola_core::rolling::{Alpha, Rolling};
use tombola_core::snapshot::{
    CpuBooks, ExitTotals, Group, GroupTotals, Loss, Snapshot, TaskState, TaskTotals,
};
use tombola_core::tickets::Nice;
use tombola_core::usage::Usage;
use tombola_core::window::Window;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

const CPUS: u32 = 64;
const GROUPS: u64 = 1_000;
const LENGTH_NS: u64 = 5_000_000_000;

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
    let (earlier, later, snapshot_bytes) = snapshots(tasks);
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

/// Two snapshots, an interval apart, and the bytes that the second one holds.
fn snapshots(tasks: u32) -> (Snapshot, Snapshot, usize) {
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let nice: Vec<Nice> = Nice::all().collect();
    let earlier = snapshot(0, (1..=tasks).map(|pid| task(pid, &nice, &mut rng)).collect());
    let held = MEMORY.current_usage();
    let mean_ns = (u64::from(CPUS) * LENGTH_NS * 2 / u64::from(tasks)).min(LENGTH_NS);
    let now = earlier.tasks.iter().map(|task| {
        let mut now: TaskTotals = (**task).clone();
        if task.id.pid % 3 == 0 {
            now.usage.merge(&usage(&mut rng, mean_ns));
        }
        now
    });
    let later = snapshot(LENGTH_NS, now.collect());
    let bytes = MEMORY.current_usage() - held;
    (earlier, later, bytes)
}

fn snapshot(taken_ns: u64, tasks: Vec<TaskTotals>) -> Snapshot {
    let busy_ns = taken_ns / 4 * 3;
    let cpu =
        |cpu| CpuBooks { cpu, online: true, busy_ns, idle_ns: taken_ns - busy_ns, ..CpuBooks::default() };
    let group = |id| GroupTotals {
        id: Group::Cgroup(id),
        parent: (id > 1).then_some(Group::Cgroup((id / 3).max(1))),
        weight: 1024 + id,
        quota: None,
        throttled_ns: 0,
        throttles: 0,
    };
    let mut held = Vec::with_capacity(tasks.len());
    held.extend(tasks.into_iter().map(Into::into));
    Snapshot {
        taken_ns,
        read_ns: 0,
        unix_us: taken_ns / 1000,
        begin_ns: 0,
        cpus: (0..CPUS).map(cpu).collect(),
        tasks: held,
        exited: Vec::new(),
        exits: ExitTotals::default(),
        groups: (1..=GROUPS).map(group).collect(),
        interference: None,
        loss: Loss::default(),
    }
}

fn task(pid: u32, nice: &[Nice], rng: &mut ChaCha8Rng) -> TaskTotals {
    let nice = nice[rng.random_range(0..nice.len())];
    TaskTotals {
        id: TaskId { pid, start_ns: 1 },
        tgid: pid / 8 * 8 + 1,
        comm: format!("worker-{}", pid % 100).into_bytes(),
        nice,
        policy: Policy::Other,
        weight: nice.weight(),
        tickets_set: None,
        group: Group::Cgroup(rng.random_range(1..=GROUPS)),
        affinity: Some((0..CPUS).collect()),
        cpu: 0,
        state: TaskState::Sleeping,
        usage: usage(rng, LENGTH_NS),
    }
}

/// What a task had at some time: its waits lie in at most five buckets.
fn usage(rng: &mut ChaCha8Rng, most_ns: u64) -> Usage {
    let mut usage = Usage {
        runtime_ns: rng.random_range(0..most_ns),
        wait_ns: rng.random_range(0..most_ns),
        switches: 9,
        wakeups: 7,
        ..Usage::default()
    };
    for _ in 0..9 {
        usage.waits.record(1_000 << rng.random_range(2..7u32));
    }
    usage
}
