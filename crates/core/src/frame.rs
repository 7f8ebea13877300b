//! A snapshot with the names and the machine it belongs to.

use crate::identity::TaskId;
use crate::reservation::Reservation;
use crate::snapshot::{Group, Snapshot};
use crate::window::Window;
use crate::worth::Grounds;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use thiserror::Error;

/// Number of the form in which frames are written. It grows when a field is added, changes its meaning or
/// goes.
pub const SCHEMA: u32 = 4;

/// Everything that is known of a measured machine at one instant. Whoever shows it asks no other machine, and
/// not the one it runs on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Frame {
    /// What everybody got.
    pub snapshot: Snapshot,
    /// Full names of scheduling groups: a cgroup's path in the hierarchy of the cpu controller, with
    /// "(deleted)" where it is gone. They are raw: whoever shows them makes them harmless.
    #[serde(with = "crate::serial::map")]
    pub groups: BTreeMap<Group, String>,
    /// Of tasks in the PID namespace of whoever looked, the PID there by the PID: what is asked for by a PID
    /// is meant so. `None` where that namespace is the initial one, in which all are counted.
    pub pids_here: Option<BTreeMap<u32, u32>>,
    /// Effective user of each process; `None` where the source was not asked for them, or does not know.
    pub owners: Option<BTreeMap<u32, u32>>,
    /// What tasks under `SCHED_DEADLINE` are promised, as far as the source knows it.
    #[serde(with = "crate::serial::map")]
    pub reservations: BTreeMap<TaskId, Reservation>,
    /// The machine.
    pub machine: Machine,
    /// What its figures are worth, where the source can judge that. A live world does not, so none is kept
    /// with frames.
    #[serde(skip)]
    pub grounds: Option<Grounds>,
}

impl Frame {
    /// What a source has that knows no more than totals and the names of groups.
    pub fn new(snapshot: Snapshot, groups: BTreeMap<Group, String>) -> Self {
        Self {
            snapshot,
            groups,
            pids_here: None,
            owners: None,
            reservations: BTreeMap::new(),
            machine: Machine::default(),
            grounds: None,
        }
    }
}

/// The machine that was measured.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Machine {
    /// Its host name; empty where not known.
    pub host: String,
    /// Release of its kernel; empty where not known.
    pub release: String,
    /// The scheduler in BPF that was in charge, if there was one.
    pub scheduler: Option<Scheduler>,
    /// Schedulers to which it has left the tasks below a cgroup, by that cgroup.
    pub sub_schedulers: Vec<(Group, String)>,
    /// The kernel's rule for the weights of groups where it is not the one that the ledger computes with: its
    /// own word for it.
    pub group_mode: Option<String>,
}

/// A scheduler in BPF (`sched_ext`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scheduler {
    /// Its name.
    pub ops: String,
    /// `enabled`, `enabling`, `disabling`: the kernel's word.
    pub state: String,
    /// Whether it schedules every fair task, or only those of the policy `SCHED_EXT`; `None` where the kernel
    /// does not say.
    pub whole_machine: Option<bool>,
    /// Settings of cgroups, such as `cpu.max`, of which the kernel does not tell it: it goes on as if nobody
    /// had set them. `None` where not known.
    pub untold: Option<Vec<String>>,
}

impl Frame {
    /// What happened since another frame of the same source, or since it began to measure. A rule for the
    /// weights of groups that is not known counts as the old one.
    pub fn since(&self, earlier: Option<&Self>) -> Window {
        let window = match earlier {
            Some(earlier) => Window::between(&earlier.snapshot, &self.snapshot),
            None => Window::between(&self.snapshot.origin(), &self.snapshot),
        };
        let mode = self.machine.group_mode.as_deref();
        let grounds = self.grounds.as_ref();
        let then = earlier.and_then(|earlier| earlier.grounds.as_ref());
        Window {
            group_rule: mode.and_then(|mode| mode.parse().ok()).unwrap_or_default(),
            ext_runs: self.machine.scheduler.is_some(),
            reservations: self.reservations.clone(),
            worths: grounds.map_or_else(Vec::new, |now| now.judge_since(then)),
            worths_total: grounds.map_or_else(Vec::new, Grounds::judge),
            ..window
        }
    }

    /// The PID of a task or process as whoever looked at the machine knows it; `None` where it has none
    /// there.
    pub fn pid_here(&self, pid: u32) -> Option<u32> {
        match &self.pids_here {
            None => Some(pid),
            Some(here) => here.get(&pid).copied(),
        }
    }

    /// Effective user of a process, where it is known.
    pub fn owner(&self, tgid: u32) -> Option<u32> {
        self.owners.as_ref()?.get(&tgid).copied()
    }

    /// Whether what is promised of frames holds: for one that was read, and follows `earlier`.
    ///
    /// # Errors
    /// What does not hold.
    pub fn check(&self, earlier: Option<&Self>) -> Result<(), Inconsistent> {
        let Snapshot { taken_ns, begin_ns, tasks, exited, groups, .. } = &self.snapshot;
        let earlier = earlier.map(|earlier| &earlier.snapshot);
        if taken_ns < begin_ns || earlier.is_some_and(|earlier| earlier.taken_ns > *taken_ns) {
            return Err(Inconsistent::Time);
        }
        if earlier.is_some_and(|earlier| earlier.begin_ns != *begin_ns) {
            return Err(Inconsistent::Begin);
        }
        let is_ordered = tasks.is_sorted_by(|a, b| a.id < b.id)
            && exited.is_sorted_by(|a, b| a.totals.id < b.totals.id)
            && groups.is_sorted_by(|a, b| a.id < b.id);
        if is_ordered { Ok(()) } else { Err(Inconsistent::Order) }
    }
}

/// What a frame contradicts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Inconsistent {
    /// It is before the frame that it follows, or before the begin of its own source.
    #[error("it goes back in time")]
    Time,
    /// Its source began to measure at another instant than that of the frame before.
    #[error("it is of another measurement than the one before")]
    Begin,
    /// Tasks, ends of tasks or groups are not in the order of their identities, or stand there twice.
    #[error("its tasks or groups are not in order, or stand there twice")]
    Order,
}
