//! Who waits, and has not got a CPU since its wakeup or its birth: its wait is in no closed slice. What keeps
//! it waiting is real time that is in no closed slice either.

mod common;

use common::{Worker, cpus, monitor, pin_to, row, seen};
use nix::time::{ClockId, clock_gettime};
use nix::unistd::gettid;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;
use tombola_core::snapshot::TaskState;
use tombola_core::window::Window;

#[allow(clippy::unwrap_used)] // not seen as test code by the lint
fn now_ns() -> u64 {
    Duration::from(clock_gettime(ClockId::CLOCK_MONOTONIC).unwrap()).as_nanos().try_into().unwrap()
}

#[test]
#[ignore = "needs root and BPF"]
fn root_who_starves_since_its_wakeup_has_a_row_and_a_wait() {
    let [free, .., taken] = cpus()[..] else {
        println!("SKIP: on one CPU a real-time task would keep the test itself from running");
        return;
    };
    pin_to(&[free]);
    // The kernel may give the fair class a part of the CPU (its deadline server, the real-time limit): then
    // another try is needed.
    for _ in 0..10 {
        if starved(taken) {
            return;
        }
    }
    println!("SKIP: the fair class got the CPU in every try");
}

/// Whether the sleeper starved, and so what is told of it was looked at.
#[allow(clippy::unwrap_used)] // not seen as test code by the lint
fn starved(cpu: usize) -> bool {
    let (wake, woken) = mpsc::channel::<()>();
    let (tell, told) = mpsc::channel();
    let has_run = Arc::new(AtomicBool::new(false));
    let ran = Arc::clone(&has_run);
    let sleeper = thread::Builder::new().name("starving".into()).spawn(move || {
        pin_to(&[cpu]);
        tell.send(gettid().as_raw().unsigned_abs()).unwrap();
        woken.recv().unwrap();
        ran.store(true, Ordering::SeqCst);
    });
    let tid = told.recv().unwrap();
    common::wait_for("the sleeper sleeps", || {
        let stat = std::fs::read_to_string(format!("/proc/self/task/{tid}/stat")).unwrap();
        stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('S')).then_some(())
    });
    let monitor = monitor();
    let prepare = move || {
        pin_to(&[cpu]);
        common::become_fifo();
    };
    let hog = Worker::start("fifohog", prepare, common::spin);
    hog.has_run(Duration::from_millis(20));
    let first = seen(&monitor);
    let before_ns = now_ns();
    wake.send(()).unwrap();
    let after_ns = now_ns();
    // A sleep might end when the kernel next takes the hog off its CPU, where its timer is on that one.
    while now_ns() < after_ns + 200_000_000 {
        common::spin();
    }
    let (hog_before, last, hog_after) = (
        common::exact_runtime_ns(hog.tid),
        monitor.reader().snapshot().unwrap(),
        common::exact_runtime_ns(hog.tid),
    );
    let starved = !has_run.load(Ordering::SeqCst);
    let hog_tid = hog.tid;
    hog.stop();
    sleeper.unwrap().join().unwrap();
    // Had it run it would say so. Had it begun to, its state would be another.
    if !starved || common::has_unseen_switch(&last) {
        return false;
    }
    let window = Window::between(&first, &last);
    let task = row(&window, tid);
    let (shortest, longest) = (last.taken_ns - after_ns, last.taken_ns - before_ns);
    println!("waits for {shortest} to {longest} ns: {:?}; CPU {cpu}", task.delta.wait_ns);
    assert_eq!((task.totals.state, task.totals.comm.as_slice()), (TaskState::Waiting, &b"starving"[..]));
    // The wakeup of a task takes the waker a moment; clocks of two CPUs differ by microseconds.
    assert!(task.delta.wait_ns + 2_000_000 >= shortest, "{} ns, at least {shortest} ns", task.delta.wait_ns);
    assert!(task.delta.wait_ns <= longest + 2_000_000, "{} ns, at most {longest} ns", task.delta.wait_ns);
    assert!(task.delta.wait_max_ns.abs_diff(task.delta.wait_ns) < 2_000_000 && task.was_runnable());
    // The hog has not left its CPU: its slice is open, and real time. What it had before it became that is in
    // both snapshots.
    let (unfair_ns, got) = (window.cpus[cpu].unfair_ns, row(&window, hog_tid).delta.runtime_ns);
    assert!(
        unfair_ns + 1_000_000 >= got,
        "real time {unfair_ns} ns; the hog had {got} ns, {hog_before} to {hog_after} in the kernel's books"
    );
    assert!(window.cpus[cpu].unfair_ns > 150_000_000, "{:?}", window.cpus[cpu]);
    true
}
