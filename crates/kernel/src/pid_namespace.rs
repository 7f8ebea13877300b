//! The PID namespace of this process: the kernel counts in the initial one, and whoever is in another one
//! knows tasks by other numbers.

use crate::error::{Error, Result};
use crate::object::{LoadedObject, Parts};
use crate::task_iterator::TaskIterator;
use crate::wire::{NAMESPACE, pid_line};
use std::collections::BTreeMap;
use std::fs;
use std::os::fd::AsFd as _;
use std::process;

/// The program that tells the PIDs.
const PIDS: &str = "pids_here";

/// A PID namespace other than the initial one: that of this process.
pub struct PidNamespace {
    pids: TaskIterator,
}

impl PidNamespace {
    /// The namespace of this process, whichever it is, ready to be asked.
    ///
    /// # Errors
    /// [`Error::ForeignProc`] if `/proc` is that of another namespace; whatever keeps this kernel or this
    /// user from a program in BPF.
    pub fn of_this_process() -> Result<Self> {
        let shown = fs::read_link("/proc/self").ok().and_then(|link| link.to_str()?.parse().ok());
        if shown != Some(process::id()) {
            return Err(Error::ForeignProc);
        }
        let loaded = LoadedObject::load(&Parts {
            bytes: NAMESPACE,
            btf: None,
            switch: [PIDS; 2],
            others: &[],
            rooms: &[],
            grown: &[],
        })?;
        // A descriptor of the link is enough to keep it.
        let link = loaded.attach(PIDS)?.as_fd().try_clone_to_owned();
        let link = link.map_err(|reason| Error::ReadMap { map: PIDS.into(), reason })?;
        Ok(Self { pids: TaskIterator::of_link(PIDS, link) })
    }

    /// The tasks that are in it now: the PID in this namespace by the PID that the kernel counts in. That of
    /// a process is its leader's, who is among them until it is waited for.
    ///
    /// # Errors
    /// [`Error::ReadMap`] if the kernel refuses.
    pub fn pids(&self) -> Result<BTreeMap<u32, u32>> {
        Ok(self.pids.read()?.into_iter().map(|line: pid_line| (line.pid, line.here)).collect())
    }
}
