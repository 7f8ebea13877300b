//! Who stood in the way of those that waited longest: as lines of the table, and as records.

use super::ms3;
use super::print::line;
use crate::audit_view::AuditView;
use crate::text::{count, harmless};
use schemars::JsonSchema;
use serde::Serialize;
use tombola_core::audit::{GroupHindrance, Hindrance};

/// Culprits named for each waiter in the table.
const CULPRITS: usize = 3;

/// Culprits in a record.
const LISTED: usize = 32;

/// Writes the lines. Percentages are of the wait; what is missing was behind others that are not listed,
/// behind nobody (an idle CPU), in another CPU's queue, or reached back before the watch.
pub(super) fn write(out: &mut String, view: &AuditView<'_>) {
    if !view.hindered.is_empty() {
        line(out, format_args!("in the way of those that waited longest:"));
    }
    for hindrance in &view.hindered {
        let part = |ns: u64| format!("{:.1} %", 100.0 * ns as f64 / hindrance.wait_ns as f64);
        let tasks = hindrance.tasks.iter().take(CULPRITS);
        let tasks = tasks.map(|(id, standing)| {
            let preemptions = count(standing.preemptions, "preemption");
            format!("{} {} ({preemptions})", view.task(*id), part(standing.held_ns))
        });
        let quota = hindrance.quota.map(|(ns, group)| match group {
            Some(group) => format!("its own quota ({}) {}", view.group(group), part(ns)),
            None => format!("its own quota {}", part(ns)),
        });
        let unknown = (hindrance.unknown_ns > 0)
            .then(|| format!("others that are not known {}", part(hindrance.unknown_ns)));
        let behind: Vec<String> = quota.into_iter().chain(tasks).chain(unknown).collect();
        let groups = hindrance.groups.iter().take(CULPRITS);
        let groups =
            groups.map(|(group, standing)| format!("{} {}", view.group(*group), part(standing.held_ns)));
        line(out, format_args!("  {} waited {} ms", view.task(hindrance.victim), ms3(hindrance.wait_ns)));
        line(out, format_args!("    behind {}", behind.join(", ")));
        if !hindrance.groups.is_empty() {
            line(out, format_args!("    groups {}", groups.collect::<Vec<_>>().join(", ")));
        }
    }
    let Some(interference) = &view.audit.interference else { return };
    if interference.is_by_groups() {
        write_groups(out, view);
    }
    if interference.unseen_ns > 0 {
        let unseen = ms3(interference.unseen_ns);
        line(out, format_args!("  {unseen} ms of all waits were behind others that are not known"));
    }
    if interference.refused > 0 {
        let refused = interference.refused;
        line(
            out,
            format_args!(
                "  {refused} bookings found no room: what is said here is not complete; raise --max-pairs, or look at a shorter part of a \
                 recording"
            ),
        );
    }
}

/// Writes the lines of a source that tells groups and no tasks. Percentages are of the wait of all tasks of
/// the group.
fn write_groups(out: &mut String, view: &AuditView<'_>) {
    if !view.hindered_groups.is_empty() {
        line(out, format_args!("in the way of those that waited longest, by groups (a log tells no tasks):"));
    }
    for GroupHindrance { victim, wait_ns, culprits } in &view.hindered_groups {
        let behind = culprits.iter().take(CULPRITS).map(|(culprit, imposed)| {
            let part = 100.0 * imposed.imposed_wait_ns as f64 / *wait_ns as f64;
            let preemptions = count(imposed.preemptions, "preemption");
            format!("{} {part:.1} % ({preemptions})", view.group(*culprit))
        });
        let behind: Vec<String> = behind.collect();
        line(out, format_args!("  tasks of {} waited {} ms", view.group(*victim), ms3(*wait_ns)));
        line(out, format_args!("    behind tasks of {}", behind.join(", ")));
    }
}

/// One of those that waited longest.
#[derive(Serialize, JsonSchema)]
pub(super) struct HindranceRecord {
    /// Who waited.
    pid: u32,
    /// Its name.
    comm: String,
    /// How long.
    wait_ns: u64,
    /// How much of it the queue of its group stood throttled.
    quota_ns: u64,
    /// Short name of the group whose quota that was, as far as it is known.
    quota_of: Option<String>,
    /// Who stood in its way, the longest first.
    culprits: Vec<CulpritRecord>,
    /// How much of it was behind others that are not known: by name any more, or to a recording.
    unknown_ns: u64,
}

/// One that stood in the way.
#[derive(Serialize, JsonSchema)]
struct CulpritRecord {
    pid: u32,
    comm: String,
    /// Short name of its group; null for a task without a row.
    group: Option<String>,
    /// Time it ran on the CPU in whose queue the other waited.
    held_ns: u64,
    /// Times it got the CPU when the other lost it.
    preemptions: u64,
}

/// The records of an audit.
pub(super) fn records(view: &AuditView<'_>) -> Vec<HindranceRecord> {
    let comm = |id| view.line(id).map(|line| harmless(&line.task.totals.comm)).unwrap_or_default();
    let record = |hindrance: &Hindrance| HindranceRecord {
        pid: hindrance.victim.pid,
        comm: comm(hindrance.victim),
        wait_ns: hindrance.wait_ns,
        quota_ns: hindrance.quota.map_or(0, |(ns, _)| ns),
        quota_of: hindrance.quota.and_then(|(_, group)| group).map(|group| view.group(group)),
        culprits: hindrance
            .tasks
            .iter()
            .take(LISTED)
            .map(|(id, standing)| CulpritRecord {
                pid: id.pid,
                comm: comm(*id),
                group: view.line(*id).map(|line| view.group(line.task.totals.group)),
                held_ns: standing.held_ns,
                preemptions: standing.preemptions,
            })
            .collect(),
        unknown_ns: hindrance.unknown_ns,
    };
    view.hindered.iter().map(record).collect()
}

/// One of the groups whose tasks waited longest.
#[derive(Serialize, JsonSchema)]
pub(super) struct GroupHindranceRecord {
    /// Short name of the group.
    group: String,
    /// Its full name.
    cgroup: String,
    /// How long its tasks waited, added up.
    wait_ns: u64,
    /// Whose tasks stood in their way, who imposed most first.
    culprits: Vec<GroupCulpritRecord>,
}

/// A group whose tasks stood in the way.
#[derive(Serialize, JsonSchema)]
struct GroupCulpritRecord {
    /// Short name of the group.
    group: String,
    /// Its full name.
    cgroup: String,
    /// Time that one of its tasks ran on the CPU in whose queue tasks of the other group waited, added up
    /// over those that waited.
    imposed_wait_ns: u64,
    /// Times one of its tasks got the CPU when one of the other group lost it.
    preemptions: u64,
}

/// The records of an audit, by groups.
pub(super) fn group_records(view: &AuditView<'_>) -> Vec<GroupHindranceRecord> {
    let full = |group| harmless(view.full_name(group).as_bytes());
    let record = |hindrance: &GroupHindrance| GroupHindranceRecord {
        group: view.group(hindrance.victim),
        cgroup: full(hindrance.victim),
        wait_ns: hindrance.wait_ns,
        culprits: hindrance
            .culprits
            .iter()
            .take(LISTED)
            .map(|(culprit, imposed)| GroupCulpritRecord {
                group: view.group(*culprit),
                cgroup: full(*culprit),
                imposed_wait_ns: imposed.imposed_wait_ns,
                preemptions: imposed.preemptions,
            })
            .collect(),
    };
    view.hindered_groups.iter().map(record).collect()
}
