//! Policies side by side: many runs of one scenario, on several threads, with the same result for any number
//! of them.
//!
//! Policies take turns, run by run and within a run, so that a comparison that is interrupted has as much of
//! each.

mod turns;

use super::draws::{Evidence, Judgement};
use super::engine::SimError;
use super::estimate::Estimate;
use super::expectation::Verdict;
use super::outcome::{Observe, Outcome, TaskOutcome, run};
use super::policy::PolicyKind;
use super::predict::lottery_shares;
use super::scenario::Scenario;
use super::scenario::expect::{Metric, Subject};
use std::cell::Cell;
use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use turns::Turns;

/// Tasks up to which all policies of a run are in memory at once, to take turns.
const SIDE_BY_SIDE: usize = 100_000;

/// What to run.
#[derive(Clone, Debug)]
pub struct Plan<'a> {
    /// The scenario.
    pub scenario: &'a Scenario,
    /// The policies, in the order in which they are shown.
    pub policies: Vec<PolicyKind>,
    /// Runs of each policy, at least 1. Where neither policy nor demand is random, one is enough and one is
    /// made.
    pub runs: u32,
    /// Seed of all runs.
    pub seed: u64,
    /// Threads, at least 1.
    pub jobs: usize,
    /// Whether to work out entitlement and lag.
    pub observe: Observe,
}

/// How far the work is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Runs done.
    pub done: usize,
    /// Runs planned.
    pub planned: usize,
    /// Part of all the simulated time that is done, runs under way included, in thousandths.
    pub permille: u64,
}

/// All policies of a plan.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// Name of the scenario.
    pub scenario: String,
    /// The seed, so that it can be run again.
    pub seed: u64,
    /// CPUs of the machine.
    pub cpus: u32,
    /// One result for each policy of the plan; the error where it could not be run.
    pub policies: Vec<(PolicyKind, Result<PolicyResult, SimError>)>,
    /// Whether everything planned was done; `false` after a cancellation.
    pub complete: bool,
}

/// One policy over all its runs.
#[derive(Clone, Debug, PartialEq)]
pub struct PolicyResult {
    /// Runs it is made of; 0 when the work was cancelled before.
    pub runs: u32,
    /// How long each run simulated: less than the scenario's duration only for a run that was cancelled.
    pub duration_ns: u64,
    /// Part of the machine that ran tasks.
    pub busy: Estimate,
    /// Each entry of the scenario.
    pub tasks: Vec<TaskResult>,
    /// The verdict on each expectation that applies to the policy.
    pub verdicts: Vec<Verdict>,
    /// The verdict on the draws of all runs; `None` for a policy that draws nothing.
    pub draws: Option<Judgement>,
}

/// One entry of the scenario, over all runs. Times in ns; see [`TaskOutcome`] for what each is.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)] // the fields are those of TaskOutcome
pub struct TaskResult {
    pub name: String,
    pub count: u32,
    pub share: Estimate,
    pub entitled_share: Option<Estimate>,
    /// What the policy itself should give by its formula, where there is one: a part of the machine.
    pub predicted_share: Option<f64>,
    pub lag_max_ns: Option<Estimate>,
    pub lag_rms_ns: Option<Estimate>,
    pub wait_mean_ns: Estimate,
    pub wait_p50_ns: Estimate,
    pub wait_p90_ns: Estimate,
    pub wait_p99_ns: Estimate,
    /// The longest of any run.
    pub wait_max_ns: u64,
    pub response_mean_ns: Estimate,
    pub response_p99_ns: Estimate,
    /// The longest of any run.
    pub response_max_ns: u64,
    /// The largest of any run.
    pub response_jitter_ns: u64,
    pub switches: Estimate,
    pub preemptions: Estimate,
    pub migrations: Estimate,
    pub completed: Estimate,
    pub throughput: Estimate,
    pub misses: Estimate,
    /// The longest of any run.
    pub tardiness_max_ns: u64,
    /// Draws it won in all runs, and how many its tickets make likely; `None` without draws.
    pub wins: Option<(u64, f64)>,
}

/// Carries a plan out. `progress` is called while runs go on and after every run, from any thread. When
/// `cancel` becomes true, runs under way end where they are, and the result is of the runs that are complete
/// for every policy that has several; for a policy without a complete run, it is the part of its first that
/// was done, which is about as long for each.
pub fn compare(plan: &Plan, progress: &(dyn Fn(Progress) + Sync), cancel: &AtomicBool) -> Comparison {
    let random_demand = plan.scenario.is_random();
    let runs = |policy: PolicyKind| {
        if random_demand || policy.traits().random { plan.runs.max(1) } else { 1 }
    };
    let mut units: Vec<(usize, u32)> = plan
        .policies
        .iter()
        .enumerate()
        .flat_map(|(index, policy)| (0..runs(*policy)).map(move |run| (index, run)))
        .collect();
    units.sort_by_key(|(index, run)| (*run, *index));
    let turns = Turns::new(plan.jobs);
    let next = AtomicUsize::new(0);
    let done = AtomicUsize::new(0);
    // Thousandths of runs.
    let parts = AtomicU64::new(0);
    let planned = units.len();
    let tell =
        |done: usize, parts: u64| progress(Progress { done, planned, permille: parts / planned as u64 });
    let slots: Vec<Mutex<Option<Result<Outcome, SimError>>>> =
        units.iter().map(|_| Mutex::new(None)).collect();
    let work = || {
        while !cancel.load(Ordering::Relaxed) {
            let unit = next.fetch_add(1, Ordering::Relaxed);
            let Some(&(policy, number)) = units.get(unit) else { return };
            let told = Cell::new(0);
            let go_on = |at_ns: u64| {
                // Below 2^62 · 1000 in 128 bits; the quotient is at most 1000.
                let part = u128::from(at_ns) * 1000 / u128::from(plan.scenario.duration_ns.max(1));
                let part = u64::try_from(part).unwrap_or(1000);
                if part > told.get() {
                    let more = part - told.replace(part);
                    tell(done.load(Ordering::Relaxed), parts.fetch_add(more, Ordering::Relaxed) + more);
                    turns.at(unit, number, part);
                }
                !cancel.load(Ordering::Relaxed)
            };
            let policy = plan.policies[policy];
            let turn = turns.begin(unit, number);
            let outcome = run(plan.scenario, policy, plan.seed, number, plan.observe, None, &go_on);
            drop(turn);
            if let Ok(mut slot) = slots[unit].lock() {
                *slot = Some(outcome);
            }
            let rest = 1000 - told.get();
            tell(done.fetch_add(1, Ordering::Relaxed) + 1, parts.fetch_add(rest, Ordering::Relaxed) + rest);
        }
    };
    let tasks: usize = plan.scenario.tasks.iter().map(|task| task.count as usize).sum();
    let threads = if tasks > SIDE_BY_SIDE { plan.jobs } else { plan.jobs.max(plan.policies.len()) };
    std::thread::scope(|scope| {
        for _ in 1..threads.clamp(1, units.len().max(1)) {
            // Where no more threads can be made (pids.max), those there are do the work.
            let _ = std::thread::Builder::new().spawn_scoped(scope, work);
        }
        work();
    });
    let mut outcomes: Vec<Vec<(u32, Result<Outcome, SimError>)>> = vec![Vec::new(); plan.policies.len()];
    for ((policy, run), slot) in units.iter().zip(slots) {
        if let Ok(Some(outcome)) = slot.into_inner() {
            outcomes[*policy].push((*run, outcome));
        }
    }
    let whole = |o: &Outcome| o.duration_ns == plan.scenario.measured_ns();
    let common = common_runs(
        outcomes
            .iter()
            .zip(&plan.policies)
            .filter(|(_, policy)| runs(**policy) > 1)
            .map(|(outcomes, _)| outcomes),
        whole,
    );
    let mut complete = true;
    let policies = plan
        .policies
        .iter()
        .zip(outcomes)
        .map(|(policy, outcomes)| {
            let outcomes: Result<Vec<(u32, Outcome)>, SimError> =
                outcomes.into_iter().map(|(run, outcome)| Ok((run, outcome?))).collect();
            let result = outcomes.map(|mut outcomes| {
                if runs(*policy) > 1 && !common.is_empty() {
                    outcomes.retain(|(run, _)| common.contains(run));
                } else {
                    outcomes.truncate(1);
                }
                let outcomes: Vec<Outcome> = outcomes.into_iter().map(|(_, outcome)| outcome).collect();
                complete &= outcomes.iter().filter(|o| whole(o)).count() == runs(*policy) as usize;
                PolicyResult::of(plan.scenario, *policy, &outcomes)
            });
            (*policy, result)
        })
        .collect();
    Comparison {
        scenario: plan.scenario.name.clone(),
        seed: plan.seed,
        cpus: plan.scenario.cpus,
        policies,
        complete,
    }
}

/// The first runs, up to one that is not complete for all of these policies: which were quick must not
/// choose. A policy that could not be run counts for nothing.
fn common_runs<'a>(
    policies: impl Iterator<Item = &'a Vec<(u32, Result<Outcome, SimError>)>>,
    whole: impl Fn(&Outcome) -> bool,
) -> BTreeSet<u32> {
    let complete = policies
        .filter(|outcomes| outcomes.iter().all(|(_, outcome)| outcome.is_ok()))
        .map(|outcomes| {
            let complete =
                |(_, outcome): &&(u32, Result<Outcome, SimError>)| outcome.as_ref().is_ok_and(&whole);
            outcomes.iter().filter(complete).map(|(run, _)| *run).collect::<BTreeSet<u32>>()
        })
        .reduce(|one, other| &one & &other)
        .unwrap_or_default();
    (0..).zip(complete).take_while(|(number, run)| number == run).map(|(_, run)| run).collect()
}

impl PolicyResult {
    fn of(scenario: &Scenario, policy: PolicyKind, outcomes: &[Outcome]) -> Self {
        let cpus = scenario.cpus as usize;
        let predicted = lottery_shares(scenario, policy);
        let draws = evidence(outcomes).map(|evidence| evidence.judge());
        let tasks = (0..scenario.tasks.len()).map(|entry| {
            let predicted = predicted.as_ref().map(|shares| shares[entry]);
            let wins = draws.as_ref().and_then(|draws| draws.wins.get(entry).copied());
            TaskResult::of(scenario, entry, outcomes, predicted, wins)
        });
        let busy: Vec<f64> = outcomes
            .iter()
            .map(|o| {
                let busy: u64 = o.cpus.iter().map(|c| c.busy_ns).sum();
                let whole = o.duration_ns as f64 * cpus as f64;
                if whole > 0.0 { busy as f64 / whole } else { 0.0 }
            })
            .collect();
        let value = |subject: &Subject| {
            let each = |of: &dyn Fn(&Outcome) -> Option<f64>| -> Option<Estimate> {
                let values: Option<Vec<f64>> = outcomes.iter().map(of).collect();
                values.filter(|v| !v.is_empty()).map(|v| Estimate::of(&v))
            };
            match subject {
                // The longest of all runs, not the mean of the longest.
                Subject::One(metric @ (Metric::ResponseMax | Metric::WaitMax), task) => {
                    let values = outcomes.iter().filter_map(|o| o.tasks[*task].metric(*metric, cpus));
                    values.reduce(f64::max).map(|mean| Estimate { mean, half_width: None })
                }
                Subject::One(metric, task) => each(&|o| o.tasks[*task].metric(*metric, cpus)),
                Subject::Ratio(over, under) => each(&|o| {
                    let under = o.tasks[*under].runtime_ns;
                    (under > 0).then(|| o.tasks[*over].runtime_ns as f64 / under as f64)
                }),
                Subject::Sequence(_) => None,
            }
        };
        let ran = outcomes.first().map_or(&[][..], |o| &o.sequence);
        Self {
            runs: u32::try_from(outcomes.len()).unwrap_or(u32::MAX),
            duration_ns: outcomes.iter().map(|o| o.duration_ns).min().unwrap_or(0),
            busy: Estimate::of(&busy),
            tasks: tasks.collect(),
            draws,
            verdicts: scenario
                .expect
                .under(policy.name())
                .map(|check| Verdict::of(check, value, ran))
                .collect(),
        }
    }
}

/// What was seen of the draws in all runs, added in order of the runs.
fn evidence(outcomes: &[Outcome]) -> Option<Evidence> {
    let mut each = outcomes.iter().filter_map(|outcome| outcome.draws.as_ref());
    let mut sum = each.next()?.clone();
    each.for_each(|other| sum.add(other));
    Some(sum)
}

impl TaskResult {
    fn of(
        scenario: &Scenario,
        entry: usize,
        outcomes: &[Outcome],
        predicted_share: Option<f64>,
        wins: Option<(u64, f64)>,
    ) -> Self {
        let each = |of: &dyn Fn(&TaskOutcome) -> f64| {
            let values: Vec<f64> = outcomes.iter().map(|o| of(&o.tasks[entry])).collect();
            Estimate::of(&values)
        };
        let some = |of: &dyn Fn(&TaskOutcome) -> Option<f64>| {
            let values: Option<Vec<f64>> = outcomes.iter().map(|o| of(&o.tasks[entry])).collect();
            values.filter(|v| !v.is_empty()).map(|v| Estimate::of(&v))
        };
        let most = |of: &dyn Fn(&TaskOutcome) -> u64| {
            outcomes.iter().map(|o| of(&o.tasks[entry])).max().unwrap_or(0)
        };
        Self {
            name: scenario.tasks[entry].name.clone(),
            count: scenario.tasks[entry].count,
            share: each(&|t| t.share),
            entitled_share: some(&|t| t.entitled_share),
            predicted_share,
            lag_max_ns: some(&|t| t.lag_max_ns),
            lag_rms_ns: some(&|t| t.lag_rms_ns),
            wait_mean_ns: each(&|t| t.wait.mean_ns),
            wait_p50_ns: each(&|t| t.wait.p50_ns as f64),
            wait_p90_ns: each(&|t| t.wait.p90_ns as f64),
            wait_p99_ns: each(&|t| t.wait.p99_ns as f64),
            wait_max_ns: most(&|t| t.wait.max_ns),
            response_mean_ns: each(&|t| t.response.mean_ns),
            response_p99_ns: each(&|t| t.response.p99_ns as f64),
            response_max_ns: most(&|t| t.response.max_ns),
            response_jitter_ns: most(&|t| t.response.jitter_ns()),
            switches: each(&|t| t.switches as f64),
            preemptions: each(&|t| t.preemptions as f64),
            migrations: each(&|t| t.migrations as f64),
            completed: each(&|t| t.completed as f64),
            throughput: each(&|t| t.throughput),
            misses: each(&|t| t.misses as f64),
            tardiness_max_ns: most(&|t| t.tardiness_max_ns),
            wins,
        }
    }
}

#[cfg(test)]
mod tests;
