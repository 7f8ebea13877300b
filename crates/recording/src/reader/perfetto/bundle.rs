//! The events of one bundle: full ones, compact switches and compact wakings, in order.

use super::wire::{Column, Fields, Value};
use crate::comm::Comm;
use crate::event::{Context, Event, Kind, Left, Stage, Task};
use crate::proto::{FtraceEvent, What};
use crate::state::StateLaw;
use prost::Message;
use std::collections::HashMap;
use std::sync::Arc;

/// Hard interrupt, soft interrupt, NMI, in `common_flags`.
const INTERRUPT_FLAGS: u32 = 0x08 | 0x10 | 0x40;

/// `CLONE_THREAD`.
const CLONE_THREAD: u64 = 0x1_0000;

/// What all bundles of a recording share.
#[derive(Debug)]
pub(super) struct Shared {
    /// Process of each thread, where process trees tell one and the same.
    pub(super) processes: HashMap<u32, Option<u32>>,
    /// Births come by `sched_process_fork`, not by `task_newtask`.
    pub(super) has_fork: bool,
    /// Runnable without a plus says nothing.
    pub(super) hides_preemption: bool,
}

/// What carries over from one bundle of a CPU to the next.
#[derive(Debug)]
pub(super) struct Carry {
    pub(super) cpu: u32,
    pub(super) law: StateLaw,
    /// Who came last; `None` at the begin and after a loss.
    pub(super) last: Option<Task>,
    pub(super) seq: u64,
}

/// Position of an event among those of its instant.
type Order = (u64, u64);

/// Some of the places in a sequence, each told as the difference to the one before.
#[derive(Debug, Default)]
struct Places {
    steps: Column,
    /// The next of them.
    next: Option<u64>,
    /// The place that comes next.
    at: u64,
}

impl Places {
    /// Once all steps are there.
    fn begin(&mut self) {
        self.next = self.steps.next();
    }

    /// Goes on by one place, and says whether that is one of them.
    fn is_next(&mut self) -> bool {
        let is_it = self.next == Some(self.at);
        if is_it {
            self.next = self.steps.next().and_then(|step| self.at.checked_add(step));
        }
        self.at += 1;
        is_it
    }
}

/// What stands beside a switch, told by its place.
#[derive(Clone, Copy, Debug, Default)]
struct Beside {
    is_yield: bool,
    stopped_ns: Option<u64>,
}

/// A bundle being read.
#[derive(Debug)]
pub(super) struct Bundle {
    bytes: Arc<[u8]>,
    /// Where the next full event is looked for.
    at: usize,
    end: usize,
    names: Vec<u8>,
    name_ends: Vec<u32>,
    columns: [Column; 12],
    orders: [Column; 3],
    numbers: [i64; 3],
    /// Yields among the compact switches, and among the full events.
    yields: [Places; 2],
    /// Those before which a queue stood throttled, in the same way, and for how long.
    stops: [Places; 2],
    stopped_ns: [Column; 2],
    switch_ts: u64,
    waking_ts: u64,
    /// With what its place tells, if it is a switch.
    full: Option<(Order, FtraceEvent, Beside)>,
    switch: Option<(Order, i64, Beside, Task)>,
    waking: Option<(Order, Task, Option<u32>, Context)>,
    /// Pieces that made no sense.
    pub(super) broken: u64,
}

// Field numbers of the columns, as indices.
const SWITCH_TS: usize = 1;
const SWITCH_STATE: usize = 2;
const SWITCH_PID: usize = 3;
const SWITCH_PRIO: usize = 4;
const SWITCH_COMM: usize = 6;
const WAKING_TS: usize = 7;
const WAKING_PID: usize = 8;
const WAKING_CPU: usize = 9;
const WAKING_PRIO: usize = 10;
const WAKING_COMM: usize = 11;

impl Bundle {
    /// Of `bytes[from..to]`.
    pub(super) fn new(bytes: &Arc<[u8]>, from: usize, to: usize) -> Self {
        let mut bundle = Self {
            at: from,
            end: to,
            bytes: Arc::clone(bytes),
            names: Vec::new(),
            name_ends: Vec::new(),
            columns: Default::default(),
            orders: Default::default(),
            numbers: [0; 3],
            yields: Default::default(),
            stops: Default::default(),
            stopped_ns: Default::default(),
            switch_ts: 0,
            waking_ts: 0,
            full: None,
            switch: None,
            waking: None,
            broken: 0,
        };
        let mut fields = Fields::new(&bytes[from..to]);
        for (field, value) in &mut fields {
            match (field, value) {
                (4, Value::Bytes(compact)) => bundle.compact(compact),
                (1871..=1873, value) => bundle.orders[field as usize - 1871].add(value),
                (1874..=1875, value) => bundle.yields[field as usize - 1874].steps.add(value),
                (1876, value) => bundle.stops[0].steps.add(value),
                (1877, value) => bundle.stopped_ns[0].add(value),
                (1878, value) => bundle.stops[1].steps.add(value),
                (1879, value) => bundle.stopped_ns[1].add(value),
                _ => {}
            }
        }
        bundle.broken += u64::from(fields.is_broken);
        bundle.yields.iter_mut().chain(&mut bundle.stops).for_each(Places::begin);
        bundle
    }

    fn compact(&mut self, bytes: &[u8]) {
        let mut fields = Fields::new(bytes);
        for (field, value) in &mut fields {
            match (field, value) {
                (5, Value::Bytes(name)) => {
                    self.names.extend_from_slice(name);
                    self.name_ends.push(u32::try_from(self.names.len()).unwrap_or(u32::MAX));
                }
                // Flags take the place of the interned names, which are no column.
                (12, value) => self.columns[5].add(value),
                (1..=11, value) => self.columns[field as usize].add(value),
                _ => {}
            }
        }
        self.broken += u64::from(fields.is_broken);
    }

    fn name(&self, index: u64) -> Comm {
        let Ok(index) = usize::try_from(index) else { return Comm::default() };
        let Some(&end) = self.name_ends.get(index) else { return Comm::default() };
        let begin = if index == 0 { 0 } else { self.name_ends[index - 1] };
        self.names.get(begin as usize..end as usize).unwrap_or_default().into()
    }

    /// The number an event has among all, where told; otherwise its kind's place among those of an instant:
    /// wakings, then switches, then full events.
    fn order(&mut self, which: usize) -> u64 {
        match self.orders[which].zigzag() {
            Some(step) => {
                self.numbers[which] = self.numbers[which].wrapping_add(step);
                self.numbers[which].cast_unsigned()
            }
            None => [1, 0, 2][which],
        }
    }

    /// What is told of the next compact switch, or the next full event, by its place.
    fn beside(&mut self, which: usize) -> Beside {
        let stopped_ns = if self.stops[which].is_next() { self.stopped_ns[which].next() } else { None };
        Beside { is_yield: self.yields[which].is_next(), stopped_ns }
    }

    /// A stop that comes before what is next in order, once.
    fn stop_before(&mut self, first: Order) -> Option<Kind> {
        let (pid, stopped_ns) = match (&mut self.switch, &mut self.full) {
            (Some((order, _, beside, next)), _) if *order == first => (next.pid, &mut beside.stopped_ns),
            (_, Some((order, FtraceEvent { what: Some(What::Switch(switch)), .. }, beside)))
                if *order == first =>
            {
                (u32::try_from(switch.next_pid?).ok()?, &mut beside.stopped_ns)
            }
            _ => return None,
        };
        Some(Kind::Throttled { pid, ns: stopped_ns.take()? })
    }

    fn has_order(&self) -> bool {
        self.orders.iter().any(|order| !order.is_empty())
    }

    fn fill_full(&mut self) {
        while self.full.is_none() && self.at < self.end {
            let bytes = Arc::clone(&self.bytes);
            let mut fields = Fields::new(&bytes[self.at..self.end]);
            let Some((field, value)) = fields.next() else {
                self.at = self.end;
                return;
            };
            self.at += fields.at();
            let (2, Value::Bytes(event)) = (field, value) else { continue };
            let beside = self.beside(1);
            match FtraceEvent::decode(event) {
                Ok(event) => {
                    // Others have their numbers too.
                    let order = self.order(2);
                    if let (Some(ts), true) = (event.timestamp, event.what.is_some()) {
                        self.full = Some(((ts, order), event, beside));
                    }
                }
                Err(_) => self.broken += 1,
            }
        }
    }

    fn fill_switch(&mut self) {
        if self.switch.is_some() {
            return;
        }
        let Some(step) = self.columns[SWITCH_TS].next() else { return };
        self.switch_ts = self.switch_ts.wrapping_add(step);
        let (state, pid, prio) = (
            self.columns[SWITCH_STATE].signed(),
            self.columns[SWITCH_PID].signed(),
            self.columns[SWITCH_PRIO].signed(),
        );
        let name = self.columns[SWITCH_COMM].next().unwrap_or(u64::MAX);
        let (Some(state), Some(pid)) = (state, pid.and_then(|pid| u32::try_from(pid).ok())) else {
            self.broken += 1;
            self.columns[SWITCH_TS] = Column::default();
            return;
        };
        let next =
            Task { pid, tgid: None, comm: self.name(name), prio: prio.and_then(|p| i32::try_from(p).ok()) };
        let (order, beside) = (self.order(0), self.beside(0));
        self.switch = Some(((self.switch_ts, order), state, beside, next));
    }

    fn fill_waking(&mut self) {
        if self.waking.is_some() {
            return;
        }
        let Some(step) = self.columns[WAKING_TS].next() else { return };
        self.waking_ts = self.waking_ts.wrapping_add(step);
        let pid = self.columns[WAKING_PID].signed().and_then(|pid| u32::try_from(pid).ok());
        let target = self.columns[WAKING_CPU].signed().and_then(|cpu| u32::try_from(cpu).ok());
        let prio = self.columns[WAKING_PRIO].signed().and_then(|p| i32::try_from(p).ok());
        let name = self.columns[WAKING_COMM].next().unwrap_or(u64::MAX);
        let flags = self.columns[5].next();
        let Some(pid) = pid else {
            self.broken += 1;
            self.columns[WAKING_TS] = Column::default();
            return;
        };
        let wakee = Task { pid, tgid: None, comm: self.name(name), prio };
        let order = self.order(1);
        let flags = flags.map(|flags| u32::try_from(flags).unwrap_or(0));
        self.waking = Some(((self.waking_ts, order), wakee, target, context(flags)));
    }

    /// The next event, `None` behind the last.
    pub(super) fn next(&mut self, carry: &mut Carry, shared: &Shared) -> Option<Event> {
        loop {
            self.fill_full();
            self.fill_switch();
            self.fill_waking();
            let orders = [
                self.full.as_ref().map(|(order, ..)| *order),
                self.switch.as_ref().map(|(order, ..)| *order),
                self.waking.as_ref().map(|(order, ..)| *order),
            ];
            let first = orders.iter().flatten().min().copied()?;
            let is_numbered = self.has_order();
            let is_waking = self.waking.as_ref().is_some_and(|(order, ..)| *order == first);
            let kind = if !is_waking && let Some(stop) = self.stop_before(first) {
                Some(stop)
            } else if is_waking {
                self.waking.take().map(|(_, mut wakee, target, context)| {
                    shared.fill(&mut wakee);
                    let waker = carry.last.as_ref().map(|task| task.pid);
                    Kind::Wake { wakee, waker, target, stage: Stage::Waking, context }
                })
            } else if self.switch.as_ref().is_some_and(|(order, ..)| *order == first) {
                self.switch.take().map(|(_, state, Beside { is_yield, .. }, mut next)| {
                    shared.fill(&mut next);
                    let prev = carry.last.replace(next);
                    let state = shared.left(&mut carry.law, state, is_yield);
                    Kind::Switch { prev, state, next }
                })
            } else {
                let kind = self.full.take().and_then(|(_, event, beside)| full(event, beside, carry, shared));
                self.broken += u64::from(kind.is_none());
                kind.flatten()
            };
            carry.seq = if is_numbered { first.1 } else { carry.seq.wrapping_add(1) };
            if let Some(kind) = kind {
                return Some(Event { ts_ns: first.0, cpu: carry.cpu, seq: carry.seq, kind });
            }
        }
    }
}

impl Shared {
    fn fill(&self, task: &mut Task) {
        task.tgid = task.tgid.or_else(|| self.processes.get(&task.pid).copied().flatten());
    }

    fn left(&self, law: &mut StateLaw, value: i64, is_yield: bool) -> Left {
        match law.left(value.cast_unsigned()) {
            Left::Runnable { preempted: Some(false) } if is_yield => Left::Yielded,
            Left::Runnable { preempted: Some(false) } if self.hides_preemption => {
                Left::Runnable { preempted: None }
            }
            left => left,
        }
    }

    fn task(&self, pid: Option<i32>, name: Option<Vec<u8>>, prio: Option<i32>) -> Option<Task> {
        let pid = u32::try_from(pid.unwrap_or(0)).ok()?;
        let mut task = Task { pid, tgid: None, comm: name.unwrap_or_default()[..].into(), prio };
        self.fill(&mut task);
        Some(task)
    }
}

fn context(flags: Option<u32>) -> Context {
    match flags {
        None => Context::Unknown,
        Some(flags) if flags & INTERRUPT_FLAGS != 0 => Context::Interrupt,
        Some(_) => Context::Task,
    }
}

/// A full event; the outer `None` where it makes no sense, the inner where it is passed over.
#[allow(clippy::option_option)] // two different kinds of nothing, as said
fn full(event: FtraceEvent, beside: Beside, carry: &mut Carry, shared: &Shared) -> Option<Option<Kind>> {
    let FtraceEvent { pid, common_flags, what, .. } = event;
    let wake = |wake: crate::proto::Wake, stage| {
        let wakee = shared.task(wake.pid, wake.comm, wake.prio)?;
        let target = wake.target_cpu.and_then(|cpu| u32::try_from(cpu).ok());
        Some(Kind::Wake { wakee, waker: pid, target, stage, context: context(common_flags) })
    };
    let kind = match what? {
        What::Switch(switch) => {
            // Whoever knows who leaves writes it, if it is 0 too.
            let prev = match switch.prev_pid {
                Some(pid) => Some(shared.task(Some(pid), switch.prev_comm, switch.prev_prio)?),
                None => None,
            };
            let next = shared.task(switch.next_pid, switch.next_comm, switch.next_prio)?;
            carry.last = Some(next);
            let state = shared.left(&mut carry.law, switch.prev_state.unwrap_or(0), beside.is_yield);
            Kind::Switch { prev, state, next }
        }
        What::Waking(told) => wake(told, Stage::Waking)?,
        What::Wakeup(told) => wake(told, Stage::Woken)?,
        What::WakeupNew(told) => wake(told, Stage::New)?,
        What::NewTask(told) => {
            if shared.has_fork {
                return Some(None);
            }
            let mut child = shared.task(told.pid, told.comm, None)?;
            let parent = Task { pid: pid?, ..Task::default() };
            let is_thread = told.clone_flags.unwrap_or(0) & CLONE_THREAD != 0;
            child.tgid = child.tgid.or_else(|| (!is_thread).then_some(child.pid));
            Kind::Fork { parent, child }
        }
        What::Fork(told) => Kind::Fork {
            parent: shared.task(told.parent_pid, told.parent_comm, None)?,
            child: shared.task(told.child_pid, told.child_comm, None)?,
        },
        What::Rename(told) => Kind::Rename { task: shared.task(told.pid, told.newcomm, None)? },
        What::Exec(told) => Kind::Exec {
            task: shared.task(told.pid, None, None)?,
            old_pid: u32::try_from(told.old_pid.unwrap_or(0)).ok()?,
        },
        What::Exit(told) => Kind::Exit { task: shared.task(told.pid, told.comm, told.prio)? },
        What::Migrate(told) => Kind::Migrate {
            task: shared.task(told.pid, told.comm, told.prio)?,
            from: told.orig_cpu.and_then(|cpu| u32::try_from(cpu).ok()),
            to: u32::try_from(told.dest_cpu?).ok()?,
        },
    };
    Some(Some(kind))
}
