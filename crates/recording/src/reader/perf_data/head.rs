//! What stands at the head of a perf.data file, or, of a pipe's output, in its first records.

use super::attribute::{Attribute, SampleLayout};
use super::command_line::CommandLine;
use super::records::{FORMAT, cut, damaged};
use crate::capabilities::{Header, LossTold};
use crate::reader::Input;
use crate::reader::error::ReadError;
use crate::reader::format_order::Order;
use crate::reader::format_scan::Scan;
use crate::reader::format_sched::{Decoders, Which};
use crate::reader::format_set::FormatSet;
use std::collections::HashMap;
use std::io::{Cursor, Seek, SeekFrom};

/// Features: `HEADER_*` of perf.
const TRACING_DATA: u32 = 1;
const HOSTNAME: u32 = 3;
const OSRELEASE: u32 = 4;
const ARCH: u32 = 6;
const NRCPUS: u32 = 7;
const CMDLINE: u32 = 11;
const CLOCK_DATA: u32 = 29;

/// Bytes of the head of a file, and of a pipe's output.
const FILE_HEAD: u64 = 104;
const PIPE_HEAD: u64 = 16;

/// What is known before the first sample.
pub(super) struct Head {
    pub(super) order: Order,
    pub(super) header: Header,
    attributes: Vec<Attribute>,
    /// Of samples that have an id, which attribute is theirs.
    by_id: HashMap<u64, u32>,
    formats: Option<FormatSet>,
    /// What its command line says of whose events these are.
    command: Option<CommandLine>,
    /// What could not be read of what is not needed.
    pub(super) odd: Option<(u64, String)>,
}

/// How samples are told apart.
pub(super) struct Layouts {
    /// Offset of the id, where there are several layouts.
    id_at: Option<usize>,
    first: SampleLayout,
    kinds: Vec<SampleLayout>,
    by_id: HashMap<u64, u32>,
    /// The same for ids near the least: the kernel counts them up, and every sample asks.
    least: u64,
    near: Vec<u32>,
}

/// No layout.
const NONE: u32 = u32::MAX;

/// How far from the least an id is near.
const NEAR: u64 = 1 << 14;

impl Layouts {
    /// The layout of a sample; `None` for an id that nobody announced.
    #[inline]
    pub(super) fn of_sample(&self, body: &[u8], order: Order) -> Option<&SampleLayout> {
        match self.id_at {
            None => Some(&self.first),
            Some(at) => self.by_id(order.u64(body, at)?),
        }
    }

    #[inline]
    fn by_id(&self, id: u64) -> Option<&SampleLayout> {
        let near = usize::try_from(id.wrapping_sub(self.least)).ok().and_then(|near| self.near.get(near));
        let index = near.copied().or_else(|| self.by_id.get(&id).copied())?;
        self.kinds.get(index as usize)
    }

    /// The layout that tells how a record which is no sample ends.
    pub(super) fn of_other(&self, body: &[u8], order: Order) -> &SampleLayout {
        self.first.trailing_id(body, order).and_then(|id| self.by_id(id)).unwrap_or(&self.first)
    }
}

impl Head {
    /// Reads the head of a file, and gives where its records lie; behind it the input stands there.
    pub(super) fn read(input: &mut Box<dyn Input>) -> Result<(Self, u64, Option<u64>), ReadError> {
        let length = input.seek(SeekFrom::End(0))?;
        let mut scan = Scan::new(input, (0, length), 0, Order::Little, FORMAT)?;
        scan.order = match scan.bytes(8, "the magic")?.as_slice() {
            b"PERFILE2" => Order::Little,
            b"2ELIFREP" => Order::Big,
            _ => return Err(scan.damaged("it does not begin with PERFILE2")),
        };
        let mut head = Self {
            order: scan.order,
            header: Header { format: FORMAT.to_owned(), ..Header::default() },
            attributes: Vec::new(),
            by_id: HashMap::new(),
            formats: None,
            command: None,
            odd: None,
        };
        let size = scan.u64("the size of the head")?;
        if size == PIPE_HEAD {
            "perf.data from a pipe".clone_into(&mut head.header.format);
            return Ok((head, PIPE_HEAD, None));
        }
        if size < FILE_HEAD {
            return Err(scan.damaged(format!("its head has {size} bytes; 16 and 104 are known")));
        }
        let mut word = |what| scan.u64(what);
        let attr_bytes = word("the size of an attribute")?;
        let attrs = (word("the attributes' place")?, word("the attributes' size")?);
        let data = (word("the data's place")?, word("the data's size")?);
        let _event_types = (word("the event types' place")?, word("the event types' size")?);
        let features = [word("features")?, word("features")?, word("features")?, word("features")?];
        head.read_attributes(input, length, attr_bytes, attrs)?;
        // A recording that was killed has no size, and no features behind the data either.
        let end = data.0.checked_add(data.1).ok_or_else(|| damaged(40, "the data have no end"))?;
        if data.1 != 0 && end <= length {
            head.read_features(input, length, end, features)?;
        } else if data.1 != 0 {
            head.odd = Some((length, format!("the file has {length} bytes and should have more than {end}")));
        } else {
            head.odd = Some((48, "perf did not end this recording: the size of its data is 0".to_owned()));
        }
        input.seek(SeekFrom::Start(data.0))?;
        Ok((head, data.0, (data.1 != 0).then_some(end)))
    }

    fn read_attributes(
        &mut self,
        input: &mut Box<dyn Input>,
        length: u64,
        attr_bytes: u64,
        (at, size): (u64, u64),
    ) -> Result<(), ReadError> {
        // Behind each attribute stands where its ids are.
        let attr = attr_bytes.checked_sub(16).filter(|&attr| attr >= 64);
        let attr = attr.ok_or_else(|| damaged(16, format!("an attribute has {attr_bytes} bytes")))?;
        let end = at.checked_add(size).filter(|&end| end <= length);
        let end = end.ok_or_else(|| cut(at, "the attributes"))?;
        let mut scan = Scan::new(input, (at, end), 0, self.order, FORMAT)?;
        let mut ids = Vec::new();
        while scan.left() >= attr_bytes {
            let bytes = scan.bytes(attr, "an attribute")?;
            let attribute =
                Attribute::read(&bytes, self.order).ok_or_else(|| scan.damaged("an attribute"))?;
            self.attributes.push(attribute);
            ids.push((scan.u64("the place of ids")?, scan.u64("the size of ids")?));
        }
        // Ids that several attributes claim would let a small file ask for much memory.
        let mut all = ids.iter().try_fold(0u64, |sum, &(_, size)| sum.checked_add(size));
        all = all.filter(|&sum| sum <= length);
        all.ok_or_else(|| damaged(at, "its events have more ids than the file has bytes"))?;
        for (index, (at, size)) in ids.into_iter().enumerate() {
            let end = at.checked_add(size).filter(|&end| end <= length).ok_or_else(|| cut(at, "the ids"))?;
            let bytes = Scan::new(input, (at, end), 0, self.order, FORMAT)?.bytes(size, "ids")?;
            self.add_ids(&bytes, index);
        }
        Ok(())
    }

    fn add_ids(&mut self, bytes: &[u8], index: usize) {
        let Ok(index) = u32::try_from(index) else { return };
        let ids = (0..bytes.len() / 8).filter_map(|at| self.order.u64(bytes, at * 8));
        self.by_id.extend(ids.map(|id| (id, index)));
    }

    fn read_features(
        &mut self,
        input: &mut Box<dyn Input>,
        length: u64,
        at: u64,
        features: [u64; 4],
    ) -> Result<(), ReadError> {
        let mut scan = Scan::new(input, (at, length), 0, self.order, FORMAT)?;
        let mut places = Vec::new();
        for feature in (0..256u32).filter(|&n| features[n as usize / 64] >> (n % 64) & 1 == 1) {
            let place = scan.u64("a feature's place").and_then(|at| Ok((at, scan.u64("a feature's size")?)));
            match place {
                Ok(place) => places.push((feature, place)),
                Err(error) => {
                    self.odd = Some((at, error.to_string()));
                    break;
                }
            }
        }
        for (feature, (at, size)) in places {
            if !matches!(feature, TRACING_DATA | HOSTNAME | OSRELEASE | ARCH | NRCPUS | CMDLINE | CLOCK_DATA)
            {
                continue;
            }
            let Some(end) = at.checked_add(size).filter(|&end| end <= length) else {
                self.odd = Some((at, format!("feature {feature} lies behind the end of the file")));
                continue;
            };
            let mut scan = Scan::new(input, (at, end), 0, self.order, FORMAT)?;
            if feature == TRACING_DATA {
                self.formats = Some(FormatSet::read(&mut scan)?);
            } else if size <= 1 << 16 {
                let bytes = scan.bytes(size, "a feature")?;
                self.take_feature(feature, &bytes);
            }
        }
        Ok(())
    }

    /// `PERF_RECORD_HEADER_ATTR`: the attribute, then its ids.
    pub(super) fn take_attribute(&mut self, body: &[u8]) -> Option<()> {
        let size = usize::try_from(self.order.u32(body, 4)?).ok()?;
        let attribute = Attribute::read(body.get(..size)?, self.order)?;
        self.attributes.push(attribute);
        self.add_ids(&body[size..], self.attributes.len() - 1);
        Some(())
    }

    /// `PERF_RECORD_HEADER_FEATURE`: its number, then what a file has in its section.
    pub(super) fn take_feature_record(&mut self, body: &[u8]) {
        if let Some(feature) = self.order.u64(body, 0).and_then(|feature| u32::try_from(feature).ok()) {
            self.take_feature(feature, &body[8..]);
        }
    }

    /// The payload of `PERF_RECORD_HEADER_TRACING_DATA`, which stood at `at`.
    pub(super) fn take_tracing_data(&mut self, payload: Vec<u8>, at: u64) -> Result<(), ReadError> {
        let length = payload.len() as u64;
        let mut payload = Cursor::new(payload);
        let mut scan = Scan::new(&mut payload, (0, length), at, self.order, FORMAT)?;
        self.formats = Some(FormatSet::read(&mut scan)?);
        Ok(())
    }

    fn take_feature(&mut self, feature: u32, bytes: &[u8]) {
        let order = self.order;
        if feature == CMDLINE {
            self.command = CommandLine::read(bytes, order);
            return;
        }
        let text = || {
            let length = usize::try_from(order.u32(bytes, 0)?).ok()?;
            let text = bytes.get(4..4usize.checked_add(length)?)?;
            let end = text.iter().position(|&byte| byte == 0).unwrap_or(length);
            Some(String::from_utf8_lossy(&text[..end]).into_owned())
        };
        let header = &mut self.header;
        match feature {
            HOSTNAME => header.host = text(),
            OSRELEASE => header.release = text(),
            ARCH => header.arch = text(),
            NRCPUS => header.cpus = order.u32(bytes, 0),
            // Version and clock, then the same instant on the wall and on that clock.
            CLOCK_DATA => {
                let pair = order.u64(bytes, 16).zip(order.u64(bytes, 8));
                header.wall = pair.map(|(clock_ns, wall_ns)| (clock_ns, wall_ns / 1000));
            }
            _ => {}
        }
    }

    /// Attributes and event formats are there.
    pub(super) fn is_complete(&self) -> bool {
        !self.attributes.is_empty() && self.formats.is_some()
    }

    /// Which scheduling events were recorded.
    pub(super) fn kinds(&self, decoders: &Decoders) -> Vec<Which> {
        let of = |attribute: &Attribute| attribute.tracepoint.and_then(|id| decoders.which(id));
        self.attributes.iter().filter_map(of).collect()
    }

    /// What the events need, once the head is complete.
    pub(super) fn complete(&mut self) -> Result<(Decoders, Layouts), ReadError> {
        let unsupported = |what: &str, advice: &str| ReadError::Unsupported {
            format: FORMAT,
            what: what.to_owned(),
            advice: advice.to_owned(),
        };
        let again = "record again with `perf sched record`, or perf record -a -e sched:sched_switch,sched:sched_waking";
        let Some(formats) = self.formats.take() else {
            return Err(match &self.odd {
                Some((at, what)) => damaged(*at, format!("its event formats are missing, because {what}")),
                None => unsupported("it holds no event formats, so no tracepoints", again),
            });
        };
        let decoders = Decoders::new(&formats, self.header.release.as_deref());
        let decoders = decoders.map_err(|what| unsupported(&what, "report this kernel's event format"))?;
        if formats.order != self.order {
            return Err(damaged(0, "its head and its event formats have different byte orders"));
        }
        let wanted =
            |attribute: &&Attribute| attribute.tracepoint.and_then(|id| decoders.which(id)).is_some();
        if !self.attributes.iter().any(|attribute| wanted(&attribute)) {
            return Err(unsupported("it holds none of the scheduler's events", again));
        }
        if self.attributes.iter().filter(wanted).any(|attribute| !attribute.layout.is_enough()) {
            return Err(unsupported("its samples do not tell time, CPU and the event's fields", again));
        }
        self.describe(&decoders);
        let layouts = self.layouts();
        Ok((decoders, layouts.ok_or_else(|| unsupported("its events cannot be told apart", again))?))
    }

    fn layouts(&self) -> Option<Layouts> {
        let first = self.attributes.first()?.layout;
        let id_at = if self.attributes.iter().all(|attribute| attribute.layout == first) {
            None
        } else {
            let at = first.id_at()?;
            if self.attributes.iter().any(|attribute| attribute.layout.id_at() != Some(at)) {
                return None;
            }
            Some(at)
        };
        let kinds: Vec<SampleLayout> = self.attributes.iter().map(|attribute| attribute.layout).collect();
        let by_id: HashMap<u64, u32> = self.by_id.clone();
        let least = by_id.keys().min().copied().unwrap_or_default();
        let mut near = Vec::new();
        for (&id, &index) in &by_id {
            let at = id - least;
            if at < NEAR {
                let at = usize::try_from(at).ok()?;
                near.resize(near.len().max(at + 1), NONE);
                near[at] = index;
            }
        }
        Some(Layouts { id_at, first, kinds, by_id, least, near })
    }

    /// Says in the header what the events can tell.
    fn describe(&mut self, decoders: &Decoders) {
        let can = &mut self.header.can;
        for attribute in &self.attributes {
            if let Some(which) = attribute.tracepoint.and_then(|id| decoders.which(id)) {
                Decoders::tells(which, can);
            }
            can.fork_exit |= attribute.task;
            can.tgid |= attribute.task;
        }
        can.loss = LossTold::Exact;
        can.resolution_ns = 1;
        let clock = match self.attributes.iter().find_map(|attribute| attribute.clock) {
            None => "perf",
            Some(0) => "realtime",
            Some(1) => "monotonic",
            Some(4) => "monotonic_raw",
            Some(7) => "boot",
            Some(11) => "tai",
            Some(_) => "unknown",
        };
        self.header.clock = Some(clock.to_owned());
        let of_command = self.attributes.iter().any(|attribute| attribute.of_command);
        self.header.scope = self.command.unwrap_or_default().scope(of_command);
    }
}
