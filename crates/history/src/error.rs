//! What can go wrong with a log.

use std::io;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// What this crate returns.
pub type Result<T> = std::result::Result<T, Error>;

/// Why a log cannot be written or read.
#[derive(Debug, Error)]
pub enum Error {
    /// The file system refuses.
    #[error("cannot {what} '{}'", .path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// On which file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A file that is in the place of a journal.
    #[error("'{}' is no journal of this version; move it away, and a new one is begun", .path.display())]
    NoJournal {
        /// Which.
        path: PathBuf,
    },
    /// An interval beyond what a record holds.
    #[error("an interval has more rows than the journal takes; log fewer with --top")]
    TooMuch,
    /// A Parquet file that cannot be written or read.
    #[error("cannot {what} '{}': {source}", .path.display())]
    Parquet {
        /// What was tried.
        what: &'static str,
        /// On which file.
        path: PathBuf,
        /// Why not.
        source: parquet::errors::ParquetError,
    },
    /// A file whose columns mean something else.
    #[error(
        "'{}' has schema {found} and this version reads schema {reads}: read it with the version of tombola that wrote it, or move it away",
        .path.display()
    )]
    Schema {
        /// Which.
        path: PathBuf,
        /// The version of its schema; "unknown" where it does not say.
        found: String,
        /// The version that is read.
        reads: u32,
    },
    /// Another process logs this host here.
    #[error("another process logs host '{host}' into '{}': one writer a host", .dir.display())]
    Locked {
        /// The host.
        host: String,
        /// The log.
        dir: PathBuf,
    },
    /// A directory without a log.
    #[error("'{}' holds no log: no folder date=… and no journal; `tombola log --dir` writes one", .dir.display())]
    NoLog {
        /// The directory.
        dir: PathBuf,
    },
    /// Logs of more than one host, and none was chosen.
    #[error("'{}' holds {count} hosts ({hosts}); choose one with --host", .dir.display())]
    ManyHosts {
        /// The directory.
        dir: PathBuf,
        /// How many.
        count: usize,
        /// The first of them.
        hosts: String,
    },
    /// A host that has no log here.
    #[error("'{}' holds no host '{host}'; there are {hosts}", .dir.display())]
    NoHost {
        /// The directory.
        dir: PathBuf,
        /// The host that was asked for.
        host: String,
        /// The first of those that are there.
        hosts: String,
    },
    /// No interval in the time that was asked for.
    #[error("no interval of host '{host}' lies in that time; the log has {from} to {to}")]
    NothingThere {
        /// The host.
        host: String,
        /// Begin of the log, UTC.
        from: String,
        /// End of the log, UTC.
        to: String,
    },
}

impl Error {
    pub(crate) fn io(what: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io { what, path: path.to_owned(), source }
    }
}
