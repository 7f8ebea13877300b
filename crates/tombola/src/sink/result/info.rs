//! What is in a recording.

use crate::sink::certainty::CertaintyRecord;
use anyhow::Result;
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeMap;

/// What is in a recording.
#[derive(Debug, Default, Serialize, JsonSchema)]
#[schemars(title = "tombola info")]
pub(crate) struct Info {
    /// Its format; "Perfetto of perf.data" if it was converted.
    pub(crate) format: String,
    /// Name of the machine.
    pub(crate) host: Option<String>,
    pub(crate) release: Option<String>,
    pub(crate) arch: Option<String>,
    /// CPUs of the machine.
    pub(crate) cpus: Option<u32>,
    /// CPUs with events.
    pub(crate) cpus_seen: usize,
    /// Clock of its instants.
    pub(crate) clock: Option<String>,
    /// First instant, on its own clock.
    pub(crate) begin_ns: u64,
    pub(crate) end_ns: u64,
    pub(crate) begin_unix_us: Option<u64>,
    pub(crate) events: u64,
    /// Events of each kind.
    pub(crate) events_by_kind: BTreeMap<&'static str, u64>,
    /// Threads that had a CPU.
    pub(crate) tasks_seen: usize,
    /// What had to be mended, by kind; those that occur.
    pub(crate) repairs: BTreeMap<&'static str, u64>,
    /// Pieces that made no sense and were stepped over.
    pub(crate) pieces_left_out: u64,
    pub(crate) first_left_out: Option<String>,
    /// Why it was not read to its end; null where it was.
    pub(crate) stopped_by: Option<String>,
    /// What can be known from it.
    pub(crate) known: Vec<Known>,
    /// What the figures are worth that the verbs make of it.
    pub(crate) figures: Vec<Figure>,
}

/// Something that can be known, or not.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Known {
    pub(crate) what: &'static str,
    #[serde(rename = "known")]
    pub(crate) is_told: bool,
    pub(crate) how: &'static str,
}

/// A kind of figure.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Figure {
    #[serde(flatten)]
    pub(crate) certainty: CertaintyRecord,
    /// Keys under which tables and files have such figures.
    pub(crate) columns: &'static [&'static str],
}

/// It as a line.
///
/// # Errors
/// What a serializer can refuse: nothing that occurs here.
pub(crate) fn line(info: &Info) -> Result<Vec<u8>> {
    super::line(info)
}

/// The JSON Schema of [`line`].
///
/// # Errors
/// As [`line`].
pub(crate) fn schema() -> Result<String> {
    super::schema::<Info>()
}
