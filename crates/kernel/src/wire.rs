//! The C structs of `bpf/wire.h`, as generated from the compiled object, and their bytes.

use std::mem::size_of;

mod generated {
    #![allow(
        clippy::all,
        clippy::pedantic,
        clippy::unwrap_used,
        dead_code,
        unreachable_pub,
        missing_docs,
        clippy::undocumented_unsafe_blocks,
        unsafe_op_in_unsafe_fn
    )]
    pub(crate) mod monitor {
        include!(concat!(env!("OUT_DIR"), "/monitor.skel.rs"));
    }
    pub(crate) mod light {
        include!(concat!(env!("OUT_DIR"), "/light.skel.rs"));
    }
    pub(crate) mod interference {
        include!(concat!(env!("OUT_DIR"), "/interference.skel.rs"));
    }
    pub(crate) mod recorder {
        include!(concat!(env!("OUT_DIR"), "/recorder.skel.rs"));
    }
    pub(crate) mod namespace {
        include!(concat!(env!("OUT_DIR"), "/namespace.skel.rs"));
    }
    pub(crate) mod lottery {
        include!(concat!(env!("OUT_DIR"), "/lottery.skel.rs"));
    }
}

pub(crate) use generated::monitor::types::{
    control, cpu_slot, exited_record, group_record, queued_task, schema, task_record,
};

pub(crate) use generated::light::types::{kernel_counters, light_base, light_end, light_key, light_task};

pub(crate) use generated::interference::types::{open_wait, pair_key, pair_record, untold};

pub(crate) use generated::recorder::types::{lane, record, task_note};

pub(crate) use generated::namespace::types::pid_line;

pub(crate) use generated::lottery::types::{
    account, sched_ext_ops, settings, tally, task_line, ticket_request,
};

/// The compiled monitor that is part of this binary.
pub(crate) static MONITOR: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/monitor.bpf.o"));
/// The compiled light monitor.
pub(crate) static LIGHT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/light.bpf.o"));
/// The compiled interference monitor.
pub(crate) static INTERFERENCE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/interference.bpf.o"));
/// The compiled recorder.
pub(crate) static RECORDER: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/recorder.bpf.o"));
/// The compiled program that tells the PIDs of a namespace.
pub(crate) static NAMESPACE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/namespace.bpf.o"));
/// The compiled scheduler.
pub(crate) static LOTTERY: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/lottery.bpf.o"));

// Half of the promise that both sides see the same bytes; the other half is the layout fingerprint in the
// schema map.
const _: () = {
    assert!(size_of::<task_record>() == (16 + 24) * 8 + 12 * 4 + 16);
    assert!(size_of::<cpu_slot>() == 256);
    assert!(size_of::<queued_task>() == 5 * 8 + 10 * 4 + 16);
    assert!(size_of::<exited_record>() == 24 + size_of::<task_record>());
    assert!(size_of::<group_record>() == 2 * 16 + 5 * 8);
    assert!(size_of::<control>() == 24);
    assert!(size_of::<pair_key>() == 24);
    assert!(size_of::<pair_record>() == 16);
    assert!(size_of::<untold>() == 16);
    assert!(size_of::<open_wait>() == 3 * 8 + 2 * 4 + 33 * 24);
    assert!(size_of::<record>() == 24);
    assert!(size_of::<lane>() == 2 * 128);
    assert!(size_of::<task_note>() == 5 * 8 + 12 * 4 + 3 * 8 + 16);
    assert!(size_of::<pid_line>() == 2 * 4);
    assert!(size_of::<tally>() == 6 * 8);
    assert!(size_of::<settings>() == 2 * 8 + 4 * 4);
    assert!(size_of::<account>() == 2 * 8 + (12 + 6) * 8 + 8 + 2 * 4 + 128 + 512);
    assert!(size_of::<task_line>() == 2 * 8 + 8 * 4 + 16 + 6 * 8);
    assert!(size_of::<ticket_request>() == 8 * 4);
    assert!(size_of::<kernel_counters>() == 6 * 8);
    assert!(size_of::<light_base>() == 8 + size_of::<kernel_counters>());
    assert!(size_of::<light_task>() == 4 * 8 + size_of::<kernel_counters>() + 10 * 4 + 16);
    assert!(size_of::<light_key>() == 16);
    assert!(size_of::<light_end>() == size_of::<light_task>() + 2 * 8 + 2 * 4);
    assert!(size_of::<schema>() == 5 * 8 + 4 * 4 + 32 + 2 * 256);
};

/// A struct of plain integers, valid for any bytes and without padding.
///
/// # Safety
/// Only for `repr(C)` structs whose every byte belongs to an integer field (or an array of such structs or
/// integers).
pub(crate) unsafe trait Wire: Copy + Default {
    /// The struct in `bytes`; `None` if the length differs.
    fn read(bytes: &[u8]) -> Option<Self> {
        // SAFETY: the length matches, the trait promises that any bytes are valid, and the read needs no
        // alignment.
        (bytes.len() == size_of::<Self>()).then(|| unsafe { bytes.as_ptr().cast::<Self>().read_unaligned() })
    }

    /// The bytes of the struct.
    fn bytes(&self) -> &[u8] {
        // SAFETY: the trait promises that there is no padding, so every byte is initialised.
        unsafe { std::slice::from_raw_parts(std::ptr::from_ref(self).cast(), size_of::<Self>()) }
    }
}

// SAFETY: integers and arrays of integers with explicit padding (bpf/wire.h); the sizes asserted above are
// the sums of the fields.
unsafe impl Wire for task_record {}
// SAFETY: as above.
unsafe impl Wire for cpu_slot {}
// SAFETY: as above.
unsafe impl Wire for queued_task {}
// SAFETY: as above.
unsafe impl Wire for exited_record {}
// SAFETY: as above.
unsafe impl Wire for group_record {}
// SAFETY: as above.
unsafe impl Wire for light_base {}
// SAFETY: as above.
unsafe impl Wire for light_task {}
// SAFETY: as above.
unsafe impl Wire for light_key {}
// SAFETY: as above.
unsafe impl Wire for light_end {}
// SAFETY: as above.
unsafe impl Wire for pair_key {}
// SAFETY: as above.
unsafe impl Wire for pair_record {}
// SAFETY: as above.
unsafe impl Wire for untold {}
// SAFETY: as above.
unsafe impl Wire for open_wait {}
// SAFETY: as above.
unsafe impl Wire for control {}
// SAFETY: as above.
unsafe impl Wire for pid_line {}
// SAFETY: as above (bpf/recorder_wire.h).
unsafe impl Wire for record {}
// SAFETY: as above.
unsafe impl Wire for lane {}
// SAFETY: as above.
unsafe impl Wire for task_note {}
// SAFETY: as above (bpf/lottery_wire.h).
unsafe impl Wire for settings {}
// SAFETY: as above.
unsafe impl Wire for account {}
// SAFETY: as above.
unsafe impl Wire for task_line {}
// SAFETY: as above.
unsafe impl Wire for schema {}

/// A C string field up to its NUL, or whole.
pub(crate) fn c_bytes(field: &[i8]) -> Vec<u8> {
    field.iter().take_while(|&&c| c != 0).map(|c| c.cast_unsigned()).collect()
}

/// Bytes as a C string field, cut so that a NUL remains.
pub(crate) fn c_field<const N: usize>(bytes: &[u8]) -> [i8; N] {
    let mut field = [0; N];
    for (to, from) in field.iter_mut().take(N - 1).zip(bytes) {
        *to = from.cast_signed();
    }
    field
}
