//! What CPUs do.

use super::Normaliser;
use crate::fact::Fact;
use crate::interval::{CpuInterval, Doubt};
use crate::life::Doing;

/// What a CPU does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnCpu {
    /// The idle task.
    Idle,
    /// The task with this thread id.
    Task(u32),
    /// Not known; from `clear_ns` on it did one thing, which its next switch will tell.
    Unknown {
        /// Why.
        why: Doubt,
        /// From when on nothing can have been missed.
        clear_ns: u64,
    },
    /// Nothing, it is offline.
    Offline,
}

/// A CPU as far as the recording has told it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cpu {
    /// What it does.
    pub doing: OnCpu,
    /// Since when, ns on the clock of the events.
    pub since_ns: u64,
    /// Its latest event.
    pub last_ns: u64,
}

impl Normaliser {
    pub(super) fn tell_cpu(&mut self, cpu: u32, to_ns: u64, doubt: Option<Doubt>) {
        let Some(of) = self.cpus.get_mut(&cpu) else { return };
        let to_ns = to_ns.max(of.since_ns);
        if to_ns > of.since_ns {
            self.facts.push(Fact::Cpu(CpuInterval { cpu, from_ns: of.since_ns, to_ns, doubt }));
        }
        of.since_ns = to_ns;
    }

    pub(super) fn set_cpu(&mut self, cpu: u32, doing: OnCpu) {
        if let Some(of) = self.cpus.get_mut(&cpu) {
            *of = Cpu { doing, since_ns: self.now_ns, last_ns: self.now_ns };
        }
    }

    /// Ends what a CPU does at `at_ns`; its task, if it has one, goes on as it is.
    pub(super) fn close_cpu(&mut self, cpu: u32, at_ns: u64, why: Option<Doubt>) {
        match self.cpus.get(&cpu).map(|of| of.doing) {
            Some(OnCpu::Idle) => self.tell_cpu(cpu, at_ns, None),
            Some(OnCpu::Unknown { why: old, .. }) => self.tell_cpu(cpu, at_ns, Some(why.unwrap_or(old))),
            Some(OnCpu::Task(_) | OnCpu::Offline) | None => {}
        }
    }

    /// A CPU comes or goes: whoever is believed to be on it has left it unseen.
    pub(super) fn reset_cpu(&mut self, cpu: u32, doing: OnCpu) {
        let now = self.now_ns;
        self.close_cpu(cpu, now, None);
        if let Some(OnCpu::Task(pid)) = self.cpus.get(&cpu).map(|of| of.doing) {
            self.interrupt(pid, now);
            self.set(pid, Doing::Unknown { why: Doubt::Hidden, clear_ns: now });
        }
        self.set_cpu(cpu, doing);
    }
}
