//! The first pass over a file: where the bundles of each CPU lie, and what the recording can tell.

use super::wire::{Column, Fields, Value, varint};
use super::{FORMAT, MOST_INFLATED};
use crate::capabilities::{Capabilities, Header, LossTold, Scope};
use crate::proto::{
    BOOTTIME, ClockSnapshot, OWN_FIELD, Own, OwnHead, OwnKind, ProcessTree, REALTIME, SystemInfo,
};
use crate::reader::{Damage, Input, Look, Place, ReadError};
use prost::Message;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::{Read, SeekFrom};
use tombola_core::snapshot::{Group, GroupTotals};

/// Packets between two looks of whoever is told how far this is.
const LOOKED_PACKETS: u64 = 64;

/// Where a piece lies.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    /// The packet's payload, in the file.
    pub(super) offset: u64,
    pub(super) length: u32,
    /// Where the packet is compressed: the compressed bytes begin this far into it.
    pub(super) packed: Option<u32>,
    /// The piece, in the packet or in what it unpacks to.
    pub(super) from: u32,
    pub(super) to: u32,
    /// Its first event.
    pub(super) first_ns: u64,
    /// Events before it are missing.
    pub(super) is_after_loss: bool,
}

/// What was found.
#[derive(Default)]
pub(super) struct Index {
    pub(super) cpus: BTreeMap<u32, Vec<Entry>>,
    pub(super) own: Vec<Entry>,
    pub(super) own_head: Option<OwnHead>,
    pub(super) end_ns: Option<u64>,
    groups: BTreeMap<Group, GroupTotals>,
    pub(super) processes: HashMap<u32, Option<u32>>,
    /// Field numbers of the full events that are there.
    pub(super) events: BTreeSet<u32>,
    has_compact_switch: bool,
    has_compact_waking: bool,
    has_flags: bool,
    clock: Option<u64>,
    system: Option<SystemInfo>,
    wall: Option<(u64, u64)>,
    lost: BTreeMap<u64, (u64, u64)>,
    inflated: u64,
    /// Why the end was not reached.
    pub(super) stopped: Option<ReadError>,
}

impl Index {
    pub(super) fn read(
        input: &mut dyn Input,
        damage: &mut Damage,
        look: Look<'_>,
    ) -> Result<(Self, u64), ReadError> {
        let mut index = Self::default();
        let bytes = input.seek(SeekFrom::End(0))?;
        input.seek(SeekFrom::Start(0))?;
        let mut at = 0;
        let mut packet = Vec::new();
        let mut packets = 0u64;
        while at < bytes {
            let begin = at;
            let Some((field, wire)) = number(input, &mut at)?.map(|tag| (tag >> 3, tag & 7)) else {
                index.stopped = Some(cut(begin, "the tag of a packet"));
                break;
            };
            if wire != 2 || field == 0 {
                index.stopped = Some(ReadError::Damaged {
                    format: FORMAT,
                    at: Place::Byte(begin),
                    what: format!("no packet (tag {field}, wire type {wire})"),
                });
                break;
            }
            let Some(length) = number(input, &mut at)? else {
                index.stopped = Some(cut(begin, "the length of a packet"));
                break;
            };
            if length > bytes - at {
                index.stopped = Some(cut(begin, "a packet"));
                break;
            }
            packet.clear();
            Read::take(&mut *input, length).read_to_end(&mut packet)?;
            if field == 1 {
                index.packet(&packet, at, damage, bytes);
            }
            at += length;
            packets += 1;
            if packets.is_multiple_of(LOOKED_PACKETS) && !look(at, bytes) {
                break;
            }
        }
        Ok((index, bytes))
    }

    /// A packet that is not compressed, or the bytes of one that is.
    fn packet(&mut self, packet: &[u8], offset: u64, damage: &mut Damage, file: u64) {
        let Ok(length) = u32::try_from(packet.len()) else { return };
        let place = Entry { offset, length, packed: None, from: 0, to: 0, first_ns: 0, is_after_loss: false };
        let mut fields = Fields::new(packet);
        while let Some((field, value)) = fields.next() {
            let Value::Bytes(bytes) = value else { continue };
            if field != 50 {
                self.piece(field, bytes, fields.at(), place, damage);
                continue;
            }
            let from = u32::try_from(fields.at() - bytes.len()).unwrap_or(u32::MAX);
            let most = MOST_INFLATED.min((64 * file + MOST_INFLATED).saturating_sub(self.inflated));
            let (plain, is_whole) = inflate(bytes, most);
            self.inflated += plain.len() as u64;
            if !is_whole {
                damage.add(Place::Byte(offset), "a compressed packet that does not unpack to its end");
            }
            let mut packets = Fields::new(&plain);
            while let Some((field, value)) = packets.next() {
                let (1, Value::Bytes(inner)) = (field, value) else { continue };
                let begin = packets.at() - inner.len();
                let mut pieces = Fields::new(inner);
                while let Some((field, value)) = pieces.next() {
                    if let Value::Bytes(bytes) = value {
                        let place = Entry { packed: Some(from), ..place };
                        self.piece(field, bytes, begin + pieces.at(), place, damage);
                    }
                }
            }
        }
        if fields.is_broken {
            damage.add(Place::Byte(offset), "a packet that is no protobuf");
        }
    }

    /// A field of a packet that ends at `end`.
    fn piece(&mut self, field: u32, bytes: &[u8], end: usize, place: Entry, damage: &mut Damage) {
        let mut bad = |what: &str| damage.add(Place::Byte(place.offset), what);
        let (Ok(to), Ok(from)) = (u32::try_from(end), u32::try_from(end - bytes.len())) else { return };
        let entry = Entry { from, to, ..place };
        match field {
            1 => self.bundle(bytes, entry),
            2 => match ProcessTree::decode(bytes) {
                Ok(tree) => self.tree(&tree),
                Err(_) => bad("a process tree that cannot be read"),
            },
            6 => match ClockSnapshot::decode(bytes) {
                Ok(clocks) => {
                    let of =
                        |id| clocks.clocks.iter().find(|c| c.clock_id == Some(id)).and_then(|c| c.timestamp);
                    self.wall = self.wall.or_else(|| of(BOOTTIME).zip(of(REALTIME).map(|ns| ns / 1000)));
                }
                Err(_) => bad("a clock snapshot that cannot be read"),
            },
            34 => self.stats(bytes),
            45 => match SystemInfo::decode(bytes) {
                Ok(system) => self.system = Some(system),
                Err(_) => bad("system information that cannot be read"),
            },
            OWN_FIELD => match Own::decode(bytes) {
                Ok(own) => {
                    self.own_head = self.own_head.take().or(own.head);
                    self.end_ns = own.end_ns.or(self.end_ns);
                    for event in &own.events {
                        if let Some(OwnKind::Group(told)) = &event.kind
                            && let Some(totals) = told.totals()
                        {
                            self.groups.entry(totals.id).or_insert(totals);
                        }
                    }
                    if let Some(first) = own.events.first() {
                        self.own.push(Entry { first_ns: first.ts_ns, ..entry });
                    }
                }
                Err(_) => bad("an own packet that cannot be read"),
            },
            _ => {}
        }
    }

    fn bundle(&mut self, bytes: &[u8], entry: Entry) {
        let (mut cpu, mut first_ns, mut is_after_loss) = (0, u64::MAX, false);
        for (field, value) in Fields::new(bytes) {
            match (field, value) {
                (1, Value::Number(number)) => cpu = u32::try_from(number).unwrap_or(u32::MAX),
                (2, Value::Bytes(event)) => {
                    for (field, value) in Fields::new(event) {
                        match (field, value) {
                            (1, Value::Number(ts)) => first_ns = first_ns.min(ts),
                            (5, _) => self.has_flags = true,
                            (_, Value::Bytes(_)) if self.events.len() < 4096 => {
                                self.events.insert(field);
                            }
                            _ => {}
                        }
                    }
                }
                (3, Value::Number(lost)) => is_after_loss = lost != 0,
                (4, Value::Bytes(compact)) => {
                    for (field, value) in Fields::new(compact) {
                        self.has_compact_switch |= field == 1;
                        self.has_compact_waking |= field == 7;
                        self.has_flags |= field == 12;
                        if field == 1 || field == 7 {
                            let mut column = Column::default();
                            column.add(value);
                            first_ns = first_ns.min(column.next().unwrap_or(u64::MAX));
                        }
                    }
                }
                (5, Value::Number(clock)) => self.clock = Some(clock),
                _ => {}
            }
        }
        if first_ns != u64::MAX || is_after_loss {
            self.cpus.entry(cpu).or_default().push(Entry { first_ns, is_after_loss, ..entry });
        }
    }

    fn tree(&mut self, tree: &ProcessTree) {
        let threads = tree.threads.iter().map(|thread| (thread.tid, thread.tgid));
        for (thread, process) in
            threads.chain(tree.processes.iter().map(|process| (process.pid, process.pid)))
        {
            let number = |id: Option<i32>| id.and_then(|id| u32::try_from(id).ok());
            let (Some(thread), Some(process)) = (number(thread), number(process)) else { continue };
            let told = self.processes.entry(thread).or_insert(Some(process));
            if *told != Some(process) {
                *told = None; // an id in use again: whose event is meant is not told
            }
        }
    }

    /// Lost events as the kernel counted them, per CPU, at the begin (phase 1) and at the end (phase 2).
    fn stats(&mut self, bytes: &[u8]) {
        let mut phase = 0;
        for (field, value) in Fields::new(bytes) {
            match (field, value) {
                (1, Value::Number(told)) => phase = told,
                (2, Value::Bytes(cpu)) => {
                    let (mut number, mut lost) = (0, 0u64);
                    for (field, value) in Fields::new(cpu) {
                        match (field, value) {
                            (1, Value::Number(told)) => number = told,
                            (3 | 8, Value::Number(told)) => lost = lost.saturating_add(told),
                            _ => {}
                        }
                    }
                    let told = self.lost.entry(number).or_default();
                    if phase == 1 { told.0 = lost } else { told.1 = lost }
                }
                _ => {}
            }
        }
    }

    /// What the recording can tell.
    pub(super) fn header(&self) -> Header {
        if let Some(own) = self.own_head.clone() {
            let groups = self.groups.values().copied().collect();
            return Header { end_ns: self.end_ns, groups, ..own.header() };
        }
        let has = |field| self.events.contains(&field);
        let name = self.system.as_ref().and_then(|system| system.utsname.clone()).unwrap_or_default();
        let clock = match self.clock {
            None | Some(0) => "boot",
            Some(2) => "global",
            Some(3) => "local",
            Some(4) => "mono_raw",
            Some(_) => "unknown",
        };
        Header {
            format: "Perfetto".to_owned(),
            host: None,
            release: name.release,
            arch: name.machine,
            cpus: self.system.as_ref().and_then(|system| system.num_cpus),
            clock: Some(clock.to_owned()),
            wall: self.wall,
            begin_ns: None,
            end_ns: None,
            groups: Vec::new(),
            scope: Scope::Whole,
            can: Capabilities {
                prev: has(4) && !self.has_compact_switch,
                waking: has(20) || self.has_compact_waking,
                wakeup: has(17),
                waker: true,
                interrupt: self.has_flags,
                fork_exit: (has(239) || has(235)) && has(238),
                migrations: has(491),
                tgid: !self.processes.is_empty(),
                loss: if self.lost.is_empty() { LossTold::Flagged } else { LossTold::Counted },
                resolution_ns: 1,
                ..Capabilities::default()
            },
        }
    }

    /// Events the kernel counted as lost, where it did.
    pub(super) fn lost_events(&self) -> Option<u64> {
        let lost = |(before, after): &(u64, u64)| after.saturating_sub(*before);
        (!self.lost.is_empty()).then(|| self.lost.values().map(lost).sum())
    }
}

/// A number of variable length from the file; `None` where the file ends in it, or it is none.
fn number(input: &mut dyn Input, at: &mut u64) -> Result<Option<u64>, ReadError> {
    let mut bytes = [0; 10];
    for n in 0..10 {
        match input.read_exact(&mut bytes[n..=n]) {
            Ok(()) => *at += 1,
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(None),
            Err(error) => return Err(error.into()),
        }
        if bytes[n] & 0x80 == 0 {
            return Ok(varint(&bytes[..=n], &mut 0).ok());
        }
    }
    Ok(None)
}

fn cut(at: u64, what: &str) -> ReadError {
    ReadError::CutOff { format: FORMAT, at: Place::Byte(at), what: what.to_owned() }
}

/// What compressed bytes unpack to, up to `most`, and whether that is all.
pub(super) fn inflate(packed: &[u8], most: u64) -> (Vec<u8>, bool) {
    let mut plain = Vec::new();
    let whole = flate2::read::ZlibDecoder::new(packed).take(most).read_to_end(&mut plain);
    let is_whole = whole.is_ok() && (plain.len() as u64) < most;
    (plain, is_whole)
}
