//! Why a scheduler is gone, in plain words.

use std::fmt;

/// The kernel's reason for the end of a scheduler (`struct scx_exit_info`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Farewell {
    /// `enum scx_exit_kind`.
    pub kind: u32,
    /// Exit code, 0 if none was given.
    pub code: i64,
    /// The kernel's word for the kind.
    pub reason: String,
    /// What it says beside that; empty if nothing.
    pub message: String,
}

impl Farewell {
    /// Whether the scheduler or the kernel erred, in contrast to an end that somebody asked for.
    pub fn is_error(&self) -> bool {
        self.kind >= 1024
    }
}

/// `SCX_ECODE_ACT_RESTART`: the scheduler should be started again.
const RESTART: i64 = 1 << 48;

impl Farewell {
    /// Whether the kernel took it out only because a CPU came or went, and expects it to be started again.
    pub fn asks_for_restart(&self) -> bool {
        self.kind == 66 && self.code & RESTART != 0
    }
}

impl fmt::Display for Farewell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // enum scx_exit_kind of kernel/sched/ext.c, 6.12 to 7.3.
        let what = match self.kind {
            0 => "it is running",
            1 | 64 => "it was unloaded",
            65 => "the scheduler itself asked for its end",
            66 => "the kernel ended it because the set of CPUs changed",
            67 => "somebody pressed SysRq-S",
            68 | 69 => "the scheduler above it ended",
            1024 | 1025 => "the kernel found a fault in the scheduler",
            1026 => "a task that could run was not run in time, so the watchdog ended the scheduler",
            _ => "the kernel ended it",
        };
        f.write_str(what)?;
        if self.is_error() || !(self.kind == 1 || self.kind == 64) {
            write!(f, " (kind {}: {}", self.kind, self.reason)?;
            if self.code != 0 {
                write!(f, ", code {}", self.code)?;
            }
            if !self.message.is_empty() {
                write!(f, "; {}", self.message)?;
            }
            f.write_str(")")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_watchdog_is_named_with_the_kernels_own_words() {
        let stall = Farewell {
            kind: 1026,
            code: 0,
            reason: "runnable task stall".into(),
            message: "burn[77] failed to run for 30.1s".into(),
        };
        assert!(stall.is_error());
        let text = stall.to_string();
        assert!(text.contains("watchdog") && text.contains("burn[77]"), "{text}");
        let asked = Farewell {
            kind: 64,
            code: 0,
            reason: "unregistered from user space".into(),
            message: String::new(),
        };
        assert!(!asked.is_error());
        assert_eq!(asked.to_string(), "it was unloaded");
    }
}
