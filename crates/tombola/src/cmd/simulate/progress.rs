//! A line on a terminal that says how far long work is.

use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use tombola_lab::compare::Progress;

/// Percent done, on standard error; silent where that is no terminal.
pub struct Line {
    terminal: bool,
    /// The percentage shown, plus 1; 0 before the first.
    shown: AtomicU64,
}

impl Line {
    pub fn new() -> Self {
        Self { terminal: io::stderr().is_terminal(), shown: AtomicU64::new(0) }
    }

    /// Writes a percentage that was not reached before; from any thread.
    pub fn show(&self, progress: Progress) {
        if !self.terminal {
            return;
        }
        let Progress { done, planned, permille } = progress;
        let percent = permille / 10;
        if self.shown.fetch_max(percent + 1, Ordering::Relaxed) <= percent {
            let _ = write!(io::stderr(), "\rsimulating: {done} of {planned} runs done, {percent} %");
        }
    }

    /// Takes the line away.
    pub fn clear(&self) {
        if self.shown.load(Ordering::Relaxed) > 0 {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}
