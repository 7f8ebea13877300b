//! How far a replay can be believed, and what another policy would have changed.

use super::recorded::Span;
use super::world::World;
use crate::turns;
use anyhow::Result;
use std::sync::atomic::{AtomicBool, Ordering};
use tombola_core::identity::TaskId;
use tombola_lab::policy::PolicyKind;
use tombola_recording::activity::{Activities, Activity};
use tombola_recording::normaliser::Normaliser;
use tombola_recording::simulated;

/// Tasks that ran or waited for less than this part of the span take no part in medians.
const LEAST: f64 = 0.001;

/// What one task came to, as parts that can be compared.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Figures {
    /// CPU time as a part of the machine: all CPUs, whole span.
    pub(crate) share: f64,
    /// Time it waited for a CPU as a part of the span.
    pub(crate) wait: f64,
    /// Bursts that ended.
    pub(crate) completions: f64,
}

impl Figures {
    fn of(activity: Activity, span_ns: u64, cpus: u32) -> Self {
        let span = span_ns as f64;
        Self {
            share: activity.run_ns as f64 / (span * f64::from(cpus)),
            wait: activity.wait_ns as f64 / span,
            completions: activity.completions as f64,
        }
    }

    fn minus(self, other: Self) -> Self {
        Self {
            share: self.share - other.share,
            wait: self.wait - other.wait,
            completions: self.completions - other.completions,
        }
    }

    fn map(self, of: impl Fn(f64) -> f64) -> Self {
        Self { share: of(self.share), wait: of(self.wait), completions: of(self.completions) }
    }

    fn zip(self, other: Self, of: impl Fn(f64, f64) -> f64) -> Self {
        Self {
            share: of(self.share, other.share),
            wait: of(self.wait, other.wait),
            completions: of(self.completions, other.completions),
        }
    }
}

/// What all tasks of the scenario came to under one policy.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Replayed {
    pub(crate) policy: PolicyKind,
    /// Runs that were made; 0 if it was cancelled before the first was whole.
    pub(crate) runs: u32,
    /// By task of the scenario: means over the runs.
    pub(crate) tasks: Vec<Figures>,
    /// Half of what the runs differ by, by task: standard error of the mean, doubled.
    pub(crate) chance: Vec<Figures>,
    /// What ended a run early, if something did.
    pub(crate) stuck: Option<String>,
}

/// Replays a world; policies without chance run once.
///
/// # Errors
/// None that occurs: events are taken in memory.
pub(crate) fn replay(
    world: &World,
    policy: PolicyKind,
    (seed, runs): (u64, u32),
    cancel: &AtomicBool,
    progress: &dyn Fn(PolicyKind, u32),
) -> Result<Replayed> {
    let runs = if policy.traits().random { runs } else { 1 };
    let scenario = &world.scenario;
    let mut all: Vec<Vec<Figures>> = Vec::new();
    let mut stuck = None;
    for run in 0..runs {
        let mut normaliser = Normaliser::new(&simulated::header(scenario.cpus, policy.name()));
        let mut activities = Activities::since(0);
        let (mut events, span) = (0u64, scenario.duration_ns);
        let mut take = |event: &tombola_recording::event::Event| {
            normaliser.event(event);
            normaliser.facts().for_each(|fact| activities.fact(&fact));
            events += 1;
            if events.is_multiple_of(1 << 14) {
                let percent = u128::from(event.ts_ns) * 100 / u128::from(span.max(1));
                progress(policy, u32::try_from(percent).unwrap_or(100));
            }
            Ok(())
        };
        let (_, failed) = turns::events(scenario, policy, (seed, run), cancel, &mut take)?;
        if cancel.load(Ordering::Relaxed) {
            break;
        }
        stuck = stuck.or(failed.map(|error| error.to_string()));
        normaliser.finish(Some(scenario.duration_ns));
        normaliser.facts().for_each(|fact| activities.fact(&fact));
        // By thread id alone: a task may be born at an instant that only its waker decides.
        let mut figures = vec![Figures::default(); scenario.tasks.len()];
        for (id, activity) in activities.all() {
            if let Some(place) = (id.pid as usize).checked_sub(1).and_then(|entry| figures.get_mut(entry)) {
                *place = Figures::of(*activity, scenario.duration_ns, scenario.cpus);
            }
        }
        all.push(figures);
    }
    let n = all.len().max(1) as f64;
    let mean = |task: usize| {
        all.iter().fold(Figures::default(), |sum, run| sum.zip(run[task], |a, b| a + b)).map(|sum| sum / n)
    };
    let tasks: Vec<Figures> = (0..scenario.tasks.len()).map(mean).collect();
    let chance = tasks.iter().enumerate().map(|(task, mean)| {
        if all.len() < 2 {
            return Figures::default();
        }
        let squares = all.iter().fold(Figures::default(), |sum, run| {
            sum.zip(run[task].minus(*mean).map(|d| d * d), |a, b| a + b)
        });
        squares.map(|sum| 2.0 * (sum / (n - 1.0) / n).sqrt())
    });
    let chance = chance.collect();
    Ok(Replayed { policy, runs: u32::try_from(all.len()).unwrap_or(0), tasks, chance, stuck })
}

/// Errors of a replay under the recorded policy against the recording.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Honesty {
    /// What was recorded, by task of the scenario.
    pub(crate) recorded: Vec<Figures>,
    /// |replayed − recorded|, by task; of completions as a part of those recorded.
    pub(crate) errors: Vec<Figures>,
    /// Tasks that the medians are of: those that ran or waited for a thousandth of the span.
    pub(crate) judged: Vec<usize>,
    /// Median error.
    pub(crate) median: Figures,
    /// Worst error.
    pub(crate) worst: Figures,
}

/// Compares what a replay under the recorded policy came to with the recording.
pub(crate) fn honesty(span: &Span, world: &World, base: &Replayed) -> Honesty {
    let of = |index: &usize| {
        let id: TaskId = span.demand.tasks[*index].id;
        Figures::of(span.activities.of(id), world.scenario.duration_ns, world.scenario.cpus)
    };
    let recorded: Vec<Figures> = world.of.iter().map(of).collect();
    let errors: Vec<Figures> = base
        .tasks
        .iter()
        .zip(&recorded)
        .map(|(is, was)| {
            let off = is.minus(*was).map(f64::abs);
            Figures { completions: off.completions / was.completions.max(1.0), ..off }
        })
        .collect();
    let cpus = f64::from(world.scenario.cpus);
    let takes_part = |task: &usize| recorded[*task].share * cpus + recorded[*task].wait >= LEAST;
    let mut judged: Vec<usize> = (0..recorded.len()).filter(takes_part).collect();
    if judged.is_empty() {
        judged = (0..recorded.len()).collect();
    }
    let over = |of: fn(&Figures) -> f64| {
        let mut values: Vec<f64> = judged.iter().map(|task| of(&errors[*task])).collect();
        values.sort_by(f64::total_cmp);
        (values.get(values.len() / 2).copied().unwrap_or(0.0), values.last().copied().unwrap_or(0.0))
    };
    let (share, wait, completions) = (over(|e| e.share), over(|e| e.wait), over(|e| e.completions));
    Honesty {
        recorded,
        errors,
        judged,
        median: Figures { share: share.0, wait: wait.0, completions: completions.0 },
        worst: Figures { share: share.1, wait: wait.1, completions: completions.1 },
    }
}

/// What a policy changes for a task against the recorded one; `None` where that is within the error.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Change {
    pub(crate) share: Option<f64>,
    pub(crate) wait: Option<f64>,
    /// As a part of those under the recorded policy.
    pub(crate) completions: Option<f64>,
}

/// The change of one task, where it is larger than the task's own error, than the median error, and than
/// chance.
pub(crate) fn change(honesty: &Honesty, base: &Replayed, other: &Replayed, task: usize) -> Change {
    let is = other.tasks[task].minus(base.tasks[task]);
    // Not f64::hypot, whose symbol is of glibc 2.35 where the binary gets along with 2.34.
    let chance = other.chance[task].zip(base.chance[task], |one, other| (one * one + other * other).sqrt());
    let whole = base.tasks[task].completions.max(1.0);
    let (own, median) = (honesty.errors[task], honesty.median);
    // A billionth is rounding.
    let judge = |is: f64, own: f64, median: f64, chance: f64| {
        (is.abs() > own.max(median) + chance + 1e-9).then_some(is)
    };
    Change {
        share: judge(is.share, own.share, median.share, chance.share),
        wait: judge(is.wait, own.wait, median.wait, chance.wait),
        completions: judge(
            is.completions / whole,
            own.completions,
            median.completions,
            chance.completions / whole,
        ),
    }
}
