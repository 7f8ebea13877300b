//! Metrics of a report's rows: what `dump` shows. But for the deltas, counters are totals since the source began.

use super::Kind::{Counter, Gauge, Histogram, Label, Share};
use super::Shape::{Real, Signed8, Text, Unsigned32, Unsigned64};
use super::Unit::{Count, Milliseconds, Nanoseconds, None as NoUnit, Ratio};
use super::{Metric, Sum, Value};
use crate::report::Row;

/// How many of [`METRICS`] every CSV file has; a wide one has all.
pub const NARROW: usize = 10;

/// All of them, in the order of files. New ones come at the end: columns of CSV keep their places for ever.
pub const METRICS: &[Metric<Row>] = &[
    metric("pid", "PID", (Label, NoUnit, Unsigned32), "The task (thread).", |row| {
        Value::Unsigned(row.task.totals.id.pid.into())
    }),
    metric("runtime_ns", "RUNTIME_MS", (Counter, Nanoseconds, Unsigned64), "CPU time since begin.", |row| {
        Value::Unsigned(row.task.totals.usage.runtime_ns)
    }),
    metric("runtime_ms", "RUNTIME_MS", (Counter, Milliseconds, Real), "The same in milliseconds.", |row| {
        Value::Millionths(row.task.totals.usage.runtime_ns)
    }),
    metric(
        "delta_ns",
        "DELTA_MS",
        (Counter, Nanoseconds, Unsigned64),
        "CPU time within the interval.",
        |row| Value::Unsigned(row.task.delta.runtime_ns),
    ),
    metric("delta_ms", "DELTA_MS", (Counter, Milliseconds, Real), "The same in milliseconds.", |row| {
        Value::Millionths(row.task.delta.runtime_ns)
    }),
    metric(
        "rolling_runtime_ms",
        "ROLL_MS",
        (Gauge, Milliseconds, Real),
        "Moving average of the CPU time an interval.",
        |row| Value::Real(row.rolling_ns / 1e6),
    )
    .decimals(6),
    metric("switches", "SWITCHES", (Counter, Count, Unsigned64), "Times it left a CPU.", |row| {
        Value::Unsigned(row.task.totals.usage.switches)
    }),
    metric("nice", "NICE", (Label, NoUnit, Signed8), "Nice value.", |row| {
        Value::Signed(row.task.totals.nice.get().into())
    }),
    metric(
        "tickets",
        "TICKETS",
        (Gauge, Count, Unsigned64),
        "Tickets it holds; 0 under policies that hold none.",
        |row| Value::Unsigned(row.tickets),
    )
    .in_table(|row| {
        if row.task.totals.policy.holds_tickets() { Value::Unsigned(row.tickets) } else { Value::None }
    }),
    metric(
        "ticket_share",
        "SHARE%",
        (Share, Ratio, Real),
        "Its tickets as a part of all candidates' tickets.",
        |row| Value::Real(row.ticket_share),
    )
    .decimals(9)
    .in_table(|row| {
        if row.task.totals.policy.holds_tickets() { Value::Real(row.ticket_share) } else { policy(row) }
    }),
    metric("comm", "COMM", (Label, NoUnit, Text), "Name.", |row| Value::Name(&row.task.totals.comm)),
    metric("tgid", "TGID", (Label, NoUnit, Unsigned32), "Process.", |row| {
        Value::Unsigned(row.task.totals.tgid.into())
    }),
    metric(
        "start_ns",
        "START_MS",
        (Label, Nanoseconds, Unsigned64),
        "Start of the task since boot: with the PID, its identity.",
        |row| Value::Unsigned(row.task.totals.id.start_ns),
    ),
    metric("policy", "POLICY", (Label, NoUnit, Text), "Policy.", policy),
    metric("weight", "WEIGHT", (Gauge, Count, Unsigned32), "The kernel's weight of the task.", |row| {
        Value::Unsigned(row.task.totals.weight.into())
    }),
    metric("cpu", "CPU", (Label, NoUnit, Unsigned32), "CPU of its latest closed slice.", |row| {
        Value::Unsigned(row.task.totals.cpu.into())
    }),
    metric("cgroup", "CGROUP", (Label, NoUnit, Text), "Full name of its scheduling group.", |row| {
        Value::Path(row.task.totals.group)
    }),
    metric(
        "wait_ns",
        "WAIT_MS",
        (Counter, Nanoseconds, Unsigned64),
        "Time it was runnable and did not run, since begin.",
        |row| Value::Unsigned(row.task.totals.usage.wait_ns),
    ),
    metric(
        "delta_wait_ns",
        "DELTA_WAIT_MS",
        (Counter, Nanoseconds, Unsigned64),
        "The same within the interval.",
        |row| Value::Unsigned(row.task.delta.wait_ns),
    ),
    metric(
        "wait_max_ns",
        "WAIT_MAX_MS",
        (Histogram, Nanoseconds, Unsigned64),
        "The longest wait before a single slice, since begin.",
        |row| Value::Unsigned(row.task.totals.usage.wait_max_ns),
    )
    .sum(Sum::Largest),
    metric(
        "voluntary",
        "VOL",
        (Counter, Count, Unsigned64),
        "Times it left a CPU to wait for something.",
        |row| Value::Unsigned(row.task.totals.usage.voluntary()),
    ),
    metric(
        "involuntary",
        "INVOL",
        (Counter, Count, Unsigned64),
        "Times it left a CPU and was still runnable.",
        |row| Value::Unsigned(row.task.totals.usage.involuntary),
    ),
    metric("wakeups", "WAKEUPS", (Counter, Count, Unsigned64), "Times it came from sleep to a CPU.", |row| {
        Value::Unsigned(row.task.totals.usage.wakeups)
    }),
    metric(
        "migrations",
        "MIGR",
        (Counter, Count, Unsigned64),
        "Slices on another CPU than the one before.",
        |row| Value::Unsigned(row.task.totals.usage.migrations),
    ),
    metric(
        "ended",
        "ENDED",
        (Label, NoUnit, Unsigned32),
        "1 if the task ended in the interval, else 0.",
        |row| Value::Unsigned(row.task.ended.into()),
    ),
];

/// Columns of a table where none are asked for.
const COLUMNS: [&str; 9] = [
    "pid",
    "comm",
    "nice",
    "runtime_ns",
    "delta_ns",
    "rolling_runtime_ms",
    "switches",
    "tickets",
    "ticket_share",
];

/// Those that follow in a wide table.
const WIDE_COLUMNS: [&str; 8] =
    ["wait_ns", "wait_max_ns", "voluntary", "involuntary", "wakeups", "migrations", "policy", "cgroup"];

/// The metric of that key.
pub fn find(key: &str) -> Option<&'static Metric<Row>> {
    METRICS.iter().find(|metric| metric.key == key)
}

/// The metrics of a CSV file, in its order.
pub fn file_columns(wide: bool) -> &'static [Metric<Row>] {
    if wide { METRICS } else { &METRICS[..NARROW] }
}

/// What a table shows where no columns are asked for, from left to right.
pub fn default_columns(wide: bool) -> Vec<&'static Metric<Row>> {
    let more: &[&str] = if wide { &WIDE_COLUMNS } else { &[] };
    COLUMNS.iter().chain(more).filter_map(|key| find(key)).collect()
}

fn policy(row: &Row) -> Value<'_> {
    Value::Word(row.task.totals.policy.to_string().into())
}

/// A metric of these rows.
const fn metric(
    key: &'static str,
    title: &'static str,
    kind: (super::Kind, super::Unit, super::Shape),
    meaning: &'static str,
    get: for<'a> fn(&'a Row) -> Value<'a>,
) -> Metric<Row> {
    Metric::new(key, title, kind, meaning, get)
}
