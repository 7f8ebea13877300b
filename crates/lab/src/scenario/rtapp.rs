//! Workloads of rt-app (`github.com/scheduler-tools/rt-app`, doc/tutorial.txt), as far as they mean something here.
//!
//! docs/simulator.md has the table of all keys: what is the same here, what is approximated, and what is refused by name.
//!
//! Times in the file are microseconds, `duration` is seconds. An event that is not in the table makes the import fail,
//! with the name of everything that is not supported; settings that do not change the workload, approximations, and keys
//! given twice are named in the notes. Of the same event given twice in one object rt-app itself takes the last; its front
//! end workgen keeps all, in order, and published files rely on it: so does the import.

mod text;

use super::place::ScenarioError;
use super::{
    Class, Event, EventKind, Group, MAX_CPUS, MAX_DEPTH, MAX_GROUP_QUEUES, MAX_TASKS, Periodic, Quota,
    Scenario, Step, Task,
};
use crate::span::{MAX_NS, Span};
use std::collections::BTreeSet;
use text::{Object, Value};
use tombola_core::tickets::Nice;

/// Weight of a task of the class idle in the kernel (`WEIGHT_IDLEPRIO`).
const IDLE_WEIGHT: u64 = 3;
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

/// Reads the text of an rt-app file for a machine with `cpus` CPUs.
///
/// # Errors
/// [`ScenarioError`] when the text is no JSON (with line and column), or has events, policies or values that cannot be
/// simulated (with the names of task and event).
pub fn from_rtapp(text: &str, name: &str, cpus: u32) -> Result<Import> {
    let value = text::read(text)?;
    if !(1..=MAX_CPUS).contains(&cpus) {
        return fail(format!("{cpus} CPUs; it must be 1 to {MAX_CPUS}"));
    }
    let root = object(&value, "the file")?;
    let mut importer = Importer {
        task: String::new(),
        instances: 1,
        tasks: BTreeSet::new(),
        resumed: BTreeSet::new(),
        cpus,
        notes: Vec::new(),
        unsupported: Vec::new(),
        locks: Vec::new(),
        events: Vec::new(),
        groups: Vec::new(),
        default_policy: "SCHED_OTHER".to_owned(),
    };
    let duration_ns = importer.global(root)?;
    let tasks = match root.get("tasks") {
        Some(tasks) => object(tasks, "tasks")?,
        None => return fail("no \"tasks\""),
    };
    importer.tasks = tasks.0.iter().map(|(name, _)| name.clone()).collect();
    tasks.0.iter().for_each(|(_, task)| collect_resumed(task, &mut importer.resumed));
    importer.note_repeated(tasks, "tasks");
    let mut list: Vec<Task> = Vec::with_capacity(tasks.0.len());
    let mut instances = 0u64;
    for (name, value) in &tasks.0 {
        let taken = list.iter().filter(|task| task.name == *name).count();
        let task = importer.task(name, object(value, name)?, taken)?;
        instances += u64::from(task.count);
        list.push(task);
    }
    if list.is_empty() || instances > MAX_TASKS {
        return fail(format!("{instances} tasks; it must be 1 to {MAX_TASKS}"));
    }
    if !importer.unsupported.is_empty() {
        return fail(format!("not supported: {}", importer.unsupported.join(", ")));
    }
    importer.check_groups()?;
    for (key, _) in root.0.iter().filter(|(k, _)| !["tasks", "global", "resources"].contains(&k.as_str())) {
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
            warm_up_ns: 0,
            tuning: super::tuning::Tuning::default(),
            tick_ns: 0,
            seed: 1,
            policies: Vec::new(),
            groups: importer.groups,
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

/// What the events of a task, or of its phases, resume.
fn collect_resumed(value: &Value, found: &mut BTreeSet<String>) {
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

fn object<'v>(value: &'v Value, what: &str) -> Result<&'v Object> {
    match value {
        Value::Object(map) => Ok(map),
        _ => fail(format!("{what} is no object")),
    }
}

/// Keys that are no events.
fn is_setting(key: &str) -> bool {
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

struct Importer {
    /// The task being read, and how many there are of it.
    task: String,
    instances: u64,
    /// Names of all tasks, and all that some event resumes.
    tasks: BTreeSet<String>,
    resumed: BTreeSet<String>,
    cpus: u32,
    notes: Vec<String>,
    unsupported: Vec<String>,
    locks: Vec<String>,
    events: Vec<Event>,
    groups: Vec<Group>,
    default_policy: String,
}

impl Importer {
    /// The duration of the run; everything else in "global" is about rt-app itself.
    fn global(&mut self, root: &Object) -> Result<u64> {
        let mut duration_ns = None;
        if let Some(global) = root.get("global") {
            for (key, value) in &object(global, "global")?.0 {
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

    /// Says of keys that are there more than once what became of them.
    fn note_repeated(&mut self, raw: &Object, what: &str) {
        for key in raw.repeated() {
            let kept =
                if is_setting(key) { "the last one counts" } else { "all are kept, in order, as by workgen" };
            self.notes.push(format!("{what}: {key} is there more than once: {kept}"));
        }
    }

    /// `taken` tasks of this name were there before.
    fn task(&mut self, name: &str, raw: &Object, taken: usize) -> Result<Task> {
        self.note_repeated(raw, name);
        let loops = Self::count(raw, "loop", name, -1)?;
        let count = match raw.get("instance").map_or(Some(1), Value::as_u64) {
            Some(n) if (1..=MAX_TASKS).contains(&n) => u32::try_from(n).unwrap_or(1),
            Some(0) => {
                self.unsupported.push(format!("{name}: instance 0 (a thread for fork)"));
                1
            }
            _ => return fail(format!("{name}: instance must be 1 to {MAX_TASKS}")),
        };
        let (mut steps, mut own, mut endless) = (Vec::new(), Vec::new(), false);
        self.instances = u64::from(count);
        name.clone_into(&mut self.task);
        if let Some(phases) = raw.get("phases") {
            let phases = object(phases, &format!("{name}: phases"))?;
            self.note_repeated(phases, &format!("{name}: phases"));
            for (at, (phase, value)) in phases.0.iter().enumerate() {
                let what = format!("{name}.{phase}");
                let value = object(value, &what)?;
                self.note_repeated(value, &what);
                let times = match Self::count(value, "loop", &what, 1)? {
                    // The only phase may go on for ever; after others there would be no way back to where it began.
                    0 if phases.0.len() == 1 => {
                        endless = true;
                        1
                    }
                    0 if at + 1 == phases.0.len() => {
                        self.unsupported.push(format!("{what}: loop -1 after other phases"));
                        1
                    }
                    0 => {
                        return fail(format!(
                            "{what}: a phase that loops for ever hides what comes after it"
                        ));
                    }
                    n => usize::try_from(n).unwrap_or(usize::MAX),
                };
                own.push((what.clone(), value));
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
            Step::NextJob { .. } | Step::NextArrival(_) | Step::Await { .. } => true,
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
        let raw = &self.settings(name, raw, &own);
        let mut task = Task {
            name: if taken == 0 { name.to_owned() } else { format!("{name}#{}", taken + 1) },
            count,
            group: self.group(name, raw)?,
            tickets: u64::from(Nice::default().weight()),
            nice: Nice::default(),
            class: Class::Fair,
            priority: 0,
            arrive_ns: raw.get("delay").map_or(Ok(0), |v| Self::micros(v, &format!("{name}: delay")))?,
            cpus: raw.get("cpus").map(|v| self.affinity(name, v)).transpose()?,
            steps,
            loops: if endless { 0 } else { loops },
            total_ns: 0,
            periodic,
            reserve: None,
            request_ns: 0,
        };
        self.policy(name, raw, &mut task)?;
        Ok(task)
    }

    fn affinity(&self, name: &str, value: &Value) -> Result<Vec<u32>> {
        let list = value.as_list().unwrap_or_default();
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
            None => Ok(10),
            Some(Some(p @ 1..=99)) => Ok(u8::try_from(p).unwrap_or(1)),
            Some(_) => fail(format!("{name}: priority must be 1 to 99")),
        };
        match policy {
            Some("SCHED_IDLE") => {
                task.tickets = IDLE_WEIGHT;
                self.notes.push(format!("{name}: SCHED_IDLE is a weight of {IDLE_WEIGHT} here"));
            }
            Some(fair @ ("SCHED_OTHER" | "SCHED_BATCH")) => {
                match priority.map_or(Some(0), |p| p).map(Nice::new) {
                    Some(Ok(nice)) => {
                        task.nice = nice;
                        task.tickets = u64::from(nice.weight());
                        if fair == "SCHED_BATCH" {
                            self.notes.push(format!("{name}: SCHED_BATCH is SCHED_OTHER here"));
                        }
                        if raw.get("dl-runtime").is_some() {
                            self.notes
                                .push(format!("{name}: dl-runtime (a slice of its own): no meaning here"));
                        }
                    }
                    _ => return fail(format!("{name}: priority is a nice value here, -20 to 19")),
                }
            }
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
                let period_ns = match period.or(Some(quota_ns)) {
                    Some(ns) if ns >= quota_ns => ns,
                    _ => return fail(format!("{name}: dl-period is shorter than dl-runtime")),
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
        self.event_of(name.to_owned(), EventKind::Condition)
    }

    fn event_of(&mut self, name: String, kind: EventKind) -> usize {
        self.events.iter().position(|e| e.name == name).unwrap_or_else(|| {
            self.events.push(Event { name, kind });
            self.events.len() - 1
        })
    }

    /// A task's settings with those of its phases, where these are the same in all: one that changes on the way is not
    /// supported. Policy and what belongs to it stay from one phase to the next, CPUs and group go back to the task's.
    fn settings(&mut self, name: &str, raw: &Object, phases: &[(String, &Object)]) -> Object {
        let mut settings = raw.clone();
        for key in ["policy", "priority", "dl-runtime", "dl-period", "dl-deadline", "cpus", "taskgroup"] {
            let stays = !matches!(key, "cpus" | "taskgroup");
            let mut now = raw.get(key);
            for (at, (what, phase)) in phases.iter().enumerate() {
                let before = now;
                now = phase.get(key).or(if stays { now } else { raw.get(key) });
                if at > 0 && now != before {
                    self.unsupported.push(format!("{what}: {key} that changes between phases"));
                }
            }
            if let Some(value) = now {
                settings.0.push((key.to_owned(), value.clone()));
            }
        }
        for key in ["util_min", "util_max", "nodes_membind"] {
            if raw.get(key).is_some() || phases.iter().any(|(_, phase)| phase.get(key).is_some()) {
                self.notes.push(format!("{name}: {key}: no meaning here"));
            }
        }
        settings
    }

    /// The group of a path like `/a/b`, with the groups above it.
    fn group(&mut self, name: &str, raw: &Object) -> Result<Option<usize>> {
        let Some(value) = raw.get("taskgroup") else { return Ok(None) };
        let Some(path) = value.as_str() else {
            return fail(format!("{name}: taskgroup is {value}, no text"));
        };
        let (mut parent, mut whole) = (None, String::new());
        for part in path.split('/').filter(|part| !part.is_empty()) {
            whole = format!("{whole}/{part}");
            let known = self.groups.iter().position(|group| group.name == whole);
            parent = Some(known.unwrap_or_else(|| {
                let weight = u64::from(Nice::default().weight());
                self.groups.push(Group { name: whole.clone(), parent, weight, quota: None });
                self.groups.len() - 1
            }));
        }
        if path.split('/').filter(|part| !part.is_empty()).count() > MAX_DEPTH {
            return fail(format!("{name}: taskgroup {path}: groups nest deeper than {MAX_DEPTH}"));
        }
        Ok(parent)
    }

    /// Whom a resume must name to end a suspend: the thread, for rt-app ignores the text of a suspend. Older files go by
    /// the text: where some resume has it and no thread has that name, nothing else can be meant.
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

    fn check_groups(&self) -> Result<()> {
        let queues = self.groups.len() as u64 * u64::from(self.cpus);
        if queues > MAX_GROUP_QUEUES {
            return fail(format!("{} groups on {} CPUs: too many", self.groups.len(), self.cpus));
        }
        Ok(())
    }

    /// The events of a phase, or of a task without phases, in the order of the file. A digit at the end of a key tells
    /// two events of one kind apart.
    fn events(&mut self, raw: &Object, what: &str, steps: &mut Vec<Step>) -> Result<()> {
        for (key, value) in &raw.0 {
            let kind = kind_of(key);
            let here = format!("{what}: {key}");
            let text = || match value.as_str().or_else(|| value.get("ref").and_then(Value::as_str)) {
                Some(text) => Ok(text.to_owned()),
                None => fail(format!("{here} names nothing")),
            };
            match kind {
                _ if is_setting(key) => {}
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
                    // By the tutorial a sync is lock, signal, wait, unlock; the program leaves lock and unlock to the
                    // file, as its examples have them. So the mutex is taken where it is not held already.
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

    fn ran(text: &str, cpus: u32, policy: PolicyKind) -> (Import, Vec<u64>) {
        let import = from_rtapp(text, "test", cpus).unwrap();
        let result = run(&import.scenario, policy, 1, 0, Observe::default(), None, &|_| true).unwrap();
        let ran = result.tasks.iter().map(|task| task.runtime_ns / 1_000_000).collect();
        (import, ran)
    }

    /// Tokens of a semaphore are kept: three posts before anybody waits are three runs of 7 ms.
    #[test]
    fn semaphores_remember() {
        let text = r#"{ "tasks": {
            "poster": { "loop": 1, "sem_post1": "s", "sem_post2": "s", "sem_post3": "s", "run": 1000 },
            "taker": { "delay": 50000, "sem_wait": "s", "run": 7000 } }, "global": { "duration": 1 } }"#;
        assert_eq!(ran(text, 1, PolicyKind::Fifo).1, [1, 21]);
    }

    /// All go on when the slowest has come: each round takes 30 ms, 33 rounds and the begun one in a second.
    #[test]
    fn a_barrier_holds_all_until_the_last() {
        let text = r#"{ "tasks": {
            "slow": { "run": 30000, "barrier": "b" }, "fast": { "instance": 2, "run": 10000, "barrier": "b" } },
            "global": { "duration": 1 } }"#;
        assert_eq!(ran(text, 3, PolicyKind::Fifo).1, [1000, 2 * 340]);
    }

    /// Of two runs in one object both are kept; comments and a last comma do not matter; the one phase goes on for ever.
    #[test]
    fn repeated_events_are_kept_in_order() {
        let text = r#"{ "tasks": { "a": { "loop": 3, "phases": { "p": {
            "loop": -1, "run": 2000, /* then */ "run": 3000, "sleep": 5000, } } } }, "global": { "duration": 1 } }"#;
        let (import, ran) = ran(text, 1, PolicyKind::Fifo);
        assert_eq!(ran, [500]);
        assert!(
            import.notes.iter().any(|note| note.contains("a.p: run is there more than once: all are kept"))
        );
    }

    /// Real-time priority 10 without another, idle tasks of weight 3, groups by path, budgets of a whole period.
    #[test]
    fn settings_mean_what_they_mean_there() {
        let text = r#"{ "tasks": {
            "rt": { "policy": "SCHED_RR", "run": 1000, "sleep": 9000 },
            "idle": { "policy": "SCHED_IDLE", "run": 1000 },
            "batch": { "policy": "SCHED_BATCH", "priority": 5, "taskgroup": "/a/b", "run": 1000, "yield": "" },
            "dl": { "policy": "SCHED_DEADLINE", "dl-runtime": 4000, "run": 1000, "sleep": 1000 },
            "phase": { "phases": { "p": { "cpus": [1], "policy": "SCHED_FIFO", "run": 5 } } } },
            "global": { "duration": 1 } }"#;
        let import = from_rtapp(text, "t", 2).unwrap();
        let tasks = &import.scenario.tasks;
        assert_eq!((tasks[0].class, tasks[0].priority), (Class::RoundRobin, 10));
        assert_eq!((tasks[1].tickets, tasks[2].tickets), (3, 335));
        assert_eq!(tasks[3].reserve, Some(Quota { quota_ns: 4_000_000, period_ns: 4_000_000 }));
        assert_eq!((tasks[4].class, tasks[4].cpus.as_deref()), (Class::Fifo, Some(&[1][..])));
        let groups: Vec<(&str, Option<usize>)> =
            import.scenario.groups.iter().map(|group| (group.name.as_str(), group.parent)).collect();
        assert_eq!((groups, tasks[2].group), (vec![("/a", None), ("/a/b", Some(0))], Some(1)));
        let changes = text.replace("\"p\": {", "\"o\": { \"run\": 7 }, \"p\": {");
        let message = from_rtapp(&changes, "t", 2).unwrap_err().to_string();
        assert!(message.contains("phase.p: policy that changes between phases"), "{message}");
        assert!(message.contains("phase.p: cpus that changes between phases"), "{message}");
    }

    /// A sync takes its mutex and gives it back: both keep going, 1 ms each in turns on one CPU.
    #[test]
    fn a_sync_does_not_keep_its_mutex() {
        let text = r#"{ "tasks": {
            "a": { "run": 1000, "sync": { "ref": "c", "mutex": "m" } },
            "b": { "run": 1000, "sync": { "ref": "c", "mutex": "m" } } }, "global": { "duration": 1 } }"#;
        assert_eq!(ran(text, 1, PolicyKind::Fifo).1, [500, 500]);
        let sync = r#""sync": { "ref": "c", "mutex": "m" }"#;
        let locked = text.replace(sync, &format!("\"lock\": \"m\", {sync}, \"unlock\": \"m\""));
        assert_eq!(ran(&locked, 1, PolicyKind::Fifo).1, [500, 500]);
    }

    /// A resume names the thread. Where the text of a suspend is all there is to go by, it counts, and the notes say so.
    #[test]
    fn a_suspended_thread_is_resumed_by_its_name() {
        let text = r#"{ "tasks": {
            "a": { "suspend": "whatever", "run": 2000 }, "b": { "sleep": 10000, "resume": "a" } }, "global": { "duration": 1 } }"#;
        let (import, got) = ran(text, 1, PolicyKind::Fifo);
        assert_eq!((got[0], import.notes.len()), (198, 0));
        let (import, got) =
            ran(&text.replace("\"resume\": \"a\"", "\"resume\": \"whatever\""), 1, PolicyKind::Fifo);
        assert_eq!((got[0], import.notes.len()), (198, 1), "{:?}", import.notes);
    }

    #[test]
    fn what_is_not_supported_is_named() {
        let text = r#"{ "tasks": { "a": { "mem": 3, "run": 5 }, "b": { "policy": "SCHED_EXT", "fork": "a", "run": 1 } } }"#;
        let message = from_rtapp(text, "t", 1).unwrap_err().to_string();
        assert_eq!(message, "not supported: a: mem, b: fork, b: policy SCHED_EXT");
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
