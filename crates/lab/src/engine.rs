//! The discrete-event engine: time, CPUs, phases, locks, slices.
//!
//! One queue holds at most one event for each CPU (end of slice or phase), task (arrival, wakeup), policy
//! timer, and two for each group (a new period, quota used up), ordered by (time, sequence number): memory
//! does not depend on how long is simulated. All events of an instant happen before the CPUs that need it
//! choose again, in CPU order; so at equal times a task that wakes stands before one whose slice ends, and
//! arrivals at one instant come in order of declaration.

mod agenda;
mod ahead;
mod awaited;
mod bandwidth;
mod fluid;
mod lane;
mod program;
mod tracing;

use super::lag::LagBook;
use super::machine::{CpuIx, Machine, TaskIx, TaskPlace, stream};
use super::measure::Meter;
use super::policy::{Arrival, Departure, Pick, Policy, PolicyKind};
use super::scenario::{EventKind, Scenario, Step, Task, WHEN_WOKEN};
use super::trace::{Tracer, Turn};
use agenda::Agenda;
use ahead::Ahead;
use bandwidth::Bandwidth;
use fluid::Fluid;
use program::{Body, Lock, Outcome};
use std::collections::VecDeque;
use thiserror::Error;

/// A simulation that cannot go on.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SimError {
    /// Nothing can happen any more, and tasks are still blocked.
    #[error("deadlock at {at_ns} ns: {}", blocked.join("; "))]
    Deadlock {
        /// When the last thing happened.
        at_ns: u64,
        /// Who waits for what (the first few).
        blocked: Vec<String>,
    },
    /// Tasks go on without time passing.
    #[error("no time passes any more at {at_ns} ns: task '{task}' goes round without running or sleeping")]
    NoProgress {
        /// The instant.
        at_ns: u64,
        /// The task that took the last step.
        task: String,
    },
}

/// Why it cannot go on, in one word: what succeeds has no room to be made for it.
type Halt = Box<SimError>;

/// Steps that may be taken at one instant, besides 64 for each task.
const STEPS_MOST: u64 = 1_000_000;

/// One stretch of a task on a CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slice {
    /// When it began.
    pub from_ns: u64,
    /// On which CPU.
    pub cpu: CpuIx,
    /// Who ran.
    pub task: TaskIx,
    /// For how long.
    pub ran_ns: u64,
    /// Why it ended.
    pub why: Departure,
}

/// Receives each slice when it ends.
pub type Observer<'a> = Box<dyn FnMut(&Slice) + Send + 'a>;

/// A simulation under way.
pub struct Simulation<'a> {
    pub(super) scenario: &'a Scenario,
    pub(super) machine: Machine,
    pub(super) policy: Box<dyn Policy>,
    bodies: Vec<Body>,
    ahead: Ahead,
    locks: Vec<Lock>,
    /// Tokens of each event that counts posts: by instance of the receiver, or one number.
    tokens: Vec<Vec<u64>>,
    /// Tasks waiting for each event that has no receiver of its own.
    waiters: Vec<VecDeque<TaskIx>>,
    /// First instance of each entry.
    first: Vec<TaskIx>,
    /// Latest release of each timer of a task that has several; empty where none has.
    timers: Vec<Vec<u64>>,
    agenda: Agenda,
    groups: Vec<Bandwidth>,
    /// CPUs that must choose, descending.
    due: Vec<CpuIx>,
    idle_cpus: usize,
    /// Somebody was enqueued since idle CPUs last looked.
    arrived: bool,
    /// Steps taken at the present instant.
    steps_now: u64,
    living: usize,
    pub(super) meter: Meter,
    /// When statistics began.
    pub(super) from_ns: u64,
    pub(super) lag: Option<LagBook>,
    /// Present when everybody runs at once.
    fluid: Option<Fluid>,
    observer: Option<Observer<'a>>,
    pub(super) tracer: Option<Tracer<'a>>,
    error: Option<SimError>,
    /// Instants after which a CPU idled although a task waited that may run there.
    #[cfg(test)]
    pub(super) idled: u64,
}

impl<'a> Simulation<'a> {
    /// A simulation at time 0. Run `run` of a seed is always the same; demand does not depend on the policy.
    pub fn new(scenario: &'a Scenario, policy: PolicyKind, seed: u64, run: u32) -> Self {
        let machine = Machine::new(scenario, seed, run);
        let is_fluid = policy == PolicyKind::Fluid;
        let policy = super::policy::build(policy, &machine, scenario);
        let mut simulation = Self::with_policy(scenario, policy, machine, seed, run);
        if is_fluid {
            simulation.fluid = Some(Fluid::new(simulation.bodies.len()));
            simulation.track_entitlement();
        }
        simulation
    }

    /// The same with a policy of the caller's own, made from the machine it will serve.
    pub fn custom(
        scenario: &'a Scenario,
        seed: u64,
        run: u32,
        build: impl FnOnce(&Machine) -> Box<dyn Policy>,
    ) -> Self {
        let machine = Machine::new(scenario, seed, run);
        let policy = build(&machine);
        Self::with_policy(scenario, policy, machine, seed, run)
    }

    fn with_policy(
        scenario: &'a Scenario,
        policy: Box<dyn Policy>,
        machine: Machine,
        seed: u64,
        run: u32,
    ) -> Self {
        let (n, m) = (machine.tasks.len(), machine.cpus.len());
        let mut first = Vec::with_capacity(scenario.tasks.len());
        let mut bodies = Vec::with_capacity(n);
        for task in &scenario.tasks {
            first.push(bodies.len());
            let random = task.steps.iter().any(Step::is_random);
            for _ in 0..task.count {
                let number = u32::try_from(bodies.len() + 1).unwrap_or(u32::MAX);
                bodies.push(Body::new(task, random.then(|| Box::new(stream(seed, run, number)))));
            }
        }
        let mut simulation = Self {
            scenario,
            machine,
            policy,
            ahead: Ahead::new(&scenario.tasks, bodies.len()),
            bodies,
            locks: vec![Lock::default(); scenario.locks.len()],
            tokens: scenario
                .events
                .iter()
                .map(|e| match e.kind {
                    EventKind::Receiver(task) => vec![0; scenario.tasks[task].count as usize],
                    EventKind::Semaphore => vec![0],
                    EventKind::Condition | EventKind::Barrier(_) => Vec::new(),
                })
                .collect(),
            waiters: vec![VecDeque::new(); scenario.events.len()],
            first,
            timers: timers(scenario),
            agenda: Agenda::new(m + 2 * n + 2 * scenario.groups.len()),
            groups: vec![Bandwidth::default(); scenario.groups.len()],
            due: Vec::with_capacity(m),
            idle_cpus: m,
            arrived: false,
            steps_now: 0,
            living: n,
            meter: Meter::new(scenario),
            from_ns: 0,
            lag: None,
            fluid: None,
            observer: None,
            tracer: None,
            error: None,
            #[cfg(test)]
            idled: 0,
        };
        for task in 0..n {
            let at = scenario.tasks[simulation.machine.tasks[task].entry].arrive_ns;
            if at != WHEN_WOKEN {
                simulation.schedule(m + task, at);
            }
        }
        for (index, group) in scenario.groups.iter().enumerate() {
            if let Some(quota) = group.quota {
                simulation.groups[index].left_ns = quota.quota_ns;
                simulation.schedule(m + n + index, quota.period_ns);
            }
        }
        simulation
    }

    /// Events set so far: a measure of the work done.
    pub(super) fn events_scheduled(&self) -> u64 {
        self.agenda.count()
    }

    /// Tells every slice to `observer` when it ends.
    pub fn observe(&mut self, observer: Observer<'a>) {
        self.observer = Some(observer);
    }

    /// Also works out what every task is entitled to, and its lag. Costs a division among all runnable tasks
    /// whenever their set is one that has not been seen lately.
    ///
    /// To be called before time moves.
    pub fn track_entitlement(&mut self) {
        if self.lag.is_some() {
            return;
        }
        self.lag = Some(LagBook::new(self.scenario, &self.machine));
    }

    /// The present, nanoseconds since the simulation began.
    pub fn now_ns(&self) -> u64 {
        self.machine.now_ns
    }

    /// Runs until `until_ns`, events at that instant included. Slices under way are charged up to it and go
    /// on.
    ///
    /// # Errors
    /// [`SimError`]; the simulation stays where it failed, and says so again when asked again.
    pub fn run_until(&mut self, until_ns: u64) -> Result<(), SimError> {
        if let Some(error) = &self.error {
            return Err(error.clone());
        }
        let outcome = self.advance_to(until_ns);
        outcome.map_err(|error| {
            self.error = Some(SimError::clone(&error));
            *error
        })
    }

    /// Time goes on to an instant at which something happens.
    #[inline]
    fn pass_to(&mut self, at: u64) {
        if let Some(lag) = &mut self.lag {
            lag.renew(&self.machine);
        }
        if self.fluid.is_some() {
            self.flow(at);
        }
        self.machine.now_ns = at;
        self.steps_now = 0;
    }

    fn advance_to(&mut self, until_ns: u64) -> Result<(), Halt> {
        while let Some(at) = self.agenda.next_at().filter(|at| *at <= until_ns)
            && let Some(slot) = self.agenda.pop()
        {
            if at > self.machine.now_ns {
                self.pass_to(at);
            }
            let over = if slot < self.machine.cpus.len() {
                self.cpu_timer(slot)?
            } else {
                self.happen(slot)?;
                None
            };
            // Everything of this instant first, then the choices it calls for.
            if self.agenda.next_at().is_none_or(|next| next > at) {
                self.choose(over)?;
            } else if let Some(cpu) = over {
                self.mark_due(cpu);
            }
        }
        self.check_deadlock()?;
        if let Some(lag) = &mut self.lag {
            lag.renew(&self.machine);
        }
        if self.fluid.is_some() {
            self.flow(until_ns.max(self.machine.now_ns));
        }
        self.machine.now_ns = self.machine.now_ns.max(until_ns);
        self.settle();
        Ok(())
    }

    /// Forgets what was measured so far: statistics begin now. What is under way (a wait, a phase, a job)
    /// counts whole when it ends; who is ahead or behind of its entitlement begins even.
    pub fn begin_statistics(&mut self) {
        self.settle();
        self.meter.restart();
        if let Some(lag) = &mut self.lag {
            lag.restart();
        }
        self.from_ns = self.machine.now_ns;
    }

    /// Books everything up to now.
    fn settle(&mut self) {
        for cpu in 0..self.machine.cpus.len() {
            self.book(cpu);
        }
        if let Some(lag) = &mut self.lag {
            lag.settle(self.machine.now_ns, &self.meter.tallies);
        }
    }

    fn set_runnable(&mut self, task: TaskIx, runnable: bool) {
        if self.lag.is_some() {
            self.settle();
            if let Some(lag) = &mut self.lag {
                lag.set_runnable(&self.machine, task, runnable);
            }
        }
    }

    #[inline]
    fn schedule(&mut self, slot: usize, at_ns: u64) {
        self.agenda.set(slot, at_ns);
    }

    /// What is not of a CPU.
    fn happen(&mut self, slot: usize) -> Result<(), Halt> {
        let (m, n, g) = (self.machine.cpus.len(), self.bodies.len(), self.groups.len());
        if slot < m + n {
            let task = slot - m;
            if self.fluid.is_some() && self.machine.tasks[task].place == TaskPlace::Queued {
                return self.fluid_timer(task);
            }
            let arrival = if self.bodies[task].born { Arrival::Woken } else { Arrival::New };
            self.wake(task, arrival, None);
        } else if slot < m + n + g {
            self.refill(slot - m - n);
        } else if slot >= m + 2 * n + g {
            self.runs_dry(slot - m - 2 * n - g);
        } else {
            let task = slot - m - n - g;
            self.policy.timer(&mut self.machine, task);
            self.arrived = true;
            self.take_timers();
        }
        Ok(())
    }

    #[inline]
    fn enqueue(&mut self, task: TaskIx, why: Arrival) {
        self.machine.tasks[task].place = TaskPlace::Queued;
        if let Some(fluid) = &mut self.fluid {
            fluid.arrive(task);
            self.meter.starts_at_once(task);
            return;
        }
        self.policy.enqueue(&mut self.machine, task, why);
        self.came(why);
    }

    /// Somebody came to the run queue.
    #[inline]
    fn came(&mut self, why: Arrival) {
        self.take_timers();
        // On a single CPU the end of a slice brings nobody whom the choice that follows does not see.
        self.arrived |= why != Arrival::Expired || self.machine.cpus.len() > 1;
    }

    #[inline]
    fn take_timers(&mut self) {
        while let Some((task, at)) = self.machine.timers.pop() {
            let slot = self.machine.cpus.len() + self.bodies.len() + self.groups.len() + task;
            self.schedule(slot, at);
        }
    }

    #[inline]
    fn count_step(&mut self, task: TaskIx) -> Result<(), Halt> {
        self.steps_now += 1;
        if self.steps_now > STEPS_MOST { self.check_steps(task) } else { Ok(()) }
    }

    #[cold]
    fn check_steps(&self, task: TaskIx) -> Result<(), Halt> {
        if self.steps_now > STEPS_MOST + 64 * self.bodies.len() as u64 {
            return Err(SimError::NoProgress { at_ns: self.machine.now_ns, task: self.name(task) }.into());
        }
        Ok(())
    }

    /// Nothing to come, nobody running, somebody blocked: it will stay so.
    fn check_deadlock(&self) -> Result<(), Halt> {
        let (m, n, g) = (self.machine.cpus.len(), self.bodies.len(), self.groups.len());
        if self.living == 0 || self.idle_cpus < m {
            return Ok(());
        }
        let is_refill = |slot: usize| (m + n..m + n + g).contains(&slot);
        if self.agenda.slots().any(|slot| !is_refill(slot))
            || self.groups.iter().any(|g| !g.parked.is_empty())
        {
            return Ok(());
        }
        let blocked: Vec<String> = (0..n).filter_map(|task| self.blocked_on(task)).take(8).collect();
        if blocked.is_empty() {
            return Ok(());
        }
        Err(SimError::Deadlock { at_ns: self.machine.now_ns, blocked }.into())
    }

    /// The entry of the scenario a task is an instance of.
    fn entry(&self, task: TaskIx) -> &'a Task {
        &self.scenario.tasks[self.machine.tasks[task].entry]
    }

    /// Name of a task instance.
    pub fn name(&self, task: TaskIx) -> String {
        let entry = self.machine.tasks[task].entry;
        let instance = u32::try_from(task - self.first[entry]).unwrap_or(0);
        self.scenario.tasks[entry].instance_name(instance)
    }

    /// Whether a task has come, and perhaps gone.
    pub(super) fn has_come(&self, task: TaskIx) -> bool {
        self.bodies[task].born
    }

    /// Whether everybody runs at once.
    pub(super) fn is_fluid(&self) -> bool {
        self.fluid.is_some()
    }

    /// When a task came.
    pub(super) fn born_ns(&self, task: TaskIx) -> u64 {
        self.bodies[task].born_ns
    }

    /// Ends the simulation: slices under way end here for the observer.
    pub fn finish(&mut self) {
        self.settle();
        for cpu in 0..self.machine.cpus.len() {
            let view = self.machine.cpus[cpu];
            if let (Some(task), Some(observer)) = (view.task, &mut self.observer) {
                let ran_ns = view.booked_ns - view.since_ns;
                if ran_ns > 0 {
                    observer(&Slice { from_ns: view.since_ns, cpu, task, ran_ns, why: Departure::Horizon });
                }
            }
        }
    }
}

/// The timers of all instances.
fn timers(scenario: &Scenario) -> Vec<Vec<u64>> {
    if scenario.tasks.iter().all(|task| task.timers() < 2) {
        return Vec::new();
    }
    let own = |task: &Task| if task.timers() < 2 { Vec::new() } else { vec![task.arrive_ns; task.timers()] };
    scenario.tasks.iter().flat_map(|task| vec![own(task); task.count as usize]).collect()
}

#[cfg(test)]
mod tests;
