//! A scheduler in charge: from the start of a scheduler to the kernel's word that its own is back.

use crate::text::harmless;
use anyhow::{Context, Result, bail};
use std::time::{Duration, Instant};
use tombola_kernel::scheduler::{
    Farewell, ScheduledTask, Scheduler, SchedulerControl, SchedulerOptions, Totals,
};

/// How often it is looked whether the kernel has thrown the scheduler out.
pub(super) const LOOK: Duration = Duration::from_millis(100);

/// The longest the kernel may take to go back to its own scheduler.
const PATIENCE: Duration = Duration::from_secs(10);

/// A scheduler in charge. Dropping it gives the machine back.
pub(super) struct RunningScheduler {
    scheduler: Scheduler,
    since: Instant,
}

/// What it came to so far.
pub(super) struct Figures {
    pub(super) length: Duration,
    pub(super) totals: Totals,
    pub(super) tasks: Vec<ScheduledTask>,
}

/// What has become of a scheduler that was put in charge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SchedulerState {
    /// It is.
    InCharge,
    /// A CPU came or went: the kernel has taken it out and expects it again.
    Restart,
    /// The kernel has thrown it out. It is not put back: whatever it did wrong, it would do again.
    Gone,
}

impl RunningScheduler {
    pub(super) fn take(options: &SchedulerOptions) -> Result<Self> {
        let scheduler = Scheduler::start(options).context("cannot start the scheduler")?;
        Ok(Self { scheduler, since: Instant::now() })
    }

    pub(super) fn since(&self) -> Instant {
        self.since
    }

    pub(super) fn control(&self) -> &SchedulerControl {
        self.scheduler.control()
    }

    /// Whether the kernel has thrown it out, and whether it wants it back.
    pub(super) fn state(&self) -> Result<SchedulerState> {
        Ok(match self.control().farewell()? {
            None => SchedulerState::InCharge,
            Some(told) if told.asks_for_restart() => SchedulerState::Restart,
            Some(_) => SchedulerState::Gone,
        })
    }

    pub(super) fn figures(&self) -> Result<Figures> {
        let length = self.since.elapsed();
        let totals = self.control().totals().context("cannot read the scheduler's totals")?;
        let tasks = self.control().tasks().context("cannot read the scheduler's tasks")?;
        Ok(Figures { length, totals, tasks })
    }

    /// Gives the machine back to the kernel's own scheduler, and returns the kernel's reason for the end.
    pub(super) fn give_back(self) -> Result<String> {
        let told = self.scheduler.stop(PATIENCE).context("cannot end the scheduler")?;
        let told = told.context("the kernel gave no reason for the end of the scheduler")?;
        let plain = plain(&told);
        if told.is_error() {
            bail!("the scheduler failed, and the kernel's own is back: {plain}");
        }
        Ok(plain)
    }
}

/// The kernel's reason in words that are safe to print: it quotes names of tasks.
fn plain(farewell: &Farewell) -> String {
    harmless(farewell.to_string().as_bytes())
}
