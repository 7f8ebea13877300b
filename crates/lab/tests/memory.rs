//! A simulation takes no more memory the longer it runs. Alone in its process, and one test: what is counted
//! is every byte that the process allocates.

use peak_alloc::PeakAlloc;
use std::sync::{Arc, Mutex};
use tombola_lab::engine::Simulation;
use tombola_lab::library::SCENARIOS;
use tombola_lab::policy::PolicyKind;
use tombola_lab::scenario::Scenario;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

const SECOND_NS: u64 = 1_000_000_000;

/// What may still come after the first second: a bucket for a wait longer than any before (8 bytes for each
/// sixteenth of a power of two, and a vector doubles), rates of a set of runnable tasks not seen before (at
/// most 1,024 sets are kept).
const ALLOWED: usize = 32 << 10;

/// Everything at once, many decisions a second: chance, jobs, locks, events, groups, quotas, affinity.
const EVERYTHING: &str = r#"
name = "everything"
cpus = 2
duration = "30s"
quantum = "200us"
[[group]]
name = "g"
weight = 200
quota = "5ms"
period = "10ms"
[[group]]
name = "h"
weight = 100
[[task]]
name = "burner"
group = "g"
[[task]]
name = "pinned"
cpus = [1]
tickets = 3
[[task]]
name = "sleeper"
count = 2
group = "h"
run = "exp(300us)"
sleep = "uniform(1ms,3ms)"
[[task]]
name = "job"
run = "1ms"
period = "10ms"
priority = 5
[[task]]
name = "locker"
count = 2
phases = [{ lock = "l" }, { run = "500us" }, { unlock = "l" }, { sleep = "exp(2ms)" }]
[[task]]
name = "asker"
phases = [{ run = "200us" }, { wake = "answerer" }, { sleep = "1ms" }]
[[task]]
name = "answerer"
phases = [{ wait = "asker" }, { run = "100us" }]
"#;

/// Bytes that a simulation needs at its most between `early_ns` and `late_ns`, beyond those it had at
/// `early_ns`, and the switches in that time. `keeps` holds on to every slice, as an engine that forgot
/// nothing would.
fn growth(scenario: &Scenario, policy: PolicyKind, early_ns: u64, late_ns: u64, keeps: bool) -> (usize, u64) {
    let mut simulation = Simulation::new(scenario, policy, 1, 0);
    simulation.track_entitlement();
    if keeps {
        let slices = Arc::new(Mutex::new(Vec::new()));
        simulation
            .observe(Box::new(move |slice| slices.lock().expect("no panic while it is held").push(*slice)));
    }
    let switches =
        |simulation: &Simulation| simulation.outcome().tasks.iter().map(|t| t.switches).sum::<u64>();
    simulation.run_until(early_ns).expect("nobody waits for ever");
    let before = switches(&simulation);
    let early = MEMORY.current_usage();
    MEMORY.reset_peak_usage();
    simulation.run_until(late_ns).expect("nobody waits for ever");
    (MEMORY.peak_usage().saturating_sub(early), switches(&simulation) - before)
}

#[test]
fn memory_does_not_grow_with_simulated_time() {
    for built_in in SCENARIOS {
        let scenario = Scenario::from_toml(built_in.text).unwrap();
        for policy in PolicyKind::all() {
            let (grown, _) = growth(&scenario, policy, SECOND_NS, 20 * SECOND_NS, false);
            assert!(grown <= ALLOWED, "{} under {policy}: {grown} bytes more", built_in.name);
        }
    }
    let scenario = Scenario::from_toml(EVERYTHING).unwrap();
    for policy in PolicyKind::all() {
        let (grown, switches) = growth(&scenario, policy, SECOND_NS, 30 * SECOND_NS, false);
        assert!(grown <= ALLOWED, "everything under {policy}: {grown} bytes more after {switches} switches");
        // A byte kept of every switch would have been seen. Where everybody runs at once nobody is switched.
        let enough = policy == PolicyKind::Fluid || switches > ALLOWED as u64;
        assert!(enough, "{policy}: only {switches} switches");
    }
    let (grown, switches) = growth(&scenario, PolicyKind::Lottery, SECOND_NS, 30 * SECOND_NS, true);
    assert!(grown > 8 * ALLOWED, "slices were kept, and only {grown} bytes more after {switches} switches");
}
