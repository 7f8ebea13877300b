//! Notes of what tasks are and what became of them: from the ring, and from the iterator over all tasks.

use crate::error::{Error, Result, os_error};
use crate::group_totals::group;
use crate::initial_pids::pids_are_initial;
use crate::recorder::recorded::{Known, Recorded, What};
use crate::wire::{Wire as _, c_bytes, task_note};
use libbpf_rs::{Iter, Link, MapHandle, RingBuffer, RingBufferBuilder};
use nix::sched::{CpuSet as NixCpuSet, sched_getaffinity};
use nix::unistd::Pid;
use std::cell::RefCell;
use std::fs;
use std::io::Read as _;
use std::rc::Rc;
use tombola_core::cpu_set::CpuSet;
use tombola_core::identity::TaskId;
use tombola_core::reservation::Reservation;

/// The ring of notes.
pub(super) struct Notes {
    ring: RingBuffer<'static>,
    taken: Rc<RefCell<Vec<task_note>>>,
}

impl Notes {
    pub(super) fn new(map: &MapHandle) -> Result<Self> {
        let failed = |e: libbpf_rs::Error| Error::ReadMap { map: "note_map".into(), reason: os_error(&e) };
        let taken = Rc::new(RefCell::new(Vec::new()));
        let into = Rc::clone(&taken);
        let mut builder = RingBufferBuilder::new();
        builder
            .add(map, move |bytes| {
                into.borrow_mut().extend(task_note::read(bytes));
                0
            })
            .map_err(failed)?;
        Ok(Self { ring: builder.build().map_err(failed)?, taken })
    }

    /// All that are there, in the order in which they were begun.
    pub(super) fn take(&self) -> Result<Vec<task_note>> {
        let failed = |e: libbpf_rs::Error| Error::ReadMap { map: "note_map".into(), reason: os_error(&e) };
        self.ring.consume().map_err(failed)?;
        Ok(std::mem::take(&mut *self.taken.borrow_mut()))
    }
}

/// What every task is like now.
pub(super) fn each_task(link: &Link) -> Result<Vec<task_note>> {
    let failed = |reason| Error::ReadMap { map: "tasks (iterator)".into(), reason };
    let mut bytes = Vec::new();
    let mut iterator = Iter::new(link).map_err(|e| failed(os_error(&e)))?;
    iterator.read_to_end(&mut bytes).map_err(failed)?;
    Ok(bytes.chunks_exact(size_of::<task_note>()).filter_map(task_note::read).collect())
}

/// What the note says of its task.
pub(super) fn known(note: &task_note) -> Known {
    Known {
        id: TaskId { pid: note.pid, start_ns: note.start_ns },
        tgid: note.tgid,
        comm: c_bytes(&note.comm),
        prio: note.prio,
        nice: note.nice,
        weight: note.weight,
        policy: note.policy,
        group: group(note.group_kind, note.group_id),
        affinity: affinity(note),
        reservation: (note.dl_period_ns > 0).then_some(Reservation {
            runtime_ns: note.dl_runtime_ns,
            deadline_ns: note.dl_deadline_ns,
            period_ns: note.dl_period_ns,
        }),
    }
}

/// What the note of the iterator says of its task's sleep; `None` where it does not sleep.
pub(super) fn asleep(note: &task_note, drift_ns: u64) -> Option<Recorded> {
    let state = u16::try_from(note.asleep).ok().filter(|state| *state != 0)?;
    let what = What::Asleep { pid: note.pid, state };
    Some(Recorded { ts_ns: note.ts_ns.wrapping_sub(drift_ns), cpu: 0, what })
}

/// The name of a thread now, if it lives and is the same, and this process counts as the kernel does.
pub(super) fn name_now(pid: u32) -> Option<Vec<u8>> {
    if !pids_are_initial() {
        return None;
    }
    let mut name = fs::read(format!("/proc/{pid}/comm")).ok()?;
    name.pop_if(|last| *last == b'\n');
    (!name.is_empty()).then_some(name)
}

fn affinity(note: &task_note) -> Option<CpuSet> {
    if note.cpus_low.count_ones() == note.cpus_allowed {
        return Some(CpuSet::from_words(&[note.cpus_low]));
    }
    if !pids_are_initial() {
        return None; // the number is another task's, for the call
    }
    let mask = sched_getaffinity(Pid::from_raw(i32::try_from(note.pid).ok()?)).ok()?;
    let cpus = (0..NixCpuSet::count()).filter(|&cpu| mask.is_set(cpu).unwrap_or(false));
    Some(cpus.filter_map(|cpu| u32::try_from(cpu).ok()).collect())
}
