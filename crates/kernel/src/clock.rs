//! The clocks that snapshots are taken on.

use nix::time::{ClockId, clock_gettime};

/// A clock that every Linux has, in nanoseconds.
fn now_ns(clock: ClockId) -> u64 {
    let now = clock_gettime(clock).expect("the clock is one of those every Linux has");
    now.tv_sec().unsigned_abs() * 1_000_000_000 + now.tv_nsec().unsigned_abs()
}

/// `CLOCK_MONOTONIC`: what `bpf_ktime_get_ns` reads. It stands still during suspend.
pub(crate) fn monotonic_ns() -> u64 {
    now_ns(ClockId::CLOCK_MONOTONIC)
}

/// `CLOCK_BOOTTIME`: what task start times are on.
pub(crate) fn boot_ns() -> u64 {
    now_ns(ClockId::CLOCK_BOOTTIME)
}

/// `CLOCK_REALTIME`: the wall clock, which may jump.
pub(crate) fn unix_ns() -> u64 {
    now_ns(ClockId::CLOCK_REALTIME)
}
