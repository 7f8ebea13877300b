//! The verbs for recordings, on a recording of a known truth: two tasks on one CPU, as ftrace prints them.
#![allow(clippy::unwrap_used)]

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

/// From 10 s on: `first` runs for 3 ms and is preempted, `second` runs for 2 ms and sleeps, `first` runs for
/// 5 ms and sleeps for 4 ms; woken by `second`'s CPU time it waits for 1 ms, and runs for 2 ms.
const TEXT: &str = "\
# tracer: nop
#
          <idle>-0       [000] d..2.    10.000000: sched_switch: prev_comm=swapper/0 prev_pid=0 prev_prio=120 prev_state=R ==> next_comm=first next_pid=101 next_prio=120
           first-101     [000] d..2.    10.001000: sched_waking: comm=second pid=102 prio=120 target_cpu=000
           first-101     [000] d..2.    10.003000: sched_switch: prev_comm=first prev_pid=101 prev_prio=120 prev_state=R+ ==> next_comm=second next_pid=102 next_prio=120
          second-102     [000] d..2.    10.005000: sched_switch: prev_comm=second prev_pid=102 prev_prio=120 prev_state=S ==> next_comm=first next_pid=101 next_prio=120
           first-101     [000] d..2.    10.010000: sched_switch: prev_comm=first prev_pid=101 prev_prio=120 prev_state=S ==> next_comm=swapper/0 next_pid=0 next_prio=120
          <idle>-0       [000] d.h2.    10.013000: sched_waking: comm=second pid=102 prio=120 target_cpu=000
          <idle>-0       [000] d..2.    10.013000: sched_switch: prev_comm=swapper/0 prev_pid=0 prev_prio=120 prev_state=R ==> next_comm=second next_pid=102 next_prio=120
          second-102     [000] d..2.    10.014000: sched_waking: comm=first pid=101 prio=120 target_cpu=000
          second-102     [000] d..2.    10.015000: sched_switch: prev_comm=second prev_pid=102 prev_prio=120 prev_state=S ==> next_comm=first next_pid=101 next_prio=120
           first-101     [000] d..2.    10.017000: sched_switch: prev_comm=first prev_pid=101 prev_prio=120 prev_state=S ==> next_comm=swapper/0 next_pid=0 next_prio=120
";

/// What stands above, slice by slice, as `timehist --format csv` has it.
const SLICES: &str = "\
end_ns,cpu,tid,comm,sleep_ns,wait_ns,run_ns,left
3000000,0,101,first,,,3000000,R+
5000000,0,102,second,,2000000,2000000,S
10000000,0,101,first,0,2000000,5000000,S
15000000,0,102,second,8000000,0,2000000,S
17000000,0,101,first,4000000,1000000,2000000,S
";

fn tombola(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tombola")).args(arguments).stdin(Stdio::null()).output().unwrap()
}

fn ok(arguments: &[&str]) -> String {
    let output = tombola(arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn recording(dir: &Path) -> PathBuf {
    let path = dir.join("trace.txt");
    std::fs::write(&path, TEXT).unwrap();
    path
}

#[test]
fn every_slice_is_as_it_was_made_also_after_a_conversion() {
    let dir = tempfile::tempdir().unwrap();
    let text = recording(dir.path());
    let text = text.to_str().unwrap();
    let seen = ok(&["timehist", "-i", text, "--format", "csv"]);
    // What comes before a task's first event is not known, and the wait of `second` is, from its wake on.
    assert_eq!(seen, SLICES);
    let trace = dir.path().join("x.pftrace");
    let trace = trace.to_str().unwrap();
    ok(&["convert", text, trace]);
    assert_eq!(ok(&["timehist", "-i", trace, "--format", "csv"]), seen);
    let rows = ok(&["convert", trace, "-", "--format", "ndjson"]);
    assert_eq!(rows.lines().filter(|row| row.contains("\"event\":\"switch\"")).count(), 7, "{rows}");
}

/// Of one instant a birth on one CPU and what is told of the newborn by another stay in their order.
#[test]
fn a_conversion_keeps_the_order_of_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("../recording/demo/mixture.pftrace");
    let copy = dir.path().join("copy.pftrace");
    let [demo, copy] = [&demo, &copy].map(|path| path.to_str().unwrap());
    ok(&["convert", demo, copy]);
    let rows = |path: &str| ok(&["convert", path, "-", "--format", "ndjson"]);
    assert_eq!(rows(copy), rows(demo));
    let repairs = |path: &str| -> Value {
        let info: Value = serde_json::from_str(&ok(&["info", path, "--format", "json"])).unwrap();
        info["repairs"].clone()
    };
    assert_eq!(repairs(copy), repairs(demo));
    assert!(repairs(demo)["thread ids in use again"].is_null(), "nobody was born twice in two seconds");
}

#[test]
fn the_ledger_and_the_table_judge_a_recording() {
    let dir = tempfile::tempdir().unwrap();
    let text = recording(dir.path());
    let text = text.to_str().unwrap();
    let json: Value = serde_json::from_str(&ok(&["audit", "-i", text, "--format", "json"])).unwrap();
    let json = &json["intervals"][0];
    let row = |pid: u64| json["rows"].as_array().unwrap().iter().find(|row| row["pid"] == pid).unwrap();
    let of = |pid: u64| (row(pid)["runtime_ns"].as_u64().unwrap(), row(pid)["wait_ns"].as_u64().unwrap());
    assert_eq!(of(101), (10_000_000, 3_000_000));
    assert_eq!(of(102), (4_000_000, 2_000_000));
    // Both are entitled to a half from 1 ms on; at 3 ms the second has had nothing of its 1 ms, at 5 ms all
    // of it.
    let text_form = ok(&["audit", "-i", text]);
    let exact = text_form.split("entitlement at every instant").nth(1).unwrap();
    let of = |pid: &str| -> Vec<&str> {
        let line = exact.lines().find(|line| line.trim_start().starts_with(pid)).unwrap();
        line.split_whitespace().collect()
    };
    assert_eq!(of("102")[2..], ["3.500", "4.000", "-0.500", "1.000", "0.003000"], "{exact}");
    assert_eq!(of("101")[5..], ["1.000", "0.003000"], "{exact}");
    let part: Value = serde_json::from_str(&ok(&[
        "audit", "-i", text, "--from", "5ms", "--to", "12ms", "--format", "json",
    ]))
    .unwrap();
    let part = &part["intervals"][0];
    assert_eq!(part["rows"][0]["pid"], 101);
    assert_eq!(part["rows"][0]["runtime_ns"], 5_000_000);
    // Several intervals are one document, and what a name means in one it means in the other: both are of the
    // interval.
    let several = |verb: &str| -> Value {
        let text = ok(&[verb, "-i", text, "--interval", "4ms", "--iterations", "0", "--format", "json"]);
        serde_json::from_str(&text).unwrap()
    };
    let (audits, dumps, hists) = (several("audit"), several("dump"), several("hist"));
    let count = audits["intervals"].as_array().unwrap().len();
    assert!(count > 2, "{audits}");
    for number in 0..count {
        let (audit, dump) = (&audits["intervals"][number], &dumps["intervals"][number]);
        assert_eq!(audit["interval_ns"], dump["interval_ns"]);
        assert_eq!(audit["interval_ns"], hists["intervals"][number]["interval_ns"]);
        for row in dump["rows"].as_array().unwrap() {
            let same =
                audit["rows"].as_array().unwrap().iter().find(|other| other["pid"] == row["pid"]).unwrap();
            for key in ["runtime_ns", "wait_ns"] {
                assert_eq!(row[key], same[key], "{key} of {row}");
            }
            assert_eq!(row["interval_ns"], dump["interval_ns"]);
        }
    }
    let dump = ok(&["dump", "-i", text, "--interval", "10ms", "--iterations", "1"]);
    assert!(dump.contains("interval 0.010 s") && dump.contains("first"), "{dump}");
    assert!(ok(&["hist", "-i", text]).contains("waits"));
}

/// Where wakes tell into whose queue they lead, it is known who stood in whose way: `first` before `second`
/// for 2 ms, `second` before `first` for 2 ms, for which it was preempted, and for 1 ms. Without that, the
/// same text says nothing of it but how long.
#[test]
fn culprits_are_those_who_ran_meanwhile() {
    let dir = tempfile::tempdir().unwrap();
    let plain = recording(dir.path());
    let placed = dir.path().join("placed.txt");
    let with_wakeups = TEXT.lines().flat_map(|line| {
        let wakeup = line.contains("sched_waking").then(|| line.replace("sched_waking", "sched_wakeup"));
        std::iter::once(line.to_owned()).chain(wakeup)
    });
    std::fs::write(&placed, with_wakeups.collect::<Vec<_>>().join("\n") + "\n").unwrap();
    let of = |path: &Path, flags: &[&str]| -> Vec<(u64, u64, Vec<[u64; 3]>)> {
        let audit = [&["audit", "-i", path.to_str().unwrap(), "--format", "json"], flags].concat();
        let json: Value = serde_json::from_str(&ok(&audit)).unwrap();
        let number = |value: &Value| value.as_u64().unwrap();
        let waited = json["intervals"][0]["hindered"].as_array().unwrap().iter().map(|waiter| {
            let culprits = waiter["culprits"].as_array().unwrap().iter();
            let culprits =
                culprits.map(|c| [number(&c["pid"]), number(&c["held_ns"]), number(&c["preemptions"])]);
            (number(&waiter["pid"]), number(&waiter["unknown_ns"]), culprits.collect())
        });
        waited.collect()
    };
    let told = [(101, 0, vec![[102, 3_000_000, 1]]), (102, 0, vec![[101, 2_000_000, 0]])];
    assert_eq!(of(&placed, &[]), told);
    assert_eq!(of(&placed, &["--no-interference"]), []);
    // From 4 ms to 5 ms, and from 14 ms on: one millisecond each; the preemption was before.
    assert_eq!(of(&placed, &["--from", "4ms"]), [(101, 0, vec![[102, 2_000_000, 0]])]);
    let not_told = [(101, 3_000_000, vec![[102, 0, 1]]), (102, 2_000_000, vec![])];
    assert_eq!(of(&plain, &[]), not_told);
    let said = tombola(&["audit", "-i", plain.to_str().unwrap()]);
    let said = String::from_utf8(said.stderr).unwrap();
    assert!(said.contains("does not tell in whose queue a task waits"), "{said}");
    // The page has them as a matrix.
    let page = ok(&["report", "-i", placed.to_str().unwrap(), "-o", "-"]);
    let matrix = page.split("<table id=\"culprits\">").nth(1).unwrap().split("</table>").next().unwrap();
    assert!(
        matrix.contains("second</th><td>3.0</td><td>3.0 <span class=\"quiet\">(1)</span></td>"),
        "{matrix}"
    );
    assert!(matrix.contains("first</th><td>2.0</td><td></td><td>2.0"), "{matrix}");
    let page = ok(&["report", "-i", plain.to_str().unwrap(), "-o", "-"]);
    assert!(page.contains("5.0 ms of all waits were behind others that are not known."), "{page}");
}

#[test]
fn what_is_in_a_recording_is_told_also_from_a_pipe() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_tombola"))
        .args(["info", "-", "--format", "json"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(TEXT.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let info: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&info["events"], &info["tasks_seen"]), (&Value::from(10), &Value::from(2)), "{info}");
    assert_eq!(info["end_ns"].as_u64().unwrap() - info["begin_ns"].as_u64().unwrap(), 17_000_000);
    assert!(info["known"].as_array().unwrap().iter().any(|of| of["known"] == false), "{info}");
    let figures = info["figures"].as_array().unwrap().iter();
    let worth: Vec<(&str, &str)> =
        figures.map(|of| (of["what"].as_str().unwrap(), of["worth"].as_str().unwrap())).collect();
    // Until 13 ms nothing is known of the wakes of one, and whole microseconds are all there is.
    assert_eq!(worth[..2], [("run time", "bounded"), ("wait", "bounded")], "{info}");
    assert_eq!(worth[4..6], [("preemptions", "bounded"), ("yields", "unknown")], "{info}");
    assert_eq!(worth[7..], [("who stood in whose way", "unknown"), ("entitlement", "unknown")], "{info}");
}

/// Each verb says of the figures that it shows whether they are exact, bounded or unknown.
#[test]
fn every_verb_says_what_its_figures_are_worth() {
    let dir = tempfile::tempdir().unwrap();
    let text = recording(dir.path());
    let blind = dir.path().join("switches.txt");
    let switches: Vec<&str> = TEXT.lines().filter(|line| !line.contains("sched_waking")).collect();
    std::fs::write(&blind, switches.join("\n") + "\n").unwrap();
    // Complete from its begin on, of tasks that are born in it: nothing is in doubt.
    let scenario = dir.path().join("turns.toml");
    let tasks =
        ["a", "b"].map(|name| format!("[[task]]\nname = \"{name}\"\nrun = \"3ms\"\nsleep = \"5ms\"\n"));
    std::fs::write(&scenario, format!("name = \"turns\"\nduration = \"1s\"\n{}", tasks.concat())).unwrap();
    let known = dir.path().join("known.pftrace");
    ok(&["simulate", scenario.to_str().unwrap(), "--runs", "1", "--record", known.to_str().unwrap()]);
    let [text, blind, known] = [&text, &blind, &known].map(|path| path.to_str().unwrap());
    let line = |arguments: &[&str]| {
        let table = ok(arguments);
        let lines: Vec<&str> =
            table.lines().filter_map(|line| line.split_once("certainty")).map(|of| of.1).collect();
        assert_eq!(lines.len(), 1, "{arguments:?}: {table}");
        lines[0].split_once(": ").unwrap().1.to_owned()
    };
    for arguments in [&["hist", "-i", known], &["timehist", "-i", known], &["periods", "-i", known]] {
        assert_eq!(line(arguments), "exact", "{arguments:?}");
    }
    assert_eq!(line(&["replay", known]), "exact");
    let late = "changes of weight, group or affinity are known up to a second late";
    assert!(line(&["audit", "-i", known]).starts_with("run time, wait, lengths of waits"));
    assert!(line(&["audit", "-i", known]).ends_with(&format!("entitlement bounded: {late}")));
    // Neither wakes nor weights, and whole microseconds.
    for verb in ["audit", "hist", "timehist", "periods"] {
        let said = line(&[verb, "-i", blind]);
        assert!(said.contains("wait") && said.contains("unknown: no wakes are recorded"), "{verb}: {said}");
        assert_eq!(
            said.contains("run time bounded: time stamps are coarse"),
            verb != "hist",
            "{verb}: {said}"
        );
    }
    assert!(line(&["dump", "-i", blind, "--interval", "1s"]).contains("entitlement unknown: by nice value"));
    // What `second` did before its wake at 1 ms, and whether `first` ran or waited before it came.
    let of = |arguments: &[&str]| -> Value {
        serde_json::from_str(&ok(&[arguments, &["--format", "json"]].concat())).unwrap()
    };
    let wait = |certainty: &Value| {
        let figures = certainty.as_array().unwrap().iter();
        let wait = figures
            .filter(|of| of["what"] == "wait")
            .map(|of| (of["worth"].clone(), of["too_low_ns"].clone()));
        wait.collect::<Vec<_>>()
    };
    let bounded = [(Value::from("bounded"), Value::from(1_000_000))];
    assert_eq!(wait(&of(&["info", text])["figures"]), bounded);
    assert_eq!(wait(&of(&["periods", "-i", text])["certainty"]), bounded);
    assert_eq!(wait(&of(&["replay", text])["certainty"]), bounded);
    for verb in ["audit", "dump", "hist"] {
        let all = of(&[verb, "-i", text, "--interval", "4ms", "--iterations", "0"]);
        let intervals = all["intervals"].as_array().unwrap();
        assert_eq!(wait(&intervals[0]["certainty"]), bounded, "{verb}");
        // An interval by itself, and since the begin.
        let second = &intervals[1]["certainty"];
        assert_eq!(wait(second) == bounded, verb == "dump", "{verb}: {second}");
    }
    let csv =
        ok(&["timehist", "-i", text, "--format", "csv"]) + &ok(&["audit", "-i", text, "--format", "csv"]);
    assert!(!csv.contains("certainty"), "{csv}");
    let page = ok(&["report", "-i", blind, "-o", "-"]);
    assert!(page.contains("<li>Certainty: run time bounded: time stamps are coarse; wait"), "{page}");
    let sides = ok(&["report", &format!("{known}@..500ms"), &format!("{known}@500ms..")]);
    assert_eq!(sides.matches("certainty: run time, wait exact; entitlement bounded").count(), 2, "{sides}");
}

#[test]
fn what_is_no_recording_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let none = dir.path().join("none");
    std::fs::write(&none, [0u8; 64]).unwrap();
    let none = none.to_str().unwrap();
    for arguments in [vec!["info", none], vec!["audit", "-i", none], vec!["convert", none, "/dev/null"]] {
        let output = tombola(&arguments);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains(none) && said.contains("perf.data"), "{said}");
    }
    let text = recording(dir.path());
    for verb in ["audit", "dump", "hist", "timehist"] {
        let past = tombola(&[verb, "-i", text.to_str().unwrap(), "--from", "3s", "--to", "2s"]);
        assert_eq!(past.status.code(), Some(1), "{verb}");
        assert!(String::from_utf8_lossy(&past.stderr).contains("--from is not before --to"), "{verb}");
    }
    let live = tombola(&["audit", "--from", "03:10"]);
    assert!(String::from_utf8_lossy(&live.stderr).contains("--input"), "{live:?}");
}

/// A Perfetto trace of which every ftrace event is of a kind that says nothing of scheduling.
#[test]
fn a_recording_without_events_is_an_error_of_every_verb() {
    let dir = tempfile::tempdir().unwrap();
    let empty = dir.path().join("empty.pftrace");
    // A packet with a bundle of CPU 0 with an event that has a time and a task, and is nothing.
    let packet = [0x0a, 0x0a, 0x0a, 0x08, 0x08, 0x00, 0x12, 0x04, 0x08, 0x05, 0x10, 0x03];
    std::fs::write(&empty, packet.repeat(20)).unwrap();
    let empty = empty.to_str().unwrap();
    let kept = dir.path().join("kept");
    std::fs::write(&kept, "what was there").unwrap();
    let target = kept.to_str().unwrap();
    for arguments in [
        vec!["info", empty],
        vec!["audit", "-i", empty],
        vec!["dump", "-i", empty],
        vec!["hist", "-i", empty],
        vec!["timehist", "-i", empty],
        vec!["replay", empty],
        vec!["periods", "-i", empty],
        vec!["convert", empty, "-"],
        vec!["convert", empty, target],
        vec!["convert", "--format", "csv", empty, target],
        vec!["convert", "--format", "scenario", empty, target],
        vec!["report", "-i", empty, "-o", target],
    ] {
        let output = tombola(&arguments);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {said}");
        assert!(said.contains("holds no scheduling events"), "{arguments:?}: {said}");
        assert_eq!(std::fs::read_to_string(&kept).unwrap(), "what was there", "{arguments:?}");
    }
}

/// Some verbs open a recording twice, and say what it leaves out once.
#[test]
fn what_a_recording_leaves_out_is_said_once() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("switches.txt");
    let switches: Vec<&str> = TEXT.lines().filter(|line| !line.contains("sched_waking")).collect();
    std::fs::write(&path, switches.join("\n") + "\n").unwrap();
    let path = path.to_str().unwrap();
    let page = dir.path().join("page.html");
    let page = page.to_str().unwrap();
    for arguments in [
        vec!["info", path],
        vec!["audit", "-i", path],
        vec!["periods", "-i", path],
        vec!["report", "-i", path, "-o", page],
        vec!["report", "-i", path, "--from", "1ms", "-o", page],
    ] {
        let output = tombola(&arguments);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {said}");
        assert_eq!(said.matches("holds no wakes").count(), 1, "{arguments:?}: {said}");
    }
    let whole = tombola(&["audit", "-i", recording(dir.path()).to_str().unwrap()]);
    assert!(!String::from_utf8_lossy(&whole.stderr).contains("holds no wakes"));
}

#[test]
fn a_monitor_that_the_environment_names_gives_way_to_a_recording() {
    let dir = tempfile::tempdir().unwrap();
    let text = recording(dir.path());
    let audit = |flags: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tombola"));
        command.arg("audit").args(flags).arg("--input").arg(&text).stdin(Stdio::null());
        command.env("MAP_PIN", "/sys/fs/bpf/elsewhere").output().unwrap()
    };
    let output = audit(&[]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.stdout, ok(&["audit", "--input", text.to_str().unwrap()]).into_bytes());
    assert_eq!(audit(&["--map", "/sys/fs/bpf/elsewhere"]).status.code(), Some(2), "both were typed");
}

/// A recording that takes a while to read: three tasks that take turns of a millisecond for 200 s.
fn long(dir: &Path) -> PathBuf {
    let scenario = dir.join("turns.toml");
    let tasks = ["a", "b", "c"].map(|name| format!("[[task]]\nname = \"{name}\"\n")).concat();
    std::fs::write(
        &scenario,
        format!("name = \"turns\"\nduration = \"200s\"\nquantum = \"1ms\"\npolicies = [\"rr\"]\n{tasks}"),
    )
    .unwrap();
    let path = dir.join("turns.pftrace");
    ok(&["simulate", scenario.to_str().unwrap(), "--runs", "1", "--record", path.to_str().unwrap()]);
    path
}

/// Ends the program by a signal as soon as it would catch it: SIGTERM, for jobs in the background ignore
/// SIGINT, and then so does it.
fn interrupted(arguments: &[&str]) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_tombola"))
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let status = format!("/proc/{}/status", child.id());
    let is_caught = || {
        let text = std::fs::read_to_string(&status).unwrap();
        let mask = text.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap();
        u64::from_str_radix(mask.trim(), 16).unwrap() >> (Signal::SIGTERM as i32 - 1) & 1 == 1
    };
    while !is_caught() && child.try_wait().unwrap().is_none() {
        std::thread::sleep(Duration::from_millis(1));
    }
    // Something is to be read before it comes.
    std::thread::sleep(Duration::from_millis(20));
    kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), Signal::SIGTERM).unwrap();
    child.wait_with_output().unwrap()
}

/// What was read until a signal came is told as what it is: a part, which ends where the reading did.
#[test]
fn a_signal_ends_a_long_reading_and_what_was_read_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let path = long(dir.path());
    let path = path.to_str().unwrap();
    let part = dir.path().join("part.pftrace");
    let part = part.to_str().unwrap();
    let page = dir.path().join("page.html");
    let page = page.to_str().unwrap();
    for arguments in [
        vec!["info", path],
        vec!["timehist", "-i", path],
        vec!["periods", "-i", path],
        vec!["replay", path, "--policy", "rr"],
        vec!["audit", "-i", path],
        vec!["audit", "-i", path, "--report", page],
        vec!["dump", "-i", path],
        vec!["hist", "-i", path],
        vec!["report", "-i", path, "-o", page],
        vec!["convert", path, part],
    ] {
        let output = interrupted(&arguments);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {said}");
        assert_eq!(said.matches("ended by a signal").count(), 1, "{arguments:?}: {said}");
        assert!(!output.stdout.is_empty() || std::fs::metadata(arguments[2]).is_ok(), "{arguments:?}");
    }
    let span = |path: &str| {
        let info: Value = serde_json::from_str(&ok(&["info", path, "--format", "json"])).unwrap();
        (
            info["events"].as_u64().unwrap(),
            info["end_ns"].as_u64().unwrap() - info["begin_ns"].as_u64().unwrap(),
        )
    };
    let (whole, part) = (span(path), span(part));
    assert_eq!(whole.1, 200_000_000_000);
    assert!(part.0 < whole.0 && part.1 < whole.1, "{part:?} of {whole:?}");
    let json = interrupted(&["audit", "-i", path, "--format", "json"]);
    let json: Value = serde_json::from_slice(&json.stdout).unwrap();
    let length_ns = json["intervals"][0]["interval_ns"].as_u64().unwrap();
    assert!(length_ns < whole.1, "{length_ns}");
}

#[test]
fn a_conversion_goes_into_a_pipe_and_behind_a_link() {
    let dir = tempfile::tempdir().unwrap();
    let text = recording(dir.path());
    let text = text.to_str().unwrap();
    let whole = ok(&["convert", text, "-", "--format", "csv"]);
    let [pipe, file, link] = ["pipe", "file.csv", "link.csv"].map(|name| dir.path().join(name));
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let reader = std::thread::spawn({
        let pipe = pipe.clone();
        move || std::fs::read_to_string(pipe).unwrap()
    });
    ok(&["convert", text, pipe.to_str().unwrap(), "--format", "csv"]);
    assert!(!std::fs::metadata(&pipe).unwrap().is_file(), "it is a pipe still");
    assert_eq!(reader.join().unwrap(), whole);
    std::fs::write(&file, "old").unwrap();
    std::os::unix::fs::symlink(&file, &link).unwrap();
    ok(&["convert", text, link.to_str().unwrap()]);
    assert!(std::fs::symlink_metadata(&link).unwrap().is_symlink(), "it is a link still");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), whole);
    // A device that takes nothing is told, and stays.
    let full = tombola(&["convert", text, "/dev/full", "--format", "csv"]);
    assert_eq!(full.status.code(), Some(1));
    assert!(!std::fs::metadata("/dev/full").unwrap().is_file());
}

#[test]
fn a_command_is_not_run_beside_a_recording() {
    let dir = tempfile::tempdir().unwrap();
    let text = recording(dir.path());
    let made = dir.path().join("made");
    for flag in ["-i", "--dir"] {
        let output = tombola(&["audit", flag, text.to_str().unwrap(), "--", "touch", made.to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(2), "{flag}");
        assert!(!made.exists());
    }
}

#[test]
fn a_stretch_behind_the_end_has_no_slices() {
    let dir = tempfile::tempdir().unwrap();
    let text = recording(dir.path());
    let output = tombola(&["timehist", "-i", text.to_str().unwrap(), "--from", "3s"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(1) && said.contains("no events in that stretch"), "{said}");
}

/// A CPU that no machine has would be an index into a set of as many.
#[test]
fn an_event_of_an_impossible_cpu_is_left_out_and_told() {
    let dir = tempfile::tempdir().unwrap();
    let path = recording(dir.path());
    let mut lines: Vec<&str> = TEXT.lines().collect();
    let line = lines[3].replace("[000]", "[4294967295]");
    lines.insert(4, &line);
    std::fs::write(&path, lines.join("\n") + "\n").unwrap();
    for verb in ["audit", "report", "hist"] {
        let page = dir.path().join("page.html");
        let mut arguments = vec![verb, "-i", path.to_str().unwrap()];
        if verb == "report" {
            arguments.extend(["-o", page.to_str().unwrap()]);
        }
        let output = tombola(&arguments);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && said.contains("CPU 4294967295"), "{verb}: {said}");
    }
}
