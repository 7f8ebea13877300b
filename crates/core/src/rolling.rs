//! What a task got lately: an exponential moving average over windows.

use crate::identity::TaskId;
use crate::window::Window;
use std::fmt;
use std::str::FromStr;
use thiserror::Error;

/// Weight of the newest window in a moving average, in (0, 1]. 1 forgets everything older.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Alpha(f64);

/// What is no [`Alpha`].
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("alpha is '{0}'; it must be a number greater than 0 and at most 1")]
pub struct AlphaRange(String);

impl Alpha {
    /// # Errors
    /// [`AlphaRange`] outside (0, 1], and for NaN.
    pub fn new(value: f64) -> Result<Self, AlphaRange> {
        if value > 0.0 && value <= 1.0 { Ok(Self(value)) } else { Err(AlphaRange(value.to_string())) }
    }

    /// The number itself.
    pub fn get(self) -> f64 {
        self.0
    }
}

impl Default for Alpha {
    /// One half: a value is worth half as much with every window that passes.
    fn default() -> Self {
        Self(0.5)
    }
}

impl fmt::Display for Alpha {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Alpha {
    type Err = AlphaRange;

    fn from_str(word: &str) -> Result<Self, AlphaRange> {
        word.parse().ok().and_then(|value| Self::new(value).ok()).ok_or_else(|| AlphaRange(word.to_owned()))
    }
}

/// Exponential moving average of every task's run time per window.
///
/// `r₁ = d₁`, `rₙ = alpha·dₙ + (1 − alpha)·rₙ₋₁`, where dₙ is what the task ran in its n-th window. A window
/// without run time counts as 0, so the value of a sleeper decays. Windows are taken as equally long: with
/// intervals of different length the value is an average per window, not per second.
///
/// It knows exactly the tasks of the latest window. A task that ended there keeps its last value until the
/// next update; a task a window no longer lists has ended, and is forgotten, which bounds the memory.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Rolling {
    alpha: Alpha,
    /// Ordered by identity, as the tasks of a window are.
    values_ns: Vec<(TaskId, f64)>,
}

impl Rolling {
    /// Knows nobody yet.
    pub fn new(alpha: Alpha) -> Self {
        Self { alpha, values_ns: Vec::new() }
    }

    /// Takes in the next window.
    pub fn update(&mut self, window: &Window) {
        let alpha = self.alpha.get();
        let mut old = std::mem::take(&mut self.values_ns).into_iter().peekable();
        let values_ns = window.tasks.iter().map(|task| {
            let (id, delta_ns) = (task.totals.id, task.delta.runtime_ns as f64);
            while old.next_if(|(other, _)| *other < id).is_some() {}
            let old_ns = old.next_if(|(same, _)| *same == id).map(|(_, old_ns)| old_ns);
            (id, old_ns.map_or(delta_ns, |old_ns| alpha * delta_ns + (1.0 - alpha) * old_ns))
        });
        self.values_ns = values_ns.collect();
    }

    /// The task's average run time per window in nanoseconds; `None` for a task the latest window did not
    /// list.
    pub fn get(&self, id: TaskId) -> Option<f64> {
        let at = self.values_ns.binary_search_by_key(&id, |(id, _)| *id).ok()?;
        Some(self.values_ns[at].1)
    }

    /// How many tasks it knows.
    pub fn len(&self) -> usize {
        self.values_ns.len()
    }

    /// Whether it knows nobody.
    pub fn is_empty(&self) -> bool {
        self.values_ns.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture;
    use proptest::prelude::*;

    fn id(pid: u32) -> TaskId {
        TaskId { pid, start_ns: 7 }
    }

    fn window(deltas: &[(u32, u64)]) -> Window {
        let task = |&(pid, ns): &(u32, u64)| fixture::Task { start_ns: 7, ..fixture::Task::ran(pid, ns) };
        fixture::window(&deltas.iter().map(task).collect::<Vec<_>>())
    }

    #[test]
    fn alpha_is_refused_outside_its_range() {
        for bad in ["0", "-0.5", "1.1", "NaN", "inf", "-inf", "abc", "", "1e999"] {
            let error = bad.parse::<Alpha>().unwrap_err();
            assert!(error.to_string().contains("greater than 0 and at most 1"), "{error}");
        }
        assert!(Alpha::new(f64::NAN).is_err());
        assert!(Alpha::new(-0.0).is_err());
        assert_eq!("1".parse(), Ok(Alpha(1.0)));
        assert_eq!("5e-324".parse(), Ok(Alpha(5e-324)));
        assert_eq!("0.5".parse(), Ok(Alpha::default()));
    }

    #[test]
    fn the_first_value_is_the_first_delta_and_sleepers_decay() {
        let mut rolling = Rolling::new(Alpha(0.25));
        rolling.update(&window(&[(1, 800)]));
        assert_eq!(rolling.get(id(1)), Some(800.0));
        rolling.update(&window(&[(1, 0), (2, 100)]));
        assert_eq!((rolling.get(id(1)), rolling.get(id(2))), (Some(600.0), Some(100.0)));
        rolling.update(&window(&[(1, 1000), (2, 100)]));
        assert_eq!((rolling.get(id(1)), rolling.get(id(2))), (Some(700.0), Some(100.0)));
    }

    #[test]
    fn a_task_is_forgotten_when_a_window_no_longer_lists_it() {
        let mut rolling = Rolling::new(Alpha::default());
        rolling.update(&window(&[(1, 800), (2, 800)]));
        rolling.update(&window(&[(2, 800)]));
        assert_eq!((rolling.get(id(1)), rolling.len()), (None, 1));
        rolling.update(&window(&[(1, 8), (2, 800)])); // the PID is reused: nothing of the dead task is left
        assert_eq!(rolling.get(id(1)), Some(8.0));
    }

    #[test]
    fn a_reused_pid_is_another_task() {
        let mut rolling = Rolling::new(Alpha::default());
        rolling.update(&window(&[(1, 800)]));
        let two = [fixture::Task { start_ns: 7, ..fixture::Task::ran(1, 0) }, fixture::Task::ran(1, 300)];
        rolling.update(&fixture::window(&two));
        assert_eq!(rolling.get(id(1)), Some(400.0));
        assert_eq!(rolling.get(fixture::Task::ran(1, 300).id()), Some(300.0));
    }

    proptest! {
        #[test]
        fn it_is_the_weighted_sum_of_all_deltas(
            deltas in prop::collection::vec(0u64..10_000_000_000, 1..40), alpha in 0.001f64..=1.0,
        ) {
            let mut rolling = Rolling::new(Alpha(alpha));
            for delta in &deltas {
                rolling.update(&window(&[(1, *delta)]));
            }
            // The recursion unrolled: weights alpha·(1−alpha)^age, the oldest keeps the remaining
            // (1−alpha)^(n−1).
            let oldest = deltas.len() - 1;
            let sum: f64 = deltas.iter().rev().enumerate().map(|(age, delta)| {
                let decay = (1.0 - alpha).powi(i32::try_from(age).unwrap());
                *delta as f64 * if age == oldest { decay } else { alpha * decay }
            }).sum();
            let got = rolling.get(id(1)).unwrap();
            prop_assert!((got - sum).abs() <= 1e-9 * sum.max(1.0), "{got} {sum}");
        }
    }
}
