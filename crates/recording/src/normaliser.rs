//! From events to intervals: a state machine for each CPU and each task.
//!
//! An event says what was so until now. Where two of them contradict each other, or something is missing
//! between them, the stretch in between is unknown, with a reason, and the repair is counted ([`Repairs`]):
//! nothing is guessed.
//!
//! # What a gap makes unknown
//!
//! Events of CPU c are missing from `from` to `to`. Any task may have been woken there, or have run there. So
//! each task's state is unknown in \[`from`, `to`\]. But afterwards nothing is missing: a task that is
//! *woken* next was blocked all the time since `to`, one that *comes to a CPU* next was runnable since `to`,
//! one that *leaves* a CPU next ran since `to`. Only the gap itself is unknown. While a gap lasts, what other
//! CPUs tell is certain at its instant and not after it: a task that is woken may run on the CPU whose events
//! are missing. So a gap must be known when it begins; [`gaps::Early`](crate::gaps::Early) brings its event
//! there. The begin of a recording that says from when on it is complete ([`Header::begin_ns`]) is such a gap
//! without length; otherwise all is unknown up to a task's first event.
//!
//! # Wakes
//!
//! A wake may stand before the switch-out it belongs to: the sleeper is still on its CPU. It is carried over:
//! the sleep has no length. If the same task is woken again before it has run, the first wake had no effect,
//! and the sleep is what lies before the second.

mod birth;
mod cpu;
mod gap;
mod repairs;
mod scope;
mod switch;
#[cfg(test)]
pub(crate) mod tests;
mod told;
mod wake;

pub use cpu::{Cpu, OnCpu};
pub use repairs::Repairs;

use crate::capabilities::{Header, Scope};
use crate::event::{Event, Kind, Task};
use crate::fact::Fact;
use crate::interval::Doubt;
use crate::life::{Doing, Life};
use foldhash::fast::RandomState;
use std::collections::{BTreeMap, HashMap, HashSet};
use tombola_core::identity::TaskId;
use tombola_core::snapshot::{Group, GroupTotals};

/// The state machine. Events go in by [`event`](Self::event), facts come out by [`facts`](Self::facts).
///
/// Memory: the living tasks, the CPUs, the groups.
#[derive(Debug, Default)]
pub struct Normaliser {
    lives: HashMap<u32, Life, RandomState>,
    cpus: BTreeMap<u32, Cpu>,
    groups: BTreeMap<Group, (GroupTotals, Option<String>)>,
    /// When tasks ended that had lived since before the begin, by thread id: one that comes again is another
    /// task.
    ended: HashMap<u32, u64, RandomState>,
    repairs: Repairs,
    facts: Vec<Fact>,
    /// Whether `sched_waking` is recorded: then `sched_wakeup` does not tell who woke.
    has_waking: bool,
    /// Whose events these are, and of a recording of some tasks who is known to be one of them.
    scope: Scope,
    watched: HashSet<u32, RandomState>,
    exact_begin_ns: Option<u64>,
    begin_ns: Option<u64>,
    now_ns: u64,
    /// When the gaps that are known end.
    gap_until_ns: u64,
}

impl Normaliser {
    /// For a recording with this header.
    pub fn new(header: &Header) -> Self {
        Self {
            has_waking: header.can.waking,
            scope: header.scope,
            exact_begin_ns: header.begin_ns,
            begin_ns: header.begin_ns,
            now_ns: header.begin_ns.unwrap_or(0),
            groups: header.groups.iter().map(|totals| (totals.id, (*totals, None))).collect(),
            ..Self::default()
        }
    }

    /// What was found out since the last call, in the order of the ends of intervals.
    pub fn facts(&mut self) -> std::vec::Drain<'_, Fact> {
        self.facts.drain(..)
    }

    /// The same, for whoever looks before they are taken.
    pub fn found(&self) -> &[Fact] {
        &self.facts
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
        if let (Kind::Loss { of_cpu, count, from_ns }, Some(_)) = (&event.kind, self.begin_ns) {
            // Its time is the end of the gap, and others may still tell of the time before.
            return self.lose(*of_cpu, *count, *from_ns, event.ts_ns.max(self.now_ns));
        }
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
        of.last_ns = now;
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
            Kind::Attributes { pid, start_ns, attributes } => {
                self.name(&attributes.task(*pid), *start_ns);
                if let Some(life) = self.lives.get_mut(pid) {
                    life.attributes.renew(attributes);
                }
            }
            Kind::Group { totals, name } => {
                let entry = self.groups.entry(totals.id).or_insert((**totals, None));
                entry.0 = **totals;
                if name.is_some() {
                    entry.1.clone_from(name);
                }
            }
            // It changes nothing that a task does.
            Kind::Throttled { .. } => {}
            Kind::Asleep { pid, left } => self.seen_asleep(*pid, *left),
            Kind::Online => self.reset_cpu(event.cpu, OnCpu::Idle),
            Kind::Offline => self.reset_cpu(event.cpu, OnCpu::Offline),
            Kind::Loss { of_cpu, count, from_ns } => self.lose(*of_cpu, *count, *from_ns, now),
        }
        if now < self.gap_until_ns {
            self.doubt_in_gap(&event.kind);
        }
        self.doubt_out_of_sight(event);
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
        life.attributes.note(task);
        Some(life)
    }

    /// Makes sure that a task is known; one that is not has lived since before the begin, as far as anybody
    /// knows.
    fn name(&mut self, task: &Task, start_ns: Option<u64>) {
        if task.pid == 0 {
            return;
        }
        if start_ns.is_none()
            && let Some(life) = self.lives.get_mut(&task.pid)
        {
            return life.attributes.note(task);
        }
        if let (Some(start), Some(life)) = (start_ns, self.lives.get_mut(&task.pid)) {
            let is_other = match life.born_ns {
                Some(born) => born != start,
                // Those of a birth stand beside it, whatever the two clocks are apart.
                None => life.doing != Doing::Unborn && life.id.start_ns != 0 && life.id.start_ns < start,
            };
            if !is_other {
                life.born_ns = Some(start);
            } else if matches!(life.doing, Doing::Unknown { .. } | Doing::Blocked(_)) {
                self.repairs.reused_pids += 1;
                self.end(task.pid);
            }
        }
        let (begin, exact, now) = (self.begin_ns(), self.exact_begin_ns, self.now_ns);
        let repairs = &mut self.repairs;
        let ended = self.ended.get(&task.pid).copied();
        let life = self.lives.entry(task.pid).or_insert_with(|| {
            if let Some(ended_ns) = ended {
                repairs.reused_pids += 1;
                let id = TaskId { pid: task.pid, start_ns: start_ns.unwrap_or(now).max(1) };
                let doing = Doing::Unknown { why: Doubt::Start, clear_ns: u64::MAX };
                return Life { born_ns: start_ns, ..Life::new(id, doing, ended_ns) };
            }
            repairs.cut_begin += u64::from(exact.is_none());
            // Who was listed after the instant that is told may have been born after it.
            let born = start_ns.filter(|start| *start >= begin && exact.is_some());
            let doing = match (born, exact) {
                (Some(_), _) => Doing::Unborn,
                (None, Some(clear_ns)) => Doing::Unknown { why: Doubt::Start, clear_ns },
                (None, None) => Doing::Unknown { why: Doubt::Start, clear_ns: u64::MAX },
            };
            let id = TaskId { pid: task.pid, start_ns: start_ns.unwrap_or(0) };
            Life { born_ns: start_ns, ..Life::new(id, doing, born.unwrap_or(begin).min(now)) }
        });
        life.attributes.note(task);
    }
}
