//! A task with a reservation: what it waits with its budget used up is nobody's doing.

mod common;

use common::{Worker, monitor, row, schedstat, seen, wait_for};
use std::io;
use std::time::Duration;
use tombola_core::audit::{About, Audit};
use tombola_core::policy::Policy;
use tombola_core::reservation::Reservation;
use tombola_core::window::Window;
use tombola_kernel::reservation;

const RUNTIME_NS: u64 = 5_000_000;
const PERIOD_NS: u64 = 50_000_000;

/// A unit of time in /proc/stat.
const TICK_NS: u64 = 10_000_000;

/// Gives the calling thread a reservation.
fn reserve() -> io::Result<()> {
    let attr = libc::sched_attr {
        size: u32::try_from(size_of::<libc::sched_attr>()).expect("it is small"),
        sched_policy: libc::SCHED_DEADLINE.cast_unsigned(),
        sched_flags: 0,
        sched_nice: 0,
        sched_priority: 0,
        sched_runtime: RUNTIME_NS,
        sched_deadline: PERIOD_NS,
        sched_period: PERIOD_NS,
    };
    // SAFETY: the call reads as many bytes as `size` says, which are the struct's; 0 is the calling thread.
    let result = unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const attr, 0) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[test]
#[ignore = "needs root and BPF"]
fn root_a_used_up_budget_is_throttled_and_no_contention() {
    // Admission may refuse it, where others have reserved much or CPUs are kept apart.
    if let Err(error) = std::thread::spawn(reserve).join().expect("it does not panic") {
        println!("SKIP: SCHED_DEADLINE: {error}");
        return;
    }
    let reserved = Worker::start("reserved", || reserve().expect("it was granted before"), common::spin);
    reserved.has_run(Duration::from_millis(10));
    let monitor = monitor();
    let schedstat_of_it = || schedstat(reserved.tid).expect("it lives").wait_ns;
    let outer_ns = schedstat_of_it();
    let stolen_before_ns = common::stolen_ns();
    let first = seen(&monitor);
    let before_ns = schedstat_of_it();
    let inner_ns = wait_for("a second of it", || {
        let waited_ns = schedstat_of_it() - before_ns;
        (waited_ns > 1_000_000_000).then_some(waited_ns)
    });
    let mut window = Window::between(&first, &seen(&monitor));
    let (pid, promised) = (reserved.tid, reservation(reserved.tid).expect("it has one"));
    window.reservations =
        window.tasks.iter().filter(|t| t.totals.id.pid == pid).map(|t| (t.totals.id, promised)).collect();
    let outer_ns = schedstat_of_it() - outer_ns;
    // Ticks of the host's time are counted down, those of each CPU.
    let stolen_ns = common::stolen_ns() - stolen_before_ns + TICK_NS * common::cpus().len() as u64;
    let audit = Audit::new(&window).expect("groups do not contradict themselves");
    let others_ns: u64 = window
        .tasks
        .iter()
        .filter(|task| task.totals.policy == Policy::Deadline && task.totals.id.pid != reserved.tid)
        .map(|task| task.delta.runtime_ns)
        .sum();
    let of_it = row(&window, reserved.tid);
    let line = audit.lines.iter().find(|line| line.task.totals.id == of_it.totals.id).expect("it waited");
    let (run_ns, wait_ns, length_ns) = (of_it.delta.runtime_ns, of_it.delta.wait_ns, window.length_ns());
    println!(
        "of {length_ns} ns it had {run_ns} and waited {wait_ns}: {:?}; others of its kind {others_ns}",
        line.waiting
    );
    assert_eq!(of_it.totals.policy, Policy::Deadline);
    // It never sleeps, so what its parameters do not give it, it waits for: all but two periods' budget at
    // the ends, and what the host has taken, which is in a slice's length and in no budget.
    let due_ns = length_ns / PERIOD_NS * RUNTIME_NS;
    assert!(
        run_ns <= due_ns + 2 * RUNTIME_NS + stolen_ns,
        "{run_ns} ns, reserved {due_ns}, stolen {stolen_ns}"
    );
    // The kernel's books grow when a wait ends, ours also while it lasts: until the next period begins, at
    // most, or until the host lets it.
    let open_ns = PERIOD_NS + stolen_ns;
    assert!(
        wait_ns + open_ns >= inner_ns && wait_ns <= outer_ns + open_ns,
        "{wait_ns} ns, by the kernel {inner_ns} to {outer_ns}; stolen {stolen_ns}"
    );
    assert!(line.waiting.contention_ns <= others_ns && line.waiting.other_ns == 0, "{:?}", line.waiting);
    assert_eq!(line.waiting.throttled_ns + line.waiting.contention_ns, wait_ns);
    let (runtime_ns, period_ns) = (RUNTIME_NS, PERIOD_NS);
    let as_set = Reservation { runtime_ns, deadline_ns: PERIOD_NS, period_ns };
    let is_it = |about: &About| matches!(about, About::Budget { runtime_ns, reservation, .. } if (*runtime_ns, *reservation) == (run_ns, Some(as_set)));
    assert!(audit.findings.iter().any(|f| is_it(&f.about) && f.foremost == of_it.totals.id));
}
