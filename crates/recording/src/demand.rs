//! What tasks wanted, apart from what the scheduler gave them: bursts of CPU time, and what they waited for
//! between.
//!
//! | why a task slept | told by | what it would do under another scheduler |
//! |---|---|---|
//! | another task | its waker, in its own context | the waker must make the same progress first, in CPU time: a closed loop |
//! | a timer | an interrupt; wakes keep their distance better than sleeps their length | the wake stays at its instant |
//! | a pause | an interrupt; sleeps keep their length better than wakes their distance | the sleep keeps its length |
//! | a device | an interrupt that ended an uninterruptible sleep | the sleep keeps its length: think time |
//! | unknown | no waker was told, or something is missing | the wake stays at its instant |
//!
//! Events do not tell a timer from a device, nor an absolute timer from a relative one: the third and second
//! lines are what a task's sleeps look like, by their median absolute deviations; where these do not decide,
//! timers stay. A wake that found its task awake leaves no trace, so what it would have ended under another
//! scheduler is not known. Nor is what a task wants after the end of the recording: a burst that is longer by
//! then than any that ended before is taken to go on for ever, another to become as long as the longest.
//!
//! Memory grows with the number of bursts: a demand is to be replayed, and so must be held.

mod builder;

use crate::attributes::Attributes;
use crate::event::{Event, Left, Task};
use crate::fact::Fact;
use crate::interval::{Cause, Interval, What};
use crate::life::Doing;
use crate::normaliser::Normaliser;
use builder::Builder;
use std::collections::HashMap;
use tombola_core::identity::TaskId;
use tombola_core::snapshot::GroupTotals;

/// What all tasks of a recording wanted, over a span of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Demand {
    /// Begin of the span, ns on the clock of the events; instants below count from it.
    pub from_ns: u64,
    /// Its length, ns.
    pub span_ns: u64,
    /// One more than the highest number of a CPU that told something.
    pub cpus: u32,
    /// How many CPUs told something.
    pub cpus_seen: u32,
    /// Tasks in the order in which they were seen.
    pub tasks: Vec<TaskDemand>,
    /// Groups, where the recording tells them.
    pub groups: Vec<(GroupTotals, Option<String>)>,
    /// Sleeps by what ended them.
    pub sleeps: Sleeps,
}

/// What one task wanted.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskDemand {
    /// Who.
    pub id: TaskId,
    /// What is told of it, the latest.
    pub attributes: Attributes,
    /// How it comes.
    pub begin: Begin,
    /// What it does.
    pub steps: Vec<Step>,
    /// How it is at the end.
    pub end: End,
    /// Time in the span of which it is not known what it did, ns.
    pub unknown_ns: u64,
}

/// How a task comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begin {
    /// At this instant: it wanted a CPU when it was first known of, or an interrupt woke it.
    At(u64),
    /// With the first wake by the task of this index.
    Woken(usize),
}

/// One step of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Needs the CPU for so long, ns.
    Run(u64),
    /// Wakes the task of this index.
    Wake(u32),
    /// Waits.
    Wait(Wait),
}

/// What a task waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// A wake by the task of this index.
    Task(u32),
    /// An instant.
    Timer(u64),
    /// For so long, ns.
    Pause(u64),
    /// A device, for so long, ns.
    Device(u64),
    /// Not known what for; until this instant.
    Unknown(u64),
}

/// How a task is at the end of the span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It had ended.
    Ended,
    /// It waited.
    Waits,
    /// It wanted a CPU.
    Wants {
        /// CPU time that it lacks to its longest burst before, above 0; `None` where it has had more already,
        /// and is taken to go on for ever.
        more_ns: Option<u64>,
    },
}

/// How many sleeps were ended by what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sleeps {
    /// By another task.
    pub task: u64,
    /// Those of them whose context was not told: an interrupt on top of the task may have done it.
    pub task_uncertain: u64,
    /// By a timer.
    pub timer: u64,
    /// By a timer that was set anew for each sleep.
    pub pause: u64,
    /// By a device.
    pub device: u64,
    /// Not known.
    pub unknown: u64,
}

impl Sleeps {
    /// All of them.
    pub fn all(&self) -> u64 {
        self.task + self.timer + self.pause + self.device + self.unknown
    }
}

/// Gathers the demand of a recording. It is told of each event before and after the normaliser takes it, and
/// of what this finds out.
#[derive(Debug)]
pub struct Gatherer {
    from_ns: u64,
    tells_interrupts: bool,
    tasks: Vec<Builder>,
    of: HashMap<TaskId, usize>,
    sleeps: Sleeps,
    /// The waker of the event at hand, if it is a first wake.
    parent: Option<u32>,
    is_closing: bool,
}

impl Gatherer {
    /// From `from_ns` on. `tells_interrupts`: whether wakes tell whether an interrupt did them.
    pub fn new(from_ns: u64, tells_interrupts: bool) -> Self {
        Self {
            from_ns,
            tells_interrupts,
            tasks: Vec::new(),
            of: HashMap::new(),
            sleeps: Sleeps::default(),
            parent: None,
            is_closing: false,
        }
    }

    /// Before the normaliser takes an event.
    pub fn before(&mut self, event: &Event) {
        use crate::event::{Context, Kind, Stage};
        self.parent = match event.kind {
            Kind::Wake {
                stage: Stage::New,
                waker: Some(waker),
                context: Context::Task | Context::Unknown,
                ..
            } if waker != 0 => Some(waker),
            _ => None,
        };
    }

    /// After it has taken it: tasks stand in the order in which they were named, and one that is born is
    /// brought by its parent.
    pub fn after(&mut self, event: &Event, normaliser: &Normaliser) {
        use crate::event::Kind;
        if event.ts_ns >= self.from_ns {
            let named = match &event.kind {
                Kind::Switch { prev, next, .. } => [prev.map(|task| task.pid), Some(next.pid)],
                Kind::Wake { wakee: Task { pid, .. }, .. } | Kind::Attributes { pid, .. } => {
                    [Some(*pid), None]
                }
                _ => [None, None],
            };
            for life in named.into_iter().flatten().filter_map(|pid| normaliser.life(pid)) {
                self.index(life.id);
            }
        }
        let (Some(parent), crate::event::Kind::Wake { wakee, .. }) = (self.parent.take(), &event.kind) else {
            return;
        };
        if event.ts_ns < self.from_ns {
            return;
        }
        let Some(child) = normaliser.life(wakee.pid).map(|life| life.id) else { return };
        let Some(parent) = normaliser.life(parent).map(|life| life.id) else { return };
        let (child, parent) = (self.index(child), self.index(parent));
        if self.tasks[child].begin.is_none() && child != parent {
            self.tasks[child].begin = Some(Begin::Woken(parent));
            self.post(parent, child, normaliser, event.ts_ns);
        }
    }

    /// What the normaliser has found out.
    pub fn fact(&mut self, fact: &Fact, normaliser: &Normaliser) {
        match fact {
            Fact::Task(interval) if interval.to_ns >= self.from_ns => self.interval(interval, normaliser),
            Fact::Ended { life, at_ns } if *at_ns >= self.from_ns => {
                if let Some(index) = self.of.get(&life.id) {
                    let builder = &mut self.tasks[*index];
                    builder.note(life);
                    builder.flush();
                    builder.end = Some(End::Ended);
                }
            }
            Fact::Became { from, to } => {
                let (one, two) = (self.of.remove(from), self.of.remove(to));
                for (id, index) in [(*to, one), (*from, two)] {
                    if let Some(index) = index {
                        self.of.insert(id, index);
                        self.tasks[index].id = id;
                    }
                }
            }
            Fact::Task(_) | Fact::Cpu(_) | Fact::Ended { .. } => {}
        }
    }

    fn index(&mut self, id: TaskId) -> usize {
        let tasks = &mut self.tasks;
        *self.of.entry(id).or_insert_with(|| {
            tasks.push(Builder::new(id));
            tasks.len() - 1
        })
    }

    fn interval(&mut self, interval: &Interval, normaliser: &Normaliser) {
        let from_ns = interval.from_ns.max(self.from_ns);
        let (since, until) = (from_ns - self.from_ns, interval.to_ns - self.from_ns);
        let index = self.index(interval.task);
        if let Some(life) = normaliser.life(interval.task.pid).filter(|life| life.id == interval.task) {
            self.tasks[index].note(life);
        }
        match interval.what {
            What::Running { left, .. } => {
                let builder = &mut self.tasks[index];
                builder.begins_at(since);
                builder.ran(until - since);
                let wants = |left| matches!(left, Left::Runnable { .. } | Left::Yielded | Left::Unknown);
                builder.wants = left.is_none_or(wants);
            }
            What::Runnable { .. } => {
                let builder = &mut self.tasks[index];
                builder.begins_at(since);
                builder.wants = true;
            }
            What::Unknown(_) => {
                let builder = &mut self.tasks[index];
                builder.unknown_ns += until - since;
                if builder.begin.is_some() && !self.is_closing {
                    builder.flush();
                    builder.wait(Wait::Unknown(until), until - since, until);
                }
            }
            What::Blocked { .. } if self.is_closing => {
                let builder = &mut self.tasks[index];
                builder.flush();
                builder.wants = false;
            }
            What::Blocked { left, cause } => self.slept(index, (since, until), left, cause, normaliser),
        }
    }

    /// A sleep ended.
    fn slept(
        &mut self,
        index: usize,
        (since, until): (u64, u64),
        left: Left,
        cause: Cause,
        normaliser: &Normaliser,
    ) {
        let builder = &self.tasks[index];
        if left == Left::Unknown && builder.is_fresh() && matches!(builder.begin, Some(Begin::Woken(_))) {
            return; // between its birth and its first wake, which has been told
        }
        let waker = match cause {
            Cause::Task(pid) => {
                normaliser.life(pid).map(|life| life.id).filter(|id| *id != self.tasks[index].id)
            }
            Cause::Interrupt | Cause::Unknown => None,
        };
        if let Some(waker) = waker {
            let waker = self.index(waker);
            self.post(waker, index, normaliser, until + self.from_ns);
            let builder = &mut self.tasks[index];
            builder.flush();
            if builder.begin.is_none() {
                builder.begin = Some(Begin::Woken(waker));
                return;
            }
            builder.wait(Wait::Task(u32::try_from(waker).unwrap_or(u32::MAX)), until - since, until);
            self.sleeps.task += 1;
            self.sleeps.task_uncertain += u64::from(!self.tells_interrupts);
            return;
        }
        let builder = &mut self.tasks[index];
        builder.flush();
        if builder.begin.is_none() {
            return; // it comes when it wants a CPU
        }
        let wait = match (cause, left) {
            (Cause::Unknown, _) => Wait::Unknown(until),
            (_, Left::Disk) => Wait::Device(until - since),
            _ => Wait::Timer(until),
        };
        builder.wait(wait, until - since, until);
    }

    /// `by` wakes `other` now, at the point of its work that it has come to.
    fn post(&mut self, by: usize, other: usize, normaliser: &Normaliser, now_ns: u64) {
        let id = self.tasks[by].id;
        let life = normaliser.life(id.pid).filter(|life| life.id == id);
        let running_ns = life.filter(|life| matches!(life.doing, Doing::Running(_)));
        let running_ns = running_ns.map(|life| now_ns.saturating_sub(life.since_ns.max(self.from_ns)));
        let builder = &mut self.tasks[by];
        if let (None, Some(running)) = (builder.begin, running_ns) {
            builder.begins_at(now_ns - running - self.from_ns);
        }
        builder.wakes(u32::try_from(other).unwrap_or(u32::MAX), running_ns.unwrap_or(0));
    }

    /// The normaliser is going to be finished: what it tells from now on was open at the end.
    pub fn close(&mut self) {
        self.is_closing = true;
    }

    /// The demand up to `to_ns`. Tasks of which nothing but unknown time was seen are left out.
    pub fn finish(self, normaliser: &Normaliser, to_ns: u64) -> Demand {
        let mut sleeps = self.sleeps;
        let tasks = self.tasks.into_iter().map(|builder| builder.finish(&mut sleeps)).collect();
        let groups = normaliser.groups().values().cloned().collect();
        Demand {
            from_ns: self.from_ns,
            span_ns: to_ns.saturating_sub(self.from_ns),
            cpus: normaliser.cpus().keys().max().map_or(0, |last| last + 1),
            cpus_seen: u32::try_from(normaliser.cpus().len()).unwrap_or(u32::MAX),
            tasks,
            groups,
            sleeps,
        }
    }
}
