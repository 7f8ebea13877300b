//! The pages of one CPU in one instance, one after the other.

use super::head::{FORMAT, Place};
use super::packing::{LARGEST_CHUNK, Packing};
use crate::reader::Input;
use crate::reader::error::{Damage, Place as Where, ReadError};
use crate::reader::format_order::Order;
use crate::reader::ftrace_page::{Found, Missed, Page, PageLayout};
use std::io::{Read, SeekFrom};
use std::ops::Range;

/// What is read at once where pages are not compressed; less of a page where there are many lanes.
const BLOCK: usize = 1 << 16;
/// What all lanes together hold, about.
const ALL: usize = 64 << 20;

/// A CPU's pages being read.
pub(super) struct Lane {
    pub(super) cpu: u32,
    pub(super) buffer: String,
    layout: PageLayout,
    packing: Packing,
    page_bytes: usize,
    /// Bytes that this lane may hold, a page apart.
    share: usize,
    /// What of the file is not read yet.
    at: u64,
    end: u64,
    /// Chunks that are not read yet, where they are compressed; `None` before their number is read.
    chunks: Option<u32>,
    packed: bool,
    /// Pages that were read, where the current one begins, and where in the file they were.
    bytes: Vec<u8>,
    from: usize,
    bytes_at: u64,
    page: Option<Page>,
    /// The kernel's time of the last record.
    last: Option<u64>,
    /// Something was passed over since the last record.
    gap: bool,
    /// The file ends before the pages do.
    pub(super) cut: Option<ReadError>,
}

/// What a lane gives.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// A record, for [`Lane::record`].
    Record {
        /// The kernel's time.
        ts: u64,
        bytes: Range<usize>,
    },
    /// Events are missing before `ts`; how many, where told.
    Missed { ts: u64, count: Option<u64> },
}

impl Lane {
    /// `length` is that of the file, `lanes` how many lanes there are.
    pub(super) fn new(
        place: Place,
        layout: PageLayout,
        packing: Packing,
        (length, lanes): (u64, usize),
    ) -> Result<Self, ReadError> {
        let end = place.at.checked_add(place.size);
        let damaged = |what: String| ReadError::Damaged { format: FORMAT, at: Where::Byte(place.at), what };
        let end = end.ok_or_else(|| damaged(format!("the pages of CPU {} have no end", place.cpu)))?;
        if place.size > 0 && !(512..=1 << 22).contains(&place.page_bytes) {
            return Err(damaged(format!("pages have {} bytes", place.page_bytes)));
        }
        let cut = (end > length && place.size > 0).then(|| ReadError::CutOff {
            format: FORMAT,
            at: Where::Byte(length),
            what: format!("the pages of CPU {}", place.cpu),
        });
        Ok(Self {
            cpu: place.cpu,
            buffer: place.buffer,
            layout,
            packing,
            page_bytes: place.page_bytes,
            share: ALL / lanes.max(1),
            at: place.at,
            end: end.min(length),
            chunks: None,
            packed: place.packed,
            bytes: Vec::new(),
            from: 0,
            bytes_at: place.at,
            page: None,
            last: None,
            gap: false,
            cut,
        })
    }

    /// Where the current page is in the file.
    pub(super) fn at(&self) -> u64 {
        self.bytes_at + if self.packed { 0 } else { self.from as u64 }
    }

    /// How many bytes are not read yet.
    pub(super) fn left(&self) -> u64 {
        self.end.saturating_sub(self.at)
    }

    /// The bytes of a record. Valid until the next step.
    pub(super) fn record(&self, bytes: &Range<usize>) -> &[u8] {
        &self.bytes[self.from..][bytes.clone()]
    }

    /// The next record of a kind that is wanted, or where events are missing. `None` at the end.
    pub(super) fn step(
        &mut self,
        input: &mut Box<dyn Input>,
        damage: &mut Damage,
        wanted: impl Fn(&[u8]) -> bool,
    ) -> Result<Option<Step>, ReadError> {
        loop {
            let Some(page) = &mut self.page else {
                if !self.open_page(input, damage)? {
                    return Ok(None);
                }
                if let Some(missed) = self.missed() {
                    return Ok(Some(missed));
                }
                continue;
            };
            let bytes = &self.bytes[self.from..];
            match page.next(&bytes[..self.page_bytes.min(bytes.len())]) {
                Some(Found::Record(ts, range)) => {
                    self.last = Some(ts);
                    if wanted(&bytes[range.clone()]) {
                        return Ok(Some(Step::Record { ts, bytes: range }));
                    }
                }
                Some(Found::Nonsense) => {
                    let what = format!("a record in a page of CPU {} is longer than its page", self.cpu);
                    damage.add(Where::Byte(self.at()), what);
                    self.close_page();
                    self.gap = true;
                }
                None => self.close_page(),
            }
        }
    }

    /// What is missing before the page that was just opened.
    fn missed(&mut self) -> Option<Step> {
        let page = self.page.as_ref()?;
        let gap = std::mem::take(&mut self.gap);
        let count = match page.missed {
            Missed::Nothing if !gap => return None,
            Missed::Events(count) if !gap => Some(count),
            _ => None,
        };
        Some(Step::Missed { ts: page.ts(), count })
    }

    /// Goes on at the last page that begins `before` an instant, where pages are not compressed, and says
    /// whether it left anything out. What was missing in between is told before that page no more.
    pub(super) fn skip_to(
        &mut self,
        input: &mut Box<dyn Input>,
        before: impl Fn(u64) -> bool,
    ) -> Result<bool, ReadError> {
        let page_bytes = self.page_bytes as u64;
        // From the current page on.
        let base = self.at();
        let pages = self.end.saturating_sub(base) / page_bytes;
        // Pages below `low` begin before the instant, those from `high` on do not.
        let (mut low, mut high) = (0, if self.packed { 0 } else { pages });
        while low < high {
            let middle = low + (high - low) / 2;
            let mut bytes = [0; 8];
            input.seek(SeekFrom::Start(base + middle * page_bytes))?;
            input.read_exact(&mut bytes)?;
            let ts = self.layout.order.u64(&bytes, 0).unwrap_or_default();
            if before(ts) { low = middle + 1 } else { high = middle }
        }
        if low < 2 {
            return Ok(false);
        }
        self.at = base + (low - 1) * page_bytes;
        self.bytes.clear();
        self.from = 0;
        self.page = None;
        Ok(true)
    }

    fn close_page(&mut self) {
        self.page = None;
        self.from += self.page_bytes;
    }

    /// Opens the next page; false at the end.
    fn open_page(&mut self, input: &mut Box<dyn Input>, damage: &mut Damage) -> Result<bool, ReadError> {
        loop {
            if self.from >= self.bytes.len() && !self.read(input, damage)? {
                return Ok(false);
            }
            let bytes = &self.bytes[self.from..];
            let bytes = &bytes[..self.page_bytes.min(bytes.len())];
            if bytes.len() < self.page_bytes {
                // The last page of a file that was cut: what it holds cannot be told from what is missing.
                self.from = self.bytes.len();
                continue;
            }
            self.page = Page::open(bytes, self.layout);
            if self.page.is_some() {
                return Ok(true);
            }
            damage
                .add(Where::Byte(self.at()), format!("a page of CPU {} is longer than pages are", self.cpu));
            self.from += self.page_bytes;
            self.gap = true;
        }
    }

    /// Reads the next pages; false at the end.
    fn read(&mut self, input: &mut Box<dyn Input>, damage: &mut Damage) -> Result<bool, ReadError> {
        self.bytes.clear();
        self.from = 0;
        if self.packed {
            return self.read_chunk(input, damage);
        }
        self.bytes_at = self.at;
        let size = BLOCK.min(self.share).max(self.page_bytes) / self.page_bytes * self.page_bytes;
        let size = usize::try_from(self.left()).map_or(size, |left| left.min(size));
        if size == 0 {
            return Ok(false);
        }
        input.seek(SeekFrom::Start(self.at))?;
        self.at += size as u64;
        Read::take(&mut **input, size as u64).read_to_end(&mut self.bytes)?;
        Ok(!self.bytes.is_empty())
    }

    /// Reads the next chunk that can be decompressed.
    fn read_chunk(&mut self, input: &mut Box<dyn Input>, damage: &mut Damage) -> Result<bool, ReadError> {
        if self.chunks.is_none() {
            let Some(count) = self.word(input)? else { return Ok(false) };
            self.chunks = Some(count);
        }
        while let Some(left @ 1..) = self.chunks {
            self.chunks = Some(left - 1);
            self.bytes_at = self.at;
            let (Some(packed), Some(plain)) = (self.word(input)?, self.word(input)?) else { break };
            if u64::from(packed) > self.left() {
                if self.cut.is_none() {
                    damage.add(
                        Where::Byte(self.bytes_at),
                        format!("a chunk of CPU {} is longer than its pages", self.cpu),
                    );
                }
                break;
            }
            let mut bytes = Vec::new();
            input.seek(SeekFrom::Start(self.at))?;
            Read::take(&mut **input, u64::from(packed)).read_to_end(&mut bytes)?;
            self.at += u64::from(packed);
            match self.packing.unpack(&bytes, plain as usize, LARGEST_CHUNK.min(self.share)) {
                Ok(bytes) if !bytes.is_empty() => {
                    self.bytes = bytes;
                    return Ok(true);
                }
                Ok(_) => {}
                Err(why) => {
                    damage.add(
                        Where::Byte(self.bytes_at),
                        format!("a chunk of CPU {} makes no sense ({why})", self.cpu),
                    );
                    self.gap = true;
                }
            }
        }
        Ok(false)
    }

    /// The next 32 bits of the file; `None` at the end of the lane.
    fn word(&mut self, input: &mut Box<dyn Input>) -> Result<Option<u32>, ReadError> {
        if self.left() < 4 {
            return Ok(None);
        }
        let mut bytes = [0; 4];
        input.seek(SeekFrom::Start(self.at))?;
        input.read_exact(&mut bytes)?;
        self.at += 4;
        Ok(Some(if self.layout.order == Order::Little {
            u32::from_le_bytes(bytes)
        } else {
            u32::from_be_bytes(bytes)
        }))
    }

    /// The kernel's time of the last record, of whatever kind.
    pub(super) fn last(&self) -> Option<u64> {
        self.last
    }
}
