//! perf.data: what `perf record`, `perf sched record` and `perf record -o -` write.
//!
//! The records are walked here and not by the crate `linux-perf-data`: that one has no event formats, reads
//! no pipe whose tracing data lie outside their record, and keeps every record whole, where of a scheduling
//! event the tracepoint's 30 to 70 bytes are enough.
//!
//! **Losses** are told twice. `LOST` says how many, on which CPU, at the next write that succeeded: they give
//! the places. `LOST_SAMPLES`, at the end, counts the same per event: what it has above the sum of the others
//! is given once, without a place.
//!
//! **Births, ends, names** come from the tracepoints where those were recorded, else from perf's own records.
//! These tell the process of each thread in any case. What they say of the time before the first sample is
//! from before the recording: perf lets them begin while it looks at who is there already, and the others
//! when that is done.

mod attribute;
mod command_line;
mod head;
mod processes;
mod records;
mod window;

use super::error::{Damage, Place, ReadError};
use super::format_order::Order;
use super::format_sched::{Decoders, Which};
use super::{Input, Reader};
use crate::capabilities::Header;
use crate::event::{Event, Kind, Task};
use attribute::Stamp;
use head::{Head, Layouts};
use processes::Processes;
use records::{COMPRESSED, COMPRESSED2, Record, Records, damaged};
use std::io::{Seek, SeekFrom};
use window::{Kept, Waiting, Window};

/// Kinds of records, `PERF_RECORD_*`.
mod kind {
    pub(super) const LOST: u32 = 2;
    pub(super) const COMM: u32 = 3;
    pub(super) const EXIT: u32 = 4;
    pub(super) const FORK: u32 = 7;
    pub(super) const SAMPLE: u32 = 9;
    pub(super) const LOST_SAMPLES: u32 = 13;
    pub(super) const HEADER_ATTR: u32 = 64;
    pub(super) const HEADER_TRACING_DATA: u32 = 66;
    pub(super) const FINISHED_ROUND: u32 = 68;
    pub(super) const AUXTRACE: u32 = 71;
    pub(super) const HEADER_FEATURE: u32 = 80;
}

/// `PERF_RECORD_MISC_COMM_EXEC`, and of `LOST_SAMPLES`: a BPF program of perf's own left them out, nothing
/// was lost.
const MISC_COMM_EXEC: u16 = 1 << 13;
const MISC_LOST_BY_BPF: u16 = 1 << 15;

/// No kernel has as many CPUs; `perf_event_open` writes −1 where there is none.
const MOST_CPUS: u32 = 1 << 16;

/// Reader of perf.data.
pub struct PerfData {
    head: Head,
    decoders: Decoders,
    layouts: Layouts,
    records: Records,
    begin: u64,
    length: u64,
    /// A record that was read ahead.
    ahead: Option<Record>,
    window: Window,
    /// Samples before this instant are left out.
    from_ns: u64,
    processes: Processes,
    /// A sample or a loss was given: what perf's own records tell is of the time of the recording.
    has_begun: bool,
    /// perf's own records count threads as the tracepoints do: not so in a PID namespace.
    same_pids: bool,
    /// Which events the tracepoints tell, so that perf's own records need not.
    told: Vec<Which>,
    /// Events given, a CPU.
    numbers: Vec<u64>,
    lost_placed: u64,
    lost_in_all: u64,
    last: (u64, u32),
    damage: Damage,
    end: End,
}

/// How far reading is.
enum End {
    NotYet,
    /// All records are in the window; the error is given when it is empty.
    Records(Option<ReadError>),
    Given,
}

impl PerfData {
    /// Opens a recording: reads its head, of a pipe's output up to the first sample.
    ///
    /// # Errors
    /// [`ReadError`] where the head makes no sense, or the recording holds no scheduling events.
    pub fn open(mut input: Box<dyn Input>) -> Result<Self, ReadError> {
        let length = input.seek(SeekFrom::End(0))?;
        input.seek(SeekFrom::Start(0))?;
        let (mut head, begin, end) = Head::read(&mut input)?;
        input.seek(SeekFrom::Start(begin))?;
        let mut records = Records::new(input, begin, end, head.order);
        let ahead =
            if end.is_none() && begin == 16 { Self::pipe_head(&mut head, &mut records)? } else { None };
        let (decoders, layouts) = head.complete()?;
        let told = head.kinds(&decoders);
        let mut damage = Damage::default();
        if let Some((at, what)) = head.odd.take() {
            damage.add(Place::Byte(at), what);
        }
        Ok(Self {
            head,
            decoders,
            layouts,
            records,
            begin,
            length,
            ahead,
            window: Window::default(),
            from_ns: 0,
            processes: Processes::new(),
            has_begun: false,
            same_pids: true,
            told,
            numbers: Vec::new(),
            lost_placed: 0,
            lost_in_all: 0,
            last: (0, 0),
            damage,
            end: End::NotYet,
        })
    }

    /// Reads the records that make the head of a pipe's output; what comes behind them is given back.
    fn pipe_head(head: &mut Head, records: &mut Records) -> Result<Option<Record>, ReadError> {
        while let Some(record) = records.next()? {
            match record.kind {
                kind::HEADER_ATTR => {
                    let taken = head.take_attribute(records.body(&record));
                    taken.ok_or_else(|| damaged(record.at, "an attribute is cut"))?;
                }
                kind::HEADER_FEATURE => head.take_feature_record(records.body(&record)),
                kind::HEADER_TRACING_DATA => {
                    let length = head.order.u32(records.body(&record), 0);
                    let length = length.ok_or_else(|| damaged(record.at, "tracing data without a size"))?;
                    let at = records.at();
                    let payload = records.take_outside(u64::from(length), "the event formats")?;
                    head.take_tracing_data(payload, at)?;
                }
                // What perf says about its own working, and the tools' index. Tasks that are there already
                // come behind the formats.
                65 | 67 | 69..=79 | 82 if !head.is_complete() => {}
                _ => return Ok(Some(record)),
            }
        }
        Ok(None)
    }

    /// Takes records until some are ready to be given; false at the end.
    fn pump(&mut self) -> Result<bool, ReadError> {
        self.window.forget();
        loop {
            let next = match self.ahead.take() {
                Some(record) => Some(record),
                None => self.records.next()?,
            };
            let Some(record) = next else { return Ok(false) };
            match record.kind {
                kind::SAMPLE => self.take_sample(&record),
                COMPRESSED | COMPRESSED2 => self.records.take_compressed(&record)?,
                kind::FINISHED_ROUND => {
                    self.window.finish_round();
                    return Ok(true);
                }
                kind::LOST | kind::COMM | kind::FORK | kind::EXIT | kind::LOST_SAMPLES => {
                    self.take_other(&record);
                }
                kind::AUXTRACE => {
                    let length = self.head.order.u64(self.records.body(&record), 0).unwrap_or_default();
                    self.pass_over(length)?;
                }
                kind::HEADER_TRACING_DATA => {
                    let length = self.head.order.u32(self.records.body(&record), 0).unwrap_or_default();
                    self.pass_over(u64::from(length))?;
                }
                _ => {}
            }
            if self.window.limit() {
                return Ok(true);
            }
        }
    }

    /// Passes over what lies behind a record and does not count to its size.
    fn pass_over(&mut self, length: u64) -> Result<(), ReadError> {
        let mut left = length;
        while left > 0 {
            let piece = left.min(1 << 16);
            self.records.take_outside(piece, "what lies behind a record")?;
            left -= piece;
        }
        Ok(())
    }

    fn take_sample(&mut self, record: &Record) {
        let (order, at) = (self.head.order, Place::Byte(record.at));
        let body = self.records.body(record);
        let Some(layout) = self.layouts.of_sample(body, order) else {
            return self.damage.add(at, "a sample of an event that the head does not name");
        };
        let Some((stamp, raw)) = layout.sample(body, order) else {
            return self.damage.add(at, "a sample is shorter than its fields");
        };
        if self.decoders.id(raw).and_then(|id| self.decoders.which(id)).is_none() {
            return;
        }
        match (stamp.ts_ns, stamp.cpu) {
            (Some(ts_ns), _) if ts_ns < self.from_ns => {}
            (Some(ts_ns), Some(cpu)) if cpu < MOST_CPUS => {
                self.window.push((ts_ns, cpu), stamp.ids, (Kept::Tracepoint, record.at), raw);
            }
            _ => self.damage.add(at, "a sample that does not tell its time and CPU"),
        }
    }

    /// A record that is no sample. One without a time tells what was before the recording.
    fn take_other(&mut self, record: &Record) {
        let order = self.head.order;
        let body = self.records.body(record);
        let Stamp { ids, ts_ns, cpu } = self.layouts.of_other(body, order).trailer(body, order);
        let kept = match record.kind {
            kind::LOST_SAMPLES => {
                if record.misc & MISC_LOST_BY_BPF == 0 {
                    self.lost_in_all =
                        self.lost_in_all.saturating_add(order.u64(body, 0).unwrap_or_default());
                }
                return;
            }
            kind::LOST => Kept::Lost,
            kind::COMM => Kept::Comm { exec: record.misc & MISC_COMM_EXEC != 0 },
            kind::FORK => Kept::Fork,
            _ => Kept::Exit,
        };
        match (ts_ns, cpu) {
            (Some(ts_ns), Some(cpu)) if ts_ns != 0 && cpu < MOST_CPUS => {
                self.window.push((ts_ns, cpu), ids, (kept, record.at), body);
            }
            _ if kept == Kept::Lost => {
                self.lost_in_all = self.lost_in_all.saturating_add(order.u64(body, 8).unwrap_or_default());
            }
            _ => Self::learn(&mut self.processes, order, kept, body),
        }
    }

    /// Notes the process of the thread that perf's own record is about.
    fn learn(processes: &mut Processes, order: Order, kept: Kept, body: &[u8]) {
        let thread_at = if matches!(kept, Kept::Comm { .. }) { 4 } else { 8 };
        if let (Some(process), Some(thread), true) =
            (order.u32(body, 0), order.u32(body, thread_at), kept != Kept::Lost)
        {
            processes.set(thread, process);
        }
    }

    /// What a record says; nothing where it told something for later only.
    fn event(&mut self, waiting: &Waiting) -> Option<Kind> {
        let order = self.head.order;
        let body = self.window.bytes(waiting);
        self.has_begun |= matches!(waiting.kept, Kept::Tracepoint | Kept::Lost);
        if waiting.kept == Kept::Tracepoint {
            if let Some((process, thread)) = waiting.ids() {
                let current = self.decoders.current(body);
                if current.is_some_and(|pid| pid == thread) {
                    self.processes.set(thread, process);
                } else if thread != u32::MAX && self.same_pids {
                    // A task that ends has thread −1. Else the tracepoint counts in another PID namespace
                    // than perf.
                    self.same_pids = false;
                    self.processes = Processes::new();
                }
            }
            let processes = &self.processes;
            return match self.decoders.decode(body, |pid| processes.get(pid)) {
                Ok(kind) => Some(kind),
                Err(field) => {
                    let what = format!("an event whose field for {field} is cut or holds nonsense");
                    self.damage.add(Place::Byte(waiting.at), what);
                    None
                }
            };
        }
        if waiting.kept == Kept::Lost {
            let count = order.u64(body, 8)?;
            self.lost_placed = self.lost_placed.saturating_add(count);
            return Some(Kind::Loss { of_cpu: Some(waiting.cpu), count: Some(count), from_ns: None });
        }
        if !self.same_pids {
            return None;
        }
        Self::learn(&mut self.processes, order, waiting.kept, body);
        if !self.has_begun {
            return None;
        }
        let task = |process: usize, thread: usize, comm: &[u8]| {
            let tgid = order.u32(body, process);
            Some(Task { pid: order.u32(body, thread)?, tgid, comm: comm.into(), prio: None })
        };
        match waiting.kept {
            Kept::Comm { exec } => {
                let name = body.get(8..)?;
                let end = name.iter().position(|&byte| byte == 0).unwrap_or(0).min(15);
                let task = task(0, 4, &name[..end])?;
                if exec && !self.told.contains(&Which::Exec) {
                    let kind = Kind::Exec { old_pid: task.pid, task };
                    return Some(kind);
                }
                (!self.told.contains(&Which::Rename)).then_some(Kind::Rename { task })
            }
            Kept::Fork if !self.told.contains(&Which::Fork) => {
                Some(Kind::Fork { parent: task(4, 12, b"")?, child: task(0, 8, b"")? })
            }
            Kept::Exit if !self.told.contains(&Which::Exit) => Some(Kind::Exit { task: task(0, 8, b"")? }),
            _ => None,
        }
    }

    /// Puts time, CPU and number to what happened.
    fn number(&mut self, ts_ns: u64, cpu: u32, kind: Kind) -> Event {
        let at = cpu as usize;
        if self.numbers.len() <= at {
            self.numbers.resize(at + 1, 0);
        }
        let seq = self.numbers[at];
        self.numbers[at] += 1;
        self.last = (ts_ns, cpu);
        Event { ts_ns, cpu, seq, kind }
    }
}

impl Reader for PerfData {
    fn header(&self) -> &Header {
        &self.head.header
    }

    fn next_event(&mut self) -> Result<Option<Event>, ReadError> {
        loop {
            if let Some(waiting) = self.window.pop() {
                if let Some(kind) = self.event(&waiting) {
                    return Ok(Some(self.number(waiting.ts_ns, waiting.cpu, kind)));
                }
                continue;
            }
            match &mut self.end {
                End::NotYet => match self.pump() {
                    Ok(true) => {}
                    result => {
                        self.window.finish();
                        self.end = End::Records(result.err());
                    }
                },
                End::Records(error) => {
                    let error = error.take();
                    self.end = End::Given;
                    let unplaced = self.lost_in_all.saturating_sub(self.lost_placed);
                    if let Some(error) = error {
                        return Err(error);
                    }
                    if unplaced > 0 {
                        let (ts_ns, cpu) = self.last;
                        let kind = Kind::Loss { of_cpu: None, count: Some(unplaced), from_ns: None };
                        return Ok(Some(self.number(ts_ns, cpu, kind)));
                    }
                }
                End::Given => return Ok(None),
            }
        }
    }

    /// The file has no index: all records are read, those before `ts_ns` are not decoded.
    fn skip_to(&mut self, ts_ns: u64) -> Result<(), ReadError> {
        self.from_ns = self.from_ns.max(ts_ns);
        Ok(())
    }

    fn progress(&self) -> (u64, u64) {
        (self.records.at().saturating_sub(self.begin), self.length.saturating_sub(self.begin))
    }

    fn damage(&self) -> &Damage {
        &self.damage
    }
}
