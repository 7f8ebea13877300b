use super::*;
use crate::cli::{Cli, Verb};
use crate::groups::Groups;
use crate::sink::fixture::{burners, frame, task, window};
use clap::Parser;
use tombola_core::frame::Scheduler;
use tombola_core::policy::Policy;

fn args(flags: &[&str]) -> Box<AuditArgs> {
    match Cli::try_parse_from(["tombola", "audit"].iter().chain(flags)).unwrap().verb {
        Verb::Audit(args) => args,
        other => panic!("{other:?}"),
    }
}

fn audit() -> Audit {
    let mut tasks = burners();
    for (task, wait_ns) in tasks.iter_mut().zip([300_000_000, 700_000_000, 900_000_000, 1]) {
        task.delta.wait_ns = wait_ns;
        task.delta.involuntary = task.delta.runtime_ns / 1_000_000;
    }
    Audit::new(&window(tasks)).unwrap()
}

fn shown(flags: &[&str]) -> Vec<u32> {
    let rows = Shown::of(&args(flags), &audit(), &frame(Groups::new()), None).rows;
    rows.iter().map(|row| row.tgid.unwrap()).collect()
}

#[test]
fn rows_are_sorted_as_asked() {
    assert_eq!(shown(&["--sort", "run"]), [101, 7, 102, 103]);
    assert_eq!(shown(&["--sort", "wait"]), [103, 102, 101, 7]);
    assert_eq!(shown(&["--sort", "preempted"]), [101, 7, 102, 103]);
    assert_eq!(shown(&[])[0], 102, "two CPUs: 102 is owed more than 103, which has a smaller weight");
    assert_eq!(shown(&["-p", "103,7"]), [103, 7], "a task without a lag of its own comes last");
}

#[test]
fn who_waited_longest_is_in_the_usual_rows() {
    let mut tasks: Vec<_> = (1..60).map(|pid| task(pid, b"x", 0, Policy::Other, 10_000_000)).collect();
    // It waited most, in the way it was to: others are owed more.
    tasks[41].totals.affinity = Some(CpuSet::from_iter([1]));
    for (wait_ns, task) in (1..).map(|n| n * 1_000_000).zip(&mut tasks) {
        task.delta.wait_ns = wait_ns;
    }
    tasks[3].delta.wait_ns = 900_000_000;
    tasks[3].totals.policy = Policy::Fifo;
    let audit = Audit::new(&window(tasks)).unwrap();
    let rows = |flags: &[&str]| {
        let args = args(flags);
        let shown = Shown::of(&args, &audit, &frame(Groups::new()), None);
        shown.rows[..shown.count].iter().map(|row| row.tgid.unwrap()).collect::<Vec<u32>>()
    };
    let all = rows(&["--top", "0"]);
    assert_eq!(all.len(), 59);
    assert!(!all[..TABLE_ROWS].contains(&4), "without a lag it is not among the first");
    let usual = rows(&[]);
    assert_eq!(usual[..TABLE_ROWS], all[..TABLE_ROWS]);
    assert_eq!(usual[TABLE_ROWS..], [4]);
    assert_eq!(rows(&["--top", "5"]), all[..5], "who asks for a number gets it");
    assert_eq!(rows(&["--sort", "wait"]).len(), TABLE_ROWS);
}

#[test]
fn the_status_says_what_was_asked_for() {
    let status = |flags: &[&str]| {
        let (args, audit) = (args(flags), audit());
        let mut outcome = Outcome::default();
        outcome.judge(&args, &audit, &Shown::of(&args, &audit, &frame(Groups::new()), None));
        outcome.exit(&args, Origin::Simulated)
    };
    assert_eq!(status(&[]), Exit::Ok);
    assert_eq!(status(&["--max-lag", "10"]), Exit::Check);
    assert_eq!(status(&["--max-lag", "1000"]), Exit::Ok);
    assert_eq!(status(&["--max-lag", "10", "-p", "7"]), Exit::Ok, "of the rows that are shown");
    assert_eq!(status(&["--min-jain", "0.99"]), Exit::Check);
    assert_eq!(status(&["--min-jain", "0.1"]), Exit::Ok);
    assert_eq!(status(&["-p", "4711"]), Exit::Failure);
}

#[test]
fn values_outside_their_range_are_usage_errors() {
    for (flag, bad) in [
        ("--max-lag", &["-1", "1e3", "NaN", "inf", "x"][..]),
        ("--min-jain", &["1.1", "-0.5", "NaN", ""]),
        ("--by", &["user"]),
        ("--comm", &["("]),
        ("-p", &["0", "-1", "x"]),
        ("-u", &["no-such-user-here"]),
        ("--interval", &["0", "2d"]),
    ] {
        for value in bad {
            let error = Cli::try_parse_from(["tombola", "audit", flag, value]).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{flag} {value}");
        }
    }
    let with_command = args(&["--nice-check", "--", "stress-ng", "--cpu", "4"]);
    assert_eq!(with_command.command.len(), 3);
}

#[test]
fn a_scheduler_in_bpf_is_named_with_whom_it_schedules() {
    let loaded = |state: &str, whole_machine, untold: &[&str]| {
        crate::moment::in_charge(&Scheduler {
            ops: "tombola_lottery".into(),
            state: state.into(),
            whole_machine,
            untold: Some(untold.iter().map(|setting| (*setting).to_owned()).collect()),
        })
    };
    let [whole, partial, silent] = [
        loaded("enabled", Some(true), &[]),
        loaded("enabled", Some(false), &["cpu.max", "cpu.idle"]),
        loaded("disabling", None, &[]),
    ];
    assert_eq!(whole, "tombola_lottery (sched_ext), whole machine");
    let scheduler = Some(Scheduler {
        ops: "root_ops".into(),
        state: "enabled".into(),
        whole_machine: Some(true),
        untold: None,
    });
    let group = tombola_core::snapshot::Group::Cgroup(71);
    let sub_schedulers = vec![(group, "lavd".to_owned())];
    let machine = tombola_core::frame::Machine { scheduler, sub_schedulers, ..Default::default() };
    let groups = [(group, "/pods".to_owned())].into();
    let said = crate::moment::schedulers(&machine, &groups);
    assert_eq!(said.as_deref(), Some("root_ops (sched_ext), whole machine; below /pods: lavd"));
    assert_eq!(
        partial,
        "tombola_lottery (sched_ext), tasks of the policy EXT only, not told of cpu.max, cpu.idle"
    );
    assert_eq!(silent, "tombola_lottery (sched_ext), disabling");
}
