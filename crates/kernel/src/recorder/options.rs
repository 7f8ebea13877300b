//! How large the lanes are.

use crate::error::{Error, Result};
use std::fmt;
use std::str::FromStr;

/// Room in a CPU's lane, in records of 24 bytes: a power of two from 64 to 1,048,576.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct LaneRoom(Option<u32>);

impl LaneRoom {
    /// Fewest records.
    pub const LEAST: u32 = 1 << 6;
    /// Most records.
    pub const MOST: u32 = 1 << 20;
    /// Records on the whole machine where nobody says otherwise, and the least that a CPU gets then: 64 MiB,
    /// and 384 KiB.
    const ALL: u32 = (64 << 20) / 24;
    const LEAST_OF_ALL: u32 = 1 << 14;
    /// The most that it gets then, 3 MiB: a million events a second, for a tenth of one.
    const USUAL: u32 = 1 << 17;

    /// Room for so many records.
    ///
    /// # Errors
    /// [`Error::LaneRoom`] for a number outside the range, or that is no power of two.
    pub fn new(records: u32) -> Result<Self> {
        let fits = (Self::LEAST..=Self::MOST).contains(&records) && records.is_power_of_two();
        fits.then_some(Self(Some(records))).ok_or_else(|| Self::refused(records.to_string()))
    }

    fn refused(given: String) -> Error {
        Error::LaneRoom { given, least: Self::LEAST, most: Self::MOST }
    }

    /// Records for each of so many CPUs.
    pub(super) fn for_cpus(self, cpus: u32) -> u32 {
        let share = (Self::ALL / cpus.max(1)).clamp(Self::LEAST_OF_ALL, Self::USUAL);
        self.0.unwrap_or(1 << share.ilog2())
    }
}

impl FromStr for LaneRoom {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        text.parse().map_err(|_| Self::refused(text.to_owned())).and_then(Self::new)
    }
}

impl fmt::Display for LaneRoom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(records) => write!(f, "{records}"),
            None => f.write_str("by CPUs"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rooms_are_powers_of_two_in_their_range() {
        for text in ["64", "1024", "1048576"] {
            assert_eq!(text.parse::<LaneRoom>().unwrap().to_string(), text);
        }
        for text in ["", "0", "63", "65", "32", "1000", "2097152", "-64", "64.0", "4294967296"] {
            assert!(text.parse::<LaneRoom>().unwrap_err().to_string().contains("power of two"), "{text}");
        }
    }

    #[test]
    fn lanes_of_large_machines_share_their_memory() {
        assert_eq!(LaneRoom::default().for_cpus(2), 1 << 17);
        assert_eq!(LaneRoom::default().for_cpus(64), 1 << 15);
        assert_eq!(LaneRoom::default().for_cpus(8192), 1 << 14);
        assert_eq!(LaneRoom::new(64).unwrap().for_cpus(64), 64);
    }
}
