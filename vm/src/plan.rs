//! What the machine is to do, written by the host into the initramfs and read there by PID 1.

use serde::{Deserialize, Serialize};

/// Where the plan lies in the machine.
pub const PLAN_PATH: &str = "/plan.json";

/// Begins every line that PID 1 means for the host.
pub const SENTINEL: &str = "TOMBOLA-VM";

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
    /// Whether its output is printed also when it succeeds.
    pub show: bool,
}
