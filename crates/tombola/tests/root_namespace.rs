//! From within a PID namespace: tasks are asked for by the PIDs they have there, and told by those of the
//! host.
#![allow(clippy::unwrap_used)] // the functions the tests share are no #[test] themselves

mod common;

use common::program::is_installed;
use common::wait_for;
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::str::FromStr;
use tempfile::TempDir;

/// A shell that burns 150 ms of CPU time, and writes last of all what the kernel's own books say: its PID
/// there, and its run time in ns.
const BURN: &str = "run=0; while [ $run -lt 150000000 ]; do read run rest </proc/$$/schedstat; done; \
                    echo $$ $run >>$DIR/books";

/// A line of the shell in a PID namespace of its own; `None` without the program that makes one.
fn within(flags: &[&str], line: &str, dir: &Path) -> Option<Command> {
    if !is_installed("unshare") {
        println!("SKIP: unshare (util-linux) is not installed");
        return None;
    }
    let mut unshare = Command::new("unshare");
    unshare.args(["--pid", "--fork"]).args(flags).args(["sh", "-c", line]);
    unshare.env("TOMBOLA", env!("CARGO_BIN_EXE_tombola")).env("BURN", BURN).env("DIR", dir);
    unshare.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    Some(unshare)
}

/// Whether a namespace was made; what kept it is told.
fn was_made(complaint: &str) -> bool {
    let was_made = !complaint.starts_with("unshare:");
    if !was_made {
        println!("SKIP: {complaint}");
    }
    was_made
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// What the shells wrote: PIDs in the namespace, and run time in ns.
fn books(dir: &Path) -> Vec<(u32, u64)> {
    let text = fs::read_to_string(dir.join("books")).unwrap();
    let pair =
        |line: &str| line.split_once(' ').map(|(pid, run)| (pid.parse().unwrap(), run.parse().unwrap()));
    text.lines().filter_map(pair).collect()
}

/// The number after this word.
fn number_after<T: FromStr<Err: Debug>>(text: &str, word: &str) -> T {
    let after = &text[text.find(word).unwrap_or_else(|| panic!("{word}: {text}")) + word.len()..];
    after.split(|c: char| !c.is_ascii_digit() && c != '.').next().unwrap().parse().unwrap()
}

#[test]
#[ignore = "root: loads a private monitor, makes a PID namespace"]
fn root_a_command_in_a_namespace_has_its_tasks_and_their_time() {
    let dir = TempDir::new().unwrap();
    // One shell as a child, one as the command itself.
    let line = r#""$TOMBOLA" audit --top 0 -- sh -c 'sh -c "$BURN" & eval "$BURN"; wait'"#;
    let Some(mut unshare) = within(&["--mount-proc"], line, dir.path()) else { return };
    let output = unshare.output().unwrap();
    let (said, complaint) = (text(&output.stdout), text(&output.stderr));
    if !was_made(&complaint) {
        return;
    }
    assert_eq!(output.status.code(), Some(0), "{said}{complaint}");
    assert!(complaint.contains("in a PID namespace of its own"), "{complaint}");
    let books = books(dir.path());
    assert_eq!(books.len(), 2);
    let kernel_s = books.iter().map(|(_, run_ns)| run_ns).sum::<u64>() as f64 / 1e9;
    let last = said.lines().last().unwrap();
    let run_s: f64 = number_after(last, ") ran ");
    // Beyond that each of them begins its end, and the figure has three digits.
    assert!((kernel_s - 0.001..kernel_s * 1.05 + 0.02).contains(&run_s), "{kernel_s}: {last}");
    // The PID that is told is that of the rows.
    let pid: u32 = number_after(last, "(process ");
    assert!(books.iter().all(|(here, _)| *here != pid), "{last}");
    assert!(said.lines().any(|row| row.trim_start().starts_with(&format!("{pid} "))), "{said}");
}

/// Of the namespace that the child of this process is the first one of: the PIDs on the host by those in it,
/// as procfs of the host tells them.
fn told_by_procfs(unshare: u32) -> BTreeMap<u32, u32> {
    let children = fs::read_to_string(format!("/proc/{unshare}/task/{unshare}/children")).unwrap();
    let namespace = |pid: &str| fs::read_link(format!("/proc/{pid}/ns/pid")).ok();
    let of_child = namespace(children.trim());
    assert!(of_child.is_some(), "{children}");
    let mut pids = BTreeMap::new();
    for entry in fs::read_dir("/proc").unwrap().filter_map(Result::ok) {
        let pid = entry.file_name().into_string().unwrap();
        if !pid.starts_with(|c: char| c.is_ascii_digit()) || namespace(&pid) != of_child {
            continue;
        }
        let status = fs::read_to_string(entry.path().join("status")).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("NSpid:"));
        if let Some(here) = line.and_then(|line| line.split_whitespace().next_back()) {
            pids.insert(here.parse().unwrap(), pid.parse().unwrap());
        }
    }
    pids
}

/// The PIDs of the rows of a file.
fn pids_in(rows: &Path) -> Vec<u32> {
    let text = fs::read_to_string(rows).unwrap();
    let mut lines = text.lines();
    let at = lines.next().unwrap().split(',').position(|title| title == "pid").unwrap();
    lines.map(|line| line.split(',').nth(at).unwrap().parse().unwrap()).collect()
}

#[test]
#[ignore = "root: loads a private monitor, makes a PID namespace"]
fn root_filters_in_a_namespace_take_its_pids_and_owners() {
    let dir = TempDir::new().unwrap();
    let line = r#"
        # Whoever looks at them goes before them.
        chrt --idle 0 sh -c "while :; do :; done" & one=$!
        setpriv --reuid 65534 --regid 65534 --clear-groups chrt --idle 0 sh -c "while :; do :; done" & two=$!
        echo $one $two >"$DIR/books"
        audit() { "$TOMBOLA" audit --interval 400ms --iterations 1 --no-interference "$@"; }
        audit --pid $one --output "$DIR/pid.csv" || exit 3
        audit --tid $two --output "$DIR/tid.csv" || exit 4
        audit --user 65534 --output "$DIR/user.csv" || exit 5
        audit --pid 4194304 && exit 6
        audit --light && exit 7
        until [ -e "$DIR/looked" ]; do sleep .1; done"#;
    let Some(mut unshare) = within(&["--mount-proc"], line, dir.path()) else { return };
    let mut unshare = unshare.spawn().unwrap();
    let pids = wait_for("the burners", || {
        if unshare.try_wait().unwrap().is_some() {
            return Some(Vec::new());
        }
        let pids = fs::read_to_string(dir.path().join("books")).ok()?;
        pids.ends_with('\n')
            .then(|| pids.split_whitespace().map(|pid| pid.parse().unwrap()).collect::<Vec<u32>>())
    });
    let host = if pids.is_empty() { BTreeMap::new() } else { told_by_procfs(unshare.id()) };
    fs::write(dir.path().join("looked"), "").unwrap();
    let output = unshare.wait_with_output().unwrap();
    let (said, complaint) = (text(&output.stdout), text(&output.stderr));
    if !was_made(&complaint) {
        return;
    }
    assert_eq!(output.status.code(), Some(0), "{said}{complaint}");
    let (one, two) = (host[&pids[0]], host[&pids[1]]);
    assert_ne!((one, two), (pids[0], pids[1]), "the test itself is in a namespace");
    let rows = |name: &str| pids_in(&dir.path().join(name));
    assert_eq!((rows("pid.csv"), rows("tid.csv")), (vec![one], vec![two]), "{said}{complaint}");
    assert_eq!(rows("user.csv"), [two], "{said}{complaint}");
    assert!(complaint.contains("no task ran or waited that the filters hold for"), "{complaint}");
    assert!(
        complaint.contains("a light monitor sees the tasks of its own PID namespace alone"),
        "{complaint}"
    );
}

#[test]
#[ignore = "root: loads a private monitor, makes a PID namespace"]
fn root_a_limit_on_what_was_not_seen_is_not_kept() {
    let dir = TempDir::new().unwrap();
    // With the procfs of the host the PIDs here are nobody's.
    let line = r#""$TOMBOLA" audit --fail-if "waited>0%" --format junit -- sh -c :"#;
    let Some(mut unshare) = within(&[], line, dir.path()) else { return };
    let output = unshare.output().unwrap();
    let (said, complaint) = (text(&output.stdout), text(&output.stderr));
    if !was_made(&complaint) {
        return;
    }
    assert_eq!(output.status.code(), Some(1), "{said}{complaint}");
    assert!(said.contains("failures=\"0\" errors=\"1\""), "{said}");
    assert!(complaint.contains("waited>0% is not known: no task was seen to run"), "{complaint}");
    assert!(complaint.contains("--pid=host") && complaint.contains("mount -t proc"), "{complaint}");
}
