//! The tasks that live, from their records. Of tens of thousands most sleep: who is as in the reading before
//! keeps the totals that were made of it then, for which nothing is allocated and nothing is put in order.
//!
//! Whether it is, is asked of all that its totals are made of, not of an instant or a number that would have
//! to change with them: a record may be changed by a switch, a wakeup or an `execve`, and its place may be
//! another task's by now.

use super::moment::{Moment, identity};
use crate::wire::task_record;
use tombola_core::identity::TaskId;
use tombola_core::shared::Shared;
use tombola_core::snapshot::TaskTotals;

/// A task that lives, and what tells whether an end is its own.
#[derive(Clone)]
pub(super) struct LivingTask {
    id: TaskId,
    pub(super) totals: Shared<TaskTotals>,
    pub(super) exec_tid: u32,
    /// When its latest closed slice ended, on the monotonic clock.
    pub(super) slice_end_ns: u64,
}

impl LivingTask {
    pub(super) fn of(moment: &Moment<'_>, record: &task_record) -> Self {
        Self {
            id: identity(record),
            totals: moment.living(record).into(),
            exec_tid: record.exec_tid,
            slice_end_ns: moment.latest_slice(record).1,
        }
    }
}

/// Tasks that live, ordered by identity, no identity twice.
#[derive(Clone, Default)]
pub(super) struct Living(Vec<LivingTask>);

impl Living {
    fn place(&self, id: TaskId) -> Result<usize, usize> {
        self.0.binary_search_by_key(&id, |task| task.id)
    }

    /// Adds a task, or takes it for the one of this identity.
    pub(super) fn insert(&mut self, task: LivingTask) {
        match self.place(task.id) {
            Ok(at) => self.0[at] = task,
            Err(at) => self.0.insert(at, task),
        }
    }

    pub(super) fn remove_if(&mut self, id: TaskId, is_gone: impl Fn(&LivingTask) -> bool) {
        if let Ok(at) = self.place(id)
            && is_gone(&self.0[at])
        {
            self.0.remove(at);
        }
    }

    /// Their totals, in their order.
    pub(super) fn totals(&self) -> Vec<Shared<TaskTotals>> {
        self.0.iter().map(|task| task.totals.clone()).collect()
    }
}

/// Records as they are read, beside the tasks of the reading before.
pub(super) struct Gathering<'m, 's> {
    moment: &'m Moment<'s>,
    past: Vec<LivingTask>,
    /// Of each of these, whether it is as it was.
    unchanged: Vec<bool>,
    /// Where the next record's task is likely to stand: records of tasks that were born one after the other
    /// often lie so.
    next: usize,
    others: Vec<LivingTask>,
}

impl<'m, 's> Gathering<'m, 's> {
    pub(super) fn new(moment: &'m Moment<'s>, past: Living) -> Self {
        let unchanged = vec![false; past.0.len()];
        Self { moment, past: past.0, unchanged, next: 0, others: Vec::new() }
    }

    /// Takes a record in which nothing is open at the instant.
    pub(super) fn take(&mut self, record: &task_record) {
        if let Some(at) = self.find(identity(record))
            && self.moment.is_still(record, &self.past[at].totals)
        {
            let task = &mut self.past[at];
            task.exec_tid = record.exec_tid;
            task.slice_end_ns = self.moment.latest_slice(record).1;
            self.unchanged[at] = true;
        } else {
            self.take_anew(record);
        }
    }

    /// Takes any other one.
    pub(super) fn take_anew(&mut self, record: &task_record) {
        self.others.push(LivingTask::of(self.moment, record));
    }

    fn find(&mut self, id: TaskId) -> Option<usize> {
        let is_next = self.past.get(self.next).is_some_and(|task| task.id == id);
        let found = if is_next { Ok(self.next) } else { self.past.binary_search_by_key(&id, |task| task.id) };
        self.next = found.map_or_else(|at| at, |at| at + 1);
        found.ok()
    }

    /// Everybody. Who is moved in a map by an insert of the same key may have been seen twice: the later one
    /// counts, and it is the changed one.
    pub(super) fn finish(self) -> Living {
        let mut others = self.others;
        others.reverse();
        others.sort_by_key(|task| task.id);
        others.dedup_by_key(|task| task.id);
        let mut tasks = Vec::with_capacity(self.past.len() + others.len());
        let mut unchanged =
            self.past.into_iter().zip(self.unchanged).filter(|(_, is)| *is).map(|(task, _)| task).peekable();
        for task in others {
            while let Some(before) = unchanged.next_if(|before| before.id < task.id) {
                tasks.push(before);
            }
            let _ = unchanged.next_if(|same| same.id == task.id);
            tasks.push(task);
        }
        tasks.extend(unchanged);
        Living(tasks)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{cpu_slot, queued_task};
    use rand::seq::{IndexedMutRandom as _, IndexedRandom as _};
    use rand::{RngExt as _, SeedableRng as _};
    use rand_chacha::ChaCha8Rng;
    use std::collections::BTreeMap;
    use tombola_core::cpu_set::CpuSet;

    fn moment<'s>(taken_ns: u64, slots: &'s [cpu_slot], queued: &[queued_task]) -> Moment<'s> {
        let identity = |task: &queued_task| TaskId { pid: task.pid, start_ns: task.start_ns };
        Moment {
            taken_ns,
            begin_ns: 0,
            slots,
            online: vec![true; slots.len()],
            possible: (0..4).collect(),
            queued: queued.iter().map(|task| (identity(task), *task)).collect(),
            open: BTreeMap::new(),
        }
        .with_open_slots()
    }

    fn born(pid: u32, now_ns: u64, random: &mut ChaCha8Rng) -> task_record {
        let mut record = task_record {
            pid,
            tgid: pid,
            start_ns: now_ns,
            slice_end_ns: now_ns,
            cpus_low: 0b1111,
            cpus_allowed: 4,
            ..task_record::default()
        };
        record.comm[0] = random.random_range(97..100);
        record
    }

    /// What may become of a record between two readings, with a slice and without one.
    fn change(record: &mut task_record, now_ns: u64, random: &mut ChaCha8Rng) {
        match random.random_range(0..16) {
            0 => record.nice = random.random_range(-20..20),
            1 => record.weight = random.random_range(1..2000),
            2 => record.policy = random.random_range(0..8),
            3 => {
                (record.group_kind, record.group_id) = (random.random_range(0..3), random.random_range(0..3));
            }
            4 => record.comm[random.random_range(1..16)] = random.random_range(0..2),
            5 => {
                record.cpus_low = random.random_range(1..16);
                record.cpus_allowed = record.cpus_low.count_ones();
            }
            // It has taken over its leader's PID, and with it the books of its leader.
            6 => (record.exec_tid, record.tgid) = (record.pid, random.random_range(1..40)),
            7 => record.runtime_ns += 1,
            8 => record.wait_ns += 1,
            9 => record.wait_max_ns += 1,
            10 => record.wait_hist[random.random_range(0..24)] += 1,
            11 => (record.yields, record.yielded_ns) = (record.yields + 1, record.yielded_ns + 1),
            12 => record.wakeups += 1,
            13 => record.migrations += 1,
            14 => (record.cpu, record.involuntary) = (random.random_range(0..2), record.involuntary + 1),
            _ => {
                record.switches += 1;
                (record.slice_start_ns, record.slice_end_ns) = (now_ns - 1, now_ns);
                record.runtime_ns += 1;
                record.state = [0, 0, 0, 1, 4][random.random_range(0..5)];
            }
        }
    }

    fn gathered(moment: &Moment<'_>, past: Living, records: &[task_record]) -> Living {
        let mut tasks = Gathering::new(moment, past);
        for record in records {
            if moment.is_in_doubt(record) { tasks.take_anew(record) } else { tasks.take(record) }
        }
        tasks.finish()
    }

    fn told(living: &Living) -> Vec<(TaskId, TaskTotals, u32, u64)> {
        let told = |task: &LivingTask| (task.id, (*task.totals).clone(), task.exec_tid, task.slice_end_ns);
        living.0.iter().map(told).collect()
    }

    /// Tasks are born, end, run, wait, change in any one thing and are seen twice, under PIDs that are used
    /// again: who is read beside the reading before is as who is read for the first time.
    #[test]
    fn what_is_kept_is_what_a_first_reading_would_find() {
        let mut random = ChaCha8Rng::seed_from_u64(5);
        let (mut kept, mut made) = (0, 0);
        for _ in 0..200 {
            let mut records: Vec<task_record> = Vec::new();
            let mut past = Living::default();
            for reading in 1..12u64 {
                let now_ns = 1000 * reading;
                records.retain(|_| random.random_range(0..10) > 0);
                for _ in 0..random.random_range(0..12) {
                    let pid = random.random_range(1..40);
                    if records.iter().all(|record| record.pid != pid) {
                        let at = random.random_range(0..=records.len());
                        records.insert(at, born(pid, now_ns - 500, &mut random));
                    }
                }
                for record in &mut records {
                    if random.random_range(0..4) == 0 {
                        change(record, now_ns - random.random_range(0..200), &mut random);
                    }
                }
                let mut slots = [cpu_slot { since_ns: now_ns - 1, ..cpu_slot::default() }; 2];
                let mut queued = Vec::new();
                if let Some(record) = records.choose(&mut random) {
                    (slots[0].pid, slots[0].start_ns) = (record.pid, record.start_ns);
                }
                if let Some(&task_record { pid, start_ns, .. }) = records.choose(&mut random) {
                    queued.push(queued_task { pid, start_ns, nice: 3, ..queued_task::default() });
                }
                let moment = moment(now_ns, &slots, &queued);
                let mut read = records.clone();
                // Moved in its map between two batches, it is read before and after a slice.
                if let Some(record) = records.choose_mut(&mut random) {
                    record.switches += 1;
                    read.push(*record);
                }
                let first = gathered(&moment, Living::default(), &read);
                let beside = gathered(&moment, past.clone(), &read);
                for (beside, first) in told(&beside).iter().zip(told(&first)) {
                    assert_eq!(*beside, first);
                }
                assert_eq!(beside.0.len(), first.0.len());
                for task in &beside.0 {
                    let is_same = |then: &LivingTask| then.totals.is_one(&task.totals);
                    if past.0.iter().any(is_same) { kept += 1 } else { made += 1 }
                }
                past = beside;
            }
        }
        // The test is one of both.
        assert!(kept > 5_000 && made > 5_000, "{kept} {made}");
    }

    /// An affinity that a record does not hold in full is asked of the kernel at each reading.
    #[test]
    fn who_may_use_cpus_beyond_the_record_is_not_kept_unasked() {
        let mut random = ChaCha8Rng::seed_from_u64(5);
        let slots = [cpu_slot::default()];
        let mut moment = moment(1000, &slots, &[]);
        moment.possible = (0..130).collect();
        let mut record = born(u32::MAX, 500, &mut random);
        (record.cpus_low, record.cpus_allowed) = (u64::MAX, 130);
        let first = gathered(&moment, Living::default(), &[record]);
        assert_eq!(first.0[0].totals.affinity, Some((0..130).collect::<CpuSet>()));
        record.cpus_allowed = 129;
        // No process has this PID, so the kernel has no answer.
        assert_eq!(gathered(&moment, first, &[record]).0[0].totals.affinity, None);
    }
}
