//! Switches: who leaves a CPU, and who comes.

use super::{Cpu, Normaliser, OnCpu, Repairs};
use crate::event::{Left, Task};
use crate::fact::Fact;
use crate::interval::{Doubt, Interval, Ready, What};
use crate::life::{Doing, Life};

impl Normaliser {
    /// Who was on the CPU leaves it.
    pub(super) fn leave_cpu(&mut self, cpu: u32, prev: Option<&Task>, state: Left) {
        let now = self.now_ns;
        let Some(of) = self.cpus.get(&cpu).copied() else { return };
        let prev_pid = prev.map(|task| task.pid);
        match of.doing {
            OnCpu::Idle if prev_pid.is_none_or(|pid| pid == 0) => self.tell_cpu(cpu, now, None),
            OnCpu::Task(pid) if prev_pid.is_none_or(|prev| prev == pid) => {
                self.leave(pid, cpu, state, prev);
            }
            OnCpu::Idle | OnCpu::Task(_) => self.leave_hidden(cpu, &of, prev, state),
            OnCpu::Offline => {
                self.reset_cpu(cpu, OnCpu::Idle);
                self.leave_first(cpu, now, prev, state);
            }
            OnCpu::Unknown { why, clear_ns } => {
                self.tell_cpu(cpu, clear_ns.min(now), Some(why));
                self.leave_first(cpu, clear_ns, prev, state);
            }
        }
    }

    /// The first switch of a CPU after a gap. Who leaves has been there since the gap ended.
    fn leave_first(&mut self, cpu: u32, clear_ns: u64, prev: Option<&Task>, state: Left) {
        let now = self.now_ns;
        let Some(task) = prev else { return self.tell_cpu(cpu, now, Some(Doubt::Start)) };
        if task.pid == 0 {
            return self.tell_cpu(cpu, now, None);
        }
        self.name(task, None);
        match self.lives.get(&task.pid).map(|life| life.doing) {
            Some(Doing::Unknown { why, clear_ns: own }) => {
                let since = self.lives.get(&task.pid).map_or(now, |life| life.since_ns);
                let from = own.max(clear_ns).max(since).min(now);
                self.tell(task.pid, from, What::Unknown(why));
                self.tell_cpu(cpu, from, Some(why));
            }
            Some(Doing::Running(other)) => {
                self.found_elsewhere(task.pid, other);
                self.tell_cpu(cpu, now, Some(Doubt::Hidden));
            }
            _ => {
                // It was waiting or asleep after the gap, so it came here unseen.
                self.tell(task.pid, now, What::Unknown(Doubt::Start));
                self.tell_cpu(cpu, now, Some(Doubt::Start));
            }
        }
        self.set(task.pid, Doing::Running(cpu));
        self.leave(task.pid, cpu, state, None);
    }

    /// Who leaves is not who came: what the CPU did since is unknown, and what the two did.
    fn leave_hidden(&mut self, cpu: u32, of: &Cpu, prev: Option<&Task>, state: Left) {
        let now = self.now_ns;
        self.repairs.hidden_switches += 1;
        self.tell_cpu(cpu, now, Some(Doubt::Hidden));
        if let OnCpu::Task(pid) = of.doing
            && let Some(life) = self.lives.get_mut(&pid)
            && life.doing == Doing::Running(cpu)
        {
            life.doing = Doing::Unknown { why: Doubt::Hidden, clear_ns: now };
        }
        let Some(task) = prev.filter(|task| task.pid != 0) else { return };
        self.name(task, None);
        match self.lives.get(&task.pid).map(|life| life.doing) {
            Some(Doing::Running(other)) => self.found_elsewhere(task.pid, other),
            Some(Doing::Unknown { why, .. }) => self.tell(task.pid, now, What::Unknown(why)),
            _ => {
                // It was waiting or asleep at least until the last switch that was shown.
                self.interrupt(task.pid, of.since_ns);
                self.tell(task.pid, now, What::Unknown(Doubt::Hidden));
            }
        }
        self.set(task.pid, Doing::Running(cpu));
        self.leave(task.pid, cpu, state, None);
    }

    /// A task that is on CPU `other` turns up somewhere else: what it and that CPU did since is unknown.
    fn found_elsewhere(&mut self, pid: u32, other: u32) {
        self.repairs.two_cpus += 1;
        let now = self.now_ns;
        self.tell(pid, now, What::Unknown(Doubt::Hidden));
        if let Some(of) = self.cpus.get_mut(&other)
            && of.doing == OnCpu::Task(pid)
        {
            of.doing = OnCpu::Unknown { why: Doubt::Hidden, clear_ns: now };
        }
    }

    /// A task leaves the CPU it is on; `told` is what is new of it.
    fn leave(&mut self, pid: u32, cpu: u32, state: Left, told: Option<&Task>) {
        let Self { lives, facts, repairs, now_ns, .. } = self;
        let Some(life) = lives.get_mut(&pid) else { return };
        if let Some(task) = told {
            life.attributes.note(task);
        }
        life.tell(facts, *now_ns, What::Running { cpu, left: Some(state) });
        life.cpu = Some(cpu);
        life.by_carried = None;
        match (state, life.carried.take()) {
            (Left::Runnable { preempted }, carried) => {
                life.doing = Doing::Runnable(Ready::Displaced(preempted));
                repairs.idle_wakes += u64::from(carried.is_some());
            }
            (Left::Yielded, carried) => {
                life.doing = Doing::Runnable(Ready::Yielded);
                repairs.idle_wakes += u64::from(carried.is_some());
            }
            (Left::Dead, _) => self.end(pid),
            (state, Some(ready)) => {
                life.doing = Doing::Runnable(ready);
                life.by_carried = Some(state);
                repairs.carried_wakes += 1;
            }
            (state, None) => life.doing = Doing::Blocked(state),
        }
    }

    /// A task comes to a CPU.
    pub(super) fn come(&mut self, cpu: u32, task: &Task) {
        let now = self.now_ns;
        if task.pid == 0 {
            self.set_cpu(cpu, OnCpu::Idle);
            return;
        }
        let Self { lives, facts, repairs, .. } = self;
        let elsewhere = if let Some(life) = lives.get_mut(&task.pid) {
            life.attributes.note(task);
            life.comes(facts, repairs, cpu, now)
        } else {
            self.name(task, None);
            let Self { lives, facts, repairs, .. } = self;
            lives.get_mut(&task.pid).and_then(|life| life.comes(facts, repairs, cpu, now))
        };
        if let Some(other) = elsewhere {
            self.found_elsewhere(task.pid, other);
        }
        self.set_cpu(cpu, OnCpu::Task(task.pid));
    }
}

impl Life {
    /// It comes to a CPU. Gives the one that it is still on, if it is another.
    fn comes(&mut self, facts: &mut Vec<Fact>, repairs: &mut Repairs, cpu: u32, now: u64) -> Option<u32> {
        self.settle(facts, now, Doing::Runnable(Ready::Unknown));
        let carried_from = self.by_carried.take();
        let mut elsewhere = None;
        match self.doing {
            Doing::Runnable(since) => {
                if let (Some(left), Ready::Woken(cause)) = (carried_from, since) {
                    let (task, at, prio) = (self.id, self.since_ns, self.attributes.prio);
                    let what = What::Blocked { left, cause };
                    facts.push(Fact::Task(Interval { task, from_ns: at, to_ns: at, what, prio }));
                }
                self.tell(facts, now, What::Runnable { since, ran: true });
            }
            Doing::Blocked(_) | Doing::Unborn => {
                self.unwoken = self.doing == Doing::Unborn;
                repairs.missing_wakes += 1;
                self.tell(facts, now, What::Unknown(Doubt::NoWake));
            }
            Doing::Running(other) if other != cpu => elsewhere = Some(other),
            Doing::Running(_) | Doing::Unknown { .. } => {
                self.tell(facts, now, What::Unknown(Doubt::Hidden));
            }
        }
        self.doing = Doing::Running(cpu);
        self.cpu = Some(cpu);
        elsewhere
    }
}
