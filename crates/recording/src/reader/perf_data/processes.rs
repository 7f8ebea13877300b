//! Which process a thread belongs to.

/// Threads by their id. A place for each id up to the largest that was met: every event asks two or three
/// times.
#[derive(Default)]
pub(super) struct Processes(Vec<u32>);

/// The kernel's own limit (`PID_MAX_LIMIT`): a larger id is none.
const MOST: usize = 1 << 22;

const UNKNOWN: u32 = u32::MAX;

impl Processes {
    /// Knows the idle tasks only.
    pub(super) fn new() -> Self {
        Self(vec![0])
    }

    #[inline]
    pub(super) fn get(&self, thread: u32) -> Option<u32> {
        self.0.get(thread as usize).copied().filter(|&process| process != UNKNOWN)
    }

    #[inline]
    pub(super) fn set(&mut self, thread: u32, process: u32) {
        let at = thread as usize;
        if at >= MOST {
            return;
        }
        if self.0.len() <= at {
            self.0.resize(at + 1, UNKNOWN);
        }
        self.0[at] = process;
    }
}
