//! From what the kernel's recorder hands over to the events of recordings: with names, processes and
//! attributes.

use crate::visibility::{Pids, pids};
use std::collections::HashMap;
use std::fs;
use tombola_core::identity::TaskId;
use tombola_core::snapshot::{Group, GroupTotals};
use tombola_kernel::GroupNames;
use tombola_kernel::recorder::{Begin, Known, Recorded, What};
use tombola_recording::attributes::Attributes;
use tombola_recording::comm::Comm;
use tombola_recording::event::{Context, Event, Kind, Left, Stage, Task};

/// What the kernel's `prev_state` is made of (include/linux/sched.h, unchanged since 4.14 but for where it is
/// said).
mod state {
    pub(super) const SLEEP: u16 = 0x1;
    pub(super) const DISK: u16 = 0x2;
    pub(super) const STOPPED: u16 = 0x4 | 0x8;
    pub(super) const PARKED: u16 = 0x40;
    pub(super) const DEAD: u16 = 0x80;
    /// Idle kernel workers: uninterruptible, and not part of the load.
    pub(super) const IDLE: u16 = DISK | 0x400;
    /// Waits for a lock that sleeps under `PREEMPT_RT`; frozen. The kernel reports both as D.
    pub(super) const AS_DISK: u16 = 0x1000 | 0x8000;
}

/// Makes events, and knows who is who.
pub struct Events {
    begin: Begin,
    tasks: HashMap<u32, Known>,
    groups: HashMap<Group, GroupTotals>,
    names: GroupNames,
    /// Events of each CPU so far.
    numbers: Vec<u64>,
    /// Tasks that left their CPU for good in the latest batch, and in the one before: another CPU's lane may
    /// still speak of them.
    ended: [Vec<TaskId>; 2],
    /// Names of threads whose birth was not seen.
    strangers: HashMap<u32, Comm>,
    /// The latest instant of what goes into own packets: they are kept in the order of time.
    own_ns: u64,
    /// Of whom nothing is told it is not known what they do: at the begin of a file, and after a loss.
    is_to_look: bool,
}

impl Events {
    pub fn new(begin: Begin, cpus: u32) -> Self {
        Self {
            begin,
            tasks: HashMap::new(),
            groups: HashMap::new(),
            names: GroupNames::new(),
            numbers: vec![0; cpus as usize],
            ended: Default::default(),
            strangers: HashMap::new(),
            own_ns: 0,
            is_to_look: true,
        }
    }

    /// Whether it is to be told who sleeps, once.
    pub fn take_look(&mut self) -> bool {
        std::mem::take(&mut self.is_to_look)
    }

    /// Learns who is in what was just handed over: CPU by CPU, a child may have run before its birth is told,
    /// and of a task that was on its way out when the recording began only the end is told.
    pub fn foresee(&mut self, batch: &[Recorded]) {
        let [latest, before] = &mut self.ended;
        for ended in before.drain(..) {
            // Its number may have gone to another since.
            if self.tasks.get(&ended.pid).is_some_and(|task| task.id == ended) {
                self.tasks.remove(&ended.pid);
            }
        }
        std::mem::swap(latest, before);
        for recorded in batch {
            match &recorded.what {
                What::Fork { child: task, .. } | What::Exit { task } => {
                    self.tasks.entry(task.id.pid).or_insert_with(|| Known::clone(task));
                }
                // Long after its exit was told, where the machine is busy.
                What::Switch { prev, state, preempted: false, .. } if state & state::DEAD != 0 => {
                    latest.extend(self.tasks.get(prev).map(|task| task.id));
                }
                _ => {}
            }
        }
    }

    /// Makes events of one thing that happened; most are one.
    pub fn make(&mut self, recorded: Recorded, give: &mut dyn FnMut(Event)) {
        let Recorded { ts_ns, cpu, what } = recorded;
        let kind = match what {
            What::Switch { prev, prev_prio, state, preempted, yielded, next, next_prio } => Kind::Switch {
                prev: Some(self.task(prev, Some(prev_prio), cpu)),
                state: if yielded { Left::Yielded } else { left(state, preempted) },
                next: self.task(next, Some(next_prio), cpu),
            },
            What::Wake { wakee, prio, waker, interrupt, target, new } => Kind::Wake {
                wakee: self.task(wakee, Some(prio), cpu),
                waker: Some(waker),
                target,
                stage: if new { Stage::New } else { Stage::Waking },
                context: match interrupt {
                    None => Context::Unknown,
                    Some(false) => Context::Task,
                    Some(true) => Context::Interrupt,
                },
            },
            What::Migrate { pid, prio, from, to } => {
                Kind::Migrate { task: self.task(pid, Some(prio), cpu), from, to }
            }
            What::Fork { parent, child } => {
                let parent = self.task(parent, None, cpu);
                self.event(ts_ns, cpu, Kind::Fork { parent, child: named(&child) }, give);
                self.attributes(ts_ns, *child, give);
                return;
            }
            What::Exec { task, old_pid } => {
                let kind = Kind::Exec { task: named(&task), old_pid };
                self.tasks.insert(task.id.pid, *task);
                kind
            }
            What::Rename { task } => {
                let kind = Kind::Rename { task: named(&task) };
                if let Some(known) = self.tasks.get_mut(&task.id.pid) {
                    known.comm = task.comm;
                }
                kind
            }
            What::Exit { task } => Kind::Exit { task: named(&task) },
            What::Throttled { pid, ns } => Kind::Throttled { pid, ns },
            What::Asleep { pid, state } => Kind::Asleep { pid, left: left(state, false) },
            What::Loss { count, from_ns } => {
                // Nobody knows any more who does what, until it is seen.
                self.is_to_look = true;
                Kind::Loss { of_cpu: Some(cpu), count: Some(count), from_ns: Some(from_ns) }
            }
        };
        self.event(ts_ns, cpu, kind, give);
    }

    /// What is new among what all tasks and groups are like now.
    pub fn renew(
        &mut self,
        ts_ns: u64,
        tasks: Vec<Known>,
        groups: Vec<GroupTotals>,
        give: &mut dyn FnMut(Event),
    ) {
        for group in groups {
            self.group(ts_ns, group, give);
        }
        for task in tasks {
            if self.tasks.get(&task.id.pid).is_none_or(|known| has_changed(known, &task)) {
                self.attributes(ts_ns, task, give);
            }
        }
    }

    /// All that is known, for a file that begins now.
    pub fn all(&mut self, ts_ns: u64, give: &mut dyn FnMut(Event)) {
        self.is_to_look = true;
        for group in std::mem::take(&mut self.groups).into_values() {
            self.group(ts_ns, group, give);
        }
        let tasks: Vec<Known> = self.tasks.values().cloned().collect();
        for task in tasks {
            self.attributes(ts_ns, task, give);
        }
    }

    /// The name of a task, for people.
    pub fn name(&self, pid: u32) -> &[u8] {
        self.tasks.get(&pid).map_or(b"?", |task| &task.comm)
    }

    fn attributes(&mut self, ts_ns: u64, task: Known, give: &mut dyn FnMut(Event)) {
        let kind = Kind::Attributes {
            pid: task.id.pid,
            // Nothing happened before the machine's start, where the two clocks may differ by what it was
            // suspended.
            start_ns: Some((task.id.start_ns + self.begin.ts_ns).saturating_sub(self.begin.boot_ns)),
            attributes: Box::new(Attributes {
                tgid: Some(task.tgid),
                comm: task.comm.as_slice().into(),
                prio: Some(task.prio),
                weight: Some(task.weight),
                policy: Some(task.policy),
                group: (task.group != Group::Unknown).then_some(task.group),
                affinity: task.affinity.clone(),
                reservation: task.reservation,
            }),
        };
        self.tasks.insert(task.id.pid, task);
        self.event(ts_ns, 0, kind, give);
    }

    fn group(&mut self, ts_ns: u64, totals: GroupTotals, give: &mut dyn FnMut(Event)) {
        if self.groups.insert(totals.id, totals) == Some(totals) {
            return;
        }
        self.names.learn([totals.id]);
        let kind = Kind::Group { totals: Box::new(totals), name: Some(self.names.name(totals.id)) };
        self.event(ts_ns, 0, kind, give);
    }

    fn event(&mut self, ts_ns: u64, cpu: u32, kind: Kind, give: &mut dyn FnMut(Event)) {
        let mut ts_ns = ts_ns;
        if matches!(kind, Kind::Attributes { .. } | Kind::Group { .. }) {
            // What was asked a moment ago may stand before births that are read now.
            ts_ns = ts_ns.max(self.own_ns);
            self.own_ns = ts_ns;
        }
        let mut seq = 0;
        if let Some(number) = self.numbers.get_mut(cpu as usize) {
            seq = *number;
            *number += 1;
        }
        give(Event { ts_ns, cpu, seq, kind });
    }

    fn task(&mut self, pid: u32, prio: Option<i32>, cpu: u32) -> Task {
        if pid == 0 {
            return Task { pid, tgid: Some(0), comm: format!("swapper/{cpu}").as_str().into(), prio };
        }
        if let Some(known) = self.tasks.get(&pid) {
            return Task { pid, tgid: Some(known.tgid), comm: known.comm.as_slice().into(), prio };
        }
        // Its birth was lost, or it was being born when the recording began.
        let comm = self.strangers.entry(pid).or_insert_with(|| {
            let here = matches!(pids(), Pids::Initial).then_some(pid);
            let mut comm =
                here.and_then(|pid| fs::read(format!("/proc/{pid}/comm")).ok()).unwrap_or_default();
            comm.pop_if(|last| *last == b'\n');
            Comm::from(comm.as_slice())
        });
        Task { pid, tgid: None, comm: *comm, prio }
    }
}

fn named(task: &Known) -> Task {
    Task { pid: task.id.pid, tgid: Some(task.tgid), comm: task.comm.as_slice().into(), prio: Some(task.prio) }
}

/// Whether something is to be told of: its name tells itself, and its priority is in every event.
fn has_changed(known: &Known, now: &Known) -> bool {
    let told = |task: &Known| (task.id, task.weight, task.policy, task.group, task.tgid, task.reservation);
    told(known) != told(now) || known.affinity != now.affinity
}

/// The state in which a task left its CPU, as the kernel's own report of it has it.
fn left(state: u16, preempted: bool) -> Left {
    if preempted || state == 0 {
        Left::Runnable { preempted: Some(preempted) }
    } else if state & state::DEAD != 0 {
        Left::Dead
    } else if state & state::IDLE == state::IDLE || state & state::PARKED != 0 {
        Left::Idle
    } else if state & state::STOPPED != 0 {
        Left::Stopped
    } else if state & (state::DISK | state::AS_DISK) != 0 {
        Left::Disk
    } else if state & state::SLEEP != 0 {
        Left::Sleep
    } else {
        Left::Other(state.into())
    }
}
