//! TOML text to a [`Scenario`]: serde reads the shape, this file checks the meaning and says where it is wrong.

use super::expect::Expectations;
use super::place::ScenarioError;
use super::{
    Class, Event, Group, MAX_CPUS, MAX_DEPTH, MAX_GROUP_QUEUES, MAX_TASKS, MAX_TICKETS, Periodic, Quota,
    Scenario, Step, Task, WHEN_WOKEN,
};
use crate::policy::PolicyKind;
use crate::span::{Span, duration};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use tombola_core::tickets::Nice;
use toml::Spanned;

type Text = Spanned<String>;
type Result<T> = std::result::Result<T, ScenarioError>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawScenario {
    name: String,
    #[serde(default)]
    about: String,
    cpus: Option<Spanned<i64>>,
    duration: Text,
    quantum: Option<Text>,
    switch_cost: Option<Text>,
    tick: Option<Text>,
    seed: Option<Spanned<i64>>,
    #[serde(default)]
    policies: Vec<Text>,
    #[serde(default)]
    group: Vec<RawGroup>,
    #[serde(default)]
    task: Vec<RawTask>,
    /// Read by its own file, from the spanned table.
    #[serde(default, rename = "expect")]
    _expect: serde::de::IgnoredAny,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawGroup {
    name: Text,
    parent: Option<Text>,
    weight: Option<Spanned<i64>>,
    quota: Option<Text>,
    period: Option<Text>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTask {
    name: Text,
    count: Option<Spanned<i64>>,
    group: Option<Text>,
    tickets: Option<Spanned<i64>>,
    nice: Option<Spanned<i64>>,
    weight: Option<Spanned<i64>>,
    class: Option<Text>,
    priority: Option<Spanned<i64>>,
    arrive: Option<Text>,
    cpus: Option<Spanned<Vec<i64>>>,
    run: Option<Text>,
    sleep: Option<Text>,
    phases: Option<Spanned<Vec<Spanned<RawStep>>>>,
    loops: Option<Spanned<i64>>,
    total: Option<Text>,
    period: Option<Text>,
    deadline: Option<Text>,
    reserve: Option<RawReserve>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawReserve {
    budget: Text,
    period: Text,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum RawStep {
    Run(String),
    Sleep(String),
    Until(Text),
    Wake(String),
    Wait(String),
    Lock(String),
    Unlock(String),
}

impl Scenario {
    /// Reads a scenario from TOML.
    ///
    /// # Errors
    /// [`ScenarioError`] with line and column when the text is no TOML, has an unknown or missing key, or means
    /// something that cannot be run.
    pub fn from_toml(text: &str) -> Result<Self> {
        let raw: RawScenario = toml::from_str(text).map_err(|e| syntax(text, &e))?;
        Reader { text }.scenario(raw)
    }
}

/// What the TOML reader complains about, with its place.
pub(super) fn syntax(text: &str, error: &toml::de::Error) -> ScenarioError {
    let message = error.message().to_owned();
    match error.span() {
        Some(span) => ScenarioError::at(text, &span, message),
        None => ScenarioError::whole(message),
    }
}

/// The text being read, for places.
struct Reader<'a> {
    text: &'a str,
}

/// Names that later entries refer to.
struct Names {
    groups: Vec<String>,
    tasks: Vec<String>,
    locks: Vec<String>,
    events: Vec<Event>,
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
        let counted: Vec<(String, u32)> = tasks.iter().map(|task| (task.name.clone(), task.count)).collect();
        let expect = Expectations::from_toml(self.text, &counted)?;
        Ok(Scenario {
            name: raw.name,
            about: raw.about,
            cpus,
            duration_ns: self.positive(&raw.duration, "duration")?,
            quantum_ns,
            switch_cost_ns: self.time_or(raw.switch_cost.as_ref(), 0)?,
            tick_ns: self.time_or(raw.tick.as_ref(), 0)?,
            seed: raw.seed.map_or(Ok(1), |n| self.number(&n, "seed", 0..=u64::MAX >> 1))?,
            policies,
            groups,
            tasks,
            locks: names.locks,
            events: names.events,
            expect,
        })
    }

    fn groups(&self, raw: &[RawGroup]) -> Result<Vec<Group>> {
        let mut by_name = BTreeMap::new();
        for (index, entry) in raw.iter().enumerate() {
            by_name.entry(entry.name.get_ref().as_str()).or_insert(index);
        }
        let index_of = |name: &str| by_name.get(name).copied();
        let mut groups = Vec::with_capacity(raw.len());
        for (index, entry) in raw.iter().enumerate() {
            let name = entry.name.get_ref().clone();
            if name.is_empty() {
                return self.fail(&entry.name.span(), "a group needs a name");
            }
            if index_of(&name) != Some(index) {
                return self.fail(&entry.name.span(), format!("there are two groups '{name}'"));
            }
            let parent = match &entry.parent {
                None => None,
                Some(parent) => match index_of(parent.get_ref()) {
                    Some(parent) => Some(parent),
                    None => return self.fail(&parent.span(), format!("no group '{}'", parent.get_ref())),
                },
            };
            let weight =
                entry.weight.as_ref().map_or(Ok(100), |w| self.number(w, "weight", 1..=MAX_TICKETS))?;
            let quota = match (&entry.quota, &entry.period) {
                (None, None) => None,
                (Some(quota), period) => Some(Quota {
                    quota_ns: self.positive(quota, "quota")?,
                    period_ns: period.as_ref().map_or(Ok(100_000_000), |p| self.positive(p, "period"))?,
                }),
                (None, Some(period)) => return self.fail(&period.span(), "a group's period needs a quota"),
            };
            groups.push(Group { name, parent, weight, quota });
        }
        for (index, entry) in raw.iter().enumerate() {
            let above = |group: &usize| groups[*group].parent;
            let ancestors = || std::iter::successors(groups[index].parent, above);
            if ancestors().nth(MAX_DEPTH - 1).is_none() {
                continue;
            }
            // Who is still not at the top after as many steps as there are groups is in a circle, or below one.
            let Some(other) = ancestors().nth(groups.len()) else {
                return self.fail(&entry.name.span(), format!("groups nest deeper than {MAX_DEPTH}"));
            };
            let inside =
                if ancestors().take(groups.len()).any(|group| group == index) { index } else { other };
            let message = format!("group '{}' is inside itself", groups[inside].name);
            return self.fail(&raw[inside].parent.as_ref().unwrap_or(&entry.name).span(), message);
        }
        Ok(groups)
    }

    /// That all groups together are no more than can be kept and summed.
    fn check_groups(&self, raw: &[RawGroup], groups: &[Group], cpus: u32) -> Result<()> {
        let queues = groups.len() as u64 * u64::from(cpus);
        if let (true, Some(last)) = (queues > MAX_GROUP_QUEUES, raw.last()) {
            let count = groups.len();
            let message =
                format!("{count} groups on {cpus} CPUs; groups times CPUs may be {MAX_GROUP_QUEUES}");
            return self.fail(&last.name.span(), message);
        }
        let mut weights = 0;
        for (entry, group) in raw.iter().zip(groups) {
            weights += group.weight; // the sum so far and this are 2^53 at most
            if weights > MAX_TICKETS {
                let message =
                    format!("the weights of all groups up to '{}' sum to more than 2^53", group.name);
                return self.fail(&entry.name.span(), message);
            }
        }
        Ok(())
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
            total_ns: raw.total.as_ref().map_or(Ok(0), |t| self.positive(t, "total"))?,
            periodic,
            reserve,
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

    fn steps(
        &self,
        raw: &RawTask,
        index: usize,
        periodic: Option<Periodic>,
        names: &mut Names,
    ) -> Result<Vec<Step>> {
        let mut steps = Vec::new();
        match (&raw.phases, &raw.run, &raw.sleep) {
            (Some(phases), None, None) => {
                for phase in phases.get_ref() {
                    steps.push(self.step(phase, index, names)?);
                }
                self.locks_pair(phases, &steps, names)?;
            }
            (None, run, sleep) => {
                match run {
                    Some(run) => steps.push(Step::Run(self.span(run.get_ref(), &run.span())?)),
                    None if periodic.is_some() => {
                        return self
                            .fail(&raw.name.span(), "a periodic task needs run: the CPU time of a job");
                    }
                    None => {}
                }
                if let Some(sleep) = sleep {
                    if run.is_none() {
                        return self
                            .fail(&sleep.span(), "sleep needs run: a task that only sleeps wants nothing");
                    }
                    steps.push(Step::Sleep(self.span(sleep.get_ref(), &sleep.span())?));
                }
            }
            (Some(_), Some(other), _) | (Some(_), _, Some(other)) => {
                return self.fail(&other.span(), "give phases, or run and sleep, not both");
            }
        }
        if let Some(Periodic { period_ns, .. }) = periodic {
            steps.push(Step::NextJob { period_ns });
        } else if steps.iter().all(|step| !matches!(step, Step::Sleep(_) | Step::Await { .. } | Step::Run(_)))
        {
            if raw.phases.is_some() {
                return self
                    .fail(&raw.name.span(), "the phases take no time: no run, sleep or wait among them");
            }
            steps.push(Step::Burn);
        }
        let idle = |step: &Step| match step {
            Step::Run(span) | Step::Sleep(span) => span.mean_ns() == 0,
            Step::Until(at) => *at == 0,
            Step::Burn | Step::NextJob { .. } | Step::Await { .. } => false,
            _ => true,
        };
        if steps.iter().all(idle) {
            return self.fail(
                &raw.name.span(),
                format!("task '{}' goes round without taking any time", raw.name.get_ref()),
            );
        }
        Ok(steps)
    }

    fn span(&self, text: &str, at: &Range<usize>) -> Result<Span> {
        Span::parse(text).or_else(|e| self.fail(at, e.to_string()))
    }

    fn step(&self, raw: &Spanned<RawStep>, index: usize, names: &mut Names) -> Result<Step> {
        let at = raw.span();
        let task = |name: &String, names: &Names| match names.tasks.iter().position(|t| t == name) {
            Some(task) => Ok(task),
            None => self.fail(&at, format!("no task '{name}'")),
        };
        Ok(match raw.get_ref() {
            RawStep::Run(text) => Step::Run(self.span(text, &at)?),
            RawStep::Sleep(text) => Step::Sleep(self.span(text, &at)?),
            RawStep::Until(text) => Step::Until(self.time(text)?),
            RawStep::Wake(name) => {
                let receiver = task(name, names)?;
                Step::Post { event: names.event(index, receiver), all: true }
            }
            RawStep::Wait(name) => {
                let sender = task(name, names)?;
                Step::Await { event: names.event(sender, index) }
            }
            RawStep::Lock(name) => Step::Lock(names.lock(name)),
            RawStep::Unlock(name) => Step::Unlock(names.lock(name)),
        })
    }

    /// A lock must be given back before the next round, and only by who holds it.
    fn locks_pair(
        &self,
        phases: &Spanned<Vec<Spanned<RawStep>>>,
        steps: &[Step],
        names: &Names,
    ) -> Result<()> {
        let mut held: Vec<(usize, Range<usize>)> = Vec::new();
        for (step, raw) in steps.iter().zip(phases.get_ref()) {
            match step {
                Step::Lock(lock) if held.iter().any(|(l, _)| l == lock) => {
                    let message = format!(
                        "lock '{}' is held already: the task would wait for itself",
                        names.locks[*lock]
                    );
                    return self.fail(&raw.span(), message);
                }
                Step::Lock(lock) => held.push((*lock, raw.span())),
                Step::Unlock(lock) => match held.iter().position(|(l, _)| l == lock) {
                    Some(at) => drop(held.remove(at)),
                    None => {
                        return self
                            .fail(&raw.span(), format!("lock '{}' is not held here", names.locks[*lock]));
                    }
                },
                _ => {}
            }
        }
        match held.first() {
            Some((lock, at)) => self.fail(at, format!("lock '{}' is never unlocked", names.locks[*lock])),
            None => Ok(()),
        }
    }

    /// Whoever waits must have somebody who wakes.
    fn check_waits(&self, raw: &[RawTask], tasks: &[Task], events: &[Event]) -> Result<()> {
        let mut posted = vec![false; events.len()];
        for step in tasks.iter().flat_map(|task| &task.steps) {
            if let Step::Post { event, .. } = step {
                posted[*event] = true;
            }
        }
        for (entry, task) in raw.iter().zip(tasks) {
            for (at, step) in task.steps.iter().enumerate() {
                let Step::Await { event } = step else { continue };
                if !posted[*event] {
                    let span = entry
                        .phases
                        .as_ref()
                        .and_then(|p| p.get_ref().get(at))
                        .map_or_else(|| entry.name.span(), Spanned::span);
                    let message =
                        format!("task '{}' waits for ever: {} never comes", task.name, events[*event].name);
                    return self.fail(&span, message);
                }
            }
        }
        Ok(())
    }
}

impl Names {
    fn lock(&mut self, name: &str) -> usize {
        self.locks.iter().position(|l| l == name).unwrap_or_else(|| {
            self.locks.push(name.to_owned());
            self.locks.len() - 1
        })
    }

    /// The event by which one task wakes another.
    fn event(&mut self, sender: usize, receiver: usize) -> usize {
        let name = format!("wake of '{}' by '{}'", self.tasks[receiver], self.tasks[sender]);
        self.events.iter().position(|e| e.name == name).unwrap_or_else(|| {
            self.events.push(Event { name, receiver: Some(receiver) });
            self.events.len() - 1
        })
    }
}

#[cfg(test)]
mod tests;
