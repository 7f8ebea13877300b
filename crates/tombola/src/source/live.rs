//! The live machine: a pinned monitor, or a private one.

use super::Wanted;
use crate::visibility::{Pids, pids};
use anyhow::Result;
use std::collections::{BTreeMap, BTreeSet};
use std::error::Error as StdError;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;
use tombola_core::frame::{Frame, Machine, Scheduler};
use tombola_core::identity::TaskId;
use tombola_core::policy::Policy;
use tombola_core::reservation::Reservation;
use tombola_core::snapshot::{ExitedTask, Group, Snapshot};
use tombola_core::source::{Origin, Source};
use tombola_kernel::SchedExtState;
use tombola_kernel::scheduler;
use tombola_kernel::{
    Error, GroupMode, GroupNames, InterferenceMonitor, PinnedMonitor, Pins, PrivateMonitor, Reader, Settings,
    reservation,
};

/// PIDs of a namespace that are remembered before those of tasks that nobody knows any more are forgotten.
const MOST_PIDS: usize = 1 << 16;

/// The live machine.
pub struct Live {
    monitor: Monitor,
    interference: Option<InterferenceMonitor>,
    /// Tickets that were set by hand, as of the latest look, where it is asked for them.
    tickets_set: Option<BTreeMap<TaskId, u32>>,
    names: GroupNames,
    /// Of the tasks that were seen in a PID namespace of this process's own, their PIDs there.
    pids_here: Option<BTreeMap<u32, u32>>,
    owners: bool,
    /// Host name and release, which do not change.
    machine: Machine,
    /// A scheduler in BPF, and of which settings of cgroups it is not told: that is found out once.
    untold: Option<(String, Option<Vec<String>>)>,
}

enum Monitor {
    Pinned(Reader),
    Private(PrivateMonitor),
}

impl Live {
    /// The monitor whose task map is pinned at `map`; without a path the default one, or a private monitor
    /// where none is loaded. If it is to be `light`, a private light one.
    ///
    /// # Errors
    /// A path that is no monitor's; whatever keeps this user from reading or loading one.
    pub fn open(map: Option<&Path>, light: bool) -> Result<Self> {
        let pins = Pins { map: map.map_or_else(|| Pins::default().map, Path::to_owned), ..Pins::default() };
        let private = || PrivateMonitor::start(&Settings { light, ..Settings::default() });
        let found =
            if light { Err(Error::NotLoaded { map: pins.map.clone() }) } else { PinnedMonitor::find(&pins) };
        let monitor = match found {
            Ok(pinned) => Monitor::Pinned(pinned.reader()?),
            Err(Error::NotLoaded { .. }) if map.is_none() => Monitor::Private(private()?),
            Err(error) => return Err(error.into()),
        };
        let names = GroupNames::new();
        Ok(Self {
            monitor,
            interference: None,
            tickets_set: None,
            names,
            pids_here: (!matches!(pids(), Pids::Initial)).then(BTreeMap::new),
            owners: false,
            machine: this_machine(),
            untold: None,
        })
    }

    /// Looks from now on for what is wanted, with a second monitor that ends with this value where that is
    /// who stands in whose way. Returns what this user may not have, a sentence each.
    pub fn want(&mut self, wanted: Wanted) -> Vec<String> {
        let mut refused = Vec::new();
        if let Some(room) = wanted.interference {
            match InterferenceMonitor::start(room) {
                Ok(monitor) => self.interference = Some(monitor),
                Err(error) => refused.push(format!("who stands in the way is not watched: {error:#}")),
            }
        }
        if wanted.tickets {
            match scheduler::tickets_set() {
                Ok(tickets) => self.tickets_set = Some(tickets),
                Err(error) => refused.push(format!("tickets that were set by hand are not known: {error:#}")),
            }
        }
        self.owners = wanted.owners;
        refused
    }

    /// Whether the monitor is a light one.
    pub fn is_light(&self) -> bool {
        self.reader().is_light()
    }

    fn reader(&self) -> &Reader {
        match &self.monitor {
            Monitor::Pinned(reader) => reader,
            Monitor::Private(private) => private.reader(),
        }
    }

    fn snapshot(&mut self) -> Result<Snapshot, Error> {
        let interference = self.interference.as_mut().map(InterferenceMonitor::read).transpose()?;
        let mut snapshot = Snapshot { interference, ..self.reader().snapshot()? };
        if let Some(before) = &mut self.tickets_set {
            // Of a scheduler that began since, and that this user may not ask, they are not known.
            let now = scheduler::tickets_set().unwrap_or_default();
            let ended = snapshot.exited.iter_mut().map(|ExitedTask { totals, .. }| (totals, &*before));
            for (totals, set) in snapshot.tasks.iter_mut().map(|totals| (totals, &now)).chain(ended) {
                // Who changes totals changes a copy: the reader holds them too.
                if let Some(tickets) = set.get(&totals.id) {
                    totals.tickets_set = Some(*tickets);
                }
            }
            *before = now;
        }
        Ok(snapshot)
    }

    /// Learns the PIDs that tasks have here. Who is gone keeps his, as long as there are not too many.
    fn learn_pids(&mut self, snapshot: &Snapshot) -> Result<(), Error> {
        let (Pids::Namespace(namespace), Some(here)) = (pids(), &mut self.pids_here) else { return Ok(()) };
        if here.len() > MOST_PIDS {
            let ended = snapshot.exited.iter().map(|task| task.totals.id.pid);
            let known: BTreeSet<u32> = snapshot.tasks.iter().map(|task| task.id.pid).chain(ended).collect();
            here.retain(|pid, _| known.contains(pid));
        }
        here.extend(namespace.pids()?);
        Ok(())
    }

    fn scheduler_in_charge(&mut self) -> Option<Scheduler> {
        let SchedExtState::Loaded { ops, state, whole_machine } = SchedExtState::now() else { return None };
        if self.untold.as_ref().is_none_or(|(of, _)| *of != ops) {
            let untold = scheduler::untold(&ops);
            // Ours reads the weights themselves.
            let is_told = |setting: &&str| ops == scheduler::OPS && *setting == "cpu.weight";
            let untold = untold.map(|untold| {
                untold.into_iter().filter(|setting| !is_told(setting)).map(str::to_owned).collect()
            });
            self.untold = Some((ops.clone(), untold));
        }
        let untold = self.untold.as_ref().and_then(|(_, untold)| untold.clone());
        Some(Scheduler { ops, state, whole_machine, untold })
    }

    /// Names of all groups of a snapshot.
    fn group_names(&mut self, snapshot: &Snapshot) -> BTreeMap<Group, String> {
        let of_living = snapshot.tasks.iter().map(|task| task.group);
        let of_ended = snapshot.exited.iter().map(|task| task.totals.group);
        let of_groups = snapshot.groups.iter().map(|group| group.id);
        let groups: BTreeSet<Group> = of_living.chain(of_ended).chain(of_groups).collect();
        self.names.learn(groups.iter().copied());
        groups.into_iter().map(|group| (group, self.names.name(group))).collect()
    }
}

impl Source for Live {
    fn origin(&self) -> Origin {
        match self.monitor {
            Monitor::Pinned(_) => Origin::Loaded,
            Monitor::Private(_) => Origin::Private,
        }
    }

    fn next(&mut self, _: Option<Duration>) -> Result<Option<Frame>, Box<dyn StdError + Send + Sync>> {
        let snapshot = self.snapshot()?;
        self.learn_pids(&snapshot)?;
        let sub_schedulers = scheduler::sub_schedulers();
        let mut groups = self.group_names(&snapshot);
        self.names.learn(sub_schedulers.iter().map(|(group, _)| *group));
        groups.extend(sub_schedulers.iter().map(|(group, _)| (*group, self.names.name(*group))));
        let machine = Machine {
            scheduler: self.scheduler_in_charge(),
            sub_schedulers,
            group_mode: Some(GroupMode::now()).filter(|mode| !mode.is_whole()).map(|mode| mode.to_string()),
            ..self.machine.clone()
        };
        let mut frame = Frame { machine, pids_here: self.pids_here.clone(), ..Frame::new(snapshot, groups) };
        frame.owners = self.owners.then(|| owners(&frame));
        frame.reservations = reservations(&frame);
        Ok(Some(frame))
    }
}

fn this_machine() -> Machine {
    let name = rustix::system::uname();
    let text = |part: &std::ffi::CStr| part.to_string_lossy().into_owned();
    Machine { host: text(name.nodename()), release: text(name.release()), ..Machine::default() }
}

/// What tasks under `SCHED_DEADLINE` are promised, of those that have a PID here.
fn reservations(frame: &Frame) -> BTreeMap<TaskId, Reservation> {
    let reserved = frame.snapshot.tasks.iter().filter(|task| task.policy == Policy::Deadline);
    reserved.filter_map(|task| Some((task.id, reservation(frame.pid_here(task.id.pid)?)?))).collect()
}

/// Effective users of living processes, of those that have a PID here.
fn owners(frame: &Frame) -> BTreeMap<u32, u32> {
    let processes: BTreeSet<u32> = frame.snapshot.tasks.iter().map(|task| task.tgid).collect();
    let owner = |pid: u32| {
        let here = frame.pid_here(pid)?;
        Some((pid, fs::metadata(format!("/proc/{here}")).ok()?.uid()))
    };
    processes.into_iter().filter_map(owner).collect()
}
