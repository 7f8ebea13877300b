//! Two sides and what of their difference is more than noise.

use crate::comparison::Comparison;
use crate::comparison::Subject;
use anyhow::Result;
use schemars::JsonSchema;
use serde::Serialize;

/// A comparison.
#[derive(Serialize, JsonSchema)]
#[schemars(title = "tombola report FIRST SECOND")]
struct Record {
    /// What it comes to.
    verdict: String,
    /// How many figures differ.
    found: usize,
    /// What the pieces of the sides are: stretches, or runs of a command.
    pieces: &'static str,
    /// The two sides.
    sides: Vec<SideRecord>,
    /// Figures: those that differ first, by how much.
    differences: Vec<DifferenceRecord>,
    /// How it was compared.
    method: Vec<String>,
}

#[derive(Serialize, JsonSchema)]
struct SideRecord {
    /// What was named.
    name: String,
    machine: String,
    length_ns: u64,
    /// Pieces, each of which gives one value of a figure.
    stretches: usize,
    /// What was not measured.
    loss: String,
    /// What run, wait and lag are worth; null where the source cannot judge it, as of a live machine or a
    /// log.
    certainty: Option<String>,
}

#[derive(Serialize, JsonSchema)]
struct DifferenceRecord {
    /// machine, run (the whole command that was run), group or command (all tasks of a name).
    level: &'static str,
    /// Whose figure; null for the machine and the run.
    subject: Option<String>,
    /// run and lag in percent of the time of all CPUs, wait in percent of the length; elapsed and cpu in
    /// seconds, of runs.
    figure: &'static str,
    /// % or s.
    unit: &'static str,
    /// Mean of the first side.
    first: f64,
    /// Mean of the second.
    second: f64,
    /// second − first.
    difference: f64,
    /// Half the width of its 95 % confidence interval.
    half_width: f64,
    /// Probability of such a difference where there is none, for this question alone.
    p_alone: f64,
    /// The same in view of all questions (Holm).
    p: f64,
    /// Whether it is more than noise.
    differs: bool,
}

/// The record, as a line.
///
/// # Errors
/// What a serializer can refuse: nothing that occurs here.
pub(crate) fn line(comparison: &Comparison) -> Result<Vec<u8>> {
    let sides = comparison.sides.iter().map(|side| SideRecord {
        name: side.name.clone(),
        machine: side.machine.clone(),
        length_ns: side.length_ns,
        stretches: side.pieces.len(),
        loss: side.loss.clone(),
        certainty: side.certainty.clone(),
    });
    let differences = comparison.differences.iter().map(|difference| {
        let (level, subject) = difference.subject.words();
        let contrast = &difference.contrast;
        DifferenceRecord {
            level: match difference.subject {
                Subject::Machine => "machine",
                Subject::Run => "run",
                Subject::Group(_) | Subject::Command(_) => level.trim(),
            },
            subject: (!subject.is_empty()).then(|| subject.to_owned()),
            figure: difference.figure.name(),
            unit: difference.figure.unit(),
            first: contrast.first,
            second: contrast.second,
            difference: contrast.difference(),
            half_width: contrast.half_width,
            p_alone: contrast.p,
            p: difference.p,
            differs: difference.is_one(),
        }
    });
    super::line(Record {
        verdict: comparison.verdict(),
        found: comparison.found(),
        pieces: comparison.pieces.name(),
        sides: sides.collect(),
        differences: differences.collect(),
        method: comparison.method(),
    })
}
