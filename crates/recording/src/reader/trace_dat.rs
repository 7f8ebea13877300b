//! trace.dat: what `trace-cmd record` and `trace-cmd extract` write, of version 6 and 7, plain or compressed
//! with zstd or zlib.
//!
//! Each CPU's pages of the kernel's ring buffer are in order by themselves, and are merged by time here.
//!
//! **Instances.** A file holds several ring buffers, of the top and of instances. An event of a kind is taken
//! from one of them only: the first that has it. Two instances that record the same would tell everything
//! twice.
//!
//! **Losses.** A page says that events are missing before it, often how many. What was overwritten before
//! trace-cmd came is known from the CPU's statistics alone: it is told where the first page has the mark,
//! else at the end, once.
//!
//! **What was enabled** does not stand in the file. [`Capabilities`](crate::capabilities::Capabilities) holds
//! what is met in the first events of each CPU. The times of a guest are its own: `TIME_SHIFT` is not
//! applied.

mod head;
mod lane;
mod options;
mod packing;

use super::error::{Damage, Place, ReadError};
use super::format_sched::{Decoders, Which};
use super::ftrace_page::PageLayout;
use super::{Input, Reader};
use crate::capabilities::{Header, LossTold};
use crate::event::{Event, Kind};
use head::{FORMAT, Head};
use lane::{Lane, Step};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

/// How many records of each CPU are looked at to learn what was enabled.
const PEEK: usize = 4096;

/// Reader of trace.dat.
pub struct TraceDat {
    input: Box<dyn Input>,
    header: Header,
    decoders: Decoders,
    lanes: Vec<Lane>,
    /// What each lane gives next.
    steps: Vec<Option<Step>>,
    heap: BinaryHeap<Reverse<(u64, u32, usize)>>,
    /// Of each kind of event, which instance tells it.
    owners: Owners,
    clock: Clock,
    /// Of each lane, events that its statistics say were lost and that no page told; and the time of its
    /// first event.
    untold: Vec<u64>,
    begun: Vec<Option<u64>>,
    numbers: BTreeMap<u32, u64>,
    bytes: u64,
    damage: Damage,
    error: Option<ReadError>,
}

/// From the kernel's times to ours.
struct Clock {
    cycles: Option<(u32, u32)>,
    offset_ns: i64,
}

impl Clock {
    #[allow(clippy::cast_possible_truncation)] // as the kernel's `mul_u64_u32_shr`
    fn ns(&self, ts: u64) -> u64 {
        let ns = match self.cycles {
            Some((factor, shift)) => ((u128::from(ts) * u128::from(factor)) >> shift) as u64,
            None => ts,
        };
        ns.wrapping_add_signed(self.offset_ns)
    }
}

/// Which instance tells a kind of event.
#[derive(Default)]
struct Owners(Vec<(Which, String)>);

impl Owners {
    /// Whether events of this kind are taken from this instance; the first that asks has it.
    fn takes(&mut self, which: Which, buffer: &str) -> bool {
        if let Some(owner) = self.0.iter().find(|owner| owner.0 == which) {
            return owner.1 == buffer;
        }
        self.0.push((which, buffer.to_owned()));
        true
    }

    /// Whether this instance tells anything.
    fn has(&self, buffer: &str) -> bool {
        self.0.iter().any(|owner| owner.1 == buffer)
    }
}

impl TraceDat {
    /// Opens a recording: reads its head and looks at the first events of each CPU.
    ///
    /// # Errors
    /// [`ReadError`] where the head makes no sense, or the recording holds no scheduling events.
    pub fn open(mut input: Box<dyn Input>) -> Result<Self, ReadError> {
        let head = Head::read(&mut input)?;
        let unsupported = |what: String| ReadError::Unsupported {
            format: FORMAT,
            what,
            advice: "record again with `trace-cmd record -e sched`".to_owned(),
        };
        let decoders = Decoders::new(&head.formats, head.header.release.as_deref()).map_err(unsupported)?;
        let layout = PageLayout { order: head.formats.order, commit_bytes: head.formats.commit_bytes };
        let count = head.lanes.len();
        let open = |place: &head::Place| Lane::new(place.clone(), layout, head.packing, (head.length, count));
        let mut header = head.header;
        let mut owners = Owners::default();
        for place in &head.lanes {
            let mut lane = open(place)?;
            peek(&mut lane, &mut input, &decoders, &mut header, &mut owners)?;
        }
        if owners.0.is_empty() {
            return Err(unsupported("none of the scheduler's events is among its first".to_owned()));
        }
        header.can.loss = if head.options.lost.is_empty() { LossTold::Flagged } else { LossTold::Counted };
        header.can.resolution_ns = 1;
        let lanes = head.lanes.iter().map(open).collect::<Result<Vec<_>, _>>()?;
        let untold = lanes.iter().map(|lane| head.options.lost(&lane.buffer, lane.cpu)).collect();
        let mut reader = Self {
            input,
            header,
            decoders,
            steps: lanes.iter().map(|_| None).collect(),
            heap: BinaryHeap::new(),
            owners,
            clock: Clock { cycles: head.options.cycles, offset_ns: head.options.offset_ns },
            untold,
            begun: vec![None; lanes.len()],
            bytes: lanes.iter().map(Lane::left).sum(),
            lanes,
            numbers: BTreeMap::new(),
            damage: Damage::default(),
            error: None,
        };
        for lane in 0..reader.lanes.len() {
            reader.advance(lane)?;
        }
        Ok(reader)
    }

    /// Looks for what a lane gives next. At its end, what it does not have is told.
    fn advance(&mut self, index: usize) -> Result<(), ReadError> {
        let lane = &mut self.lanes[index];
        let decoders = &self.decoders;
        let wanted = |record: &[u8]| decoders.id(record).and_then(|id| decoders.which(id)).is_some();
        let mut step = lane.step(&mut self.input, &mut self.damage, wanted)?;
        if step.is_none() {
            let ts = lane.last();
            if let (Some(ts), Some(cut)) = (ts, lane.cut.take()) {
                self.error.get_or_insert(cut);
                step = Some(Step::Missed { ts, count: None });
            } else if let (Some(ts), lost @ 1..) = (ts, std::mem::take(&mut self.untold[index])) {
                step = Some(Step::Missed { ts, count: Some(lost) });
            }
        }
        if let Some(Step::Record { ts, .. } | Step::Missed { ts, .. }) = step {
            self.heap.push(Reverse((self.clock.ns(ts), lane.cpu, index)));
        }
        self.steps[index] = step;
        Ok(())
    }

    /// What a lane's step says; nothing where another instance tells it.
    fn kind(&mut self, index: usize, step: &Step, ts_ns: u64) -> Option<Kind> {
        let lane = &self.lanes[index];
        let begun = self.begun[index];
        self.begun[index].get_or_insert(ts_ns);
        match step {
            Step::Record { bytes, .. } => {
                let record = lane.record(bytes);
                let which = self.decoders.which(self.decoders.id(record)?)?;
                if !self.owners.takes(which, &lane.buffer) {
                    return None;
                }
                match self.decoders.decode(record, |pid| (pid == 0).then_some(0)) {
                    Ok(kind) => Some(kind),
                    Err(field) => {
                        let what = format!("an event whose field for {field} is cut or holds nonsense");
                        self.damage.add(Place::Byte(lane.at()), what);
                        None
                    }
                }
            }
            Step::Missed { count, .. } => {
                let untold = &mut self.untold[index];
                let count = match count {
                    Some(count) => {
                        *untold = untold.saturating_sub(*count);
                        Some(*count)
                    }
                    None if begun.is_none() && *untold > 0 => Some(std::mem::take(untold)),
                    None => None,
                };
                let loss = Kind::Loss { of_cpu: Some(lane.cpu), count, from_ns: None };
                self.owners.has(&lane.buffer).then_some(loss)
            }
        }
    }
}

/// Learns from a lane's first events what was enabled.
fn peek(
    lane: &mut Lane,
    input: &mut Box<dyn Input>,
    decoders: &Decoders,
    header: &mut Header,
    owners: &mut Owners,
) -> Result<(), ReadError> {
    let buffer = lane.buffer.clone();
    let mut left = PEEK;
    while left > 0 {
        left -= 1;
        // What is damaged is counted when it is read for good.
        match lane.step(input, &mut Damage::default(), |_| true)? {
            None => break,
            Some(Step::Missed { .. }) => {}
            Some(Step::Record { bytes, .. }) => {
                let record = lane.record(&bytes);
                if let Some(which) = decoders.id(record).and_then(|id| decoders.which(id)) {
                    Decoders::tells(which, &mut header.can);
                    owners.takes(which, &buffer);
                }
            }
        }
    }
    Ok(())
}

impl Reader for TraceDat {
    fn header(&self) -> &Header {
        &self.header
    }

    fn next_event(&mut self) -> Result<Option<Event>, ReadError> {
        while let Some(Reverse((ts_ns, cpu, index))) = self.heap.pop() {
            let step = self.steps[index].take();
            let kind = step.and_then(|step| self.kind(index, &step, ts_ns));
            if let Err(error) = self.advance(index) {
                self.heap.clear();
                self.error = Some(error);
            }
            if let Some(kind) = kind {
                let number = self.numbers.entry(cpu).or_default();
                let seq = *number;
                *number += 1;
                return Ok(Some(Event { ts_ns, cpu, seq, kind }));
            }
        }
        self.error.take().map_or(Ok(None), Err)
    }

    /// Where pages are not compressed, those before `ts_ns` are not read.
    fn skip_to(&mut self, ts_ns: u64) -> Result<(), ReadError> {
        for index in 0..self.lanes.len() {
            if self.lanes[index].skip_to(&mut self.input, |ts| self.clock.ns(ts) < ts_ns)? {
                self.heap.retain(|Reverse((_, _, lane))| *lane != index);
                self.advance(index)?;
            }
        }
        Ok(())
    }

    fn progress(&self) -> (u64, u64) {
        let left: u64 = self.lanes.iter().map(Lane::left).sum();
        (self.bytes - left.min(self.bytes), self.bytes)
    }

    fn damage(&self) -> &Damage {
        &self.damage
    }
}
