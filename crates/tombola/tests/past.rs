//! What looks at a log, without root: a simulated machine is logged, and each verb says what the simulator's
//! own books say.
#![allow(clippy::unwrap_used)] // the functions the tests share are no #[test] themselves

mod common;

use common::program::run;
use common::simulated::{log, log_beside, record, requests};
use common::{failed, ok};
use serde_json::Value;
use std::time::Duration;
use tempfile::TempDir;
use tombola_core::interference::{Interference, Pair, Standing};
use tombola_core::snapshot::Snapshot;
use tombola_lab::policy::PolicyKind;
use tombola_lab::scenario::Scenario;

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

/// Who stood in whose way is kept by groups: a job held up two requests, which is told as it was made up.
#[test]
fn culprits_of_a_log_are_told_by_groups() {
    let scenario = Scenario::from_toml(
        "name = \"two groups\"\ncpus = 1\nduration = \"4s\"\nquantum = \"5ms\"\n\
         [[group]]\nname = \"shop\"\n[[group]]\nname = \"night\"\n\
         [[task]]\nname = \"web\"\ngroup = \"shop\"\ncount = 2\n\
         [[task]]\nname = \"batch\"\ngroup = \"night\"\n",
    )
    .unwrap();
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("log");
    // In each of the 16 intervals the job holds up one of the two for 30 ms and the other for 20 ms, and one
    // of them the other for 10 ms.
    let mut told = Interference::default();
    let end =
        log_beside(&path, &scenario, PolicyKind::RoundRobin, 5, Duration::from_millis(250), |snapshot| {
            let ids: Vec<_> = snapshot.tasks.iter().map(|task| task.id).collect();
            for (victim, culprit, held_ns, preemptions) in
                [(0, 2, 30_000_000, 3), (1, 2, 20_000_000, 2), (0, 1, 10_000_000, 1)]
            {
                let pair = Pair { victim: ids[victim], culprit: ids[culprit] };
                let standing: &mut Standing = told.pairs.entry(pair).or_default();
                standing.held_ns += held_ns;
                standing.preemptions += preemptions;
            }
            snapshot.interference = Some(told.clone());
        });
    let path = path.to_str().unwrap();
    let audit = &intervals(&ok(&run(&["audit", "--dir", path, "--format", "json"])))[0];
    assert_eq!(audit["hindered"], serde_json::json!([]));
    let waited_ns: u64 = end.tasks[..2].iter().map(|task| task.usage.wait_ns).sum();
    let culprit = |name: &str, imposed_wait_ns: u64, preemptions: u64| serde_json::json!({"group": name, "cgroup": name, "imposed_wait_ns": imposed_wait_ns, "preemptions": preemptions});
    assert_eq!(
        audit["hindered_groups"],
        serde_json::json!([{
            "group": "/shop", "cgroup": "/shop", "wait_ns": waited_ns,
            "culprits": [culprit("/night", 800_000_000, 80), culprit("/shop", 160_000_000, 16)],
        }])
    );
    let table = ok(&run(&["audit", "--dir", path]));
    let part = |ns: f64| 100.0 * ns / waited_ns as f64;
    let said =
        format!("behind tasks of /night {:.1} % (80 preemptions), /shop {:.1} % (16 ", part(8e8), part(16e7));
    assert!(table.contains("by groups") && table.contains(&said), "{said}\n{table}");
    // Two intervals of the 16.
    let part = ok(&run(&["audit", "--dir", path, "--to", "1970-01-01T00:00:00.5", "--format", "json"]));
    let imposed = &intervals(&part)[0]["hindered_groups"][0]["culprits"][0]["imposed_wait_ns"];
    assert_eq!(*imposed, 100_000_000);
    let page = ok(&run(&["report", "--dir", path, "-o", "-"]));
    assert!(page.contains("By groups, as a log tells them") && page.contains("<td>800.0 "), "{page}");
    assert!(!page.contains("is not told of this past"));
}

#[test]
fn a_comparison_of_a_log_of_several_hosts_asks_whose_it_is() {
    let (_dir, log, _) = logged();
    let day = std::fs::read_dir(&log).unwrap().map(|entry| entry.unwrap().path());
    let is_day = |path: &std::path::PathBuf| path.to_string_lossy().contains("/date=");
    let day = day.into_iter().find(is_day).unwrap();
    std::fs::create_dir(day.join("host=other")).unwrap();
    for file in std::fs::read_dir(day.join("host=sim")).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), day.join("host=other").join(file.file_name())).unwrap();
    }
    let sides = ["report", log.as_str(), log.as_str(), "--stretches", "4", "--format", "json"];
    assert!(failed(&run(&sides)).contains("--host"));
    let result: Value =
        serde_json::from_str(&ok(&run(&[&sides[..], &["--host", "other"]].concat()))).unwrap();
    assert_eq!(result["found"], 0);
    assert!(failed(&run(&[&sides[..], &["--host", "third"]].concat())).contains("third"));
    let scenario = ["report", "three-burners.toml", "three-burners.toml", "--host", "sim"];
    assert!(failed(&run(&scenario)).contains("no directory of a log"));
}
