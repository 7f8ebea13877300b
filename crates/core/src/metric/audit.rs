//! Metrics of the ledger's rows: what `audit` shows.

use super::Kind::{Counter, Gauge, Histogram, Label, Share};
use super::Shape::{Flag, Real, Signed8, Signed64, Text, Unsigned32, Unsigned64};
use super::Unit::{Count, Nanoseconds, None as NoUnit, Ratio};
use super::{Metric, Sum, Value};
use crate::audit::{By, Limit, Row, Who};

/// All of them, in the order of files. New ones come at the end: columns of CSV keep their places.
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
    metric("tgid", "TGID", (Label, NoUnit, Unsigned32), "Process, where all tasks are of one.", |row| {
        unsigned(row.tgid.map(u64::from))
    })
    .optional(),
    metric(
        "start_ns",
        "START_MS",
        (Label, Nanoseconds, Unsigned64),
        "Start of the task since boot; null for rows of several.",
        |row| match row.who {
            Who::Task(id) => Value::Unsigned(id.start_ns),
            _ => Value::None,
        },
    )
    .optional(),
    metric("tasks", "TASKS", (Gauge, Count, Unsigned64), "Tasks in the row.", |row| {
        Value::Unsigned(row.tasks as u64)
    }),
    metric("comm", "COMM", (Label, NoUnit, Text), "Name.", |row| Value::Name(&row.comm)).sum(Sum::Anew),
    metric(
        "group",
        "GROUP",
        (Label, NoUnit, Text),
        "Short name of the group, where all tasks are in one.",
        |row| row.group.map_or(Value::None, Value::Group),
    )
    .optional(),
    metric("cgroup", "CGROUP", (Label, NoUnit, Text), "Full name of that group.", |row| {
        row.group.map_or(Value::None, Value::Path)
    })
    .optional(),
    metric("nice", "NICE", (Label, NoUnit, Signed8), "Nice value, where all tasks have the same.", |row| {
        row.nice.map_or(Value::None, |nice| Value::Signed(nice.get().into()))
    })
    .optional(),
    metric("policy", "POLICY", (Label, NoUnit, Text), "Policy, where all tasks have the same.", policy)
        .optional(),
    metric(
        "weight",
        "WEIGHT",
        (Gauge, Count, Unsigned64),
        "Weight it competes with; null for policies without.",
        |row| unsigned(row.weight),
    )
    .optional()
    // Who has no weight shows the policy that is the reason.
    .in_table(|row| match row.weight {
        Some(weight) if row.tickets_set => Value::Marked(weight),
        Some(weight) => Value::Unsigned(weight),
        None => policy(row),
    }),
    metric("runtime_ns", "RUN_MS", (Counter, Nanoseconds, Unsigned64), "CPU time it had.", |row| {
        Value::Unsigned(row.usage.runtime_ns)
    }),
    metric(
        "received_ns",
        "RECEIVED_MS",
        (Counter, Nanoseconds, Unsigned64),
        "CPU time it had, less its part of what interrupts and steal took.",
        |row| unsigned(row.account.map(|account| account.received_ns)),
    )
    .optional(),
    metric(
        "wait_ns",
        "WAIT_MS",
        (Counter, Nanoseconds, Unsigned64),
        "Time it was runnable and did not run.",
        |row| Value::Unsigned(row.usage.wait_ns),
    ),
    metric(
        "contention_ns",
        "CONTENTION_MS",
        (Counter, Nanoseconds, Unsigned64),
        "That part of the wait in which others ran; an estimate.",
        |row| Value::Unsigned(row.waiting.contention_ns),
    ),
    metric(
        "throttled_ns",
        "THROTTLED_MS",
        (Counter, Nanoseconds, Unsigned64),
        "That part of the wait in which a quota was used up; an estimate.",
        |row| Value::Unsigned(row.waiting.throttled_ns),
    ),
    metric(
        "other_wait_ns",
        "OTHER_WAIT_MS",
        (Counter, Nanoseconds, Unsigned64),
        "The rest of the wait.",
        |row| Value::Unsigned(row.waiting.other_ns),
    ),
    metric(
        "entitled_ns",
        "ENTITLED_MS",
        (Counter, Nanoseconds, Unsigned64),
        "CPU time it was entitled to.",
        |row| unsigned(row.account.map(|account| account.entitled_ns)),
    )
    .optional(),
    metric("lag_ns", "LAG_MS", (Gauge, Nanoseconds, Signed64), "Entitled − received.", |row| {
        row.account.map_or(Value::None, |account| Value::Signed(account.lag_ns()))
    })
    .optional(),
    metric("got_share", "GOT%", (Share, Ratio, Real), "Received as a part of what was divided.", |row| {
        row.account.map_or(Value::None, |_| Value::Real(row.got_share))
    })
    .optional(),
    metric("fair_share", "FAIR%", (Share, Ratio, Real), "Entitled as a part of what was divided.", |row| {
        row.account.map_or(Value::None, |_| Value::Real(row.fair_share))
    })
    .optional(),
    metric(
        "bound",
        "BOUND",
        (Label, NoUnit, Text),
        "Why it is not entitled to more: demand, quota or cpus.",
        |row| {
            let word = match &row.limit {
                None => return Value::None,
                Some(Limit::Demand) => "demand",
                Some(Limit::Quota(_)) => "quota",
                Some(Limit::Cpus(_)) => "cpus",
            };
            Value::Word(word.into())
        },
    )
    .optional(),
    metric(
        "bound_by",
        "BOUND_BY",
        (Label, NoUnit, Text),
        "The group that has the quota, or the CPUs that are given out.",
        |row| match &row.limit {
            None | Some(Limit::Demand) => Value::None,
            Some(Limit::Quota(group)) => Value::Group(*group),
            Some(Limit::Cpus(cpus)) => Value::Word(cpus.to_string().into()),
        },
    )
    .optional(),
    metric(
        "wait_p50_ns",
        "P50_MS",
        (Histogram, Nanoseconds, Unsigned64),
        "Half of the waits were no longer (upper edge of a log2 bucket).",
        |row| quantile(row, 0.5),
    )
    .optional(),
    metric(
        "wait_p99_ns",
        "P99_MS",
        (Histogram, Nanoseconds, Unsigned64),
        "99 of 100 waits were no longer (upper edge of a log2 bucket).",
        |row| quantile(row, 0.99),
    )
    .optional(),
    metric(
        "wait_max_ns",
        "MAX_MS",
        (Histogram, Nanoseconds, Unsigned64),
        "The longest wait, or the upper edge of its bucket where it is not known exactly; null in light mode.",
        |row| unsigned(row.usage.longest_wait_ns()),
    )
    .optional()
    .sum(Sum::Largest),
    metric("switches", "SWITCHES", (Counter, Count, Unsigned64), "Times it left a CPU.", |row| {
        Value::Unsigned(row.usage.switches)
    }),
    metric(
        "preempted",
        "PREEMPTED",
        (Counter, Count, Unsigned64),
        "Those of them in which it was still runnable, and did not yield.",
        |row| Value::Unsigned(row.usage.preempted()),
    ),
    metric("wakeups", "WAKEUPS", (Counter, Count, Unsigned64), "Times it came from sleep to a CPU.", |row| {
        Value::Unsigned(row.usage.wakeups)
    }),
    metric(
        "migrations",
        "MIGR",
        (Counter, Count, Unsigned64),
        "Slices on another CPU than the one before.",
        |row| Value::Unsigned(row.usage.migrations),
    ),
    metric(
        "tickets_set",
        "TICKETS_SET",
        (Label, NoUnit, Flag),
        "Whether tickets that were set by hand are in the weight.",
        |row| Value::Flag(row.tickets_set),
    )
    .sum(Sum::Any),
    metric(
        "decision_latency_ns",
        "LATENCY_MS",
        (Gauge, Nanoseconds, Unsigned64),
        "Mean wait before a slice: wait / times it left a CPU; null where it never left one.",
        |row| unsigned(row.usage.wait_ns.checked_div(row.usage.switches)),
    )
    .optional()
    .sum(Sum::Anew),
    metric(
        "yields",
        "YIELDS",
        (Counter, Count, Unsigned64),
        "Times it left a CPU because it gave it away (sched_yield), as far as that can be told.",
        |row| Value::Unsigned(row.usage.yields),
    ),
    metric(
        "yielded_ns",
        "YIELDED_MS",
        (Counter, Nanoseconds, Unsigned64),
        "That part of the wait which followed a yield: nobody owes it.",
        |row| Value::Unsigned(row.waiting.yielded_ns),
    ),
];

/// Columns of a table where none are asked for: who, then these.
const FIGURES: [&str; 10] = [
    "weight",
    "runtime_ns",
    "wait_ns",
    "entitled_ns",
    "lag_ns",
    "got_share",
    "fair_share",
    "wait_p50_ns",
    "wait_p99_ns",
    "preempted",
];

/// Those that a narrow terminal does without, the first to go first.
pub const DISPENSABLE: &[&str] = &[
    "yielded_ns",
    "wait_p50_ns",
    "fair_share",
    "got_share",
    "nice",
    "preempted",
    "tasks",
    "wait_p99_ns",
    "weight",
    "group",
    "entitled_ns",
];

/// The metric of that key.
pub fn find(key: &str) -> Option<&'static Metric<Row>> {
    METRICS.iter().find(|metric| metric.key == key)
}

/// What a table shows where no columns are asked for, from left to right.
pub fn default_columns(by: By) -> Vec<&'static Metric<Row>> {
    let who: &[&str] = match by {
        By::Task => &["pid", "comm", "group", "nice"],
        By::Process => &["pid", "comm", "group", "nice", "tasks"],
        By::Group => &["group", "tasks"],
        By::Comm => &["comm", "group", "nice", "tasks"],
    };
    who.iter().chain(&FIGURES).filter_map(|key| find(key)).collect()
}

/// [`default_columns`], and beside the wait those parts of it that nobody owes, where they are some: what a
/// quota took, and what followed a yield, of which programs do a little all the time.
pub fn columns_for(by: By, rows: &[Row]) -> Vec<&'static Metric<Row>> {
    const A_LITTLE_NS: u64 = 1_000_000;
    let is_there = |key: &str| match key {
        "throttled_ns" => rows.iter().any(|row| row.waiting.throttled_ns > 0),
        _ => rows.iter().any(|row| row.waiting.yielded_ns > A_LITTLE_NS),
    };
    let mut columns = default_columns(by);
    let wait = columns.iter().position(|metric| metric.key == "wait_ns").map_or(columns.len(), |at| at + 1);
    let parts = ["throttled_ns", "yielded_ns"].into_iter().filter(|key| is_there(key)).filter_map(find);
    columns.splice(wait..wait, parts);
    columns
}

fn unsigned(number: Option<u64>) -> Value<'static> {
    number.map_or(Value::None, Value::Unsigned)
}

fn policy(row: &Row) -> Value<'_> {
    row.policy.map_or(Value::None, |policy| Value::Word(policy.to_string().into()))
}

fn quantile(row: &Row, q: f64) -> Value<'_> {
    unsigned(row.usage.wait_quantile_ns(q))
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
