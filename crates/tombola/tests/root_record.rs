//! `tombola record` against the live kernel: what is in the file is what it says, whatever ends it.
#![allow(clippy::unwrap_used)] // the functions the tests share are no #[test] themselves

mod common;

use common::program::{Running, tombola};
use common::{ok, wait_for};
use nix::sched::{CpuSet, sched_setaffinity, sched_yield};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::signal::Signal;
use nix::time::{ClockId, clock_gettime};
use nix::unistd::{Pid, gettid};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;
use tempfile::TempDir;
use tombola_core::interference::Interference;
use tombola_core::shared::Shared;
use tombola_core::snapshot::TaskTotals;
use tombola_kernel::{InterferenceMonitor, MaxPairs, PrivateMonitor, Settings};
use tombola_recording::event::{Event, Kind, Left};
use tombola_recording::fact::Fact;
use tombola_recording::interval::What;
use tombola_recording::life::Doing;
use tombola_recording::normaliser::Normaliser;
use tombola_recording::playback::Playback;
use tombola_recording::reader;

/// What a file holds, read by the crate's reader.
struct Read {
    events: Vec<Event>,
    normaliser: Normaliser,
    facts: Vec<Fact>,
}

impl Read {
    fn file(path: &Path) -> Self {
        let mut reader = reader::open(path).unwrap();
        let mut normaliser = Normaliser::new(reader.header());
        let (mut events, mut facts) = (Vec::new(), Vec::new());
        while let Some(event) = reader.next_event().unwrap() {
            normaliser.event(&event);
            facts.extend(normaliser.facts());
            events.push(event);
        }
        normaliser.finish(reader.header().end_ns);
        facts.extend(normaliser.facts());
        Self { events, normaliser, facts }
    }

    /// Events of the kernel, and those it tells to be lost.
    fn counted(&self) -> (u64, u64) {
        self.events.iter().fold((0, 0), |(events, lost), event| match event.kind {
            Kind::Loss { count, .. } => (events, lost + count.unwrap()),
            Kind::Attributes { .. } | Kind::Group { .. } | Kind::Throttled { .. } | Kind::Asleep { .. } => {
                (events, lost)
            }
            _ => (events + 1, lost),
        })
    }

    /// Run time of every thread and its switches, each slice with the task that leaves at its end, as the
    /// monitor books it.
    fn slices(&self) -> BTreeMap<u32, (u64, u64)> {
        let (mut since, mut sums) = (BTreeMap::new(), BTreeMap::new());
        for event in &self.events {
            if let Kind::Switch { prev: Some(prev), .. } = &event.kind
                && let Some(before) = since.insert(event.cpu, event.ts_ns)
            {
                let sum: &mut (u64, u64) = sums.entry(prev.pid).or_default();
                *sum = (sum.0 + event.ts_ns - before, sum.1 + 1);
            }
        }
        sums
    }
}

/// "recorded: W events written + L lost = C counted".
fn totals(said: &str) -> (u64, u64, u64) {
    let line = said.lines().find(|line| line.starts_with("recorded: ")).unwrap_or_else(|| panic!("{said}"));
    let numbers: Vec<u64> = line.split(' ').filter_map(|word| word.parse().ok()).collect();
    assert!(!line.contains("UNACCOUNTED"), "{line}");
    (numbers[0], numbers[1], numbers[2])
}

/// Pipes, and processes that are born and end.
const BUSY: &str =
    "for i in $(seq 40); do (for j in $(seq 300); do echo $j; done) | (while read x; do :; done); done";

fn record(dir: &TempDir, flags: &[&str], command: &[&str]) -> (PathBuf, String) {
    let file = dir.path().join("x.pftrace");
    let mut args = vec!["record", "-o", file.to_str().unwrap()];
    args.extend(flags);
    if !command.is_empty() {
        args.push("--");
        args.extend(command);
    }
    let said = ok(&tombola(&args).output().unwrap());
    (file, said)
}

#[test]
#[ignore = "root: loads BPF programs"]
fn root_record_writes_what_it_counted() {
    let dir = TempDir::new().unwrap();
    let (file, said) = record(&dir, &[], &["sh", "-c", BUSY]);
    let (written, lost, counted) = totals(&said);
    assert_eq!((written + lost, lost), (counted, 0), "{said}");
    let read = Read::file(&file);
    assert_eq!(read.counted(), (written, 0));
    let births = read.events.iter().filter(|e| matches!(e.kind, Kind::Fork { .. })).count();
    assert!(births >= 80, "{births}");
    let nameless = read.events.iter().filter(|event| match &event.kind {
        Kind::Switch { next, .. } => next.comm.is_empty(),
        Kind::Wake { wakee, .. } => wakee.comm.is_empty(),
        _ => false,
    });
    let nameless: Vec<_> = nameless.take(3).collect();
    assert!(nameless.is_empty(), "every task has a name: {nameless:#?}");
    let repairs = read.normaliser.repairs();
    assert_eq!(repairs.backwards, 0, "{repairs:?}");
}

#[test]
#[ignore = "root: loads BPF programs"]
fn root_record_tells_what_a_tiny_lane_lost() {
    let dir = TempDir::new().unwrap();
    // Tasks are asked once a second.
    let (file, said) = record(&dir, &["--lane", "64"], &["sh", "-c", &format!("{BUSY}; sleep 1.5")]);
    let (written, lost, counted) = totals(&said);
    assert!(lost > 0, "{said}");
    assert_eq!(written + lost, counted, "{said}");
    let read = Read::file(&file);
    assert_eq!(read.counted(), (written, lost), "{said}");
    // Behind a loss nobody knows who does what: who sleeps is told anew.
    let is_loss = |event: &&Event| matches!(event.kind, Kind::Loss { .. });
    let first_ns = read.events.iter().find(is_loss).unwrap().ts_ns;
    let is_told = |event: &Event| matches!(event.kind, Kind::Asleep { .. }) && event.ts_ns > first_ns;
    assert!(read.events.iter().any(is_told), "{said}");
    let strict = tombola(&["record", "-o", file.to_str().unwrap(), "--force", "--strict", "--lane", "64"])
        .args(["--", "sh", "-c", BUSY])
        .output()
        .unwrap();
    assert_eq!(strict.status.code(), Some(3));
}

#[test]
#[ignore = "root: loads BPF programs"]
fn root_record_adds_up_to_the_monitors_books() {
    let dir = TempDir::new().unwrap();
    let monitor = PrivateMonitor::start(&Settings::default()).unwrap();
    let load = [
        env!("CARGO_BIN_EXE_tombola"),
        "workload",
        "--threads",
        "3",
        "--duration",
        "1",
        "--pattern",
        "sleep",
    ];
    let (file, said) = record(&dir, &[], &load);
    assert_eq!(totals(&said).1, 0, "{said}");
    let snapshot = monitor.reader().snapshot().unwrap();
    let burners: Vec<_> = snapshot.exited.iter().filter(|end| end.totals.comm == b"tombola-burn").collect();
    assert_eq!(burners.len(), 3);
    let read = Read::file(&file);
    let slices = read.slices();
    let unknown = read.facts.iter().filter_map(|fact| match fact {
        Fact::Cpu(interval) if interval.doubt.is_some() => Some(interval.to_ns - interval.from_ns),
        _ => None,
    });
    let unknown_ns: u64 = unknown.sum();
    for burner in burners {
        let (pid, usage) = (burner.totals.id.pid, &burner.totals.usage);
        assert_eq!(slices.get(&pid), Some(&(usage.runtime_ns, usage.switches)), "thread {pid}");
        let of = read.facts.iter().filter_map(|fact| match fact {
            Fact::Task(interval) if interval.task.pid == pid => match interval.what {
                What::Running { .. } => Some(interval.ns()),
                _ => None,
            },
            _ => None,
        });
        let (running, exact): (u64, _) = (of.sum(), usage.runtime_ns);
        // A slice in which the kernel has hidden a switch is nobody's: it is missing here, and is in what a
        // CPU did that is not known.
        assert!(
            running <= exact && exact - running <= unknown_ns,
            "{pid}: {running} of {exact}, {unknown_ns} unknown"
        );
    }
}

#[test]
#[ignore = "root: loads BPF programs"]
fn root_record_leaves_a_readable_file_after_sigkill() {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("killed.pftrace");
    let command = tombola(&["record", "-o", file.to_str().unwrap()]).stderr(Stdio::null()).spawn().unwrap();
    let mut recorder = Running(command);
    let _busy =
        Running(Command::new("sh").args(["-c", &format!("while :; do {BUSY}; done")]).spawn().unwrap());
    wait_for("a file of some seconds", || {
        let size = fs::metadata(&file).map_or(0, |meta| meta.len());
        (size > 30_000).then_some(())
    });
    thread::sleep(Duration::from_millis(1234));
    recorder.signal(Signal::SIGKILL);
    let killed = Duration::from(clock_gettime(ClockId::CLOCK_MONOTONIC).unwrap());
    recorder.0.wait().unwrap();
    let read = Read::file(&file);
    let last = read.events.iter().map(|event| event.ts_ns).max().unwrap();
    let missing = killed.saturating_sub(Duration::from_nanos(last));
    // It hands over every second, when it is on a CPU.
    assert!(missing < Duration::from_secs(5), "the last {missing:?} are missing");
    assert!(read.counted().0 > 1000);
}

#[test]
#[ignore = "root: loads BPF programs"]
fn root_record_in_flight_writes_when_told_to() {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("flight.pftrace");
    let second = dir.path().join("flight.pftrace.2");
    let command = tombola(&["record", "-o", file.to_str().unwrap(), "--flight", "1s"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut recorder = Running(command);
    thread::sleep(Duration::from_secs(4));
    assert!(!file.exists(), "nothing is written before it is asked for");
    for path in [&file, &second] {
        recorder.signal(Signal::SIGUSR1);
        wait_for("the file", || fs::metadata(path).is_ok_and(|meta| meta.len() > 0).then_some(()));
        thread::sleep(Duration::from_millis(500));
    }
    recorder.signal(Signal::SIGINT);
    let status = recorder.0.wait().unwrap();
    assert_eq!(status.code(), Some(0));
    for path in [&file, &second] {
        let read = Read::file(path);
        let times = read.events.iter().map(|event| event.ts_ns);
        let span = Duration::from_nanos(times.clone().max().unwrap() - times.min().unwrap());
        // A second, one piece of a tenth of it, and what a busy machine adds to each round.
        assert!((Duration::from_millis(500)..Duration::from_secs(4)).contains(&span), "{span:?}");
        assert!(read.events.iter().any(|event| matches!(event.kind, Kind::Attributes { .. })));
        // Each piece says anew who sleeps.
        assert!(read.events.iter().any(|event| matches!(event.kind, Kind::Asleep { .. })));
    }
}

/// What procfs says of every thread: its state's letter, and its books.
fn told_by_procfs() -> BTreeMap<u32, (char, String)> {
    let tasks = fs::read_dir("/proc").unwrap().map(|entry| entry.unwrap().path().join("task"));
    let of_thread = |entry: fs::DirEntry| {
        let read = |file| fs::read_to_string(entry.path().join(file)).ok();
        let letter = read("stat")?.rsplit_once(") ")?.1.chars().next()?;
        Some((entry.file_name().to_str()?.parse().ok()?, (letter, read("schedstat")?)))
    };
    let threads = tasks.filter_map(|path| fs::read_dir(path).ok()).flatten();
    threads.filter_map(|entry| of_thread(entry.ok()?)).collect()
}

/// Threads that did nothing meanwhile, by procfs.
#[test]
#[ignore = "root: loads BPF programs"]
fn root_record_tells_who_sleeps_all_the_time() {
    let dir = TempDir::new().unwrap();
    let sleeper = Running(Command::new("sleep").arg("300").spawn().unwrap());
    let stopped = Running(Command::new("sleep").arg("300").spawn().unwrap());
    let ended = Running(Command::new("true").spawn().unwrap());
    let burner = Running(Command::new("sh").args(["-c", "while :; do :; done"]).spawn().unwrap());
    stopped.signal(Signal::SIGSTOP);
    let pids = [&sleeper, &stopped, &ended].map(|of| of.0.id());
    let before = wait_for("all three", || {
        let told = told_by_procfs();
        (pids.map(|pid| told.get(&pid).map(|of| of.0)) == ['S', 'T', 'Z'].map(Some)).then_some(told)
    });
    let (file, said) = record(&dir, &["--duration", "300ms"], &[]);
    let after = told_by_procfs();
    let read = Read::file(&file);
    let mut asleep = BTreeMap::new();
    let mut active = BTreeSet::new();
    for event in &read.events {
        match &event.kind {
            Kind::Asleep { pid, left } => {
                assert_eq!(asleep.insert(*pid, *left), None, "told twice: {pid}, {said}");
            }
            Kind::Switch { prev, next, .. } => active.extend(prev.iter().chain([next]).map(|task| task.pid)),
            Kind::Wake { wakee: task, .. } | Kind::Migrate { task, .. } | Kind::Exit { task } => {
                active.insert(task.pid);
            }
            _ => {}
        }
    }
    let mut compared = 0;
    for (pid, told) in before {
        // A kernel of a hypervisor's guests hides its first process.
        let Some(life) = read.normaliser.life(pid) else { continue };
        if active.contains(&pid) || after.get(&pid) != Some(&told) {
            continue;
        }
        let letter = told.0;
        let left = match letter {
            'S' => Left::Sleep,
            'D' => Left::Disk,
            'T' | 't' => Left::Stopped,
            'I' | 'P' => Left::Idle,
            'Z' | 'X' => Left::Dead,
            _ => continue,
        };
        assert_eq!(asleep.get(&pid), Some(&left), "{pid} {letter}: {said}");
        assert_eq!(life.doing, Doing::Blocked(left), "{pid}");
        compared += 1;
    }
    assert!(
        compared > pids.len() && pids.iter().all(|pid| asleep.contains_key(pid)),
        "{compared}: {asleep:?}"
    );
    assert!(!asleep.contains_key(&burner.0.id()));
}

#[test]
#[ignore = "root: loads BPF programs"]
fn root_record_in_flight_ends_at_a_long_wait() {
    let dir = TempDir::new().unwrap();
    let burners =
        [env!("CARGO_BIN_EXE_tombola"), "workload", "--threads", "16", "--cpu", "0", "--duration", "3"];
    // Sixteen on one CPU take turns: each waits for fifteen slices of milliseconds.
    let (file, _) = record(&dir, &["--flight", "2s", "--trigger", "wait>5ms"], &burners);
    let read = Read::file(&file);
    let longest = read.facts.iter().filter_map(|fact| match fact {
        Fact::Task(interval) if matches!(interval.what, What::Runnable { .. }) => Some(interval.ns()),
        _ => None,
    });
    assert!(longest.max().unwrap() > 5_000_000);
}

/// Three burners on two CPUs cannot be served evenly at every instant: each is entitled to two thirds of a
/// CPU. The file holds by how much the one that is named fell behind.
#[test]
#[ignore = "root: loads BPF programs"]
fn root_record_in_flight_ends_at_a_large_lag() {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("lag.pftrace");
    let flags = ["--flight", "30s", "--trigger", "lag>20ms", "--"];
    let burners = [env!("CARGO_BIN_EXE_tombola"), "workload", "--threads", "5", "--duration", "6"];
    let output =
        tombola(&["record", "-o", file.to_str().unwrap()]).args(flags).args(burners).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let line = said.lines().find(|line| line.contains("came to be owed")).unwrap_or_else(|| panic!("{said}"));
    // "NAME (PID) came to be owed MS ms of CPU time within …"
    let (who, what) = line.split_once(") came to be owed ").unwrap();
    let pid: u32 = who.rsplit('(').next().unwrap().parse().unwrap();
    let ms: f64 = what.split(' ').next().unwrap().parse().unwrap();
    assert!(ms > 20.0, "{line}");
    let mut playback = Playback::new(reader::open(&file).unwrap());
    playback.keep_ledger();
    playback.advance_to_end().unwrap();
    let accounts = playback.ledger().unwrap().accounts();
    let of_pid = accounts.filter(|(task, _)| task.pid == pid).map(|(_, account)| account.lag_max_ns / 1e6);
    let largest = of_pid.fold(0.0, f64::max);
    // The file begins with the recording. Growth counts from the least lag, which is 0 or below.
    assert!(largest > 10.0, "{line}; in the file it is {largest}");
}

/// `USER_HZ` is 100.
const TICK_NS: u64 = 10_000_000;

/// Time that the host gave to others on all CPUs, ns: it is in the run time of a slice.
fn stolen_ns() -> u64 {
    let stat = fs::read_to_string("/proc/stat").unwrap();
    stat.lines().next().unwrap().split_ascii_whitespace().nth(8).unwrap().parse::<u64>().unwrap() * TICK_NS
}

/// The parameters of a thread under `SCHED_DEADLINE` are in the file as `chrt` tells them, and `periods`
/// judges by them.
#[test]
#[ignore = "root: loads BPF programs"]
fn root_record_knows_what_sched_deadline_promised() {
    let dir = TempDir::new().unwrap();
    let workload = ["workload", "--threads", "1", "--pattern", "sleep", "--burst", "1ms", "--pause", "9ms"];
    let load = tombola(&workload).args(["--duration", "20"]).stdout(Stdio::null()).spawn().unwrap();
    let load = Running(load);
    let tid = wait_for("the thread", || {
        let tasks = fs::read_dir(format!("/proc/{}/task", load.0.id())).ok()?;
        let tids = tasks.filter_map(|task| task.ok()?.file_name().to_str()?.parse::<u32>().ok());
        tids.filter(|tid| *tid != load.0.id()).max()
    });
    let chrt = |args: &[&str]| Command::new("chrt").args(args).output();
    let tid_text = tid.to_string();
    let set = ["-d", "-T", "3000000", "-D", "8000000", "-P", "10000000", "-p", "0", &tid_text];
    match chrt(&set) {
        Ok(set) if set.status.success() => {}
        other => return println!("SKIP: no thread can be put into SCHED_DEADLINE here: {other:?}"),
    }
    let told = String::from_utf8(chrt(&["-p", &tid_text]).unwrap().stdout).unwrap();
    let told = told.lines().find(|line| line.contains("runtime/deadline/period")).unwrap();
    let told: Vec<u64> = told.rsplit(' ').next().unwrap().split('/').map(|ns| ns.parse().unwrap()).collect();
    let stolen_before_ns = stolen_ns();
    let (file, _) = record(&dir, &["--duration", "3s"], &[]);
    let stolen_ns = stolen_ns() - stolen_before_ns + TICK_NS;
    let read = Read::file(&file);
    let promised = read.normaliser.life(tid).unwrap().attributes.reservation.unwrap();
    assert_eq!([promised.runtime_ns, promised.deadline_ns, promised.period_ns], told[..]);
    let periods = |flags: &[&str]| {
        let args = ["periods", "-i", file.to_str().unwrap(), "--format", "json"];
        let found: serde_json::Value =
            serde_json::from_str(&ok(&tombola(&args).args(flags).output().unwrap())).unwrap();
        let tasks = found["tasks"].as_array().unwrap();
        tasks.iter().find(|task| task["pid"] == tid).cloned().unwrap_or_else(|| panic!("{found}"))
    };
    let task = periods(&[]);
    assert_eq!(
        (task["deadline_ns"].as_u64(), task["deadline_given"].as_bool()),
        (Some(8_000_000), Some(false))
    );
    assert_eq!(task["reserved_runtime_ns"].as_u64(), Some(3_000_000));
    assert_eq!(task["reserved_period_ns"].as_u64(), Some(10_000_000));
    // A job asks for 1 ms, so that it ran 3 ms only where the host took 2 ms from it.
    let over = task["jobs_over_runtime"].as_u64().unwrap();
    assert!(over * 2_000_000 <= stolen_ns, "{stolen_ns} ns stolen, {task}");
    let given = periods(&["--deadline", &format!("{tid}=5ms")]);
    assert_eq!(
        (given["deadline_ns"].as_u64(), given["deadline_given"].as_bool()),
        (Some(5_000_000), Some(true))
    );
}

/// What a thread that yields counts itself: its calls, and by how much the kernel's count of its involuntary
/// switches grew within them.
struct Yielder {
    tid: u32,
    calls: u64,
    switches: u64,
}

impl Yielder {
    /// Yields so often, with something to do between, on CPU 0.
    fn run(calls: u64) -> Self {
        let mut only = CpuSet::new();
        only.set(0).unwrap();
        sched_setaffinity(Pid::from_raw(0), &only).unwrap();
        let involuntary = || getrusage(UsageWho::RUSAGE_THREAD).unwrap().involuntary_context_switches();
        let mut switches = 0;
        for _ in 0..calls {
            std::hint::black_box((0..20_000u64).sum::<u64>());
            let before = involuntary();
            sched_yield().unwrap();
            switches += u64::try_from(involuntary() - before).unwrap();
        }
        Self { tid: gettid().as_raw().unsigned_abs(), calls, switches }
    }
}

/// Who calls `sched_yield(2)` beside a burner is told from who is preempted: `audit -i` has its yields as it
/// counted them, and owes it nothing for them.
#[test]
#[ignore = "root: loads BPF programs"]
fn root_record_tells_who_gave_its_cpu_away() {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("yields.pftrace");
    let command = tombola(&["record", "-o", file.to_str().unwrap()])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut recorder = Running(command);
    wait_for("the recording", || fs::metadata(&file).is_ok_and(|meta| meta.len() > 0).then_some(()));
    let burners = ["workload", "--threads", "1", "--cpu", "0", "--duration", "60"];
    let burner = Running(tombola(&burners).stdout(Stdio::null()).spawn().unwrap());
    let told = thread::spawn(|| Yielder::run(1000)).join().unwrap();
    let burner_pid = burner.0.id();
    drop(burner);
    recorder.signal(Signal::SIGINT);
    assert_eq!(recorder.0.wait().unwrap().code(), Some(0));
    let mut playback = Playback::new(reader::open(&file).unwrap());
    let is_told = playback.header().can.yields;
    playback.advance_to_end().unwrap();
    let snapshot = playback.snapshot_at_end();
    let hidden = snapshot.loss.unseen_switches;
    let all = snapshot.exited.iter().map(|end| &end.totals).chain(&snapshot.tasks);
    let of = |wanted: u32| all.clone().find(|totals| totals.id.pid == wanted).unwrap().usage.clone();
    let got = of(told.tid);
    println!("{} calls, {} switches in them, {hidden} hidden; {got:?}", told.calls, told.switches);
    if !is_told {
        assert_eq!((got.yields, got.yielded_ns), (0, 0));
        return println!("SKIP: before 5.15 a yield cannot be told from a preemption");
    }
    // In a call it may have been preempted too, before it could give its CPU away.
    assert!(told.switches > 100, "nobody else wanted the CPU");
    assert!(got.yields <= told.switches);
    assert!(got.yields + got.preempted() + hidden >= told.switches);
    let args = ["audit", "-i", file.to_str().unwrap(), "--format", "json"];
    let audit: serde_json::Value = serde_json::from_str(&ok(&tombola(&args).output().unwrap())).unwrap();
    let rows = audit["intervals"][0]["rows"].as_array().unwrap();
    let row = |pid: u32| rows.iter().find(|row| row["pid"] == pid).unwrap();
    assert_eq!(row(told.tid)["yields"].as_u64(), Some(got.yields));
    assert_eq!(row(told.tid)["yielded_ns"].as_u64(), Some(got.yielded_ns));
    assert!(got.yielded_ns > 0 && got.yielded_ns <= got.wait_ns);
    let imposed_ns = i64::try_from(got.imposed_wait_ns()).unwrap();
    assert!(row(told.tid)["lag_ns"].as_i64().unwrap() <= imposed_ns);
    let of_burner = rows.iter().filter(|row| row["tgid"] == burner_pid);
    assert!(of_burner.clone().count() > 0 && of_burner.clone().all(|row| row["yields"] == 0));
    let table = dir.path().join("yields.ndjson");
    ok(&tombola(&["convert", file.to_str().unwrap(), table.to_str().unwrap()]).output().unwrap());
    let lines = fs::read_to_string(&table).unwrap();
    let written = lines.lines().filter(|line| {
        let row: serde_json::Value = serde_json::from_str(line).unwrap();
        row["pid"] == told.tid && row["yielded"] == true
    });
    assert!(written.count() as u64 >= got.yields);
}

/// What two clocks, of wakes and of switches, are apart at most, for the few waits of a burner that begin
/// with a wake.
const CLOCKS_NS: u64 = 100_000;

/// Three burners share a CPU: each pair of them is the same in the file as an audit of these seconds has it,
/// but for the time around switches that the kernel has hidden. A live monitor books that to somebody.
#[test]
#[ignore = "root: loads BPF programs"]
fn root_record_holds_the_culprits_that_an_audit_names() {
    let dir = TempDir::new().unwrap();
    let mut monitor = InterferenceMonitor::start(MaxPairs::default()).unwrap();
    let load = [env!("CARGO_BIN_EXE_tombola"), "workload", "--threads", "3", "--cpu", "0", "--duration", "2"];
    let (file, said) = record(&dir, &[], &load);
    let live = monitor.read().unwrap();
    assert_eq!(totals(&said).1, 0, "{said}");
    let mut playback = Playback::new(reader::open(&file).unwrap());
    playback.keep_culprits();
    playback.advance_to_end().unwrap();
    let snapshot = playback.snapshot_at_end();
    let recorded = snapshot.interference.unwrap();
    // One whose last switch was hidden has not ended, as far as the file tells.
    let all = snapshot.exited.iter().map(|end| &end.totals).chain(&snapshot.tasks);
    let is_burner = |totals: &&Shared<TaskTotals>| {
        totals.comm == b"tombola-burn" && totals.affinity.as_ref().is_some_and(|set| set.len() == 1)
    };
    let burners: BTreeMap<u32, _> = all.filter(is_burner).map(|totals| (totals.id.pid, totals)).collect();
    assert_eq!(burners.len(), 3);
    // Born at one instant, but on two clocks.
    let standing = |all: &Interference, victim: u32, culprit: u32| {
        let mut pairs = all.pairs.iter();
        let found = pairs.find(|(pair, _)| (pair.victim.pid, pair.culprit.pid) == (victim, culprit));
        found.map(|(_, standing)| *standing).unwrap_or_default()
    };
    let (hidden, hidden_ns) = (snapshot.loss.unseen_switches, snapshot.loss.untracked_ns);
    for (victim, totals) in &burners {
        for culprit in burners.keys().filter(|culprit| *culprit != victim) {
            let (is, was) = (standing(&recorded, *victim, *culprit), standing(&live, *victim, *culprit));
            let name = format!("{culprit} before {victim}: {is:?}, live {was:?}, hidden {hidden_ns} ns");
            assert!(was.held_ns > 100_000_000, "{name}");
            assert!(is.held_ns.abs_diff(was.held_ns) <= hidden_ns + CLOCKS_NS, "{name}");
            assert!(is.preemptions.abs_diff(was.preemptions) <= hidden, "{name}");
        }
        // The CPU never idled: somebody stood in the way all the time.
        let pairs = recorded.culprits_of(totals.id);
        let behind_ns: u64 = pairs.iter().map(|(_, standing)| standing.held_ns).sum();
        let unknown_ns = recorded.unknown_ns.get(&totals.id).copied().unwrap_or(0);
        let (known_ns, wait_ns) = (behind_ns + unknown_ns, totals.usage.wait_ns);
        assert!(known_ns <= wait_ns && wait_ns - known_ns <= CLOCKS_NS, "{victim}: {known_ns} of {wait_ns}");
        assert!(unknown_ns <= hidden_ns, "{victim}: {unknown_ns} unknown, {hidden_ns} hidden");
    }
}
