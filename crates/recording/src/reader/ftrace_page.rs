//! Pages of the kernel's ring buffer, as trace-cmd copies them: a time, a length, then records with the time
//! since the one before.
//!
//! The layout is that of `include/linux/ring_buffer.h` and `kernel/trace/ring_buffer.c`.

use super::format_order::Order;
use std::ops::Range;

/// How the pages of a recording are laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PageLayout {
    pub(crate) order: Order,
    /// Bytes of `commit`: those of a `long` in the kernel.
    pub(crate) commit_bytes: usize,
}

/// Lower bits of `commit`: bytes of records.
const LENGTH: u64 = (1 << 27) - 1;
/// Events are missing before this page.
const MISSED: u64 = 1 << 31;
/// How many stands behind the records.
const MISSED_STORED: u64 = 1 << 30;

/// Bits of the time that an absolute stamp does not have.
const STAMP_BITS: u32 = 59;

/// Where the next record of a page is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Page {
    layout: PageLayout,
    at: usize,
    end: usize,
    /// Of the record before, or of the page.
    ts: u64,
    pub(crate) missed: Missed,
}

/// What is missing before a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Missed {
    Nothing,
    Something,
    Events(u64),
}

/// What is found in a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// A record's time and bytes.
    Record(u64, Range<usize>),
    /// The record, and so the rest of the page, makes no sense.
    Nonsense,
}

impl Page {
    /// Reads the head; `None` where the page is too short for what it says.
    pub(crate) fn open(page: &[u8], layout: PageLayout) -> Option<Self> {
        let PageLayout { order, commit_bytes } = layout;
        let ts = order.u64(page, 0)?;
        let commit = order.int(page, 8, commit_bytes, false)?.cast_unsigned();
        let at = 8 + commit_bytes;
        let end = at.checked_add(usize::try_from(commit & LENGTH).ok()?).filter(|&end| end <= page.len())?;
        let count = order.int(page, end, commit_bytes, false).filter(|_| commit & MISSED_STORED != 0);
        let missed = match count {
            _ if commit & MISSED == 0 => Missed::Nothing,
            Some(count @ 0..) => Missed::Events(count.cast_unsigned()),
            _ => Missed::Something,
        };
        Some(Self { layout, at, end, ts, missed })
    }

    /// The time of the page's first record, or of the record that was taken last.
    pub(crate) fn ts(&self) -> u64 {
        self.ts
    }

    /// The next record with data; `None` at the end.
    #[inline]
    pub(crate) fn next(&mut self, page: &[u8]) -> Option<Found> {
        let order = self.layout.order;
        while self.at < self.end {
            let Some(head) = order.u32(&page[..self.end], self.at) else { return Some(Found::Nonsense) };
            // A C bitfield begins at the end where the byte order does.
            let (kind, delta) = match order {
                Order::Little => (head & 31, u64::from(head >> 5)),
                Order::Big => (head >> 27, u64::from(head & ((1 << 27) - 1))),
            };
            let word = || order.u32(&page[..self.end], self.at + 4);
            let (data, next) = match kind {
                1..=28 => (true, self.at + 4 + kind as usize * 4),
                // Padding to the end of the page; or a record that was thrown away, whose time counts unless
                // it is the 1 that marks it.
                29 if delta == 0 => return None,
                0 | 29 => {
                    let Some(length) = word().and_then(|length| usize::try_from(length).ok()) else {
                        return Some(Found::Nonsense);
                    };
                    let next =
                        length.checked_next_multiple_of(4).and_then(|length| length.checked_add(self.at + 4));
                    let Some(next) = next.filter(|_| length >= 4) else { return Some(Found::Nonsense) };
                    (kind == 0, next)
                }
                30 | 31 => {
                    let Some(high) = word() else { return Some(Found::Nonsense) };
                    let time = u64::from(high) << 27 | delta;
                    if kind == 30 {
                        self.ts = self.ts.wrapping_add(time);
                    } else {
                        // As the kernel mends it (`rb_fix_abs_ts`).
                        let above = self.ts >> STAMP_BITS << STAMP_BITS;
                        let stamp = time & ((1 << STAMP_BITS) - 1) | above;
                        let over = above != 0 && stamp < self.ts;
                        self.ts = stamp.wrapping_add(if over { 1 << STAMP_BITS } else { 0 });
                    }
                    self.at += 8;
                    continue;
                }
                _ => unreachable!("five bits"),
            };
            if next > self.end {
                return Some(Found::Nonsense);
            }
            if data || delta != 1 {
                self.ts = self.ts.wrapping_add(delta);
            }
            let from = self.at + if kind == 0 { 8 } else { 4 };
            self.at = next;
            if data {
                return Some(Found::Record(self.ts, from..next));
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A page as the kernel would write it, in either order.
    fn page(order: Order, commit_bytes: usize, commit: u64, words: &[u32]) -> Vec<u8> {
        let bytes = |n: u64, size: usize| match order {
            Order::Little => n.to_le_bytes()[..size].to_vec(),
            Order::Big => n.to_be_bytes()[8 - size..].to_vec(),
        };
        let mut page = bytes(1_000_000, 8);
        page.extend(bytes(commit | (words.len() as u64 * 4), commit_bytes));
        for &word in words {
            page.extend(bytes(u64::from(word), 4));
        }
        page
    }

    fn head(order: Order, kind: u32, delta: u32) -> u32 {
        if order == Order::Little { kind | delta << 5 } else { kind << 27 | delta }
    }

    #[test]
    fn times_add_up_and_data_is_found() {
        for (order, commit_bytes) in
            [(Order::Little, 8), (Order::Big, 8), (Order::Little, 4), (Order::Big, 4)]
        {
            let head = |kind, delta| head(order, kind, delta);
            let words = [
                head(2, 0),
                7,
                8, // two words
                head(30, 5),
                1, // a jump of 2^27 + 5
                head(1, 10),
                9, // one word
                head(29, 20),
                8,
                0, // thrown away: 4 bytes of length, 4 of data
                head(0, 1),
                8,
                11, // a length of its own: 4 with itself, 4 of data
                head(31, 3),
                1, // an absolute stamp of 2^27 + 3, behind
                head(29, 0),
                0, // nothing any more
            ];
            let bytes = page(order, commit_bytes, 0, &words);
            let layout = PageLayout { order, commit_bytes };
            let mut page = Page::open(&bytes, layout).unwrap();
            let mut found = Vec::new();
            while let Some(record) = page.next(&bytes) {
                let Found::Record(ts, range) = record else { panic!("nonsense") };
                found.push((ts, order.u32(&bytes, range.start).unwrap(), range.len()));
            }
            let second = 1_000_000 + (1 << 27) + 5 + 10;
            assert_eq!(found, [(1_000_000, 7, 8), (second, 9, 4), (second + 21, 11, 4)]);
            assert_eq!(page.missed, Missed::Nothing);
        }
    }

    #[test]
    fn missing_events_are_told_with_their_number_where_it_is_stored() {
        let layout = PageLayout { order: Order::Little, commit_bytes: 8 };
        let mut bytes = page(Order::Little, 8, MISSED | MISSED_STORED, &[1, 5]);
        bytes.extend(42u64.to_le_bytes());
        assert_eq!(Page::open(&bytes, layout).unwrap().missed, Missed::Events(42));
        let bytes = page(Order::Little, 8, MISSED, &[1, 5]);
        assert_eq!(Page::open(&bytes, layout).unwrap().missed, Missed::Something);
    }

    #[test]
    fn what_does_not_fit_makes_no_sense() {
        let layout = PageLayout { order: Order::Little, commit_bytes: 8 };
        for words in
            [vec![28, 5], vec![0, u32::MAX], vec![0, 3], vec![0], vec![30], vec![0x1d | 0x20, u32::MAX - 3]]
        {
            let bytes = page(Order::Little, 8, 0, &words);
            let mut page = Page::open(&bytes, layout).unwrap();
            assert_eq!(page.next(&bytes), Some(Found::Nonsense), "{words:?}");
        }
        assert_eq!(Page::open(&page(Order::Little, 8, 4000, &[]), layout), None);
    }
}
