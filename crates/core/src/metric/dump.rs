//! Metrics of a report's rows: what `dump` shows. But for the deltas, counters are totals since the source
//! began; in JSON these begin with `total_`, so that what is left is of the interval, as everywhere.

use super::Kind::{Counter, Gauge, Histogram, Label, Share};
use super::Shape::{Real, Signed8, Text, Unsigned32, Unsigned64};
use super::Unit::{Count, Milliseconds, Nanoseconds, None as NoUnit, Ratio};
use super::{Metric, Sum, Value};
use crate::audit::{By, Who};
use crate::report::Row;

/// How many of [`METRICS`] every CSV file has.
pub const NARROW: usize = 10;

/// How many of them a wide CSV file has, which has a row a task.
const WIDE: usize = 26;

/// All of them, in the order of files. New ones come at the end: columns of CSV keep their places for ever.
pub const METRICS: &[Metric<Row>] = &[
    metric(
        "pid",
        "PID",
        (Label, NoUnit, Unsigned32),
        "Task or process; null for rows by group and comm.",
        |row| match row.who {
            Who::Task(id) => Value::Unsigned(id.pid.into()),
            Who::Process(pid) => Value::Unsigned(pid.into()),
            Who::Group(_) | Who::Comm(_) => Value::None,
        },
    )
    .optional(),
    metric("runtime_ns", "RUNTIME_MS", (Counter, Nanoseconds, Unsigned64), "CPU time since begin.", |row| {
        Value::Unsigned(row.task.totals.usage.runtime_ns)
    })
    .json("total_runtime_ns"),
    metric("runtime_ms", "RUNTIME_MS", (Counter, Milliseconds, Real), "The same in milliseconds.", |row| {
        Value::Millionths(row.task.totals.usage.runtime_ns)
    })
    .json("total_runtime_ms"),
    metric(
        "delta_ns",
        "DELTA_MS",
        (Counter, Nanoseconds, Unsigned64),
        "CPU time within the interval.",
        |row| Value::Unsigned(row.task.delta.runtime_ns),
    )
    .json("runtime_ns"),
    metric("delta_ms", "DELTA_MS", (Counter, Milliseconds, Real), "The same in milliseconds.", |row| {
        Value::Millionths(row.task.delta.runtime_ns)
    })
    .json("runtime_ms"),
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
    })
    .json("total_switches"),
    metric("nice", "NICE", (Label, NoUnit, Signed8), "Nice value.", |row| {
        row.common.nice.map_or(Value::None, |nice| Value::Signed(nice.get().into()))
    })
    .optional(),
    metric(
        "tickets",
        "TICKETS",
        (Gauge, Count, Unsigned64),
        "Tickets it holds; 0 under policies that hold none.",
        |row| Value::Unsigned(row.tickets),
    )
    .in_table(|row| {
        if row.is_candidate() || row.task.totals.policy.holds_tickets() {
            Value::Unsigned(row.tickets)
        } else {
            Value::None
        }
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
        if row.is_candidate() || row.task.totals.policy.holds_tickets() {
            Value::Real(row.ticket_share)
        } else {
            policy(row)
        }
    }),
    metric("comm", "COMM", (Label, NoUnit, Text), "Name.", |row| Value::Name(&row.task.totals.comm))
        .sum(Sum::Anew),
    metric("tgid", "TGID", (Label, NoUnit, Unsigned32), "Process.", |row| {
        unsigned(row.common.tgid.map(u64::from))
    })
    .optional(),
    metric(
        "start_ns",
        "START_MS",
        (Label, Nanoseconds, Unsigned64),
        "Start of the task since boot: with the PID, its identity.",
        |row| match row.who {
            Who::Task(id) => Value::Unsigned(id.start_ns),
            _ => Value::None,
        },
    )
    .optional(),
    metric("policy", "POLICY", (Label, NoUnit, Text), "Policy.", policy).optional(),
    metric("weight", "WEIGHT", (Gauge, Count, Unsigned32), "The kernel's weight of the task.", |row| {
        Value::Unsigned(row.task.totals.weight.into())
    }),
    metric("cpu", "CPU", (Label, NoUnit, Unsigned32), "CPU of its latest closed slice.", |row| {
        unsigned(row.common.cpu.map(u64::from))
    })
    .optional(),
    metric("cgroup", "CGROUP", (Label, NoUnit, Text), "Full name of its scheduling group.", |row| {
        row.common.group.map_or(Value::None, Value::Path)
    })
    .optional(),
    metric(
        "wait_ns",
        "WAIT_MS",
        (Counter, Nanoseconds, Unsigned64),
        "Time it was runnable and did not run, since begin.",
        |row| Value::Unsigned(row.task.totals.usage.wait_ns),
    )
    .json("total_wait_ns"),
    metric(
        "delta_wait_ns",
        "DELTA_WAIT_MS",
        (Counter, Nanoseconds, Unsigned64),
        "The same within the interval.",
        |row| Value::Unsigned(row.task.delta.wait_ns),
    )
    .json("wait_ns"),
    metric(
        "wait_max_ns",
        "WAIT_MAX_MS",
        (Histogram, Nanoseconds, Unsigned64),
        "The longest wait before a single slice, since begin; null in light mode.",
        |row| unsigned(row.task.totals.usage.longest_wait_ns()),
    )
    .optional()
    .json("total_wait_max_ns")
    .sum(Sum::Largest),
    metric(
        "voluntary",
        "VOL",
        (Counter, Count, Unsigned64),
        "Times it left a CPU to wait for something.",
        |row| Value::Unsigned(row.task.totals.usage.voluntary()),
    )
    .json("total_voluntary"),
    metric(
        "involuntary",
        "INVOL",
        (Counter, Count, Unsigned64),
        "Times it left a CPU and was still runnable.",
        |row| Value::Unsigned(row.task.totals.usage.involuntary),
    )
    .json("total_involuntary"),
    metric("wakeups", "WAKEUPS", (Counter, Count, Unsigned64), "Times it came from sleep to a CPU.", |row| {
        Value::Unsigned(row.task.totals.usage.wakeups)
    })
    .json("total_wakeups"),
    metric(
        "migrations",
        "MIGR",
        (Counter, Count, Unsigned64),
        "Slices on another CPU than the one before.",
        |row| Value::Unsigned(row.task.totals.usage.migrations),
    )
    .json("total_migrations"),
    metric(
        "ended",
        "ENDED",
        (Label, NoUnit, Unsigned32),
        "1 if the task ended in the interval, else 0.",
        |row| Value::Unsigned(row.task.ended.into()),
    ),
    metric(
        "interval_ns",
        "INTERVAL_MS",
        (Gauge, Nanoseconds, Unsigned64),
        "Length of the interval that the row is about.",
        |row| Value::Unsigned(row.length_ns),
    )
    .sum(Sum::Common),
    // Not in CSV, which has a row a task.
    metric("tasks", "TASKS", (Gauge, Count, Unsigned64), "Tasks in the row.", |row| {
        Value::Unsigned(row.tasks as u64)
    }),
];

/// Columns of a table where none are asked for: who, then these.
const FIGURES: [&str; 6] =
    ["runtime_ns", "delta_ns", "rolling_runtime_ms", "switches", "tickets", "ticket_share"];

/// Those that a narrow terminal does without, the first to go first.
pub const DISPENSABLE: &[&str] = &[
    "policy",
    "migrations",
    "wakeups",
    "voluntary",
    "wait_max_ns",
    "involuntary",
    "rolling_runtime_ms",
    "cgroup",
    "tickets",
    "nice",
    "switches",
    "wait_ns",
    "runtime_ns",
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
    &METRICS[..if wide { WIDE } else { NARROW }]
}

/// What a table shows where no columns are asked for, from left to right.
pub fn default_columns(wide: bool, by: By) -> Vec<&'static Metric<Row>> {
    let who: &[&str] = match by {
        By::Task => &["pid", "comm", "nice"],
        By::Process => &["pid", "comm", "nice", "tasks"],
        By::Group => &["cgroup", "tasks"],
        By::Comm => &["comm", "nice", "tasks"],
    };
    let more: &[&str] = if wide { &WIDE_COLUMNS } else { &[] };
    let more = more.iter().filter(|key| !who.contains(key));
    who.iter().chain(&FIGURES).chain(more).filter_map(|key| find(key)).collect()
}

fn unsigned(number: Option<u64>) -> Value<'static> {
    number.map_or(Value::None, Value::Unsigned)
}

fn policy(row: &Row) -> Value<'_> {
    row.common.policy.map_or(Value::None, |policy| Value::Word(policy.to_string().into()))
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
