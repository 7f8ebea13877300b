//! What a load can be told.

use crate::error::{Error, Result};
use crate::pins::Pins;
use std::fmt;
use std::fs;
use std::path::PathBuf;
use std::str::FromStr;

/// How a monitor is to be loaded.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Where to pin it.
    pub pins: Pins,
    /// BTF of the running kernel, if not `/sys/kernel/btf/vmlinux`.
    pub btf: Option<PathBuf>,
    /// BPF object to load in place of the built-in one.
    pub object: Option<PathBuf>,
    /// Room in the task map.
    pub max_tasks: MaxTasks,
    /// Replace whatever is pinned there.
    pub force: bool,
}

/// How many tasks the task map has room for.
///
/// The map is preallocated, so room costs memory: about 432 bytes a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MaxTasks(u32);

impl MaxTasks {
    /// The most that makes sense: `PID_MAX_LIMIT` of 64-bit kernels, 2²².
    pub const LIMIT: u32 = 1 << 22;
    /// The most the default takes: room for a host with 30,000 threads twice over, in 28 MB.
    const DEFAULT_MOST: u32 = 1 << 16;
    const DEFAULT_LEAST: u32 = 1 << 12;

    /// # Errors
    /// [`Error::MaxTasks`] outside 1…[`Self::LIMIT`].
    pub fn new(tasks: u64) -> Result<Self> {
        match u32::try_from(tasks) {
            Ok(n @ 1..=Self::LIMIT) => Ok(Self(n)),
            _ => Err(Error::MaxTasks(tasks.to_string())),
        }
    }

    /// The number.
    pub fn get(self) -> u32 {
        self.0
    }
}

impl Default for MaxTasks {
    /// 65,536, or less on a machine whose kernel allows fewer threads (`kernel.threads-max`, which grows with memory).
    fn default() -> Self {
        let allowed = fs::read_to_string("/proc/sys/kernel/threads-max")
            .ok()
            .and_then(|s| s.trim().parse::<u32>().ok());
        let room = allowed.and_then(u32::checked_next_power_of_two).unwrap_or(Self::DEFAULT_MOST);
        Self(room.clamp(Self::DEFAULT_LEAST, Self::DEFAULT_MOST))
    }
}

impl fmt::Display for MaxTasks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for MaxTasks {
    type Err = Error;

    fn from_str(word: &str) -> Result<Self> {
        word.parse().map_err(|_| Error::MaxTasks(word.to_owned())).and_then(Self::new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_for_no_task_or_for_more_than_can_exist_is_refused() {
        assert!(MaxTasks::new(0).is_err());
        assert!(MaxTasks::new(u64::from(MaxTasks::LIMIT) + 1).is_err());
        assert!(MaxTasks::new(u64::MAX).is_err());
        assert_eq!(MaxTasks::new(1).unwrap().get(), 1);
    }
}
