//! One JSON object with every number, and its schema: times in ns, shares as parts of the machine. What was
//! not worked out, or is without bound, is `null`.

use super::{Results, fairness, responds};
use anyhow::{Context, Result};
use schemars::{JsonSchema, schema_for};
use serde::Serialize;
use tombola_lab::compare::TaskResult;
use tombola_lab::draws::Judgement;
use tombola_lab::estimate::Estimate;
use tombola_lab::expectation::Verdict;

/// Number of the schema: it grows when a field changes its meaning or goes; new fields may come without.
const SCHEMA: u32 = 2;

/// Policies side by side.
#[derive(Serialize, JsonSchema)]
#[schemars(title = "tombola simulate")]
struct Document<'a> {
    /// Number of this schema.
    schema: u32,
    scenario: &'a str,
    cpus: u32,
    duration_ns: u64,
    quantum_ns: u64,
    switch_cost_ns: u64,
    /// What was simulated before statistics began.
    warm_up_ns: u64,
    /// Seed of all runs.
    seed: u64,
    /// Whether all runs came to their end.
    complete: bool,
    /// Expectations of the scenario that do not hold, over all policies.
    failed_expectations: usize,
    /// In the order asked for.
    policies: Vec<PolicyEntry<'a>>,
    /// What analysis says of periodic tasks; `null` where the scenario has others.
    analysis: Option<Analysis<'a>>,
}

#[derive(Serialize, JsonSchema)]
struct PolicyEntry<'a> {
    policy: &'a str,
    /// Runs that the means are over.
    runs: u32,
    /// Simulated time of a run; the scenario's, unless it was cut short.
    duration_ns: u64,
    /// Why the scenario could not be run under it.
    error: Option<String>,
    /// Part of the machine that ran tasks.
    busy: Option<Mean>,
    /// Jain's index of share / entitled share over all tasks.
    jain: Option<f64>,
    tasks: Vec<TaskEntry<'a>>,
    expectations: Vec<Expectation<'a>>,
    /// `null`: the policy is not random, or its draws depend on each other.
    draws: Option<Draws>,
}

/// The verdict on the draws of a random policy; a p-value is `null` where there was too little to see.
#[derive(Serialize, JsonSchema)]
struct Draws {
    judged: u64,
    /// Made while tickets were lent.
    not_judged: u64,
    p_shares: Option<f64>,
    p_pairs: Option<f64>,
    p_autocorrelation: Option<f64>,
    p_repeats: Option<f64>,
    /// The three before it together.
    p_next: Option<f64>,
    p_waits: Option<f64>,
    /// All together.
    p: Option<f64>,
    rejected: bool,
}

impl From<&Judgement> for Draws {
    fn from(judgement: &Judgement) -> Self {
        Self {
            judged: judgement.draws,
            not_judged: judgement.unjudged,
            p_shares: judgement.shares,
            p_pairs: judgement.pairs,
            p_autocorrelation: judgement.autocorrelation,
            p_repeats: judgement.repeats,
            p_next: judgement.next(),
            p_waits: judgement.waits,
            p: judgement.p_value(),
            rejected: judgement.is_rejected(),
        }
    }
}

#[derive(Serialize, JsonSchema)]
struct Mean {
    /// Over the runs.
    mean: f64,
    /// Half the width of the 95 % interval.
    half_width: Option<f64>,
}

#[derive(Serialize, JsonSchema)]
struct TaskEntry<'a> {
    task: &'a str,
    /// Instances of it, over which the figures are means.
    count: u32,
    /// Part of the machine it had.
    share: Mean,
    entitled_share: Option<Mean>,
    /// What a closed formula says of the share under this policy.
    formula_share: Option<f64>,
    lag_max_ns: Option<Mean>,
    lag_rms_ns: Option<Mean>,
    wait_mean_ns: Mean,
    wait_p50_ns: Mean,
    wait_p90_ns: Mean,
    wait_p99_ns: Mean,
    wait_max_ns: u64,
    /// Of responses; `null` where nothing was completed or is under way.
    response_mean_ns: Option<Mean>,
    response_p99_ns: Option<Mean>,
    response_max_ns: Option<u64>,
    response_jitter_ns: Option<u64>,
    switches: Mean,
    preemptions: Mean,
    migrations: Mean,
    completed: Mean,
    throughput_per_s: Mean,
    misses: Mean,
    tardiness_max_ns: u64,
    /// Draws won in all runs, and what the tickets make likely; `null` without draws.
    wins: Option<u64>,
    expected_wins: Option<f64>,
}

#[derive(Serialize, JsonSchema)]
struct Expectation<'a> {
    key: &'a str,
    holds: bool,
    got: Option<f64>,
    /// What it may be at least and at most; `null` where there is no bound, or where it is a sequence.
    low: Option<f64>,
    high: Option<f64>,
    expected_sequence: Option<&'a str>,
    got_sequence: Option<&'a str>,
}

#[derive(Serialize, JsonSchema)]
struct Analysis<'a> {
    utilisation: f64,
    largest_utilisation: f64,
    liu_layland_bound: f64,
    within_liu_layland: bool,
    within_hyperbolic: bool,
    /// Of each instance of a periodic task; `null` past the deadline.
    rm_response_ns: &'a [Option<u64>],
    edf_one_cpu: Option<bool>,
    within_global_edf_bound: bool,
}

/// The object, with a line break at its end.
///
/// # Errors
/// None in practice: everything in it can be written.
pub(crate) fn render(results: &Results) -> Result<String> {
    let (scenario, comparison) = (results.scenario, results.comparison);
    let policies = comparison.policies.iter().map(|(policy, result)| match result {
        Ok(result) => PolicyEntry {
            policy: policy.name(),
            runs: result.runs,
            duration_ns: result.duration_ns,
            error: None,
            busy: (result.runs > 0).then(|| result.busy.into()),
            jain: fairness(result),
            tasks: if result.runs > 0 {
                result.tasks.iter().map(TaskEntry::from).collect()
            } else {
                Vec::new()
            },
            expectations: results
                .judged(result)
                .iter()
                .map(|verdict| Expectation {
                    key: &verdict.key,
                    holds: verdict.holds,
                    got: verdict.got,
                    low: bound(verdict, verdict.bounds.low),
                    high: bound(verdict, verdict.bounds.high),
                    expected_sequence: verdict.sequence.as_ref().map(|(expected, _)| expected.as_str()),
                    got_sequence: verdict.sequence.as_ref().map(|(_, got)| got.as_str()),
                })
                .collect(),
            draws: result.draws.as_ref().map(Draws::from),
        },
        Err(error) => PolicyEntry {
            policy: policy.name(),
            runs: 0,
            duration_ns: 0,
            error: Some(error.to_string()),
            busy: None,
            jain: None,
            tasks: Vec::new(),
            expectations: Vec::new(),
            draws: None,
        },
    });
    let document = Document {
        schema: SCHEMA,
        scenario: &scenario.name,
        cpus: scenario.cpus,
        duration_ns: scenario.duration_ns,
        quantum_ns: scenario.quantum_ns,
        switch_cost_ns: scenario.switch_cost_ns,
        warm_up_ns: scenario.warm_up_ns,
        seed: comparison.seed,
        complete: comparison.complete,
        failed_expectations: results.failed(),
        policies: policies.collect(),
        analysis: results.realtime.as_ref().map(|(_, analysis)| Analysis {
            utilisation: analysis.utilisation,
            largest_utilisation: analysis.largest,
            liu_layland_bound: analysis.liu_layland_bound,
            within_liu_layland: analysis.within_liu_layland,
            within_hyperbolic: analysis.within_hyperbolic,
            rm_response_ns: &analysis.rm_response_ns,
            edf_one_cpu: analysis.edf_one_cpu,
            within_global_edf_bound: analysis.within_global_edf_bound,
        }),
    };
    Ok(serde_json::to_string_pretty(&document).context("cannot write JSON")? + "\n")
}

/// The JSON Schema of the object, as text that ends with a line break.
///
/// # Errors
/// As [`render`].
pub(crate) fn schema() -> Result<String> {
    let text = serde_json::to_string_pretty(&schema_for!(Document)).context("cannot write the schema")?;
    Ok(text + "\n")
}

/// A bound that is one: a sequence has none, and nothing is at most infinite.
fn bound(verdict: &Verdict, value: f64) -> Option<f64> {
    (verdict.sequence.is_none() && value.is_finite()).then_some(value)
}

impl From<Estimate> for Mean {
    fn from(estimate: Estimate) -> Self {
        Self { mean: estimate.mean, half_width: estimate.half_width }
    }
}

impl<'a> From<&'a TaskResult> for TaskEntry<'a> {
    fn from(t: &'a TaskResult) -> Self {
        Self {
            task: &t.name,
            count: t.count,
            share: t.share.into(),
            entitled_share: t.entitled_share.map(Mean::from),
            formula_share: t.predicted_share,
            lag_max_ns: t.lag_max_ns.map(Mean::from),
            lag_rms_ns: t.lag_rms_ns.map(Mean::from),
            wait_mean_ns: t.wait_mean_ns.into(),
            wait_p50_ns: t.wait_p50_ns.into(),
            wait_p90_ns: t.wait_p90_ns.into(),
            wait_p99_ns: t.wait_p99_ns.into(),
            wait_max_ns: t.wait_max_ns,
            response_mean_ns: responds(t).then(|| t.response_mean_ns.into()),
            response_p99_ns: responds(t).then(|| t.response_p99_ns.into()),
            response_max_ns: responds(t).then_some(t.response_max_ns),
            response_jitter_ns: responds(t).then_some(t.response_jitter_ns),
            switches: t.switches.into(),
            preemptions: t.preemptions.into(),
            migrations: t.migrations.into(),
            completed: t.completed.into(),
            throughput_per_s: t.throughput.into(),
            misses: t.misses.into(),
            tardiness_max_ns: t.tardiness_max_ns,
            wins: t.wins.map(|(won, _)| won),
            expected_wins: t.wins.map(|(_, expected)| expected),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;
    use std::collections::BTreeSet;
    use std::sync::atomic::AtomicBool;
    use tombola_lab::compare::{Plan, compare};
    use tombola_lab::library;
    use tombola_lab::outcome::Observe;
    use tombola_lab::policy::PolicyKind;
    use tombola_lab::scenario::Scenario;

    fn names(value: &Value, of: &str, found: &mut BTreeSet<String>) {
        match value {
            Value::Object(object) => {
                let named =
                    if of.is_empty() { Some(object) } else { object.get(of).and_then(Value::as_object) };
                found.extend(named.into_iter().flat_map(|named| named.keys().cloned()));
                object.values().for_each(|value| names(value, of, found));
            }
            Value::Array(values) => values.iter().for_each(|value| names(value, of, found)),
            _ => {}
        }
    }

    #[test]
    fn the_schema_names_what_is_written() {
        let (mut written, mut described) = (BTreeSet::new(), BTreeSet::new());
        names(&serde_json::from_str(&schema().unwrap()).unwrap(), "properties", &mut described);
        // A random policy has draws, expectations are the first's, analysis the second's.
        for name in ["three-burners", "dhall"] {
            let scenario = Scenario::from_toml(library::find(name).unwrap().text).unwrap();
            let policies = vec![PolicyKind::Lottery, PolicyKind::RoundRobin];
            let observe = Observe::default();
            let plan = Plan { scenario: &scenario, policies, runs: 1, seed: 1, jobs: 1, observe };
            let comparison = compare(&plan, &|_| {}, &AtomicBool::new(false));
            let text = render(&Results::new(&scenario, &comparison)).unwrap();
            let value: Value = serde_json::from_str(&text).unwrap();
            assert_eq!(value["schema"], SCHEMA);
            names(&value, "", &mut written);
        }
        assert_eq!(written, described);
    }
}
