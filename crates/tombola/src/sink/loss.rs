//! What was lost, in words.

use super::ms3;
use tombola_core::snapshot::Loss;

/// What is said of a light monitor: what the kernel's own counters leave unknown.
const LIGHT: &str = "light, from the kernel's own counters: how long single waits were, who stood in the way, and what is sleep in the \
                     waits is not known";

/// Each kind with its number and, where there is one, the remedy; `none` if nothing was.
pub(crate) fn loss_text(loss: &Loss) -> String {
    let mut parts = Vec::new();
    let mut add = |n: u64, what: &str| {
        if n > 0 {
            parts.push(format!("{n} {what}"));
        }
    };
    let time = ms3(loss.untracked_ns);
    add(loss.untracked_slices(), &format!("slices untracked ({time} ms)"));
    add(loss.map_full, "of them because the task map is full: raise --max-tasks");
    add(loss.map_busy, "of them because the task map was busy");
    add(loss.map_other, "of them refused by the kernel");
    add(loss.clock_backwards, "time stamps ran backwards");
    add(loss.stale_records, "ends of tasks missed and found when the PID was used again");
    add(loss.groups_full, "times a group found no room: its tasks count as the root's");
    add(
        loss.unknown_groups,
        "groups unknown, for there are too many: their tasks count as the root's; raise --max-groups",
    );
    add(
        loss.groups_deep,
        "times a group was too deep in the tree: what is above its 32nd level counts as the root",
    );
    let time = ms3(loss.unseen_ns);
    add(
        loss.unseen_switches,
        &format!("switches not shown by the kernel ({time} ms, in part with another task than ran)"),
    );
    let time = ms3(loss.overlong_ns);
    add(loss.overlong_waits, &format!("tasks with more run and wait than the interval ({time} ms cut off)"));
    let text = if parts.is_empty() { "none".to_owned() } else { parts.join("; ") };
    if loss.light { format!("{text}; {LIGHT}") } else { text }
}

/// What the kernel's own books have wrong and these have not, as a part of the head line; empty if nothing was corrected.
pub(crate) fn corrected_text(loss: &Loss) -> String {
    if loss.corrected_waits == 0 {
        return String::new();
    }
    format!(
        "; corrected: {} waits ({} ms of sleep in the kernel's books)",
        loss.corrected_waits,
        ms3(loss.corrected_ns)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_put_right_is_told_and_is_no_loss() {
        let loss = Loss { corrected_waits: 12, corrected_ns: 2_400_000_000, ..Loss::default() };
        assert_eq!(loss_text(&loss), "none");
        assert_eq!(
            corrected_text(&loss),
            "; corrected: 12 waits (2400.000 ms of sleep in the kernel's books)"
        );
        assert_eq!(corrected_text(&Loss::default()), "");
        let loss = Loss { overlong_waits: 2, overlong_ns: 5_000_000, ..loss };
        assert_eq!(loss_text(&loss), "2 tasks with more run and wait than the interval (5.000 ms cut off)");
    }
}
