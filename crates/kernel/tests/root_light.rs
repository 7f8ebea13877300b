//! The light monitor against the kernel's own books: what it says, who has ended, and that nothing of it runs
//! at a switch.
#![allow(clippy::unwrap_used)] // the functions the tests share are no #[test] themselves

mod common;

use common::{BpfFs, Worker, exact_runtime_ns, last_cpu, names_in, wait_for};
use nix::sys::resource::{UsageWho, getrusage};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tombola_core::identity::TaskId;
use tombola_core::snapshot::{Snapshot, TaskTotals};
use tombola_core::window::Window;
use tombola_kernel::{Loaded, PinnedMonitor, PrivateMonitor, Settings, status};

/// A tick of the slowest kernel (100 a second): how far the kernel's counters lag behind for a task that
/// runs.
const TICK_NS: u64 = 10_000_000;

fn light() -> PrivateMonitor {
    PrivateMonitor::start(&Settings { light: true, ..Settings::default() }).unwrap()
}

/// Run time, wait and times on a CPU of a task since its birth, from `/proc/TID/schedstat`.
fn books(tid: u32) -> [u64; 3] {
    let text = fs::read_to_string(format!("/proc/{tid}/schedstat")).unwrap();
    let words: Vec<u64> = text.split_whitespace().map(|word| word.parse().unwrap()).collect();
    words.try_into().unwrap()
}

/// Times it left a CPU by itself, and times it had to, from `/proc/TID/status`.
fn switches(tid: u32) -> [u64; 2] {
    let text = fs::read_to_string(format!("/proc/{tid}/status")).unwrap();
    ["voluntary_ctxt_switches:", "nonvoluntary_ctxt_switches:"].map(|name| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim().parse().unwrap()
    })
}

/// A process that burns, also where a test fails no longer than that.
struct Burning(Child);

impl Drop for Burning {
    fn drop(&mut self) {
        let _ = self.0.kill(); // it may have been killed already
        let _ = self.0.wait();
    }
}

fn totals(snapshot: &Snapshot, tid: u32) -> &TaskTotals {
    let found: Vec<_> = snapshot.tasks.iter().filter(|task| task.id.pid == tid).collect();
    assert_eq!(found.len(), 1, "{tid}: {found:?}");
    found[0]
}

#[test]
#[ignore = "needs root and BPF"]
fn root_light_totals_are_the_kernels_own_since_the_begin() {
    let cpu = last_cpu();
    // One is older than the monitor, one is not.
    let old = Worker::burner(0, Some(cpu));
    old.has_run(Duration::from_millis(50));
    let (books_before, switches_before) = (books(old.tid), switches(old.tid));
    let monitor = light();
    let (books_begun, switches_begun) = (books(old.tid), switches(old.tid));
    let new = Worker::burner(5, Some(cpu));
    let sleeper = Worker::waker(0, cpu);
    new.has_run(Duration::from_millis(200));
    for (worker, lower, upper, fewer, more) in [
        (&old, books_begun, books_before, switches_begun, switches_before),
        (&new, [0; 3], [0; 3], [0; 2], [0; 2]),
        (&sleeper, [0; 3], [0; 3], [0; 2], [0; 2]),
    ] {
        let (low, few) = (books(worker.tid), switches(worker.tid));
        let snapshot = monitor.reader().snapshot().unwrap();
        let (high, many) = (books(worker.tid), switches(worker.tid));
        let usage = &totals(&snapshot, worker.tid).usage;
        // Nothing but the counters themselves: no tolerance.
        assert!(
            (low[0] - lower[0]..=high[0] - upper[0]).contains(&usage.runtime_ns),
            "{low:?} {usage:?} {high:?}"
        );
        // A wait that is open is in no counter yet: who burns waits at most while the others run.
        let length_ns = snapshot.taken_ns - snapshot.begin_ns;
        assert!(
            usage.wait_ns >= low[1] - lower[1] && usage.wait_ns <= length_ns + TICK_NS,
            "{low:?} {usage:?}"
        );
        assert!((few[0] - fewer[0]..=many[0] - more[0]).contains(&usage.voluntary()), "{few:?} {usage:?}");
        assert!((few[1] - fewer[1]..=many[1] - more[1]).contains(&usage.involuntary), "{few:?} {usage:?}");
        assert!(usage.light && usage.longest_wait_ns().is_none() && usage.wait_quantile_ns(0.5).is_none());
        assert!(snapshot.loss.light && snapshot.loss.is_none());
    }
    // The sleeper came from sleep to its CPU about as often as it left it by itself.
    let snapshot = monitor.reader().snapshot().unwrap();
    let usage = &totals(&snapshot, sleeper.tid).usage;
    assert!(usage.wakeups.abs_diff(usage.voluntary()) <= 2, "{usage:?}");
}

#[test]
#[ignore = "needs root and BPF"]
fn root_light_the_books_of_a_busy_cpu_balance() {
    let monitor = light();
    let from = monitor.reader().snapshot().unwrap();
    let burner = Worker::burner(0, Some(last_cpu()));
    wait_for("two seconds", || (exact_runtime_ns(burner.tid) > 2_000_000_000).then_some(()));
    let to = monitor.reader().snapshot().unwrap();
    let window = Window::between(&from, &to);
    let books = window.books();
    // Idle is counted in ticks of a hundredth of a second; what interrupts and the hypervisor took is in no
    // task's counter.
    let taken_ns: u64 = window.cpus.iter().map(|cpu| cpu.taken_ns).sum();
    let ticks_ns = 2 * TICK_NS * window.cpus.len() as u64 + to.read_ns + from.read_ns;
    let missing_ns = books.residual_ns - i64::try_from(taken_ns).unwrap();
    // Some hosts' kernels hide tasks, and steal time that no counter has: both only ever leave time out.
    let stolen_ns = window.length_ns() / 2;
    assert!(missing_ns >= -i64::try_from(ticks_ns).unwrap(), "{books:?}, taken {taken_ns}");
    assert!(missing_ns <= i64::try_from(ticks_ns + stolen_ns).unwrap(), "{books:?}, taken {taken_ns}");
    let cpu = window.cpus.iter().find(|cpu| cpu.cpu as usize == last_cpu()).unwrap();
    assert!(cpu.idle_ns < window.length_ns() / 4, "{cpu:?}");
}

#[test]
#[ignore = "needs root and BPF"]
fn root_light_who_lives_and_ends_between_two_looks_is_counted() {
    const CHILDREN: u64 = 40;
    let monitor = light();
    let from = monitor.reader().snapshot().unwrap();
    let used = || {
        let usage = getrusage(UsageWho::RUSAGE_CHILDREN).unwrap();
        let us = |time: nix::sys::time::TimeVal| (time.tv_sec() * 1_000_000 + time.tv_usec()).unsigned_abs();
        1000 * (us(usage.user_time()) + us(usage.system_time()))
    };
    let used_before = used();
    let mut pids = BTreeSet::new();
    for _ in 0..CHILDREN {
        let script = "i=0; while [ $i -lt 3000 ]; do i=$((i+1)); done";
        let mut child = Command::new("sh").args(["-c", script]).stdout(Stdio::null()).spawn().unwrap();
        pids.insert(child.id());
        assert!(child.wait().unwrap().success());
    }
    let used_ns = used() - used_before;
    // The kernel forgets a task a grace period after it was waited for. Other ends push out those that were
    // told.
    let (mut before, mut ends, mut runtimes) = (from, BTreeMap::new(), BTreeMap::<TaskId, u64>::new());
    wait_for("every end is known", || {
        let now = monitor.reader().snapshot().unwrap();
        let window = Window::between(&before, &now);
        before = now;
        for task in window.tasks.iter().filter(|task| pids.contains(&task.totals.id.pid)) {
            assert!(!ends.contains_key(&task.totals.id), "told after its end: {task:?}");
            *runtimes.entry(task.totals.id).or_default() += task.delta.runtime_ns;
            if task.ended {
                ends.insert(task.totals.id, task.totals.comm.clone());
            }
        }
        (ends.len() == pids.len()).then_some(())
    });
    assert!(ends.values().all(|comm| comm == b"sh") && runtimes.values().all(|ns| *ns > 0), "{runtimes:?}");
    let runtime_ns: u64 = runtimes.values().sum();
    // After a task is waited for its counters grow no more but for its last switch; rusage is in
    // microseconds.
    let (low, high) = (used_ns - 2000 * CHILDREN, used_ns + used_ns / 20 + 100_000 * CHILDREN);
    assert!((low..=high).contains(&runtime_ns), "{runtime_ns} outside of {low}..={high}");
}

/// Between the last look that finds a task and its end lies a grace period: no look misses it, and none takes
/// it for new.
#[test]
#[ignore = "needs root and BPF"]
fn root_light_an_end_is_reported_once_and_with_what_it_ran_since_the_look_before() {
    let monitor = light();
    let mut child = Burning(Command::new("sh").args(["-c", "while :; do :; done"]).spawn().unwrap());
    let pid = child.0.id();
    wait_for("it has run", || (books(pid)[0] > 300_000_000).then_some(()));
    let mut before = monitor.reader().snapshot().unwrap();
    let id: TaskId = totals(&before, pid).id;
    let first_ns = totals(&before, pid).usage.runtime_ns;
    child.0.kill().unwrap();
    child.0.wait().unwrap();
    let (mut looks, mut ends, mut since_ns) = (0, 0, 0);
    wait_for("its end is reported", || {
        let now = monitor.reader().snapshot().unwrap();
        let window = Window::between(&before, &now);
        before = now;
        looks += 1;
        let task = window.tasks.iter().find(|task| task.totals.id == id);
        // Until its end is told it is there, and after that no more.
        assert_eq!(task.is_some(), ends == 0, "look {looks}");
        let task = task.unwrap();
        since_ns += task.delta.runtime_ns;
        ends += u32::from(task.ended);
        task.ended.then_some(())
    });
    for _ in 0..3 {
        let now = monitor.reader().snapshot().unwrap();
        let window = Window::between(&before, &now);
        assert!(window.tasks.iter().all(|task| task.totals.id != id));
        before = now;
    }
    // From the look before to the kill it ran for moments, not for its whole life again.
    assert!(
        ends == 1 && since_ns < first_ns,
        "{ends} ends, {since_ns} ns after {first_ns} ns, {looks} looks"
    );
}

#[test]
#[ignore = "needs root and BPF"]
fn root_light_nothing_of_it_is_attached_to_switches_or_wakeups() {
    // What the kernel says of each link that this process holds.
    let attached_to = || {
        let fds = fs::read_dir("/proc/self/fdinfo").unwrap().flatten();
        let infos = fds.filter_map(|fd| fs::read_to_string(fd.path()).ok());
        let point = |info: String| {
            info.lines().find_map(|line| Some(line.strip_prefix("tp_name:")?.trim().to_owned()))
        };
        infos.filter_map(point).collect::<BTreeSet<String>>()
    };
    let monitor = light();
    assert_eq!(attached_to(), ["sched_process_free".to_owned()].into());
    drop(monitor);
    // The same look finds the switch program of the other kind.
    let full = common::monitor();
    assert!(attached_to().contains("sched_switch"), "{:?}", attached_to());
    drop(full);
}

#[test]
#[ignore = "needs root and BPF"]
fn root_light_pins_are_found_told_and_removed() {
    let fs = BpfFs::mount();
    let settings = Settings { light: true, ..fs.settings() };
    let Loaded::Now(pinned) = PinnedMonitor::load(&settings).unwrap() else { panic!("one was there") };
    assert!(pinned.light && pinned.max_tasks.is_none());
    assert!(names_in(&fs.path().join("task_map_tombola")).contains(&"kernel_tasks_link".to_owned()));
    let worker = Worker::burner(0, None);
    worker.has_run(Duration::from_millis(50));
    let reader = PinnedMonitor::find(&fs.pins()).unwrap().reader().unwrap();
    assert!(reader.is_light());
    let low = books(worker.tid);
    let seen = reader.snapshot().unwrap();
    assert!((low[0]..=books(worker.tid)[0]).contains(&totals(&seen, worker.tid).usage.runtime_ns));
    // Another load of any kind finds it; another reader has the same begin.
    assert!(matches!(PinnedMonitor::load(&fs.settings()).unwrap(), Loaded::Already(found) if found.light));
    assert!(status(&fs.pins()).unwrap().monitor.light);
    drop(reader);
    // One at the switches takes its place, and leaves nothing of it.
    let Loaded::Now(full) = PinnedMonitor::load(&Settings { force: true, ..fs.settings() }).unwrap() else {
        panic!("it was kept")
    };
    assert!(
        !full.light && !names_in(&fs.path().join("task_map_tombola")).contains(&"kernel_tasks".to_owned())
    );
    PinnedMonitor::unload(&fs.pins()).unwrap();
    assert_eq!(fs.names(), Vec::<String>::new());
}
