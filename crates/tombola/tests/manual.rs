//! Completions are read by their shells, pages by man.
#![allow(clippy::unwrap_used)] // the functions the tests share are no #[test] themselves

mod common;

use common::program::{is_installed, run};
use std::process::Command;
use tempfile::TempDir;

#[test]
fn shells_read_their_completions() {
    let dir = TempDir::new().unwrap();
    for (shell, check) in [("bash", "-n"), ("zsh", "-n"), ("fish", "-n")] {
        let output = run(&["completions", shell]);
        assert_eq!(output.status.code(), Some(0), "{shell}");
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(text.contains("fail-if") && text.contains("schedule"), "{shell}");
        if !is_installed(shell) {
            println!("SKIP: {shell} is not installed: its completions are not read");
            continue;
        }
        let path = dir.path().join(shell);
        std::fs::write(&path, text).unwrap();
        let checked = Command::new(shell).arg(check).arg(&path).output().unwrap();
        assert!(checked.status.success(), "{shell}: {}", String::from_utf8_lossy(&checked.stderr));
    }
    // bash completes as it would for a user.
    let script = run(&["completions", "bash"]).stdout;
    let path = dir.path().join("complete");
    std::fs::write(&path, script).unwrap();
    let ask = "source \"$0\"; COMP_WORDS=(tombola simu); COMP_CWORD=1; _tombola tombola simu tombola; printf '%s\\n' \"${COMPREPLY[@]}\"";
    let output = Command::new("bash").args(["-c", ask]).arg(&path).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "simulate");
}

/// The verbs that the help of a command line lists.
fn verbs_of(line: &[String]) -> Vec<String> {
    let words: Vec<&str> = line.iter().map(String::as_str).chain(["--help"]).collect();
    let help = String::from_utf8(run(&words).stdout).unwrap();
    let verbs =
        help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    verbs
        .filter_map(|line| line.strip_prefix("  ")?.split(' ').next().map(str::to_owned))
        .filter(|verb| !verb.is_empty() && verb != "help")
        .collect()
}

#[test]
fn every_verb_has_a_page() {
    let dir = TempDir::new().unwrap();
    assert_eq!(run(&["man", "--directory", dir.path().to_str().unwrap()]).status.code(), Some(0));
    // Those of verbs of a verb's too, as `tombola export --help` lists them.
    let mut lines = vec![Vec::new()];
    let mut at = 0;
    while let Some(line) = lines.get(at).cloned() {
        lines.extend(verbs_of(&line).into_iter().map(|verb| [line.clone(), vec![verb]].concat()));
        at += 1;
    }
    let page_of =
        |line: &Vec<String>| format!("{}.1", [vec!["tombola".to_owned()], line.clone()].concat().join("-"));
    let mut names: Vec<String> = lines.iter().map(page_of).collect();
    names.sort();
    assert!(names.len() > 20 && names.contains(&"tombola-export-prometheus.1".to_owned()), "{names:?}");
    let mut files: Vec<String> = std::fs::read_dir(dir.path())
        .unwrap()
        .map(|f| f.unwrap().file_name().into_string().unwrap())
        .collect();
    files.sort();
    assert_eq!(files, names);
    assert_eq!(run(&["man", "frobnicate"]).status.code(), Some(1));
    assert_eq!(run(&["man", "export", "frobnicate"]).status.code(), Some(1));
    let page = run(&["man", "export", "prometheus"]).stdout;
    assert_eq!(page, std::fs::read(dir.path().join("tombola-export-prometheus.1")).unwrap());
    let page = run(&["man", "audit"]).stdout;
    assert_eq!(page, std::fs::read(dir.path().join("tombola-audit.1")).unwrap());
    if !is_installed("man") {
        println!("SKIP: man is not installed: pages are not read by it");
        return;
    }
    let shown = Command::new("man")
        .args(["-l"])
        .arg(dir.path().join("tombola-audit.1"))
        .env("MANPAGER", "cat")
        .output()
        .unwrap();
    assert!(
        String::from_utf8_lossy(&shown.stdout).contains("--fail-if"),
        "{}",
        String::from_utf8_lossy(&shown.stderr)
    );
}
