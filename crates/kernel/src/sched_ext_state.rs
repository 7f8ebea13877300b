//! What sched_ext of this kernel is doing, as `/sys/kernel/sched_ext` shows it.

use std::fs;

const DIR: &str = "/sys/kernel/sched_ext";

/// The state of sched_ext.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SchedExtState {
    /// This kernel has none.
    Absent,
    /// No scheduler is loaded.
    Disabled,
    /// This one is, or is being loaded or unloaded (the kernel's word for the state).
    Loaded {
        /// Its name.
        ops: String,
        /// `enabled`, `enabling`, `disabling`.
        state: String,
        /// Whether it schedules every fair task, or only those of the policy `SCHED_EXT`; `None` where the
        /// kernel does not say.
        whole_machine: Option<bool>,
    },
}

impl SchedExtState {
    /// Now.
    pub fn now() -> Self {
        let word =
            |name: &str| fs::read_to_string(format!("{DIR}/{name}")).map(|text| text.trim().to_owned());
        match word("state") {
            Err(_) => Self::Absent,
            Ok(state) if state == "disabled" => Self::Disabled,
            Ok(state) => Self::Loaded {
                ops: word("root/ops").unwrap_or_default(),
                state,
                whole_machine: word("switch_all").ok().map(|word| word == "1"),
            },
        }
    }
}
