//! From events to intervals: a state machine for each CPU and each task.
//!
//! An event says what was so until now. Where two of them contradict each other, or something is missing between them, the stretch in
//! between is unknown, with a reason, and the repair is counted ([`Repairs`]): nothing is guessed.
//!
//! # What a gap makes unknown
//!
//! Events of CPU c are missing from `from` to `to`. Any task may have been woken there, or have run there. So each task's state is
//! unknown in \[`from`, `to`\]. But afterwards nothing is missing: a task that is *woken* next was blocked all the time since `to`,
//! one that *comes to a CPU* next was runnable since `to`, one that *leaves* a CPU next ran since `to`. Only the gap itself is unknown.
//! The begin of a recording that says from when on it is complete ([`Header::begin_ns`]) is such a gap without length; otherwise all
//! is unknown up to a task's first event.
//!
//! # Wakes
//!
//! A wake may stand before the switch-out it belongs to: the sleeper is still on its CPU. It is carried over: the sleep has no length.
//! If the same task is woken again before it has run, the first wake had no effect, and the sleep is what lies before the second.

mod life;
mod repairs;
#[cfg(test)]
mod tests;
mod wake;

pub use life::{Doing, Life};
pub use repairs::Repairs;

use crate::capabilities::Header;
use crate::event::{Event, Kind, Left, Task};
use crate::interval::{Cause, CpuInterval, Doubt, Fact, Interval, Ready, What};
use std::collections::{BTreeMap, HashMap};
use tombola_core::identity::TaskId;
use tombola_core::snapshot::{Group, GroupTotals};

/// What a CPU does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnCpu {
    /// The idle task.
    Idle,
    /// The task with this thread id.
    Task(u32),
    /// Not known; from `clear_ns` on it did one thing, which its next switch will tell.
    Unknown {
        /// Why.
        why: Doubt,
        /// From when on nothing can have been missed.
        clear_ns: u64,
    },
    /// Nothing, it is offline.
    Offline,
}

/// A CPU as far as the recording has told it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cpu {
    /// What it does.
    pub doing: OnCpu,
    /// Since when, ns on the clock of the events.
    pub since_ns: u64,
    /// Its latest event.
    pub last_ns: u64,
}

/// The state machine. Events go in by [`event`](Self::event), facts come out by [`facts`](Self::facts).
///
/// Memory: the living tasks, the CPUs, the groups.
#[derive(Debug, Default)]
pub struct Normaliser {
    lives: HashMap<u32, Life>,
    cpus: BTreeMap<u32, Cpu>,
    groups: BTreeMap<Group, (GroupTotals, Option<String>)>,
    /// When tasks ended that had lived since before the begin, by thread id: one that comes again is another task.
    ended: HashMap<u32, u64>,
    repairs: Repairs,
    facts: Vec<Fact>,
    /// Whether `sched_waking` is recorded: then `sched_wakeup` does not tell who woke.
    has_waking: bool,
    exact_begin_ns: Option<u64>,
    begin_ns: Option<u64>,
    now_ns: u64,
}

impl Normaliser {
    /// For a recording with this header.
    pub fn new(header: &Header) -> Self {
        Self {
            has_waking: header.can.waking,
            exact_begin_ns: header.begin_ns,
            begin_ns: header.begin_ns,
            now_ns: header.begin_ns.unwrap_or(0),
            ..Self::default()
        }
    }

    /// What was found out since the last call, in the order of the ends of intervals.
    pub fn facts(&mut self) -> std::vec::Drain<'_, Fact> {
        self.facts.drain(..)
    }

    /// Living tasks in no order, the idle tasks not among them.
    pub fn lives(&self) -> impl Iterator<Item = &Life> {
        self.lives.values()
    }

    /// A living task by its thread id.
    pub fn life(&self, pid: u32) -> Option<&Life> {
        self.lives.get(&pid)
    }

    /// CPUs that told something, by number.
    pub fn cpus(&self) -> &BTreeMap<u32, Cpu> {
        &self.cpus
    }

    /// Groups that were told, with their full paths where these were told.
    pub fn groups(&self) -> &BTreeMap<Group, (GroupTotals, Option<String>)> {
        &self.groups
    }

    /// What had to be mended so far.
    pub fn repairs(&self) -> &Repairs {
        &self.repairs
    }

    /// The begin: that of the header, or the first event. 0 before any.
    pub fn begin_ns(&self) -> u64 {
        self.begin_ns.unwrap_or(0)
    }

    /// The latest instant that was told.
    pub fn now_ns(&self) -> u64 {
        self.now_ns
    }

    /// Takes the next event.
    pub fn event(&mut self, event: &Event) {
        self.repairs.backwards += u64::from(self.begin_ns.is_some() && event.ts_ns < self.now_ns);
        self.now_ns = self.now_ns.max(event.ts_ns);
        let begin = *self.begin_ns.get_or_insert(self.now_ns);
        let (now, exact) = (self.now_ns, self.exact_begin_ns.is_some());
        let repairs = &mut self.repairs;
        let of = self.cpus.entry(event.cpu).or_insert_with(|| {
            repairs.cut_begin += u64::from(!exact);
            let clear_ns = if exact { begin } else { now };
            Cpu {
                doing: OnCpu::Unknown { why: Doubt::Start, clear_ns },
                since_ns: clear_ns,
                last_ns: clear_ns,
            }
        });
        if !matches!(event.kind, Kind::Loss { .. }) {
            of.last_ns = now;
        }
        match &event.kind {
            Kind::Switch { prev, state, next } => {
                self.leave_cpu(event.cpu, prev.as_ref(), *state);
                self.come(event.cpu, next);
            }
            Kind::Wake { wakee, waker, target, stage, context } => {
                self.wake(wakee, *waker, *target, *stage, *context);
            }
            Kind::Migrate { task, to, .. } => {
                if let Some(life) = self.known(task) {
                    life.cpu = Some(*to);
                }
            }
            Kind::Fork { parent, child } => self.fork(parent, child),
            Kind::Exec { task, old_pid } => self.exec(task, *old_pid),
            Kind::Exit { task } => {
                if let Some(life) = self.known(task) {
                    life.exiting = true;
                }
            }
            Kind::Rename { task } => {
                self.known(task);
            }
            Kind::Attributes { task, start_ns, weight, policy, group, affinity } => {
                self.name(task, *start_ns);
                if let Some(life) = self.known(task) {
                    life.weight = weight.or(life.weight);
                    life.policy = policy.or(life.policy);
                    life.group = group.or(life.group);
                    if affinity.is_some() {
                        life.affinity.clone_from(affinity);
                    }
                }
            }
            Kind::Group { totals, name } => {
                let entry = self.groups.entry(totals.id).or_insert((*totals, None));
                entry.0 = *totals;
                if name.is_some() {
                    entry.1.clone_from(name);
                }
            }
            Kind::Online => self.reset_cpu(event.cpu, OnCpu::Idle),
            Kind::Offline => self.reset_cpu(event.cpu, OnCpu::Offline),
            Kind::Loss { of_cpu, count, from_ns } => self.lose(*of_cpu, *count, *from_ns),
        }
    }

    /// Ends the recording: what is open is closed at `end_ns`, or at the latest event if that is later.
    pub fn finish(&mut self, end_ns: Option<u64>) {
        self.now_ns = self.now_ns.max(end_ns.unwrap_or(0));
        let now = self.now_ns;
        let cpus: Vec<u32> = self.cpus.keys().copied().collect();
        for cpu in cpus {
            self.close_cpu(cpu, now, None);
        }
        let mut pids: Vec<u32> = self.lives.keys().copied().collect();
        pids.sort_unstable();
        self.repairs.cut_end += pids.len() as u64;
        for pid in pids {
            self.interrupt(pid, now);
        }
    }

    /// The task an event names, if it lives, with what the event says of it.
    fn known(&mut self, task: &Task) -> Option<&mut Life> {
        let life = self.lives.get_mut(&task.pid)?;
        life.note(task);
        Some(life)
    }

    /// Makes sure that a task is known; one that is not has lived since before the begin, as far as anybody knows.
    fn name(&mut self, task: &Task, start_ns: Option<u64>) {
        if task.pid == 0 {
            return;
        }
        if let (Some(start), Some(life)) = (start_ns, self.lives.get(&task.pid))
            && life.id.start_ns != 0
            && life.id.start_ns != start
            && matches!(life.doing, Doing::Unknown { .. } | Doing::Blocked(_))
        {
            self.repairs.reused_pids += 1;
            self.end(task.pid);
        }
        let (begin, exact, now) = (self.begin_ns(), self.exact_begin_ns, self.now_ns);
        let repairs = &mut self.repairs;
        let ended = self.ended.get(&task.pid).copied();
        let life = self.lives.entry(task.pid).or_insert_with(|| {
            if let Some(ended_ns) = ended {
                repairs.reused_pids += 1;
                let id = TaskId { pid: task.pid, start_ns: start_ns.unwrap_or(now).max(1) };
                return Life::new(id, Doing::Unknown { why: Doubt::Start, clear_ns: u64::MAX }, ended_ns);
            }
            repairs.cut_begin += u64::from(exact.is_none());
            let born = start_ns.filter(|start| *start >= begin && *start <= now && exact.is_some());
            let doing = match (born, exact) {
                (Some(_), _) => Doing::Unborn,
                (None, Some(clear_ns)) => Doing::Unknown { why: Doubt::Start, clear_ns },
                (None, None) => Doing::Unknown { why: Doubt::Start, clear_ns: u64::MAX },
            };
            let id = TaskId { pid: task.pid, start_ns: start_ns.unwrap_or(0) };
            Life::new(id, doing, born.unwrap_or(begin))
        });
        life.note(task);
    }

    /// A stretch of a task ends now, or at `to_ns`; the next begins there.
    fn tell(&mut self, pid: u32, to_ns: u64, what: What) {
        let Some(life) = self.lives.get_mut(&pid) else { return };
        let to_ns = to_ns.max(life.since_ns);
        let slice = matches!(
            what,
            What::Running { left: Some(_), .. } | What::Blocked { .. } | What::Runnable { ran: true, .. }
        );
        if to_ns > life.since_ns || slice {
            self.facts.push(Fact::Task(Interval {
                task: life.id,
                from_ns: life.since_ns,
                to_ns,
                what,
                prio: life.prio,
            }));
        }
        life.since_ns = to_ns;
    }

    fn tell_cpu(&mut self, cpu: u32, to_ns: u64, doubt: Option<Doubt>) {
        let Some(of) = self.cpus.get_mut(&cpu) else { return };
        let to_ns = to_ns.max(of.since_ns);
        if to_ns > of.since_ns {
            self.facts.push(Fact::Cpu(CpuInterval { cpu, from_ns: of.since_ns, to_ns, doubt }));
        }
        of.since_ns = to_ns;
    }

    /// Ends what a task does at `at_ns` without knowing what comes next.
    fn interrupt(&mut self, pid: u32, at_ns: u64) {
        let Some(life) = self.lives.get(&pid) else { return };
        match life.doing {
            Doing::Running(cpu) => self.tell(pid, at_ns, What::Running { cpu, left: None }),
            Doing::Runnable(since) => self.tell(pid, at_ns, What::Runnable { since, ran: false }),
            Doing::Blocked(_) | Doing::Unborn => {
                let left = if let Doing::Blocked(left) = life.doing { left } else { Left::Unknown };
                // Not through `tell`, which keeps sleeps without length: this one has no end of its own.
                if at_ns > life.since_ns {
                    self.tell(pid, at_ns, What::Blocked { left, cause: Cause::Unknown });
                }
            }
            Doing::Unknown { why, .. } => self.tell(pid, at_ns, What::Unknown(why)),
        }
    }

    /// The unknown stretch of a task, if it is in one, up to where it becomes clear; the rest is what `then` says it was.
    fn settle(&mut self, pid: u32, then: Doing) {
        let now = self.now_ns;
        if let Some(Doing::Unknown { why, clear_ns }) = self.lives.get(&pid).map(|life| life.doing) {
            self.tell(pid, clear_ns.min(now), What::Unknown(why));
            if let Some(life) = self.lives.get_mut(&pid) {
                life.doing = then;
            }
        }
    }

    /// Who was on the CPU leaves it.
    fn leave_cpu(&mut self, cpu: u32, prev: Option<&Task>, state: Left) {
        let now = self.now_ns;
        let Some(of) = self.cpus.get(&cpu).copied() else { return };
        let prev_pid = prev.map(|task| task.pid);
        match of.doing {
            OnCpu::Idle if prev_pid.is_none_or(|pid| pid == 0) => self.tell_cpu(cpu, now, None),
            OnCpu::Task(pid) if prev_pid.is_none_or(|prev| prev == pid) => {
                if let Some(task) = prev {
                    self.known(task);
                }
                self.leave(pid, cpu, state);
            }
            OnCpu::Idle | OnCpu::Task(_) => self.leave_hidden(cpu, &of, prev, state),
            OnCpu::Offline => {
                self.reset_cpu(cpu, OnCpu::Idle);
                self.leave_first(cpu, now, prev, state);
            }
            OnCpu::Unknown { why, clear_ns } => {
                self.tell_cpu(cpu, clear_ns.min(now), Some(why));
                self.leave_first(cpu, clear_ns, prev, state);
            }
        }
    }

    /// The first switch of a CPU after a gap. Who leaves has been there since the gap ended.
    fn leave_first(&mut self, cpu: u32, clear_ns: u64, prev: Option<&Task>, state: Left) {
        let now = self.now_ns;
        let Some(task) = prev else { return self.tell_cpu(cpu, now, Some(Doubt::Start)) };
        if task.pid == 0 {
            return self.tell_cpu(cpu, now, None);
        }
        self.name(task, None);
        match self.lives.get(&task.pid).map(|life| life.doing) {
            Some(Doing::Unknown { why, clear_ns: own }) => {
                let since = self.lives.get(&task.pid).map_or(now, |life| life.since_ns);
                let from = own.max(clear_ns).max(since).min(now);
                self.tell(task.pid, from, What::Unknown(why));
                self.tell_cpu(cpu, from, Some(why));
            }
            Some(Doing::Running(other)) => {
                self.found_elsewhere(task.pid, other);
                self.tell_cpu(cpu, now, Some(Doubt::Hidden));
            }
            _ => {
                // It was waiting or asleep after the gap, so it came here unseen.
                self.tell(task.pid, now, What::Unknown(Doubt::Start));
                self.tell_cpu(cpu, now, Some(Doubt::Start));
            }
        }
        self.set(task.pid, Doing::Running(cpu));
        self.leave(task.pid, cpu, state);
    }

    /// Who leaves is not who came: what the CPU did since is unknown, and what the two did.
    fn leave_hidden(&mut self, cpu: u32, of: &Cpu, prev: Option<&Task>, state: Left) {
        let now = self.now_ns;
        self.repairs.hidden_switches += 1;
        self.tell_cpu(cpu, now, Some(Doubt::Hidden));
        if let OnCpu::Task(pid) = of.doing
            && let Some(life) = self.lives.get_mut(&pid)
            && life.doing == Doing::Running(cpu)
        {
            life.doing = Doing::Unknown { why: Doubt::Hidden, clear_ns: now };
        }
        let Some(task) = prev.filter(|task| task.pid != 0) else { return };
        self.name(task, None);
        match self.lives.get(&task.pid).map(|life| life.doing) {
            Some(Doing::Running(other)) => self.found_elsewhere(task.pid, other),
            Some(Doing::Unknown { why, .. }) => self.tell(task.pid, now, What::Unknown(why)),
            _ => {
                // It was waiting or asleep at least until the last switch that was shown.
                self.interrupt(task.pid, of.since_ns);
                self.tell(task.pid, now, What::Unknown(Doubt::Hidden));
            }
        }
        self.set(task.pid, Doing::Running(cpu));
        self.leave(task.pid, cpu, state);
    }

    /// A task that is on CPU `other` turns up somewhere else: what it and that CPU did since is unknown.
    fn found_elsewhere(&mut self, pid: u32, other: u32) {
        self.repairs.two_cpus += 1;
        let now = self.now_ns;
        self.tell(pid, now, What::Unknown(Doubt::Hidden));
        if let Some(of) = self.cpus.get_mut(&other)
            && of.doing == OnCpu::Task(pid)
        {
            of.doing = OnCpu::Unknown { why: Doubt::Hidden, clear_ns: now };
        }
    }

    fn set(&mut self, pid: u32, doing: Doing) {
        if let Some(life) = self.lives.get_mut(&pid) {
            life.doing = doing;
            life.by_carried = None;
        }
    }

    /// A task leaves the CPU it is on.
    fn leave(&mut self, pid: u32, cpu: u32, state: Left) {
        let now = self.now_ns;
        self.tell(pid, now, What::Running { cpu, left: Some(state) });
        let Some(life) = self.lives.get_mut(&pid) else { return };
        life.cpu = Some(cpu);
        life.by_carried = None;
        let carried = life.carried.take();
        match (state, carried) {
            (Left::Runnable { preempted }, carried) => {
                life.doing = Doing::Runnable(Ready::Displaced(preempted));
                self.repairs.idle_wakes += u64::from(carried.is_some());
            }
            (Left::Dead, _) => self.end(pid),
            (state, Some(ready)) => {
                life.doing = Doing::Runnable(ready);
                life.by_carried = Some(state);
                self.repairs.carried_wakes += 1;
            }
            (state, None) => life.doing = Doing::Blocked(state),
        }
    }

    /// A task comes to a CPU.
    fn come(&mut self, cpu: u32, task: &Task) {
        let now = self.now_ns;
        if task.pid == 0 {
            self.set_cpu(cpu, OnCpu::Idle);
            return;
        }
        self.name(task, None);
        self.settle(task.pid, Doing::Runnable(Ready::Unknown));
        let Some(life) = self.lives.get_mut(&task.pid) else { return };
        let carried_from = life.by_carried.take();
        match life.doing {
            Doing::Runnable(since) => {
                if let (Some(left), Ready::Woken(cause)) = (carried_from, since) {
                    let (task, at, prio) = (life.id, life.since_ns, life.prio);
                    let what = What::Blocked { left, cause };
                    self.facts.push(Fact::Task(Interval { task, from_ns: at, to_ns: at, what, prio }));
                }
                self.tell(task.pid, now, What::Runnable { since, ran: true });
            }
            Doing::Blocked(_) | Doing::Unborn => {
                self.repairs.missing_wakes += 1;
                self.tell(task.pid, now, What::Unknown(Doubt::NoWake));
            }
            Doing::Running(other) if other != cpu => self.found_elsewhere(task.pid, other),
            Doing::Running(_) | Doing::Unknown { .. } => {
                self.tell(task.pid, now, What::Unknown(Doubt::Hidden));
            }
        }
        if let Some(life) = self.lives.get_mut(&task.pid) {
            life.doing = Doing::Running(cpu);
            life.cpu = Some(cpu);
        }
        self.set_cpu(cpu, OnCpu::Task(task.pid));
    }

    fn set_cpu(&mut self, cpu: u32, doing: OnCpu) {
        if let Some(of) = self.cpus.get_mut(&cpu) {
            *of = Cpu { doing, since_ns: self.now_ns, last_ns: self.now_ns };
        }
    }

    /// Ends what a CPU does at `at_ns`; its task, if it has one, goes on as it is.
    fn close_cpu(&mut self, cpu: u32, at_ns: u64, why: Option<Doubt>) {
        match self.cpus.get(&cpu).map(|of| of.doing) {
            Some(OnCpu::Idle) => self.tell_cpu(cpu, at_ns, None),
            Some(OnCpu::Unknown { why: old, .. }) => self.tell_cpu(cpu, at_ns, Some(why.unwrap_or(old))),
            Some(OnCpu::Task(_) | OnCpu::Offline) | None => {}
        }
    }

    /// A CPU comes or goes: whoever is believed to be on it has left it unseen.
    fn reset_cpu(&mut self, cpu: u32, doing: OnCpu) {
        let now = self.now_ns;
        self.close_cpu(cpu, now, None);
        if let Some(OnCpu::Task(pid)) = self.cpus.get(&cpu).map(|of| of.doing) {
            self.interrupt(pid, now);
            self.set(pid, Doing::Unknown { why: Doubt::Hidden, clear_ns: now });
        }
        self.set_cpu(cpu, doing);
    }

    fn fork(&mut self, parent: &Task, child: &Task) {
        self.known(parent);
        if child.pid == 0 {
            return;
        }
        if self.lives.contains_key(&child.pid) {
            self.repairs.reused_pids += 1;
            self.end(child.pid);
        }
        let id = TaskId { pid: child.pid, start_ns: self.now_ns };
        let mut life = Life::new(id, Doing::Unborn, self.now_ns);
        if let Some(from) = self.lives.get(&parent.pid) {
            life.group = from.group;
            life.affinity.clone_from(&from.affinity);
        }
        life.note(child);
        self.lives.insert(child.pid, life);
    }

    /// The end of a task, with its last interval told before or now.
    fn end(&mut self, pid: u32) {
        let now = self.now_ns;
        self.interrupt(pid, now);
        let Some(life) = self.lives.remove(&pid) else { return };
        if let Doing::Running(cpu) = life.doing
            && let Some(of) = self.cpus.get_mut(&cpu)
            && of.doing == OnCpu::Task(pid)
        {
            *of = Cpu { doing: OnCpu::Unknown { why: Doubt::Hidden, clear_ns: now }, since_ns: now, ..*of };
        }
        if life.id.start_ns == 0 {
            self.ended.insert(pid, now);
        } else if let Some(ended_ns) = self.ended.get_mut(&pid) {
            *ended_ns = now;
        }
        self.facts.push(Fact::Ended { life: Box::new(life), at_ns: now });
    }

    fn exec(&mut self, task: &Task, old_pid: u32) {
        if old_pid != task.pid
            && old_pid != 0
            && let Some(mut life) = self.lives.remove(&old_pid)
        {
            // The two exchange their thread ids. What the leader still does, its final switch, comes under the other's.
            let from = life.id;
            let leader = self.lives.remove(&task.pid);
            life.id = leader.as_ref().map_or(TaskId { pid: task.pid, start_ns: from.start_ns }, |l| l.id);
            life.tgid = leader.as_ref().and_then(|l| l.tgid).or(life.tgid);
            self.facts.push(Fact::Became { from, to: life.id });
            self.lives.insert(task.pid, life);
            if let Some(mut leader) = leader {
                leader.id = from;
                self.lives.insert(old_pid, leader);
            }
            for of in self.cpus.values_mut() {
                match &mut of.doing {
                    OnCpu::Task(pid) if *pid == old_pid => *pid = task.pid,
                    OnCpu::Task(pid) if *pid == task.pid => *pid = old_pid,
                    _ => {}
                }
            }
        }
        self.known(task);
    }

    /// Events are missing up to now.
    fn lose(&mut self, of_cpu: Option<u32>, count: Option<u64>, from_ns: Option<u64>) {
        let now = self.now_ns;
        self.repairs.losses += 1;
        self.repairs.lost_events += count.unwrap_or(0);
        let hit: Vec<u32> = match of_cpu {
            Some(cpu) => vec![cpu],
            None => self.cpus.keys().copied().collect(),
        };
        let before = |cpu: &u32| self.cpus.get(cpu).map_or(now, |of| of.last_ns);
        // Without a begin of its own the gap begins at the last event of the CPUs it is about.
        let from = from_ns.unwrap_or_else(|| hit.iter().map(before).min().unwrap_or(now)).min(now);
        for cpu in hit {
            let Some(of) = self.cpus.get(&cpu).copied() else { continue };
            self.close_cpu(cpu, from.max(of.since_ns), None);
            if let OnCpu::Task(pid) = of.doing {
                self.interrupt(pid, from);
                self.set(pid, Doing::Unknown { why: Doubt::Loss, clear_ns: now });
            }
            let since_ns = from.max(of.since_ns);
            let doing = OnCpu::Unknown { why: Doubt::Loss, clear_ns: now };
            self.cpus.insert(cpu, Cpu { doing, since_ns, last_ns: now });
        }
        let mut pids: Vec<u32> = self.lives.keys().copied().collect();
        pids.sort_unstable(); // facts come in the same order for the same recording
        for pid in pids {
            let Some(life) = self.lives.get_mut(&pid) else { continue };
            match &mut life.doing {
                Doing::Running(_) => {}
                Doing::Unknown { clear_ns, .. } => *clear_ns = now.max(*clear_ns),
                Doing::Unborn | Doing::Runnable(_) | Doing::Blocked(_) => {
                    self.interrupt(pid, from);
                    self.set(pid, Doing::Unknown { why: Doubt::Loss, clear_ns: now });
                }
            }
        }
    }
}
