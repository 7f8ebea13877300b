//! Who a row is about: short lives and reused PIDs.

mod common;

use common::{BURN, Group, NamedShell, monitor, named, schedstat, tolerance_ns, wait_for};
use std::fs;
use tombola_core::window::Window;

const INITIAL_PID_NAMESPACE: &str = "pid:[4026531836]";
/// The kernel gives the next task the PID after the one that is written there.
const LAST_PID: &str = "/proc/sys/kernel/ns_last_pid";

#[test]
#[ignore = "needs root and BPF"]
fn root_tasks_that_live_between_two_readings_keep_their_totals() {
    let monitor = monitor();
    let before = monitor.reader().snapshot().unwrap();
    let (before_ns, stolen_before_ns) = (common::children_ns(), common::stolen_ns());
    let shell = NamedShell::new("shortlived");
    for _ in 0..5 {
        // In the second half it is a child that works: whom nobody but its parent ever sees.
        let script = "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done";
        assert!(shell.command(&format!("{script}; ({script}; :); :")).status().unwrap().success());
    }
    let rusage_ns = common::children_ns() - before_ns;
    let window = Window::between(&before, &monitor.reader().snapshot().unwrap());
    let rows = named(&window, "shortlived");
    assert_eq!(rows.len(), 10);
    for task in &rows {
        assert!(task.ended && task.delta.runtime_ns > 1_000_000, "{task:?}");
        assert_eq!(task.delta, task.totals.usage, "its whole life was in the window");
        assert!(task.delta.switches > 0);
    }
    let got_ns: u64 = rows.iter().map(|t| t.delta.runtime_ns).sum();
    // A child may be reaped on another CPU before its final switch: what it did then is in no rusage.
    // What a switch that was not shown leaves to a task is in its row and in no rusage.
    let slack_ns = tolerance_ns(rusage_ns) * 3 + window.loss.unseen_ns;
    // What the hypervisor took is in a slice, and where the kernel knows of it in no rusage.
    let stolen_ns = common::stolen_ns() - stolen_before_ns;
    assert!(
        got_ns < rusage_ns + slack_ns + stolen_ns && got_ns + slack_ns > rusage_ns,
        "{got_ns} ns, getrusage {rusage_ns} ns, stolen {stolen_ns} ns"
    );
    let later = monitor.reader().snapshot().unwrap();
    let next = Window::between(&monitor.reader().snapshot().unwrap(), &later);
    assert!(named(&next, "shortlived").is_empty(), "an end is told once");
}

#[test]
#[ignore = "needs root and BPF"]
fn root_a_reused_pid_is_two_rows() {
    if fs::read_link("/proc/self/ns/pid").unwrap().to_str() != Some(INITIAL_PID_NAMESPACE) {
        println!("SKIP: in a PID namespace the kernel's PIDs cannot be chosen");
        return;
    }
    // Anybody may open it, not anybody may write.
    if fs::read(LAST_PID).and_then(|last| fs::write(LAST_PID, last)).is_err() {
        println!("SKIP: this user may not choose PIDs");
        return;
    }
    let shell = NamedShell::new("samepid");
    // Runs until it has had 20 ms, and says how much it had.
    let life = || {
        let mut group = Group::spawn(&mut shell.command(BURN));
        let pid = group.pid();
        let had = wait_for("it gets 20 ms", || schedstat(pid).filter(|s| s.runtime_ns >= 20_000_000));
        group.kill();
        (pid, had.runtime_ns)
    };
    let monitor = monitor();
    let before = monitor.reader().snapshot().unwrap();
    let first = life();
    // Others may be faster: then the next try.
    let second = (0..200)
        .find_map(|_| {
            fs::write(LAST_PID, (first.0 - 1).to_string()).unwrap();
            Some(life()).filter(|second| second.0 == first.0)
        })
        .expect("the pid is free again, so one of many tries gets it");
    let window = Window::between(&before, &monitor.reader().snapshot().unwrap());
    let mut rows: Vec<_> = window.tasks.iter().filter(|t| t.totals.id.pid == first.0).collect();
    // Where others were faster they had the pid, too.
    rows.retain(|t| t.totals.comm == b"samepid");
    assert_eq!(rows.len(), 2, "{rows:#?}");
    assert!(rows[0].totals.id.start_ns < rows[1].totals.id.start_ns);
    for (task, had) in rows.iter().zip([first.1, second.1]) {
        assert!(task.ended && task.delta.runtime_ns + 1_000_000 >= had, "{task:?} had {had} ns");
    }
    assert_eq!(window.loss.stale_records, 0);
}
