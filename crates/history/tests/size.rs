//! What a row costs on the disk, of a machine as they are: durations in nanoseconds that repeat nowhere, most
//! processes of one thread.
#![allow(clippy::unwrap_used)] // functions that tests share are no #[test] themselves

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;
use std::fs;
use tempfile::TempDir;
use tombola_core::audit::Audit;
use tombola_core::frame::Frame;
use tombola_core::identity::TaskId;
use tombola_core::policy::Policy;
use tombola_core::snapshot::{
    CpuBooks, ExitTotals, Group, GroupTotals, Loss, Snapshot, TaskState, TaskTotals,
};
use tombola_core::tickets::Nice;
use tombola_core::usage::Usage;
use tombola_core::window::Window;
use tombola_history::file::{About, Writer};
use tombola_history::name::ByPath;
use tombola_history::rows::{Maker, Most};

const SECOND: u64 = 1_000_000_000;
const INTERVAL_NS: u64 = 10 * SECOND;
/// Ten minutes: two row groups and a rest, in which heads and dictionaries weigh more than in those of an
/// hour.
const INTERVALS: u64 = 60;
const CPUS: u32 = 4;
const GROUPS: u64 = 20;
const PROCESSES: u32 = 160;

/// A number between two powers of two, each octave as likely as another: run times and waits spread so.
fn spread(random: &mut ChaCha8Rng, low: u32, high: u32) -> u64 {
    let octave = random.random_range(low..high);
    (1 << octave) + random.random_range(0..1u64 << octave)
}

/// Three threads in every second process, one in the others; two processes of each name. So most of what a
/// row says no other row says.
fn threads() -> Vec<TaskTotals> {
    let mut all = Vec::new();
    for process in 0..PROCESSES {
        let tgid = 1000 + process * 7;
        for thread in 0..if process % 2 == 0 { 3 } else { 1 } {
            all.push(TaskTotals {
                id: TaskId { pid: tgid + thread, start_ns: 40 * SECOND + u64::from(tgid) * 12_345_677 },
                tgid,
                comm: format!("worker-{}", process % 80).into_bytes(),
                nice: Nice::default(),
                policy: Policy::default(),
                weight: 1024,
                tickets_set: None,
                group: Group::Cgroup(2 + u64::from(process) % GROUPS),
                affinity: None,
                cpu: 0,
                state: TaskState::Sleeping,
                usage: Usage::default(),
            });
        }
    }
    all
}

/// What the next interval adds: of all threads two thirds are active, and what they want is at times more
/// than there is.
fn go_on(random: &mut ChaCha8Rng, now: &mut Snapshot) {
    // Per cent of what there is.
    let load = [50, 90, 160][random.random_range(0..3)];
    let wanted_ns = u64::from(CPUS) * INTERVAL_NS / 100 * load.min(100);
    let mut left_ns = wanted_ns;
    for task in &mut now.tasks {
        if random.random_range(0..3) == 0 {
            continue;
        }
        // From 16 µs to half a second.
        let run_ns = spread(random, 14, 29).min(left_ns);
        left_ns -= run_ns;
        let switches = 1 + run_ns / spread(random, 17, 22);
        let mut delta = Usage { runtime_ns: run_ns, switches, ..Usage::default() };
        let scale = if load > 100 { 20 } else { 14 };
        for _ in 0..switches.min(500) {
            let wait_ns = spread(random, 10, scale);
            delta.waits.record(wait_ns);
            delta.wait_ns += wait_ns;
            delta.wait_max_ns = delta.wait_max_ns.max(wait_ns);
        }
        delta.wait_ns = delta.wait_ns.min(INTERVAL_NS - run_ns);
        delta.involuntary = random.random_range(0..=switches / 4);
        delta.wakeups = switches - delta.involuntary;
        delta.migrations = random.random_range(0..=switches / 8);
        task.usage.merge(&delta);
    }
    let busy_ns = (wanted_ns - left_ns) / u64::from(CPUS);
    for cpu in &mut now.cpus {
        let taken_ns = busy_ns / 100 + random.random_range(0..1_000_000);
        cpu.busy_ns += busy_ns;
        cpu.idle_ns += INTERVAL_NS - busy_ns;
        cpu.taken_ns += taken_ns.min(busy_ns);
    }
    now.taken_ns += INTERVAL_NS;
    now.unix_us += INTERVAL_NS / 1000;
}

#[test]
fn a_row_costs_at_most_thirty_bytes() {
    let mut random = ChaCha8Rng::seed_from_u64(7);
    let group =
        |id, parent| GroupTotals { id, parent, weight: 1024, quota: None, throttled_ns: 0, throttles: 0 };
    let root = Group::Cgroup(1);
    let groups = std::iter::once(group(root, None))
        .chain((2..2 + GROUPS).map(|id| group(Group::Cgroup(id), Some(root))));
    let mut now = Snapshot {
        unix_us: 1_793_491_200_000_000,
        cpus: (0..CPUS).map(|cpu| CpuBooks { cpu, online: true, ..CpuBooks::default() }).collect(),
        tasks: threads().into_iter().map(Into::into).collect(),
        groups: groups.collect(),
        taken_ns: 0,
        read_ns: 0,
        begin_ns: 0,
        exited: Vec::new(),
        exits: ExitTotals::default(),
        interference: None,
        loss: Loss::default(),
    };
    let names: BTreeMap<Group, String> =
        now.groups.iter().map(|group| (group.id, format!("/system.slice/{:?}.service", group.id))).collect();
    let about = About { host: "host".to_owned(), boot: "b00t".to_owned(), release: "7.0".to_owned() };
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("hour.parquet");
    let mut writer = Writer::create(&path, &about).unwrap();
    let mut maker = Maker::new("host", "b00t", Most::default(), ByPath);
    let mut count = 0;
    for _ in 0..INTERVALS {
        let before = now.clone();
        go_on(&mut random, &mut now);
        let window = Window::between(&before, &now);
        let frame = Frame::new(now.clone(), names.clone());
        let rows = maker.rows(&window, &Audit::new(&window).unwrap(), &frame, 20_000_000);
        count += rows.len();
        writer.add(rows).unwrap();
    }
    writer.finish().unwrap();
    let bytes = fs::metadata(&path).unwrap().len();
    let each = bytes as f64 / count as f64;
    println!("{bytes} bytes, {count} rows, {each:.1} bytes a row");
    assert!(count > 15_000, "{count}");
    assert!(each <= 30.0, "{bytes} bytes for {count} rows are {each:.1} a row");
}
