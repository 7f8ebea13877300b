//! Scheduling policies, as `sched_setscheduler(2)` numbers them.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A task's scheduling policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Policy {
    /// `SCHED_OTHER` (0), called `SCHED_NORMAL` in the kernel: the fair class.
    #[default]
    Other,
    /// `SCHED_FIFO` (1): real time, runs until it blocks.
    Fifo,
    /// `SCHED_RR` (2): real time, round robin among equals.
    RoundRobin,
    /// `SCHED_BATCH` (3): fair class, never preempts on wakeup.
    Batch,
    /// `SCHED_IDLE` (5): fair class with weight 3.
    Idle,
    /// `SCHED_DEADLINE` (6): earliest deadline first with a budget.
    Deadline,
    /// `SCHED_EXT` (7): scheduled by a BPF program.
    Ext,
    /// A number this version does not know.
    Unknown(u8),
}

impl Policy {
    /// The policy behind a number of `include/uapi/linux/sched.h`.
    pub fn from_number(number: u8) -> Self {
        match number {
            0 => Self::Other,
            1 => Self::Fifo,
            2 => Self::RoundRobin,
            3 => Self::Batch,
            5 => Self::Idle,
            6 => Self::Deadline,
            7 => Self::Ext,
            n => Self::Unknown(n),
        }
    }

    /// Whether nice values, and so tickets, mean anything under this policy.
    ///
    /// Real-time and deadline tasks run before any fair task: they hold no tickets, and what they take is
    /// gone before the others divide the rest.
    pub fn holds_tickets(self) -> bool {
        matches!(self, Self::Other | Self::Batch | Self::Idle | Self::Ext)
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Self::Other => "OTHER",
            Self::Fifo => "FIFO",
            Self::RoundRobin => "RR",
            Self::Batch => "BATCH",
            Self::Idle => "IDLE",
            Self::Deadline => "DEADLINE",
            Self::Ext => "EXT",
            Self::Unknown(n) => return f.pad(&format!("POLICY{n}")),
        };
        f.pad(name)
    }
}
