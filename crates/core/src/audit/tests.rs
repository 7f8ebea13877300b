//! Windows made by hand.

use super::*;
use crate::identity::TaskId;
use crate::policy::Policy;
use crate::reservation::Reservation;
use crate::snapshot::{ExitTotals, GroupTotals, Quota, TaskState, TaskTotals};
use crate::tickets::Nice;
use crate::usage::Usage;
use crate::window::CpuWindow;

mod examples;
mod findings;
mod laws;

const SECOND: u64 = 1_000_000_000;
const ROOT: Group = Group::Cgroup(1);

/// A window of one second that is built task by task.
pub(super) struct Case(pub(super) Window);

impl Case {
    /// CPUs that are busy all the time with fair tasks.
    pub(super) fn cpus(count: u32) -> Self {
        let cpu =
            |cpu| CpuWindow { cpu, wall_ns: SECOND, busy_ns: SECOND, unfair_ns: 0, idle_ns: 0, taken_ns: 0 };
        let mut case = Self(Window {
            from_ns: SECOND,
            to_ns: 2 * SECOND,
            unix_us: 0,
            is_first: false,
            cpus: (0..count).map(cpu).collect(),
            tasks: Vec::new(),
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
        });
        case.group(1, None, 1024);
        case
    }

    pub(super) fn group(&mut self, id: u64, parent: Option<u64>, weight: u64) -> &mut GroupWindow {
        let totals = GroupTotals {
            id: Group::Cgroup(id),
            parent: parent.map(Group::Cgroup),
            weight,
            quota: None,
            throttled_ns: 0,
            throttles: 0,
        };
        self.0.groups.push(GroupWindow { totals, throttled_ns: 0, throttles: 0 });
        self.0.groups.last_mut().unwrap()
    }

    /// A task of a weight that need not be one of the kernel's; it waited whenever it did not run.
    pub(super) fn burner(&mut self, group: Group, weight: u32, run_ns: u64) -> &mut TaskWindow {
        let wait_ns = SECOND.saturating_sub(run_ns);
        let delta = Usage { runtime_ns: run_ns, wait_ns, ..Usage::default() };
        let pid = 100 + u32::try_from(self.0.tasks.len()).unwrap();
        let totals = TaskTotals {
            id: TaskId { pid, start_ns: 1 },
            tgid: pid,
            comm: format!("task-{pid}").into_bytes(),
            nice: Nice::all().find(|nice| nice.weight() == weight).unwrap_or_default(),
            policy: Policy::Other,
            weight,
            tickets_set: None,
            group,
            affinity: None,
            cpu: 0,
            state: TaskState::Waiting,
            usage: delta.clone(),
        };
        self.0.tasks.push(TaskWindow { totals: totals.into(), delta, ended: false });
        self.0.tasks.last_mut().unwrap()
    }

    pub(super) fn audit(&self) -> Audit {
        Audit::new(&self.0).unwrap()
    }

    /// Entitlements in CPUs, to a nanosecond.
    #[track_caller]
    pub(super) fn gives(&self, expected: &[f64]) -> Audit {
        let audit = self.audit();
        let entries = audit.lines.iter().filter_map(|line| line.entry.as_ref());
        let got: Vec<f64> = entries.map(|entry| entry.account.entitled_ns as f64 / SECOND as f64).collect();
        assert_eq!(got.len(), expected.len(), "{got:?}");
        let close = got.iter().zip(expected).all(|(g, e)| (g - e).abs() <= 1e-9);
        assert!(close, "{got:?} instead of {expected:?}");
        audit
    }
}
