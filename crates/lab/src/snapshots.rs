//! The simulated machine as a source of snapshots: the same windows, tickets and reports judge it as a live
//! one.

use super::engine::Simulation;
use super::machine::TaskPlace;
use super::scenario::Class;
use tombola_core::identity::TaskId;
use tombola_core::policy::Policy;
use tombola_core::snapshot::{
    CpuBooks, ExitTotals, ExitedTask, Group, GroupTotals, Loss, Quota, Running, Snapshot, TaskState,
    TaskTotals,
};

/// The root group's id; groups of the scenario follow.
const ROOT: Group = Group::Cgroup(1);

/// Id of the scenario's n-th group.
fn group(index: usize) -> Group {
    Group::Cgroup(index as u64 + 2)
}

/// Bytes of a task's name in the kernel.
const COMM: usize = 15;

impl Simulation<'_> {
    /// Everything a monitor would know at this instant. Task i has PID i + 1 and is its own process; groups
    /// have the ids 2, 3, …, in order of declaration, and 1 is the root. Weights are tickets, cut off at
    /// `u32::MAX`.
    pub fn snapshot(&self) -> Snapshot {
        let now_ns = self.now_ns();
        let mut tasks = Vec::new();
        let mut exited = Vec::new();
        let mut exits = ExitTotals::default();
        for task in 0..self.machine.tasks().len() {
            if !self.has_come(task) {
                continue;
            }
            let totals = self.totals(task);
            match self.meter.tallies[task].ended_ns {
                None => tasks.push(totals.into()),
                Some(ended_ns) => {
                    exits.count += 1;
                    exits.runtime_ns += totals.usage.runtime_ns;
                    exited.push(ExitedTask { ended_ns, totals: totals.into() });
                }
            }
        }
        let cpus = self.machine.cpus().iter().zip(&self.meter.busy_ns).enumerate();
        Snapshot {
            taken_ns: now_ns,
            read_ns: 0,
            unix_us: now_ns / 1000,
            begin_ns: 0,
            cpus: cpus
                .map(|(cpu, (view, busy))| CpuBooks {
                    cpu: u32::try_from(cpu).unwrap_or(u32::MAX),
                    online: true,
                    busy_ns: *busy,
                    unfair_ns: 0,
                    taken_ns: 0,
                    idle_ns: now_ns - busy,
                    running: view.task.map(|task| Running { id: self.id(task), since_ns: view.since_ns }),
                })
                .collect(),
            tasks,
            exited,
            exits,
            groups: self.groups(),
            interference: None, // the engine does not keep who ran while whom waited
            loss: Loss::default(),
        }
    }

    fn groups(&self) -> Vec<GroupTotals> {
        let plain =
            GroupTotals { id: ROOT, parent: None, weight: 1024, quota: None, throttled_ns: 0, throttles: 0 };
        let declared = self.scenario.groups.iter().enumerate().map(|(index, declared)| GroupTotals {
            id: group(index),
            parent: Some(declared.parent.map_or(ROOT, group)),
            weight: declared.weight,
            quota: declared.quota.map(|q| Quota { quota_ns: q.quota_ns, period_ns: q.period_ns }),
            ..plain
        });
        std::iter::once(plain).chain(declared).collect()
    }

    fn id(&self, task: usize) -> TaskId {
        TaskId { pid: u32::try_from(task + 1).unwrap_or(u32::MAX), start_ns: self.born_ns(task) }
    }

    pub(super) fn totals(&self, task: usize) -> TaskTotals {
        let view = &self.machine.tasks()[task];
        let entry = &self.scenario.tasks[view.entry];
        let id = self.id(task);
        let tally = &self.meter.tallies[task];
        let mut usage = self.meter.usage(task);
        let state = match view.place {
            TaskPlace::On(_) => TaskState::Running,
            TaskPlace::Queued => TaskState::Waiting,
            TaskPlace::Away if self.is_parked(task) => TaskState::Waiting,
            TaskPlace::Away => TaskState::Sleeping,
        };
        if state == TaskState::Waiting {
            let open_ns = self.now_ns() - tally.waits_from_ns;
            usage.wait_ns += open_ns;
            usage.wait_max_ns = usage.wait_max_ns.max(open_ns);
        }
        let mut comm = self.name(task).into_bytes();
        comm.truncate(COMM);
        TaskTotals {
            id,
            tgid: id.pid,
            comm,
            nice: entry.nice,
            policy: match (entry.class, entry.reserve.is_some()) {
                (_, true) => Policy::Deadline,
                (Class::Fair, _) => Policy::Other,
                (Class::Fifo, _) => Policy::Fifo,
                (Class::RoundRobin, _) => Policy::RoundRobin,
            },
            weight: u32::try_from(entry.tickets).unwrap_or(u32::MAX),
            tickets_set: None, // those of a scenario are the weight
            group: view.group.map_or(ROOT, group),
            affinity: Some(
                self.machine
                    .class_cpus(view.class)
                    .iter()
                    .filter_map(|&cpu| u32::try_from(cpu).ok())
                    .collect(),
            ),
            cpu: u32::try_from(view.last_cpu.unwrap_or(0)).unwrap_or(0),
            state,
            usage,
        }
    }
}
