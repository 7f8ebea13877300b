//! Recordings and logs of a known truth, made of simulated machines: what is past can be looked at without
//! root and without a kernel.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tombola_core::audit::Audit;
use tombola_core::frame::Frame;
use tombola_core::snapshot::{Group, Snapshot};
use tombola_core::window::Window;
use tombola_history::file::About;
use tombola_history::name::ByPath;
use tombola_history::rows::{Maker, Most};
use tombola_history::{Keep, Log};
use tombola_lab::engine::Simulation;
use tombola_lab::policy::{Departure, PolicyKind};
use tombola_lab::scenario::Scenario;
use tombola_lab::trace::Turn;
use tombola_recording::event::Left;
use tombola_recording::simulated::{self, Simulated};
use tombola_recording::writer::{Options, PerfettoWriter};

/// Two requests against a job of this nice value, on one CPU, for 4 s.
pub(crate) fn requests(nice: i32) -> Scenario {
    Scenario::from_toml(&format!(
        "name = \"requests\"\ncpus = 1\nduration = \"4s\"\nquantum = \"5ms\"\n\
         [[task]]\nname = \"web\"\ncount = 2\nrun = \"exp(3ms)\"\nsleep = \"exp(10ms)\"\n\
         [[task]]\nname = \"batch\"\nnice = {nice}\n"
    ))
    .unwrap()
}

/// Three that never sleep, the first of them of this nice value, on one CPU, for 4 s.
pub(crate) fn burners(nice: i32) -> Scenario {
    Scenario::from_toml(&format!(
        "name = \"burners\"\ncpus = 1\nduration = \"4s\"\nquantum = \"2ms\"\n\
         [[task]]\nname = \"first\"\nnice = {nice}\n[[task]]\nname = \"other\"\ncount = 2\n"
    ))
    .unwrap()
}

/// Writes a recording of all of a scenario; returns the simulator's own books at its end.
pub(crate) fn record(path: &Path, scenario: &Scenario, policy: PolicyKind, seed: u64) -> Snapshot {
    let mut simulation = Simulation::new(scenario, policy, seed, 0);
    let groups = simulation.snapshot().groups;
    let told = Arc::new(Mutex::new(Simulated::new(scenario.cpus, &groups)));
    let tracer = Arc::clone(&told);
    let number = |number: usize| u32::try_from(number).unwrap();
    simulation.trace(Box::new(move |turn| {
        let mut told = tracer.lock().unwrap();
        match turn {
            Turn::Born { at_ns, totals } => told.born(*at_ns, totals),
            Turn::Woken { at_ns, task, by } => {
                told.woken(*at_ns, number(*task + 1), by.map(|by| number(by + 1)));
            }
            Turn::Came { at_ns, cpu, task } => told.came(*at_ns, number(*cpu), number(*task + 1)),
            Turn::Left { at_ns, cpu, why, .. } => {
                let state = match why {
                    Departure::Blocked => Left::Sleep,
                    Departure::Ended => Left::Dead,
                    why => Left::Runnable { preempted: Some(*why == Departure::Preempted) },
                };
                told.left(*at_ns, number(*cpu), state);
            }
        }
    }));
    simulation.run_until(scenario.duration_ns).unwrap();
    let end = simulation.snapshot();
    let mut told = told.lock().unwrap();
    told.finish(scenario.duration_ns);
    let options = Options { events_per_packet: 256, numbers: true, ..Options::default() };
    let mut writer =
        PerfettoWriter::new(Vec::new(), &simulated::header(scenario.cpus, policy.name()), options).unwrap();
    for event in told.events() {
        writer.event(&event).unwrap();
    }
    fs::write(path, writer.finish(Some(scenario.duration_ns)).unwrap()).unwrap();
    end
}

/// Logs all of a scenario in intervals of this length, a part of it in sealed files and the rest in the
/// journal, beginning at the Unix epoch; returns the simulator's own books at its end.
pub(crate) fn log(
    dir: &Path,
    scenario: &Scenario,
    policy: PolicyKind,
    seed: u64,
    interval: Duration,
) -> Snapshot {
    log_beside(dir, scenario, policy, seed, interval, |_| {})
}

/// The same, with what `tell` adds to each snapshot: what the simulator does not know.
pub(crate) fn log_beside(
    dir: &Path,
    scenario: &Scenario,
    policy: PolicyKind,
    seed: u64,
    interval: Duration,
    mut tell: impl FnMut(&mut Snapshot),
) -> Snapshot {
    let about = About { host: "sim".to_owned(), boot: "b00t".to_owned(), release: "0".to_owned() };
    let seal = Duration::from_nanos(scenario.duration_ns / 3);
    let (mut log, trouble) = Log::open(dir, about, Keep { age: None, bytes: None, seal }).unwrap();
    assert!(trouble.is_none());
    let mut maker = Maker::new("sim", "b00t", Most::default(), ByPath);
    let paths = scenario.groups.iter().map(|group| format!("/{}", group.name));
    let names: BTreeMap<Group, String> =
        (1..).map(Group::Cgroup).zip(std::iter::once("/".to_owned()).chain(paths)).collect();
    let mut simulation = Simulation::new(scenario, policy, seed, 0);
    let mut before = simulation.snapshot();
    let step_ns = u64::try_from(interval.as_nanos()).unwrap();
    for number in 1..=scenario.duration_ns / step_ns {
        simulation.run_until(number * step_ns).unwrap();
        let mut now = simulation.snapshot();
        tell(&mut now);
        let window = Window::between(&before, &now);
        let frame = Frame::new(now.clone(), names.clone());
        let rows = maker.rows(&window, &Audit::new(&window).unwrap(), &frame, 0);
        assert!(log.append(&rows).unwrap().is_none());
        before = now;
    }
    before
}
