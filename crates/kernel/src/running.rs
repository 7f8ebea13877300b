//! What procfs says of a task that has a CPU for the first time since the monitor began: it has no record
//! yet.

use crate::initial_pids::pids_are_initial;
use procfs::process::Process;
use tombola_core::policy::Policy;
use tombola_core::tickets::Nice;

/// Attributes that a record would hold.
pub(crate) struct Attributes {
    pub(crate) comm: Vec<u8>,
    pub(crate) nice: Nice,
    pub(crate) policy: Policy,
}

/// Attributes of the task, as far as they can be had: it may be gone, or procfs may count otherwise than the
/// kernel.
pub(crate) fn attributes(pid: u32) -> Attributes {
    let pid = i32::try_from(pid).ok().filter(|_| pids_are_initial());
    let stat = pid.and_then(|pid| Process::new(pid).ok()?.stat().ok());
    match stat {
        Some(stat) => Attributes {
            comm: stat.comm.into_bytes(),
            nice: Nice::new(stat.nice).unwrap_or_default(),
            policy: stat
                .policy
                .and_then(|p| u8::try_from(p).ok())
                .map(Policy::from_number)
                .unwrap_or_default(),
        },
        None => Attributes { comm: Vec::new(), nice: Nice::default(), policy: Policy::default() },
    }
}
