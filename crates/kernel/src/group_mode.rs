//! How the fair class turns the weight of a group into its shares of each CPU.

use crate::btf_file::{KERNEL_BTF, has_member};
use libbpf_rs::btf::Btf;
use std::fmt;
use std::fs;
use std::path::Path;
use std::sync::OnceLock;

/// Where a kernel that knows several rules shows them, the one in force in brackets. Only root may read it.
const FILE: &str = "/sys/kernel/debug/sched/cgroup_mode";
/// There on every kernel whose debugfs is mounted.
const SIBLING: &str = "/sys/kernel/debug/sched/features";
/// The rule of all kernels before there were several.
const SMP: &str = "smp";
/// The default of those that have several: shares times the lesser of runnable tasks and CPUs,
/// `calc_concur_shares()` of `kernel/sched/fair.c`.
const CONCUR: &str = "concur";

/// The rule for the weights of groups, by the kernel's own word for it.
///
/// `smp`, the only one of kernels up to 6.19 at least: a weight is what the group has on all CPUs together.
/// `concur`, the default since: it counts once for each CPU that the group's tasks keep busy. `up` and `max`:
/// once for each CPU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupMode(String);

impl GroupMode {
    /// The rule of this kernel: what it shows, or, where that cannot be read, its default.
    pub fn now() -> Self {
        let shown = fs::read_to_string(FILE).ok();
        if let Some(mode) = shown.as_deref().and_then(chosen) {
            return Self(mode.to_owned());
        }
        let has_several = !Path::new(SIBLING).exists() && knows_several();
        Self(if has_several { CONCUR } else { SMP }.to_owned())
    }

    /// Whether a weight is what the group has on all CPUs together, as the ledger takes it.
    pub fn is_whole(&self) -> bool {
        self.0 == SMP
    }
}

impl fmt::Display for GroupMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Whether the kernel's types are those of one that knows several rules. They are read once: they are
/// megabytes, and do not change.
fn knows_several() -> bool {
    static KNOWS: OnceLock<bool> = OnceLock::new();
    *KNOWS.get_or_init(|| {
        Btf::from_path(KERNEL_BTF).is_ok_and(|btf| has_member(&btf, "task_group", "runnable_avg"))
    })
}

/// The word in brackets.
fn chosen(text: &str) -> Option<&str> {
    text.split_whitespace().find_map(|word| word.strip_prefix('(')?.strip_suffix(')'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rule_in_force_is_the_one_in_brackets() {
        assert_eq!(chosen("up smp (concur) max tasks\n"), Some("concur"));
        assert_eq!(chosen("(smp)"), Some("smp"));
        assert_eq!(chosen("up smp"), None);
        assert!(GroupMode("smp".into()).is_whole() && !GroupMode("concur".into()).is_whole());
    }
}
