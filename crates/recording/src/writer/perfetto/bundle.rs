//! A bundle that is being filled.

use crate::event::{Context, Event, Kind, Left, Stage, Task};
use crate::proto::{Bundle, Compact, Exec, Exit, Fork, FtraceEvent, Migrate, Rename, Switch, Wake, What};
use crate::state::StateLaw;
use std::collections::HashMap;

/// Hard interrupt in `common_flags`.
const HARD_INTERRUPT: u32 = 0x08;

/// The events of one CPU that wait to be written.
#[derive(Debug)]
pub(super) struct OpenBundle {
    cpu: u32,
    bundle: Bundle,
    compact: Compact,
    names: HashMap<Vec<u8>, u32>,
    length: usize,
    /// Events of this CPU so far, those of bundles before this one among them.
    added: u64,
    /// Who came last, as a reader will know it.
    last: Option<Task>,
    switch_ts: u64,
    waking_ts: u64,
    numbers: [u64; 3],
    /// The places of the latest yields, compact and full.
    yields: [u64; 2],
    /// The same of the latest stops.
    stops: [u64; 2],
    /// A stop that is told with the next switch: whose queue it was, and how long it stood.
    stop: Option<(u32, u64)>,
    /// The latest instant, and how far in the order of kinds (wakings, switches, full events) it has come.
    instant: (u64, u8),
    is_after_gap: bool,
}

impl OpenBundle {
    pub(super) fn new(cpu: u32) -> Self {
        Self {
            cpu,
            bundle: Bundle::default(),
            compact: Compact::default(),
            names: HashMap::new(),
            length: 0,
            added: 0,
            last: None,
            switch_ts: 0,
            waking_ts: 0,
            numbers: [0; 3],
            yields: [0; 2],
            stops: [0; 2],
            stop: None,
            instant: (0, 0),
            is_after_gap: false,
        }
    }

    /// Events in it.
    pub(super) fn len(&self) -> usize {
        self.length
    }

    /// Events of this CPU so far, those of bundles before this one among them.
    pub(super) fn added(&self) -> u64 {
        self.added
    }

    /// Whether an event does not know who leaves, although a reader would believe to know.
    pub(super) fn must_forget(&self, event: &Event) -> bool {
        matches!(event.kind, Kind::Switch { prev: None, .. }) && self.last.is_some()
    }

    /// Something is missing behind what it holds. To be called when it is empty.
    pub(super) fn forget(&mut self) {
        self.last = None;
        self.is_after_gap = true;
    }

    /// What it holds, to be written; `None` where that is nothing.
    pub(super) fn take(&mut self) -> Option<Bundle> {
        if self.length == 0 {
            return None;
        }
        let mut bundle = std::mem::take(&mut self.bundle);
        let compact = std::mem::take(&mut self.compact);
        bundle.cpu = Some(self.cpu);
        bundle.lost_events = std::mem::take(&mut self.is_after_gap).then_some(true);
        let has_compact = !compact.switch_timestamp.is_empty() || !compact.waking_timestamp.is_empty();
        bundle.compact = has_compact.then_some(compact);
        self.names.clear();
        (self.length, self.switch_ts, self.waking_ts, self.numbers) = (0, 0, 0, [0; 3]);
        (self.instant, self.yields, self.stops) = ((0, 0), [0; 2], [0; 2]);
        Some(bundle)
    }

    pub(super) fn add(&mut self, event: &Event, law: &StateLaw, numbers: bool) {
        if let Kind::Throttled { pid, ns } = event.kind {
            self.stop = Some((pid, ns));
            self.added += 1;
            return;
        }
        let place = self.place(event);
        let in_order = numbers || event.ts_ns > self.instant.0 || place >= self.instant.1;
        let place = if in_order { place } else { 2 };
        self.instant = (event.ts_ns, place);
        if let Kind::Switch { state, next, .. } = &event.kind {
            if *state == Left::Yielded {
                self.note_yield(place == 1);
            }
            if let Some((_, ns)) = self.stop.take_if(|(pid, _)| *pid == next.pid) {
                self.note_stop(place == 1, ns);
            }
        }
        match (&event.kind, place) {
            (Kind::Wake { wakee, target, context, .. }, 0) => {
                self.waking(event.ts_ns, wakee, *target, *context);
            }
            (Kind::Switch { state, next, .. }, 1) => {
                let state = law.number(*state).cast_signed();
                self.switch(event.ts_ns, state, next);
            }
            _ => self.full(event, law),
        }
        if let Kind::Switch { next, .. } = &event.kind {
            self.last = Some(Task { tgid: None, ..*next });
        }
        if numbers {
            let which = [1, 0, 2][place as usize];
            let step = event.seq.wrapping_sub(self.numbers[which]).cast_signed();
            self.numbers[which] = event.seq;
            match which {
                0 => self.bundle.switch_order.push(step),
                1 => self.bundle.waking_order.push(step),
                _ => self.bundle.event_order.push(step),
            }
        }
        self.length += 1;
        self.added += 1;
    }

    /// Where an event goes: 0 compact wakings, 1 compact switches, 2 full events.
    fn place(&self, event: &Event) -> u8 {
        let who = self.last.as_ref();
        match &event.kind {
            Kind::Switch { next, .. } if next.prio.is_none() => 2,
            Kind::Switch { prev: None, .. } if event.ts_ns >= self.switch_ts => 1,
            Kind::Switch { prev: Some(prev), .. } => {
                let is_known = who
                    .is_some_and(|last| (last.pid, last.comm, last.prio) == (prev.pid, prev.comm, prev.prio));
                if is_known && event.ts_ns >= self.switch_ts { 1 } else { 2 }
            }
            Kind::Wake { stage: Stage::Waking, waker, context, wakee, target } => {
                let has_all = *context != Context::Unknown && wakee.prio.is_some() && target.is_some();
                let is_known = has_all && *waker == who.map(|last| last.pid) && event.ts_ns >= self.waking_ts;
                if is_known { 0 } else { 2 }
            }
            _ => 2,
        }
    }

    /// The switch that comes next is a yield.
    fn note_yield(&mut self, is_compact: bool) {
        let (places, at, last) = if is_compact {
            (&mut self.bundle.switch_yields, self.compact.switch_timestamp.len(), &mut self.yields[0])
        } else {
            (&mut self.bundle.event_yields, self.bundle.event.len(), &mut self.yields[1])
        };
        places.push(at as u64 - *last);
        *last = at as u64;
    }

    /// Before the switch that comes next the queue of who comes stood throttled.
    fn note_stop(&mut self, is_compact: bool, ns: u64) {
        let Bundle { event, switch_stops, switch_stopped_ns, event_stops, event_stopped_ns, .. } =
            &mut self.bundle;
        let (places, lengths, at, last) = if is_compact {
            (switch_stops, switch_stopped_ns, self.compact.switch_timestamp.len(), &mut self.stops[0])
        } else {
            (event_stops, event_stopped_ns, event.len(), &mut self.stops[1])
        };
        places.push(at as u64 - *last);
        lengths.push(ns);
        *last = at as u64;
    }

    fn name(&mut self, comm: &[u8]) -> u32 {
        if let Some(index) = self.names.get(comm) {
            return *index;
        }
        let index = u32::try_from(self.compact.intern_table.len()).unwrap_or(u32::MAX);
        self.compact.intern_table.push(comm.to_vec());
        self.names.insert(comm.to_vec(), index);
        index
    }

    fn switch(&mut self, ts_ns: u64, state: i64, next: &Task) {
        let name = self.name(&next.comm);
        self.compact.switch_timestamp.push(ts_ns.wrapping_sub(self.switch_ts));
        self.compact.switch_prev_state.push(state);
        self.compact.switch_next_pid.push(signed(next.pid));
        self.compact.switch_next_prio.push(next.prio.unwrap_or(0));
        self.compact.switch_next_comm_index.push(name);
        self.switch_ts = ts_ns;
    }

    fn waking(&mut self, ts_ns: u64, wakee: &Task, target: Option<u32>, context: Context) {
        let name = self.name(&wakee.comm);
        self.compact.waking_timestamp.push(ts_ns.wrapping_sub(self.waking_ts));
        self.compact.waking_pid.push(signed(wakee.pid));
        self.compact.waking_target_cpu.push(target.map_or(0, signed));
        self.compact.waking_prio.push(wakee.prio.unwrap_or(0));
        self.compact.waking_comm_index.push(name);
        self.compact.waking_common_flags.push(flags(context).unwrap_or(0));
        self.waking_ts = ts_ns;
    }

    fn full(&mut self, event: &Event, law: &StateLaw) {
        let mut pid = self.last.as_ref().map(|last| last.pid);
        let mut common_flags = None;
        let what = match &event.kind {
            Kind::Switch { prev, state, next } => {
                pid = prev.as_ref().map(|task| task.pid);
                What::Switch(Switch {
                    prev_comm: prev.as_ref().map(|task| task.comm.to_vec()),
                    prev_pid: prev.as_ref().map(|task| signed(task.pid)),
                    prev_prio: prev.as_ref().and_then(|task| task.prio),
                    prev_state: Some(law.number(*state).cast_signed()),
                    next_comm: Some(next.comm.to_vec()),
                    next_pid: Some(signed(next.pid)),
                    next_prio: next.prio,
                })
            }
            Kind::Wake { wakee, waker, target, stage, context } => {
                pid = *waker;
                common_flags = flags(*context);
                let wake = Wake {
                    comm: Some(wakee.comm.to_vec()),
                    pid: Some(signed(wakee.pid)),
                    prio: wakee.prio,
                    target_cpu: target.map(signed),
                };
                match stage {
                    Stage::Waking => What::Waking(wake),
                    Stage::Woken => What::Wakeup(wake),
                    Stage::New => What::WakeupNew(wake),
                }
            }
            Kind::Migrate { task, from, to } => What::Migrate(Migrate {
                comm: Some(task.comm.to_vec()),
                pid: Some(signed(task.pid)),
                prio: task.prio,
                orig_cpu: from.map(signed),
                dest_cpu: Some(signed(*to)),
            }),
            Kind::Fork { parent, child } => What::Fork(Fork {
                parent_comm: Some(parent.comm.to_vec()),
                parent_pid: Some(signed(parent.pid)),
                child_comm: Some(child.comm.to_vec()),
                child_pid: Some(signed(child.pid)),
            }),
            Kind::Exec { task, old_pid } => What::Exec(Exec {
                filename: None,
                pid: Some(signed(task.pid)),
                old_pid: Some(signed(*old_pid)),
            }),
            Kind::Exit { task } => What::Exit(Exit {
                comm: Some(task.comm.to_vec()),
                pid: Some(signed(task.pid)),
                tgid: task.tgid.map(signed),
                prio: task.prio,
            }),
            Kind::Rename { task } => What::Rename(Rename {
                pid: Some(signed(task.pid)),
                oldcomm: None,
                newcomm: Some(task.comm.to_vec()),
            }),
            // These go into own packets.
            Kind::Attributes { .. }
            | Kind::Group { .. }
            | Kind::Throttled { .. }
            | Kind::Asleep { .. }
            | Kind::Online
            | Kind::Offline
            | Kind::Loss { .. } => {
                return;
            }
        };
        let timestamp = Some(event.ts_ns);
        self.bundle.event.push(FtraceEvent { timestamp, pid, common_flags, what: Some(what) });
    }
}

fn signed(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

fn flags(context: Context) -> Option<u32> {
    match context {
        Context::Task => Some(0),
        Context::Interrupt => Some(HARD_INTERRUPT),
        Context::Unknown => None,
    }
}
