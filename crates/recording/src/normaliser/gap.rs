//! Gaps: what is not known while events are missing.

use super::{Cpu, Normaliser, OnCpu};
use crate::event::Kind;
use crate::interval::Doubt;
use crate::life::Doing;

impl Normaliser {
    /// In a gap: who does not run after this event may come to the CPU whose events are missing.
    pub(super) fn doubt_in_gap(&mut self, kind: &Kind) {
        let who = match kind {
            Kind::Switch { prev: Some(task), .. } | Kind::Wake { wakee: task, .. } => task.pid,
            _ => return,
        };
        let clear_ns = self.gap_until_ns;
        let doing = self.lives.get(&who).map(|life| life.doing);
        if matches!(doing, Some(Doing::Runnable(_) | Doing::Blocked(_))) {
            self.set(who, Doing::Unknown { why: Doubt::Loss, clear_ns });
        }
    }

    /// Events are missing up to `to_ns`, which may be to come.
    pub(super) fn lose(&mut self, of_cpu: Option<u32>, count: Option<u64>, from_ns: Option<u64>, to_ns: u64) {
        self.repairs.losses += 1;
        self.gap_until_ns = self.gap_until_ns.max(to_ns);
        self.repairs.lost_events += count.unwrap_or(0);
        let hit: Vec<u32> = match of_cpu {
            Some(cpu) => vec![cpu],
            None => self.cpus.keys().copied().collect(),
        };
        let before = |cpu: &u32| self.cpus.get(cpu).map_or(self.now_ns, |of| of.last_ns);
        // Without a begin of its own the gap begins at the last event of the CPUs it is about.
        let from = from_ns.unwrap_or_else(|| hit.iter().map(before).min().unwrap_or(self.now_ns)).min(to_ns);
        self.now_ns = self.now_ns.max(from);
        let now = self.now_ns;
        for cpu in hit {
            let Some(of) = self.cpus.get(&cpu).copied() else { continue };
            self.close_cpu(cpu, from.max(of.since_ns), None);
            if let OnCpu::Task(pid) = of.doing {
                self.interrupt(pid, from);
                self.set(pid, Doing::Unknown { why: Doubt::Loss, clear_ns: to_ns });
            }
            let since_ns = from.max(of.since_ns);
            let doing = OnCpu::Unknown { why: Doubt::Loss, clear_ns: to_ns };
            self.cpus.insert(cpu, Cpu { doing, since_ns, last_ns: now });
        }
        let mut pids: Vec<u32> = self.lives.keys().copied().collect();
        pids.sort_unstable(); // facts come in the same order for the same recording
        for pid in pids {
            let Some(life) = self.lives.get_mut(&pid) else { continue };
            match &mut life.doing {
                // One that is not born has a first wake to come, or to be missed.
                Doing::Running(_) | Doing::Unborn => {}
                Doing::Unknown { clear_ns, .. } => *clear_ns = to_ns.max(*clear_ns),
                Doing::Runnable(_) | Doing::Blocked(_) => {
                    self.interrupt(pid, from);
                    self.set(pid, Doing::Unknown { why: Doubt::Loss, clear_ns: to_ns });
                }
            }
        }
    }
}
