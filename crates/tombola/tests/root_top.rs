//! The live view on the live machine: a hog is seen, and a filter finds it.
#![allow(clippy::unwrap_used)] // the functions the tests share are no #[test] themselves

mod common;

use common::program::{Running, is_installed, tombola};
use common::wait_for;
use std::process::{Command, Stdio};
use tempfile::TempDir;

#[test]
#[ignore = "root: loads a private monitor"]
fn root_top_shows_a_hog_with_its_pid() {
    if !is_installed("tmux") {
        println!("SKIP: tmux is not installed");
        return;
    }
    let dir = TempDir::new().unwrap();
    let tmux = |args: &[&str]| {
        let output = Command::new("tmux")
            .arg("-S")
            .arg(dir.path().join("socket"))
            .args(args)
            .env_remove("TMUX")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
    };
    let hog = Running(
        tombola(&["workload", "--threads", "3", "--duration", "1h"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap(),
    );
    let command =
        format!("env -u MAP_PIN LC_ALL=C.UTF-8 '{}' top --interval 300ms", env!("CARGO_BIN_EXE_tombola"));
    tmux(&["-f", "/dev/null", "new-session", "-d", "-x", "120", "-y", "40", &command]);
    let until = |what: &str, holds: &dyn Fn(&str) -> bool| {
        wait_for(what, || Some(tmux(&["capture-pane", "-p"])).filter(|text| holds(text)))
    };
    until("the answer", &|text| text.contains("[1 Answer]") && text.contains("live, "));
    // `env` becomes the program, so the child is the hog itself.
    let pid = hog.0.id().to_string();
    tmux(&["send-keys", "3"]);
    tmux(&["send-keys", "-l", &format!("f{pid}")]);
    tmux(&["send-keys", "Enter"]);
    let is_it = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        words.first() == Some(&pid.as_str()) && words.get(1) == Some(&"root") && line.contains("tombola")
    };
    let text = until("the hog", &|text| text.lines().any(is_it));
    let line = text.lines().find(|line| is_it(line)).unwrap();
    let used: f64 = line.split_whitespace().nth(4).unwrap().parse().unwrap();
    // Three threads without a pause have at least a tenth of a CPU on whatever is left of this machine.
    assert!(used > 10.0, "{line}");
    tmux(&["send-keys", "q"]);
    wait_for("the end", || tmux(&["list-sessions"]).contains("no server").then_some(()));
}
