//! Recordings of a known truth: simulate, write, read, play, and compare with the simulator's own books, to
//! the nanosecond.

mod common;

use common::any_scenario;
use proptest::prelude::*;
use std::io::Cursor;
use std::sync::{Arc, Mutex};
use tombola_core::snapshot::Snapshot;
use tombola_lab::engine::Simulation;
use tombola_lab::library::SCENARIOS;
use tombola_lab::outcome::Outcome;
use tombola_lab::policy::{Departure, PolicyKind};
use tombola_lab::scenario::{Class, Scenario};
use tombola_lab::trace::Turn;
use tombola_recording::event::{Event, Left};
use tombola_recording::ledger::Basis;
use tombola_recording::normaliser::Repairs;
use tombola_recording::playback::Playback;
use tombola_recording::reader;
use tombola_recording::simulated::{self, Simulated};
use tombola_recording::writer::{Options, PerfettoWriter};

const MS: u64 = 1_000_000;

/// Events of a simulated recording, and the simulator's own snapshots at these instants.
fn simulate(
    scenario: &Scenario,
    policy: PolicyKind,
    instants: &[u64],
) -> (Vec<Event>, Vec<Snapshot>, Outcome) {
    let mut simulation = Simulation::new(scenario, policy, 3, 0);
    simulation.track_entitlement();
    let groups = simulation.snapshot().groups;
    let told = Arc::new(Mutex::new(Simulated::new(scenario.cpus, &groups)));
    let tracer = Arc::clone(&told);
    let pid = |task: usize| u32::try_from(task + 1).expect("few tasks");
    let cpu = |cpu: usize| u32::try_from(cpu).expect("few CPUs");
    simulation.trace(Box::new(move |turn| {
        let mut told = tracer.lock().expect("one thread");
        match turn {
            Turn::Born { at_ns, totals } => told.born(*at_ns, totals),
            Turn::Woken { at_ns, task, by } => told.woken(*at_ns, pid(*task), by.map(pid)),
            Turn::Came { at_ns, cpu: on, task } => told.came(*at_ns, cpu(*on), pid(*task)),
            Turn::Left { at_ns, cpu: on, why, .. } => {
                let state = match why {
                    Departure::Blocked => Left::Sleep,
                    Departure::Ended => Left::Dead,
                    why => Left::Runnable { preempted: Some(*why == Departure::Preempted) },
                };
                told.left(*at_ns, cpu(*on), state);
            }
        }
    }));
    let mut snapshots = Vec::new();
    for at in instants {
        simulation.run_until(*at).expect("a scenario that goes on");
        snapshots.push(simulation.snapshot());
    }
    let outcome = simulation.outcome();
    let mut told = told.lock().expect("one thread");
    told.finish(*instants.last().expect("an end"));
    (told.events().collect(), snapshots, outcome)
}

fn check(scenario: &Scenario, policy: PolicyKind, instants: &[u64]) {
    let (events, truth, outcome) = simulate(scenario, policy, instants);
    let options = Options { events_per_packet: 64, numbers: true, ..Options::default() };
    let mut writer =
        PerfettoWriter::new(Vec::new(), &simulated::header(scenario.cpus, policy.name()), options)
            .expect("memory");
    for event in &events {
        writer.event(event).expect("memory");
    }
    let bytes = writer.finish(instants.last().copied()).expect("memory");
    let mut playback = Playback::new(reader::open_input(Box::new(Cursor::new(bytes))).expect("memory"));
    playback.keep_ledger();
    for (at, truth) in instants.iter().zip(&truth) {
        playback.advance_to(*at).expect("memory");
        let played = playback.snapshot_at(*at);
        let name = format!("{} under {policy} at {at} ns", scenario.name);
        assert_eq!(played.tasks, truth.tasks, "{name}");
        assert_eq!(played.exits, truth.exits, "{name}");
        for ended in &played.exited {
            let same = truth.exited.iter().find(|other| other.totals.id == ended.totals.id);
            assert_eq!(Some(ended), same, "{name}");
        }
        let mut cpus = truth.cpus.clone();
        for (own, theirs) in cpus.iter_mut().zip(&played.cpus) {
            own.unfair_ns = theirs.unfair_ns; // the simulator does not keep it
            if let (Some(own), Some(theirs)) = (&mut own.running, &theirs.running) {
                own.since_ns = theirs.since_ns; // a slice that goes on is a new one there, without a switch
            }
        }
        assert_eq!(played.cpus, cpus, "{name}");
        assert_eq!(played.groups, truth.groups, "{name}");
        assert!(played.loss.is_none(), "{name}: {:?}", played.loss);
    }
    let end = *instants.last().expect("an end");
    playback.settle_ledger(end);
    check_ledger(scenario, &playback, &outcome, end);
    let repairs = Repairs { carried_wakes: 0, idle_wakes: 0, ..*playback.repairs() };
    assert_eq!(repairs, Repairs::default());
    assert_eq!(playback.damage().skipped, 0);
}

/// Entitlement and largest lag of every task that is the only instance of its entry are the simulator's own.
fn check_ledger(scenario: &Scenario, playback: &Playback, outcome: &Outcome, end: u64) {
    let all_fair = |task: &tombola_lab::scenario::Task| task.class == Class::Fair && task.reserve.is_none();
    if !scenario.tasks.iter().all(all_fair) || scenario.tasks.iter().any(|task| task.tickets > 1 << 31) {
        return; // the simulator divides among all classes
    }
    let ledger = playback.ledger().expect("it is kept");
    assert_eq!((ledger.basis(), ledger.doubtful_ns()), (Basis::Told, 0));
    let mut first = 0;
    for (entry, truth) in scenario.tasks.iter().zip(&outcome.tasks) {
        let pids = first + 1..=first + entry.count;
        first += entry.count;
        let own: Vec<_> =
            ledger.accounts().filter(|(id, _)| pids.contains(&id.pid)).map(|(_, a)| a).collect();
        let entitled: f64 = own.iter().map(|a| a.entitled_ns).sum();
        let expected = truth.entitled_share.expect("it was tracked") * end as f64 * f64::from(scenario.cpus);
        let name = format!("'{}' of {}", entry.name, scenario.name);
        assert!((entitled - expected).abs() < 1.0, "{name}: {entitled} instead of {expected}");
        let lag = own.iter().map(|a| a.lag_max_ns).fold(0.0, f64::max);
        let expected = truth.lag_max_ns.expect("it was tracked");
        assert!((lag - expected).abs() < 1.0, "{name}: lag {lag} instead of {expected}");
        let received: u64 = own.iter().map(|a| a.received_ns).sum();
        assert_eq!(received, truth.runtime_ns, "{name}");
    }
}

const POLICIES: [PolicyKind; 5] = [
    PolicyKind::RoundRobin,
    PolicyKind::Lottery,
    PolicyKind::Stride,
    PolicyKind::Cfs,
    PolicyKind::EevdfLinux,
];

#[test]
fn every_scenario_that_comes_with_tombola() {
    for built_in in SCENARIOS {
        let scenario = Scenario::from_toml(built_in.text).unwrap();
        let end = scenario.duration_ns.min(400 * MS);
        check(&scenario, POLICIES[scenario.name.len() % 5], &[end / 3 + 12_345, end / 2, end]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]
    #[test]
    fn any_scenario_to_the_nanosecond(text in any_scenario(), policy in 0usize..5, at in 1u64..300 * MS) {
        let scenario = Scenario::from_toml(&text).map_err(|e| TestCaseError::fail(format!("{e}\n{text}")))?;
        check(&scenario, POLICIES[policy], &[at, 300 * MS]);
    }
}
