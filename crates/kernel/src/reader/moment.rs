//! The instant of a snapshot: what was open then (slices, waits) is added up to it, and what came after it is
//! taken off again.

use crate::group_totals::group;
use crate::initial_pids::pids_are_initial;
use crate::wire::{c_bytes, cpu_slot, exited_record, queued_task, task_record};
use nix::sched::{CpuSet as NixCpuSet, sched_getaffinity};
use nix::unistd::Pid;
use std::collections::BTreeMap;
use tombola_core::cpu_set::CpuSet;
use tombola_core::identity::TaskId;
use tombola_core::policy::Policy;
use tombola_core::snapshot::{CpuBooks, ExitedTask, Running, TaskState, TaskTotals};
use tombola_core::tickets::Nice;
use tombola_core::usage::Usage;

/// `TASK_SLEEPING`, `TASK_WAITING`, `TASK_MISSTAMPED` and `TASK_YIELDED` in `bpf/wire.h`.
const SLEEPING: u8 = 0;
const WAITING: u8 = 1;
const MISSTAMPED: u8 = 3;
const YIELDED: u8 = 4;

/// The instant a snapshot is of, and what the CPUs did then.
pub(super) struct Moment<'s> {
    pub(super) taken_ns: u64,
    pub(super) begin_ns: u64,
    pub(super) slots: &'s [cpu_slot],
    pub(super) online: Vec<bool>,
    pub(super) possible: CpuSet,
    pub(super) queued: BTreeMap<TaskId, queued_task>,
    /// Whose slices are open, and on which CPU: [`Moment::with_open_slots`] finds them.
    pub(super) open: BTreeMap<TaskId, u32>,
}

impl Moment<'_> {
    /// An instant on a CPU's run-queue clock, on the monotonic clock.
    fn monotonic_ns(&self, cpu: u32, clock_ns: u64) -> u64 {
        self.slots.get(cpu as usize).map_or(clock_ns, |slot| monotonic_ns(slot, clock_ns))
    }

    pub(super) fn with_open_slots(mut self) -> Self {
        let open =
            self.open_slots().map(|(cpu, slot)| (TaskId { pid: slot.pid, start_ns: slot.start_ns }, cpu));
        // Where one is seen on two CPUs, the first counts.
        self.open = open.collect::<Vec<_>>().into_iter().rev().collect();
        self
    }

    /// Begin and end of a record's latest slice, on the monotonic clock.
    pub(super) fn latest_slice(&self, record: &task_record) -> (u64, u64) {
        (
            self.monotonic_ns(record.cpu, record.slice_start_ns),
            self.monotonic_ns(record.cpu, record.slice_end_ns),
        )
    }

    fn is_online(&self, cpu: u32) -> bool {
        self.online.get(cpu as usize).copied().unwrap_or(false)
    }

    /// Slots in which a task runs. A CPU that is offline runs nothing: its last switches were not shown, and
    /// its slot holds the task that stopped it, for as long as it is away.
    pub(super) fn open_slots(&self) -> impl Iterator<Item = (u32, &cpu_slot)> {
        (0..).zip(self.slots).filter(|(cpu, slot)| slot.pid != 0 && self.is_online(*cpu))
    }

    pub(super) fn cpu(
        &self,
        cpu: u32,
        slot: &cpu_slot,
        holds_no_tickets: impl Fn(TaskId) -> bool,
    ) -> CpuBooks {
        let online = self.is_online(cpu);
        let since_ns = if slot.since_ns == 0 { self.begin_ns } else { monotonic_ns(slot, slot.since_ns) };
        let open_ns = self.taken_ns.saturating_sub(since_ns);
        let running = (slot.pid != 0 && online)
            .then_some(Running { id: TaskId { pid: slot.pid, start_ns: slot.start_ns }, since_ns });
        CpuBooks {
            cpu,
            online,
            busy_ns: slot.busy_ns + if running.is_some() { open_ns } else { 0 },
            unfair_ns: slot.unfair_ns
                + if running.is_some_and(|running| holds_no_tickets(running.id)) { open_ns } else { 0 },
            taken_ns: slot.taken_ns,
            // What an offline CPU does not do is not idling.
            idle_ns: slot.idle_ns + if running.is_none() && online { open_ns } else { 0 },
            running,
        }
    }

    /// Whether the copy of a record may be a mixture that matters (`whole.rs`): its task ran, waited or was
    /// not asleep at the instant, or has ended a slice since.
    pub(super) fn is_in_doubt(&self, record: &task_record) -> bool {
        let id = identity(record);
        record.state != SLEEPING
            || self.open.contains_key(&id)
            || self.queued.contains_key(&id)
            || self.latest_slice(record).1 >= self.taken_ns
    }

    /// Totals of a task at the instant, from its record of about that time.
    pub(super) fn living(&self, record: &task_record) -> TaskTotals {
        let mut totals = self.totals(record);
        let (_, slice_end_ns) = self.latest_slice(record);
        let slot = self.open.get(&totals.id).and_then(|cpu| self.slots.get(*cpu as usize));
        // A copy is made in no order: a state that is newer than the instant copied with it shows by that
        // instant being too old.
        let (woken_ns, ended_ns) = (record.woken_ns, if record.slice_end_ns == 0 { 0 } else { slice_end_ns });
        let queued = self.queued.get(&totals.id);
        if let Some(task) = queued {
            // A record has them from when its latest slice was closed.
            totals.nice = nice_of(task.nice);
            totals.policy = policy(task.policy);
            totals.weight = task.weight;
        }
        // What the kernel has booked since the record was closed: waits in queues it has left since, and that
        // of the open slice.
        let booked_ns = |task: &queued_task| task.run_delay_ns.saturating_sub(record.run_delay_ns);
        // The slice of the slot was open at the instant. The record's latest slice either ended before it
        // began, or is it, or a later one, and ended after the instant. The clocks of two CPUs are not
        // compared more exactly than that.
        let is_open = |since_ns: &u64| slice_end_ns <= since_ns.midpoint(self.taken_ns);
        let mut open_wait_ns = 0;
        if let Some(since_ns) = slot.map(|slot| monotonic_ns(slot, slot.since_ns)).filter(is_open) {
            // Nothing of it is in the record, nor is the wait before it.
            totals.usage.runtime_ns += self.taken_ns.saturating_sub(since_ns);
            let away_ns = since_ns.saturating_sub(slice_end_ns);
            open_wait_ns = match record.state {
                WAITING | YIELDED => away_ns,
                MISSTAMPED if woken_ns > ended_ns => since_ns.saturating_sub(woken_ns),
                // It may have left its CPU since the instant, and wait again.
                _ => queued.map_or(0, booked_ns).min(away_ns),
            };
        } else {
            totals.usage.runtime_ns -= self.overshoot_ns(record);
            if slot.is_none() {
                let away_ns = self.taken_ns.saturating_sub(slice_end_ns);
                let in_this_queue_ns = |task: &queued_task| match (task.on_cpu, task.last_queued_ns) {
                    // It has got a CPU since the instant.
                    (1.., _) | (_, 0) => 0,
                    (0, queued_ns) => self.taken_ns.saturating_sub(self.monotonic_ns(task.cpu, queued_ns)),
                };
                open_wait_ns = match record.state {
                    WAITING | YIELDED => away_ns,
                    MISSTAMPED if woken_ns > ended_ns => self.taken_ns.saturating_sub(woken_ns),
                    _ => queued.map_or(0, |task| booked_ns(task) + in_this_queue_ns(task)).min(away_ns),
                };
                if open_wait_ns > 0 {
                    totals.state = TaskState::Waiting;
                }
            }
        }
        add_open_wait(&mut totals.usage, open_wait_ns);
        if record.state == YIELDED {
            totals.usage.yielded_ns += open_wait_ns;
        }
        if slot.is_some() {
            totals.state = TaskState::Running;
        }
        totals
    }

    pub(super) fn ended(&self, end: &exited_record) -> ExitedTask {
        let mut totals = self.totals(&end.task);
        totals.usage.runtime_ns -= self.overshoot_ns(&end.task);
        ExitedTask { ended_ns: self.monotonic_ns(end.task.cpu, end.ended_ns), totals: totals.into() }
    }

    /// A task that waits for its first slice since measuring began.
    pub(super) fn first_wait(&self, id: TaskId, task: &queued_task) -> TaskTotals {
        let mut totals = self.queued_totals(id, task);
        let since_ns = self.monotonic_ns(task.cpu, task.last_queued_ns).max(self.begin_ns);
        if task.last_queued_ns != 0 {
            add_open_wait(&mut totals.usage, self.taken_ns.saturating_sub(since_ns));
        }
        totals
    }

    /// A task of whom the monitor has no record, as the iterator has found it.
    pub(super) fn queued_totals(&self, id: TaskId, task: &queued_task) -> TaskTotals {
        TaskTotals {
            id,
            tgid: task.tgid,
            comm: c_bytes(&task.comm),
            nice: nice_of(task.nice),
            policy: policy(task.policy),
            weight: task.weight,
            tickets_set: None,
            group: group(task.group_kind, task.group_id),
            affinity: affinity(&self.possible, task.pid, task.cpus_low, task.cpus_allowed),
            cpu: task.cpu,
            state: TaskState::Waiting,
            usage: Usage::default(),
        }
    }

    /// What a record says, as it was when its latest slice was closed.
    fn totals(&self, record: &task_record) -> TaskTotals {
        TaskTotals {
            id: identity(record),
            tgid: record.tgid,
            comm: c_bytes(&record.comm),
            nice: nice_of(record.nice.into()),
            policy: policy(record.policy.into()),
            weight: record.weight,
            tickets_set: None,
            group: group(record.group_kind.into(), record.group_id),
            affinity: affinity(&self.possible, record.pid, record.cpus_low, record.cpus_allowed),
            cpu: record.cpu,
            state: if matches!(record.state, WAITING | YIELDED) {
                TaskState::Waiting
            } else {
                TaskState::Sleeping
            },
            usage: Usage {
                runtime_ns: record.runtime_ns,
                wait_ns: record.wait_ns,
                wait_max_ns: record.wait_max_ns,
                waits: record.wait_hist.into(),
                switches: record.switches,
                involuntary: record.involuntary,
                yields: record.yields,
                yielded_ns: record.yielded_ns,
                wakeups: record.wakeups,
                migrations: record.migrations,
                light: false,
            },
        }
    }

    /// Whether these totals, of an earlier instant, are what a record says in which nothing is open now.
    pub(super) fn is_still(&self, record: &task_record, then: &TaskTotals) -> bool {
        // Named one by one, so that a further one is not forgotten here.
        let TaskTotals {
            id,
            tgid,
            comm,
            nice,
            policy: then_policy,
            weight,
            tickets_set,
            group: then_group,
            affinity: then_affinity,
            cpu,
            state,
            usage,
        } = then;
        let Usage {
            runtime_ns,
            wait_ns,
            wait_max_ns,
            waits,
            switches,
            involuntary,
            yields,
            yielded_ns,
            wakeups,
            migrations,
            light,
        } = usage;
        (*switches, *runtime_ns, *wait_ns) == (record.switches, record.runtime_ns, record.wait_ns)
            && *id == identity(record)
            && (*wait_max_ns, *involuntary) == (record.wait_max_ns, record.involuntary)
            && (*yields, *yielded_ns) == (record.yields, record.yielded_ns)
            && (*wakeups, *migrations) == (record.wakeups, record.migrations)
            && (*tgid, *cpu, *weight) == (record.tgid, record.cpu, record.weight)
            && *nice == nice_of(record.nice.into())
            && *then_policy == policy(record.policy.into())
            && *then_group == group(record.group_kind.into(), record.group_id)
            && is_name(comm, &record.comm)
            && waits.is_of(&record.wait_hist)
            && *then_affinity == affinity(&self.possible, record.pid, record.cpus_low, record.cpus_allowed)
            && *state == TaskState::Sleeping
            && tickets_set.is_none()
            && !light
    }

    /// How much of a record's latest slice lies after the instant.
    fn overshoot_ns(&self, record: &task_record) -> u64 {
        let (begin_ns, end_ns) = self.latest_slice(record);
        end_ns.saturating_sub(begin_ns.max(self.taken_ns)).min(record.runtime_ns)
    }
}

/// The task's CPUs: from the record if all of them are among the first 64, or if it may use all; else from
/// the kernel, while the task lives.
pub(super) fn affinity(possible: &CpuSet, pid: u32, low: u64, allowed: u32) -> Option<CpuSet> {
    if low.count_ones() == allowed {
        return Some(CpuSet::from_words(&[low]));
    }
    if possible.len() == allowed as usize {
        return Some(possible.clone());
    }
    if !pids_are_initial() {
        return None; // the number is another task's, for the call
    }
    let mask = sched_getaffinity(Pid::from_raw(i32::try_from(pid).ok()?)).ok()?;
    let cpus = (0..NixCpuSet::count()).filter(|&cpu| mask.is_set(cpu).unwrap_or(false));
    Some(cpus.filter_map(|cpu| u32::try_from(cpu).ok()).collect())
}

/// A wait that has not ended yet, or whose slice has not: it is in no bucket of the histogram before it does.
pub(super) fn add_open_wait(usage: &mut Usage, open_ns: u64) {
    usage.wait_ns += open_ns;
    usage.wait_max_ns = usage.wait_max_ns.max(open_ns);
}

fn nice_of(value: i32) -> Nice {
    Nice::new(value.into()).unwrap_or_default()
}

/// Whether a name is the one in a field of C.
fn is_name(name: &[u8], field: &[i8]) -> bool {
    let length = field.iter().position(|&c| c == 0).unwrap_or(field.len());
    length == name.len() && name.iter().zip(field).all(|(a, b)| *a == b.cast_unsigned())
}

pub(super) fn policy(number: u32) -> Policy {
    u8::try_from(number).map_or(Policy::Unknown(u8::MAX), Policy::from_number)
}

pub(super) fn queued_identity(task: &queued_task) -> TaskId {
    TaskId { pid: task.pid, start_ns: task.start_ns }
}

pub(super) fn monotonic_ns(slot: &cpu_slot, clock_ns: u64) -> u64 {
    clock_ns.wrapping_sub(slot.ref_clock_ns).wrapping_add(slot.ref_mono_ns)
}

pub(super) fn identity(record: &task_record) -> TaskId {
    TaskId { pid: record.pid, start_ns: record.start_ns }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A machine of two CPUs, whose second one runs a task since 20 ms, at 100 ms.
    fn moment(slots: &[cpu_slot; 2]) -> Moment<'_> {
        Moment {
            taken_ns: 100_000_000,
            begin_ns: 0,
            slots,
            online: vec![true; 2],
            possible: CpuSet::default(),
            queued: BTreeMap::new(),
            open: BTreeMap::new(),
        }
        .with_open_slots()
    }

    fn slots() -> [cpu_slot; 2] {
        let idle = cpu_slot { since_ns: 10_000_000, ..cpu_slot::default() };
        [idle, cpu_slot { since_ns: 80_000_000, pid: 7, start_ns: 1, ..idle }]
    }

    /// The task's record, its latest slice on the first CPU, of 5 ms.
    fn record(slice_end_ns: u64) -> task_record {
        task_record {
            pid: 7,
            start_ns: 1,
            runtime_ns: 5_000_000,
            slice_start_ns: slice_end_ns - 5_000_000,
            slice_end_ns,
            state: WAITING,
            ..task_record::default()
        }
    }

    #[test]
    fn an_open_slice_counts_though_the_clocks_of_two_cpus_differ_a_little() {
        let slots = slots();
        for late_ns in [0, 400_000] {
            let totals = moment(&slots).living(&record(80_000_000 + late_ns));
            assert_eq!(totals.usage.runtime_ns, 25_000_000);
            assert_eq!((totals.usage.wait_ns, totals.state), (0, TaskState::Running));
        }
        assert_eq!(moment(&slots).living(&record(78_000_000)).usage.wait_ns, 2_000_000);
    }

    #[test]
    fn of_a_slice_that_ended_after_the_instant_the_end_is_taken_off() {
        let slots = slots();
        let mut later = record(103_000_000);
        assert_eq!(moment(&slots).living(&later).usage.runtime_ns, 2_000_000);
        // It was the slot's.
        later.cpu = 1;
        (later.slice_start_ns, later.runtime_ns) = (80_000_000, 28_000_000);
        assert_eq!(moment(&slots).living(&later).usage.runtime_ns, 25_000_000);
    }

    #[test]
    fn who_slept_at_the_instant_and_since_is_not_looked_at_twice() {
        let slots = slots();
        let mut moment = moment(&slots);
        let asleep = task_record { pid: 8, state: SLEEPING, ..record(90_000_000) };
        assert!(!moment.is_in_doubt(&asleep));
        assert!(moment.is_in_doubt(&task_record { state: WAITING, ..asleep }));
        assert!(moment.is_in_doubt(&task_record { state: MISSTAMPED, ..asleep }));
        assert!(moment.is_in_doubt(&task_record { slice_end_ns: 100_000_001, ..asleep }));
        // The second CPU runs it.
        assert!(moment.is_in_doubt(&task_record { pid: 7, ..asleep }));
        let woken = queued_task { pid: 8, start_ns: 1, ..queued_task::default() };
        moment.queued.insert(queued_identity(&woken), woken);
        assert!(moment.is_in_doubt(&asleep));
    }

    #[test]
    fn an_offline_cpu_runs_nothing_and_idles_not() {
        let slots = slots();
        let mut moment = moment(&slots);
        let books = moment.cpu(1, &slots[1], |_| false);
        assert_eq!((books.busy_ns, books.running.is_some()), (20_000_000, true));
        moment.online = vec![true, false];
        let moment = moment.with_open_slots();
        let books = moment.cpu(1, &slots[1], |_| false);
        assert_eq!((books.busy_ns, books.idle_ns, books.running), (0, 0, None));
        // Whom its slot names does not run there either.
        assert_eq!(moment.living(&record(78_000_000)).usage.runtime_ns, 5_000_000);
        assert_eq!(moment.open_slots().count(), 0);
    }

    #[test]
    fn an_open_slice_counts_as_real_time_if_its_task_is() {
        let slots = slots();
        assert_eq!(moment(&slots).cpu(1, &slots[1], |id| id.pid == 7).unfair_ns, 20_000_000);
        assert_eq!(moment(&slots).cpu(1, &slots[1], |_| false).unfair_ns, 0);
        assert_eq!(moment(&slots).cpu(0, &slots[0], |_| true).unfair_ns, 0);
    }

    /// The task slept since 50 ms.
    fn sleeper() -> task_record {
        task_record { state: 0, run_delay_ns: 9_000_000, ..record(50_000_000) }
    }

    #[test]
    fn who_waits_since_a_wakeup_waits_up_to_the_instant() {
        let idle = [cpu_slot { since_ns: 10_000_000, ..cpu_slot::default() }; 2];
        let mut moment = moment(&idle);
        assert_eq!(moment.living(&sleeper()).usage.wait_ns, 0);
        // Since 70 ms in the second CPU's queue; before that 4 ms in another one's.
        let task = queued_task {
            pid: 7,
            start_ns: 1,
            cpu: 1,
            last_queued_ns: 70_000_000,
            run_delay_ns: 13_000_000,
            ..queued_task::default()
        };
        moment.queued.insert(queued_identity(&task), task);
        let totals = moment.living(&sleeper());
        assert_eq!((totals.usage.wait_ns, totals.usage.wait_max_ns), (34_000_000, 34_000_000));
        assert_eq!((totals.state, totals.usage.runtime_ns), (TaskState::Waiting, 5_000_000));
        // Where the kernel's stamp is false, the wakeup's instant counts.
        let woken = task_record { state: MISSTAMPED, woken_ns: 94_000_000, ..sleeper() };
        assert_eq!(moment.living(&woken).usage.wait_ns, 6_000_000);
        // Without a record it waits as long, but no longer than measuring lasts.
        moment.begin_ns = 90_000_000;
        let first = moment.first_wait(queued_identity(&task), &task);
        assert_eq!((first.usage.wait_ns, first.state, first.cpu), (10_000_000, TaskState::Waiting, 1));
    }

    #[test]
    fn the_wait_before_an_open_slice_is_what_the_kernel_has_booked_since() {
        let slots = slots();
        let mut moment = moment(&slots);
        let task = queued_task {
            pid: 7,
            start_ns: 1,
            on_cpu: 1,
            run_delay_ns: 12_000_000,
            ..queued_task::default()
        };
        moment.queued.insert(queued_identity(&task), task);
        let totals = moment.living(&sleeper());
        assert_eq!((totals.usage.wait_ns, totals.usage.runtime_ns), (3_000_000, 25_000_000));
        let woken = task_record { state: MISSTAMPED, woken_ns: 79_000_000, ..sleeper() };
        assert_eq!(moment.living(&woken).usage.wait_ns, 1_000_000);
    }

    #[test]
    fn who_may_use_all_of_many_cpus_is_known_without_a_call() {
        let slots = slots();
        let mut moment = moment(&slots);
        moment.possible = (0..130).collect();
        // No process has this pid, so the kernel has no answer.
        assert_eq!(affinity(&moment.possible, u32::MAX, u64::MAX, 130), Some((0..130).collect()));
        assert_eq!(affinity(&moment.possible, u32::MAX, u64::MAX, 129), None);
        assert_eq!(affinity(&moment.possible, u32::MAX, 5, 2), Some(CpuSet::from_words(&[5])));
    }
}
