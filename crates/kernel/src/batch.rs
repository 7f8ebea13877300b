//! Reading whole maps in few system calls.
//!
//! libbpf-rs has a batch iterator, but it takes a batch that is not full for the last one, and any error for
//! the end. The kernel returns short batches in the middle (a bucket of a hash map that does not fit is left
//! for the next call, `__htab_map_lookup_and_delete_batch`), so that iterator silently loses entries. This
//! one ends where the kernel says that it is the end: at `ENOENT`.

use crate::error::{Error, Result};
use crate::wire::Wire;
use libbpf_rs::libbpf_sys::{bpf_map_batch_opts, bpf_map_lookup_batch};
use libbpf_rs::{MapCore, MapHandle};
use std::io;
use std::os::fd::{AsFd, AsRawFd};

/// What one call brings, bytes: it stays in the cache until it is looked at, its memory need not be asked of
/// the kernel anew at each reading, and of the time that the copying takes a call is a hundredth.
const BATCH_BYTES: usize = 64 << 10;
/// A hash bucket may hold more than a batch only with hostile collisions; then the batch grows, up to this.
const LARGEST_BATCH: usize = 1 << 20;

/// Calls `take` with every value of a map whose keys are at least 4 bytes long, where it lies: values are
/// large. In a hash map that changes meanwhile, an entry that stays is seen at least once; one that is moved
/// by an insert of the same key may be seen twice.
pub(crate) fn each_value<T: Wire>(map: &MapHandle, mut take: impl FnMut(&T)) -> Result<()> {
    each_entry(map, |_, value| take(value))
}

/// [`each_value`] with the bytes of the key before the value.
pub(crate) fn each_entry<T: Wire>(map: &MapHandle, take: impl FnMut(&[u8], &T)) -> Result<()> {
    batches(map, 0, usize::MAX, take)
}

/// Calls `take` with the values of an array at `first` and those behind it, `count` of them as far as the
/// array goes.
pub(crate) fn each_value_of<T: Wire>(
    array: &MapHandle,
    first: u32,
    count: usize,
    mut take: impl FnMut(&T),
) -> Result<()> {
    batches(array, first, count, |_, value| take(value))
}

fn batches<T: Wire>(map: &MapHandle, first: u32, most: usize, mut take: impl FnMut(&[u8], &T)) -> Result<()> {
    let options = bpf_map_batch_opts { sz: size_of::<bpf_map_batch_opts>() as u64, ..Default::default() };
    let key_size = map.key_size() as usize;
    let fitting = (BATCH_BYTES / (key_size + size_of::<T>())).max(1);
    let mut batch = fitting.min(most).min(map.max_entries() as usize);
    let mut left = most;
    let (mut keys, mut values) = (vec![0u8; batch * key_size], vec![T::default(); batch]);
    // The kernel's position: a bucket number in a hash map, in an array the index behind which it goes on.
    let (mut position, mut next_position) = (first.wrapping_sub(1), 0u32);
    let mut started = first > 0;
    while left > 0 {
        let mut count = u32::try_from(batch.min(left)).unwrap_or(u32::MAX);
        let from = if started { (&raw mut position).cast() } else { std::ptr::null_mut() };
        // SAFETY: the buffers hold `count` keys and values of the sizes that the map has, which for the
        // values was checked when it was opened, and any bytes are a value; both positions are 4 bytes: a
        // bucket number in hash maps, an index in arrays.
        let result = unsafe {
            bpf_map_lookup_batch(
                map.as_fd().as_raw_fd(),
                from,
                (&raw mut next_position).cast(),
                keys.as_mut_ptr().cast(),
                values.as_mut_ptr().cast(),
                &raw mut count,
                &raw const options,
            )
        };
        let error = (result < 0).then(io::Error::last_os_error);
        match error.as_ref().and_then(io::Error::raw_os_error) {
            None | Some(libc::ENOENT) => {}
            Some(libc::EINTR) => continue,
            Some(libc::ENOSPC) if batch < LARGEST_BATCH => {
                batch *= 4;
                keys.resize(batch * key_size, 0);
                values.resize(batch, T::default());
                continue;
            }
            Some(_) => {
                let reason = error.unwrap_or_else(io::Error::last_os_error);
                return Err(Error::ReadMap { map: map.name().to_string_lossy().into_owned(), reason });
            }
        }
        for (key, value) in keys.chunks_exact(key_size).zip(&values).take(count as usize) {
            take(key, value);
        }
        left = left.saturating_sub(count as usize);
        if error.is_some() {
            return Ok(());
        }
        position = next_position;
        started = true;
    }
    Ok(())
}
