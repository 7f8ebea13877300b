//! What the terminal is like, if there is one.

use crate::pace::notify;
use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

/// What takes longer than this says so.
const LONG: Duration = Duration::from_secs(2);

/// Columns of the terminal that standard output is; `None` where it is none, or does not say.
pub fn columns() -> Option<usize> {
    let out = io::stdout();
    if !out.is_terminal() {
        return None;
    }
    let size = rustix::termios::tcgetwinsize(&out).ok()?;
    Some(usize::from(size.ws_col)).filter(|columns| *columns > 0)
}

/// Says on a terminal what it is that takes a while, and for how long.
pub fn tell_long(what: &str, length: Duration) {
    if length > LONG && io::stderr().is_terminal() {
        let length = tombola_core::duration::Plain(length);
        notify(&format!("{what} for {length}; Ctrl-C ends it early, with what there is then"));
    }
}

/// Says on a terminal at which round of several it is, and how long the others may take, by those that were.
pub fn tell_rounds(done: u32, of: u32, began: Instant) {
    let took = began.elapsed();
    if done > 0 && took / done * of > LONG && io::stderr().is_terminal() {
        let left = Duration::from_secs((took / done * (of - done)).as_secs());
        notify(&format!("round {} of {of}; about {} to go", done + 1, tombola_core::duration::Plain(left)));
    }
}
