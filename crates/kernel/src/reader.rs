//! From the maps of a monitor to a snapshot of one instant.
//!
//! Maps cannot be read at one instant, so the reader makes one: it reads the slots of all CPUs until each has been seen
//! twice the same, takes the time `t`, then reads the tasks, and moves what it finds to `t`. A slice that was open at `t` is
//! added up to `t`; of a slice that ended after `t`, its end is taken off again. A task that ran several slices between
//! `t` and the reading of its record keeps all but the last of them: an error of at most the time a read takes.
//!
//! Slices are kept on the run-queue clocks of their CPUs; every instant is moved to the monotonic clock first, by the pair of
//! readings that each CPU renews about once a second. Between two renewals the clocks part by the rate at which NTP steers
//! the monotonic one: microseconds in a second.

use crate::batch::each_value;
use crate::clock;
use crate::ended;
use crate::error::{Error, Result};
use crate::monitor::open_pin;
use crate::monitor_object::ITERATOR;
use crate::object::LoadedObject;
use crate::pins::{Pins, companion};
use crate::possible;
use crate::queued::QueuedTasks;
use crate::running;
use crate::wire::{Wire, c_bytes, cpu_slot, exited_record, group_record, queued_task, schema, task_record};
use libbpf_rs::{MapCore as _, MapFlags, MapHandle, MapType};
use nix::sched::{CpuSet as NixCpuSet, sched_getaffinity};
use nix::unistd::Pid;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use tombola_core::cpu_set::CpuSet;
use tombola_core::histogram::Histogram;
use tombola_core::identity::TaskId;
use tombola_core::policy::Policy;
use tombola_core::snapshot::{
    CpuBooks, ExitTotals, ExitedTask, Group, GroupTotals, Loss, Quota, Running, Snapshot, TaskState,
    TaskTotals,
};
use tombola_core::tickets::Nice;
use tombola_core::usage::Usage;

/// Times the slots are read at most until two readings agree. A CPU that switches faster than that has slices so short
/// that mixing two of them does not matter.
const SLOT_READINGS: usize = 8;

/// `TASK_WAITING`, `TASK_LEFT` and `TASK_MISSTAMPED` in `bpf/wire.h`.
const WAITING: u32 = 1;
const LEFT: u32 = 2;
const MISSTAMPED: u32 = 3;

/// Reads one monitor.
pub struct Reader {
    task_map: MapHandle,
    cpu_map: MapHandle,
    exited_map: MapHandle,
    group_map: MapHandle,
    queued: QueuedTasks,
    begin_ns: u64,
    begin_boot_ns: u64,
    ring_bits: u32,
}

impl Reader {
    pub(crate) fn of_object(
        loaded: &LoadedObject,
        iterator: Option<OwnedFd>,
        schema: &schema,
    ) -> Result<Self> {
        let missing = || Error::Object { what: format!("it has no program {ITERATOR}") };
        Ok(Self {
            task_map: loaded.map("task_map")?,
            cpu_map: loaded.map("cpu_map")?,
            exited_map: loaded.map("exited_map")?,
            group_map: loaded.map("group_map")?,
            queued: QueuedTasks::Link(iterator.ok_or_else(missing)?),
            begin_ns: schema.begin_ns,
            begin_boot_ns: schema.begin_boot_ns,
            ring_bits: schema.ring_bits,
        })
    }

    pub(crate) fn of_pins(pins: &Pins, schema: &schema) -> Result<Self> {
        Ok(Self {
            task_map: open::<u32, task_record>(&pins.map, MapType::Hash)?,
            cpu_map: open::<u32, cpu_slot>(&pins.companion(companion::CPU_MAP), MapType::Array)?,
            exited_map: open::<u32, exited_record>(&pins.companion(companion::EXITED_MAP), MapType::Array)?,
            group_map: open::<[u64; 2], group_record>(&pins.companion(companion::GROUP_MAP), MapType::Hash)?,
            queued: QueuedTasks::Pin(pins.companion_link(ITERATOR)),
            begin_ns: schema.begin_ns,
            begin_boot_ns: schema.begin_boot_ns,
            ring_bits: schema.ring_bits,
        })
    }

    /// Tasks that the task map has room for.
    pub fn max_tasks(&self) -> u32 {
        self.task_map.max_entries()
    }

    /// The machine now.
    ///
    /// # Errors
    /// [`Error::ReadMap`] if the kernel refuses to read a map.
    pub fn snapshot(&self) -> Result<Snapshot> {
        let slots = self.stable_slots()?;
        let taken_ns = clock::monotonic_ns();
        let unix_us = clock::unix_ns() / 1000;
        let online = possible::online();
        let moment = Moment {
            taken_ns,
            begin_ns: self.begin_ns,
            slots: &slots,
            online: (0..).map(|cpu| online.is_empty() || online.contains(cpu)).take(slots.len()).collect(),
            possible: possible::possible(),
            queued: self.queued.read()?.into_iter().map(|task| (queued_identity(&task), task)).collect(),
        };

        let mut living = BTreeMap::new();
        each_value::<task_record>(&self.task_map, |record| {
            // A record is all zero between its insertion and its first slice's end.
            if record.pid != 0 {
                living.insert(identity(&record), record);
            }
        })?;
        let (exited, exits) = self.exited(&moment, &mut living)?;
        let mut tasks: Vec<TaskTotals> = living.values().map(|record| moment.living(record)).collect();
        let mut loss = slots.iter().fold(Loss::default(), add_loss);
        let is_full = living.len() >= self.max_tasks() as usize;
        let mut first_slices = BTreeSet::new();
        for (cpu, slot) in moment.open_slots() {
            let id = TaskId { pid: slot.pid, start_ns: slot.start_ns };
            if living.contains_key(&id) || exited.iter().any(|e| e.totals.id == id) {
                continue;
            }
            if is_full {
                // Its slice will find no room when it is closed: open or closed, it is in the same account.
                loss.untracked_ns += taken_ns.saturating_sub(monotonic_ns(slot, slot.since_ns));
            } else if first_slices.insert(id) {
                tasks.push(self.first_slice(&moment, id, cpu, slot));
            }
        }
        // Who waits for the first slice since measuring began is nowhere else. It has no record to find room for yet.
        for (id, task) in &moment.queued {
            let is_known = living.contains_key(id) || first_slices.contains(id);
            if task.on_cpu == 0 && !is_known && exited.iter().all(|e| e.totals.id != *id) {
                tasks.push(moment.first_wait(*id, task));
            }
        }
        tasks.sort_unstable_by_key(|task| task.id);
        let holds_no_tickets = |id: TaskId| {
            tasks.binary_search_by_key(&id, |task| task.id).is_ok_and(|at| !tasks[at].policy.holds_tickets())
        };
        Ok(Snapshot {
            taken_ns,
            read_ns: clock::monotonic_ns().saturating_sub(taken_ns),
            unix_us,
            begin_ns: self.begin_ns,
            cpus: (0..).zip(&slots).map(|(cpu, slot)| moment.cpu(cpu, slot, holds_no_tickets)).collect(),
            tasks,
            exited,
            exits,
            groups: self.groups()?,
            interference: None,
            loss,
        })
    }

    /// Slots of all possible CPUs, each read twice the same if its CPU holds still for as long as a read takes. They need not hold
    /// still at once.
    fn stable_slots(&self) -> Result<Vec<cpu_slot>> {
        stable(SLOT_READINGS, || self.slots())
    }

    fn slots(&self) -> Result<Vec<cpu_slot>> {
        let mut slots = Vec::with_capacity(self.cpu_map.max_entries() as usize);
        each_value(&self.cpu_map, |slot| slots.push(slot))?;
        Ok(slots)
    }

    /// Ended tasks that are remembered, parts of one life put together, and the sums over all. Records that were read alive
    /// and have ended before their end was read are taken out of `living`.
    fn exited(
        &self,
        moment: &Moment<'_>,
        living: &mut BTreeMap<TaskId, task_record>,
    ) -> Result<(Vec<ExitedTask>, ExitTotals)> {
        let mut totals = ExitTotals {
            count: moment.slots.iter().map(|s| s.exits.saturating_sub(s.exits_left)).sum(),
            runtime_ns: moment.slots.iter().map(|s| s.exits_runtime_ns).sum(),
        };
        let mut ends: BTreeMap<TaskId, ExitedTask> = BTreeMap::new();
        if totals.count > 0 {
            for (index, end) in self.whole_ends(moment)? {
                let slot = moment.slots.get(index >> self.ring_bits);
                let mut task = moment.ended(&end);
                let is_an_end = end.task.state != LEFT;
                if slot.is_some_and(|slot| end.number > slot.exits) {
                    // Ended after its CPU's slot was read. If it was after the instant too, it lives at the instant.
                    if task.ended_ns > moment.taken_ns {
                        if is_an_end {
                            living.insert(task.totals.id, end.task);
                        }
                        continue;
                    }
                    totals.count += u64::from(is_an_end);
                    totals.runtime_ns += task.totals.usage.runtime_ns;
                }
                // The clocks of two CPUs are not compared more exactly than this: it is counted as an end in the slot.
                task.ended_ns = task.ended_ns.min(moment.taken_ns);
                let is_its_end = |record: &task_record| {
                    record.exec_tid == end.task.exec_tid && moment.latest_slice(record).1 <= task.ended_ns
                };
                if is_an_end && living.get(&task.totals.id).is_some_and(is_its_end) {
                    living.remove(&task.totals.id);
                }
                match ends.get_mut(&task.totals.id) {
                    None => {
                        ends.insert(task.totals.id, task);
                    }
                    Some(part) => {
                        let (mut later, earlier) = if part.ended_ns < task.ended_ns {
                            (task, part.clone())
                        } else {
                            (part.clone(), task)
                        };
                        later.totals.usage.merge(&earlier.totals.usage);
                        *part = later;
                    }
                }
            }
        }
        Ok((ends.into_values().collect(), totals))
    }

    /// Records of ended tasks, each with its place in the map. Who is just being written is left out: it is still among the living.
    fn whole_ends(&self, moment: &Moment<'_>) -> Result<Vec<(usize, exited_record)>> {
        let (mut ends, mut index) = (Vec::new(), 0usize);
        each_value::<exited_record>(&self.exited_map, |end| {
            if end.number != 0 && end.number == end.begun {
                ends.push((index, end));
            }
            index += 1;
        })?;
        ended::look_again();
        let now = self.slots()?;
        let mut whole = Vec::with_capacity(ends.len());
        for (index, end) in ends {
            let cpu = index >> self.ring_bits;
            let exits = |slots: &[cpu_slot]| slots.get(cpu).map_or(u64::MAX, |slot| slot.exits);
            if !ended::is_in_doubt(end.number, 1 << self.ring_bits, exits(moment.slots), exits(&now)) {
                whole.push((index, end));
            } else if let Some(end) = ended::whole(end, || self.end_at(index))? {
                whole.push((index, end));
            }
        }
        Ok(whole)
    }

    fn end_at(&self, index: usize) -> Result<Option<exited_record>> {
        let key = u32::try_from(index).unwrap_or(u32::MAX).to_ne_bytes();
        let value = self.exited_map.lookup(&key, MapFlags::ANY).map_err(|error| Error::ReadMap {
            map: companion::EXITED_MAP.into(),
            reason: io::Error::other(error),
        })?;
        Ok(value.and_then(|bytes| exited_record::read(&bytes)))
    }

    fn groups(&self) -> Result<Vec<GroupTotals>> {
        let mut groups = Vec::new();
        each_value::<group_record>(&self.group_map, |record| {
            // A record is all zero for a moment after its insertion.
            if record.key.kind != 0 || record.key.id != 0 {
                groups.push(group_totals(&record));
            }
        })?;
        groups.sort_unstable_by_key(|group| group.id);
        groups.dedup_by_key(|group| group.id);
        Ok(groups)
    }

    /// A task in its first slice since the monitor began: all that is known is its slot, and what the iterator or, if it was too late,
    /// procfs says.
    fn first_slice(&self, moment: &Moment<'_>, id: TaskId, cpu: u32, slot: &cpu_slot) -> TaskTotals {
        let since_ns = monotonic_ns(slot, slot.since_ns);
        let usage = Usage {
            runtime_ns: moment.taken_ns.saturating_sub(since_ns),
            wakeups: u64::from(id.start_ns >= self.begin_boot_ns),
            ..Usage::default()
        };
        if let Some(task) = moment.queued.get(&id) {
            let mut totals = moment.queued_totals(id, task);
            let wait_ns = task.run_delay_ns.saturating_sub(slot.delay_ns);
            totals.usage = usage;
            add_open_wait(&mut totals.usage, wait_ns.min(since_ns.saturating_sub(self.begin_ns)));
            (totals.cpu, totals.state) = (cpu, TaskState::Running);
            return totals;
        }
        let attributes = running::attributes(id.pid);
        TaskTotals {
            id,
            tgid: slot.tgid,
            comm: attributes.comm,
            weight: attributes.nice.weight(),
            tickets_set: None,
            nice: attributes.nice,
            policy: attributes.policy,
            group: Group::Unknown,
            affinity: None,
            cpu,
            state: TaskState::Running,
            usage,
        }
    }
}

/// The instant a snapshot is of, and what the CPUs did then.
struct Moment<'s> {
    taken_ns: u64,
    begin_ns: u64,
    slots: &'s [cpu_slot],
    online: Vec<bool>,
    possible: CpuSet,
    queued: BTreeMap<TaskId, queued_task>,
}

impl Moment<'_> {
    /// An instant on a CPU's run-queue clock, on the monotonic clock.
    fn monotonic_ns(&self, cpu: u32, clock_ns: u64) -> u64 {
        self.slots.get(cpu as usize).map_or(clock_ns, |slot| monotonic_ns(slot, clock_ns))
    }

    /// Begin and end of a record's latest slice, on the monotonic clock.
    fn latest_slice(&self, record: &task_record) -> (u64, u64) {
        (
            self.monotonic_ns(record.cpu, record.slice_start_ns),
            self.monotonic_ns(record.cpu, record.slice_end_ns),
        )
    }

    fn is_online(&self, cpu: u32) -> bool {
        self.online.get(cpu as usize).copied().unwrap_or(false)
    }

    /// Slots in which a task runs. A CPU that is offline runs nothing: its last switches were not shown, and its slot holds the
    /// task that stopped it, for as long as it is away.
    fn open_slots(&self) -> impl Iterator<Item = (u32, &cpu_slot)> {
        (0..).zip(self.slots).filter(|(cpu, slot)| slot.pid != 0 && self.is_online(*cpu))
    }

    fn cpu(&self, cpu: u32, slot: &cpu_slot, holds_no_tickets: impl Fn(TaskId) -> bool) -> CpuBooks {
        let online = self.is_online(cpu);
        let since_ns = if slot.since_ns == 0 { self.begin_ns } else { monotonic_ns(slot, slot.since_ns) };
        let open_ns = self.taken_ns.saturating_sub(since_ns);
        let running = (slot.pid != 0 && online)
            .then_some(Running { id: TaskId { pid: slot.pid, start_ns: slot.start_ns }, since_ns });
        CpuBooks {
            cpu,
            online,
            busy_ns: slot.busy_ns + if running.is_some() { open_ns } else { 0 },
            unfair_ns: slot.unfair_ns
                + if running.is_some_and(|running| holds_no_tickets(running.id)) { open_ns } else { 0 },
            taken_ns: slot.taken_ns,
            // What an offline CPU does not do is not idling.
            idle_ns: slot.idle_ns + if running.is_none() && online { open_ns } else { 0 },
            running,
        }
    }

    /// Totals of a task at the instant, from its record of about that time.
    fn living(&self, record: &task_record) -> TaskTotals {
        let mut totals = self.totals(record);
        let (_, slice_end_ns) = self.latest_slice(record);
        let is_its = |slot: &&cpu_slot| slot.pid == record.pid && slot.start_ns == record.start_ns;
        let slot = self.open_slots().map(|(_, slot)| slot).find(is_its);
        // A copy is made in no order: a state that is newer than the instant copied with it shows by that instant being too old.
        let (woken_ns, ended_ns) = (record.woken_ns, if record.slice_end_ns == 0 { 0 } else { slice_end_ns });
        let queued = self.queued.get(&totals.id);
        if let Some(task) = queued {
            // A record has them from when its latest slice was closed.
            totals.nice = Nice::new(task.nice.into()).unwrap_or_default();
            totals.policy = policy(task.policy);
            totals.weight = task.weight;
        }
        // What the kernel has booked since the record was closed: waits in queues it has left since, and that of the open slice.
        let booked_ns = |task: &queued_task| task.run_delay_ns.saturating_sub(record.run_delay_ns);
        // The slice of the slot was open at the instant. The record's latest slice either ended before it began, or is it, or
        // a later one, and ended after the instant. The clocks of two CPUs are not compared more exactly than that.
        let is_open = |since_ns: &u64| slice_end_ns <= since_ns.midpoint(self.taken_ns);
        if let Some(since_ns) = slot.map(|slot| monotonic_ns(slot, slot.since_ns)).filter(is_open) {
            // Nothing of it is in the record, nor is the wait before it.
            totals.usage.runtime_ns += self.taken_ns.saturating_sub(since_ns);
            let away_ns = since_ns.saturating_sub(slice_end_ns);
            add_open_wait(
                &mut totals.usage,
                match record.state {
                    WAITING => away_ns,
                    MISSTAMPED if woken_ns > ended_ns => since_ns.saturating_sub(woken_ns),
                    // It may have left its CPU since the instant, and wait again.
                    _ => queued.map_or(0, booked_ns).min(away_ns),
                },
            );
        } else {
            totals.usage.runtime_ns -= self.overshoot_ns(record);
            if slot.is_none() {
                let away_ns = self.taken_ns.saturating_sub(slice_end_ns);
                let in_this_queue_ns = |task: &queued_task| match (task.on_cpu, task.last_queued_ns) {
                    // It has got a CPU since the instant.
                    (1.., _) | (_, 0) => 0,
                    (0, queued_ns) => self.taken_ns.saturating_sub(self.monotonic_ns(task.cpu, queued_ns)),
                };
                let open_ns = match record.state {
                    WAITING => away_ns,
                    MISSTAMPED if woken_ns > ended_ns => self.taken_ns.saturating_sub(woken_ns),
                    _ => queued.map_or(0, |task| booked_ns(task) + in_this_queue_ns(task)).min(away_ns),
                };
                add_open_wait(&mut totals.usage, open_ns);
                if open_ns > 0 {
                    totals.state = TaskState::Waiting;
                }
            }
        }
        if slot.is_some() {
            totals.state = TaskState::Running;
        }
        totals
    }

    fn ended(&self, end: &exited_record) -> ExitedTask {
        let mut totals = self.totals(&end.task);
        totals.usage.runtime_ns -= self.overshoot_ns(&end.task);
        ExitedTask { ended_ns: self.monotonic_ns(end.task.cpu, end.ended_ns), totals }
    }

    /// A task that waits for its first slice since measuring began.
    fn first_wait(&self, id: TaskId, task: &queued_task) -> TaskTotals {
        let mut totals = self.queued_totals(id, task);
        let since_ns = self.monotonic_ns(task.cpu, task.last_queued_ns).max(self.begin_ns);
        if task.last_queued_ns != 0 {
            add_open_wait(&mut totals.usage, self.taken_ns.saturating_sub(since_ns));
        }
        totals
    }

    /// A task of whom the monitor has no record, as the iterator has found it.
    fn queued_totals(&self, id: TaskId, task: &queued_task) -> TaskTotals {
        TaskTotals {
            id,
            tgid: task.tgid,
            comm: c_bytes(&task.comm),
            nice: Nice::new(task.nice.into()).unwrap_or_default(),
            policy: policy(task.policy),
            weight: task.weight,
            tickets_set: None,
            group: group(task.group_kind, task.group_id),
            affinity: self.affinity(task.pid, task.cpus_low, task.cpus_allowed),
            cpu: task.cpu,
            state: TaskState::Waiting,
            usage: Usage::default(),
        }
    }

    /// What a record says, as it was when its latest slice was closed.
    fn totals(&self, record: &task_record) -> TaskTotals {
        TaskTotals {
            id: identity(record),
            tgid: record.tgid,
            comm: c_bytes(&record.comm),
            nice: Nice::new(record.nice.into()).unwrap_or_default(),
            policy: policy(record.policy),
            weight: record.weight,
            tickets_set: None,
            group: group(record.group_kind, record.group_id),
            affinity: self.affinity(record.pid, record.cpus_low, record.cpus_allowed),
            cpu: record.cpu,
            state: if record.state == WAITING { TaskState::Waiting } else { TaskState::Sleeping },
            usage: Usage {
                runtime_ns: record.runtime_ns,
                wait_ns: record.wait_ns,
                wait_max_ns: record.wait_max_ns,
                waits: Histogram(record.wait_hist),
                switches: record.switches,
                involuntary: record.involuntary,
                wakeups: record.wakeups,
                migrations: record.migrations,
            },
        }
    }

    /// The task's CPUs: from the record if all of them are among the first 64, or if it may use all; else from the kernel,
    /// while the task lives.
    fn affinity(&self, pid: u32, low: u64, allowed: u32) -> Option<CpuSet> {
        if low.count_ones() == allowed {
            return Some(CpuSet::from_words(&[low]));
        }
        if self.possible.len() == allowed as usize {
            return Some(self.possible.clone());
        }
        let mask = sched_getaffinity(Pid::from_raw(i32::try_from(pid).ok()?)).ok()?;
        let cpus = (0..NixCpuSet::count()).filter(|&cpu| mask.is_set(cpu).unwrap_or(false));
        Some(cpus.filter_map(|cpu| u32::try_from(cpu).ok()).collect())
    }

    /// How much of a record's latest slice lies after the instant.
    fn overshoot_ns(&self, record: &task_record) -> u64 {
        let (begin_ns, end_ns) = self.latest_slice(record);
        end_ns.saturating_sub(begin_ns.max(self.taken_ns)).min(record.runtime_ns)
    }
}

/// A wait that has not ended yet, or whose slice has not: it is in no bucket of the histogram before it does.
fn add_open_wait(usage: &mut Usage, open_ns: u64) {
    usage.wait_ns += open_ns;
    usage.wait_max_ns = usage.wait_max_ns.max(open_ns);
}

/// The latest value of each slot that two readings in a row agree on, of `most` readings; of a slot that never holds still the last.
fn stable<T: Wire>(most: usize, mut read: impl FnMut() -> Result<Vec<T>>) -> Result<Vec<T>> {
    let mut last = read()?;
    let mut stable: Vec<Option<T>> = vec![None; last.len()];
    for _ in 1..most {
        let now = read()?;
        for ((agreed, a), b) in stable.iter_mut().zip(&last).zip(&now) {
            if a.bytes() == b.bytes() {
                *agreed = Some(*b);
            }
        }
        last = now;
        if stable.iter().all(Option::is_some) {
            break;
        }
    }
    Ok(stable.into_iter().zip(last).map(|(agreed, last)| agreed.unwrap_or(last)).collect())
}

fn policy(number: u32) -> Policy {
    u8::try_from(number).map_or(Policy::Unknown(u8::MAX), Policy::from_number)
}

fn queued_identity(task: &queued_task) -> TaskId {
    TaskId { pid: task.pid, start_ns: task.start_ns }
}

fn monotonic_ns(slot: &cpu_slot, clock_ns: u64) -> u64 {
    clock_ns.wrapping_sub(slot.ref_clock_ns).wrapping_add(slot.ref_mono_ns)
}

fn identity(record: &task_record) -> TaskId {
    TaskId { pid: record.pid, start_ns: record.start_ns }
}

pub(crate) fn group(kind: u32, id: u64) -> Group {
    match kind {
        1 => Group::Cgroup(id),
        2 => Group::Autogroup(id),
        _ => Group::Unknown,
    }
}

pub(crate) fn group_totals(record: &group_record) -> GroupTotals {
    let parent = group(record.parent.kind, record.parent.id);
    GroupTotals {
        id: group(record.key.kind, record.key.id),
        parent: (parent != Group::Unknown).then_some(parent),
        weight: record.weight,
        quota: (record.quota_ns > 0)
            .then_some(Quota { quota_ns: record.quota_ns, period_ns: record.period_ns }),
        throttled_ns: record.throttled_ns,
        throttles: record.throttles,
    }
}

fn add_loss(mut sum: Loss, slot: &cpu_slot) -> Loss {
    sum.untracked_ns += slot.untracked_ns;
    sum.map_full += slot.map_full;
    sum.map_busy += slot.map_busy;
    sum.map_other += slot.map_other;
    sum.clock_backwards += slot.clock_backwards;
    sum.stale_records += slot.stale_records;
    sum.groups_full += slot.groups_full;
    sum.unseen_switches += slot.unseen_switches;
    sum.unseen_ns += slot.unseen_ns;
    sum.corrected_waits += slot.corrected_waits;
    sum.corrected_ns += slot.corrected_ns;
    sum
}

/// Opens a pin that must be a map of this kind, with keys as large as a `K` and values of type `T`.
fn open<K, T: Wire>(path: &Path, kind: MapType) -> Result<MapHandle> {
    let map = open_pin(path)?;
    let (key, value) = (map.key_size() as usize, map.value_size() as usize);
    if map.map_type() != kind || key != size_of::<K>() || value != size_of::<T>() {
        let why = format!(
            "a {:?} map with keys of {key} and values of {value} bytes, where a {kind:?} map with {} and {} is needed",
            map.map_type(),
            size_of::<K>(),
            size_of::<T>()
        );
        return Err(Error::Shape { path: path.to_owned(), why });
    }
    Ok(map)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A machine of two CPUs, whose second one runs a task since 20 ms, at 100 ms.
    fn moment(slots: &[cpu_slot; 2]) -> Moment<'_> {
        Moment {
            taken_ns: 100_000_000,
            begin_ns: 0,
            slots,
            online: vec![true; 2],
            possible: CpuSet::default(),
            queued: BTreeMap::new(),
        }
    }

    fn slots() -> [cpu_slot; 2] {
        let idle = cpu_slot { since_ns: 10_000_000, ..cpu_slot::default() };
        [idle, cpu_slot { since_ns: 80_000_000, pid: 7, start_ns: 1, ..idle }]
    }

    /// The task's record, its latest slice on the first CPU, of 5 ms.
    fn record(slice_end_ns: u64) -> task_record {
        task_record {
            pid: 7,
            start_ns: 1,
            runtime_ns: 5_000_000,
            slice_start_ns: slice_end_ns - 5_000_000,
            slice_end_ns,
            state: WAITING,
            ..task_record::default()
        }
    }

    #[test]
    fn an_open_slice_counts_though_the_clocks_of_two_cpus_differ_a_little() {
        let slots = slots();
        for late_ns in [0, 400_000] {
            let totals = moment(&slots).living(&record(80_000_000 + late_ns));
            assert_eq!(totals.usage.runtime_ns, 25_000_000);
            assert_eq!((totals.usage.wait_ns, totals.state), (0, TaskState::Running));
        }
        assert_eq!(moment(&slots).living(&record(78_000_000)).usage.wait_ns, 2_000_000);
    }

    #[test]
    fn of_a_slice_that_ended_after_the_instant_the_end_is_taken_off() {
        let slots = slots();
        let mut later = record(103_000_000);
        assert_eq!(moment(&slots).living(&later).usage.runtime_ns, 2_000_000);
        // It was the slot's.
        later.cpu = 1;
        (later.slice_start_ns, later.runtime_ns) = (80_000_000, 28_000_000);
        assert_eq!(moment(&slots).living(&later).usage.runtime_ns, 25_000_000);
    }

    #[test]
    fn an_offline_cpu_runs_nothing_and_idles_not() {
        let slots = slots();
        let mut moment = moment(&slots);
        let books = moment.cpu(1, &slots[1], |_| false);
        assert_eq!((books.busy_ns, books.running.is_some()), (20_000_000, true));
        moment.online = vec![true, false];
        let books = moment.cpu(1, &slots[1], |_| false);
        assert_eq!((books.busy_ns, books.idle_ns, books.running), (0, 0, None));
        // Whom its slot names does not run there either.
        assert_eq!(moment.living(&record(78_000_000)).usage.runtime_ns, 5_000_000);
        assert_eq!(moment.open_slots().count(), 0);
    }

    #[test]
    fn an_open_slice_counts_as_real_time_if_its_task_is() {
        let slots = slots();
        assert_eq!(moment(&slots).cpu(1, &slots[1], |id| id.pid == 7).unfair_ns, 20_000_000);
        assert_eq!(moment(&slots).cpu(1, &slots[1], |_| false).unfair_ns, 0);
        assert_eq!(moment(&slots).cpu(0, &slots[0], |_| true).unfair_ns, 0);
    }

    /// The task slept since 50 ms.
    fn sleeper() -> task_record {
        task_record { state: 0, run_delay_ns: 9_000_000, ..record(50_000_000) }
    }

    #[test]
    fn who_waits_since_a_wakeup_waits_up_to_the_instant() {
        let idle = [cpu_slot { since_ns: 10_000_000, ..cpu_slot::default() }; 2];
        let mut moment = moment(&idle);
        assert_eq!(moment.living(&sleeper()).usage.wait_ns, 0);
        // Since 70 ms in the second CPU's queue; before that 4 ms in another one's.
        let task = queued_task {
            pid: 7,
            start_ns: 1,
            cpu: 1,
            last_queued_ns: 70_000_000,
            run_delay_ns: 13_000_000,
            ..queued_task::default()
        };
        moment.queued.insert(queued_identity(&task), task);
        let totals = moment.living(&sleeper());
        assert_eq!((totals.usage.wait_ns, totals.usage.wait_max_ns), (34_000_000, 34_000_000));
        assert_eq!((totals.state, totals.usage.runtime_ns), (TaskState::Waiting, 5_000_000));
        // Where the kernel's stamp is false, the wakeup's instant counts.
        let woken = task_record { state: MISSTAMPED, woken_ns: 94_000_000, ..sleeper() };
        assert_eq!(moment.living(&woken).usage.wait_ns, 6_000_000);
        // Without a record it waits as long, but no longer than measuring lasts.
        moment.begin_ns = 90_000_000;
        let first = moment.first_wait(queued_identity(&task), &task);
        assert_eq!((first.usage.wait_ns, first.state, first.cpu), (10_000_000, TaskState::Waiting, 1));
    }

    #[test]
    fn the_wait_before_an_open_slice_is_what_the_kernel_has_booked_since() {
        let slots = slots();
        let mut moment = moment(&slots);
        let task = queued_task {
            pid: 7,
            start_ns: 1,
            on_cpu: 1,
            run_delay_ns: 12_000_000,
            ..queued_task::default()
        };
        moment.queued.insert(queued_identity(&task), task);
        let totals = moment.living(&sleeper());
        assert_eq!((totals.usage.wait_ns, totals.usage.runtime_ns), (3_000_000, 25_000_000));
        let woken = task_record { state: MISSTAMPED, woken_ns: 79_000_000, ..sleeper() };
        assert_eq!(moment.living(&woken).usage.wait_ns, 1_000_000);
    }

    #[test]
    fn each_slot_may_hold_still_at_another_time() {
        let slot = |busy_ns| cpu_slot { busy_ns, ..cpu_slot::default() };
        // The first CPU holds still in the first two readings, the second in the last two: never both at once.
        let mut readings = [(1, 1), (1, 2), (2, 3), (3, 3), (4, 4)].iter();
        let mut read = 0;
        let agreed = stable(8, || {
            read += 1;
            let (a, b) = readings.next().unwrap();
            Ok(vec![slot(*a), slot(*b)])
        });
        let agreed: Vec<u64> = agreed.unwrap().iter().map(|slot| slot.busy_ns).collect();
        assert_eq!((agreed, read), (vec![1, 3], 4));
    }

    #[test]
    fn who_may_use_all_of_many_cpus_is_known_without_a_call() {
        let slots = slots();
        let mut moment = moment(&slots);
        moment.possible = (0..130).collect();
        // No process has this pid, so the kernel has no answer.
        assert_eq!(moment.affinity(u32::MAX, u64::MAX, 130), Some((0..130).collect()));
        assert_eq!(moment.affinity(u32::MAX, u64::MAX, 129), None);
        assert_eq!(moment.affinity(u32::MAX, 5, 2), Some(CpuSet::from_words(&[5])));
    }
}
