//! `tombola periods`: the periodic tasks of a recording, and whether EDF and RM would be in time with them.

use crate::cli::{Edge, OutputArgs, PeriodsArgs};
use crate::exit::Exit;
use crate::pace::notify;
use crate::periodic::{Found, Periodic, feasible, utilisation};
use crate::replay::recorded;
use crate::sink::result::outlet::ResultFormat;
use crate::sink::{periods_table, result};
use crate::target::Target;
use crate::text::harmless;
use anyhow::{Context, Result, bail};
use std::io::Write;
use tombola_recording::periods::{Job, rhythm, service};

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
    let cpus = args.cpus.or(span.header.cpus).unwrap_or(0);
    let cpus = if cpus > 0 { cpus } else { span.demand.cpus_seen.max(1) };
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
        worths: span.worths,
    };
    let bytes = match format {
        ResultFormat::Table => periods_table::render(&found, target.columns()).into_bytes(),
        ResultFormat::Json | ResultFormat::Ndjson => result::periods::line(&found)?,
    };
    target.put(out, &bytes)?;
    Ok(Exit::Ok)
}
