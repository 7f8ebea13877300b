//! The thread that measures.

use super::timeline::Timeline;
use crate::limits::cannot_start;
use crate::moment::Moment;
use crate::pace::{First, Pace, Rhythm, Waited};
use anyhow::{Result, anyhow};
use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use tombola_core::source::Source;
use tombola_kernel::scheduler::SchedulerControl;

/// A world that is measured in a thread of its own until this value goes.
pub(crate) struct Measuring {
    shared: Arc<Mutex<Shared>>,
    orders: Option<Sender<Duration>>,
    thread: Option<JoinHandle<Result<()>>>,
}

#[derive(Default)]
struct Shared {
    timeline: Timeline,
    /// Number of changes so far.
    version: u64,
}

impl Measuring {
    /// Opens a world in a new thread and begins to measure. Whatever keeps it from being opened is told
    /// before this returns.
    ///
    /// # Errors
    /// Whatever `open` says; a thread that cannot be started.
    pub(crate) fn start(
        open: impl FnOnce() -> Result<Box<dyn Source>> + Send + 'static,
        interval: Duration,
    ) -> Result<Self> {
        let shared = Arc::new(Mutex::new(Shared::default()));
        let (orders, receiver) = channel();
        let (ready, is_open) = sync_channel(1);
        let into = Arc::clone(&shared);
        let body = move || {
            let source = open()?;
            measure(source, interval, &into, &receiver, &ready)
        };
        let thread = thread::Builder::new().name("measuring".to_owned()).spawn(body);
        let thread = thread.map_err(|error| cannot_start("the thread that measures", error))?;
        match is_open.recv() {
            Ok(()) => Ok(Self { shared, orders: Some(orders), thread: Some(thread) }),
            Err(_) => match thread.join() {
                Ok(Err(error)) => Err(error),
                Ok(Ok(())) => Err(anyhow!("the source ended before it began")),
                Err(_) => Err(anyhow!("the thread that measures panicked")),
            },
        }
    }

    /// The moments so far, where there are others than at this version.
    pub(crate) fn since(&self, version: &mut u64) -> Option<Timeline> {
        let shared = lock(&self.shared);
        (shared.version != *version).then(|| {
            *version = shared.version;
            shared.timeline.clone()
        })
    }

    /// Time between moments from now on, where the world is live.
    pub(crate) fn set_interval(&self, interval: Duration) {
        if let Some(orders) = &self.orders {
            let _ = orders.send(interval); // the world may be over
        }
    }

    /// Whether there will be no further moment; an error where that is not as it should be.
    ///
    /// # Errors
    /// Whatever kept the source from being read.
    pub(crate) fn ended(&mut self) -> Result<bool> {
        if self.thread.as_ref().is_some_and(|thread| !thread.is_finished()) {
            return Ok(false);
        }
        match self.thread.take().map(JoinHandle::join) {
            None | Some(Ok(Ok(()))) => Ok(true),
            Some(Ok(Err(error))) => Err(error),
            Some(Err(_)) => Err(anyhow!("the thread that measures panicked")),
        }
    }
}

impl Drop for Measuring {
    fn drop(&mut self) {
        self.orders = None; // which ends its wait
        if let Some(thread) = self.thread.take() {
            let _ = thread.join(); // its error, if there is one, came too late to matter
        }
    }
}

fn measure(
    source: Box<dyn Source>,
    mut interval: Duration,
    shared: &Mutex<Shared>,
    orders: &Receiver<Duration>,
    ready: &SyncSender<()>,
) -> Result<()> {
    let origin = source.origin();
    // A live world is paced here, because the interval may change.
    let fixed = (!origin.is_live()).then_some(interval);
    let mut pace = Pace::new(source, fixed, 0, First::FromNow)?;
    let _ = ready.send(()); // who started it has gone: the first wait notices
    let mut users = Users::default();
    let mut rhythm = Rhythm::new(interval, false);
    for number in 1.. {
        let step = pace.next(|_| {
            Ok(if origin.is_live() {
                wait(orders, &mut interval, &mut rhythm)
            } else if matches!(orders.try_recv(), Err(std::sync::mpsc::TryRecvError::Disconnected)) {
                Waited::Never
            } else {
                Waited::Full
            })
        })?;
        let Some(step) = step else { break };
        let mut moment = Moment::of(step, number, origin)?;
        if origin.is_live() {
            users.name(&mut moment);
            let is_ours = moment.machine.scheduler.as_ref().is_some_and(|s| s.ops.starts_with("tombola"));
            // Another user's scheduler may refuse: the view says that nothing is known of it.
            moment.lottery = if is_ours {
                SchedulerControl::find().ok().and_then(|control| control.tasks().ok())
            } else {
                None
            };
        }
        let mut shared = lock(shared);
        shared.timeline.push(moment);
        shared.version += 1;
    }
    Ok(())
}

/// Waits for the end of the interval, which may be changed meanwhile; or for the end of it all.
fn wait(orders: &Receiver<Duration>, interval: &mut Duration, rhythm: &mut Rhythm) -> Waited {
    let mut end = Instant::now() + rhythm.until_next();
    loop {
        match orders.recv_timeout(end.saturating_duration_since(Instant::now())) {
            Ok(wanted) => {
                *interval = wanted;
                *rhythm = Rhythm::new(wanted, false);
                end = Instant::now() + rhythm.until_next();
            }
            Err(RecvTimeoutError::Timeout) => return Waited::Full,
            Err(RecvTimeoutError::Disconnected) => return Waited::Never,
        }
    }
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Names of users, each looked up once.
#[derive(Default)]
struct Users(BTreeMap<u32, String>);

impl Users {
    fn name(&mut self, moment: &mut Moment) {
        let Some(owners) = &moment.owners else { return };
        for uid in owners.values() {
            let name = || match nix::unistd::User::from_uid((*uid).into()) {
                Ok(Some(user)) => user.name,
                _ => uid.to_string(),
            };
            self.0.entry(*uid).or_insert_with(name);
        }
        moment.users = self.0.clone();
    }
}
