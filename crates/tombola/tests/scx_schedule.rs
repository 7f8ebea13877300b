//! The scheduler in the kernel by way of the binary. Needs a kernel with `sched_ext`: the lane boots some
//! (`scripts/run.sh test --vm`).
#![allow(clippy::unwrap_used)] // the functions the tests share are no #[test] themselves

mod common;

use common::program::{Running, as_nobody, is_installed, run, tombola};
use common::{copy_for_anyone, failed, ok, wait_for};
use nix::sys::signal::Signal;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{ChildStderr, Stdio};

fn state() -> String {
    fs::read_to_string("/sys/kernel/sched_ext/state").unwrap().trim().to_owned()
}

/// A scheduler in charge, and its further messages, which must be kept open.
fn in_charge(args: &[&str]) -> (Running, BufReader<ChildStderr>) {
    let child = tombola(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut running = Running(child);
    let mut messages = BufReader::new(running.0.stderr.take().unwrap());
    let mut line = String::new();
    messages.read_line(&mut line).unwrap();
    assert!(line.contains(" is in charge of "), "{line}");
    (running, messages)
}

fn burner() -> Running {
    let command = ["workload", "--nice", "5", "--cpu", "0", "--duration", "1h"];
    Running(tombola(&command).stdout(Stdio::null()).spawn().unwrap())
}

/// The thread that burns.
fn thread_of(burner: &Running) -> String {
    let pid = burner.0.id().to_string();
    wait_for("the burning thread", || {
        let threads = fs::read_dir(format!("/proc/{pid}/task")).ok()?;
        let mut names = threads.filter_map(|thread| thread.ok()?.file_name().into_string().ok());
        names.find(|name| *name != pid)
    })
}

#[test]
#[ignore = "sched_ext: runs in the lane"]
fn scx_a_command_joins_with_its_children_and_its_status_is_that_of_the_run() {
    let script = "grep -c '^policy.* 7$' /proc/self/sched; exit 7";
    let output = run(&["schedule", "--partial", "--", "sh", "-c", script]);
    let (said, report) = (String::from_utf8_lossy(&output.stderr), String::from_utf8_lossy(&output.stdout));
    assert_eq!(output.status.code(), Some(7), "{said}");
    assert!(report.starts_with("1\nschedule 1: lottery for "), "{report}");
    assert!(said.contains("the kernel's own scheduler is back: it was unloaded"), "{said}");
    assert_eq!(state(), "disabled");
    let output = run(&["schedule", "--", "sh", "-c", "kill -KILL $$"]);
    assert_eq!(output.status.code(), Some(137));
}

#[test]
#[ignore = "sched_ext: runs in the lane"]
fn scx_a_signal_ends_it_with_a_report_and_a_kill_without() {
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        let (mut running, mut messages) = in_charge(&["schedule"]);
        running.signal(signal);
        let (mut report, mut said) = (String::new(), String::new());
        running.0.stdout.take().unwrap().read_to_string(&mut report).unwrap();
        messages.read_to_string(&mut said).unwrap();
        assert_eq!(running.0.wait().unwrap().code(), Some(0), "{signal}: {said}");
        assert!(report.starts_with("schedule 1: "), "{signal}: {report}");
        assert_eq!(state(), "disabled", "{signal}");
    }
    let (running, _messages) = in_charge(&["schedule", "--policy", "stride"]);
    running.signal(Signal::SIGKILL);
    wait_for("the kernel's own scheduler", || (state() == "disabled").then_some(()));
}

#[test]
#[ignore = "sched_ext: runs in the lane"]
fn scx_who_looks_at_a_running_one_is_told_its_name_and_changes_its_tickets() {
    let burners = [burner(), burner()];
    let [one, two] = [0, 1].map(|at| thread_of(&burners[at]));
    let (_running, _messages) = in_charge(&["schedule"]);
    let tickets = |args: &[&str]| run(&[&["tickets"], args].concat());
    wait_for("both in the table", || {
        let shown = ok(&tickets(&["show"]));
        let has = |pid: &str| shown.lines().any(|row| row.split_ascii_whitespace().next() == Some(pid));
        (has(&one) && has(&two)).then_some(())
    });
    assert_eq!(ok(&tickets(&["set", &one, "2000"])), format!("{one}: 335 -> 2000 tickets\n"));
    let given = ok(&tickets(&["give", &one, &two, "500"]));
    assert_eq!(given, format!("{one}: 2000 -> 1500 tickets\n{two}: 335 -> 835 tickets\n"));
    assert!(failed(&tickets(&["give", &one, &two, "1500"])).contains("must keep one"));
    // The ledger goes by them. Both burn on one CPU, in one group.
    let audit =
        ok(&run(&["audit", "--interval", "1s", "--format", "json", "-t", &one, "-t", &two, "--sort", "run"]));
    let audit: serde_json::Value = serde_json::from_str(&audit).unwrap();
    let row = |pid: &str| {
        let rows = audit["intervals"][0]["rows"].as_array().unwrap();
        rows.iter().find(|row| row["pid"].as_u64() == pid.parse().ok()).unwrap().clone()
    };
    let [first, second] = [row(&one), row(&two)];
    for (row, weight) in [(&first, 1500), (&second, 835)] {
        assert_eq!((&row["weight"], &row["tickets_set"]), (&weight.into(), &true.into()), "{row}");
    }
    let ratio = first["entitled_ns"].as_f64().unwrap() / second["entitled_ns"].as_f64().unwrap();
    assert!((ratio / (1500.0 / 835.0) - 1.0).abs() < 0.001, "{ratio}: {first} {second}");
    assert_eq!(ok(&tickets(&["set", &one, "--by-nice"])), format!("{one}: 1500 -> 335 tickets\n"));
    assert!(failed(&tickets(&["set", "4194304", "5"])).contains("there is no task 4194304"));

    let second = failed(&run(&["schedule"]));
    assert!(second.contains("tombola_lottery is loaded as scheduler already"), "{second}");
    let audit = ok(&run(&["audit", "--interval", "200ms", "--iterations", "1"]));
    assert_eq!(
        audit.lines().nth(1),
        Some("scheduler: tombola_lottery (sched_ext), whole machine, not told of cpu.max, cpu.idle")
    );
    let doctor = run(&["doctor"]);
    assert!(String::from_utf8_lossy(&doctor.stdout).contains("scheduler tombola_lottery is running"));
}

#[test]
#[ignore = "sched_ext: runs in the lane"]
fn scx_the_simulator_and_the_kernel_agree_on_scenarios() {
    for args in [
        &["three-burners", "--duration", "6s", "--slice", "1ms"][..],
        &["two-users", "--duration", "6s", "--slice", "1ms", "--partial"],
        &["lottery-two-cpus", "--duration", "6s", "--slice", "1ms"],
        &["sleeper", "--duration", "6s"],
        &["three-burners", "--duration", "6s", "--policy", "stride"],
    ] {
        let output = run(&[&["schedule", "--scenario"], args].concat());
        let table = String::from_utf8_lossy(&output.stdout).into_owned();
        println!("{table}");
        assert_eq!(output.status.code(), Some(0), "{table}\n{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(state(), "disabled");
    }
    let left = fs::read_dir("/sys/fs/cgroup")
        .unwrap()
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    assert_eq!(left.filter(|name| name.starts_with("tombola-rehearsal")).count(), 0);
}

#[test]
#[ignore = "sched_ext: runs in the lane"]
fn scx_a_rehearsal_that_goes_otherwise_is_called_off() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("two.toml");
    let text = "name = \"two\"\ncpus = 1\nduration = \"5s\"\nquantum = \"1ms\"\n[[task]]\nname = \"a\"\ncount = 2\n[[task]]\nname = \"b\"\n";
    fs::write(&file, text).unwrap();
    let (mut running, _messages) = in_charge(&["schedule", "--scenario", file.to_str().unwrap()]);
    // A thread of a is given nine tenths of what there is: b comes short.
    let threads = format!("/proc/{}/task", running.0.id());
    let actor = wait_for("the threads", || {
        let threads = fs::read_dir(&threads).ok()?.filter_map(Result::ok);
        let mut actors = threads.filter(|thread| {
            fs::read_to_string(thread.path().join("comm")).is_ok_and(|comm| comm.trim() == "tombola-act")
        });
        actors.next()?.file_name().into_string().ok()
    });
    ok(&run(&["tickets", "set", &actor, "18432"]));
    let mut table = String::new();
    running.0.stdout.take().unwrap().read_to_string(&mut table).unwrap();
    assert_eq!(running.0.wait().unwrap().code(), Some(3), "{table}");
    assert!(table.lines().any(|row| row.starts_with("b ") && row.ends_with("off")), "{table}");
    assert_eq!(state(), "disabled");
}

#[test]
#[ignore = "sched_ext: runs in the lane"]
fn scx_it_is_started_again_when_a_cpu_comes_or_goes() {
    let switch = "/sys/devices/system/cpu/cpu1/online";
    if fs::metadata(switch).is_err() {
        println!("SKIP: no CPU that can be switched off");
        return;
    }
    let (running, mut messages) = in_charge(&["schedule"]);
    for state in ["0", "1"] {
        fs::write(switch, state).unwrap();
        let mut line = String::new();
        while !line.contains("started again") {
            line.clear();
            assert!(messages.read_line(&mut line).unwrap() > 0, "it ended");
        }
        assert!(line.contains("set of CPUs changed"), "{line}");
    }
    assert_eq!(state(), "enabled");
    running.signal(Signal::SIGTERM);
    wait_for("the kernel's own scheduler", || (state() == "disabled").then_some(()));
}

#[test]
#[ignore = "sched_ext: runs in the lane"]
fn scx_two_capabilities_are_enough_to_schedule_and_not_to_change_tickets() {
    if !is_installed("setpriv") {
        println!("SKIP: setpriv (util-linux) is not installed");
        return;
    }
    let (_dir, copy) = copy_for_anyone();
    let of_nobody = |capabilities: &str, args: &[&str]| {
        as_nobody(&copy, capabilities).args(args).stdin(Stdio::null()).output().unwrap()
    };
    for (too_few, missing) in [("", "CAP_BPF and CAP_PERFMON missing"), (",+bpf", ": CAP_PERFMON missing")] {
        let said = failed(&of_nobody(too_few, &["schedule", "--duration", "1s"]));
        assert!(said.contains(missing), "'{too_few}': {said}");
        assert_eq!(state(), "disabled");
    }
    let two = ",+bpf,+perfmon";
    let report = ok(&of_nobody(two, &["schedule", "--duration", "1s"]));
    assert!(report.starts_with("schedule 1: lottery for 1."), "{report}");
    assert_eq!(state(), "disabled");

    let (running, _messages) = in_charge(&["schedule"]);
    let said = failed(&of_nobody(two, &["tickets", "set", &running.0.id().to_string(), "5"]));
    assert!(said.contains("root"), "{said}");
}
