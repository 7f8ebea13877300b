//! The constants of sched_ext in `bpf/sched_ext.bpf.h`, held against those of the running kernel before
//! anything is loaded.

use crate::btf_file::KERNEL_BTF;
use crate::error::{Error, Result};
use libbpf_rs::btf::{Btf, types};

const EXPECTED: [(&str, u64); 9] = [
    ("SCX_DSQ_LOCAL", 0x8000_0000_0000_0002),
    ("SCX_DSQ_LOCAL_ON", 0xc000_0000_0000_0000),
    ("SCX_DSQ_GLOBAL", 0x8000_0000_0000_0001),
    ("SCX_DEQ_SLEEP", 1),
    ("SCX_TASK_QUEUED", 1),
    ("SCX_KICK_IDLE", 1),
    ("SCX_KICK_PREEMPT", 2),
    ("SCX_OPS_KEEP_BUILTIN_IDLE", 1),
    ("SCX_OPS_SWITCH_PARTIAL", 8),
];

/// Whether this kernel has sched_ext with the constants that the scheduler was built with.
///
/// # Errors
/// [`Error::NoSchedExt`] if it has none, [`Error::Btf`] if a constant differs.
pub(super) fn check() -> Result<()> {
    let btf = Btf::from_vmlinux().map_err(|_| Error::NoSchedExt)?;
    if btf.type_by_name::<types::Struct<'_>>("sched_ext_ops").is_none() {
        return Err(Error::NoSchedExt);
    }
    let mut left = EXPECTED.to_vec();
    for id in 1..u32::try_from(btf.len()).unwrap_or(u32::MAX) {
        let mut see = |name: &str, value: u64| match left.iter().position(|(expected, _)| *expected == name) {
            Some(at) if left[at].1 == value => {
                left.swap_remove(at);
                Ok(())
            }
            Some(at) => Err(differs(&format!("{name} is {value:#x} and not {:#x}", left[at].1))),
            None => Ok(()),
        };
        if let Some(kind) = btf.type_by_id::<types::Enum<'_>>(id.into()) {
            for member in kind.iter() {
                if let Some(name) = member.name.and_then(|n| n.to_str()) {
                    see(name, u64::try_from(member.value).unwrap_or(u64::MAX))?;
                }
            }
        } else if let Some(kind) = btf.type_by_id::<types::Enum64<'_>>(id.into()) {
            for member in kind.iter() {
                if let Some(name) = member.name.and_then(|n| n.to_str()) {
                    see(name, u64::try_from(member.value).unwrap_or(0))?;
                }
            }
        }
        if left.is_empty() {
            return Ok(());
        }
    }
    let names: Vec<&str> = left.iter().map(|(name, _)| *name).collect();
    Err(differs(&format!("it has no {}", names.join(", "))))
}

fn differs(what: &str) -> Error {
    Error::Btf {
        path: KERNEL_BTF.into(),
        why: format!("{what}: sched_ext has changed; look for a newer tombola"),
    }
}
