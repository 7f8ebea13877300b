//! A recording judged as a live machine is: windows and audits of it.
#![allow(clippy::unwrap_used)] // a test stops where something is not as it should be

mod common;

use common::foreign;
use std::collections::{BTreeMap, VecDeque};
use std::io::Cursor;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tombola_core::identity::TaskId;
use tombola_core::reservation::Reservation;
use tombola_core::snapshot::Snapshot;
use tombola_core::source::Source;
use tombola_core::window::Window;
use tombola_recording::attributes::Attributes;
use tombola_recording::capabilities::{Capabilities, Header};
use tombola_recording::comm::Comm;
use tombola_recording::event::{Event, Kind, Left, Task};
use tombola_recording::gaps::Early;
use tombola_recording::lanes::Lanes;
use tombola_recording::ledger::Ledger;
use tombola_recording::normaliser::Normaliser;
use tombola_recording::playback::Playback;
use tombola_recording::reader::{self, Damage, ReadError, Reader};
use tombola_recording::writer::{Options, PerfettoWriter};

const MS: u64 = 1_000_000;

/// Windows of a real recording add up: the books of each balance, and together they are the whole.
#[test]
fn windows_of_a_recording_add_up() {
    let Some(path) = foreign("perfetto-android11-arm64-4.19.pftrace") else { return };
    let mut whole = Playback::new(reader::open(&path).unwrap());
    whole.advance_to_end().unwrap();
    let end = whole.snapshot_at_end();
    let mut playback = Playback::new(reader::open(&path).unwrap());
    let begin = playback.begin_ns().unwrap();
    assert_eq!(begin, end.begin_ns);
    let mut next = || Some(playback.next(Some(Duration::from_millis(500))).unwrap()?.snapshot);
    let mut before = next().unwrap();
    let (mut runtime, mut switches, mut windows) = (0, 0, 0);
    while let Some(now) = next() {
        let window = Window::between(&before, &now);
        assert!(window.to_ns > window.from_ns);
        runtime += window.tasks.iter().map(|task| task.delta.runtime_ns).sum::<u64>();
        switches += window.tasks.iter().map(|task| task.delta.switches).sum::<u64>();
        for cpu in &window.cpus {
            // Of a CPU that has told an event before the window every nanosecond is known: no loss, no hidden
            // switch.
            if before.cpus.iter().any(|known| known.cpu == cpu.cpu) {
                assert_eq!(cpu.busy_ns + cpu.idle_ns, window.to_ns - window.from_ns, "CPU {}", cpu.cpu);
            }
        }
        before = now;
        windows += 1;
    }
    assert!(windows > 25, "{windows}");
    let first = Window::between(&end.origin(), &end);
    let sum = |of: fn(&tombola_core::window::TaskWindow) -> u64| first.tasks.iter().map(of).sum::<u64>();
    let early = {
        let mut start = Playback::new(reader::open(&path).unwrap());
        start.advance_to(begin + 500 * MS).unwrap();
        let snapshot = start.snapshot_at(begin + 500 * MS);
        Window::between(&snapshot.origin(), &snapshot)
    };
    runtime += early.tasks.iter().map(|task| task.delta.runtime_ns).sum::<u64>();
    switches += early.tasks.iter().map(|task| task.delta.switches).sum::<u64>();
    assert_eq!(runtime, sum(|task| task.delta.runtime_ns));
    assert_eq!(switches, sum(|task| task.delta.switches));
    // Switches away from a task; the others leave the idle task.
    assert_eq!(whole.events(), 15_267 + 8_743 + 4 + 4 + 4);
}

fn demo() -> Box<dyn Reader> {
    reader::open(&Path::new(env!("CARGO_MANIFEST_DIR")).join("demo/mixture.pftrace")).unwrap()
}

/// Who ran where from `from_ns` to `to_ns`, by a pass for nothing else.
fn lanes_alone(from_ns: u64, to_ns: u64) -> Lanes {
    let mut reader = demo();
    let mut normaliser = Normaliser::new(reader.header());
    let (mut early, mut lanes) = (Early::default(), Lanes::new(from_ns, to_ns, 480));
    let take = |event: Option<Event>, normaliser: &mut Normaliser, lanes: &mut Lanes| {
        let Some(event) = event.filter(|event| event.ts_ns <= to_ns) else { return };
        normaliser.event(&event);
        let facts: Vec<_> = normaliser.facts().collect();
        for fact in &facts {
            lanes.fact(fact, normaliser);
        }
    };
    while let Some(event) = reader.next_event().unwrap() {
        take(early.add(event), &mut normaliser, &mut lanes);
    }
    while let Some(event) = early.rest() {
        take(Some(event), &mut normaliser, &mut lanes);
    }
    normaliser.finish(Some(reader.header().end_ns.unwrap().min(to_ns)));
    let facts: Vec<_> = normaliser.facts().collect();
    for fact in &facts {
        lanes.fact(fact, &normaliser);
    }
    lanes
}

/// Frames, lanes and the exact ledger of one pass are those of three.
#[test]
fn one_pass_keeps_what_passes_of_their_own_keep() {
    let header = demo().header().clone();
    let (begin_ns, end_ns) = (header.begin_ns.unwrap(), header.end_ns.unwrap());
    let length_ns = end_ns - begin_ns;
    for (from_ns, to_ns) in [(begin_ns, u64::MAX), (begin_ns + length_ns / 4, begin_ns + length_ns / 2)] {
        let mut playback = Playback::new(demo());
        playback.keep_ledger();
        playback.span(Some(from_ns), Some(to_ns)).unwrap();
        playback.keep_lanes(480);
        let (mut plain, mut frames) = (Playback::new(demo()), 0);
        plain.span(Some(from_ns), Some(to_ns)).unwrap();
        while let Some(frame) = playback.next(Some(Duration::from_millis(100))).unwrap() {
            assert_eq!(
                plain.next(Some(Duration::from_millis(100))).unwrap().unwrap().snapshot,
                frame.snapshot
            );
            frames += 1;
        }
        assert!(frames > 4, "{frames}");
        let kept = playback.end();
        assert_eq!(kept.end.taken_ns, end_ns.min(to_ns));
        let (one, other) = (kept.lanes.unwrap(), lanes_alone(from_ns, to_ns));
        assert!(one.cpus().eq(other.cpus()) && one.cpus().count() == 2);
        for cpu in one.cpus() {
            assert_eq!(one.pieces(cpu, 480), other.pieces(cpu, 480), "CPU {cpu} from {from_ns}");
        }
        assert_eq!(one.foremost(), other.foremost());
        assert!(one.foremost().into_iter().all(|task| one.name(task) == other.name(task)));
        if to_ns == u64::MAX {
            let mut alone = Playback::new(demo());
            alone.keep_ledger();
            alone.advance_to_end().unwrap();
            alone.settle_ledger(end_ns);
            let accounts = |ledger: &Ledger| {
                let told =
                    ledger.accounts().map(|(task, of)| (task, (of.entitled_ns.to_bits(), of.received_ns)));
                told.collect::<BTreeMap<_, _>>()
            };
            assert_eq!(accounts(&kept.ledger.unwrap()), accounts(alone.ledger().unwrap()));
        }
    }
}

/// A CPU that two tasks share, a microsecond each, for ever; the header says that all of it is known up to 1
/// s.
struct Turns {
    header: Header,
    events: u64,
    damage: Damage,
}

impl Turns {
    fn new() -> Self {
        let header = Header { begin_ns: Some(0), end_ns: Some(1000 * MS), ..demo().header().clone() };
        Self { header, events: 0, damage: Damage::default() }
    }
}

impl Reader for Turns {
    fn header(&self) -> &Header {
        &self.header
    }

    fn next_event(&mut self) -> Result<Option<Event>, ReadError> {
        self.events += 1;
        let task = |pid: u64| Task {
            pid: u32::try_from(pid).unwrap(),
            tgid: None,
            prio: Some(120),
            comm: Comm::default(),
        };
        let (prev, next) = (task(1 + self.events % 2), task(1 + (self.events + 1) % 2));
        let kind = Kind::Switch { prev: Some(prev), state: Left::Runnable { preempted: Some(true) }, next };
        Ok(Some(Event { ts_ns: 1000 * self.events, cpu: 0, seq: 0, kind }))
    }

    fn progress(&self) -> (u64, u64) {
        (self.events, 1_000_000)
    }

    fn damage(&self) -> &Damage {
        &self.damage
    }
}

/// Of what was not read nothing is told: no task runs on to the end, and no CPU idles there.
#[test]
fn a_playback_that_is_cut_ends_with_the_last_event() {
    let mut playback = Playback::new(Box::new(Turns::new()));
    playback.span(None, None).unwrap();
    playback.keep_lanes(480);
    playback.watch(Box::new(|done, _| done < 50_000));
    let frame = playback.next(None).unwrap().unwrap();
    assert!(playback.next(None).unwrap().is_none());
    let last_ns = 1000 * playback.events();
    assert!((50 * MS..100 * MS).contains(&last_ns), "{last_ns}");
    assert_eq!(frame.snapshot.taken_ns, last_ns);
    let kept = playback.end();
    assert_eq!(kept.end, frame.snapshot);
    assert_eq!(kept.lanes.unwrap().pieces(0, 480).last().unwrap().to_ns.div_ceil(MS), last_ns.div_ceil(MS));
}

/// Totals of tasks and CPUs never go back, wherever a recording is looked at, and the books balance: what
/// turns out to be hidden later does not take back what was shown.
#[test]
fn what_was_shown_is_not_taken_back() {
    let mut hidden = 0;
    for ms in [10, 50, 70, 100, 200, 700] {
        let mut playback = Playback::new(demo());
        let mut before: Option<tombola_core::snapshot::Snapshot> = None;
        while let Some(frame) = playback.next(Some(Duration::from_millis(ms))).unwrap() {
            let now = frame.snapshot;
            hidden = now.loss.unseen_switches;
            let Some(before) = before.replace(now.clone()) else { continue };
            for (was, is) in before.cpus.iter().zip(&now.cpus) {
                assert!(is.busy_ns >= was.busy_ns && is.idle_ns >= was.idle_ns, "{ms} ms: {was:?} {is:?}");
                assert!(is.unfair_ns >= was.unfair_ns, "{ms} ms: {was:?} {is:?}");
                let known_ns = is.busy_ns + is.idle_ns - was.busy_ns - was.idle_ns;
                assert_eq!(known_ns, now.taken_ns - before.taken_ns, "{ms} ms, CPU {}", is.cpu);
            }
            let is_of: BTreeMap<_, _> = now.tasks.iter().map(|task| (task.id, &task.usage)).collect();
            for was in &before.tasks {
                let Some(is) = is_of.get(&was.id) else { continue };
                assert!(is.runtime_ns >= was.usage.runtime_ns, "{ms} ms, {:?}", was.id);
                assert!(is.wait_ns >= was.usage.wait_ns, "{ms} ms, {:?}", was.id);
            }
            // A slice of a task is a slice of its CPU.
            let busy = |snapshot: &tombola_core::snapshot::Snapshot| {
                snapshot.cpus.iter().map(|cpu| cpu.busy_ns).sum::<u64>() - snapshot.loss.untracked_ns
            };
            let ran = |snapshot: &tombola_core::snapshot::Snapshot| {
                let living: u64 = snapshot.tasks.iter().map(|task| task.usage.runtime_ns).sum();
                living + snapshot.exits.runtime_ns
            };
            assert_eq!(busy(&now), ran(&now), "{ms} ms at {}", now.taken_ns);
        }
    }
    assert!(hidden > 0, "the demonstration has hidden switches, or this shows nothing");
}

/// A few events.
struct Few {
    header: Header,
    events: VecDeque<Event>,
    damage: Damage,
}

impl Reader for Few {
    fn header(&self) -> &Header {
        &self.header
    }

    fn next_event(&mut self) -> Result<Option<Event>, ReadError> {
        Ok(self.events.pop_front())
    }

    fn progress(&self) -> (u64, u64) {
        (0, 0)
    }

    fn damage(&self) -> &Damage {
        &self.damage
    }
}

/// A signal that comes while the ledger divides ends the recording there: what was divided before stays.
#[test]
fn a_ledger_ends_where_it_is_told_to() {
    let ended = Arc::new(AtomicBool::new(false));
    let mut playback = Playback::new(demo());
    playback.keep_ledger();
    playback.end_by(Arc::clone(&ended));
    let begin_ns = playback.begin_ns().unwrap();
    assert!(playback.advance_to(begin_ns + 500 * MS).unwrap());
    let divided = |playback: &Playback| -> f64 {
        playback.ledger().unwrap().accounts().map(|(_, account)| account.entitled_ns).sum()
    };
    let before = divided(&playback);
    assert!(before > 0.0 && playback.ledger().unwrap().ended_ns().is_none());
    ended.store(true, Ordering::Relaxed);
    playback.advance_to_end().unwrap();
    // Up to the first change that asks for a division.
    let end_ns = playback.ledger().unwrap().ended_ns().unwrap();
    assert!(end_ns >= begin_ns + 499 * MS && end_ns < begin_ns + 600 * MS, "{end_ns}");
    let (now, capacity) = (divided(&playback), 2.0 * (end_ns - begin_ns) as f64);
    assert!(now >= before && now < capacity, "{before} {now} {capacity}");
    assert!(playback.is_over());
}

/// What was hidden before a stretch is no loss of it.
#[test]
fn a_stretch_has_the_losses_of_its_own_time() {
    let task = |pid| Task { pid, ..Task::default() };
    let switch = |(ms, prev, next): (u64, u32, u32)| Event {
        ts_ns: ms * MS,
        cpu: 0,
        seq: 0,
        kind: Kind::Switch { prev: Some(task(prev)), state: Left::Sleep, next: task(next) },
    };
    // At 2 ms and at 7 ms somebody leaves who had not come.
    let switches = [(0, 0, 7), (2, 8, 7), (4, 7, 0), (6, 0, 7), (7, 9, 0), (8, 0, 7)];
    let hidden = |from_ms: Option<u64>| {
        let events = switches.map(switch).into();
        let header = Header { cpus: Some(1), ..Header::default() };
        let mut playback = Playback::new(Box::new(Few { header, events, damage: Damage::default() }));
        playback.span(from_ms.map(|ms| ms * MS), None).unwrap();
        let loss = playback.next(None).unwrap().unwrap().snapshot.loss;
        (loss.unseen_switches, loss.unseen_ns)
    };
    assert_eq!(hidden(None), (2, 3 * MS));
    assert_eq!(hidden(Some(5)), (1, MS));
}

/// What a recording knows of a task's reservation is in its frames, as live: a finding names it.
#[test]
fn a_reservation_that_is_recorded_is_in_the_frames() {
    let reservation = Reservation { runtime_ns: 5 * MS, deadline_ns: 40 * MS, period_ns: 50 * MS };
    // Policy 6 is SCHED_DEADLINE, 0 SCHED_OTHER.
    let of = |pid, policy, reservation| Kind::Attributes {
        pid,
        start_ns: Some(1),
        attributes: Box::new(Attributes { policy: Some(policy), reservation, ..Attributes::default() }),
    };
    let kinds = [of(7, 6, Some(reservation)), of(8, 0, None)];
    let events = (0..).zip(kinds).map(|(ts_ns, kind)| Event { ts_ns, cpu: 0, seq: 0, kind }).collect();
    let reader = Few { header: demo().header().clone(), events, damage: Damage::default() };
    let frame = Playback::new(Box::new(reader)).next(None).unwrap().unwrap();
    let expected = BTreeMap::from([(TaskId { pid: 7, start_ns: 1 }, reservation)]);
    assert_eq!(frame.reservations, expected);
    assert_eq!(frame.snapshot.tasks.len(), 2);
}

/// Two tasks of one weight on one CPU, ten rounds of 10 ms: the first runs 1 ms and yields, the second runs
/// 4 ms and loses the CPU to it, it runs 1 ms more and loses the CPU again, for 4 ms. At the end it comes
/// once more.
#[test]
fn what_follows_a_yield_is_owed_by_nobody() {
    let header = Header {
        cpus: Some(1),
        begin_ns: Some(0),
        can: Capabilities { waking: true, yields: true, ..Capabilities::default() },
        ..Header::default()
    };
    let preempted = Left::Runnable { preempted: Some(true) };
    let mut writer = PerfettoWriter::new(Vec::new(), &header, Options::default()).unwrap();
    for round in 0..=10 {
        let task = |pid| Some(Task { pid, prio: Some(120), ..Task::default() });
        let turns =
            [(0, 2, preempted, 1), (1, 1, Left::Yielded, 2), (5, 2, preempted, 1), (6, 1, preempted, 2)];
        for (ms, prev, state, next) in turns.into_iter().take(if round < 10 { 4 } else { 1 }) {
            let kind = Kind::Switch { prev: task(prev), state, next: task(next).unwrap() };
            writer.event(&Event { ts_ns: (10 * round + ms) * MS, cpu: 0, seq: 0, kind }).unwrap();
        }
    }
    let file = writer.finish(Some(100 * MS)).unwrap();
    let mut playback = Playback::new(reader::open_input(Box::new(Cursor::new(file))).unwrap());
    assert!(playback.header().can.yields);
    playback.keep_ledger();
    playback.keep_culprits();
    // In the middle of a wait that a yield began.
    playback.advance_to(3 * MS).unwrap();
    let open = playback.snapshot_at(3 * MS);
    let (one, two) = (TaskId { pid: 1, start_ns: 0 }, TaskId { pid: 2, start_ns: 0 });
    let usage = |snapshot: &Snapshot, id| snapshot.tasks.iter().find(|t| t.id == id).unwrap().usage.clone();
    assert_eq!((usage(&open, one).wait_ns, usage(&open, one).yielded_ns), (2 * MS, 2 * MS));
    playback.advance_to_end().unwrap();
    let end = playback.snapshot_at_end();
    let (of_one, of_two) = (usage(&end, one), usage(&end, two));
    assert_eq!((of_one.runtime_ns, of_one.wait_ns, of_one.yielded_ns), (20 * MS, 80 * MS, 40 * MS));
    assert_eq!((of_one.involuntary, of_one.yields, of_one.preempted(), of_one.wakeups), (20, 10, 10, 0));
    assert_eq!((of_two.yields, of_two.yielded_ns, of_two.wait_ns), (0, 0, 20 * MS));
    // Of each round it wants the CPU for 6 ms, and half of it is its own; the other has the rest.
    playback.settle_ledger(100 * MS);
    let lag_ms = |id| (playback.ledger().unwrap().account(id).unwrap().lag_ns() / MS as f64).round();
    assert_eq!((lag_ms(one), lag_ms(two)), (30.0 - 20.0, 70.0 - 80.0));
    let told = end.interference.unwrap();
    let held = |id| told.culprits_of(id).iter().map(|(_, s)| (s.held_ns, s.preemptions)).collect::<Vec<_>>();
    assert_eq!((held(one), held(two)), (vec![(40 * MS, 10)], vec![(20 * MS, 21)]));
    assert_eq!(told.unknown_ns.get(&one), None);
}
