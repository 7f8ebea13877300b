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
mod plausible;
pub mod text;
pub mod trace_dat;

pub use error::{Damage, Place, ReadError};

use crate::capabilities::Header;
use crate::event::Event;
use std::cell::Cell;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

/// Bytes that can be read and gone back in: a file, or `Cursor` of a slice.
pub trait Input: Read + Seek + Send {}

impl<T: Read + Seek + Send> Input for T {}

/// A file with a buffer that outlives a jump to what is in it: the pieces of several CPUs lie side by side,
/// and are read in turns.
struct Buffered {
    file: BufReader<File>,
    at: u64,
}

impl Buffered {
    /// Of a file at its begin.
    fn new(file: File) -> Self {
        Self { file: BufReader::with_capacity(1 << 16, file), at: 0 }
    }
}

impl Read for Buffered {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(into)?;
        self.at += read as u64;
        Ok(read)
    }
}

impl Seek for Buffered {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let by = match to {
            SeekFrom::Start(to) => i64::try_from(i128::from(to) - i128::from(self.at)).ok(),
            SeekFrom::Current(by) => Some(by),
            SeekFrom::End(_) => None,
        };
        self.at = match by.and_then(|by| Some((by, self.at.checked_add_signed(by)?))) {
            Some((by, at)) => {
                self.file.seek_relative(by)?;
                at
            }
            None => self.file.seek(to)?,
        };
        Ok(self.at)
    }
}

/// A recording being read.
///
/// Events come in the order of (`ts_ns`, `seq`, `cpu`), as far as the recording is in order itself; a reader
/// of a format that keeps CPUs apart merges them. Where the recording goes back in time the events are given
/// as they stand, and the normaliser counts it.
///
/// A reader never panics, and never holds more memory than the file is long plus a constant, whatever the
/// bytes are.
pub trait Reader: Send {
    /// What stands at the head, and what the events can tell. Complete once the reader is open.
    fn header(&self) -> &Header;

    /// The next event, `None` behind the last.
    ///
    /// # Errors
    /// [`ReadError`], once: what came before is valid, and from then on the answer is `None`.
    fn next_event(&mut self) -> Result<Option<Event>, ReadError>;

    /// Passes over what is certainly before `ts_ns`, where the format can do so without reading it. Events
    /// before it may still come.
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
    /// The same with zstd.
    Zstd,
}

/// How many bytes recognition looks at.
pub const RECOGNITION_BYTES: usize = 4096;

/// The format of something that begins with these bytes (of [`RECOGNITION_BYTES`], or all); `None` where it
/// is none that is known.
pub fn recognise(begin: &[u8]) -> Option<Format> {
    if begin.starts_with(b"PERFILE2") || begin.starts_with(b"2ELIFREP") {
        Some(Format::PerfData)
    } else if begin.starts_with(b"\x17\x08\x44tracing") {
        Some(Format::TraceDat)
    } else if begin.starts_with(&[0x1f, 0x8b]) {
        Some(Format::Gzip)
    } else if begin.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
        Some(Format::Zstd)
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

/// The same, telling how far it is: what is packed as a whole and Perfetto traces are gone through when they
/// are opened. Where that is ended, the recording is what was gone through until then.
///
/// # Errors
/// As [`open`].
pub fn open_watched(path: &Path, look: Look<'_>) -> Result<Box<dyn Reader>, ReadError> {
    let mut file = File::open(path)?;
    if !file.metadata()?.is_file() && file.stream_position().is_err() {
        return open_stream(&mut file);
    }
    open_looking(Box::new(Buffered::new(file)), look)
}

/// Opens a recording that cannot be gone back in, such as standard input, by way of a temporary file without
/// a name.
///
/// # Errors
/// As [`open`], and where the temporary file cannot be written.
pub fn open_stream(from: &mut dyn Read) -> Result<Box<dyn Reader>, ReadError> {
    let mut file = tempfile::tempfile()?;
    std::io::copy(from, &mut file)?;
    file.rewind()?;
    open_input(Box::new(Buffered::new(file)))
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
        Some(packing @ (Format::Gzip | Format::Zstd)) => {
            let mut plain = tempfile::tempfile()?;
            decompress(packing, &mut input, &mut plain, look)?;
            plain.rewind()?;
            let mut plain: Box<dyn Input> = Box::new(Buffered::new(plain));
            let begin = beginning(&mut plain)?;
            match recognise(&begin) {
                Some(Format::Gzip | Format::Zstd) => Err(not_recognised(&begin)),
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
    // The first bytes of one that is short may look like text.
    let format = format.filter(|_| packed_otherwise(begin).is_none());
    let reader: Box<dyn Reader> = match format {
        Some(Format::PerfData) => Box::new(perf_data::PerfData::open(input)?),
        Some(Format::TraceDat) => Box::new(trace_dat::TraceDat::open(input)?),
        Some(Format::Perfetto) => Box::new(perfetto::PerfettoReader::new(input, look)?),
        Some(Format::Text) => Box::new(text::TextReader::new(input)?),
        Some(Format::Gzip | Format::Zstd) | None => return Err(not_recognised(begin)),
    };
    Ok(Box::new(plausible::Plausible::new(reader)))
}

/// The first bytes; the input is at its beginning again.
fn beginning(mut input: &mut dyn Input) -> Result<Vec<u8>, ReadError> {
    let mut begin = Vec::with_capacity(RECOGNITION_BYTES);
    Read::take(&mut input, RECOGNITION_BYTES as u64).read_to_end(&mut begin)?;
    input.seek(SeekFrom::Start(0))?;
    Ok(begin)
}

/// Unpacks as far as it goes: a cut file gives what stands before the cut, and the reader of the format says
/// that it is cut.
fn decompress(
    packing: Format,
    packed: &mut dyn Input,
    plain: &mut dyn std::io::Write,
    look: Look<'_>,
) -> Result<(), ReadError> {
    let length = packed.seek(SeekFrom::End(0))?;
    packed.seek(SeekFrom::Start(0))?;
    let read = Cell::new(0);
    let counted = Counted { input: packed, read: &read };
    let mut decoder: Box<dyn Read + '_> = match packing {
        Format::Zstd => Box::new(zstd::stream::read::Decoder::new(counted)?),
        _ => Box::new(flate2::read::MultiGzDecoder::new(counted)),
    };
    let mut buffer = vec![0; 1 << 16];
    loop {
        match decoder.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(n) => {
                plain.write_all(&buffer[..n])?;
                if !look(read.get(), length) {
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
                ) || packing == Format::Zstd && error.kind() == std::io::ErrorKind::Other =>
            {
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// Bytes that tell how many of them were read.
struct Counted<'a> {
    input: &'a mut dyn Input,
    read: &'a Cell<u64>,
}

impl Read for Counted<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.input.read(into)?;
        self.read.set(self.read.get() + read as u64);
        Ok(read)
    }
}

/// What something is packed with that is not unpacked here, and the command that does.
fn packed_otherwise(begin: &[u8]) -> Option<(&'static str, &'static str)> {
    let magics: [(&[u8], &str, &str); 4] = [
        (b"\xfd7zXZ\0", "xz", "xz -dc FILE"),
        (b"BZh", "bzip2", "bzip2 -dc FILE"),
        (b"\x04\x22\x4d\x18", "lz4", "lz4 -dc FILE"),
        (b"PK\x03\x04", "zip", "unzip -p FILE"),
    ];
    let of = magics.into_iter().find(|(magic, ..)| begin.starts_with(magic));
    let tar =
        || begin.get(257..262).filter(|magic| *magic == b"ustar").map(|_| ("tar", "tar -xOf FILE MEMBER"));
    of.map(|(_, name, command)| (name, command)).or_else(tar)
}

fn not_recognised(begin: &[u8]) -> ReadError {
    if let Some((format, command)) = packed_otherwise(begin) {
        return ReadError::Unsupported {
            format,
            what: "it is packed, and only gzip and zstd are unpacked here".to_owned(),
            advice: format!("unpack it: {command} | tombola … -i -"),
        };
    }
    let begins = if begin.is_empty() {
        "nothing: it is empty".to_owned()
    } else {
        format!("\"{}\"", begin[..begin.len().min(16)].escape_ascii())
    };
    ReadError::NotRecognised { begins }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Write;

    const LINE: &[u8] = b"  a 7 [000] 5.000001: sched:sched_waking: comm=b pid=8 prio=120 target_cpu=000\n";

    fn events(mut reader: Box<dyn Reader>) -> usize {
        Events(&mut *reader).inspect(|event| assert!(event.is_ok(), "{event:?}")).count()
    }

    #[test]
    fn what_zstd_has_packed_is_unpacked_as_far_as_it_goes() {
        let text = LINE.repeat(20_000);
        let packed = zstd::stream::encode_all(&text[..], 3).expect("memory");
        let open = |bytes: &[u8]| open_input(Box::new(io::Cursor::new(bytes.to_vec())));
        assert_eq!(events(open(&packed).expect("a recording")), 20_000);
        // Incompressible text in one frame of many blocks, cut in its middle.
        let noise = |n: u32| n.wrapping_mul(2_654_435_761).to_string();
        let text: Vec<u8> = (0..20_000).flat_map(|n| [noise(n).as_bytes(), LINE].concat()).collect();
        let packed = zstd::stream::encode_all(&text[..], 3).expect("memory");
        let cut = events(open(&packed[..packed.len() / 2]).expect("a recording"));
        assert!(cut > 1000 && cut < 19_000, "{cut}");
    }

    #[test]
    fn what_is_packed_otherwise_is_named() {
        for (bytes, name) in [(&b"\xfd7zXZ\0\0\x04"[..], "xz -dc"), (b"BZh91AY&SY", "bzip2 -dc")] {
            let error = open_input(Box::new(io::Cursor::new(bytes.to_vec())))
                .err()
                .expect("no recording")
                .to_string();
            assert!(error.contains(name), "{error}");
        }
    }

    #[test]
    fn a_pipe_that_has_a_name_is_read() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&path).status();
        if !made.is_ok_and(|status| status.success()) {
            println!("SKIP: no mkfifo");
            return;
        }
        let writer = std::thread::spawn({
            let path = path.clone();
            move || std::fs::write(path, LINE.repeat(3)).expect("a reader")
        });
        assert_eq!(events(open(&path).expect("a recording")), 3);
        writer.join().expect("a writer");
    }

    proptest! {
        /// Jumps and readings give what they give in memory.
        #[test]
        fn a_buffered_file_is_the_file(steps in prop::collection::vec((0u8..3, -200_000i64..200_000, 0usize..90_000), 0..40)) {
            let bytes: Vec<u8> = (0..150_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(&bytes).unwrap();
            file.rewind().unwrap();
            let (mut file, mut memory) = (Buffered::new(file), io::Cursor::new(bytes));
            for (from, by, length) in steps {
                let to = match from {
                    0 => SeekFrom::Start(by.unsigned_abs()),
                    1 => SeekFrom::Current(by),
                    _ => SeekFrom::End(by),
                };
                prop_assert_eq!(file.seek(to).ok(), memory.seek(to).ok());
                let (mut ours, mut theirs) = (Vec::new(), Vec::new());
                (&mut file).take(length as u64).read_to_end(&mut ours).unwrap();
                (&mut memory).take(length as u64).read_to_end(&mut theirs).unwrap();
                prop_assert_eq!(ours, theirs);
                prop_assert_eq!(file.stream_position().unwrap(), memory.stream_position().unwrap());
            }
        }
    }
}
