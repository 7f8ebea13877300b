//! The events that perf was told to record, and how their samples are laid out (`struct perf_event_attr`,
//! `perf_event_open(2)`).

use crate::reader::format_order::Order;

const IP: u64 = 1;
const TID: u64 = 1 << 1;
const TIME: u64 = 1 << 2;
const ADDR: u64 = 1 << 3;
const READ: u64 = 1 << 4;
const CALLCHAIN: u64 = 1 << 5;
const ID: u64 = 1 << 6;
const CPU: u64 = 1 << 7;
const PERIOD: u64 = 1 << 8;
const STREAM_ID: u64 = 1 << 9;
const RAW: u64 = 1 << 10;
const IDENTIFIER: u64 = 1 << 16;

/// The smallest attribute, of the first kernel that had them.
const SMALLEST: usize = 64;

/// What is needed of one attribute.
#[derive(Clone, Debug)]
pub(super) struct Attribute {
    /// The tracepoint's number, if it is one.
    pub(super) tracepoint: Option<u16>,
    /// The clock it was told to use.
    pub(super) clock: Option<i32>,
    /// It records births and ends of tasks.
    pub(super) task: bool,
    /// It begins when the command that perf starts is executed: it is about that command.
    pub(super) of_command: bool,
    /// The layout of its samples.
    pub(super) layout: SampleLayout,
}

impl Attribute {
    /// From its bytes; `None` where they are too few.
    pub(super) fn read(bytes: &[u8], order: Order) -> Option<Self> {
        if bytes.len() < SMALLEST {
            return None;
        }
        let flags = order.u64(bytes, 40)?;
        // A C bitfield begins at the most significant bit where the byte order does.
        let flag = |bit: u32| flags >> (if order == Order::Little { bit } else { 63 - bit }) & 1 == 1;
        let tracepoint = (order.u32(bytes, 0)? == 2).then(|| order.u64(bytes, 8));
        let clock = if flag(25) { order.u32(bytes, 92).map(u32::cast_signed) } else { None };
        let layout = SampleLayout::new(order.u64(bytes, 24)?, order.u64(bytes, 32)?, flag(18));
        let tracepoint = tracepoint.flatten().and_then(|id| u16::try_from(id).ok());
        Some(Self { tracepoint, clock, task: flag(13), of_command: flag(12), layout })
    }
}

/// Where the fields of a sample lie, from the begin of its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SampleLayout {
    kind: u64,
    read_format: u64,
    tid: Option<usize>,
    time: Option<usize>,
    id: Option<usize>,
    cpu: Option<usize>,
    /// Where the fields end whose place is fixed.
    fixed: usize,
    /// Other records end with some of the fields.
    sample_id_all: bool,
}

/// What a sample or the end of another record says about itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Stamp {
    /// Process and thread.
    pub(super) ids: Option<(u32, u32)>,
    /// When.
    pub(super) ts_ns: Option<u64>,
    /// Where.
    pub(super) cpu: Option<u32>,
}

impl SampleLayout {
    fn new(kind: u64, read_format: u64, sample_id_all: bool) -> Self {
        let mut at = 0;
        let mut place = |bit| {
            let here = (kind & bit != 0).then_some(at);
            at += if here.is_some() { 8 } else { 0 };
            here
        };
        let identifier = place(IDENTIFIER);
        place(IP);
        let (tid, time) = (place(TID), place(TIME));
        place(ADDR);
        let id = place(ID);
        place(STREAM_ID);
        let cpu = place(CPU);
        place(PERIOD);
        Self { kind, read_format, tid, time, id: identifier.or(id), cpu, fixed: at, sample_id_all }
    }

    /// Samples are told apart at a place that all layouts share.
    pub(super) fn id_at(&self) -> Option<usize> {
        self.id
    }

    /// Samples tell when and where, and carry the tracepoint's bytes.
    pub(super) fn is_enough(&self) -> bool {
        self.time.is_some() && self.cpu.is_some() && self.kind & RAW != 0
    }

    /// The stamp and the tracepoint's bytes of a sample; `None` where it is cut.
    #[inline]
    pub(super) fn sample<'a>(&self, body: &'a [u8], order: Order) -> Option<(Stamp, &'a [u8])> {
        let mut at = self.fixed;
        if self.kind & READ != 0 {
            let one =
                1 + u64::from((self.read_format & 4).count_ones() + (self.read_format & 16).count_ones());
            let times = u64::from((self.read_format & 3).count_ones());
            let words = if self.read_format & 8 == 0 {
                one + times
            } else {
                order.u64(body, at)?.checked_mul(one)?.checked_add(1 + times)?
            };
            at = at.checked_add(usize::try_from(words.checked_mul(8)?).ok()?)?;
        }
        if self.kind & CALLCHAIN != 0 {
            let words = order.u64(body, at)?.checked_add(1)?;
            at = at.checked_add(usize::try_from(words.checked_mul(8)?).ok()?)?;
        }
        let raw: &[u8] = if self.kind & RAW == 0 {
            &[]
        } else {
            let size = usize::try_from(order.u32(body, at)?).ok()?;
            body.get(at + 4..(at + 4).checked_add(size)?)?
        };
        let pair = |at: Option<usize>| at.map(|at| Some((order.u32(body, at)?, order.u32(body, at + 4)?)));
        let ids = match pair(self.tid) {
            Some(ids) => Some(ids?),
            None => None,
        };
        let ts_ns = match self.time {
            Some(at) => Some(order.u64(body, at)?),
            None => None,
        };
        let cpu = match self.cpu {
            Some(at) => Some(order.u32(body, at)?),
            None => None,
        };
        Some((Stamp { ids, ts_ns, cpu }, raw))
    }

    /// The id at the end of a record that is no sample, where it stands there.
    pub(super) fn trailing_id(&self, body: &[u8], order: Order) -> Option<u64> {
        if !self.sample_id_all || self.kind & IDENTIFIER == 0 {
            return None;
        }
        order.u64(body, body.len().checked_sub(8)?)
    }

    /// What stands at the end of a record that is no sample; empty where nothing does.
    pub(super) fn trailer(&self, body: &[u8], order: Order) -> Stamp {
        let mut stamp = Stamp::default();
        if !self.sample_id_all {
            return stamp;
        }
        let mut end = body.len();
        for bit in [IDENTIFIER, CPU, STREAM_ID, ID, TIME, TID] {
            if self.kind & bit == 0 {
                continue;
            }
            let Some(at) = end.checked_sub(8) else { return Stamp::default() };
            end = at;
            match bit {
                CPU => stamp.cpu = order.u32(body, at),
                TIME => stamp.ts_ns = order.u64(body, at),
                TID => stamp.ids = order.u32(body, at).zip(order.u32(body, at + 4)),
                _ => {}
            }
        }
        stamp
    }
}
