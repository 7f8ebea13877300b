//! The records of a perf.data file one after the other, those that were compressed too.

use crate::reader::Input;
use crate::reader::error::{Place, ReadError};
use crate::reader::format_order::Order;
use std::io::Read;
use zstd::stream::raw::{Decoder, InBuffer, Operation, OutBuffer};

pub(super) const FORMAT: &str = "perf.data";

/// A record with another one inside it.
pub(super) const COMPRESSED: u32 = 81;
/// The same, whose bytes are padded.
pub(super) const COMPRESSED2: u32 = 83;

/// Bytes of the head of a record: kind (32 bits), misc (16), size with this head (16).
const HEAD: usize = 8;

/// What is read at once.
const CHUNK: usize = 1 << 16;

/// Where a record lies.
#[derive(Clone, Copy, Debug)]
pub(super) struct Record {
    /// Offset in the file, of the compressed record where it was in one.
    pub(super) at: u64,
    pub(super) kind: u32,
    pub(super) misc: u16,
    unpacked: bool,
    /// Where its body begins in the buffer, and how long it is.
    from: u32,
    length: u16,
}

/// Bytes of which the first are taken.
#[derive(Default)]
struct Buffer {
    bytes: Vec<u8>,
    from: usize,
}

impl Buffer {
    fn left(&self) -> &[u8] {
        &self.bytes[self.from..]
    }

    /// Forgets what was taken, so that as much can come behind.
    fn compact(&mut self) {
        self.bytes.drain(..self.from);
        self.from = 0;
    }
}

/// The records of a file or of a pipe's output.
pub(super) struct Records {
    input: Box<dyn Input>,
    order: Order,
    file: Buffer,
    /// Offset in the file of the first byte that was not taken, and where the records end.
    at: u64,
    end: Option<u64>,
    /// Compressed bytes that wait, and where they stand in the file.
    packed: Buffer,
    packed_at: u64,
    plain: Buffer,
    /// The decompressor filled all the room it was given.
    full: bool,
    decoder: Option<Decoder<'static>>,
}

impl Records {
    /// From where `input` stands, which is `at`, to before `end` or the end of the file.
    pub(super) fn new(input: Box<dyn Input>, at: u64, end: Option<u64>, order: Order) -> Self {
        let (file, packed, plain) = Default::default();
        Self { input, order, file, at, end, packed, packed_at: at, plain, full: false, decoder: None }
    }

    /// Offset in the file of what comes next.
    pub(super) fn at(&self) -> u64 {
        self.at
    }

    /// The bytes of a record behind its head. Valid until the next record is asked for.
    pub(super) fn body(&self, record: &Record) -> &[u8] {
        let buffer = if record.unpacked { &self.plain } else { &self.file };
        &buffer.bytes[record.from as usize..][..usize::from(record.length)]
    }

    /// The next record; `None` at the end.
    #[inline]
    pub(super) fn next(&mut self) -> Result<Option<Record>, ReadError> {
        if self.decoder.is_none()
            && let Some(record) = Self::whole(&mut self.file, self.order, self.at, false)?
        {
            self.at += HEAD as u64 + u64::from(record.length);
            return Ok(Some(record));
        }
        self.next_slowly()
    }

    fn next_slowly(&mut self) -> Result<Option<Record>, ReadError> {
        while !(self.plain.left().is_empty() && self.packed.left().is_empty() && !self.full) {
            if let Some(record) = Self::whole(&mut self.plain, self.order, self.packed_at, true)? {
                return Ok(Some(record));
            }
            // What filled the room that it was given may hold more, though all its input is taken.
            if (self.packed.left().is_empty() && !self.full) || !self.unpack()? {
                break;
            }
        }
        let at = self.at;
        if self.fill(HEAD)? < HEAD {
            return self.finish();
        }
        let size = usize::from(self.order.u16(self.file.left(), 6).unwrap_or_default());
        if size < HEAD {
            return Err(damaged(at, format!("a record of {size} bytes, less than its own head")));
        }
        if self.fill(size)? < size {
            return Err(cut(at, "a record"));
        }
        self.at += size as u64;
        Self::whole(&mut self.file, self.order, at, false)
    }

    /// At the end of the file nothing may be left over.
    fn finish(&self) -> Result<Option<Record>, ReadError> {
        if !self.file.left().is_empty() {
            return Err(cut(self.at, "the head of a record"));
        }
        if !self.plain.left().is_empty() {
            return Err(cut(self.packed_at, "a record that was compressed"));
        }
        match self.end {
            Some(end) if self.at < end => Err(cut(self.at, "the data")),
            _ => Ok(None),
        }
    }

    /// Takes the first record of a buffer, if it is whole.
    #[inline]
    fn whole(from: &mut Buffer, order: Order, at: u64, unpacked: bool) -> Result<Option<Record>, ReadError> {
        let left = from.left();
        let (Some(kind), Some(misc), Some(size)) =
            (order.u32(left, 0), order.u16(left, 4), order.u16(left, 6))
        else {
            return Ok(None);
        };
        let size = usize::from(size);
        if size < HEAD {
            return Err(damaged(at, format!("a record of {size} bytes, less than its own head")));
        }
        if left.len() < size {
            return Ok(None);
        }
        let begin = from.from + HEAD;
        from.from += size;
        // A buffer holds a chunk and a record.
        let (Ok(begin), Ok(length)) = (u32::try_from(begin), u16::try_from(size - HEAD)) else {
            return Ok(None);
        };
        Ok(Some(Record { at, kind, misc, unpacked, from: begin, length }))
    }

    /// Gives the bytes in a compressed record to the decompressor.
    pub(super) fn take_compressed(&mut self, record: &Record) -> Result<(), ReadError> {
        if record.unpacked {
            return Err(damaged(record.at, "a compressed record in a compressed record"));
        }
        let mut body = &self.file.bytes[record.from as usize..][..usize::from(record.length)];
        if record.kind == COMPRESSED2 {
            let length = self.order.u64(body, 0).and_then(|length| usize::try_from(length).ok());
            body = length
                .and_then(|length| body.get(8..)?.get(..length))
                .ok_or_else(|| damaged(record.at, "a compressed record is shorter than it says"))?;
        }
        self.packed.compact();
        self.packed.bytes.extend_from_slice(body);
        self.packed_at = record.at;
        Ok(())
    }

    /// Decompresses a chunk; false where nothing came of it.
    fn unpack(&mut self) -> Result<bool, ReadError> {
        let fail = |error| damaged(self.packed_at, format!("compressed bytes make no sense ({error})"));
        // perf keeps one frame for the whole file: it flushes it at each record and never ends it.
        let decoder = match &mut self.decoder {
            Some(decoder) => decoder,
            none => none.insert(Decoder::new().map_err(fail)?),
        };
        self.plain.compact();
        let old = self.plain.bytes.len();
        self.plain.bytes.resize(old + CHUNK, 0);
        let mut input = InBuffer::around(&self.packed.bytes[self.packed.from..]);
        let mut output = OutBuffer::around(&mut self.plain.bytes[old..]);
        let result = decoder.run(&mut input, &mut output).map_err(fail);
        let (used, made) = (input.pos(), output.pos());
        self.packed.from += used;
        self.full = made == CHUNK;
        self.plain.bytes.truncate(old + made);
        result?;
        Ok(used > 0 || made > 0)
    }

    /// Reads until `size` bytes wait, and says how many do.
    #[inline]
    fn fill(&mut self, size: usize) -> Result<usize, ReadError> {
        let left = self.file.left().len();
        if left >= size { Ok(left) } else { self.fill_up(size) }
    }

    fn fill_up(&mut self, size: usize) -> Result<usize, ReadError> {
        while self.file.left().len() < size {
            self.file.compact();
            let have = self.file.bytes.len();
            let rest = self.end.map_or(u64::MAX, |end| end.saturating_sub(self.at + have as u64));
            let want = CHUNK.max(size - have);
            let want = usize::try_from(rest).map_or(want, |rest| want.min(rest));
            self.file.bytes.reserve_exact(want);
            if Read::take(&mut self.input, want as u64).read_to_end(&mut self.file.bytes)? == 0 {
                break;
            }
        }
        Ok(self.file.left().len())
    }

    /// Takes bytes that stand between records: the payload of tracing data in a pipe lies outside its
    /// record's size.
    pub(super) fn take_outside(&mut self, length: u64, what: &str) -> Result<Vec<u8>, ReadError> {
        let at = self.at;
        let mut bytes = Vec::new();
        while (bytes.len() as u64) < length {
            if self.fill(1)? == 0 {
                return Err(cut(at, what));
            }
            let left = self.file.left();
            let rest = length - bytes.len() as u64;
            let take = usize::try_from(rest).map_or(left.len(), |rest| rest.min(left.len()));
            bytes.extend_from_slice(&left[..take]);
            self.file.from += take;
            self.at += take as u64;
        }
        Ok(bytes)
    }
}

pub(super) fn damaged(at: u64, what: impl Into<String>) -> ReadError {
    ReadError::Damaged { format: FORMAT, at: Place::Byte(at), what: what.into() }
}

pub(super) fn cut(at: u64, what: &str) -> ReadError {
    ReadError::CutOff { format: FORMAT, at: Place::Byte(at), what: what.to_owned() }
}
