//! Time that a scheduler's BPF programs take, as the kernel counts it.

use crate::load::Crowd;
use anyhow::{Context as _, Result, ensure};
use libbpf_rs::libbpf_sys::{BPF_STATS_RUN_TIME, bpf_enable_stats};
use libbpf_rs::query::{ProgInfoIter, ProgramInfo};
use std::collections::BTreeSet;
use std::io;
use std::os::fd::{FromRawFd as _, OwnedFd};
use std::thread;
use std::time::Duration;

/// What a program did in a window.
#[derive(Clone, Debug)]
pub(crate) struct Work {
    /// As the kernel cuts it off, after 15 characters.
    pub(crate) name: String,
    pub(crate) runs: u64,
    pub(crate) ns: u64,
}

/// What all programs of a scheduler did while threads yielded.
pub(crate) struct Works {
    pub(crate) programs: Vec<Work>,
    /// Yields, each of which asks for one decision, as the threads count them.
    pub(crate) decisions: f64,
}

/// The programs that came after this was made: a scheduler's, if nothing else is loaded meanwhile.
pub(crate) struct Programs {
    others: BTreeSet<u32>,
}

impl Programs {
    pub(crate) fn before() -> Self {
        Self { others: ProgInfoIter::default().map(|info| info.id).collect() }
    }

    fn now(&self) -> Vec<ProgramInfo> {
        ProgInfoIter::default().filter(|info| !self.others.contains(&info.id)).collect()
    }

    /// What each does within so long.
    pub(crate) fn watch(&self, crowd: &Crowd, window: Duration) -> Result<Works> {
        let (decisions, programs) = self.while_counting(|| {
            let done = crowd.rounds();
            thread::sleep(window);
            Ok(crowd.rounds() - done)
        })?;
        ensure!(!programs.is_empty() && decisions > 0, "no program ran, or no thread");
        Ok(Works { programs, decisions: decisions as f64 })
    }

    /// What each does while something else happens. Callbacks of timers are no programs of their own: the
    /// kernel does not count them.
    pub(crate) fn while_counting<T>(&self, what: impl FnOnce() -> Result<T>) -> Result<(T, Vec<Work>)> {
        let _counting = counting()?;
        let before = self.now();
        let done = what()?;
        let programs = self
            .now()
            .iter()
            .filter_map(|after| {
                let before = before.iter().find(|before| before.id == after.id)?;
                let runs = after.run_cnt - before.run_cnt;
                let ns = after.run_time_ns - before.run_time_ns;
                (runs > 0).then(|| Work { name: after.name.to_string_lossy().into_owned(), runs, ns })
            })
            .collect();
        Ok((done, programs))
    }
}

/// Counting is on while the descriptor is open; no sysctl is touched.
fn counting() -> Result<OwnedFd> {
    // SAFETY: a number goes in, a descriptor or a negative errno comes out.
    let fd = unsafe { bpf_enable_stats(BPF_STATS_RUN_TIME) };
    if fd < 0 {
        return Err(io::Error::from_raw_os_error(-fd)).context("bpf(BPF_ENABLE_STATS)");
    }
    // SAFETY: the kernel has just returned it, and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}
