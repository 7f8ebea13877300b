//! From nice values to tickets.

use crate::policy::Policy;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use thiserror::Error;

/// Weight of `SCHED_IDLE` tasks (`WEIGHT_IDLEPRIO` in `kernel/sched/sched.h`).
pub const IDLE_WEIGHT: u32 = 3;

/// `sched_prio_to_weight` of `kernel/sched/core.c`, nice −20 to 19: each step is about 25 %, nice 0 is 1024.
const NICE_TO_WEIGHT: [u32; 40] = [
    88761, 71755, 56483, 46273, 36291, 29154, 23254, 18705, 14949, 11916, 9548, 7620, 6100, 4904, 3906, 3121,
    2501, 1991, 1586, 1277, 1024, 820, 655, 526, 423, 335, 272, 215, 172, 137, 110, 87, 70, 56, 45, 36, 29,
    23, 18, 15,
];

/// A nice value, −20 (most favoured) to 19.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(try_from = "i64", into = "i8")]
pub struct Nice(i8);

/// A number outside −20…19.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("nice is {0}; it must be between -20 and 19")]
pub struct NiceRange(pub i64);

impl Nice {
    /// Every nice value, most favoured first.
    pub fn all() -> impl Iterator<Item = Self> {
        (-20..=19).map(Self)
    }

    /// # Errors
    /// [`NiceRange`] outside −20…19.
    pub fn new(value: i64) -> Result<Self, NiceRange> {
        match i8::try_from(value) {
            Ok(nice @ -20..=19) => Ok(Self(nice)),
            _ => Err(NiceRange(value)),
        }
    }

    /// The number itself.
    pub fn get(self) -> i8 {
        self.0
    }

    /// The weight the fair class gives this nice value.
    pub fn weight(self) -> u32 {
        NICE_TO_WEIGHT[usize::from(self.0.wrapping_add(20).unsigned_abs())]
    }
}

impl TryFrom<i64> for Nice {
    type Error = NiceRange;

    fn try_from(value: i64) -> Result<Self, NiceRange> {
        Self::new(value)
    }
}

impl From<Nice> for i8 {
    fn from(nice: Nice) -> Self {
        nice.get()
    }
}

impl fmt::Display for Nice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How tickets are made from a task's scheduling attributes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum TicketScale {
    /// The kernel's own weight table: what CFS, EEVDF and the lottery scheduler divide the CPU by.
    #[default]
    Weight,
    /// max(10, 100 − 10·nice): the scale of classroom lottery schedulers, 300 (nice −20) down to 10 (nice 9
    /// and above).
    Linear,
}

impl TicketScale {
    /// Tickets of a task; 0 where the policy holds none.
    pub fn tickets(self, nice: Nice, policy: Policy) -> u64 {
        if !policy.holds_tickets() {
            return 0;
        }
        match self {
            Self::Weight if policy == Policy::Idle => u64::from(IDLE_WEIGHT),
            Self::Weight => u64::from(nice.weight()),
            Self::Linear => (100 - 10 * i64::from(nice.get())).max(10).unsigned_abs(),
        }
    }
}

impl fmt::Display for TicketScale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Weight => "weight",
            Self::Linear => "linear",
        })
    }
}

/// A word that names no ticket scale.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("unknown ticket scale '{0}'; use 'weight' or 'linear'")]
pub struct UnknownScale(String);

impl FromStr for TicketScale {
    type Err = UnknownScale;

    fn from_str(word: &str) -> Result<Self, UnknownScale> {
        match word {
            "weight" => Ok(Self::Weight),
            "linear" => Ok(Self::Linear),
            _ => Err(UnknownScale(word.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nice_is_refused_outside_the_kernels_range() {
        assert_eq!(Nice::new(20), Err(NiceRange(20)));
        assert_eq!(Nice::new(-21), Err(NiceRange(-21)));
        assert_eq!(Nice::new(300), Err(NiceRange(300)));
        assert_eq!(Nice::all().count(), 40);
    }

    #[test]
    fn weights_follow_the_kernels_rule_of_a_quarter_a_step() {
        // The table is 1024 · 1.25^−nice, rounded by hand in the kernel: the formula is the independent
        // check.
        for nice in Nice::all() {
            let formula = 1024.0 * 1.25f64.powi(-i32::from(nice.get()));
            let error = (f64::from(nice.weight()) / formula - 1.0).abs();
            assert!(error < 0.08, "nice {nice}: {} against {formula}", nice.weight());
        }
        assert_eq!(Nice::default().weight(), 1024);
    }

    #[test]
    fn weights_fall_strictly() {
        let weights: Vec<u32> = Nice::all().map(Nice::weight).collect();
        assert!(weights.windows(2).all(|pair| pair[0] > pair[1]));
        assert_eq!((weights[0], weights[39]), (88761, 15));
    }

    #[test]
    fn policies_without_weights_hold_no_tickets() {
        let nice = Nice::default();
        for policy in [Policy::Fifo, Policy::RoundRobin, Policy::Deadline, Policy::Unknown(9)] {
            assert_eq!(TicketScale::Weight.tickets(nice, policy), 0);
            assert_eq!(TicketScale::Linear.tickets(nice, policy), 0);
        }
        assert_eq!(TicketScale::Weight.tickets(nice, Policy::Idle), 3);
        assert_eq!(TicketScale::Weight.tickets(nice, Policy::Ext), 1024);
    }

    #[test]
    fn linear_scale_has_a_floor_of_ten() {
        let at = |n| TicketScale::Linear.tickets(Nice::new(n).unwrap(), Policy::Other);
        assert_eq!((at(-20), at(0), at(5), at(9), at(10), at(19)), (300, 100, 50, 10, 10, 10));
    }
}
