//! Maps of the recorder as memory.

use crate::error::{Error, Result};
use crate::wire::{lane, record};
use libbpf_rs::{MapCore as _, MapHandle};
use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// The size of a task's stack in the kernel, `THREAD_SIZE`: 16 KB on x86-64 and on arm64, there a page where
/// pages are larger (arch/arm64/include/asm/memory.h, with `VMAP_STACK`). Kernels that check themselves
/// (KASAN) have twice that: there, some wakeups from a task look as if from an interrupt.
fn stack_bytes() -> u32 {
    // SAFETY: no memory is involved.
    let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    u32::try_from(page).unwrap_or(0).max(16 << 10)
}

/// A mappable array map of `T`s, in memory as long as this lives.
struct Mapping<T> {
    memory: NonNull<T>,
    bytes: usize,
}

impl<T> Mapping<T> {
    /// All `max_entries` values, which are 8-byte aligned and follow each other.
    fn new(map: &MapHandle) -> Result<Self> {
        let bytes = map.value_size() as usize * map.max_entries() as usize;
        // SAFETY: a new mapping of a file descriptor that we own, at a place that the kernel chooses.
        let memory = unsafe {
            libc::mmap(
                ptr::null_mut(),
                bytes,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED,
                map.as_fd().as_raw_fd(),
                0,
            )
        };
        match NonNull::new(memory.cast::<T>()) {
            Some(start) if memory != libc::MAP_FAILED => Ok(Self { memory: start, bytes }),
            _ => Err(Error::ReadMap {
                map: map.name().to_string_lossy().into_owned(),
                reason: io::Error::last_os_error(),
            }),
        }
    }
}

impl<T> Drop for Mapping<T> {
    fn drop(&mut self) {
        // SAFETY: this mapping, once; nobody keeps a reference into it.
        unsafe { libc::munmap(self.memory.as_ptr().cast(), self.bytes) };
    }
}

/// The lanes of all CPUs.
pub(super) struct Lanes {
    heads: Mapping<lane>,
    records: Mapping<record>,
    cpus: u32,
    /// Records of a lane, a power of two.
    slots: u32,
}

impl Lanes {
    /// Maps them, and divides the records among the lanes. To be called before the programs are attached:
    /// they order nothing between their look at `on` and at these.
    pub(super) fn new(lane_map: &MapHandle, record_map: &MapHandle, cpus: u32, slots: u32) -> Result<Self> {
        let fits = lane_map.value_size() as usize == size_of::<lane>()
            && record_map.value_size() as usize == size_of::<record>()
            && lane_map.max_entries() >= cpus
            && u64::from(record_map.max_entries()) >= u64::from(cpus) * u64::from(slots);
        if !fits {
            return Err(Error::Object { what: "the recorder's maps have another size".into() });
        }
        let (heads, records) = (Mapping::new(lane_map)?, Mapping::new(record_map)?);
        let lanes = Self { heads, records, cpus, slots };
        for cpu in 0..cpus {
            let lane = lanes.lane(cpu);
            // SAFETY: the reader's half of a lane that nobody else knows yet.
            unsafe {
                (&raw mut (*lane).slots).write_volatile(slots);
                (&raw mut (*lane).base).write_volatile(cpu * slots);
                (&raw mut (*lane).resume).write_volatile(slots / 2);
                (&raw mut (*lane).stack_bytes).write_volatile(stack_bytes());
            }
        }
        Ok(lanes)
    }

    pub(super) fn cpus(&self) -> u32 {
        self.cpus
    }

    fn lane(&self, cpu: u32) -> *mut lane {
        assert!(cpu < self.cpus, "a lane for each CPU");
        // SAFETY: within the mapping, whose size was checked by `new`.
        unsafe { self.heads.memory.as_ptr().add(cpu as usize) }
    }

    /// A counter in the kernel's half of the lane, behind which everything is visible that was written before
    /// it.
    fn counter(&self, cpu: u32, field: impl FnOnce(*mut lane) -> *mut u64) -> u64 {
        let at = field(self.lane(cpu));
        // SAFETY: a u64 of a lane, aligned, in memory that lives as long as `self`, and that both sides
        // access as a whole.
        unsafe { AtomicU64::from_ptr(at) }.load(Ordering::Acquire)
    }

    /// Records that were written so far.
    pub(super) fn head(&self, cpu: u32) -> u64 {
        // SAFETY: a place in the lane; no reference is made.
        self.counter(cpu, |lane| unsafe { &raw mut (*lane).head })
    }

    /// Where the reader is.
    pub(super) fn tail(&self, cpu: u32) -> u64 {
        // SAFETY: as above.
        self.counter(cpu, |lane| unsafe { &raw mut (*lane).tail })
    }

    /// Gives the slots before `tail` back.
    pub(super) fn release(&self, cpu: u32, tail: u64) {
        // SAFETY: as in `counter`; only the reader writes it.
        unsafe { AtomicU64::from_ptr(&raw mut (*self.lane(cpu)).tail) }.store(tail, Ordering::Release);
    }

    /// The record number `at`, which lies between tail and head.
    pub(super) fn record(&self, cpu: u32, at: u64) -> record {
        let slot = at % u64::from(self.slots);
        let index = u64::from(cpu) * u64::from(self.slots) + slot;
        // A number below cpus * slots, which is in memory.
        let index = usize::try_from(index).unwrap_or(0);
        // SAFETY: within the mapping (`new`), plain integers; the kernel writes it again only after it was
        // released.
        unsafe { self.records.memory.as_ptr().add(index).read_volatile() }
    }

    /// The whole lane as it is now, field by field.
    pub(super) fn look(&self, cpu: u32) -> lane {
        // SAFETY: plain integers in memory that lives as long as `self`; each is read as a whole.
        unsafe { self.lane(cpu).read_volatile() }
    }

    /// Lets every CPU record into its lane.
    pub(super) fn begin(&self) {
        for cpu in 0..self.cpus {
            // SAFETY: the reader's half of a lane, aligned, in memory that lives as long as `self`.
            unsafe { AtomicU32::from_ptr(&raw mut (*self.lane(cpu)).on).store(1, Ordering::Release) };
        }
    }

    /// Ends that. Programs that have begun still come to their end.
    pub(super) fn end(&self) {
        for cpu in 0..self.cpus {
            // SAFETY: as in `begin`.
            unsafe { AtomicU32::from_ptr(&raw mut (*self.lane(cpu)).on).store(0, Ordering::Release) };
        }
    }
}
