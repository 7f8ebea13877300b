//! Who is in a run queue or on a CPU at this moment, as an iterator of the monitor tells.

use crate::error::{Error, Result};
use crate::pins::ITERATOR;
use crate::wire::{Wire as _, queued_task};
use libbpf_rs::libbpf_sys::bpf_iter_create;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::path::PathBuf;

/// The way to the iterator.
pub(crate) enum QueuedTasks {
    /// The link of a private monitor.
    Link(OwnedFd),
    /// A pinned link, which is a file to be read.
    Pin(PathBuf),
}

impl QueuedTasks {
    /// Every task that is in a queue or on a CPU, in the order of PIDs.
    ///
    /// # Errors
    /// [`Error::ReadMap`] if the kernel refuses.
    pub(crate) fn read(&self) -> Result<Vec<queued_task>> {
        let mut bytes = Vec::new();
        self.open()
            .and_then(|mut file| file.read_to_end(&mut bytes))
            .map_err(|reason| Error::ReadMap { map: ITERATOR.into(), reason })?;
        Ok(bytes.chunks_exact(size_of::<queued_task>()).filter_map(queued_task::read).collect())
    }

    fn open(&self) -> io::Result<File> {
        match self {
            Self::Pin(path) => File::open(path),
            Self::Link(link) => {
                // SAFETY: the link is open for as long as it is borrowed; no memory is involved.
                let fd = unsafe { bpf_iter_create(link.as_raw_fd()) };
                if fd < 0 {
                    return Err(io::Error::from_raw_os_error(-fd));
                }
                // SAFETY: the call has just returned this descriptor, and nobody else knows it.
                Ok(File::from(unsafe { OwnedFd::from_raw_fd(fd) }))
            }
        }
    }
}
