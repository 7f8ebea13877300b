//! A recording under other policies.

use crate::replay::Verdict;
use crate::replay::score::{self, Figures};
use crate::sink::certainty::CertaintyRecord;
use crate::text::harmless;
use anyhow::Result;
use schemars::JsonSchema;
use serde::Serialize;
use tombola_recording::demand::End;

/// All of it.
#[derive(Serialize, JsonSchema)]
#[schemars(title = "tombola replay")]
struct Record {
    /// The recording.
    recording: String,
    /// Length of the span that was replayed.
    span_ns: u64,
    cpus: u32,
    quantum_ns: u64,
    tick_ns: u64,
    sleeps: SleepRecord,
    /// Time of which it is not known what tasks did, all of them together.
    unknown_ns: u64,
    /// What each kind of figure of the recording is worth.
    certainty: Option<Vec<CertaintyRecord>>,
    /// Tasks of which it is not known what they wanted after the end.
    wanting_at_end: u64,
    /// Whether weights, groups and affinity are those recorded; else weights by nice on one level.
    weights_told: bool,
    /// Real-time and deadline tasks, which most policies have as heavy tasks of the fair class.
    above_fair: u64,
    /// How the policy of the recording is known.
    recorded_policy_by: String,
    /// Tasks that the median and the worst error are of.
    judged: u64,
    /// Median error of the first policy against the recording; completions as a part of those recorded.
    error_median: FiguresRecord,
    /// Worst error.
    error_worst: FiguresRecord,
    tasks: Vec<TaskRecord>,
    /// That of the recording first.
    policies: Vec<PolicyRecord>,
}

/// What ended sleeps.
#[derive(Serialize, JsonSchema)]
struct SleepRecord {
    task: u64,
    /// Those by tasks whose context was not told.
    task_uncertain: u64,
    timer: u64,
    pause: u64,
    device: u64,
    unknown: u64,
}

#[derive(Serialize, JsonSchema)]
struct FiguresRecord {
    /// CPU time as a part of the machine.
    share: f64,
    /// Time it waited for a CPU as a part of the span.
    wait: f64,
    /// Bursts that ended.
    completions: f64,
}

#[derive(Serialize, JsonSchema)]
struct TaskRecord {
    task: String,
    pid: u32,
    /// What was recorded.
    recorded: FiguresRecord,
    /// |first policy − recorded|; completions as a part of those recorded.
    error: FiguresRecord,
}

#[derive(Serialize, JsonSchema)]
struct PolicyRecord {
    policy: String,
    /// Runs of which the figures are means.
    runs: u32,
    /// Why a run could not go on to the end.
    stuck: Option<String>,
    /// In the order of `tasks`.
    figures: Vec<FiguresRecord>,
    /// Against the first policy, in the order of `tasks`.
    changes: Vec<ChangeRecord>,
}

/// Null: no difference that is larger than the error.
#[derive(Serialize, JsonSchema)]
struct ChangeRecord {
    share: Option<f64>,
    wait: Option<f64>,
    /// As a part of those under the first policy.
    completions: Option<f64>,
}

/// The replay as a line.
///
/// # Errors
/// What a serializer can refuse: nothing that occurs here.
pub(crate) fn line(verdict: &Verdict) -> Result<Vec<u8>> {
    let (demand, honesty) = (&verdict.demand, &verdict.honesty);
    let scenario = &verdict.world.scenario;
    let base = &verdict.replayed[0];
    let tasks = scenario.tasks.iter().enumerate().map(|(task, entry)| TaskRecord {
        task: entry.name.clone(),
        pid: demand.tasks[verdict.world.of[task]].id.pid,
        recorded: figures(honesty.recorded[task]),
        error: figures(honesty.errors[task]),
    });
    let policies = verdict.replayed.iter().map(|replayed| PolicyRecord {
        policy: replayed.policy.name().to_owned(),
        runs: replayed.runs,
        stuck: replayed.stuck.as_ref().map(|stuck| harmless(stuck.as_bytes())),
        figures: replayed.tasks.iter().copied().map(figures).collect(),
        changes: (0..scenario.tasks.len())
            .map(|task| {
                let score::Change { share, wait, completions } = score::change(honesty, base, replayed, task);
                ChangeRecord { share, wait, completions }
            })
            .collect(),
    });
    let sleeps = demand.sleeps;
    super::line(Record {
        recording: verdict.name.clone(),
        span_ns: demand.span_ns,
        cpus: scenario.cpus,
        quantum_ns: scenario.quantum_ns,
        tick_ns: scenario.tick_ns,
        sleeps: SleepRecord {
            task: sleeps.task,
            task_uncertain: sleeps.task_uncertain,
            timer: sleeps.timer,
            pause: sleeps.pause,
            device: sleeps.device,
            unknown: sleeps.unknown,
        },
        unknown_ns: demand.tasks.iter().map(|task| task.unknown_ns).sum(),
        certainty: CertaintyRecord::all(&verdict.worths),
        wanting_at_end: demand.tasks.iter().filter(|task| matches!(task.end, End::Wants { .. })).count()
            as u64,
        weights_told: verdict.header.can.groups,
        above_fair: verdict.world.above_fair as u64,
        recorded_policy_by: harmless(verdict.why.as_bytes()),
        judged: honesty.judged.len() as u64,
        error_median: figures(honesty.median),
        error_worst: figures(honesty.worst),
        tasks: tasks.collect(),
        policies: policies.collect(),
    })
}

fn figures(of: Figures) -> FiguresRecord {
    FiguresRecord { share: of.share, wait: of.wait, completions: of.completions }
}

/// The JSON Schema of [`line`].
///
/// # Errors
/// As [`line`].
pub(crate) fn schema() -> Result<String> {
    super::schema::<Record>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replay::recorded;
    use crate::replay::score::{honesty, replay};
    use crate::replay::world::{Machine, world};
    use std::sync::atomic::AtomicBool;
    use tombola_lab::policy::PolicyKind;
    use tombola_lab::scenario::Scenario;

    #[test]
    fn every_policy_tells_every_task() {
        let text =
            "name='x'\nduration='100ms'\n[[task]]\nname='A'\n[[task]]\nname='B'\nrun='1ms'\nsleep='3ms'\n";
        let scenario = Scenario::from_toml(text).unwrap();
        let (file, cancel) = (tempfile::NamedTempFile::new().unwrap(), AtomicBool::new(false));
        crate::turns::record(&scenario, PolicyKind::Cfs, 1, &cancel, &mut file.as_file()).unwrap();
        let span = recorded::read(file.path(), None, None).unwrap();
        let world = world(&span.demand, Machine::of(&span.header), "x");
        let replayed: Vec<_> = [PolicyKind::Cfs, PolicyKind::Fifo, PolicyKind::Lottery]
            .map(|policy| replay(&world, policy, (1, 2), &cancel, &|_, _| {}).unwrap())
            .into();
        let honesty = honesty(&span, &world, &replayed[0]);
        let (header, demand, worths) = (span.header, span.demand, span.worths);
        let verdict = Verdict {
            name: "x".to_owned(),
            header,
            demand,
            world,
            why: "said".to_owned(),
            replayed,
            honesty,
            worths,
            top: 1,
        };
        let value = super::super::checked(&line(&verdict).unwrap(), &schema().unwrap());
        assert_eq!(value["policies"][2]["runs"], 2);
        assert_eq!(
            (&value["certainty"][0]["what"], &value["certainty"][0]["worth"]),
            (&"run time".into(), &"exact".into())
        );
        // Under fifo the burner never gives the CPU back: B, which comes second, gets nothing.
        assert_eq!(value["policies"][1]["figures"][1]["share"], 0.0);
        assert!(value["policies"][1]["changes"][1]["share"].as_f64().unwrap() < -0.1, "{value}");
        assert_eq!(value["policies"][0]["changes"][1]["share"], serde_json::Value::Null);
        let table = crate::sink::replay_table::render(&verdict, None);
        assert!(table.contains("no difference") && table.contains("mean of 2 runs"), "{table}");
    }
}
