//! Puts records in order. perf empties one ring of a CPU after the other; after each pass over all of them it
//! writes `FINISHED_ROUND`, and what was in the pass before it is complete then, because a pass meets all
//! that was written before it began.

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
    /// Offset in the file.
    pub(super) at: u64,
    pub(super) cpu: u32,
    /// Process and thread that perf noted; [`NOBODY`] where it did not.
    ids: (u32, u32),
    pub(super) kept: Kept,
    /// Which heap its bytes are in, and where.
    heap: u32,
    from: u32,
    length: u16,
}

/// No process and no thread: that of a task which ends is −1 and has another process.
const NOBODY: (u32, u32) = (u32::MAX - 1, u32::MAX - 1);

impl Waiting {
    /// Process and thread that perf noted, where it did.
    pub(super) fn ids(&self) -> Option<(u32, u32)> {
        (self.ids != NOBODY).then_some(self.ids)
    }
}

/// How many bytes wait at most. Rounds are much smaller; a recording without rounds is given in pieces of
/// half of this, which the normaliser notes where they overlap.
const MOST: usize = 256 << 20;

/// The bytes of the records of a round.
#[derive(Default)]
struct Heap {
    bytes: Vec<u8>,
    /// How many of its records still wait.
    waiting: usize,
}

/// The records that wait until all before them are there.
#[derive(Default)]
pub(super) struct Window {
    waiting: VecDeque<Waiting>,
    /// How many at the front are complete.
    ready: usize,
    /// The round that is being filled is the last; the first has this number.
    heaps: VecDeque<Heap>,
    first: u32,
    bytes: usize,
    /// Memory of a heap that is no longer needed.
    spare: Vec<u8>,
    latest_ns: u64,
    /// Latest instant of the rounds before this one.
    complete_ns: Option<u64>,
}

/// A heap has no more, so that places in it fit: records have 65,535 bytes at most.
const FULL: usize = 64 << 20;

impl Window {
    /// Keeps a record. Only while none is ready.
    #[inline]
    pub(super) fn push(
        &mut self,
        (ts_ns, cpu): (u64, u32),
        ids: Option<(u32, u32)>,
        (kept, at): (Kept, u64),
        bytes: &[u8],
    ) {
        if self.heaps.back().is_none_or(|heap| heap.bytes.len() > FULL) {
            self.begin_heap();
        }
        let heap =
            self.first.wrapping_add(u32::try_from(self.heaps.len()).unwrap_or_default().wrapping_sub(1));
        let Some(last) = self.heaps.back_mut() else { return };
        let (Ok(from), Ok(length)) = (u32::try_from(last.bytes.len()), u16::try_from(bytes.len())) else {
            return;
        };
        last.bytes.extend_from_slice(bytes);
        last.waiting += 1;
        self.bytes += bytes.len();
        self.latest_ns = self.latest_ns.max(ts_ns);
        let ids = ids.unwrap_or(NOBODY);
        self.waiting.push_back(Waiting { ts_ns, at, cpu, ids, kept, heap, from, length });
    }

    fn begin_heap(&mut self) {
        self.heaps.push_back(Heap { bytes: std::mem::take(&mut self.spare), waiting: 0 });
    }

    /// The bytes of a record that was just taken.
    pub(super) fn bytes(&self, of: &Waiting) -> &[u8] {
        let heap = self.heaps.get(of.heap.wrapping_sub(self.first) as usize);
        heap.map_or(&[], |heap| &heap.bytes[of.from as usize..][..usize::from(of.length)])
    }

    /// Takes the next record that is complete.
    pub(super) fn pop(&mut self) -> Option<Waiting> {
        if self.ready == 0 {
            return None;
        }
        self.ready -= 1;
        let waiting = self.waiting.pop_front()?;
        if let Some(heap) = self.heaps.get_mut(waiting.heap.wrapping_sub(self.first) as usize) {
            heap.waiting -= 1;
        }
        Some(waiting)
    }

    /// A round is finished.
    pub(super) fn finish_round(&mut self) {
        if self.heaps.back().is_some_and(|heap| heap.waiting > 0) {
            self.begin_heap();
        }
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
        let exceeds = self.bytes + self.waiting.len() * size_of::<Waiting>() > MOST;
        if exceeds {
            self.sort();
            self.ready = self.waiting.len().div_ceil(2);
        }
        exceeds
    }

    /// Sorts by time, CPU and place in the file. The stable sort keeps the last and is quick where each CPU's
    /// are in order already.
    fn sort(&mut self) {
        self.waiting.make_contiguous().sort_by_key(|waiting| (waiting.ts_ns, waiting.cpu));
    }

    /// Forgets the bytes of rounds whose records were all taken.
    pub(super) fn forget(&mut self) {
        while self.heaps.front().is_some_and(|heap| heap.waiting == 0) {
            if let Some(heap) = self.heaps.pop_front() {
                self.bytes -= heap.bytes.len();
                self.first = self.first.wrapping_add(1);
                self.spare = heap.bytes;
                self.spare.clear();
            }
        }
    }
}
