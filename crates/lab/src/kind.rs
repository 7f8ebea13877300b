//! The policies there are: names and promises. `policy/build.rs` makes them.

use std::fmt;
use std::str::FromStr;
use thiserror::Error;

/// A policy of the lab.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs)] // each is described in the table below
pub enum PolicyKind {
    Fluid,
    Lottery,
    LotteryTree,
    LotteryList,
    LotteryInverse,
    LotteryMulti,
    LotteryKernel,
    LotteryUncompensated,
    Stride,
    StrideInteger,
    HierarchicalStride,
    Eevdf,
    EevdfLinux,
    Cfs,
    RoundRobin,
    Fifo,
    Sjf,
    Srtf,
    Mlfq,
    Edf,
    EdfSoft,
    EdfPartitioned,
    RateMonotonic,
    LotteryNoPrevious,
    LotteryUniformKeys,
    LotteryNoOffset,
    LotteryLinear,
}

/// What a policy promises; the law suite holds it to that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools)] // six independent answers
pub struct Traits {
    /// Decisions are random: results are means over runs.
    pub random: bool,
    /// Every decision is a draw of its own, with chances in proportion to tickets, or pretends to be: its
    /// draws are judged.
    pub judged: bool,
    /// No CPU idles while a task waits that may run there.
    pub work_conserving: bool,
    /// Every runnable task runs again, whatever the others do.
    pub starvation_free: bool,
    /// Shares follow tickets.
    pub proportional: bool,
    /// A deliberate fault: a negative control.
    pub wrong: bool,
}

use PolicyKind as K;

/// Every policy, with its name and one line about it.
const TABLE: [(PolicyKind, &str, &str); 27] = [
    (K::Fluid, "fluid", "the entitlement itself: everybody runs at once, at the rate it is entitled to"),
    (K::Lottery, "lottery", "tickets drawn by race: currencies, compensation, transfers"),
    (K::LotteryTree, "lottery-tree", "the same, drawn by a tree of partial sums"),
    (K::LotteryList, "lottery-list", "the same, drawn by walking a list"),
    (K::LotteryInverse, "lottery-inverse", "the same, by drawing who loses until one is left"),
    (
        K::LotteryMulti,
        "lottery-multi",
        "a lottery in which each draw has several winners, for as many quanta",
    ),
    (
        K::LotteryKernel,
        "lottery-kernel",
        "the same, drawn as the scheduler in BPF does: by race, in integers",
    ),
    (K::LotteryUncompensated, "lottery-uncompensated", "a lottery without compensation tickets"),
    (K::Stride, "stride", "stride scheduling, exact arithmetic"),
    (
        K::StrideInteger,
        "stride-2^20",
        "stride scheduling with the paper's integer strides, stride1 = 2^20; more tickets than that starve others",
    ),
    (K::HierarchicalStride, "hstride", "hierarchical stride over a binary tree, with groups"),
    (K::Eevdf, "eevdf", "earliest eligible virtual deadline first, as published in 1995"),
    (K::EevdfLinux, "eevdf-linux", "the Linux fair class since 6.6: a queue per CPU, run to parity"),
    (K::Cfs, "cfs", "the Linux fair class before 6.6: a queue per CPU, least vruntime"),
    (K::RoundRobin, "rr", "round robin, with fixed priorities"),
    (K::Fifo, "fifo", "first in, first out, with fixed priorities"),
    (K::Sjf, "sjf", "shortest job first, lengths known"),
    (K::Srtf, "srtf", "shortest remaining time first, lengths known"),
    (K::Mlfq, "mlfq", "multi-level feedback queue, four levels"),
    (K::Edf, "edf", "global earliest deadline first, hard constant bandwidth servers"),
    (K::EdfSoft, "edf-soft", "the same with soft servers, as published in 1998"),
    (K::EdfPartitioned, "edf-partitioned", "earliest deadline first on CPUs assigned by first fit"),
    (K::RateMonotonic, "rm", "global rate monotonic"),
    (
        K::LotteryNoPrevious,
        "wrong-lottery-no-previous",
        "WRONG: the task that just ran is left out of the draw",
    ),
    (K::LotteryUniformKeys, "wrong-lottery-uniform-keys", "WRONG: race keys U/t instead of exponential"),
    (K::LotteryNoOffset, "wrong-lottery-no-offset", "WRONG: race keys without the clock"),
    (K::LotteryLinear, "wrong-lottery-linear", "WRONG: tickets linear in nice instead of weights"),
];

impl PolicyKind {
    /// Every policy, in the order of the list that users see.
    pub fn all() -> impl Iterator<Item = Self> {
        TABLE.iter().map(|(kind, ..)| *kind)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        TABLE.iter().find(|(kind, ..)| *kind == self).map_or("", |(_, name, _)| name)
    }

    /// One line about it.
    pub fn about(self) -> &'static str {
        TABLE.iter().find(|(kind, ..)| *kind == self).map_or("", |(.., about)| about)
    }

    /// What it promises.
    pub fn traits(self) -> Traits {
        let lottery = matches!(
            self,
            K::Lottery
                | K::LotteryTree
                | K::LotteryList
                | K::LotteryInverse
                | K::LotteryKernel
                | K::LotteryUncompensated
        );
        let wrong = matches!(
            self,
            K::LotteryNoPrevious | K::LotteryUniformKeys | K::LotteryNoOffset | K::LotteryLinear
        );
        let stride = matches!(self, K::Stride | K::StrideInteger | K::HierarchicalStride);
        let fair = matches!(self, K::Eevdf | K::EevdfLinux | K::Cfs);
        Traits {
            random: lottery || wrong || self == K::LotteryMulti,
            judged: lottery || wrong,
            // Fluid keeps a group to its quota at every instant. A hard server waits with its budget used up,
            // and a partitioned task waits for its own CPU.
            work_conserving: !matches!(self, K::Fluid | K::Edf | K::EdfPartitioned),
            // A stride of the paper is ⌊2^20/tickets⌋: above 2^20 tickets it is 0, and who has them runs
            // alone.
            starvation_free: self == K::Fluid
                || lottery
                || self == K::LotteryMulti
                || (stride && self != K::StrideInteger)
                || fair
                || matches!(self, K::RoundRobin | K::Mlfq),
            proportional: matches!(self, K::Fluid | K::LotteryMulti) || lottery || stride || fair,
            wrong,
        }
    }
}

impl fmt::Display for PolicyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A name that no policy has.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("unknown policy '{0}'; the policies are {names}", names = TABLE.map(|(_, name, _)| name).join(", "))]
pub struct UnknownPolicy(String);

impl FromStr for PolicyKind {
    type Err = UnknownPolicy;

    fn from_str(name: &str) -> Result<Self, UnknownPolicy> {
        TABLE
            .iter()
            .find(|(_, known, _)| *known == name)
            .map(|(kind, ..)| *kind)
            .ok_or_else(|| UnknownPolicy(name.to_owned()))
    }
}
