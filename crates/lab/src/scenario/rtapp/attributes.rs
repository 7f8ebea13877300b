//! What a task is like in rt-app's words: policy, priority, CPUs, group.

use super::text::{Object, Value};
use super::{Importer, Result, fail};
use crate::scenario::{Class, Group, MAX_DEPTH, MAX_GROUP_QUEUES, Quota, Task};
use tombola_core::tickets::Nice;

/// Weight of a task of the class idle in the kernel (`WEIGHT_IDLEPRIO`).
const IDLE_WEIGHT: u64 = 3;

/// Settings that a phase may have, too.
pub(super) const SETTINGS: [&str; 7] =
    ["policy", "priority", "dl-runtime", "dl-period", "dl-deadline", "cpus", "taskgroup"];

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
                // The keys of older files count where the newer ones are not there or 0: `runtime` is an
                // event, too.
                let or_older = |key: &str, older: &str| match time(key)?.filter(|ns| *ns > 0) {
                    None => Ok(time(older)?.filter(|ns| *ns > 0)),
                    some => Ok(some),
                };
                let (runtime, period, deadline) = (
                    or_older("dl-runtime", "runtime")?,
                    or_older("dl-period", "period")?,
                    or_older("dl-deadline", "deadline")?,
                );
                let Some(quota_ns) = runtime else {
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

    /// A task's settings in each of its parts: the first phase of a part, and all settings there. A part is
    /// phases in a row whose settings are the same; there is always one. CPUs go back to the task's in a
    /// phase that has none; policy, what belongs to it, and group stay from one phase to the next, also into
    /// the next round.
    pub(super) fn settings(
        &mut self,
        name: &str,
        raw: &Object,
        phases: &[(String, &Object)],
        is_once: bool,
    ) -> Vec<(usize, Object)> {
        for key in ["util_min", "util_max", "nodes_membind"] {
            if raw.get(key).is_some() || phases.iter().any(|(_, phase)| phase.get(key).is_some()) {
                self.notes.push(format!("{name}: {key}: no meaning here"));
            }
        }
        let mut each = vec![raw.clone(); phases.len()];
        for key in SETTINGS {
            let given = |object: &Object| object.get(key).filter(|v| v.as_str() != Some("")).cloned();
            let own = given(raw);
            let round = |before: Option<Value>| -> Vec<Option<Value>> {
                let mut now = before;
                let phase = |phase: &Object| {
                    now = given(phase).or_else(|| if key == "cpus" { own.clone() } else { now.clone() });
                    now.clone()
                };
                phases.iter().map(|(_, object)| *object).map(phase).collect()
            };
            let first = round(own.clone());
            let last = first.last().cloned().flatten();
            if !is_once && round(last) != first {
                self.unsupported.push(format!("{name}: {key} that is another in the second round"));
            }
            for (settings, now) in each.iter_mut().zip(first) {
                settings.0.retain(|(name, _)| name != key);
                settings.0.extend(now.map(|value| (key.to_owned(), value)));
            }
        }
        let mut parts: Vec<(usize, Object)> = each.into_iter().enumerate().collect();
        parts.dedup_by(|later, earlier| later.1 == earlier.1);
        if parts.is_empty() { vec![(0, raw.clone())] } else { parts }
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
