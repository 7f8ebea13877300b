//! What a simulator tells, turn by turn, as the events a kernel would have told: recordings whose truth is
//! known.
//!
//! A simulator may do much at one instant, on several CPUs; the order in which it is told is kept in the
//! numbers of the events, so such a recording is written with [`Options::numbers`](crate::writer::Options).

use crate::attributes::Attributes;
use crate::capabilities::{Capabilities, Header, LossTold};
use crate::event::{Context, Event, Kind, Left, Stage, Task};
use std::collections::{BTreeMap, HashMap};
use tombola_core::snapshot::{GroupTotals, TaskTotals};

/// Makes events of turns. They are to be told in order; what comes of them is taken by
/// [`events`](Self::events).
#[derive(Debug, Default)]
pub struct Simulated {
    tasks: HashMap<u32, Known>,
    /// Who is on each CPU; one who has left, and whose successor is not told yet, is on it still.
    cpus: BTreeMap<u32, Seat>,
    now_ns: u64,
    seq: u64,
    events: Vec<Event>,
}

#[derive(Debug)]
struct Known {
    task: Task,
    cpu: u32,
    is_first: bool,
}

#[derive(Clone, Copy, Debug, Default)]
struct Seat {
    pid: u32,
    left: Option<Left>,
}

/// What stands before the name of the policy in the format of a simulated recording.
pub const UNDER: &str = "simulation under ";

/// The header of a simulated recording of so many CPUs, under the policy of this name.
pub fn header(cpus: u32, policy: &str) -> Header {
    Header {
        format: format!("{UNDER}{policy}"),
        cpus: Some(cpus),
        clock: Some("simulated".to_owned()),
        begin_ns: Some(0),
        can: Capabilities {
            prev: true,
            waking: true,
            wakeup: false,
            waker: true,
            interrupt: true,
            fork_exit: true,
            migrations: false,
            tgid: true,
            groups: true,
            affinity: true,
            hides_preemption: false,
            yields: false,
            loss: LossTold::Exact,
            resolution_ns: 1,
        },
        ..Header::default()
    }
}

impl Simulated {
    /// For a machine with these groups. All CPUs idle at first.
    pub fn new(cpus: u32, groups: &[GroupTotals]) -> Self {
        let mut simulated =
            Self { cpus: (0..cpus).map(|cpu| (cpu, Seat::default())).collect(), ..Self::default() };
        for cpu in 0..cpus {
            simulated.push(cpu, Kind::Online);
        }
        for totals in groups {
            simulated.push(0, Kind::Group { totals: Box::new(*totals), name: None });
        }
        simulated
    }

    /// Events since the last call.
    pub fn events(&mut self) -> std::vec::Drain<'_, Event> {
        self.events.drain(..)
    }

    fn push(&mut self, cpu: u32, kind: Kind) {
        self.events.push(Event { ts_ns: self.now_ns, cpu, seq: self.seq, kind });
        self.seq += 1;
    }

    /// Time goes on: whoever has left without a successor has left an idle CPU.
    fn advance(&mut self, at_ns: u64) {
        if at_ns > self.now_ns {
            self.settle(|_| true);
            self.now_ns = at_ns;
        }
    }

    /// CPUs whose task has left become idle, those whose task is meant.
    fn settle(&mut self, is_meant: impl Fn(u32) -> bool) {
        let meant = |seat: &Seat| seat.left.is_some() && is_meant(seat.pid);
        let cpus: Vec<u32> = self.cpus.iter().filter(|(_, seat)| meant(seat)).map(|(cpu, _)| *cpu).collect();
        for cpu in cpus {
            self.switch(cpu, 0);
        }
    }

    fn switch(&mut self, cpu: u32, next: u32) {
        let seat = self.cpus.insert(cpu, Seat { pid: next, left: None }).unwrap_or_default();
        let state = seat.left.unwrap_or(Left::Runnable { preempted: Some(false) });
        let (prev, next) = (Some(self.task(seat.pid, cpu)), self.task(next, cpu));
        self.push(cpu, Kind::Switch { prev, state, next });
    }

    fn task(&self, pid: u32, cpu: u32) -> Task {
        if pid == 0 {
            let comm = format!("swapper/{cpu}").as_str().into();
            return Task { pid, tgid: None, comm, prio: Some(120) };
        }
        self.tasks.get(&pid).map_or_else(|| Task { pid, ..Task::default() }, |known| known.task)
    }

    /// A task comes into being, and is woken for the first time next.
    pub fn born(&mut self, at_ns: u64, totals: &TaskTotals) {
        self.advance(at_ns);
        let prio = match totals.policy {
            tombola_core::policy::Policy::Deadline => -1,
            policy if !policy.holds_tickets() => 50,
            _ => 120 + i32::from(totals.nice.get()),
        };
        let task = Task {
            pid: totals.id.pid,
            tgid: Some(totals.tgid),
            comm: totals.comm.as_slice().into(),
            prio: Some(prio),
        };
        let policy = match totals.policy {
            tombola_core::policy::Policy::Fifo => 1,
            tombola_core::policy::Policy::RoundRobin => 2,
            tombola_core::policy::Policy::Deadline => 6,
            _ => 0,
        };
        self.push(
            0,
            Kind::Attributes {
                pid: task.pid,
                start_ns: Some(totals.id.start_ns),
                attributes: Box::new(Attributes {
                    tgid: task.tgid,
                    comm: task.comm,
                    prio: task.prio,
                    weight: Some(totals.weight),
                    policy: Some(policy),
                    group: Some(totals.group),
                    affinity: totals.affinity.clone(),
                    reservation: None,
                }),
            },
        );
        self.tasks.insert(task.pid, Known { task, cpu: 0, is_first: true });
    }

    /// A task becomes runnable, by another or by a timer.
    pub fn woken(&mut self, at_ns: u64, pid: u32, by: Option<u32>) {
        self.advance(at_ns);
        self.settle(|left| left == pid);
        let wakee = self.task(pid, 0);
        let last = self.tasks.get(&pid).map_or(0, |known| known.cpu);
        let cpu = by.and_then(|by| self.tasks.get(&by)).map_or(last, |known| known.cpu);
        let is_first = self.tasks.get_mut(&pid).is_some_and(|known| std::mem::take(&mut known.is_first));
        let kind = Kind::Wake {
            wakee,
            waker: by.or_else(|| self.cpus.get(&cpu).map(|seat| seat.pid)),
            target: Some(last),
            stage: if is_first { Stage::New } else { Stage::Waking },
            context: if by.is_some() { Context::Task } else { Context::Interrupt },
        };
        self.push(cpu, kind);
    }

    /// A task comes to a CPU, whose task has left.
    pub fn came(&mut self, at_ns: u64, cpu: u32, pid: u32) {
        self.advance(at_ns);
        // Its own departure elsewhere comes first.
        if self.cpus.get(&cpu).is_none_or(|seat| seat.pid != pid) {
            self.settle(|left| left == pid);
        }
        if let Some(known) = self.tasks.get_mut(&pid) {
            known.cpu = cpu;
        }
        self.switch(cpu, pid);
    }

    /// A task leaves its CPU.
    pub fn left(&mut self, at_ns: u64, cpu: u32, state: Left) {
        self.advance(at_ns);
        if let Some(seat) = self.cpus.get_mut(&cpu) {
            seat.left = Some(state);
        }
    }

    /// The simulation ends at `at_ns`.
    pub fn finish(&mut self, at_ns: u64) {
        self.advance(at_ns);
        self.settle(|_| true);
    }
}
