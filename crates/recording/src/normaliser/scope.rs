//! Recordings of a part of the machine: what a task does where nobody records is not known.

use super::{Normaliser, OnCpu};
use crate::capabilities::Scope;
use crate::event::{Event, Kind};
use crate::interval::Doubt;
use crate::life::Doing;

/// Nothing that comes tells what it did since.
const NEVER: u64 = u64::MAX;

impl Normaliser {
    /// After an event: who goes out of sight by it.
    pub(super) fn doubt_out_of_sight(&mut self, event: &Event) {
        match self.scope {
            Scope::Whole | Scope::Filtered => {}
            Scope::Cpus => match &event.kind {
                // A CPU that has told nothing yet is one that tells nothing, as far as is known.
                Kind::Wake { wakee: task, target: Some(cpu), .. } | Kind::Migrate { task, to: cpu, .. }
                    if !self.cpus.contains_key(cpu) =>
                {
                    self.doubt(task.pid, NEVER);
                }
                _ => {}
            },
            Scope::Tasks => self.doubt_unwatched(event),
        }
    }

    /// A switch is told by who leaves, a wake by who wakes: only what watched tasks do to each other is seen.
    fn doubt_unwatched(&mut self, event: &Event) {
        match &event.kind {
            Kind::Switch { prev, next, .. } => {
                if let Some(prev) = prev.as_ref().filter(|prev| prev.pid != 0) {
                    self.watched.insert(prev.pid);
                    // It comes again behind anybody; if the next that is told of it is that it comes, it
                    // waited until then.
                    self.doubt(prev.pid, self.now_ns);
                }
                if !self.watched.contains(&next.pid) {
                    if self.lives.get(&next.pid).is_some_and(|life| matches!(life.doing, Doing::Running(_))) {
                        self.set(next.pid, Doing::Unknown { why: Doubt::Hidden, clear_ns: NEVER });
                    }
                    self.set_cpu(event.cpu, OnCpu::Unknown { why: Doubt::Hidden, clear_ns: NEVER });
                }
            }
            Kind::Wake { wakee, .. } => {
                let is_watched = self.watched.contains(&wakee.pid);
                self.doubt(wakee.pid, if is_watched { self.now_ns } else { NEVER });
            }
            Kind::Fork { child: task, .. } | Kind::Exec { task, .. } => {
                self.watched.insert(task.pid);
            }
            _ => {}
        }
    }

    /// A task that waits for a CPU may come to one unseen.
    fn doubt(&mut self, pid: u32, clear_ns: u64) {
        if self.lives.get(&pid).is_some_and(|life| matches!(life.doing, Doing::Runnable(_))) {
            self.set(pid, Doing::Unknown { why: Doubt::Hidden, clear_ns });
        }
    }
}
