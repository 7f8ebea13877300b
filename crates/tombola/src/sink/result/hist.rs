//! Waits of an interval, as histograms.

use crate::groups::{Groups, group_text};
use crate::sink::certainty::CertaintyRecord;
use crate::sink::hist_table::Waits;
use crate::text::harmless;
use anyhow::Result;
use schemars::JsonSchema;
use serde::Serialize;
use tombola_core::audit::Who;
use tombola_core::histogram::Histogram;
use tombola_core::window::Window;

/// One interval.
#[derive(Serialize, JsonSchema)]
struct Record {
    /// Number of the interval, from 1.
    iteration: u64,
    /// End of the interval, microseconds since the Unix epoch.
    timestamp_us: u64,
    /// Its length.
    interval_ns: u64,
    /// What each kind of figure is worth; null where the source cannot judge it, as of a live machine.
    certainty: Option<Vec<CertaintyRecord>>,
    /// Those of the longest waits first.
    histograms: Vec<HistogramRecord>,
}

#[derive(Serialize, JsonSchema)]
struct HistogramRecord {
    /// Task or process; null where it is about others.
    pid: Option<u32>,
    /// Name of the task, of the process, or that all of them have; null for all tasks and for groups.
    comm: Option<String>,
    /// Full name of the group it is about.
    cgroup: Option<String>,
    /// Waits that ended.
    waits: u64,
    /// All of them together.
    wait_ns: u64,
    /// Half of them were no longer (upper edge of a log2 bucket).
    wait_p50_ns: Option<u64>,
    /// 99 of 100 were no longer (upper edge of a log2 bucket).
    wait_p99_ns: Option<u64>,
    /// The longest.
    wait_max_ns: u64,
    /// Waits by length, without those that hold none.
    buckets: Vec<BucketRecord>,
}

#[derive(Serialize, JsonSchema)]
struct BucketRecord {
    /// The shortest wait in it.
    from_ns: u64,
    /// What all waits in it are below; null for the last.
    below_ns: Option<u64>,
    /// How many.
    count: u64,
}

/// An interval.
pub(crate) fn interval(
    iteration: u64,
    window: &Window,
    all: &[Waits],
    groups: &Groups,
) -> impl Serialize + use<> {
    Record {
        iteration,
        timestamp_us: window.unix_us,
        interval_ns: window.length_ns(),
        certainty: CertaintyRecord::all(&window.worths),
        histograms: all.iter().map(|waits| record(waits, groups)).collect(),
    }
}

fn record(waits: &Waits, groups: &Groups) -> HistogramRecord {
    let (pid, comm, cgroup) = match &waits.who {
        None => (None, None, None),
        Some(Who::Task(id)) => (Some(id.pid), Some(harmless(&waits.comm)), None),
        Some(Who::Process(pid)) => (Some(*pid), Some(harmless(&waits.comm)), None),
        Some(Who::Group(group)) => (None, None, Some(harmless(group_text(groups, *group).as_bytes()))),
        Some(Who::Comm(comm)) => (None, Some(harmless(comm)), None),
    };
    let usage = &waits.usage;
    let bucket = |(bucket, &count): (usize, &u64)| {
        let (from_ns, below_ns) = Histogram::edges_ns(bucket);
        BucketRecord { from_ns, below_ns, count }
    };
    HistogramRecord {
        pid,
        comm,
        cgroup,
        waits: usage.waits.count(),
        wait_ns: usage.wait_ns,
        wait_p50_ns: usage.waits.quantile_ns(0.5, usage.wait_max_ns),
        wait_p99_ns: usage.waits.quantile_ns(0.99, usage.wait_max_ns),
        wait_max_ns: usage.wait_max_ns,
        buckets: usage
            .waits
            .counts()
            .iter()
            .enumerate()
            .filter(|(_, count)| **count > 0)
            .map(bucket)
            .collect(),
    }
}

/// The JSON Schema of these records.
///
/// # Errors
/// What a serializer can refuse: nothing that occurs here.
pub(crate) fn schema() -> Result<String> {
    super::series_schema::<Record>("tombola hist")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::fixture::{judged, window};
    use tombola_core::usage::Usage;

    #[test]
    fn every_wait_is_in_one_bucket() {
        let mut usage = Usage::default();
        for us in [0, 1, 3, 3, 5_000_000] {
            usage.waits.record(us * 1000);
            usage.wait_ns += us * 1000;
            usage.wait_max_ns = usage.wait_max_ns.max(us * 1000);
        }
        let waits = Waits { who: Some(Who::Comm(b"a\x1bb".to_vec())), comm: Vec::new(), usage };
        let bytes =
            super::super::line(interval(1, &judged(window(Vec::new())), &[waits], &Groups::new())).unwrap();
        let value = super::super::checked(&bytes, &schema().unwrap());
        let histogram = &value["histograms"][0];
        assert_eq!((&histogram["comm"], &histogram["waits"]), (&"a\\x1bb".into(), &5.into()));
        let buckets = histogram["buckets"].as_array().unwrap();
        assert_eq!(buckets.iter().map(|bucket| bucket["count"].as_u64().unwrap()).sum::<u64>(), 5);
        assert_eq!(buckets.last().unwrap()["below_ns"], serde_json::Value::Null);
    }
}
