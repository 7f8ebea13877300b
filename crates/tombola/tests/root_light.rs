//! Light mode on the command line: what is not known is said, and is empty where it would stand.
#![allow(clippy::unwrap_used)] // the functions the tests share are no #[test] themselves

mod common;

use common::program::tombola;
use common::{BpfFs, failed, ok};
use serde_json::Value;
use std::process::Output;

fn lines(output: &Output) -> Vec<Value> {
    ok(output).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
#[ignore = "root: loads a light monitor"]
fn root_light_mode_says_what_it_does_not_know() {
    let run = |words: &[&str]| tombola(words).env_remove("MAP_PIN").output().unwrap();
    let sample = [
        "dump",
        "--light",
        "--interval",
        "300ms",
        "--iterations",
        "1",
        "--format",
        "ndjson",
        "--output",
        "-",
    ];
    let dump = lines(&run(&sample));
    let (head, rows) = dump.split_first().unwrap();
    assert_eq!((&head["loss"]["light"], &head["loss"]["corrected_waits"]), (&true.into(), &Value::Null));
    assert!(rows.iter().any(|row| row["runtime_ns"].as_u64().unwrap() > 0), "{rows:?}");
    assert!(rows.iter().all(|row| row["total_wait_max_ns"].is_null() && row["total_wait_ns"].is_u64()));

    let output = run(&["audit", "--light", "--interval", "300ms", "--format", "csv"]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("who stands in the way is not watched"));
    let text = ok(&output);
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let header = reader.headers().unwrap().clone();
    let place = |name: &str| header.iter().position(|title| title == name).unwrap();
    let unknown = ["wait_p50_ns", "wait_p99_ns", "wait_max_ns"].map(place);
    let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    assert!(!rows.is_empty() && rows.iter().all(|row| unknown.iter().all(|at| row[*at].is_empty())));
    assert!(rows.iter().all(|row| !row[place("wait_ns")].is_empty()));
}

#[test]
#[ignore = "root: loads a light monitor"]
fn root_a_light_monitor_is_told_by_load_status_and_hist() {
    let fs = BpfFs::mount();
    let (map, prog, link) = (fs.map(), fs.path().join("prog"), fs.path().join("link"));
    let [map, prog, link] = [&map, &prog, &link].map(|path| path.to_str().unwrap());
    let pins = ["--map-pin", map, "--prog-pin", prog, "--link-pin", link];
    let run = |words: &[&str]| tombola(words).env_remove("MAP_PIN").output().unwrap();
    assert!(ok(&run(&[&["load", "--light"], &pins[..]].concat())).contains("light"));
    assert!(ok(&run(&[&["status"], &pins[..]].concat())).contains("not at the switches"));
    let table = ok(&run(&["dump", "--iterations", "1", "--map", map]));
    assert!(table.contains("light, from the kernel's own counters"), "{table}");
    let why = failed(&run(&["hist", "--interval", "100ms", "--map", map]));
    assert!(why.contains("no histogram") && why.contains("load --force"), "{why}");
    ok(&run(&[&["unload"], &pins[..]].concat()));
    assert_eq!(fs.names(), Vec::<String>::new());
}
