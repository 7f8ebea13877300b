//! BTF, the kernel's description of its own types: is a file of it whole, and what does it say?

use libbpf_rs::btf::{Btf, types};
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use thiserror::Error;

/// Where the kernel shows its own BTF.
pub const KERNEL_BTF: &str = "/sys/kernel/btf/vmlinux";

/// `struct btf_header` of `include/uapi/linux/btf.h`, without what later versions may append.
const HEADER: usize = 24;
const MAGIC: u16 = 0xEB9F;

/// Why a file is no BTF that can be used.
#[derive(Debug, Error)]
pub(crate) enum Fault {
    #[error("{0}")]
    Unreadable(#[from] io::Error),
    #[error("{0} bytes, too short for a BTF header")]
    Short(u64),
    #[error("it does not begin with the BTF magic 0xEB9F, and it is no ELF file")]
    Foreign,
    #[error("it was made for a machine of the other byte order")]
    Endian,
    #[error("truncated: its header speaks of {needed} bytes, the file has {size}")]
    Truncated { needed: u64, size: u64 },
    #[error("libbpf cannot parse it: {0}")]
    Refused(String),
    #[error("it describes a kernel of another architecture (no pt_regs.{0})")]
    Architecture(&'static str),
}

/// The size of a BTF file, or of an ELF file with BTF inside, that can be used here.
pub(crate) fn check(path: &Path) -> Result<u64, Fault> {
    let mut file = File::open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::other("not a regular file").into());
    }
    let mut head = Vec::with_capacity(HEADER);
    file.by_ref().take(HEADER as u64).read_to_end(&mut head)?;
    check_header(&head, metadata.len())?;

    // The parser of libbpf has the last word; it reads sections and every type.
    let btf = Btf::from_path(path).map_err(|error| Fault::Refused(error.to_string()))?;
    match register_of_this_architecture() {
        Some(name) if !has_member(&btf, "pt_regs", name) => Err(Fault::Architecture(name)),
        _ => Ok(metadata.len()),
    }
}

/// Looks at the first bytes of a file of `size` bytes, so that the commonest faults get their own words.
fn check_header(head: &[u8], size: u64) -> Result<(), Fault> {
    if head.starts_with(b"\x7fELF") {
        return Ok(());
    }
    let magic = head.first_chunk().map(|bytes| u16::from_ne_bytes(*bytes));
    match magic {
        None => return Err(Fault::Short(size)),
        Some(magic) if magic == MAGIC.swap_bytes() => return Err(Fault::Endian),
        Some(magic) if magic != MAGIC => return Err(Fault::Foreign),
        Some(_) => {}
    }
    // magic u16, version u8, flags u8, then u32: header length, type offset, type length, string offset,
    // string length.
    let word = |index: usize| {
        head.get(4 + 4 * index..)
            .and_then(|rest| rest.first_chunk())
            .map(|bytes| u64::from(u32::from_ne_bytes(*bytes)))
            .ok_or(Fault::Short(size))
    };
    let needed = word(0)? + (word(1)? + word(2)?).max(word(3)? + word(4)?);
    if needed > size { Err(Fault::Truncated { needed, size }) } else { Ok(()) }
}

/// A member of `struct pt_regs` that only this architecture has; `None` where none is known.
fn register_of_this_architecture() -> Option<&'static str> {
    match std::env::consts::ARCH {
        "x86_64" => Some("orig_ax"),
        "aarch64" => Some("orig_x0"),
        _ => None,
    }
}

/// Whether a struct has a member of that name.
pub(crate) fn has_member(btf: &Btf<'_>, of: &str, member: &str) -> bool {
    btf.type_by_name::<types::Struct<'_>>(of)
        .is_some_and(|of| of.iter().any(|candidate| candidate.name.is_some_and(|name| name == member)))
}

/// Arguments of a typed tracepoint, without the `void *` every one begins with; `None` if there is no such
/// tracepoint.
pub(crate) fn tracepoint_arguments(btf: &Btf<'_>, tracepoint: &str) -> Option<usize> {
    let typedef: types::Typedef<'_> = btf.type_by_name(&format!("btf_trace_{tracepoint}"))?;
    let function = types::FuncProto::try_from(typedef.next_type()?.next_type()?).ok()?;
    function.len().checked_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn header(types: u32, strings: u32) -> Vec<u8> {
        let mut bytes = MAGIC.to_ne_bytes().to_vec();
        bytes.extend([1, 0]);
        for word in [24, 0, types, types, strings] {
            bytes.extend(u32::to_ne_bytes(word));
        }
        bytes
    }

    fn fault(head: &[u8], size: u64) -> String {
        check_header(head, size).map_or_else(|fault| fault.to_string(), |()| "none".to_owned())
    }

    #[test]
    fn a_header_is_whole_or_the_reason_is_told() {
        let whole = header(100, 50);
        assert_eq!(fault(&whole, 174), "none");
        assert_eq!(fault(&whole, 173), "truncated: its header speaks of 174 bytes, the file has 173");
        assert!(fault(&header(u32::MAX, u32::MAX), 1 << 20).starts_with("truncated"));
        let mut swapped = whole.clone();
        swapped.swap(0, 1);
        assert!(fault(&swapped, 174).contains("other byte order"));
        assert!(fault(b"hello, world, this is text", 26).contains("magic"));
        assert_eq!(fault(b"\x7fELF", 4), "none");
        for cut in 0..whole.len() {
            assert!(fault(&whole[..cut], cut as u64).contains("too short"), "{cut}");
        }
    }

    fn file(bytes: &[&[u8]]) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        for part in bytes {
            file.write_all(part).unwrap();
        }
        file
    }

    #[test]
    fn lengths_that_fit_the_file_and_yet_lie_are_noticed() {
        libbpf_rs::set_print(None);
        let file = file(&[&header(100, 50), &[0xff; 150]]);
        assert!(matches!(check(file.path()), Err(Fault::Refused(_))));
    }

    #[test]
    #[ignore = "root: needs the BTF of a running kernel"]
    fn root_kernel_btf_cut_anywhere_is_refused_without_a_panic() {
        libbpf_rs::set_print(None);
        let kernel = std::fs::read(KERNEL_BTF).unwrap();
        for keep in [0, 1, 2, 23, 24, 1000, kernel.len() / 2, kernel.len() - 1] {
            assert!(check(file(&[&kernel[..keep]]).path()).is_err(), "{keep} bytes");
        }
        assert_eq!(check(file(&[&kernel]).path()).unwrap(), kernel.len() as u64);
    }

    #[test]
    fn no_file_a_directory_and_an_elf_file_without_btf_are_refused() {
        libbpf_rs::set_print(None);
        for path in ["/nonexistent", "/proc", "/dev/null", "/proc/self/exe"] {
            assert!(check(Path::new(path)).is_err(), "{path}");
        }
    }
}
