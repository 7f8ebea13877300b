//! Who stood in whose way, of recordings of a known truth: simulate, write, read, play, and compare with all
//! pairs of a wait and a slice of the simulator.
#![allow(clippy::unwrap_used)] // a test stops where something is not as it should be

mod common;

use common::any_scenario;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Cursor;
use std::sync::{Arc, Mutex};
use tombola_core::interference::{Interference, Pair, Standing};
use tombola_core::snapshot::Snapshot;
use tombola_lab::engine::Simulation;
use tombola_lab::policy::{Departure, PolicyKind};
use tombola_lab::scenario::Scenario;
use tombola_lab::trace::Turn;
use tombola_recording::capabilities::Header;
use tombola_recording::event::{Event, Kind, Left};
use tombola_recording::playback::Playback;
use tombola_recording::reader;
use tombola_recording::simulated::{self, Simulated};
use tombola_recording::writer::{Options, PerfettoWriter};

const MS: u64 = 1_000_000;

/// What the simulator did: its turns, and the events that are made of them.
struct Truth {
    turns: Vec<Turn>,
    events: Vec<Event>,
    /// The CPU of tasks that may use one only, by thread id.
    pinned: BTreeMap<u32, u32>,
}

fn pid_of(task: usize) -> u32 {
    u32::try_from(task + 1).unwrap()
}

fn simulate(scenario: &Scenario, policy: PolicyKind, end_ns: u64) -> Truth {
    let mut simulation = Simulation::new(scenario, policy, 3, 0);
    let told = Simulated::new(scenario.cpus, &simulation.snapshot().groups);
    let shared = Arc::new(Mutex::new((told, Vec::new())));
    let tracer = Arc::clone(&shared);
    simulation.trace(Box::new(move |turn| {
        let (told, turns) = &mut *tracer.lock().unwrap();
        turns.push(turn.clone());
        match turn {
            Turn::Born { at_ns, totals } => told.born(*at_ns, totals),
            Turn::Woken { at_ns, task, by } => told.woken(*at_ns, pid_of(*task), by.map(pid_of)),
            Turn::Came { at_ns, cpu, task } => told.came(*at_ns, u32::try_from(*cpu).unwrap(), pid_of(*task)),
            Turn::Left { at_ns, cpu, why, .. } => {
                let state = match why {
                    Departure::Blocked => Left::Sleep,
                    Departure::Ended => Left::Dead,
                    why => Left::Runnable { preempted: Some(*why == Departure::Preempted) },
                };
                told.left(*at_ns, u32::try_from(*cpu).unwrap(), state);
            }
        }
    }));
    simulation.run_until(end_ns).unwrap();
    drop(simulation);
    let (told, turns) = &mut *shared.lock().unwrap();
    told.finish(end_ns);
    let pinned = turns.iter().filter_map(|turn| match turn {
        Turn::Born { totals, .. } => {
            let mut set = totals.affinity.as_ref().filter(|set| set.len() == 1)?.iter();
            Some((totals.id.pid, set.next()?))
        }
        _ => None,
    });
    Truth { pinned: pinned.collect(), events: told.events().collect(), turns: std::mem::take(turns) }
}

/// In whose queue every task was, from when on.
type Paths = BTreeMap<u32, Vec<(u64, u32)>>;

/// Queues of our own for a machine whose simulator has one for all: whoever leaves a CPU waits there, a wake
/// and moves lead anywhere, and who comes to a CPU has come to its queue before.
fn with_moves(truth: &Truth, cpus: u32, mut dice: u64) -> (Vec<Event>, Paths) {
    let mut roll = |sides: u32| {
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        u32::try_from(dice >> 33).unwrap() % sides
    };
    let (mut events, mut paths): (Vec<Event>, Paths) = (Vec::new(), Paths::new());
    let mut on_cpu: BTreeSet<u32> = BTreeSet::new();
    let mut waiting: BTreeSet<u32> = BTreeSet::new();
    for event in &truth.events {
        let (ts_ns, cpu) = (event.ts_ns, event.cpu);
        let migrate = |task: tombola_recording::task::Task, to: u32, paths: &mut Paths| {
            paths.entry(task.pid).or_default().push((ts_ns, to));
            Event { kind: Kind::Migrate { task, from: None, to }, ..event.clone() }
        };
        match &event.kind {
            Kind::Switch { prev: Some(prev), state, next } => {
                let place = paths.get(&next.pid).and_then(|path| path.last());
                if next.pid != 0 && place.is_none_or(|(_, place)| *place != cpu) {
                    events.push(migrate(*next, cpu, &mut paths));
                }
                events.push(event.clone());
                paths.entry(prev.pid).or_default().push((ts_ns, cpu));
                on_cpu.remove(&prev.pid);
                waiting.remove(&prev.pid);
                if matches!(state, Left::Runnable { .. }) && prev.pid != 0 {
                    waiting.insert(prev.pid);
                }
                on_cpu.insert(next.pid);
                waiting.remove(&next.pid);
                let free: Vec<u32> =
                    waiting.iter().copied().filter(|pid| !truth.pinned.contains_key(pid)).collect();
                if !free.is_empty() && roll(4) == 0 {
                    let pid = free[roll(u32::try_from(free.len()).unwrap()) as usize];
                    let task = tombola_recording::task::Task { pid, ..Default::default() };
                    events.push(migrate(task, roll(cpus), &mut paths));
                }
            }
            Kind::Wake { wakee, .. } => {
                events.push(event.clone());
                if !on_cpu.contains(&wakee.pid) {
                    let to = truth.pinned.get(&wakee.pid).copied().unwrap_or_else(|| roll(cpus));
                    events.push(migrate(*wakee, to, &mut paths));
                    waiting.insert(wakee.pid);
                }
            }
            _ => events.push(event.clone()),
        }
    }
    for (seq, event) in (0..).zip(&mut events) {
        event.seq = seq;
    }
    (events, paths)
}

/// Every wait and every slice of the simulator up to an instant, and who lost a CPU to whom.
#[derive(Default)]
struct Slow {
    /// Who, from when to when.
    waits: Vec<(u32, u64, u64)>,
    /// Where, who, from when to when.
    slices: Vec<(u32, u32, u64, u64)>,
    lost: BTreeMap<(u32, u32), u64>,
}

impl Slow {
    fn until(turns: &[Turn], end_ns: u64) -> Self {
        let mut all = Self::default();
        let mut runs: BTreeMap<u32, (u32, u64)> = BTreeMap::new();
        let mut waits: BTreeMap<u32, u64> = BTreeMap::new();
        let mut woken: BTreeSet<u32> = BTreeSet::new();
        let mut seats: BTreeMap<u32, (u32, u64)> = BTreeMap::new();
        for turn in turns {
            match turn {
                Turn::Born { .. } => {}
                Turn::Woken { at_ns, .. } | Turn::Came { at_ns, .. } | Turn::Left { at_ns, .. }
                    if *at_ns > end_ns => {}
                Turn::Woken { at_ns, task, .. } => {
                    let pid = pid_of(*task);
                    if runs.contains_key(&pid) {
                        woken.insert(pid);
                    } else {
                        waits.entry(pid).or_insert(*at_ns);
                    }
                }
                Turn::Came { at_ns, cpu, task } => {
                    let (pid, cpu) = (pid_of(*task), u32::try_from(*cpu).unwrap());
                    if let Some(from_ns) = waits.remove(&pid) {
                        all.waits.push((pid, from_ns, *at_ns));
                    }
                    runs.insert(pid, (cpu, *at_ns));
                    woken.remove(&pid);
                    if let Some((before, _)) = seats.remove(&cpu).filter(|(_, left_ns)| left_ns == at_ns)
                        && before != pid
                        && waits.contains_key(&before)
                    {
                        *all.lost.entry((before, pid)).or_default() += 1;
                    }
                    seats.retain(|_, (left, _)| *left != pid);
                }
                Turn::Left { at_ns, cpu, task, why } => {
                    let (pid, cpu) = (pid_of(*task), u32::try_from(*cpu).unwrap());
                    let (on, from_ns) = runs.remove(&pid).unwrap();
                    assert_eq!(on, cpu);
                    all.slices.push((cpu, pid, from_ns, *at_ns));
                    let can_go_on = !matches!(why, Departure::Blocked | Departure::Ended);
                    if can_go_on {
                        seats.insert(cpu, (pid, *at_ns));
                    }
                    if can_go_on || woken.remove(&pid) && *why == Departure::Blocked {
                        waits.insert(pid, *at_ns);
                    }
                }
            }
        }
        all.waits.extend(waits.into_iter().map(|(pid, from_ns)| (pid, from_ns, end_ns)));
        all.slices.extend(runs.into_iter().map(|(pid, (cpu, from_ns))| (cpu, pid, from_ns, end_ns)));
        all
    }

    /// Every wait beside every slice: who ran on the CPU in whose queue another waited.
    fn pairs(&self, queue_of: impl Fn(u32, u64) -> Vec<(u32, u64, u64)>) -> BTreeMap<(u32, u32), Standing> {
        let mut pairs: BTreeMap<(u32, u32), Standing> = BTreeMap::new();
        for (victim, wait_from_ns, wait_to_ns) in &self.waits {
            for (queue, from_ns, to_ns) in queue_of(*victim, *wait_from_ns) {
                let (from_ns, to_ns) = (from_ns.max(*wait_from_ns), to_ns.min(*wait_to_ns));
                for (cpu, culprit, since_ns, until_ns) in &self.slices {
                    let ns = to_ns.min(*until_ns).saturating_sub(from_ns.max(*since_ns));
                    if *cpu == queue && ns > 0 {
                        pairs.entry((*victim, *culprit)).or_default().held_ns += ns;
                    }
                }
            }
        }
        for (pair, preemptions) in &self.lost {
            pairs.entry(*pair).or_default().preemptions += preemptions;
        }
        pairs
    }

    fn waited_ns(&self) -> BTreeMap<u32, u64> {
        let mut sums = BTreeMap::new();
        for (pid, from_ns, to_ns) in self.waits.iter().filter(|(_, from_ns, to_ns)| from_ns < to_ns) {
            *sums.entry(*pid).or_default() += to_ns - from_ns;
        }
        sums
    }
}

/// Where a task is from an instant on, queue by queue.
fn path_from(paths: &Paths, pid: u32, from_ns: u64) -> Vec<(u32, u64, u64)> {
    let path = paths.get(&pid).map(Vec::as_slice).unwrap_or_default();
    let begin = path.iter().rposition(|(at_ns, _)| *at_ns <= from_ns).unwrap_or(0);
    let ends = path[begin..].iter().skip(1).map(|(at_ns, _)| *at_ns).chain([u64::MAX]);
    path[begin..].iter().zip(ends).map(|((at_ns, cpu), end_ns)| (*cpu, *at_ns, end_ns)).collect()
}

fn play(header: &Header, events: &[Event], end_ns: u64) -> Playback {
    let options = Options { events_per_packet: 64, numbers: true, ..Options::default() };
    let mut writer = PerfettoWriter::new(Vec::new(), header, options).unwrap();
    for event in events {
        writer.event(event).unwrap();
    }
    let bytes = writer.finish(Some(end_ns)).unwrap();
    let mut playback = Playback::new(reader::open_input(Box::new(Cursor::new(bytes))).unwrap());
    playback.keep_culprits();
    playback
}

fn by_pid(interference: &Interference) -> BTreeMap<(u32, u32), Standing> {
    let of = |(pair, standing): (&Pair, &Standing)| ((pair.victim.pid, pair.culprit.pid), *standing);
    interference.pairs.iter().map(of).collect()
}

/// Nobody is kept waiting for longer than it waits.
fn check_sums(snapshot: &Snapshot) {
    let interference = snapshot.interference.as_ref().unwrap();
    let ended = snapshot.exited.iter().map(|ended| &ended.totals);
    for task in snapshot.tasks.iter().chain(ended) {
        let behind: u64 =
            interference.culprits_of(task.id).iter().map(|(_, standing)| standing.held_ns).sum();
        let unknown = interference.unknown_ns.get(&task.id).copied().unwrap_or(0);
        assert!(behind + unknown <= task.usage.wait_ns, "{:?}: {behind} + {unknown}", task.id);
    }
}

fn check(scenario: &Scenario, policy: PolicyKind, instants: &[u64], dice: u64) {
    let end_ns = *instants.last().unwrap();
    let truth = simulate(scenario, policy, end_ns);
    let plain = simulated::header(scenario.cpus, policy.name());
    // With the moves of queues of our own everything is known.
    let (events, paths) = with_moves(&truth, scenario.cpus, dice);
    let mut header = plain.clone();
    header.can.migrations = true;
    let mut playback = play(&header, &events, end_ns);
    for at_ns in instants {
        playback.advance_to(*at_ns).unwrap();
        let snapshot = playback.snapshot_at(*at_ns);
        let told = snapshot.interference.as_ref().unwrap();
        let slow = Slow::until(&truth.turns, *at_ns);
        let name = format!("{} under {policy} at {at_ns} ns", scenario.name);
        assert_eq!(by_pid(told), slow.pairs(|pid, from_ns| path_from(&paths, pid, from_ns)), "{name}");
        assert!(told.unknown_ns.is_empty() && told.unseen_ns == 0 && told.refused == 0, "{name}");
        check_sums(&snapshot);
    }
    // Without them only queues that nobody can choose.
    let mut playback = play(&plain, &truth.events, end_ns);
    playback.advance_to(end_ns).unwrap();
    let snapshot = playback.snapshot_at(end_ns);
    let told = snapshot.interference.as_ref().unwrap();
    let slow = Slow::until(&truth.turns, end_ns);
    let known = |pid: u32| if scenario.cpus == 1 { Some(0) } else { truth.pinned.get(&pid).copied() };
    let queue = |pid: u32, _| known(pid).map(|cpu| (cpu, 0, u64::MAX)).into_iter().collect();
    assert_eq!(by_pid(told), slow.pairs(queue), "{} under {policy}", scenario.name);
    let mut unknown: BTreeMap<u32, u64> = slow.waited_ns();
    unknown.retain(|pid, _| known(*pid).is_none());
    let told_unknown: BTreeMap<u32, u64> = told.unknown_ns.iter().map(|(id, ns)| (id.pid, *ns)).collect();
    assert_eq!(told_unknown, unknown, "{} under {policy}", scenario.name);
    check_sums(&snapshot);
}

const POLICIES: [PolicyKind; 3] = [PolicyKind::RoundRobin, PolicyKind::Lottery, PolicyKind::EevdfLinux];

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]
    #[test]
    fn pairs_are_those_of_every_wait_beside_every_slice(
        text in any_scenario(), policy in 0usize..3, at in 1u64..300 * MS, dice in any::<u64>(),
    ) {
        let scenario = Scenario::from_toml(&text).map_err(|e| TestCaseError::fail(format!("{e}\n{text}")))?;
        check(&scenario, POLICIES[policy], &[at / 2, at, 300 * MS], dice);
    }
}
