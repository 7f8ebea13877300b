//! Several pieces of work at once, as many as a number of CPUs allows.

use std::collections::VecDeque;
use std::sync::mpsc;
use std::thread;

/// Does `jobs` in their order, each in a thread of its own that takes so many CPUs, the first number of each.
/// The next one begins when enough are free; one that wants more than there are gets all. Where `done`
/// returns another job, that is put at the end.
pub fn side_by_side<J: Send, R: Send>(
    mut jobs: VecDeque<(usize, J)>,
    cpus: usize,
    work: impl Fn(&J) -> R + Sync,
    mut done: impl FnMut(J, R) -> Option<(usize, J)>,
) {
    let cpus = cpus.max(1);
    let mut free = cpus;
    let (send, receive) = mpsc::channel();
    thread::scope(|scope| {
        loop {
            while jobs.front().is_some_and(|(wanted, _)| (*wanted).clamp(1, cpus) <= free)
                && let Some((wanted, job)) = jobs.pop_front()
            {
                let taken = wanted.clamp(1, cpus);
                free -= taken;
                let (send, work) = (send.clone(), &work);
                scope.spawn(move || {
                    let result = work(&job);
                    let _ = send.send((taken, job, result));
                });
            }
            if free == cpus {
                return; // nothing runs, and nothing is left that could
            }
            // The threads hold copies of the sender, and so does this function: it cannot be closed.
            let Ok((taken, job, result)) = receive.recv() else { return };
            free += taken;
            jobs.extend(done(job, result));
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    #[test]
    fn as_many_run_at_once_as_there_are_cpus_for() {
        let (now, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let jobs: VecDeque<(usize, usize)> = [2, 1, 1, 1, 9].into_iter().map(|cpus| (cpus, cpus)).collect();
        let mut ended = Vec::new();
        side_by_side(
            jobs,
            2,
            |cpus| {
                let taken = (*cpus).min(2);
                most.fetch_max(now.fetch_add(taken, Ordering::SeqCst) + taken, Ordering::SeqCst);
                thread::sleep(Duration::from_millis(20));
                now.fetch_sub(taken, Ordering::SeqCst);
            },
            |job, ()| {
                ended.push(job);
                // One of them once more.
                (job == 9).then_some((1, 7))
            },
        );
        assert_eq!(most.into_inner(), 2);
        assert_eq!(ended, [2, 1, 1, 1, 9, 7]);
    }
}
