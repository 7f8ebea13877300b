//! A pinned map, opened for reading.

use crate::error::{Error, Result, os_error};
use crate::pins::{access_remedy, is_elsewhere};
use libbpf_rs::MapHandle;
use std::fs;
use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::path::Path;

/// Opens a pinned map for reading. A pin of mode 0644 refuses a reader that does not say that it only reads.
pub(crate) fn open_pin(path: &Path) -> Result<MapHandle> {
    let not_a_map =
        |why: &str| Error::NotAMap { path: path.to_owned(), reason: io::Error::other(why.to_owned()) };
    if is_elsewhere(path) {
        return Err(not_a_map("it is not on a BPF file system"));
    }
    let map = MapHandle::from_pinned_path_with_file_flags(path, libbpf_rs::libbpf_sys::BPF_F_RDONLY)
        .map_err(|e| {
            let reason = os_error(&e);
            match reason.kind() {
                io::ErrorKind::PermissionDenied | io::ErrorKind::NotFound => open_pin_error(path, reason),
                _ => Error::NotAMap { path: path.to_owned(), reason },
            }
        })?;
    // Programs and links open in the same way, and the kernel fills in what it takes for a map's description.
    let kind = fs::read_link(format!("/proc/self/fd/{}", map.as_fd().as_raw_fd())).unwrap_or_default();
    if kind.to_string_lossy().contains("bpf-map") {
        Ok(map)
    } else {
        Err(not_a_map("it is a program or a link"))
    }
}

/// Why a pin cannot be opened, and what to do about it.
pub(crate) fn open_pin_error(path: &Path, reason: io::Error) -> Error {
    let remedy = match reason.kind() {
        io::ErrorKind::NotFound => "start a monitor with 'tombola load'".into(),
        _ => access_remedy(path),
    };
    Error::OpenPin { path: path.to_owned(), reason, remedy }
}
