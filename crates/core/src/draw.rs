//! Many lottery draws at once: who wins how often.
//!
//! A client that holds t of T tickets wins one draw with probability t/T (Waldspurger and Weihl, "Lottery
//! scheduling", OSDI 1994). The wins of all clients in n independent draws are multinomial, and a multinomial
//! is a chain of binomials (Devroye, *Non-Uniform Random Variate Generation*, 1986, chapter XI): the first
//! client wins W₁ ~ Bin(n, t₁/T), the second W₂ ~ Bin(n − W₁, t₂/(T − t₁)), and so on. So the cost depends on
//! the number of clients and not on the number of draws, and 10¹² draws take as long as 10⁶.
//!
//! # Accuracy
//! Tickets and draws stay integers; a ratio becomes a floating point number only to ask for one binomial,
//! always for the smaller of p and 1 − p, so a client that holds all but one of 2⁶⁴ − 1 tickets can still
//! lose. The binomial sampler works in `f64`, which costs accuracy in two places, both avoided here:
//! - Above 2⁵³ draws the low bits of its answer are not random, so more than 2⁵⁰ draws are sampled in pieces
//!   of 2⁵⁰.
//! - With many draws and a tiny p, 1 − p keeps few digits of p: at n = 2⁵⁰ and np < 10, P(0 wins) is wrong by
//!   up to 6 %. There the Poisson law takes over; its total variation distance from the binomial is at most p
//!   (Barbour and Hall, 1984), here at most 2⁻²⁶.
//!
//! What is left is rounding in the sampler's acceptance test: the probability of one exact count may be off
//! by at most min(n·2⁻⁵², 1/σ) of itself, σ the standard deviation of the count, with a sign that changes
//! from count to count.
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use rand_distr::{Binomial, Distribution, Poisson};
use thiserror::Error;

/// Draws sampled in one piece: every count and every half of one is exact in `f64`.
const PIECE: u64 = 1 << 50;

/// Up to this many draws the binomial sampler is accurate for every p: rounding of 1 − p moves P(0 wins) by
/// at most 2²⁸·2⁻⁵⁴ = 2⁻²⁶.
const FEW_DRAWS: u64 = 1 << 28;

/// Below this chance of winning, more than [`FEW_DRAWS`] draws follow the Poisson law as closely as the
/// binomial sampler could follow its own.
const RARE: f64 = 1.0 / (1u64 << 26) as f64;

/// Why no draw could be held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum DrawError {
    /// Nobody holds a ticket, so nobody can win.
    #[error("no tickets in the draw: all {holders} holders have 0; give at least one of them a ticket")]
    NoTickets {
        /// How many holders there are, each with 0 tickets.
        holders: usize,
    },
    /// All tickets together exceed 2⁶⁴ − 1.
    #[error(
        "the tickets of {holders} holders add up to more than {max}; divide all of them by a common factor",
        max = u64::MAX
    )]
    TooManyTickets {
        /// How many holders there are.
        holders: usize,
    },
}

/// The one random generator of the project, seeded.
///
/// `ChaCha8` is specified bit by bit: a seed gives the same numbers on every machine, operating system and
/// version of this program, which `rand`'s `StdRng` does not promise. Its numbers pass every known
/// statistical test with a wide margin (the best known attack reaches 7 rounds), 2⁶⁴ blocks do not repeat,
/// and it is fast enough to be seldom what a simulation waits for. The `u64` is stretched to the 256-bit key
/// by `rand_core`'s fixed PCG32 procedure, so neighbouring seeds give unrelated streams.
pub fn seeded(seed: u64) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seed)
}

/// How often each holder wins in `draws` independent draws with replacement; holder i wins one with
/// probability `tickets[i]` / Σ `tickets`.
///
/// The answer has the order of `tickets` and adds up to `draws` exactly. A holder of 0 tickets never wins.
/// Time is proportional to the number of holders, times `draws` / 2⁵⁰ where that exceeds 1; memory is the
/// answer. 0 draws give zeros, whoever holds tickets or not.
///
/// The same `rng` state gives the same answer on one build. The generator's numbers are the same everywhere;
/// the binomials also use the platform's logarithm, whose last bit may differ between C libraries and with
/// it, rarely, a count.
///
/// # Errors
/// [`DrawError::TooManyTickets`] if the tickets add up to more than 2⁶⁴ − 1, [`DrawError::NoTickets`] if they
/// add up to 0 (or there is no holder) and `draws` is not 0.
pub fn winners(tickets: &[u64], draws: u64, rng: &mut impl Rng) -> Result<Vec<u64>, DrawError> {
    let holders = tickets.len();
    let mut tickets_left = tickets
        .iter()
        .try_fold(0u64, |sum, &held| sum.checked_add(held))
        .ok_or(DrawError::TooManyTickets { holders })?;
    if draws > 0 && tickets_left == 0 {
        return Err(DrawError::NoTickets { holders });
    }
    let mut draws_left = draws;
    Ok(tickets
        .iter()
        .map(|&held| {
            let wins = successes(draws_left, held, tickets_left, rng);
            draws_left -= wins;
            tickets_left -= held;
            wins
        })
        .collect())
}

/// A binomial count: `draws` trials, each won with probability `held` / `total`, 0 ≤ `held` ≤ `total`.
///
/// The last holder of tickets has `held == total` and so takes every draw that is left.
fn successes(draws: u64, held: u64, total: u64, rng: &mut impl Rng) -> u64 {
    if draws == 0 || held == 0 {
        return 0;
    }
    let others = total - held;
    if others < held {
        return draws - successes(draws, others, total, rng);
    }
    let chance = held as f64 / total as f64;
    let mut wins = 0;
    let mut left = draws;
    while left > 0 {
        let piece = left.min(PIECE);
        wins += piece_of_successes(piece, chance, rng);
        left -= piece;
    }
    wins
}

/// A binomial count of at most [`PIECE`] trials with 0 < `chance` ≤ ½.
fn piece_of_successes(draws: u64, chance: f64, rng: &mut impl Rng) -> u64 {
    if draws > FEW_DRAWS && chance < RARE {
        let poisson = Poisson::new(draws as f64 * chance).expect("0 < mean ≤ 2⁵⁰·2⁻²⁶");
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        // a whole number ≥ 0; `as` saturates
        let wins = poisson.sample(rng) as u64;
        return wins.min(draws);
    }
    Binomial::new(draws, chance).expect("0 < chance ≤ ½").sample(rng)
}

#[cfg(test)]
mod tests;
