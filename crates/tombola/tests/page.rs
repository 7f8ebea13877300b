//! Pages in a real browser, Chromium without a window: nothing is complained of, nothing is asked for, a
//! click sorts.
#![allow(clippy::unwrap_used)] // the functions the tests share are no #[test] themselves

mod common;

use common::program::{is_installed, run};
use common::simulated::{record, requests};
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use serde_json::{Value, json};
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;
use tombola_lab::policy::PolicyKind;

/// A browser that is spoken to through two pipes, in messages that end with a zero byte
/// (`--remote-debugging-pipe`).
struct Browser {
    child: Child,
    to: File,
    from: BufReader<File>,
    session: Option<String>,
    number: u64,
    /// Messages that were no answers.
    events: Vec<Value>,
    _dir: TempDir,
}

impl Browser {
    /// `None` where there is no Chromium.
    fn open() -> Option<Self> {
        let Some(program) =
            ["chromium", "chromium-browser", "google-chrome"].into_iter().find(|p| is_installed(p))
        else {
            println!("SKIP: chromium is not installed");
            return None;
        };
        let dir = TempDir::new().unwrap();
        let pipes = ["to", "from"].map(|name| dir.path().join(name));
        for pipe in &pipes {
            mkfifo(pipe, Mode::S_IRWXU).unwrap();
        }
        let flags = "--headless=new --no-sandbox --disable-gpu --disable-dev-shm-usage --no-first-run --remote-debugging-pipe";
        // The browser has its ends as files 3 and 4. Each is opened by both sides at once, in this order.
        let child = Command::new("sh")
            .arg("-c")
            .arg(format!("exec {program} {flags} --user-data-dir=\"$2\" about:blank 3<\"$0\" 4>\"$1\""))
            .args(&pipes)
            .arg(dir.path().join("profile"))
            .env("HOME", dir.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let to = OpenOptions::new().write(true).open(&pipes[0]).unwrap();
        let from = BufReader::new(File::open(&pipes[1]).unwrap());
        let mut browser = Self { child, to, from, session: None, number: 0, events: Vec::new(), _dir: dir };
        let target = browser.ask("Target.createTarget", &json!({ "url": "about:blank" }));
        let attach = json!({ "targetId": target["targetId"], "flatten": true });
        let session = browser.ask("Target.attachToTarget", &attach);
        browser.session = Some(session["sessionId"].as_str().unwrap().to_owned());
        for domain in ["Page", "Runtime", "Log", "Network"] {
            browser.ask(&format!("{domain}.enable"), &json!({}));
        }
        Some(browser)
    }

    fn ask(&mut self, method: &str, parameters: &Value) -> Value {
        self.number += 1;
        let mut message = json!({ "id": self.number, "method": method, "params": parameters });
        if let Some(session) = &self.session {
            message["sessionId"] = json!(session);
        }
        self.to.write_all(message.to_string().as_bytes()).unwrap();
        self.to.write_all(b"\0").unwrap();
        loop {
            let message = self.next();
            if message["id"] == self.number {
                assert!(message.get("error").is_none(), "{method}: {message}");
                return message["result"].clone();
            }
            self.events.push(message);
        }
    }

    fn next(&mut self) -> Value {
        let mut bytes = Vec::new();
        self.from.read_until(0, &mut bytes).unwrap();
        assert_eq!(bytes.pop(), Some(0), "the browser has gone");
        serde_json::from_slice(&bytes).unwrap()
    }

    /// Opens a file and waits until it is loaded.
    fn load(&mut self, path: &Path) {
        // That of a page before would be taken for this one's.
        self.events.retain(|event| event["method"] != "Page.loadEventFired");
        self.ask("Page.navigate", &json!({ "url": format!("file://{}", path.display()) }));
        while !self.events.iter().any(|event| event["method"] == "Page.loadEventFired") {
            let event = self.next();
            self.events.push(event);
        }
    }

    /// The value of an expression.
    fn value(&mut self, expression: &str) -> Value {
        let result =
            self.ask("Runtime.evaluate", &json!({ "expression": expression, "returnByValue": true }));
        assert!(result.get("exceptionDetails").is_none(), "{expression}: {result}");
        result["result"]["value"].clone()
    }

    /// What was complained of, and asked for beside the page itself.
    fn complaints(&self) -> Vec<&Value> {
        let is_one = |event: &&Value| match event["method"].as_str().unwrap_or_default() {
            "Runtime.consoleAPICalled" | "Runtime.exceptionThrown" | "Log.entryAdded" => true,
            "Network.requestWillBeSent" => {
                let url = event["params"]["request"]["url"].as_str().unwrap();
                event["params"]["type"] != "Document" && url != "data:,"
            }
            _ => false,
        };
        self.events.iter().filter(is_one).collect()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn page(dir: &TempDir, args: &[&str], flag: &str) -> PathBuf {
    let path = dir.path().join("page.html");
    let output = run(&[args, &[flag, path.to_str().unwrap()]].concat());
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    path
}

/// Texts of a column of the ledger, from above.
const COLUMN: &str =
    "(n => [...document.querySelectorAll('#ledger tbody tr')].map(row => row.cells[n].textContent))";

#[test]
fn a_report_is_quiet_and_a_click_sorts() {
    let Some(mut browser) = Browser::open() else { return };
    let dir = TempDir::new().unwrap();
    let path = page(&dir, &["report", "--simulate", "web-and-batch", "--duration", "5s"], "-o");
    assert!(std::fs::metadata(&path).unwrap().len() <= 300_000);
    browser.load(&path);
    assert_eq!(browser.value("document.querySelectorAll('#ledger tbody tr').length"), 8);
    let titles = browser.value("[...document.querySelectorAll('h2')].map(h => h.textContent)");
    for title in ["Books", "Findings", "Ledger", "Over time", "Who stood in whose way", "How it was measured"]
    {
        assert!(titles.as_array().unwrap().contains(&json!(title)), "{titles}");
    }
    // The sixth title is that of run times: once down, once up.
    let click = "document.querySelectorAll('#ledger th button')[6].click()";
    for down in [true, false] {
        browser.value(click);
        let column = browser.value(&format!("{COLUMN}(6)"));
        let values: Vec<f64> =
            column.as_array().unwrap().iter().map(|v| v.as_str().unwrap().parse().unwrap()).collect();
        assert!(values.is_sorted_by(|a, b| if down { a >= b } else { a <= b }), "{values:?}");
    }
    // Text sorts as text, the first of the alphabet first.
    browser.value("document.querySelectorAll('#ledger th button')[1].click()");
    let names = browser.value(&format!("{COLUMN}(1)"));
    assert_eq!(names[0], "batch.0");
    assert_eq!(names[7], "web.3");
    assert_eq!(browser.value("JSON.parse(document.getElementById('data').textContent).report"), 1);
    assert!(
        browser
            .value("getComputedStyle(document.querySelector('svg .run')).fill")
            .as_str()
            .unwrap()
            .starts_with("rgb")
    );
    assert_eq!(browser.complaints(), Vec::<&Value>::new());
}

/// What stands in the lanes of a page: begin and end of each piece in parts of the lane, from the place and
/// the width it is drawn with.
const LANES: &str = "[...document.querySelectorAll('#lanes svg rect')].filter(r => r.querySelector('title')).map(r => \
    [+r.getAttribute('x'), +r.getAttribute('width'), r.querySelector('title').textContent])";

#[test]
fn a_report_of_a_recording_shows_who_ran_where() {
    let Some(mut browser) = Browser::open() else { return };
    let dir = TempDir::new().unwrap();
    let recording = dir.path().join("x.pftrace");
    let mut scenario = requests(0);
    record(&recording, &scenario, PolicyKind::Stride, 1);
    let input = recording.to_str().unwrap();
    let path = page(&dir, &["report", "-i", input], "-o");
    assert!(std::fs::metadata(&path).unwrap().len() <= 300_000);
    browser.load(&path);
    let many = browser.value(LANES);
    let many = many.as_array().unwrap();
    assert!((20..=480).contains(&many.len()), "{}", many.len());
    assert!(many.iter().any(|piece| piece[2].as_str().unwrap().contains("% of it")), "{many:?}");
    let legend = browser.value("document.querySelector('#lanes').textContent");
    for name in ["web.0 (1)", "web.1 (2)", "batch (3)", "CPU 0", "4s from its begin"] {
        assert!(legend.as_str().unwrap().contains(name), "{name}: {legend}");
    }
    // Few slices are drawn one by one: as long as `timehist` says.
    scenario.duration_ns = 100_000_000;
    record(&recording, &scenario, PolicyKind::Stride, 1);
    let path = page(&dir, &["report", "-i", input], "-o");
    browser.load(&path);
    let drawn = browser.value(LANES);
    let drawn = drawn.as_array().unwrap();
    let slices = run(&["timehist", "-i", input, "--format", "csv"]);
    let slices = String::from_utf8(slices.stdout).unwrap();
    let slices: Vec<Vec<&str>> = slices.lines().skip(1).map(|line| line.split(',').collect()).collect();
    assert_eq!(drawn.len(), slices.len());
    for (piece, slice) in drawn.iter().zip(&slices) {
        let [x, width] = [0, 1].map(|at| piece[at].as_f64().unwrap());
        let [end_ns, run_ns] = [0, 6].map(|at| slice[at].parse::<f64>().unwrap());
        // 820 units are 100 ms; two decimals are written.
        assert!((width - run_ns * 820.0 / 1e8).abs() < 0.011, "{piece} {slice:?}");
        assert!((x - 70.0 - (end_ns - run_ns) * 820.0 / 1e8).abs() < 0.011, "{piece} {slice:?}");
        assert!(piece[2].as_str().unwrap().starts_with(&format!("{} ({})", slice[3], slice[2])), "{piece}");
    }
    assert_eq!(browser.complaints(), Vec::<&Value>::new());
}

#[test]
fn what_is_not_allowed_would_be_complained_of() {
    let Some(mut browser) = Browser::open() else { return };
    let dir = TempDir::new().unwrap();
    let path = page(&dir, &["report", "--simulate", "three-burners", "--duration", "5s"], "-o");
    let text = std::fs::read_to_string(&path).unwrap();
    let broken =
        text.replace("</main>", "<img src=\"http://127.0.0.1:9/x\"><script>alert(1)</script></main>");
    std::fs::write(&path, broken).unwrap();
    browser.load(&path);
    assert!(browser.complaints().len() >= 2, "{:?}", browser.complaints());
}

#[test]
fn the_lab_steps_through_the_decisions_of_every_policy() {
    let Some(mut browser) = Browser::open() else { return };
    let dir = TempDir::new().unwrap();
    let args = ["simulate", "stride-3-2-1", "--policy", "stride,rr,lottery", "--runs", "1"];
    let path = page(&dir, &args, "--html");
    assert!(std::fs::metadata(&path).unwrap().len() <= 300_000);
    browser.load(&path);
    for policy in ["stride", "rr", "lottery"] {
        let within = format!("document.querySelector('.steps[data-policy=\"{policy}\"]')");
        let say = |browser: &mut Browser, then: &str| {
            let said = browser.value(&format!("{within}{then}.textContent"));
            said.as_str().unwrap().to_owned()
        };
        let first = say(&mut browser, ".querySelector('.say')");
        assert!(first.starts_with("1 of 100: at 0s CPU 0 went to "), "{policy}: {first}");
        browser.value(&format!("{within}.querySelector('.next').click()"));
        let second = say(&mut browser, ".querySelector('.say')");
        assert!(second.starts_with("2 of "), "{policy}: {second}");
        assert!(second.contains("of 6 tickets"), "{policy}: {second}");
        let width = browser.value(&format!("{within}.querySelector('.now').getAttribute('width')"));
        assert_ne!(width, "0", "{policy}");
        browser.value(&format!("{within}.querySelector('.back').click()"));
        assert_eq!(say(&mut browser, ".querySelector('.say')"), first);
    }
    // 3 : 2 : 1, as the scenario is named after.
    let shares = browser.value(&format!("{COLUMN}(2).slice(0, 3)"));
    assert_eq!(shares, json!(["50.00", "33.33", "16.67"]));
    assert_eq!(browser.complaints(), Vec::<&Value>::new());
}

#[test]
fn a_comparison_is_quiet_and_a_click_sorts() {
    let Some(mut browser) = Browser::open() else { return };
    let dir = TempDir::new().unwrap();
    let scenario = |name: &str, seed: u64, nice: i8| {
        let path = dir.path().join(name);
        let text = format!(
            "name = \"{name}\"\ncpus = 2\nduration = \"60s\"\nquantum = \"5ms\"\nseed = {seed}\n\
             [[task]]\nname = \"batch\"\ncount = 3\n[[task]]\nname = \"<b>odd\"\nnice = {nice}\n"
        );
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (first, second) = (scenario("a.toml", 1, 0), scenario("b.toml", 2, 10));
    let path = page(&dir, &["report", &first, &second], "-o");
    assert!(std::fs::metadata(&path).unwrap().len() <= 300_000);
    let json = run(&["report", &first, &second, "--format", "json"]);
    let json: Value = serde_json::from_slice(&json.stdout).unwrap();
    let differences = json["differences"].as_array().unwrap();
    browser.load(&path);
    let titles = browser.value("[...document.querySelectorAll('h2')].map(h => h.textContent)");
    assert_eq!(titles, json!(["Sides", "Differences", "How it was compared"]));
    assert_eq!(browser.value("document.querySelectorAll('#sides tbody tr').length"), 2);
    assert_eq!(browser.value("document.getElementById('verdict').textContent"), json["verdict"]);
    // A row for each figure, and those that differ are marked: as many as the program counts.
    let rows = "document.querySelectorAll('#differences tbody tr";
    assert_eq!(browser.value(&format!("{rows}').length")), differences.len());
    assert_eq!(browser.value(&format!("{rows}.found').length")), json["found"]);
    assert_eq!(browser.value("document.querySelectorAll('#differences b').length"), 0);
    // Titles 6 and 0: numbers once down and once up, words by the alphabet.
    let column = |n: usize| {
        format!("[...{rows}')].map(row => row.cells[{n}].dataset.v ?? row.cells[{n}].textContent)")
    };
    for down in [true, false] {
        browser.value("document.querySelectorAll('#differences th button')[6].click()");
        let values = browser.value(&column(6));
        let values: Vec<f64> =
            values.as_array().unwrap().iter().map(|v| v.as_str().unwrap().parse().unwrap()).collect();
        assert!(values.is_sorted_by(|a, b| if down { a >= b } else { a <= b }), "{values:?}");
        let spread =
            values.iter().copied().fold(f64::MIN, f64::max) - values.iter().copied().fold(f64::MAX, f64::min);
        assert!(values.len() > 3 && spread > 0.0, "{values:?}");
    }
    browser.value("document.querySelectorAll('#differences th button')[0].click()");
    let words = browser.value(&column(0));
    let words: Vec<&str> = words.as_array().unwrap().iter().map(|word| word.as_str().unwrap()).collect();
    assert!(words.is_sorted() && words.contains(&"no") && words.contains(&"yes"), "{words:?}");
    assert_eq!(browser.complaints(), Vec::<&Value>::new());
}
