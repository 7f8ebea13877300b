//! Windows made by hand, for tests.

use crate::identity::TaskId;
use crate::policy::Policy;
use crate::snapshot::{ExitTotals, Group, Loss, TaskState, TaskTotals};
use crate::tickets::Nice;
use crate::usage::Usage;
use crate::window::{CpuWindow, TaskWindow, Window};

/// The few facts about a task that tests vary.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Task {
    pub(crate) pid: u32,
    pub(crate) start_ns: u64,
    pub(crate) nice: i8,
    pub(crate) policy: Policy,
    pub(crate) delta_ns: u64,
    pub(crate) state: TaskState,
    pub(crate) ended: bool,
}

impl Task {
    /// A task of nice 0 that ran this long and sleeps.
    pub(crate) fn ran(pid: u32, delta_ns: u64) -> Self {
        let (policy, state) = (Policy::Other, TaskState::Sleeping);
        Self { pid, start_ns: 9, nice: 0, policy, delta_ns, state, ended: false }
    }

    pub(crate) fn id(&self) -> TaskId {
        TaskId { pid: self.pid, start_ns: self.start_ns }
    }

    fn window(&self) -> TaskWindow {
        let delta = Usage { runtime_ns: self.delta_ns, ..Usage::default() };
        let nice = Nice::new(i64::from(self.nice)).unwrap();
        let totals = TaskTotals {
            id: self.id(),
            tgid: self.pid,
            comm: format!("task-{}", self.pid).into_bytes(),
            nice,
            policy: self.policy,
            weight: nice.weight(),
            tickets_set: None,
            group: Group::Cgroup(1),
            affinity: None,
            cpu: 0,
            state: self.state,
            usage: delta.clone(),
        };
        TaskWindow { totals: totals.into(), delta, ended: self.ended }
    }
}

/// One second of one CPU, idle where these tasks did not run.
pub(crate) fn window(tasks: &[Task]) -> Window {
    let wall_ns = 1_000_000_000;
    let busy_ns = tasks.iter().map(|t| t.delta_ns).sum::<u64>().min(wall_ns);
    let mut tasks: Vec<TaskWindow> = tasks.iter().map(Task::window).collect();
    tasks.sort_by_key(|t| t.totals.id);
    Window {
        from_ns: 5_000_000_000,
        to_ns: 5_000_000_000 + wall_ns,
        unix_us: 1_700_000_000_000_000,
        is_first: false,
        cpus: vec![CpuWindow {
            cpu: 0,
            wall_ns,
            busy_ns,
            unfair_ns: 0,
            idle_ns: wall_ns - busy_ns,
            taken_ns: 0,
        }],
        tasks,
        unlisted_exits: ExitTotals::default(),
        group_rule: crate::entitlement::GroupRule::default(),
        ext_runs: false,
        reservations: std::collections::BTreeMap::new(),
        groups: Vec::new(),
        interference: None,
        loss: Loss::default(),
        loss_total: Loss::default(),
        worths: Vec::new(),
        worths_total: Vec::new(),
    }
}
