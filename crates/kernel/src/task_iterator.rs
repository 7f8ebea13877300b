//! What an iterator of a monitor says of the tasks: to read it is to run it.

use crate::error::{Error, Result};
use crate::wire::Wire;
use libbpf_rs::libbpf_sys::bpf_iter_create;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::path::PathBuf;

/// The way to the iterator.
pub(crate) struct TaskIterator {
    program: &'static str,
    way: Way,
}

enum Way {
    /// The link of a private monitor.
    Link(OwnedFd),
    /// A pinned link, which is a file to be read.
    Pin(PathBuf),
}

impl TaskIterator {
    pub(crate) fn of_link(program: &'static str, link: OwnedFd) -> Self {
        Self { program, way: Way::Link(link) }
    }

    pub(crate) fn of_pin(program: &'static str, pin: PathBuf) -> Self {
        Self { program, way: Way::Pin(pin) }
    }

    /// What it says of each task that it speaks of, in the order of PIDs.
    ///
    /// # Errors
    /// [`Error::ReadMap`] if the kernel refuses.
    pub(crate) fn read<T: Wire>(&self) -> Result<Vec<T>> {
        let mut bytes = Vec::new();
        self.open()
            .and_then(|mut file| file.read_to_end(&mut bytes))
            .map_err(|reason| Error::ReadMap { map: self.program.into(), reason })?;
        Ok(bytes.chunks_exact(size_of::<T>()).filter_map(T::read).collect())
    }

    fn open(&self) -> io::Result<File> {
        match &self.way {
            Way::Pin(path) => File::open(path),
            Way::Link(link) => {
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
