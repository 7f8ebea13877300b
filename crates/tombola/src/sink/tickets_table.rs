//! The tickets of all tasks of a running scheduler.

use super::layout::{
    Layout,
    Side::{Left, Right},
};
use super::print::{line, name, percent};
use super::schedule_table::tickets;
use crate::groups::{Groups, group_text};
use crate::text::{clip, harmless};
use std::collections::BTreeMap;
use tombola_core::group_path::short_name;
use tombola_core::snapshot::Group;
use tombola_kernel::scheduler::ScheduledTask;

/// Columns a group's name may fill.
const GROUP_COLUMNS: usize = 28;

/// The tasks group by group, most tickets first. A task's share is that among the tasks of its group that are
/// runnable now, itself included.
pub(crate) fn render(tasks: &[ScheduledTask], groups: &Groups) -> String {
    let mut runnable: BTreeMap<Group, u64> = BTreeMap::new();
    for task in tasks.iter().filter(|task| task.runnable) {
        *runnable.entry(task.group).or_default() += u64::from(task.tickets);
    }
    let mut order: Vec<&ScheduledTask> = tasks.iter().collect();
    order.sort_by_key(|task| (task.group, std::cmp::Reverse(task.tickets), task.id));
    let mut layout = Layout::new(&[
        ("PID", Right),
        ("COMM", Left),
        ("NICE", Right),
        ("TICKETS", Right),
        ("SHARE%", Right),
        ("RUNNABLE", Right),
        ("WINS", Right),
        ("EXPECTED", Right),
        ("GROUP", Left),
    ]);
    for task in order {
        let own = u64::from(task.tickets);
        let others = runnable.get(&task.group).copied().unwrap_or(0) - if task.runnable { own } else { 0 };
        layout.cell(task.id.pid.to_string());
        layout.cell(name(&task.comm));
        layout.cell(task.nice.to_string());
        layout.cell(tickets(task));
        layout.cell(if own == 0 { "-".to_owned() } else { percent(own as f64 / (own + others) as f64) });
        layout.cell(if task.runnable { "yes" } else { "no" });
        layout.cell(task.tally.wins.to_string());
        layout.cell(format!("{:.1}", task.tally.expected));
        let group = harmless(short_name(&group_text(groups, task.group)).as_bytes());
        layout.cell(if group.is_empty() {
            "\"\"".to_owned()
        } else {
            clip(&group, GROUP_COLUMNS).into_owned()
        });
    }
    let mut out = String::new();
    layout.write(&mut out, "");
    if tasks.iter().any(|task| task.explicit) {
        line(&mut out, format_args!("* tickets that were set; all others follow from nice"));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::fixture::scheduled;
    use super::*;

    #[test]
    fn groups_stand_together_and_shares_are_of_the_runnable() {
        let groups = Groups::from([(Group::Cgroup(1), "/a\x1bb".to_owned())]);
        insta::assert_snapshot!(render(&scheduled(), &groups));
    }
}
