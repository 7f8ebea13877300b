//! More tasks than anybody can list: fork storms, and a task map that is too small.

mod common;

use common::{NamedShell, Worker, confined_to, cpus, last_cpu, monitor, named, wait_for};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use tombola_core::snapshot::Snapshot;
use tombola_core::window::Window;
use tombola_kernel::{MaxTasks, PrivateMonitor, Settings};

const STORM: u64 = 20_000;

#[test]
#[ignore = "needs root and BPF"]
fn root_a_fork_storm_loses_no_cpu_time_and_keeps_the_reader_responsive() {
    let shell = NamedShell::new("forkstorm");
    let script = format!("i=0; while [ $i -lt {STORM} ]; do (:); i=$((i+1)); done");
    let monitor = monitor();
    let reader = monitor.reader();
    let first = reader.snapshot().unwrap();
    let (before_ns, stolen_before_ns) = (common::children_ns(), common::stolen_ns());
    // On one CPU no parent can reap a child before its final switch, whose run time getrusage would then not
    // know.
    let mut storm = confined_to(last_cpu(), || {
        shell.command(&script).stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap()
    });

    let (mut listed_ns, mut listed_ends, mut unlisted_ns) = (0, 0, 0);
    let mut earlier = first.clone();
    let mut slowest = Duration::ZERO;
    let mut over = false;
    wait_for("the storm is over", || {
        thread::sleep(Duration::from_millis(50));
        over = over || storm.try_wait().unwrap().is_some();
        let start = Instant::now();
        let now = reader.snapshot().unwrap();
        slowest = slowest.max(start.elapsed());
        let window = Window::between(&earlier, &now);
        earlier = now;
        let rows = named(&window, "forkstorm");
        listed_ns += rows.iter().map(|t| t.delta.runtime_ns).sum::<u64>();
        listed_ends += rows.iter().filter(|t| t.ended).count() as u64;
        unlisted_ns += if window.unlisted_exits.count > 0 { window.unlisted_exits.runtime_ns } else { 0 };
        assert!(common::is_complete(&window.loss), "{:?}", window.loss);
        over.then_some(())
    });
    let rusage_ns = common::children_ns() - before_ns;
    // What the hypervisor took is in a slice, and where the kernel knows of it in no rusage.
    let stolen_ns = common::stolen_ns() - stolen_before_ns;
    assert!(
        listed_ns <= rusage_ns + rusage_ns / 100 + stolen_ns
            && listed_ns + unlisted_ns >= rusage_ns - rusage_ns / 100,
        "listed {listed_ns} ns, not listed {unlisted_ns} ns, getrusage {rusage_ns} ns, stolen {stolen_ns} ns"
    );
    let window = Window::between(&first, &earlier);
    assert!(listed_ends + window.unlisted_exits.count > STORM, "{listed_ends} ends listed");
    assert!(slowest < Duration::from_secs(2), "a snapshot took {slowest:?}");

    // The same storm in one look at its end: most of its ends are forgotten, none of their time is.
    let books = window.books();
    let ends = window.tasks.iter().filter(|t| t.ended).count() as u64;
    assert!(window.unlisted_exits.count > 0 && ends + window.unlisted_exits.count > STORM);
    let in_one_look = named(&window, "forkstorm").iter().map(|t| t.delta.runtime_ns).sum::<u64>();
    assert!(in_one_look + books.unlisted_ns >= rusage_ns - rusage_ns / 100, "{books:?}, {rusage_ns} ns");
    assert!(books.residual_share().abs() <= 0.001, "{books:?}");
}

#[test]
#[ignore = "needs root and BPF"]
fn root_a_full_task_map_is_counted_and_the_books_still_balance() {
    let settings = Settings { max_tasks: MaxTasks::new(8).unwrap(), ..Settings::default() };
    let monitor = PrivateMonitor::start(&settings).unwrap();
    let workers: Vec<_> =
        (0..50).map(|n| if n % 2 == 0 { Worker::burner(0, None) } else { Worker::sleeper(n % 5) }).collect();
    let reader = monitor.reader();
    let first = reader.snapshot().unwrap();
    wait_for("some time is lost", || {
        thread::sleep(Duration::from_secs(2));
        let loss = reader.snapshot().unwrap().loss;
        (loss.untracked_ns > 100_000_000).then_some(())
    });
    let window = Window::between(&first, &reader.snapshot().unwrap());
    let (books, loss) = (window.books(), window.loss);
    assert!(loss.map_full > 0 && loss.untracked_ns > 0, "{loss:?}");
    assert_eq!((loss.map_busy, loss.map_other, loss.clock_backwards), (0, 0, 0), "{loss:?}");
    assert_eq!(books.untracked_ns, loss.untracked_ns);
    assert!(books.residual_share().abs() <= 0.001, "{books:?}");
    assert!(window.loss_total.map_full >= loss.map_full);
    drop(workers);
}

/// A task without a record is still seen while it runs, in the slot of its CPU. When that slice ends, its
/// time moves to what is untracked: it must not be in both.
#[test]
#[ignore = "needs root and BPF"]
fn root_an_untracked_slice_is_booked_once() {
    if cpus().len() < 2 {
        println!("SKIP: on one CPU a real-time task would keep the test itself from running");
        return;
    }
    let settings = Settings { max_tasks: MaxTasks::new(8).unwrap(), ..Settings::default() };
    let monitor = PrivateMonitor::start(&settings).unwrap();
    let reader = monitor.reader();
    let _holders: Vec<_> = (0..20).map(|n| Worker::sleeper(n % 3)).collect();
    wait_for("the map is full", || (reader.snapshot().unwrap().loss.map_full > 0).then_some(()));
    // Whoever has a record may end, and leave it to the hog: then another hog is needed.
    for _ in 0..50 {
        let first = reader.snapshot().unwrap();
        // It does not end with that slice: the end of a task needs no room in the map.
        let burns = Arc::new(AtomicBool::new(true));
        let still_burns = Arc::clone(&burns);
        let hog = Worker::start(
            "hog",
            || {
                common::pin_to(&[last_cpu()]);
                common::become_fifo();
            },
            move || {
                if still_burns.load(Ordering::Relaxed) {
                    common::spin();
                } else {
                    thread::sleep(Duration::from_millis(1));
                }
            },
        );
        hog.has_run(Duration::from_millis(150));
        let open = reader.snapshot().unwrap();
        burns.store(false, Ordering::Relaxed);
        let is_running = |s: &Snapshot| s.cpus.iter().any(|c| c.running.is_some_and(|r| r.id.pid == hog.tid));
        let closed = wait_for("the slice is closed", || {
            let now = reader.snapshot().unwrap();
            (!is_running(&now)).then_some(now)
        });
        if !is_running(&open) || open.tasks.iter().any(|t| t.id.pid == hog.tid) {
            continue; // it had a record, or was switched out before
        }
        for (earlier, later) in [(&first, &open), (&open, &closed), (&first, &closed)] {
            let window = Window::between(earlier, later);
            let books = window.books();
            let limit = (books.wall_ns / 1000).max(5_000_000);
            assert!(books.residual_ns.unsigned_abs() <= limit, "{books:?} {:?}", window.loss);
        }
        return;
    }
    panic!("none of 50 hogs was without a record");
}
