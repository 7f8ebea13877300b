//! Who gives its CPU away is not preempted, waits for nobody, and is owed nothing for it; told by who yields.

mod common;

use common::{Worker, last_cpu, monitor, pin_to, row, schedstat, seen, spin, stolen_ns, wait_for};
use nix::sched::sched_yield;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tombola_core::audit::Audit;
use tombola_core::window::Window;
use tombola_kernel::{InterferenceMonitor, MaxPairs};

/// Calls of `sched_yield(2)`, and how long they took in all.
#[derive(Default)]
struct Calls {
    begun: AtomicU64,
    ended: AtomicU64,
    took_ns: AtomicU64,
}

impl Calls {
    fn sched_yield(&self) {
        let begin = Instant::now();
        self.begun.fetch_add(1, Ordering::Relaxed);
        sched_yield().expect("it cannot fail");
        self.took_ns
            .fetch_add(u64::try_from(begin.elapsed().as_nanos()).expect("it is short"), Ordering::Relaxed);
        self.ended.fetch_add(1, Ordering::Relaxed);
    }

    /// Calls that have ended, calls that have begun, and what the ended ones took.
    fn so_far(&self) -> [u64; 3] {
        let took_ns = self.took_ns.load(Ordering::Relaxed);
        [self.ended.load(Ordering::Relaxed), self.begun.load(Ordering::Relaxed), took_ns]
    }
}

/// Whether a program can see the registers of who leaves its CPU: since 5.15.
fn can_be_told() -> bool {
    let helper = b"BPF_FUNC_task_pt_regs";
    fs::read("/sys/kernel/btf/vmlinux")
        .expect("the kernel has BTF")
        .windows(helper.len())
        .any(|name| name == helper)
}

#[test]
#[ignore = "needs root and BPF"]
fn root_who_yields_is_not_preempted_and_owed_nothing() {
    let cpu = last_cpu();
    let calls = Arc::new(Calls::default());
    let of_it = Arc::clone(&calls);
    // Both have work all the time, and one lets the other go first.
    let burner = Worker::burner(0, Some(cpu));
    let yielder = Worker::start(
        "yielder",
        move || pin_to(&[cpu]),
        move || {
            for _ in 0..20 {
                spin();
                of_it.sched_yield();
            }
        },
    );
    burner.has_run(Duration::from_millis(20));
    yielder.has_run(Duration::from_millis(5));
    let mut pairs = InterferenceMonitor::start(MaxPairs::default()).expect("root may load it");
    let monitor = monitor();
    let waited_ns = || schedstat(yielder.tid).expect("it lives").wait_ns;

    let (stolen_before_ns, outer) = (stolen_ns(), calls.so_far());
    let pairs_before = pairs.read().expect("the map is there");
    let first = seen(&monitor);
    let (inner, before_ns) = (calls.so_far(), waited_ns());
    wait_for("it has waited for a second", || (waited_ns() - before_ns > 1_000_000_000).then_some(()));
    let inner_end = calls.so_far();
    let last = seen(&monitor);
    let standing = pairs.read().expect("the map is there").since(&pairs_before);
    let outer_end = calls.so_far();
    let stolen_ns = stolen_ns() - stolen_before_ns + 20_000_000;

    let window = Window::between(&first, &last);
    let (of_burner, of_yielder) = (row(&window, burner.tid), row(&window, yielder.tid));
    let got = &of_yielder.delta;
    println!(
        "{} calls took {} ms; {} of {} involuntary switches are yields, {} of {} ms of wait; stolen {} ms",
        inner_end[0] - inner[1],
        (inner_end[2] - inner[2]) / 1_000_000,
        got.yields,
        got.involuntary,
        got.yielded_ns / 1_000_000,
        got.wait_ns / 1_000_000,
        stolen_ns / 1_000_000,
    );
    assert_eq!((of_burner.delta.yields, of_burner.delta.yielded_ns), (0, 0), "it never yields");
    if !can_be_told() {
        assert_eq!((got.yields, got.yielded_ns), (0, 0));
        println!("SKIP: before 5.15 a yield cannot be told from a preemption");
        return;
    }
    // A call may find nobody else to run, and then it is no switch.
    assert!(got.yields <= outer_end[1] - outer[0], "no more than there were calls");
    assert!(got.yields > 0 && got.yielded_ns <= got.wait_ns);
    // Each of those waits lies within its call, of which little else is a part.
    let open_ns = 200_000_000; // of a call at each end that has not ended, or began before
    let most_ns = outer_end[2] - outer[2] + open_ns + stolen_ns;
    assert!(got.yielded_ns <= most_ns, "{} ns after yields, the calls took {most_ns} ns", got.yielded_ns);
    let least_ns = (inner_end[2] - inner[2]) * 4 / 5;
    assert!(
        got.yielded_ns + open_ns + stolen_ns >= least_ns,
        "{} ns after yields, the calls took {least_ns} ns and more",
        got.yielded_ns
    );
    // What is left is what it was kept waiting: that much, and no more, may be owed to it or have a culprit.
    let audit = Audit::new(&window).expect("groups do not contradict themselves");
    let line = |tid| audit.lines.iter().find(|line| line.task.totals.id.pid == tid).expect("it ran");
    let imposed_ns = i64::try_from(got.imposed_wait_ns()).unwrap();
    assert!(line(yielder.tid).lag_ns() <= imposed_ns, "{} ns owed", line(yielder.tid).lag_ns());
    assert_eq!(line(yielder.tid).waiting.yielded_ns, got.yielded_ns);
    let culprits = standing.culprits_of(of_yielder.totals.id);
    let held_ns: u64 = culprits.iter().map(|(_, standing)| standing.held_ns).sum();
    let preemptions: u64 = culprits.iter().map(|(_, standing)| standing.preemptions).sum();
    // The pairs were looked at a little longer than the books.
    let before_and_after = outer_end[1] - outer[0] - (inner_end[0] - inner[1]);
    println!("owed {} ns; {held_ns} ns behind others, {preemptions} preemptions", line(yielder.tid).lag_ns());
    assert!(held_ns <= got.imposed_wait_ns() + open_ns + stolen_ns, "{held_ns} ns behind {culprits:?}");
    assert!(preemptions <= got.preempted() + before_and_after, "{preemptions} of {}", got.preempted());
}
