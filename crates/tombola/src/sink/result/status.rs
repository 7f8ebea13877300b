//! What is loaded.

use crate::sink::json::{LossRecord, loss};
use crate::text::harmless;
use anyhow::Result;
use schemars::JsonSchema;
use serde::Serialize;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use tombola_kernel::Status;

/// The monitor at the pins that were asked for.
#[derive(Serialize, JsonSchema)]
#[schemars(title = "tombola status")]
struct Record {
    /// Whether one is loaded; all else is null if not.
    loaded: bool,
    /// Pin of the map of tasks that was looked at.
    map_pin: String,
    /// Since when it measures, microseconds since the Unix epoch.
    begin_us: Option<u64>,
    /// Version of the program that loaded it.
    version: Option<String>,
    /// How long it has measured.
    measured_ns: Option<u64>,
    /// Living tasks with a record.
    tracked: Option<usize>,
    /// Whether it is a light one: the kernel's own counters, and nothing at the switches.
    light: Option<bool>,
    /// Tasks it has room for; null where there is no bound.
    max_tasks: Option<u32>,
    /// Tasks that ended since it began.
    ended: Option<u64>,
    /// What it could not measure since it began.
    loss: Option<LossRecord>,
    /// Mean cost of a switch, where the kernel counted it and this user may ask.
    cost_per_run_ns: Option<f64>,
    /// Runs in that mean.
    runs: Option<u64>,
    /// Whether the kernel counts now (`kernel.bpf_stats_enabled`).
    costs_are_counted: Option<bool>,
    /// Its pins.
    pins: Vec<PinRecord>,
}

#[derive(Serialize, JsonSchema)]
struct PinRecord {
    path: String,
    /// Permission bits.
    mode: u32,
    /// Owner.
    uid: u32,
}

/// The status as a line; `None` where nothing is loaded.
///
/// # Errors
/// What a serializer can refuse: nothing that occurs here.
pub(crate) fn line(map: &Path, status: Option<&Status>) -> Result<Vec<u8>> {
    let text = |path: &Path| harmless(path.as_os_str().as_bytes());
    let cost = status.and_then(|status| status.cost);
    super::line(Record {
        loaded: status.is_some(),
        map_pin: text(map),
        begin_us: status.map(|status| status.monitor.begin_unix_us),
        version: status.map(|status| harmless(status.monitor.version.as_bytes())),
        measured_ns: status.map(|status| status.measured_ns),
        tracked: status.map(|status| status.tracked),
        light: status.map(|status| status.monitor.light),
        max_tasks: status.and_then(|status| status.monitor.max_tasks),
        ended: status.map(|status| status.exits),
        loss: status.map(|status| loss(&status.loss)),
        cost_per_run_ns: cost.map(tombola_kernel::Cost::per_run_ns),
        runs: cost.map(|cost| cost.runs),
        costs_are_counted: status.map(|status| status.costs_are_counted),
        pins: status
            .iter()
            .flat_map(|status| &status.pins)
            .map(|pin| PinRecord { path: text(&pin.path), mode: pin.mode, uid: pin.uid })
            .collect(),
    })
}

/// The JSON Schema of [`line()`].
///
/// # Errors
/// As [`line()`].
pub(crate) fn schema() -> Result<String> {
    super::schema::<Record>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_loaded_is_an_answer() {
        let line = line(Path::new("/sys/fs/bpf/a\x1bb"), None).unwrap();
        let value: serde_json::Value = serde_json::from_slice(&line).unwrap();
        assert_eq!((&value["loaded"], &value["map_pin"]), (&false.into(), &"/sys/fs/bpf/a\\x1bb".into()));
        assert!(schema().unwrap().contains("map_pin"));
    }
}
