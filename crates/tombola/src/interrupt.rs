//! SIGINT, SIGTERM and SIGHUP as a flag that a waiting loop notices at once.

use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::{flag, low_level};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

/// The signals that end a run.
const ENDING: [i32; 3] = [SIGINT, SIGTERM, SIGHUP];

/// Set by the first of the signals that comes after somebody first asked for this flag, or for an
/// [`Interrupt`]: who begins to look at it later, as a recording does that is opened after a while, misses
/// none.
///
/// # Errors
/// Signals cannot be handled.
pub fn came() -> Result<Arc<AtomicBool>> {
    static CAME: OnceLock<Arc<AtomicBool>> = OnceLock::new();
    if let Some(came) = CAME.get() {
        return Ok(Arc::clone(came));
    }
    let came = Arc::new(AtomicBool::new(false));
    for signal in ENDING.into_iter().filter(|signal| !ignored(*signal)) {
        flag::register(signal, Arc::clone(&came))
            .with_context(|| format!("cannot handle signal {signal}"))?;
    }
    Ok(Arc::clone(CAME.get_or_init(|| came)))
}

/// Asked to end? The first signal sets a flag and wakes [`Interrupt::wait`]; the second ends the process at
/// once with status 128 + signal number, so a run that hangs while it cleans up can still be stopped.
pub struct Interrupt {
    raised: Arc<AtomicBool>,
    /// Number of the signal, 0 before it comes.
    number: Arc<AtomicUsize>,
    wake: UnixStream,
}

impl Interrupt {
    /// Takes the three signals over. Those the parent had ignored (`nohup`, `&` in a script) stay ignored.
    pub fn catch() -> Result<Self> {
        came()?;
        let raised = Arc::new(AtomicBool::new(false));
        let number = Arc::new(AtomicUsize::new(0));
        let (wake, ring) = UnixStream::pair().context("cannot open a socket pair for signals")?;
        for signal in ENDING {
            if ignored(signal) {
                continue;
            }
            let as_number = usize::try_from(signal).unwrap_or(0);
            // Actions run in the order of registration: the shutdown must look at the flag before it is set,
            // and who sees the flag finds the number.
            flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(&raised))
                .and_then(|_| flag::register_usize(signal, Arc::clone(&number), as_number))
                .and_then(|_| flag::register(signal, Arc::clone(&raised)))
                .and_then(|_| low_level::pipe::register(signal, ring.try_clone()?))
                .with_context(|| format!("cannot handle signal {signal}"))?;
        }
        Ok(Self { raised, number, wake })
    }

    /// Whether one of the signals has come.
    pub fn raised(&self) -> bool {
        self.raised.load(Ordering::SeqCst)
    }

    /// The flag itself, for work that other threads look after.
    pub fn flag(&self) -> &AtomicBool {
        &self.raised
    }

    /// Which of them has come.
    pub fn signal(&self) -> Option<i32> {
        i32::try_from(self.number.load(Ordering::SeqCst)).ok().filter(|number| *number > 0)
    }

    /// Waits for `length` of monotonic time, or less when a signal comes or has come; true if one has.
    pub fn wait(&self, length: Duration) -> bool {
        self.wait_beside(None, length)
    }

    /// The same, or less when there is something to read from `beside`.
    pub fn wait_beside(&self, beside: Option<BorrowedFd<'_>>, length: Duration) -> bool {
        let end = Instant::now().checked_add(length);
        while !self.raised() {
            let left = end.map(|end| end.saturating_duration_since(Instant::now()));
            if left == Some(Duration::ZERO) {
                break;
            }
            // The socket is never read: a signal leaves it readable, and there is nothing left to wait for
            // then.
            let ring = [Some(self.wake.as_fd()), beside].into_iter().flatten();
            let mut ring: Vec<PollFd<'_>> = ring.map(|fd| PollFd::new(fd, PollFlags::POLLIN)).collect();
            match ppoll(&mut ring, left.map(TimeSpec::from), None) {
                Ok(_) if ring[1..].iter().any(|fd| fd.any() == Some(true)) => break,
                Ok(_) | Err(Errno::EINTR) => {}
                // No memory for the call: the clock still ends the wait.
                Err(_) => std::thread::sleep(left.unwrap_or(length).min(Duration::from_millis(10))),
            }
        }
        self.raised()
    }
}

/// Whether this process was started with the signal ignored (`SigIgn` of /proc/self/status).
fn ignored(signal: i32) -> bool {
    std::fs::read_to_string("/proc/self/status")
        .ok()
        .and_then(|status| {
            let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"))?;
            u64::from_str_radix(mask.trim(), 16).ok()
        })
        .is_some_and(|mask| mask >> (signal - 1) & 1 == 1)
}
