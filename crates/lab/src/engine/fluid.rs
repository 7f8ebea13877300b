//! The entitlement as a policy: everybody runs at once, each at the rate it is entitled to.
//!
//! Law. Between two changes of the set of runnable tasks, every task receives a constant part of a CPU, by
//! the weighted max-min fair division of [`tombola_core::entitlement`] with affinity, groups and quotas (as a
//! constant rate, not by period). This is generalised processor sharing (A. K. Parekh, R. G. Gallager, "A
//! Generalized Processor Sharing Approach to Flow Control in Integrated Services Networks", IEEE/ACM
//! Transactions on Networking 1, 1993) on several CPUs. No real scheduler can give it; all that are
//! proportional are measured against it.
//!
//! There are no slices, waits or switches: the timeline is empty. Service is counted in whole nanoseconds
//! with the fraction carried. Which CPU is busy is told by filling them in order.

use super::{Halt, Outcome, Simulation, TaskIx};
use std::collections::VecDeque;

/// What a fluid simulation keeps besides the lag book, whose rates it follows.
#[derive(Clone, Debug)]
pub(super) struct Fluid {
    /// Service of each task that is not a whole nanosecond yet.
    carry: Vec<f64>,
    /// Tasks that became runnable at this instant and have not taken their steps.
    fresh: VecDeque<TaskIx>,
}

impl Fluid {
    pub(super) fn new(tasks: usize) -> Self {
        Self { carry: vec![0.0; tasks], fresh: VecDeque::new() }
    }

    pub(super) fn arrive(&mut self, task: TaskIx) {
        self.fresh.push_back(task);
    }
}

impl Simulation<'_> {
    /// Serves everybody until `to_ns`, which becomes the present.
    pub(super) fn flow(&mut self, to_ns: u64) {
        let (Some(fluid), Some(lag)) = (&mut self.fluid, &mut self.lag) else { return };
        let passed = to_ns - self.machine.now_ns;
        self.machine.now_ns = to_ns;
        if passed == 0 {
            return;
        }
        let (mut cpu, mut room) = (0, passed);
        for &task in lag.runnable() {
            let service = lag.rate(task) * passed as f64 + fluid.carry[task];
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // at most `passed`, cut below
            let ran = (service as u64).min(passed);
            fluid.carry[task] = service - ran as f64;
            self.machine.tasks[task].worked(ran);
            let mut rest = ran;
            while rest > 0 && cpu < self.machine.cpus.len() {
                let part = rest.min(room);
                self.meter.ran(task, cpu, part, 0);
                rest -= part;
                room -= part;
                if room == 0 {
                    cpu += 1;
                    room = passed;
                }
            }
            // Rounding may leave a nanosecond for which there is no room: it is served next time.
            fluid.carry[task] += rest as f64;
        }
    }

    /// A task's run may be over.
    pub(super) fn fluid_timer(&mut self, task: TaskIx) -> Result<(), Halt> {
        let body = &self.machine.tasks[task];
        if body.left_ns == 0 || body.total_left_ns == 0 {
            if let Some(fluid) = &mut self.fluid {
                fluid.carry[task] = 0.0;
            }
            let outcome = self.finish_run(task)?;
            self.fluid_settle(task, outcome)?;
        }
        Ok(())
    }

    fn fluid_settle(&mut self, task: TaskIx, outcome: Outcome) -> Result<(), Halt> {
        if outcome == Outcome::Runs {
            return Ok(());
        }
        self.machine.tasks[task].place = super::TaskPlace::Away;
        if outcome == Outcome::Ended || !self.wakes_at(task) {
            self.agenda.remove(self.machine.cpus.len() + task);
        }
        self.set_runnable(task, false);
        self.after_block(task)
    }

    /// New rates, and when each run will be over at them.
    pub(super) fn fluid_choose(&mut self) -> Result<(), Halt> {
        while let Some(task) = self.fluid.as_mut().and_then(|fluid| fluid.fresh.pop_front()) {
            self.count_step(task)?;
            let outcome = self.step(task)?;
            self.fluid_settle(task, outcome)?;
        }
        let Some(lag) = &mut self.lag else { return Ok(()) };
        lag.renew(&self.machine);
        let ends: Vec<(TaskIx, f64)> = lag.runnable().iter().map(|task| (*task, lag.rate(*task))).collect();
        for (task, rate) in ends {
            let body = &self.machine.tasks[task];
            let needs = body.left_ns.min(body.total_left_ns);
            let slot = self.machine.cpus.len() + task;
            if needs == u64::MAX || rate <= 0.0 {
                self.agenda.remove(slot);
                continue;
            }
            let carry = self.fluid.as_ref().map_or(0.0, |fluid| fluid.carry[task]);
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // positive; saturates
            let wait = ((needs as f64 - carry) / rate).ceil().max(0.0) as u64;
            self.schedule(slot, self.machine.now_ns.saturating_add(wait.max(1)));
        }
        Ok(())
    }
}
