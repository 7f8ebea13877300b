//! One CPU: the slice it is in, what is charged for it, and the choice of the next.

use super::{Arrival, CpuIx, Departure, Outcome, Pick, SimError, Simulation, Slice, TaskIx, TaskPlace, Turn};

/// What the engine knows of a CPU beyond what policies see.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Lane {
    /// Who ran here last, to know whether a switch is one.
    last: Option<TaskIx>,
    due: bool,
}

impl Simulation<'_> {
    /// A phase or a slice ends on a CPU.
    pub(super) fn cpu_timer(&mut self, cpu: CpuIx) -> Result<(), SimError> {
        self.book(cpu);
        let Some(task) = self.machine.cpus[cpu].task else { return Ok(()) };
        let view = &self.machine.tasks[task];
        if view.left_ns == 0 || view.total_left_ns == 0 {
            match self.finish_run(task)? {
                Outcome::Runs => {}
                Outcome::Blocked => return self.vacate(cpu, Departure::Blocked),
                Outcome::Ended => return self.vacate(cpu, Departure::Ended),
            }
        }
        if self.machine.now_ns >= self.machine.cpus[cpu].slice_end_ns {
            self.mark_due(cpu);
        } else {
            self.arm(cpu, task);
        }
        Ok(())
    }

    #[inline]
    pub(super) fn mark_due(&mut self, cpu: CpuIx) {
        if !self.lanes[cpu].due {
            self.lanes[cpu].due = true;
            // Almost always there is but one.
            if self.due.is_empty() {
                self.due.push(cpu);
            } else {
                let at = self.due.partition_point(|c| *c > cpu);
                self.due.insert(at, cpu);
            }
        }
    }

    /// Books what a CPU's task ran since it was last booked.
    #[inline]
    pub(super) fn book(&mut self, cpu: CpuIx) {
        let view = &self.machine.cpus[cpu];
        if let Some(task) = view.task
            && view.booked_ns < self.machine.now_ns
        {
            self.book_time(cpu, task);
        }
    }

    fn book_time(&mut self, cpu: CpuIx, task: TaskIx) {
        let (now, view, body) =
            (self.machine.now_ns, &mut self.machine.cpus[cpu], &mut self.machine.tasks[task]);
        let ran = now - std::mem::replace(&mut view.booked_ns, now);
        let work = now.saturating_sub(view.work_ns);
        view.work_ns = view.work_ns.max(now);
        body.worked(work);
        self.meter.ran(task, cpu, ran, ran - work.min(ran));
    }

    /// A task stops being on its CPU.
    #[inline]
    fn stop(&mut self, cpu: CpuIx, why: Departure) -> Option<TaskIx> {
        self.book(cpu);
        let view = &mut self.machine.cpus[cpu];
        let task = view.task.take()?;
        let (from_ns, ran_ns) = (view.since_ns, view.booked_ns - view.since_ns);
        self.idle_cpus += 1;
        self.events.remove(cpu);
        self.count_running(task, false);
        if let Some(lag) = &mut self.lag {
            lag.bend(task, self.machine.now_ns, self.meter.tallies[task].runtime_ns);
        }
        if let Some(observer) = &mut self.observer
            && ran_ns > 0
        {
            observer(&Slice { from_ns, cpu, task, ran_ns, why });
        }
        self.machine.tasks[task].place = TaskPlace::Away;
        self.policy.stopped(&mut self.machine, cpu, task, ran_ns, why);
        Some(task)
    }

    /// The task of a CPU no longer wants it.
    fn vacate(&mut self, cpu: CpuIx, why: Departure) -> Result<(), SimError> {
        self.abandon(cpu, why)?;
        self.mark_due(cpu);
        Ok(())
    }

    /// All choices that the present instant calls for.
    pub(super) fn choose(&mut self) -> Result<(), SimError> {
        if self.fluid.is_some() {
            return self.fluid_choose();
        }
        loop {
            while let Some(cpu) = self.due.pop() {
                self.lanes[cpu].due = false;
                self.rechoose(cpu, Departure::Expired, Arrival::Expired)?;
            }
            if self.arrived {
                self.arrived = false;
                if self.idle_cpus > 0 {
                    self.fill_idle()?;
                }
                if let Some(cpu) = self.policy.preempt(&mut self.machine) {
                    self.rechoose(cpu, Departure::Preempted, Arrival::Preempted)?;
                    self.arrived = true;
                }
                self.take_timers();
            } else if self.due.is_empty() {
                #[cfg(test)]
                self.note_idle();
                return Ok(());
            }
        }
    }

    #[cfg(test)]
    fn note_idle(&mut self) {
        let idle = |cpu: CpuIx| self.machine.cpus[cpu].task.is_none();
        let queued = |task: TaskIx| self.machine.tasks[task].place == TaskPlace::Queued;
        let (m, n) = (self.lanes.len(), self.bodies.len());
        let wasted = (0..m).any(|c| idle(c) && (0..n).any(|t| queued(t) && self.machine.allows(t, c)));
        self.idled += u64::from(wasted);
    }

    /// Idle CPUs look for work: first those that queued tasks used last, then the others in order.
    fn fill_idle(&mut self) -> Result<(), SimError> {
        for cpu in 0..self.lanes.len() {
            if self.machine.cpus[cpu].task.is_none() && !self.lanes[cpu].due {
                self.fill(cpu, None)?;
                if self.idle_cpus == 0 {
                    break;
                }
            }
        }
        Ok(())
    }

    /// A CPU puts its task, if it has one, back into the queue and chooses again.
    fn rechoose(&mut self, cpu: CpuIx, why: Departure, back: Arrival) -> Result<(), SimError> {
        let task = self.machine.cpus[cpu].task;
        if let Some(task) = task {
            self.stop(cpu, why);
            self.enqueue(task, back);
        }
        self.fill(cpu, task.map(|task| (task, why)))
    }

    /// Gives an idle CPU its next task. `before` was on it until now and is still runnable.
    #[inline]
    fn fill(&mut self, cpu: CpuIx, before: Option<(TaskIx, Departure)>) -> Result<(), SimError> {
        let mut before = before;
        loop {
            let pick = self.policy.pick(&mut self.machine, cpu);
            if let Some(pick) = pick
                && !self.groups.is_empty()
                && let Some(group) = self.throttling(pick.task)
            {
                self.park(cpu, pick.task, group);
                continue;
            }
            if let Some((was, why)) = before.take_if(|(was, _)| pick.is_none_or(|p| p.task != *was)) {
                self.meter.displaced(was, self.machine.now_ns);
                self.tell(|at_ns| Turn::Left { at_ns, cpu, task: was, why });
            }
            let Some(pick) = pick else { return Ok(()) };
            let continues = before.take().is_some_and(|(was, _)| was == pick.task);
            match self.start(cpu, pick, continues)? {
                Outcome::Runs => return Ok(()),
                Outcome::Blocked => self.abandon(cpu, Departure::Blocked)?,
                Outcome::Ended => self.abandon(cpu, Departure::Ended)?,
            }
        }
    }

    /// A task gives its CPU up.
    fn abandon(&mut self, cpu: CpuIx, why: Departure) -> Result<(), SimError> {
        if let Some(task) = self.stop(cpu, why) {
            self.set_runnable(task, false);
            self.meter.left(task);
            self.tell(|at_ns| Turn::Left { at_ns, cpu, task, why });
            self.after_block(task)?;
        }
        Ok(())
    }

    #[inline]
    fn start(&mut self, cpu: CpuIx, pick: Pick, continues: bool) -> Result<Outcome, SimError> {
        let now = self.machine.now_ns;
        let Pick { task, slice_ns } = pick;
        debug_assert!(self.machine.allows(task, cpu), "a policy put a task on a CPU it may not use");
        let lane = &mut self.lanes[cpu];
        let is_switch = lane.last.replace(task) != Some(task);
        let cost = if is_switch { self.scenario.switch_cost_ns } else { 0 };
        let body = &mut self.machine.tasks[task];
        let moved = body.last_cpu.replace(cpu).is_some_and(|last| last != cpu);
        body.place = TaskPlace::On(cpu);
        let view = &mut self.machine.cpus[cpu];
        view.task = Some(task);
        view.since_ns = now;
        view.booked_ns = now;
        view.work_ns = now + cost;
        view.slice_end_ns = slice_end(now + cost, slice_ns, self.machine.tick_ns);
        if !continues {
            self.meter.starts(task, now, moved);
            self.tell(|at_ns| Turn::Came { at_ns, cpu, task });
            if let Some(lag) = &mut self.lag {
                lag.bend(task, now, self.meter.tallies[task].runtime_ns);
            }
        }
        self.idle_cpus -= 1;
        self.count_running(task, true);
        self.count_step(task)?;
        let outcome = if self.bodies[task].at_run { Outcome::Runs } else { self.step(task)? };
        if outcome == Outcome::Runs {
            self.arm(cpu, task);
        }
        Ok(outcome)
    }

    /// Sets the timer of a CPU to the next thing that happens to its task by itself.
    #[inline]
    fn arm(&mut self, cpu: CpuIx, task: TaskIx) {
        let (view, body) = (&self.machine.cpus[cpu], &self.machine.tasks[task]);
        let needs = body.left_ns.min(body.total_left_ns);
        let at = view.slice_end_ns.min(view.work_ns.saturating_add(needs));
        if at == u64::MAX {
            self.events.remove(cpu);
        } else {
            self.schedule(cpu, at);
        }
    }
}

/// When a slice that begins to work at `from_ns` is seen to be over.
fn slice_end(from_ns: u64, slice_ns: u64, tick_ns: u64) -> u64 {
    let end = from_ns.saturating_add(slice_ns);
    if tick_ns == 0 || end == u64::MAX { end } else { end.div_ceil(tick_ns).saturating_mul(tick_ns) }
}
