//! A scenario in the simulator and on the kernel.

use crate::sink::rehearsal_table::{RehearsalView, Row};
use crate::text::harmless;
use anyhow::Result;
use schemars::JsonSchema;
use serde::Serialize;

/// A rehearsal. Shares are of the machine of the scenario, 0 to 1.
#[derive(Serialize, JsonSchema)]
#[schemars(title = "tombola schedule --scenario")]
struct Record {
    /// Name of the scenario.
    scenario: String,
    /// CPUs of the scenario.
    cpus: u32,
    /// Length of a run of the simulation, and of that on the kernel.
    length_ns: u64,
    /// The longest a slice may last.
    slice_ns: u64,
    /// The policy of the simulator that it is held against.
    policy: String,
    /// Runs of the simulation.
    runs: u32,
    /// Seed of the simulation.
    seed: u64,
    /// Whether only the threads of the rehearsal were scheduled; else the whole machine was.
    partial: bool,
    /// Draws in the kernel.
    draws: u64,
    /// Tasks that waited longer than the guard allows, and so went first.
    guarded: u64,
    /// Part of these CPUs that others took, 0 to 1; it is in each tolerance.
    others_share: f64,
    /// Whether all tasks agree.
    agrees: bool,
    /// The entries of the scenario, all instances of one together.
    tasks: Vec<TaskRecord>,
}

#[derive(Serialize, JsonSchema)]
struct TaskRecord {
    /// Its name in the scenario.
    task: String,
    /// Mean share over the runs of the simulation.
    simulated_share: f64,
    /// Half the width of the 95 % confidence interval of that mean; null where runs do not tell it.
    simulated_half_width: Option<f64>,
    /// Share on the kernel.
    kernel_share: f64,
    /// How far the two may be apart.
    tolerance: f64,
    /// Whether they are not further apart.
    agrees: bool,
}

/// The record, as a line.
///
/// # Errors
/// What a serializer can refuse: nothing that occurs here.
pub(crate) fn line(view: &RehearsalView<'_>) -> Result<Vec<u8>> {
    let task = |row: &Row| TaskRecord {
        task: harmless(row.name.as_bytes()),
        simulated_share: row.simulated.mean,
        simulated_half_width: row.simulated.half_width,
        kernel_share: row.measured,
        tolerance: row.tolerance,
        agrees: row.holds(),
    };
    super::line(Record {
        scenario: harmless(view.scenario.name.as_bytes()),
        cpus: view.scenario.cpus,
        length_ns: view.scenario.duration_ns,
        slice_ns: view.scenario.quantum_ns,
        policy: view.policy.to_string(),
        runs: view.runs,
        seed: view.scenario.seed,
        partial: view.partial,
        draws: view.draws,
        guarded: view.guarded,
        others_share: view.others,
        agrees: view.rows.iter().all(Row::holds),
        tasks: view.rows.iter().map(task).collect(),
    })
}

/// The JSON Schema of the record.
///
/// # Errors
/// What a serializer can refuse: nothing that occurs here.
pub(crate) fn schema() -> Result<String> {
    super::schema::<Record>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tombola_lab::estimate::Estimate;
    use tombola_lab::policy::PolicyKind;
    use tombola_lab::scenario::Scenario;

    #[test]
    fn what_is_off_is_called_off_in_the_names_of_the_schema() {
        let text =
            "name = \"a\\u001bb\"\nduration = \"1s\"\n[[task]]\nname = \"x\\n\"\n[[task]]\nname = \"y\"";
        let scenario = Scenario::from_toml(text).unwrap();
        let row = |entry: usize, measured| Row {
            name: scenario.tasks[entry].name.clone(),
            simulated: Estimate { mean: 0.5, half_width: None },
            measured,
            tolerance: 0.08,
        };
        let view = RehearsalView {
            scenario: &scenario,
            policy: PolicyKind::LotteryKernel,
            runs: 30,
            partial: true,
            draws: 99,
            guarded: 0,
            others: 0.004,
            rows: vec![row(0, 0.41), row(1, 0.57)],
        };
        let value = super::super::checked(&line(&view).unwrap(), &schema().unwrap());
        assert_eq!(value["agrees"], false);
        let agrees = |at: usize| value["tasks"][at]["agrees"].as_bool().unwrap();
        assert!(!agrees(0) && agrees(1), "0.09 and 0.07 apart, where 0.08 is allowed");
        assert_eq!((&value["scenario"], &value["tasks"][0]["task"]), (&"a\\x1bb".into(), &"x\\x0a".into()));
    }
}
