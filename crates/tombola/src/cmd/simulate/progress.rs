//! A line on a terminal that says how far long work is, and about how long the rest takes.

use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tombola_lab::compare::Progress;

/// Work that is done sooner says nothing.
const PATIENCE: Duration = Duration::from_secs(2);

/// Percent done, on standard error; silent where that is no terminal.
pub struct Line {
    terminal: bool,
    begin: Instant,
    /// The percentage shown, plus 1; 0 before the first.
    shown: AtomicU64,
}

impl Line {
    pub fn new() -> Self {
        Self { terminal: io::stderr().is_terminal(), begin: Instant::now(), shown: AtomicU64::new(0) }
    }

    /// Writes a percentage that was not reached before; from any thread.
    pub fn show(&self, progress: Progress) {
        let elapsed = self.begin.elapsed();
        if !self.terminal || elapsed < PATIENCE {
            return;
        }
        let percent = progress.permille / 10;
        if self.shown.fetch_max(percent + 1, Ordering::Relaxed) <= percent {
            let _ = write!(io::stderr(), "\r\x1b[K{}", text(progress, elapsed));
        }
    }

    /// Takes the line away.
    pub fn clear(&self) {
        if self.shown.load(Ordering::Relaxed) > 0 {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}

/// The line. What is left is estimated from what was done and the time it took.
fn text(Progress { done, planned, permille }: Progress, elapsed: Duration) -> String {
    let runs = if planned == 1 { "run" } else { "runs" };
    let line = format!("simulating: {done} of {planned} {runs} done, {} %", permille / 10);
    match elapsed.as_secs_f64() * (1000.0 / permille as f64 - 1.0) {
        left if permille == 0 || permille > 1000 || !left.is_finite() => line,
        left if left < 90.0 => format!("{line}, about {left:.0} s left"),
        left => format!("{line}, about {:.0} min left", left / 60.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_estimated() {
        let at = |permille| Progress { done: 1, planned: 8, permille };
        let four = Duration::from_secs(4);
        assert_eq!(text(at(0), four), "simulating: 1 of 8 runs done, 0 %");
        assert_eq!(text(at(250), four), "simulating: 1 of 8 runs done, 25 %, about 12 s left");
        assert_eq!(text(at(10), four), "simulating: 1 of 8 runs done, 1 %, about 7 min left");
        assert_eq!(text(at(1000), four), "simulating: 1 of 8 runs done, 100 %, about 0 s left");
    }
}
