//! Sets of CPUs.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A set of CPUs by the kernel's numbers: an affinity mask, or the CPUs that a cut is about.
///
/// Equal sets compare equal whatever they were made from. The order is for use as a key and means nothing
/// else.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(from = "Vec<u64>", into = "Vec<u64>")]
pub struct CpuSet {
    /// CPUs 0 to 63: CPU `c` is bit `c`. On most machines that is all, and takes no memory elsewhere.
    low: u64,
    /// CPU `c` from 64 on is bit `c % 64` of word `c / 64 - 1`; the last word is never 0.
    high: Vec<u64>,
}

impl CpuSet {
    /// From the words of a mask, lowest CPU in bit 0 of the first word.
    pub fn from_words(words: &[u64]) -> Self {
        let (low, high) = words.split_first().map_or((0, words), |(low, high)| (*low, high));
        let used = high.iter().rposition(|&w| w != 0).map_or(0, |last| last + 1);
        Self { low, high: high[..used].to_vec() }
    }

    fn words(&self) -> impl Iterator<Item = u64> + '_ {
        std::iter::once(self.low).chain(self.high.iter().copied())
    }

    /// Adds a CPU. Memory is one bit for each number up to the largest.
    pub fn insert(&mut self, cpu: u32) {
        let word = (cpu / 64) as usize;
        let bit = 1 << (cpu % 64);
        match word.checked_sub(1) {
            None => self.low |= bit,
            Some(at) => {
                if self.high.len() <= at {
                    self.high.resize(at + 1, 0);
                }
                self.high[at] |= bit;
            }
        }
    }

    /// Whether the CPU is in the set.
    pub fn contains(&self, cpu: u32) -> bool {
        let word = match ((cpu / 64) as usize).checked_sub(1) {
            None => self.low,
            Some(at) => self.high.get(at).copied().unwrap_or(0),
        };
        word >> (cpu % 64) & 1 == 1
    }

    /// Whether no CPU is in the set.
    pub fn is_empty(&self) -> bool {
        self.low == 0 && self.high.is_empty()
    }

    /// How many CPUs are in the set.
    pub fn len(&self) -> usize {
        self.words().map(|w| w.count_ones() as usize).sum()
    }

    /// Whether every CPU of this set is in `other`.
    pub fn is_subset(&self, other: &Self) -> bool {
        self.high.len() <= other.high.len() && self.words().zip(other.words()).all(|(a, b)| a & !b == 0)
    }

    /// Whether the two sets have a CPU in common.
    pub fn intersects(&self, other: &Self) -> bool {
        self.words().zip(other.words()).any(|(a, b)| a & b != 0)
    }

    /// Adds every CPU of `other`.
    pub fn union_with(&mut self, other: &Self) {
        self.low |= other.low;
        if self.high.len() < other.high.len() {
            self.high.resize(other.high.len(), 0);
        }
        for (mine, theirs) in self.high.iter_mut().zip(&other.high) {
            *mine |= theirs;
        }
    }

    /// The CPUs, ascending.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        (0u32..).zip(self.words()).flat_map(|(at, word)| {
            (0..64).filter(move |bit| word >> bit & 1 == 1).map(move |bit| at * 64 + bit)
        })
    }
}

impl From<Vec<u64>> for CpuSet {
    fn from(words: Vec<u64>) -> Self {
        Self::from_words(&words)
    }
}

impl From<CpuSet> for Vec<u64> {
    fn from(set: CpuSet) -> Self {
        set.words().collect()
    }
}

impl FromIterator<u32> for CpuSet {
    fn from_iter<I: IntoIterator<Item = u32>>(cpus: I) -> Self {
        let mut set = Self::default();
        for cpu in cpus {
            set.insert(cpu);
        }
        set
    }
}

/// The kernel's list format: `0-3,8`; nothing for the empty set.
impl fmt::Display for CpuSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut cpus = self.iter().peekable();
        let mut separator = "";
        while let Some(first) = cpus.next() {
            let mut last = first;
            while let Some(next) = cpus.next_if_eq(&(last + 1)) {
                last = next;
            }
            write!(f, "{separator}{first}")?;
            if last > first {
                write!(f, "-{last}")?;
            }
            separator = ",";
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_as_the_kernel_lists_cpus() {
        let set: CpuSet = [0, 1, 2, 3, 8, 63, 64, 130].into_iter().collect();
        assert_eq!(set.to_string(), "0-3,8,63-64,130");
        assert_eq!(CpuSet::default().to_string(), "");
        assert_eq!((set.len(), set.is_empty(), set.contains(64), set.contains(65)), (8, false, true, false));
        assert!(!set.contains(4_000_000_000));
    }

    #[test]
    fn trailing_empty_words_make_no_difference() {
        let (short, long) = (CpuSet::from_words(&[5]), CpuSet::from_words(&[5, 0, 0]));
        assert_eq!(short, long);
        assert_eq!(CpuSet::from_words(&[0, 0]), CpuSet::default());
    }

    #[test]
    fn subset_union_and_overlap_across_words() {
        let low = CpuSet::from_iter([1]);
        let high = CpuSet::from_iter([100]);
        let mut both = low.clone();
        both.union_with(&high);
        assert!(low.is_subset(&both) && high.is_subset(&both) && !both.is_subset(&low));
        assert!(CpuSet::default().is_subset(&low));
        assert!(!low.intersects(&high) && both.intersects(&high));
        assert_eq!(both.iter().collect::<Vec<_>>(), [1, 100]);
    }
}
