//! Workloads of rt-app (`github.com/scheduler-tools/rt-app`, doc/tutorial.txt), as far as they mean something
//! here.
//!
//! docs/simulator.md has the table of all keys: what is the same here, what is approximated, and what is
//! refused by name.
//!
//! Times in the file are microseconds, `duration` is seconds. An event that is not in the table makes the
//! import fail, with the name of everything that is not supported; settings that do not change the workload,
//! approximations, and keys given twice are named in the notes. Of the same event given twice in one object
//! rt-app itself takes the last; its front end workgen keeps all, in order, and published files rely on it:
//! so does the import.

mod attributes;
mod events;
mod parts;
mod text;

use super::place::ScenarioError;
use super::{Class, Event, Group, MAX_CPUS, MAX_TASKS, Periodic, Scenario, Step, Task};
use crate::span::MAX_NS;
use events::{collect_resumed, is_setting};
use parts::Thread;
use std::collections::{BTreeMap, BTreeSet};
use text::{Object, Value};
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

/// Reads the text of an rt-app file for a machine with `cpus` CPUs; without a number, with as many as the
/// file names, one at least.
///
/// # Errors
/// [`ScenarioError`] when the text is no JSON (with line and column), or has events, policies or values that
/// cannot be simulated (with the names of task and event).
pub fn from_rtapp(text: &str, name: &str, cpus: Option<u32>) -> Result<Import> {
    let value = text::read(text)?;
    let named = highest_cpu(&value).map_or(1, |cpu| u32::try_from(cpu.saturating_add(1)).unwrap_or(u32::MAX));
    let mut notes = Vec::new();
    if cpus.is_none() && named > 1 {
        notes.push(format!("{named} CPUs, as many as the file names; --cpus gives another number"));
    }
    let cpus = cpus.unwrap_or(named);
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
        timers: Vec::new(),
        timer_users: BTreeMap::new(),
        notes,
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
    for (at, (name, value)) in tasks.0.iter().enumerate() {
        let taken = tasks.0.iter().take(at).filter(|(other, _)| other == name).count();
        let tasks = importer.task(name, object(value, name)?, list.len(), taken)?;
        instances += tasks.iter().map(|task| u64::from(task.count)).sum::<u64>();
        list.extend(tasks);
    }
    if !importer.unsupported.is_empty() {
        return fail(format!("not supported: {}", importer.unsupported.join(", ")));
    }
    if list.is_empty() || instances > MAX_TASKS {
        return fail(format!("{instances} tasks; it must be 1 to {MAX_TASKS}"));
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

fn object<'v>(value: &'v Value, what: &str) -> Result<&'v Object> {
    match value {
        Value::Object(map) => Ok(map),
        _ => fail(format!("{what} is no object")),
    }
}

struct Importer {
    /// The task being read, and how many there are of it.
    task: String,
    instances: u64,
    /// Names of all tasks, and all that some event resumes.
    tasks: BTreeSet<String>,
    resumed: BTreeSet<String>,
    /// Names of the timers of the task being read.
    timers: Vec<String>,
    /// Who used a timer first that is not of one thread alone.
    timer_users: BTreeMap<String, String>,
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

    /// The tasks that a thread is: one, or one for each part of its phases. `index` of the first of them;
    /// `taken` threads of this name were there before.
    fn task(&mut self, name: &str, raw: &Object, index: usize, taken: usize) -> Result<Vec<Task>> {
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
        let (mut steps, mut own, mut again) = (Vec::new(), Vec::new(), None);
        self.instances = u64::from(count);
        name.clone_into(&mut self.task);
        self.timers.clear();
        // Where the steps of each phase begin.
        let mut begins = Vec::new();
        if let Some(phases) = raw.get("phases") {
            let phases = object(phases, &format!("{name}: phases"))?;
            self.note_repeated(phases, &format!("{name}: phases"));
            for (at, (phase, value)) in phases.0.iter().enumerate() {
                let what = format!("{name}.{phase}");
                let value = object(value, &what)?;
                self.note_repeated(value, &what);
                begins.push(steps.len());
                let times = match Self::count(value, "loop", &what, 1)? {
                    0 if at + 1 == phases.0.len() => {
                        again = Some(steps.len());
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
            Step::Burn | Step::NextJob { .. } | Step::NextArrival(_) | Step::Await { .. } => true,
            _ => false,
        };
        if !steps[again.unwrap_or(0)..].iter().any(takes_time) && self.unsupported.is_empty() {
            return fail(format!("{name} takes no time: no run, sleep, timer or wait"));
        }
        let loops = if again.is_some() { 0 } else { loops };
        let again = again.unwrap_or(0);
        let parts = self.settings(name, raw, &own, loops == 1 || again > 0);
        let whole = if taken == 0 { name.to_owned() } else { format!("{name}#{}", taken + 1) };
        let arrive_ns = raw.get("delay").map_or(Ok(0), |v| Self::micros(v, &format!("{name}: delay")))?;
        if let [(_, settings)] = &parts[..] {
            let task = Self::plain(whole, steps, loops, again);
            return Ok(vec![self.with_settings(name, settings, Task { count, arrive_ns, ..task })?]);
        }
        if !self.divides(&parts, &own, &steps) {
            return Ok(Vec::new());
        }
        let thread = Thread { name: whole, index, arrive_ns, loops, again, steps, begins };
        self.in_parts(&thread, &parts, &own)
    }

    /// A task of one instance with no settings yet.
    fn plain(name: String, steps: Vec<Step>, loops: u64, again: usize) -> Task {
        // A task with one timer, at its end, is periodic: its jobs have deadlines.
        let timers = steps.iter().filter(|s| matches!(s, Step::NextJob { .. })).count();
        let periodic = match steps.last() {
            Some(Step::NextJob { period_ns, .. }) if timers == 1 => {
                Some(Periodic { period_ns: *period_ns, deadline_ns: *period_ns })
            }
            _ => None,
        };
        Task {
            name,
            count: 1,
            group: None,
            tickets: u64::from(Nice::default().weight()),
            nice: Nice::default(),
            class: Class::Fair,
            priority: 0,
            arrive_ns: 0,
            cpus: None,
            steps,
            loops,
            again,
            total_ns: 0,
            periodic,
            reserve: None,
            request_ns: 0,
        }
    }

    fn with_settings(&mut self, name: &str, settings: &Object, mut task: Task) -> Result<Task> {
        task.group = self.group(name, settings)?;
        task.cpus = settings.get("cpus").map(|v| self.affinity(name, v)).transpose()?;
        self.policy(name, settings, &mut task)?;
        Ok(task)
    }
}

/// The highest number of a CPU that a value names.
fn highest_cpu(value: &Value) -> Option<u64> {
    let Value::Object(object) = value else { return None };
    let named = |(key, value): &(String, Value)| match value {
        Value::List(list) if key == "cpus" => list.iter().filter_map(Value::as_u64).max(),
        value => highest_cpu(value),
    };
    object.0.iter().filter_map(named).max()
}

#[cfg(test)]
mod tests;
