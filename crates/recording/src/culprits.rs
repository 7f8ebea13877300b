//! Who stood in whose way: what the CPU did in whose queue a task waited, and who got a CPU that another
//! lost.
//!
//! A recording tells in whose queue a task waits by where it lost its CPU, by where a wake put it
//! (`sched_wakeup`, `sched_wakeup_new`), and by moves (`sched_migrate_task`). Between `sched_waking` and the
//! `sched_wakeup`, or the move that belongs to it, a task is on its way and nobody stands in it. What a
//! recording does not tell is not known, and counted as that:
//!
//! - waits of a recording that has neither moves nor `sched_wakeup`, unless there is one CPU, or the task may
//!   use one only;
//! - a wait that ends on another CPU than that in whose queue it was, without a move;
//! - what a CPU did in a gap, or behind a hidden switch;
//! - what a wait was before it was known to be one: after a gap, at the begin.
//!
//! While the queue of its group stood throttled, nobody stood in a task's way but the quota. Recordings of
//! tombola tell that when it is over. Up to an instant that is looked at before, and in all others, who ran
//! meanwhile stands in the way of those that are behind their quota, too.

mod booked;
mod queue;
#[cfg(test)]
mod tests;

use crate::capabilities::Header;
use crate::event::{Event, Kind, Left, Stage};
use crate::fact::Fact;
use crate::interval::{Interval, Ready, What};
use crate::life::{Doing, Life};
use crate::normaliser::{Normaliser, OnCpu};
use booked::Booked;
use foldhash::fast::RandomState;
use queue::{Queue, Stretch};
use std::collections::HashMap;
use tombola_core::identity::TaskId;
use tombola_core::interference::Interference;
use tombola_core::snapshot::Group;

/// Where a task waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// It was woken, and is in no queue yet.
    Way,
    /// In the queue of this CPU.
    Queue(u32),
    /// Not known.
    Unknown,
}

/// A wait that has not ended.
#[derive(Clone, Debug)]
struct Wait {
    task: TaskId,
    /// Since when it waits, as its [`Life`] has it.
    since_ns: u64,
    place: Place,
    /// What comes before is accounted for.
    from_ns: u64,
    /// Who stood in its way before `from_ns`, as far as that is not booked.
    behind_ns: HashMap<TaskId, u64, RandomState>,
    /// The part of that of which it is not known.
    unknown_ns: u64,
    /// How much of it the queue stood throttled.
    quota_ns: u64,
}

/// The pairs. It is told of each event once the normaliser has taken it.
///
/// Memory: the tasks that wait, at most 1,024 stretches a CPU, and the pairs, of which there are
/// 262,144 at most.
#[derive(Debug, Default)]
pub struct Culprits {
    /// By thread id.
    waits: HashMap<u32, Wait, RandomState>,
    queues: HashMap<u32, Queue, RandomState>,
    booked: Booked,
    /// When the queue of a group on a CPU last stood throttled: begin and end.
    stops: HashMap<(u32, Group), (u64, u64), RandomState>,
    /// Whom a CPU has woken last, until it tells of a switch or a move.
    woken_by: HashMap<u32, u32, RandomState>,
    /// Whether a wake tells where it put a task.
    has_wakeup: bool,
    /// Whether moves between queues are told.
    has_moves: bool,
    /// The only CPU, if there is one only.
    only_cpu: Option<u32>,
    /// What lies before this does not count.
    begin_ns: u64,
    /// When open waits were booked last.
    shown_ns: u64,
    /// What one wait is made of, for the time of one call.
    parts: Vec<(Option<TaskId>, u64)>,
}

impl Culprits {
    /// For a recording with this header.
    pub fn new(header: &Header) -> Self {
        Self {
            has_wakeup: header.can.wakeup,
            has_moves: header.can.migrations,
            only_cpu: (header.cpus == Some(1)).then_some(0),
            ..Self::default()
        }
    }

    /// Whether a recording with this header tells in whose queue tasks wait, those that may use one CPU only
    /// left aside.
    pub fn can_tell(header: &Header) -> bool {
        header.can.migrations || header.can.wakeup || header.cpus == Some(1)
    }

    /// Forgets what lies before `at_ns`, up to which everything was told.
    pub fn begin(&mut self, normaliser: &Normaliser, at_ns: u64) {
        self.book_open(normaliser, at_ns);
        self.booked = Booked::default();
        self.begin_ns = at_ns;
    }

    /// All pairs at `at_ns`, not before the latest event: of waits that have not ended up to then. What is
    /// told of those stays, also where it turns out later that it was not so.
    pub fn at(&mut self, normaliser: &Normaliser, at_ns: u64) -> Interference {
        self.book_open(normaliser, at_ns);
        self.booked.told()
    }

    /// After the normaliser has taken an event, and before what it has found out by it is taken from it.
    pub fn event(&mut self, event: &Event, normaliser: &Normaliser) {
        for fact in normaliser.found() {
            match fact {
                Fact::Task(Interval { task, from_ns, to_ns, what: What::Running { cpu, .. }, .. }) => {
                    let stretch = Stretch { from_ns: *from_ns, to_ns: *to_ns, who: Some(*task) };
                    self.ran(*cpu, stretch, normaliser);
                }
                // Who gave its CPU away waits behind nobody.
                Fact::Task(Interval { what: What::Runnable { since: Ready::Yielded, .. }, .. }) => {}
                Fact::Task(interval @ Interval { what: What::Runnable { .. }, .. }) => {
                    self.waited(interval, normaliser);
                }
                Fact::Cpu(cpu) if cpu.doubt.is_some() => {
                    let stretch = Stretch { from_ns: cpu.from_ns, to_ns: cpu.to_ns, who: None };
                    self.ran(cpu.cpu, stretch, normaliser);
                }
                Fact::Became { from, to } => self.booked.became(*from, *to),
                Fact::Ended { life, .. } => self.booked.ended(life.id),
                Fact::Task(_) | Fact::Cpu(_) => {}
            }
        }
        match &event.kind {
            Kind::Switch { prev, next, .. } => {
                self.preempted(event.cpu, normaliser);
                self.woken_by.remove(&event.cpu);
                for task in prev.iter().chain([next]) {
                    self.look_at(task.pid, event, normaliser);
                }
            }
            Kind::Wake { wakee, stage, .. } => {
                if *stage == Stage::Waking && self.has_moves {
                    self.woken_by.insert(event.cpu, wakee.pid);
                }
                self.look_at(wakee.pid, event, normaliser);
            }
            Kind::Migrate { task, .. } => self.look_at(task.pid, event, normaliser),
            Kind::Fork { child, .. } => self.look_at(child.pid, event, normaliser),
            Kind::Attributes { pid, .. } => self.look_at(*pid, event, normaliser),
            Kind::Exec { task, old_pid } => {
                self.look_at(task.pid, event, normaliser);
                self.look_at(*old_pid, event, normaliser);
            }
            Kind::Loss { .. } => {
                let waiting: Vec<u32> = self.waits.keys().copied().collect();
                for pid in waiting {
                    self.look_at(pid, event, normaliser);
                }
            }
            Kind::Throttled { pid, ns } => self.stopped(*pid, event.cpu, *ns, normaliser),
            Kind::Exit { .. }
            | Kind::Rename { .. }
            | Kind::Group { .. }
            | Kind::Asleep { .. }
            | Kind::Online
            | Kind::Offline => {}
        }
    }

    /// A CPU did something, or nobody knows what.
    fn ran(&mut self, cpu: u32, stretch: Stretch, normaliser: &Normaliser) {
        let Some(queue) = self.queues.get_mut(&cpu) else { return };
        if !queue.push(stretch) {
            return;
        }
        // Nobody remembers more of a CPU than this: what it did is accounted for, wait by wait.
        for pid in queue.waiters().to_vec() {
            if let Some(mut wait) = self.waits.remove(&pid) {
                self.account(&mut wait, normaliser, stretch.to_ns);
                self.waits.insert(pid, wait);
            }
        }
        if let Some(queue) = self.queues.get_mut(&cpu) {
            queue.forget();
        }
    }

    /// A wait ended, or what comes next is not known.
    fn waited(&mut self, interval: &Interval, normaliser: &Normaliser) {
        let (task, to_ns) = (interval.task, interval.to_ns);
        let before = self.waits.remove(&task.pid);
        let left = before.as_ref().map_or(Place::Unknown, |wait| wait.place);
        let is_it = |wait: &Wait| wait.task == task && wait.since_ns == interval.from_ns;
        let Some(mut wait) = before.filter(is_it) else {
            self.leave(task.pid, left);
            let from_ns = interval.from_ns.max(self.begin_ns);
            return self.booked.unknown(task, to_ns.saturating_sub(from_ns));
        };
        let ran_on = match (interval.what, normaliser.life(task.pid).map(|life| life.doing)) {
            (What::Runnable { ran: true, .. }, Some(Doing::Running(cpu))) => Some(cpu),
            _ => None,
        };
        match (ran_on, wait.place) {
            (Some(cpu), Place::Queue(queue)) if cpu != queue => wait.place = Place::Unknown,
            // That it came into a queue was not told.
            (Some(_), Place::Way) => wait.place = Place::Unknown,
            _ => {}
        }
        if to_ns < wait.from_ns {
            // It ended earlier, as a hidden switch tells now: what is accounted for is too much.
            let known_ns = wait.since_ns.max(self.begin_ns).max(self.shown_ns);
            wait.behind_ns.clear();
            wait.quota_ns = 0;
            wait.unknown_ns = to_ns.saturating_sub(known_ns);
        }
        self.book(&mut wait, normaliser, to_ns);
        self.leave(task.pid, left);
    }

    /// Who lost the CPU while it could have gone on has lost it to who came.
    fn preempted(&mut self, cpu: u32, normaliser: &Normaliser) {
        let Some(OnCpu::Task(pid)) = normaliser.cpus().get(&cpu).map(|of| of.doing) else { return };
        let Some(came) = normaliser.life(pid).map(|life| life.id) else { return };
        let lost = normaliser.found().iter().find_map(|fact| match fact {
            Fact::Task(Interval {
                task,
                what: What::Running { cpu: on, left: Some(Left::Runnable { .. }) },
                ..
            }) if *on == cpu => Some(*task),
            _ => None,
        });
        if let Some(lost) = lost.filter(|lost| *lost != came) {
            self.booked.preempted(lost, came);
        }
    }

    /// Whether a task waits, and where, may have changed.
    fn look_at(&mut self, pid: u32, event: &Event, normaliser: &Normaliser) {
        let waits = |doing| matches!(doing, Doing::Runnable(ready) if ready != Ready::Yielded);
        let life = normaliser.life(pid).filter(|life| waits(life.doing));
        let is_same = |wait: &Wait, life: &Life| wait.task == life.id && wait.since_ns == life.since_ns;
        let before = self.waits.remove(&pid);
        let now_ns = normaliser.now_ns();
        let Some(life) = life else {
            // It was no wait, or is not known to have been one.
            if let Some(wait) = before {
                self.leave(pid, wait.place);
            }
            return;
        };
        let wait = match before {
            Some(wait) if is_same(&wait, life) => self.moved(wait, event, life, normaliser),
            before => {
                if let Some(wait) = before {
                    self.leave(pid, wait.place);
                }
                let known_ns = life.since_ns.max(self.begin_ns).max(self.shown_ns);
                let wait = Wait {
                    task: life.id,
                    since_ns: life.since_ns,
                    place: self.first_place(life, event),
                    from_ns: now_ns,
                    behind_ns: HashMap::default(),
                    quota_ns: 0,
                    unknown_ns: now_ns.saturating_sub(known_ns),
                };
                self.enter(pid, wait.place);
                wait
            }
        };
        self.waits.insert(pid, wait);
    }

    /// Where a wait begins.
    fn first_place(&self, life: &Life, event: &Event) -> Place {
        let Doing::Runnable(ready) = life.doing else { return Place::Unknown };
        let is_placed = matches!(event.kind, Kind::Wake { stage: Stage::Woken | Stage::New, .. });
        if matches!(ready, Ready::Woken(_)) && self.has_wakeup && !is_placed {
            return Place::Way;
        }
        let only = life.attributes.affinity.as_ref().filter(|set| set.len() == 1);
        if let Some(cpu) = self.only_cpu.or_else(|| only?.iter().next()) {
            return Place::Queue(cpu);
        }
        let is_told = match ready {
            Ready::Woken(_) => self.has_moves || is_placed,
            Ready::Displaced(_) | Ready::New => self.has_moves || self.has_wakeup,
            Ready::Yielded | Ready::Unknown => false,
        };
        life.cpu.filter(|_| is_told).map_or(Place::Unknown, Place::Queue)
    }

    /// A wait goes on, perhaps in another queue.
    fn moved(&mut self, mut wait: Wait, event: &Event, life: &Life, normaliser: &Normaliser) -> Wait {
        let now_ns = normaliser.now_ns();
        let to = match &event.kind {
            Kind::Migrate { .. } if wait.place == Place::Way => return wait,
            Kind::Migrate { to, .. } => *to,
            Kind::Wake { stage: Stage::Woken, .. } => match life.cpu {
                Some(cpu) => cpu,
                None => return wait,
            },
            _ => return wait,
        };
        let is_own_move = matches!(event.kind, Kind::Migrate { .. })
            && self.woken_by.remove(&event.cpu).is_some_and(|pid| pid == wait.task.pid);
        if is_own_move {
            // The move is a part of the wake: it was in no queue before.
            wait.from_ns = now_ns;
        } else if wait.place != Place::Queue(to) {
            self.account(&mut wait, normaliser, now_ns);
        }
        if wait.place != Place::Queue(to) {
            self.leave(wait.task.pid, wait.place);
            wait.place = Place::Queue(to);
            self.enter(wait.task.pid, wait.place);
        }
        wait
    }

    fn enter(&mut self, pid: u32, place: Place) {
        if let Place::Queue(cpu) = place {
            self.queues.entry(cpu).or_default().enter(pid);
        }
    }

    fn leave(&mut self, pid: u32, place: Place) {
        let Place::Queue(cpu) = place else { return };
        let Some(queue) = self.queues.get_mut(&cpu) else { return };
        queue.leave(pid);
        let first = queue.waiters().first().and_then(|pid| self.waits.get(pid));
        queue.forget_before(first.map_or(u64::MAX, |wait| wait.from_ns));
    }

    /// The queue that a task waits in stood throttled until now.
    fn stopped(&mut self, pid: u32, cpu: u32, ns: u64, normaliser: &Normaliser) {
        let Some(group) = group_of(pid, normaliser) else { return };
        let end_ns = normaliser.now_ns();
        let begin_ns = end_ns.saturating_sub(ns);
        self.stops.insert((cpu, group), (begin_ns, end_ns));
        let waiters = self.queues.get(&cpu).map(|queue| queue.waiters().to_vec()).unwrap_or_default();
        for pid in waiters {
            let Some(wait) = self.waits.get_mut(&pid) else { continue };
            let known_ns = wait.since_ns.max(self.begin_ns).max(self.shown_ns);
            if begin_ns <= known_ns && known_ns < wait.from_ns && group_of(pid, normaliser) == Some(group) {
                // What is accounted for already was the quota's doing.
                wait.behind_ns.clear();
                wait.unknown_ns = 0;
                wait.quota_ns = wait.from_ns - known_ns;
            }
        }
    }

    /// What a wait is made of from when it was accounted for up to `to_ns`, in `parts`. Gives for how long of
    /// it the queue stood throttled.
    fn part(&mut self, wait: &Wait, normaliser: &Normaliser, to_ns: u64) -> u64 {
        self.parts.clear();
        let from_ns = wait.from_ns.max(self.begin_ns);
        let mut quota_ns = 0;
        match wait.place {
            Place::Way => {}
            Place::Unknown => self.parts.push((None, to_ns.saturating_sub(from_ns))),
            Place::Queue(cpu) => {
                let group = group_of(wait.task.pid, normaliser);
                let stop = group.and_then(|group| self.stops.get(&(cpu, group)).copied()).unwrap_or_default();
                let (begin_ns, end_ns) = (stop.0.max(from_ns), stop.1.min(to_ns));
                quota_ns = end_ns.saturating_sub(begin_ns);
                let spans = if quota_ns > 0 {
                    [(from_ns, begin_ns), (end_ns, to_ns)]
                } else {
                    [(from_ns, to_ns), (to_ns, to_ns)]
                };
                let (queue, open) = (self.queues.get(&cpu), open_stretch(cpu, normaliser, to_ns));
                for (from_ns, to_ns) in spans.into_iter().filter(|(from_ns, to_ns)| from_ns < to_ns) {
                    self.parts.extend(queue.into_iter().flat_map(|queue| queue.between(from_ns, to_ns)));
                    self.parts.extend(open.and_then(|stretch| stretch.between(from_ns, to_ns)));
                }
            }
        }
        quota_ns
    }

    /// Keeps with a wait what it is made of up to `to_ns`.
    fn account(&mut self, wait: &mut Wait, normaliser: &Normaliser, to_ns: u64) {
        wait.quota_ns += self.part(wait, normaliser, to_ns);
        for (who, ns) in self.parts.drain(..) {
            match who {
                Some(task) => *wait.behind_ns.entry(task).or_default() += ns,
                None => wait.unknown_ns += ns,
            }
        }
        wait.from_ns = wait.from_ns.max(to_ns);
    }

    /// What a wait is made of up to `to_ns` counts.
    fn book(&mut self, wait: &mut Wait, normaliser: &Normaliser, to_ns: u64) {
        let quota_ns = self.part(wait, normaliser, to_ns) + std::mem::take(&mut wait.quota_ns);
        self.booked.throttled(wait.task, quota_ns);
        for (who, ns) in self.parts.drain(..) {
            match who {
                Some(culprit) => self.booked.held(wait.task, culprit, ns),
                None => self.booked.unknown(wait.task, ns),
            }
        }
        wait.from_ns = wait.from_ns.max(to_ns);
        for (culprit, ns) in wait.behind_ns.drain() {
            self.booked.held(wait.task, culprit, ns);
        }
        self.booked.unknown(wait.task, std::mem::take(&mut wait.unknown_ns));
    }

    /// The same of all waits that have not ended, up to `at_ns`.
    fn book_open(&mut self, normaliser: &Normaliser, at_ns: u64) {
        let mut waits = std::mem::take(&mut self.waits);
        for wait in waits.values_mut() {
            self.book(wait, normaliser, at_ns);
        }
        self.waits = waits;
        for queue in self.queues.values_mut() {
            queue.forget();
        }
        self.shown_ns = at_ns;
    }
}

/// The group a task competes in, where it is told.
fn group_of(pid: u32, normaliser: &Normaliser) -> Option<Group> {
    normaliser.life(pid)?.attributes.group
}

/// What a CPU does at present, up to `to_ns`; `None` where nobody has it.
fn open_stretch(cpu: u32, normaliser: &Normaliser, to_ns: u64) -> Option<Stretch> {
    let of = normaliser.cpus().get(&cpu)?;
    let unknown = Stretch { from_ns: of.since_ns, to_ns, who: None };
    match of.doing {
        OnCpu::Idle | OnCpu::Offline => None,
        OnCpu::Unknown { .. } => Some(unknown),
        OnCpu::Task(pid) => match normaliser.life(pid) {
            Some(life) if life.doing == Doing::Running(cpu) => {
                Some(Stretch { from_ns: life.since_ns, to_ns, who: Some(life.id) })
            }
            _ => Some(unknown),
        },
    }
}
