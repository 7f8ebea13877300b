//! Laws that every policy keeps, on random scenarios.

use super::engine::{SimError, Simulation, Slice};
use super::outcome::{Observe, Outcome, run};
use super::policy::{Departure, PolicyKind};
use super::scenario::tuning::Tuning;
use super::scenario::{Class, Periodic, Quota, Scenario, Step, Task};
use super::scenario::{Group, expect::Expectations};
use super::span::Span;
use proptest::prelude::*;
use tombola_core::tickets::Nice;

const MS: u64 = 1_000_000;

/// What a generated task does.
#[derive(Clone, Debug)]
enum Kind {
    Burn,
    Sleeper { run: Span, sleep: Span },
    Periodic { run: u64, period: u64 },
    Locker { before: u64, held: u64, sleep: u64 },
    Finite { total: u64 },
    Reserved { run: u64, sleep: u64 },
}

fn spans() -> impl Strategy<Value = Span> {
    prop_oneof![
        (1u64..20).prop_map(|n| Span::Fixed(n * 500_000)),
        (1u64..10).prop_map(|n| Span::Exponential(n * MS)),
        (0u64..5, 1u64..5).prop_map(|(low, more)| Span::Uniform(low * MS, (low + more) * MS)),
    ]
}

fn kinds() -> impl Strategy<Value = Kind> {
    prop_oneof![
        3 => Just(Kind::Burn),
        3 => (spans(), spans()).prop_map(|(run, sleep)| Kind::Sleeper { run, sleep }),
        2 => (1u64..6, 5u64..30).prop_map(|(run, period)| Kind::Periodic { run: run * MS, period: period * MS }),
        2 => (0u64..4, 1u64..4, 1u64..9).prop_map(|(before, held, sleep)| Kind::Locker {
            before: before * MS, held: held * MS, sleep: sleep * MS,
        }),
        1 => (1u64..60).prop_map(|total| Kind::Finite { total: total * MS }),
        1 => (1u64..9, 1u64..9).prop_map(|(run, sleep)| Kind::Reserved { run: run * MS, sleep: sleep * MS }),
    ]
}

fn task(index: usize, kind: &Kind, tickets: u64, arrive: u64, cpus: Option<Vec<u32>>) -> Task {
    let mut task = Task {
        name: format!("t{index}"),
        count: 1,
        group: None,
        tickets,
        nice: Nice::default(),
        class: Class::Fair,
        priority: 0,
        arrive_ns: arrive * MS,
        cpus,
        steps: Vec::new(),
        loops: 0,
        again: 0,
        total_ns: 0,
        periodic: None,
        reserve: None,
        request_ns: 0,
    };
    match *kind {
        Kind::Burn => task.steps.push(Step::Burn),
        Kind::Sleeper { run, sleep } => task.steps = vec![Step::Run(run), Step::Sleep(sleep)],
        Kind::Periodic { run, period } => {
            task.steps = vec![
                Step::Run(Span::Fixed(run)),
                Step::NextJob { period_ns: period, timer: 0, skips: false },
            ];
            task.periodic = Some(Periodic { period_ns: period, deadline_ns: period });
        }
        Kind::Locker { before, held, sleep } => {
            task.steps = vec![
                Step::Run(Span::Fixed(before)),
                Step::Lock(0),
                Step::Run(Span::Fixed(held)),
                Step::Unlock(0),
                Step::Sleep(Span::Fixed(sleep)),
            ];
        }
        Kind::Finite { total } => {
            task.steps.push(Step::Burn);
            task.total_ns = total;
        }
        Kind::Reserved { run, sleep } => {
            task.steps = vec![Step::Run(Span::Fixed(run)), Step::Sleep(Span::Fixed(sleep))];
            task.reserve = Some(Quota { quota_ns: 2 * MS, period_ns: 10 * MS });
        }
    }
    task
}

prop_compose! {
    fn scenarios(grouped: bool)(
        cpus in 1u32..4,
        tasks in prop::collection::vec((kinds(), 1u64..12, 0u64..40, any::<u8>(), 0usize..4), 1..8),
        tick in prop_oneof![Just(0), Just(MS), Just(4 * MS)],
        cost in prop_oneof![Just(0), Just(20_000u64)],
        quota in prop::option::of(1u64..15),
        inner in 1u64..9,
        outer in 1u64..9,
    ) -> Scenario {
        let groups = vec![
            Group { name: "g".into(), parent: None, weight: outer, quota: quota.map(|q| Quota {
                quota_ns: q * MS, period_ns: 20 * MS,
            }) },
            Group { name: "h".into(), parent: Some(0), weight: inner, quota: None },
        ];
        let tasks = tasks.into_iter().enumerate().map(|(index, (kind, tickets, arrive, mask, group))| {
            let allowed: Vec<u32> = (0..cpus).filter(|cpu| mask >> cpu & 1 == 1).collect();
            let allowed = if mask < 128 || allowed.is_empty() { None } else { Some(allowed) };
            let mut task = task(index, &kind, tickets, arrive, allowed);
            task.group = (grouped && group < 2).then_some(group);
            task
        }).collect();
        Scenario {
            name: "random".into(), about: String::new(), cpus, duration_ns: 300 * MS, quantum_ns: 5 * MS,
            warm_up_ns: 0, tuning: Tuning::default(), switch_cost_ns: cost, tick_ns: tick, seed: 1, policies: Vec::new(),
            groups: if grouped { groups } else { Vec::new() },
            tasks, locks: vec!["m".into()], events: Vec::new(), expect: Expectations::default(),
        }
    }
}

fn slices(scenario: &Scenario, policy: PolicyKind, seed: u64) -> (Result<Outcome, SimError>, Vec<Slice>) {
    let mut slices = Vec::new();
    let outcome = {
        let mut keep = |slice: &Slice| slices.push(*slice);
        run(scenario, policy, seed, 0, Observe::default(), Some(&mut keep), &|_| true)
    };
    (outcome, slices)
}

/// The outcome of a run with a fixed seed.
pub(super) fn slices_of(scenario: &Scenario, policy: PolicyKind) -> Outcome {
    slices(scenario, policy, 1).0.unwrap()
}

/// Every stretch on a CPU, with a fixed seed.
pub(super) fn slices_under(scenario: &Scenario, policy: PolicyKind) -> Vec<Slice> {
    slices(scenario, policy, 1).1
}

/// Who ran in each quantum, in order: a slice of several quanta counts as several.
pub(super) fn order_of(scenario: &Scenario, policy: PolicyKind) -> Vec<usize> {
    let parts = |s: &Slice| usize::try_from(s.ran_ns / scenario.quantum_ns).unwrap();
    slices(scenario, policy, 1).1.iter().flat_map(|s| std::iter::repeat_n(s.task, parts(s))).collect()
}

fn check(scenario: &Scenario, policy: PolicyKind) -> Result<(), TestCaseError> {
    let (outcome, slices) = slices(scenario, policy, 7);
    let outcome = outcome.map_err(|e| TestCaseError::fail(format!("{policy}: {e}")))?;
    // No time lost: on every CPU, and between tasks and CPUs.
    let busy: u64 = outcome.cpus.iter().map(|c| c.busy_ns).sum();
    prop_assert_eq!(busy, outcome.tasks.iter().map(|t| t.runtime_ns).sum::<u64>(), "{}", policy);
    if policy != PolicyKind::Fluid {
        prop_assert_eq!(busy, slices.iter().map(|s| s.ran_ns).sum::<u64>(), "{}", policy);
    }
    for cpu in &outcome.cpus {
        prop_assert_eq!(cpu.busy_ns + cpu.idle_ns, scenario.duration_ns);
    }
    // One task at a time on a CPU, one CPU at a time for a task, and only CPUs it may use.
    for cpu in 0..scenario.cpus as usize {
        let mut end = 0;
        for slice in slices.iter().filter(|s| s.cpu == cpu) {
            prop_assert!(slice.from_ns >= end, "{}: CPU {} twice at {}", policy, cpu, slice.from_ns);
            end = slice.from_ns + slice.ran_ns;
        }
        prop_assert!(end <= scenario.duration_ns);
    }
    for (task, entry) in scenario.tasks.iter().enumerate() {
        let mut own: Vec<&Slice> = slices.iter().filter(|s| s.task == task).collect();
        own.sort_by_key(|s| s.from_ns);
        for pair in own.windows(2) {
            prop_assert!(
                pair[0].from_ns + pair[0].ran_ns <= pair[1].from_ns,
                "{}: a task on two CPUs",
                policy
            );
        }
        for slice in &own {
            prop_assert!(slice.from_ns >= entry.arrive_ns);
            let cpu = u32::try_from(slice.cpu).unwrap();
            prop_assert!(entry.cpus.as_ref().is_none_or(|cpus| cpus.contains(&cpu)), "{}: affinity", policy);
        }
        if entry.total_ns > 0 {
            let worked = outcome.tasks[task].runtime_ns - outcome.tasks[task].overhead_ns;
            prop_assert!(worked <= entry.total_ns);
        }
    }
    // Work conserving.
    let mut simulation = Simulation::new(scenario, policy, 7, 0);
    simulation.track_entitlement();
    simulation.run_until(scenario.duration_ns).unwrap();
    // Whoever wants the CPU runs or waits, also at the end.
    let (lag, parked) = (simulation.lag.as_ref().unwrap(), simulation.parked());
    for task in 0..scenario.tasks.len() {
        let open = simulation.unfinished(task..task + 1, &parked);
        let waited = simulation.meter.waits[task].with_open(&open.waits).sum_ns() as f64;
        let (ran, runnable) = (outcome.tasks[task].runtime_ns as f64, lag.accounts()[task].runnable_ns());
        let all_at_once = policy == PolicyKind::Fluid;
        prop_assert!(all_at_once || (ran + waited - runnable).abs() < 1.0, "{}: {} {}", policy, ran, waited);
    }
    if policy.traits().work_conserving {
        prop_assert_eq!(simulation.idled, 0, "{} leaves a CPU idle", policy);
    }
    // No period of a group sees more than its quota.
    for (index, group) in scenario.groups.iter().enumerate() {
        let Some(quota) = group.quota else { continue };
        let inside = |task: usize| {
            let above = |g: &usize| scenario.groups[*g].parent;
            std::iter::successors(scenario.tasks[task].group, above).any(|g| g == index)
        };
        for from in (0..scenario.duration_ns).step_by(usize::try_from(quota.period_ns).unwrap()) {
            let of = |s: &Slice| {
                let to = (s.from_ns + s.ran_ns).min(from + quota.period_ns);
                to.saturating_sub(s.from_ns.max(from))
            };
            let used: u64 = slices.iter().filter(|s| inside(s.task)).map(of).sum();
            prop_assert!(used <= quota.quota_ns, "{}: {} of {} ns", policy, used, quota.quota_ns);
        }
    }
    // The same seed replays equal, in one go or in steps (a fluid machine rounds at each step).
    if policy == PolicyKind::Fluid {
        return Ok(());
    }
    prop_assert_eq!(
        &simulation.outcome().tasks.iter().map(|t| t.runtime_ns).collect::<Vec<_>>(),
        &outcome.tasks.iter().map(|t| t.runtime_ns).collect::<Vec<_>>(),
        "{}",
        policy
    );
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn time_is_kept_and_no_cpu_idles(scenario in scenarios(false)) {
        for policy in PolicyKind::all() {
            check(&scenario, policy)?;
        }
    }

    #[test]
    fn also_with_groups_and_quotas(scenario in scenarios(true)) {
        for policy in PolicyKind::all() {
            check(&scenario, policy)?;
        }
    }

    /// Between two changes of the runnable set the lag of a fluid schedule cannot grow beyond rounding.
    #[test]
    fn fluid_gives_what_tasks_are_entitled_to(scenario in scenarios(true)) {
        let outcome = slices(&scenario, PolicyKind::Fluid, 7).0;
        let outcome = outcome.map_err(|e| TestCaseError::fail(e.to_string()))?;
        for task in outcome.tasks {
            prop_assert!(task.lag_max_ns.unwrap() < 1_000.0, "{}: {:?}", task.name, task.lag_max_ns);
        }
    }

    #[test]
    fn a_task_that_never_comes_changes_nothing(scenario in scenarios(false)) {
        let mut with = scenario.clone();
        with.tasks.push(task(99, &Kind::Burn, 5, 10_000, None));
        for policy in PolicyKind::all() {
            prop_assert_eq!(slices(&scenario, policy, 3).1, slices(&with, policy, 3).1, "{}", policy);
        }
    }

}

proptest! {
    // Long simulations: fewer cases.
    #![proptest_config(ProptestConfig { cases: 8, ..ProptestConfig::default() })]

    #[test]
    fn nobody_starves_who_should_not(
        tickets in prop::collection::vec(1u64..30, 2..6), seed in any::<u64>(), cpus in 1u32..3,
    ) {
        for policy in PolicyKind::all().filter(|p| p.traits().starvation_free) {
            let tasks = tickets.iter().enumerate().map(|(i, t)| task(i, &Kind::Burn, *t, 0, None)).collect();
            let scenario = Scenario {
                name: "burners".into(), about: String::new(), cpus, duration_ns: 40_000 * MS, quantum_ns: 5 * MS,
                warm_up_ns: 0, tuning: Tuning::default(), switch_cost_ns: 0, tick_ns: 0, seed: 1, policies: Vec::new(), groups: Vec::new(), tasks,
                locks: Vec::new(), events: Vec::new(), expect: Expectations::default(),
            };
            let mut simulation = Simulation::new(&scenario, policy, seed, 0);
            simulation.run_until(scenario.duration_ns / 2).unwrap();
            let half: Vec<u64> = simulation.outcome().tasks.iter().map(|t| t.runtime_ns).collect();
            simulation.run_until(scenario.duration_ns).unwrap();
            for (before, after) in half.iter().zip(&simulation.outcome().tasks) {
                prop_assert!(after.runtime_ns > *before, "{} starves {}", policy, after.name);
            }
        }
    }
}

/// A burner among `n` tasks that run and sleep over and over, one ticket each, on one CPU for 60 s: its run
/// time.
fn beside_sleepers(policy: PolicyKind, n: u32, run_ns: u64, sleep_ns: u64) -> u64 {
    let text = format!(
        "name='x'\nduration='60s'\nquantum='10ms'\n[[task]]\nname='burner'\ntickets=1\n\
         [[task]]\nname='sleeper'\ntickets=1\ncount={n}\nrun='{run_ns}ns'\nsleep='{sleep_ns}ns'\n"
    );
    slices_of(&Scenario::from_toml(&text).unwrap(), policy).tasks[0].runtime_ns
}

/// What a burner must get beside n tasks that sleep, from the rule of each policy that lets nobody starve.
/// All want more than there is, so nothing is left over.
///
/// - Proportional policies: at least 1/(n + 1) of the time, for it is entitled to that if nobody ever slept.
///   A stride scheduler is off by less than a quantum for each task (TM-528, section 2.3), as is EEVDF, whose
///   tasks come and go with a quantum of lag each at most; a CFS slice is shorter. A lottery's draws are
///   binomial: five deviations.
/// - `rr`: each of the others runs once before it, for a quantum at most: one quantum in n + 1.
/// - `mlfq`: within a second it is at the top (rule 5), and of those before it each runs once, for a quantum:
///   one quantum in 1 s + n quanta.
fn least(policy: PolicyKind, n: u32) -> f64 {
    let (whole, quantum, others) = (60e9, 10e6, f64::from(n));
    let traits = policy.traits();
    let p = 1.0 / (others + 1.0);
    match policy {
        PolicyKind::RoundRobin => (whole / ((others + 1.0) * quantum)).floor() * quantum,
        PolicyKind::Mlfq => ((whole - 1e9) / (1e9 + others * quantum)).floor() * quantum,
        _ if traits.random => {
            let draws = whole / quantum;
            (draws * p - 5.0 * (draws * p * (1.0 - p)).sqrt()) * quantum
        }
        _ => whole * p - others * quantum,
    }
}

#[test]
fn nobody_starves_beside_many_who_sleep() {
    for policy in PolicyKind::all().filter(|policy| policy.traits().starvation_free) {
        for (n, sleep_ns) in [(20, 100 * MS), (40, 390 * MS), (200, 1000 * MS)] {
            let got = beside_sleepers(policy, n, 10 * MS, sleep_ns);
            let least = least(policy, n);
            assert!(got > 0 && got as f64 >= least, "{policy}, {n}: {got} ns, due {least}");
        }
    }
}

#[test]
fn every_reason_to_leave_a_cpu_is_seen() {
    let text = "name='x'\nduration='100ms'\nquantum='5ms'\n[[group]]\nname='g'\nquota='3ms'\nperiod='10ms'\n\
        [[task]]\nname='a'\n[[task]]\nname='b'\ngroup='g'\n[[task]]\nname='c'\nrun='1ms'\nsleep='2ms'\nloops=3\n\
        [[task]]\nname='d'\nperiod='7ms'\nrun='1ms'\n";
    let scenario = Scenario::from_toml(text).unwrap();
    let (outcome, slices) = slices(&scenario, PolicyKind::RateMonotonic, 1);
    outcome.unwrap();
    let mut seen: Vec<Departure> = slices.iter().map(|s| s.why).collect();
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(
        seen,
        [Departure::Expired, Departure::Preempted, Departure::Blocked, Departure::Ended, Departure::Horizon]
    );
}

/// The scenario that docs/simulator.md shows comes out as it says itself, under every policy it names.
#[test]
fn the_scenario_in_the_documentation_holds_what_it_expects() {
    let page = include_str!("../../../docs/simulator.md");
    let text = page.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let scenario = Scenario::from_toml(text).unwrap();
    let plan = crate::compare::Plan {
        scenario: &scenario,
        policies: scenario.policies.iter().map(|policy| policy.parse().unwrap()).collect(),
        runs: 1,
        seed: scenario.seed,
        jobs: 1,
        observe: Observe::default(),
    };
    let comparison = crate::compare::compare(&plan, &|_| (), &std::sync::atomic::AtomicBool::new(false));
    for (policy, result) in comparison.policies {
        for verdict in result.unwrap().verdicts {
            assert!(verdict.holds, "{policy}: {verdict:?}");
        }
    }
}

#[test]
fn the_policy_in_the_documentation_is_the_one_that_compiles() {
    let page = include_str!("../../../docs/simulator.md");
    assert!(page.contains(include_str!("../examples/own_policy.rs")));
}
