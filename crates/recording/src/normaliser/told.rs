//! The stretches of a task, told one after the other.

use super::Normaliser;
use crate::event::Left;
use crate::fact::Fact;
use crate::interval::{Cause, Interval, What};
use crate::life::{Doing, Life};

impl Life {
    /// What it does ends now, or at `to_ns`; what comes next begins there.
    pub(super) fn tell(&mut self, facts: &mut Vec<Fact>, to_ns: u64, what: What) {
        let to_ns = to_ns.max(self.since_ns);
        let slice = matches!(
            what,
            What::Running { left: Some(_), .. } | What::Blocked { .. } | What::Runnable { ran: true, .. }
        );
        if to_ns > self.since_ns || slice {
            facts.push(Fact::Task(Interval {
                task: self.id,
                from_ns: self.since_ns,
                to_ns,
                what,
                prio: self.attributes.prio,
            }));
        }
        self.since_ns = to_ns;
    }

    /// Ends what it does at `at_ns` without knowing what comes next.
    pub(super) fn interrupt(&mut self, facts: &mut Vec<Fact>, at_ns: u64) {
        match self.doing {
            Doing::Running(cpu) => self.tell(facts, at_ns, What::Running { cpu, left: None }),
            Doing::Runnable(since) => self.tell(facts, at_ns, What::Runnable { since, ran: false }),
            Doing::Blocked(_) | Doing::Unborn => {
                let left = if let Doing::Blocked(left) = self.doing { left } else { Left::Unknown };
                // Not through `tell`, which keeps sleeps without length: this one has no end of its own.
                if at_ns > self.since_ns {
                    self.tell(facts, at_ns, What::Blocked { left, cause: Cause::Unknown });
                }
            }
            Doing::Unknown { why, .. } => self.tell(facts, at_ns, What::Unknown(why)),
        }
    }

    /// Its unknown stretch, if it is in one, ends where it becomes clear; the rest, up to `now`, is what
    /// `then` says it was.
    pub(super) fn settle(&mut self, facts: &mut Vec<Fact>, now: u64, then: Doing) {
        if let Doing::Unknown { why, clear_ns } = self.doing {
            self.tell(facts, clear_ns.min(now), What::Unknown(why));
            self.doing = then;
        }
    }

    pub(super) fn set(&mut self, doing: Doing) {
        self.doing = doing;
        self.by_carried = None;
        if matches!(doing, Doing::Unknown { .. }) {
            self.carried = None;
        }
    }
}

impl Normaliser {
    pub(super) fn tell(&mut self, pid: u32, to_ns: u64, what: What) {
        if let Some(life) = self.lives.get_mut(&pid) {
            life.tell(&mut self.facts, to_ns, what);
        }
    }

    pub(super) fn interrupt(&mut self, pid: u32, at_ns: u64) {
        if let Some(life) = self.lives.get_mut(&pid) {
            life.interrupt(&mut self.facts, at_ns);
        }
    }

    pub(super) fn set(&mut self, pid: u32, doing: Doing) {
        if let Some(life) = self.lives.get_mut(&pid) {
            life.set(doing);
        }
    }
}
