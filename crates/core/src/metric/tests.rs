use super::*;
use crate::audit::{Audit, By};
use crate::report::fixture::{Task, window};
use crate::report::{Options, Report};
use crate::rolling::{Alpha, Rolling};
use crate::usage::Usage;
use proptest::prelude::*;
use std::collections::BTreeSet;

fn keys<R>(metrics: &[Metric<R>]) -> Vec<&'static str> {
    metrics.iter().map(|metric| metric.key).collect()
}

fn is_sound<R>(metrics: &[Metric<R>]) {
    let unique: BTreeSet<&str> = keys(metrics).into_iter().collect();
    assert_eq!(unique.len(), metrics.len(), "{metrics:?}");
    let in_json: BTreeSet<&str> = metrics.iter().map(Metric::json_key).collect();
    assert_eq!(in_json.len(), metrics.len(), "{metrics:?}");
    for metric in metrics {
        let Metric { key, title, meaning, unit, .. } = metric;
        assert!(key.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_'), "{key}");
        assert!(meaning.ends_with('.') && !meaning.contains('|'), "{key}: {meaning}");
        // A number names its unit, in files and in tables.
        assert_eq!(key.ends_with("_ns"), *unit == Unit::Nanoseconds, "{key}");
        assert_eq!(title.ends_with("_MS"), matches!(unit, Unit::Nanoseconds | Unit::Milliseconds), "{title}");
        assert_eq!(title.ends_with('%'), *unit == Unit::Ratio, "{title}");
    }
}

#[test]
fn a_catalogue_is_sound() {
    is_sound(audit::METRICS);
    is_sound(dump::METRICS);
}

/// One name, one meaning: in JSON a figure since the begin says so, also where its CSV column may not be
/// renamed.
#[test]
fn the_same_name_means_the_same_in_every_json() {
    for metric in dump::METRICS {
        let since_begin = metric.meaning.contains("since begin") || metric.meaning.starts_with("Times ");
        let name = metric.json_key();
        if since_begin {
            assert!(name.starts_with("total_"), "{name}: {}", metric.meaning);
        }
        let Some(same) = audit::METRICS.iter().find(|other| other.key == name) else { continue };
        assert_eq!(same.unit, metric.unit, "{name}");
        assert!(!since_begin, "{name}: {} / {}", metric.meaning, same.meaning);
    }
}

#[test]
fn default_columns_are_in_the_catalogue() {
    // A key that is not there would be left out.
    for (by, count) in [(By::Task, 9), (By::Process, 10), (By::Group, 8), (By::Comm, 9)] {
        assert_eq!(dump::default_columns(false, by).len(), count);
        assert_eq!(dump::default_columns(true, by).len(), count + if by == By::Group { 7 } else { 8 });
    }
    for (by, count) in [(By::Task, 14), (By::Process, 15), (By::Group, 12), (By::Comm, 14)] {
        assert_eq!(audit::default_columns(by).len(), count);
    }
}

#[test]
fn what_a_narrow_table_does_without_is_there() {
    assert!(audit::DISPENSABLE.iter().all(|key| audit::find(key).is_some()));
    assert!(dump::DISPENSABLE.iter().all(|key| dump::find(key).is_some()));
}

#[test]
fn rows_of_a_report_add_up_too() {
    let tasks = [Task { nice: 5, ..Task::ran(1, 300_000_000) }, Task::ran(2, 200_000_000), Task::ran(3, 0)];
    let mut window = window(&tasks);
    for task in &mut window.tasks {
        task.totals.tgid = 1;
        task.delta.switches = 4;
        task.totals.usage.switches = 9;
    }
    let mut rolling = Rolling::new(Alpha::default());
    rolling.update(&window);
    let report = Report::new(window, &rolling, Options::default());
    let rows = report.rows_by(By::Process, |row| row.task.totals.id.pid == 2);
    let [row] = &*rows else { panic!("{rows:?}") };
    let value = |key| dump::find(key).unwrap().value(row);
    assert_eq!((value("pid"), value("tasks")), (Value::Unsigned(1), Value::Unsigned(3)));
    assert_eq!((value("delta_ns"), value("switches")), (Value::Unsigned(500_000_000), Value::Unsigned(27)));
    assert_eq!(value("tickets"), Value::Unsigned(335 + 1024 + 1024));
    assert_eq!((value("nice"), value("comm")), (Value::None, Value::Name(b"task-1")));
    let Value::Real(share) = value("ticket_share") else { panic!() };
    assert!((share - 1.0).abs() < 1e-12);
}

#[test]
fn the_first_columns_of_a_file_are_the_ones_it_always_had() {
    let seed = [
        "pid",
        "runtime_ns",
        "runtime_ms",
        "delta_ns",
        "delta_ms",
        "rolling_runtime_ms",
        "switches",
        "nice",
        "tickets",
        "ticket_share",
    ];
    assert_eq!(keys(dump::file_columns(false)), seed);
    assert_eq!(keys(&dump::file_columns(true)[..seed.len()]), seed);
}

/// What the values of single tasks make by the rule; `None` where the rule does not say.
fn added_up<'a>(sum: Sum, values: &[Value<'a>]) -> Option<Value<'a>> {
    let largest = |a: &Value<'a>, b: &Value<'a>| match (a, b) {
        (Value::Unsigned(a), Value::Unsigned(b)) => Value::Unsigned(*a.max(b)),
        other => panic!("{other:?}"),
    };
    let total = |a: Value<'a>, b: &Value<'a>| match (a, b) {
        (Value::None, other) => other.clone(),
        (value, Value::None) => value,
        (Value::Unsigned(a), Value::Unsigned(b)) => Value::Unsigned(a + b),
        (Value::Signed(a), Value::Signed(b)) => Value::Signed(a + b),
        (Value::Real(a), Value::Real(b)) => Value::Real(a + b),
        other => panic!("{other:?}"),
    };
    match sum {
        Sum::Total => Some(values.iter().fold(Value::None, total)),
        Sum::Largest => Some(values[1..].iter().fold(values[0].clone(), |most, v| largest(&most, v))),
        Sum::Any => Some(Value::Flag(values.contains(&Value::Flag(true)))),
        Sum::Common => {
            Some(if values.iter().all(|v| *v == values[0]) { values[0].clone() } else { Value::None })
        }
        Sum::Anew => None,
    }
}

proptest! {
    /// The rule that a metric states for several tasks, against what the ledger makes of them.
    #[test]
    fn rows_add_up_as_the_catalogue_says(
        tasks in prop::collection::vec((0i8..3, 1u64..400_000_000, 0u64..300_000_000, 1u64..50), 2..6),
    ) {
        let list: Vec<Task> = (1u32..).zip(&tasks)
            .map(|(pid, &(nice, delta_ns, _, _))| Task { nice, ..Task::ran(pid, delta_ns) })
            .collect();
        let mut window = window(&list);
        for (task, &(_, runtime_ns, wait_ns, switches)) in window.tasks.iter_mut().zip(&tasks) {
            let (wakeups, involuntary) = (switches / 2, switches / 3);
            task.delta = Usage { runtime_ns, wait_ns, wait_max_ns: wait_ns, switches, wakeups, involuntary, ..Usage::default() };
            task.totals.tgid = 1;
        }
        let audit = Audit::new(&window).unwrap();
        let single = audit.rows(By::Task, |_| true);
        let whole = audit.rows(By::Process, |_| true);
        prop_assert_eq!(whole.len(), 1);
        for metric in audit::METRICS.iter().filter(|metric| !["pid", "start_ns"].contains(&metric.key)) {
            let values: Vec<Value<'_>> = single.iter().map(|row| metric.value(row)).collect();
            let Some(expected) = added_up(metric.sum, &values) else { continue };
            match (metric.value(&whole[0]), expected) {
                (Value::Real(is), Value::Real(expected)) => {
                    prop_assert!((is - expected).abs() < 1e-9, "{}", metric.key);
                }
                (is, expected) => prop_assert_eq!(is, expected, "{}", metric.key),
            }
        }
    }
}
