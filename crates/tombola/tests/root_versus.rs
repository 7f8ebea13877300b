//! Two commands run in turns on the live machine: who runs when, what of the difference is found, what ends
//! it.
#![allow(clippy::unwrap_used)] // the functions the tests share are no #[test] themselves

mod common;

use common::program::{Running, run, tombola};
use nix::sys::signal::Signal;
use serde_json::Value;
use std::fs;
use std::io::Read;
use std::process::Stdio;
use std::thread::{available_parallelism, sleep};
use std::time::Duration;
use tempfile::TempDir;

fn versus(first: &str, second: &str, more: &[&str]) -> Value {
    let output = run(&[&["report", "--versus", first, second, "--format", "json"], more].concat());
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    // Nothing that a command prints is between.
    serde_json::from_slice(&output.stdout).unwrap()
}

fn of_run<'a>(result: &'a Value, figure: &str) -> &'a Value {
    let all = result["differences"].as_array().unwrap();
    all.iter().find(|d| d["level"] == "run" && d["figure"] == figure).unwrap()
}

#[test]
#[ignore = "root: loads a private monitor"]
fn root_commands_take_turns_and_last_as_long_as_they_say_themselves() {
    let dir = TempDir::new().unwrap();
    let book = dir.path().join("book");
    let command = |name: &str, time: &str| {
        let now = "$(date +%s.%N)";
        format!("cat; echo {name}; begin={now}; sleep {time}; echo {name} $begin {now} >> {}", book.display())
    };
    let page = dir.path().join("page.html");
    let more = ["--runs", "4", "-o", page.to_str().unwrap()];
    let result = versus(&command("A", "0.05"), &command("B", "0.4"), &more);
    let book = fs::read_to_string(&book).unwrap();
    let order: String = book.lines().map(|line| line.split(' ').next().unwrap()).collect();
    assert_eq!(order, "ABBAABBA");
    let elapsed = of_run(&result, "elapsed");
    assert_eq!(elapsed["unit"], "s");
    for (side, name) in [("first", "A"), ("second", "B")] {
        let of = book.lines().filter(|line| line.starts_with(name));
        let times = of.map(|line| {
            let [begin, end] = [1, 2].map(|at| line.split(' ').nth(at).unwrap().parse::<f64>().unwrap());
            end - begin
        });
        let own = times.sum::<f64>() / 4.0;
        // A run begins before the command looks at the clock first, and ends after it has looked last.
        assert!(elapsed[side].as_f64().unwrap() >= own, "{elapsed}, {own}");
    }
    assert_eq!(result["pieces"], "runs");
    let text = fs::read_to_string(&page).unwrap();
    assert!(text.contains("the whole command") && text.contains("elapsed"), "{text}");
}

/// What the command itself reads in its own books of the kernel, and what the monitor saw of its processes,
/// are what the comparison says that it used.
#[test]
#[ignore = "root: loads a private monitor"]
fn root_cpu_time_is_that_of_two_other_books() {
    let dir = TempDir::new().unwrap();
    let book = dir.path().join("book");
    // Times of utime and stime, in ticks of 10 ms, of the shell itself: it starts nobody.
    let spin = |turns: u32| {
        format!(
            "i=0; while [ $i -lt {turns} ]; do i=$((i+1)); done; read line < /proc/self/stat; echo \"$line\" >> {}",
            book.display()
        )
    };
    let result = versus(&spin(100_000), &spin(300_000), &["--runs", "4"]);
    let cpu = of_run(&result, "cpu");
    let used = |line: &str| -> f64 {
        let fields: Vec<&str> = line.rsplit_once(") ").unwrap().1.split(' ').collect();
        (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) / 100.0
    };
    let books: Vec<f64> = fs::read_to_string(&book).unwrap().lines().map(used).collect();
    let cpus = available_parallelism().unwrap().get() as f64;
    for (side, at, turns) in [("first", 0, [0, 3, 4, 7]), ("second", 1, [1, 2, 5, 6])] {
        let said = cpu[side].as_f64().unwrap();
        let own = turns.map(|turn| books[turn]).iter().sum::<f64>() / 4.0;
        // A tick for each of two times, and what the shell does before and after.
        assert!((said - own).abs() < 0.03 + said / 10.0, "{said} and by the command's own book {own}");
        let length = result["sides"][at]["length_ns"].as_f64().unwrap() / 4e9;
        let seen = of_run(&result, "run")[side].as_f64().unwrap() / 100.0 * length * cpus;
        assert!((said - seen).abs() < 0.01 + said / 10.0, "{said} and by the monitor {seen}");
    }
    assert!(cpu["second"].as_f64().unwrap() > cpu["first"].as_f64().unwrap());
}

#[test]
#[ignore = "root: loads a private monitor"]
fn root_one_run_each_is_cut_into_stretches() {
    let result = versus("sleep 1", "sleep 1.5", &["--stretches", "10"]);
    assert_eq!(result["pieces"], "stretches");
    for (side, length) in [(0, 1e9), (1, 1.5e9)] {
        let side = &result["sides"][side];
        assert!(side["length_ns"].as_f64().unwrap() >= length, "{side}");
        // Frames lie at a fortieth of the time at most, and each stretch ends at the nearest: where the
        // machine is busy some are left out.
        assert!((4..=10).contains(&side["stretches"].as_u64().unwrap()), "{side}");
    }
    assert!(result["differences"].as_array().unwrap().iter().all(|d| d["unit"] == "%"));
}

#[test]
#[ignore = "root: loads a private monitor"]
fn root_what_fails_or_is_interrupted_is_not_compared() {
    let output = run(&["report", "--versus", "true", "exit 3", "--runs", "4"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("'exit 3' ended with status 3 in run 1"), "{said}");
    let output = run(&["report", "--versus", "true", "true"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(1) && said.contains("--runs"), "{said}");

    let dir = TempDir::new().unwrap();
    let (began, page) = (dir.path().join("began"), dir.path().join("page.html"));
    let line = format!("touch {}; exec sleep 600", began.display());
    let args = ["report", "--versus", &line, "true", "-o", page.to_str().unwrap()];
    let mut running = Running(tombola(&args).stderr(Stdio::piped()).spawn().unwrap());
    while !began.exists() {
        assert_eq!(running.0.try_wait().unwrap(), None);
        sleep(Duration::from_millis(10));
    }
    running.signal(Signal::SIGTERM);
    let mut said = String::new();
    running.0.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!(running.0.wait().unwrap().code(), Some(0), "{said}");
    assert!(said.contains("interrupted: what was cut short cannot be compared"), "{said}");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "no page, and no part of one");
}
