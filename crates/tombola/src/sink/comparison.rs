//! Policies side by side: what they made of one scenario, as a table, JSON or CSV.

mod better;
pub(crate) mod csv;
pub(crate) mod json;
mod realtime;
pub(crate) mod table;
mod verdict;

use tombola_core::statistics::jain;
use tombola_lab::compare::{Comparison, PolicyResult, TaskResult};
use tombola_lab::expectation::Verdict;
use tombola_lab::policy::PolicyKind;
use tombola_lab::realtime::{Analysis, RtTask, analyse, task_set};
use tombola_lab::scenario::Scenario;

/// A comparison with what is printed beside it.
pub(crate) struct Results<'a> {
    scenario: &'a Scenario,
    comparison: &'a Comparison,
    /// The periodic tasks and what analysis says about them; `None` where it does not apply.
    realtime: Option<(Vec<RtTask>, Analysis)>,
}

impl<'a> Results<'a> {
    pub(crate) fn new(scenario: &'a Scenario, comparison: &'a Comparison) -> Self {
        let realtime = task_set(scenario).map(|set| {
            let analysis = analyse(&set, scenario.cpus);
            (set, analysis)
        });
        Self { scenario, comparison, realtime }
    }

    /// Expectations that do not hold.
    pub(crate) fn failed(&self) -> usize {
        self.done().flat_map(|(_, result)| self.judged(result)).filter(|verdict| !verdict.holds).count()
    }

    /// The policies that ran, even if not to the end.
    fn done(&self) -> impl Iterator<Item = (PolicyKind, &'a PolicyResult)> {
        self.comparison
            .policies
            .iter()
            .filter_map(|(policy, result)| Some((*policy, result.as_ref().ok()?)))
            .filter(|(_, result)| result.runs > 0)
    }

    /// The verdicts on a policy: none on a run that was cut short.
    fn judged(&self, result: &'a PolicyResult) -> &'a [Verdict] {
        if result.duration_ns == self.scenario.duration_ns { &result.verdicts } else { &[] }
    }
}

/// Whether it has responses: something of it was completed, or is under way.
fn responds(task: &TaskResult) -> bool {
    task.completed.mean > 0.0 || task.response_max_ns > 0
}

/// Jain's index of share / entitled share over all task instances that are entitled to something, from the
/// means over the runs; the instances of one entry count as equal.
fn fairness(result: &PolicyResult) -> Option<f64> {
    let ratios = result.tasks.iter().filter_map(|task| {
        let entitled = task.entitled_share?.mean;
        (entitled > 0.0).then(|| (task.share.mean / entitled, task.count as usize))
    });
    jain(ratios.flat_map(|(ratio, count)| std::iter::repeat_n(ratio, count)))
}

/// A length of time in the largest unit that keeps it above 1, exactly: `1.5ms`.
pub(crate) fn length(ns: u64) -> String {
    let units = [("s", 1_000_000_000), ("ms", 1_000_000), ("us", 1_000), ("ns", 1)];
    let (unit, scale) = units.into_iter().find(|(_, scale)| ns >= *scale).unwrap_or(("s", 1));
    let digits = scale.ilog10() as usize;
    let fraction = format!("{:0digits$}", ns % scale);
    match if digits == 0 { "" } else { fraction.trim_end_matches('0') } {
        "" => format!("{}{unit}", ns / scale),
        fraction => format!("{}.{fraction}{unit}", ns / scale),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_is_exact_and_short() {
        let cases = [
            (0, "0s"),
            (1, "1ns"),
            (1_500, "1.5us"),
            (10_000_000, "10ms"),
            (60_000_000_000, "60s"),
            (1_000_000_001, "1.000000001s"),
        ];
        for (ns, expected) in cases {
            assert_eq!(length(ns), expected);
        }
    }
}
