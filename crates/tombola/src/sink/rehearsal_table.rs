//! A scenario in the simulator and on the kernel, side by side.

use super::layout::{
    Layout,
    Side::{Left, Right},
};
use super::print::{line, name, percent, signed};
use crate::interval::Plain;
use crate::text::harmless;
use std::time::Duration;
use tombola_lab::estimate::Estimate;
use tombola_lab::policy::PolicyKind;
use tombola_lab::scenario::Scenario;

/// A rehearsal.
pub(crate) struct RehearsalView<'a> {
    /// What was rehearsed.
    pub(crate) scenario: &'a Scenario,
    /// The policy of the lab it is held against.
    pub(crate) policy: PolicyKind,
    /// Runs of the simulation.
    pub(crate) runs: u32,
    /// Whether only the threads of the rehearsal were scheduled.
    pub(crate) partial: bool,
    /// Draws in the kernel.
    pub(crate) draws: u64,
    /// Firings of the guard.
    pub(crate) guarded: u64,
    /// Part of the CPUs that others took.
    pub(crate) others: f64,
    /// The entries of the scenario.
    pub(crate) rows: Vec<Row>,
}

/// One entry of the scenario, all its instances together. Shares are of the machine of the scenario.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    /// Its name, as the scenario's author chose it.
    pub(crate) name: String,
    /// In the simulator.
    pub(crate) simulated: Estimate,
    /// On the kernel.
    pub(crate) measured: f64,
    /// How far the two may be apart.
    pub(crate) tolerance: f64,
}

impl Row {
    /// Whether the two agree.
    pub(crate) fn holds(&self) -> bool {
        (self.measured - self.simulated.mean).abs() <= self.tolerance
    }
}

/// The table as text that ends with a line break.
pub(crate) fn render(view: &RehearsalView<'_>) -> String {
    let mut out = String::new();
    let (scenario, s) = (view.scenario, if view.scenario.cpus == 1 { "" } else { "s" });
    line(
        &mut out,
        format_args!(
            "rehearsal of {}: {} CPU{s}, {}, slice {}; simulated {} times under {} (seed {}), once on the kernel ({})",
            harmless(scenario.name.as_bytes()),
            scenario.cpus,
            Plain(Duration::from_nanos(scenario.duration_ns)),
            Plain(Duration::from_nanos(scenario.quantum_ns)),
            view.runs,
            view.policy,
            scenario.seed,
            if view.partial { "its tasks only" } else { "the whole machine" },
        ),
    );
    let mut layout = Layout::new(&[
        ("TASK", Left),
        ("SIMULATED%", Right),
        ("KERNEL%", Right),
        ("DIFFERENCE", Right),
        ("TOLERANCE", Right),
        ("VERDICT", Left),
    ]);
    for row in &view.rows {
        let width = row.simulated.half_width.filter(|width| *width >= 5e-6);
        let width = width.map_or_else(String::new, |width| format!(" ±{}", percent(width)));
        layout.cell(name(row.name.as_bytes()));
        layout.cell(percent(row.simulated.mean) + &width);
        layout.cell(percent(row.measured));
        layout.cell(signed((row.measured - row.simulated.mean) * 100.0));
        layout.cell(percent(row.tolerance));
        layout.cell(if row.holds() { "ok" } else { "off" });
    }
    layout.write(&mut out, "");
    line(
        &mut out,
        format_args!(
            "on the kernel: {} draws, {} times the guard; others took {} % of these CPUs, which is part of the tolerance",
            view.draws,
            view.guarded,
            percent(view.others)
        ),
    );
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_off_is_called_off() {
        let text =
            "name = \"a\\u001bb\"\nduration = \"1s\"\n[[task]]\nname = \"x\\n\"\n[[task]]\nname = \"y\"";
        let scenario = Scenario::from_toml(text).unwrap();
        let row = |entry: usize, measured| Row {
            name: scenario.tasks[entry].name.clone(),
            simulated: Estimate { mean: 0.5, half_width: Some(0.0123) },
            measured,
            tolerance: 0.08,
        };
        insta::assert_snapshot!(render(&RehearsalView {
            scenario: &scenario,
            policy: PolicyKind::LotteryKernel,
            runs: 30,
            partial: true,
            draws: 99,
            guarded: 0,
            others: 0.0042,
            rows: vec![row(0, 0.41), row(1, 0.57)],
        }));
    }
}
