//! Replays of recordings whose truth is known: those of the simulator.

use super::recorded::{self, Span};
use super::score::{Honesty, Replayed, honesty, replay};
use super::world::{Machine, World, world};
use super::{score, toml};
use crate::turns;
use std::sync::atomic::AtomicBool;
use tombola_lab::outcome::{Observe, run};
use tombola_lab::policy::PolicyKind;
use tombola_lab::scenario::Scenario;
use tombola_recording::event::{Event, Kind, Stage};
use tombola_recording::periods::{rhythm, service};

const MS: f64 = 1e6;

/// Burners of several weights, a sleeper, and a pipeline that goes round: it always sleeps, so no wake is
/// hidden.
const MIXTURE: &str = "name='mixture'\nduration='4s'\ncpus=CPUS\n\
    [[task]]\nname='heavy'\nnice=-5\n\
    [[task]]\nname='plain'\ncount=2\n\
    [[task]]\nname='light'\nnice=10\n\
    [[task]]\nname='sleeper'\nrun='2ms'\nsleep='9ms'\n\
    [[task]]\nname='periodic'\nperiod='20ms'\nrun='3ms'\n\
    [[task]]\nname='ping'\nphases=[{run='1ms'},{wake='pong'},{wait='pong'}]\n\
    [[task]]\nname='pong'\nphases=[{wait='ping'},{run='3ms'},{wake='ping'}]\n";

fn mixture(cpus: u32) -> Scenario {
    Scenario::from_toml(&MIXTURE.replace("CPUS", &cpus.to_string())).unwrap()
}

fn recording(scenario: &Scenario, policy: PolicyKind) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    turns::record(scenario, policy, 1, &AtomicBool::new(false), &mut file.as_file()).unwrap();
    file
}

fn judged(span: &Span, policy: PolicyKind) -> (World, Replayed, Honesty) {
    let world = world(&span.demand, Machine::of(&span.header), "x");
    let base = replay(&world, policy, (1, 1), &AtomicBool::new(false), &|_, _| {}).unwrap();
    let honesty = honesty(span, &world, &base);
    (world, base, honesty)
}

#[test]
fn under_its_own_policy_a_simulation_comes_out_again() {
    for cpus in [1, 2, 3] {
        for policy in [PolicyKind::EevdfLinux, PolicyKind::Cfs, PolicyKind::Stride, PolicyKind::RoundRobin] {
            let scenario = mixture(cpus);
            let span = recorded::read(recording(&scenario, policy).path(), None, None).unwrap();
            assert_eq!(recorded::policy(&span.header).0, policy);
            let (world, _, honesty) = judged(&span, policy);
            assert_eq!(world.scenario.instances(), scenario.instances());
            let worst = honesty.worst;
            assert!(
                worst.share < 1e-9 && worst.wait < 1e-9 && worst.completions < 1e-9,
                "{policy} on {cpus}: {worst:?}"
            );
            assert_eq!((span.demand.sleeps.unknown, span.demand.sleeps.task_uncertain), (0, 0));
        }
    }
}

/// What a replay says of another policy is what the simulator says of the original scenario.
///
/// The original goes on where the recording ends, so both must only do what was recorded. Under `rr` and
/// `stride` on one CPU the tasks that sleep get no more than under `eevdf-linux`, which serves them before
/// the burners, and burners are taken to go on. What is left is the end: a task may be one cycle further. So
/// shares differ by no more than a cycle of each of the four tasks that sleep, and completions by one.
#[test]
fn under_another_policy_the_prediction_is_what_the_simulator_says_of_the_original() {
    let scenario = mixture(1);
    let span = recorded::read(recording(&scenario, PolicyKind::EevdfLinux).path(), None, None).unwrap();
    let (world, base, honesty) = judged(&span, PolicyKind::EevdfLinux);
    for policy in [PolicyKind::RoundRobin, PolicyKind::Stride] {
        let other = replay(&world, policy, (1, 1), &AtomicBool::new(false), &|_, _| {}).unwrap();
        let observe = Observe { entitlement: false, draws: false };
        let truth = run(&scenario, policy, 1, 0, observe, None, &|_| true).unwrap();
        let cycle = (2.0 + 3.0 + 1.0 + 3.0) * MS / scenario.duration_ns as f64;
        let mut task = 0;
        let mut changed = 0;
        for entry in &truth.tasks {
            let instances = task..task + entry.count as usize;
            task = instances.end;
            let share: f64 = other.tasks[instances.clone()].iter().map(|task| task.share).sum();
            assert!((share - entry.share).abs() <= cycle, "{policy} {}: {share} {}", entry.name, entry.share);
            if entry.completed > 0 {
                let done = other.tasks[instances.start].completions;
                assert!((done - entry.completed as f64).abs() <= 1.0, "{policy} {}: {done}", entry.name);
            }
            changed += instances
                .filter(|task| score::change(&honesty, &base, &other, *task).share.is_some())
                .count();
        }
        assert!(changed > 0 || policy == PolicyKind::Stride, "rr gives equal shares, eevdf by weight");
    }
}

/// Negative control: with wakers of other tasks in place of the true ones the score falls.
#[test]
fn with_shuffled_wake_edges_the_score_falls() {
    let scenario = mixture(2);
    let file = recording(&scenario, PolicyKind::EevdfLinux);
    let span = recorded::read(file.path(), None, None).unwrap();
    let (_, _, honest) = judged(&span, PolicyKind::EevdfLinux);
    let mut reader = tombola_recording::reader::open(file.path()).unwrap();
    // Task ids go from 1 on in the order of the scenario; whoever was the waker, the light burner is said to
    // be.
    let light = 4;
    let shuffle = |event: &mut Event| {
        if let Kind::Wake { waker, stage: Stage::Waking, context, .. } = &mut event.kind {
            (*waker, *context) = (Some(light), tombola_recording::event::Context::Task);
        }
        true
    };
    let shuffled = std::sync::Mutex::new(shuffle);
    let span = recorded::read_from((reader.as_mut(), Box::new(|_, _| true)), None, None, "x", &|event| {
        (shuffled.lock().unwrap())(event)
    })
    .unwrap();
    let (_, _, fallen) = judged(&span, PolicyKind::EevdfLinux);
    assert!(
        fallen.median.completions > honest.median.completions + 0.01
            || fallen.worst.share > honest.worst.share + 0.01,
        "{honest:?}\n{fallen:?}",
        honest = honest.worst,
        fallen = fallen.worst
    );
}

#[test]
fn the_text_of_a_demand_is_the_demand() {
    for cpus in [1, 2] {
        let scenario = mixture(cpus);
        let span = recorded::read(recording(&scenario, PolicyKind::Cfs).path(), None, None).unwrap();
        let (world, base, _) = judged(&span, PolicyKind::Cfs);
        let again = Scenario::from_toml(&toml::text(&world.scenario)).unwrap();
        assert_eq!(again.instance_names(), world.scenario.instance_names());
        let truth =
            run(&again, PolicyKind::Cfs, 1, 0, Observe { entitlement: false, draws: false }, None, &|_| true);
        for (task, is) in truth.unwrap().tasks.iter().enumerate() {
            assert!((is.share - base.tasks[task].share).abs() < 1e-9, "{}", is.name);
        }
    }
}

/// The estimator on a recording of known periods, one of which is harmonic to the other, and of a task that
/// paces itself.
#[test]
fn periods_of_a_simulation_are_those_of_its_scenario() {
    let text = "name='x'\nduration='10s'\n\
        [[task]]\nname='fast'\nperiod='10ms'\nrun='2ms'\n\
        [[task]]\nname='slow'\nperiod='20ms'\nrun='uniform(3ms,5ms)'\n\
        [[task]]\nname='random'\nrun='1ms'\nsleep='exp(30ms)'\n\
        [[task]]\nname='burner'\nnice=19\n";
    let scenario = Scenario::from_toml(text).unwrap();
    let span = recorded::read(recording(&scenario, PolicyKind::EevdfLinux).path(), None, None).unwrap();
    let of = |pid: u32| span.jobs.iter().find(|(id, _)| id.pid == pid).map(|(_, jobs)| jobs).unwrap();
    for (pid, period, run) in [(1, 10.0, 2.0), (2, 20.0, 4.0)] {
        let found = rhythm(&of(pid).wakes_ns).expect("it is periodic");
        assert!((found.period_ns - period * MS).abs() <= found.period_error_ns + 1.0, "{found:?}");
        assert!(found.jitter_ns < 1.0 && found.missing == 0 && found.is_anchored && found.wakes == 1);
        let is = service(&of(pid).jobs, 1, 20_000_000);
        // Uniform over 2 ms: of a mean of 500 the standard error is 2/√12/√500 = 0.026 ms.
        assert!((is.run_mean_ns - run * MS).abs() < 0.11 * MS, "{is:?}");
        assert_eq!(is.misses, 0);
    }
    assert_eq!(rhythm(&of(3).wakes_ns), None);
}
