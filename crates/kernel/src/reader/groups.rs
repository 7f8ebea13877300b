//! The groups of tasks, as the monitor's map has them.

use crate::batch::each_value;
use crate::error::Result;
use crate::group_totals::group_totals;
use crate::wire::group_record;
use libbpf_rs::MapHandle;
use std::collections::{BTreeMap, BTreeSet};
use tombola_core::snapshot::{Group, GroupTotals};

/// The groups of these tasks, and those above them. The map holds more: groups that are gone, until their
/// room is needed.
pub(super) fn groups_of(map: &MapHandle, of_tasks: impl Iterator<Item = Group>) -> Result<Vec<GroupTotals>> {
    let mut known = BTreeMap::new();
    each_value::<group_record>(map, |record| {
        // A record is all zero for a moment after its insertion.
        if record.key.kind != 0 || record.key.id != 0 {
            let group = group_totals(record);
            known.insert(group.id, group);
        }
    })?;
    let mut groups = BTreeMap::new();
    let mut ids: Vec<Group> = of_tasks.collect();
    ids.dedup(); // threads of a process follow each other
    for id in ids.into_iter().collect::<BTreeSet<Group>>() {
        let mut next = Some(id);
        while let Some(group) = next.and_then(|id| known.get(&id)) {
            next = groups.insert(group.id, *group).is_none().then_some(group.parent).flatten();
        }
    }
    Ok(groups.into_values().collect())
}
