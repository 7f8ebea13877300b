//! What draws came to, beside what they should have come to.
//!
//! A scheduler that draws knows at every draw each competitor's chance of winning. The sums of chances over
//! the draws in which a task competed are its expected wins, whatever came and went meanwhile; the sums of
//! p(1 − p) are the variance.

use crate::statistics::MIN_EXPECTED;
use statrs::function::{erf::erfc, gamma::gamma_ur};

/// One task, or several together.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Tally {
    /// Draws it won.
    pub wins: u64,
    /// Sum of its chances over the draws in which it competed.
    pub expected: f64,
    /// Sum of chance × (1 − chance) over them.
    pub variance: f64,
    /// Slices that began without a draw: on an idle CPU, or because it had waited too long.
    pub undrawn: u64,
    /// Slices that ended.
    pub slices: u64,
    /// CPU time of those, ns.
    pub used_ns: u64,
}

impl Tally {
    /// By how many standard deviations the wins differ from the expected ones; `None` where nothing was left
    /// to chance.
    pub fn z(&self) -> Option<f64> {
        (self.variance > 0.0).then(|| (self.wins as f64 - self.expected) / self.variance.sqrt())
    }

    /// Mean CPU time of a slice, ns; `None` before the first has ended.
    pub fn mean_slice_ns(&self) -> Option<f64> {
        (self.slices > 0).then(|| self.used_ns as f64 / self.slices as f64)
    }
}

/// Draws in which the task whose slice had just ended took part.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Returns {
    /// How many.
    pub draws: u64,
    /// How many of them that task won.
    pub wins: u64,
    /// Sum of its chances.
    pub expected: f64,
    /// Sum of chance × (1 − chance).
    pub variance: f64,
}

impl Returns {
    /// By how many standard deviations its wins differ from the expected ones.
    pub fn z(&self) -> Option<f64> {
        (self.variance > 0.0).then(|| (self.wins as f64 - self.expected) / self.variance.sqrt())
    }

    /// How credible it is that draws do not depend on who ran before: two-sided, by the normal law. `None`
    /// below five expected wins or losses, where that law does not hold.
    pub fn p_value(&self) -> Option<f64> {
        let losses = self.draws as f64 - self.expected;
        (self.expected >= MIN_EXPECTED && losses >= MIN_EXPECTED)
            .then(|| erfc(self.z().unwrap_or(0.0).abs() / std::f64::consts::SQRT_2))
    }
}

/// How credible it is that these tasks won with their chances: Pearson's χ² over the tasks, those expected to
/// win less than five times taken together, one degree of freedom less than there are classes. Exact in the
/// limit where the same tasks compete in every draw; where they come and go the statistic is too small on
/// average, so the test errs on the side of not rejecting. `None` with fewer than two classes.
pub fn shares_p_value(tallies: impl IntoIterator<Item = Tally>) -> Option<f64> {
    let mut few = (0.0, 0.0);
    let (mut statistic, mut classes) = (0.0, 0u32);
    let mut add = |wins: f64, expected: f64| {
        statistic += (wins - expected).powi(2) / expected;
        classes += 1;
    };
    for tally in tallies {
        if tally.expected >= MIN_EXPECTED {
            add(tally.wins as f64, tally.expected);
        } else {
            few = (few.0 + tally.wins as f64, few.1 + tally.expected);
        }
    }
    if few.1 >= MIN_EXPECTED {
        add(few.0, few.1);
    }
    let halved = f64::from(classes.saturating_sub(1)) / 2.0;
    (classes >= 2)
        .then(|| if statistic > 0.0 { gamma_ur(halved, statistic / 2.0).clamp(0.0, 1.0) } else { 1.0 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::draw::{seeded, winners};
    use crate::statistics::chi_square;

    fn tallies(tickets: &[u64], wins: &[u64]) -> Vec<Tally> {
        let (total, draws) = (tickets.iter().sum::<u64>() as f64, wins.iter().sum::<u64>() as f64);
        let chance = |t: u64| t as f64 / total;
        let of = |(t, w): (&u64, &u64)| Tally {
            wins: *w,
            expected: draws * chance(*t),
            variance: draws * chance(*t) * (1.0 - chance(*t)),
            ..Tally::default()
        };
        tickets.iter().zip(wins).map(of).collect()
    }

    #[test]
    fn with_constant_tickets_it_is_the_classic_test() {
        let tickets = [3, 2, 1, 4];
        let wins = winners(&tickets, 5000, &mut seeded(1)).unwrap();
        let p = shares_p_value(tallies(&tickets, &wins)).unwrap();
        let classic = chi_square(&wins, &tickets).unwrap().p_value;
        assert!((p - classic).abs() < 1e-9, "{p} against {classic}");
        assert!(shares_p_value(tallies(&tickets, &[1250, 1250, 1250, 1250])).unwrap() < 1e-6);
    }

    #[test]
    fn rare_winners_are_taken_together_and_one_class_is_no_test() {
        let tickets = [10_000, 1, 1, 1];
        assert_eq!(shares_p_value(tallies(&tickets, &[1000, 0, 0, 0])), None);
        let p = shares_p_value(tallies(&tickets, &[99_970, 10, 10, 10])).unwrap();
        assert!((0.9..=1.0).contains(&p), "{p}");
    }

    #[test]
    fn a_scheduler_that_never_lets_a_task_win_twice_is_found_out() {
        let returns = Returns { draws: 1000, wins: 0, expected: 500.0, variance: 250.0 };
        assert!(returns.p_value().unwrap() < 1e-12);
        let fair = Returns { wins: 510, ..returns };
        assert!(fair.p_value().unwrap() > 0.4);
        assert_eq!(Returns { draws: 3, expected: 1.0, variance: 0.5, wins: 1 }.p_value(), None);
    }

    #[test]
    fn z_is_in_standard_deviations() {
        let tally = Tally { wins: 60, expected: 50.0, variance: 25.0, ..Tally::default() };
        assert_eq!(tally.z(), Some(2.0));
        assert_eq!(Tally::default().z(), None);
        assert_eq!(Tally { slices: 4, used_ns: 10, ..Tally::default() }.mean_slice_ns(), Some(2.5));
    }
}
