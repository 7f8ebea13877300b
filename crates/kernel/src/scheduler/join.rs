//! Putting a task under a partial scheduler.

use crate::error::{Error, Result};
use std::io;

/// `include/uapi/linux/sched.h`; libc has no name for it.
const SCHED_EXT: libc::c_int = 7;

/// Gives the calling thread the policy `SCHED_EXT`. What it starts from then on inherits it: threads, children, and what
/// those execute.
///
/// # Errors
/// [`Error::SchedulerRefused`] where the kernel refuses.
pub fn join() -> Result<()> {
    let none = libc::sched_param { sched_priority: 0 };
    // SAFETY: the parameters are read only, and outlive the call; 0 is the calling thread.
    if unsafe { libc::sched_setscheduler(0, SCHED_EXT, &raw const none) } == 0 {
        return Ok(());
    }
    let reason = io::Error::last_os_error();
    Err(Error::SchedulerRefused { why: format!("the policy SCHED_EXT was refused: {reason}") })
}
