//! The reader of trace.dat against `trace-cmd report -R` of the same files: made here by way of an instance
//! of the kernel's ring buffer, or real ones that nobody here made.
#![allow(clippy::unwrap_used)] // a test stops where something is not as it should be

mod damage;

use std::collections::BTreeMap;
use std::fs;
use std::io::{Cursor, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use tombola_recording::event::{Context, Event, Kind, Left, Stage, Task};
use tombola_recording::reader::trace_dat::TraceDat;
use tombola_recording::reader::{Events, ReadError, Reader};

const EVENTS: [&str; 9] = [
    "sched/sched_switch",
    "sched/sched_waking",
    "sched/sched_wakeup",
    "sched/sched_wakeup_new",
    "sched/sched_migrate_task",
    "sched/sched_process_fork",
    "sched/sched_process_exec",
    "sched/sched_process_exit",
    "task/task_rename",
];

/// An instance of the kernel's ring buffer, which vanishes with this.
struct Instance(PathBuf);

impl Instance {
    /// With a buffer of so many KB a CPU; `None`, with the reason told, where that cannot be.
    fn new(kilobytes: u32) -> Option<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        if Command::new("trace-cmd").arg("list").stdout(Stdio::null()).stderr(Stdio::null()).status().is_err()
        {
            println!("SKIP: no trace-cmd");
            return None;
        }
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = Path::new("/sys/kernel/tracing/instances")
            .join(format!("tombola_test_{}_{number}", std::process::id()));
        if let Err(error) = fs::create_dir(&path) {
            println!("SKIP: no instance of the ring buffer: {error}");
            return None;
        }
        let instance = Self(path);
        instance.write("buffer_size_kb", &kilobytes.to_string());
        Some(instance)
    }

    fn write(&self, file: &str, text: &str) {
        fs::write(self.0.join(file), text).unwrap();
    }

    /// Records a small mixture of pipes and forks into `file`, up to so often as nothing is lost by it, and
    /// gives what each CPU lost by the kernel's statistics. trace-cmd removes the instance.
    fn record(&self, file: &Path, rounds: u32) -> BTreeMap<u32, u64> {
        for event in EVENTS {
            self.write(&format!("events/{event}/enable"), "1");
        }
        let load = "for n in 1 2 3; do (:); done; perf bench sched messaging -g 1 -l 60 || seq 2000 | sort -R | sort";
        for _ in 0..rounds {
            let status =
                Command::new("bash").args(["-c", load]).stdout(Stdio::null()).stderr(Stdio::null()).status();
            assert!(status.unwrap().success());
            if !self.lost().is_empty() {
                break;
            }
        }
        self.write("tracing_on", "0");
        let lost = self.lost();
        let name = self.0.file_name().unwrap().to_str().unwrap();
        trace_cmd(&["extract", "-B", name, "-o", file.to_str().unwrap()]);
        lost
    }

    fn lost(&self) -> BTreeMap<u32, u64> {
        let mut all = BTreeMap::new();
        for cpu in fs::read_dir(self.0.join("per_cpu")).unwrap().map(|entry| entry.unwrap().path()) {
            let stats = fs::read_to_string(cpu.join("stats")).unwrap();
            let of = |key: &str| {
                stats.lines().find_map(|line| line.strip_prefix(key)).unwrap().trim().parse::<u64>()
            };
            let lost = of("overrun:").unwrap() + of("dropped events:").unwrap();
            if lost > 0 {
                all.insert(cpu.file_name().unwrap().to_str().unwrap()[3..].parse().unwrap(), lost);
            }
        }
        all
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        let _ = fs::write(self.0.join("tracing_on"), "0");
        let _ = fs::remove_dir(&self.0);
    }
}

fn trace_cmd(arguments: &[&str]) -> String {
    let output =
        Command::new("trace-cmd").args(arguments).current_dir(std::env::temp_dir()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn read_bytes(bytes: Vec<u8>) -> (Vec<Event>, Option<ReadError>, u64) {
    let mut reader = match TraceDat::open(Box::new(Cursor::new(bytes))) {
        Ok(reader) => reader,
        Err(error) => return (Vec::new(), Some(error), 0),
    };
    let mut events = Vec::new();
    loop {
        match reader.next_event() {
            Ok(Some(event)) => events.push(event),
            Ok(None) => return (events, None, reader.damage().skipped),
            Err(error) => {
                assert!(matches!(reader.next_event(), Ok(None)), "an error is told once");
                return (events, Some(error), reader.damage().skipped);
            }
        }
    }
}

fn read(file: &Path) -> Vec<Event> {
    let (events, error, skipped) = read_bytes(fs::read(file).unwrap());
    assert!(error.is_none() && skipped == 0, "{error:?}, {skipped} skipped");
    events
}

/// Time, CPU, and the event in the words of the tests.
type Told = (u64, u32, String);

fn value(line: &str, key: &str) -> i64 {
    let at = line.rfind(key).unwrap_or_else(|| panic!("no {key} in {line}")) + key.len();
    line[at..].split_whitespace().next().unwrap().parse().unwrap()
}

fn between<'a>(line: &'a str, from: &str, to: &str) -> &'a str {
    let line = &line[line.find(from).unwrap_or_else(|| panic!("no {from} in {line}")) + from.len()..];
    &line[..line.find(to).unwrap()]
}

/// What `trace-cmd report -R -t` prints of our events. `old` has the bits of kernels before 4.14.
fn report(file: &Path, old: bool) -> Vec<Told> {
    let text = trace_cmd(&["report", "-R", "-t", "-i", file.to_str().unwrap()]);
    let mut all = Vec::new();
    for line in text.lines() {
        let names = EVENTS.map(|event| event.split_once('/').unwrap().1);
        let of = |name: &str| line.find(&format!(": {name}: "));
        let Some((at, name)) = names.iter().find_map(|&name| Some((of(name)?, name))) else { continue };
        let (head, told) = (&line[..at], &line[at + name.len() + 4..]);
        let (before, time) = head.rsplit_once(' ').unwrap();
        let (seconds, nanoseconds) = time.split_once('.').unwrap();
        let ts = seconds.parse::<u64>().unwrap() * 1_000_000_000 + nanoseconds.parse::<u64>().unwrap();
        let cpu = before.trim_end().trim_end_matches(']').rsplit('[').next().unwrap().parse().unwrap();
        let one = || {
            format!("{} {} {}", between(told, "comm=", " pid="), value(told, " pid="), value(told, " prio="))
        };
        let words = match name {
            "sched_switch" => format!(
                "{} {} {} {:?} > {} {} {}",
                between(told, "prev_comm=", " prev_pid="),
                value(told, "prev_pid="),
                value(told, "prev_prio="),
                left(value(told, "prev_state="), old),
                between(told, "next_comm=", " next_pid="),
                value(told, "next_pid="),
                value(told, "next_prio=")
            ),
            "sched_waking" | "sched_wakeup" | "sched_wakeup_new" => {
                format!("{} @{}", one(), value(told, "target_cpu="))
            }
            "sched_migrate_task" => {
                format!("{} {}>{}", one(), value(told, "orig_cpu="), value(told, "dest_cpu="))
            }
            "sched_process_fork" => format!(
                "{} > {} {}",
                value(told, "parent_pid="),
                between(told, "child_comm=", " child_pid="),
                value(told, "child_pid=")
            ),
            "sched_process_exec" => format!("{} was {}", value(told, " pid="), value(told, "old_pid=")),
            "sched_process_exit" => one(),
            _ => format!("{} {}", value(told, "pid="), between(told, "newcomm=", " oom_score_adj=")),
        };
        all.push((ts, cpu, format!("{name} {words}")));
    }
    all
}

/// `include/linux/sched.h` of 6.18, and of 4.4.
fn left(state: i64, old: bool) -> Left {
    match (state, old) {
        (0, _) => Left::Runnable { preempted: Some(false) },
        (0x100, false) | (0x800, true) => Left::Runnable { preempted: Some(true) },
        (1, _) => Left::Sleep,
        (2 | 130, _) => Left::Disk,
        (4 | 8, _) => Left::Stopped,
        (0x10 | 0x20, _) | (0x40, true) => Left::Dead,
        (0x40 | 0x80, false) => Left::Idle,
        _ => panic!("state {state}"),
    }
}

/// An event of ours in the same words.
fn words(event: &Event) -> Option<Told> {
    let name = |task: &Task| String::from_utf8_lossy(&task.comm).into_owned();
    let one = |task: &Task| format!("{} {} {}", name(task), task.pid, task.prio.unwrap());
    let text = match &event.kind {
        Kind::Switch { prev, state, next } => {
            format!("sched_switch {} {state:?} > {}", one(prev.as_ref().unwrap()), one(next))
        }
        Kind::Wake { wakee, target, stage, .. } => {
            let which = match stage {
                Stage::Waking => "sched_waking",
                Stage::Woken => "sched_wakeup",
                Stage::New => "sched_wakeup_new",
            };
            format!("{which} {} @{}", one(wakee), target.unwrap())
        }
        Kind::Migrate { task, from, to } => {
            format!("sched_migrate_task {} {}>{to}", one(task), from.unwrap())
        }
        Kind::Fork { parent, child } => {
            format!("sched_process_fork {} > {} {}", parent.pid, name(child), child.pid)
        }
        Kind::Exec { task, old_pid } => format!("sched_process_exec {} was {old_pid}", task.pid),
        Kind::Exit { task } => format!("sched_process_exit {}", one(task)),
        Kind::Rename { task } => format!("task_rename {} {}", task.pid, name(task)),
        _ => return None,
    };
    Some((event.ts_ns, event.cpu, text))
}

/// Every event, in every field, and in order.
fn same_as_report(file: &Path, old: bool) -> Vec<Event> {
    let events = read(file);
    let ours: Vec<Told> = events.iter().filter_map(words).collect();
    let mut theirs = report(file, old);
    theirs.sort_by_key(|told| (told.0, told.1));
    for (n, (ours, theirs)) in ours.iter().zip(&theirs).enumerate() {
        assert_eq!(ours, theirs, "event {n}");
    }
    assert_eq!(ours.len(), theirs.len());
    assert!(ours.len() > 500, "{} events", ours.len());
    events
}

#[test]
fn root_every_event_is_as_trace_cmd_reports_it() {
    let Some(instance) = Instance::new(16384) else { return };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("zstd.dat");
    // The events are those of the whole machine: what others do at the same time may be more than the ring
    // holds.
    let counted = instance.record(&file, 1);
    let events = same_as_report(&file, false);
    wakes_have_their_context(&file, &events);
    assert_eq!(losses(&events), counted);
    let reader = TraceDat::open(Box::new(fs::File::open(&file).unwrap())).unwrap();
    let header = reader.header();
    assert_eq!(header.format, "trace.dat 7");
    assert_eq!(header.clock.as_deref(), Some("local"));
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    assert_eq!(header.release.as_deref(), Some(release.trim()));
    let can = header.can;
    assert!(
        can.prev && can.waking && can.wakeup && can.waker && can.interrupt && can.migrations && !can.tgid
    );

    // The same in other clothes.
    for (name, arguments) in [("v6.dat", ["--file-version", "6"]), ("plain.dat", ["--compression", "none"])] {
        let other = folder.path().join(name);
        let mut all = vec!["convert"];
        all.extend(arguments);
        all.extend(["-i", file.to_str().unwrap(), "-o", other.to_str().unwrap()]);
        trace_cmd(&all);
        assert_eq!(read(&other), events, "{name}");
        same_from_the_middle(&other, &events);
    }
    let zlib = folder.path().join("zlib.dat");
    fs::write(&zlib, with_zlib(fs::read(folder.path().join("plain.dat")).unwrap())).unwrap();
    assert_eq!(read(&zlib), events);
}

/// Wakers and contexts by `trace-cmd report -l -R`, whose column before the time is `CPU-0xFLAGS`: 0x08 a
/// hard, 0x10 a soft interrupt (`include/linux/trace_events.h`).
fn wakes_have_their_context(file: &Path, events: &[Event]) {
    let text = trace_cmd(&["report", "-l", "-R", "-t", "-i", file.to_str().unwrap()]);
    let mut theirs: Vec<(u32, u32, bool)> = Vec::new();
    for line in text.lines().filter(|line| line.contains(": sched_waking: ")) {
        let (head, told) = line.split_once(": sched_waking: ").unwrap();
        let words: Vec<&str> = head.split_whitespace().collect();
        let flags = words[words.len() - 2].rsplit_once("-0x").unwrap().1;
        let waker = words[words.len() - 3].rsplit_once('-').unwrap().1.parse().unwrap();
        let interrupt = u32::from_str_radix(flags, 16).unwrap() & 0x18 != 0;
        theirs.push((waker, u32::try_from(value(told, " pid=")).unwrap(), interrupt));
    }
    let ours = events.iter().filter_map(|event| match &event.kind {
        Kind::Wake { wakee, waker, stage: Stage::Waking, context, .. } => {
            assert_ne!(*context, Context::Unknown);
            Some((waker.unwrap(), wakee.pid, *context == Context::Interrupt))
        }
        _ => None,
    });
    let mut ours: Vec<_> = ours.collect();
    // At one instant of two CPUs the order may differ.
    ours.sort_unstable();
    theirs.sort_unstable();
    assert!(ours.iter().any(|wake| wake.2) && ours.iter().any(|wake| !wake.2));
    assert_eq!(ours, theirs);
}

/// From an instant in the middle on, the same comes as without asking for it, and less of what was before.
fn same_from_the_middle(file: &Path, events: &[Event]) {
    let from_ns = events[events.len() / 2].ts_ns;
    let mut reader = TraceDat::open(Box::new(fs::File::open(file).unwrap())).unwrap();
    reader.skip_to(from_ns).unwrap();
    let late = |event: &Event| event.ts_ns >= from_ns;
    let rest: Vec<Event> = Events(&mut reader).map(|event| event.unwrap()).collect();
    let ours = rest.iter().filter(|event| late(event)).filter_map(words);
    assert!(ours.eq(events.iter().filter(|event| late(event)).filter_map(words)));
    let before = rest.iter().filter(|event| !late(event)).count();
    assert!(before < events.len() / 4, "{before} of {} events are before it", events.len());
}

/// trace-cmd of Debian cannot write zlib: pages of a plain file are compressed here, as `trace-cmd.dat.v7(5)`
/// says, and the options are led to them.
fn with_zlib(mut file: Vec<u8>) -> Vec<u8> {
    let number = |file: &[u8], at: usize, size: usize| {
        file[at..at + size].iter().rev().fold(0, |sum, &byte| sum << 8 | usize::from(byte))
    };
    let name = file.windows(5).position(|bytes| bytes == b"none\0").unwrap();
    file[name..name + 4].copy_from_slice(b"zlib");
    let version = name + 5;
    let mut at = version + file[version..].iter().position(|&byte| byte == 0).unwrap() + 1;
    at = number(&file, at, 8) + 16;
    loop {
        let (option, size) = (number(&file, at, 2), number(&file, at + 2, 4));
        at += 6;
        match option {
            0 => return file,
            3 => {
                let section = number(&file, at, 8);
                file[section + 2] |= 1;
                let string =
                    |from: usize| from + file[from..].iter().position(|&byte| byte == 0).unwrap() + 1;
                let mut lane = string(string(at + 8)) + 4;
                let cpus = number(&file, lane, 4);
                lane += 4;
                for _ in 0..cpus {
                    let (from, length) = (number(&file, lane + 4, 8), number(&file, lane + 12, 8));
                    let chunks: Vec<Vec<u8>> =
                        file[from..from + length].chunks(40960).map(<[u8]>::to_vec).collect();
                    let place = file.len();
                    file.extend(u32::try_from(chunks.len()).unwrap().to_le_bytes());
                    for chunk in chunks {
                        let mut zlib =
                            flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
                        zlib.write_all(&chunk).unwrap();
                        let packed = zlib.finish().unwrap();
                        file.extend(u32::try_from(packed.len()).unwrap().to_le_bytes());
                        file.extend(u32::try_from(chunk.len()).unwrap().to_le_bytes());
                        file.extend(packed);
                    }
                    let packed = file.len() - place - 4;
                    file[lane + 4..lane + 12].copy_from_slice(&(place as u64).to_le_bytes());
                    file[lane + 12..lane + 20].copy_from_slice(&(packed as u64).to_le_bytes());
                    lane += 20;
                }
            }
            _ => {}
        }
        at += size;
    }
}

#[test]
fn root_losses_are_those_of_the_kernels_statistics() {
    let Some(instance) = Instance::new(64) else { return };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("lossy.dat");
    let counted = instance.record(&file, 50);
    let events = same_as_report(&file, false);
    assert!(!counted.is_empty(), "the ring was not overwritten");
    assert_eq!(losses(&events), counted);
}

/// Events that each CPU lost, of which no loss may be without its count.
fn losses(events: &[Event]) -> BTreeMap<u32, u64> {
    let mut losses = BTreeMap::<u32, u64>::new();
    for event in events {
        if let Kind::Loss { of_cpu, count, .. } = event.kind {
            *losses.entry(of_cpu.unwrap()).or_default() += count.unwrap();
        }
    }
    losses
}

/// The real file of version 6, if it is there.
fn of_another_machine() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/recordings");
    let file = folder.join("tracedat-v6-arm64-mask2048-rtapp.dat");
    if !file.exists() {
        println!("SKIP: {} is not there", file.display());
        return None;
    }
    Some(file)
}

fn read_damaged(bytes: Vec<u8>) -> (Vec<Event>, Option<ReadError>) {
    let (events, error, _) = read_bytes(bytes);
    (events, error)
}

#[test]
fn a_damaged_file_of_version_6_does_no_harm() {
    let Some(file) = of_another_machine() else { return };
    damage::survives(&fs::read(file).unwrap(), damage::rounds(60), read_damaged, words);
}

#[test]
fn root_a_damaged_file_of_version_7_does_no_harm() {
    let Some(instance) = Instance::new(16384) else { return };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("zstd.dat");
    instance.record(&file, 1);
    damage::survives(&fs::read(&file).unwrap(), damage::rounds(60), read_damaged, words);
}

#[test]
fn a_real_file_of_version_6_of_another_machine() {
    let Some(file) = of_another_machine() else { return };
    let (events, error, skipped) = read_bytes(fs::read(&file).unwrap());
    assert!(error.is_none() && skipped == 0, "{error:?}");
    let switches = events.iter().filter(|event| matches!(event.kind, Kind::Switch { .. })).count();
    assert_eq!(switches, 1552);
    // What the states are, by `trace-cmd report -R`.
    let count = |wanted: Left| {
        events
            .iter()
            .filter(|event| matches!(event.kind, Kind::Switch { state, .. } if state == wanted))
            .count()
    };
    assert_eq!(count(Left::Runnable { preempted: Some(false) }), 648);
    assert_eq!(count(Left::Runnable { preempted: Some(true) }), 60);
    assert_eq!((count(Left::Sleep), count(Left::Disk), count(Left::Dead)), (801, 19, 24));
    if Command::new("trace-cmd").arg("list").stdout(Stdio::null()).stderr(Stdio::null()).status().is_err() {
        println!("NOTE: no trace-cmd to compare each event with");
        return;
    }
    same_as_report(&file, true);
}
