//! What came out of one run.

use super::draws::Evidence;
use super::engine::{SimError, Simulation, Slice};
use super::machine::stream;
use super::policy::PolicyKind;
use super::scenario::Scenario;
use super::scenario::expect::{Measured, Metric, Subject};
use super::watched::{Watched, compensation_of};

/// What came out of one run.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// How long was simulated, without the warm-up.
    pub duration_ns: u64,
    /// What each CPU did.
    pub cpus: Vec<CpuOutcome>,
    /// What each entry of the scenario got, all its instances together.
    pub tasks: Vec<TaskOutcome>,
    /// Tasks that CPU 0 ran first, slice by slice (instance names): as many as the longest expected sequence.
    pub sequence: Vec<String>,
    /// What was seen of the draws of a random policy; `None` for other policies, and where nobody looked.
    pub draws: Option<Evidence>,
}

/// What one CPU did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CpuOutcome {
    /// Time it ran tasks, switches included.
    pub busy_ns: u64,
    /// Time it had nothing to run.
    pub idle_ns: u64,
}

/// What the instances of one entry got together.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskOutcome {
    /// Its name.
    pub name: String,
    /// How many instances.
    pub count: u32,
    /// CPU time received.
    pub runtime_ns: u64,
    /// The part of it that went into switches.
    pub overhead_ns: u64,
    /// CPU time received as a part of the machine: all CPUs, whole duration.
    pub share: f64,
    /// CPU time it was entitled to as a part of the machine, if that was worked out.
    pub entitled_share: Option<f64>,
    /// Largest |entitled − received| of any instance at any time, ns.
    pub lag_max_ns: Option<f64>,
    /// Root mean square of the lag over instances and the time they were runnable, ns.
    pub lag_rms_ns: Option<f64>,
    /// Waits in the run queue; one that is open at the end counts with the length it has.
    pub wait: Durations,
    /// From release or wakeup to the end of the phase or job, or to the end of the simulation.
    pub response: Durations,
    /// Times an instance left a CPU.
    pub switches: u64,
    /// Those of them in which it was still runnable.
    pub preemptions: u64,
    /// Slices that began on another CPU than the one before.
    pub migrations: u64,
    /// Phases or jobs completed.
    pub completed: u64,
    /// Phases or jobs completed per second.
    pub throughput: f64,
    /// Jobs that ended late or whose deadline passed before they ended.
    pub misses: u64,
    /// Longest time past a deadline.
    pub tardiness_max_ns: u64,
}

/// A distribution of durations, ns.
#[derive(Clone, Copy, Debug, PartialEq, Default)]
pub struct Durations {
    /// How many.
    pub count: u64,
    /// Shortest; of those that ended, if any did.
    pub min_ns: u64,
    /// Mean.
    pub mean_ns: f64,
    /// Median, at most 1/16 too high, like the other quantiles.
    pub p50_ns: u64,
    /// 90 % are not longer.
    pub p90_ns: u64,
    /// 99 % are not longer.
    pub p99_ns: u64,
    /// Longest.
    pub max_ns: u64,
}

impl Durations {
    /// Longest − shortest: the jitter of response times.
    pub fn jitter_ns(&self) -> u64 {
        self.max_ns - self.min_ns
    }
}

impl From<&super::measure::Sketch> for Durations {
    fn from(sketch: &super::measure::Sketch) -> Self {
        Self {
            count: sketch.count(),
            min_ns: sketch.min_ns(),
            mean_ns: sketch.mean_ns(),
            p50_ns: sketch.quantile_ns(0.5),
            p90_ns: sketch.quantile_ns(0.9),
            p99_ns: sketch.quantile_ns(0.99),
            max_ns: sketch.max_ns(),
        }
    }
}

impl TaskOutcome {
    /// The value of a metric; `None` where it was not worked out, and of waits and responses that there were
    /// none of: a task that never came, or one that has nothing to complete.
    pub fn metric(&self, metric: Metric, cpus: usize) -> Option<f64> {
        let of = match metric.durations() {
            Some(Measured::Waits) => self.wait.count,
            Some(Measured::Responses) => self.response.count,
            None => 1,
        };
        if of == 0 {
            return None;
        }
        Some(match metric {
            Metric::Share => self.share,
            Metric::Cpus => self.share * cpus as f64,
            Metric::Runtime => self.runtime_ns as f64,
            Metric::Switches => self.switches as f64,
            Metric::Completed => self.completed as f64,
            Metric::Misses => self.misses as f64,
            Metric::ResponseMax => self.response.max_ns as f64,
            Metric::ResponseMean => self.response.mean_ns,
            Metric::ResponseP50 => self.response.p50_ns as f64,
            Metric::ResponseP90 => self.response.p90_ns as f64,
            Metric::ResponseP99 => self.response.p99_ns as f64,
            Metric::WaitP50 => self.wait.p50_ns as f64,
            Metric::WaitP90 => self.wait.p90_ns as f64,
            Metric::WaitP99 => self.wait.p99_ns as f64,
            Metric::WaitMax => self.wait.max_ns as f64,
            Metric::WaitMean => self.wait.mean_ns,
            Metric::LagMax => self.lag_max_ns?,
        })
    }
}

/// How a run is observed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Observe {
    /// Work out entitlement and lag.
    pub entitlement: bool,
    /// Judge the draws of a random policy.
    pub draws: bool,
}

impl Default for Observe {
    fn default() -> Self {
        Self { entitlement: true, draws: true }
    }
}

/// Events between two questions whether to go on: a fraction of a second of work.
const EVENTS_A_STEP: std::ops::Range<u64> = 500_000..4_000_000;
/// Longest first step.
const FIRST_STEP_NS: u64 = 100_000_000_000;

/// Runs a scenario once. `slice` hears of every stretch on a CPU; `go_on` is asked at least a hundred times,
/// and in long work about every second, with the nanoseconds simulated so far; when it says no, the outcome
/// of what was simulated until then is returned.
///
/// # Errors
/// [`SimError`].
pub fn run<'a>(
    scenario: &'a Scenario,
    policy: PolicyKind,
    seed: u64,
    run: u32,
    observe: Observe,
    mut slice: Option<&'a mut (dyn FnMut(&Slice) + Send)>,
    go_on: &dyn Fn(u64) -> bool,
) -> Result<Outcome, SimError> {
    let wanted = scenario.expect.checks.iter().map(|check| match &check.subject {
        Subject::Sequence(names) => names.len(),
        _ => 0,
    });
    let wanted = wanted.max().unwrap_or(0);
    // A list of draws is no chance.
    let given = !scenario.tuning.draws.is_empty();
    let mut simulation =
        if observe.draws && policy.traits().judged && !(given && policy == PolicyKind::LotteryList) {
            Simulation::custom(scenario, seed, run, |machine| {
                let watched = super::policy::build(policy, machine, scenario);
                let compensation = compensation_of(policy);
                Box::new(Watched::new(machine, watched, compensation, stream(seed, run, u32::MAX)))
            })
        } else {
            Simulation::new(scenario, policy, seed, run)
        };
    if observe.entitlement {
        simulation.track_entitlement();
    }
    let sequence = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    if wanted > 0 || slice.is_some() {
        let sequence = std::sync::Arc::clone(&sequence);
        let mut left = wanted;
        simulation.observe(Box::new(move |stretch| {
            if left > 0 && stretch.cpu == 0 {
                left -= 1;
                sequence.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(stretch.task);
            }
            if let Some(slice) = &mut slice {
                slice(stretch);
            }
        }));
    }
    let longest = (scenario.duration_ns / 100).max(1);
    let (mut at, mut step) = (0, longest.min(FIRST_STEP_NS));
    while at < scenario.duration_ns && go_on(at) {
        let before = simulation.events_scheduled();
        let warms_up = at < scenario.warm_up_ns;
        let end = if warms_up { scenario.warm_up_ns } else { scenario.duration_ns };
        at = at.saturating_add(step).min(end);
        simulation.run_until(at)?;
        if warms_up && at == scenario.warm_up_ns {
            simulation.begin_statistics();
        }
        match simulation.events_scheduled() - before {
            events if events >= EVENTS_A_STEP.end => step = (step / 2).max(1),
            events if events < EVENTS_A_STEP.start => step = step.saturating_mul(2).min(longest),
            _ => {}
        }
    }
    simulation.finish();
    let mut outcome = simulation.outcome();
    let tasks = sequence.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    outcome.sequence = tasks.iter().map(|task| simulation.name(*task)).collect();
    Ok(outcome)
}

impl Simulation<'_> {
    /// The results so far.
    pub fn outcome(&self) -> Outcome {
        let duration_ns = self.now_ns() - self.from_ns;
        let cpus = self
            .meter
            .busy_ns
            .iter()
            .map(|busy| CpuOutcome { busy_ns: *busy, idle_ns: duration_ns.saturating_sub(*busy) });
        let whole = duration_ns as f64 * f64::from(self.scenario.cpus);
        let parked = self.parked();
        let mut first = 0;
        let tasks = self.scenario.tasks.iter().enumerate().map(|(entry, task)| {
            let instances = first..first + task.count as usize;
            first = instances.end;
            let tallies = &self.meter.tallies[instances.clone()];
            let sum = |of: &dyn Fn(&super::measure::Tally) -> u64| tallies.iter().map(of).sum::<u64>();
            let runtime_ns = sum(&|t| t.runtime_ns);
            let completed = sum(&|t| t.completed);
            let accounts = self.lag.as_ref().map(|lag| &lag.accounts()[instances.clone()]);
            let open = self.unfinished(instances, &parked);
            let part = |ns: f64| if whole > 0.0 { ns / whole } else { 0.0 };
            TaskOutcome {
                name: task.name.clone(),
                count: task.count,
                runtime_ns,
                overhead_ns: sum(&|t| t.overhead_ns),
                share: part(runtime_ns as f64),
                entitled_share: accounts.map(|a| part(a.iter().map(|a| a.entitled_ns).sum())),
                lag_max_ns: accounts.map(|a| a.iter().map(|a| a.max_ns).fold(0.0, f64::max)),
                lag_rms_ns: accounts.map(|a| {
                    let squares: f64 = a.iter().map(|a| a.rms_ns().powi(2)).sum();
                    (squares / f64::from(task.count)).sqrt()
                }),
                wait: Durations::from(&self.meter.waits[entry].with_open(&open.waits)),
                response: Durations::from(&self.meter.responses[entry].with_open(&open.responses)),
                switches: sum(&|t| t.switches),
                preemptions: sum(&|t| t.involuntary),
                migrations: sum(&|t| t.migrations),
                completed,
                throughput: if duration_ns > 0 { completed as f64 * 1e9 / duration_ns as f64 } else { 0.0 },
                misses: sum(&|t| t.late) + open.misses,
                tardiness_max_ns: tallies
                    .iter()
                    .map(|t| t.tardiness_max_ns)
                    .fold(open.tardiness_max_ns, u64::max),
            }
        });
        Outcome {
            duration_ns,
            cpus: cpus.collect(),
            tasks: tasks.collect(),
            sequence: Vec::new(),
            draws: self.policy.evidence(),
        }
    }
}
