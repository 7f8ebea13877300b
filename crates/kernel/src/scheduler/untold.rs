//! What of a cgroup's settings a `sched_ext` scheduler is not told.
//!
//! The kernel tells a scheduler of a change by an operation (`sched_ext_ops.cgroup_set_weight` and its
//! siblings); one that has none goes on as before. Which operations a scheduler has stands in the map it was
//! registered by: there user space reads a function pointer as the id of its program, 0 where there is none
//! (`bpf_struct_ops_map_sys_lookup_elem`, `kernel/bpf/bpf_struct_ops.c`).

use libbpf_rs::btf::{Btf, types};
use libbpf_rs::query::MapInfoIter;
use libbpf_rs::{MapCore as _, MapFlags, MapHandle, MapType};

/// Settings of a cgroup, and the operation by which a scheduler is told.
const SETTINGS: [(&str, &str); 3] = [
    ("cpu.weight", "cgroup_set_weight"),
    ("cpu.max", "cgroup_set_bandwidth"),
    ("cpu.idle", "cgroup_set_idle"),
];

/// What the map of a registered scheduler holds.
const VALUE: &str = "bpf_struct_ops_sched_ext_ops";
const OPERATIONS: &str = "sched_ext_ops";

/// The settings of cgroups that the scheduler of this name is not told: it has no operation for them, or this
/// kernel knows none. `None` where that cannot be found out, which takes `CAP_SYS_ADMIN`.
pub fn untold(name: &str) -> Option<Vec<&'static str>> {
    let btf = Btf::from_vmlinux().ok()?;
    let data = offset(&btf, VALUE, "data")?;
    let name_at = data + offset(&btf, OPERATIONS, "name")?;
    let value = MapInfoIter::default().filter(|map| map.ty == MapType::StructOps).find_map(|map| {
        let map = MapHandle::from_map_id(map.id).ok()?;
        let value = map.lookup(&0u32.to_ne_bytes(), MapFlags::empty()).ok()??;
        let of_it = value.get(name_at..)?.split(|&byte| byte == 0).next()?;
        (of_it == name.as_bytes()).then_some(value)
    })?;
    let is_untold = |operation: &str| {
        let Some(at) = offset(&btf, OPERATIONS, operation) else { return true };
        value[data..].get(at..at + size_of::<usize>()).is_none_or(|id| id.iter().all(|&byte| byte == 0))
    };
    Some(SETTINGS.iter().filter(|(_, operation)| is_untold(operation)).map(|(setting, _)| *setting).collect())
}

/// Where a member of a struct begins, bytes.
fn offset(btf: &Btf<'_>, of: &str, member: &str) -> Option<usize> {
    let of = btf.type_by_name::<types::Struct<'_>>(of)?;
    let member = of.iter().find(|candidate| candidate.name.is_some_and(|name| name == member))?;
    match member.attr {
        types::MemberAttr::Normal { offset } => Some(offset as usize / 8),
        types::MemberAttr::BitField { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_known_of_a_scheduler_that_is_not_there() {
        assert_eq!(untold("no such scheduler"), None);
    }
}
