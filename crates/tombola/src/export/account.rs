//! What has come together since the exporter began.

use super::slots::Slots;
use std::collections::BTreeMap;
use tombola_core::audit::{Audit, By, Waiting, Who};
use tombola_core::frame::Frame;
use tombola_core::histogram::Histogram;
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

/// What a group got; durations in ns.
#[derive(Clone, Copy, Debug, Default)]
pub struct GroupSum {
    /// Due.
    pub entitled_ns: u64,
    /// Got, of what was divided.
    pub received_ns: u64,
    /// On a CPU.
    pub run_ns: u64,
    /// Runnable without a CPU.
    pub waiting: Waiting,
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
        self.entitled_ns += more.entitled_ns;
        self.received_ns += more.received_ns;
        self.run_ns += more.run_ns;
        self.waiting.merge(&more.waiting);
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
            let account = row.account.unwrap_or_default();
            let (activity, sum) = groups.entry(called(group)).or_default();
            *activity += (row.usage.runtime_ns + row.usage.wait_ns) as f64;
            sum.add(GroupSum {
                entitled_ns: account.entitled_ns,
                received_ns: account.received_ns,
                run_ns: row.usage.runtime_ns,
                waiting: row.waiting,
                ..GroupSum::default()
            });
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
