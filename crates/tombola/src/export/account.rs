//! What has come together since the exporter began.

use super::slots::Slots;
use std::collections::BTreeMap;
use tombola_core::audit::{Audit, By, Row, Who};
use tombola_core::frame::Frame;
use tombola_core::histogram::Histogram;
use tombola_core::metric::{Value, audit};
use tombola_core::snapshot::{Group, Loss, Quota};
use tombola_core::window::Window;
use tombola_history::name::Naming;

/// Whom a series is about: name, namespace, pod, container; the last three empty where there is none.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Called {
    /// What people call the group.
    pub name: String,
    /// Kubernetes namespace.
    pub namespace: String,
    /// Pod.
    pub pod: String,
    /// Container.
    pub container: String,
}

impl Called {
    /// All groups without series of their own.
    pub fn other() -> Self {
        Self {
            name: "other".to_owned(),
            namespace: String::new(),
            pod: String::new(),
            container: String::new(),
        }
    }
}

/// A counter of groups that is a metric of the catalogue.
#[derive(Clone, Copy, Debug)]
pub struct Measured {
    /// Name of the series, without `tombola_` and the unit.
    pub name: &'static str,
    /// The cause, of a series that is told by cause.
    pub cause: Option<&'static str>,
    /// Key in the catalogue of what all causes are together: its meaning is the help.
    pub whole: &'static str,
    /// Key in the catalogue: a counter in ns.
    pub key: &'static str,
}

/// All of them; those of one series stand together.
pub const MEASURED: [Measured; 7] = [
    Measured::whole("cgroup_entitled", "entitled_ns"),
    Measured::whole("cgroup_received", "received_ns"),
    Measured::whole("cgroup_run", "runtime_ns"),
    Measured::wait("contention", "contention_ns"),
    Measured::wait("throttled", "throttled_ns"),
    Measured::wait("yielded", "yielded_ns"),
    Measured::wait("other", "other_wait_ns"),
];

impl Measured {
    const fn whole(name: &'static str, key: &'static str) -> Self {
        Self { name, cause: None, whole: key, key }
    }

    const fn wait(cause: &'static str, key: &'static str) -> Self {
        Self { name: "cgroup_wait", cause: Some(cause), whole: "wait_ns", key }
    }

    fn of(self, row: &Row) -> u64 {
        match audit::find(self.key).map(|metric| metric.value(row)) {
            Some(Value::Unsigned(ns)) => ns,
            _ => 0,
        }
    }
}

/// What a group got; durations in ns.
#[derive(Clone, Copy, Debug, Default)]
pub struct GroupSum {
    /// In the order of [`MEASURED`].
    pub measured: [u64; MEASURED.len()],
    /// Its run queues stood throttled.
    pub throttled_ns: u64,
    /// How often.
    pub throttles: u64,
    /// Its limit, as it is now.
    pub quota: Option<Quota>,
    /// Its weight among its siblings, as it is now; 0 of the others.
    pub weight: u64,
}

impl GroupSum {
    fn add(&mut self, more: Self) {
        for (sum, more) in self.measured.iter_mut().zip(more.measured) {
            *sum += more;
        }
        self.throttled_ns += more.throttled_ns;
        self.throttles += more.throttles;
        self.quota = more.quota;
        self.weight = more.weight;
    }
}

/// The whole machine; durations in ns.
#[derive(Clone, Debug, Default)]
pub struct MachineSum {
    /// Intervals measured.
    pub intervals: u64,
    /// End of the latest, µs since the Unix epoch.
    pub unix_us: u64,
    /// CPUs were there.
    pub wall_ns: u64,
    /// Listed tasks ran.
    pub tasks_ns: u64,
    /// Ended tasks without a row ran.
    pub unlisted_ns: u64,
    /// Idle.
    pub idle_ns: u64,
    /// Waits by length.
    pub waits: Histogram,
    /// All waits.
    pub wait_ns: u64,
    /// What was lost.
    pub loss: Loss,
    /// CPU time of the exporter.
    pub measuring_ns: u64,
}

/// Victim's and culprit's name.
pub type Pair = (String, String);

/// All sums.
#[derive(Debug)]
pub struct Account {
    /// By group.
    pub groups: Slots<Called, GroupSum>,
    /// Wait that culprits imposed on victims, ns.
    pub blocked: Slots<Pair, u64>,
    /// The machine.
    pub machine: MachineSum,
}

impl Account {
    /// With so many groups and so many pairs.
    pub fn new(most: usize) -> Self {
        Self { groups: Slots::new(most), blocked: Slots::new(most), machine: MachineSum::default() }
    }

    /// Adds an interval.
    pub fn add(&mut self, window: &Window, audit: &Audit, frame: &Frame, names: &mut impl Naming) {
        let machine = &mut self.machine;
        machine.intervals += 1;
        machine.unix_us = window.unix_us;
        machine.wall_ns += audit.books.wall_ns;
        machine.tasks_ns += audit.books.tasks_ns;
        machine.unlisted_ns += audit.books.unlisted_ns;
        machine.idle_ns += audit.books.idle_ns;
        machine.loss = window.loss_total;
        for line in &audit.lines {
            machine.waits.merge(&line.task.delta.waits);
            machine.wait_ns += line.task.delta.wait_ns;
        }
        let mut called = |group: Group| {
            let path = frame.groups.get(&group).map_or("unknown", String::as_str);
            let name = names.name(path);
            let text = |text: &Option<std::sync::Arc<str>>| text.as_deref().unwrap_or_default().to_owned();
            Called {
                name: name.display(path),
                namespace: text(&name.namespace),
                pod: text(&name.pod),
                container: text(&name.container),
            }
        };
        let mut groups: BTreeMap<Called, (f64, GroupSum)> = BTreeMap::new();
        for row in audit.rows(By::Group, |_| true) {
            let Who::Group(group) = row.who else { continue };
            let (activity, sum) = groups.entry(called(group)).or_default();
            *activity += (row.usage.runtime_ns + row.usage.wait_ns) as f64;
            sum.add(GroupSum { measured: MEASURED.map(|counter| counter.of(&row)), ..GroupSum::default() });
        }
        for group in &audit.groups {
            let key = called(group.totals.id);
            let is_throttled = group.throttled_ns > 0 || group.throttles > 0;
            if is_throttled || groups.contains_key(&key) {
                let (activity, sum) = groups.entry(key).or_default();
                *activity += group.throttled_ns as f64;
                sum.throttled_ns += group.throttled_ns;
                sum.throttles += group.throttles;
                sum.quota = group.totals.quota;
                sum.weight = group.totals.weight;
            }
        }
        self.groups.add(groups, GroupSum::add);
        self.groups.other.weight = 0;
        self.groups.other.quota = None;
        let mut pairs: BTreeMap<Pair, (f64, u64)> = BTreeMap::new();
        for (pair, imposed) in audit.imposed() {
            let names = (called(pair.victim).name, called(pair.culprit).name);
            let (activity, sum) = pairs.entry(names).or_default();
            *activity += imposed.imposed_wait_ns as f64;
            *sum += imposed.imposed_wait_ns;
        }
        self.blocked.add(pairs, |sum, more| *sum += more);
    }
}

#[cfg(test)]
mod tests {
    use super::{MEASURED, audit};
    use tombola_core::metric::{Kind, Unit};

    #[test]
    fn every_counter_of_groups_is_a_counter_of_the_catalogue_in_ns() {
        for counter in MEASURED {
            for key in [counter.key, counter.whole] {
                let metric = audit::find(key).unwrap_or_else(|| panic!("{key} is not in the catalogue"));
                assert_eq!((metric.kind, metric.unit), (Kind::Counter, Unit::Nanoseconds), "{key}");
            }
        }
    }
}
