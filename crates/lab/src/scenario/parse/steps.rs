//! What a task does: its phases, and whom they name.

use super::names::Names;
use super::shape::{RawStep, RawTask};
use super::{Reader, Result};
use crate::scenario::{Event, Periodic, Step, Task};
use crate::span::Span;
use std::ops::Range;
use toml::Spanned;

impl Reader<'_> {
    pub(super) fn steps(
        &self,
        raw: &RawTask,
        index: usize,
        periodic: Option<Periodic>,
        names: &mut Names,
    ) -> Result<Vec<Step>> {
        let every = raw.every.as_ref().map(|every| self.every(every, raw)).transpose()?;
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
                    None if periodic.is_some() || every.is_some() => {
                        return self
                            .fail(&raw.name.span(), "a task with jobs needs run: the CPU time of a job");
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
            steps.push(Step::NextJob { period_ns, timer: 0, skips: false });
        } else if let Some(every) = every {
            steps.push(Step::NextArrival(every));
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
            Step::Burn | Step::NextJob { .. } | Step::NextArrival(_) | Step::Await { .. } => false,
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

    /// The distance of a task's arrivals.
    fn every(&self, every: &Spanned<String>, raw: &RawTask) -> Result<Span> {
        if let Some(period) = &raw.period {
            return self.fail(&period.span(), "give every or period, not both");
        }
        match self.span(every.get_ref(), &every.span())? {
            span if span.mean_ns() == 0 => self.fail(&every.span(), "every is 0; it must be above 0"),
            span => Ok(span),
        }
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
    pub(super) fn check_waits(&self, raw: &[RawTask], tasks: &[Task], events: &[Event]) -> Result<()> {
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
