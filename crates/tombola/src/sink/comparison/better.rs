//! Which policy is better for whom, in a line: by what a task feels, which is missed deadlines, else how long
//! its jobs take, else how long it waits for a CPU.

use super::Results;
use crate::text::{clip, harmless};
use tombola_lab::compare::TaskResult;
use tombola_lab::estimate::Estimate;

/// Entries that are named; a line is no table.
const NAMED: usize = 8;

/// Columns a name may fill.
const NAME_COLUMNS: usize = 24;

/// Who has less than this part of what it is entitled to has starved: it is still in a wait that is in no
/// figure.
const STARVED: f64 = 0.01;

/// What a task feels, the smaller the better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Felt {
    Misses,
    Response,
    Wait,
}

impl Felt {
    fn of(results: &[&TaskResult]) -> Self {
        if results.iter().any(|task| task.misses.mean > 0.0) {
            Self::Misses
        } else if results.iter().all(|task| task.completed.mean > 0.0) {
            Self::Response
        } else {
            Self::Wait
        }
    }

    fn value(self, task: &TaskResult) -> Estimate {
        let entitled = task.entitled_share.map_or(0.0, |share| share.mean);
        if task.share.mean <= STARVED * entitled {
            return Estimate { mean: f64::INFINITY, half_width: None };
        }
        match self {
            Self::Misses => task.misses,
            Self::Response => task.response_p99_ns,
            Self::Wait => task.wait_p99_ns,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Misses => "misses",
            Self::Response => "response p99",
            Self::Wait => "wait p99",
        }
    }

    fn text(self, value: f64) -> String {
        match self {
            _ if value.is_infinite() => "starves it".to_owned(),
            Self::Misses => format!("{value:.1}"),
            Self::Response | Self::Wait => format!("{:.3} ms", value / 1e6),
        }
    }
}

/// The line; none where there is nothing to compare.
pub(super) fn line(results: &Results<'_>) -> Option<String> {
    let done: Vec<_> = results.done().collect();
    if done.len() < 2 {
        return None;
    }
    let entries = results.scenario.tasks.len();
    let mut parts: Vec<String> = (0..entries.min(NAMED))
        .map(|entry| {
            let all: Vec<(&str, &TaskResult)> =
                done.iter().map(|(policy, result)| (policy.name(), &result.tasks[entry])).collect();
            let name =
                clip(&harmless(results.scenario.tasks[entry].name.as_bytes()), NAME_COLUMNS).into_owned();
            format!("{name}: {}", best(&all))
        })
        .collect();
    if entries > NAMED {
        let more = entries - NAMED;
        parts.push(format!("{more} more {}", if more == 1 { "task" } else { "tasks" }));
    }
    Some(format!("better for whom: {}", parts.join("; ")))
}

/// The best policies for a task, which no other beats by more than chance, and the worst.
fn best(all: &[(&str, &TaskResult)]) -> String {
    let felt = Felt::of(&all.iter().map(|(_, task)| *task).collect::<Vec<_>>());
    let mut values: Vec<(&str, Estimate)> =
        all.iter().map(|(policy, task)| (*policy, felt.value(task))).collect();
    values.sort_by(|one, other| one.1.mean.total_cmp(&other.1.mean));
    let (Some((_, least)), Some((worst, most))) = (values.first().copied(), values.last().copied()) else {
        return String::new();
    };
    let tied: Vec<&str> =
        values.iter().filter(|(_, value)| !is_less(least, *value)).map(|(policy, _)| *policy).collect();
    if tied.len() == values.len() {
        return format!("no difference that shows ({} {})", felt.name(), felt.text(least.mean));
    }
    let (low, high) = (felt.text(least.mean), felt.text(most.mean));
    format!("{} ({} {low}, {worst} {high})", tied.join(" or "), felt.name())
}

/// Whether a mean is less than another by more than chance and the digits shown: their intervals do not meet.
fn is_less(one: Estimate, other: Estimate) -> bool {
    let width = |estimate: Estimate| estimate.half_width.unwrap_or(0.0);
    let gap = other.mean - one.mean;
    gap > width(one) + width(other) && gap > 1e-3 * one.mean
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicBool;
    use tombola_lab::compare::{Plan, compare};
    use tombola_lab::outcome::Observe;
    use tombola_lab::policy::PolicyKind;
    use tombola_lab::scenario::Scenario;

    fn said(text: &str, policies: Vec<PolicyKind>) -> Option<String> {
        let scenario = Scenario::from_toml(text).unwrap();
        let plan =
            Plan { scenario: &scenario, policies, runs: 3, seed: 1, jobs: 1, observe: Observe::default() };
        let comparison = compare(&plan, &|_| {}, &AtomicBool::new(false));
        line(&Results::new(&scenario, &comparison))
    }

    #[test]
    fn what_waits_is_better_off_where_it_waits_less() {
        // Two burners, quantum 10 ms. Round robin: each waits 10 ms. First in, first out: the second waits
        // for ever.
        let text = "name='x'\nduration='1s'\nquantum='10ms'\n[[task]]\nname='a'\n[[task]]\nname='b'\n";
        let line = said(text, vec![PolicyKind::Fifo, PolicyKind::RoundRobin]).unwrap();
        assert!(line.starts_with("better for whom: a: fifo (wait p99 0.000 ms, rr 10.000 ms)"), "{line}");
        assert!(line.ends_with("; b: rr (wait p99 10.000 ms, fifo starves it)"), "{line}");
        assert_eq!(said(text, vec![PolicyKind::Fifo]), None);
        let same = said(
            "name='x'\nduration='1s'\nquantum='10ms'\n[[task]]\nname='a'\n",
            vec![PolicyKind::Fifo, PolicyKind::RoundRobin],
        );
        assert!(same.unwrap().contains("a: no difference that shows"));
    }
}
