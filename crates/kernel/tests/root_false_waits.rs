//! Waits that the kernel books and nobody waited: from 6.12 on a task that blocks ahead of its share stays
//! queued, and where it is moved meanwhile, its whole sleep becomes run-queue wait (`/proc/PID/schedstat`).
//! How long it can have waited at most is told by the sleeper itself.

mod common;

use common::{Worker, cpus, monitor, own_cpu_ns, pin_to, row, schedstat, seen};
use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::{Pid, gettid};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};
use tombola_core::window::Window;
use tombola_kernel::{InterferenceMonitor, MaxPairs};

const SLEEP: Duration = Duration::from_millis(200);

/// How often the sleeper is asked to sleep at most, and how many false waits are enough.
const ROUNDS: usize = 40;
const ENOUGH: usize = 4;

#[allow(clippy::unwrap_used)] // not seen as test code by the lint
fn move_to(tid: u32, cpu: usize) {
    let mut set = CpuSet::new();
    set.set(cpu).unwrap();
    sched_setaffinity(Pid::from_raw(tid.cast_signed()), &set).unwrap();
}

#[test]
#[ignore = "needs root and BPF"]
fn root_a_sleep_in_which_the_task_was_moved_is_no_wait() {
    let [here, .., there] = cpus()[..] else {
        println!("SKIP: a task is moved only where there are two CPUs");
        return;
    };
    let (ask, asked) = mpsc::channel::<()>();
    let (tell, told) = mpsc::channel();
    let sleeper = thread::spawn(move || {
        pin_to(&[here]);
        tell.send((gettid().as_raw().unsigned_abs(), Duration::ZERO)).unwrap();
        let tid = gettid().as_raw().unsigned_abs();
        while asked.recv().is_ok() {
            let (begin, own_ns) = (Instant::now(), own_cpu_ns());
            while own_cpu_ns() - own_ns < 4_000_000 {
                common::spin(); // ahead of its share
            }
            tell.send((tid, Duration::ZERO)).unwrap();
            thread::sleep(SLEEP);
            // The sleep is at least as long as was asked for, so what is left of the time is the most that it
            // can have waited.
            let ran = Duration::from_nanos(own_cpu_ns() - own_ns);
            tell.send((tid, begin.elapsed().saturating_sub(SLEEP + ran))).unwrap();
        }
    });
    let (tid, _) = told.recv().unwrap();
    let burners: Vec<Worker> = (0..2).map(|_| Worker::burner(0, Some(here))).collect();
    pin_to(&[there]);
    let monitor = monitor();
    let mut interference = InterferenceMonitor::start(MaxPairs::default()).unwrap();
    let first = seen(&monitor);
    let kernel_before = schedstat(tid).unwrap();
    let (mut most, mut longest, mut false_waits) = (Duration::ZERO, Duration::ZERO, 0);
    for _ in 0..ROUNDS {
        move_to(tid, here);
        let before = schedstat(tid).unwrap();
        ask.send(()).unwrap();
        told.recv().unwrap();
        for turn in 0..6 {
            move_to(tid, if turn % 2 == 0 { there } else { here });
        }
        let (_, waited) = told.recv().unwrap();
        most += waited;
        longest = longest.max(waited);
        let kernel = Duration::from_nanos(schedstat(tid).unwrap().wait_ns - before.wait_ns);
        false_waits += usize::from(kernel > waited + SLEEP / 2);
        if false_waits == ENOUGH {
            break;
        }
    }
    let last = seen(&monitor);
    let stood = interference.read().unwrap();
    let kernel = Duration::from_nanos(schedstat(tid).unwrap().wait_ns - kernel_before.wait_ns);
    drop(ask);
    sleeper.join().unwrap();
    drop(burners);
    if false_waits == 0 {
        println!("NOTE: this kernel has booked no sleep as a wait, so there was nothing to put right");
    }
    let window = Window::between(&first, &last);
    let usage = &row(&window, tid).delta;
    println!(
        "false waits: {false_waits}; at most {most:?}, longest {longest:?}; kernel: {kernel:?}; here {usage:?}"
    );
    // Between two rounds it waits for its turn to read the next request.
    let slack = Duration::from_millis(50 + 10 * ROUNDS as u64);
    let wait = Duration::from_nanos(usage.wait_ns);
    assert!(wait <= most + slack, "{wait:?} of wait, and it can have waited {most:?} at most");
    assert!(false_waits == 0 || Duration::from_nanos(usage.wait_max_ns) < longest + SLEEP / 2, "{usage:?}");
    // What was left out is what the kernel has booked too much.
    let corrected = Duration::from_nanos(window.loss.corrected_ns);
    assert!(window.loss.corrected_waits >= false_waits as u64, "{:?}", window.loss);
    assert!(
        (wait + corrected).abs_diff(kernel) < slack,
        "{wait:?} and {corrected:?} corrected; kernel {kernel:?}"
    );
    assert!(common::is_complete(&window.loss), "{:?}", window.loss);
    // Who ran while it slept stood in nobody's way.
    let ways = stood.pairs.iter().filter(|(pair, _)| pair.victim.pid == tid);
    let held = Duration::from_nanos(ways.map(|(_, standing)| standing.held_ns).sum());
    println!("others stood in its way for {held:?}");
    assert!(held <= most + slack, "{held:?} of others in its way, and it can have waited {most:?} at most");
}
