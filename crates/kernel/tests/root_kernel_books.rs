//! The monitor against the kernel's own books, and against itself, while the machine is busy.

mod common;

use common::{
    Bracket, Worker, cpus, endless_forks, last_cpu, messaging, monitor, row, tolerance_ns, wait_for,
};
use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};
use tombola_core::snapshot::TaskState;
use tombola_core::window::Window;

/// Kernel weights of nice 0, 5 and 10, from `sched_prio_to_weight`.
const WEIGHTS: [(i32, f64); 3] = [(0, 1024.0), (5, 335.0), (10, 110.0)];

/// A tick of the slowest kernel (100 a second): how far `/proc/TID/schedstat` lags behind for a task that
/// runs.
const TICK_NS: u64 = 10_000_000;

fn assert_within(what: &str, got: u64, range: &RangeInclusive<u64>, slack: (u64, u64)) {
    let (low, high) = (range.start().saturating_sub(slack.0), range.end() + slack.1);
    assert!((low..=high).contains(&got), "{what}: {got} ns is outside {low}..={high} (books {range:?})");
}

#[test]
#[ignore = "needs root and BPF"]
fn root_runtime_and_wait_of_every_task_agree_with_the_kernels_books() {
    // Begun on a quiet machine: a busy one that is emulated takes long over it. (root_open_slices has it the
    // other way round.)
    let monitor = monitor();
    let cpu = last_cpu();
    let burners = WEIGHTS.map(|(nice, _)| Worker::burner(nice, Some(cpu)));
    let sleepers = [0, 1, 2, 3].map(Worker::sleeper);
    let _messaging = messaging();
    let _forks = endless_forks();
    for burner in &burners {
        burner.has_run(Duration::from_millis(50));
    }

    for burner in &burners {
        burner.longest_round_ns.store(0, Ordering::Relaxed);
    }
    let from = Bracket::take(&monitor);
    let since_begin =
        |tid| common::exact_runtime_ns(tid) - from.before.get(&tid).expect("it runs").runtime_ns;
    wait_for("the burners get 5 s together", || {
        (burners.iter().map(|b| since_begin(b.tid)).sum::<u64>() > 5_000_000_000).then_some(())
    });
    let to = Bracket::take(&monitor);
    let window = Window::between(&from.snapshot, &to.snapshot);
    let stolen_ns = to.stolen_after_ns - from.stolen_before_ns + TICK_NS;
    // Tasks whose switches a kernel hides (common::has_unseen_switch) have no row: their time is in rows of
    // others.
    let rows: BTreeSet<_> = window.tasks.iter().map(|task| task.totals.id.pid).collect();
    let without_row = from.before.iter().filter(|(tid, _)| !rows.contains(tid));
    let hidden_ns: u64 = without_row
        .filter_map(|(tid, then)| Some(to.after.get(tid)?.runtime_ns.saturating_sub(then.runtime_ns)))
        .sum();
    assert!(hidden_ns > 0 || window.loss.unseen_switches == 0, "every task has a row: {:?}", window.loss);

    let mut compared = BTreeSet::new();
    for task in &window.tasks {
        let id = task.totals.id;
        let then = from.snapshot.tasks.iter().find(|t| t.id == id);
        let (Some(then), Some(a1), Some(b1), Some(a2), Some(b2)) = (
            then,
            from.before.get(&id.pid),
            from.after.get(&id.pid),
            to.before.get(&id.pid),
            to.after.get(&id.pid),
        ) else {
            continue; // not there all the time
        };
        compared.insert(id.pid);
        let what = format!("{} ({id:?})", String::from_utf8_lossy(&task.totals.comm));
        let burns = burners.iter().any(|b| b.tid == id.pid);
        let runs = [then.state, task.totals.state].contains(&TaskState::Running);

        let runtime = a2.runtime_ns.saturating_sub(b1.runtime_ns)..=b2.runtime_ns - a1.runtime_ns;
        let lag = if runs && !burns { TICK_NS } else { 0 };
        let slack = tolerance_ns(*runtime.end()) + lag;
        assert_within(
            &format!("runtime of {what}"),
            task.delta.runtime_ns,
            &runtime,
            (slack, slack + stolen_ns + hidden_ns),
        );

        let wait = if burns {
            // It never sleeps: what it did not run it waited.
            let length = window.length_ns();
            length - runtime.end()..=length - runtime.start()
        } else {
            a2.wait_ns.saturating_sub(b1.wait_ns)..=b2.wait_ns - a1.wait_ns
        };
        if from.waiting_on.contains(&id.pid) || to.waiting_on.contains(&id.pid) {
            continue;
        }
        // The wait that led to a slice is booked with the slice: of a task on its CPU the newest one may be
        // missing.
        let unbooked =
            if runs && !burns { then.usage.wait_max_ns.max(task.totals.usage.wait_max_ns) } else { 0 };
        // The scheduler reads its clock before the tracepoint fires, and between the two it may send an
        // interrupt to another CPU: an exit to the hypervisor, where time is stolen. At a wakeup that
        // shortens our wait, at a switch it lengthens it. A wait that ended in a slice after the snapshot's
        // instant, and before the record was read, is counted to its end.
        let reading_ns = from.reading_ns.max(to.reading_ns);
        let slack = tolerance_ns(*wait.end()) + unbooked + stolen_ns + reading_ns + hidden_ns;
        // From 6.12 on the kernel's books hold sleep of tasks that were moved while they stayed queued; ours
        // do not.
        let corrected_ns = window.loss.corrected_ns;
        assert_within(&format!("wait of {what}"), task.delta.wait_ns, &wait, (slack + corrected_ns, slack));
    }
    // Whatever else lives on this machine: the load was there all the time.
    for worker in burners.iter().chain(&sleepers) {
        assert!(compared.contains(&worker.tid), "{} is not among {compared:?}", worker.tid);
    }

    let got = burners.each_ref().map(|b| row(&window, b.tid).delta.runtime_ns as f64);
    let (sum, weights): (f64, f64) = (got.iter().sum(), WEIGHTS.iter().map(|w| w.1).sum());
    // A round is microseconds of work. What a machine that stood still gave to one of them it owes the others
    // for long.
    let still_ns = burners.iter().map(|b| b.longest_round_ns.load(Ordering::Relaxed)).max().unwrap();
    let tolerance = 0.01 + 2.0 * still_ns as f64 / sum;
    for (got, (nice, weight)) in got.iter().zip(WEIGHTS) {
        let (share, entitled) = (got / sum, weight / weights);
        assert!(
            (share - entitled).abs() < tolerance,
            "nice {nice}: share {share:.4}, weight says {entitled:.4}, tolerance {tolerance:.4}"
        );
    }
    for (burner, (nice, weight)) in burners.iter().zip(WEIGHTS) {
        let totals = &row(&window, burner.tid).totals;
        assert_eq!((i32::from(totals.nice.get()), f64::from(totals.weight)), (nice, weight));
        assert_eq!(totals.comm, format!("burner{nice}").as_bytes());
    }
}

#[test]
#[ignore = "needs root and BPF"]
fn root_books_balance_over_five_seconds_of_mixed_load() {
    let monitor = monitor();
    let cpu = last_cpu();
    let burners = WEIGHTS.map(|(nice, _)| Worker::burner(nice, Some(cpu)));
    let _sleepers = [0, 1, 2, 3].map(Worker::sleeper);
    let _messaging = messaging();
    let _forks = endless_forks();

    // A task that runs several slices between a snapshot's instant and the reading of its record keeps all
    // but the last, on any of the CPUs: no more than a read takes. On a loaded or emulated machine that is
    // not nothing.
    let mut slowest_ns = 0;
    let mut snapshot = || {
        let start = Instant::now();
        let snapshot = monitor.reader().snapshot().unwrap();
        slowest_ns = slowest_ns.max(start.elapsed().as_nanos());
        snapshot
    };
    let first = snapshot();
    let mut earlier = first.clone();
    let mut windows = Vec::new();
    while earlier.taken_ns - first.taken_ns < 5_000_000_000 {
        thread::sleep(Duration::from_secs(1));
        let now = snapshot();
        windows.push(Window::between(&earlier, &now));
        earlier = now;
    }
    windows.push(Window::between(&first, &earlier));
    windows.push(Window::between(&first.origin(), &first));
    // A round of a burner is microseconds of work.
    let still_ns = burners.iter().map(|b| b.longest_round_ns.load(Ordering::Relaxed)).max().unwrap();
    let reading_ns = u64::try_from(slowest_ns).unwrap() * cpus().len() as u64;
    for window in &windows {
        let books = window.books();
        assert!(common::is_complete(&window.loss), "{:?}", window.loss);
        if window.length_ns() > 500_000_000 {
            let limit_ns = books.wall_ns / 1000 + reading_ns;
            assert!(books.residual_ns.unsigned_abs() <= limit_ns, "{books:?}, reading {reading_ns} ns");
        }
        // Before the division among tasks: each CPU's own books. They stand on one pair of readings of two
        // clocks a second, off by as much as the machine stood still between the two.
        for cpu in &window.cpus {
            assert_eq!(cpu.wall_ns, window.length_ns());
            let gap = cpu.wall_ns.abs_diff(cpu.busy_ns + cpu.idle_ns);
            assert!(
                gap <= (cpu.wall_ns / 1000).max(1_000_000) + still_ns,
                "{cpu:?}, still for {still_ns} ns"
            );
        }
    }
}
