//! What of a scenario has no counterpart in the kernel's scheduler, by name and place.

use super::cgroups::weights;
use crate::text::harmless;
use anyhow::{Result, bail};
use tombola_lab::scenario::{Class, Scenario, Step, Task};

/// Most threads: as many as `workload` takes.
const MOST_THREADS: usize = 1024;

/// Most tickets of a task of the scheduler.
const MOST_TICKETS: u64 = 1 << 20;

/// Refuses what cannot be rehearsed on so many CPUs.
pub(super) fn check(scenario: &Scenario, cpus: usize) -> Result<()> {
    if scenario.cpus as usize > cpus {
        bail!("it has {} CPUs, and this process may use {cpus}", scenario.cpus);
    }
    if scenario.instances() > MOST_THREADS {
        bail!("it has {} tasks; at most {MOST_THREADS} threads are started", scenario.instances());
    }
    for group in &scenario.groups {
        if group.quota.is_some() {
            let name = harmless(group.name.as_bytes());
            bail!("group '{name}' has a quota, and the scheduler knows none");
        }
    }
    weights(scenario)?;
    for task in &scenario.tasks {
        if let Some(what) = unknown(task) {
            bail!("task '{}' has {what}, which the scheduler does not know", harmless(task.name.as_bytes()));
        }
        for (number, step) in task.steps.iter().enumerate() {
            let what = match step {
                Step::Run(_) | Step::Burn | Step::Sleep(_) | Step::Until(_) => continue,
                Step::NextJob { .. } => "waits for a period",
                Step::NextArrival(_) => "waits for an arrival",
                Step::Post { .. } => "wakes others",
                Step::Await { .. } => "waits for others",
                Step::Lock(_) => "takes a lock",
                Step::Unlock(_) => "gives a lock back",
            };
            let name = harmless(task.name.as_bytes());
            bail!("step {} of task '{name}' {what}: only run, sleep and until can be acted out", number + 1);
        }
        if task.tickets > MOST_TICKETS {
            let name = harmless(task.name.as_bytes());
            bail!("task '{name}' has {} tickets; the scheduler takes 1 to {MOST_TICKETS}", task.tickets);
        }
    }
    Ok(())
}

fn unknown(task: &Task) -> Option<&'static str> {
    if task.periodic.is_some() {
        Some("a period and deadline")
    } else if task.reserve.is_some() {
        Some("a reserve")
    } else if task.class != Class::Fair {
        Some("a real-time class")
    } else {
        None
    }
}
