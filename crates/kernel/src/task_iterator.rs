//! Iterators over tasks: programs that run when somebody reads them, and tell what they find.

use crate::error::{Error, Result};
use crate::monitor_object::ITERATOR;
use crate::wire::Wire;
use libbpf_rs::libbpf_sys::bpf_iter_create;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::path::PathBuf;

/// The way to an iterator.
pub(crate) enum TaskIterator {
    /// The link of a private monitor's, and the name of the program.
    Link { name: &'static str, link: OwnedFd },
    /// A pinned link of the monitor's, which is a file to be read.
    Pin(PathBuf),
}

impl TaskIterator {
    /// What it tells of each task that it finds something about, in the order of PIDs.
    ///
    /// # Errors
    /// [`Error::ReadMap`] if the kernel refuses.
    pub(crate) fn read<T: Wire>(&self) -> Result<Vec<T>> {
        let mut bytes = Vec::new();
        let name = match self {
            Self::Link { name, .. } => *name,
            Self::Pin(_) => ITERATOR,
        };
        self.open()
            .and_then(|mut file| file.read_to_end(&mut bytes))
            .map_err(|reason| Error::ReadMap { map: name.into(), reason })?;
        Ok(bytes.chunks_exact(size_of::<T>()).filter_map(T::read).collect())
    }

    fn open(&self) -> io::Result<File> {
        match self {
            Self::Pin(path) => File::open(path),
            Self::Link { link, .. } => {
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
