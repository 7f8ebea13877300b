//! The periodic tasks of a recording, and whether EDF and RM would be in time with them.

use tombola_core::identity::TaskId;
use tombola_core::reservation::Reservation;
use tombola_core::worth::Judged;
use tombola_lab::realtime::{Analysis, RtTask, analyse};
use tombola_recording::periods::{Rhythm, Service};

/// Halvings in the search for a margin: to a part in 2^40.
const HALVINGS: u32 = 46;
/// Largest margin that is told.
const MOST_MARGIN: f64 = 64.0;

/// One periodic task.
pub(crate) struct Periodic {
    pub(crate) id: TaskId,
    pub(crate) comm: String,
    pub(crate) rhythm: Rhythm,
    pub(crate) deadline_ns: u64,
    /// Whether the deadline was given; else it is the kernel's own, and without that the period.
    pub(crate) is_given: bool,
    /// What the kernel's deadline class promised it, where the recording tells it.
    pub(crate) reservation: Option<Reservation>,
    /// Jobs that took more CPU time than was promised for one.
    pub(crate) over_budget: u64,
    pub(crate) service: Service,
    /// Jobs in which something is unknown.
    pub(crate) doubtful: u64,
    /// Whether the kernel served it by `SCHED_DEADLINE`.
    pub(crate) is_deadline_class: bool,
}

/// What the tests of the lab say, and by how much execution times could grow.
pub(crate) struct Feasible {
    pub(crate) analysis: Analysis,
    pub(crate) rm_one_cpu: bool,
    /// Factor on all execution times up to which the answer is yes; below 1 it is no. `None` where it would
    /// take too long to tell.
    pub(crate) edf_margin: Option<f64>,
    pub(crate) rm_margin: f64,
    pub(crate) global_edf_margin: f64,
}

/// All that was found.
pub(crate) struct Found {
    pub(crate) name: String,
    pub(crate) span_ns: u64,
    pub(crate) cpus: u32,
    /// Tasks that woke often enough, and are not periodic.
    pub(crate) irregular: usize,
    pub(crate) tasks: Vec<Periodic>,
    /// What the figures of the recording are worth.
    pub(crate) worths: Vec<Judged>,
    /// `None` without periodic tasks.
    pub(crate) feasible: Option<Feasible>,
}

/// Mean CPU time as a part of the period.
pub(crate) fn utilisation(task: &Periodic) -> f64 {
    task.service.run_mean_ns / task.rhythm.period_ns
}

/// The tests of the lab on the longest jobs that were seen.
pub(crate) fn feasible(tasks: &[Periodic], cpus: u32) -> Option<Feasible> {
    let set: Vec<RtTask> = tasks
        .iter()
        .filter(|task| task.service.run_max_ns > 0)
        .map(|task| RtTask {
            run_ns: task.service.run_max_ns,
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // positive, below 2^63
            period_ns: task.reservation.map_or(task.rhythm.period_ns as u64, |kernel| kernel.period_ns).max(1),
            deadline_ns: task.deadline_ns.max(1),
        })
        .collect();
    if set.is_empty() {
        return None;
    }
    let scaled = |by: f64| -> Vec<RtTask> {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // positive; 64 times a job
        let run = |ns: u64| ((ns as f64 * by).ceil() as u64).max(1);
        set.iter().map(|task| RtTask { run_ns: run(task.run_ns), ..*task }).collect()
    };
    let in_time_rm = |by: f64| analyse(&scaled(by), cpus).rm_response_ns.iter().all(Option::is_some);
    let analysis = analyse(&set, cpus);
    Some(Feasible {
        rm_one_cpu: analysis.rm_response_ns.iter().all(Option::is_some),
        edf_margin: analysis
            .edf_one_cpu
            .map(|_| margin(|by| analyse(&scaled(by), cpus).edf_one_cpu == Some(true))),
        rm_margin: margin(in_time_rm),
        global_edf_margin: margin(|by| analyse(&scaled(by), cpus).within_global_edf_bound),
        analysis,
    })
}

/// The largest factor for which it is so; it must be so for all below.
fn margin(is_so: impl Fn(f64) -> bool) -> f64 {
    let (mut low, mut high) = (0.0, MOST_MARGIN);
    for _ in 0..HALVINGS {
        let middle = f64::midpoint(low, high);
        if is_so(middle) { low = middle } else { high = middle }
    }
    low
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_margin_is_the_largest_factor_that_is_in_time() {
        assert!((margin(|by| by <= 2.5) - 2.5).abs() < 1e-9);
        assert!(margin(|_| false) < 1e-9);
    }
}
