//! What a task is like, beside what it does.

use crate::comm::Comm;
use crate::task::Task;
use tombola_core::cpu_set::CpuSet;
use tombola_core::reservation::Reservation;
use tombola_core::snapshot::Group;

/// What is told of a task beside what it does; `None`: not told.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Attributes {
    /// Its process.
    pub tgid: Option<u32>,
    /// Its name.
    pub comm: Comm,
    /// Its priority, the kernel's number; see [`Task::prio`].
    pub prio: Option<i32>,
    /// Weight in the fair class, 1024 for nice 0.
    pub weight: Option<u32>,
    /// Scheduling policy, the kernel's number.
    pub policy: Option<u32>,
    /// The group whose weight the scheduler uses.
    pub group: Option<Group>,
    /// CPUs its affinity allows.
    pub affinity: Option<CpuSet>,
    /// What `SCHED_DEADLINE` promised it, while that is its policy.
    pub reservation: Option<Reservation>,
}

impl Attributes {
    /// Takes over what an event says of the task.
    #[inline]
    pub fn note(&mut self, task: &Task) {
        self.tgid = task.tgid.or(self.tgid);
        self.prio = task.prio.or(self.prio);
        if !task.comm.is_empty() {
            self.comm = task.comm;
        }
    }

    /// Takes over what was told later. Parameters go with the policy that they belong to.
    pub fn renew(&mut self, later: &Self) {
        self.tgid = later.tgid.or(self.tgid);
        if !later.comm.is_empty() {
            self.comm = later.comm;
        }
        self.prio = later.prio.or(self.prio);
        self.weight = later.weight.or(self.weight);
        if later.policy.is_some() {
            self.policy = later.policy;
            self.reservation = later.reservation;
        }
        self.group = later.group.or(self.group);
        if later.affinity.is_some() && later.affinity != self.affinity {
            self.affinity.clone_from(&later.affinity);
        }
    }

    /// The task as other events name it.
    pub fn task(&self, pid: u32) -> Task {
        Task { pid, tgid: self.tgid, comm: self.comm, prio: self.prio }
    }
}
