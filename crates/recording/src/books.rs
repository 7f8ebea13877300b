//! Totals of tasks and CPUs, as a monitor keeps them, made of what the normaliser finds out.

use crate::attributes::Attributes;
use crate::event::Left;
use crate::fact::Fact;
use crate::interval::{CpuInterval, Doubt, Interval, Ready, What};
use crate::life::{Doing, Life};
use crate::normaliser::{Normaliser, OnCpu, Repairs};
use foldhash::fast::RandomState;
use std::collections::{BTreeMap, HashMap, VecDeque};
use tombola_core::identity::TaskId;
use tombola_core::policy::Policy;
use tombola_core::shared::Shared;
use tombola_core::snapshot::{
    CpuBooks, ExitTotals, ExitedTask, Group, Loss, Running, Snapshot, TaskState, TaskTotals,
};
use tombola_core::tickets::Nice;
use tombola_core::usage::Usage;

/// Ended tasks that are remembered by name, as many as the monitor does.
pub(crate) const EXITED: usize = 8192;

/// How sure the totals of a task are: the time of which it is not known what the task did. A total of run
/// time r is between r and r + this time, except for doubts about wakes, which concern waits only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Certainty {
    /// Events were missing.
    pub loss_ns: u64,
    /// The recording had just begun.
    pub start_ns: u64,
    /// A switch was hidden.
    pub hidden_ns: u64,
    /// No wake was seen: it slept and waited, how long each is not known.
    pub no_wake_ns: u64,
}

/// What a figure is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Figure {
    /// This value.
    Exact(u64),
    /// Between two values.
    Between(u64, u64),
}

impl Certainty {
    pub(crate) fn add(&mut self, why: Doubt, ns: u64) {
        *match why {
            Doubt::Loss => &mut self.loss_ns,
            Doubt::Start => &mut self.start_ns,
            Doubt::Hidden => &mut self.hidden_ns,
            Doubt::NoWake => &mut self.no_wake_ns,
        } += ns;
    }

    fn merge(&mut self, other: Self) {
        self.loss_ns += other.loss_ns;
        self.start_ns += other.start_ns;
        self.hidden_ns += other.hidden_ns;
        self.no_wake_ns += other.no_wake_ns;
    }

    /// Time in which it may have run, and is not known to.
    pub fn unknown_ns(&self) -> u64 {
        self.loss_ns + self.start_ns + self.hidden_ns
    }

    /// A run time with what it is worth.
    pub fn runtime(&self, runtime_ns: u64) -> Figure {
        figure(runtime_ns, self.unknown_ns())
    }

    /// A waiting time with what it is worth.
    pub fn wait(&self, wait_ns: u64) -> Figure {
        figure(wait_ns, self.unknown_ns() + self.no_wake_ns)
    }
}

fn figure(known: u64, unknown: u64) -> Figure {
    if unknown == 0 { Figure::Exact(known) } else { Figure::Between(known, known + unknown) }
}

#[derive(Clone, Debug, Default)]
struct Entry {
    usage: Usage,
    certainty: Certainty,
    last_cpu: Option<u32>,
}

#[derive(Clone, Copy, Debug, Default)]
#[allow(clippy::struct_field_names)] // all are times
struct CpuEntry {
    busy_ns: u64,
    unfair_ns: u64,
    idle_ns: u64,
    unknown_ns: u64,
    hidden_ns: u64,
}

/// What a snapshot has shown of something that was open then. Totals never go back: where that turns out to
/// be unknown later, what lies before the snapshot stays what it was shown as.
#[derive(Clone, Copy, Debug)]
struct Shown {
    /// [`What::Running`] or [`What::Runnable`] of a task.
    what: What,
    at_ns: u64,
}

/// The same of a CPU: idle, or busy with a task.
#[derive(Clone, Copy, Debug)]
struct ShownCpu {
    is_idle: bool,
    is_unfair: bool,
    at_ns: u64,
}

/// The totals.
#[derive(Debug, Default)]
pub struct Books {
    shown: HashMap<TaskId, Shown, RandomState>,
    shown_cpus: BTreeMap<u32, ShownCpu>,
    tasks: HashMap<TaskId, Entry, RandomState>,
    cpus: BTreeMap<u32, CpuEntry>,
    exited: VecDeque<(ExitedTask, Certainty)>,
    exits: ExitTotals,
    /// What lies before this does not count; `None`: from the begin of the recording.
    begin_ns: Option<u64>,
    /// What had been mended by then.
    mended: Repairs,
}

impl Books {
    /// Books of what comes after `begin_ns`, when so much had been mended: of a stretch that is open then,
    /// only the rest.
    pub fn beginning(begin_ns: u64, mended: Repairs) -> Self {
        Self { begin_ns: Some(begin_ns), mended, ..Self::default() }
    }

    /// The part of a stretch that counts, as its begin; `to_ns` where nothing of it does.
    fn clipped(&self, from_ns: u64, to_ns: u64) -> u64 {
        from_ns.max(self.begin_ns.unwrap_or(0)).min(to_ns)
    }

    /// Adds what was found out.
    pub fn fact(&mut self, fact: Fact) {
        match fact {
            Fact::Task(interval) => {
                let from_ns = self.clipped(interval.from_ns, interval.to_ns);
                self.interval(&Interval { from_ns, ..interval });
            }
            Fact::Cpu(CpuInterval { cpu, from_ns, to_ns, doubt }) => {
                let mut ns = to_ns - self.clipped(from_ns, to_ns);
                let entry = self.cpus.entry(cpu).or_default();
                if let (Some(_), Some(shown)) = (doubt, self.shown_cpus.get(&cpu)) {
                    let shown_ns = ns.min(shown.at_ns.saturating_sub(to_ns - ns));
                    ns -= shown_ns;
                    if shown.is_idle {
                        entry.idle_ns += shown_ns;
                    } else {
                        entry.busy_ns += shown_ns;
                        entry.unfair_ns += if shown.is_unfair { shown_ns } else { 0 };
                    }
                }
                match doubt {
                    None => entry.idle_ns += ns,
                    Some(Doubt::Hidden) => entry.hidden_ns += ns,
                    Some(_) => entry.unknown_ns += ns,
                }
            }
            Fact::Ended { life, at_ns } => self.end(&life, at_ns),
            Fact::Became { from, to } => {
                let entry = self.tasks.remove(&from).unwrap_or_default();
                // Its leader may have ended already: then it lives again.
                if let Some(at) = self.exited.iter().rposition(|(task, _)| task.totals.id == to)
                    && let Some((task, certainty)) = self.exited.remove(at)
                {
                    self.exits.count -= 1;
                    self.exits.runtime_ns -= task.totals.usage.runtime_ns;
                    let old = self.tasks.entry(to).or_default();
                    old.usage.merge(&task.totals.usage);
                    old.certainty.merge(certainty);
                }
                let into = self.tasks.entry(to).or_default();
                into.usage.merge(&entry.usage);
                into.certainty.merge(entry.certainty);
                into.last_cpu = entry.last_cpu.or(into.last_cpu);
            }
        }
    }

    fn interval(&mut self, interval: &Interval) {
        let entry = self.tasks.entry(interval.task).or_default();
        let (ns, usage) = (interval.ns(), &mut entry.usage);
        match interval.what {
            What::Running { cpu, left } => {
                usage.runtime_ns += ns;
                if let Some(left) = left {
                    usage.switches += 1;
                    usage.involuntary += u64::from(matches!(left, Left::Runnable { .. } | Left::Yielded));
                    usage.yields += u64::from(left == Left::Yielded);
                }
                // A slice that something interrupted has begun before and is one.
                usage.migrations += u64::from(entry.last_cpu.replace(cpu).is_some_and(|last| last != cpu));
                let on = self.cpus.entry(cpu).or_default();
                on.busy_ns += ns;
                on.unfair_ns += if is_unfair(interval.prio) { ns } else { 0 };
            }
            What::Runnable { since, ran } => {
                wait(usage, since, ns);
                if ran {
                    usage.wait_max_ns = usage.wait_max_ns.max(ns);
                    usage.waits.record(ns);
                    usage.wakeups += u64::from(matches!(since, Ready::New | Ready::Woken(_)));
                }
            }
            What::Blocked { .. } => {
                // It was shown to wait where a wake was carried over that had no effect.
                if let Some(shown) = self.shown.get(&interval.task) {
                    usage_shown(usage, *shown, interval.from_ns, interval.to_ns);
                }
            }
            What::Unknown(why) => {
                let mut ns = ns;
                if let Some(shown) = self.shown.get(&interval.task) {
                    // The CPU's part is told by the CPU.
                    ns -= usage_shown(usage, *shown, interval.from_ns, interval.to_ns);
                }
                entry.certainty.add(why, ns);
            }
        }
    }

    fn end(&mut self, life: &Life, at_ns: u64) {
        let entry = self.tasks.remove(&life.id).unwrap_or_default();
        let totals = totals(life, entry.usage, TaskState::Sleeping);
        self.exits.count += 1;
        self.exits.runtime_ns += totals.usage.runtime_ns;
        if self.exited.len() == EXITED {
            self.exited.pop_front();
        }
        self.exited.push_back((ExitedTask { ended_ns: at_ns, totals: totals.into() }, entry.certainty));
    }

    /// How sure the totals of a task are, living or remembered.
    pub fn certainty(&self, task: TaskId) -> Certainty {
        let ended = || self.exited.iter().rev().find(|(ended, _)| ended.totals.id == task);
        self.tasks
            .get(&task)
            .map(|entry| entry.certainty)
            .or_else(|| ended().map(|(_, c)| *c))
            .unwrap_or_default()
    }

    /// The machine at `at_ns`, not before the normaliser's latest event. What is open then is counted up to
    /// then; what is unknown then is counted when it ends. CPU time of which nothing is known is in `busy_ns`
    /// and, as time of no task, in the loss.
    pub fn snapshot(&mut self, normaliser: &Normaliser, at_ns: u64, unix_us: u64) -> Snapshot {
        let at_ns = at_ns.max(normaliser.now_ns());
        let snapshot = self.seen(normaliser, at_ns, unix_us);
        self.note_shown(normaliser, at_ns);
        snapshot
    }

    /// Remembers what is open, which is shown now.
    fn note_shown(&mut self, normaliser: &Normaliser, at_ns: u64) {
        let before = std::mem::take(&mut self.shown);
        self.shown = normaliser
            .lives()
            .filter_map(|life| {
                let what = match life.doing {
                    Doing::Running(cpu) => What::Running { cpu, left: None },
                    Doing::Runnable(since) => What::Runnable { since, ran: false },
                    // What is not known of it is still open, and told when it ends.
                    Doing::Unknown { .. } => {
                        let earlier = before.get(&life.id).filter(|shown| shown.at_ns > life.since_ns);
                        return earlier.map(|shown| (life.id, *shown));
                    }
                    Doing::Blocked(_) | Doing::Unborn => return None,
                };
                Some((life.id, Shown { what, at_ns }))
            })
            .collect();
        let running: BTreeMap<u32, &Life> =
            normaliser.lives().filter_map(|life| Some((running_on(life)?, life))).collect();
        for (cpu, of) in normaliser.cpus() {
            let is_unfair = running.get(cpu).is_some_and(|life| is_unfair(life.attributes.prio));
            match of.doing {
                OnCpu::Idle | OnCpu::Task(_) => {
                    let is_idle = of.doing == OnCpu::Idle;
                    self.shown_cpus.insert(*cpu, ShownCpu { is_idle, is_unfair, at_ns });
                }
                // As of a task.
                OnCpu::Unknown { .. } | OnCpu::Offline => {}
            }
        }
    }

    fn seen(&self, normaliser: &Normaliser, at_ns: u64, unix_us: u64) -> Snapshot {
        let mut open: BTreeMap<u32, &Life> = BTreeMap::new();
        let mut tasks: Vec<Shared<TaskTotals>> = normaliser
            .lives()
            .map(|life| {
                let entry = self.tasks.get(&life.id);
                let mut usage = entry.map(|entry| entry.usage.clone()).unwrap_or_default();
                let ns = at_ns - self.clipped(life.since_ns, at_ns);
                let state = match life.doing {
                    Doing::Running(cpu) => {
                        let last = entry.and_then(|entry| entry.last_cpu);
                        usage.migrations += u64::from(last.is_some_and(|last| last != cpu));
                        usage.runtime_ns += ns;
                        open.insert(cpu, life);
                        TaskState::Running
                    }
                    Doing::Runnable(since) => {
                        wait(&mut usage, since, ns);
                        usage.wait_max_ns = usage.wait_max_ns.max(ns);
                        TaskState::Waiting
                    }
                    Doing::Unknown { .. } => {
                        if let Some(shown) = self.shown.get(&life.id) {
                            usage_shown(&mut usage, *shown, at_ns - ns, at_ns);
                        }
                        TaskState::Sleeping
                    }
                    Doing::Blocked(_) | Doing::Unborn => TaskState::Sleeping,
                };
                totals(life, usage, state).into()
            })
            .collect();
        tasks.sort_unstable_by_key(|task| task.id);
        let mut exited: Vec<ExitedTask> = self.exited.iter().map(|(task, _)| task.clone()).collect();
        exited.sort_by_key(|task| task.totals.id);
        exited.dedup_by_key(|task| task.totals.id);
        let cpus = self.cpu_books(normaliser, at_ns, &open);
        let (repairs, before) = (normaliser.repairs(), &self.mended);
        let sum = |of: fn(&CpuEntry) -> u64| self.cpus.values().map(of).sum::<u64>();
        Snapshot {
            taken_ns: at_ns,
            read_ns: 0,
            unix_us,
            begin_ns: self.begin_ns.unwrap_or_else(|| normaliser.begin_ns()),
            cpus,
            tasks,
            exited,
            exits: self.exits,
            groups: normaliser.groups().values().map(|(totals, _)| *totals).collect(),
            interference: None,
            loss: Loss {
                untracked_ns: sum(|cpu| cpu.unknown_ns + cpu.hidden_ns),
                map_other: repairs.losses - before.losses,
                clock_backwards: repairs.backwards - before.backwards,
                stale_records: repairs.reused_pids - before.reused_pids,
                unseen_switches: repairs.hidden_switches - before.hidden_switches,
                unseen_ns: sum(|cpu| cpu.hidden_ns),
                ..Loss::default()
            },
        }
    }

    fn cpu_books(&self, normaliser: &Normaliser, at_ns: u64, open: &BTreeMap<u32, &Life>) -> Vec<CpuBooks> {
        let one = |(cpu, of): (&u32, &crate::normaliser::Cpu)| {
            let entry = self.cpus.get(cpu).copied().unwrap_or_default();
            let ns = at_ns - self.clipped(of.since_ns, at_ns);
            let mut books = CpuBooks {
                cpu: *cpu,
                online: of.doing != OnCpu::Offline,
                busy_ns: entry.busy_ns + entry.unknown_ns + entry.hidden_ns,
                unfair_ns: entry.unfair_ns,
                idle_ns: entry.idle_ns,
                taken_ns: 0,
                running: None,
            };
            match (of.doing, open.get(cpu)) {
                (OnCpu::Idle, _) => books.idle_ns += ns,
                (OnCpu::Task(_), Some(life)) => {
                    books.busy_ns += ns;
                    books.unfair_ns += if is_unfair(life.attributes.prio) { ns } else { 0 };
                    books.running = Some(Running { id: life.id, since_ns: life.since_ns });
                }
                // What it did is told when that ends.
                (OnCpu::Task(_) | OnCpu::Unknown { .. }, _) => {
                    if let Some(shown) = self.shown_cpus.get(cpu) {
                        let ns = shown.at_ns.min(at_ns).saturating_sub(at_ns - ns);
                        *(if shown.is_idle { &mut books.idle_ns } else { &mut books.busy_ns }) += ns;
                        books.unfair_ns += if shown.is_unfair { ns } else { 0 };
                    }
                }
                (OnCpu::Offline, _) => {}
            }
            books
        };
        normaliser.cpus().iter().map(one).collect()
    }
}

/// Adds to what a task waited, and where it had given its CPU away, to that.
fn wait(usage: &mut Usage, since: Ready, ns: u64) {
    usage.wait_ns += ns;
    usage.yielded_ns += if since == Ready::Yielded { ns } else { 0 };
}

/// Adds what of a stretch that is not known was shown as running or waiting before; gives its length.
fn usage_shown(usage: &mut Usage, shown: Shown, from_ns: u64, to_ns: u64) -> u64 {
    let ns = shown.at_ns.min(to_ns).saturating_sub(from_ns);
    match shown.what {
        What::Running { .. } => usage.runtime_ns += ns,
        What::Runnable { since, .. } => {
            wait(usage, since, ns);
            usage.wait_max_ns = usage.wait_max_ns.max(ns);
        }
        What::Blocked { .. } | What::Unknown(_) => return 0,
    }
    ns
}

fn running_on(life: &Life) -> Option<u32> {
    match life.doing {
        Doing::Running(cpu) => Some(cpu),
        _ => None,
    }
}

/// Real time and deadline: no tickets.
fn is_unfair(prio: Option<i32>) -> bool {
    prio.is_some_and(|prio| prio < 100)
}

/// Totals of a task, with what the recording tells of it: policy and weight follow from the priority where
/// they are not told. Under priority inheritance that is the lender's.
fn totals(life: &Life, usage: Usage, state: TaskState) -> TaskTotals {
    let Attributes { prio, policy, weight, group, affinity, .. } = &life.attributes;
    let nice =
        prio.filter(|prio| (100..140).contains(prio)).and_then(|prio| Nice::new(i64::from(prio) - 120).ok());
    let nice = nice.unwrap_or_default();
    let by_prio = match *prio {
        Some(..0) => Policy::Deadline,
        Some(0..100) => Policy::Fifo,
        _ => Policy::Other,
    };
    TaskTotals {
        id: life.id,
        tgid: life.attributes.tgid.unwrap_or(life.id.pid),
        comm: life.attributes.comm.to_vec(),
        nice,
        policy: policy.and_then(|n| u8::try_from(n).ok()).map_or(by_prio, Policy::from_number),
        weight: weight.unwrap_or_else(|| nice.weight()),
        tickets_set: None,
        group: group.unwrap_or(Group::Unknown),
        affinity: affinity.clone(),
        cpu: life.cpu.unwrap_or(0),
        state,
        usage,
    }
}
