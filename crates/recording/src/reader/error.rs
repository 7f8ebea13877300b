//! What can go wrong while a recording is read, and where.

use std::fmt;
use thiserror::Error;

/// A place in a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Bytes from the beginning (of the decompressed file, where the whole file is compressed).
    Byte(u64),
    /// A line, the first being 1.
    Line(u64),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Byte(n) => write!(f, "byte {n}"),
            Self::Line(n) => write!(f, "line {n}"),
        }
    }
}

/// Why a recording cannot be read, or not to its end. Events that were given before stay valid.
#[derive(Debug, Error)]
pub enum ReadError {
    /// The file cannot be opened or read.
    #[error("it cannot be read")]
    Io(#[from] std::io::Error),
    /// The first bytes are those of no format that is known.
    #[error(
        "not a recording that tombola knows: it begins with {begins}; known are perf.data, trace.dat, Perfetto traces and the text of ftrace, trace-cmd report, perf script and systrace"
    )]
    NotRecognised {
        /// Its first bytes, made harmless.
        begins: String,
    },
    /// The format is known and this use of it is not.
    #[error("{format}: {what}; {advice}")]
    Unsupported {
        /// The format.
        format: &'static str,
        /// What is not known.
        what: String,
        /// What to do instead.
        advice: String,
    },
    /// Something contradicts the format. Reading ends here.
    #[error("{format}: {what} at {at}; what stands before is whole and was read")]
    Damaged {
        /// The format.
        format: &'static str,
        /// Where.
        at: Place,
        /// What.
        what: String,
    },
    /// The file ends in the middle of something.
    #[error("{format}: cut off at {at}, in {what}; what stands before is whole and was read")]
    CutOff {
        /// The format.
        format: &'static str,
        /// Where the incomplete thing begins.
        at: Place,
        /// What it is.
        what: String,
    },
}

/// What a reader stepped over because it made no sense, where the format allows to go on behind it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Damage {
    /// How many pieces: packets, records, lines of a scheduling event.
    pub skipped: u64,
    /// The first: where, and what was wrong with it.
    pub first: Option<(Place, String)>,
}

impl Damage {
    /// Counts one piece.
    pub fn add(&mut self, at: Place, what: impl Into<String>) {
        self.skipped += 1;
        self.first.get_or_insert_with(|| (at, what.into()));
    }
}
