//! How the sections and pages of a trace.dat file of version 7 are compressed.

use std::io::Read;

/// The compression of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Packing {
    None,
    Zstd,
    Zlib,
}

/// Sections are much smaller: all event formats of 6.18 have 1.5 MB.
pub(super) const LARGEST_SECTION: usize = 64 << 20;
/// Chunks of pages are, too: trace-cmd puts ten pages into one.
pub(super) const LARGEST_CHUNK: usize = 4 << 20;

impl Packing {
    pub(super) fn by_name(name: &str) -> Option<Self> {
        Some(match name {
            "none" => Self::None,
            "zstd" => Self::Zstd,
            "zlib" => Self::Zlib,
            _ => return None,
        })
    }

    /// Unpacks `packed`, of which `size` bytes come, `most` at most. Memory grows with what comes, not with
    /// what is said to come.
    pub(super) fn unpack(self, packed: &[u8], size: usize, most: usize) -> Result<Vec<u8>, String> {
        if size > most {
            return Err(format!("{size} bytes are said to come of it"));
        }
        let mut plain = Vec::new();
        let limit = size as u64 + 1;
        let result = match self {
            Self::None => return Err("the file says that nothing in it is compressed".to_owned()),
            Self::Zstd => zstd::stream::read::Decoder::with_buffer(packed)
                .and_then(|decoder| decoder.take(limit).read_to_end(&mut plain)),
            Self::Zlib => flate2::read::ZlibDecoder::new(packed).take(limit).read_to_end(&mut plain),
        };
        result.map_err(|error| error.to_string())?;
        if plain.len() == size {
            Ok(plain)
        } else {
            Err(format!("{} bytes came of it, {size} should", plain.len()))
        }
    }
}
