//! What a task is like in rt-app's words: policy, priority, CPUs, group.

use super::text::{Object, Value};
use super::{Importer, Result, fail};
use crate::scenario::{Class, Group, MAX_DEPTH, MAX_GROUP_QUEUES, Quota, Task};
use tombola_core::tickets::Nice;

/// Weight of a task of the class idle in the kernel (`WEIGHT_IDLEPRIO`).
const IDLE_WEIGHT: u64 = 3;

impl Importer {
    pub(super) fn affinity(&self, name: &str, value: &Value) -> Result<Vec<u32>> {
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

    pub(super) fn policy(&mut self, name: &str, raw: &Object, task: &mut Task) -> Result<()> {
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
                        if let Some(slice) = raw.get("dl-runtime") {
                            task.request_ns = Self::micros(slice, &format!("{name}: dl-runtime"))?;
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

    /// A task's settings with those of its phases, where these are the same in all: one that changes on the
    /// way is not supported. Policy and what belongs to it stay from one phase to the next, CPUs and group go
    /// back to the task's.
    pub(super) fn settings(&mut self, name: &str, raw: &Object, phases: &[(String, &Object)]) -> Object {
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
    pub(super) fn group(&mut self, name: &str, raw: &Object) -> Result<Option<usize>> {
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

    pub(super) fn check_groups(&self) -> Result<()> {
        let queues = self.groups.len() as u64 * u64::from(self.cpus);
        if queues > MAX_GROUP_QUEUES {
            return fail(format!("{} groups on {} CPUs: too many", self.groups.len(), self.cpus));
        }
        Ok(())
    }
}
