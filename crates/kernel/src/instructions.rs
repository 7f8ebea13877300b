//! What the compiled programs ask of a kernel's instruction set, whatever compiler has made them.

use crate::wire::{INTERFERENCE, MONITOR, RECORDER};

/// Atomic operations in an object's code: those that return a value, and those that do not.
fn atomics(object: &[u8]) -> (usize, usize) {
    let word =
        |at: usize| usize::try_from(u64::from_le_bytes(object[at..at + 8].try_into().unwrap())).unwrap();
    let half = |at: usize| usize::from(u16::from_le_bytes(object[at..at + 2].try_into().unwrap()));
    // Elf64_Ehdr: e_shoff, e_shentsize, e_shnum. Elf64_Shdr: sh_type, sh_flags, sh_offset, sh_size.
    let sections = (0..half(60)).map(|section| word(40) + section * half(58));
    let is_code = |at: &usize| object[at + 4] == 1 && word(at + 8) & 4 != 0;
    let code =
        sections.filter(is_code).flat_map(|at| object[word(at + 24)..][..word(at + 32)].chunks_exact(8));
    // BPF_STX | BPF_ATOMIC with 8 or 4 bytes; BPF_FETCH is in the immediate.
    let immediates = code.filter(|insn| [0xdb, 0xc3].contains(&insn[0])).map(|insn| insn[4] & 1);
    let (returning, all) = immediates.fold((0, 0), |(fetch, all), bit| (fetch + usize::from(bit), all + 1));
    (returning, all - returning)
}

/// Kernels before 5.12 refuse an atomic operation that returns a value, and clang from 20 on makes one of
/// `__sync_fetch_and_add` also where nobody takes the value. Where stores are not kept in order, it is what
/// orders them, and one that returns nothing does not.
#[test]
fn atomic_operations_return_a_value_only_where_that_orders() {
    let of = [MONITOR, INTERFERENCE, RECORDER].map(atomics);
    println!("returning and not, in monitor, interference, recorder: {of:?}");
    assert!(of[1].1 > 0 && of[2].1 > 0, "the sums that CPUs share: {of:?}");
    if cfg!(target_arch = "x86_64") {
        assert!(of.iter().all(|(returning, _)| *returning == 0), "{of:?}");
    } else {
        assert!(of[0].0 >= 3 && of[2].0 >= 3 && of[1].0 == 0, "{of:?}");
    }
}
