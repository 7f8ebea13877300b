//! Whether this process counts tasks as the kernel does.

use std::fs;
use std::path::Path;
use std::sync::OnceLock;

/// `PROC_PID_INIT_INO` of `include/linux/proc_ns.h`: the namespace that every machine starts with.
const INITIAL: &str = "pid:[4026531836]";

/// Whether this process is in the initial PID namespace, in whose numbers the kernel counts; without a
/// `/proc` that shows this process nothing says otherwise.
pub fn pids_are_initial() -> bool {
    static ARE_INITIAL: OnceLock<bool> = OnceLock::new();
    let is_initial = || fs::read_link("/proc/self/ns/pid").map_or(true, |link| link == Path::new(INITIAL));
    *ARE_INITIAL.get_or_init(is_initial)
}
