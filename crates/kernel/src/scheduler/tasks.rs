//! What a running scheduler says of itself and of its tasks, as core types.

use crate::group_totals::group;
use crate::wire::{account, c_bytes, tally, task_line};
use tombola_core::identity::TaskId;
use tombola_core::policy::Policy;
use tombola_core::snapshot::Group;
use tombola_core::tally::{Returns, Tally};

/// The scheduler as a whole, since it started.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Totals {
    /// When it started, ns of `CLOCK_MONOTONIC`.
    pub begin_ns: u64,
    /// Draws: decisions in which at least two tasks competed.
    pub draws: u64,
    /// Draws in which the task whose slice was over competed.
    pub returns: Returns,
    /// Tasks that waited longer than the guard's bound, and so went first.
    pub guarded: u64,
    /// Slices that began at once, on an idle CPU.
    pub idle: u64,
    /// Slices of kernel threads that belong to one CPU: outside the lottery.
    pub kernel: u64,
    /// Times a task found no room for its group or its CPUs, and queued without a draw.
    pub overflow: u64,
    /// Draws whose winner the kernel took before it ran, to move or to change it: they count, and another
    /// draw followed.
    pub redrawn: u64,
    /// Slices ended by the scheduler's own timer, in contrast to the kernel's tick.
    pub cut: u64,
    /// Tasks that ended.
    pub ended: u64,
    /// What those came to.
    pub of_ended: Tally,
}

/// A task and its tickets.
#[derive(Clone, Debug, PartialEq)]
pub struct ScheduledTask {
    /// Who.
    pub id: TaskId,
    /// Its process.
    pub tgid: u32,
    /// Its name, as it chose it: any bytes.
    pub comm: Vec<u8>,
    /// Nice value.
    pub nice: i8,
    /// Policy.
    pub policy: Policy,
    /// Its group, whose currency its tickets are in.
    pub group: Group,
    /// Tickets.
    pub tickets: u32,
    /// Whether a user set them; else they follow from the nice value.
    pub explicit: bool,
    /// Whether it is runnable now.
    pub runnable: bool,
    /// What its draws came to.
    pub tally: Tally,
}

/// Chances come in units of 2⁻³² (`CHANCE_UNIT`).
fn chances(sum: u64) -> f64 {
    sum as f64 / (1u64 << 32) as f64
}

fn tally_of(from: &tally) -> Tally {
    Tally {
        wins: from.wins,
        expected: chances(from.expected),
        variance: chances(from.variance),
        undrawn: from.undrawn,
        slices: from.slices,
        used_ns: from.used_ns,
    }
}

pub(super) fn totals_of(account: &account) -> Totals {
    let t = &account.totals;
    Totals {
        begin_ns: account.begin_ns,
        draws: t.draws,
        returns: Returns {
            draws: t.returns,
            wins: t.return_wins,
            expected: chances(t.return_expected),
            variance: chances(t.return_variance),
        },
        guarded: t.guarded,
        idle: t.idle,
        kernel: t.kernel,
        overflow: t.overflow,
        redrawn: t.redrawn,
        cut: t.cut,
        ended: t.ended,
        of_ended: tally_of(&t.of_ended),
    }
}

pub(super) fn task_of(line: &task_line) -> ScheduledTask {
    ScheduledTask {
        id: TaskId { pid: line.pid, start_ns: line.start_ns },
        tgid: line.tgid,
        comm: c_bytes(&line.comm),
        nice: i8::try_from(line.nice).unwrap_or(0),
        policy: Policy::from_number(u8::try_from(line.policy).unwrap_or(u8::MAX)),
        group: group(line.group_kind, line.group_id),
        tickets: line.tickets,
        explicit: line.explicit_tickets != 0,
        runnable: line.runnable != 0,
        tally: tally_of(&line.tally),
    }
}
