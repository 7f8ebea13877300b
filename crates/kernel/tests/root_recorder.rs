//! The recorder against the live kernel: nothing goes missing without being counted, and what it recorded
//! adds up to the monitor's books.
#![allow(clippy::unwrap_used)] // the functions the tests share are no #[test] themselves

mod common;

use common::{Group, LIMIT, Worker, confined_to, last_cpu, monitor, wait_for};
use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};
use tombola_kernel::Recorder;
use tombola_kernel::recorder::{LaneRoom, Recorded, Totals, What};

/// A recording, as it was handed over.
#[derive(Default)]
struct Recording {
    events: Vec<Recorded>,
}

impl Recording {
    /// Empties the lanes every 20 ms, as long as `during` says.
    fn take(recorder: &mut Recorder, mut during: impl FnMut() -> bool) -> Self {
        let mut recording = Self::default();
        while during() {
            thread::sleep(Duration::from_millis(20));
            recorder.drain(&mut |event| recording.events.push(event)).unwrap();
        }
        recording
    }

    fn stop(&mut self, recorder: Recorder) -> Totals {
        recorder.stop(&mut |event| self.events.push(event)).unwrap()
    }

    /// Events and losses, counted one by one.
    fn counted(&self) -> (u64, u64) {
        self.events.iter().fold((0, 0), |(events, lost), event| match event.what {
            What::Loss { count, .. } => (events, lost + count),
            _ => (events + 1, lost),
        })
    }

    fn of_cpu(&self, cpu: u32) -> impl Iterator<Item = &Recorded> {
        self.events.iter().filter(move |event| event.cpu == cpu)
    }

    fn cpus(&self) -> Vec<u32> {
        let mut cpus: Vec<u32> = self.events.iter().map(|event| event.cpu).collect();
        cpus.sort_unstable();
        cpus.dedup();
        cpus
    }

    /// Run time of every thread: each slice goes to the task that leaves at its end, as the monitor books it.
    fn runtimes(&self) -> BTreeMap<u32, u64> {
        let mut sums = BTreeMap::new();
        for cpu in self.cpus() {
            let mut since = None;
            for event in self.of_cpu(cpu) {
                if let What::Switch { prev, .. } = event.what {
                    if let Some(since) = since {
                        *sums.entry(prev).or_default() += event.ts_ns - since;
                    }
                    since = Some(event.ts_ns);
                }
            }
        }
        sums
    }
}

fn assert_nothing_is_missing(recording: &Recording, totals: &Totals) {
    let (events, lost) = recording.counted();
    assert_eq!(events, totals.written);
    assert_eq!(lost, totals.lost_in_lanes, "each loss in a lane is told in its place: {totals:?}");
    assert_eq!(totals.seen, totals.written + totals.lost(), "{totals:?}");
    for cpu in recording.cpus() {
        let times: Vec<u64> = recording.of_cpu(cpu).map(|event| event.ts_ns).collect();
        assert!(times.is_sorted(), "CPU {cpu} goes back in time");
    }
}

/// A pipe between two processes on one CPU, and shells that start others.
fn load() -> Group {
    confined_to(last_cpu(), || {
        Group::spawn(
            Command::new("sh")
                .args(["-c", "while :; do (while :; do echo x; done) | head -c 20000 >/dev/null; done"])
                .stdin(Stdio::null()),
        )
    })
}

#[test]
#[ignore = "root: loads BPF programs"]
fn root_written_and_lost_are_what_was_counted() {
    let _load = load();
    let mut recorder = Recorder::start(LaneRoom::default()).unwrap();
    let mut recording = Recording::default();
    wait_for("a thousand events, births and ends among them", || {
        recorder.drain(&mut |event| recording.events.push(event)).unwrap();
        let any = |what: fn(&What) -> bool| recording.events.iter().any(|event| what(&event.what));
        let births_and_ends =
            any(|what| matches!(what, What::Fork { .. })) && any(|what| matches!(what, What::Exit { .. }));
        thread::sleep(Duration::from_millis(20));
        (births_and_ends && recording.events.len() > 1000).then_some(())
    });
    let totals = recording.stop(recorder);
    assert_nothing_is_missing(&recording, &totals);
    assert_eq!(totals.lost(), 0, "{totals:?}");
}

#[test]
#[ignore = "root: loads BPF programs"]
fn root_a_tiny_lane_loses_and_says_how_many() {
    let _load = load();
    let mut recorder = Recorder::start(LaneRoom::new(64).unwrap()).unwrap();
    let mut recording = Recording::default();
    // Read twice only: whatever lies between finds no room.
    for _ in 0..2 {
        wait_for("the lane loses", || (recorder.totals().lost_in_lanes > 1000).then_some(()));
        recorder.drain(&mut |event| recording.events.push(event)).unwrap();
    }
    thread::sleep(Duration::from_millis(100));
    let totals = recording.stop(recorder);
    assert_nothing_is_missing(&recording, &totals);
    assert!(totals.lost_in_lanes > 1000, "{totals:?}");
    // What was lost lies between the events around it.
    for cpu in recording.cpus() {
        let mut last_ns = 0;
        for event in recording.of_cpu(cpu) {
            if let What::Loss { from_ns, count } = event.what {
                assert!(
                    count > 0 && from_ns >= last_ns && from_ns <= event.ts_ns,
                    "{event:?} after {last_ns}"
                );
            }
            last_ns = event.ts_ns;
        }
    }
}

#[test]
#[ignore = "root: loads BPF programs"]
fn root_run_times_are_the_monitors_to_the_nanosecond() {
    let monitor = monitor();
    let mut recorder = Recorder::start(LaneRoom::default()).unwrap();
    // Born and ended while both look: all their slices are closed.
    let workers: Vec<Worker> = (0..4).map(Worker::sleeper).collect();
    let burner = Worker::burner(0, Some(last_cpu()));
    let tids: Vec<u32> = workers.iter().chain([&burner]).map(|worker| worker.tid).collect();
    let begin = Instant::now();
    let mut recording = Recording::take(&mut recorder, || begin.elapsed() < Duration::from_secs(2));
    for worker in workers.into_iter().chain([burner]) {
        worker.stop();
    }
    let snapshot = wait_for("all workers have ended", || {
        let snapshot = monitor.reader().snapshot().unwrap();
        let ended = |tid: &u32| snapshot.exited.iter().any(|end| end.totals.id.pid == *tid);
        tids.iter().all(ended).then_some(snapshot)
    });
    let totals = recording.stop(recorder);
    assert_nothing_is_missing(&recording, &totals);
    assert_eq!((totals.lost(), totals.backwards), (0, 0), "{totals:?}");
    let run_ns = recording.runtimes();
    for end in snapshot.exited.iter().filter(|end| tids.contains(&end.totals.id.pid)) {
        let pid = end.totals.id.pid;
        let switches =
            recording.events.iter().filter(|e| matches!(e.what, What::Switch { prev, .. } if prev == pid));
        assert_eq!(switches.count() as u64, end.totals.usage.switches, "switches of {pid}");
        assert_eq!(run_ns.get(&pid), Some(&end.totals.usage.runtime_ns), "run time of {pid}");
    }
}

#[test]
#[ignore = "root: loads BPF programs"]
fn root_timers_wake_in_interrupts_and_pipes_in_tasks() {
    let mut recorder = Recorder::start(LaneRoom::default()).unwrap();
    let sleeper = Worker::waker(0, last_cpu());
    let (tell, told) = std::sync::mpsc::channel();
    let receiver = Worker::start(
        "receiver",
        || (),
        move || {
            let _ = told.recv_timeout(LIMIT);
        },
    );
    let sender = Worker::start(
        "sender",
        || (),
        move || {
            thread::sleep(Duration::from_millis(1));
            let _ = tell.send(());
        },
    );
    let (by_timer, by_task, waker) = (sleeper.tid, receiver.tid, sender.tid);
    let mut recording = Recording::default();
    wait_for("two hundred wakes of each", || {
        thread::sleep(Duration::from_millis(20));
        recorder.drain(&mut |event| recording.events.push(event)).unwrap();
        let wakings_of = |of| {
            recording
                .events
                .iter()
                .filter(|e| matches!(e.what, What::Wake { wakee, .. } if wakee == of))
                .count()
        };
        (wakings_of(by_timer) > 200 && wakings_of(by_task) > 200).then_some(())
    });
    receiver.tell();
    drop((sleeper, sender, receiver));
    recording.stop(recorder);
    let wakings = |of: u32| {
        recording.events.iter().filter_map(move |event| match event.what {
            What::Wake { wakee, interrupt: Some(interrupt), waker, new: false, .. } if wakee == of => {
                Some((interrupt, waker))
            }
            _ => None,
        })
    };
    let all = wakings(by_timer).count();
    assert!(all > 50, "{all} wakes by a timer");
    let of_timer = wakings(by_timer).filter(|(interrupt, _)| *interrupt).count();
    assert!(of_timer * 10 >= all * 9, "{of_timer} of {all} wakes by a timer are in an interrupt");
    let of_task: Vec<_> = wakings(by_task).filter(|(_, by)| *by == waker).collect();
    let causal = of_task.iter().filter(|(interrupt, _)| !interrupt).count();
    assert!(causal > 100 && causal == of_task.len(), "{causal} of {} wakes by the sender", of_task.len());
}
