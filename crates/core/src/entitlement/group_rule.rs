//! How the fair class turns the weight of a group into what competes: the kernel's rules, as formulas.
//!
//! Up to 7.2 there was one, `smp`. 7.3 knows five (`/sys/kernel/debug/sched/cgroup_mode`;
//! `calc_group_shares()` and its siblings in `kernel/sched/fair.c`). A group has a queue on each CPU; `part`
//! is what that queue holds of the group's load, and the parts of all queues add up to 1. What competes on a
//! CPU is the weight of the group's queue there:
//!
//! | rule | weight of a queue | of all queues together |
//! |---|---|---|
//! | `up` | shares | shares × queues |
//! | `smp` | part × shares | shares |
//! | `concur` | part × n × shares, n = min(max(1, ⌊runnable⌋), CPUs) | n × shares |
//! | `max` | min(part × CPUs × shares, 88761) | CPUs × shares, or less |
//! | `tasks` | part × runnable × shares | runnable × shares |

use std::fmt;
use std::str::FromStr;
use thiserror::Error;

/// The largest weight of a queue under [`GroupRule::Max`]: that of a task of nice −20.
pub const MOST_WEIGHT: f64 = 88_761.0;

/// A rule, by the kernel's own word for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum GroupRule {
    /// The weight counts on each CPU.
    Up,
    /// The weight is what the group has on all CPUs together.
    #[default]
    Smp,
    /// The weight counts once for each CPU that the group's tasks can keep busy.
    Concur,
    /// The weight counts once for each CPU that the group may use.
    Max,
    /// The weight counts once for each runnable task.
    Tasks,
}

/// A word that names no rule.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("there is no rule '{0}' for the weights of groups; the kernel's are up, smp, concur, max and tasks")]
pub struct UnknownRule(String);

/// A group's load, as the rules ask for it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GroupLoad {
    /// Its weight: 1024 is `cpu.weight` 100.
    pub shares: u64,
    /// How many of its tasks are runnable, on average.
    pub runnable: f64,
    /// CPUs that it may use; at least 1.
    pub cpus: u64,
}

impl GroupRule {
    /// The weight of the group's queue on a CPU that holds this part of its load.
    pub fn queue_weight(self, group: &GroupLoad, part: f64) -> f64 {
        let shares = group.shares as f64;
        match self {
            Self::Up => shares,
            Self::Smp => part * shares,
            Self::Concur => part * group.concurrency() * shares,
            Self::Max => (part * group.cpus as f64 * shares).min(MOST_WEIGHT),
            Self::Tasks => part * group.runnable.max(1.0) * shares,
        }
    }

    /// The weight of all its queues together, where its load is spread evenly over as many CPUs as its tasks
    /// can keep busy; rounded, and at least 1. It is what the group weighs against its siblings in a division
    /// of all CPUs.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "`as` saturates, and the value is not negative"
    )]
    pub fn whole_weight(self, group: &GroupLoad) -> u64 {
        let queues = group.concurrency();
        (queues * self.queue_weight(group, 1.0 / queues)).round().max(1.0) as u64
    }
}

impl GroupLoad {
    /// CPUs that its tasks can keep busy: whole ones, as the kernel counts.
    fn concurrency(&self) -> f64 {
        self.runnable.floor().max(1.0).min(self.cpus as f64)
    }
}

/// One level above a task: what the queue it is in weighs in the queue above, and what that first queue
/// holds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Level {
    /// Weight of the group's queue ([`GroupRule::queue_weight`]).
    pub queue_weight: f64,
    /// Weights of all that is in that queue: tasks and groups.
    pub load: f64,
}

/// What a task weighs in the root's queue of its CPU: its weight times, level by level upwards, the weight of
/// its group's queue as a part of what that queue holds. The kernel's own figure is
/// `task_struct::se.h_load.weight`, since 7.3.
pub fn effective_weight(task_weight: f64, levels: impl IntoIterator<Item = Level>) -> f64 {
    levels.into_iter().fold(task_weight, |weight, level| weight * level.queue_weight / level.load)
}

impl FromStr for GroupRule {
    type Err = UnknownRule;

    fn from_str(word: &str) -> Result<Self, UnknownRule> {
        Ok(match word {
            "up" => Self::Up,
            "smp" => Self::Smp,
            "concur" => Self::Concur,
            "max" => Self::Max,
            "tasks" => Self::Tasks,
            _ => return Err(UnknownRule(word.to_owned())),
        })
    }
}

impl fmt::Display for GroupRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Up => "up",
            Self::Smp => "smp",
            Self::Concur => "concur",
            Self::Max => "max",
            Self::Tasks => "tasks",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: [GroupRule; 5] =
        [GroupRule::Up, GroupRule::Smp, GroupRule::Concur, GroupRule::Max, GroupRule::Tasks];

    fn load(runnable: f64, cpus: u64) -> GroupLoad {
        GroupLoad { shares: 1024, runnable, cpus }
    }

    #[test]
    fn the_weight_of_all_queues_is_the_formula_of_the_table() {
        // Three burners that may use eight CPUs; twelve that may use eight; one that runs half the time.
        let cases = [(3.0, 8, [3, 1, 3, 8, 3]), (12.0, 8, [8, 1, 8, 8, 12]), (0.5, 8, [1, 1, 1, 8, 1])];
        for (runnable, cpus, times) in cases {
            let weights = RULES.map(|rule| rule.whole_weight(&load(runnable, cpus)));
            assert_eq!(weights, times.map(|times| times * 1024), "{runnable} on {cpus}");
        }
        // 2.9 runnable tasks keep two CPUs busy, as the kernel counts, and are 2.9 tasks.
        assert_eq!(GroupRule::Concur.whole_weight(&load(2.9, 8)), 2 * 1024);
        assert_eq!(GroupRule::Tasks.whole_weight(&load(2.9, 8)), 2970);
        // A queue weighs no more than a task of nice -20.
        let heavy = GroupLoad { shares: 100_000, runnable: 2.0, cpus: 4 };
        assert_eq!(GroupRule::Max.whole_weight(&heavy), 2 * 88_761);
    }

    #[test]
    fn the_queues_add_up_where_the_load_is_uneven() {
        let group = load(3.0, 4);
        for (rule, sum) in [(GroupRule::Smp, 1024.0), (GroupRule::Concur, 3072.0), (GroupRule::Tasks, 3072.0)]
        {
            let queues: f64 = [0.5, 0.3, 0.2].iter().map(|part| rule.queue_weight(&group, *part)).sum();
            assert!((queues - sum).abs() < 1e-9, "{rule}: {queues}");
        }
    }

    #[test]
    fn tasks_of_one_group_have_its_queue_between_them() {
        // Weights 1024 and 335 in a group whose queue weighs 512: together they weigh 512, in proportion.
        let level = Level { queue_weight: 512.0, load: 1359.0 };
        let [a, b] = [1024.0, 335.0].map(|weight| effective_weight(weight, [level]));
        assert!((a + b - 512.0).abs() < 1e-9 && (a / b - 1024.0 / 335.0).abs() < 1e-9);
        // Two levels: half of half.
        let half = Level { queue_weight: 1024.0, load: 2048.0 };
        assert!((effective_weight(1024.0, [half, half]) - 256.0).abs() < 1e-9);
        assert!((effective_weight(1024.0, []) - 1024.0).abs() < 1e-9);
    }

    #[test]
    fn words_are_the_kernels() {
        for rule in RULES {
            assert_eq!(rule.to_string().parse(), Ok(rule));
        }
        assert!("fair".parse::<GroupRule>().is_err());
        assert_eq!(GroupRule::default(), GroupRule::Smp);
    }
}
