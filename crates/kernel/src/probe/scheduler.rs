//! What the scheduler of this kernel offers to a monitor.

use super::{Finding, Verdict, books, kernel_file};
use crate::btf_file::{has_member, tracepoint_arguments};
use crate::group_mode::GroupMode;
use crate::sched_ext_state::SchedExtState;
use libbpf_rs::btf::{Btf, types};
use std::path::Path;

pub(super) fn probe(btf: &Path) -> Vec<Finding> {
    let btf = Btf::from_path(btf).ok();
    let mut findings: Vec<Finding> = btf.iter().flat_map(|btf| [sched_switch(btf), run_delay(btf)]).collect();
    findings.extend(btf.iter().flat_map(books::probe));
    findings.push(sched_ext(btf.as_ref()));
    findings.extend(autogroup());
    findings.push(group_weights(&GroupMode::now()));
    findings
}

fn sched_switch(btf: &Btf<'_>) -> Finding {
    let name = "sched_switch";
    match tracepoint_arguments(btf, "sched_switch") {
        Some(4) => Finding::new(name, Verdict::Ok, "4 arguments: preempt, prev, next, prev_state"),
        Some(3) => {
            Finding::new(name, Verdict::Ok, "3 arguments (before 5.18): the state is read from the task")
        }
        Some(count) => {
            Finding::new(name, Verdict::Fail, format!("{count} arguments: a kernel newer than this tombola"))
                .remedy("look for a newer tombola")
        }
        None => Finding::new(name, Verdict::Fail, "the BTF describes no such tracepoint")
            .remedy("use a kernel with CONFIG_DEBUG_INFO_BTF=y and CONFIG_TRACEPOINTS=y"),
    }
}

fn run_delay(btf: &Btf<'_>) -> Finding {
    let name = "run delay";
    if has_member(btf, "sched_info", "run_delay") {
        Finding::new(
            name,
            Verdict::Ok,
            "the kernel keeps its own (sched_info.run_delay, /proc/PID/schedstat)",
        )
    } else {
        Finding::new(
            name,
            Verdict::Info,
            "the kernel keeps none (no CONFIG_SCHED_INFO): waits are shown as 0",
        )
    }
}

fn sched_ext(btf: Option<&Btf<'_>>) -> Finding {
    let built = btf.is_some_and(|btf| btf.type_by_name::<types::Struct<'_>>("sched_ext_ops").is_some());
    Finding::new("sched_ext", Verdict::Info, sched_ext_text(&SchedExtState::now(), built))
}

fn sched_ext_text(state: &SchedExtState, built: bool) -> String {
    match state {
        SchedExtState::Loaded { ops, whole_machine, .. } => {
            let whom = match whole_machine {
                Some(true) => " the whole machine",
                Some(false) => " tasks of the policy EXT",
                None => "",
            };
            format!("on: scheduler {ops} is running{whom}; 'tombola schedule' cannot run beside it")
        }
        SchedExtState::Disabled => {
            "there, disabled: 'tombola schedule' can run, as root or with CAP_BPF and CAP_PERFMON".to_owned()
        }
        SchedExtState::Absent if built => "there, its state is not shown in /sys".to_owned(),
        SchedExtState::Absent => {
            "not in this kernel (CONFIG_SCHED_CLASS_EXT, 6.12): 'tombola schedule' cannot run".to_owned()
        }
    }
}

fn autogroup() -> Option<Finding> {
    let state = kernel_file("/proc/sys/kernel/sched_autogroup_enabled")?;
    let never =
        kernel_file("/proc/cmdline").is_some_and(|line| line.split(' ').any(|word| word == "noautogroup"));
    Some(autogroup_finding(&state, never))
}

/// Switching autogroups off moves nobody: `autogroup_task_group` of the kernel is asked where a task is born,
/// changes its cgroup or begins a session (kernel/sched/autogroup.h).
fn autogroup_finding(state: &str, never: bool) -> Finding {
    let name = "autogroup";
    match (state, never) {
        ("0", true) => {
            Finding::new(name, Verdict::Ok, "off since the boot: nice values act between sessions too")
        }
        ("0", false) => Finding::new(
            name,
            Verdict::Info,
            "off: nice values act between sessions, for what was started since; what was started before stays in the group of its session",
        )
        .remedy("the column GROUP of 'tombola audit' tells who is in an autogroup: start it again"),
        _ => Finding::new(
            name,
            Verdict::Info,
            "on: a nice value acts only among the tasks of its own session; in /proc/PID/autogroup is that of the session",
        )
        .remedy("to weigh the session of a process: echo NICE > /proc/PID/autogroup"),
    }
}

fn group_weights(mode: &GroupMode) -> Finding {
    let name = "group weights";
    if mode.is_whole() {
        let text = "cpu.weight is what a group has on all CPUs together, however many tasks are in it (cgroup_mode smp)";
        return Finding::new(name, Verdict::Ok, text);
    }
    let counts = match mode.to_string().as_str() {
        "concur" => {
            "once for each CPU that the group's runnable tasks can keep busy: of two groups of the same cpu.weight the one with \
                     more runnable tasks gets more"
        }
        "tasks" => "once for each runnable task of the group",
        "max" | "up" => "once for each CPU that the group may use",
        _ => "by a rule that this tombola does not know: 'audit' takes it for the whole group",
    };
    let text = format!("cpu.weight counts {counts} (cgroup_mode {mode})");
    Finding::new(name, Verdict::Info, text)
        .remedy("to compare: echo smp > /sys/kernel/debug/sched/cgroup_mode")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn autogroups_are_off_for_all_only_where_they_never_were_on() {
        assert_eq!(autogroup_finding("0", true).verdict, Verdict::Ok);
        let off = autogroup_finding("0", false);
        assert!(off.verdict == Verdict::Info && off.remedy.is_some(), "{off:?}");
        assert!(autogroup_finding("1", false).detail.starts_with("on: "));
        assert!(autogroup_finding("1", true).detail.starts_with("on: "), "switched on since the boot");
    }

    #[test]
    fn it_is_said_whether_a_scheduler_of_ours_can_run() {
        assert!(sched_ext_text(&SchedExtState::Disabled, true).contains("'tombola schedule' can run"));
        assert!(sched_ext_text(&SchedExtState::Absent, false).contains("cannot run"));
        let other =
            SchedExtState::Loaded { ops: "rusty".into(), state: "enabled".into(), whole_machine: Some(true) };
        let text = sched_ext_text(&other, true);
        assert!(text.contains("rusty is running the whole machine") && text.contains("cannot run"), "{text}");
    }
}
