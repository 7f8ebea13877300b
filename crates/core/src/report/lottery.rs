//! Draws among the candidates of a report.

use super::{Report, Row};
use crate::draw::{self, DrawError};
use crate::statistics::{GoodnessOfFit, chi_square};
use rand_chacha::ChaCha8Rng;
use std::cmp::Reverse;

/// A seeded lottery: holds the draws of one report after the other. The same seed and reports with the same
/// candidates and tickets give the same winners, whatever the candidates ran.
#[derive(Clone, Debug)]
pub struct Lottery {
    seed: u64,
    rng: ChaCha8Rng,
}

/// What came out of the draws among the candidates of one report.
#[derive(Clone, Debug, PartialEq)]
pub struct Draws {
    /// How many draws were held.
    pub held: u64,
    /// Seed of the lottery.
    pub seed: u64,
    /// How many took part.
    pub candidates: usize,
    /// Who won at least once, most wins first, among equals the lower identity.
    pub winners: Vec<Winner>,
    /// Pearson's χ² test of all candidates' wins against their tickets; `None` where there are too few draws
    /// or candidates for one.
    pub fit: Option<GoodnessOfFit>,
}

/// A candidate that won.
#[derive(Clone, Debug, PartialEq)]
pub struct Winner {
    /// The candidate.
    pub row: Row,
    /// Draws it won.
    pub wins: u64,
    /// Its wins as a part (0…1) of all draws, to compare with [`Row::ticket_share`].
    pub rate: f64,
}

impl Lottery {
    /// A lottery whose luck this seed decides.
    pub fn new(seed: u64) -> Self {
        Self { seed, rng: draw::seeded(seed) }
    }

    /// The seed it was made from.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Holds `draws` draws among the candidates of `report`, each won with a probability of the candidate's
    /// [`Row::ticket_share`]. The time does not depend on the number of draws.
    ///
    /// # Errors
    /// [`DrawError::NoTickets`] where no task of the report is a candidate, unless there is nothing to draw.
    pub fn hold(&mut self, report: &Report, draws: u64) -> Result<Draws, DrawError> {
        let mut rows: Vec<&Row> = report.candidates().collect();
        rows.sort_unstable_by_key(|r| r.task.totals.id); // not by what they ran: luck must not depend on it
        let tickets: Vec<u64> = rows.iter().map(|r| r.tickets).collect();
        let wins = draw::winners(&tickets, draws, &mut self.rng)?;
        let fit = chi_square(&wins, &tickets);
        let mut winners: Vec<Winner> = rows
            .iter()
            .zip(wins)
            .filter(|(_, wins)| *wins > 0)
            .map(|(row, wins)| Winner { row: (*row).clone(), wins, rate: wins as f64 / draws as f64 })
            .collect();
        winners.sort_by_key(|w| Reverse(w.wins)); // stable: identity decides among equals
        Ok(Draws { held: draws, seed: self.seed, candidates: rows.len(), winners, fit })
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{Task, window};
    use super::super::{Options, Report};
    use super::*;
    use crate::policy::Policy;
    use crate::rolling::Rolling;

    fn report(tasks: &[Task]) -> Report {
        Report::new(window(tasks), &Rolling::default(), Options::default())
    }

    fn three(delta_ns: u64) -> Report {
        let fifo = Task { policy: Policy::Fifo, ..Task::ran(4, 70) };
        report(&[
            Task::ran(1, 1),
            Task { nice: 5, ..Task::ran(2, delta_ns) },
            Task { nice: 10, ..Task::ran(3, 2) },
            fifo,
        ])
    }

    #[test]
    fn win_rates_follow_the_tickets() {
        let draws = Lottery::new(1).hold(&three(3), 1_000_000).unwrap();
        assert_eq!((draws.held, draws.seed, draws.candidates), (1_000_000, 1, 3));
        assert_eq!(draws.winners.iter().map(|w| w.wins).sum::<u64>(), draws.held);
        let pids: Vec<u32> = draws.winners.iter().map(|w| w.row.task.totals.id.pid).collect();
        assert_eq!(pids, [1, 2, 3]);
        for (winner, tickets) in draws.winners.iter().zip([1024.0, 335.0, 110.0]) {
            let share: f64 = tickets / 1469.0;
            let sigma = (share * (1.0 - share) / 1e6).sqrt();
            assert!((winner.row.ticket_share - share).abs() < 1e-12);
            assert!((winner.rate - share).abs() < 5.0 * sigma, "{} {share}", winner.rate);
        }
        let fit = draws.fit.unwrap();
        assert_eq!(fit.degrees, 2);
        assert!(fit.p_value > 1e-6, "{fit:?}");
    }

    #[test]
    fn luck_depends_on_the_seed_and_not_on_what_was_measured() {
        let wins = |seed, report: &Report| -> Vec<(u32, u64)> {
            let draws = Lottery::new(seed).hold(report, 1000).unwrap();
            draws.winners.iter().map(|w| (w.row.task.totals.id.pid, w.wins)).collect()
        };
        let four = |deltas_ns: [u64; 4]| {
            let task =
                |(pid, delta_ns)| Task { nice: 5 * i8::try_from(pid).unwrap(), ..Task::ran(pid, delta_ns) };
            report(&(0..).zip(deltas_ns).map(task).collect::<Vec<_>>())
        };
        assert_eq!(wins(7, &four([1, 2, 3, 4])), wins(7, &four([3, 1, 900, 2])));
        assert_ne!(wins(7, &four([1, 2, 3, 4])), wins(8, &four([1, 2, 3, 4])));
        assert_eq!(wins(7, &three(0)).len(), 2, "who slept wins nothing");
        let mut lottery = Lottery::new(7);
        let (first, second) =
            (lottery.hold(&three(1), 1000).unwrap(), lottery.hold(&three(1), 1000).unwrap());
        assert_ne!(first.winners, second.winners, "an interval must not repeat the luck of the one before");
    }

    #[test]
    fn winners_are_only_those_who_won_and_equals_go_by_identity() {
        let tasks: Vec<Task> = (1..=50).map(|pid| Task::ran(pid, 100 - u64::from(pid))).collect();
        let draws = Lottery::new(3).hold(&report(&tasks), 20).unwrap();
        assert!(draws.winners.iter().all(|w| w.wins > 0) && draws.winners.len() <= 20);
        let order: Vec<_> = draws.winners.iter().map(|w| (Reverse(w.wins), w.row.task.totals.id)).collect();
        assert!(order.is_sorted());
        // Two classes that expect 5 wins each are the least a χ² test needs.
        assert_eq!(Lottery::new(3).hold(&report(&tasks), 9).unwrap().fit, None);
        assert!(draws.fit.is_some());
    }

    #[test]
    fn no_draws_have_no_winners_and_no_tickets_are_an_error() {
        let draws = Lottery::new(1).hold(&three(1), 0).unwrap();
        assert!(draws.winners.is_empty() && draws.fit.is_none());
        let fifo = Task { policy: Policy::Fifo, ..Task::ran(4, 70) };
        let error = Lottery::new(1).hold(&report(&[fifo]), 5).unwrap_err();
        assert_eq!(error, DrawError::NoTickets { holders: 0 });
        assert!(Lottery::new(1).hold(&report(&[]), 0).unwrap().winners.is_empty());
    }

    #[test]
    fn the_number_of_draws_costs_nothing() {
        let draws = Lottery::new(1).hold(&three(1), 1_000_000_000_000).unwrap();
        assert_eq!(draws.winners.iter().map(|w| w.wins).sum::<u64>(), 1_000_000_000_000);
    }
}
