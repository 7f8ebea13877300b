//! What a policy should give by its own formula, which need not be what tasks are entitled to.

use super::kind::PolicyKind as K;
use super::scenario::Scenario;

/// Most task instances a prediction is made for; its cost grows with their square.
const MOST: usize = 500;

/// Share of the machine of each entry under a lottery, where a formula exists: tasks that never sleep, come
/// at the start and never end, on any CPU, without groups.
///
/// On m CPUs that redraw one at a time the set S of running tasks has probability ∝ Π t over S, |S| = m
/// (every redraw leaves this law as it is). So a task runs with probability t·e(m−1, others)/e(m, all), e the
/// elementary symmetric polynomials. On one CPU that is t/T. Without the task that ran last, on one CPU: t(T
/// − t)/Σ t(T − t).
pub fn lottery_shares(scenario: &Scenario, policy: K) -> Option<Vec<f64>> {
    let (m, n) = (scenario.cpus as usize, scenario.instances());
    let steady = scenario
        .tasks
        .iter()
        .all(|t| t.is_burner() && t.total_ns == 0 && t.loops == 0 && t.arrive_ns == 0 && t.cpus.is_none());
    if !steady || !scenario.groups.is_empty() || n > MOST || scenario.switch_cost_ns > 0 {
        return None;
    }
    let total: f64 = scenario.tasks.iter().map(|t| f64::from(t.count) * t.tickets as f64).sum();
    match policy {
        _ if n <= m => Some(scenario.tasks.iter().map(|t| f64::from(t.count) / m as f64).collect()),
        K::Lottery
        | K::LotteryTree
        | K::LotteryList
        | K::LotteryInverse
        | K::LotteryKernel
        | K::LotteryUncompensated => {
            // Parts of the whole, so that products stay in range.
            let parts: Vec<f64> = scenario
                .tasks
                .iter()
                .flat_map(|t| std::iter::repeat_n(t.tickets as f64 / total, t.count as usize))
                .collect();
            let mut first = 0;
            let shares: Vec<f64> = scenario
                .tasks
                .iter()
                .map(|task| {
                    let others = parts.iter().enumerate().filter(|(i, _)| *i != first).map(|(_, t)| *t);
                    let weight = parts[first] * symmetric(others, m - 1)[m - 1];
                    first += task.count as usize;
                    weight * f64::from(task.count)
                })
                .collect();
            let sum: f64 = shares.iter().sum();
            Some(shares.iter().map(|share| share / sum).collect())
        }
        K::LotteryNoPrevious if m == 1 => {
            let weight = |t: &super::scenario::Task| {
                t.tickets as f64 * (total - t.tickets as f64) * f64::from(t.count)
            };
            let sum: f64 = scenario.tasks.iter().map(weight).sum();
            Some(scenario.tasks.iter().map(|t| weight(t) / sum).collect())
        }
        _ => None,
    }
}

/// Elementary symmetric polynomials of degree 0…k.
fn symmetric(values: impl Iterator<Item = f64>, k: usize) -> Vec<f64> {
    let mut e = vec![0.0; k + 1];
    e[0] = 1.0;
    for value in values {
        for degree in (1..=k).rev() {
            e[degree] += value * e[degree - 1];
        }
    }
    e
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lottery_on_two_cpus_is_not_proportional() {
        let text = "name='x'\nduration='1s'\ncpus=2\n[[task]]\nname='A'\ntickets=2\n[[task]]\nname='B'\ncount=2\ntickets=1\n";
        let scenario = Scenario::from_toml(text).unwrap();
        // Pairs AB, AC, BC with weights 2, 2, 1: A runs 4/5 of the time, B and C 3/5 each; of two CPUs.
        let shares = lottery_shares(&scenario, K::Lottery).unwrap();
        assert!((shares[0] - 0.4).abs() < 1e-12 && (shares[1] - 0.6).abs() < 1e-12, "{shares:?}");
    }
}
