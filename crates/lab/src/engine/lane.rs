//! One CPU: the slice it is in, what is charged for it, and the choice of the next.

#![allow(clippy::inline_always)] // from the end of a slice to the next is one function: calls were a fifth of it

use super::{Arrival, CpuIx, Departure, Halt, Outcome, Pick, Simulation, Slice, TaskIx, TaskPlace, Turn};

impl Simulation<'_> {
    /// A phase or a slice ends on a CPU; the CPU, if it must choose again.
    #[inline]
    pub(super) fn cpu_timer(&mut self, cpu: CpuIx) -> Result<Option<CpuIx>, Halt> {
        self.book(cpu);
        let Some(task) = self.machine.cpus[cpu].task else { return Ok(None) };
        let view = &self.machine.tasks[task];
        if view.left_ns == 0 || view.total_left_ns == 0 {
            match self.finish_run(task)? {
                Outcome::Runs => {}
                Outcome::Blocked => return self.vacate(cpu, Departure::Blocked),
                Outcome::Ended => return self.vacate(cpu, Departure::Ended),
            }
        }
        if self.machine.now_ns >= self.machine.cpus[cpu].slice_end_ns {
            return Ok(Some(cpu));
        }
        self.arm(cpu, task);
        Ok(None)
    }

    /// A CPU will choose when everything of this instant has happened.
    #[inline(never)] // most often it chooses at once
    pub(super) fn mark_due(&mut self, cpu: CpuIx) {
        let view = &mut self.machine.cpus[cpu];
        if !std::mem::replace(&mut view.due, true) {
            let at = self.due.partition_point(|c| *c > cpu);
            self.due.insert(at, cpu);
        }
    }

    /// Books what a CPU's task ran since it was last booked.
    #[inline(always)]
    pub(super) fn book(&mut self, cpu: CpuIx) {
        let view = &self.machine.cpus[cpu];
        if let Some(task) = view.task
            && view.booked_ns < self.machine.now_ns
        {
            self.book_time(cpu, task);
        }
    }

    #[inline(always)]
    fn book_time(&mut self, cpu: CpuIx, task: TaskIx) {
        let (now, view, body) =
            (self.machine.now_ns, &mut self.machine.cpus[cpu], &mut self.machine.tasks[task]);
        let ran = now - std::mem::replace(&mut view.booked_ns, now);
        let work = now.saturating_sub(view.work_ns);
        view.work_ns = view.work_ns.max(now);
        body.worked(work);
        self.meter.ran(task, cpu, ran, ran - work.min(ran));
    }

    /// A task stops being on its CPU, of which the policy has yet to be told; who, and how long it ran.
    #[inline(always)]
    fn stop(&mut self, cpu: CpuIx, why: Departure) -> Option<(TaskIx, u64)> {
        self.book(cpu);
        let view = &mut self.machine.cpus[cpu];
        let task = view.task.take()?;
        let (from_ns, ran_ns) = (view.since_ns, view.booked_ns - view.since_ns);
        self.idle_cpus += 1;
        self.agenda.remove(cpu);
        self.count_running(task, false);
        if self.lag.is_some() || self.observer.is_some() {
            self.note_slice(&Slice { from_ns, cpu, task, ran_ns, why });
        }
        Some((task, ran_ns))
    }

    #[inline(never)] // not everybody asks
    fn note_slice(&mut self, slice: &Slice) {
        if let Some(lag) = &mut self.lag {
            lag.bend(slice.task, self.machine.now_ns, self.meter.tallies[slice.task].runtime_ns);
        }
        if let Some(observer) = &mut self.observer
            && slice.ran_ns > 0
        {
            observer(slice);
        }
    }

    #[inline(never)] // not everybody asks
    fn note_start(&mut self, cpu: CpuIx, task: TaskIx) {
        self.tell(|at_ns| Turn::Came { at_ns, cpu, task });
        if let Some(lag) = &mut self.lag {
            lag.bend(task, self.machine.now_ns, self.meter.tallies[task].runtime_ns);
        }
    }

    /// The task of a CPU no longer wants it.
    fn vacate(&mut self, cpu: CpuIx, why: Departure) -> Result<Option<CpuIx>, Halt> {
        self.abandon(cpu, why)?;
        Ok(Some(cpu))
    }

    /// All choices that the present instant calls for: of one CPU, and of those that are due.
    #[inline]
    pub(super) fn choose(&mut self, over: Option<CpuIx>) -> Result<(), Halt> {
        if let Some(cpu) = over
            && self.due.is_empty()
        {
            self.turn(cpu, Departure::Expired, Arrival::Expired)?;
        } else if let Some(cpu) = over {
            self.mark_due(cpu);
        }
        if self.arrived || !self.due.is_empty() || self.fluid.is_some() {
            return self.choose_all();
        }
        #[cfg(test)]
        self.note_idle();
        Ok(())
    }

    #[inline(never)] // a slice that ends on the only CPU brings nobody
    fn choose_all(&mut self) -> Result<(), Halt> {
        if self.fluid.is_some() {
            return self.fluid_choose();
        }
        loop {
            while let Some(cpu) = self.due.pop() {
                self.machine.cpus[cpu].due = false;
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
        let (m, n) = (self.machine.cpus.len(), self.bodies.len());
        let wasted = (0..m).any(|c| idle(c) && (0..n).any(|t| queued(t) && self.machine.allows(t, c)));
        self.idled += u64::from(wasted);
    }

    /// Idle CPUs look for work: first those that queued tasks used last, then the others in order.
    fn fill_idle(&mut self) -> Result<(), Halt> {
        for cpu in 0..self.machine.cpus.len() {
            if self.machine.cpus[cpu].task.is_none() && !self.machine.cpus[cpu].due {
                self.fill(cpu, None)?;
                if self.idle_cpus == 0 {
                    break;
                }
            }
        }
        Ok(())
    }

    #[inline(never)] // most often one CPU chooses
    fn rechoose(&mut self, cpu: CpuIx, why: Departure, back: Arrival) -> Result<(), Halt> {
        self.turn(cpu, why, back)
    }

    /// A CPU puts its task, if it has one, back into the queue and chooses again.
    #[inline(always)]
    fn turn(&mut self, cpu: CpuIx, why: Departure, back: Arrival) -> Result<(), Halt> {
        let Some((was, ran_ns)) = self.stop(cpu, why) else { return self.fill(cpu, None) };
        self.machine.tasks[was].place = TaskPlace::Queued;
        self.policy.requeue(&mut self.machine, cpu, was, ran_ns, (why, back));
        self.came(back);
        if !self.groups.is_empty() {
            return self.fill(cpu, Some((was, why)));
        }
        let pick = self.policy.pick(&mut self.machine, cpu);
        if self.switch(cpu, Some((was, why)), pick)? { Ok(()) } else { self.fill(cpu, None) }
    }

    /// Gives an idle CPU its next task. `before` was on it until now and is still runnable.
    #[inline(never)] // most often there is one task after another, and no groups
    fn fill(&mut self, cpu: CpuIx, mut before: Option<(TaskIx, Departure)>) -> Result<(), Halt> {
        loop {
            let pick = self.policy.pick(&mut self.machine, cpu);
            if let Some(pick) = pick
                && !self.groups.is_empty()
                && let Some(group) = self.throttling(pick.task)
            {
                self.park(cpu, pick.task, group);
                continue;
            }
            if self.switch(cpu, before.take(), pick)? {
                return Ok(());
            }
        }
    }

    /// A CPU gets the task that was picked for it, or idles; not so if the task blocks at once.
    #[inline(always)]
    fn switch(
        &mut self,
        cpu: CpuIx,
        before: Option<(TaskIx, Departure)>,
        pick: Option<Pick>,
    ) -> Result<bool, Halt> {
        let continues = before.is_some_and(|(was, _)| pick.is_some_and(|pick| pick.task == was));
        if let Some((was, why)) = before
            && !continues
        {
            self.meter.displaced(was, self.machine.now_ns);
            self.tell(|at_ns| Turn::Left { at_ns, cpu, task: was, why });
        }
        let Some(pick) = pick else { return Ok(true) };
        match self.start(cpu, pick, continues)? {
            Outcome::Runs => return Ok(true),
            Outcome::Blocked => self.abandon(cpu, Departure::Blocked)?,
            Outcome::Ended => self.abandon(cpu, Departure::Ended)?,
        }
        Ok(false)
    }

    /// A task gives its CPU up.
    #[inline(never)]
    fn abandon(&mut self, cpu: CpuIx, why: Departure) -> Result<(), Halt> {
        if let Some((task, ran_ns)) = self.stop(cpu, why) {
            self.machine.tasks[task].place = TaskPlace::Away;
            self.policy.stopped(&mut self.machine, cpu, task, ran_ns, why);
            self.set_runnable(task, false);
            self.meter.left(task);
            self.tell(|at_ns| Turn::Left { at_ns, cpu, task, why });
            self.after_block(task)?;
        }
        Ok(())
    }

    #[inline(always)]
    fn start(&mut self, cpu: CpuIx, pick: Pick, continues: bool) -> Result<Outcome, Halt> {
        let now = self.machine.now_ns;
        let Pick { task, slice_ns } = pick;
        debug_assert!(self.machine.allows(task, cpu), "a policy put a task on a CPU it may not use");
        let cost = self.switch_cost(cpu, task);
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
            if self.lag.is_some() || self.tracer.is_some() {
                self.note_start(cpu, task);
            }
        }
        self.idle_cpus -= 1;
        self.count_running(task, true);
        self.count_step(task)?;
        let outcome = if self.machine.tasks[task].at_run { Outcome::Runs } else { self.step(task)? };
        if outcome == Outcome::Runs {
            self.arm(cpu, task);
        }
        Ok(outcome)
    }

    /// What it costs that a task comes to a CPU: nothing if it was there last.
    #[inline(always)]
    fn switch_cost(&mut self, cpu: CpuIx, task: TaskIx) -> u64 {
        let cost = self.scenario.switch_cost_ns;
        if cost == 0 || self.machine.cpus[cpu].last.replace(task) == Some(task) { 0 } else { cost }
    }

    /// Sets the timer of a CPU to the next thing that happens to its task by itself.
    #[inline(always)]
    fn arm(&mut self, cpu: CpuIx, task: TaskIx) {
        let (view, body) = (&self.machine.cpus[cpu], &self.machine.tasks[task]);
        let needs = body.left_ns.min(body.total_left_ns);
        let at = view.slice_end_ns.min(view.work_ns.saturating_add(needs));
        if at == u64::MAX {
            self.agenda.remove(cpu);
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
