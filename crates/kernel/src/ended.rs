//! Records of ended tasks, read whole from a ring that is written meanwhile.
//!
//! The kernel copies a record for us word by word, in no order that another CPU's stores would have to
//! respect: on arm64, the numbers before and behind it may be read before what is between them. The program
//! writes `exits` and `begun`, then the record, then `number`, with a full barrier between each
//! (`next_exit()`, `publish()`). So:
//!
//! - What shows a part of a new record lets a later look see that its place was taken: `exits` has moved on.
//! - Two looks that see the same, with both numbers alike, have seen the whole of one record. If the first
//!   look saw its `number`, the second sees nothing older; if it had seen anything younger, the second would
//!   have seen a younger `begun`.
//!
//! A second look is taken at those records only for which the first may have come too early or too late.

use crate::error::Result;
use crate::wire::{Wire as _, exited_record};
use std::sync::atomic::{Ordering, fence};

/// Looks at a record that does not hold still, at most.
const LOOKS: usize = 4;

/// The last ends that a CPU may be in the middle of writing, of those that it has counted: a switch may end
/// two records.
const AT_ONCE: u64 = 2;

/// Orders this thread's next reads of the maps behind those it has done.
pub(crate) fn look_again() {
    fence(Ordering::SeqCst);
}

/// Whether the copy of a record needs a second look. `number` is its own, `length` that of its ring; `before`
/// and `after` are its CPU's `exits`, read before the copy was made and after it.
pub(crate) fn is_in_doubt(number: u64, length: u64, before: u64, after: u64) -> bool {
    let may_be_unfinished = number + AT_ONCE > before;
    let may_be_overwritten = number + length <= after;
    may_be_unfinished || may_be_overwritten
}

/// The record of a place in its ring, whole, if it holds still.
pub(crate) fn whole(
    mut seen: exited_record,
    mut look: impl FnMut() -> Result<Option<exited_record>>,
) -> Result<Option<exited_record>> {
    for _ in 1..LOOKS {
        look_again();
        let Some(now) = look()? else { return Ok(None) };
        if now.bytes() == seen.bytes() {
            return Ok((now.number != 0 && now.number == now.begun).then_some(now));
        }
        seen = now;
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::seq::SliceRandom as _;
    use rand::{RngExt as _, SeedableRng as _};
    use rand_chacha::ChaCha8Rng;

    /// Words of a record: the numbers at both ends, and three between them.
    const WORDS: usize = 5;
    /// Places in the ring.
    const LENGTH: usize = 2;

    /// A ring as another CPU sees it: stores reach it one by one, between two barriers in any order.
    struct Ring {
        places: [[u64; WORDS]; LENGTH],
        exits: u64,
        /// What is still to come, the first one last.
        stores: Vec<(Option<(usize, usize)>, u64)>,
    }

    impl Ring {
        fn new(ends: u64, random: &mut ChaCha8Rng) -> Self {
            let mut stores = Vec::new();
            for number in 1..=ends {
                let place = usize::try_from(number - 1).unwrap() % LENGTH;
                let first = vec![None, Some((place, WORDS - 1))];
                let between = (1..WORDS - 1).map(|word| Some((place, word))).collect();
                for mut group in [first, between, vec![Some((place, 0))]] {
                    group.shuffle(random);
                    stores.extend(group.into_iter().map(|at| (at, number)));
                }
            }
            stores.reverse();
            Self { places: [[0; WORDS]; LENGTH], exits: 0, stores }
        }

        /// Some stores arrive.
        fn go_on(&mut self, random: &mut ChaCha8Rng) {
            for _ in 0..[0, 0, 1, 3, 12][random.random_range(0..5)] {
                match self.stores.pop() {
                    Some((Some((place, word)), number)) => self.places[place][word] = number,
                    Some((None, number)) => self.exits = number,
                    None => {}
                }
            }
        }

        /// Copies a place, its words in any order.
        fn copy(&mut self, place: usize, random: &mut ChaCha8Rng) -> exited_record {
            let mut order: Vec<usize> = (0..WORDS).collect();
            order.shuffle(random);
            let mut words = [0; WORDS];
            for word in order {
                self.go_on(random);
                words[word] = self.places[place][word];
            }
            let mut copy = exited_record { number: words[0], begun: words[4], ..exited_record::default() };
            (copy.ended_ns, copy.task.runtime_ns, copy.task.switches) = (words[1], words[2], words[3]);
            copy
        }
    }

    fn is_whole(copy: &exited_record) -> bool {
        [copy.ended_ns, copy.task.runtime_ns, copy.task.switches] == [copy.number; 3]
    }

    /// Every order of stores and loads that two barriers and no other allow: what is taken is whole.
    #[test]
    fn no_torn_record_is_taken_in_any_order_of_loads() {
        let mut random = ChaCha8Rng::seed_from_u64(7);
        let (mut taken, mut torn_at_first, mut given_up) = (0, 0, 0);
        for _ in 0..10_000 {
            let mut ring = Ring::new(6, &mut random);
            for _ in 0..random.random_range(0..20) {
                ring.go_on(&mut random);
            }
            let before = ring.exits;
            // From the slot to the ring it is two system calls: what was being written then is done, but for
            // the last ends.
            let finished = ring.exits.saturating_sub(AT_ONCE);
            while ring.stores.last().is_some_and(|(_, number)| *number <= finished) {
                ring.go_on(&mut random);
            }
            let place = random.random_range(0..LENGTH);
            let first = ring.copy(place, &mut random);
            let after = ring.exits;
            if first.number == 0 || first.number != first.begun {
                continue;
            }
            torn_at_first += u32::from(!is_whole(&first));
            let record = if is_in_doubt(first.number, LENGTH as u64, before, after) {
                whole(first, || Ok(Some(ring.copy(place, &mut random)))).unwrap()
            } else {
                Some(first)
            };
            match record {
                Some(record) => {
                    assert!(is_whole(&record), "{record:?}, exits {before} and {after}");
                    taken += 1;
                }
                None => given_up += 1,
            }
        }
        // The test is one of something: without a second look torn ones would be taken.
        assert!(torn_at_first > 100 && taken > 1_000 && given_up > 10, "{torn_at_first} {taken} {given_up}");
    }
}
