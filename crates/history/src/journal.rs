//! The open end of the log: an append-only file of intervals, each whole or not there.
//!
//! ```text
//! file   = magic, record…
//! record = length of body (u32 LE), CRC-32 of body (u32 LE), body
//! body   = zstd of postcard of (texts, rows); a row holds indices of its texts and its numbers
//! ```
//!
//! A record that is cut or whose sum is wrong ends what is read: nothing behind it was written after it.
//! Appending first cuts the file back to its last whole record.

use crate::error::{Error, Result};
use crate::row::Row;
use crate::schema::{Int, Text};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tombola_core::histogram::BUCKETS;

/// First bytes of a journal; the digit is the version of its layout.
const MAGIC: &[u8; 8] = b"tombola2";

/// Bytes before a record's body.
const HEAD: usize = 8;

/// No interval's body is longer, compressed or not: a damaged length is recognised before memory is asked
/// for.
const MOST: usize = 256 << 20;

#[derive(Serialize, Deserialize)]
struct Body {
    texts: Vec<String>,
    rows: Vec<PackedRow>,
}

#[derive(Serialize, Deserialize)]
struct PackedRow {
    /// Column and value.
    ints: Vec<(u8, i64)>,
    /// Column and index of the text.
    texts: Vec<(u8, u32)>,
    waits: Option<Vec<i64>>,
}

/// A journal that is appended to.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: File,
    /// Bytes that hold whole records.
    length: u64,
}

impl Journal {
    /// Opens or creates a journal and cuts it back to its last whole record.
    ///
    /// # Errors
    /// What the file system refuses; a file that is no journal.
    pub fn open(path: &Path) -> Result<Self> {
        let io = |source| Error::io("open the journal", path, source);
        let file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path).map_err(io)?;
        let mut found = vec![];
        file.try_clone().map_err(io)?.take(MAGIC.len() as u64).read_to_end(&mut found).map_err(io)?;
        // One of another version that holds no interval has nothing to lose.
        let is_older = found.starts_with(&MAGIC[..MAGIC.len() - 1]);
        let is_bare = file.metadata().map_err(io)?.len() <= MAGIC.len() as u64;
        if !(MAGIC.starts_with(&found) || is_older && is_bare) {
            return Err(Error::NoJournal { path: path.to_owned() });
        }
        let mut journal = Self { path: path.to_owned(), file, length: MAGIC.len() as u64 };
        if found == MAGIC {
            let mut records = Records::open(path)?;
            while records.next_rows()?.is_some() {}
            journal.length = records.at;
        } else {
            journal.file.write_all_at(MAGIC, 0).map_err(io)?;
        }
        journal.file.set_len(journal.length).map_err(io)?;
        Ok(journal)
    }

    /// Whether it holds no interval.
    pub fn is_empty(&self) -> bool {
        self.length <= MAGIC.len() as u64
    }

    /// Bytes in it.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Appends the rows of one interval and waits until the disk has them.
    ///
    /// # Errors
    /// What the file system refuses, a full disk for one: the interval is then not in the journal, in no
    /// part.
    pub fn append(&mut self, rows: &[Row]) -> Result<()> {
        let body = pack(rows)?;
        let mut record = Vec::with_capacity(HEAD + body.len());
        record.extend_from_slice(&u32::try_from(body.len()).unwrap_or(u32::MAX).to_le_bytes());
        record.extend_from_slice(&crc32fast::hash(&body).to_le_bytes());
        record.extend_from_slice(&body);
        let written = self.file.write_all_at(&record, self.length).and_then(|()| self.file.sync_data());
        if let Err(source) = written {
            // What cannot be cut back now is cut back by the sum when it is read.
            let _ = self.file.set_len(self.length);
            return Err(Error::io("append to the journal", &self.path, source));
        }
        self.length += record.len() as u64;
        Ok(())
    }

    /// Empties it.
    ///
    /// # Errors
    /// What the file system refuses.
    pub fn clear(&mut self) -> Result<()> {
        self.file
            .set_len(MAGIC.len() as u64)
            .and_then(|()| self.file.sync_data())
            .map_err(|source| Error::io("empty the journal", &self.path, source))?;
        self.length = MAGIC.len() as u64;
        Ok(())
    }
}

/// The intervals of a journal, one after the other, also while another process appends to it.
pub struct Records {
    path: PathBuf,
    file: File,
    at: u64,
}

impl Records {
    /// Opens a journal for reading.
    ///
    /// # Errors
    /// What the file system refuses; a file that is no journal.
    pub fn open(path: &Path) -> Result<Self> {
        let io = |source| Error::io("read the journal", path, source);
        let file = File::open(path).map_err(io)?;
        let mut magic = [0; MAGIC.len()];
        match file.read_exact_at(&mut magic, 0) {
            Ok(()) if magic == *MAGIC => {}
            Err(error) if error.kind() != ErrorKind::UnexpectedEof => return Err(io(error)),
            // One that is being created is empty.
            Err(_) if file.metadata().map_err(io)?.len() < MAGIC.len() as u64 => {}
            _ => return Err(Error::NoJournal { path: path.to_owned() }),
        }
        Ok(Self { path: path.to_owned(), file, at: MAGIC.len() as u64 })
    }

    /// The rows of the next interval; `None` at the end, or where the first record is that is not whole.
    ///
    /// # Errors
    /// What the file system refuses.
    pub fn next_rows(&mut self) -> Result<Option<Vec<Row>>> {
        let io = |source| Error::io("read the journal", &self.path, source);
        let mut head = [0; HEAD];
        let Some(()) = read_whole(&self.file, &mut head, self.at).map_err(io)? else { return Ok(None) };
        let [l0, l1, l2, l3, c0, c1, c2, c3] = head;
        let (length, sum) =
            (u32::from_le_bytes([l0, l1, l2, l3]) as usize, u32::from_le_bytes([c0, c1, c2, c3]));
        let left = self.file.metadata().map_err(io)?.len().saturating_sub(self.at + HEAD as u64);
        if length > MOST || length as u64 > left {
            return Ok(None);
        }
        let mut body = vec![0; length];
        let Some(()) = read_whole(&self.file, &mut body, self.at + HEAD as u64).map_err(io)? else {
            return Ok(None);
        };
        if crc32fast::hash(&body) != sum {
            return Ok(None);
        }
        let Some(rows) = unpack(&body) else { return Ok(None) };
        self.at += (HEAD + length) as u64;
        Ok(Some(rows))
    }
}

fn read_whole(file: &File, buffer: &mut [u8], at: u64) -> std::io::Result<Option<()>> {
    match file.read_exact_at(buffer, at) {
        Ok(()) => Ok(Some(())),
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(error),
    }
}

fn pack(rows: &[Row]) -> Result<Vec<u8>> {
    let mut texts: Vec<String> = Vec::new();
    let mut index: HashMap<Arc<str>, u32> = HashMap::new();
    let mut packed = Vec::with_capacity(rows.len());
    for row in rows {
        let ints = Int::ALL.iter().zip(0u8..).filter_map(|(column, n)| Some((n, row.int(*column)?)));
        let mut of_row = Vec::new();
        for (column, n) in Text::ALL.iter().zip(0u8..) {
            if let Some(text) = row.text(*column) {
                let next = u32::try_from(texts.len()).unwrap_or(u32::MAX);
                let at = *index.entry(Arc::clone(text)).or_insert_with(|| {
                    texts.push(text.to_string());
                    next
                });
                of_row.push((n, at));
            }
        }
        packed.push(PackedRow {
            ints: ints.collect(),
            texts: of_row,
            waits: row.waits.as_ref().map(|waits| waits.to_vec()),
        });
    }
    let plain = postcard::to_stdvec(&Body { texts, rows: packed }).map_err(|_| Error::TooMuch)?;
    let body = zstd::bulk::compress(&plain, 1).map_err(|_| Error::TooMuch)?;
    if plain.len() > MOST || body.len() > MOST { Err(Error::TooMuch) } else { Ok(body) }
}

fn unpack(body: &[u8]) -> Option<Vec<Row>> {
    let mut plain = Vec::new();
    let limit = MOST as u64;
    zstd::stream::read::Decoder::new(body).ok()?.take(limit + 1).read_to_end(&mut plain).ok()?;
    let body: Body = (plain.len() <= MOST).then(|| postcard::from_bytes(&plain).ok()).flatten()?;
    let texts: Vec<Arc<str>> = body.texts.into_iter().map(Arc::from).collect();
    let row = |packed: PackedRow| {
        let mut row = Row::default();
        for (column, value) in packed.ints {
            row.set(*Int::ALL.get(usize::from(column))?, value);
        }
        for (column, at) in packed.texts {
            row.set_text(*Text::ALL.get(usize::from(column))?, Arc::clone(texts.get(at as usize)?));
        }
        row.waits = match packed.waits {
            None => None,
            Some(waits) => Some(Box::new(<[i64; BUCKETS]>::try_from(waits).ok()?)),
        };
        Some(row)
    };
    body.rows.into_iter().map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_journal_of_another_version_is_begun_anew_only_where_it_holds_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        std::fs::write(&path, b"tombola1").unwrap();
        assert!(Journal::open(&path).unwrap().is_empty());
        assert_eq!(std::fs::read(&path).unwrap(), MAGIC);
        for other in [&b"tombola1\0"[..], b"precious", b"precious and long"] {
            std::fs::write(&path, other).unwrap();
            assert!(matches!(Journal::open(&path), Err(Error::NoJournal { .. })));
            assert_eq!(std::fs::read(&path).unwrap(), other);
        }
    }
}
