//! Going through the head of a binary recording, piece by piece, with a place for every complaint.

use super::Input;
use super::error::{Place, ReadError};
use super::format_order::Order;
use std::io::{Read, SeekFrom};

/// A stretch of a recording being read forwards.
pub(crate) struct Scan<'a> {
    input: &'a mut dyn Input,
    /// Where the next byte is, and where the stretch ends.
    at: u64,
    end: u64,
    /// What `at` 0 is in the file, for messages; not 0 where the stretch was decompressed.
    base: u64,
    pub(crate) order: Order,
    pub(crate) format: &'static str,
}

impl<'a> Scan<'a> {
    /// From `at` to before `end`.
    pub(crate) fn new(
        input: &'a mut dyn Input,
        (at, end): (u64, u64),
        base: u64,
        order: Order,
        format: &'static str,
    ) -> Result<Self, ReadError> {
        input.seek(SeekFrom::Start(at))?;
        Ok(Self { input, at, end, base, order, format })
    }

    pub(crate) fn at(&self) -> u64 {
        self.at
    }

    pub(crate) fn left(&self) -> u64 {
        self.end.saturating_sub(self.at)
    }

    pub(crate) fn damaged(&self, what: impl Into<String>) -> ReadError {
        let at = Place::Byte(self.base + self.at);
        ReadError::Damaged { format: self.format, at, what: what.into() }
    }

    /// The next `length` bytes. A length that the stretch does not have allocates nothing.
    pub(crate) fn bytes(&mut self, length: u64, what: &str) -> Result<Vec<u8>, ReadError> {
        let cut = |at| ReadError::CutOff { format: self.format, at: Place::Byte(at), what: what.to_owned() };
        if length > self.left() {
            return Err(cut(self.base + self.at));
        }
        let mut bytes = Vec::new();
        (&mut self.input).take(length).read_to_end(&mut bytes)?;
        if bytes.len() as u64 != length {
            return Err(cut(self.base + self.at));
        }
        self.at += length;
        Ok(bytes)
    }

    /// Passes over `length` bytes.
    pub(crate) fn skip(&mut self, length: u64, what: &str) -> Result<(), ReadError> {
        if length > self.left() {
            self.bytes(length, what)?;
        }
        self.at += length;
        if length < 1 << 16 {
            // A seek throws the buffer of the file away.
            std::io::copy(&mut (&mut self.input).take(length), &mut std::io::sink())?;
        } else {
            self.input.seek(SeekFrom::Start(self.at))?;
        }
        Ok(())
    }

    /// Goes on at `at`, which may be behind.
    pub(crate) fn go_to(&mut self, at: u64, what: &str) -> Result<(), ReadError> {
        if at > self.end {
            return Err(self.damaged(format!("{what} is said to be at byte {at}, behind the end")));
        }
        self.at = at;
        self.input.seek(SeekFrom::Start(at))?;
        Ok(())
    }

    pub(crate) fn u8(&mut self, what: &str) -> Result<u8, ReadError> {
        Ok(self.bytes(1, what)?[0])
    }

    pub(crate) fn u16(&mut self, what: &str) -> Result<u16, ReadError> {
        let bytes = self.bytes(2, what)?;
        Ok(self.order.u16(&bytes, 0).unwrap_or_default())
    }

    pub(crate) fn u32(&mut self, what: &str) -> Result<u32, ReadError> {
        let bytes = self.bytes(4, what)?;
        Ok(self.order.u32(&bytes, 0).unwrap_or_default())
    }

    pub(crate) fn u64(&mut self, what: &str) -> Result<u64, ReadError> {
        let bytes = self.bytes(8, what)?;
        Ok(self.order.u64(&bytes, 0).unwrap_or_default())
    }

    /// Text that ends with a NUL, which is taken too and not given; of 4,096 bytes at most.
    pub(crate) fn string(&mut self, what: &str) -> Result<String, ReadError> {
        let mut text = Vec::new();
        loop {
            match self.u8(what)? {
                0 => return Ok(String::from_utf8_lossy(&text).into_owned()),
                _ if text.len() == 4096 => return Err(self.damaged(format!("{what} does not end"))),
                byte => text.push(byte),
            }
        }
    }
}
