//! What a task got: the counters that grow.

use crate::histogram::Histogram;
use serde::{Deserialize, Serialize};

/// Growing counters of one task: over its life, or over a window.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Usage {
    /// Time on a CPU, the open slice included.
    pub runtime_ns: u64,
    /// Time runnable but not running (run-queue wait), the open wait included where it is known.
    pub wait_ns: u64,
    /// Longest single wait. Over a window it is exact when it is also the longest of the task's life, and
    /// otherwise the upper edge of the longest wait's bucket.
    pub wait_max_ns: u64,
    /// Ended waits by length.
    pub waits: Histogram,
    /// Times the task left a CPU.
    pub switches: u64,
    /// Those of them in which it was still runnable: preempted, or it yielded.
    pub involuntary: u64,
    /// Those of these in which it gave its CPU away by `sched_yield(2)`, where that can be told.
    pub yields: u64,
    /// That part of `wait_ns` which followed a yield: others may run meanwhile, but nobody made it wait.
    pub yielded_ns: u64,
    /// Times it came from sleep to a CPU.
    pub wakeups: u64,
    /// Slices that began on another CPU than the one before.
    pub migrations: u64,
    /// Whether the kernel's own counters are all that is known of it, or of a part of it: `wait_max_ns` and
    /// `waits` mean nothing then, and `migrations` are moves between run queues, also of a task that slept.
    pub light: bool,
}

impl Usage {
    /// Times the task left a CPU because it had to wait for something.
    pub fn voluntary(&self) -> u64 {
        self.switches.saturating_sub(self.involuntary)
    }

    /// Times it lost its CPU to others: was still runnable and had not given it away.
    pub fn preempted(&self) -> u64 {
        self.involuntary.saturating_sub(self.yields)
    }

    /// Run-queue wait that it did not choose: all but what followed a yield. Only this is a claim on a CPU.
    pub fn imposed_wait_ns(&self) -> u64 {
        self.wait_ns.saturating_sub(self.yielded_ns)
    }

    /// The longest single wait; `None` where it is not known.
    pub fn longest_wait_ns(&self) -> Option<u64> {
        (!self.light).then_some(self.wait_max_ns)
    }

    /// [`Histogram::quantile_ns`] of the ended waits; `None` also where they are not known.
    pub fn wait_quantile_ns(&self, q: f64) -> Option<u64> {
        if self.light { None } else { self.waits.quantile_ns(q, self.wait_max_ns) }
    }

    /// What was added since `earlier`; a counter that went backwards counts as unchanged.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let waits = self.waits.since(&earlier.waits);
        let wait_max_ns = if self.wait_max_ns > earlier.wait_max_ns {
            self.wait_max_ns
        } else {
            waits.quantile_ns(1.0, self.wait_max_ns).unwrap_or(0)
        };
        Self {
            runtime_ns: self.runtime_ns.saturating_sub(earlier.runtime_ns),
            wait_ns: self.wait_ns.saturating_sub(earlier.wait_ns),
            wait_max_ns,
            waits,
            switches: self.switches.saturating_sub(earlier.switches),
            involuntary: self.involuntary.saturating_sub(earlier.involuntary),
            yields: self.yields.saturating_sub(earlier.yields),
            yielded_ns: self.yielded_ns.saturating_sub(earlier.yielded_ns),
            wakeups: self.wakeups.saturating_sub(earlier.wakeups),
            migrations: self.migrations.saturating_sub(earlier.migrations),
            light: self.light,
        }
    }

    /// Adds what the same task got at another time.
    pub fn merge(&mut self, other: &Self) {
        self.runtime_ns += other.runtime_ns;
        self.wait_ns += other.wait_ns;
        self.wait_max_ns = self.wait_max_ns.max(other.wait_max_ns);
        self.waits.merge(&other.waits);
        self.switches += other.switches;
        self.involuntary += other.involuntary;
        self.yields += other.yields;
        self.yielded_ns += other.yielded_ns;
        self.wakeups += other.wakeups;
        self.migrations += other.migrations;
        self.light |= other.light;
    }
}
