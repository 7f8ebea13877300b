//! Streams of one CPU each, merged into one by time.

use super::ReadError;
use crate::event::Event;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Merges lanes whose events are in order by (`ts_ns`, `seq`, `cpu`). Memory: one event a lane.
///
/// A lane that fails is over; its error is held back until the others are read to their ends, so that what
/// was whole is kept. A lane that goes back in time is given as it stands, which the normaliser counts.
pub(super) struct Merge<L> {
    lanes: Vec<L>,
    heads: Vec<Option<Event>>,
    order: BinaryHeap<Reverse<(u64, u64, u32, usize)>>,
    failed: Option<ReadError>,
}

impl<L: Iterator<Item = Result<Event, ReadError>>> Merge<L> {
    /// Over these lanes; the first event of each is read at once.
    pub(super) fn new(lanes: impl IntoIterator<Item = L>) -> Self {
        let lanes: Vec<L> = lanes.into_iter().collect();
        let mut merge = Self {
            heads: lanes.iter().map(|_| None).collect(),
            order: BinaryHeap::with_capacity(lanes.len()),
            lanes,
            failed: None,
        };
        for lane in 0..merge.lanes.len() {
            merge.advance(lane);
        }
        merge
    }

    fn advance(&mut self, lane: usize) {
        match self.lanes[lane].next() {
            Some(Ok(event)) => {
                self.order.push(Reverse((event.ts_ns, event.seq, event.cpu, lane)));
                self.heads[lane] = Some(event);
            }
            Some(Err(error)) => {
                self.failed.get_or_insert(error);
            }
            None => {}
        }
    }
}

impl<L: Iterator<Item = Result<Event, ReadError>>> Iterator for Merge<L> {
    type Item = Result<Event, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        let Some(Reverse((.., lane))) = self.order.pop() else {
            return self.failed.take().map(Err);
        };
        let event = self.heads[lane].take();
        self.advance(lane);
        event.map(Ok)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Kind;
    use crate::reader::Place;
    use proptest::prelude::*;

    fn event(ts_ns: u64, cpu: u32, seq: u64) -> Event {
        Event { ts_ns, cpu, seq, kind: Kind::Online }
    }

    proptest! {
        #[test]
        fn it_is_what_sorting_gives(lanes in prop::collection::vec(prop::collection::vec(0u64..50, 0..40), 0..6)) {
            let lanes: Vec<Vec<Event>> = (0..).zip(lanes).map(|(cpu, mut times)| {
                times.sort_unstable();
                (0..).zip(times).map(|(seq, ts)| event(ts, cpu, seq)).collect()
            }).collect();
            let mut sorted: Vec<Event> = lanes.iter().flatten().cloned().collect();
            sorted.sort_by_key(|e| (e.ts_ns, e.seq, e.cpu));
            let merged: Vec<Event> = Merge::new(lanes.into_iter().map(|l| l.into_iter().map(Ok))).map(Result::unwrap).collect();
            prop_assert_eq!(merged, sorted);
        }
    }

    #[test]
    fn an_error_waits_until_the_other_lanes_are_read() {
        let broken = || ReadError::CutOff { format: "test", at: Place::Byte(7), what: "a page".into() };
        let lanes =
            vec![vec![Ok(event(1, 0, 0)), Err(broken())], vec![Ok(event(2, 1, 0)), Ok(event(3, 1, 1))]];
        let mut merged = Merge::new(lanes.into_iter().map(IntoIterator::into_iter));
        let times: Vec<u64> = merged.by_ref().map_while(Result::ok).map(|e| e.ts_ns).collect();
        assert_eq!(times, [1, 2, 3]);
        assert!(merged.next().is_none());
    }
}
