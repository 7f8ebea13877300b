//! Sets of CPUs.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A set of CPUs by the kernel's numbers: an affinity mask, or the CPUs that a cut is about.
///
/// Equal sets compare equal whatever they were made from. The order is for use as a key and means nothing else.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(from = "Vec<u64>", into = "Vec<u64>")]
pub struct CpuSet {
    /// CPU `c` is bit `c % 64` of word `c / 64`; the last word is never 0.
    words: Vec<u64>,
}

impl CpuSet {
    /// From the words of a mask, lowest CPU in bit 0 of the first word.
    pub fn from_words(words: &[u64]) -> Self {
        let used = words.iter().rposition(|&w| w != 0).map_or(0, |last| last + 1);
        Self { words: words[..used].to_vec() }
    }

    /// Adds a CPU. Memory is one bit for each number up to the largest.
    pub fn insert(&mut self, cpu: u32) {
        let word = (cpu / 64) as usize;
        if self.words.len() <= word {
            self.words.resize(word + 1, 0);
        }
        self.words[word] |= 1 << (cpu % 64);
    }

    /// Whether the CPU is in the set.
    pub fn contains(&self, cpu: u32) -> bool {
        self.words.get((cpu / 64) as usize).is_some_and(|word| word >> (cpu % 64) & 1 == 1)
    }

    /// Whether no CPU is in the set.
    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// How many CPUs are in the set.
    pub fn len(&self) -> usize {
        self.words.iter().map(|w| w.count_ones() as usize).sum()
    }

    /// Whether every CPU of this set is in `other`.
    pub fn is_subset(&self, other: &Self) -> bool {
        self.words.len() <= other.words.len() && self.words.iter().zip(&other.words).all(|(a, b)| a & !b == 0)
    }

    /// Whether the two sets have a CPU in common.
    pub fn intersects(&self, other: &Self) -> bool {
        self.words.iter().zip(&other.words).any(|(a, b)| a & b != 0)
    }

    /// Adds every CPU of `other`.
    pub fn union_with(&mut self, other: &Self) {
        if self.words.len() < other.words.len() {
            self.words.resize(other.words.len(), 0);
        }
        for (mine, theirs) in self.words.iter_mut().zip(&other.words) {
            *mine |= theirs;
        }
    }

    /// The CPUs, ascending.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        (0u32..).zip(&self.words).flat_map(|(at, &word)| {
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
        set.words
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
