//! The head of a trace.dat file of version 6 or 7: where the events are, and what they mean.

use super::options::Options;
use super::packing::{LARGEST_SECTION, Packing};
use crate::capabilities::Header;
use crate::reader::Input;
use crate::reader::error::{Place as Where, ReadError};
use crate::reader::format_order::Order;
use crate::reader::format_scan::Scan;
use crate::reader::format_set::FormatSet;
use std::collections::BTreeSet;
use std::io::{Cursor, Seek, SeekFrom};

pub(super) const FORMAT: &str = "trace.dat";

/// What is known before the first page.
pub(super) struct Head {
    pub(super) header: Header,
    pub(super) formats: FormatSet,
    pub(super) options: Options,
    pub(super) packing: Packing,
    pub(super) lanes: Vec<Place>,
    /// Bytes of the file.
    pub(super) length: u64,
}

/// Where the pages of a CPU in an instance are.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) buffer: String,
    pub(super) cpu: u32,
    pub(super) at: u64,
    pub(super) size: u64,
    pub(super) page_bytes: usize,
    pub(super) packed: bool,
}

/// Sections of version 7 that are needed, and the mark of a compressed one.
const OPTIONS: u16 = 0;
const COMPRESSED: u16 = 1;

/// More instances times CPUs are no recording's.
const MOST_LANES: usize = 1 << 16;

impl Head {
    pub(super) fn read(input: &mut Box<dyn Input>) -> Result<Self, ReadError> {
        let length = input.seek(SeekFrom::End(0))?;
        let mut scan = Scan::new(input, (0, length), 0, Order::Little, FORMAT)?;
        let (formats, version) = FormatSet::begin(&mut scan)?;
        let header = Header { format: format!("{FORMAT} {version}"), ..Header::default() };
        let (options, lanes) = (Options::default(), Vec::new());
        let mut head = Self { header, formats, options, packing: Packing::None, lanes, length };
        match version.as_str() {
            "6" => head.version_6(&mut scan)?,
            "7" => {
                let name = scan.string("the name of the compression")?;
                let _version = scan.string("the version of the compression")?;
                let at = scan.u64("where the options are")?;
                head.packing = Packing::by_name(&name).ok_or_else(|| ReadError::Unsupported {
                    format: FORMAT,
                    what: format!("its compression is \"{name}\"; none, zstd and zlib are known"),
                    advice: "trace-cmd convert --compression none writes it anew".to_owned(),
                })?;
                head.version_7(input, at)?;
            }
            other => {
                return Err(ReadError::Unsupported {
                    format: FORMAT,
                    what: format!("it has version {other}; 6 and 7 are known"),
                    advice: "trace-cmd convert --file-version 7 writes it anew".to_owned(),
                });
            }
        }
        head.check_lanes()?;
        head.header.cpus = head.options.cpus.or_else(|| {
            let cpus: BTreeSet<u32> = head.lanes.iter().map(|lane| lane.cpu).collect();
            u32::try_from(cpus.len()).ok().filter(|&cpus| cpus > 0)
        });
        Ok(head)
    }

    /// Pages of several CPUs are never the same bytes: a small file could ask for much memory else.
    fn check_lanes(&mut self) -> Result<(), ReadError> {
        let length = self.length;
        let there = |lane: &Place| lane.at.saturating_add(lane.size).min(length).saturating_sub(lane.at);
        let sum = self.lanes.iter().fold(0u64, |sum, lane| sum.saturating_add(there(lane)));
        if sum > length || self.lanes.len() > MOST_LANES {
            let what =
                format!("its {} buffers say that they have more bytes than the file", self.lanes.len());
            return Err(ReadError::Damaged { format: FORMAT, at: Where::Byte(0), what });
        }
        self.lanes.retain(|lane| lane.size > 0);
        Ok(())
    }

    /// One thing after the other.
    fn version_6(&mut self, scan: &mut Scan<'_>) -> Result<(), ReadError> {
        self.formats.header_info(scan)?;
        FormatSet::ftrace_formats(scan)?;
        self.formats.event_formats(scan)?;
        let kallsyms = scan.u32("the size of the symbols")?;
        scan.skip(u64::from(kallsyms), "the symbols")?;
        let printk = scan.u32("the size of the printk formats")?;
        scan.skip(u64::from(printk), "the printk formats")?;
        let names = scan.u64("the size of the command lines")?;
        scan.skip(names, "the command lines")?;
        let cpus = scan.u32("the number of CPUs")?;
        self.places(scan, "", cpus)?;
        for index in 0..self.options.buffers.len() {
            let (name, offset) =
                (self.options.buffers[index].name.clone(), self.options.buffers[index].offset);
            scan.go_to(offset, "a buffer")?;
            let cpus = self.options.cpus.unwrap_or(cpus);
            self.places(scan, &name, cpus)?;
        }
        Ok(())
    }

    /// Options where there are, then where each CPU's pages are.
    fn places(&mut self, scan: &mut Scan<'_>, buffer: &str, cpus: u32) -> Result<(), ReadError> {
        let mut cpus = cpus;
        loop {
            let mark = scan.bytes(10, "the mark of the data")?;
            if mark.starts_with(b"options") {
                self.options.read(scan, false, &mut self.header)?;
                cpus = self.options.cpus.unwrap_or(cpus);
            } else if mark.starts_with(b"flyrecord") {
                break;
            } else if mark.starts_with(b"latency") {
                return Err(latency());
            } else {
                return Err(scan.damaged("neither options nor data"));
            }
        }
        for cpu in 0..cpus {
            let (at, size) = (scan.u64("a CPU's place")?, scan.u64("a CPU's size")?);
            let page_bytes = self.formats.page_bytes as usize;
            self.lanes.push(Place { buffer: buffer.to_owned(), cpu, at, size, page_bytes, packed: false });
        }
        Ok(())
    }

    /// Sections, which the options name.
    fn version_7(&mut self, input: &mut Box<dyn Input>, first: u64) -> Result<(), ReadError> {
        let mut next = first;
        let mut seen = BTreeSet::new();
        while next != 0 {
            if !seen.insert(next) {
                return Err(self.scan(input, next)?.damaged("the options follow each other in a circle"));
            }
            let mut header = std::mem::take(&mut self.header);
            let mut options = std::mem::take(&mut self.options);
            let result = self.section(input, next, OPTIONS, |_, scan| options.read(scan, true, &mut header));
            (self.header, self.options) = (header, options);
            next = result?;
        }
        let missing = |what: &str| ReadError::Unsupported {
            format: FORMAT,
            what: format!("its options name no section of {what}"),
            advice: "record again with trace-cmd record -e sched".to_owned(),
        };
        let at = self.options.header_info.ok_or_else(|| missing("page headers"))?;
        self.section(input, at, 16, FormatSet::header_info)?;
        let at = self.options.event_formats.ok_or_else(|| missing("event formats"))?;
        self.section(input, at, 18, FormatSet::event_formats)?;
        for index in 0..self.options.buffers.len() {
            let at = self.options.buffers[index].offset;
            let mut scan = self.scan(input, at)?;
            let _id = scan.u16("a section")?;
            let packed = scan.u16("a section's flags")? & COMPRESSED != 0;
            let buffer = &self.options.buffers[index];
            let page_bytes = buffer.page_bytes as usize;
            for &(cpu, at, size) in &buffer.lanes {
                // Of compressed pages, trace-cmd does not count the number of chunks in front of them.
                let size = if packed && size > 0 { size.saturating_add(4) } else { size };
                let buffer = buffer.name.clone();
                self.lanes.push(Place { buffer, cpu, at, size, page_bytes, packed });
            }
        }
        Ok(())
    }

    fn scan<'a>(&self, input: &'a mut Box<dyn Input>, at: u64) -> Result<Scan<'a>, ReadError> {
        Scan::new(input, (at, self.length), 0, self.formats.order, FORMAT)
    }

    /// Reads a section: its number, flags, description, size, and its bytes, compressed or not.
    fn section<T>(
        &mut self,
        input: &mut Box<dyn Input>,
        at: u64,
        id: u16,
        read: impl FnOnce(&mut FormatSet, &mut Scan<'_>) -> Result<T, ReadError>,
    ) -> Result<T, ReadError> {
        let mut scan = self.scan(input, at)?;
        let found = scan.u16("a section")?;
        if found != id {
            return Err(scan.damaged(format!("section {id} should be here, and section {found} is")));
        }
        let flags = scan.u16("a section's flags")?;
        scan.u32("a section's description")?;
        let size = scan.u64("a section's size")?;
        if flags & COMPRESSED == 0 {
            let end = scan.at().saturating_add(size).min(self.length);
            let begin = scan.at();
            let mut scan = Scan::new(input, (begin, end), 0, self.formats.order, FORMAT)?;
            return read(&mut self.formats, &mut scan);
        }
        let (packed, plain) = (scan.u32("a size")?, scan.u32("a size")?);
        let packed = scan.bytes(u64::from(packed), "a compressed section")?;
        let bytes = self.packing.unpack(&packed, plain as usize, LARGEST_SECTION);
        let bytes =
            bytes.map_err(|why| scan.damaged(format!("a compressed section makes no sense ({why})")))?;
        let length = bytes.len() as u64;
        let mut bytes = Cursor::new(bytes);
        let mut scan = Scan::new(&mut bytes, (0, length), at, self.formats.order, FORMAT)?;
        read(&mut self.formats, &mut scan)
    }
}

fn latency() -> ReadError {
    ReadError::Unsupported {
        format: FORMAT,
        what: "it holds a latency trace, which is text".to_owned(),
        advice: "print it with trace-cmd report and read the text".to_owned(),
    }
}
