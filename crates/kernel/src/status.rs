//! What is loaded, and what it costs.

use crate::error::Result;
use crate::monitor::PinnedMonitor;
use crate::pins::Pins;
use libbpf_rs::ProgramHandle;
use libbpf_rs::libbpf_sys::{bpf_prog_get_info_by_fd, bpf_prog_info};
use std::fs;
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::PathBuf;
use tombola_core::snapshot::Loss;

/// A pinned monitor at work.
#[derive(Clone, Debug)]
pub struct Status {
    /// Where, since when, by whom.
    pub monitor: PinnedMonitor,
    /// How long it has measured, nanoseconds of the monotonic clock.
    pub measured_ns: u64,
    /// Living tasks with a record.
    pub tracked: usize,
    /// Tasks that ended since it began.
    pub exits: u64,
    /// What it could not measure.
    pub loss: Loss,
    /// Cost of the program at the switches, or of a light monitor at the ends of tasks; `None` if this user
    /// may not ask, or nothing was counted.
    pub cost: Option<Cost>,
    /// Whether `kernel.bpf_stats_enabled` is on, so that cost is being counted now.
    pub costs_are_counted: bool,
    /// Its pins with mode and owner.
    pub pins: Vec<PinFile>,
}

/// One file of a pinned monitor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PinFile {
    /// Where.
    pub path: PathBuf,
    /// Permission bits.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
}

/// What the kernel counted while `kernel.bpf_stats_enabled` was on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost {
    /// Runs.
    pub runs: u64,
    /// Time of all of them, nanoseconds; the counting itself is some tens of ns in each.
    pub time_ns: u64,
}

impl Cost {
    /// Mean time of a run in nanoseconds.
    pub fn per_run_ns(self) -> f64 {
        self.time_ns as f64 / self.runs as f64
    }
}

/// The monitor at these pins, at work.
///
/// # Errors
/// As [`PinnedMonitor::find`] and [`crate::Reader::snapshot`].
pub fn status(pins: &Pins) -> Result<Status> {
    let monitor = PinnedMonitor::find(pins)?;
    let snapshot = monitor.reader()?.snapshot()?;
    let files = monitor.pins.all();
    Ok(Status {
        measured_ns: snapshot.taken_ns.saturating_sub(snapshot.begin_ns),
        tracked: snapshot.tasks.len(),
        exits: snapshot.exits.count,
        loss: snapshot.loss,
        cost: cost(&monitor.pins),
        costs_are_counted: fs::read_to_string("/proc/sys/kernel/bpf_stats_enabled")
            .is_ok_and(|s| s.trim() == "1"),
        pins: files
            .into_iter()
            .filter_map(|path| {
                let meta = path.symlink_metadata().ok()?;
                Some(PinFile { mode: meta.permissions().mode() & 0o7777, uid: meta.uid(), path })
            })
            .collect(),
        monitor,
    })
}

/// Cost of the pinned switch program. Needs the right to open programs (`CAP_BPF`).
fn cost(pins: &Pins) -> Option<Cost> {
    let program = ProgramHandle::from_pinned_path(&pins.prog).ok()?;
    let mut info = bpf_prog_info::default();
    let mut size = u32::try_from(size_of::<bpf_prog_info>()).ok()?;
    // SAFETY: the info is plain integers, of the size that is passed; its pointers are null and their
    // lengths 0.
    let result =
        unsafe { bpf_prog_get_info_by_fd(program.as_fd().as_raw_fd(), &raw mut info, &raw mut size) };
    (result == 0 && info.run_cnt > 0).then_some(Cost { runs: info.run_cnt, time_ns: info.run_time_ns })
}
