//! The binary from outside: exit statuses, closed readers, signals.
#![allow(clippy::unwrap_used)] // the functions the tests share are no #[test] themselves

mod common;

use common::program::{Running, run, tombola};
use std::fs::Permissions;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::{ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// Starts a command and returns it with its first line: what follows knows that it runs.
fn start(args: &[&str]) -> (Running, BufReader<ChildStdout>, String) {
    let mut child = tombola(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let running = Running(child);
    let mut line = String::new();
    out.read_line(&mut line).unwrap();
    (running, out, line)
}

fn exit_code(running: &mut Running) -> Option<i32> {
    let mut status = None;
    until(|| {
        status = running.0.try_wait().unwrap();
        status.is_some()
    });
    status.and_then(|status| status.code())
}

/// Polls a condition under one generous limit.
fn until(mut done: impl FnMut() -> bool) {
    let limit = Instant::now() + Duration::from_secs(60);
    while !done() {
        assert!(Instant::now() < limit, "nothing happened for a minute");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn usage_errors_end_with_2_and_nothing_on_stdout() {
    for args in [
        &["dump", "--interval", "0"][..],
        &["dump", "--interval", "-1"],
        &["dump", "--alpha", "1.1"],
        &["workload", "--nice", "20"],
        &["audit", "--max-lag", "-1"],
        &["audit", "--comm", "("],
        &["audit", "--format", "table", "--output", "/dev/null"],
        &["audit", "--records", "row"],
        &["audit", "--format", "ndjson", "--records", "sample"],
        &["dump", "--format", "json", "--records", "row"],
        &["audit", "--format", "csv", "--columns", "pid"],
        &["dump", "--format", "json", "--columns", "pid"],
        &["dump", "--output", "-", "--columns", "pid"],
        &["hist", "--by", "user"],
        &["workload", "--frobnicate"],
        &["schedule", "--slice", "0"],
        &["schedule", "--policy", "fifo"],
        &["schedule", "--scenario", "sleeper", "--", "true"],
        &["tickets"],
        &["tickets", "set", "1"],
        &["record"],
        &["record", "-o", "x", "--trigger", "wait>50ms"],
        &["record", "-o", "x", "--flight", "10s", "--trigger", "late"],
        &["record", "-o", "x", "--lane", "100"],
        &["record", "-o", "x", "--flight", "1ms"],
        &["frobnicate"],
        &[],
    ] {
        let output = run(args);
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert!(output.stdout.is_empty() && !output.stderr.is_empty(), "{args:?}");
    }
}

#[test]
fn a_recording_overwrites_nothing_and_mixes_with_nothing() {
    let dir = tempfile::TempDir::new().unwrap();
    let file = dir.path().join("kept");
    std::fs::write(&file, "kept").unwrap();
    let name = file.to_str().unwrap();
    for (args, told) in [
        (&["record", "-o", name][..], "--force"),
        (&["record", "-o", name, "--flight", "10s"], "--force"),
        (&["record", "-o", "-", "--", "true"], "name a file with -o"),
    ] {
        let output = run(args);
        assert_eq!(output.status.code(), Some(1), "{args:?}");
        assert!(output.stdout.is_empty() && text(&output.stderr).contains(told), "{args:?}: {output:?}");
    }
    assert_eq!(std::fs::read(&file).unwrap(), b"kept");
}

#[test]
fn help_ends_with_0_and_shows_the_exit_statuses() {
    let output = run(&["--help"]);
    assert_eq!(output.status.code(), Some(0));
    assert!(text(&output.stdout).contains("Exit status:"));
}

#[test]
fn a_scheduler_of_our_own_says_what_this_kernel_lacks_or_runs_a_command() {
    let output = run(&["schedule", "--partial", "--", "sh", "-c", "exit 7"]);
    let said = text(&output.stderr);
    if std::path::Path::new("/sys/kernel/sched_ext").exists() {
        // It may be forbidden to this user, or taken; where it is not, the status is the command's.
        assert!(matches!(output.status.code(), Some(1 | 7)), "{said}");
    } else {
        assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0), "{said}");
        assert!(said.contains("this kernel has no sched_ext") && said.lines().count() == 1, "{said}");
    }
}

#[test]
fn a_scenario_with_what_only_the_simulator_has_is_refused_by_name() {
    let output = run(&["schedule", "--scenario", "lottery-locks"]);
    let said = text(&output.stderr);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0), "{said}");
    assert!(said.contains("cannot be rehearsed") && said.contains("of task 'A' takes a lock"), "{said}");
}

#[test]
fn tickets_without_a_scheduler_say_how_to_start_one() {
    if std::path::Path::new("/sys/kernel/sched_ext").exists() {
        return; // one may be running: the live tests look at that
    }
    let output = run(&["tickets", "show"]);
    let said = text(&output.stderr);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0), "{said}");
    assert!(said.contains("sudo tombola schedule"), "{said}");
}

#[test]
fn the_json_schema_needs_no_rights_and_is_json() {
    let output = run(&["audit", "--json-schema"]);
    assert_eq!(output.status.code(), Some(0));
    let schema: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(schema["title"], "tombola audit");
}

#[test]
fn a_cpu_that_is_not_there_is_refused_with_those_that_are() {
    let output = run(&["workload", "--cpu", "65535", "--duration", "1ms"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("CPU 65535: this process may use "), "{}", text(&output.stderr));
}

#[test]
fn a_workload_names_itself_and_reports_every_thread() {
    let output = run(&["workload", "--duration", "50ms", "--threads", "3", "--pattern", "mixed"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let lines: Vec<&str> = text(&output.stdout).lines().collect();
    assert!(lines[0].starts_with("pid ") && lines[0].contains(": 3 threads, nice "), "{}", lines[0]);
    assert_eq!(lines.len(), 1 + 1 + 3 + 1, "announcement, head, three threads, their sum");
    assert!(lines[5].trim_start().starts_with("all "));
}

#[test]
fn an_interrupted_workload_still_reports() {
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        let (mut running, mut out, first) = start(&["workload", "--duration", "1d"]);
        assert!(first.starts_with(&format!("pid {}: ", running.0.id())), "{first}");
        running.signal(signal);
        let mut rest = String::new();
        out.read_to_string(&mut rest).unwrap();
        assert_eq!(exit_code(&mut running), Some(0), "{signal}");
        assert!(rest.contains("interrupted") && rest.contains("CPU_MS"), "{signal}: {rest}");
    }
}

#[test]
fn a_second_interrupt_ends_at_once_even_when_the_first_cannot_finish() {
    // A thousand rows are more than a pipe holds, and nobody reads: the report of the first interrupt blocks.
    let args = ["workload", "--threads", "1000", "--pattern", "sleep", "--burst", "10us", "--pause", "1d"];
    let (mut running, _unread, _) = start(&[&args[..], &["--duration", "1d"]].concat());
    let threads = format!("/proc/{}/task", running.0.id());
    let threads = || std::fs::read_dir(&threads).unwrap().count();
    until(|| threads() == 1001);
    running.signal(Signal::SIGINT);
    until(|| threads() == 1);
    running.signal(Signal::SIGINT);
    assert_eq!(exit_code(&mut running), Some(130));
}

#[test]
fn a_reader_that_leaves_ends_the_run_quietly() {
    let (mut running, out, first) = start(&["workload", "--duration", "100ms"]);
    assert!(!first.is_empty());
    drop(out);
    let mut complaint = String::new();
    running.0.stderr.take().unwrap().read_to_string(&mut complaint).unwrap();
    assert_eq!((exit_code(&mut running), complaint.as_str()), (Some(0), ""));
}

#[test]
fn a_full_disk_under_stdout_is_a_failure_that_is_told() {
    const DEMO: &str = "../recording/demo/mixture.pftrace";
    for args in [
        &["--help"][..],
        &["--version"],
        &["help", "audit"],
        &["audit", "--help"],
        &["dump", "-V"],
        &["completions", "zsh"],
        &["man"],
        &["man", "audit"],
        &["query"],
        &["query", "owed", "--print"],
        &["doctor"],
        &["doctor", "--format", "json"],
        &["status"],
        &["workload", "--duration", "1ms"],
        &["simulate", "--list"],
        &["simulate", "--show", "three-burners"],
        &["simulate", "stride-3-2-1"],
        &["audit", "--json-schema"],
        &["audit", "-i", DEMO],
        &["audit", "-i", DEMO, "--format", "csv"],
        &["audit", "-i", DEMO, "--format", "json"],
        &["audit", "-i", DEMO, "--format", "ndjson", "--output", "-"],
        &["audit", "-i", DEMO, "--format", "junit"],
        &["dump", "-i", DEMO],
        &["dump", "-i", DEMO, "--output", "-"],
        &["hist", "-i", DEMO],
        &["info", DEMO],
        &["timehist", "-i", DEMO],
        &["periods", "-i", DEMO],
        &["convert", DEMO, "-", "--format", "csv"],
        &["report", DEMO, DEMO],
        &["report", "-i", DEMO, "-o", "-"],
    ] {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let output = tombola(args).stdout(full).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{args:?}");
        let said = text(&output.stderr);
        let last = said.lines().last().unwrap_or_default();
        assert!(last.contains("standard output") && last.contains("No space left"), "{args:?}: {said}");
    }
}

#[test]
fn a_reader_that_leaves_a_help_text_is_no_failure() {
    for args in [&["--help"][..], &["--version"], &["man", "audit"]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = tombola(args).stdout(writer).output().unwrap();
        assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), ""), "{args:?}");
    }
}

/// A copy of the binary that any user may run, wherever the build directory is.
fn copy_for_anyone() -> (tempfile::TempDir, std::path::PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    std::fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).unwrap();
    let copy = dir.path().join("tombola");
    std::fs::copy(env!("CARGO_BIN_EXE_tombola"), &copy).unwrap();
    (dir, copy)
}

#[test]
#[ignore = "root: becomes an ordinary user"]
fn root_doctor_tells_an_ordinary_user_what_is_missing() {
    let (_dir, copy) = copy_for_anyone();
    let output = Command::new(&copy).arg("doctor").uid(65534).gid(65534).env_clear().output().unwrap();
    let said = text(&output.stdout);
    assert_eq!(output.status.code(), Some(4), "{said}");
    assert!(said.contains("CAP_BPF and CAP_PERFMON missing"), "{said}");
    assert!(said.contains("-> type it with sudo, or once: sudo setcap cap_bpf,cap_perfmon+ep"), "{said}");
}

#[test]
#[ignore = "root: becomes an ordinary user"]
fn root_workload_refuses_an_ordinary_user_a_better_nice_value() {
    let (_dir, copy) = copy_for_anyone();
    let mut command = Command::new(&copy);
    let output = command.args(["workload", "--nice", "-5"]).uid(65534).gid(65534).output().unwrap();
    assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0));
    assert!(text(&output.stderr).contains("to -5: it needs CAP_SYS_NICE"), "{}", text(&output.stderr));
}

#[test]
fn a_workload_ends_on_time() {
    // The floor is a promise; the ceiling only has to tell a run that ends from one that hangs.
    let start = Instant::now();
    assert!(
        run(&["workload", "--duration", "200ms", "--pattern", "sleep", "--pause", "1d"]).status.success()
    );
    let took = start.elapsed();
    assert!((Duration::from_millis(200)..Duration::from_secs(20)).contains(&took), "{took:?}");
}

/// The words of the remedy, done: with a number and the PID of a process that leads a session of its own.
#[test]
fn what_doctor_says_against_autogroups_weighs_a_session() {
    let said = run(&["doctor"]);
    let said = text(&said.stdout);
    let Some(remedy) = said.lines().find_map(|line| line.split_once("to weigh the session of a process: "))
    else {
        println!("SKIP: autogroups are off here, or not in this kernel");
        return;
    };
    // A child leads no process group, so setsid(1) needs no fork and keeps its PID.
    let leader = Running(Command::new("setsid").args(["sleep", "600"]).spawn().unwrap());
    let pid = leader.0.id().to_string();
    until(|| std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap() == "sleep\n");
    let typed = remedy.1.replace("NICE", "7").replace("PID", &pid);
    let status = Command::new("sh").args(["-c", &typed]).status().unwrap();
    assert!(status.success(), "{typed}");
    let now = std::fs::read_to_string(format!("/proc/{pid}/autogroup")).unwrap();
    assert!(now.starts_with("/autogroup-") && now.ends_with(" nice 7\n"), "{now}");
}
