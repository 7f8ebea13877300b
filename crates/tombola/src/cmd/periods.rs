//! `tombola periods`: the periodic tasks of a recording, and whether EDF and RM would be in time with them.

use crate::cli::{Edge, OutputArgs, PeriodsArgs};
use crate::exit::Exit;
use crate::pace::notify;
use crate::replay::recorded;
use crate::sink::result::outlet::ResultFormat;
use crate::sink::{periods_table, result};
use crate::target::Target;
use crate::text::harmless;
use anyhow::{Context, Result, bail};
use std::io::Write;
use tombola_core::identity::TaskId;
use tombola_core::reservation::Reservation;
use tombola_lab::realtime::{Analysis, RtTask, analyse};
use tombola_recording::periods::{Job, Rhythm, Service, rhythm, service};

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
    /// Factor on all execution times up to which the answer is yes; below 1 it is no. `None` where it would take too long to tell.
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
    /// `None` without periodic tasks.
    pub(crate) feasible: Option<Feasible>,
}

/// Finds them, and prints.
pub fn run(args: &PeriodsArgs, out: &mut dyn Write) -> Result<Exit> {
    let OutputArgs { format, output, json_schema } = &args.output;
    if *json_schema {
        out.write_all(result::periods::schema()?.as_bytes())?;
        return Ok(Exit::Ok);
    }
    let path = args.input.as_deref().context("no recording")?;
    let edge = |edge: Option<Edge>, flag| edge.map(|edge| edge.length(flag)).transpose();
    let (from, to) = (edge(args.from, "--from")?, edge(args.to, "--to")?);
    let target = Target::open(output.as_deref())?;
    let span = recorded::read(path, from, to)?;
    let cpus = args.cpus.unwrap_or_else(|| span.header.cpus.unwrap_or(0).max(span.demand.cpus).max(1));
    let mut used = vec![false; args.deadline.len()];
    let (mut tasks, mut irregular) = (Vec::new(), 0);
    for (id, jobs) in span.jobs {
        let told = span.demand.tasks.iter().find(|task| task.id == id);
        let comm = told.map_or_else(String::new, |task| harmless(&task.attributes.comm));
        let given = args.deadline.iter().position(|(name, _)| *name == comm || *name == id.pid.to_string());
        if let Some(given) = given {
            used[given] = true;
        }
        let Some(rhythm) = rhythm(&jobs.wakes_ns) else {
            irregular += usize::from(jobs.wakes_ns.len() > tombola_recording::periods::FEWEST);
            if given.is_some() {
                notify(&format!("'{comm}' ({}) is not periodic: its deadline is not looked at", id.pid));
            }
            continue;
        };
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // positive, below 2^63
        let implicit = (rhythm.period_ns as u64).max(1);
        let like = told.map(|task| &task.attributes);
        let reservation = like.and_then(|like| like.reservation);
        let deadline = given.map(|given| args.deadline[given].1.as_nanos());
        let deadline_ns = match (deadline, reservation) {
            (Some(ns), _) => u64::try_from(ns).unwrap_or(u64::MAX),
            (None, Some(promised)) => promised.deadline_ns.max(1),
            (None, None) => implicit,
        };
        let service = service(&jobs.jobs, rhythm.wakes, deadline_ns);
        let is_over = |job: &&Job| reservation.is_some_and(|promised| job.run_ns > promised.runtime_ns);
        let over_budget = jobs.jobs.iter().filter(|job| job.is_whole).filter(is_over).count() as u64;
        let is_deadline_class =
            like.is_some_and(|like| like.policy == Some(6) || like.prio.is_some_and(|prio| prio < 0));
        let (is_given, doubtful) = (given.is_some(), jobs.doubtful);
        tasks.push(Periodic {
            id,
            comm,
            rhythm,
            deadline_ns,
            is_given,
            reservation,
            over_budget,
            service,
            doubtful,
            is_deadline_class,
        });
    }
    if let Some(unused) = used.iter().position(|used| !used) {
        bail!(
            "--deadline {}=…: no task of this name or thread id is in the recording",
            args.deadline[unused].0
        );
    }
    tasks.sort_by(|a, b| utilisation(b).total_cmp(&utilisation(a)).then(a.id.pid.cmp(&b.id.pid)));
    let found = Found {
        name: harmless(path.to_string_lossy().as_bytes()),
        span_ns: span.demand.span_ns,
        cpus,
        irregular,
        feasible: feasible(&tasks, cpus),
        tasks,
    };
    let bytes = match format {
        ResultFormat::Table => periods_table::render(&found).into_bytes(),
        ResultFormat::Json | ResultFormat::Ndjson => result::periods::line(&found)?,
    };
    target.put(out, &bytes)?;
    Ok(Exit::Ok)
}

/// Mean CPU time as a part of the period.
pub(crate) fn utilisation(task: &Periodic) -> f64 {
    task.service.run_mean_ns / task.rhythm.period_ns
}

/// The tests of the lab on the longest jobs that were seen.
fn feasible(tasks: &[Periodic], cpus: u32) -> Option<Feasible> {
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
