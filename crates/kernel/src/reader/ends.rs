//! The ends that are remembered, from the rings of all CPUs. A ring is soon full, and of thousands of ends a
//! few are new at each reading: those that the reading before has found whole are not read again.

use super::moment::Moment;
use crate::batch::each_value_of;
use crate::ended;
use crate::error::{Error, Result};
use crate::pins::companion;
use crate::wire::{Wire as _, cpu_slot, exited_record, task_record};
use libbpf_rs::{MapCore as _, MapFlags, MapHandle};
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::io;
use tombola_core::snapshot::ExitedTask;

/// Ends that are looked for beyond those that a CPU had counted just before: so many do not come in the time
/// of a system call.
const MORE_ENDS: usize = 64;

/// `TASK_LEFT` in `bpf/wire.h`.
const LEFT: u8 = 2;

/// Where they are.
pub(super) struct Ends {
    map: MapHandle,
    /// The binary logarithm of the length of a ring.
    ring_bits: u32,
    past: RefCell<Past>,
}

/// An end that is remembered.
#[derive(Clone)]
pub(super) struct End {
    /// On whose ring it is.
    pub(super) cpu: usize,
    /// Its number there.
    pub(super) number: u64,
    pub(super) exec_tid: u32,
    /// Whether it is a task's end: not the last slice of a leader whose PID goes on with another thread.
    pub(super) is_final: bool,
    pub(super) task: ExitedTask,
    /// Of an end that may lie after the instant.
    pub(super) record: Option<Box<task_record>>,
}

/// Ends that need not be read again.
#[derive(Default)]
struct Past {
    /// Of each CPU, up to which number all that are remembered are known.
    known: Vec<u64>,
    ends: Vec<End>,
}

impl Ends {
    pub(super) fn of(map: MapHandle, ring_bits: u32) -> Self {
        Self { map, ring_bits, past: RefCell::default() }
    }

    /// Ends that are remembered: those that the reading before has found, and those since. What was read
    /// whole, and lay before the instant, never changes.
    pub(super) fn read(
        &self,
        moment: &Moment<'_>,
        slots: impl Fn() -> Result<Vec<cpu_slot>>,
    ) -> Result<Vec<End>> {
        let length = 1u64 << self.ring_bits;
        let mut past = self.past.borrow_mut();
        let known = past.known.clone();
        let is_remembered = |end: &End| {
            moment.slots.get(end.cpu).is_some_and(|slot| end.number.saturating_add(length) > slot.exits)
        };
        past.ends.retain(is_remembered);
        let mut ends = past.ends.clone();
        for (index, record) in self.whole(moment, &known, slots)? {
            let end = End {
                cpu: index >> self.ring_bits,
                number: record.number,
                exec_tid: record.task.exec_tid,
                is_final: record.task.state != LEFT,
                task: moment.ended(&record),
                record: Some(record.task.into()),
            };
            ends.push(end);
        }
        let fresh = ends.split_off(past.ends.len());
        past.known = (0..moment.slots.len())
            .map(|cpu| {
                let slot = &moment.slots[cpu];
                let is_settled = |end: &&End| {
                    end.cpu == cpu && end.number <= slot.exits && end.task.ended_ns <= moment.taken_ns
                };
                let settled: BTreeSet<u64> = fresh.iter().filter(is_settled).map(|end| end.number).collect();
                let mut known = known.get(cpu).copied().unwrap_or(0).max(slot.exits.saturating_sub(length));
                while settled.contains(&(known + 1)) {
                    known += 1;
                }
                known
            })
            .collect();
        let is_known = |end: &&End| past.known.get(end.cpu).is_some_and(|known| end.number <= *known);
        let kept: Vec<End> =
            fresh.iter().filter(is_known).map(|end| End { record: None, ..end.clone() }).collect();
        past.ends.extend(kept);
        ends.extend(fresh);
        Ok(ends)
    }

    /// Records of tasks that ended after those of each CPU that are `known`, each with its place in the map.
    /// Who is just being written is left out: it is still among the living.
    fn whole(
        &self,
        moment: &Moment<'_>,
        known: &[u64],
        slots: impl Fn() -> Result<Vec<cpu_slot>>,
    ) -> Result<Vec<(usize, exited_record)>> {
        let mut ends = Vec::new();
        let length = 1usize << self.ring_bits;
        for (cpu, slot) in slots()?.iter().enumerate() {
            let known = known.get(cpu).copied().unwrap_or(0);
            // What this CPU has written since its slot was read, a moment ago, may be a few more.
            let more = usize::try_from(slot.exits.saturating_sub(known)).unwrap_or(usize::MAX);
            let count = more.saturating_add(MORE_ENDS).min(length);
            let first = cpu << self.ring_bits;
            let begin = usize::try_from(known).unwrap_or(0) & (length - 1);
            // Round the end of the ring, and on from its begin.
            for (from, count) in
                [(begin, count.min(length - begin)), (0, count.saturating_sub(length - begin))]
            {
                let mut index = first + from;
                let take = |end: &exited_record| {
                    if end.number > known && end.number == end.begun {
                        ends.push((index, *end));
                    }
                    index += 1;
                };
                each_value_of(&self.map, u32::try_from(first + from).unwrap_or(u32::MAX), count, take)?;
            }
        }
        ended::look_again();
        let now = slots()?;
        let mut whole = Vec::with_capacity(ends.len());
        for (index, end) in ends {
            let cpu = index >> self.ring_bits;
            let exits = |slots: &[cpu_slot]| slots.get(cpu).map_or(u64::MAX, |slot| slot.exits);
            if !ended::is_in_doubt(end.number, 1 << self.ring_bits, exits(moment.slots), exits(&now)) {
                whole.push((index, end));
            } else if let Some(end) = ended::whole(end, || self.at(index))? {
                whole.push((index, end));
            }
        }
        Ok(whole)
    }

    fn at(&self, index: usize) -> Result<Option<exited_record>> {
        let key = u32::try_from(index).unwrap_or(u32::MAX).to_ne_bytes();
        let value = self.map.lookup(&key, MapFlags::ANY).map_err(|error| Error::ReadMap {
            map: companion::EXITED_MAP.into(),
            reason: io::Error::other(error),
        })?;
        Ok(value.and_then(|bytes| exited_record::read(&bytes)))
    }
}
