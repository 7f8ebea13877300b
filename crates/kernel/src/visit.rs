//! A visit to every CPU: something is done on each of them, or each only switches.

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// How long a load waits for its visit of all CPUs.
const VISIT: Duration = Duration::from_secs(3);

/// Makes every CPU that this process may use switch once, so that its slot says what it runs: a CPU that a
/// lone task never leaves would otherwise stay unknown. CPUs out of reach are booked as idle until their
/// first switch; so is one that a real-time task does not give away within [`VISIT`], which the visitor is
/// left to wait for.
pub(crate) fn visit_every_cpu() {
    on_every_cpu(|| {});
}

/// Does something on every CPU that this process may use, one after the other, and waits for that as long as
/// [`VISIT`].
pub(crate) fn on_every_cpu(what: impl Fn() + Send + 'static) {
    let (done, all_done) = mpsc::channel();
    let visitor = thread::Builder::new().name("tombola-visit".into()).spawn(move || {
        visit(what);
        let _ = done.send(()); // nobody waits any more
    });
    if visitor.is_ok() {
        let _ = all_done.recv_timeout(VISIT);
    }
}

/// Moves this thread to each of its CPUs in turn.
fn visit(what: impl Fn()) {
    let me = Pid::from_raw(0);
    let Ok(allowed) = sched_getaffinity(me) else { return };
    for cpu in (0..CpuSet::count()).filter(|&cpu| allowed.is_set(cpu).unwrap_or(false)) {
        let mut only = CpuSet::new();
        // A CPU that went offline meanwhile needs no visit.
        if only.set(cpu).is_ok() && sched_setaffinity(me, &only).is_ok() {
            what();
        }
    }
}
