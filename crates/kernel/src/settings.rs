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
    /// Room in the map of groups.
    pub max_groups: MaxGroups,
    /// Replace whatever is pinned there.
    pub force: bool,
    /// Read the kernel's own counters when asked, in place of booking at the switches. Neither `object` nor
    /// `max_tasks` is looked at.
    pub light: bool,
}

/// How many tasks the task map has room for.
///
/// A task takes about 500 bytes: where hash maps grow safely (6.1 and later) when it comes, elsewhere for all
/// the room at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MaxTasks(u32);

impl MaxTasks {
    /// The most that makes sense: `PID_MAX_LIMIT` of 64-bit kernels, 2²².
    pub const LIMIT: u32 = 1 << 22;
    /// The most the default takes: room for a host with 30,000 threads twice over, in 28 MB where all room is
    /// taken at once.
    const DEFAULT_MOST: u32 = 1 << 16;
    const DEFAULT_LEAST: u32 = 1 << 12;

    /// # Errors
    /// [`Error::MaxTasks`] outside 1…[`Self::LIMIT`].
    pub fn new(tasks: u64) -> Result<Self> {
        match u32::try_from(tasks) {
            Ok(n @ 1..=Self::LIMIT) => Ok(Self(n)),
            _ => Err(Self::refused(tasks.to_string())),
        }
    }

    /// The number.
    pub fn get(self) -> u32 {
        self.0
    }

    fn refused(given: String) -> Error {
        Error::MaxTasks { given, most: Self::LIMIT }
    }
}

impl Default for MaxTasks {
    /// 65,536, or less on a machine whose kernel allows fewer threads (`kernel.threads-max`, which grows with
    /// memory).
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
        word.parse().map_err(|_| Self::refused(word.to_owned())).and_then(Self::new)
    }
}

/// Room in a map for something of which there may be any number: from 1 to `MOST`, `USUAL` where nothing is
/// said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room<const USUAL: u32, const MOST: u32>(u32);

/// How many scheduling groups the map of groups has room for: sessions and cgroups in which tasks ran of
/// late, and those above them. Where there are more, those go first in which nobody has run for longest.
///
/// The map is preallocated: about 170 bytes a group.
pub type MaxGroups = Room<8192, { 1 << 20 }>;

/// How many pairs of tasks, one of which stood in the other's way, are watched at once. Quiet ones make room
/// for others.
///
/// The map is preallocated: about 90 bytes a pair.
pub type MaxPairs = Room<16384, { 1 << 22 }>;

impl<const USUAL: u32, const MOST: u32> Room<USUAL, MOST> {
    /// # Errors
    /// [`Error::Room`] outside 1…`MOST`.
    pub fn new(entries: u64) -> Result<Self> {
        match u32::try_from(entries) {
            Ok(n) if (1..=MOST).contains(&n) => Ok(Self(n)),
            _ => Err(Error::Room { given: entries.to_string(), most: MOST }),
        }
    }

    /// The number.
    pub fn get(self) -> u32 {
        self.0
    }
}

impl<const USUAL: u32, const MOST: u32> Default for Room<USUAL, MOST> {
    fn default() -> Self {
        Self(USUAL)
    }
}

impl<const USUAL: u32, const MOST: u32> fmt::Display for Room<USUAL, MOST> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<const USUAL: u32, const MOST: u32> FromStr for Room<USUAL, MOST> {
    type Err = Error;

    fn from_str(word: &str) -> Result<Self> {
        let refused = |_| Error::Room { given: word.to_owned(), most: MOST };
        word.parse().map_err(refused).and_then(Self::new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_for_no_group_or_for_too_many_is_refused() {
        assert!(MaxGroups::new(0).is_err() && MaxGroups::new((1 << 20) + 1).is_err());
        assert_eq!("9000".parse::<MaxGroups>().unwrap().get(), 9000);
        assert!("-1".parse::<MaxGroups>().is_err());
    }

    #[test]
    fn room_for_no_task_or_for_more_than_can_exist_is_refused() {
        assert!(MaxTasks::new(0).is_err());
        assert!(MaxTasks::new(u64::from(MaxTasks::LIMIT) + 1).is_err());
        assert!(MaxTasks::new(u64::MAX).is_err());
        assert_eq!(MaxTasks::new(1).unwrap().get(), 1);
    }
}
