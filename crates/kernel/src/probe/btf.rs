//! Whether there is BTF, and whether it is whole.

use super::{Finding, Verdict};
use crate::btf_file::{KERNEL_BTF, check};
use std::path::Path;

pub(super) fn probe(given: Option<&Path>) -> Vec<Finding> {
    let kernel = match check(Path::new(KERNEL_BTF)) {
        Ok(size) => Finding::new("kernel BTF", Verdict::Ok, format!("{KERNEL_BTF}, {} KiB", size / 1024)),
        // Programs of type tp_btf are checked against the kernel's own BTF; a file replaces it for relocation
        // only.
        Err(fault) => Finding::new("kernel BTF", Verdict::Fail, format!("{KERNEL_BTF}: {fault}"))
            .remedy("use a kernel built with CONFIG_DEBUG_INFO_BTF=y, as those of the distributions are"),
    };
    let given = given.map(|path| match check(path) {
        Ok(size) => {
            Finding::new("given BTF", Verdict::Ok, format!("{}, {} KiB", path.display(), size / 1024))
        }
        Err(fault) => Finding::new("given BTF", Verdict::Fail, format!("{}: {fault}", path.display()))
            .remedy(
                "give the BTF of the running kernel with --btf (BTF_PATH), or none to use the kernel's own",
            ),
    });
    std::iter::once(kernel).chain(given).collect()
}
