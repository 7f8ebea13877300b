//! A thread whose CPUs, group or policy change from phase to phase: a task for each part, which the one
//! before it wakes.

use super::attributes::SETTINGS;
use super::text::Object;
use super::{Importer, Result};
use crate::scenario::{EventKind, Step, Task, WHEN_WOKEN};

/// What is known of such a thread.
pub(super) struct Thread {
    pub(super) name: String,
    /// Of its first task among those of the scenario.
    pub(super) index: usize,
    pub(super) arrive_ns: u64,
    /// As of a [`Task`].
    pub(super) loops: u64,
    pub(super) again: usize,
    pub(super) steps: Vec<Step>,
    /// Where the steps of each phase begin.
    pub(super) begins: Vec<usize>,
}

impl Importer {
    /// Whether a thread whose settings change can be divided into tasks: what it holds, waits for, or is
    /// called by others it must not take along.
    pub(super) fn divides(
        &mut self,
        parts: &[(usize, Object)],
        phases: &[(String, &Object)],
        steps: &[Step],
    ) -> bool {
        let is_simple = |step: &Step| matches!(step, Step::Run(_) | Step::Sleep(_));
        if self.instances == 1 && steps.iter().all(is_simple) {
            return true;
        }
        for two in parts.windows(2) {
            let changed = |key: &&&str| two[0].1.get(key) != two[1].1.get(key);
            for key in SETTINGS.iter().filter(changed) {
                self.unsupported.push(format!(
                    "{}: {key} that changes between phases, but where one thread only runs and sleeps",
                    phases[two[1].0].0
                ));
            }
        }
        false
    }

    /// The tasks of a thread; `parts` are the first phase and the settings of each.
    pub(super) fn in_parts(
        &mut self,
        thread: &Thread,
        parts: &[(usize, Object)],
        phases: &[(String, &Object)],
    ) -> Result<Vec<Task>> {
        let whole = &thread.name;
        self.notes.push(format!(
            "{whole}: what changes between phases makes {} tasks of it, each woken by the one before",
            parts.len()
        ));
        let mut tasks = Vec::with_capacity(parts.len());
        for (part, (from, settings)) in parts.iter().enumerate() {
            let begin = thread.begins[*from];
            let end = parts.get(part + 1).map_or(thread.steps.len(), |(next, _)| thread.begins[*next]);
            let mut event_of = |part: usize| {
                let receiver = EventKind::Receiver(thread.index + part);
                self.event_of(format!("part {} of '{whole}'", part + 1), receiver)
            };
            let mut steps = thread.steps[begin..end].to_vec();
            let is_endless = thread.again > 0 && end == thread.steps.len();
            if !is_endless {
                steps.push(Step::Post { event: event_of((part + 1) % parts.len()), all: true });
            }
            // The first comes by itself and waits for the last at the end of its round.
            let at = if part == 0 { steps.len() } else { 0 };
            steps.insert(at, Step::Await { event: event_of(part) });
            let again = if is_endless { 1 + thread.again - begin } else { 0 };
            // With its full stop.
            let phase = phases[*from].0.strip_prefix(&self.task).unwrap_or_default();
            let task = Self::plain(format!("{whole}{phase}"), steps, thread.loops, again);
            let arrive_ns = if part == 0 { thread.arrive_ns } else { WHEN_WOKEN };
            tasks.push(self.with_settings(whole, settings, Task { arrive_ns, ..task })?);
        }
        Ok(tasks)
    }
}
