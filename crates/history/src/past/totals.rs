//! Totals since the begin of the stretch, from rows.

use crate::row::Row;
use crate::rows::group_of;
use crate::schema::{Int, Text};
use std::collections::{BTreeMap, BTreeSet};
use tombola_core::cpu_set::CpuSet;
use tombola_core::histogram::Histogram;
use tombola_core::identity::{Group, TaskId};
use tombola_core::interference::{GroupPair, Interference};
use tombola_core::policy::Policy;
use tombola_core::shared::Shared;
use tombola_core::snapshot::{
    CpuBooks, ExitTotals, GroupTotals, Loss, Quota, Snapshot, TaskState, TaskTotals,
};
use tombola_core::tickets::Nice;
use tombola_core::usage::Usage;

/// First number that no task has: the kernel's limit of PIDs. Rests count from here.
const REST_PIDS: u32 = (1 << 22) + 1;

#[derive(Default)]
pub(super) struct Totals {
    pub(super) taken_ns: u64,
    /// Of the latest interval.
    pub(super) interval_ns: u64,
    pub(super) unix_us: i64,
    pub(super) cpus: BTreeMap<u32, CpuBooks>,
    pub(super) tasks: BTreeMap<TaskId, Shared<TaskTotals>>,
    /// Tasks of the latest frame's intervals.
    pub(super) active: BTreeSet<TaskId>,
    pub(super) exits: ExitTotals,
    pub(super) groups: BTreeMap<Group, GroupTotals>,
    pub(super) names: BTreeMap<Group, String>,
    pub(super) loss: Loss,
    /// Who stood in whose way, by groups; `None` until an interval tells.
    pub(super) interference: Option<Interference>,
}

impl Totals {
    pub(super) fn add(&mut self, rows: &[Row]) {
        let Some(first) = rows.first() else { return };
        self.interval_ns = first.count(Int::Interval);
        self.taken_ns = self.taken_ns.saturating_add(self.interval_ns);
        self.unix_us = first.int(Int::Ts).unwrap_or(0) / 1000;
        self.cpus.values_mut().for_each(|cpu| cpu.online = false);
        for row in rows {
            match row.level() {
                "machine" => self.add_machine(row),
                "cpu" => self.add_cpu(row),
                "group" => self.add_group(row),
                "thread" | "thread_rest" => self.add_task(row),
                "blocked" => self.add_pair(row),
                _ => {}
            }
        }
    }

    /// A group with nothing counted yet, if it is one.
    pub(super) fn learn(&mut self, row: &Row) {
        let (id, parent) =
            (group_of(row.int(Int::GroupId)), row.int(Int::ParentId).map(|id| group_of(Some(id))));
        if row.level() == "group" && id != Group::Unknown {
            let weight = row.count(Int::Weight);
            let plain = GroupTotals { id, parent, weight, quota: None, throttled_ns: 0, throttles: 0 };
            self.groups.entry(id).or_insert(plain);
        }
    }

    fn add_machine(&mut self, row: &Row) {
        self.exits.count += row.count(Int::UnlistedTasks);
        self.exits.runtime_ns += row.count(Int::Unlisted);
        let loss = &mut self.loss;
        for (field, column) in [
            (&mut loss.untracked_ns, Int::Untracked),
            (&mut loss.map_full, Int::MapFull),
            (&mut loss.map_busy, Int::MapBusy),
            (&mut loss.map_other, Int::MapOther),
            (&mut loss.clock_backwards, Int::ClockBackwards),
            (&mut loss.stale_records, Int::StaleRecords),
            (&mut loss.groups_full, Int::GroupsFull),
            (&mut loss.unseen_switches, Int::UnseenSwitches),
            (&mut loss.unseen_ns, Int::Unseen),
        ] {
            *field += row.count(column);
        }
    }

    fn add_cpu(&mut self, row: &Row) {
        let Ok(cpu) = u32::try_from(row.count(Int::Cpu)) else { return };
        let books = self.cpus.entry(cpu).or_insert(CpuBooks { cpu, ..CpuBooks::default() });
        books.online = row.count(Int::Wall) > 0;
        books.busy_ns += row.count(Int::Busy);
        books.unfair_ns += row.count(Int::Unfair);
        books.idle_ns += row.count(Int::Idle);
        books.taken_ns += row.count(Int::Taken);
    }

    fn add_group(&mut self, row: &Row) {
        let id = group_of(row.int(Int::GroupId));
        if let Some(path) = row.text(Text::Cgroup) {
            self.names.insert(id, path.to_string());
        }
        if row.int(Int::Throttled).is_none() {
            return; // the source did not know it as a group
        }
        let before = self.groups.get(&id);
        let quota = row.int(Int::Quota).zip(row.int(Int::Period));
        let totals = GroupTotals {
            id,
            parent: row.int(Int::ParentId).map(|id| group_of(Some(id))),
            weight: row.count(Int::Weight),
            quota: quota.map(|(quota, period)| Quota {
                quota_ns: quota.unsigned_abs(),
                period_ns: period.unsigned_abs(),
            }),
            throttled_ns: before.map_or(0, |group| group.throttled_ns) + row.count(Int::Throttled),
            throttles: before.map_or(0, |group| group.throttles) + row.count(Int::Throttles),
        };
        self.groups.insert(id, totals);
    }

    fn add_task(&mut self, row: &Row) {
        let group = group_of(row.int(Int::GroupId));
        let small = |column| u32::try_from(row.count(column)).unwrap_or(u32::MAX);
        let is_rest = row.level() == "thread_rest";
        let policy = row.text(Text::Policy).map_or(Policy::Other, |text| policy(text));
        let id = if is_rest {
            // One rest a group, policy and affinity: the hash keeps them apart.
            let key = format!("{policy}{:?}", row.text(Text::Affinity));
            let start_ns = row.int(Int::GroupId).unwrap_or(0).unsigned_abs();
            TaskId { pid: REST_PIDS + crc32fast::hash(key.as_bytes()) % (1 << 22), start_ns }
        } else {
            TaskId { pid: small(Int::Pid), start_ns: row.count(Int::Start) }
        };
        let usage = Usage {
            runtime_ns: row.count(Int::Run),
            wait_ns: row.count(Int::Wait),
            wait_max_ns: row.count(Int::WaitMax),
            waits: row.waits.as_ref().map_or_else(Histogram::default, |waits| {
                waits.map(|count| u64::try_from(count).unwrap_or(0)).into()
            }),
            switches: row.count(Int::Switches),
            involuntary: row.count(Int::Involuntary),
            yields: row.count(Int::Yields),
            yielded_ns: row.count(Int::Yielded),
            wakeups: row.count(Int::Wakeups),
            migrations: row.count(Int::Migrations),
            light: row.int(Int::WaitMax).is_none(),
        };
        self.loss.light |= usage.light;
        self.active.insert(id);
        let comm = if is_rest { "(rest)" } else { row.text(Text::Comm).map_or("", |text| text) };
        let mut totals = TaskTotals {
            id,
            tgid: if is_rest { id.pid } else { small(Int::Tgid) },
            comm: comm.as_bytes().to_vec(),
            nice: row.int(Int::Nice).and_then(|nice| Nice::new(nice).ok()).unwrap_or_default(),
            policy,
            weight: small(Int::Weight).max(1),
            tickets_set: None,
            group,
            affinity: row.text(Text::Affinity).and_then(|text| cpus(text)),
            cpu: 0,
            state: TaskState::Sleeping,
            usage,
        };
        if let Some(before) = self.tasks.get(&id) {
            totals.usage.merge(&before.usage);
        }
        self.tasks.insert(id, totals.into());
    }

    fn add_pair(&mut self, row: &Row) {
        let (victim, culprit) = (group_of(row.int(Int::GroupId)), group_of(row.int(Int::CulpritId)));
        let groups = &mut self.interference.get_or_insert_default().groups;
        let sum = groups.entry(GroupPair { victim, culprit }).or_default();
        sum.imposed_wait_ns += row.count(Int::Held);
        sum.preemptions += row.count(Int::Preemptions);
    }

    /// Forgets tasks without a part in the latest frame. What they ran stays in the sum, so that nothing is
    /// missing later.
    pub(super) fn forget_idle(&mut self) {
        let active = std::mem::take(&mut self.active);
        let exits = &mut self.exits;
        self.tasks.retain(|id, task| {
            let keep = active.contains(id);
            if !keep {
                exits.runtime_ns += task.usage.runtime_ns;
            }
            keep
        });
    }

    /// Forgets all tasks: identities of another boot mean other ones.
    pub(super) fn forget_all(&mut self) {
        self.active.clear();
        self.forget_idle();
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        Snapshot {
            read_ns: 0,
            taken_ns: self.taken_ns,
            unix_us: u64::try_from(self.unix_us).unwrap_or(0),
            begin_ns: 0,
            cpus: self.cpus.values().copied().collect(),
            tasks: self.tasks.values().cloned().collect(),
            exited: Vec::new(),
            exits: self.exits,
            groups: self.groups.values().copied().collect(),
            interference: self.interference.clone(),
            loss: self.loss,
        }
    }
}

fn policy(text: &str) -> Policy {
    let named = (0..=u8::MAX).map(Policy::from_number).find(|policy| policy.to_string() == text);
    named.unwrap_or_default()
}

/// The kernel's list format; `None` for what is none.
fn cpus(text: &str) -> Option<CpuSet> {
    let mut set = CpuSet::default();
    for part in text.split(',').filter(|part| !part.is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (u32, u32) = (first.parse().ok()?, last.parse().ok()?);
        // No kernel has more CPUs: a damaged text asks for no memory.
        (first..=last.min(65_535)).for_each(|cpu| set.insert(cpu));
    }
    Some(set)
}
