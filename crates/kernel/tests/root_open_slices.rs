//! Tasks that are on a CPU, and stay there: their time is in no closed slice.

mod common;

use common::{Worker, cpus, exact_runtime_ns, last_cpu, monitor, row, tolerance_ns};
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;
use tombola_core::snapshot::{Snapshot, TaskState};
use tombola_core::window::Window;

/// Takes a snapshot, and what the kernel says the thread had before and after it.
#[allow(clippy::unwrap_used)] // not seen as test code by the lint
fn bracketed(monitor: &tombola_kernel::PrivateMonitor, tid: u32) -> (u64, Snapshot, u64) {
    common::wait_for("every CPU runs what it was seen to switch to", || {
        let before = exact_runtime_ns(tid);
        let snapshot = monitor.reader().snapshot().unwrap();
        let after = exact_runtime_ns(tid);
        (!common::has_unseen_switch(&snapshot)).then_some((before, snapshot, after))
    })
}

#[test]
#[ignore = "needs root and BPF"]
fn root_a_hog_older_than_the_monitor_counts_from_the_first_snapshot() {
    if cpus().len() < 2 {
        println!("SKIP: on one CPU a real-time task would keep the test itself from running");
        return;
    }
    // A loader waits three seconds for a CPU that is not given away; on a machine that stands still now and
    // then it may miss it.
    if !(0..3).any(|_| hog_counts()) {
        println!("SKIP: the loader could not get to the hog's CPU within its three seconds, three times");
    }
}

/// Whether the loader got to the hog's CPU, and so the hog was seen.
#[allow(clippy::unwrap_used)] // not seen as test code by the lint
fn hog_counts() -> bool {
    // However busy the machine is, nothing of the fair class takes its CPU away for long: its slices are long
    // and open.
    let prepare = || {
        common::pin_to(&[last_cpu()]);
        common::become_fifo();
    };
    let hog = Worker::start("oldhog", prepare, common::spin);
    hog.has_run(Duration::from_millis(200));
    let before_attach = exact_runtime_ns(hog.tid);
    let stolen = common::stolen_ns();
    let monitor = monitor();
    let attached = exact_runtime_ns(hog.tid);
    let mut earlier: Option<(u64, Snapshot, u64)> = None;
    for _ in 0..5 {
        let (before, snapshot, after) = bracketed(&monitor, hog.tid);
        // No switch was seen there yet; or the kernel has kept the hog off its CPU since before the attach
        // (it grants real-time tasks 950 ms of each second), so that nothing of it could be seen. Had it run,
        // it would have to be there.
        let unseen = snapshot.tasks.iter().all(|task| task.id.pid != hog.tid);
        let could_not_be_seen = snapshot.cpus[last_cpu()].running.is_none() || after == attached;
        if earlier.is_none() && unseen && could_not_be_seen {
            return false;
        }
        if let Some((before_then, then, after_then)) = &earlier {
            let got = row(&Window::between(then, &snapshot), hog.tid).delta.runtime_ns;
            let books = before - after_then..=after - before_then;
            assert!(got + 2_000_000 >= *books.start(), "{got} ns since the snapshot before, books {books:?}");
        }
        let window = Window::between(&snapshot.origin(), &snapshot);
        let got = row(&window, hog.tid).delta.runtime_ns;
        let slack = tolerance_ns(got);
        let high = after - before_attach + slack + (common::stolen_ns() - stolen) + 10_000_000;
        assert!(
            got + slack >= before.saturating_sub(attached) && got <= high,
            "{got} ns; the kernel says {} to {} ns",
            before.saturating_sub(attached),
            after - before_attach
        );
        let task = &row(&window, hog.tid).totals;
        assert_eq!((task.comm.as_slice(), task.policy.to_string().as_str()), (&b"oldhog"[..], "FIFO"));
        earlier = Some((before, snapshot, after));
        hog.has_run(Duration::from_nanos(after) + Duration::from_millis(50));
    }
    true
}

#[test]
#[ignore = "needs root and BPF"]
fn root_a_task_that_was_never_switched_out_is_running() {
    if cpus().len() < 2 {
        println!("SKIP: on one CPU a real-time task would keep the test itself from running");
        return;
    }
    let monitor = monitor();
    let first = monitor.reader().snapshot().unwrap();
    // The kernel gives a starved fair class a little of the CPU now and then: then the task was switched out,
    // and another one is needed.
    let mut off = Vec::new();
    for _ in 0..20 {
        // The thread inherits CPU and policy of the one that starts it, so its first slice is its only one.
        // It never leaves that CPU to its parent, which must be free to go to another one.
        let everywhere = cpus();
        let hog = thread::spawn(move || {
            common::pin_to(&[last_cpu()]);
            common::become_fifo();
            Worker::start_and("neverout", || (), common::spin, || common::pin_to(&everywhere))
        })
        .join()
        .unwrap();
        hog.has_run(Duration::from_millis(100));
        let (before, snapshot, after) = bracketed(&monitor, hog.tid);
        let kernel = common::schedstat(hog.tid).unwrap();
        let hog_tid = hog.tid;
        let own = hog.own_ns.load(Ordering::Relaxed);
        hog.stop();
        if kernel.slices > 1 {
            continue;
        }
        let window = Window::between(&first, &snapshot);
        let task = row(&window, hog_tid);
        let got = task.delta.runtime_ns;
        let slack = tolerance_ns(got);
        assert!(own > 0);
        // Where the machine stands still between two readings of its clocks (an emulated one, on a busy
        // host), the instants of that CPU are off by as much for a second. A monitor that is wrong is so
        // every time.
        if got + slack < before || got > after + slack + 10_000_000 {
            off.push((before, got, after));
            assert!(off.len() < 3, "{off:?}");
            continue;
        }
        assert_eq!(task.totals.state, TaskState::Running);
        assert_eq!((task.totals.usage.switches, task.totals.usage.wakeups), (0, 1));
        assert_eq!(task.totals.policy.to_string(), "FIFO");
        assert!(!task.ended);
        return;
    }
    panic!("every one of 20 real-time tasks was switched out within 100 ms");
}
