//! One ledger for both worlds: the judge of live runs ([`Window`], [`Audit`]) on simulated snapshots, beside
//! the simulator's own books and beside a recorder that only sees the slices.

use super::engine::{Simulation, Slice};
use super::library;
use super::outcome::Outcome;
use super::policy::{Departure, PolicyKind};
use super::scenario::Scenario;
use std::sync::{Arc, Mutex};
use tombola_core::audit::Audit;
use tombola_core::snapshot::{Snapshot, TaskState};
use tombola_core::window::Window;

/// What can be known of a task from its slices alone.
#[derive(Clone, Debug, Default, PartialEq)]
struct Seen {
    runtime_ns: u64,
    switches: u64,
    involuntary: u64,
    migrations: u64,
    last_cpu: Option<usize>,
}

/// Everything of a run: the snapshots at its ends, the simulator's results, and what the recorder saw.
struct Run {
    first: Snapshot,
    last: Snapshot,
    outcome: Outcome,
    seen: Vec<Seen>,
    busy_ns: Vec<u64>,
}

fn run(scenario: &Scenario, policy: PolicyKind) -> Run {
    let slices = Arc::new(Mutex::new(Vec::<Slice>::new()));
    let mut simulation = Simulation::new(scenario, policy, 7, 0);
    simulation.track_entitlement();
    let into = Arc::clone(&slices);
    simulation.observe(Box::new(move |slice| into.lock().unwrap().push(*slice)));
    let first = simulation.snapshot();
    simulation.run_until(scenario.duration_ns).unwrap();
    let last = simulation.snapshot();
    simulation.finish();
    let slices = slices.lock().unwrap();
    let mut seen = vec![Seen::default(); scenario.instances()];
    let mut busy_ns = vec![0; scenario.cpus as usize];
    for (at, slice) in slices.iter().enumerate() {
        busy_ns[slice.cpu] += slice.ran_ns;
        let task = &mut seen[slice.task];
        task.runtime_ns += slice.ran_ns;
        task.migrations += u64::from(task.last_cpu.is_some_and(|cpu| cpu != slice.cpu));
        task.last_cpu = Some(slice.cpu);
        // Who is chosen again when its slice is over stays on its CPU: no switch, as in the kernel.
        let next = slices[at + 1..].iter().find(|next| next.cpu == slice.cpu);
        let stays = slice.why == Departure::Expired
            && match next {
                Some(next) => next.task == slice.task && next.from_ns == slice.from_ns + slice.ran_ns,
                // Over at the very end: what follows has no length, so only the snapshot knows who was
                // chosen.
                None => last.cpus[slice.cpu].running.is_some_and(|r| r.id.pid as usize == slice.task + 1),
            };
        if !stays && slice.why != Departure::Horizon {
            task.switches += 1;
            let still_runnable =
                matches!(slice.why, Departure::Expired | Departure::Preempted | Departure::Throttled);
            task.involuntary += u64::from(still_runnable);
        }
    }
    drop(slices);
    // A slice that has just begun has no length yet and was not heard of.
    for books in &last.cpus {
        if let Some(running) = books.running {
            let task = &mut seen[running.id.pid as usize - 1];
            let cpu = Some(books.cpu as usize);
            task.migrations += u64::from(task.last_cpu.is_some() && task.last_cpu != cpu);
            task.last_cpu = cpu;
        }
    }
    Run { first, last, outcome: simulation.outcome(), seen, busy_ns }
}

fn built_in(name: &str) -> Scenario {
    Scenario::from_toml(library::find(name).unwrap().text).unwrap()
}

const POLICIES: [PolicyKind; 5] = [
    PolicyKind::Lottery,
    PolicyKind::Stride,
    PolicyKind::RoundRobin,
    PolicyKind::Cfs,
    PolicyKind::EevdfLinux,
];

/// Where everybody always wants the CPU, the set of claims never changes: an audit of the interval's totals
/// and the simulator's integral over all events are then the same division, to the rounding of a nanosecond
/// (and of the sum of the f64 parts: one for each change of the set, at most 10⁻⁹ of the whole).
#[test]
fn the_live_judge_and_the_simulator_agree_on_burners() {
    for name in [
        "three-burners",
        "ledger-1-nice",
        "ledger-3-groups",
        "ledger-4-ten-one-one",
        "ledger-7-pinned",
        "lottery-insulation",
        "stride-101",
    ] {
        let scenario = built_in(name);
        let all_burn = scenario.tasks.iter().all(|task| task.is_burner() && task.arrive_ns == 0);
        for policy in POLICIES {
            let run = run(&scenario, policy);
            let audit = Audit::new(&Window::between(&run.first, &run.last)).unwrap();
            assert_eq!(audit.books.residual_ns, 0, "{name} {policy}");
            let mut line = audit.lines.iter();
            let whole_ns = scenario.duration_ns as f64 * f64::from(scenario.cpus);
            for (entry, task) in scenario.tasks.iter().zip(&run.outcome.tasks) {
                let (mut entitled_ns, mut received_ns, mut wait_ns) = (0, 0, 0);
                for line in line.by_ref().take(entry.count as usize) {
                    let account = line.entry.as_ref().unwrap().account;
                    entitled_ns += account.entitled_ns;
                    received_ns += account.received_ns;
                    wait_ns += line.task.delta.wait_ns;
                }
                let what = format!("{name} {policy} {}", task.name);
                assert_eq!(received_ns, task.runtime_ns, "{what}");
                if all_burn {
                    let life_ns = scenario.duration_ns * u64::from(entry.count);
                    assert_eq!(received_ns + wait_ns, life_ns, "{what}: it runs or it waits");
                    let own_ns = task.entitled_share.unwrap() * whole_ns;
                    let tolerance_ns = f64::from(entry.count) + whole_ns * 1e-9;
                    assert!(
                        (entitled_ns as f64 - own_ns).abs() <= tolerance_ns,
                        "{what}: {entitled_ns} by the audit, {own_ns} by the simulator"
                    );
                }
            }
            assert!(line.next().is_none(), "{name}: a line too many");
        }
    }
}

/// What a monitor would have counted can be counted again from the slices, by a recorder that knows nothing
/// else. (Not in scenarios where a task blocks before it has run: it had the CPU for no time, which counts
/// and is no slice.)
#[test]
fn snapshots_say_what_the_slices_say() {
    for name in ["web-and-batch", "two-users", "sleeper", "quota", "lottery-two-cpus", "yielder"] {
        let scenario = built_in(name);
        for policy in POLICIES {
            let run = run(&scenario, policy);
            let ended = run.last.exited.iter().map(|task| &task.totals);
            for totals in run.last.tasks.iter().chain(ended) {
                let what = format!("{name} {policy} task {}", totals.id.pid);
                let seen = &run.seen[totals.id.pid as usize - 1];
                let usage = &totals.usage;
                let counted = (usage.runtime_ns, usage.switches, usage.involuntary, usage.migrations);
                let again = (seen.runtime_ns, seen.switches, seen.involuntary, seen.migrations);
                assert_eq!(counted, again, "{what}: runtime, switches, involuntary, migrations");
                if totals.state == TaskState::Running {
                    assert_eq!(Some(totals.cpu as usize), seen.last_cpu, "{what}");
                }
            }
            for (books, busy_ns) in run.last.cpus.iter().zip(&run.busy_ns) {
                assert_eq!(books.busy_ns, *busy_ns, "{name} {policy} CPU {}", books.cpu);
                assert_eq!(books.busy_ns + books.idle_ns, scenario.duration_ns, "{name} {policy}");
            }
        }
    }
}
