//! TOML text to a [`Scenario`]: serde reads the shape, this file checks the meaning and says where it is
//! wrong.

mod groups;
mod names;
mod shape;
mod steps;
mod tuning;

use super::expect::Expectations;
use super::place::ScenarioError;
use super::{Class, MAX_CPUS, MAX_TASKS, MAX_TICKETS, Periodic, Quota, Scenario, Step, Task, WHEN_WOKEN};
use crate::kind::PolicyKind;
use crate::span::duration;
use names::Names;
use shape::{RawScenario, RawTask};
use std::collections::BTreeSet;
use std::ops::Range;
use tombola_core::tickets::Nice;
use toml::Spanned;

type Text = Spanned<String>;
type Result<T> = std::result::Result<T, ScenarioError>;

impl Scenario {
    /// Reads a scenario from TOML.
    ///
    /// # Errors
    /// [`ScenarioError`] with line and column when the text is no TOML, has an unknown or missing key, or
    /// means something that cannot be run.
    pub fn from_toml(text: &str) -> Result<Self> {
        let raw: RawScenario = toml::from_str(text).map_err(|e| ScenarioError::syntax(text, &e))?;
        Reader { text }.scenario(raw)
    }
}

/// The text being read, for places.
struct Reader<'a> {
    text: &'a str,
}

impl Reader<'_> {
    fn fail<T>(&self, span: &Range<usize>, message: impl Into<String>) -> Result<T> {
        Err(ScenarioError::at(self.text, span, message))
    }

    fn time(&self, text: &Text) -> Result<u64> {
        duration(text.get_ref()).or_else(|e| self.fail(&text.span(), e.to_string()))
    }

    fn time_or(&self, text: Option<&Text>, default_ns: u64) -> Result<u64> {
        text.map_or(Ok(default_ns), |t| self.time(t))
    }

    /// A time, or `woken` for a task that comes with the first wake of another.
    fn arrival(&self, text: Option<&Text>, steps: &[Step]) -> Result<u64> {
        match text.filter(|text| text.get_ref().trim() == "woken") {
            None => self.time_or(text, 0),
            Some(_) if matches!(steps.first(), Some(Step::Await { .. })) => Ok(WHEN_WOKEN),
            Some(text) => self.fail(&text.span(), "a task that comes when it is woken begins with a wait"),
        }
    }

    fn positive(&self, text: &Text, what: &str) -> Result<u64> {
        match self.time(text)? {
            0 => self.fail(&text.span(), format!("{what} is 0; it must be above 0")),
            ns => Ok(ns),
        }
    }

    fn number(&self, value: &Spanned<i64>, what: &str, range: std::ops::RangeInclusive<u64>) -> Result<u64> {
        match u64::try_from(*value.get_ref()) {
            Ok(n) if range.contains(&n) => Ok(n),
            _ => self.fail(
                &value.span(),
                format!("{what} is {}; it must be {} to {}", value.get_ref(), range.start(), range.end()),
            ),
        }
    }

    fn scenario(&self, raw: RawScenario) -> Result<Scenario> {
        let cpus = match &raw.cpus {
            None => 1,
            Some(n) => u32::try_from(self.number(n, "cpus", 1..=u64::from(MAX_CPUS))?).unwrap_or(1),
        };
        let groups = self.groups(&raw.group)?;
        self.check_groups(&raw.group, &groups, cpus)?;
        let mut seen = BTreeSet::new();
        let mut names = Names {
            groups: groups.iter().map(|g| g.name.clone()).collect(),
            tasks: Vec::new(),
            locks: Vec::new(),
            events: Vec::new(),
        };
        for task in &raw.task {
            let name = task.name.get_ref();
            if name.is_empty() {
                return self.fail(&task.name.span(), "a task needs a name");
            }
            if !seen.insert(name) {
                return self.fail(
                    &task.name.span(),
                    format!("there are two tasks '{name}'; use count for equal tasks"),
                );
            }
            names.tasks.push(name.clone());
        }
        if raw.task.is_empty() {
            return Err(ScenarioError::whole("no task; write at least one [[task]]"));
        }
        let mut tasks = Vec::with_capacity(raw.task.len());
        let (mut instances, mut tickets) = (0u64, 0u64);
        for (index, entry) in raw.task.iter().enumerate() {
            let task = self.task(entry, index, cpus, &mut names)?;
            instances += u64::from(task.count);
            if instances > MAX_TASKS {
                return self.fail(
                    &entry.count.as_ref().map_or_else(|| entry.name.span(), Spanned::span),
                    format!(
                        "with task '{}' there are {instances} tasks; at most {MAX_TASKS} can be simulated",
                        task.name
                    ),
                );
            }
            let sum = u64::from(task.count).checked_mul(task.tickets).and_then(|t| t.checked_add(tickets));
            tickets = match sum {
                Some(sum) if sum <= MAX_TICKETS => sum,
                _ => {
                    return self.fail(
                        &entry.name.span(),
                        format!("the tickets of all tasks up to '{}' sum to more than 2^53", task.name),
                    );
                }
            };
            tasks.push(task);
        }
        self.check_waits(&raw.task, &tasks, &names.events)?;
        let mut policies = Vec::with_capacity(raw.policies.len());
        for policy in &raw.policies {
            if let Err(unknown) = policy.get_ref().parse::<PolicyKind>() {
                return self.fail(&policy.span(), unknown.to_string());
            }
            policies.push(policy.get_ref().clone());
        }
        let quantum_ns = match &raw.quantum {
            None => 10_000_000,
            Some(text) => self.positive(text, "quantum")?,
        };
        let duration_ns = self.positive(&raw.duration, "duration")?;
        let warm_up_ns = self.time_or(raw.warm_up.as_ref(), 0)?;
        if let Some(warm_up) = raw.warm_up.as_ref().filter(|_| warm_up_ns >= duration_ns) {
            return self.fail(&warm_up.span(), "the warm-up is not shorter than the duration");
        }
        let tuning = self.tuning(&raw)?;
        let counted: Vec<(String, u32)> = tasks.iter().map(|task| (task.name.clone(), task.count)).collect();
        let expect = Expectations::from_toml(self.text, &counted)?;
        Ok(Scenario {
            name: raw.name,
            about: raw.about,
            cpus,
            duration_ns,
            warm_up_ns,
            quantum_ns,
            switch_cost_ns: self.time_or(raw.switch_cost.as_ref(), 0)?,
            tick_ns: self.time_or(raw.tick.as_ref(), 0)?,
            seed: raw.seed.map_or(Ok(1), |n| self.number(&n, "seed", 0..=u64::MAX >> 1))?,
            policies,
            tuning,
            groups,
            tasks,
            locks: names.locks,
            events: names.events,
            expect,
        })
    }

    fn task(&self, raw: &RawTask, index: usize, cpus: u32, names: &mut Names) -> Result<Task> {
        let name = raw.name.get_ref().clone();
        let count = raw.count.as_ref().map_or(Ok(1), |n| self.number(n, "count", 1..=MAX_TASKS))?;
        let group = match &raw.group {
            None => None,
            Some(group) => match names.groups.iter().position(|g| g == group.get_ref()) {
                Some(group) => Some(group),
                None => return self.fail(&group.span(), format!("no group '{}'", group.get_ref())),
            },
        };
        let (tickets, nice) = self.tickets(raw)?;
        let periodic = match (&raw.period, &raw.deadline) {
            (None, None) => None,
            (None, Some(deadline)) => return self.fail(&deadline.span(), "a deadline needs a period"),
            (Some(period), deadline) => {
                let period_ns = self.positive(period, "period")?;
                let deadline_ns =
                    deadline.as_ref().map_or(Ok(period_ns), |d| self.positive(d, "deadline"))?;
                Some(Periodic { period_ns, deadline_ns })
            }
        };
        let reserve = match &raw.reserve {
            None => None,
            Some(raw) => {
                let quota_ns = self.positive(&raw.budget, "budget")?;
                let period_ns = self.positive(&raw.period, "period")?;
                if quota_ns > period_ns {
                    return self.fail(&raw.budget.span(), "the budget is longer than its period");
                }
                Some(Quota { quota_ns, period_ns })
            }
        };
        let class = match raw.class.as_ref().map(|c| (c.get_ref().as_str(), c.span())) {
            None | Some(("fair", _)) => Class::Fair,
            Some(("fifo", _)) => Class::Fifo,
            Some(("rr", _)) => Class::RoundRobin,
            Some((other, span)) => return self.fail(&span, format!("class '{other}'; use fair, fifo or rr")),
        };
        let priority = raw.priority.as_ref().map_or(Ok(0), |p| self.number(p, "priority", 1..=99))?;
        let steps = self.steps(raw, index, periodic, names)?;
        Ok(Task {
            name,
            count: u32::try_from(count).unwrap_or(u32::MAX),
            group,
            tickets,
            nice,
            class,
            priority: u8::try_from(priority).unwrap_or(99),
            arrive_ns: self.arrival(raw.arrive.as_ref(), &steps)?,
            cpus: raw.cpus.as_ref().map(|list| self.affinity(list, cpus)).transpose()?,
            steps,
            loops: raw.loops.as_ref().map_or(Ok(0), |n| self.number(n, "loops", 1..=u64::MAX >> 1))?,
            again: 0,
            total_ns: raw.total.as_ref().map_or(Ok(0), |t| self.positive(t, "total"))?,
            periodic,
            reserve,
            request_ns: raw.request.as_ref().map_or(Ok(0), |t| self.positive(t, "request"))?,
        })
    }

    /// Tickets and nice value from whichever one of the three keys is there.
    fn tickets(&self, raw: &RawTask) -> Result<(u64, Nice)> {
        match (&raw.tickets, &raw.weight, &raw.nice) {
            (None, None, None) => Ok((u64::from(Nice::default().weight()), Nice::default())),
            (Some(n), None, None) => Ok((self.number(n, "tickets", 1..=MAX_TICKETS)?, Nice::default())),
            (None, Some(n), None) => Ok((self.number(n, "weight", 1..=MAX_TICKETS)?, Nice::default())),
            (None, None, Some(n)) => match Nice::new(*n.get_ref()) {
                Ok(nice) => Ok((u64::from(nice.weight()), nice)),
                Err(e) => self.fail(&n.span(), e.to_string()),
            },
            (Some(_), _, Some(n)) | (Some(_), Some(n), None) | (None, Some(_), Some(n)) => {
                self.fail(&n.span(), "give one of tickets, weight and nice, not two")
            }
        }
    }

    fn affinity(&self, list: &Spanned<Vec<i64>>, cpus: u32) -> Result<Vec<u32>> {
        let mut allowed = Vec::with_capacity(list.get_ref().len());
        for &cpu in list.get_ref() {
            match u32::try_from(cpu) {
                Ok(n) if n < cpus => allowed.push(n),
                _ => {
                    return self.fail(
                        &list.span(),
                        format!("there is no CPU {cpu}; the machine has 0 to {}", cpus - 1),
                    );
                }
            }
        }
        allowed.sort_unstable();
        allowed.dedup();
        if allowed.is_empty() {
            self.fail(&list.span(), "no CPU is allowed; the task could never run")
        } else {
            Ok(allowed)
        }
    }
}

#[cfg(test)]
mod tests;
