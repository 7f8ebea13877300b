//! Whose turn it is: runs that go on side by side, at most so many at a time, the one that is least far
//! first.

use std::collections::BTreeSet;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// How much further than another a run may get before it lets the other go on, thousandths of a run.
const STEP: u64 = 10;

/// The runs that are under way.
#[derive(Debug)]
pub(super) struct Turns {
    /// How many may go on at a time.
    places: usize,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    going: usize,
    /// How [`far`] each is that waits, and which it is.
    waiting: BTreeSet<(u64, usize)>,
}

/// How far a policy is, in thousandths of a run: with all runs before this one, and this part of it.
fn far(number: u32, part: u64) -> u64 {
    u64::from(number) * 1000 + part
}

/// A run that has begun.
#[derive(Debug)]
pub(super) struct Turn<'a>(&'a Turns);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.lock().going -= 1;
        self.0.changed.notify_all();
    }
}

impl Turns {
    /// At most `places` at a time, at least 1.
    pub(super) fn new(places: usize) -> Self {
        Self { places: places.max(1), state: Mutex::default(), changed: Condvar::new() }
    }

    /// Begins a run, when it is its turn. It ends with the value. `number` of its policy's: the first runs of
    /// all go before the second.
    pub(super) fn begin(&self, unit: usize, number: u32) -> Turn<'_> {
        drop(self.wait(self.lock(), (far(number, 0), unit)));
        Turn(self)
    }

    /// A run is this far, thousandths: lets one go on that is much less far.
    pub(super) fn at(&self, unit: usize, number: u32, part: u64) {
        let part = far(number, part);
        let mut state = self.lock();
        if state.waiting.first().is_some_and(|(least, _)| least + STEP <= part) {
            state.going -= 1;
            self.changed.notify_all();
            state = self.wait(state, (part, unit));
        }
        drop(state);
    }

    fn wait<'a>(&'a self, mut state: MutexGuard<'a, State>, me: (u64, usize)) -> MutexGuard<'a, State> {
        state.waiting.insert(me);
        while state.going >= self.places || state.waiting.first() != Some(&me) {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.waiting.remove(&me);
        state.going += 1;
        // Another may have a place too.
        self.changed.notify_all();
        state
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
