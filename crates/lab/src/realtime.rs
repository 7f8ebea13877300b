//! Schedulability by analysis, to be printed beside what the simulation shows, and random task sets to try it
//! on.
//!
//! | test | for | kind | source |
//! |---|---|---|---|
//! | ΣU ≤ 1 | EDF, one CPU, D = T | exact | Liu and Layland, JACM 20, 1973 |
//! | ΣU ≤ n(2^(1/n) − 1) | RM, one CPU, D = T | sufficient | the same |
//! | Π(U + 1) ≤ 2 | RM, one CPU, D = T | sufficient | Bini, Buttazzo, Buttazzo, IEEE TC 52, 2003 |
//! | R = C + Σ⌈R/T′⌉·C′ ≤ D | fixed priorities, one CPU, D ≤ T | exact | Joseph and Pandya, Computer Journal 29, 1986 |
//! | processor demand: Σ(⌊(t − D)/T⌋ + 1)·C ≤ t | EDF, one CPU, D ≤ T | exact | Baruah, Rosier, Howell, RTS 2, 1990 |
//! | ΣU ≤ m − (m − 1)·max U | global EDF, m CPUs, D = T | sufficient | Goossens, Funk, Baruah, RTS 25, 2003 |
//!
//! All assume preemption at no cost, jobs that never wait for anything but the CPU, and the longest run each
//! time.

use super::chance::unit;
use super::scenario::{Scenario, Step};
use super::span::{MAX_NS, Span};
use rand_chacha::ChaCha8Rng;

/// A periodic task as analysis sees it, times in ns, all above 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RtTask {
    /// Longest CPU time of a job (C).
    pub run_ns: u64,
    /// Period (T).
    pub period_ns: u64,
    /// Relative deadline (D).
    pub deadline_ns: u64,
}

impl RtTask {
    /// C/T.
    pub fn utilisation(&self) -> f64 {
        self.run_ns as f64 / self.period_ns as f64
    }
}

/// What the tests say about a task set.
#[derive(Clone, Debug, PartialEq)]
pub struct Analysis {
    /// CPUs of the machine.
    pub cpus: u32,
    /// ΣU.
    pub utilisation: f64,
    /// The largest U.
    pub largest: f64,
    /// n(2^(1/n) − 1).
    pub liu_layland_bound: f64,
    /// Whether ΣU is within it: then RM is in time on one CPU.
    pub within_liu_layland: bool,
    /// Whether Π(U + 1) ≤ 2: then RM is in time on one CPU.
    pub within_hyperbolic: bool,
    /// Longest response time of each task under RM on one CPU, in the order given; `None` where it exceeds
    /// the deadline. Equal periods: the first given has priority.
    pub rm_response_ns: Vec<Option<u64>>,
    /// Whether EDF is in time on one CPU; `None` when the demand test would take too long.
    pub edf_one_cpu: Option<bool>,
    /// Whether global EDF is in time by the bound on m CPUs; `false` says nothing.
    pub within_global_edf_bound: bool,
}

/// The periodic tasks of a scenario that only run, one for each instance, with the longest run of each.
/// `None` for a scenario without any, or with a periodic task that sleeps, waits, locks, or has runs without
/// a longest.
pub fn task_set(scenario: &Scenario) -> Option<Vec<RtTask>> {
    let mut set = Vec::new();
    for task in &scenario.tasks {
        let Some(periodic) = task.periodic else { continue };
        let mut run_ns = 0u64;
        for step in &task.steps {
            match step {
                Step::Run(Span::Fixed(ns) | Span::Uniform(_, ns)) => run_ns = run_ns.saturating_add(*ns),
                Step::NextJob { .. } => {}
                _ => return None,
            }
        }
        let one = RtTask { run_ns, period_ns: periodic.period_ns, deadline_ns: periodic.deadline_ns };
        set.extend(std::iter::repeat_n(one, task.count as usize));
    }
    (!set.is_empty()).then_some(set)
}

/// Runs all tests on a task set.
pub fn analyse(set: &[RtTask], cpus: u32) -> Analysis {
    let n = set.len() as f64;
    let utilisation: f64 = set.iter().map(RtTask::utilisation).sum();
    let largest = set.iter().map(RtTask::utilisation).fold(0.0, f64::max);
    let bound = if set.is_empty() { 1.0 } else { n * (libm::exp2(1.0 / n) - 1.0) };
    let implicit = set.iter().all(|t| t.deadline_ns >= t.period_ns);
    let product: f64 = set.iter().map(|t| t.utilisation() + 1.0).product();
    let m = f64::from(cpus);
    Analysis {
        cpus,
        utilisation,
        largest,
        liu_layland_bound: bound,
        within_liu_layland: implicit && utilisation <= bound,
        within_hyperbolic: implicit && product <= 2.0,
        rm_response_ns: response_times(set),
        edf_one_cpu: edf_in_time(set),
        within_global_edf_bound: implicit && utilisation <= m - (m - 1.0) * largest,
    }
}

/// Whether ΣC/T ≤ 1, without rounding where the fractions have a small common denominator.
fn fits_one_cpu(set: &[RtTask]) -> bool {
    let hyperperiod = set.iter().try_fold(1u128, |lcm, t| {
        let period = u128::from(t.period_ns);
        lcm.checked_mul(period / num_integer::gcd(lcm, period)).filter(|l| *l < 1 << 64)
    });
    match hyperperiod {
        Some(lcm) => {
            let demand = set.iter().map(|t| lcm / u128::from(t.period_ns) * u128::from(t.run_ns));
            demand.sum::<u128>() <= lcm
        }
        None => set.iter().map(RtTask::utilisation).sum::<f64>() <= 1.0,
    }
}

/// Longest response times under rate monotonic priorities: the least fixed point of R = C + Σ⌈R/T′⌉·C′ over
/// the tasks of higher priority, reached from below.
pub fn response_times(set: &[RtTask]) -> Vec<Option<u64>> {
    let mut order: Vec<usize> = (0..set.len()).collect();
    order.sort_by_key(|i| (set[*i].period_ns, *i));
    let mut responses = vec![None; set.len()];
    for (rank, &task) in order.iter().enumerate() {
        let RtTask { run_ns, deadline_ns, period_ns } = set[task];
        // Beyond its period a job would meet its successor, and one job would not be the worst any more.
        let most = deadline_ns.min(period_ns);
        let mut response = run_ns;
        responses[task] = loop {
            if response > most {
                break None;
            }
            let interference = order[..rank].iter().map(|j| {
                let releases = response.div_ceil(set[*j].period_ns);
                releases.saturating_mul(set[*j].run_ns)
            });
            let next = interference.fold(run_ns, u64::saturating_add);
            if next == response {
                break Some(response);
            }
            response = next;
        };
    }
    responses
}

/// EDF on one CPU: ΣU ≤ 1 when every deadline is at least the period, else the processor demand at every
/// deadline up to the bound of Baruah and others; `None` with more than a million deadlines to look at.
fn edf_in_time(set: &[RtTask]) -> Option<bool> {
    if !fits_one_cpu(set) {
        return Some(false);
    }
    if set.iter().all(|t| t.deadline_ns >= t.period_ns) {
        return Some(true);
    }
    let utilisation: f64 = set.iter().map(RtTask::utilisation).sum();
    let slack: f64 =
        set.iter().map(|t| (t.period_ns as f64 - t.deadline_ns as f64).max(0.0) * t.utilisation()).sum();
    let latest = set.iter().map(|t| t.deadline_ns).max().unwrap_or(0);
    if utilisation >= 1.0 {
        return None;
    }
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // positive, and cut off
    let horizon = ((slack / (1.0 - utilisation)).ceil().min(MAX_NS as f64) as u64).max(latest);
    let points: u64 = set.iter().map(|t| horizon.saturating_sub(t.deadline_ns) / t.period_ns + 1).sum();
    if points > 1_000_000 {
        return None;
    }
    let mut deadlines: Vec<u64> = set
        .iter()
        .flat_map(|t| (0..).map(move |k| t.deadline_ns + k * t.period_ns).take_while(|d| *d <= horizon))
        .collect();
    deadlines.sort_unstable();
    deadlines.dedup();
    Some(deadlines.into_iter().all(|at| {
        let demand = set.iter().filter(|t| t.deadline_ns <= at);
        let demand =
            demand.map(|t| u128::from((at - t.deadline_ns) / t.period_ns + 1) * u128::from(t.run_ns));
        demand.sum::<u128>() <= u128::from(at)
    }))
}

/// `n` utilisations that sum to `total`, uniform over the simplex (`UUniFast`: Bini, Buttazzo, "Measuring the
/// Performance of Schedulability Tests", RTS 30, 2005).
pub fn uunifast(n: usize, total: f64, rng: &mut ChaCha8Rng) -> Vec<f64> {
    let mut left = total;
    let mut parts = Vec::with_capacity(n);
    for behind in (1..n).rev() {
        let next = left * libm::pow(unit(rng), 1.0 / behind as f64);
        parts.push(left - next);
        left = next;
    }
    if n > 0 {
        parts.push(left);
    }
    parts
}

/// The same for more than one CPU: draws anew until no utilisation is above 1 (`UUniFast`-Discard: Davis,
/// Burns, "Priority Assignment for Global Fixed Priority Pre-emptive Scheduling", RTSS 2009). `None` after
/// `tries` draws, or when `total` > n.
pub fn uunifast_discard(n: usize, total: f64, tries: u32, rng: &mut ChaCha8Rng) -> Option<Vec<f64>> {
    (total <= n as f64).then_some(())?;
    (0..tries).map(|_| uunifast(n, total, rng)).find(|parts| parts.iter().all(|u| *u <= 1.0))
}

/// A task set with these utilisations and log-uniform periods from `low_ns` to `high_ns`, D = T (Emberson,
/// Stafford, Davis, WATERS 2010); periods are multiples of `low_ns`/10, so that schedules repeat.
pub fn with_periods(utilisations: &[f64], low_ns: u64, high_ns: u64, rng: &mut ChaCha8Rng) -> Vec<RtTask> {
    let grain = (low_ns / 10).max(1);
    let (low, high) = (libm::log(low_ns.max(1) as f64), libm::log(high_ns.max(low_ns).max(1) as f64));
    let period = |rng: &mut ChaCha8Rng| {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // between the two bounds
        let ns = libm::exp(low + (high - low) * unit(rng)) as u64;
        (ns / grain).max(1) * grain
    };
    utilisations
        .iter()
        .map(|u| {
            let period_ns = period(rng);
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a part of the period
            let run_ns = ((u * period_ns as f64) as u64).max(1);
            RtTask { run_ns, period_ns, deadline_ns: period_ns }
        })
        .collect()
}

#[cfg(test)]
mod tests;
