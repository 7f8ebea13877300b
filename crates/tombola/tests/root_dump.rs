//! `dump` on the live kernel: hostile names, and ends of every kind in the middle of writing.
#![allow(clippy::unwrap_used)] // functions that tests share are no #[test] themselves

mod common;

use common::{BpfFs, ok, wait_for};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, gettid};
use std::fs;
use std::hint::black_box;
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};

const HEADER: &str = "iteration,timestamp,pid,runtime_ns,runtime_ms,delta_ns,delta_ms,rolling_runtime_ms,switches,nice,tickets,ticket_share";

/// Threads with chosen names that burn now and then, until they are dropped.
struct Named {
    tids: Vec<u32>,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Named {
    fn start(names: &[&'static [u8]]) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (mut tids, mut threads) = (Vec::new(), Vec::new());
        for &name in names {
            let (send, receive) = mpsc::channel();
            let until = Arc::clone(&stop);
            threads.push(thread::spawn(move || {
                fs::write("/proc/thread-self/comm", name).unwrap();
                send.send(gettid().as_raw().unsigned_abs()).unwrap();
                while !until.load(Ordering::Relaxed) {
                    for n in 0..10_000 {
                        black_box(n);
                    }
                    thread::sleep(std::time::Duration::from_millis(5));
                }
            }));
            tids.push(receive.recv().unwrap());
        }
        Self { tids, stop, threads }
    }
}

impl Drop for Named {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// Complete lines of a CSV file, parsed; the last line need not be whole.
fn whole_rows(file: &Path) -> Vec<Vec<String>> {
    let bytes = fs::read(file).unwrap();
    let whole = bytes.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
    let mut reader = csv::Reader::from_reader(&bytes[..whole]);
    assert!(reader.headers().unwrap().iter().collect::<Vec<_>>().join(",").starts_with(HEADER));
    // The reader insists on equally many fields in each row.
    reader.records().map(|r| r.unwrap().iter().map(str::to_owned).collect()).collect()
}

/// A dump that writes rows as fast as it may, and has written some.
fn writing(fs: &BpfFs, file: &Path) -> Child {
    let child = fs
        .tombola("dump")
        .args(["--interval", "1ms", "--candidates", "all", "--output"])
        .arg(file)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    wait_for("rows are written", || (fs::metadata(file).is_ok_and(|m| m.len() > 50_000)).then_some(()));
    child
}

#[test]
#[ignore = "needs root and BPF"]
fn root_hostile_names_come_out_harmless() {
    let names: [(&[u8], &str); 10] = [
        (b"two\nlines", "two\\x0alines"),
        (b"\x1b[2Jcleared", "\\x1b[2Jcleared"),
        (b"bad\xffbyte", "bad\\xffbyte"),
        (b"c1\xc2\x9b31m", "c1\\u{9b}31m"),
        (b"bidi\xe2\x80\xae", "bidi\\u{202e}"),
        (b"a,b\"c\"'d'", "a,b\"c\"'d'"),
        (b") R 1 2 (", ") R 1 2 ("),
        (b"=1+1", "=1+1"),
        (b"fifteen bytes!!", "fifteen bytes!!"),
        (b"tab\there", "tab\\x09here"),
    ];
    let fs = BpfFs::loaded();
    let threads = Named::start(&names.map(|n| n.0));
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("stats.csv");
    let output = fs
        .tombola("dump")
        .args([
            "--interval",
            "300ms",
            "--iterations",
            "3",
            "--wide",
            "--simulate-draws",
            "1000",
            "--top",
            "100",
        ])
        .arg("--output")
        .arg(&file)
        .output()
        .unwrap();
    let table = ok(&output);
    for (what, text) in [("table", table.as_str()), ("CSV", &fs::read_to_string(&file).unwrap())] {
        let bad = text.chars().find(|&c| c != '\n' && (c.is_control() || c == '\u{202e}'));
        assert_eq!(bad, None, "{what}: {text}");
    }
    let rows = whole_rows(&file);
    assert!(rows.iter().all(|row| row.len() == 28));
    for (tid, (_, shown)) in threads.tids.iter().zip(names) {
        // A name chosen by writing to comm is read again once a second at most; here before its first slice
        // ended.
        let row = rows.iter().rfind(|row| row[0] == "3" && row[2] == tid.to_string());
        let row = row.unwrap_or_else(|| panic!("no row of thread {tid}, {shown}"));
        let in_csv = if shown.starts_with('=') { format!("'{shown}") } else { shown.to_owned() };
        assert_eq!(row[12], in_csv);
        assert!(
            table
                .lines()
                .any(|l| l.split_ascii_whitespace().next() == Some(&tid.to_string()) && l.contains(shown)),
            "{shown} in {table}"
        );
    }
    fs.unload();
}

#[test]
#[ignore = "needs root and BPF"]
fn root_killed_in_mid_write_the_file_is_readable_and_the_next_append_repairs() {
    let fs = BpfFs::loaded();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("stats.csv");
    for _ in 0..5 {
        let mut dump = writing(&fs, &file);
        dump.kill().unwrap();
        dump.wait().unwrap();
        assert!(whole_rows(&file).len() > 100);
    }
    // Whether a kill has hit a write is luck: cut a row as one that has would.
    let bytes = fs::read(&file).unwrap();
    let whole = bytes.iter().rposition(|b| *b == b'\n').unwrap() + 1;
    fs::write(&file, &bytes[..whole - 10]).unwrap();
    let before = whole_rows(&file).len();
    let mut dump = fs.tombola("dump");
    let output = dump.args(["--iterations", "1", "--output"]).arg(&file).output().unwrap();
    ok(&output);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.starts_with("tombola: repaired: removed an incomplete last line ("), "{said}");
    let text = fs::read_to_string(&file).unwrap();
    assert!(text.ends_with('\n') && text.matches(HEADER).count() == 1);
    assert!(whole_rows(&file).len() > before);
    // The monitor goes on without its reader.
    fs.unload();
}

#[test]
#[ignore = "needs root and BPF"]
fn root_signals_end_dump_with_whole_rows() {
    let fs = BpfFs::loaded();
    let dir = tempfile::tempdir().unwrap();
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        let file = dir.path().join(signal.as_str());
        let dump = writing(&fs, &file);
        kill(Pid::from_raw(dump.id().try_into().unwrap()), signal).unwrap();
        let output = dump.wait_with_output().unwrap();
        ok(&output);
        assert_eq!(String::from_utf8_lossy(&output.stderr), "");
        assert!(fs::read(&file).unwrap().ends_with(b"\n"));
        let rows = whole_rows(&file);
        // Samples are whole too: numbered without a gap, and no task twice in one.
        let mut last = (0, 0);
        for row in &rows {
            let now: (u64, u64) = (row[0].parse().unwrap(), row[2].parse().unwrap());
            assert!(now.0 == last.0 || now.0 == last.0 + 1, "{now:?} after {last:?}");
            last = now;
        }
        assert!(last.0 > 2);
    }
    fs.unload();
}

#[test]
#[ignore = "needs root and BPF"]
fn root_a_full_disk_is_told_once_and_ends_dump() {
    let fs = BpfFs::loaded();
    let mut dump = fs.tombola("dump");
    let dump = dump.args(["--interval", "1ms", "--iterations", "50", "--output", "/dev/full"]);
    let said = common::failed(&dump.output().unwrap());
    assert!(said.contains("'/dev/full'") && said.contains("No space left on device"), "{said}");
    fs.unload();
}

#[test]
#[ignore = "needs root and BPF"]
fn root_a_private_monitor_says_so_and_leaves_nothing() {
    // Nothing is loaded at the default place: or if somebody did, that monitor is read.
    let loaded = fs::exists("/sys/fs/bpf/task_map").unwrap();
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_tombola"))
        .args(["dump", "--interval", "200ms", "--iterations", "2"])
        .env_remove("MAP_PIN")
        .output()
        .unwrap();
    let table = ok(&output);
    if loaded {
        println!("SKIP: a monitor is loaded on this machine, so none of its own is attached");
        return;
    }
    assert!(String::from_utf8(output.stderr).unwrap().contains("a private one is attached for this run"));
    assert!(table.contains("deltas since attach"), "{table}");
    assert!(!fs::exists("/sys/fs/bpf/task_map").unwrap());
}
