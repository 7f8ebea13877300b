//! The clocks that snapshots are taken on: those of the kernel, whatever time namespace this process is in.
//!
//! In a time namespace `CLOCK_MONOTONIC` and `CLOCK_BOOTTIME` are moved by offsets (`time_namespaces(7)`).
//! BPF programs read the clocks as they are, so the offsets are taken off again.

use nix::time::{ClockId, clock_gettime};
use std::fs;
use std::sync::OnceLock;

/// By how much the namespace of this process moves its clocks, nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
struct Offsets {
    monotonic: i64,
    boot: i64,
}

/// A clock that every Linux has, in nanoseconds.
fn now_ns(clock: ClockId) -> u64 {
    let now = clock_gettime(clock).expect("the clock is one of those every Linux has");
    now.tv_sec().unsigned_abs() * 1_000_000_000 + now.tv_nsec().unsigned_abs()
}

/// `CLOCK_MONOTONIC`: what `bpf_ktime_get_ns` reads. It stands still during suspend.
pub(crate) fn monotonic_ns() -> u64 {
    now_ns(ClockId::CLOCK_MONOTONIC).wrapping_add_signed(-offsets().monotonic)
}

/// `CLOCK_BOOTTIME`: what task start times are on.
pub(crate) fn boot_ns() -> u64 {
    now_ns(ClockId::CLOCK_BOOTTIME).wrapping_add_signed(-offsets().boot)
}

/// `CLOCK_REALTIME`: the wall clock, which may jump.
pub(crate) fn unix_ns() -> u64 {
    now_ns(ClockId::CLOCK_REALTIME)
}

/// A namespace's offsets cannot be changed once a process is in it. Kernels before 5.6 have no such
/// namespaces, and no such file.
fn offsets() -> Offsets {
    static OFFSETS: OnceLock<Offsets> = OnceLock::new();
    *OFFSETS.get_or_init(|| parse(&fs::read_to_string("/proc/self/timens_offsets").unwrap_or_default()))
}

/// Lines such as `monotonic  -86400  0`: seconds and nanoseconds.
fn parse(text: &str) -> Offsets {
    let mut offsets = Offsets::default();
    for line in text.lines() {
        let mut words = line.split_ascii_whitespace();
        let (Some(clock), Some(s), Some(ns)) = (words.next(), words.next(), words.next()) else { continue };
        let (Ok(s), Ok(ns)) = (s.parse::<i64>(), ns.parse::<i64>()) else { continue };
        let offset = s.saturating_mul(1_000_000_000).saturating_add(ns);
        match clock {
            "monotonic" => offsets.monotonic = offset,
            "boottime" => offsets.boot = offset,
            _ => {}
        }
    }
    offsets
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_of_a_namespace_are_read_with_their_sign() {
        let text = "monotonic       86400         7\nboottime           -2         0\n";
        assert_eq!(parse(text), Offsets { monotonic: 86_400_000_000_007, boot: -2_000_000_000 });
        assert_eq!(parse("monotonic x 0\n\nother 1 2\nboottime"), Offsets::default());
    }
}
