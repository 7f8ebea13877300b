//! A simulated machine, logged and read again: the log says what the simulator's own snapshots say.
#![allow(clippy::unwrap_used)] // functions that tests share are no #[test] themselves

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;
use tempfile::TempDir;
use tombola_core::audit::{Audit, By};
use tombola_core::frame::Frame;
use tombola_core::identity::TaskId;
use tombola_core::interference::{GroupPair, Imposed, Interference, Pair};
use tombola_core::snapshot::{Group, Snapshot};
use tombola_core::source::Source as _;
use tombola_core::usage::Usage;
use tombola_core::window::Window;
use tombola_history::file::About;
use tombola_history::name::ByPath;
use tombola_history::past::{Past, Span};
use tombola_history::rows::{Maker, Most};
use tombola_history::schema::{self, Int, Text};
use tombola_history::{Keep, Log, place};
use tombola_lab::engine::Simulation;
use tombola_lab::policy::PolicyKind;
use tombola_lab::scenario::Scenario;

const SECOND: u64 = 1_000_000_000;

const SCENARIO: &str = r#"
name = "two groups, one capped, and sleepers"
cpus = 2
duration = "60s"
quantum = "10ms"

[[group]]
name = "capped"
weight = 2048
quota = "50ms"
period = "100ms"
[[group]]
name = "web"
weight = 512
[[task]]
name = "inside"
group = "capped"
count = 2
[[task]]
name = "page"
group = "web"
count = 3
[[task]]
name = "outside"
"#;

fn frame(snapshot: Snapshot) -> Frame {
    let groups = snapshot.groups.iter().map(|group| match group.id {
        Group::Cgroup(1) => (group.id, "/".to_owned()),
        id => (id, format!("/system.slice/{id:?}.service")),
    });
    let groups = groups.collect();
    Frame::new(snapshot, groups)
}

/// Snapshots of the simulated machine, a second apart, the one at 0 first.
fn snapshots() -> Vec<Snapshot> {
    let scenario = Scenario::from_toml(SCENARIO).unwrap();
    let mut simulation = Simulation::new(&scenario, PolicyKind::Stride, 7, 0);
    let mut all = Vec::new();
    for second in 0..=60 {
        simulation.run_until(second * SECOND).unwrap();
        all.push(simulation.snapshot());
    }
    all
}

fn write(dir: &Path, all: &[Snapshot], most: Most, seal: Duration) -> Log {
    let about = About { host: "sim/1".to_owned(), boot: "b00t".to_owned(), release: "0".to_owned() };
    let keep = Keep { age: None, bytes: None, seal };
    let (mut log, trouble) = Log::open(dir, about, keep).unwrap();
    assert!(trouble.is_none());
    let mut maker = Maker::new("sim/1", "b00t", most, ByPath);
    for pair in all.windows(2) {
        let window = Window::between(&pair[0], &pair[1]);
        let audit = Audit::new(&window).unwrap();
        let rows = maker.rows(&window, &audit, &frame(pair[1].clone()), 0);
        assert!(log.append(&rows).unwrap().is_none());
    }
    log
}

fn audited(past: &mut Past, interval: Option<Duration>) -> Vec<Window> {
    let mut before = past.next(Some(Duration::ZERO)).unwrap().unwrap();
    let mut windows = Vec::new();
    while let Some(frame) = past.next(interval).unwrap() {
        windows.push(Window::between(&before.snapshot, &frame.snapshot));
        before = frame;
    }
    windows
}

const ALL: Span = Span { from_us: 0, to_us: i64::MAX };

#[test]
fn what_is_read_is_what_was_measured() {
    let all = snapshots();
    let dir = TempDir::new().unwrap();
    // 25 intervals a file: two sealed files, and ten intervals in the journal.
    let log = write(dir.path(), &all, Most::default(), Duration::from_secs(25));
    assert_eq!(place::sealed(dir.path(), "sim/1").unwrap().len(), 2);
    for (first, last, interval) in
        [(0, 60, None), (20, 30, None), (40, 60, None), (0, 60, Some(10)), (55, 60, Some(1))]
    {
        let span = Span { from_us: first * 1_000_000, to_us: last * 1_000_000 };
        let mut past = Past::open(dir.path(), None, span).unwrap();
        let read = audited(&mut past, interval.map(Duration::from_secs));
        let step = interval.map_or(last - first, |length| i64::try_from(length).unwrap());
        assert_eq!(i64::try_from(read.len()).unwrap(), (last - first) / step);
        for (n, window) in (0..).zip(&read) {
            let at = |second: i64| &all[usize::try_from(second).unwrap()];
            let direct = Window::between(at(first + n * step), at(first + (n + 1) * step));
            assert_eq!(window.books(), direct.books(), "{first} to {last}, {n}");
            let (mine, theirs) = (Audit::new(window).unwrap(), Audit::new(&direct).unwrap());
            for by in [By::Task, By::Process, By::Group, By::Comm] {
                let figures = |audit: &Audit| {
                    let rows = audit.rows(by, |row| row.task.delta.runtime_ns > 0).into_iter();
                    rows.map(|r| {
                        let usage = r.usage;
                        let counts = [usage.switches, usage.involuntary, usage.wakeups, usage.migrations];
                        (r.who, usage.runtime_ns, usage.wait_ns, counts, usage.waits, r.account, r.waiting)
                    })
                    .collect::<Vec<_>>()
                };
                assert_eq!(figures(&mine), figures(&theirs), "{first} to {last}, {n}, by {by}");
            }
            let throttled = |audit: &Audit| {
                let groups = audit.groups.iter().map(|g| (g.totals.id, g.throttled_ns, g.throttles));
                groups.filter(|g| g.1 > 0).collect::<Vec<_>>()
            };
            assert_eq!(throttled(&mine), throttled(&theirs));
        }
    }
    drop(log);
}

/// Each counter in its own column: they are all different here, and added up by hand.
#[test]
fn every_counter_is_in_its_own_column() {
    let all = snapshots();
    let mut window = Window::between(&all[0], &all[1]);
    for (n, task) in (1u64..).zip(&mut window.tasks) {
        let usage = &mut task.delta;
        usage.yields = 3 * n;
        usage.wakeups = 50 * n;
        usage.migrations = 700 * n;
        usage.involuntary = 9_000 * n;
        usage.switches = 20_000 * n;
    }
    let audit = Audit::new(&window).unwrap();
    let rows =
        Maker::new("sim", "b00t", Most::default(), ByPath).rows(&window, &audit, &frame(all[1].clone()), 0);
    let tasks = window.tasks.len() as u64;
    let times = tasks * (tasks + 1) / 2;
    let sum = |of: fn(&Usage) -> u64| window.tasks.iter().map(|task| of(&task.delta)).sum::<u64>();
    let expected = [
        (Int::Tasks, tasks),
        (Int::Run, sum(|usage| usage.runtime_ns)),
        (Int::Wait, sum(|usage| usage.wait_ns)),
        (Int::Yields, 3 * times),
        (Int::Wakeups, 50 * times),
        (Int::Migrations, 700 * times),
        (Int::Involuntary, 9_000 * times),
        (Int::Switches, 20_000 * times),
    ];
    for (levels, what) in
        [(&["machine"][..], "machine"), (&["thread", "thread_rest"], "threads"), (&["group"], "groups")]
    {
        for (column, value) in expected {
            let of_level = rows.iter().filter(|row| levels.contains(&row.level()));
            assert_eq!(
                of_level.map(|row| row.count(column)).sum::<u64>(),
                value,
                "{what}, {}",
                column.name()
            );
        }
    }
    let longest = window.tasks.iter().filter_map(|task| task.delta.longest_wait_ns()).max();
    assert_eq!(rows[0].int(Int::WaitMax).map(i64::unsigned_abs), longest);
}

#[test]
fn every_level_adds_up_to_the_machine_also_where_most_is_rest() {
    let all = snapshots();
    let dir = TempDir::new().unwrap();
    let most = Most { threads: 1, processes: 2, pairs: 1 };
    let mut log = write(dir.path(), &all, most, Duration::from_secs(3600));
    log.seal().unwrap();
    let mut past = Past::open(dir.path(), Some("sim/1"), ALL).unwrap();
    let mut intervals = 0;
    while let Some(rows) = past.next_interval().unwrap() {
        intervals += 1;
        for column in
            [Int::Run, Int::Wait, Int::Undivided, Int::Denied, Int::WaitOther, Int::Switches, Int::Tasks]
        {
            let sum = |levels: &[&str]| -> i64 {
                rows.iter()
                    .filter(|row| levels.contains(&row.level()))
                    .filter_map(|row| row.int(column))
                    .sum()
            };
            let machine = sum(&["machine"]);
            for levels in [
                &["group"][..],
                &["process", "process_rest"],
                &["command", "command_rest"],
                &["thread", "thread_rest"],
            ] {
                assert_eq!(sum(levels), machine, "{levels:?} {}", column.name());
            }
        }
        assert!(rows.iter().any(|row| row.level() == "thread_rest"));
        let unit = rows.iter().find_map(|row| row.text(Text::Unit)).unwrap();
        assert!(unit.ends_with(".service"), "{unit}");
    }
    assert_eq!(intervals, 60);
    // The machine as a whole, from rests alone, is the same.
    let mut past = Past::open(dir.path(), None, ALL).unwrap();
    let read = &audited(&mut past, None)[0];
    let direct = Window::between(&all[0], &all[60]);
    assert_eq!(read.books(), direct.books());
}

/// Who stood in whose way, made up and seeded: the simulator does not tell it. Totals, as a source has them.
fn hinder(all: &mut [Snapshot]) {
    let mut random = ChaCha8Rng::seed_from_u64(5);
    let mut interference = Interference::default();
    for snapshot in all {
        let tasks: Vec<TaskId> = snapshot.tasks.iter().map(|task| task.id).collect();
        for _ in 0..4 {
            let [victim, culprit] = [(); 2].map(|()| tasks[random.random_range(0..tasks.len())]);
            let standing = interference.pairs.entry(Pair { victim, culprit }).or_default();
            standing.held_ns += random.random_range(1..SECOND);
            standing.preemptions += random.random_range(0..3);
        }
        snapshot.interference = Some(interference.clone());
    }
}

/// Pairs of groups in a stretch: from the pairs of tasks at its ends, without a window or an audit.
fn pairs_between(before: &Snapshot, after: &Snapshot) -> BTreeMap<GroupPair, Imposed> {
    let group = |id| after.tasks.iter().find(|task| task.id == id).unwrap().group;
    let mut sums = BTreeMap::<GroupPair, Imposed>::new();
    let then = &before.interference.as_ref().unwrap().pairs;
    for (pair, now) in &after.interference.as_ref().unwrap().pairs {
        let then = then.get(pair).copied().unwrap_or_default();
        let key = GroupPair { victim: group(pair.victim), culprit: group(pair.culprit) };
        let sum = sums.entry(key).or_default();
        sum.imposed_wait_ns += now.held_ns - then.held_ns;
        sum.preemptions += now.preemptions - then.preemptions;
    }
    sums.retain(|_, sum| *sum != Imposed::default());
    sums
}

#[test]
fn who_stood_in_whose_way_is_read_by_groups() {
    let mut all = snapshots();
    hinder(&mut all);
    let dir = TempDir::new().unwrap();
    // Two sealed files, and ten intervals in the journal.
    let _log = write(dir.path(), &all, Most::default(), Duration::from_secs(25));
    for (first, last, step) in [(0, 60, 60), (20, 30, 10), (0, 60, 10), (54, 60, 1)] {
        let span = Span { from_us: first * 1_000_000, to_us: last * 1_000_000 };
        let mut past = Past::open(dir.path(), None, span).unwrap();
        let read = audited(&mut past, Some(Duration::from_secs(step)));
        let ends = (usize::try_from(first).unwrap()..=60).step_by(usize::try_from(step).unwrap());
        assert_eq!(i64::try_from(read.len()).unwrap() * i64::try_from(step).unwrap(), last - first);
        for (window, begin) in read.iter().zip(ends) {
            let end = begin + usize::try_from(step).unwrap();
            let interference = window.interference.as_ref().unwrap();
            assert!(interference.is_by_groups());
            assert_eq!(interference.groups, pairs_between(&all[begin], &all[end]), "{begin} to {end}");
        }
    }
}

#[test]
fn a_log_that_did_not_look_tells_nobody_and_one_that_looked_the_longest_pairs() {
    let mut all = snapshots();
    let dir = TempDir::new().unwrap();
    let _log = write(dir.path(), &all, Most::default(), Duration::from_secs(3600));
    let mut past = Past::open(dir.path(), None, ALL).unwrap();
    assert!(audited(&mut past, None)[0].interference.is_none());

    hinder(&mut all);
    let dir = TempDir::new().unwrap();
    let _log = write(dir.path(), &all, Most { pairs: 1, ..Most::default() }, Duration::from_secs(3600));
    let mut past = Past::open(dir.path(), None, ALL).unwrap();
    for (pair, window) in all.windows(2).zip(audited(&mut past, Some(Duration::from_secs(1)))) {
        let longest = pairs_between(&pair[0], &pair[1]).into_values().max_by_key(|sum| sum.imposed_wait_ns);
        let read: Vec<Imposed> = window.interference.unwrap().groups.into_values().collect();
        assert_eq!(read, [longest.unwrap()]);
    }
}

/// What the view of the questions computes (`schema::DERIVED`) is what the ledger said when the interval was
/// measured.
#[test]
fn what_follows_from_the_columns_is_what_was_audited() {
    let all = snapshots();
    let dir = TempDir::new().unwrap();
    let mut log = write(dir.path(), &all, Most::default(), Duration::from_secs(3600));
    log.seal().unwrap();
    let mut past = Past::open(dir.path(), None, ALL).unwrap();
    let mut owed = 0;
    for pair in all.windows(2) {
        let rows = past.next_interval().unwrap().unwrap();
        let audit = Audit::new(&Window::between(&pair[0], &pair[1])).unwrap();
        for line in &audit.lines {
            let pid = Some(i64::from(line.task.totals.id.pid));
            let row = rows.iter().find(|row| row.level() == "thread" && row.int(Int::Pid) == pid).unwrap();
            let of = |column| i128::from(row.int(column).unwrap());
            let account = line.entry.as_ref().unwrap().account;
            assert_eq!(of(Int::Run) - of(Int::Undivided), i128::from(account.received_ns));
            let entitled = of(Int::Run) - of(Int::Undivided) + of(Int::Wait) - of(Int::Denied);
            assert_eq!(entitled, i128::from(account.entitled_ns));
            assert_eq!(of(Int::Wait) - of(Int::Denied), i128::from(account.lag_ns()));
            let contention = of(Int::Wait) - of(Int::WaitThrottled) - of(Int::WaitOther);
            assert_eq!(contention, i128::from(line.waiting.contention_ns));
            owed += usize::from(account.lag_ns() != 0);
        }
    }
    assert!(owed > 100, "{owed}");
}

#[test]
fn a_file_of_another_schema_is_refused_with_a_sentence() {
    let all = snapshots();
    let dir = TempDir::new().unwrap();
    write(dir.path(), &all[..3], Most::default(), Duration::from_secs(3600)).seal().unwrap();
    let path = place::sealed(dir.path(), "sim/1").unwrap()[0].path.clone();
    // The footer says the version once, as a text of one letter.
    let mut bytes = fs::read(&path).unwrap();
    let key = b"tombola.schema";
    let at = bytes.windows(key.len()).rposition(|window| window == key).unwrap() + key.len();
    let digit = bytes[at..].iter().position(|byte| *byte == b'2').unwrap() + at;
    bytes[digit] = b'1';
    fs::write(&path, bytes).unwrap();
    let refusal = Past::open(dir.path(), None, ALL).err().unwrap().to_string();
    assert!(refusal.contains("has schema 1 and this version reads schema 2"), "{refusal}");
}

#[test]
fn a_log_says_what_it_has_not() {
    let dir = TempDir::new().unwrap();
    let refusal = |host, span| Past::open(dir.path(), host, span).err().unwrap().to_string();
    assert!(refusal(None, ALL).contains("holds no log"));
    let all = snapshots();
    write(dir.path(), &all[..3], Most::default(), Duration::from_secs(3600)).seal().unwrap();
    let late = Span { from_us: 10_000_000, to_us: 20_000_000 };
    assert!(refusal(None, late).contains("the log has 1970-01-01 00:00:00 UTC to 1970-01-01 00:00:02 UTC"));
    fs::create_dir(dir.path().join("date=1970-01-01/host=other")).unwrap();
    assert!(refusal(Some("nosuch"), ALL).contains("holds no host 'nosuch'; there are other, sim/1"));
    assert!(refusal(None, ALL).contains("holds 2 hosts (other, sim/1); choose one with --host"));
}

#[test]
fn one_writer_a_host_and_old_files_go() {
    let dir = TempDir::new().unwrap();
    let all = snapshots();
    let log = write(dir.path(), &all, Most::default(), Duration::from_secs(5));
    let about = About { host: "sim/1".to_owned(), ..About::default() };
    let keep = |age, bytes| Keep { age, bytes, seal: Duration::from_secs(5) };
    let second = Log::open(dir.path(), about.clone(), keep(None, None)).err().unwrap().to_string();
    assert!(second.contains("another process logs host 'sim/1'"), "{second}");
    drop(log);
    let files = |dir: &TempDir| place::sealed(dir.path(), "sim/1").unwrap();
    let sizes: u64 = files(&dir).iter().map(|file| fs::metadata(&file.path).unwrap().len()).sum();
    let count = files(&dir).len();
    let (log, _) = Log::open(dir.path(), about.clone(), keep(None, Some(sizes / 2))).unwrap();
    log.remove_old().unwrap();
    assert!(files(&dir).len() <= count / 2 + 1);
    let left = files(&dir);
    let kept: u64 = left.iter().map(|file| fs::metadata(&file.path).unwrap().len()).sum();
    assert!(kept <= sizes / 2 && left.last().unwrap().to_us == 60_000_000, "{left:?}");
    drop(log);
    // All of them end in 1970.
    let (log, _) = Log::open(dir.path(), about, keep(Some(Duration::from_secs(86_400)), None)).unwrap();
    log.remove_old().unwrap();
    assert!(files(&dir).is_empty() && !dir.path().join("date=1970-01-01").exists());
}

#[test]
fn the_page_of_the_schema_is_up_to_date() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/schema.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(path, schema::markdown()).unwrap();
    }
    assert!(
        fs::read_to_string(path).unwrap() == schema::markdown(),
        "docs/schema.md is not what schema.rs says: run this test with UPDATE_DOCS=1"
    );
}
