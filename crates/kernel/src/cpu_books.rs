//! What the kernel's own books say of each CPU: `/proc/stat`, in ticks of `USER_HZ`.

use std::collections::BTreeMap;
use std::fs;

/// Times of one CPU since boot, nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) struct CpuTimes {
    /// Tasks, interrupts, and what the hypervisor took.
    pub(crate) busy_ns: u64,
    /// Idle, also while a task waited for a disk.
    pub(crate) idle_ns: u64,
}

/// The CPUs that are online, by number; empty where the kernel shows none.
pub(crate) fn cpu_times() -> BTreeMap<u32, CpuTimes> {
    let tick_ns = 1_000_000_000 / procfs::ticks_per_second().max(1);
    parsed(&fs::read_to_string("/proc/stat").unwrap_or_default(), tick_ns)
}

/// Lines such as `cpu3 user nice system idle iowait irq softirq steal guest guest_nice`: guests are a part of
/// user and nice.
fn parsed(text: &str, tick_ns: u64) -> BTreeMap<u32, CpuTimes> {
    let line = |line: &str| {
        let mut words = line.strip_prefix("cpu")?.split_ascii_whitespace();
        let cpu: u32 = words.next()?.parse().ok()?;
        let ticks: Vec<u64> = words.take(8).map_while(|word| word.parse().ok()).collect();
        let (idle, all) = (ticks.get(3)? + ticks.get(4).unwrap_or(&0), ticks.iter().sum::<u64>());
        Some((cpu, CpuTimes { busy_ns: (all - idle) * tick_ns, idle_ns: idle * tick_ns }))
    };
    // The line of all CPUs together has no number, and is none of them.
    text.lines().filter(|text| !text.starts_with("cpu ")).filter_map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guests_are_not_counted_twice_and_cpus_may_be_missing() {
        let text = "cpu  9 9 9 9 9 9 9 9 9 9\ncpu0 1 2 3 40 5 6 7 8 100 100\ncpu3 1 0 0 4\nintr 12 0\n";
        let times = |busy_ns, idle_ns| CpuTimes { busy_ns, idle_ns };
        assert_eq!(parsed(text, 10), [(0, times(270, 450)), (3, times(10, 40))].into());
    }
}
