//! Where the files of a log are, and what their names say.

use crate::error::{Error, Result};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use std::fmt::Write as _;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// Folder of journals and of what is being written; engines leave out folders that begin so.
pub const OPEN: &str = "_open";

/// A sealed file, as its name tells.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sealed {
    /// Begin of its first interval, µs since the Unix epoch.
    pub from_us: i64,
    /// End of its last interval, µs since the Unix epoch.
    pub to_us: i64,
    /// Where it is.
    pub path: PathBuf,
}

/// The name of a host's folder: what is no letter, digit, `.`, `-` or `_` is escaped as Hive does, `%` and
/// two hexadecimal digits.
pub fn folder_of(host: &str) -> String {
    let mut name = String::new();
    for byte in host.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' | b'_' => name.push(char::from(byte)),
            _ => {
                let _ = write!(name, "%{byte:02X}");
            }
        }
    }
    if name.is_empty() { "unknown".to_owned() } else { name }
}

/// The host that a folder's name stands for.
fn host_of(folder: &str) -> String {
    let (mut bytes, mut rest) = (Vec::new(), folder.as_bytes());
    while let [first, tail @ ..] = rest {
        let escaped = (*first == b'%').then(|| tail.get(..2)).flatten();
        let byte = escaped.and_then(|two| u8::from_str_radix(std::str::from_utf8(two).ok()?, 16).ok());
        bytes.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &tail[2..] } else { tail };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The date of an instant in UTC, as the folders have it.
pub fn date_of(us: i64) -> String {
    let instant = Timestamp::from_microsecond(us).unwrap_or(Timestamp::UNIX_EPOCH);
    instant.to_zoned(TimeZone::UTC).strftime("%Y-%m-%d").to_string()
}

/// Path of a sealed file.
pub fn sealed_path(dir: &Path, host: &str, from_us: i64, to_us: i64, boot: &str) -> PathBuf {
    let boot: String = boot.chars().filter(char::is_ascii_alphanumeric).take(8).collect();
    dir.join(format!("date={}", date_of(from_us)))
        .join(format!("host={}", folder_of(host)))
        .join(format!("{from_us}-{to_us}-{boot}.parquet"))
}

/// Path of a host's journal.
pub fn journal_path(dir: &Path, host: &str) -> PathBuf {
    dir.join(OPEN).join(format!("{}.journal", folder_of(host)))
}

/// All sealed files of a host, in order of time.
///
/// # Errors
/// What the file system refuses.
pub fn sealed(dir: &Path, host: &str) -> Result<Vec<Sealed>> {
    let mut found = Vec::new();
    for date in names(dir)?.into_iter().filter(|name| name.starts_with("date=")) {
        let folder = dir.join(date).join(format!("host={}", folder_of(host)));
        found.extend(names(&folder)?.into_iter().filter_map(|name| {
            let mut parts = name.strip_suffix(".parquet")?.splitn(3, '-');
            let (from_us, to_us) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
            Some(Sealed { from_us, to_us, path: folder.join(&name) })
        }));
    }
    found.sort();
    Ok(found)
}

/// All hosts of a log, in order.
///
/// # Errors
/// What the file system refuses.
pub fn hosts(dir: &Path) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for date in names(dir)?.into_iter().filter(|name| name.starts_with("date=")) {
        found.extend(
            names(&dir.join(date))?.iter().filter_map(|name| Some(host_of(name.strip_prefix("host=")?))),
        );
    }
    let open = names(&dir.join(OPEN))?;
    found.extend(open.iter().filter_map(|name| Some(host_of(name.strip_suffix(".journal")?))));
    found.sort();
    found.dedup();
    Ok(found)
}

/// Names in a directory; none where it does not exist, because retention may remove it meanwhile.
fn names(dir: &Path) -> Result<Vec<String>> {
    let io = |source| Error::io("list", dir, source);
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(vec![]);
        }
        Err(error) => return Err(io(error)),
    };
    let mut names = Vec::new();
    for entry in entries {
        names.extend(entry.map_err(io)?.file_name().into_string());
    }
    names.sort();
    Ok(names)
}
