//! The options of a trace.dat file: what trace-cmd noted beside the events.

use crate::capabilities::Header;
use crate::reader::error::ReadError;
use crate::reader::format_scan::Scan;

/// Numbers of options, `TRACECMD_OPTION_*`.
mod id {
    pub(super) const DONE: u16 = 0;
    pub(super) const DATE: u16 = 1;
    pub(super) const CPUSTAT: u16 = 2;
    pub(super) const BUFFER: u16 = 3;
    pub(super) const TRACECLOCK: u16 = 4;
    pub(super) const UNAME: u16 = 5;
    pub(super) const OFFSET: u16 = 7;
    pub(super) const CPUCOUNT: u16 = 8;
    pub(super) const TSC2NSEC: u16 = 14;
    pub(super) const HEADER_INFO: u16 = 16;
    pub(super) const EVENT_FORMATS: u16 = 18;
}

/// What the options say.
#[derive(Debug, Default)]
pub(super) struct Options {
    /// The instances of version 7, or places of those of version 6.
    pub(super) buffers: Vec<Buffer>,
    /// Of instance and CPU: events that were lost.
    pub(super) lost: Vec<(String, u32, u64)>,
    pub(super) cpus: Option<u32>,
    /// Added to every time, ns.
    pub(super) offset_ns: i64,
    /// Cycles to nanoseconds: factor and shift.
    pub(super) cycles: Option<(u32, u32)>,
    pub(super) header_info: Option<u64>,
    pub(super) event_formats: Option<u64>,
    /// The instance that the next statistics are of.
    statistics_of: String,
}

/// An instance of the kernel's ring buffer.
#[derive(Debug)]
pub(super) struct Buffer {
    pub(super) name: String,
    /// Where it stands: of version 6.
    pub(super) offset: u64,
    pub(super) page_bytes: u32,
    /// CPU, offset, size.
    pub(super) lanes: Vec<(u32, u64, u64)>,
}

impl Options {
    /// Reads options up to `DONE`, and gives where more are: of version 7.
    pub(super) fn read(
        &mut self,
        scan: &mut Scan<'_>,
        sections: bool,
        header: &mut Header,
    ) -> Result<u64, ReadError> {
        loop {
            let option = scan.u16("an option")?;
            if option == id::DONE && !sections {
                return Ok(0);
            }
            let length = u64::from(scan.u32("the size of an option")?);
            match option {
                id::DONE => {
                    return if length >= 8 { scan.u64("where the next options are") } else { Ok(0) };
                }
                id::BUFFER => {
                    let end = scan.at().checked_add(length).ok_or_else(|| scan.damaged("an option"))?;
                    let buffer = Buffer::read(scan, sections, end)?;
                    self.buffers.push(buffer);
                }
                id::DATE | id::CPUSTAT | id::TRACECLOCK | id::UNAME | id::OFFSET => {
                    let bytes = scan.bytes(length, "an option")?;
                    let text = String::from_utf8_lossy(&bytes);
                    self.text(option, text.trim_end_matches(['\0', '\n']), header);
                }
                id::CPUCOUNT if length == 4 => self.cpus = Some(scan.u32("the number of CPUs")?),
                id::TSC2NSEC if length == 16 => {
                    let pair = (scan.u32("a factor of cycles")?, scan.u32("a shift of cycles")?);
                    scan.u64("an offset of cycles")?;
                    if pair.1 > 63 {
                        return Err(scan.damaged(format!("cycles are shifted by {} bits", pair.1)));
                    }
                    self.cycles = (pair.0 != 0).then_some(pair);
                }
                id::HEADER_INFO if length == 8 => self.header_info = Some(scan.u64("a section's place")?),
                id::EVENT_FORMATS if length == 8 => self.event_formats = Some(scan.u64("a section's place")?),
                _ => scan.skip(length, "an option")?,
            }
        }
    }

    fn text(&mut self, option: u16, text: &str, header: &mut Header) {
        match option {
            // `[local] global counter …`: the file's own is in brackets.
            id::TRACECLOCK => {
                let clock = text.split_once('[').and_then(|(_, rest)| rest.split_once(']'));
                let clock = clock.map_or(text, |(clock, _)| clock).trim();
                header.clock = Some(clock_name(clock).to_owned()).filter(|name| !name.is_empty());
            }
            // `Linux <host> <release> <machine>`.
            id::UNAME => {
                let words: Vec<&str> = text.split_whitespace().collect();
                if let [_, host, release, .., machine] = words.as_slice() {
                    header.host = Some((*host).to_owned());
                    header.release = Some((*release).to_owned());
                    header.arch = Some((*machine).to_owned());
                }
            }
            // Microseconds, with or without 0x, and nanoseconds.
            id::DATE => self.offset_ns = self.offset_ns.wrapping_add(number(text).wrapping_mul(1000)),
            id::OFFSET => self.offset_ns = self.offset_ns.wrapping_add(number(text)),
            _ => self.statistics(text),
        }
    }

    /// Statistics of a CPU, as its `stats` file has them. `overrun` was overwritten, `dropped events` found
    /// no room.
    fn statistics(&mut self, text: &str) {
        let mut cpu = None;
        for line in text.lines() {
            let Some((key, value)) = line.split_once(':') else { continue };
            let value = value.trim();
            match key.trim() {
                "Buffer" => value.clone_into(&mut self.statistics_of),
                "CPU" => cpu = value.parse().ok(),
                "overrun" | "dropped events" | "commit overrun" => {
                    if let (Some(cpu), Ok(lost @ 1..)) = (cpu, value.parse()) {
                        self.lost.push((self.statistics_of.clone(), cpu, lost));
                    }
                }
                _ => {}
            }
        }
    }

    /// Events that a CPU's buffer lost; `None` where nothing says so.
    pub(super) fn lost(&self, buffer: &str, cpu: u32) -> u64 {
        let of = self.lost.iter().filter(|lost| lost.0 == buffer && lost.1 == cpu);
        of.fold(0u64, |sum, lost| sum.saturating_add(lost.2))
    }
}

impl Buffer {
    fn read(scan: &mut Scan<'_>, sections: bool, end: u64) -> Result<Self, ReadError> {
        let offset = scan.u64("a buffer's place")?;
        let name = scan.string("a buffer's name")?;
        let mut buffer = Self { name, offset, page_bytes: 0, lanes: Vec::new() };
        if sections {
            scan.string("a buffer's clock")?;
            buffer.page_bytes = scan.u32("the size of a buffer's pages")?;
            for _ in 0..scan.u32("the number of a buffer's CPUs")? {
                let cpu = scan.u32("a buffer's CPU")?;
                buffer.lanes.push((cpu, scan.u64("a CPU's place")?, scan.u64("a CPU's size")?));
            }
        }
        let rest =
            end.checked_sub(scan.at()).ok_or_else(|| scan.damaged("a buffer is longer than its option"))?;
        scan.skip(rest, "an option")?;
        Ok(buffer)
    }
}

/// A number in decimal or after 0x, with or without a sign; 0 where it is none.
fn number(text: &str) -> i64 {
    let text = text.trim();
    let (negative, digits) = text.strip_prefix('-').map_or((false, text), |digits| (true, digits));
    let value = match digits.strip_prefix("0x") {
        Some(digits) => i64::from_str_radix(digits, 16),
        None => digits.parse(),
    };
    let value = value.unwrap_or(0);
    if negative { -value } else { value }
}

/// The names that all formats share.
fn clock_name(clock: &str) -> &str {
    match clock {
        "mono" => "monotonic",
        "mono_raw" => "monotonic_raw",
        other => other,
    }
}
