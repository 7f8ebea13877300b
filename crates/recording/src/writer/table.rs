//! Events as rows: CSV with one header, or NDJSON with one object a line.

use crate::attributes::Attributes;
use crate::event::{Context, Event, Kind, Left, Task};
use serde::Serialize;
use std::io::{self, Write};
use tombola_core::snapshot::Group;

/// Which kind of rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Comma-separated values; what an event does not have is empty.
    Csv,
    /// A JSON object a line; what an event does not have is left out.
    Ndjson,
}

/// An event as a row. Columns never move; new ones come at the end.
#[derive(Debug, Default, Serialize)]
struct Row {
    ts_ns: u64,
    cpu: u32,
    event: &'static str,
    #[serde(skip_serializing_if = "skip")]
    pid: Option<u32>,
    #[serde(skip_serializing_if = "skip")]
    tgid: Option<u32>,
    #[serde(skip_serializing_if = "skip")]
    comm: Option<String>,
    #[serde(skip_serializing_if = "skip")]
    prio: Option<i32>,
    #[serde(skip_serializing_if = "skip")]
    state: Option<String>,
    #[serde(skip_serializing_if = "skip")]
    other_pid: Option<u32>,
    #[serde(skip_serializing_if = "skip")]
    other_tgid: Option<u32>,
    #[serde(skip_serializing_if = "skip")]
    other_comm: Option<String>,
    #[serde(skip_serializing_if = "skip")]
    other_prio: Option<i32>,
    #[serde(skip_serializing_if = "skip")]
    from_cpu: Option<u32>,
    #[serde(skip_serializing_if = "skip")]
    to_cpu: Option<u32>,
    #[serde(skip_serializing_if = "skip")]
    context: Option<&'static str>,
    #[serde(skip_serializing_if = "skip")]
    count: Option<u64>,
    #[serde(skip_serializing_if = "skip")]
    from_ns: Option<u64>,
    #[serde(skip_serializing_if = "skip")]
    start_ns: Option<u64>,
    #[serde(skip_serializing_if = "skip")]
    weight: Option<u64>,
    #[serde(skip_serializing_if = "skip")]
    policy: Option<u32>,
    #[serde(skip_serializing_if = "skip")]
    group: Option<String>,
    #[serde(skip_serializing_if = "skip")]
    parent_group: Option<String>,
    #[serde(skip_serializing_if = "skip")]
    quota_ns: Option<u64>,
    #[serde(skip_serializing_if = "skip")]
    period_ns: Option<u64>,
    #[serde(skip_serializing_if = "skip")]
    affinity: Option<String>,
    #[serde(skip_serializing_if = "skip")]
    runtime_ns: Option<u64>,
    #[serde(skip_serializing_if = "skip")]
    deadline_ns: Option<u64>,
    /// Whether a task that left its CPU runnable gave it away; absent where it did not, or that is not told.
    #[serde(skip_serializing_if = "skip")]
    yielded: Option<bool>,
    #[serde(skip_serializing_if = "skip")]
    throttled_ns: Option<u64>,
}

thread_local! {
    /// CSV has a cell for what is absent, JSON does not.
    static KEEPS_ABSENT: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

#[allow(clippy::ref_option)] // the shape that serde calls
fn skip<T>(value: &Option<T>) -> bool {
    value.is_none() && !KEEPS_ABSENT.get()
}

/// Writes events as rows.
pub struct TableWriter<W: Write> {
    out: Out<W>,
}

enum Out<W: Write> {
    Csv(Box<csv::Writer<W>>),
    Ndjson(W),
}

impl<W: Write> TableWriter<W> {
    /// Of one form. CSV begins with a header, written with the first event.
    pub fn new(out: W, form: Form) -> Self {
        let out = match form {
            Form::Csv => Out::Csv(Box::new(csv::Writer::from_writer(out))),
            Form::Ndjson => Out::Ndjson(out),
        };
        Self { out }
    }

    /// Writes an event.
    ///
    /// # Errors
    /// Those of the output.
    pub fn event(&mut self, event: &Event) -> io::Result<()> {
        let row = row(event);
        match &mut self.out {
            Out::Csv(csv) => {
                KEEPS_ABSENT.set(true);
                let written = csv.serialize(row);
                KEEPS_ABSENT.set(false);
                written.map_err(reason)
            }
            Out::Ndjson(out) => {
                serde_json::to_writer(&mut *out, &row)?;
                out.write_all(b"\n")
            }
        }
    }

    /// Ends the table, and gives the output back.
    ///
    /// # Errors
    /// Those of the output.
    pub fn finish(self) -> io::Result<W> {
        match self.out {
            Out::Csv(csv) => csv
                .into_inner()
                .map_err(|error| io::Error::new(error.error().kind(), error.error().to_string())),
            Out::Ndjson(mut out) => {
                out.flush()?;
                Ok(out)
            }
        }
    }
}

/// A name chosen by others, made harmless: control characters and what is no UTF-8 as `\xNN`.
fn harmless(comm: &[u8]) -> String {
    let mut text = String::new();
    for chunk in comm.utf8_chunks() {
        for c in chunk.valid().chars() {
            if c.is_control() { text.extend(c.escape_default()) } else { text.push(c) }
        }
        text.extend(chunk.invalid().iter().map(|byte| format!("\\x{byte:02x}")));
    }
    text
}

fn letters(left: Left) -> String {
    match left {
        Left::Runnable { preempted: Some(true) } => "R+".to_owned(),
        Left::Runnable { .. } | Left::Yielded => "R".to_owned(),
        Left::Sleep => "S".to_owned(),
        Left::Disk => "D".to_owned(),
        Left::Stopped => "T".to_owned(),
        Left::Dead => "X".to_owned(),
        Left::Idle => "I".to_owned(),
        Left::Other(value) => format!("0x{value:x}"),
        Left::Unknown => "?".to_owned(),
    }
}

fn group_name(group: Group) -> Option<String> {
    match group {
        Group::Unknown => None,
        Group::Cgroup(id) => Some(format!("cgroup {id}")),
        Group::Autogroup(id) => Some(format!("autogroup {id}")),
    }
}

impl Row {
    fn of(mut self, task: &Task) -> Self {
        self.pid = Some(task.pid);
        self.tgid = task.tgid;
        self.comm = (!task.comm.is_empty()).then(|| harmless(&task.comm));
        self.prio = task.prio;
        self
    }

    fn and(mut self, task: &Task) -> Self {
        self.other_pid = Some(task.pid);
        self.other_tgid = task.tgid;
        self.other_comm = (!task.comm.is_empty()).then(|| harmless(&task.comm));
        self.other_prio = task.prio;
        self
    }
}

/// `pid` and what goes with it is who left, woke up, moved, was born; `other_…` is who came, the waker, the
/// parent, the thread id before.
fn row(event: &Event) -> Row {
    let base = || Row { ts_ns: event.ts_ns, cpu: event.cpu, event: event.kind.name(), ..Row::default() };
    match &event.kind {
        Kind::Switch { prev, state, next } => {
            let yielded = (*state == Left::Yielded).then_some(true);
            let row = Row { state: Some(letters(*state)), yielded, ..base() }.and(next);
            match prev {
                Some(prev) => row.of(prev),
                None => row,
            }
        }
        Kind::Wake { wakee, waker, target, context, .. } => {
            let context = match context {
                Context::Task => Some("task"),
                Context::Interrupt => Some("interrupt"),
                Context::Unknown => None,
            };
            Row { other_pid: *waker, to_cpu: *target, context, ..base() }.of(wakee)
        }
        Kind::Migrate { task, from, to } => Row { from_cpu: *from, to_cpu: Some(*to), ..base() }.of(task),
        Kind::Fork { parent, child } => base().of(child).and(parent),
        Kind::Exec { task, old_pid } => Row { other_pid: Some(*old_pid), ..base().of(task) },
        Kind::Exit { task } | Kind::Rename { task } => base().of(task),
        Kind::Attributes { pid, start_ns, attributes } => {
            let Attributes { weight, policy, group, affinity, reservation, .. } = &**attributes;
            Row {
                start_ns: *start_ns,
                weight: weight.map(u64::from),
                policy: *policy,
                group: group.and_then(group_name),
                affinity: affinity.as_ref().map(ToString::to_string),
                runtime_ns: reservation.map(|promised| promised.runtime_ns),
                deadline_ns: reservation.map(|promised| promised.deadline_ns),
                period_ns: reservation.map(|promised| promised.period_ns),
                ..base().of(&attributes.task(*pid))
            }
        }
        Kind::Group { totals, name } => Row {
            weight: Some(totals.weight),
            group: group_name(totals.id),
            parent_group: totals.parent.and_then(group_name),
            quota_ns: totals.quota.map(|quota| quota.quota_ns),
            period_ns: totals.quota.map(|quota| quota.period_ns),
            throttled_ns: Some(totals.throttled_ns),
            comm: name.as_ref().map(|name| harmless(name.as_bytes())),
            ..base()
        },
        Kind::Throttled { pid, ns } => Row { pid: Some(*pid), throttled_ns: Some(*ns), ..base() },
        Kind::Asleep { pid, left } => Row { pid: Some(*pid), state: Some(letters(*left)), ..base() },
        Kind::Online | Kind::Offline => base(),
        Kind::Loss { of_cpu, count, from_ns } => {
            Row { from_cpu: *of_cpu, count: *count, from_ns: *from_ns, ..base() }
        }
    }
}

/// The kernel's own reason, where there is one: a reader that has left is no failure.
fn reason(error: csv::Error) -> io::Error {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => error,
        kind => io::Error::other(format!("{kind:?}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events() -> Vec<Event> {
        let task = |pid, comm: &[u8]| Task { pid, tgid: None, comm: comm.into(), prio: Some(120) };
        let switch = Kind::Switch {
            prev: Some(task(7, b"a,\"b\"\n\xff")),
            state: Left::Runnable { preempted: Some(true) },
            next: task(0, b"swapper/1"),
        };
        let loss = Kind::Loss { of_cpu: Some(1), count: Some(3), from_ns: None };
        let yielded = Kind::Switch { prev: Some(task(7, b"a")), state: Left::Yielded, next: task(8, b"b") };
        let events = (0..).zip([switch, yielded, loss]);
        events.map(|(n, kind)| Event { ts_ns: 5 + n, cpu: 1, seq: n, kind }).collect()
    }

    fn written(form: Form) -> String {
        let mut writer = TableWriter::new(Vec::new(), form);
        for event in events() {
            writer.event(&event).unwrap();
        }
        String::from_utf8(writer.finish().unwrap()).unwrap()
    }

    #[test]
    fn rows_of_csv_have_all_columns_and_names_are_harmless() {
        let text = written(Form::Csv);
        let mut rows = csv::Reader::from_reader(text.as_bytes());
        let columns = rows.headers().unwrap().clone();
        let rows: Vec<_> = rows.records().map(Result::unwrap).collect();
        let cell = |row: usize, name: &str| {
            rows[row].get(columns.iter().position(|column| column == name).unwrap()).unwrap().to_owned()
        };
        assert_eq!((cell(0, "comm"), cell(0, "state")), ("a,\"b\"\\n\\xff".into(), "R+".into()));
        assert_eq!(
            (cell(0, "other_comm"), cell(2, "count"), cell(2, "pid")),
            ("swapper/1".into(), "3".into(), String::new())
        );
        assert_eq!(
            (cell(0, "yielded"), cell(1, "state"), cell(1, "yielded")),
            (String::new(), "R".into(), "true".into())
        );
    }

    #[test]
    fn lines_of_json_leave_out_what_is_not_there() {
        let text = written(Form::Ndjson);
        let last: serde_json::Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
        assert_eq!(
            last,
            serde_json::json!({"ts_ns": 7, "cpu": 1, "event": "loss", "from_cpu": 1, "count": 3})
        );
    }
}
