//! What can go wrong between user space and the kernel, in words that end with what to do.

use std::io;
use std::path::PathBuf;
use thiserror::Error;

/// Result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// Everything that can go wrong here.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// Nothing is pinned where a monitor was expected.
    #[error("no monitor is pinned at {}; start one with 'tombola load'", map.display())]
    NotLoaded {
        /// Pin of the task map.
        map: PathBuf,
    },
    /// Some pins of a monitor exist, others do not.
    #[error("pins at {} are incomplete ({what}), as an interrupted load leaves them; \
             'tombola load --force' replaces them, 'tombola unload' removes them", map.display())]
    Incomplete {
        /// Pin of the task map.
        map: PathBuf,
        /// What is missing, or there without the rest.
        what: String,
    },
    /// What is pinned was made by a build with other structs.
    #[error("the monitor at {} has another layout (loaded by version {version}); \
             'tombola load --force' replaces it", map.display())]
    OtherLayout {
        /// Pin of the task map.
        map: PathBuf,
        /// Version that loaded it.
        version: String,
    },
    /// A path that was to be a map is something else.
    #[error("{} is no BPF map: {reason}", path.display())]
    NotAMap {
        /// The path.
        path: PathBuf,
        /// What the kernel said.
        reason: io::Error,
    },
    /// A map with keys, values or a type that no monitor of this layout has.
    #[error("{} is a BPF map of another shape: {why}", path.display())]
    Shape {
        /// The path.
        path: PathBuf,
        /// The difference.
        why: String,
    },
    /// A pin exists and may not be read.
    #[error("cannot open {}: {reason}; {remedy}", path.display())]
    OpenPin {
        /// The pin.
        path: PathBuf,
        /// What the kernel said.
        reason: io::Error,
        /// What to type.
        remedy: String,
    },
    /// A place where nothing can be pinned.
    #[error("cannot pin at {}: {why}", path.display())]
    PinPlace {
        /// The pin.
        path: PathBuf,
        /// Reason and remedy.
        why: String,
    },
    /// Creating or removing a pin failed.
    #[error("cannot {action} {}: {reason}", path.display())]
    Pin {
        /// "pin", "remove", ….
        action: &'static str,
        /// The pin.
        path: PathBuf,
        /// What the kernel said.
        reason: io::Error,
    },
    /// Another process is loading or unloading here.
    #[error("{holder} is loading or unloading at {}; try again when it is done", dir.display())]
    Locked {
        /// The locked directory.
        dir: PathBuf,
        /// Who holds the lock.
        holder: String,
    },
    /// The kernel's type information cannot be used.
    #[error("cannot use BTF {}: {why}", path.display())]
    Btf {
        /// The BTF file.
        path: PathBuf,
        /// Reason and remedy.
        why: String,
    },
    /// The BPF object is not ours, or is damaged.
    #[error("cannot use this BPF object: {what}")]
    Object {
        /// What is wrong with it.
        what: String,
    },
    /// The kernel refused to load or attach the programs.
    #[error("the kernel refused the programs: {why}{}", log.as_ref().map(|l| format!("; full log in {}", l.display())).unwrap_or_default())]
    Refused {
        /// One line: reason, and remedy where there is one.
        why: String,
        /// libbpf's and the verifier's messages.
        log: Option<PathBuf>,
    },
    /// Reading a map failed.
    #[error("cannot read BPF map {map}: {reason}")]
    ReadMap {
        /// The map.
        map: String,
        /// What the kernel said.
        reason: io::Error,
    },
    /// `/proc` is missing, or shows the PIDs of another namespace than this process's.
    #[error(
        "/proc is missing, or shows the PIDs of another namespace; mount the own one: mount -t proc proc /proc"
    )]
    ForeignProc,
    /// A light monitor reads the counters of the tasks that have a PID where it is read.
    #[error(
        "a light monitor sees the tasks of its own PID namespace alone, and its books of the machine would be wrong: \
             run it with the PIDs of the host (docker run --pid=host), or load one that is not light"
    )]
    LightInNamespace,
    /// The kernel has no sched_ext.
    #[error(
        "this kernel has no sched_ext (CONFIG_SCHED_CLASS_EXT; tried: Linux 6.17, 6.19, 7.3), which a scheduler of our own needs; \
             'tombola doctor' says what it has, 'tombola simulate' shows a lottery without it"
    )]
    NoSchedExt,
    /// Another scheduler is loaded.
    #[error(
        "{ops} is loaded as scheduler already, and only one can be; end the process that loaded it first"
    )]
    SchedulerBusy {
        /// Its name.
        ops: String,
    },
    /// The kernel took the programs and did not start the scheduler, or did not end it.
    #[error("the scheduler could not be started or ended: {why}")]
    SchedulerRefused {
        /// Why.
        why: String,
    },
    /// No scheduler of ours runs.
    #[error("{why}; start one with 'sudo tombola schedule'")]
    NoScheduler {
        /// Why.
        why: String,
    },
    /// An option of the scheduler outside its range.
    #[error("{0}")]
    SchedulerOption(String),
    /// Tickets that cannot be set or given.
    #[error("{0}")]
    Tickets(String),
    /// An option outside its range.
    #[error("'{given}' tasks; it must be a whole number from 1 to {most}")]
    MaxTasks {
        /// What was asked for.
        given: String,
        /// The most there can be.
        most: u32,
    },
    /// Room that no map can have.
    #[error("room for '{given}'; it must be a whole number from 1 to {most}")]
    Room {
        /// What was asked for.
        given: String,
        /// The most there can be.
        most: u32,
    },
    /// An option outside its range.
    #[error("'{given}' records; it must be a power of two from {least} to {most}")]
    LaneRoom {
        /// What was asked for.
        given: String,
        /// The least that serves.
        least: u32,
        /// The most there can be.
        most: u32,
    },
}

impl Error {
    /// Whether the cause is that BPF cannot be used here at all (rights, kernel), so that `tombola doctor`
    /// helps.
    pub fn is_about_the_machine(&self) -> bool {
        matches!(self, Self::Refused { .. } | Self::Btf { .. } | Self::PinPlace { .. } | Self::OpenPin { .. })
    }
}

/// The operating system's error inside one of libbpf's.
pub(crate) fn os_error(error: &libbpf_rs::Error) -> io::Error {
    use libbpf_rs::ErrorKind as K;
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(inner) = source {
        if let Some(io) = inner.downcast_ref::<io::Error>()
            && let Some(code) = io.raw_os_error()
        {
            return io::Error::from_raw_os_error(code);
        }
        source = inner.source();
    }
    let kind = match error.kind() {
        K::NotFound => io::ErrorKind::NotFound,
        K::PermissionDenied => io::ErrorKind::PermissionDenied,
        K::AlreadyExists => io::ErrorKind::AlreadyExists,
        K::OutOfMemory => io::ErrorKind::OutOfMemory,
        K::InvalidInput => io::ErrorKind::InvalidInput,
        _ => io::ErrorKind::Other,
    };
    io::Error::new(kind, error.to_string())
}
