use super::*;
use crate::outcome::{Observe, Outcome, run};
use crate::policy::PolicyKind;
use std::fmt::Write;
use tombola_core::window::Window;

/// The names CPU 0 ran, slice by slice.
fn sequence(text: &str, policy: PolicyKind) -> String {
    let scenario = Scenario::from_toml(text).unwrap();
    let names = scenario.instance_names();
    let mut order = Vec::new();
    let mut simulation = Simulation::new(&scenario, policy, 1, 0);
    simulation.observe(Box::new(|slice: &Slice| order.push(names[slice.task].clone())));
    simulation.run_until(scenario.duration_ns).unwrap();
    simulation.finish();
    drop(simulation);
    order.join(" ")
}

const THREE: &str = r#"
name = "3:2:1"
duration = "12ms"
quantum = "1ms"
[[task]]
name = "A"
tickets = 3
[[task]]
name = "B"
tickets = 2
[[task]]
name = "C"
tickets = 1
"#;

#[test]
fn stride_gives_the_sequence_of_the_paper() {
    assert_eq!(sequence(THREE, PolicyKind::Stride), "A B A A B C A B A A B C");
}

fn outcome(text: &str, policy: PolicyKind) -> Outcome {
    let scenario = Scenario::from_toml(text).unwrap();
    run(&scenario, policy, 1, 0, Observe::default(), None, &|_| true).unwrap()
}

fn failure(text: &str, policy: PolicyKind) -> SimError {
    let scenario = Scenario::from_toml(text).unwrap();
    run(&scenario, policy, 1, 0, Observe::default(), None, &|_| true).unwrap_err()
}

#[test]
fn a_switch_costs_time_of_the_task_that_comes_and_does_no_work() {
    let text = "name='x'\nduration='110ms'\nquantum='10ms'\nswitch_cost='1ms'\n\
        [[task]]\nname='a'\ntotal='30ms'\n[[task]]\nname='b'\ntotal='30ms'\n";
    let outcome = outcome(text, PolicyKind::RoundRobin);
    // Six slices of 10 ms of work, each after a switch of 1 ms.
    for task in &outcome.tasks {
        assert_eq!((task.runtime_ns, task.overhead_ns), (33_000_000, 3_000_000));
    }
    assert_eq!(outcome.cpus[0].idle_ns, 44_000_000);
    assert_eq!(sequence(text, PolicyKind::RoundRobin), "a b a b a b");
}

#[test]
fn with_a_tick_slices_end_at_its_multiples() {
    let text =
        "name='x'\nduration='24ms'\nquantum='3ms'\ntick='4ms'\n[[task]]\nname='a'\n[[task]]\nname='b'\n";
    let scenario = Scenario::from_toml(text).unwrap();
    let mut ends = Vec::new();
    let mut simulation = Simulation::new(&scenario, PolicyKind::RoundRobin, 1, 0);
    simulation.observe(Box::new(|slice: &Slice| ends.push((slice.from_ns + slice.ran_ns) / 1_000_000)));
    simulation.run_until(scenario.duration_ns).unwrap();
    drop(simulation);
    assert_eq!(ends, [4, 8, 12, 16, 20, 24]);
}

#[test]
fn a_cycle_of_locks_is_a_deadlock_at_once() {
    let text = "name='x'\nduration='1s'\n\
        [[task]]\nname='a'\nphases=[{lock='m'},{run='15ms'},{lock='n'},{unlock='n'},{unlock='m'}]\n\
        [[task]]\nname='b'\nphases=[{lock='n'},{run='15ms'},{lock='m'},{unlock='m'},{unlock='n'}]\n\
        [[task]]\nname='c'\n";
    let error = failure(text, PolicyKind::RoundRobin);
    let SimError::Deadlock { at_ns, blocked } = error else { panic!("{error}") };
    // a 0–10, b 10–20, c 20–30, a 30–35 (blocks on n), b 35–40 (blocks on m).
    assert_eq!(at_ns, 40_000_000);
    assert_eq!(blocked, ["'b' waits for lock 'm' of 'a'", "'a' waits for lock 'n' of 'b'"]);
}

#[test]
fn two_who_wait_for_each_other_are_a_deadlock() {
    let text = "name='x'\nduration='1s'\n[[task]]\nname='a'\nphases=[{wait='b'},{run='1ms'},{wake='b'}]\n\
        [[task]]\nname='b'\nphases=[{wait='a'},{run='1ms'},{wake='a'}]\n";
    for policy in [PolicyKind::Fifo, PolicyKind::Fluid] {
        let message = failure(text, policy).to_string();
        assert!(
            message.contains("deadlock at 0 ns") && message.contains("'a' waits for the wake of 'a' by 'b'")
        );
    }
    // A consumer whose producer has ended is no deadlock: the work is done.
    let text = "name='x'\nduration='1s'\n[[task]]\nname='a'\nloops=3\nphases=[{run='1ms'},{wake='b'},{sleep='1ms'}]\n\
        [[task]]\nname='b'\nphases=[{wait='a'},{run='1ms'}]\n";
    assert_eq!(outcome(text, PolicyKind::Fifo).tasks[1].runtime_ns, 3_000_000);
}

#[test]
fn tasks_that_go_round_without_time_are_stopped() {
    let text = "name='x'\nduration='1s'\n[[task]]\nname='a'\nphases=[{wake='b'},{wait='b'}]\n\
        [[task]]\nname='b'\nphases=[{wake='a'},{wait='a'}]\n";
    assert!(matches!(failure(text, PolicyKind::Fifo), SimError::NoProgress { at_ns: 0, .. }));
}

#[test]
fn a_second_run_differs_and_the_first_repeats() {
    let at = |run| {
        let scenario = Scenario::from_toml(THREE).unwrap();
        let mut order = Vec::new();
        let mut simulation = Simulation::new(&scenario, PolicyKind::Lottery, 5, run);
        simulation.observe(Box::new(|slice: &Slice| order.push(slice.task)));
        simulation.run_until(scenario.duration_ns).unwrap();
        drop(simulation);
        order
    };
    assert_eq!(at(0), at(0));
    assert_ne!(at(0), at(1));
}

/// The demand of a run is the same under every policy: what a task asks for does not depend on who schedules.
#[test]
fn demand_does_not_depend_on_the_policy() {
    let text = "name='x'\nduration='2s'\n[[task]]\nname='a'\nrun='exp(1ms)'\nsleep='exp(20ms)'\n\
        [[task]]\nname='b'\ncpus=[0]\nrun='uniform(1ms,3ms)'\nsleep='50ms'\nloops=10\n";
    let first = outcome(text, PolicyKind::Fifo).tasks[1].runtime_ns;
    for policy in [PolicyKind::Lottery, PolicyKind::Cfs, PolicyKind::Srtf, PolicyKind::Fluid] {
        assert_eq!(outcome(text, policy).tasks[1].runtime_ns, first, "{policy}");
    }
}

/// The ledger of the live machine, on the simulated one: windows between snapshots say what the results say.
#[test]
fn snapshots_and_results_agree() {
    let text = include_str!("../../scenarios/web-and-batch.toml");
    let scenario = Scenario::from_toml(text).unwrap();
    let mut simulation = Simulation::new(&scenario, PolicyKind::Lottery, 1, 0);
    let mut before = simulation.snapshot();
    let mut got = vec![(0, 0, 0, 0); scenario.instances()];
    for second in 1..=20u64 {
        simulation.run_until(second * 1_000_000_000).unwrap();
        let now = simulation.snapshot();
        let window = Window::between(&before, &now);
        assert_eq!(window.books().residual_ns, 0);
        for task in &window.tasks {
            let sum = &mut got[task.totals.id.pid as usize - 1];
            sum.0 += task.delta.runtime_ns;
            sum.1 += task.delta.switches;
            sum.2 += task.delta.involuntary;
            sum.3 += task.delta.migrations;
        }
        before = now;
    }
    let outcome = simulation.outcome();
    for (entry, from) in outcome.tasks.iter().zip([0usize, 4]) {
        let sum = got[from..from + 4]
            .iter()
            .fold((0, 0, 0, 0), |a, b| (a.0 + b.0, a.1 + b.1, a.2 + b.2, a.3 + b.3));
        assert_eq!(
            sum,
            (entry.runtime_ns, entry.switches, entry.preemptions, entry.migrations),
            "{}",
            entry.name
        );
    }
}

/// Any two tasks stay within one quantum of their ratio under stride (TM-528, section 2.3), and under EEVDF
/// each within one quantum of its entitlement, whenever one looks.
#[test]
fn deterministic_policies_keep_their_bounds() {
    for tickets in [&[7u64, 3][..], &[3, 2, 1], &[19, 1], &[13, 7, 5, 3, 2], &[1, 1, 1, 97]] {
        let mut text = "name='x'\nduration='3s'\nquantum='1ms'\n".to_owned();
        for (i, t) in tickets.iter().enumerate() {
            let _ = write!(text, "[[task]]\nname='{i}'\ntickets={t}\n");
        }
        let scenario = Scenario::from_toml(&text).unwrap();
        for policy in [PolicyKind::Stride, PolicyKind::HierarchicalStride, PolicyKind::Eevdf] {
            let mut simulation = Simulation::new(&scenario, policy, 1, 0);
            let total: u64 = tickets.iter().sum();
            for at in 1..=3000u64 {
                simulation.run_until(at * 1_000_000).unwrap();
                let got = simulation.outcome();
                for (a, (ta, task)) in tickets.iter().zip(&got.tasks).enumerate() {
                    if policy == PolicyKind::Eevdf {
                        let lag = (at * 1_000_000 * ta) as f64 / total as f64 - task.runtime_ns as f64;
                        assert!(lag.abs() <= 1_000_000.5, "eevdf {tickets:?} at {at}: {lag}");
                    } else if policy == PolicyKind::Stride {
                        for (tb, other) in tickets[..a].iter().zip(&got.tasks) {
                            let both = (task.runtime_ns + other.runtime_ns) as f64;
                            let error = both * *ta as f64 / (ta + tb) as f64 - task.runtime_ns as f64;
                            assert!(error.abs() <= 1_000_000.5, "stride {tickets:?} at {at}: {error}");
                        }
                    }
                }
            }
            let got = simulation.outcome();
            for (t, task) in tickets.iter().zip(&got.tasks) {
                let lag = task.share - *t as f64 / total as f64;
                assert!(lag.abs() < 0.002, "{policy} {tickets:?}: {lag}");
            }
        }
    }
}

/// The wakeup rule of the constant bandwidth server. The reserved task runs 1 ms, sleeps until 7, with 3 ms
/// of budget left and its deadline at 8. Kept, they would let it run from 7 to 14 (its budget, and a new one
/// that ties with the hard task's deadline 16), and the hard job of 8 would end at 18. The rule gives it
/// deadline 15 and 4 ms: 7 to 11.
#[test]
fn a_server_does_not_keep_a_budget_too_large_for_its_deadline() {
    let text = "name='x'\nduration='24ms'\n[[task]]\nname='served'\nloops=1\nreserve={budget='4ms',period='8ms'}\n\
        phases=[{run='1ms'},{sleep='6ms'},{run='20ms'}]\n[[task]]\nname='hard'\nrun='4ms'\nperiod='8ms'\n";
    let outcome = outcome(text, PolicyKind::Edf);
    assert_eq!(outcome.tasks[1].misses, 0);
    assert_eq!(outcome.tasks[1].response.max_ns, 7_000_000);
}

/// A chain whose instants are worked out by hand: A runs 2 ms and brings B, sleeps until 10 ms, then until 1
/// ms, which has passed.
#[test]
fn a_task_comes_with_its_first_wake_and_an_instant_that_has_passed_is_no_sleep() {
    let text = "name='x'\nduration='30ms'\n\
        [[task]]\nname='A'\nloops=1\n\
        phases=[{run='2ms'},{wake='B'},{until='10ms'},{run='1ms'},{until='1ms'},{run='1ms'}]\n\
        [[task]]\nname='B'\narrive='woken'\nloops=1\nphases=[{wait='A'},{run='3ms'},{until='20ms'},{run='1ms'}]\n";
    let scenario = Scenario::from_toml(text).unwrap();
    let slices = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let seen = std::sync::Arc::clone(&slices);
    let mut simulation = Simulation::new(&scenario, PolicyKind::Fifo, 1, 0);
    simulation.observe(Box::new(move |slice| {
        seen.lock().unwrap().push((slice.task, slice.from_ns / 1_000_000, slice.ran_ns / 1_000_000));
    }));
    simulation.run_until(30_000_000).unwrap();
    assert_eq!(*slices.lock().unwrap(), [(0, 0, 2), (1, 2, 3), (0, 10, 2), (1, 20, 1)]);
    let error = Scenario::from_toml(&text.replace("{wait='A'},{run", "{run")).unwrap_err().to_string();
    assert!(error.contains("begins with a wait"), "{error}");
}
