//! SIGKILL at random moments: what was acknowledged is there, and nothing is there in part or twice.
#![allow(clippy::unwrap_used)] // functions that tests share are no #[test] themselves

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::env;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;
use tempfile::TempDir;
use tombola_history::file::About;
use tombola_history::past::{Past, Span};
use tombola_history::row::Row;
use tombola_history::schema::{Int, Text};
use tombola_history::{Keep, Log, place};

const DIR: &str = "TOMBOLA_TEST_LOG";
const KILLS: u64 = 100;
const STEP_US: i64 = 10_000_000;
const SPAN: Span = Span { from_us: 0, to_us: i64::MAX };

/// Interval n has 20 + n mod 7 rows, whose figures follow from n.
fn rows(n: i64) -> Vec<Row> {
    let row = |at: i64| {
        let mut row = Row::default();
        row.set(Int::Ts, (n + 1) * STEP_US * 1000);
        row.set(Int::Interval, STEP_US * 1000);
        row.set(Int::Run, n * 1_000_003 + at);
        row.set_text(Text::Host, "victim".into());
        row.set_text(Text::Boot, "b00t".into());
        row.set_text(Text::Level, "thread".into());
        row.set_text(Text::Comm, format!("task-{}", (n + at) % 50).into());
        row
    };
    (0..20 + n % 7).map(row).collect()
}

fn by_name(mut rows: Vec<Row>) -> Vec<Row> {
    rows.sort_by_key(|row| row.text(Text::Comm).cloned());
    rows
}

/// Intervals of a log, in order.
fn intervals(dir: &Path) -> Vec<i64> {
    let Ok(mut past) = Past::open(dir, Some("victim"), SPAN) else { return Vec::new() };
    let mut all = Vec::new();
    while let Some(found) = past.next_interval().unwrap() {
        let n = found[0].int(Int::Ts).unwrap() / STEP_US / 1000 - 1;
        // A sealed file has the rows of one name together.
        assert_eq!(by_name(found), by_name(rows(n)), "interval {n} is whole");
        all.push(n);
    }
    all
}

/// Logs until it is killed, when the test below runs it; else nothing.
#[test]
fn logs_until_killed() {
    let Some(dir) = env::var_os(DIR).map(PathBuf::from) else { return };
    let about = About { host: "victim".to_owned(), boot: "b00t".to_owned(), ..About::default() };
    // Five intervals a file: most moments are within a sealing or near one.
    let keep = Keep { age: None, bytes: None, seal: Duration::from_secs(50) };
    let (mut log, trouble) = Log::open(&dir, about, keep).unwrap();
    assert!(trouble.is_none());
    let mut n = intervals(&dir).last().map_or(0, |last| last + 1);
    loop {
        assert!(log.append(&rows(n)).unwrap().is_none());
        println!("appended {n}");
        n += 1;
    }
}

#[test]
fn nothing_acknowledged_is_lost_and_nothing_is_there_in_part() {
    let dir = TempDir::new().unwrap();
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let (mut acknowledged, mut before, mut interrupted) = (-1, 0, 0);
    for _ in 0..KILLS {
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["logs_until_killed", "--exact", "--nocapture"])
            .env(DIR, dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let pid = Pid::from_raw(i32::try_from(child.id()).unwrap());
        // Every fourth process gets to an interval, however slow the machine is, and the next one seals it.
        let (appended, heard) = channel();
        let is_patient = state.is_multiple_of(4);
        let killer = thread::spawn(move || {
            if is_patient {
                let _ = heard.recv(); // or it has ended
            }
            thread::sleep(Duration::from_micros(2000 + state % 200_000));
            kill(pid, Signal::SIGKILL).unwrap();
        });
        // The last line may be cut by the end of the process.
        let said: Vec<i64> = lines
            .map_while(Result::ok)
            .filter_map(|line| line.strip_prefix("appended ")?.parse().ok())
            .inspect(|_| appended.send(()).unwrap_or_default()) // nobody waits any more
            .collect();
        drop(appended);
        killer.join().unwrap();
        child.wait().unwrap();
        acknowledged = acknowledged.max(said.last().copied().unwrap_or(-1));
        interrupted += i32::from(dir.path().join("_open/victim.part").exists());
        let found = intervals(dir.path());
        let count = i64::try_from(found.len()).unwrap();
        assert_eq!(found, (0..count).collect::<Vec<_>>(), "each once, in order, no gap");
        assert!(count > acknowledged, "{count} intervals, {acknowledged} acknowledged");
        // Of each process one may have been appended whose acknowledgement was not heard.
        let more = count - before - i64::try_from(said.len()).unwrap();
        assert!((0..=1).contains(&more), "{more} of {count}, {} acknowledged by this process", said.len());
        before = count;
    }
    let files = place::sealed(dir.path(), "victim").unwrap().len();
    eprintln!(
        "{KILLS} kills, {} intervals in {files} files, {interrupted} kills within a sealing",
        acknowledged + 1
    );
    assert!(files > 10, "{files}: the log was sealed between kills");
}
