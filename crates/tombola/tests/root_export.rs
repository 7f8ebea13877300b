//! `export prometheus` on the live kernel: what a real Prometheus stores, what promtool says, and the file
//! for `node_exporter`.
#![allow(clippy::unwrap_used)] // functions that tests share are no #[test] themselves

mod common;

use common::{BpfFs, wait_for};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

/// A process that ends with the test.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = kill(Pid::from_raw(i32::try_from(self.0.id()).unwrap()), Signal::SIGTERM);
        let _ = self.0.wait();
    }
}

fn get(address: &str, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect(address).ok()?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    head.contains(" 200 ").then(|| body.to_owned())
}

fn is_there(program: &str) -> bool {
    Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
}

fn fleet() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fleet")
}

/// The exporter on a free port of loopback, and where it listens.
fn exporter(fs: &BpfFs) -> (Ended, String) {
    let mut binary = Command::new(env!("CARGO_BIN_EXE_tombola"));
    binary.args([
        "export",
        "prometheus",
        "--listen",
        "127.0.0.1:0",
        "--interval",
        "200ms",
        "--interference",
        "--map",
    ]);
    let mut child = binary.arg(fs.map()).stdin(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap());
    let child = Ended(child);
    let mut line = String::new();
    said.read_line(&mut line).unwrap();
    let address =
        line.trim_end().strip_prefix("tombola: metrics are at http://").unwrap_or_else(|| panic!("{line}"));
    let address = address.strip_suffix("/metrics").unwrap().to_owned();
    wait_for("a first interval", || get(&address, "/metrics"));
    (child, address)
}

/// Sum of all series of a metric in the text format.
fn sum(text: &str, metric: &str) -> f64 {
    let lines =
        text.lines().filter(|line| line.starts_with(metric) && line[metric.len()..].starts_with(['{', ' ']));
    lines.map(|line| line.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap()).sum()
}

#[test]
#[ignore = "needs root"]
fn root_a_real_prometheus_stores_what_is_exported() {
    let fs = BpfFs::loaded();
    let (_exporter, address) = exporter(&fs);
    let text = get(&address, "/metrics").unwrap();
    // What groups ran is what tasks ran: two ways through the program, one figure.
    let ran = sum(&text, "tombola_cgroup_run_seconds_total");
    let booked: f64 = text
        .lines()
        .filter_map(|line| line.strip_prefix("tombola_cpu_seconds_total{mode=\"tasks\"} "))
        .map(|value| value.parse::<f64>().unwrap())
        .sum();
    assert!(ran > 0.0 && (ran - booked).abs() < 1e-6 * booked.max(1.0), "{ran} and {booked}");
    // Rules and dashboard ask for nothing that is not there.
    let there: BTreeSet<&str> =
        text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
    for file in ["prometheus/rules.yml", "grafana/tombola.json"] {
        let content = fs::read_to_string(fleet().join(file)).unwrap();
        for word in content
            .split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
            .filter(|w| w.starts_with("tombola_"))
        {
            let is_known = there.iter().any(|name| word.starts_with(name));
            assert!(is_known, "{file} asks for {word}; there are {there:?}");
        }
    }
    if !is_there("prometheus") || !is_there("promtool") {
        println!("SKIP: prometheus and promtool are not installed (apt-get install prometheus)");
        return;
    }
    let mut check =
        Command::new("promtool").args(["check", "metrics"]).stdin(Stdio::piped()).spawn().unwrap();
    check.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    assert!(check.wait().unwrap().success(), "promtool has something to say of the metrics");
    for arguments in [["check", "rules", "rules.yml"], ["test", "rules", "rules_test.yml"]] {
        let status =
            Command::new("promtool").args(arguments).current_dir(fleet().join("prometheus")).status();
        assert!(status.unwrap().success(), "{arguments:?}");
    }
    let dir = TempDir::new().unwrap();
    let config = format!(
        "global: {{ scrape_interval: 1s, evaluation_interval: 1s }}\nrule_files: ['{}']\nscrape_configs:\n  - job_name: tombola\n    static_configs: [{{ targets: ['{address}'] }}]\n",
        fleet().join("prometheus/rules.yml").canonicalize().unwrap().display()
    );
    fs::write(dir.path().join("prometheus.yml"), config).unwrap();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let prometheus = Command::new("prometheus")
        .arg(format!("--config.file={}", dir.path().join("prometheus.yml").display()))
        .arg(format!("--storage.tsdb.path={}", dir.path().join("data").display()))
        .arg(format!("--web.listen-address={port}"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let _prometheus = Ended(prometheus);
    let port = port.to_string();
    let query = |query: &str| get(&port, &format!("/api/v1/query?query={query}"));
    let is_up = wait_for("a scrape", || query("up").filter(|answer| answer.contains("tombola")));
    assert!(is_up.contains("\"1\""), "the scrape was a success: {is_up}");
    let value =
        |answer: &str| -> Option<f64> { answer.split_once("\"value\":[")?.1.split('"').nth(1)?.parse().ok() };
    // The same two figures as they are stored. A series that ended says no more after its group is gone, so
    // its last value counts.
    let ran = wait_for("figures", || {
        value(&query("sum(max_over_time(tombola_cgroup_run_seconds_total%5B1h%5D))")?)
    });
    let booked =
        wait_for("figures", || value(&query("sum(tombola_cpu_seconds_total%7Bmode=%22tasks%22%7D)")?));
    assert!((ran - booked).abs() < 0.1 * booked + 1.0, "{ran} and {booked}");
    let rows = wait_for("a recorded rule", || value(&query("count(tombola:cgroup_lag:cpus)")?));
    assert!(rows >= 1.0);
    let histogram = wait_for("a histogram", || {
        value(&query(
            "sum(tombola_wait_seconds_bucket%7Ble=%22%2BInf%22%7D)-sum(tombola_wait_seconds_count)",
        )?)
    });
    assert!(histogram.abs() < 0.5, "the last bucket holds all: {histogram}");
}

#[test]
#[ignore = "needs root"]
fn root_a_text_file_is_whole_at_every_moment() {
    let fs = BpfFs::loaded();
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("tombola.prom");
    let mut binary = Command::new(env!("CARGO_BIN_EXE_tombola"));
    binary
        .args(["export", "prometheus", "--interval", "100ms", "--map"])
        .arg(fs.map())
        .arg("--textfile")
        .arg(&file);
    let _exporter = Ended(binary.stdin(Stdio::null()).spawn().unwrap());
    wait_for("the file", || file.exists().then_some(()));
    for _ in 0..300 {
        let text = fs::read_to_string(&file).unwrap();
        assert!(text.ends_with('\n') && text.contains("\ntombola_wait_seconds_count "), "cut: {text}");
        std::thread::sleep(std::time::Duration::from_millis(3));
    }
}
