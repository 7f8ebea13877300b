//! What the kernel promises a task under `SCHED_DEADLINE`.

use libc::sched_attr;
use tombola_core::reservation::Reservation;

/// The reservation of a task of this PID namespace; `None` where it has none, or is gone.
pub fn reservation(pid: u32) -> Option<Reservation> {
    // SAFETY: it has integers alone, for which 0 is a value.
    let mut attr: sched_attr = unsafe { std::mem::zeroed() };
    // `SCHED_ATTR_SIZE_VER0`: later kernels fill as much as they are asked for.
    let size = u32::try_from(size_of::<sched_attr>()).ok()?;
    // SAFETY: the call writes at most as many bytes as `size` says, which are those of the struct.
    let result = unsafe { libc::syscall(libc::SYS_sched_getattr, pid, &raw mut attr, size, 0) };
    let is_deadline = result == 0 && attr.sched_policy == libc::SCHED_DEADLINE.cast_unsigned();
    (is_deadline && attr.sched_period > 0).then_some(Reservation {
        runtime_ns: attr.sched_runtime,
        deadline_ns: attr.sched_deadline,
        period_ns: attr.sched_period,
    })
}
