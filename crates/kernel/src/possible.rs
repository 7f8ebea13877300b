//! Which CPUs there can be, and which are there.

use std::fs;
use tombola_core::cpu_set::CpuSet;

/// The CPUs that the kernel can ever have; empty where it does not say.
pub(crate) fn possible() -> CpuSet {
    listed(&fs::read_to_string("/sys/devices/system/cpu/possible").unwrap_or_default())
}

/// The CPUs that are online; empty where the kernel does not say.
pub(crate) fn online() -> CpuSet {
    listed(&fs::read_to_string("/sys/devices/system/cpu/online").unwrap_or_default())
}

/// A list such as `0-3,8`. The kernel's masks hold at most 8,192 CPUs (`NR_CPUS`); what is beyond that is
/// left out.
fn listed(text: &str) -> CpuSet {
    let mut cpus = Vec::new();
    for range in text.trim().split(',') {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        if let (Ok(first), Ok(last)) = (first.parse::<u32>(), last.parse::<u32>()) {
            cpus.extend(first..=last.min(8191));
        }
    }
    cpus.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mask_may_have_gaps() {
        let cpus: Vec<u32> = listed("0-1,8,10-11\n").iter().collect();
        assert_eq!(cpus, [0, 1, 8, 10, 11]);
        assert!(listed("").is_empty() && listed("x-").is_empty());
        assert_eq!(listed("0-4294967295").len(), 8192);
    }
}
