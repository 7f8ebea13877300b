//! What the machine is to do, written by the host into the initramfs and read there by PID 1.

use serde::{Deserialize, Serialize};

/// Where the plan lies in the machine.
pub const PLAN_PATH: &str = "/plan.json";

/// Begins every line that PID 1 means for the host.
pub const SENTINEL: &str = "TOMBOLA-VM";

/// Number of the ordinary user, and of its group.
pub const USER: u32 = 65534;

/// A directory in the BPF file system that belongs to the ordinary user.
pub const USER_PINS: &str = "/sys/fs/bpf/user";

/// What the machine is to do, in order, before it turns itself off.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// The steps.
    pub steps: Vec<Step>,
}

/// One process, and the verdict on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// What the verdict is about.
    pub name: String,
    /// Program and arguments.
    pub argv: Vec<String>,
    /// Whether an ordinary user with `CAP_BPF` and `CAP_PERFMON`, and no other right, runs it.
    pub as_user: bool,
    /// How long it may take, seconds.
    pub limit_s: u64,
}

/// Why a test could not run, if its output says so: `SKIP: reason`, at the begin of a line or behind what the
/// test harness has written there, `test NAME ... `.
pub fn skip_reason(output: &str) -> Option<&str> {
    output.lines().find_map(|line| match line.strip_prefix("SKIP: ") {
        Some(reason) => Some(reason),
        None => Some(line.strip_prefix("test ")?.split_once(" ... SKIP: ")?.1),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_skip_is_one_wherever_the_harness_lets_it_begin() {
        let output = "\nrunning 1 test\ntest root_x ... SKIP: no such right\nok\n";
        assert_eq!(skip_reason(output), Some("no such right"));
        assert_eq!(skip_reason("NOTE: less load\nSKIP: one CPU\n"), Some("one CPU"));
        assert_eq!(skip_reason("test root_x ... NOTE: less load\nok\nno SKIP: here\n"), None);
    }
}
