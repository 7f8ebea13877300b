//! What a policy may know: the simulated machine at one instant.

use crate::scenario::{Class, Periodic, Quota, Scenario};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// Index of a task instance, in order of declaration.
pub type TaskIx = usize;
/// Number of a CPU.
pub type CpuIx = usize;

/// The machine a policy decides for.
#[derive(Debug)]
pub struct Machine {
    pub(super) now_ns: u64,
    /// Slice that the scenario asks for.
    pub quantum_ns: u64,
    /// Ends of slices are seen at multiples of this; 0 = at once.
    pub tick_ns: u64,
    /// The policy's own source of chance. Demand has others, so every policy meets the same demand.
    pub rng: ChaCha8Rng,
    pub(super) tasks: Vec<TaskView>,
    pub(super) cpus: Vec<CpuView>,
    pub(super) groups: Vec<GroupView>,
    /// CPUs of each affinity class.
    classes: Vec<Vec<CpuIx>>,
    /// Affinity classes each CPU may serve.
    served: Vec<Vec<usize>>,
    /// Timers the policy asked for since the engine last looked.
    pub(super) timers: Vec<(TaskIx, u64)>,
}

/// A task as a policy sees it. What changes stands first, in one cache line.
#[derive(Clone, Debug)]
#[repr(C, align(64))]
pub struct TaskView {
    /// CPU time its current run still needs, as of the last time it was charged; `u64::MAX` = for ever.
    pub left_ns: u64,
    /// Where it is now.
    pub place: TaskPlace,
    /// CPU it ran on last.
    pub last_cpu: Option<CpuIx>,
    /// CPU time after which it ends, as of the last time it was charged; `u64::MAX` = never.
    pub total_left_ns: u64,
    /// Affinity class: tasks of one class may use the same CPUs.
    pub class: usize,
    /// Whether the step it is at is a run whose length stands in `left_ns`.
    pub(super) at_run: bool,
    /// Release of its current job (or its latest wakeup).
    pub release_ns: u64,
    /// Absolute deadline of its current job; `u64::MAX` without one.
    pub deadline_ns: u64,
    /// CPU time the runs of its current phase after this one need; `u64::MAX` = for ever.
    pub rest_ns: u64,
    /// Entry of the scenario it is an instance of.
    pub entry: usize,
    /// Tickets in its group's currency.
    pub tickets: u64,
    /// Tickets in one common currency, for policies without groups: what `tickets` are worth when every task
    /// of the scenario is runnable. Equal to `tickets` in a scenario without groups.
    pub flat_tickets: u64,
    /// The group it is in.
    pub group: Option<usize>,
    /// Fixed priority, 0 (none) … 99.
    pub priority: u8,
    /// Scheduling class.
    pub scheduling: Class,
    /// Period and deadline, for real-time tasks.
    pub periodic: Option<Periodic>,
    /// Its server, for tasks with one.
    pub reserve: Option<Quota>,
}

impl TaskView {
    /// Takes from what it needs what it has worked.
    #[inline]
    pub(super) fn worked(&mut self, work_ns: u64) {
        if self.left_ns != u64::MAX {
            self.left_ns = self.left_ns.saturating_sub(work_ns);
        }
        if self.total_left_ns != u64::MAX {
            self.total_left_ns = self.total_left_ns.saturating_sub(work_ns);
        }
    }
}

/// Where a task is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskPlace {
    /// Wants nothing: not yet come, asleep, blocked, ended.
    Away,
    /// Runnable, without a CPU.
    Queued,
    /// On this CPU.
    On(CpuIx),
}

/// A CPU as a policy sees it.
#[derive(Clone, Copy, Debug, Default)]
pub struct CpuView {
    /// What it runs.
    pub task: Option<TaskIx>,
    /// When the present slice began.
    pub since_ns: u64,
    /// When the present slice begins to do work: after the switch.
    pub(super) work_ns: u64,
    /// Until when its task is charged for the present slice.
    pub(super) booked_ns: u64,
    /// When its slice ends; `u64::MAX` = never.
    pub slice_end_ns: u64,
    /// Who ran here last, where a switch costs something.
    pub(super) last: Option<TaskIx>,
    /// It must choose, and stands among those that must.
    pub(super) due: bool,
}

/// A group as a policy sees it.
#[derive(Clone, Copy, Debug)]
pub struct GroupView {
    /// The group it is in.
    pub parent: Option<usize>,
    /// Tickets of the parent that back it.
    pub weight: u64,
    /// Its bandwidth bound, kept by the engine.
    pub quota: Option<Quota>,
}

impl Machine {
    pub(super) fn new(scenario: &Scenario, seed: u64, run: u32) -> Self {
        let mut classes: Vec<Vec<CpuIx>> = Vec::new();
        let mut tasks = Vec::with_capacity(scenario.instances());
        let flat = flat_tickets(scenario);
        for (entry, task) in scenario.tasks.iter().enumerate() {
            let allowed: Vec<CpuIx> = match &task.cpus {
                Some(cpus) => cpus.iter().map(|c| *c as usize).collect(),
                None => (0..scenario.cpus as usize).collect(),
            };
            let class = classes.iter().position(|c| *c == allowed).unwrap_or_else(|| {
                classes.push(allowed);
                classes.len() - 1
            });
            let view = TaskView {
                entry,
                class,
                tickets: task.tickets,
                flat_tickets: flat[entry],
                group: task.group,
                priority: task.priority,
                scheduling: task.class,
                periodic: task.periodic,
                reserve: task.reserve,
                release_ns: task.arrive_ns,
                deadline_ns: u64::MAX,
                at_run: false,
                left_ns: 0,
                rest_ns: 0,
                total_left_ns: if task.total_ns == 0 { u64::MAX } else { task.total_ns },
                last_cpu: None,
                place: TaskPlace::Away,
            };
            tasks.extend(std::iter::repeat_n(view, task.count as usize));
        }
        let served = (0..scenario.cpus as usize)
            .map(|cpu| (0..classes.len()).filter(|class| classes[*class].contains(&cpu)).collect())
            .collect();
        Self {
            now_ns: 0,
            quantum_ns: scenario.quantum_ns,
            tick_ns: scenario.tick_ns,
            rng: stream(seed, run, 0),
            tasks,
            cpus: vec![CpuView::default(); scenario.cpus as usize],
            groups: scenario
                .groups
                .iter()
                .map(|g| GroupView { parent: g.parent, weight: g.weight, quota: g.quota })
                .collect(),
            classes,
            served,
            timers: Vec::new(),
        }
    }

    /// The present, nanoseconds since the simulation began.
    pub fn now_ns(&self) -> u64 {
        self.now_ns
    }

    /// All task instances.
    pub fn tasks(&self) -> &[TaskView] {
        &self.tasks
    }

    /// All CPUs.
    pub fn cpus(&self) -> &[CpuView] {
        &self.cpus
    }

    /// All groups.
    pub fn groups(&self) -> &[GroupView] {
        &self.groups
    }

    /// Number of affinity classes.
    pub fn class_count(&self) -> usize {
        self.classes.len()
    }

    /// CPUs that tasks of an affinity class may use, ascending.
    pub fn class_cpus(&self, class: usize) -> &[CpuIx] {
        &self.classes[class]
    }

    /// Affinity classes a CPU may serve, ascending.
    pub fn classes_of(&self, cpu: CpuIx) -> &[usize] {
        &self.served[cpu]
    }

    /// The policy's source of chance, and the affinity classes a CPU may serve: both at once, to draw among
    /// them.
    pub fn rng_and_classes(&mut self, cpu: CpuIx) -> (&mut ChaCha8Rng, &[usize]) {
        (&mut self.rng, &self.served[cpu])
    }

    /// Whether a task may use a CPU.
    pub fn allows(&self, task: TaskIx, cpu: CpuIx) -> bool {
        self.classes[self.tasks[task].class].binary_search(&cpu).is_ok()
    }

    /// How long the present slice of a CPU has lasted.
    pub fn ran_ns(&self, cpu: CpuIx) -> u64 {
        self.now_ns - self.cpus[cpu].since_ns
    }

    /// CPU time the present phase of a task still needs, until it sleeps, waits or ends; `u64::MAX` = for
    /// ever. Random lengths are those drawn, of the first 64 runs of a phase, and the mean beyond.
    pub fn left_ns(&self, task: TaskIx) -> u64 {
        let view = &self.tasks[task];
        let left_ns = view.left_ns.saturating_add(view.rest_ns).min(view.total_left_ns);
        match view.place {
            TaskPlace::On(cpu) if left_ns != u64::MAX => {
                left_ns.saturating_sub(self.now_ns.saturating_sub(self.cpus[cpu].work_ns))
            }
            _ => left_ns,
        }
    }

    /// Asks for [`Policy::timer`](super::policy::Policy::timer) with this task at a time not before now. A
    /// task has one timer: a later call moves it.
    pub fn set_timer(&mut self, task: TaskIx, at_ns: u64) {
        self.timers.push((task, at_ns.max(self.now_ns)));
    }
}

/// One of the independent streams of a run: 0 is the policy's, i + 1 belongs to task i.
pub(super) fn stream(seed: u64, run: u32, number: u32) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(u64::from(run) << 32 | u64::from(number));
    rng
}

/// Tickets of each entry in one common currency: product of its part of every group on the way up, scaled by
/// 2³².
fn flat_tickets(scenario: &Scenario) -> Vec<u64> {
    if scenario.groups.is_empty() {
        return scenario.tasks.iter().map(|t| t.tickets).collect();
    }
    let mut issued = vec![0u64; scenario.groups.len()];
    let mut populated = vec![false; scenario.groups.len()];
    for task in &scenario.tasks {
        let mut at = task.group;
        if let Some(group) = at {
            issued[group] += task.tickets * u64::from(task.count);
        }
        while let Some(group) = at {
            populated[group] = true;
            at = scenario.groups[group].parent;
        }
    }
    for (index, group) in scenario.groups.iter().enumerate() {
        if let (true, Some(parent)) = (populated[index], group.parent) {
            issued[parent] += group.weight;
        }
    }
    let base: u64 = scenario
        .groups
        .iter()
        .zip(&populated)
        .filter(|(g, populated)| g.parent.is_none() && **populated)
        .map(|(g, _)| g.weight)
        .chain(scenario.tasks.iter().filter(|t| t.group.is_none()).map(|t| t.tickets * u64::from(t.count)))
        .sum();
    scenario
        .tasks
        .iter()
        .map(|task| {
            let mut value = task.tickets as f64;
            let mut at = task.group;
            while let Some(group) = at {
                value *= scenario.groups[group].weight as f64 / issued[group] as f64;
                at = scenario.groups[group].parent;
            }
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // 0 < value ≤ base
            let scaled = (value / base as f64 * 4_294_967_296.0 + 0.5) as u64;
            scaled.max(1)
        })
        .collect()
}
