//! Records of living tasks, read whole though their CPUs go on.
//!
//! A record has no sequence number, for that would be two stores at every switch. The kernel copies it for us
//! word by word, while the program may be in the middle of it: a copy may hold any mixture of what it was
//! before and after. What is mixed wrongly shows as a slice that is counted twice or not at all, or as a wait
//! as long as a sleep. So a copy counts when the next one is the same, as with the slots of CPUs: what was
//! being written at the first look is written at the second, a system call later, and what is written since
//! would differ.
//!
//! A record is written when its task leaves a CPU. Who slept at the instant, and has ended no slice since,
//! cannot have been written to but in the time from the instant to the copy, in a slice and a wait that both
//! lie in there: what is mixed then is less than that time, which every snapshot tells. So a second look is
//! taken at the others only.
//!
//! Not seen is a CPU that stands still in the middle of a record for longer than both looks take, as one of a
//! virtual machine may.

use crate::ended::look_again;
use crate::error::Result;
use crate::wire::{Wire as _, task_record};

/// Looks at a record that does not hold still, at most: its task then switches every microsecond, and what is
/// mixed is as short.
const LOOKS: usize = 8;

/// The record as it was in two looks in a row, of which the first saw `seen`. What is gone since is as it was
/// seen last: its end tells the rest.
pub(super) fn whole(
    mut seen: task_record,
    mut look: impl FnMut() -> Result<Option<task_record>>,
) -> Result<task_record> {
    for _ in 1..LOOKS {
        look_again();
        let Some(now) = look()? else { break };
        if now.bytes() == seen.bytes() {
            break;
        }
        seen = now;
    }
    Ok(seen)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::seq::SliceRandom as _;
    use rand::{RngExt as _, SeedableRng as _};
    use rand_chacha::ChaCha8Rng;

    /// Words of a record that a switch writes.
    const WORDS: usize = 6;

    /// A record as another CPU sees it: the stores of one switch reach it in any order, those of the next one
    /// after them.
    struct Written {
        words: [u64; WORDS],
        /// What is still to come, the first one last.
        stores: Vec<(usize, u64)>,
    }

    impl Written {
        fn new(switches: u64, random: &mut ChaCha8Rng) -> Self {
            let mut stores = Vec::new();
            for switch in 1..=switches {
                let mut words: Vec<usize> = (0..WORDS).collect();
                words.shuffle(random);
                stores.extend(words.into_iter().map(|word| (word, switch)));
            }
            stores.reverse();
            Self { words: [0; WORDS], stores }
        }

        fn go_on(&mut self, most: usize) {
            for (word, value) in (0..most).map_while(|_| self.stores.pop()) {
                self.words[word] = value;
            }
        }

        /// What the latest switch has begun to write is written: a look later it is.
        fn finish(&mut self) {
            while !self.stores.len().is_multiple_of(WORDS) {
                self.go_on(1);
            }
        }

        /// Copies it, its words in any order.
        fn copy(&mut self, random: &mut ChaCha8Rng) -> task_record {
            let mut order: Vec<usize> = (0..WORDS).collect();
            order.shuffle(random);
            let mut words = [0; WORDS];
            for word in order {
                self.go_on([0, 0, 0, 0, 0, 1, 2, 5][random.random_range(0..8)]);
                words[word] = self.words[word];
            }
            let [runtime_ns, wait_ns, switches, slice_start_ns, slice_end_ns, run_delay_ns] = words;
            task_record {
                runtime_ns,
                wait_ns,
                switches,
                slice_start_ns,
                slice_end_ns,
                run_delay_ns,
                ..task_record::default()
            }
        }
    }

    fn is_whole(of: &task_record) -> bool {
        [of.wait_ns, of.switches, of.slice_start_ns, of.slice_end_ns, of.run_delay_ns] == [of.runtime_ns; 5]
    }

    #[test]
    fn two_looks_that_agree_have_seen_one_record() {
        let mut random = ChaCha8Rng::seed_from_u64(3);
        let (mut torn_at_first, mut torn) = (0, 0);
        for _ in 0..10_000 {
            // Fewer switches than looks: it holds still at last.
            let mut written = Written::new(3, &mut random);
            written.go_on(random.random_range(0..12));
            let first = written.copy(&mut random);
            torn_at_first += u32::from(!is_whole(&first));
            let record = whole(first, || {
                written.finish();
                Ok(Some(written.copy(&mut random)))
            });
            torn += u32::from(!is_whole(&record.unwrap()));
        }
        assert!(torn_at_first > 1_000, "{torn_at_first}");
        assert_eq!(torn, 0);
    }

    #[test]
    fn what_is_gone_is_as_it_was_seen_last() {
        let seen = task_record { runtime_ns: 7, ..task_record::default() };
        assert_eq!(whole(seen, || Ok(None)).unwrap().runtime_ns, 7);
    }
}
