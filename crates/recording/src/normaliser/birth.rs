//! Tasks that are born, end, or take over the thread id of another.

use super::{Cpu, Normaliser, OnCpu};
use crate::event::Task;
use crate::fact::Fact;
use crate::interval::Doubt;
use crate::life::{Doing, Life};
use tombola_core::identity::TaskId;

impl Normaliser {
    pub(super) fn fork(&mut self, parent: &Task, child: &Task) {
        self.known(parent);
        if child.pid == 0 {
            return;
        }
        if let Some(life) = self.lives.get_mut(&child.pid)
            && life.doing == Doing::Unborn
        {
            // Another CPU told of its attributes at the same instant.
            return life.attributes.note(child);
        }
        if self.lives.contains_key(&child.pid) {
            self.repairs.reused_pids += 1;
            self.end(child.pid);
        }
        let id = TaskId { pid: child.pid, start_ns: self.now_ns };
        let mut life = Life::new(id, Doing::Unborn, self.now_ns);
        if let Some(from) = self.lives.get(&parent.pid) {
            life.attributes.group = from.attributes.group;
            life.attributes.affinity.clone_from(&from.attributes.affinity);
        }
        life.attributes.note(child);
        self.lives.insert(child.pid, life);
    }

    /// The end of a task, with its last interval told before or now.
    pub(super) fn end(&mut self, pid: u32) {
        let now = self.now_ns;
        self.interrupt(pid, now);
        let Some(life) = self.lives.remove(&pid) else { return };
        if let Doing::Running(cpu) = life.doing
            && let Some(of) = self.cpus.get_mut(&cpu)
            && of.doing == OnCpu::Task(pid)
        {
            *of = Cpu { doing: OnCpu::Unknown { why: Doubt::Hidden, clear_ns: now }, since_ns: now, ..*of };
        }
        if life.id.start_ns == 0 {
            self.ended.insert(pid, now);
        } else if let Some(ended_ns) = self.ended.get_mut(&pid) {
            *ended_ns = now;
        }
        self.facts.push(Fact::Ended { life: Box::new(life), at_ns: now });
    }

    pub(super) fn exec(&mut self, task: &Task, old_pid: u32) {
        if old_pid != task.pid
            && old_pid != 0
            && let Some(mut life) = self.lives.remove(&old_pid)
        {
            // The two exchange their thread ids. What the leader still does, its final switch, comes under
            // the other's.
            let from = life.id;
            let leader = self.lives.remove(&task.pid);
            life.id = leader.as_ref().map_or(TaskId { pid: task.pid, start_ns: from.start_ns }, |l| l.id);
            let born_ns = leader.as_ref().and_then(|leader| leader.born_ns);
            let born_before_ns = std::mem::replace(&mut life.born_ns, born_ns);
            let tgid = leader.as_ref().and_then(|leader| leader.attributes.tgid);
            life.attributes.tgid = tgid.or(life.attributes.tgid);
            self.facts.push(Fact::Became { from, to: life.id });
            self.lives.insert(task.pid, life);
            if let Some(mut leader) = leader {
                (leader.id, leader.born_ns) = (from, born_before_ns);
                self.lives.insert(old_pid, leader);
            }
            for of in self.cpus.values_mut() {
                match &mut of.doing {
                    OnCpu::Task(pid) if *pid == old_pid => *pid = task.pid,
                    OnCpu::Task(pid) if *pid == task.pid => *pid = old_pid,
                    _ => {}
                }
            }
        }
        self.known(task);
    }
}
