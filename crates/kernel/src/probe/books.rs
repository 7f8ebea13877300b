//! Which of the books that the kernel keeps for itself this one keeps: tombola does without what is missing,
//! and each line says how.

use super::{Finding, Verdict};
use crate::btf_file::has_member;
use libbpf_rs::btf::Btf;

pub(super) fn probe(btf: &Btf<'_>) -> Vec<Finding> {
    let has = |of, member| has_member(btf, of, member);
    vec![
        waits(has("sched_entity", "sched_delayed")),
        throttled_time(has("cfs_rq", "throttled_clock_self"), has("cfs_rq", "throttle_count")),
        effective_weights(has("sched_entity", "h_load")),
        task_map(has("bpf_htab", "ma")),
    ]
}

fn waits(asleep_in_queues: bool) -> Finding {
    let text = if asleep_in_queues {
        "the kernel's own may hold sleep (tasks sleep in their queues, 6.12 and later): they are put right at wakeups"
    } else {
        "no task sleeps in its queue: the kernel's own are right"
    };
    Finding::new("waits", Verdict::Ok, text)
}

fn throttled_time(says_since_when: bool, is_kept: bool) -> Finding {
    let name = "throttled time";
    match (says_since_when, is_kept) {
        (true, _) => Finding::new(name, Verdict::Ok, "of each queue, and since when one stands"),
        (false, true) => Finding::new(
            name,
            Verdict::Info,
            "of each queue, up to the end of a stop (before 6.6): who waits behind a quota is told when that is over",
        ),
        (false, false) => {
            Finding::new(name, Verdict::Info, "none (no CONFIG_CFS_BANDWIDTH): there are no quotas here")
        }
    }
}

fn effective_weights(is_kept: bool) -> Finding {
    let text = if is_kept {
        "of each task after all groups above it, by the kernel itself (7.3 and later)"
    } else {
        "the kernel keeps none of a task in one number: weights are multiplied level by level"
    };
    Finding::new("task weights", Verdict::Ok, text)
}

fn task_map(grows: bool) -> Finding {
    let text = if grows {
        "takes memory for the tasks there are"
    } else {
        "takes memory for --max-tasks at once (before 6.1 an allocation at a switch could deadlock)"
    };
    Finding::new("task map", Verdict::Ok, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_kept_is_said_with_what_it_costs() {
        assert!(waits(true).detail.contains("put right") && waits(false).detail.contains("are right"));
        assert_eq!(throttled_time(true, true).verdict, Verdict::Ok);
        assert!(throttled_time(false, true).detail.contains("before 6.6"));
        assert!(throttled_time(false, false).detail.contains("no quotas"));
        assert!(effective_weights(false).detail.contains("level by level"));
        assert!(task_map(false).detail.contains("--max-tasks"));
    }
}
