//! What tasks do: their way through the steps of the scenario.

use super::awaited::{self, Blocked};
use super::{Arrival, Halt, SimError, Simulation, Task, TaskIx, TaskPlace, Turn};
use crate::scenario::{EventKind, Step};
use crate::span::Span;
use rand_chacha::ChaCha8Rng;
use std::collections::VecDeque;

/// Where a task is in its program.
#[derive(Clone, Debug)]
#[repr(align(64))]
pub(super) struct Body {
    /// Index of the step it is at.
    at: usize,
    /// Passes through the steps that it has finished.
    rounds: u64,
    /// The length of the run it comes to next is drawn already.
    drawn: bool,
    /// It has come.
    pub(super) born: bool,
    /// When it came; of one that has not, when it is to.
    pub(super) born_ns: u64,
    ended: bool,
    blocked: Blocked,
    /// When its present phase or job began.
    ready_ns: u64,
    /// Whether its releases are those of its own period.
    is_paced: bool,
    /// Whether its jobs arrive by themselves.
    is_open: bool,
    rng: Option<Box<ChaCha8Rng>>,
}

/// A lock, and who wants it in order of coming.
#[derive(Clone, Debug, Default)]
pub(super) struct Lock {
    holder: Option<TaskIx>,
    waiters: VecDeque<TaskIx>,
}

/// How a task's steps left it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It needs the CPU.
    Runs,
    /// It waits for something.
    Blocked,
    /// It is over.
    Ended,
}

impl Step {
    /// Whether a length in it is drawn at random.
    pub(super) fn is_random(&self) -> bool {
        matches!(self, Self::Run(span) | Self::Sleep(span) | Self::NextArrival(span) if span.is_random())
    }
}

impl Body {
    pub(super) fn new(task: &Task, rng: Option<Box<ChaCha8Rng>>) -> Self {
        let is_open = task.steps.iter().any(|s| matches!(s, Step::NextArrival(_)));
        let is_paced = is_open || task.steps.iter().any(|s| matches!(s, Step::NextJob { .. }));
        let (at, blocked) = awaited::at_start(task);
        Self {
            at,
            rounds: 0,
            drawn: false,
            born: false,
            born_ns: task.arrive_ns,
            ended: false,
            blocked,
            ready_ns: task.arrive_ns,
            is_paced,
            is_open,
            rng,
        }
    }

    pub(super) fn draw(&mut self, span: Span) -> u64 {
        match (span, &mut self.rng) {
            (Span::Fixed(ns), _) => ns,
            (span, Some(rng)) => span.sample(rng),
            (span, None) => span.mean_ns(),
        }
    }
}

impl Simulation<'_> {
    /// Takes all steps that need no time, until the task must run, wait or end.
    pub(super) fn step(&mut self, task: TaskIx) -> Result<Outcome, Halt> {
        let steps = &self.entry(task).steps;
        let entry = self.machine.tasks[task].entry;
        loop {
            self.count_step(task)?;
            let now = self.machine.now_ns;
            let is_last = self.is_last(task);
            let body = &mut self.bodies[task];
            if body.at == steps.len() {
                let Task { again, loops, .. } = self.scenario.tasks[entry];
                body.at = again;
                body.rounds += 1;
                if loops > 0 && self.bodies[task].rounds >= loops {
                    return Ok(self.end(task));
                }
                continue;
            }
            match steps[body.at] {
                Step::Burn => {
                    let view = &mut self.machine.tasks[task];
                    (view.left_ns, view.at_run) = (u64::MAX, true);
                    return Ok(Outcome::Runs);
                }
                Step::Run(span) => {
                    if !std::mem::take(&mut body.drawn) {
                        let at = body.at;
                        self.machine.tasks[task].left_ns = if self.ahead.has_several(entry) {
                            self.next_length(task, at)
                        } else {
                            self.bodies[task].draw(span)
                        };
                    }
                    let view = &mut self.machine.tasks[task];
                    if view.left_ns > 0 {
                        view.at_run = true;
                        return Ok(Outcome::Runs);
                    }
                    self.bodies[task].at += 1;
                }
                Step::Until(at) if at < now && !is_last => body.at += 1,
                Step::Sleep(_) | Step::Until(_) | Step::NextJob { .. } | Step::NextArrival(_) if is_last => {
                    return Ok(self.end(task));
                }
                step @ (Step::Sleep(_) | Step::Until(_)) => {
                    let at = match step {
                        Step::Sleep(span) => now.saturating_add(body.draw(span)),
                        Step::Until(at) => at,
                        _ => now,
                    };
                    body.at += 1;
                    body.blocked = Blocked::Timer;
                    self.phase_done(task);
                    let slot = self.machine.cpus.len() + task;
                    self.schedule(slot, at);
                    return Ok(Outcome::Blocked);
                }
                step @ (Step::NextJob { .. } | Step::NextArrival(_)) => {
                    body.at += 1;
                    if let Some(at) = self.next_job(task, step) {
                        self.bodies[task].blocked = Blocked::Timer;
                        let slot = self.machine.cpus.len() + task;
                        self.schedule(slot, at);
                        return Ok(Outcome::Blocked);
                    }
                }
                Step::Post { event, all } => {
                    body.at += 1;
                    self.post(event, all, task);
                }
                Step::Await { event } => {
                    body.at += 1;
                    if !self.takes_token(event, task) {
                        self.bodies[task].blocked = Blocked::Event(event);
                        self.phase_done(task);
                        return Ok(Outcome::Blocked);
                    }
                }
                Step::Lock(lock) => {
                    body.at += 1;
                    if self.locks[lock].holder.is_none() {
                        self.locks[lock].holder = Some(task);
                    } else {
                        body.blocked = Blocked::Lock(lock);
                        self.locks[lock].waiters.push_back(task);
                        return Ok(Outcome::Blocked);
                    }
                }
                Step::Unlock(lock) => {
                    body.at += 1;
                    self.unlock(lock, task);
                }
            }
        }
    }

    /// A job ends; when the task is to be woken for the next, or `None` where that begins at once because a
    /// release was skipped.
    fn next_job(&mut self, task: TaskIx, step: Step) -> Option<u64> {
        let now = self.machine.now_ns;
        let (distance_ns, timer, skips) = match step {
            Step::NextJob { period_ns, timer, skips } => (period_ns, timer, skips),
            Step::NextArrival(span) => (self.bodies[task].draw(span), 0, false),
            _ => (0, 0, false),
        };
        self.complete(task);
        let periodic = self.entry(task).periodic;
        let view = &mut self.machine.tasks[task];
        let own = self.timers.get_mut(task).and_then(|timers| timers.get_mut(timer));
        let last_ns = own.as_deref().map_or(view.release_ns, |ns| *ns);
        let due_ns = last_ns.saturating_add(distance_ns);
        let is_skipped = skips && due_ns <= now;
        view.release_ns = if is_skipped { now } else { due_ns };
        if let Some(own) = own {
            *own = view.release_ns;
        }
        if is_skipped {
            self.bodies[task].ready_ns = now;
            view.deadline_ns = periodic.map_or(u64::MAX, |periodic| now.saturating_add(periodic.deadline_ns));
            return None;
        }
        Some(due_ns.max(now))
    }

    /// The run a task was in is over, or all CPU time it may ever have.
    pub(super) fn finish_run(&mut self, task: TaskIx) -> Result<Outcome, Halt> {
        if self.machine.tasks[task].total_left_ns == 0 {
            return Ok(self.end(task));
        }
        self.machine.tasks[task].at_run = false;
        self.bodies[task].at += 1;
        self.step(task)
    }

    /// What blocking calls for once the task is off its CPU: whom it waits for gets its tickets.
    pub(super) fn after_block(&mut self, task: TaskIx) -> Result<(), Halt> {
        let Blocked::Lock(lock) = self.bodies[task].blocked else { return Ok(()) };
        if self.bodies[task].ended {
            return Ok(());
        }
        let Some(holder) = self.locks[lock].holder else { return Ok(()) };
        let mut at = holder;
        while let (TaskPlace::Away, Blocked::Lock(next)) =
            (self.machine.tasks[at].place, self.bodies[at].blocked)
        {
            let Some(next_holder) = self.locks[next].holder else { break };
            if next_holder == task {
                let blocked = [task, at].iter().filter_map(|t| self.blocked_on(*t)).collect();
                return Err(SimError::Deadlock { at_ns: self.machine.now_ns, blocked }.into());
            }
            at = next_holder;
        }
        if self.fluid.is_none() {
            self.policy.lend(&mut self.machine, task, holder);
        }
        Ok(())
    }

    /// A task wants the CPU again, because `by` did something, or its time has come.
    pub(super) fn wake(&mut self, task: TaskIx, why: Arrival, by: Option<TaskIx>) {
        let now = self.machine.now_ns;
        if !self.bodies[task].born {
            self.bodies[task].born_ns = now;
            self.tell_born(task);
        }
        self.tell(|at_ns| Turn::Woken { at_ns, task, by });
        let entry = self.entry(task);
        let body = &mut self.bodies[task];
        let view = &mut self.machine.tasks[task];
        body.born = true;
        if let Some(periodic) = entry.periodic {
            if body.blocked == Blocked::Timer {
                view.deadline_ns = view.release_ns.saturating_add(periodic.deadline_ns);
                body.ready_ns = view.release_ns;
            }
        } else if !matches!(body.blocked, Blocked::Lock(_)) {
            body.ready_ns =
                if body.is_open && body.blocked == Blocked::Timer { view.release_ns } else { now };
            if !body.is_paced {
                view.release_ns = now;
            }
        }
        // The next run is drawn ahead so that policies that look at lengths see it.
        let several = self.ahead.has_several(view.entry);
        if several && !matches!(body.blocked, Blocked::Lock(_)) {
            self.ahead.forget(task);
            view.rest_ns = 0;
        }
        let (mut at, mut coming) = (body.at, None);
        while let Some(step) = entry.steps.get(if at == entry.steps.len() { entry.again } else { at }) {
            match step {
                Step::Run(_) if !body.drawn && several => {
                    body.drawn = true;
                    coming = Some(at);
                }
                Step::Run(span) if !body.drawn => {
                    view.left_ns = body.draw(*span);
                    body.drawn = true;
                }
                Step::Burn => view.left_ns = u64::MAX,
                Step::Lock(_) | Step::Unlock(_) | Step::Post { .. } if at < entry.steps.len() => {
                    at += 1;
                    continue;
                }
                _ => {}
            }
            break;
        }
        body.blocked = Blocked::Timer;
        view.at_run = false;
        if let Some(at) = coming {
            let length = self.next_length(task, at);
            self.machine.tasks[task].left_ns = length;
        }
        self.meter.wakes(task, now);
        self.set_runnable(task, true);
        if !self.groups.is_empty()
            && let Some(group) = self.throttling(task)
        {
            self.groups[group].parked.push(task);
            return;
        }
        self.enqueue(task, why);
    }

    fn token_of(&self, event: usize, task: TaskIx) -> Option<usize> {
        match self.scenario.events[event].kind {
            EventKind::Receiver(entry) => Some(task - self.first[entry]),
            EventKind::Semaphore => Some(0),
            EventKind::Condition | EventKind::Barrier(_) => None,
        }
    }

    /// A task comes to an event; whether it goes on at once.
    fn takes_token(&mut self, event: usize, task: TaskIx) -> bool {
        if let Some(instance) = self.token_of(event, task) {
            let token = &mut self.tokens[event][instance];
            if *token > 0 {
                *token -= 1;
                return true;
            }
        }
        if self.completes_barrier(event) {
            self.post(event, true, task);
            return true;
        }
        if !matches!(self.scenario.events[event].kind, EventKind::Receiver(_)) {
            self.waiters[event].push_back(task);
        }
        false
    }

    /// Whether an event is a barrier for which one task more is enough.
    fn completes_barrier(&self, event: usize) -> bool {
        match self.scenario.events[event].kind {
            EventKind::Barrier(tasks) => self.waiters[event].len() as u64 + 1 >= tasks,
            _ => false,
        }
    }

    fn post(&mut self, event: usize, all: bool, by: TaskIx) {
        let kind = self.scenario.events[event].kind;
        if let EventKind::Receiver(entry) = kind {
            for instance in 0..self.tokens[event].len() {
                let task = self.first[entry] + instance;
                let waits = (self.bodies[task].born || self.is_awaited(task))
                    && !self.bodies[task].ended
                    && self.machine.tasks[task].place == TaskPlace::Away
                    && self.bodies[task].blocked == Blocked::Event(event);
                if waits {
                    let why = if self.bodies[task].born { Arrival::Woken } else { Arrival::New };
                    self.wake(task, why, Some(by));
                } else {
                    self.tokens[event][instance] = self.tokens[event][instance].saturating_add(1);
                }
            }
        } else if kind == EventKind::Semaphore && self.waiters[event].is_empty() {
            self.tokens[event][0] += 1;
        } else {
            let count = if all { self.waiters[event].len() } else { 1 };
            for _ in 0..count {
                if let Some(task) = self.waiters[event].pop_front() {
                    self.wake(task, Arrival::Woken, Some(by));
                }
            }
        }
    }

    fn unlock(&mut self, lock: usize, task: TaskIx) {
        if self.locks[lock].holder != Some(task) {
            return;
        }
        self.locks[lock].holder = None;
        let waiting: Vec<TaskIx> = self.locks[lock].waiters.iter().copied().collect();
        if waiting.is_empty() {
            return;
        }
        for waiter in &waiting {
            self.policy.give_back(&mut self.machine, *waiter, task);
        }
        let chosen = self.policy.next_holder(&mut self.machine, &waiting).min(waiting.len() - 1);
        let heir = waiting[chosen];
        self.locks[lock].waiters.remove(chosen);
        self.locks[lock].holder = Some(heir);
        for waiter in waiting.iter().filter(|w| **w != heir) {
            self.policy.lend(&mut self.machine, *waiter, heir);
        }
        self.wake(heir, Arrival::Woken, Some(task));
    }

    fn end(&mut self, task: TaskIx) -> Outcome {
        self.complete(task);
        for lock in 0..self.locks.len() {
            self.unlock(lock, task);
        }
        self.bodies[task].ended = true;
        self.living -= 1;
        self.meter.ended(task, self.machine.now_ns);
        Outcome::Ended
    }

    /// Whether a task is at the last step of its last round.
    fn is_last(&self, task: TaskIx) -> bool {
        let (body, entry) = (&self.bodies[task], self.entry(task));
        entry.loops > 0 && body.rounds + 1 >= entry.loops && body.at + 1 == entry.steps.len()
    }

    /// A task blocks: it has answered what woke it, unless it is in the middle of a job.
    fn phase_done(&mut self, task: TaskIx) {
        if self.entry(task).periodic.is_none() && !self.bodies[task].is_open {
            self.complete(task);
        }
    }

    /// A phase or job is done.
    fn complete(&mut self, task: TaskIx) {
        let view = &mut self.machine.tasks[task];
        let deadline = std::mem::replace(&mut view.deadline_ns, u64::MAX);
        self.meter.completed(task, self.bodies[task].ready_ns, deadline, self.machine.now_ns);
    }

    /// Whether a task that is away has a wakeup to come.
    pub(super) fn wakes_at(&self, task: TaskIx) -> bool {
        self.bodies[task].blocked == Blocked::Timer
    }

    /// When the present phase or job of a task began.
    pub(crate) fn ready_ns(&self, task: TaskIx) -> u64 {
        self.bodies[task].ready_ns
    }

    /// Passes through its steps that a task has yet to finish; `None` = for ever.
    pub(crate) fn rounds_left(&self, task: TaskIx) -> Option<u64> {
        let loops = self.entry(task).loops;
        (loops > 0).then(|| loops - self.bodies[task].rounds.min(loops))
    }

    /// Whether a task without jobs is in a phase that will be complete one day: it wants the CPU, is set
    /// aside for the bandwidth of its group, or waits for a lock; and it sleeps, waits or ends at some time.
    pub(crate) fn is_in_phase(&self, task: TaskIx, parked: bool) -> bool {
        let (body, entry) = (&self.bodies[task], self.entry(task));
        let away = self.machine.tasks[task].place == TaskPlace::Away && !parked;
        body.born
            && !body.ended
            && (!away || matches!(body.blocked, Blocked::Lock(_)))
            && (!entry.is_burner() || entry.loops > 0 || entry.total_ns > 0)
    }

    /// What a blocked task waits for, if a living task could still give it.
    pub(super) fn blocked_on(&self, task: TaskIx) -> Option<String> {
        let body = &self.bodies[task];
        if body.ended || !body.born || self.machine.tasks[task].place != TaskPlace::Away {
            return None;
        }
        match body.blocked {
            Blocked::Timer => None,
            Blocked::Lock(lock) => {
                let holder = self.locks[lock].holder?;
                let name = &self.scenario.locks[lock];
                Some(format!("'{}' waits for lock '{name}' of '{}'", self.name(task), self.name(holder)))
            }
            Blocked::Event(event) => {
                let is_barrier = matches!(self.scenario.events[event].kind, EventKind::Barrier(_));
                let posts = |t: &Task| {
                    t.steps.iter().any(|s| match s {
                        Step::Post { event: e, .. } => *e == event,
                        Step::Await { event: e } => is_barrier && *e == event,
                        _ => false,
                    })
                };
                let may = |t: TaskIx| !(self.bodies[t].ended || is_barrier && t == task);
                let hope = (0..self.bodies.len()).any(|t| may(t) && posts(self.entry(t)));
                let name = &self.scenario.events[event].name;
                hope.then(|| format!("'{}' waits for the {name}", self.name(task)))
            }
        }
    }
}
