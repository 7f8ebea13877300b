//! An audit as JSON: the records, their numbers with units in their names, and the schema that describes
//! them.
//!
//! `json` is one document, with an interval a line; `ndjson` is one object a line: the interval, each
//! finding, each of those that waited longest, each row. The document and every line of ndjson begin with the
//! schema number, so that a reader can tell at once what it can read. Text that others have chosen is made
//! harmless as everywhere; a field without a value is null.

pub(crate) mod intervals;
pub(super) mod row;

use super::certainty::CertaintyRecord;
use super::finding;
use super::hindrance::{self, GroupHindranceRecord, HindranceRecord};
use crate::audit_view::AuditView;
use crate::text::harmless;
use anyhow::{Context, Result};
use intervals::Intervals;
use row::{AuditRows, RowRecord};
use schemars::{JsonSchema, schema_for};
use serde::Serialize;
use tombola_core::audit::{About, Finding};
use tombola_core::ledger::Extreme;
use tombola_core::snapshot::Loss;
use tombola_core::source::Origin;

/// Number of the schema: it grows when a field changes its meaning or goes; new fields may come without.
pub(crate) const SCHEMA: u32 = 2;

/// What a document begins with, of any schema.
pub(crate) const ANY: &str = r#"{"schema":"#;

/// What every line of ndjson begins with.
pub(crate) const BEGIN: &str = r#"{"schema":2,"#;

/// PIDs that a finding lists.
const LISTED: usize = 32;

/// All that a document or a line can be.
#[derive(Serialize, JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "described, and written piece by piece")]
#[schemars(title = "tombola audit")]
enum Document {
    /// `--format json`: intervals with their findings and rows.
    Audit(Intervals<Whole>),
    /// `--format ndjson`.
    Line(OneLine),
}

/// An interval with all about it.
#[derive(Serialize, JsonSchema)]
struct Whole {
    /// Number of the interval, from 1.
    iteration: u64,
    #[serde(flatten)]
    interval: IntervalRecord,
    /// Where weights do not decide, the largest effect first.
    findings: Vec<FindingRecord>,
    /// Those that waited longest, and who stood in their way.
    hindered: Vec<HindranceRecord>,
    /// The groups whose tasks waited longest, and whose tasks stood in their way: all that a log tells.
    hindered_groups: Vec<GroupHindranceRecord>,
    /// The rows, in the order of --sort.
    rows: Vec<RowRecord<AuditRows>>,
}

/// One line of ndjson.
#[derive(Serialize, JsonSchema)]
struct OneLine {
    /// Number of this schema.
    schema: u32,
    /// What the line is: interval, finding, hindered, `hindered_group` or row.
    record: &'static str,
    /// Number of the interval, from 1.
    iteration: u64,
    #[serde(flatten)]
    body: Body,
}

/// What a line is about.
#[derive(Serialize, JsonSchema)]
#[serde(untagged)]
enum Body {
    Interval(Box<IntervalRecord>),
    Finding(Box<FindingRecord>),
    Hindered(Box<HindranceRecord>),
    HinderedGroup(Box<GroupHindranceRecord>),
    Row(RowRecord<AuditRows>),
}

/// The interval as a whole.
#[derive(Serialize, JsonSchema)]
struct IntervalRecord {
    /// End of the interval, microseconds since the Unix epoch.
    timestamp_us: u64,
    /// Its length.
    interval_ns: u64,
    /// What the entitlement is computed from: "interval totals".
    entitlement_from: &'static str,
    /// How the monitor came to measure: "load" or "attach".
    monitor: &'static str,
    /// Scheduler in BPF (`sched_ext`) that was in charge at the end of the interval, and of whom.
    scheduler: Option<String>,
    /// The kernel's rule for the weights of groups (`cgroup_mode`), where it is not the old one, which takes
    /// a weight for the whole group.
    group_mode: Option<String>,
    /// What a row is about: task, process, group or comm.
    by: String,
    /// CPUs that were there.
    cpus: usize,
    /// Tasks that ran or waited.
    tasks: usize,
    /// Length of the interval times its CPUs: wall = capacity + unfair + taken + unclaimed.
    wall_ns: u64,
    /// What was divided among the tasks with weights.
    capacity_ns: u64,
    /// What real-time, deadline and stop tasks had.
    unfair_ns: u64,
    /// What interrupts and the hypervisor took of the rest.
    taken_ns: u64,
    /// What tasks had of the rest that have no row.
    unclaimed_ns: u64,
    /// What nobody wanted.
    idle_ns: u64,
    /// What the books lack (positive) or counted twice (negative).
    residual_ns: i64,
    /// Jain's index of received / entitled over all tasks, 1/n to 1.
    jain_index: Option<f64>,
    /// Root mean square of the lags.
    rms_lag_ns: f64,
    /// What tasks received that were entitled to nothing.
    unentitled_ns: u64,
    /// Who is owed most.
    most_owed: Option<ExtremeRecord>,
    /// Who ran most beyond its entitlement.
    most_ahead: Option<ExtremeRecord>,
    /// Rows that a filter does not hide, and --top does.
    rows_left_out: usize,
    /// Findings of small effect that are not listed.
    findings_left_out: usize,
    /// What could not be measured in the interval.
    loss: LossRecord,
    /// What each kind of figure is worth; null where the source cannot judge it, as of a live machine or a
    /// log.
    certainty: Option<Vec<CertaintyRecord>>,
    /// The command that was run, if one was.
    command: Option<CommandRecord>,
}

/// A task with an extreme lag.
#[derive(Serialize, JsonSchema)]
struct ExtremeRecord {
    pid: u32,
    comm: String,
    lag_ns: i64,
}

/// What could not be measured.
#[derive(Serialize, JsonSchema)]
pub(super) struct LossRecord {
    untracked_slices: u64,
    untracked_ns: u64,
    map_full: u64,
    map_busy: u64,
    map_other: u64,
    clock_backwards: u64,
    stale_records: u64,
    groups_full: u64,
    /// Groups of tasks in the interval of which nothing is known.
    unknown_groups: u64,
    groups_deep: u64,
    unseen_switches: u64,
    unseen_ns: u64,
    overlong_waits: u64,
    overlong_ns: u64,
    /// Waits that the kernel's own books begin while the task slept: not lost, but put right. Null in light
    /// mode, which cannot know.
    corrected_waits: Option<u64>,
    corrected_ns: Option<u64>,
    /// Whether the kernel's own counters are all that is known.
    light: bool,
}

/// The command that was run.
#[derive(Serialize, JsonSchema)]
struct CommandRecord {
    pid: u32,
    /// Null while it runs; 128 + the signal's number if one killed it.
    exit_status: Option<i32>,
}

/// Where weights do not decide.
#[derive(Serialize, JsonSchema)]
struct FindingRecord {
    /// `nice_acts_on_nobody`, `group_weight`, `quota`, `affinity`, `real_time` or `not_fair`.
    kind: &'static str,
    /// The sentence of the table.
    text: String,
    /// CPU time at stake.
    effect_ns: u64,
    /// How many tasks it is about.
    tasks: usize,
    /// The first of them.
    pids: Vec<u32>,
    /// Short name of the group it is about.
    group: Option<String>,
    /// Full name of that group.
    cgroup: Option<String>,
    /// That group's weight.
    group_weight: Option<u64>,
    /// The CPUs it is about.
    cpu_list: Option<String>,
    /// What the tasks are entitled to.
    entitled_ns: Option<u64>,
    /// What they would be entitled to if there were no groups.
    by_nice_ns: Option<u64>,
    /// What the quota allows.
    quota_ns: Option<u64>,
    /// What the tasks under it asked for.
    asked_ns: Option<u64>,
}

/// `--format json`: one interval of the document, without a line break.
///
/// # Errors
/// What a serializer can refuse: nothing that occurs here.
pub(crate) fn whole(view: &AuditView<'_>) -> Result<Vec<u8>> {
    let whole = Whole {
        iteration: view.iteration,
        interval: interval(view),
        findings: view.findings.iter().map(|finding| finding_record(view, finding)).collect(),
        hindered: hindrance::records(view),
        hindered_groups: hindrance::group_records(view),
        rows: rows(view),
    };
    serde_json::to_vec(&whole).context("cannot write JSON")
}

/// What a line of an audit can be about.
pub(crate) const RECORDS: [&str; 5] = ["interval", "finding", "hindered", "hindered_group", "row"];

/// `--format ndjson`: one line for the interval, each finding and each row; of these `records` alone, if any
/// are named.
///
/// # Errors
/// As [`whole`].
pub(crate) fn lines(view: &AuditView<'_>, records: &[String]) -> Result<Vec<u8>> {
    let mut lines = Vec::with_capacity(1024 + view.rows.len() * 640);
    let mut add = |record, body| {
        if !is_wanted(record, records) {
            return Ok(());
        }
        let line = Document::Line(OneLine { schema: SCHEMA, record, iteration: view.iteration, body });
        push(&mut lines, &line)
    };
    add("interval", Body::Interval(Box::new(interval(view))))?;
    for finding in &view.findings {
        add("finding", Body::Finding(Box::new(finding_record(view, finding))))?;
    }
    for hindered in hindrance::records(view) {
        add("hindered", Body::Hindered(Box::new(hindered)))?;
    }
    for hindered in hindrance::group_records(view) {
        add("hindered_group", Body::HinderedGroup(Box::new(hindered)))?;
    }
    for row in rows(view) {
        add("row", Body::Row(row))?;
    }
    Ok(lines)
}

/// The JSON Schema of both, as text that ends with a line break.
///
/// # Errors
/// As [`whole`].
pub(crate) fn schema() -> Result<String> {
    let text = serde_json::to_string_pretty(&schema_for!(Document)).context("cannot write the schema")?;
    Ok(text + "\n")
}

fn push(lines: &mut Vec<u8>, document: &Document) -> Result<()> {
    serde_json::to_writer(&mut *lines, document).context("cannot write JSON")?;
    lines.push(b'\n');
    Ok(())
}

/// Whether a kind of line is among those that are named: all are where none is.
pub(super) fn is_wanted(record: &str, named: &[String]) -> bool {
    named.is_empty() || named.iter().any(|named| named == record)
}

fn rows(view: &AuditView<'_>) -> Vec<RowRecord<AuditRows>> {
    view.rows.iter().map(|row| RowRecord::of(row, view.groups)).collect()
}

fn interval(view: &AuditView<'_>) -> IntervalRecord {
    let audit = view.audit;
    let (division, fairness) = (&audit.division, &audit.fairness);
    IntervalRecord {
        timestamp_us: audit.unix_us,
        interval_ns: audit.length_ns,
        entitlement_from: "interval totals",
        monitor: match view.origin {
            Origin::Loaded => "load",
            Origin::Private => "attach",
            Origin::Recorded => "recording",
            Origin::Simulated => "simulation",
        },
        scheduler: view.scheduler.as_ref().map(|scheduler| harmless(scheduler.as_bytes())),
        group_mode: view.group_mode.as_ref().map(|mode| harmless(mode.as_bytes())),
        by: view.by.to_string(),
        cpus: audit.cpus,
        tasks: audit.lines.len(),
        wall_ns: division.wall_ns,
        capacity_ns: division.capacity_ns,
        unfair_ns: division.unfair_ns,
        taken_ns: division.taken_ns,
        unclaimed_ns: division.unclaimed_ns,
        idle_ns: audit.books.idle_ns,
        residual_ns: audit.books.residual_ns,
        jain_index: fairness.jain,
        rms_lag_ns: fairness.rms_lag_ns,
        unentitled_ns: fairness.unentitled_ns,
        most_owed: extreme(view, fairness.most_owed),
        most_ahead: extreme(view, fairness.most_ahead),
        rows_left_out: view.rows_left_out,
        findings_left_out: audit.findings_left_out,
        loss: loss(&audit.loss),
        certainty: CertaintyRecord::all(&audit.worths),
        command: view
            .command
            .map(|command| CommandRecord { pid: command.pid, exit_status: command.exit_status }),
    }
}

fn extreme(view: &AuditView<'_>, extreme: Option<Extreme>) -> Option<ExtremeRecord> {
    let Extreme { account, lag_ns } = extreme?;
    let totals = &view.audit.line_of(account)?.task.totals;
    Some(ExtremeRecord { pid: totals.id.pid, comm: harmless(&totals.comm), lag_ns })
}

pub(super) fn loss(loss: &Loss) -> LossRecord {
    LossRecord {
        untracked_slices: loss.untracked_slices(),
        untracked_ns: loss.untracked_ns,
        map_full: loss.map_full,
        map_busy: loss.map_busy,
        map_other: loss.map_other,
        clock_backwards: loss.clock_backwards,
        stale_records: loss.stale_records,
        groups_full: loss.groups_full,
        unknown_groups: loss.unknown_groups,
        groups_deep: loss.groups_deep,
        unseen_switches: loss.unseen_switches,
        unseen_ns: loss.unseen_ns,
        overlong_waits: loss.overlong_waits,
        overlong_ns: loss.overlong_ns,
        corrected_waits: (!loss.light).then_some(loss.corrected_waits),
        corrected_ns: (!loss.light).then_some(loss.corrected_ns),
        light: loss.light,
    }
}

fn finding_record(view: &AuditView<'_>, finding: &Finding) -> FindingRecord {
    let mut record = FindingRecord {
        kind: finding::kind(&finding.about),
        text: finding::sentence(view, finding),
        effect_ns: finding.effect_ns,
        tasks: finding.tasks.len(),
        pids: finding.tasks.iter().take(LISTED).map(|id| id.pid).collect(),
        group: None,
        cgroup: None,
        group_weight: None,
        cpu_list: None,
        entitled_ns: None,
        by_nice_ns: None,
        quota_ns: None,
        asked_ns: None,
    };
    let mut about_group = |group| {
        record.group = Some(view.group(group));
        record.cgroup = Some(harmless(view.full_name(group).as_bytes()));
    };
    match &finding.about {
        About::NiceActsOnNobody { group, group_weight, entitled_ns, by_nice_ns, .. }
        | About::GroupWeight { group, group_weight, entitled_ns, by_nice_ns, .. } => {
            about_group(*group);
            record.group_weight = Some(*group_weight);
            record.entitled_ns = Some(*entitled_ns);
            record.by_nice_ns = Some(*by_nice_ns);
        }
        About::Quota { group, quota_ns, asked_ns, .. } => {
            about_group(*group);
            record.quota_ns = Some(*quota_ns);
            record.asked_ns = Some(*asked_ns);
        }
        About::Affinity { cpus, .. } => record.cpu_list = Some(cpus.to_string()),
        About::RealTime { cpu, .. } => record.cpu_list = Some(cpu.to_string()),
        About::NotFair { .. } | About::Budget { .. } => {}
    }
    record
}

#[cfg(test)]
mod tests;
