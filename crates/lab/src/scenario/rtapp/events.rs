//! What a task does in rt-app's words: its events, as steps.

use super::text::{Object, Value};
use super::{Importer, Result, fail};
use crate::scenario::{Event, EventKind, Step};
use crate::span::Span;
use std::collections::BTreeSet;

/// What the events of a task, or of its phases, resume.
pub(super) fn collect_resumed(value: &Value, found: &mut BTreeSet<String>) {
    let Value::Object(object) = value else { return };
    for (key, value) in &object.0 {
        match value {
            Value::Text(text) if kind_of(key) == "resume" => {
                found.insert(text.clone());
            }
            value => collect_resumed(value, found),
        }
    }
}

/// Keys that are no events.
pub(super) fn is_setting(key: &str) -> bool {
    let settings = [
        "loop",
        "phases",
        "instance",
        "delay",
        "cpus",
        "policy",
        "priority",
        "dl-runtime",
        "dl-period",
        "dl-deadline",
        "taskgroup",
        "period",
        "deadline",
        "util_min",
        "util_max",
        "nodes_membind",
    ];
    settings.contains(&key)
}

/// The kind of event that a key stands for: rt-app looks at its beginning, in this order.
fn kind_of(key: &str) -> &str {
    let kinds = [
        "lock", "unlock", "wait", "signal", "broad", "sync", "sleep", "runtime", "run", "timer", "suspend",
        "resume", "barrier", "sem_post", "sem_wait", "yield",
    ];
    kinds.into_iter().find(|kind| key.starts_with(kind)).unwrap_or(key)
}

fn index_of(names: &mut Vec<String>, name: &str) -> usize {
    names.iter().position(|n| n == name).unwrap_or_else(|| {
        names.push(name.to_owned());
        names.len() - 1
    })
}

impl Importer {
    fn event(&mut self, name: &str) -> usize {
        self.event_of(name.to_owned(), EventKind::Condition)
    }

    pub(super) fn event_of(&mut self, name: String, kind: EventKind) -> usize {
        self.events.iter().position(|e| e.name == name).unwrap_or_else(|| {
            self.events.push(Event { name, kind });
            self.events.len() - 1
        })
    }

    /// The number of a timer among those of the task. One whose name does not begin with "unique" belongs to
    /// all threads that use it.
    fn timer(&mut self, name: Option<&str>, here: &str) -> usize {
        let name = name.unwrap_or("unknown");
        if !name.starts_with("unique") {
            let user = self.timer_users.entry(name.to_owned()).or_insert_with(|| self.task.clone());
            if self.instances > 1 || *user != self.task {
                self.notes.push(format!(
                    "{here}: rt-app has one timer \"{name}\" for all threads, here each has its own"
                ));
            }
        }
        index_of(&mut self.timers, name)
    }

    /// Whom a resume must name to end a suspend: the thread, for rt-app ignores the text of a suspend. Older
    /// files go by the text: where some resume has it and no thread has that name, nothing else can be meant.
    fn suspended_by(&mut self, text: Option<&str>, here: &str) -> String {
        match text {
            Some(text) if text != self.task && !self.tasks.contains(text) && self.resumed.contains(text) => {
                self.notes.push(format!(
                    "{here}: \"{text}\" counts, as no thread has this name; rt-app ignores it"
                ));
                text.to_owned()
            }
            _ => self.task.clone(),
        }
    }

    /// The events of a phase, or of a task without phases, in the order of the file. A digit at the end of a
    /// key tells two events of one kind apart.
    pub(super) fn events(&mut self, raw: &Object, what: &str, steps: &mut Vec<Step>) -> Result<()> {
        for (key, value) in &raw.0 {
            let kind = kind_of(key);
            let here = format!("{what}: {key}");
            let text = || match value.as_str().or_else(|| value.get("ref").and_then(Value::as_str)) {
                Some(text) => Ok(text.to_owned()),
                None => fail(format!("{here} names nothing")),
            };
            match kind {
                _ if is_setting(key) => {}
                "run" | "runtime" if value.as_i64() == Some(-1) => {
                    self.notes.push(format!("{here}: -1 is for ever"));
                    steps.push(Step::Burn);
                }
                "run" | "runtime" => steps.push(Step::Run(Span::Fixed(Self::micros(value, &here)?))),
                "sleep" => steps.push(Step::Sleep(Span::Fixed(Self::micros(value, &here)?))),
                "timer" => match value.get("period").map(|p| Self::micros(p, &here)).transpose()? {
                    Some(period_ns) if period_ns > 0 => {
                        let timer = self.timer(value.get("ref").and_then(Value::as_str), &here);
                        let skips = value.get("mode").and_then(Value::as_str) != Some("absolute");
                        steps.push(Step::NextJob { period_ns, timer, skips });
                    }
                    _ => return fail(format!("{here} needs a period above 0")),
                },
                "lock" => steps.push(Step::Lock(index_of(&mut self.locks, &text()?))),
                "unlock" => steps.push(Step::Unlock(index_of(&mut self.locks, &text()?))),
                "wait" | "sync" => {
                    let event = self.event(&text()?);
                    // By the tutorial a sync is lock, signal, wait, unlock; the program leaves lock and
                    // unlock to the file, as its examples have them. So the mutex is taken where it is not
                    // held already.
                    let mutex = value.get("mutex").and_then(Value::as_str);
                    let mutex = mutex.map(|mutex| index_of(&mut self.locks, mutex));
                    let held = mutex.is_some_and(|mutex| {
                        let lock =
                            |step: &&Step| matches!(step, Step::Lock(l) | Step::Unlock(l) if *l == mutex);
                        matches!(steps.iter().rev().find(lock), Some(Step::Lock(_)))
                    });
                    let taken = mutex.filter(|_| kind == "sync" && !held);
                    if kind == "sync" {
                        steps.extend(taken.map(Step::Lock));
                        steps.push(Step::Post { event, all: false });
                    }
                    // The mutex is given back while waiting: nothing comes between the two at one instant.
                    steps.extend(mutex.map(Step::Unlock));
                    steps.push(Step::Await { event });
                    steps.extend(mutex.map(Step::Lock));
                    steps.extend(taken.map(Step::Unlock));
                }
                "barrier" => {
                    // Every mention of the name counts, once for each instance.
                    let event = self.event_of(format!("barrier '{}'", text()?), EventKind::Barrier(0));
                    if let EventKind::Barrier(tasks) = &mut self.events[event].kind {
                        *tasks += self.instances;
                    }
                    steps.push(Step::Await { event });
                }
                "sem_post" | "sem_wait" => {
                    let event = self.event_of(format!("semaphore '{}'", text()?), EventKind::Semaphore);
                    steps.push(match kind {
                        "sem_post" => Step::Post { event, all: false },
                        _ => Step::Await { event },
                    });
                }
                "yield" => steps.push(Step::Sleep(Span::Fixed(0))),
                "suspend" => {
                    let name = self.suspended_by(value.as_str(), &here);
                    steps.push(Step::Await { event: self.event(&name) });
                }
                "signal" => steps.push(Step::Post { event: self.event(&text()?), all: false }),
                "broad" | "resume" => steps.push(Step::Post { event: self.event(&text()?), all: true }),
                _ => self.unsupported.push(here),
            }
        }
        Ok(())
    }
}
