//! Perfetto traces: full events, compact ones, compressed packets, cut files, and tombola's own packets.
//!
//! Bundles of different CPUs lie in no order (the data of an idle CPU may come minutes later), so a first
//! pass finds those of each CPU, and the events are merged from there. A compact switch does not say who
//! leaves: that is who came last, unknown at the begin of a CPU and after a loss.

mod bundle;
mod index;
mod wire;

use super::merge::Merge;
use super::{Damage, Input, Look, Place, ReadError, Reader};
use crate::capabilities::Header;
use crate::event::{Event, Kind};
use crate::proto::Own;
use crate::state::StateLaw;
use bundle::{Bundle, Carry, Shared};
use index::{Entry, Index, inflate};
use prost::Message;
use std::collections::VecDeque;
use std::io::{Read, SeekFrom};
use std::sync::{Arc, Mutex, PoisonError};

const FORMAT: &str = "Perfetto";

/// A compressed packet that unpacks to more is not believed.
const MOST_INFLATED: u64 = 64 << 20;

/// Unpacked packets kept for the lanes that need them too.
const KEPT: usize = 8;

/// The file, as all lanes use it.
struct File {
    input: Box<dyn Input>,
    kept: VecDeque<(u64, Arc<[u8]>)>,
    damage: Damage,
    read_bytes: u64,
}

impl File {
    /// The packet, unpacked, that holds a piece.
    fn load(&mut self, entry: &Entry) -> Result<Arc<[u8]>, ReadError> {
        if let Some((_, kept)) = self.kept.iter().find(|(offset, _)| *offset == entry.offset) {
            return Ok(Arc::clone(kept));
        }
        self.input.seek(SeekFrom::Start(entry.offset))?;
        let mut bytes = vec![0; entry.length as usize]; // seen to be there by the first pass
        self.input.read_exact(&mut bytes)?;
        self.read_bytes += u64::from(entry.length);
        let bytes: Arc<[u8]> = match entry.packed {
            None => bytes.into(),
            Some(from) => inflate(bytes.get(from as usize..).unwrap_or_default(), MOST_INFLATED).0.into(),
        };
        if entry.packed.is_some() {
            if self.kept.len() == KEPT {
                self.kept.pop_front();
            }
            self.kept.push_back((entry.offset, Arc::clone(&bytes)));
        }
        Ok(bytes)
    }
}

/// The events of one CPU, or those of own packets.
struct Lane {
    file: Arc<Mutex<File>>,
    shared: Arc<Shared>,
    entries: std::vec::IntoIter<Entry>,
    carry: Carry,
    open: Option<(Bundle, u64)>,
    own: Option<VecDeque<Event>>,
    /// A loss that is told by a flag, given before the first event of its bundle.
    has_lost: bool,
    /// Losses are told by own packets.
    has_own_losses: bool,
    waiting: Option<Event>,
}

impl Lane {
    fn load(&self, entry: &Entry) -> Result<Arc<[u8]>, ReadError> {
        self.file.lock().unwrap_or_else(PoisonError::into_inner).load(entry)
    }

    fn next_own(&mut self) -> Result<Option<Event>, ReadError> {
        loop {
            if let Some(event) = self.own.as_mut().and_then(VecDeque::pop_front) {
                return Ok(Some(event));
            }
            let Some(entry) = self.entries.next() else { return Ok(None) };
            let bytes = self.load(&entry)?;
            let piece = bytes.get(entry.from as usize..entry.to as usize).unwrap_or_default();
            if let Ok(own) = Own::decode(piece) {
                self.own = Some(own.events.into_iter().filter_map(crate::proto::OwnEvent::event).collect());
            }
        }
    }

    fn next_event(&mut self) -> Result<Option<Event>, ReadError> {
        if self.own.is_some() {
            return self.next_own();
        }
        if let Some(waiting) = self.waiting.take() {
            return Ok(Some(waiting));
        }
        loop {
            if let Some((bundle, offset)) = &mut self.open {
                if let Some(event) = bundle.next(&mut self.carry, &self.shared) {
                    if !std::mem::take(&mut self.has_lost) {
                        return Ok(Some(event));
                    }
                    let of_cpu = Some(event.cpu);
                    let loss = Kind::Loss { of_cpu, count: None, from_ns: None };
                    let loss = Event { kind: loss, ..event.clone() };
                    self.waiting = Some(event);
                    return Ok(Some(loss));
                }
                if bundle.broken > 0 {
                    let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
                    file.damage.add(Place::Byte(*offset), "events in a bundle that cannot be read");
                    file.damage.skipped += bundle.broken - 1;
                }
                self.open = None;
            }
            let Some(entry) = self.entries.next() else { return Ok(None) };
            if entry.is_after_loss {
                self.carry.last = None;
                self.has_lost = !self.has_own_losses;
            }
            let bytes = self.load(&entry)?;
            let to = (entry.to as usize).min(bytes.len());
            self.open = Some((Bundle::new(&bytes, (entry.from as usize).min(to), to), entry.offset));
        }
    }
}

impl Iterator for Lane {
    type Item = Result<Event, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_event().transpose()
    }
}

/// A reader of Perfetto traces.
pub struct PerfettoReader {
    file: Arc<Mutex<File>>,
    shared: Arc<Shared>,
    law: StateLaw,
    header: Header,
    damage: Damage,
    bytes: u64,
    cpus: Vec<(u32, Vec<Entry>)>,
    own: Vec<Entry>,
    lost_events: Option<u64>,
    /// Made with the first event, so that what is to be skipped is not read.
    merge: Option<Merge<Lane>>,
    stopped: Option<ReadError>,
}

impl PerfettoReader {
    /// Finds what is in the file, and what it can tell; tells how far it is.
    ///
    /// # Errors
    /// [`ReadError`] where it cannot be read, or has no packet of scheduling events.
    pub fn new(mut input: Box<dyn Input>, look: Look<'_>) -> Result<Self, ReadError> {
        let mut damage = Damage::default();
        let (mut index, bytes) = Index::read(&mut *input, &mut damage, look)?;
        if index.cpus.is_empty() && index.own_head.is_none() {
            return Err(index.stopped.take().unwrap_or_else(|| ReadError::Unsupported {
                format: FORMAT,
                what: "no packet of ftrace events in it".to_owned(),
                advice: "record with the data source linux.ftrace and the events sched/sched_switch and sched/sched_waking".to_owned(),
            }));
        }
        let header = index.header();
        let law = match &index.own_head {
            Some(own) => StateLaw::written(own.preempted),
            None => header.release.as_deref().and_then(StateLaw::from_release).unwrap_or_default(),
        };
        let shared = Shared {
            has_fork: index.events.contains(&239),
            hides_preemption: header.can.hides_preemption,
            processes: std::mem::take(&mut index.processes),
        };
        Ok(Self {
            file: Arc::new(Mutex::new(File {
                input,
                kept: VecDeque::new(),
                damage: damage.clone(),
                read_bytes: 0,
            })),
            shared: Arc::new(shared),
            law,
            header,
            damage,
            bytes,
            lost_events: index.lost_events(),
            cpus: std::mem::take(&mut index.cpus).into_iter().collect(),
            own: std::mem::take(&mut index.own),
            merge: None,
            stopped: index.stopped.take(),
        })
    }

    /// Events that the kernel counted as lost while this was recorded, where the trace tells it.
    pub fn lost_events(&self) -> Option<u64> {
        self.lost_events
    }

    fn lanes(&mut self) -> Vec<Lane> {
        let has_own_losses = self.header.format.starts_with("Perfetto of ");
        let lane = |cpu: u32, entries: Vec<Entry>, own| Lane {
            file: Arc::clone(&self.file),
            shared: Arc::clone(&self.shared),
            entries: entries.into_iter(),
            carry: Carry { cpu, law: self.law, last: None, seq: 0 },
            open: None,
            own,
            has_lost: false,
            has_own_losses,
            waiting: None,
        };
        let own = lane(0, std::mem::take(&mut self.own), Some(VecDeque::new()));
        let cpus = std::mem::take(&mut self.cpus);
        std::iter::once(own).chain(cpus.into_iter().map(|(cpu, entries)| lane(cpu, entries, None))).collect()
    }
}

impl Reader for PerfettoReader {
    fn header(&self) -> &Header {
        &self.header
    }

    fn next_event(&mut self) -> Result<Option<Event>, ReadError> {
        let mut merge = match self.merge.take() {
            Some(merge) => merge,
            None => Merge::new(self.lanes()),
        };
        let next = merge.next().transpose();
        self.merge = Some(merge);
        match next {
            Ok(Some(event)) => Ok(Some(event)),
            Ok(None) => {
                self.damage = self.file.lock().unwrap_or_else(PoisonError::into_inner).damage.clone();
                self.stopped.take().map_or(Ok(None), Err)
            }
            Err(error) => Err(error),
        }
    }

    /// Bundles that end before are not read; the first switch of a CPU behind them may not know who leaves.
    fn skip_to(&mut self, ts_ns: u64) -> Result<(), ReadError> {
        for (_, entries) in &mut self.cpus {
            let first = entries.iter().rposition(|entry| entry.first_ns <= ts_ns).unwrap_or(0);
            entries.drain(..first);
        }
        Ok(())
    }

    fn progress(&self) -> (u64, u64) {
        (self.file.lock().unwrap_or_else(PoisonError::into_inner).read_bytes, self.bytes)
    }

    fn damage(&self) -> &Damage {
        &self.damage
    }
}
