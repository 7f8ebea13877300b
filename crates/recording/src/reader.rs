//! From bytes to events: one reader a format, chosen by what a file holds, never by its name.

pub mod error;
pub mod format;
pub mod format_order;
mod format_scan;
mod format_sched;
pub mod format_set;
mod ftrace_page;
mod merge;
pub mod perf_data;
pub mod perfetto;
pub mod text;
pub mod trace_dat;

pub use error::{Damage, Place, ReadError};

use crate::capabilities::Header;
use crate::event::Event;
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::Path;

/// Bytes that can be read and gone back in: a file, or `Cursor` of a slice.
pub trait Input: Read + Seek + Send {}

impl<T: Read + Seek + Send> Input for T {}

/// A recording being read.
///
/// Events come in the order of (`ts_ns`, `seq`, `cpu`), as far as the recording is in order itself; a reader of a format that keeps
/// CPUs apart merges them. Where the recording goes back in time the events are given as they
/// stand, and the normaliser counts it.
///
/// A reader never panics, and never holds more memory than the file is long plus a constant, whatever the bytes are.
pub trait Reader: Send {
    /// What stands at the head, and what the events can tell. Complete once the reader is open.
    fn header(&self) -> &Header;

    /// The next event, `None` behind the last.
    ///
    /// # Errors
    /// [`ReadError`], once: what came before is valid, and from then on the answer is `None`.
    fn next_event(&mut self) -> Result<Option<Event>, ReadError>;

    /// Passes over what is certainly before `ts_ns`, where the format can do so without reading it. Events before it may still come.
    ///
    /// # Errors
    /// As [`next_event`](Self::next_event).
    fn skip_to(&mut self, _ts_ns: u64) -> Result<(), ReadError> {
        Ok(())
    }

    /// How much of the file is behind, (bytes, of bytes).
    fn progress(&self) -> (u64, u64);

    /// What was stepped over so far.
    fn damage(&self) -> &Damage;
}

/// The events of a reader as an iterator, which ends with the first error.
pub struct Events<'a>(pub &'a mut dyn Reader);

impl Iterator for Events<'_> {
    type Item = Result<Event, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next_event().transpose()
    }
}

/// A format, recognised by content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// perf's file, or what it writes into a pipe.
    PerfData,
    /// trace-cmd's binary file.
    TraceDat,
    /// A Perfetto trace.
    Perfetto,
    /// Lines of text: ftrace, `trace-cmd report`, `perf script`, systrace.
    Text,
    /// Something compressed with gzip, to be looked into.
    Gzip,
}

/// How many bytes recognition looks at.
pub const RECOGNITION_BYTES: usize = 4096;

/// The format of something that begins with these bytes (of [`RECOGNITION_BYTES`], or all); `None` where it is none that is known.
pub fn recognise(begin: &[u8]) -> Option<Format> {
    if begin.starts_with(b"PERFILE2") || begin.starts_with(b"2ELIFREP") {
        Some(Format::PerfData)
    } else if begin.starts_with(b"\x17\x08\x44tracing") {
        Some(Format::TraceDat)
    } else if begin.starts_with(&[0x1f, 0x8b]) {
        Some(Format::Gzip)
    } else if looks_like_packets(begin) {
        Some(Format::Perfetto)
    } else if looks_like_text(begin) {
        Some(Format::Text)
    } else {
        None
    }
}

/// Field 1 with a length, and in it a field of a number that packets have, with a wire type that exists.
fn looks_like_packets(begin: &[u8]) -> bool {
    let Some(rest) = begin.strip_prefix(&[0x0a]) else { return false };
    let Some(end) = rest.iter().take(5).position(|b| b & 0x80 == 0) else { return false };
    let Some(tag) = rest.get(end + 1) else { return false };
    let (field, wire) = (tag >> 3, tag & 7);
    field != 0 && matches!(wire, 0 | 1 | 2 | 5) && rest.get(end + 2).is_some() && !looks_like_text(begin)
}

/// No NUL, hardly a control character.
fn looks_like_text(begin: &[u8]) -> bool {
    let odd = begin.iter().filter(|b| b.is_ascii_control() && !b.is_ascii_whitespace()).count();
    begin.len() >= 8 && !begin.contains(&0) && odd * 100 <= begin.len()
}

/// Opens the recording at `path`.
///
/// # Errors
/// [`ReadError`] where it cannot be read or holds nothing that is known.
pub fn open(path: &Path) -> Result<Box<dyn Reader>, ReadError> {
    open_watched(path, &mut |_, _| true)
}

/// Told how far a file is read, (bytes, of bytes); false ends the recording there.
pub type Look<'a> = &'a mut dyn FnMut(u64, u64) -> bool;

/// The same, telling how far it is: what is packed as a whole and Perfetto traces are gone through when they are opened. Where that is ended,
/// the recording is what was gone through until then.
///
/// # Errors
/// As [`open`].
pub fn open_watched(path: &Path, look: Look<'_>) -> Result<Box<dyn Reader>, ReadError> {
    open_looking(Box::new(BufReader::with_capacity(1 << 16, File::open(path)?)), look)
}

/// Opens a recording that cannot be gone back in, such as standard input, by way of a temporary file without a name.
///
/// # Errors
/// As [`open`], and where the temporary file cannot be written.
pub fn open_stream(from: &mut dyn Read) -> Result<Box<dyn Reader>, ReadError> {
    let mut file = tempfile::tempfile()?;
    std::io::copy(from, &mut file)?;
    file.rewind()?;
    open_input(Box::new(BufReader::with_capacity(1 << 16, file)))
}

/// Opens a recording of any format.
///
/// # Errors
/// As [`open`].
pub fn open_input(input: Box<dyn Input>) -> Result<Box<dyn Reader>, ReadError> {
    open_looking(input, &mut |_, _| true)
}

fn open_looking(mut input: Box<dyn Input>, look: Look<'_>) -> Result<Box<dyn Reader>, ReadError> {
    let begin = beginning(&mut input)?;
    match recognise(&begin) {
        Some(Format::Gzip) => {
            let mut plain = tempfile::tempfile()?;
            decompress(&mut input, &mut plain, look)?;
            plain.rewind()?;
            let mut plain: Box<dyn Input> = Box::new(BufReader::with_capacity(1 << 16, plain));
            let begin = beginning(&mut plain)?;
            match recognise(&begin) {
                Some(Format::Gzip) => Err(not_recognised(&begin)),
                format => open_format(format, plain, &begin, look),
            }
        }
        format => open_format(format, input, &begin, look),
    }
}

fn open_format(
    format: Option<Format>,
    input: Box<dyn Input>,
    begin: &[u8],
    look: Look<'_>,
) -> Result<Box<dyn Reader>, ReadError> {
    match format {
        Some(Format::PerfData) => Ok(Box::new(perf_data::PerfData::open(input)?)),
        Some(Format::TraceDat) => Ok(Box::new(trace_dat::TraceDat::open(input)?)),
        Some(Format::Perfetto) => Ok(Box::new(perfetto::PerfettoReader::new(input, look)?)),
        Some(Format::Text) => Ok(Box::new(text::TextReader::new(input)?)),
        Some(Format::Gzip) | None => Err(not_recognised(begin)),
    }
}

/// The first bytes; the input is at its beginning again.
fn beginning(mut input: &mut dyn Input) -> Result<Vec<u8>, ReadError> {
    let mut begin = Vec::with_capacity(RECOGNITION_BYTES);
    Read::take(&mut input, RECOGNITION_BYTES as u64).read_to_end(&mut begin)?;
    input.seek(SeekFrom::Start(0))?;
    Ok(begin)
}

/// Unpacks as far as it goes: a cut file gives what stands before the cut, and the reader of the format says that it is cut.
fn decompress(
    packed: &mut dyn Input,
    plain: &mut dyn std::io::Write,
    look: Look<'_>,
) -> Result<(), ReadError> {
    let length = packed.seek(SeekFrom::End(0))?;
    packed.seek(SeekFrom::Start(0))?;
    let mut decoder = flate2::read::MultiGzDecoder::new(packed);
    let mut buffer = vec![0; 1 << 16];
    loop {
        match decoder.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(n) => {
                plain.write_all(&buffer[..n])?;
                let at = decoder.get_mut().stream_position()?;
                if !look(at, length) {
                    return Ok(());
                }
            }
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error)
                if matches!(
                    error.kind(),
                    std::io::ErrorKind::UnexpectedEof
                        | std::io::ErrorKind::InvalidInput
                        | std::io::ErrorKind::InvalidData
                ) =>
            {
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        }
    }
}

fn not_recognised(begin: &[u8]) -> ReadError {
    let begins = if begin.is_empty() {
        "nothing: it is empty".to_owned()
    } else {
        format!("\"{}\"", begin[..begin.len().min(16)].escape_ascii())
    };
    ReadError::NotRecognised { begins }
}
