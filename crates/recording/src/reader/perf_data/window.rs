//! Puts records in order. perf empties one ring of a CPU after the other; after each pass over all of them it writes `FINISHED_ROUND`,
//! and what was in the pass before it is complete then, because a pass meets all that was written before it began.

use std::collections::VecDeque;

/// What kind of record is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kept {
    /// The bytes of a tracepoint.
    Tracepoint,
    /// `PERF_RECORD_LOST`.
    Lost,
    /// `PERF_RECORD_COMM`; at an `exec` or not.
    Comm {
        /// It is one.
        exec: bool,
    },
    /// `PERF_RECORD_FORK`.
    Fork,
    /// `PERF_RECORD_EXIT`.
    Exit,
}

/// A record that waits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Waiting {
    pub(super) ts_ns: u64,
    pub(super) cpu: u32,
    /// Which in the file.
    number: u64,
    /// Process and thread that perf noted, where it did.
    pub(super) ids: Option<(u32, u32)>,
    pub(super) kept: Kept,
    /// Offset in the file.
    pub(super) at: u64,
    from: usize,
    length: u32,
}

/// How many bytes wait at most. Rounds are much smaller; a recording without rounds is given in pieces of half of this, which the
/// normaliser notes where they overlap.
const MOST: usize = 256 << 20;

/// The records that wait until all before them are there.
#[derive(Default)]
pub(super) struct Window {
    waiting: VecDeque<Waiting>,
    /// How many at the front are complete.
    ready: usize,
    bytes: Vec<u8>,
    numbers: u64,
    latest_ns: u64,
    /// Latest instant of the rounds before this one.
    complete_ns: Option<u64>,
}

impl Window {
    /// Keeps a record. Only while none is ready.
    pub(super) fn push(
        &mut self,
        (ts_ns, cpu): (u64, u32),
        ids: Option<(u32, u32)>,
        (kept, at): (Kept, u64),
        bytes: &[u8],
    ) {
        let from = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        self.latest_ns = self.latest_ns.max(ts_ns);
        // A record has 65,535 bytes at most.
        let length = u32::try_from(bytes.len()).unwrap_or_default();
        let number = self.numbers;
        self.numbers += 1;
        self.waiting.push_back(Waiting { ts_ns, cpu, number, ids, kept, at, from, length });
    }

    /// The bytes of a record that was just taken.
    pub(super) fn bytes(&self, of: &Waiting) -> &[u8] {
        &self.bytes[of.from..of.from + of.length as usize]
    }

    /// Takes the next record that is complete.
    pub(super) fn pop(&mut self) -> Option<Waiting> {
        if self.ready == 0 {
            return None;
        }
        self.ready -= 1;
        self.waiting.pop_front()
    }

    /// A round is finished.
    pub(super) fn finish_round(&mut self) {
        if let Some(complete_ns) = self.complete_ns.replace(self.latest_ns) {
            self.sort();
            self.ready = self.waiting.partition_point(|waiting| waiting.ts_ns <= complete_ns);
        }
    }

    /// Nothing comes any more.
    pub(super) fn finish(&mut self) {
        self.sort();
        self.ready = self.waiting.len();
    }

    /// Makes the older half ready if too much waits, and says so.
    pub(super) fn limit(&mut self) -> bool {
        let exceeds = self.bytes.len() + self.waiting.len() * size_of::<Waiting>() > MOST;
        if exceeds {
            self.sort();
            self.ready = self.waiting.len().div_ceil(2);
        }
        exceeds
    }

    /// Sorts by time, CPU and place in the file.
    fn sort(&mut self) {
        let waiting = self.waiting.make_contiguous();
        waiting.sort_unstable_by_key(|waiting| (waiting.ts_ns, waiting.cpu, waiting.number));
    }

    /// Forgets the bytes of records that were taken. Only while none is ready.
    pub(super) fn forget(&mut self) {
        if self.bytes.is_empty() {
            return;
        }
        let mut bytes = Vec::with_capacity(self.waiting.iter().map(|waiting| waiting.length as usize).sum());
        for waiting in &mut self.waiting {
            let from = bytes.len();
            bytes.extend_from_slice(&self.bytes[waiting.from..waiting.from + waiting.length as usize]);
            waiting.from = from;
        }
        self.bytes = bytes;
    }
}
