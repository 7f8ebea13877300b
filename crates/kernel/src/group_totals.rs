//! A scheduling group, from the numbers that the programs keep of it.

use crate::wire::group_record;
use tombola_core::snapshot::{Group, GroupTotals, Quota};

/// The group of this kind and number, as `struct group_key` has them.
pub(crate) fn group(kind: u32, id: u64) -> Group {
    match kind {
        1 => Group::Cgroup(id),
        2 => Group::Autogroup(id),
        _ => Group::Unknown,
    }
}

/// What the record of a group says.
pub(crate) fn group_totals(record: &group_record) -> GroupTotals {
    let parent = group(record.parent.kind, record.parent.id);
    GroupTotals {
        id: group(record.key.kind, record.key.id),
        parent: (parent != Group::Unknown).then_some(parent),
        weight: record.weight,
        // All ones are the kernel's RUNTIME_INF.
        quota: (1..u64::MAX)
            .contains(&record.quota_ns)
            .then_some(Quota { quota_ns: record.quota_ns, period_ns: record.period_ns }),
        throttled_ns: record.throttled_ns,
        throttles: record.throttles,
    }
}
