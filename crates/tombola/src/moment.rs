//! One interval as screens and pages need it: the ledger with its names, owned, so that whoever shows it
//! keeps nobody waiting.

use crate::audit_view::AuditView;
use crate::groups::{Groups, group_text};
use crate::pace::Step;
use crate::text::harmless;
use anyhow::{Context, Result};
use std::collections::BTreeMap;
use tombola_core::audit::{Audit, By, Line, Who};
use tombola_core::frame::{Frame, Machine, Scheduler};
use tombola_core::group_path::short_name;
use tombola_core::identity::TaskId;
use tombola_core::snapshot::{Group, Running};
use tombola_core::source::Origin;
use tombola_core::window::{CpuWindow, Window};
use tombola_kernel::scheduler::ScheduledTask;

/// One interval.
pub(crate) struct Moment {
    /// Its number, from 1.
    pub(crate) number: u64,
    /// Its end, on the clock of the slices.
    pub(crate) taken_ns: u64,
    /// How the source came to measure.
    pub(crate) origin: Origin,
    /// The ledger.
    pub(crate) audit: Audit,
    /// What each CPU did, by number.
    pub(crate) cpus: Vec<CpuWindow>,
    /// What each CPU ran at the end of the interval.
    pub(crate) running: BTreeMap<u32, Running>,
    /// Full names of groups, raw.
    pub(crate) groups: Groups,
    /// Effective user of each process; `None` where the source does not know.
    pub(crate) owners: Option<BTreeMap<u32, u32>>,
    /// Names of these users, of this machine: empty for another one's.
    pub(crate) users: BTreeMap<u32, String>,
    /// The machine.
    pub(crate) machine: Machine,
    /// Tasks of our scheduler, where it runs and this user may ask it.
    pub(crate) lottery: Option<Vec<ScheduledTask>>,
}

impl Moment {
    /// The moment of a step.
    ///
    /// # Errors
    /// As [`Moment::new`].
    pub(crate) fn of(step: Step<'_>, number: u64, origin: Origin) -> Result<Self> {
        Self::new(step.window, step.frame, number, origin)
    }

    /// The moment of a window that ends with this frame.
    ///
    /// # Errors
    /// Groups that contradict themselves.
    pub(crate) fn new(window: Window, frame: &Frame, number: u64, origin: Origin) -> Result<Self> {
        let cpus = window.cpus.clone();
        let audit = Audit::of(window).context("the groups of the source contradict themselves")?;
        let running = frame.snapshot.cpus.iter().filter_map(|cpu| Some((cpu.cpu, cpu.running?)));
        Ok(Self {
            number,
            taken_ns: frame.snapshot.taken_ns,
            origin,
            audit,
            cpus,
            running: running.collect(),
            groups: frame.groups.clone(),
            owners: frame.owners.clone(),
            users: BTreeMap::new(),
            machine: frame.machine.clone(),
            lottery: None,
        })
    }

    /// It as sinks take it, without rows.
    pub(crate) fn view(&self) -> AuditView<'_> {
        AuditView {
            iteration: self.number,
            audit: &self.audit,
            origin: self.origin,
            scheduler: schedulers(&self.machine, &self.groups),
            group_mode: self.machine.group_mode.clone(),
            by: By::Task,
            rows: &[],
            longest: None,
            rows_left_out: 0,
            findings: self.audit.findings.iter().collect(),
            groups: &self.groups,
            hindered: Vec::new(),
            hindered_groups: Vec::new(),
            command: None,
            nice_check: false,
            columns: &[],
            width: None,
        }
    }

    /// Short name of a group, harmless.
    pub(crate) fn group(&self, group: Group) -> String {
        harmless(short_name(&group_text(&self.groups, group)).as_bytes())
    }

    /// Name and PID of a task, harmless.
    pub(crate) fn task(&self, id: TaskId) -> String {
        let comm = self.line(id).map(|line| harmless(&line.task.totals.comm)).unwrap_or_default();
        format!("{comm} ({})", id.pid)
    }

    /// The line of a task.
    pub(crate) fn line(&self, id: TaskId) -> Option<&Line> {
        let lines = &self.audit.lines;
        lines.binary_search_by_key(&id, |line| line.task.totals.id).ok().map(|at| &lines[at])
    }

    /// The lines that a row adds up.
    pub(crate) fn lines_of<'a>(&'a self, who: &'a Who) -> impl Iterator<Item = &'a Line> {
        let (one, all) = match who {
            Who::Task(id) => (self.line(*id), &[][..]),
            _ => (None, &self.audit.lines[..]),
        };
        let by = by(who);
        one.into_iter().chain(all.iter().filter(move |line| Who::of(by, &line.task) == *who))
    }

    /// Name, or number, of the user a process belongs to; `None` where not known.
    pub(crate) fn user(&self, tgid: u32) -> Option<String> {
        let uid = self.owners.as_ref()?.get(&tgid)?;
        Some(self.users.get(uid).cloned().unwrap_or_else(|| uid.to_string()))
    }
}

/// What rows like this one are about.
pub(crate) fn by(who: &Who) -> By {
    match who {
        Who::Task(_) => By::Task,
        Who::Process(_) => By::Process,
        Who::Group(_) => By::Group,
        Who::Comm(_) => By::Comm,
    }
}

/// Who is in charge, and of which subtrees somebody else is.
pub(crate) fn schedulers(machine: &Machine, groups: &Groups) -> Option<String> {
    let top = in_charge(machine.scheduler.as_ref()?);
    let below = machine.sub_schedulers.iter().map(|(group, ops)| {
        let unknown = || format!("{group:?}");
        format!("below {}: {ops}", groups.get(group).cloned().unwrap_or_else(unknown))
    });
    Some(std::iter::once(top).chain(below).collect::<Vec<_>>().join("; "))
}

/// The scheduler in BPF that is in charge, and of whom. The ledger needs no other rule for its tasks: they
/// have the weights they have under the kernel's own, or, under ours, the tickets that were set.
pub(crate) fn in_charge(scheduler: &Scheduler) -> String {
    let Scheduler { ops, state, whole_machine, untold } = scheduler;
    let whom = match whole_machine {
        Some(true) => ", whole machine",
        Some(false) => ", tasks of the policy EXT only",
        None => "",
    };
    let state = if state == "enabled" { String::new() } else { format!(", {state}") };
    let untold = untold.as_deref().unwrap_or_default();
    let untold =
        if untold.is_empty() { String::new() } else { format!(", not told of {}", untold.join(", ")) };
    format!("{ops} (sched_ext){whom}{state}{untold}")
}
