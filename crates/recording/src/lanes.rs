//! Who ran where, CPU by CPU, in a bounded number of pieces, however long the recording is.
//!
//! Each CPU has a lane. While it has few slices they are kept as they are. Beyond that a lane is a row of
//! cells of equal length, which are put together by two whenever the recording grows beyond them; what a cell
//! held is kept by task. So memory is bounded without knowing the length first, and a piece that holds
//! several slices says who had most of it, and how much.

use crate::comm::Comm;
use crate::fact::Fact;
use crate::interval::{CpuInterval, Interval, What};
use crate::normaliser::Normaliser;
use std::collections::{BTreeMap, BTreeSet};
use tombola_core::identity::TaskId;

/// Length of a cell at the begin, ns.
const CELL_NS: u64 = 1_000;

/// Tasks that a cell tells apart once it was put together of two.
const APART: usize = 8;

/// Whom a piece belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Holder {
    /// A task.
    Task(TaskId),
    /// Tasks that are not told apart any more.
    Others,
    /// Nobody knows.
    Unknown,
    /// Nobody: the CPU idled.
    Idle,
}

/// A stretch of a lane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Begin, ns since that of the lanes.
    pub from_ns: u64,
    /// End.
    pub to_ns: u64,
    /// Who had most of the time in which the CPU did not idle; [`Holder::Idle`] where it did all the time.
    pub holder: Holder,
    /// How much of it that was.
    pub held_ns: u64,
    /// How much of it the CPU did not idle.
    pub busy_ns: u64,
    /// Whether it is one slice, and not several put together.
    pub is_exact: bool,
}

/// The lanes of all CPUs.
#[derive(Debug)]
pub struct Lanes {
    begin_ns: u64,
    end_ns: u64,
    most: usize,
    cell_ns: u64,
    by_cpu: BTreeMap<u32, Lane>,
    names: BTreeMap<TaskId, Comm>,
    ran: BTreeMap<TaskId, u64>,
}

#[derive(Debug, Default)]
struct Lane {
    cells: Vec<BTreeMap<Holder, u64>>,
    /// Slices in the order of their ends; `None` since there were too many.
    slices: Option<Vec<(u64, u64, Holder)>>,
}

impl Lanes {
    /// Lanes from one instant to another, on the clock of the events, with at most `most` pieces each.
    pub fn new(begin_ns: u64, end_ns: u64, most: usize) -> Self {
        Self {
            begin_ns,
            end_ns,
            most: most.max(2),
            cell_ns: CELL_NS,
            by_cpu: BTreeMap::new(),
            names: BTreeMap::new(),
            ran: BTreeMap::new(),
        }
    }

    /// Takes what the normaliser has found out.
    pub fn fact(&mut self, fact: &Fact, normaliser: &Normaliser) {
        match fact {
            Fact::Task(Interval { task, from_ns, to_ns, what: What::Running { cpu, .. }, .. }) => {
                if self.add(*cpu, *from_ns, *to_ns, Holder::Task(*task))
                    && let Some(life) = normaliser.life(task.pid).filter(|life| life.id == *task)
                {
                    self.names.insert(*task, life.attributes.comm);
                }
            }
            Fact::Ended { life, .. } => {
                // It is no life of the normaliser's any more.
                if self.ran.contains_key(&life.id) {
                    self.names.insert(life.id, life.attributes.comm);
                }
            }
            Fact::Cpu(CpuInterval { cpu, from_ns, to_ns, doubt }) => {
                let holder = if doubt.is_some() { Holder::Unknown } else { Holder::Idle };
                self.add(*cpu, *from_ns, *to_ns, holder);
            }
            Fact::Task(_) | Fact::Became { .. } => {}
        }
    }

    /// Adds a stretch, clipped; whether anything of it was left.
    fn add(&mut self, cpu: u32, from_ns: u64, to_ns: u64, holder: Holder) -> bool {
        let from_ns = from_ns.max(self.begin_ns) - self.begin_ns;
        let to_ns = to_ns.min(self.end_ns).saturating_sub(self.begin_ns);
        if from_ns >= to_ns {
            return false;
        }
        while to_ns.div_ceil(self.cell_ns) > self.most as u64 {
            self.double();
        }
        if let Holder::Task(task) = holder {
            *self.ran.entry(task).or_default() += to_ns - from_ns;
        }
        let most = self.most;
        let lane =
            self.by_cpu.entry(cpu).or_insert_with(|| Lane { slices: Some(Vec::new()), ..Lane::default() });
        if let Some(slices) = &mut lane.slices {
            slices.push((from_ns, to_ns, holder));
            if slices.len() > most {
                lane.slices = None;
            }
        }
        let (mut at_ns, cell_ns) = (from_ns, self.cell_ns);
        while at_ns < to_ns {
            let cell = usize::try_from(at_ns / cell_ns).unwrap_or(usize::MAX);
            let end_ns = ((at_ns / cell_ns + 1) * cell_ns).min(to_ns);
            if lane.cells.len() <= cell {
                lane.cells.resize_with(cell + 1, BTreeMap::new);
            }
            *lane.cells[cell].entry(holder).or_default() += end_ns - at_ns;
            at_ns = end_ns;
        }
        true
    }

    /// Cells of twice the length, and names of those only who are still in one.
    fn double(&mut self) {
        self.cell_ns *= 2;
        for lane in self.by_cpu.values_mut() {
            lane.cells = lane.cells.chunks(2).map(together).collect();
        }
        let held: BTreeSet<TaskId> = self
            .by_cpu
            .values()
            .flat_map(|lane| {
                let slices = lane.slices.iter().flatten().map(|(_, _, holder)| *holder);
                lane.cells.iter().flat_map(|cell| cell.keys().copied()).chain(slices)
            })
            .filter_map(|holder| if let Holder::Task(task) = holder { Some(task) } else { None })
            .collect();
        self.names.retain(|task, _| held.contains(task));
        self.ran.retain(|task, _| held.contains(task));
    }

    /// CPUs that have a lane, by number.
    pub fn cpus(&self) -> impl Iterator<Item = u32> {
        self.by_cpu.keys().copied()
    }

    /// The lane of a CPU in at most `most` pieces, in order; what is in none was not told.
    pub fn pieces(&self, cpu: u32, most: usize) -> Vec<Piece> {
        let Some(lane) = self.by_cpu.get(&cpu) else { return Vec::new() };
        if let Some(slices) = lane.slices.as_ref().filter(|slices| slices.len() <= most) {
            let piece = |&(from_ns, to_ns, holder): &(u64, u64, Holder)| Piece {
                from_ns,
                to_ns,
                holder,
                held_ns: to_ns - from_ns,
                busy_ns: if holder == Holder::Idle { 0 } else { to_ns - from_ns },
                is_exact: true,
            };
            let mut pieces: Vec<Piece> = slices.iter().map(piece).collect();
            pieces.sort_by_key(|piece| piece.from_ns);
            return pieces;
        }
        let size = lane.cells.len().div_ceil(most.max(1)).max(1);
        let mut pieces: Vec<Piece> = Vec::new();
        for (at, cells) in lane.cells.chunks(size).enumerate() {
            let cell = together(cells);
            let from_ns = at as u64 * size as u64 * self.cell_ns;
            let told_ns: u64 = cell.values().sum();
            let busy_ns = told_ns - cell.get(&Holder::Idle).copied().unwrap_or(0);
            // Idle only where nobody ran; of equals the first.
            let rank = |(holder, ns): &(Holder, u64)| (*holder != Holder::Idle, *ns);
            let Some((holder, held_ns)) = cell.into_iter().rev().max_by_key(rank) else { continue };
            let to_ns = from_ns + (size as u64 * self.cell_ns).min(told_ns);
            match pieces.last_mut() {
                Some(last) if holder == Holder::Idle && last.holder == holder && last.to_ns == from_ns => {
                    last.to_ns = to_ns;
                    last.held_ns += held_ns;
                }
                _ => pieces.push(Piece { from_ns, to_ns, holder, held_ns, busy_ns, is_exact: false }),
            }
        }
        pieces
    }

    /// Latest name of a task, raw bytes; `None` of one that is in no piece.
    pub fn name(&self, task: TaskId) -> Option<&[u8]> {
        self.names.get(&task).map(|name| &**name)
    }

    /// Tasks by the time that they ran, the longest first.
    pub fn foremost(&self) -> Vec<TaskId> {
        let mut tasks: Vec<(&TaskId, &u64)> = self.ran.iter().collect();
        tasks.sort_by(|(a, x), (b, y)| y.cmp(x).then(a.cmp(b)));
        tasks.into_iter().map(|(task, _)| *task).collect()
    }
}

/// What several cells held, the smallest of many tasks as one.
fn together(cells: &[BTreeMap<Holder, u64>]) -> BTreeMap<Holder, u64> {
    let mut sum: BTreeMap<Holder, u64> = BTreeMap::new();
    for (holder, ns) in cells.iter().flatten() {
        *sum.entry(*holder).or_default() += ns;
    }
    let mut tasks: Vec<(u64, Holder)> = sum
        .iter()
        .filter(|(holder, _)| matches!(holder, Holder::Task(_)))
        .map(|(holder, ns)| (*ns, *holder))
        .collect();
    tasks.sort_by(|(x, a), (y, b)| y.cmp(x).then(a.cmp(b)));
    for (ns, holder) in tasks.into_iter().skip(APART) {
        sum.remove(&holder);
        *sum.entry(Holder::Others).or_default() += ns;
    }
    sum
}

#[cfg(test)]
mod tests;
