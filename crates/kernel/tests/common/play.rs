//! Letting a scheduler of ours go on for so many draws, and what it and the kernel say about them.
//!
//! Counts of draws come from the scheduler, who had how much CPU from the kernel. Tolerances follow from the
//! number of draws.

use super::{Worker, schedstat, wait_for};
use std::collections::BTreeMap;
use std::thread;
use std::time::Duration;
use tombola_core::statistics::chi_square;
use tombola_core::tally::{Returns, Tally};
use tombola_kernel::scheduler::{Scheduler, SchedulerOptions, Slice};

/// In CI a lottery without fault fails once in a million runs.
pub(crate) const REJECTED: f64 = 1e-6;
/// Draws of a proof.
pub(crate) const DRAWS: u64 = 20_000;
/// Draws of a negative control, which is far off.
pub(crate) const FEW_DRAWS: u64 = 5_000;

pub(crate) fn options() -> SchedulerOptions {
    SchedulerOptions { slice: Slice::new(Duration::from_millis(1)).unwrap(), ..SchedulerOptions::default() }
}

/// What happened to some tasks between two looks.
pub(crate) struct Played {
    pub(crate) tallies: Vec<Tally>,
    pub(crate) cpu_ns: Vec<u64>,
    pub(crate) returns: Returns,
    pub(crate) wall_ns: u64,
}

pub(crate) struct Look {
    tallies: BTreeMap<u32, Tally>,
    pub(crate) cpu_ns: Vec<u64>,
    pub(crate) returns: Returns,
    at: std::time::Instant,
}

pub(crate) fn look(scheduler: &Scheduler, tids: &[u32]) -> Look {
    let tasks = scheduler.control().tasks().unwrap();
    Look {
        cpu_ns: tids.iter().map(|tid| schedstat(*tid).unwrap().runtime_ns).collect(),
        tallies: tasks.iter().map(|task| (task.id.pid, task.tally)).collect(),
        returns: scheduler.control().totals().unwrap().returns,
        at: std::time::Instant::now(),
    }
}

/// Lets the scheduler go on until these tasks have won so many draws together.
pub(crate) fn play(scheduler: &Scheduler, tids: &[u32], draws: u64) -> Played {
    let wins = |look: &Look| tids.iter().filter_map(|tid| look.tallies.get(tid)).map(|t| t.wins).sum::<u64>();
    wait_for("all take part", || {
        let seen = look(scheduler, tids);
        tids.iter().all(|tid| seen.tallies.get(tid).is_some_and(|t| t.wins > 0)).then_some(())
    });
    let before = look(scheduler, tids);
    let start = wins(&before);
    let limit = std::time::Instant::now() + Duration::from_secs(500);
    let after = loop {
        thread::sleep(Duration::from_millis(500));
        if let Some(told) = scheduler.control().farewell().unwrap() {
            panic!("the scheduler is gone: {told}");
        }
        let seen = look(scheduler, tids);
        if wins(&seen) - start >= draws {
            break seen;
        }
        assert!(std::time::Instant::now() < limit, "only {} draws", wins(&seen) - start);
    };
    let since = |tid: &u32| {
        let (a, b) = (before.tallies.get(tid).copied().unwrap_or_default(), after.tallies[tid]);
        Tally {
            wins: b.wins - a.wins,
            expected: b.expected - a.expected,
            variance: b.variance - a.variance,
            undrawn: b.undrawn - a.undrawn,
            slices: b.slices - a.slices,
            used_ns: b.used_ns - a.used_ns,
        }
    };
    let (r, s) = (before.returns, after.returns);
    Played {
        tallies: tids.iter().map(since).collect(),
        cpu_ns: after.cpu_ns.iter().zip(&before.cpu_ns).map(|(b, a)| b - a).collect(),
        returns: Returns {
            draws: s.draws - r.draws,
            wins: s.wins - r.wins,
            expected: s.expected - r.expected,
            variance: s.variance - r.variance,
        },
        wall_ns: u64::try_from((after.at - before.at).as_nanos()).unwrap(),
    }
}

impl Played {
    pub(crate) fn wins(&self) -> Vec<u64> {
        self.tallies.iter().map(|t| t.wins).collect()
    }

    pub(crate) fn draws(&self) -> u64 {
        self.wins().iter().sum()
    }

    /// p-values of the shares and of independence.
    pub(crate) fn judge(&self, tickets: &[u64]) -> (f64, f64) {
        let shares = chi_square(&self.wins(), tickets).unwrap().p_value;
        (shares, self.returns.p_value().unwrap())
    }

    pub(crate) fn shares(&self) -> Vec<f64> {
        let total: u64 = self.cpu_ns.iter().sum();
        self.cpu_ns.iter().map(|ns| *ns as f64 / total as f64).collect()
    }
}

/// Burners on one CPU, each with its tickets set.
pub(crate) fn burners_with(scheduler: &Scheduler, cpu: usize, tickets: &[u32]) -> Vec<Worker> {
    tickets
        .iter()
        .map(|tickets| {
            let worker = Worker::burner(0, Some(cpu));
            scheduler.control().set_tickets(worker.tid, Some(*tickets)).unwrap();
            worker
        })
        .collect()
}

pub(crate) fn tids(workers: &[Worker]) -> Vec<u32> {
    workers.iter().map(|w| w.tid).collect()
}
