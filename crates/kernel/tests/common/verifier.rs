//! What the verifier did with the programs of this process.

use libbpf_rs::query::ProgInfoIter;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;

/// The verifier gives up after a million instructions (`BPF_COMPLEXITY_LIMIT_INSNS`), and counts differently
/// from kernel to kernel: a program that takes more than a quarter of that may not load on the next one.
pub(crate) const MARGIN: u32 = 250_000;

/// Ids of the programs that this process holds, themselves or by a link.
fn held() -> BTreeSet<u32> {
    let fds = fs::read_dir("/proc/self/fdinfo").unwrap();
    fds.filter_map(|fd| fs::read_to_string(fd.ok()?.path()).ok())
        .flat_map(|text| {
            let ids = text.lines().filter_map(|line| line.strip_prefix("prog_id:")?.trim().parse().ok());
            ids.collect::<Vec<u32>>()
        })
        .collect()
}

/// Instructions that the verifier went through for each program that this process holds, by name; what the
/// kernel does not tell is left out (before 5.16).
pub(crate) fn verified() -> BTreeMap<String, u32> {
    let held = held();
    assert!(!held.is_empty(), "no program is held");
    ProgInfoIter::default()
        .filter(|program| held.contains(&program.id) && program.verified_insns > 0)
        .map(|program| (program.name.to_string_lossy().into_owned(), program.verified_insns))
        .collect()
}

/// Prints them as a row of the table in docs/kernels.md, and holds them against the margin.
pub(crate) fn check(programs: &BTreeMap<String, u32>) {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let cells: Vec<String> = programs.iter().map(|(name, count)| format!("{name} {count}")).collect();
    println!("NOTE: verified instructions on {}: {}", release.trim(), cells.join(", "));
    for (name, count) in programs {
        assert!(*count < MARGIN, "{name}: {count} instructions, of {MARGIN} that leave a margin");
    }
}
