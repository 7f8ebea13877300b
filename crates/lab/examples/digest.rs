//! A number for what each policy does with each scenario of the library: every slice of the first seconds,
//! and what is reported of them. Two builds whose lines are the same decide the same, to the nanosecond and
//! to the last bit of each f64.
//!
//! `cargo run --release -p tombola-lab --example digest > before`, and again after a change that must not
//! change results.

use std::fmt::Write as _;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Arc, Mutex};
use tombola_lab::engine::Simulation;
use tombola_lab::library::SCENARIOS;
use tombola_lab::policy::PolicyKind;
use tombola_lab::scenario::Scenario;

/// What is looked at of a scenario, at most.
const LONGEST_NS: u64 = 5_000_000_000;

/// Beside the library: many tasks of many weights, some that sleep, on several CPUs, with affinity and
/// without.
fn crowds() -> impl Iterator<Item = (String, String)> {
    [(1, 1), (1, 12), (4, 12), (4, 100)].into_iter().map(|(cpus, count)| {
        let name = format!("crowd-{cpus}-{count}");
        let mut text = format!("name='{name}'\ncpus={cpus}\nquantum='3ms'\nduration='4s'\n");
        for tickets in 1..=10 {
            let _ = write!(text, "[[task]]\nname='b{tickets}'\ncount={count}\ntickets={tickets}\n");
            let _ = write!(
                text,
                "[[task]]\nname='s{tickets}'\ncount={count}\ntickets={}\nrun='exp({tickets}ms)'\nsleep='exp(40ms)'\n",
                7 * tickets
            );
        }
        if cpus > 1 {
            text.push_str("[[task]]\nname='p'\ncount=3\ncpus=[1,2]\n[[task]]\nname='q'\ncpus=[0]\ntickets=5\n");
        }
        (name, text)
    })
}

fn digest(scenario: &Scenario, policy: PolicyKind) -> u64 {
    let hasher = Arc::new(Mutex::new(DefaultHasher::new()));
    let mut simulation = Simulation::new(scenario, policy, 1, 0);
    simulation.track_entitlement();
    let into = Arc::clone(&hasher);
    simulation.observe(Box::new(move |slice| {
        let mut into = into.lock().expect("nobody panics with it");
        (slice.from_ns, slice.cpu, slice.task, slice.ran_ns, slice.why as u8).hash(&mut *into);
    }));
    let ended = simulation.run_until(scenario.duration_ns.min(LONGEST_NS));
    simulation.finish();
    let mut hasher = hasher.lock().expect("nobody panics with it").clone();
    format!("{ended:?} {:?} {:?}", simulation.outcome(), simulation.snapshot()).hash(&mut hasher);
    hasher.finish()
}

fn main() {
    let library = SCENARIOS.iter().map(|entry| (entry.name.to_owned(), entry.text.to_owned()));
    for (name, text) in library.chain(crowds()) {
        let scenario = Scenario::from_toml(&text).expect("a scenario of this build");
        for policy in PolicyKind::all() {
            println!("{name} {policy} {:016x}", digest(&scenario, policy));
        }
    }
}
