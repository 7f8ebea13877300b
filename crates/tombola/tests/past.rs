//! What looks at a log, without root: a simulated machine is logged, and each verb says what the simulator's
//! own books say.
#![allow(clippy::unwrap_used)] // the functions the tests share are no #[test] themselves

mod common;

use common::program::run;
use common::simulated::{log, record, requests};
use common::{failed, ok};
use serde_json::Value;
use std::time::Duration;
use tempfile::TempDir;
use tombola_core::snapshot::Snapshot;
use tombola_lab::policy::PolicyKind;

/// A log of 4 s in intervals of 250 ms, and what the simulator says of all of it.
fn logged() -> (TempDir, String, Snapshot) {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("log");
    let end = log(&path, &requests(10), PolicyKind::Stride, 5, Duration::from_millis(250));
    let path = path.to_str().unwrap().to_owned();
    (dir, path, end)
}

/// The intervals of a document.
fn intervals(text: &str) -> Vec<Value> {
    let document: Value = serde_json::from_str(text).unwrap();
    document["intervals"].as_array().unwrap().clone()
}

/// Run and wait of each task, ns, by PID.
fn truth(end: &Snapshot) -> Vec<(u64, u64, u64)> {
    let of = |task: &tombola_core::shared::Shared<tombola_core::snapshot::TaskTotals>| {
        (u64::from(task.id.pid), task.usage.runtime_ns, task.usage.wait_ns)
    };
    end.tasks.iter().map(of).collect()
}

/// The same from rows of `audit`.
fn rows(value: &Value) -> Vec<(u64, u64, u64)> {
    let number = |row: &Value, key: &str| row[key].as_u64().unwrap();
    let of = |row: &Value| (number(row, "pid"), number(row, "runtime_ns"), number(row, "wait_ns"));
    let mut rows: Vec<_> = value["rows"].as_array().unwrap().iter().map(of).collect();
    rows.sort_unstable();
    rows
}

#[test]
fn audit_of_a_log_is_that_of_the_machine() {
    let (_dir, path, end) = logged();
    let whole = intervals(&ok(&run(&["audit", "--dir", &path, "--format", "json"]))).remove(0);
    assert_eq!(rows(&whole), truth(&end));
    assert_eq!(whole["interval_ns"], 4_000_000_000_u64);
    // Interval by interval it adds up to the same.
    let parts =
        ok(&run(&["audit", "--dir", &path, "--interval", "1s", "--format", "json", "--iterations", "0"]));
    let parts = intervals(&parts);
    assert_eq!(parts.len(), 4);
    let sum: u64 = parts.iter().flat_map(rows).map(|(_, run_ns, _)| run_ns).sum();
    assert_eq!(sum, end.tasks.iter().map(|task| task.usage.runtime_ns).sum::<u64>());
    // A part of it by the wall clock, and a moment.
    let at = |more: &[&str]| -> Value {
        let all = [&["audit", "--dir", &path, "--format", "json"], more].concat();
        intervals(&ok(&run(&all))).remove(0)
    };
    let second = at(&["--from", "1970-01-01T00:00:01", "--to", "1970-01-01T00:00:02"]);
    assert_eq!(rows(&second), rows(&parts[1]));
    assert_eq!(at(&["--at", "1970-01-01T00:00:03"])["interval_ns"], 250_000_000);
    let said = failed(&run(&["audit", "--dir", &path, "--from", "1970-01-02T00:00"]));
    assert!(said.contains("1970-01-01 00:00:0"), "{said}");
}

#[test]
fn hist_and_dump_of_a_log_are_those_of_the_machine() {
    let (_dir, path, end) = logged();
    let hist = ok(&run(&["hist", "--dir", &path, "--by", "task", "--format", "json"]));
    let hist = intervals(&hist).remove(0);
    let histograms = hist["histograms"].as_array().unwrap();
    for task in &end.tasks {
        let own = histograms.iter().find(|own| own["pid"] == task.id.pid).unwrap();
        assert_eq!(own["waits"], task.usage.waits.count(), "{own}");
        assert_eq!(own["wait_max_ns"], task.usage.wait_max_ns, "{own}");
    }
    assert!(ok(&run(&["hist", "--dir", &path])).contains("waits"));
    let dump = ok(&run(&["dump", "--dir", &path, "--interval", "4s", "--format", "json", "--output", "-"]));
    let dump = intervals(&dump).remove(0);
    let ran = |row: &Value| (row["pid"].as_u64().unwrap(), row["runtime_ns"].as_u64().unwrap());
    let mut ran: Vec<_> = dump["rows"].as_array().unwrap().iter().map(ran).collect();
    ran.sort_unstable();
    assert_eq!(ran, truth(&end).iter().map(|(pid, run_ns, _)| (*pid, *run_ns)).collect::<Vec<_>>());
}

/// The JSON in a page.
fn data(page: &std::path::Path) -> Value {
    let text = std::fs::read_to_string(page).unwrap();
    let begin = text.find("id=\"data\">").unwrap() + 10;
    serde_json::from_str(&text[begin..begin + text[begin..].find("</script>").unwrap()]).unwrap()
}

#[test]
fn a_report_of_the_past_is_of_all_of_it() {
    let (dir, path, end) = logged();
    let page = dir.path().join("page.html");
    let to = page.to_str().unwrap();
    ok(&run(&["report", "--dir", &path, "-o", to]));
    let of_log = data(&page);
    assert_eq!(of_log["audit"]["intervals"][0]["interval_ns"], 4_000_000_000_u64);
    assert_eq!(rows(&of_log["audit"]["intervals"][0]), truth(&end));
    assert_eq!(of_log["intervals"].as_array().unwrap().len(), 16, "no finer than the log");
    // Of a recording too, from a file and from a pipe, longer than what a live machine is measured for.
    let recording = dir.path().join("x.pftrace");
    let mut scenario = requests(10);
    scenario.duration_ns = 12_000_000_000;
    let end = record(&recording, &scenario, PolicyKind::Stride, 5);
    ok(&run(&["report", "-i", recording.to_str().unwrap(), "-o", to]));
    let of_file = data(&page);
    assert_eq!(of_file["audit"]["intervals"][0]["interval_ns"], 12_000_000_000_u64);
    assert_eq!(rows(&of_file["audit"]["intervals"][0]), truth(&end));
    assert_eq!(of_file["intervals"].as_array().unwrap().len(), 60);
    let mut piped = common::program::tombola(&["report", "-i", "-", "-o", to]);
    piped.stdin(std::fs::File::open(&recording).unwrap());
    ok(&piped.output().unwrap());
    assert_eq!(data(&page), of_file);
    let part = ["report", "-i", recording.to_str().unwrap(), "--from", "2s", "--duration", "3s", "-o", to];
    ok(&run(&part));
    assert_eq!(data(&page)["audit"]["intervals"][0]["interval_ns"], 3_000_000_000_u64);
}
