//! From the kernel's own counters to a snapshot.
//!
//! The iterator says of each task what the kernel has counted since measuring began, as of the latest tick of
//! its CPU. A task that is no longer found by it, and whose end the kernel has not raised yet (a grace period
//! of RCU lies between the two), is kept as it was seen last: in no snapshot is it missing, and in none is it
//! new.

use super::full::add_loss;
use super::groups::groups_of;
use super::moment::{affinity, policy};
use super::open;
use crate::batch::each_value;
use crate::clock;
use crate::cpu_books::{CpuTimes, cpu_times};
use crate::error::Result;
use crate::group_totals::group;
use crate::object::LoadedObject;
use crate::pins::{LIGHT_ITERATOR, Pins, companion};
use crate::possible;
use crate::task_iterator::TaskIterator;
use crate::wire::{c_bytes, cpu_slot, group_record, light_end, light_key, light_task, schema};
use libbpf_rs::{MapCore as _, MapHandle, MapType};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use tombola_core::cpu_set::CpuSet;
use tombola_core::identity::TaskId;
use tombola_core::shared::Shared;
use tombola_core::snapshot::{
    CpuBooks, ExitTotals, ExitedTask, Loss, Running, Snapshot, TaskState, TaskTotals,
};
use tombola_core::tickets::Nice;
use tombola_core::usage::Usage;

/// How long a task may be gone before its end is no longer waited for: far longer than a grace period lasts.
/// A thread that took over its leader's identity in `execve` is gone without an end under the identity that
/// it had.
const LONGEST_GRACE_NS: u64 = 10_000_000_000;

/// Reads one light monitor.
pub(crate) struct LightReader {
    tasks: TaskIterator,
    cpu_map: MapHandle,
    exited_map: MapHandle,
    group_map: MapHandle,
    begin_ns: u64,
    past: RefCell<Past>,
}

/// What the latest snapshot saw.
#[derive(Default)]
struct Past {
    taken_ns: u64,
    exits: u64,
    /// Ordered by identity.
    seen: Vec<Seen>,
    /// Time that tasks without tickets had on each CPU, by the CPU that they were found on.
    unfair_ns: Vec<u64>,
}

#[derive(Clone, Copy)]
struct Seen {
    task: light_task,
    /// Since when it is no longer found.
    gone_ns: Option<u64>,
}

impl LightReader {
    pub(crate) fn of_object(loaded: &LoadedObject, iterator: OwnedFd, schema: &schema) -> Result<Self> {
        Ok(Self {
            tasks: TaskIterator::of_link(LIGHT_ITERATOR, iterator),
            cpu_map: loaded.map("cpu_map")?,
            exited_map: loaded.map("exited_map")?,
            group_map: loaded.map("group_map")?,
            begin_ns: schema.begin_ns,
            past: RefCell::default(),
        })
    }

    pub(crate) fn of_pins(pins: &Pins, schema: &schema) -> Result<Self> {
        let place = |name| pins.companion(name);
        Ok(Self {
            tasks: TaskIterator::of_pin(LIGHT_ITERATOR, pins.companion_link(LIGHT_ITERATOR)),
            cpu_map: open::<u32, cpu_slot>(&place(companion::CPU_MAP), MapType::Array)?,
            exited_map: open::<light_key, light_end>(&place(companion::EXITED_MAP), MapType::LruHash)?,
            group_map: open::<[u64; 2], group_record>(&place(companion::GROUP_MAP), MapType::LruHash)?,
            begin_ns: schema.begin_ns,
            past: RefCell::default(),
        })
    }

    /// The machine now.
    ///
    /// # Errors
    /// [`crate::Error::ReadMap`] if the kernel refuses to read a map.
    pub(crate) fn snapshot(&self) -> Result<Snapshot> {
        // In this order: who is counted as an end is not found by the iterator any more.
        let slots = self.slots()?;
        let times = cpu_times();
        let taken_ns = clock::monotonic_ns();
        let unix_us = clock::unix_ns() / 1000;
        let mut found: Vec<light_task> = self.tasks.read()?;
        found.sort_by_cached_key(identity);
        found.dedup_by_key(|task| identity(task));
        let ended = self.ended(&slots)?;
        // The iterator has written this.
        let now = self.slots()?;
        let (online, possible) = (possible::online(), possible::possible());
        let exits = ExitTotals {
            count: slots.iter().map(|slot| slot.exits).sum(),
            runtime_ns: slots.iter().map(|slot| slot.exits_runtime_ns).sum(),
        };
        let mut past = self.past.borrow_mut();
        let unfair_ns = unfair(&past, &found, &ended, slots.len());
        let seen = carried(&past, found, &ended, taken_ns, self.forgets(exits.count - past.exits));
        let is_online = |cpu| online.is_empty() || online.contains(cpu);
        let mut cpus: Vec<CpuBooks> = (0..)
            .zip(slots.iter().zip(&now))
            .map(|(cpu, (slot, now))| CpuBooks {
                taken_ns: now.taken_ns,
                unfair_ns: unfair_ns.get(cpu as usize).copied().unwrap_or(0),
                ..books(cpu, is_online(cpu), slot, times.get(&cpu))
            })
            .collect();
        for task in seen.iter().map(|seen| &seen.task).filter(|task| task.on_cpu != 0) {
            if let Some(cpu) = cpus.get_mut(task.cpu as usize) {
                let since_ns = taken_ns.saturating_sub(task.open_ns).max(self.begin_ns);
                cpu.running = Some(Running { id: identity(task), since_ns });
            }
        }
        let measured_ns = taken_ns.saturating_sub(self.begin_ns);
        let tasks: Vec<Shared<TaskTotals>> =
            seen.iter().map(|seen| totals(&seen.task, &possible, measured_ns).into()).collect();
        let exited: Vec<ExitedTask> = ended
            .values()
            .map(|end| ExitedTask {
                ended_ns: end.ended_ns.min(taken_ns),
                totals: totals(&end.task, &possible, measured_ns).into(),
            })
            .collect();
        let of_ended = exited.iter().map(|end| end.totals.group);
        let groups = groups_of(&self.group_map, tasks.iter().map(|task| task.group).chain(of_ended))?;
        *past = Past { taken_ns, exits: exits.count, seen, unfair_ns };
        Ok(Snapshot {
            taken_ns,
            read_ns: clock::monotonic_ns().saturating_sub(taken_ns),
            unix_us,
            begin_ns: self.begin_ns,
            cpus,
            tasks,
            exited,
            exits,
            groups,
            interference: None,
            loss: Loss { light: true, ..now.iter().fold(Loss::default(), add_loss) },
        })
    }

    fn slots(&self) -> Result<Vec<cpu_slot>> {
        let mut slots = Vec::with_capacity(self.cpu_map.max_entries() as usize);
        each_value(&self.cpu_map, |slot| slots.push(*slot))?;
        Ok(slots)
    }

    /// The ends that are remembered, and that the slots have counted.
    fn ended(&self, slots: &[cpu_slot]) -> Result<BTreeMap<TaskId, light_end>> {
        let mut ended = BTreeMap::new();
        each_value::<light_end>(&self.exited_map, |end| {
            let counted = slots.get(end.counted_on as usize).map_or(0, |slot| slot.exits);
            if end.number != 0 && end.number <= counted {
                ended.insert(identity(&end.task), *end);
            }
        })?;
        Ok(ended)
    }

    /// Whether of so many ends some may be forgotten already.
    fn forgets(&self, ends: u64) -> bool {
        ends > u64::from(self.exited_map.max_entries()) / 2
    }
}

fn identity(task: &light_task) -> TaskId {
    TaskId { pid: task.pid, start_ns: task.start_ns }
}

impl Past {
    fn of(&self, id: TaskId) -> Option<&Seen> {
        self.seen.binary_search_by_key(&id, |seen| identity(&seen.task)).ok().map(|at| &self.seen[at])
    }
}

/// Those that are found, and those that were and have not ended yet, ordered by identity.
fn carried(
    past: &Past,
    found: Vec<light_task>,
    ended: &BTreeMap<TaskId, light_end>,
    taken_ns: u64,
    forgets: bool,
) -> Vec<Seen> {
    let mut seen: Vec<Seen> = found.into_iter().map(|task| Seen { task, gone_ns: None }).collect();
    if forgets {
        return seen;
    }
    let are_found = seen.len();
    for before in &past.seen {
        let id = identity(&before.task);
        let is_found = seen[..are_found].binary_search_by_key(&id, |seen| identity(&seen.task)).is_ok();
        let gone_ns = before.gone_ns.unwrap_or(taken_ns);
        if !is_found && !ended.contains_key(&id) && taken_ns.saturating_sub(gone_ns) < LONGEST_GRACE_NS {
            let task = light_task { on_cpu: 0, queued: 0, open_ns: 0, ..before.task };
            seen.push(Seen { task, gone_ns: Some(gone_ns) });
        }
    }
    seen.sort_by_key(|seen| identity(&seen.task)); // two sorted runs: the stable sort merges them
    seen
}

/// What tasks without tickets had on each CPU. The kernel does not keep it: what a task has had since it was
/// seen last counts where it is now.
fn unfair(past: &Past, found: &[light_task], ended: &BTreeMap<TaskId, light_end>, cpus: usize) -> Vec<u64> {
    let mut unfair_ns = past.unfair_ns.clone();
    unfair_ns.resize(cpus, 0);
    let ended =
        ended.values().filter(|end| past.of(identity(&end.task)).is_some() || end.ended_ns > past.taken_ns);
    for task in found.iter().chain(ended.map(|end| &end.task)) {
        if policy(task.policy).holds_tickets() {
            continue;
        }
        let before_ns = past.of(identity(task)).map_or(0, |seen| seen.task.since_begin.runtime_ns);
        if let Some(sum) = unfair_ns.get_mut(task.cpu as usize) {
            *sum += task.since_begin.runtime_ns.saturating_sub(before_ns);
        }
    }
    unfair_ns
}

/// What the kernel's books say of a CPU since measuring began; their begin is in the slot.
fn books(cpu: u32, online: bool, begin: &cpu_slot, now: Option<&CpuTimes>) -> CpuBooks {
    let now = now.copied().unwrap_or(CpuTimes { busy_ns: begin.busy_ns, idle_ns: begin.idle_ns });
    CpuBooks {
        cpu,
        online,
        busy_ns: now.busy_ns.saturating_sub(begin.busy_ns),
        idle_ns: now.idle_ns.saturating_sub(begin.idle_ns),
        ..CpuBooks::default()
    }
}

fn totals(task: &light_task, possible: &CpuSet, measured_ns: u64) -> TaskTotals {
    let counted = &task.since_begin;
    let open_wait_ns = if task.queued != 0 { task.open_ns.min(measured_ns) } else { 0 };
    TaskTotals {
        id: identity(task),
        tgid: task.tgid,
        comm: c_bytes(&task.comm),
        nice: Nice::new(task.nice.into()).unwrap_or_default(),
        policy: policy(task.policy),
        weight: task.weight,
        tickets_set: None,
        group: group(task.group_kind, task.group_id),
        affinity: affinity(possible, task.pid, task.cpus_low, task.cpus_allowed),
        cpu: task.cpu,
        state: match (task.on_cpu, task.queued) {
            (0, 0) => TaskState::Sleeping,
            (0, _) => TaskState::Waiting,
            _ => TaskState::Running,
        },
        usage: Usage {
            runtime_ns: counted.runtime_ns,
            wait_ns: counted.run_delay_ns + open_wait_ns,
            switches: counted.voluntary + counted.involuntary,
            involuntary: counted.involuntary,
            // Each slice begins after a sleep, or after the task was taken off a CPU while runnable.
            wakeups: counted.slices.saturating_sub(counted.involuntary),
            migrations: counted.migrations,
            light: true,
            ..Usage::default()
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(pid: u32) -> light_task {
        light_task { pid, start_ns: 1, on_cpu: 1, open_ns: 5, ..light_task::default() }
    }

    fn seen(pids: &[u32]) -> Past {
        let seen = pids.iter().map(|&pid| Seen { task: task(pid), gone_ns: None }).collect();
        Past { seen, taken_ns: 1, ..Past::default() }
    }

    #[test]
    fn who_is_neither_found_nor_ended_is_as_it_was_until_its_end() {
        let pids = |seen: &[Seen]| seen.iter().map(|seen| seen.task.pid).collect::<Vec<_>>();
        let past = seen(&[3, 5, 8]);
        let ended = BTreeMap::from([(identity(&task(8)), light_end::default())]);
        let found = || vec![task(5), task(9)];
        let now = carried(&past, found(), &ended, 100, false);
        assert_eq!(pids(&now), [3, 5, 9]);
        assert_eq!((now[0].task.on_cpu, now[0].task.open_ns, now[0].gone_ns), (0, 0, Some(100)));
        // Ends that may be forgotten are not waited for, nor any for ever.
        assert_eq!(pids(&carried(&past, found(), &ended, 100, true)), [5, 9]);
        let past = Past { seen: now, ..Past::default() };
        assert_eq!(pids(&carried(&past, found(), &ended, 99 + LONGEST_GRACE_NS, false)), [3, 5, 9]);
        assert_eq!(pids(&carried(&past, found(), &ended, 100 + LONGEST_GRACE_NS, false)), [5, 9]);
    }

    #[test]
    fn real_time_counts_where_it_is_found_and_once() {
        let real_time = |pid, runtime_ns, cpu| {
            let mut task = light_task { policy: 1, cpu, ..task(pid) };
            task.since_begin.runtime_ns = runtime_ns;
            task
        };
        let first = unfair(&Past::default(), &[real_time(1, 10, 0), task(2)], &BTreeMap::new(), 2);
        assert_eq!(first, [10, 0]);
        let past = Past {
            seen: vec![Seen { task: real_time(1, 10, 0), gone_ns: None }],
            unfair_ns: first,
            taken_ns: 50,
            ..Past::default()
        };
        // It has moved; one that nobody saw alive has ended since, and another one long ago.
        let end = |pid, ended_ns| {
            let end = light_end { task: real_time(pid, 7, 0), ended_ns, ..light_end::default() };
            (identity(&end.task), end)
        };
        let ended = BTreeMap::from([end(3, 60), end(4, 40)]);
        assert_eq!(unfair(&past, &[real_time(1, 14, 1)], &ended, 2), [17, 4]);
    }
}
