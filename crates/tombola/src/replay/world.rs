//! The demand of a recording as a scenario of the lab.

use crate::text::harmless;
use std::collections::{BTreeMap, HashMap};
use tombola_core::snapshot::Group;
use tombola_core::tickets::Nice;
use tombola_lab::scenario::expect::Expectations;
use tombola_lab::scenario::tuning::Tuning;
use tombola_lab::scenario::{self, Class, MAX_CPUS, Scenario, Task, WHEN_WOKEN};
use tombola_lab::span::Span;
use tombola_recording::capabilities::Header;
use tombola_recording::demand::{Begin, Demand, End, Step, TaskDemand, Wait};
use tombola_recording::simulated::UNDER;

/// The machine on which a demand is replayed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Machine {
    /// CPUs that the recording's header tells, if it does.
    pub(crate) cpus: Option<u32>,
    /// Slice of policies that have none of their own, ns.
    pub(crate) quantum_ns: u64,
    /// Slices end at multiples of this, ns; 0 = at once.
    pub(crate) tick_ns: u64,
}

impl Machine {
    /// The one that a recording tells, with a quantum of 10 ms and, unless it was simulated, a tick of 4 ms
    /// (`CONFIG_HZ` 250).
    pub(crate) fn of(header: &Header) -> Self {
        let is_simulated = header.first_format().starts_with(UNDER);
        Self { cpus: header.cpus, quantum_ns: 10_000_000, tick_ns: if is_simulated { 0 } else { 4_000_000 } }
    }
}

/// A scenario made of a demand.
pub(crate) struct World {
    pub(crate) scenario: Scenario,
    /// Which task of the demand each task of the scenario is.
    pub(crate) of: Vec<usize>,
    /// Tasks of a class above the fair one.
    pub(crate) above_fair: usize,
}

/// Makes it. Tasks that did nothing have no part in it.
pub(crate) fn world(demand: &Demand, machine: Machine, name: &str) -> World {
    let cpus = machine.cpus.unwrap_or(0).max(demand.cpus).clamp(1, MAX_CPUS);
    let does = |task: &TaskDemand| !task.steps.is_empty() || matches!(task.end, End::Wants { .. });
    let of: Vec<usize> = (0..demand.tasks.len()).filter(|index| does(&demand.tasks[*index])).collect();
    let place: HashMap<usize, usize> = of.iter().enumerate().map(|(entry, index)| (*index, entry)).collect();
    let names = names(demand, &of);
    let (groups, group_of) = groups(demand);
    let mut events = Events { names: &names, known: HashMap::new(), all: Vec::new() };
    let mut above_fair = 0;
    let tasks = of.iter().enumerate().map(|(entry, index)| {
        let told = &demand.tasks[*index];
        let (class, priority, tickets, nice) = weight(told);
        above_fair += usize::from(
            class != Class::Fair
                || told.attributes.policy == Some(6)
                || told.attributes.prio.is_some_and(|p| p < 0),
        );
        let mut steps = Vec::with_capacity(told.steps.len() + 2);
        let mut arrive_ns = match told.begin {
            Begin::At(at) => at,
            Begin::Woken(_) => WHEN_WOKEN,
        };
        if let Begin::Woken(by) = told.begin {
            match place.get(&by) {
                Some(by) => steps.push(scenario::Step::Await { event: events.of(*by, entry) }),
                None => arrive_ns = 0,
            }
        }
        for step in &told.steps {
            steps.push(match *step {
                Step::Run(ns) => scenario::Step::Run(Span::Fixed(ns)),
                Step::Wake(to) => match place.get(&(to as usize)) {
                    Some(to) => scenario::Step::Post { event: events.of(entry, *to), all: true },
                    None => continue,
                },
                Step::Wait(Wait::Task(by)) => match place.get(&(by as usize)) {
                    Some(by) => scenario::Step::Await { event: events.of(*by, entry) },
                    None => continue,
                },
                Step::Wait(Wait::Timer(at) | Wait::Unknown(at)) => scenario::Step::Until(at),
                Step::Wait(Wait::Pause(ns) | Wait::Device(ns)) => scenario::Step::Sleep(Span::Fixed(ns)),
            });
        }
        match told.end {
            End::Wants { more_ns: None } => steps.push(scenario::Step::Burn),
            End::Wants { more_ns: Some(ns) } => steps.push(scenario::Step::Run(Span::Fixed(ns))),
            End::Ended | End::Waits => {}
        }
        let allowed = told
            .attributes
            .affinity
            .as_ref()
            .map(|set| set.iter().filter(|cpu| *cpu < cpus).collect::<Vec<u32>>());
        Task {
            name: names[entry].clone(),
            count: 1,
            group: told.attributes.group.and_then(|group| group_of.get(&group)).copied(),
            tickets,
            nice,
            class,
            priority,
            arrive_ns,
            cpus: allowed.filter(|allowed| !allowed.is_empty() && allowed.len() < cpus as usize),
            steps,
            loops: 1,
            again: 0,
            total_ns: 0,
            periodic: None,
            reserve: None,
            request_ns: 0,
        }
    });
    let tasks = tasks.collect();
    let scenario = Scenario {
        name: name.to_owned(),
        about: "The demand of a recording: bursts, wakes, timers and pauses as they were.".to_owned(),
        cpus,
        duration_ns: demand.span_ns.max(1),
        warm_up_ns: 0,
        quantum_ns: machine.quantum_ns,
        switch_cost_ns: 0, // what switches cost is in the recorded bursts
        tick_ns: machine.tick_ns,
        seed: 1,
        policies: Vec::new(),
        tuning: Tuning::default(),
        groups,
        tasks,
        locks: Vec::new(),
        events: events.all,
        expect: Expectations::default(),
    };
    World { scenario, of, above_fair }
}

/// Names that differ: a thread's own, with its id where others have it too.
fn names(demand: &Demand, of: &[usize]) -> Vec<String> {
    let own = |index: &usize| harmless(&demand.tasks[*index].attributes.comm);
    let mut count: BTreeMap<String, usize> = BTreeMap::new();
    for index in of {
        *count.entry(own(index)).or_default() += 1;
    }
    let mut taken: BTreeMap<String, usize> = BTreeMap::new();
    of.iter()
        .map(|index| {
            let name = own(index);
            let is_alone = !name.is_empty() && count.get(&name) == Some(&1);
            let name = if is_alone { name } else { format!("{name}:{}", demand.tasks[*index].id.pid) };
            let uses = taken.entry(name.clone()).or_default();
            *uses += 1;
            if *uses == 1 { name } else { format!("{name}#{uses}") }
        })
        .collect()
}

/// Groups that compete inside the root, and where each is.
fn groups(demand: &Demand) -> (Vec<scenario::Group>, HashMap<Group, usize>) {
    let inner: Vec<_> = demand.groups.iter().filter(|(group, _)| group.parent.is_some()).collect();
    let place: HashMap<Group, usize> =
        inner.iter().enumerate().map(|(n, (group, _))| (group.id, n)).collect();
    let groups = inner.iter().enumerate().map(|(n, (group, name))| scenario::Group {
        name: name.as_ref().map_or_else(|| format!("group {n}"), |name| harmless(name.as_bytes())),
        parent: group.parent.and_then(|parent| place.get(&parent)).copied().filter(|parent| *parent != n),
        weight: group.weight.max(1),
        quota: group
            .quota
            .filter(|quota| quota.quota_ns > 0 && quota.period_ns > 0)
            .map(|quota| scenario::Quota { quota_ns: quota.quota_ns, period_ns: quota.period_ns }),
    });
    let mut groups: Vec<scenario::Group> = groups.collect();
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for group in &mut groups {
        let uses = seen.entry(group.name.clone()).or_default();
        *uses += 1;
        if *uses > 1 {
            group.name = format!("{}#{uses}", group.name);
        }
    }
    // A file that was tampered with may have groups inside themselves: these stand at the top.
    for n in 0..groups.len() {
        let above = std::iter::successors(groups[n].parent, |group| groups[*group].parent);
        if above.take(groups.len() + 1).count() > groups.len().min(scenario::MAX_DEPTH - 1) {
            groups[n].parent = None;
        }
    }
    (groups, place)
}

/// Class, fixed priority, tickets and nice value: as told, or by the priority.
fn weight(told: &TaskDemand) -> (Class, u8, u64, Nice) {
    let prio = told.attributes.prio.unwrap_or(120);
    let class = match (told.attributes.policy, prio) {
        (Some(1), _) | (None, 0..100) => Class::Fifo,
        (Some(2), _) => Class::RoundRobin,
        _ => Class::Fair,
    };
    let nice = Nice::new(i64::from(prio.clamp(100, 139)) - 120).unwrap_or_default();
    if class != Class::Fair || prio < 0 || told.attributes.policy == Some(6) {
        // Only policies with fixed priorities know the class; to the others such a task is the heaviest there
        // is.
        let most = Nice::new(-20).unwrap_or_default();
        return (class, u8::try_from((99 - prio).clamp(1, 99)).unwrap_or(99), u64::from(most.weight()), nice);
    }
    (class, 0, u64::from(told.attributes.weight.unwrap_or_else(|| nice.weight()).max(1)), nice)
}

/// Who wakes whom.
struct Events<'a> {
    names: &'a [String],
    known: HashMap<(usize, usize), usize>,
    all: Vec<scenario::Event>,
}

impl Events<'_> {
    fn of(&mut self, by: usize, to: usize) -> usize {
        *self.known.entry((by, to)).or_insert_with(|| {
            let name = format!("wake of '{}' by '{}'", self.names[to], self.names[by]);
            self.all.push(scenario::Event { name, kind: scenario::EventKind::Receiver(to) });
            self.all.len() - 1
        })
    }
}
