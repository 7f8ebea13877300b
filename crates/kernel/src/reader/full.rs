//! From the maps of a monitor at the switches to a snapshot of one instant.
//!
//! Maps cannot be read at one instant, so the reader makes one: it reads the slots of all CPUs until each has
//! been seen twice the same, takes the time `t`, then reads the tasks, and moves what it finds to `t`. A
//! slice that was open at `t` is added up to `t`; of a slice that ended after `t`, its end is taken off
//! again. A task that ran several slices between `t` and the reading of its record keeps all but the last of
//! them: an error of at most the time a read takes.
//!
//! Slices are kept on the run-queue clocks of their CPUs; every instant is moved to the monotonic clock
//! first, by the pair of readings that each CPU renews about once a second. Between two renewals the clocks
//! part by the rate at which NTP steers the monotonic one: microseconds in a second.

use super::ends::{End, Ends};
use super::groups::groups_of;
use super::living::{Gathering, Living, LivingTask};
use super::moment::{Moment, add_open_wait, monotonic_ns, queued_identity};
use super::open;
use super::whole::whole;
use crate::batch::each_value;
use crate::clock;
use crate::error::{Error, Result};
use crate::object::LoadedObject;
use crate::pins::{ITERATOR, Pins, companion};
use crate::possible;
use crate::running;
use crate::task_iterator::TaskIterator;
use crate::wire::{Wire, cpu_slot, exited_record, group_record, queued_task, schema, task_record};
use libbpf_rs::{MapCore as _, MapFlags, MapHandle, MapType};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::fd::OwnedFd;
use tombola_core::identity::TaskId;
use tombola_core::shared::Shared;
use tombola_core::snapshot::{ExitTotals, ExitedTask, Group, Loss, Snapshot, TaskState, TaskTotals};
use tombola_core::usage::Usage;

/// Times the slots are read at most until two readings agree. A CPU that switches faster than that has slices
/// so short that mixing two of them does not matter.
const SLOT_READINGS: usize = 8;

/// Reads one monitor that books at the switches.
pub(crate) struct FullReader {
    task_map: MapHandle,
    near_map: MapHandle,
    cpu_map: MapHandle,
    ends: Ends,
    group_map: MapHandle,
    queued: TaskIterator,
    begin_ns: u64,
    begin_boot_ns: u64,
    /// Who lived at the latest snapshot.
    past: RefCell<Living>,
}

impl FullReader {
    pub(crate) fn of_object(loaded: &LoadedObject, iterator: OwnedFd, schema: &schema) -> Result<Self> {
        Ok(Self {
            task_map: loaded.map("task_map")?,
            near_map: loaded.map(companion::NEAR_MAP)?,
            cpu_map: loaded.map("cpu_map")?,
            ends: Ends::of(loaded.map("exited_map")?, schema.ring_bits),
            group_map: loaded.map("group_map")?,
            queued: TaskIterator::of_link(ITERATOR, iterator),
            begin_ns: schema.begin_ns,
            begin_boot_ns: schema.begin_boot_ns,
            past: RefCell::default(),
        })
    }

    pub(crate) fn of_pins(pins: &Pins, schema: &schema) -> Result<Self> {
        let exited = pins.companion(companion::EXITED_MAP);
        Ok(Self {
            task_map: open::<u32, task_record>(&pins.map, MapType::Hash)?,
            near_map: open::<u32, task_record>(&pins.companion(companion::NEAR_MAP), MapType::Array)?,
            cpu_map: open::<u32, cpu_slot>(&pins.companion(companion::CPU_MAP), MapType::Array)?,
            ends: Ends::of(open::<u32, exited_record>(&exited, MapType::Array)?, schema.ring_bits),
            group_map: open::<[u64; 2], group_record>(
                &pins.companion(companion::GROUP_MAP),
                MapType::LruHash,
            )?,
            queued: TaskIterator::of_pin(ITERATOR, pins.companion_link(ITERATOR)),
            begin_ns: schema.begin_ns,
            begin_boot_ns: schema.begin_boot_ns,
            past: RefCell::default(),
        })
    }

    /// Tasks that the task map has room for, beside those that are near.
    pub(crate) fn max_tasks(&self) -> u32 {
        self.task_map.max_entries()
    }

    /// What tasks in queues or on CPUs weigh after all groups above them, by the kernel's own figure
    /// (`se.h_load`, since 7.3), in the kernel's unit. Empty where the kernel keeps none.
    ///
    /// # Errors
    /// [`Error::ReadMap`] if the kernel refuses.
    pub(crate) fn effective_weights(&self) -> Result<BTreeMap<TaskId, u32>> {
        let queued = self.queued.read::<queued_task>()?.into_iter().filter(|task| task.effective > 0);
        Ok(queued.map(|task| (queued_identity(&task), task.effective)).collect())
    }

    /// The machine now.
    ///
    /// # Errors
    /// [`Error::ReadMap`] if the kernel refuses to read a map.
    pub(crate) fn snapshot(&self) -> Result<Snapshot> {
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
            open: BTreeMap::new(),
            queued: self
                .queued
                .read::<queued_task>()?
                .into_iter()
                .map(|task| (queued_identity(&task), task))
                .collect(),
        }
        .with_open_slots();

        let (mut living, room) = self.living(&moment, self.past.take())?;
        let (exited, exits) = self.exited(&moment, &mut living)?;
        let mut tasks = living.totals();
        self.past.replace(living);
        let mut loss = slots.iter().fold(Loss::default(), add_loss);
        let known = tasks.len();
        let lives = |tasks: &[Shared<TaskTotals>], id: TaskId| {
            tasks[..known].binary_search_by_key(&id, |task| task.id).is_ok()
        };
        let has_ended = |id: TaskId| exited.binary_search_by_key(&id, |end| end.totals.id).is_ok();
        let mut first_slices = BTreeSet::new();
        for (cpu, slot) in moment.open_slots() {
            let id = TaskId { pid: slot.pid, start_ns: slot.start_ns };
            if lives(&tasks, id) || has_ended(id) {
                continue;
            }
            if !room.has(id.pid) {
                // Its slice will find no room when it is closed: open or closed, it is in the same account.
                loss.untracked_ns += taken_ns.saturating_sub(monotonic_ns(slot, slot.since_ns));
            } else if first_slices.insert(id) {
                tasks.push(self.first_slice(&moment, id, cpu, slot).into());
            }
        }
        // Who waits for the first slice since measuring began is nowhere else. It has no record to find room
        // for yet.
        for (id, task) in &moment.queued {
            let is_known = lives(&tasks, *id) || first_slices.contains(id);
            if task.on_cpu == 0 && !is_known && !has_ended(*id) {
                tasks.push(moment.first_wait(*id, task).into());
            }
        }
        if tasks.len() > known {
            tasks.sort_by_cached_key(|task| task.id);
        }
        let of_ended = exited.iter().map(|end| end.totals.group);
        let groups = groups_of(&self.group_map, tasks.iter().map(|task| task.group).chain(of_ended))?;
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
            groups,
            interference: None,
            loss,
        })
    }

    /// Slots of all possible CPUs, each read twice the same if its CPU holds still for as long as a read
    /// takes. They need not hold still at once.
    fn stable_slots(&self) -> Result<Vec<cpu_slot>> {
        stable(SLOT_READINGS, || self.slots())
    }

    fn slots(&self) -> Result<Vec<cpu_slot>> {
        let mut slots = Vec::with_capacity(self.cpu_map.max_entries() as usize);
        each_value(&self.cpu_map, |slot| slots.push(*slot))?;
        Ok(slots)
    }

    /// The tasks of both maps at the instant, and what room they take.
    fn living(&self, moment: &Moment<'_>, past: Living) -> Result<(Living, Room)> {
        let mut tasks = Gathering::new(moment, past);
        let (mut doubtful, mut far) = (Vec::new(), 0);
        let mut near_taken = Vec::with_capacity(self.near_map.max_entries() as usize);
        let mut take = |record: &task_record, is_near: bool| {
            // A record has no pid between its insertion and its first slice's end. One whose place changed
            // hands during the copy is nobody's: who had it before is among the ended.
            if record.pid == 0 || record.turn != record.turn_behind {
            } else if moment.is_in_doubt(record) {
                doubtful.push((*record, is_near));
            } else {
                tasks.take(record);
            }
        };
        each_value(&self.near_map, |record: &task_record| {
            near_taken.push(record.pid != 0);
            take(record, true);
        })?;
        each_value(&self.task_map, |record| {
            far += 1;
            take(record, false);
        })?;
        for (record, is_near) in doubtful {
            // Another task's by now: the end of this one tells what it had.
            let same = |now: &task_record| {
                (now.pid, now.start_ns) == (record.pid, record.start_ns) && now.turn == now.turn_behind
            };
            let look = || Ok(self.record_of(record.pid, is_near)?.filter(same));
            tasks.take_anew(&whole(record, look)?);
        }
        Ok((tasks.finish(), Room { near_taken, is_full: far >= self.max_tasks() as usize }))
    }

    /// The record of a task, which never moves from one map to the other.
    fn record_of(&self, pid: u32, is_near: bool) -> Result<Option<task_record>> {
        // As many places as a power of two says.
        let place = pid & self.near_map.max_entries().saturating_sub(1);
        let (map, name, key) = if is_near {
            (&self.near_map, companion::NEAR_MAP, place)
        } else {
            (&self.task_map, "task_map", pid)
        };
        let value = map
            .lookup(&key.to_ne_bytes(), MapFlags::ANY)
            .map_err(|error| Error::ReadMap { map: name.into(), reason: io::Error::other(error) })?;
        Ok(value.and_then(|bytes| task_record::read(&bytes)))
    }

    /// Ended tasks that are remembered, parts of one life put together, and the sums over all. Records that
    /// were read alive and have ended before their end was read are taken out of `living`.
    fn exited(&self, moment: &Moment<'_>, living: &mut Living) -> Result<(Vec<ExitedTask>, ExitTotals)> {
        let mut totals = ExitTotals {
            count: moment.slots.iter().map(|s| s.exits.saturating_sub(s.exits_left)).sum(),
            runtime_ns: moment.slots.iter().map(|s| s.exits_runtime_ns).sum(),
        };
        let mut ends: BTreeMap<TaskId, ExitedTask> = BTreeMap::new();
        let told = if totals.count > 0 { self.ends.read(moment, || self.slots())? } else { Vec::new() };
        for End { cpu, number, exec_tid, is_final, mut task, record } in told {
            if moment.slots.get(cpu).is_some_and(|slot| number > slot.exits) {
                // Ended after its CPU's slot was read. If it was after the instant too, it lives at the
                // instant.
                if task.ended_ns > moment.taken_ns {
                    if let Some(record) = record.filter(|_| is_final) {
                        living.insert(LivingTask::of(moment, &record));
                    }
                    continue;
                }
                totals.count += u64::from(is_final);
                totals.runtime_ns += task.totals.usage.runtime_ns;
            }
            // The clocks of two CPUs are not compared more exactly than this: it is counted as an end in the
            // slot.
            task.ended_ns = task.ended_ns.min(moment.taken_ns);
            let is_its_end =
                |living: &LivingTask| living.exec_tid == exec_tid && living.slice_end_ns <= task.ended_ns;
            if is_final {
                living.remove_if(task.totals.id, is_its_end);
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
        Ok((ends.into_values().collect(), totals))
    }

    /// A task in its first slice since the monitor began: all that is known is its slot, and what the
    /// iterator or, if it was too late, procfs says.
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

/// Where there is room for a further record.
struct Room {
    /// Of each place in the near map, whether somebody has it; as many as a power of two says.
    near_taken: Vec<bool>,
    /// Whether the task map is full.
    is_full: bool,
}

impl Room {
    fn has(&self, pid: u32) -> bool {
        let place = pid as usize & self.near_taken.len().saturating_sub(1);
        !self.is_full || self.near_taken.get(place).is_some_and(|taken| !taken)
    }
}

/// The latest value of each slot that two readings in a row agree on, of `most` readings; of a slot that
/// never holds still the last.
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

pub(super) fn add_loss(mut sum: Loss, slot: &cpu_slot) -> Loss {
    sum.untracked_ns += slot.untracked_ns;
    sum.map_full += slot.map_full;
    sum.map_busy += slot.map_busy;
    sum.map_other += slot.map_other;
    sum.clock_backwards += slot.clock_backwards;
    sum.stale_records += slot.stale_records;
    sum.groups_full += slot.groups_full;
    sum.groups_deep += slot.groups_deep;
    sum.unseen_switches += slot.unseen_switches;
    sum.unseen_ns += slot.unseen_ns;
    sum.corrected_waits += slot.corrected_waits;
    sum.corrected_ns += slot.corrected_ns;
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_slot_may_hold_still_at_another_time() {
        let slot = |busy_ns| cpu_slot { busy_ns, ..cpu_slot::default() };
        // The first CPU holds still in the first two readings, the second in the last two: never both at
        // once.
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
}
