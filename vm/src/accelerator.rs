//! Whether the host's hardware drives the machines: tried once, and remembered until the host boots again.

use crate::machine::Accelerator;
use anyhow::Result;
use std::fs::{self, File};
use std::path::Path;

/// KVM where a machine really comes up under it: the device may be there and not work. `trial` boots one; the
/// answer is kept in `memory`, for this boot of the host.
///
/// Returns with a reason where the trial has just failed.
pub fn choose(memory: &Path, trial: impl FnOnce() -> Result<()>) -> (Accelerator, Option<String>) {
    if File::options().read(true).write(true).open("/dev/kvm").is_err() {
        return (Accelerator::Tcg, None);
    }
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    if let Some(known) = recall(&fs::read_to_string(memory).unwrap_or_default(), &boot) {
        return (known, None);
    }
    let (answer, word, why) = match trial() {
        Ok(()) => (Accelerator::Kvm, "kvm", None),
        Err(why) => (Accelerator::Tcg, "tcg", Some(format!("{why:#}"))),
    };
    // Without a memory the next run tries again.
    let _ = fs::write(memory, format!("{}\n{word}\n", boot.trim()));
    (answer, why)
}

fn recall(text: &str, boot: &str) -> Option<Accelerator> {
    let (of, answer) = text.split_once('\n')?;
    if boot.trim().is_empty() || of != boot.trim() {
        return None;
    }
    match answer.trim() {
        "kvm" => Some(Accelerator::Kvm),
        "tcg" => Some(Accelerator::Tcg),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_holds_for_one_boot() {
        assert_eq!(recall("b1\ntcg\n", "b1\n"), Some(Accelerator::Tcg));
        assert_eq!(recall("b1\nkvm\n", "b1\n"), Some(Accelerator::Kvm));
        assert_eq!(recall("b1\nkvm\n", "b2\n"), None);
        assert_eq!(recall("", ""), None);
        assert_eq!(recall("b1\n", "b1"), None);
    }
}
