//! A simulated world: a scenario under one scheduler, from its beginning to its end.

use std::collections::BTreeMap;
use std::error::Error;
use std::time::Duration;
use tombola_core::frame::{Frame, Machine};
use tombola_core::snapshot::Group;
use tombola_core::source::{Origin, Source};
use tombola_lab::engine::Simulation;
use tombola_lab::policy::PolicyKind;
use tombola_lab::scenario::Scenario;

/// The first run of a scenario.
pub struct Simulated {
    simulation: Simulation<'static>,
    duration_ns: u64,
    groups: BTreeMap<Group, String>,
    machine: Machine,
    is_over: bool,
}

impl Simulated {
    /// The first run of `scenario` with this seed.
    pub fn new(scenario: Scenario, policy: PolicyKind, seed: u64) -> Self {
        let names = scenario.groups.iter().map(|group| format!("/{}", group.name));
        let groups = std::iter::once("/".to_owned()).chain(names);
        // The simulator numbers them so: 1 is the root, and then as they are declared.
        let groups = (1..).map(Group::Cgroup).zip(groups).collect();
        let machine = Machine {
            host: format!("scenario {}", scenario.name),
            release: format!("under {policy}"),
            ..Machine::default()
        };
        let duration_ns = scenario.duration_ns;
        // A simulation borrows its scenario. A process looks at one simulated world, as long as it lives.
        let scenario: &'static Scenario = Box::leak(Box::new(scenario));
        let simulation = Simulation::new(scenario, policy, seed, 0);
        Self { simulation, duration_ns, groups, machine, is_over: false }
    }
}

impl Source for Simulated {
    fn origin(&self) -> Origin {
        Origin::Simulated
    }

    fn next(&mut self, interval: Option<Duration>) -> Result<Option<Frame>, Box<dyn Error + Send + Sync>> {
        if self.is_over {
            return Ok(None);
        }
        let step_ns =
            interval.and_then(|interval| u64::try_from(interval.as_nanos()).ok()).unwrap_or(u64::MAX);
        let until_ns = self.simulation.now_ns().saturating_add(step_ns).min(self.duration_ns);
        self.simulation.run_until(until_ns)?;
        self.is_over = until_ns == self.duration_ns;
        let machine = self.machine.clone();
        Ok(Some(Frame { machine, ..Frame::new(self.simulation.snapshot(), self.groups.clone()) }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tombola_lab::library;

    #[test]
    fn frames_go_from_the_beginning_to_the_end_of_the_scenario() {
        let scenario = Scenario::from_toml(library::find("three-burners").unwrap().text).unwrap();
        let duration_ns = scenario.duration_ns;
        let cpus = u64::from(scenario.cpus);
        let mut source = Simulated::new(scenario, PolicyKind::Stride, 1);
        let mut instants = Vec::new();
        while let Some(frame) = source.next(Some(Duration::from_secs(7))).unwrap() {
            let ran: u64 = frame.snapshot.tasks.iter().map(|task| task.usage.runtime_ns).sum();
            let idle: u64 = frame.snapshot.cpus.iter().map(|cpu| cpu.idle_ns).sum();
            assert_eq!(ran + idle, frame.snapshot.taken_ns * cpus, "the books balance");
            instants.push(frame.snapshot.taken_ns);
        }
        assert_eq!(instants.last(), Some(&duration_ns));
        assert!(instants[..instants.len() - 1].iter().zip(1..).all(|(at, n)| *at == n * 7_000_000_000));
        assert!(source.next(None).unwrap().is_none());
    }
}
