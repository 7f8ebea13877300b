//! A line on a terminal that says how far long work is.

use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use tombola_core::sim::compare::Progress;

/// Percent done, on standard error; silent where that is no terminal.
pub struct Line {
    terminal: bool,
    /// The percentage shown, plus 1; 0 before the first.
    shown: AtomicUsize,
}

impl Line {
    pub fn new() -> Self {
        Self { terminal: io::stderr().is_terminal(), shown: AtomicUsize::new(0) }
    }

    /// Writes a percentage that was not reached before; from any thread.
    pub fn show(&self, progress: Progress) {
        if !self.terminal {
            return;
        }
        let percent = progress.done * 100 / progress.planned.max(1);
        if self.shown.fetch_max(percent + 1, Ordering::Relaxed) <= percent {
            let Progress { done, planned } = progress;
            let _ = write!(io::stderr(), "\rsimulating: run {done} of {planned}, {percent} %");
        }
    }

    /// Takes the line away.
    pub fn clear(&self) {
        if self.shown.load(Ordering::Relaxed) > 0 {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}
