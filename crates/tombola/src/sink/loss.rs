//! What was lost, in words.

use super::ms3;
use crate::text::count;
use tombola_core::snapshot::Loss;

/// What is said of a light monitor: what the kernel's own counters leave unknown.
const LIGHT: &str = "light, from the kernel's own counters: how long single waits were, who stood in the way, and what is sleep in the \
                     waits is not known";

/// Each kind with its number and, where there is one, the remedy; `none` if nothing was.
pub(crate) fn loss_text(loss: &Loss) -> String {
    let mut parts = Vec::new();
    let mut add = |n: u64, noun: &str, what: &str| {
        if n > 0 {
            let counted = if noun.is_empty() { n.to_string() } else { count(n, noun) };
            parts.push(format!("{counted} {what}"));
        }
    };
    let time = ms3(loss.untracked_ns);
    add(loss.untracked_slices(), "slice", &format!("untracked ({time} ms)"));
    add(loss.map_full, "", "of them because the task map is full: raise --max-tasks");
    add(loss.map_busy, "", "of them because the task map was busy");
    add(loss.map_other, "", "of them refused by the kernel");
    add(loss.clock_backwards, "time stamp", "ran backwards");
    add(loss.stale_records, "task end", "missed and found when the PID was used again");
    add(loss.groups_full, "time", "a group found no room: its tasks count as the root's");
    add(
        loss.unknown_groups,
        "group",
        "unknown, for there are too many: tasks there count as the root's; raise --max-groups",
    );
    add(
        loss.groups_deep,
        "time",
        "a group was too deep in the tree: what is above its 32nd level counts as the root",
    );
    let time = ms3(loss.unseen_ns);
    add(
        loss.unseen_switches,
        "switch",
        &format!("not shown by the kernel ({time} ms, in part with another task than ran)"),
    );
    let time = ms3(loss.overlong_ns);
    add(
        loss.overlong_waits,
        "task",
        &format!("with more run and wait than the interval ({time} ms cut off)"),
    );
    let text = if parts.is_empty() { "none".to_owned() } else { parts.join("; ") };
    if loss.light { format!("{text}; {LIGHT}") } else { text }
}

/// What the kernel's own books have wrong and these have not, as a part of the head line; empty if nothing
/// was corrected.
pub(crate) fn corrected_text(loss: &Loss) -> String {
    if loss.corrected_waits == 0 {
        return String::new();
    }
    format!(
        "; corrected: {} ({} ms of sleep in the kernel's books)",
        count(loss.corrected_waits, "wait"),
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
        let one = Loss { unseen_switches: 1, ..Loss::default() };
        assert!(loss_text(&one).starts_with("1 switch not shown"), "{}", loss_text(&one));
        let two = Loss { unseen_switches: 2, ..one };
        assert!(loss_text(&two).starts_with("2 switches not shown"), "{}", loss_text(&two));
        assert_eq!(loss_text(&loss), "2 tasks with more run and wait than the interval (5.000 ms cut off)");
    }
}
