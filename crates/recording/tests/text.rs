//! Text of others, against what stands in its lines, and three texts of one run against each other.

mod common;

use common::{all, counts, foreign};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use tombola_recording::books::Figure;
use tombola_recording::event::{Event, Kind, Left};
use tombola_recording::playback::Playback;
use tombola_recording::reader;
use tombola_recording::writer::{Options, PerfettoWriter};

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

fn of_text(text: &str) -> Result<Vec<Event>, String> {
    let mut reader = reader::open_input(Box::new(std::io::Cursor::new(text.as_bytes().to_vec())))
        .map_err(|error| error.to_string())?;
    Ok(all(&mut *reader))
}

/// A task may be named with the ends of lines in it: the kernel prints them as they are. What follows such a
/// line and is none of its own is not swallowed.
#[test]
fn names_may_hold_ends_of_lines() {
    let text = "\
     a
b-7       [000] d..2.    10.000000: sched_switch: prev_comm=a
b prev_pid=7 prev_prio=120 prev_state=S ==> next_comm=c

d next_pid=8 next_prio=120
           c-8       [000] d..2.    10.000500: sched_waking: comm=cut
CPU:0 [LOST 3 EVENTS]
           c-8       [000] d..2.    10.001000: sched_switch: prev_comm=e prev_pid=8 prev_prio=120 prev_state=S ==> next_comm=f next_pid=9 next_prio=120
";
    let input = Box::new(std::io::Cursor::new(text.as_bytes().to_vec()));
    let mut reader = reader::open_input(input).unwrap();
    let events = all(&mut *reader);
    let switches: Vec<(&[u8], &[u8])> = events
        .iter()
        .filter_map(|event| match &event.kind {
            Kind::Switch { prev: Some(prev), next, .. } => Some((&prev.comm[..], &next.comm[..])),
            _ => None,
        })
        .collect();
    assert_eq!(switches, [(&b"a\nb"[..], &b"c\n\nd"[..]), (b"e", b"f")]);
    let lost = events.iter().filter(|event| matches!(event.kind, Kind::Loss { count: Some(3), .. }));
    assert_eq!((lost.count(), reader.damage().skipped), (1, 1));
}

/// Of events within one microsecond the order of the lines is all that tells which came first: it is that of
/// the events, and stays when they are written. Without it a wake would come behind the switch that it led
/// to.
#[test]
fn lines_of_one_microsecond_keep_their_order() {
    let text = "\
          <idle>-0       [001] d..2.    10.000000: sched_switch: prev_comm=swapper/1 prev_pid=0 prev_prio=120 prev_state=R ==> next_comm=a next_pid=7 next_prio=120
          <idle>-0       [000] d..2.    10.000000: sched_switch: prev_comm=swapper/0 prev_pid=0 prev_prio=120 prev_state=R ==> next_comm=b next_pid=8 next_prio=120
               b-8       [000] d..2.    10.000003: sched_switch: prev_comm=b prev_pid=8 prev_prio=120 prev_state=S ==> next_comm=swapper/0 next_pid=0 next_prio=120
               a-7       [001] d..2.    10.000003: sched_waking: comm=c pid=9 prio=120 target_cpu=002
               a-7       [001] d..2.    10.000003: sched_waking: comm=b pid=8 prio=120 target_cpu=000
          <idle>-0       [000] d..2.    10.000003: sched_switch: prev_comm=swapper/0 prev_pid=0 prev_prio=120 prev_state=R ==> next_comm=b next_pid=8 next_prio=120
";
    let mut reader = reader::open_input(Box::new(std::io::Cursor::new(text.as_bytes().to_vec()))).unwrap();
    let events = all(&mut *reader);
    let order = |events: &[Event]| -> Vec<(u64, u32, &str)> {
        events.iter().map(|event| (event.ts_ns, event.cpu, event.kind.name())).collect()
    };
    let (zero, three) = (10_000_000_000, 10_000_003_000);
    let lines = [
        (zero, 1, "switch"),
        (zero, 0, "switch"),
        (three, 0, "switch"),
        (three, 1, "waking"),
        (three, 1, "waking"),
        (three, 0, "switch"),
    ];
    assert_eq!(order(&events), lines);
    let again = |numbers: bool| {
        let mut writer =
            PerfettoWriter::new(Vec::new(), reader.header(), Options { numbers, ..Options::default() })
                .unwrap();
        for event in &events {
            writer.event(event).unwrap();
        }
        let bytes = writer.finish(None).unwrap();
        all(&mut *reader::open_input(Box::new(std::io::Cursor::new(bytes))).unwrap())
    };
    assert_eq!(order(&again(true)), lines);
    assert_ne!(order(&again(false)), lines, "without numbers it is the CPUs' order, or this shows nothing");
}

/// Lines of `perf script`, whose times are `times` in microseconds.
fn script(times: impl Iterator<Item = u64>) -> String {
    let line = |us: u64| {
        format!(
            "  a 7 [000] {}.{:06}: sched:sched_waking: comm=b pid=8 prio=120 target_cpu=000\n",
            us / 1_000_000,
            us % 1_000_000
        )
    };
    times.map(line).collect()
}

#[test]
fn differences_are_not_taken_for_times() {
    let steps = [3u64, 900, 12, 7, 45, 2, 2, 310, 1, 66, 5, 5, 80, 4, 1000, 9, 30, 2, 11, 6, 77, 1];
    let error = of_text(&script(steps.into_iter())).unwrap_err();
    assert!(error.contains("--deltatime"), "{error}");
    // The same as times, and two files of one CPU each, one behind the other.
    let times = || {
        steps.into_iter().scan(5_000_000, |at, step| {
            *at += step;
            Some(*at)
        })
    };
    assert_eq!(of_text(&script(times())).map(|events| events.len()), Ok(22));
    assert_eq!(of_text(&script(times().chain(times()))).map(|events| events.len()), Ok(44));
}

#[test]
fn events_without_time_or_cpu_are_called_so() {
    for line in [
        "  a 7 [000] sched:sched_switch: prev_comm=a prev_pid=7 prev_prio=120 prev_state=S ==> next_comm=b next_pid=8 next_prio=120\n",
        "  a 7 5.000001: sched:sched_switch: prev_comm=a prev_pid=7 prev_prio=120 prev_state=S ==> next_comm=b next_pid=8 next_prio=120\n",
    ] {
        let error = of_text(line).unwrap_err();
        assert!(
            error.contains("line 1 names an event") && error.contains("comm,tid,cpu,time,event,trace"),
            "{error}"
        );
    }
}

/// The kernel's own text of one buffer, with and without the options `fields` and `latency-format`: times of
/// the latter count from the begin of the buffer.
#[test]
fn root_the_latency_format_and_fields_tell_the_same() {
    let instance =
        PathBuf::from(format!("/sys/kernel/tracing/instances/tombola_latency_{}", std::process::id()));
    if std::fs::create_dir(&instance).is_err() {
        println!("SKIP: no instance of tracefs can be made");
        return;
    }
    let set =
        |file: &str, value: &str| std::fs::write(instance.join(file), value).expect("a file of tracefs");
    for event in ["sched_switch", "sched_waking"] {
        set(&format!("events/sched/{event}/enable"), "1");
    }
    std::thread::sleep(std::time::Duration::from_millis(100));
    set("tracing_on", "0");
    let text = || std::fs::read_to_string(instance.join("trace")).expect("UTF-8");
    let plain = text();
    set("trace_options", "latency-format");
    let latency = text();
    set("trace_options", "nolatency-format");
    // From 6.4 on.
    let has_fields = instance.join("options/fields").exists();
    if has_fields {
        set("options/fields", "1");
    }
    let fields = text();
    std::fs::remove_dir(&instance).expect("nobody uses it");
    assert!(!has_fields || fields.contains("prev_state=0x"), "{fields}");
    let (plain, latency) = (of_text(&plain).expect("text"), of_text(&latency).expect("text"));
    assert_eq!(plain, of_text(&fields).expect("text"));
    assert!(plain.len() > 10, "{}", plain.len());
    assert_eq!(plain.len(), latency.len());
    for (one, other) in plain.iter().zip(&latency) {
        assert_eq!((one.cpu, &one.kind), (other.cpu, &other.kind));
        // Both are cut to microseconds, one of them after the begin was taken off.
        let between = (one.ts_ns - plain[0].ts_ns).abs_diff(other.ts_ns - latency[0].ts_ns);
        assert!(between <= 1000, "{between} ns");
    }
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

/// Run time (ms) by thread id, as `perf sched timehist --summary` prints it: ` comm[pid] parent sched-in
/// run-time …`.
fn perf_runtimes(summary: &str) -> BTreeMap<u32, (u64, f64)> {
    let row = |line: &str| {
        let (who, rest) = line.rsplit_once(']')?;
        // A thread is `[tid/pid]`. Its last switch is not in perf's sum (see [`unattributed`]).
        let pid = who.rsplit_once('[')?.1.parse().ok()?;
        let mut cells = rest.split_whitespace().skip(1);
        Some((pid, (cells.next()?.parse().ok()?, cells.next()?.parse().ok()?)))
    };
    summary.lines().filter_map(row).collect()
}

/// Who ended in a sample without a thread id: perf counts that slice for nobody. The kernel gives the id −1
/// to the last switch of a thread, which is taken apart already, and to that of a leader whose parent asked
/// for it before.
fn unattributed(script: &str) -> BTreeSet<u32> {
    let ended = |line: &str| {
        let (_, prev) = line.trim_start().strip_prefix(":-1 ")?.split_once("prev_pid=")?;
        prev.split_once(' ')?.0.parse().ok()
    };
    script.lines().filter_map(ended).collect()
}

#[test]
#[ignore = "root: records with perf"]
fn root_run_times_are_those_of_perf_sched_timehist() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("sched.data");
    let perf =
        |arguments: &[&str]| Command::new("perf").args(arguments).arg("-i").arg(&file).output().unwrap();
    let load = ["sched", "record", "-q", "-o"];
    let recorded = Command::new("perf")
        .args(load)
        .arg(&file)
        .args(["perf", "bench", "sched", "messaging", "-g", "2", "-l", "200"])
        .output();
    if !recorded.is_ok_and(|output| output.status.success()) {
        println!("SKIP: perf cannot record here");
        return;
    }
    let text = folder.path().join("script.txt");
    let script = perf(&["script", "--ns", "-F", "comm,tid,cpu,time,event,trace"]).stdout;
    let unattributed = unattributed(&String::from_utf8_lossy(&script));
    std::fs::write(&text, script).unwrap();
    let theirs = perf_runtimes(&String::from_utf8_lossy(&perf(&["sched", "timehist", "--summary"]).stdout));
    let mut playback = Playback::new(reader::open(&text).unwrap());
    playback.advance_to_end().unwrap();
    assert_eq!(playback.damage().skipped, 0);
    // Of tasks that came to their end in the recording perf and we know the same, but where a switch was
    // hidden.
    let (mut compared, mut hidden) = (0, 0);
    for ended in playback.snapshot_at_end().exited {
        if unattributed.contains(&ended.totals.id.pid) {
            continue;
        }
        let Some((slices, ms)) = theirs.get(&ended.totals.id.pid) else { continue };
        let sure = playback.certainty(ended.totals.id);
        let usage = &ended.totals.usage;
        let Figure::Exact(ns) = sure.runtime(usage.runtime_ns) else {
            hidden += 1;
            continue;
        };
        let ours = ns as f64 / 1e6;
        // Perf prints whole microseconds, each slice counted in nanoseconds.
        assert!((ours - ms).abs() < 0.0011, "{:?}: {ours} ms, perf has {ms} ms", ended.totals);
        assert_eq!(usage.switches, *slices, "{:?}", ended.totals);
        compared += 1;
    }
    if compared < 20 && hidden > compared {
        println!("SKIP: this kernel hides switches of {hidden} of {} tasks", compared + hidden);
        return;
    }
    assert!(compared >= 20, "{compared} tasks compared");
    println!("{compared} tasks have the same run time and switches, {hidden} with hidden switches left out");
}
