//! The reader of perf.data against perf itself: `perf script` and `perf sched timehist` of the same files,
//! which are made here.
#![allow(clippy::unwrap_used)] // a test stops where something is not as it should be

mod damage;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tombola_recording::capabilities::Scope;
use tombola_recording::event::{Event, Kind, Left, Stage};
use tombola_recording::reader::perf_data::PerfData;
use tombola_recording::reader::{Events, ReadError, Reader};

const EVENTS: &str = "sched:sched_switch,sched:sched_waking,sched:sched_wakeup,sched:sched_wakeup_new,sched:sched_migrate_task,\
    sched:sched_process_fork,sched:sched_process_exec,sched:sched_process_exit,task:task_rename";

/// Tells why a test cannot run.
fn skip(why: &str) -> Option<PathBuf> {
    println!("SKIP: {why}");
    None
}

/// Records a small mixture of pipes and forks with the perf of this machine; `None`, with the reason told,
/// where that cannot be.
fn record(folder: &Path, name: &str, more: &[&str]) -> Option<PathBuf> {
    let file = folder.join(name);
    let file_name = file.to_str().unwrap();
    let mut arguments = vec!["record", "-q", "-a", "-e", EVENTS, "-o", file_name];
    arguments.extend(more);
    arguments.extend(["--", "perf", "bench", "sched", "messaging", "-g", "1", "-l", "60"]);
    let Ok(output) = Command::new("perf").args(&arguments).stdin(Stdio::null()).output() else {
        return skip("no perf");
    };
    if !output.status.success() {
        return skip(&format!("perf cannot record here: {}", String::from_utf8_lossy(&output.stderr)));
    }
    Some(file)
}

fn perf(arguments: &[&str]) -> String {
    let output = Command::new("perf").args(arguments).stdin(Stdio::null()).output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn read_bytes(bytes: Vec<u8>) -> (Vec<Event>, Option<ReadError>) {
    let mut reader = match PerfData::open(Box::new(Cursor::new(bytes))) {
        Ok(reader) => reader,
        Err(error) => return (Vec::new(), Some(error)),
    };
    let mut events = Vec::new();
    loop {
        match reader.next_event() {
            Ok(Some(event)) => events.push(event),
            Ok(None) => return (events, None),
            Err(error) => {
                assert!(matches!(reader.next_event(), Ok(None)), "an error is told once");
                return (events, Some(error));
            }
        }
    }
}

fn read(file: &Path) -> Vec<Event> {
    let (events, error) = read_bytes(fs::read(file).unwrap());
    assert!(error.is_none(), "{error:?}");
    events
}

/// A line of `perf script`, in the words of the tests: time, CPU, event and its numbers.
type Told = (u64, u32, String);

fn value<'a>(line: &'a str, key: &str) -> &'a str {
    let at = line.rfind(key).unwrap_or_else(|| panic!("no {key} in {line}")) + key.len();
    line[at..].split_whitespace().next().unwrap()
}

/// The text between two keys: names hold blanks.
fn between<'a>(line: &'a str, from: &str, to: &str) -> &'a str {
    let line = &line[line.find(from).unwrap_or_else(|| panic!("no {from} in {line}")) + from.len()..];
    &line[..line.find(to).unwrap()]
}

/// What `perf script` printed of a file.
fn script(text: &str) -> Vec<Told> {
    let mut all = Vec::new();
    for line in text.lines() {
        let Some((head, rest)) = line.split_once(": ") else { continue };
        let (cpu, time) = head.trim().split_once("] ").unwrap();
        let cpu = cpu.trim_start_matches('[').trim().parse().unwrap();
        let (seconds, nanoseconds) = time.trim().split_once('.').unwrap();
        let ts = seconds.parse::<u64>().unwrap() * 1_000_000_000 + nanoseconds.parse::<u64>().unwrap();
        let (event, told) = rest.trim().split_once(": ").unwrap();
        let short = event.trim().rsplit(':').next().unwrap();
        let one = || format!("{} {}", between(told, "comm=", " pid="), value(told, " pid="));
        let words = match short {
            "sched_switch" => format!(
                "{} {} {} {} > {} {} {}",
                between(told, "prev_comm=", " prev_pid="),
                value(told, "prev_pid="),
                value(told, "prev_prio="),
                value(told, "prev_state="),
                between(told, "next_comm=", " next_pid="),
                value(told, "next_pid="),
                value(told, "next_prio=")
            ),
            "sched_waking" | "sched_wakeup" | "sched_wakeup_new" => {
                let target = value(told, "target_cpu=").parse::<u32>().unwrap();
                format!("{} {} @{target}", one(), value(told, "prio="))
            }
            "sched_migrate_task" => {
                format!(
                    "{} {} {}>{}",
                    one(),
                    value(told, "prio="),
                    value(told, "orig_cpu="),
                    value(told, "dest_cpu=")
                )
            }
            "sched_process_fork" => format!(
                "{} > {} {}",
                between(told, " pid=", " child_comm="),
                between(told, "child_comm=", " child_pid="),
                value(told, "child_pid=")
            ),
            "sched_process_exec" => format!("{} was {}", value(told, " pid="), value(told, "old_pid=")),
            "sched_process_exit" => format!("{} {}", one(), value(told, "prio=")),
            "task_rename" => {
                format!("{} {}", value(told, "pid="), between(told, "newcomm=", " oom_score_adj="))
            }
            _ => continue,
        };
        all.push((ts, cpu, format!("{short} {words}")));
    }
    all
}

/// The letters of the kernel since 4.14.
fn letters(state: Left) -> &'static str {
    match state {
        Left::Runnable { preempted: Some(true) } => "R+",
        Left::Runnable { .. } => "R",
        Left::Sleep => "S",
        Left::Disk => "D",
        Left::Stopped => "T",
        Left::Dead => "X",
        Left::Idle => "I",
        _ => "?",
    }
}

/// An event of ours in the same words.
fn words(event: &Event) -> Option<Told> {
    let name = |comm: &[u8]| String::from_utf8_lossy(comm).into_owned();
    let one = |task: &tombola_recording::event::Task| {
        format!("{} {} {}", name(&task.comm), task.pid, task.prio.unwrap_or(i32::MIN))
    };
    let text = match &event.kind {
        Kind::Switch { prev, state, next } => {
            format!("sched_switch {} {} > {}", one(prev.as_ref().unwrap()), letters(*state), one(next))
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
            format!("sched_process_fork {} > {} {}", parent.pid, name(&child.comm), child.pid)
        }
        Kind::Exec { task, old_pid } => format!("sched_process_exec {} was {old_pid}", task.pid),
        Kind::Exit { task } => format!("sched_process_exit {}", one(task)),
        Kind::Rename { task } => format!("task_rename {} {}", task.pid, name(&task.comm)),
        _ => return None,
    };
    Some((event.ts_ns, event.cpu, text))
}

/// Every event, in every field, and in order. perf prints T and t, X and Z apart, which are one state here.
fn same_as_script(file: &Path) -> Vec<Event> {
    same_as(file, &perf(&["script", "--ns", "-F", "cpu,time,event,trace", "-i", file.to_str().unwrap()]))
}

fn same_as(file: &Path, text: &str) -> Vec<Event> {
    let events = read(file);
    let mut theirs = script(text);
    // What no tracepoint told comes from perf's own records, which perf prints in other words.
    let event = |told: &Told| told.2.split(' ').next().map(str::to_owned);
    let traced: BTreeSet<_> = theirs.iter().map(event).collect();
    let ours: Vec<Told> =
        events.iter().filter_map(words).filter(|told| traced.contains(&event(told))).collect();
    // Where two CPUs have one instant perf keeps the order of the file, and this reader that of the CPUs.
    theirs.sort_by_key(|told| (told.0, told.1));
    for told in &mut theirs {
        for (old, new) in [(" Z > ", " X > "), (" t > ", " T > ")] {
            told.2 = told.2.replace(old, new);
        }
    }
    for (n, (ours, theirs)) in ours.iter().zip(&theirs).enumerate() {
        assert_eq!(ours, theirs, "event {n}");
    }
    assert_eq!(ours.len(), theirs.len());
    assert!(ours.len() > 100, "{} events", ours.len());
    let ordered = events.windows(2).all(|two| two[0].ts_ns <= two[1].ts_ns);
    assert!(ordered, "sorted over all CPUs");
    events
}

/// From an instant in the middle on, the same comes as without asking for it.
fn same_from_the_middle(file: &Path, events: &[Event]) {
    let from_ns = events[events.len() / 2].ts_ns;
    let mut reader = PerfData::open(Box::new(fs::File::open(file).unwrap())).unwrap();
    reader.skip_to(from_ns).unwrap();
    let late = |event: &Event| event.ts_ns >= from_ns;
    let rest: Vec<Event> = Events(&mut reader).map(|event| event.unwrap()).filter(late).collect();
    let (ours, all) =
        (rest.iter().filter_map(words), events.iter().filter(|event| late(event)).filter_map(words));
    assert!(ours.eq(all));
}

/// A thread of perf's summary: switches in, run time in µs.
type Sums = BTreeMap<u32, (u64, u64)>;

/// The summary of `perf sched timehist`: `name[tid/pid] parent count run-time …`.
fn timehist(file: &Path) -> (Sums, u64) {
    let text = perf(&["sched", "timehist", "-s", "-i", file.to_str().unwrap()]);
    let mut sums = Sums::new();
    let mut switches = 0;
    for line in text.lines() {
        if let Some(total) = line.strip_prefix("Total number of context switches:") {
            switches = total.trim().parse().unwrap();
        }
        let Some((task, rest)) = line.rsplit_once(']') else { continue };
        let fields: Vec<&str> = rest.split_whitespace().collect();
        let Some((_, ids)) = task.rsplit_once('[') else { continue };
        let (Ok(tid), [_, count, run, ..]) = (ids.split('/').next().unwrap().parse(), fields.as_slice())
        else {
            continue;
        };
        let microseconds = run.replace('.', "").parse().unwrap();
        sums.insert(tid, (count.parse().unwrap(), microseconds));
    }
    (sums, switches)
}

/// Per thread and CPU, as perf counts: from the CPU's last switch to the one in which the thread leaves.
fn sums(events: &[Event]) -> (Sums, u64) {
    let (mut sums, mut last, mut switches) = (BTreeMap::<u32, (u64, u64)>::new(), BTreeMap::new(), 0);
    for event in events {
        let Kind::Switch { prev: Some(prev), .. } = &event.kind else { continue };
        switches += 1;
        let since = last.insert(event.cpu, event.ts_ns).unwrap_or(event.ts_ns);
        if prev.pid != 0 {
            let sum = sums.entry(prev.pid).or_default();
            sum.0 += 1;
            sum.1 += event.ts_ns - since;
        }
    }
    for sum in sums.values_mut() {
        sum.1 /= 1000;
    }
    (sums, switches)
}

#[test]
fn root_every_event_is_as_perf_script_prints_it() {
    let folder = tempfile::tempdir().unwrap();
    let Some(file) = record(folder.path(), "plain", &[]) else { return };
    let events = same_as_script(&file);
    same_from_the_middle(&file, &events);
    let mut reader = PerfData::open(Box::new(fs::File::open(&file).unwrap())).unwrap();
    let header = reader.header().clone();
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    assert_eq!(header.release.as_deref(), Some(release.trim()));
    assert_eq!(header.clock.as_deref(), Some("perf"));
    let can = header.can;
    assert!(can.prev && can.waking && can.wakeup && can.fork_exit && can.migrations && can.tgid && can.waker);
    while reader.next_event().unwrap().is_some() {}
    assert_eq!(reader.damage().skipped, 0);
    // perf itself was there before the recording: its process is known from perf's own records, as is that of
    // every child.
    let named = |event: &Event| match &event.kind {
        Kind::Switch { prev: Some(prev), .. } => prev.tgid.is_some(),
        _ => true,
    };
    let unknown = events.iter().filter(|event| !named(event)).count();
    assert!(unknown * 100 < events.len(), "{unknown} of {} without a process", events.len());
}

#[test]
fn root_sums_are_those_of_timehist() {
    let folder = tempfile::tempdir().unwrap();
    let Some(file) = record(folder.path(), "plain", &[]) else { return };
    let (theirs, their_switches) = timehist(&file);
    let (ours, switches) = sums(&read(&file));
    assert_eq!(switches, their_switches);
    assert!(theirs.len() > 20, "{theirs:?}");
    // perf notes thread −1 for one that ends and is reaped already, and timehist books its last switches to
    // nobody.
    let mut nameless = BTreeMap::<u32, u64>::new();
    for line in perf(&["script", "-F", "tid,event,trace", "-i", file.to_str().unwrap()]).lines() {
        if line.trim().starts_with("-1 ") && line.contains("sched_switch:") {
            *nameless.entry(value(line, "prev_pid=").parse().unwrap()).or_default() += 1;
        }
    }
    for (tid, &(count, run_us)) in &theirs {
        let ours = ours[tid];
        let of_nobody = nameless.get(tid).copied().unwrap_or(0);
        assert_eq!(ours.0, count + of_nobody, "switches of {tid}");
        if of_nobody == 0 {
            assert!(ours.1.abs_diff(run_us) <= 1, "{tid}: {} µs here, {run_us} there", ours.1);
        }
    }
}

#[test]
fn root_compressed_and_plain_say_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let Some(file) = record(folder.path(), "packed", &["-z"]) else { return };
    same_as_script(&file);
}

#[test]
fn root_a_clock_of_choice_has_its_instant_on_the_wall() {
    let folder = tempfile::tempdir().unwrap();
    let Some(file) = record(folder.path(), "clock", &["-k", "CLOCK_MONOTONIC"]) else { return };
    let events = same_as_script(&file);
    let reader = PerfData::open(Box::new(fs::File::open(&file).unwrap())).unwrap();
    assert_eq!(reader.header().clock.as_deref(), Some("monotonic"));
    let (clock_ns, wall_us) = reader.header().wall.unwrap();
    let now_us = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_micros();
    let age_us = now_us - u128::from(wall_us);
    assert!(age_us < 600_000_000, "recorded {age_us} µs ago");
    assert!(events[0].ts_ns.abs_diff(clock_ns) < 60_000_000_000);
}

/// perf's own records begin before its samples do, here by more than 300 ms.
#[test]
fn root_a_recording_begins_with_its_first_sample() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("late");
    let name = file.to_str().unwrap();
    let record = Command::new("perf")
        .args(["record", "-q", "-a", "-D", "300", "-e", "sched:sched_switch", "-o", name, "--"])
        .args(["sh", "-c", "for n in 1 2 3 4 5 6 7 8; do /bin/true; sleep 0.1; done"])
        .stderr(Stdio::null())
        .status();
    if !record.is_ok_and(|status| status.success()) {
        skip("no perf, or it cannot record here");
        return;
    }
    let events = read(&file);
    let text = perf(&["script", "--ns", "-F", "time,event", "-i", name]);
    let first = text.lines().next().unwrap().split_once(':').unwrap().0.trim().replace('.', "");
    assert_eq!(events[0].ts_ns, first.parse::<u64>().unwrap());
    let early = perf(&["script", "--ns", "--show-task-events", "-F", "time,event", "-i", name]);
    let times =
        early.lines().filter_map(|line| line.split_once(':')?.0.trim().replace('.', "").parse::<u64>().ok());
    let before = times.filter(|&ts_ns| ts_ns > 0 && ts_ns < events[0].ts_ns).count();
    assert!(before > 0, "perf told nothing of its own before the first sample: this shows nothing");
}

#[test]
fn root_whose_events_they_are_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let scope = |name: &str, of: &[&str]| {
        let file = folder.path().join(name);
        let mut arguments = vec!["record", "-q", "-e", "sched:sched_switch", "-o", file.to_str().unwrap()];
        arguments.extend(of);
        let status = Command::new("perf").args(&arguments).stderr(Stdio::null()).status();
        if !status.is_ok_and(|status| status.success()) {
            return skip("no perf, or it cannot record here").map(|_| Scope::Whole);
        }
        let reader = PerfData::open(Box::new(fs::File::open(&file).unwrap())).unwrap();
        Some(reader.header().scope)
    };
    let Some(whole) = scope("whole", &["-a", "--", "sleep", "0.1"]) else { return };
    assert_eq!(whole, Scope::Whole);
    assert_eq!(scope("command", &["sleep", "0.1"]), Some(Scope::Tasks));
    let own = std::process::id().to_string();
    assert_eq!(scope("process", &["-p", &own, "--", "sleep", "0.1"]), Some(Scope::Tasks));
    assert_eq!(scope("cpu", &["-C", "0", "--", "sleep", "0.1"]), Some(Scope::Cpus));
    assert_eq!(
        scope("filter", &["-a", "--filter", "prev_pid>0", "--", "sleep", "0.1"]),
        Some(Scope::Filtered)
    );
}

/// The same as [`record`], through a pipe.
fn record_pipe(folder: &Path, more: &[&str]) -> Option<PathBuf> {
    let file = folder.join("pipe");
    let record = Command::new("perf")
        .args(["record", "-q", "-a", "-e", EVENTS, "-o", "-"])
        .args(more)
        .args(["--", "bash", "-c", "perf bench sched messaging -g 1 -l 60 >&2"])
        .stdout(fs::File::create(&file).unwrap())
        .stderr(Stdio::null())
        .status();
    if !record.is_ok_and(|status| status.success()) {
        return skip("no perf, or it cannot record here");
    }
    Some(file)
}

#[test]
fn root_a_pipe_says_the_same_as_perf_script() {
    let folder = tempfile::tempdir().unwrap();
    let Some(file) = record_pipe(folder.path(), &[]) else { return };
    let events = same_as_script(&file);
    let reader = PerfData::open(Box::new(fs::File::open(&file).unwrap())).unwrap();
    assert_eq!(reader.header().format, "perf.data from a pipe");
    assert!(reader.header().release.is_some());
    // Cut anywhere, a pipe's output gives what was whole: its event formats stand first.
    let bytes = fs::read(&file).unwrap();
    let (cut, error) = read_bytes(bytes[..bytes.len() - 1].to_vec());
    assert!(matches!(error, Some(ReadError::CutOff { .. })), "{error:?}");
    assert_eq!(cut[..], events[..cut.len()]);
    assert!(cut.len() + 100 > events.len());
}

#[test]
fn root_losses_are_told_once_with_their_place() {
    let folder = tempfile::tempdir().unwrap();
    let Some(file) = record(folder.path(), "lossy", &["-m", "1"]) else { return };
    let events = same_as_script(&file);
    let losses = |placed: bool| {
        let of = |event: &Event| match event.kind {
            Kind::Loss { of_cpu, count, .. } if of_cpu.is_some() == placed => count,
            _ => None,
        };
        events.iter().filter_map(of).sum::<u64>()
    };
    let text =
        perf(&["script", "--show-lost-events", "-F", "cpu,time,event,trace", "-i", file.to_str().unwrap()]);
    let placed: u64 = text
        .lines()
        .filter(|line| line.contains("PERF_RECORD_LOST lost"))
        .map(|line| value(line, "lost ").parse::<u64>().unwrap())
        .sum();
    if placed == 0 {
        println!("NOTE: nothing was lost");
    }
    assert_eq!(losses(true), placed);
    // The kernel counts per event the samples that met a full ring, and perf writes that at the end. What no
    // later write could report has no place.
    let stats = perf(&["report", "--stats", "-i", file.to_str().unwrap()]);
    let per_event = stats.split_once("sched:sched_switch stats:").map_or("", |(_, rest)| rest).lines();
    let counted: u64 = per_event
        .filter(|line| line.contains("LOST_SAMPLES events:"))
        .map(|line| value(line, "events:").parse::<u64>().unwrap())
        .sum();
    assert_eq!(
        losses(true) + losses(false),
        placed.max(counted),
        "{placed} by LOST, {counted} by LOST_SAMPLES"
    );
}

#[test]
fn root_damaged_files_do_no_harm() {
    let folder = tempfile::tempdir().unwrap();
    for (name, more) in [("plain", &[][..]), ("packed", &["-z"])] {
        let Some(file) = record(folder.path(), name, more) else { return };
        damage::survives(&fs::read(&file).unwrap(), damage::rounds(60), read_bytes, words);
    }
    let Some(pipe) = record_pipe(folder.path(), &[]) else { return };
    damage::survives(&fs::read(&pipe).unwrap(), damage::rounds(60), read_bytes, words);
    let Some(pipe) = record_pipe(folder.path(), &["-z"]) else { return };
    damage::survives(&fs::read(&pipe).unwrap(), damage::rounds(60), read_bytes, words);
}

/// Of other versions of perf: `TOMBOLA_PERF_FILES` is a folder of recordings, each with `FILE.script` beside
/// it, which the perf that wrote it printed by `perf script --ns -F cpu,time,event,trace -i FILE`.
#[test]
#[ignore = "files: recordings of other versions of perf"]
fn files_of_other_versions() {
    let Some(folder) = std::env::var_os("TOMBOLA_PERF_FILES") else {
        skip("TOMBOLA_PERF_FILES names no folder");
        return;
    };
    for script in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if script.extension().is_none_or(|end| end != "script") {
            continue;
        }
        let file = script.with_extension("");
        let events = same_as(&file, &fs::read_to_string(&script).unwrap());
        println!("NOTE: {}: {} events", file.display(), events.len());
    }
}
