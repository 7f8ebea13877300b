//! How long tasks wait for a CPU, from the events as they come: for the trigger, and for the recorder's own
//! thread.

use std::collections::HashMap;
use tombola_recording::event::{Event, Kind, Left};

/// A task that waited, and got a CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wait {
    pub pid: u32,
    pub since_ns: u64,
    pub until_ns: u64,
}

impl Wait {
    pub fn ns(self) -> u64 {
        self.until_ns - self.since_ns
    }
}

/// Follows tasks. Events must come in the order of time.
#[derive(Debug, Default)]
pub struct Waits {
    tasks: HashMap<u32, State>,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// It may have been woken since it got the CPU, before it goes to sleep.
    Running {
        woken_ns: Option<u64>,
    },
    Runnable {
        since_ns: u64,
    },
    /// It gave its CPU away, and waits for nobody until it has one again.
    GaveWay,
    Blocked,
}

impl Waits {
    /// What ends with this event.
    pub fn event(&mut self, event: &Event) -> Option<Wait> {
        let now = event.ts_ns;
        match &event.kind {
            Kind::Wake { wakee, .. } => {
                match self.tasks.entry(wakee.pid).or_insert(State::Blocked) {
                    State::Running { woken_ns } => *woken_ns = Some(now),
                    State::Runnable { .. } | State::GaveWay => {}
                    asleep @ State::Blocked => *asleep = State::Runnable { since_ns: now },
                }
                None
            }
            Kind::Switch { prev, state, next } => {
                if let Some(prev) = prev.as_ref().filter(|prev| prev.pid != 0) {
                    self.leaves(prev.pid, *state, now);
                }
                if next.pid == 0 {
                    return None;
                }
                let running = State::Running { woken_ns: None };
                match self.tasks.insert(next.pid, running) {
                    Some(State::Runnable { since_ns }) => {
                        Some(Wait { pid: next.pid, since_ns, until_ns: now.max(since_ns) })
                    }
                    _ => None,
                }
            }
            Kind::Loss { .. } => {
                self.tasks.clear(); // nobody knows who has run since
                None
            }
            _ => None,
        }
    }

    fn leaves(&mut self, pid: u32, state: Left, now: u64) {
        if state == Left::Dead {
            self.tasks.remove(&pid);
            return;
        }
        let woken_ns = match self.tasks.get(&pid) {
            Some(State::Running { woken_ns }) => *woken_ns,
            _ => None,
        };
        let after = match (state, woken_ns) {
            (Left::Yielded, _) => State::GaveWay,
            // Woken before it was asleep: it never was.
            (Left::Runnable { .. }, _) | (_, Some(_)) => State::Runnable { since_ns: now },
            _ => State::Blocked,
        };
        self.tasks.insert(pid, after);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tombola_recording::event::{Context, Stage, Task};

    fn task(pid: u32) -> Task {
        Task { pid, ..Task::default() }
    }

    fn switch(ts_ns: u64, prev: u32, state: Left, next: u32) -> Event {
        Event {
            ts_ns,
            cpu: 0,
            seq: 0,
            kind: Kind::Switch { prev: Some(task(prev)), state, next: task(next) },
        }
    }

    fn wake(ts_ns: u64, pid: u32) -> Event {
        let kind = Kind::Wake {
            wakee: task(pid),
            waker: None,
            target: None,
            stage: Stage::Waking,
            context: Context::Unknown,
        };
        Event { ts_ns, cpu: 0, seq: 0, kind }
    }

    const READY: Left = Left::Runnable { preempted: Some(true) };

    #[test]
    fn a_wait_begins_with_a_wake_or_a_preemption_and_ends_on_a_cpu() {
        let mut waits = Waits::default();
        assert_eq!(waits.event(&switch(0, 0, READY, 1)), None, "nobody knows since when");
        assert_eq!(waits.event(&wake(10, 2)), None);
        assert_eq!(waits.event(&wake(15, 2)), None, "woken again while it waits");
        assert_eq!(waits.event(&switch(30, 1, READY, 2)), Some(Wait { pid: 2, since_ns: 10, until_ns: 30 }));
        assert_eq!(waits.event(&switch(90, 2, Left::Sleep, 1)).map(Wait::ns), Some(60), "preempted at 30");
        assert_eq!(waits.event(&switch(95, 1, Left::Sleep, 2)), None, "it slept, and was not seen to wake");
    }

    #[test]
    fn who_gives_its_cpu_away_does_not_wait_until_it_is_preempted() {
        let mut waits = Waits::default();
        waits.event(&switch(0, 0, READY, 1));
        waits.event(&switch(10, 1, Left::Yielded, 2));
        assert_eq!(waits.event(&wake(15, 1)), None, "it is awake");
        assert_eq!(waits.event(&switch(20, 2, Left::Sleep, 1)), None);
        waits.event(&switch(30, 1, READY, 2));
        assert_eq!(waits.event(&switch(40, 2, Left::Sleep, 1)).map(Wait::ns), Some(10));
    }

    #[test]
    fn a_wake_before_the_sleep_makes_it_wait() {
        let mut waits = Waits::default();
        waits.event(&switch(0, 0, READY, 1));
        waits.event(&wake(5, 1));
        waits.event(&switch(7, 1, Left::Sleep, 2));
        assert_eq!(waits.event(&switch(20, 2, Left::Sleep, 1)).map(Wait::ns), Some(13));
        waits.event(&switch(30, 1, Left::Dead, 2));
        assert_eq!(waits.event(&switch(40, 2, READY, 1)), None, "another of the same number");
    }
}
