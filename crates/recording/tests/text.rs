//! Text of others, against what stands in its lines, and three texts of one run against each other.

mod common;

use common::{all, counts, foreign};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use tombola_recording::event::{Event, Kind, Left};
use tombola_recording::reader;

/// Lines with one of these events, counted without the reader.
fn lines(path: &Path, names: &[&str]) -> usize {
    let text = std::fs::read(path).expect("a readable file");
    let text = String::from_utf8_lossy(&text);
    text.lines().filter(|line| names.iter().any(|name| line.contains(&format!(" {name}: ")))).count()
}

#[test]
fn systrace_of_android() {
    let Some(path) = foreign("text-systrace-android.txt") else { return };
    let mut reader = reader::open(&path).unwrap();
    let events = all(&mut *reader);
    assert_eq!(counts(&events), (58, lines(&path, &["sched_wakeup", "sched_waking"])));
    assert_eq!((reader.damage().skipped, reader.header().can.resolution_ns), (0, 1000));
    let first = &events[0];
    assert_eq!((first.ts_ns, first.cpu), (50_260_647_576_000, 0));
    let Kind::Switch { prev: Some(prev), state, next } = &first.kind else { panic!("{first:?}") };
    assert_eq!((prev.pid, &prev.comm[..], prev.prio), (14662, &b"atrace"[..], Some(120)));
    assert_eq!((*state, next.pid, &next.comm[..]), (Left::Sleep, 13696, &b"kworker/0:0"[..]));
}

#[test]
fn raw_numbers_of_an_old_kernel_are_read_by_its_law() {
    let Some(path) = foreign("text-tracecmd-raw-arm64-lisa.txt") else { return };
    let mut reader = reader::open(&path).unwrap();
    let events = all(&mut *reader);
    assert_eq!(counts(&events), (1856, 1068));
    assert_eq!(reader.header().cpus, Some(6));
    let states: BTreeSet<Left> = events
        .iter()
        .filter_map(|e| if let Kind::Switch { state, .. } = &e.kind { Some(*state) } else { None })
        .collect();
    // 64 is the end of a task here (the first line: trace-cmd itself), not a parked one; 4096 is preempted.
    assert!(states.contains(&Left::Dead) && states.contains(&Left::Runnable { preempted: Some(true) }));
    assert!(!states.iter().any(|state| matches!(state, Left::Other(_) | Left::Idle)), "{states:?}");
}

/// What all three texts tell of an event.
fn essence(event: &Event) -> String {
    let mut kind = event.kind.clone();
    match &mut kind {
        Kind::Switch { prev, state, .. } => {
            if let Some(prev) = prev {
                prev.tgid = None;
            }
            if matches!(state, Left::Runnable { .. }) {
                *state = Left::Runnable { preempted: None }; // not told by plugins
            }
        }
        Kind::Wake { context, .. } => *context = tombola_recording::event::Context::Unknown,
        _ => {}
    }
    format!("{} {} {kind:?}", event.ts_ns, event.cpu)
}

#[test]
#[ignore = "root: records with ftrace and trace-cmd"]
fn root_three_texts_of_one_run_tell_the_same() {
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/tools/make-recordings.sh");
    if !script.exists() || Command::new("trace-cmd").output().is_err() {
        println!("SKIP: needs shared/tools/make-recordings.sh beside the workspace, and trace-cmd");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    assert!(Command::new("bash").arg(script).arg(folder.path()).status().unwrap().success());
    let report = |option: &[&str], name: &str| {
        let mut command = Command::new("trace-cmd");
        let output = command
            .arg("report")
            .args(option)
            .arg("-i")
            .arg(folder.path().join("trace.dat"))
            .output()
            .unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, output.stdout).unwrap();
        path
    };
    let texts = [folder.path().join("ftrace.txt"), report(&[], "plugin.txt"), report(&["-R"], "raw.txt")];
    let mut told = texts.iter().map(|path| {
        let mut reader = reader::open(path).unwrap();
        let events = all(&mut *reader);
        assert_eq!(reader.damage().skipped, 0, "{:?}", reader.damage());
        let names = [
            "sched_switch",
            "sched_waking",
            "sched_wakeup_new",
            "sched_migrate_task",
            "sched_process_fork",
            "sched_process_exec",
            "sched_process_exit",
        ];
        assert_eq!(events.len(), lines(path, &names), "{}", path.display());
        // Where two CPUs tell of one microsecond the texts order them differently.
        events.iter().map(essence).collect::<BTreeSet<String>>()
    });
    let kernel = told.next().unwrap();
    assert!(kernel.len() > 1000);
    for other in told {
        let odd: Vec<_> = kernel.symmetric_difference(&other).take(5).collect();
        assert!(odd.is_empty(), "{odd:#?}");
    }
}
