//! What every task came to over a span: run time, waits, and how often it got through with what it wanted.
//!
//! One law for what a machine did and for what a simulator says it would have done, so that the two can be
//! compared.

use crate::event::Left;
use crate::fact::Fact;
use crate::interval::{Interval, Ready, What};
use std::collections::HashMap;
use tombola_core::identity::TaskId;

/// What one task came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Activity {
    /// CPU time, ns.
    pub run_ns: u64,
    /// Time it wanted a CPU and had none, ns.
    pub wait_ns: u64,
    /// The longest of these waits, ns.
    pub wait_max_ns: u64,
    /// How often it came to wait: woken, born, or displaced.
    pub waits: u64,
    /// Bursts that ended: it blocked or ended.
    pub completions: u64,
    /// Time of which it is not known what it did, ns.
    pub unknown_ns: u64,
}

/// Activities of all tasks from one instant to another.
#[derive(Clone, Debug, Default)]
pub struct Activities {
    from_ns: u64,
    of: HashMap<TaskId, Activity>,
}

impl Activities {
    /// Those from `from_ns` on: of what began before only the part behind it counts.
    pub fn since(from_ns: u64) -> Self {
        Self { from_ns, of: HashMap::new() }
    }

    /// Takes what the normaliser has found out.
    pub fn fact(&mut self, fact: &Fact) {
        match fact {
            Fact::Task(interval) if interval.to_ns >= self.from_ns => self.interval(interval),
            Fact::Became { from, to } => {
                // The two exchange their identities.
                let (one, two) = (self.of.remove(from), self.of.remove(to));
                self.of.extend(one.map(|activity| (*to, activity)));
                self.of.extend(two.map(|activity| (*from, activity)));
            }
            Fact::Task(_) | Fact::Cpu(_) | Fact::Ended { .. } => {}
        }
    }

    fn interval(&mut self, interval: &Interval) {
        let ns = interval.to_ns - interval.from_ns.max(self.from_ns);
        let of = self.of.entry(interval.task).or_default();
        match interval.what {
            What::Running { left, .. } => {
                of.run_ns += ns;
                let is_runnable = matches!(left, None | Some(Left::Runnable { .. } | Left::Yielded));
                of.completions += u64::from(!is_runnable);
            }
            What::Runnable { since, .. } => {
                of.wait_ns += ns;
                of.wait_max_ns = of.wait_max_ns.max(ns);
                of.waits += u64::from(since != Ready::Unknown);
            }
            What::Blocked { .. } => {}
            What::Unknown(_) => of.unknown_ns += ns,
        }
    }

    /// What a task came to; nothing, if it did nothing.
    pub fn of(&self, task: TaskId) -> Activity {
        self.of.get(&task).copied().unwrap_or_default()
    }

    /// All of them, in no order.
    pub fn all(&self) -> impl Iterator<Item = (TaskId, &Activity)> {
        self.of.iter().map(|(id, activity)| (*id, activity))
    }
}
