//! Emptying one CPU's lane, with the notes of that CPU in their places.

use super::mapping::Lanes;
use super::notes::{known, name_now};
use super::recorded::{Recorded, What};
use super::timeline::Timeline;
use crate::wire::{record, task_note};
use std::collections::VecDeque;

// enum record_kind, enum record_flag and enum note_kind in bpf/recorder_wire.h.
const SWITCH: u8 = 1;
const WAKING: u8 = 2;
const NEW: u8 = 3;
const MIGRATE: u8 = 4;
const PAIR: u8 = 5;
const LOSS: u8 = 6;
const LOSS_END: u8 = 7;
const STOP: u8 = 8;
const PREEMPTED: u8 = 1;
const MONOTONIC: u8 = 2;
const CONTEXT: u8 = 4;
const INTERRUPT: u8 = 8;
const YIELDED: u8 = 16;
const NO_CPU: u16 = 0xffff;
const FORK: u32 = 1;
const EXEC: u32 = 2;
const EXIT: u32 = 3;
const RENAME: u32 = 4;

/// How far ahead the next switch is looked for. Where more wakes than that follow each other, a switch may be
/// found to be too early.
const LOOK_AHEAD: u64 = 64;

/// A CPU as the reader knows it.
#[derive(Debug, Default)]
pub(super) struct Lane {
    pub(super) timeline: Timeline,
    /// Notes whose place was not reached yet.
    notes: VecDeque<task_note>,
    /// A loss whose end comes next: number, first instant.
    loss: Option<(u64, u64)>,
    /// Events handed over.
    pub(super) written: u64,
}

impl Lane {
    /// Of a recording that begins then.
    pub(super) fn new(begin_ns: u64) -> Self {
        Self { timeline: Timeline::new(begin_ns), ..Self::default() }
    }

    /// Takes a note of this CPU, in order.
    pub(super) fn note(&mut self, note: task_note) {
        self.notes.push_back(note);
    }

    /// Hands over what the lane holds up to `head`, gives its slots back, and says how many records there
    /// were. What came after the last switch stays for the next time, unless `all` is wanted or there is no
    /// switch: its time may depend on the switch that comes.
    pub(super) fn drain(
        &mut self,
        lanes: &Lanes,
        cpu: u32,
        head: u64,
        all: bool,
        take: &mut dyn FnMut(Recorded),
    ) -> u64 {
        let tail = lanes.tail(cpu);
        let last_switch = (tail..head).rev().find(|at| lanes.record(cpu, *at).kind == SWITCH);
        let head = last_switch.filter(|_| !all).map_or(head, |at| at + 1);
        if !self.timeline.is_tied() {
            let pairs = (tail..head).map(|at| lanes.record(cpu, at)).filter(|rec| rec.kind == PAIR);
            self.timeline.tie(pairs.map(|rec| (rec.ts_ns, wide(&rec))));
        }
        for at in tail..head {
            self.notes_before(lanes, cpu, at, head, take);
            let rec = lanes.record(cpu, at);
            self.one(lanes, cpu, at, head, &rec, take);
        }
        self.notes_before(lanes, cpu, head, head, take);
        lanes.release(cpu, head);
        head - tail
    }

    fn one(
        &mut self,
        lanes: &Lanes,
        cpu: u32,
        at: u64,
        head: u64,
        rec: &record,
        take: &mut dyn FnMut(Recorded),
    ) {
        if rec.kind == PAIR {
            return self.timeline.pair(rec.ts_ns, wide(rec));
        }
        let ts_ns = if rec.flags & MONOTONIC == 0 {
            self.timeline.of_clock(rec.ts_ns)
        } else {
            self.timeline.of_monotonic(rec.ts_ns, next_switch(lanes, cpu, at + 1, head))
        };
        let what = match rec.kind {
            SWITCH => What::Switch {
                prev: rec.a,
                prev_prio: prio(rec.prio_a),
                state: rec.x,
                preempted: rec.flags & PREEMPTED != 0,
                yielded: rec.flags & YIELDED != 0,
                next: rec.b,
                next_prio: prio(rec.prio_b),
            },
            WAKING | NEW => What::Wake {
                wakee: rec.a,
                prio: prio(rec.prio_a),
                waker: rec.b,
                interrupt: (rec.flags & CONTEXT != 0).then_some(rec.flags & INTERRUPT != 0),
                target: place(rec.x),
                new: rec.kind == NEW,
            },
            MIGRATE => {
                What::Migrate { pid: rec.a, prio: prio(rec.prio_a), from: place(rec.x), to: rec.y.into() }
            }
            LOSS => {
                self.loss = Some((wide(rec), ts_ns));
                return;
            }
            LOSS_END => {
                if let Some((count, from_ns)) = self.loss.take() {
                    take(Recorded { ts_ns, cpu, what: What::Loss { count, from_ns } });
                }
                return;
            }
            STOP => {
                let ns = u64::from(rec.x) << 32 | u64::from(rec.a);
                return take(Recorded { ts_ns, cpu, what: What::Throttled { pid: rec.b, ns } });
            }
            // No program writes another.
            _ => return,
        };
        self.written += 1;
        take(Recorded { ts_ns, cpu, what });
    }

    /// Hands over the notes that were taken before record `at`.
    fn notes_before(&mut self, lanes: &Lanes, cpu: u32, at: u64, head: u64, take: &mut dyn FnMut(Recorded)) {
        while self.notes.front().is_some_and(|note| note.after <= at) {
            let Some(note) = self.notes.pop_front() else { return };
            let mut task = Box::new(known(&note));
            let what = match note.kind {
                FORK => What::Fork { parent: note.other, child: task },
                EXEC => What::Exec { task, old_pid: note.other },
                EXIT => What::Exit { task },
                RENAME => {
                    // A later note of the same task may know it, of one that lives procfs does.
                    let later = self
                        .notes
                        .iter()
                        .find(|later| later.pid == note.pid && later.start_ns == note.start_ns);
                    let name = match later {
                        Some(later) => Some(known(later).comm),
                        None => name_now(note.pid),
                    };
                    task.comm = name.unwrap_or(task.comm);
                    What::Rename { task }
                }
                _ => continue,
            };
            let ts_ns = self.timeline.of_monotonic(note.ts_ns, next_switch(lanes, cpu, at, head));
            self.written += 1;
            take(Recorded { ts_ns, cpu, what });
        }
    }

    /// The losses that the lane did not tell of before it ended.
    pub(super) fn last_loss(&mut self, lanes: &Lanes, cpu: u32, take: &mut dyn FnMut(Recorded)) {
        let lane = lanes.look(cpu);
        let count = lane.lost - lane.lost_told;
        if count == 0 {
            return;
        }
        let mut on_line = |ts_ns: u64, flags: u32| {
            if flags & u32::from(MONOTONIC) == 0 {
                self.timeline.of_clock(ts_ns)
            } else {
                self.timeline.of_monotonic(ts_ns, None)
            }
        };
        let from_ns = on_line(lane.lost_first_ns, lane.lost_first_flags);
        let ts_ns = on_line(lane.lost_last_ns, lane.lost_last_flags);
        take(Recorded { ts_ns, cpu, what: What::Loss { count, from_ns } });
    }
}

/// The CPU's clock at the next switch from record `at` on, if it comes soon.
fn next_switch(lanes: &Lanes, cpu: u32, at: u64, head: u64) -> Option<u64> {
    let ahead = (at..head.min(at + LOOK_AHEAD)).map(|at| lanes.record(cpu, at));
    ahead.filter(|next| next.kind == SWITCH).map(|next| next.ts_ns).next()
}

/// The two halves of a record as one number.
fn wide(rec: &record) -> u64 {
    u64::from(rec.b) << 32 | u64::from(rec.a)
}

/// A priority as it was before it was put into 8 bits: −1 is the only one below 0.
fn prio(stored: i8) -> i32 {
    if stored < -1 { i32::from(stored) + 256 } else { stored.into() }
}

fn place(cpu: u16) -> Option<u32> {
    (cpu != NO_CPU).then_some(cpu.into())
}
