//! What the kernel promises a task under `SCHED_DEADLINE`.

use tombola_core::reservation::Reservation;

/// `struct sched_attr` of `include/uapi/linux/sched/types.h` as it was first (`SCHED_ATTR_SIZE_VER0`): later kernels fill what they are asked for.
#[repr(C)]
#[derive(Default)]
struct SchedAttr {
    size: u32,
    policy: u32,
    flags: u64,
    nice: i32,
    priority: u32,
    runtime_ns: u64,
    deadline_ns: u64,
    period_ns: u64,
}

/// The reservation of a task of this PID namespace; `None` where it has none, or is gone.
pub fn reservation(pid: u32) -> Option<Reservation> {
    let mut attr = SchedAttr::default();
    let size = u32::try_from(size_of::<SchedAttr>()).ok()?;
    // SAFETY: the call writes at most as many bytes as `size` says, which are those of the struct.
    let result = unsafe { libc::syscall(libc::SYS_sched_getattr, pid, &raw mut attr, size, 0) };
    let is_deadline = result == 0 && attr.policy == libc::SCHED_DEADLINE.cast_unsigned();
    (is_deadline && attr.period_ns > 0).then_some(Reservation {
        runtime_ns: attr.runtime_ns,
        deadline_ns: attr.deadline_ns,
        period_ns: attr.period_ns,
    })
}
