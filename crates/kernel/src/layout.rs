//! Recognising whether two builds mean the same bytes.

use crate::error::{Error, Result};
use fnv::FnvHasher;
use libbpf_rs::btf::Btf;
use libbpf_rs::btf::HasSize as _;
use libbpf_rs::btf::types::{MemberAttr, Struct};
use std::hash::Hasher;
use std::os::unix::ffi::OsStrExt;

/// What the monitor at the switches shares with its readers.
pub(crate) const FULL: [&str; 7] =
    ["task_record", "cpu_slot", "exited_record", "group_key", "group_record", "control", "schema"];

/// What the light monitor shares with them.
pub(crate) const LIGHT: [&str; 10] = [
    "kernel_counters",
    "light_base",
    "light_task",
    "light_key",
    "light_end",
    "cpu_slot",
    "group_key",
    "group_record",
    "control",
    "schema",
];

/// Fingerprint of the shared structs as a BPF object's BTF describes them: names, offsets and sizes.
/// Comments, spelling of types and code do not matter.
///
/// # Errors
/// [`Error::Object`] when the object lacks one of the structs.
pub(crate) fn fingerprint(btf: &Btf<'_>, shared: &[&str]) -> Result<u64> {
    let mut hash = FnvHasher::default(); // the same in every build, unlike the standard library's hashers
    for name in shared {
        let structure: Struct<'_> = btf.type_by_name(name).ok_or_else(|| Error::Object {
            what: format!("it has no struct {name}, so it is no tombola monitor"),
        })?;
        hash.write(name.as_bytes());
        for member in structure.iter() {
            hash.write(member.name.map(OsStrExt::as_bytes).unwrap_or_default());
            let (MemberAttr::Normal { offset } | MemberAttr::BitField { offset, .. }) = member.attr;
            hash.write(&offset.to_le_bytes());
        }
        hash.write(&(structure.size() as u64).to_le_bytes());
    }
    Ok(hash.finish())
}
