//! Workloads of rt-app (`github.com/scheduler-tools/rt-app`, doc/tutorial.txt), as far as they mean something here.
//!
//! | rt-app | becomes |
//! |---|---|
//! | `run`, `runtime` | CPU time (the simulated machine has one speed) |
//! | `sleep` | a sleep |
//! | `timer` | a sleep to the next multiple of its period |
//! | `lock`, `unlock` | a lock |
//! | `wait`, `signal`, `broad`, `sync`, `suspend`, `resume` | condition variables: a signal that nobody waits for is lost |
//! | `SCHED_OTHER`, `SCHED_FIFO`, `SCHED_RR` with `priority` | nice, or class and priority |
//! | `SCHED_DEADLINE` with `dl-runtime`, `dl-period` | a reservation |
//! | `instance`, `delay`, `cpus`, `loop`, `phases` | the same |
//!
//! Times in the file are microseconds, `duration` is seconds. An event that is not in the table makes the import fail,
//! with the name of everything that is not supported; settings that do not change the workload are named in the notes.

use super::place::{Place, ScenarioError};
use super::{Class, Event, MAX_CPUS, MAX_TASKS, Periodic, Quota, Scenario, Step, Task};
use crate::span::{MAX_NS, Span};
use serde_json::{Map, Value};
use tombola_core::tickets::Nice;

/// Most steps a task may have once its phases are written out.
const MAX_STEPS: usize = 100_000;

/// A scenario made from an rt-app file.
#[derive(Clone, Debug, PartialEq)]
pub struct Import {
    /// The workload.
    pub scenario: Scenario,
    /// Settings of the file that have no meaning here, and approximations.
    pub notes: Vec<String>,
}

type Result<T> = std::result::Result<T, ScenarioError>;
type Object = Map<String, Value>;

/// Reads the text of an rt-app file for a machine with `cpus` CPUs.
///
/// # Errors
/// [`ScenarioError`] when the text is no JSON (with line and column), or has events, policies or values that cannot be
/// simulated (with the names of task and event).
pub fn from_rtapp(text: &str, name: &str, cpus: u32) -> Result<Import> {
    let value: Value = serde_json::from_str(text).map_err(|e| ScenarioError {
        place: Some(Place { line: e.line(), column: e.column() }),
        message: format!("no JSON: {e}; rt-app's comments must be taken out first"),
    })?;
    if !(1..=MAX_CPUS).contains(&cpus) {
        return fail(format!("{cpus} CPUs; it must be 1 to {MAX_CPUS}"));
    }
    let root = object(&value, "the file")?;
    let mut importer = Importer {
        cpus,
        notes: Vec::new(),
        unsupported: Vec::new(),
        locks: Vec::new(),
        events: Vec::new(),
        default_policy: "SCHED_OTHER".to_owned(),
    };
    let duration_ns = importer.global(root)?;
    let tasks = match root.get("tasks") {
        Some(tasks) => object(tasks, "tasks")?,
        None => return fail("no \"tasks\""),
    };
    let mut list = Vec::with_capacity(tasks.len());
    let mut instances = 0u64;
    for (name, value) in tasks {
        let task = importer.task(name, object(value, name)?)?;
        instances += u64::from(task.count);
        list.push(task);
    }
    if list.is_empty() || instances > MAX_TASKS {
        return fail(format!("{instances} tasks; it must be 1 to {MAX_TASKS}"));
    }
    if !importer.unsupported.is_empty() {
        return fail(format!("not supported: {}", importer.unsupported.join(", ")));
    }
    for key in root.keys().filter(|k| !["tasks", "global", "resources"].contains(&k.as_str())) {
        importer.notes.push(format!("{key}: no meaning here"));
    }
    Ok(Import {
        scenario: Scenario {
            name: name.to_owned(),
            about: String::new(),
            cpus,
            duration_ns,
            quantum_ns: 10_000_000,
            switch_cost_ns: 0,
            tick_ns: 0,
            seed: 1,
            policies: Vec::new(),
            groups: Vec::new(),
            tasks: list,
            locks: importer.locks,
            events: importer.events,
            expect: super::expect::Expectations::default(),
        },
        notes: importer.notes,
    })
}

fn fail<T>(message: impl Into<String>) -> Result<T> {
    Err(ScenarioError { place: None, message: message.into() })
}

fn object<'v>(value: &'v Value, what: &str) -> Result<&'v Object> {
    match value {
        Value::Object(map) => Ok(map),
        _ => fail(format!("{what} is no object")),
    }
}

fn index_of(names: &mut Vec<String>, name: &str) -> usize {
    names.iter().position(|n| n == name).unwrap_or_else(|| {
        names.push(name.to_owned());
        names.len() - 1
    })
}

struct Importer {
    cpus: u32,
    notes: Vec<String>,
    unsupported: Vec<String>,
    locks: Vec<String>,
    events: Vec<Event>,
    default_policy: String,
}

impl Importer {
    /// The duration of the run; everything else in "global" is about rt-app itself.
    fn global(&mut self, root: &Object) -> Result<u64> {
        let mut duration_ns = None;
        if let Some(global) = root.get("global") {
            for (key, value) in object(global, "global")? {
                match key.as_str() {
                    "duration" => {
                        if let Some(seconds) =
                            value.as_u64().filter(|s| *s > 0 && *s <= MAX_NS / 1_000_000_000)
                        {
                            duration_ns = Some(seconds * 1_000_000_000);
                        } else if value.as_i64() != Some(-1) {
                            return fail(format!("global: duration is {value}; it must be seconds, or -1"));
                        }
                    }
                    "default_policy" => match value.as_str() {
                        Some(policy) => policy.clone_into(&mut self.default_policy),
                        None => return fail("global: default_policy is no text"),
                    },
                    "pi_enabled" if value == &Value::Bool(true) => {
                        self.unsupported.push("global: pi_enabled (priority inheritance)".to_owned());
                    }
                    _ => self.notes.push(format!("global: {key}: no meaning here")),
                }
            }
        }
        Ok(duration_ns.unwrap_or_else(|| {
            self.notes.push("global: no duration: 10 s are simulated".to_owned());
            10_000_000_000
        }))
    }

    fn micros(value: &Value, what: &str) -> Result<u64> {
        match value.as_u64().and_then(|us| us.checked_mul(1000)).filter(|ns| *ns <= MAX_NS) {
            Some(ns) => Ok(ns),
            None => fail(format!("{what} is {value}; it must be microseconds, up to 100 years")),
        }
    }

    fn count(object: &Object, key: &str, what: &str, default: i64) -> Result<u64> {
        match object.get(key).map_or(Some(default), Value::as_i64) {
            Some(-1) => Ok(0),
            Some(n) if n > 0 => Ok(n.unsigned_abs()),
            _ => fail(format!("{what}: {key} must be a number above 0, or -1 for ever")),
        }
    }

    fn task(&mut self, name: &str, raw: &Object) -> Result<Task> {
        let loops = Self::count(raw, "loop", name, -1)?;
        let count = match raw.get("instance").map_or(Some(1), Value::as_u64) {
            Some(n) if (1..=MAX_TASKS).contains(&n) => u32::try_from(n).unwrap_or(1),
            _ => return fail(format!("{name}: instance must be 1 to {MAX_TASKS}")),
        };
        let mut steps = Vec::new();
        if let Some(phases) = raw.get("phases") {
            for (phase, value) in object(phases, &format!("{name}: phases"))? {
                let what = format!("{name}.{phase}");
                let value = object(value, &what)?;
                let times = match Self::count(value, "loop", &what, 1)? {
                    0 => {
                        return fail(format!(
                            "{what}: a phase that loops for ever hides what comes after it"
                        ));
                    }
                    n => usize::try_from(n).unwrap_or(usize::MAX),
                };
                let mut once = Vec::new();
                self.events(value, &what, &mut once)?;
                if once.len().saturating_mul(times).saturating_add(steps.len()) > MAX_STEPS {
                    return fail(format!(
                        "{what}: more than {MAX_STEPS} steps when its loops are written out"
                    ));
                }
                for _ in 0..times {
                    steps.extend_from_slice(&once);
                }
            }
        } else {
            self.events(raw, name, &mut steps)?;
        }
        let takes_time = |s: &Step| match s {
            Step::Run(span) | Step::Sleep(span) => span.mean_ns() > 0,
            Step::NextJob { .. } | Step::Await { .. } => true,
            _ => false,
        };
        if !steps.iter().any(takes_time) && self.unsupported.is_empty() {
            return fail(format!("{name} takes no time: no run, sleep, timer or wait"));
        }
        // A task with one timer, at its end, is periodic: its jobs have deadlines.
        let timers = steps.iter().filter(|s| matches!(s, Step::NextJob { .. })).count();
        let periodic = match steps.last() {
            Some(Step::NextJob { period_ns }) if timers == 1 => {
                Some(Periodic { period_ns: *period_ns, deadline_ns: *period_ns })
            }
            _ => None,
        };
        let mut task = Task {
            name: name.to_owned(),
            count,
            group: None,
            tickets: u64::from(Nice::default().weight()),
            nice: Nice::default(),
            class: Class::Fair,
            priority: 0,
            arrive_ns: raw.get("delay").map_or(Ok(0), |v| Self::micros(v, &format!("{name}: delay")))?,
            cpus: raw.get("cpus").map(|v| self.affinity(name, v)).transpose()?,
            steps,
            loops,
            total_ns: 0,
            periodic,
            reserve: None,
        };
        self.policy(name, raw, &mut task)?;
        Ok(task)
    }

    fn affinity(&self, name: &str, value: &Value) -> Result<Vec<u32>> {
        let list = value.as_array().map(Vec::as_slice).unwrap_or_default();
        let mut cpus = Vec::with_capacity(list.len());
        for cpu in list {
            match cpu.as_u64().and_then(|c| u32::try_from(c).ok()).filter(|c| *c < self.cpus) {
                Some(cpu) => cpus.push(cpu),
                None => return fail(format!("{name}: there is no CPU {cpu} among {}", self.cpus)),
            }
        }
        cpus.sort_unstable();
        cpus.dedup();
        if cpus.is_empty() { fail(format!("{name}: cpus must name at least one CPU")) } else { Ok(cpus) }
    }

    fn policy(&mut self, name: &str, raw: &Object, task: &mut Task) -> Result<()> {
        let policy = raw.get("policy").map_or(Some(self.default_policy.as_str()), Value::as_str);
        let priority = raw.get("priority").map(Value::as_i64);
        let real_time = || match priority {
            None => Ok(1),
            Some(Some(p @ 1..=99)) => Ok(u8::try_from(p).unwrap_or(1)),
            Some(_) => fail(format!("{name}: priority must be 1 to 99")),
        };
        match policy {
            Some("SCHED_OTHER") => match priority.map_or(Some(0), |p| p).map(Nice::new) {
                Some(Ok(nice)) => {
                    task.nice = nice;
                    task.tickets = u64::from(nice.weight());
                }
                _ => return fail(format!("{name}: priority is a nice value here, -20 to 19")),
            },
            Some("SCHED_FIFO") => (task.class, task.priority) = (Class::Fifo, real_time()?),
            Some("SCHED_RR") => (task.class, task.priority) = (Class::RoundRobin, real_time()?),
            Some("SCHED_DEADLINE") => {
                let time =
                    |key: &str| raw.get(key).map(|v| Self::micros(v, &format!("{name}: {key}"))).transpose();
                let (runtime, period, deadline) =
                    (time("dl-runtime")?, time("dl-period")?, time("dl-deadline")?);
                let Some(quota_ns) = runtime.filter(|ns| *ns > 0) else {
                    return fail(format!("{name}: SCHED_DEADLINE needs dl-runtime above 0"));
                };
                let period_ns = match period.or(deadline) {
                    Some(ns) if ns >= quota_ns => ns,
                    _ => return fail(format!("{name}: SCHED_DEADLINE needs dl-period, at least dl-runtime")),
                };
                if deadline.is_some_and(|d| d != period_ns) {
                    self.unsupported.push(format!("{name}: dl-deadline other than dl-period"));
                }
                task.reserve = Some(Quota { quota_ns, period_ns });
            }
            other => self.unsupported.push(format!("{name}: policy {}", other.unwrap_or("that is no text"))),
        }
        Ok(())
    }

    fn event(&mut self, name: &str) -> usize {
        self.events.iter().position(|e| e.name == name).unwrap_or_else(|| {
            self.events.push(Event { name: name.to_owned(), receiver: None });
            self.events.len() - 1
        })
    }

    /// The events of a phase, or of a task without phases, in the order of the file. A digit at the end of a key tells
    /// two events of one kind apart.
    fn events(&mut self, raw: &Object, what: &str, steps: &mut Vec<Step>) -> Result<()> {
        for (key, value) in raw {
            let kind = key.trim_end_matches(|c: char| c.is_ascii_digit());
            let here = format!("{what}: {key}");
            let text = || match value.as_str().or_else(|| value.get("ref").and_then(Value::as_str)) {
                Some(text) => Ok(text.to_owned()),
                None => fail(format!("{here} names nothing")),
            };
            match kind {
                "loop" | "phases" | "instance" | "delay" | "cpus" | "policy" | "priority" | "dl-runtime"
                | "dl-period" | "dl-deadline" => {}
                "run" | "runtime" => steps.push(Step::Run(Span::Fixed(Self::micros(value, &here)?))),
                "sleep" => steps.push(Step::Sleep(Span::Fixed(Self::micros(value, &here)?))),
                "timer" => match value.get("period").map(|p| Self::micros(p, &here)).transpose()? {
                    Some(period_ns) if period_ns > 0 => {
                        if value.get("mode").and_then(Value::as_str) != Some("absolute") {
                            self.notes
                                .push(format!("{here}: a late activation does not shift the ones after it"));
                        }
                        steps.push(Step::NextJob { period_ns });
                    }
                    _ => return fail(format!("{here} needs a period above 0")),
                },
                "lock" => steps.push(Step::Lock(index_of(&mut self.locks, &text()?))),
                "unlock" => steps.push(Step::Unlock(index_of(&mut self.locks, &text()?))),
                "wait" | "sync" => {
                    let event = self.event(&text()?);
                    if kind == "sync" {
                        steps.push(Step::Post { event, all: false });
                    }
                    // The mutex is given back while waiting: nothing comes between the two at one instant.
                    let mutex = value.get("mutex").and_then(Value::as_str);
                    let mutex = mutex.map(|mutex| index_of(&mut self.locks, mutex));
                    steps.extend(mutex.map(Step::Unlock));
                    steps.push(Step::Await { event });
                    steps.extend(mutex.map(Step::Lock));
                }
                "suspend" => steps.push(Step::Await { event: self.event(&text()?) }),
                "signal" => steps.push(Step::Post { event: self.event(&text()?), all: false }),
                "broad" | "resume" => steps.push(Step::Post { event: self.event(&text()?), all: true }),
                _ => self.unsupported.push(here),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::{Observe, run};
    use crate::policy::PolicyKind;
    use proptest::prelude::*;

    #[test]
    fn a_periodic_task_and_a_burner_are_read_and_run() {
        let text = r#"{
            "tasks": {
                "periodic": { "loop": -1, "run": 20000, "timer": { "ref": "unique", "period": 100000, "mode": "absolute" },
                    "cpus": [0], "policy": "SCHED_FIFO", "priority": 10 },
                "hog": { "instance": 2, "priority": 5, "run": 1000 },
                "phased": { "loop": 3, "delay": 50000, "phases": {
                    "light": { "loop": 2, "run": 1000, "sleep": 9000 }, "heavy": { "run1": 5000, "run2": 5000, "sleep": 10000 } } }
            },
            "global": { "duration": 2, "calibration": "CPU0" }
        }"#;
        let import = from_rtapp(text, "test", 1).unwrap();
        assert_eq!(import.notes, ["global: calibration: no meaning here"]);
        let tasks = &import.scenario.tasks;
        assert_eq!(tasks[0].periodic, Some(Periodic { period_ns: 100_000_000, deadline_ns: 100_000_000 }));
        assert_eq!((tasks[1].count, tasks[1].tickets, tasks[2].steps.len()), (2, 335, 7));
        let fifo =
            run(&import.scenario, PolicyKind::RoundRobin, 1, 0, Observe::default(), None, &|_| true).unwrap();
        assert_eq!((fifo.tasks[0].runtime_ns, fifo.tasks[0].misses), (400_000_000, 0));
        assert_eq!(fifo.tasks[2].runtime_ns, 36_000_000);
    }

    #[test]
    fn conditions_wake_and_locks_exclude() {
        let text = r#"{ "tasks": {
            "waiter": { "lock": "m", "wait": { "ref": "c", "mutex": "m" }, "unlock": "m", "run": 1000 },
            "sender": { "run": 5000, "sleep": 5000, "signal": "c" } },
            "global": { "duration": 1 } }"#;
        let import = from_rtapp(text, "test", 2).unwrap();
        let result =
            run(&import.scenario, PolicyKind::Fifo, 1, 0, Observe::default(), None, &|_| true).unwrap();
        // One signal every 10 ms, from 10 ms on; the one at the end wakes nobody who runs.
        assert_eq!(result.tasks[0].runtime_ns, 99_000_000);
    }

    #[test]
    fn what_is_not_supported_is_named() {
        let text = r#"{ "tasks": { "a": { "mem": 3, "run": 5 }, "b": { "policy": "SCHED_IDLE", "barrier": "x", "run": 1 } } }"#;
        let message = from_rtapp(text, "t", 1).unwrap_err().to_string();
        assert_eq!(message, "not supported: a: mem, b: barrier, b: policy SCHED_IDLE");
        for (text, words) in [
            ("{", "line 1, column 1"),
            ("[]", "the file is no object"),
            (r#"{"tasks":{}}"#, "0 tasks"),
            (r#"{"tasks":{"a":{"run":-1}}}"#, "a: run is -1"),
            (r#"{"tasks":{"a":{"run":1,"cpus":[7]}}}"#, "there is no CPU 7"),
            (r#"{"tasks":{"a":{"run":1,"priority":40}}}"#, "nice value"),
            (r#"{"tasks":{"a":{"loop":3}}}"#, "takes no time"),
            (r#"{"tasks":{"a":{"run":1,"instance":1000000000}}}"#, "instance must be"),
            (r#"{"tasks":{"a":{"phases":{"p":{"run":1,"loop":1000000}}}}}"#, "more than 100000 steps"),
        ] {
            let message = from_rtapp(text, "t", 1).unwrap_err().to_string();
            assert!(message.contains(words), "{text}: {message}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,200}") {
            let _ = from_rtapp(&text, "t", 1);
        }
    }
}
