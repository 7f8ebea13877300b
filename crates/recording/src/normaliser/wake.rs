//! Wakes, which may come in two stages, too early, twice, or not at all.

use super::Normaliser;
use crate::event::{Context, Left, Stage, Task};
use crate::interval::{Cause, Doubt, Ready, What};
use crate::life::{Doing, Life};
use tombola_core::identity::TaskId;

impl Normaliser {
    /// A task was seen asleep: so it was since nothing of it can have been missed. Where more is known of
    /// it, its events tell it better.
    pub(super) fn seen_asleep(&mut self, pid: u32, left: Left) {
        let (now, is_in_gap) = (self.now_ns, self.now_ns < self.gap_until_ns);
        let Self { lives, facts, .. } = self;
        let Some(life) = lives.get_mut(&pid) else { return };
        if let Doing::Unknown { why, clear_ns } = life.doing
            // Without a begin that is told, and of a part of the machine, nothing is clear before.
            && (clear_ns <= now || why == Doubt::Start)
            && !is_in_gap
        {
            life.settle(facts, now, Doing::Blocked(left));
        }
    }

    pub(super) fn wake(
        &mut self,
        wakee: &Task,
        by: Option<u32>,
        target: Option<u32>,
        stage: Stage,
        context: Context,
    ) {
        if wakee.pid == 0 {
            return;
        }
        let now = self.now_ns;
        let is_told = stage == Stage::Waking || !self.has_waking;
        let cause = match (context, by) {
            // The idle task wakes nobody itself.
            (Context::Interrupt, _) | (_, Some(0)) if is_told => Cause::Interrupt,
            (Context::Task | Context::Unknown, Some(pid)) if is_told => Cause::Task(pid),
            _ => Cause::Unknown,
        };
        if stage == Stage::New {
            return self.first_wake(wakee, target);
        }
        let ready = Ready::Woken(cause);
        self.name(wakee, None);
        let Self { lives, facts, repairs, .. } = self;
        let Some(life) = lives.get_mut(&wakee.pid) else { return };
        life.settle(facts, now, Doing::Blocked(Left::Unknown));
        match (life.doing, stage) {
            (Doing::Blocked(left), _) => {
                life.cpu = target.or(life.cpu);
                life.tell(facts, now, What::Blocked { left, cause });
                life.set(Doing::Runnable(ready));
            }
            (Doing::Unborn, _) => {
                life.cpu = target.or(life.cpu);
                life.tell(facts, now, What::Blocked { left: Left::Unknown, cause: Cause::Unknown });
                life.set(Doing::Runnable(Ready::New));
            }
            (Doing::Running(_), Stage::Waking) => {
                let again = life.carried.replace(ready).is_some();
                repairs.idle_wakes += u64::from(again);
            }
            (Doing::Running(_), _) => {
                // It is awake already, and the wake is spent: a sleep that follows needs another.
                life.carried = None;
                repairs.idle_wakes += 1;
            }
            (Doing::Runnable(_), Stage::Waking) if life.by_carried.is_some() => {
                // The wake that was carried over had no effect: this one ends the sleep.
                let left = life.by_carried.take().unwrap_or(Left::Unknown);
                life.cpu = target.or(life.cpu);
                repairs.carried_wakes -= 1;
                repairs.idle_wakes += 1;
                life.tell(facts, now, What::Blocked { left, cause });
                life.set(Doing::Runnable(ready));
            }
            (Doing::Runnable(_), _) => {
                life.cpu = target.or(life.cpu);
                if stage == Stage::Waking {
                    repairs.idle_wakes += 1;
                }
            }
            (Doing::Unknown { .. }, _) => {} // settled above
        }
    }

    fn first_wake(&mut self, wakee: &Task, target: Option<u32>) {
        let now = self.now_ns;
        if let Some(life) = self.lives.get_mut(&wakee.pid)
            && life.unwoken
            && !life.exiting
        {
            // The wake is stamped by the clock of another CPU, which is some microseconds ahead: it is this
            // task's, and nothing of it is new.
            life.unwoken = false;
            life.attributes.note(wakee);
            self.repairs.missing_wakes -= 1;
            self.repairs.idle_wakes += 1;
            return;
        }
        let is_unborn = self.lives.get(&wakee.pid).is_some_and(|life| life.doing == Doing::Unborn);
        if !is_unborn {
            if let Some(life) = self.lives.get(&wakee.pid) {
                let may_be_same = matches!(life.doing, Doing::Unknown { .. });
                if !may_be_same {
                    self.repairs.reused_pids += 1;
                }
                self.interrupt(wakee.pid, now);
                self.end(wakee.pid);
            }
            let id = TaskId { pid: wakee.pid, start_ns: now };
            self.lives.insert(wakee.pid, Life::new(id, Doing::Unborn, now));
        }
        if let Some(life) = self.known(wakee) {
            life.cpu = target.or(life.cpu);
        }
        if self.lives.get(&wakee.pid).is_some_and(|life| life.since_ns < now) {
            self.tell(wakee.pid, now, What::Blocked { left: Left::Unknown, cause: Cause::Unknown });
        }
        self.set(wakee.pid, Doing::Runnable(Ready::New));
    }
}
