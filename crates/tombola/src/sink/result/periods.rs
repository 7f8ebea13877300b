//! Periodic tasks of a recording.

use crate::periodic::{Found, utilisation};
use crate::sink::certainty::CertaintyRecord;
use anyhow::Result;
use schemars::JsonSchema;
use serde::Serialize;

/// All of them, and what EDF and RM make of them.
#[derive(Serialize, JsonSchema)]
#[schemars(title = "tombola periods")]
struct Record {
    recording: String,
    span_ns: u64,
    cpus: u32,
    /// Tasks that woke often, and are not periodic.
    irregular: u64,
    /// What each kind of figure is worth; a response is run time and wait.
    certainty: Option<Vec<CertaintyRecord>>,
    tasks: Vec<PeriodicRecord>,
    /// Null without periodic tasks.
    feasible: Option<FeasibleRecord>,
}

#[derive(Serialize, JsonSchema)]
struct PeriodicRecord {
    pid: u32,
    comm: String,
    period_ns: f64,
    /// Standard error of the period.
    period_error_ns: f64,
    /// Root mean square of what wakes, or distances where it paces itself, are off.
    jitter_ns: f64,
    /// Earliest to latest.
    jitter_peak_ns: f64,
    missing_wakes: u64,
    /// Wakes that are not of the rhythm.
    stray_wakes: u64,
    wakes_a_period: u64,
    /// Whether wakes keep to instants; else the task sleeps for a length.
    anchored: bool,
    /// Periods that are whole and known.
    periods: u64,
    /// Jobs in which something is unknown.
    unknown_jobs: u64,
    run_mean_ns: f64,
    run_p99_ns: u64,
    run_max_ns: u64,
    /// Mean CPU time as a part of the period.
    utilisation: f64,
    response_mean_ns: f64,
    response_max_ns: u64,
    deadline_ns: u64,
    /// Whether the deadline was given; else it is that of `SCHED_DEADLINE`, and without that the period.
    deadline_given: bool,
    /// Longest response less deadline.
    lateness_max_ns: i64,
    misses: u64,
    /// Whether the kernel served it by `SCHED_DEADLINE`.
    deadline_class: bool,
    /// What `SCHED_DEADLINE` promised it: CPU time in each period; null where the recording does not tell it.
    reserved_runtime_ns: Option<u64>,
    /// By when in the period.
    reserved_deadline_ns: Option<u64>,
    /// Length of that period.
    reserved_period_ns: Option<u64>,
    /// Jobs that took more CPU time than was promised for one; null without a promise.
    jobs_over_runtime: Option<u64>,
}

#[derive(Serialize, JsonSchema)]
struct FeasibleRecord {
    /// Longest jobs by period, all tasks together, as a part of one CPU.
    total_utilisation: f64,
    /// Exact; null where it would take too long to tell.
    edf_one_cpu: Option<bool>,
    /// Factor on execution times up to which it is in time.
    edf_margin: Option<f64>,
    /// Exact.
    rm_one_cpu: bool,
    rm_margin: f64,
    /// Sufficient: false says nothing.
    global_edf: bool,
    global_edf_margin: f64,
}

/// The periods as a line.
///
/// # Errors
/// What a serializer can refuse: nothing that occurs here.
pub(crate) fn line(found: &Found) -> Result<Vec<u8>> {
    let tasks = found.tasks.iter().map(|task| PeriodicRecord {
        pid: task.id.pid,
        comm: task.comm.clone(),
        period_ns: task.rhythm.period_ns,
        period_error_ns: task.rhythm.period_error_ns,
        jitter_ns: task.rhythm.jitter_ns,
        jitter_peak_ns: task.rhythm.jitter_peak_ns,
        missing_wakes: task.rhythm.missing,
        stray_wakes: task.rhythm.strays,
        wakes_a_period: task.rhythm.wakes as u64,
        anchored: task.rhythm.is_anchored,
        periods: task.service.periods,
        unknown_jobs: task.doubtful,
        run_mean_ns: task.service.run_mean_ns,
        run_p99_ns: task.service.run_p99_ns,
        run_max_ns: task.service.run_max_ns,
        utilisation: utilisation(task),
        response_mean_ns: task.service.response_mean_ns,
        response_max_ns: task.service.response_max_ns,
        deadline_ns: task.deadline_ns,
        deadline_given: task.is_given,
        lateness_max_ns: task.service.lateness_max_ns,
        misses: task.service.misses,
        deadline_class: task.is_deadline_class,
        reserved_runtime_ns: task.reservation.map(|promised| promised.runtime_ns),
        reserved_deadline_ns: task.reservation.map(|promised| promised.deadline_ns),
        reserved_period_ns: task.reservation.map(|promised| promised.period_ns),
        jobs_over_runtime: task.reservation.map(|_| task.over_budget),
    });
    super::line(Record {
        recording: found.name.clone(),
        span_ns: found.span_ns,
        cpus: found.cpus,
        irregular: found.irregular as u64,
        certainty: CertaintyRecord::all(&found.worths),
        tasks: tasks.collect(),
        feasible: found.feasible.as_ref().map(|feasible| FeasibleRecord {
            total_utilisation: feasible.analysis.utilisation,
            edf_one_cpu: feasible.analysis.edf_one_cpu,
            edf_margin: feasible.edf_margin,
            rm_one_cpu: feasible.rm_one_cpu,
            rm_margin: feasible.rm_margin,
            global_edf: feasible.analysis.within_global_edf_bound,
            global_edf_margin: feasible.global_edf_margin,
        }),
    })
}

/// The JSON Schema of [`line`].
///
/// # Errors
/// As [`line`].
pub(crate) fn schema() -> Result<String> {
    super::schema::<Record>()
}
