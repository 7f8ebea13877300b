//! A replayed scenario as the text that [`Scenario::from_toml`] reads.

use std::fmt::Write;
use tombola_lab::scenario::{Class, EventKind, Scenario, Step, WHEN_WOKEN};
use tombola_lab::span::Span;

/// The text. Of steps those that a demand is made of: locks, periods and random lengths do not occur there.
pub(crate) fn text(scenario: &Scenario) -> String {
    let quoted = |text: &str| toml::Value::String(text.to_owned()).to_string();
    let mut text = format!(
        "name = {}\nabout = {}\ncpus = {}\nduration = \"{}ns\"\nquantum = \"{}ns\"\n",
        quoted(&scenario.name),
        quoted(&scenario.about),
        scenario.cpus,
        scenario.duration_ns,
        scenario.quantum_ns
    );
    if !scenario.policies.is_empty() {
        let _ = writeln!(text, "policies = {:?}", scenario.policies);
    }
    if scenario.tick_ns > 0 {
        let _ = writeln!(text, "tick = \"{}ns\"", scenario.tick_ns);
    }
    for group in &scenario.groups {
        let _ = writeln!(text, "\n[[group]]\nname = {}\nweight = {}", quoted(&group.name), group.weight);
        if let Some(parent) = group.parent {
            let _ = writeln!(text, "parent = {}", quoted(&scenario.groups[parent].name));
        }
        if let Some(quota) = group.quota {
            let _ = writeln!(text, "quota = \"{}ns\"\nperiod = \"{}ns\"", quota.quota_ns, quota.period_ns);
        }
    }
    let senders = senders(scenario);
    for task in &scenario.tasks {
        let _ = writeln!(text, "\n[[task]]\nname = {}\nweight = {}", quoted(&task.name), task.tickets);
        if let Some(group) = task.group {
            let _ = writeln!(text, "group = {}", quoted(&scenario.groups[group].name));
        }
        match task.class {
            Class::Fair => {}
            Class::Fifo => text += "class = \"fifo\"\n",
            Class::RoundRobin => text += "class = \"rr\"\n",
        }
        if task.priority > 0 {
            let _ = writeln!(text, "priority = {}", task.priority);
        }
        if let Some(cpus) = &task.cpus {
            let _ = writeln!(text, "cpus = {cpus:?}");
        }
        match task.arrive_ns {
            0 => {}
            WHEN_WOKEN => text += "arrive = \"woken\"\n",
            ns => {
                let _ = writeln!(text, "arrive = \"{ns}ns\"");
            }
        }
        if matches!(task.steps[..], [Step::Burn]) {
            continue; // a task without phases burns
        }
        text += "loops = 1\nphases = [\n";
        for step in &task.steps {
            let _ = match step {
                Step::Run(span) => writeln!(text, "  {{ run = \"{}ns\" }},", fixed(*span)),
                // Longer than whatever is simulated.
                Step::Burn => writeln!(text, "  {{ run = \"{}ns\" }},", scenario.duration_ns),
                Step::Sleep(span) => writeln!(text, "  {{ sleep = \"{}ns\" }},", fixed(*span)),
                Step::Until(at) => writeln!(text, "  {{ until = \"{at}ns\" }},"),
                Step::Post { event, .. } => {
                    let EventKind::Receiver(receiver) = scenario.events[*event].kind else { continue };
                    writeln!(text, "  {{ wake = {} }},", quoted(&scenario.tasks[receiver].name))
                }
                Step::Await { event } => {
                    writeln!(text, "  {{ wait = {} }},", quoted(&scenario.tasks[senders[*event]].name))
                }
                Step::NextJob { .. } | Step::NextArrival(_) | Step::Lock(_) | Step::Unlock(_) => Ok(()),
            };
        }
        text += "]\n";
    }
    text
}

fn fixed(span: Span) -> u64 {
    span.mean_ns()
}

/// Who posts each event.
fn senders(scenario: &Scenario) -> Vec<usize> {
    let mut senders = vec![0; scenario.events.len()];
    for (sender, task) in scenario.tasks.iter().enumerate() {
        for step in &task.steps {
            if let Step::Post { event, .. } = step {
                senders[*event] = sender;
            }
        }
    }
    senders
}
