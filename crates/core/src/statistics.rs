//! Judging a random scheduler: did it give out the right shares, and at random?
//!
//! Right shares do not prove a lottery: a stride scheduler has them to the slice. So there are four
//! questions, each with its test:
//!
//! | question | test |
//! |---|---|
//! | are the shares those of the tickets? | [`chi_square`] |
//! | does a winner depend on the one before? | [`pair_independence`], [`table_independence`], [`lag1_autocorrelation`] |
//! | does a client wait as long as luck would have it? | [`geometric_waits`] |
//! | how even is the outcome? | [`jain`], an index, not a test |
//!
//! A p-value is the probability that a scheduler without fault looks at least as bad. With many tests on
//! fixed data the project rejects below 10⁻⁶. All approximations are for large samples; each function says
//! from where on it answers.
//!
//! Counts enter as `f64`: exact up to 2⁵³, beyond that rounded by 2⁻⁵³ of their value, which moves a class of
//! count O by O·2⁻⁵³ against a standard deviation of √O and so is far below the noise for every `u64`.
use statrs::function::{erf::erfc, gamma::gamma_ur};
use std::collections::BTreeMap;

/// The least expected count of a class for which Pearson's statistic is taken to be χ² distributed (Cochran,
/// "Some methods for strengthening the common χ² tests", Biometrics 10, 1954).
pub const MIN_EXPECTED: f64 = 5.0;

/// Result of a χ² test.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GoodnessOfFit {
    /// Pearson's Σ (observed − expected)² / expected, 0 to +∞.
    pub statistic: f64,
    /// Degrees of freedom, at least 1.
    pub degrees: u32,
    /// Probability of a statistic at least this large if the hypothesis holds, 0 to 1. Relative accuracy is
    /// about 10⁻⁹ up to 10⁵ degrees and down to 10⁻³⁰⁰; below that it is 0.
    pub p_value: f64,
}

impl GoodnessOfFit {
    /// Judges a statistic: P(χ² ≥ statistic) = Q(degrees/2, statistic/2), the regularised upper incomplete
    /// gamma function (Abramowitz and Stegun, 26.4.19).
    fn new(statistic: f64, degrees: usize) -> Self {
        let degrees = u32::try_from(degrees).unwrap_or(u32::MAX);
        let p_value = if statistic <= 0.0 {
            1.0
        } else if statistic.is_infinite() {
            0.0
        } else {
            gamma_ur(f64::from(degrees) / 2.0, statistic / 2.0).clamp(0.0, 1.0)
        };
        Self { statistic, degrees, p_value }
    }

    /// Something happened that the hypothesis rules out.
    fn impossible(degrees: usize) -> Self {
        Self::new(f64::INFINITY, degrees)
    }
}

/// Pearson's χ² test of goodness of fit: do the counts `observed` follow the shares `weights[i]` / Σ
/// `weights`?
///
/// χ² = Σ (Oᵢ − Eᵢ)²/Eᵢ with Eᵢ = n·wᵢ/Σw, against χ² with (classes − 1) degrees of freedom (Pearson, 1900).
///
/// Classes with too small an Eᵢ are pooled so that every class expects at least [`MIN_EXPECTED`]. The rule:
/// take the classes of positive weight from the smallest weight to the largest, equal ones in order of
/// position; add each to the open pool; close the pool as soon as it expects at least 5; what is left open in
/// the end joins the pool closed last. A class that expects 5 by itself stays alone, except that it may have
/// to take in the one open pool of classes too small to close without it. The pools depend on `weights` and n
/// alone, never on how the counts fell.
///
/// A count in a class of weight 0 refutes the hypothesis whatever the rest: the statistic is infinite and
/// `p_value`
/// 0. Such a class is counted once in `degrees`. `None` where there is nothing to test: no positive weight,
///    no counts, or fewer than two classes after pooling.
///
/// # Panics
/// If the slices differ in length.
pub fn chi_square(observed: &[u64], weights: &[u64]) -> Option<GoodnessOfFit> {
    assert_eq!(observed.len(), weights.len(), "one weight for each observed count");
    let count: u128 = observed.iter().map(|o| u128::from(*o)).sum();
    let total: u128 = weights.iter().map(|w| u128::from(*w)).sum();
    if count == 0 || total == 0 {
        return None;
    }
    let expected = |weight: u128| count as f64 * weight as f64 / total as f64;
    let pools = pool(weights, |weight| expected(weight) >= MIN_EXPECTED);
    if observed.iter().zip(weights).any(|(o, w)| *o > 0 && *w == 0) {
        return Some(GoodnessOfFit::impossible(pools.len().max(1)));
    }
    if pools.len() < 2 {
        return None;
    }
    let statistic = pools
        .iter()
        .map(|classes| {
            let seen: u128 = classes.iter().map(|i| u128::from(observed[*i])).sum();
            let due = expected(classes.iter().map(|i| u128::from(weights[*i])).sum());
            (seen as f64 - due).powi(2) / due
        })
        .sum();
    Some(GoodnessOfFit::new(statistic, pools.len() - 1))
}

/// Pools classes by the rule of [`chi_square`]; `enough` says whether a pool of this total size may be
/// closed. Returns the members of each pool, without the classes of size 0; none if all of them together are
/// not enough.
fn pool(sizes: &[u64], enough: impl Fn(u128) -> bool) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..sizes.len()).filter(|i| sizes[*i] > 0).collect();
    order.sort_by_key(|i| sizes[*i]);
    let mut pools: Vec<Vec<usize>> = Vec::new();
    let (mut open, mut size) = (Vec::new(), 0u128);
    for class in order {
        open.push(class);
        size += u128::from(sizes[class]);
        if enough(size) {
            pools.push(std::mem::take(&mut open));
            size = 0;
        }
    }
    if let Some(last) = pools.last_mut() {
        last.append(&mut open);
    }
    pools
}

/// Jain's fairness index (Σx)² / (n·Σx²) of shares received, or received over entitled (Jain, Chiu and Hawe,
/// DEC-TR-301, 1984): 1 if all are equal, 1/n if one has everything. After n draws among k equal clients a
/// perfect lottery has about 1/(1 + (k − 1)/n).
///
/// `None` if there is no value, all are 0, one is negative or not a number, or the squares leave the range of
/// `f64`.
pub fn jain(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    let (mut n, mut sum, mut squares) = (0.0, 0.0, 0.0);
    for value in values {
        if value.is_nan() || value < 0.0 {
            return None;
        }
        n += 1.0;
        sum += value;
        squares += value * value;
    }
    let index = sum * sum / (n * squares);
    index.is_finite().then(|| index.min(1.0))
}

/// Result of [`lag1_autocorrelation`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Autocorrelation {
    /// r₁, −1 to 1.
    pub coefficient: f64,
    /// r₁ less its mean, in standard deviations of an independent series.
    pub z_score: f64,
    /// Probability of a z-score at least this far from 0, on either side, in an independent series.
    pub p_value: f64,
}

/// Correlation of a series with itself one step later: r₁ = Σ (xᵢ − x̄)(xᵢ₊₁ − x̄) / Σ (xᵢ − x̄)².
///
/// In an independent series of length n, r₁ has mean −1/n and variance close to 1/n, and is asymptotically
/// normal (Moran, "Some theorems on time series II", Biometrika 35, 1948). To judge a scheduler, make the
/// series 1 where the client in question wins and 0 elsewhere: under stride scheduling of 3:2:1, ABAABC
/// repeated, r₁ is −1/3 for A, −1/2 for B and −1/5 for C. A client that wins seldom needs many draws: the
/// normal law wants about n·p² ≥ 5 wins in a row.
///
/// `None` below 20 values or if all are equal or one is not finite. The series is walked twice.
pub fn lag1_autocorrelation<I>(series: I) -> Option<Autocorrelation>
where
    I: IntoIterator<Item = f64>,
    I::IntoIter: Clone,
{
    let series = series.into_iter();
    let (n, sum) = series.clone().fold((0.0, 0.0), |(n, sum), x| (n + 1.0, sum + x));
    if n < 20.0 {
        return None;
    }
    let mean = sum / n;
    let (mut products, mut squares, mut previous) = (0.0, 0.0, 0.0);
    for x in series {
        let deviation = x - mean;
        products += previous * deviation;
        squares += deviation * deviation;
        previous = deviation;
    }
    let coefficient: f64 = products / squares;
    let z_score = (coefficient + 1.0 / n) * n.sqrt();
    let p_value = two_sided(z_score);
    coefficient.is_finite().then_some(Autocorrelation { coefficient, z_score, p_value })
}

/// Does the winner of a draw depend on the winner before? χ² test of the contingency table of consecutive
/// winners.
///
/// nᵢⱼ counts the draws won by j right after one won by i. Independence expects Eᵢⱼ = nᵢ.·n.ⱼ/n, and Σ (nᵢⱼ −
/// Eᵢⱼ)²/Eᵢⱼ over the k × k table has (k − 1)² degrees of freedom, also though consecutive pairs overlap
/// (Anderson and Goodman, "Statistical inference about Markov chains", Ann. Math. Stat. 28, 1957). The shares
/// are taken from the winners themselves, so this test says nothing about them: [`chi_square`] does.
///
/// Clients that won seldom are pooled by the rule of [`chi_square`], sized by wins, until a class has at
/// least √(5n) of the n + 1 draws, which makes each cell expect about 5 pairs. `None` when fewer than two
/// classes remain.
pub fn pair_independence<T: Ord>(winners: &[T]) -> Option<GoodnessOfFit> {
    let mut wins: BTreeMap<&T, u64> = BTreeMap::new();
    for winner in winners {
        *wins.entry(winner).or_default() += 1;
    }
    let sizes: Vec<u64> = wins.values().copied().collect();
    let pairs = winners.len().checked_sub(1)? as f64;
    let pools = pool(&sizes, |size| size as f64 >= (MIN_EXPECTED * pairs).sqrt());
    let classes = pools.len();
    if classes < 2 {
        return None;
    }
    let mut class_of: Vec<usize> = vec![0; sizes.len()];
    for (class, members) in pools.iter().enumerate() {
        for &member in members {
            class_of[member] = class;
        }
    }
    let class_of: BTreeMap<&T, usize> = wins.keys().copied().zip(class_of).collect();

    // At most √(n/5) classes fit, so the table is smaller than the list of winners.
    let mut table = vec![0u64; classes * classes];
    for pair in winners.windows(2) {
        table[class_of[&pair[0]] * classes + class_of[&pair[1]]] += 1;
    }
    Some(contingency(&table, classes))
}

/// The same from a table of consecutive winners: `table[i · classes + j]` draws were won by j right after one
/// won by i. Classes are pooled by the wins that a row counts. `None` when fewer than two remain.
///
/// # Panics
/// If the table is not `classes` × `classes`.
pub fn table_independence(table: &[u64], classes: usize) -> Option<GoodnessOfFit> {
    assert_eq!(table.len(), classes * classes, "a row and a column for each class");
    let sizes: Vec<u64> = (0..classes).map(|row| table[row * classes..][..classes].iter().sum()).collect();
    let pairs: u64 = sizes.iter().sum();
    let pools = pool(&sizes, |size| size as f64 >= (MIN_EXPECTED * pairs as f64).sqrt());
    if pools.len() < 2 {
        return None;
    }
    let cell = |from: &[usize], to: &[usize]| -> u64 {
        from.iter().flat_map(|row| to.iter().map(move |column| table[row * classes + column])).sum()
    };
    let pooled: Vec<u64> = pools
        .iter()
        .flat_map(|from| pools.iter().map(move |to| (from, to)))
        .map(|(f, t)| cell(f, t))
        .collect();
    Some(contingency(&pooled, pools.len()))
}

/// Pearson's test of independence of rows and columns of a square table.
fn contingency(table: &[u64], classes: usize) -> GoodnessOfFit {
    let (mut rows, mut columns, mut pairs) = (vec![0u64; classes], vec![0u64; classes], 0u64);
    for (cell, count) in table.iter().enumerate() {
        rows[cell / classes] += count;
        columns[cell % classes] += count;
        pairs += count;
    }
    let statistic = (0..classes * classes)
        .map(|cell| {
            let due = rows[cell / classes] as f64 * columns[cell % classes] as f64 / pairs as f64;
            if due > 0.0 { (table[cell] as f64 - due).powi(2) / due } else { 0.0 }
        })
        .sum();
    GoodnessOfFit::new(statistic, (classes - 1).pow(2))
}

/// Probability that a standard normal variable is at least this far from 0, on either side.
pub fn two_sided(z_score: f64) -> f64 {
    erfc(z_score.abs() / std::f64::consts::SQRT_2)
}

/// How many draws a client waited from one win to its next, for [`geometric_waits`]: 1 where it won twice in
/// a row.
///
/// The draws before the first win and after the last are no complete waits and are left out.
pub fn waits<T: PartialEq>(winners: &[T], client: &T) -> Vec<u64> {
    let wins: Vec<usize> =
        winners.iter().enumerate().filter_map(|(draw, winner)| (winner == client).then_some(draw)).collect();
    wins.windows(2).map(|pair| (pair[1] - pair[0]) as u64).collect()
}

/// Are the waits, in draws, those of a client that wins each draw with probability `p`? A binned χ² test
/// against the geometric law P(k) = p(1 − p)^(k−1), k = 1, 2, ….
///
/// A Kolmogorov–Smirnov test would be wrong here: its law is for continuous variables, and on a geometric one
/// it rejects a perfect lottery. The bins are fixed by `p` and the number n of waits alone: starting at k = 1
/// each bin is the shortest that expects at least max(5, n^(3/5)/2) waits, that is about 2n^(2/5) equally
/// likely bins where p is small (Mann and Wald, 1942, with the constant advised by D'Agostino and Stephens,
/// *Goodness-of-Fit Techniques*, 1986, chapter 3), and the last bin has no upper end.
///
/// A wait of 0, or any but 1 where `p` is 1, cannot be: the statistic is infinite and `p_value` 0. `None`
/// when `p` is not within 0 < p ≤ 1, or fewer than two bins come about: too few waits (below 10), or `p` so
/// near 1 that hardly any is longer than 1.
pub fn geometric_waits(waits: &[u64], p: f64) -> Option<GoodnessOfFit> {
    if !(p > 0.0 && p <= 1.0) {
        return None;
    }
    let n = waits.len() as f64;
    let least = (n.powf(0.6) / 2.0).max(MIN_EXPECTED) / n;
    let log_lose = (-p).ln_1p();
    // P(wait > k) = (1 − p)^k; k is a float because a small p has bins beyond 2⁶⁴.
    let longer = |k: f64| if k == 0.0 { 1.0 } else { (k * log_lose).exp() };

    // Upper ends of all bins but the last, and the probability of each bin.
    let (mut ends, mut masses, mut above) = (Vec::new(), Vec::new(), 0.0);
    while longer(above) >= 2.0 * least {
        let end = ((longer(above) - least).ln() / log_lose).ceil().max(above + 1.0);
        if longer(end) < least {
            break;
        }
        ends.push(end);
        masses.push(longer(above) - longer(end));
        above = end;
    }
    masses.push(longer(above));
    if waits.iter().any(|wait| *wait == 0 || (p >= 1.0 && *wait > 1)) {
        return Some(GoodnessOfFit::impossible(masses.len()));
    }
    if ends.is_empty() {
        return None;
    }
    let mut seen = vec![0u64; masses.len()];
    for wait in waits {
        seen[ends.partition_point(|end| *end < *wait as f64)] += 1;
    }
    let statistic =
        seen.iter().zip(&masses).map(|(seen, mass)| (*seen as f64 - n * mass).powi(2) / (n * mass)).sum();
    Some(GoodnessOfFit::new(statistic, masses.len() - 1))
}

#[cfg(test)]
mod tests;
