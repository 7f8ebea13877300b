//! `log` on the live kernel: killed, on a full disk, and read again.
#![allow(clippy::unwrap_used)] // functions that tests share are no #[test] themselves

mod common;

use common::{BpfFs, ok, wait_for};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;
use tempfile::TempDir;
use tombola_history::past::{Past, Span};
use tombola_history::place;
use tombola_history::schema::Int;

const ALL: Span = Span { from_us: 0, to_us: i64::MAX };

fn log(fs: &BpfFs, dir: &Path) -> Command {
    let mut binary = Command::new(env!("CARGO_BIN_EXE_tombola"));
    binary.args(["log", "--host", "victim", "--interval", "100ms", "--seal", "1s", "--map"]).arg(fs.map());
    binary.arg("--dir").arg(dir).stdin(Stdio::null());
    binary
}

fn signal(child: &Child, signal: Signal) {
    kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), signal).unwrap();
}

/// Checks that each interval is whole: every level adds up to the machine's row. Returns begin and end of
/// each, µs.
fn whole_intervals(dir: &Path) -> Vec<(i64, i64)> {
    let Ok(mut past) = Past::open(dir, Some("victim"), ALL) else { return Vec::new() };
    let mut all = Vec::new();
    while let Some(rows) = past.next_interval().unwrap() {
        let sum = |levels: &[&str]| -> i64 {
            rows.iter().filter(|row| levels.contains(&row.level())).filter_map(|row| row.int(Int::Run)).sum()
        };
        assert_eq!(rows[0].level(), "machine");
        for levels in [&["group"][..], &["process", "process_rest"], &["thread", "thread_rest"]] {
            assert_eq!(sum(levels), sum(&["machine"]), "{levels:?}");
        }
        let to_us = rows[0].int(Int::Ts).unwrap() / 1000;
        all.push((to_us - rows[0].int(Int::Interval).unwrap() / 1000, to_us));
    }
    all
}

#[test]
#[ignore = "needs root"]
fn root_a_log_that_is_killed_and_killed_again_holds_whole_intervals() {
    let fs = BpfFs::loaded();
    let dir = TempDir::new().unwrap();
    let mut count = 0;
    for round in 0..6u64 {
        let mut child = log(&fs, dir.path()).spawn().unwrap();
        wait_for("an interval", || (whole_intervals(dir.path()).len() > count).then_some(()));
        thread::sleep(Duration::from_millis(round * 317 % 1500));
        signal(&child, Signal::SIGKILL);
        child.wait().unwrap();
        let now = whole_intervals(dir.path());
        assert!(now.len() > count && now.windows(2).all(|pair| pair[0].1 < pair[1].1), "{now:?}");
        count = now.len();
    }
    // What a run that ends has written is sealed; nothing is open.
    let mut child = log(&fs, dir.path()).spawn().unwrap();
    thread::sleep(Duration::from_millis(500));
    signal(&child, Signal::SIGTERM);
    assert!(child.wait().unwrap().success());
    let intervals = whole_intervals(dir.path());
    assert!(intervals.len() > count);
    assert!(!place::sealed(dir.path(), "victim").unwrap().is_empty());
    // The verbs that look at live machines look at this one.
    let verb = |arguments: &[&str]| {
        let output =
            Command::new(env!("CARGO_BIN_EXE_tombola")).args(arguments).arg("--dir").arg(dir.path()).output();
        ok(&output.unwrap())
    };
    let audit = verb(&["audit", "--by", "group"]);
    assert!(audit.starts_with("audit 1: interval ") && audit.contains("residual "), "{audit}");
    assert!(verb(&["hist"]).contains("distribution"));
    assert!(verb(&["dump", "--iterations", "3"]).contains("sample 3: "));
}

/// A small file system in memory.
struct Small(TempDir);

impl Drop for Small {
    fn drop(&mut self) {
        let _ = umount2(self.0.path(), MntFlags::MNT_DETACH);
    }
}

#[test]
#[ignore = "needs root"]
fn root_a_full_disk_loses_nothing_that_was_measured() {
    let fs = BpfFs::loaded();
    let small = Small(TempDir::new().unwrap());
    let dir = small.0.path();
    mount(Some("tmpfs"), dir, Some("tmpfs"), MsFlags::empty(), Some("size=1m")).unwrap();
    let mut child = log(&fs, dir).stderr(Stdio::piped()).spawn().unwrap();
    wait_for("an interval", || (whole_intervals(dir).len() > 2).then_some(()));
    let before = whole_intervals(dir).len();
    // Not a byte is free.
    let hog = dir.join("hog");
    let fill = || {
        let chunk = [0u8; 4096];
        let mut file = fs::OpenOptions::new().create(true).append(true).open(&hog).unwrap();
        while std::io::Write::write(&mut file, &chunk).is_ok_and(|written| written > 0) {}
    };
    for _ in 0..20 {
        fill();
        thread::sleep(Duration::from_millis(100));
        whole_intervals(dir);
    }
    assert!(child.try_wait().unwrap().is_none(), "measuring goes on");
    fs::remove_file(&hog).unwrap();
    wait_for("more intervals", || (whole_intervals(dir).len() > before + 5).then_some(()));
    signal(&child, Signal::SIGTERM);
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}");
    assert!(said.contains("measuring goes on") && said.contains("nothing is missing from it"), "{said}");
    // Each interval begins where the one before has ended: the full disk made one longer, and left no gap.
    let intervals = whole_intervals(dir);
    let gap = intervals.windows(2).map(|pair| (pair[1].0 - pair[0].1).abs()).max().unwrap();
    assert!(gap < 50_000, "a gap of {gap} µs: the wall clock is set by steps, or an interval is missing");
    let longest = intervals.iter().map(|(from, to)| to - from).max().unwrap();
    assert!(longest > 500_000, "{longest}");
}
