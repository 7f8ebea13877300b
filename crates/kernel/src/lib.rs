//! The kernel side of tombola: the eBPF monitor, its loading and pinning, and reading it into snapshots.
//!
//! ```text
//! object (open, fit to this kernel, load) ─► monitor (attach, begin) ─► pins (what outlives us)
//! maps (of a monitor, or of its pins) ─► reader ─► tombola_core::snapshot::Snapshot
//! ```
//!
//! This is the only crate with `unsafe`, and no type of the C side leaves it.

mod batch;
mod btf_file;
mod clock;
mod cpu_books;
mod ended;
pub mod error;
mod group_mode;
mod group_name;
mod group_totals;
mod initial_pids;
#[cfg(test)]
mod instructions;
mod interference;
mod layout;
mod libbpf_log;
mod monitor;
mod monitor_object;
mod object;
mod ownership;
mod pid_namespace;
mod pinned_map;
mod pins;
mod possible;
pub mod probe;
mod reader;
pub mod recorder;
mod reservation;
mod running;
mod sched_ext_state;
pub mod scheduler;
mod settings;
mod status;
mod task_iterator;
mod visit;
mod wire;

pub use error::{Error, Result};
pub use group_mode::GroupMode;
pub use group_name::GroupNames;
pub use initial_pids::pids_are_initial;
pub use interference::InterferenceMonitor;
pub use monitor::{Loaded, PinnedMonitor, PrivateMonitor};
pub use pid_namespace::PidNamespace;
pub use pins::Pins;
pub use reader::Reader;
pub use recorder::Recorder;
pub use reservation::reservation;
pub use sched_ext_state::SchedExtState;
pub use settings::{MaxGroups, MaxPairs, MaxTasks, Room, Settings};
pub use status::{Cost, PinFile, Status, status};
