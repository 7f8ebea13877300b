//! What the audit says about weights that do nothing.

use super::*;
use crate::interference::{GroupPair, Imposed};

/// The abouts of an audit, in order.
fn abouts(case: &Case) -> Vec<About> {
    case.audit().findings.into_iter().map(|f| f.about).collect()
}

#[test]
fn three_sessions_make_three_nice_values_equal() {
    let mut case = Case::cpus(1);
    for (group, weight) in [(2, 1024), (3, 526), (4, 335)] {
        case.group(group, Some(1), 1024);
        case.burner(Group::Cgroup(group), weight, SECOND / 3);
    }
    let audit = case.gives(&[1.0 / 3.0; 3]);
    let said: Vec<(Nice, Vec<u32>)> = audit
        .findings
        .iter()
        .filter_map(|f| match f.about {
            About::NiceActsOnNobody { nice, .. } => Some((nice, f.tasks.iter().map(|t| t.pid).collect())),
            _ => None,
        })
        .collect();
    let nice = |n| Nice::new(n).unwrap();
    assert_eq!(said, [(nice(5), vec![102]), (nice(3), vec![101])], "the larger effect first");
    let About::NiceActsOnNobody { entitled_ns, by_nice_ns, group_weight, .. } = audit.findings[1].about
    else {
        panic!("{:?}", audit.findings[1])
    };
    // By nice alone 335/1885 of the second.
    assert_eq!((entitled_ns, by_nice_ns, group_weight), (333_333_333, 177_718_833, 1024));
    // The session of nice 0 gets a third where its nice value would give 54 %: that is the groups' doing.
    assert!(matches!(audit.findings[0].about, About::GroupWeight { group: Group::Cgroup(2), .. }));
}

#[test]
fn tickets_that_were_set_count_in_place_of_nice() {
    let mut case = Case::cpus(1);
    case.group(2, Some(1), 1024);
    case.burner(Group::Cgroup(2), 335, SECOND / 4).totals.tickets_set = Some(300);
    case.burner(Group::Cgroup(2), 1024, SECOND / 4).totals.tickets_set = Some(100);
    case.burner(ROOT, 1024, SECOND / 2);
    let audit = case.gives(&[0.375, 0.125, 0.5]);
    let rows = audit.rows(By::Task, |_| true);
    let weights: Vec<_> = rows.iter().map(|row| (row.weight, row.tickets_set)).collect();
    assert_eq!(weights, [(Some(300), true), (Some(100), true), (Some(1024), false)]);
    // A process, a name: some of its weight is of that kind. A group has a weight of its own.
    assert!(audit.rows(By::Process, |_| true)[0].tickets_set);
    assert!(audit.rows(By::Group, |_| true).iter().all(|row| !row.tickets_set));

    // Alone in its session, with nice 5 and tickets of its own: the nice value is not what acts on nobody.
    let mut case = Case::cpus(1);
    for group in [2, 3] {
        case.group(group, Some(1), 1024);
        case.burner(Group::Cgroup(group), 335, SECOND / 2).totals.tickets_set = Some(335);
    }
    assert_eq!(abouts(&case), []);
}

#[test]
fn nice_that_acts_is_not_mentioned() {
    let mut case = Case::cpus(1);
    case.group(2, Some(1), 1024);
    for weight in [1024, 526, 335] {
        case.burner(Group::Cgroup(2), weight, SECOND / 3);
    }
    assert_eq!(abouts(&case), []);
    // It also acts on a subgroup beside the task.
    let mut case = Case::cpus(1);
    case.group(2, Some(1), 1024);
    case.group(3, Some(2), 1024);
    case.burner(Group::Cgroup(2), 335, SECOND / 4);
    case.burner(Group::Cgroup(3), 1024, SECOND * 3 / 4);
    assert_eq!(abouts(&case), []);
    // Nor is one that nobody disputes the CPU.
    let mut case = Case::cpus(1);
    case.group(2, Some(1), 1024);
    case.burner(Group::Cgroup(2), 335, SECOND);
    assert_eq!(abouts(&case), []);
}

#[test]
fn a_crowded_group_is_held_down_by_its_weight() {
    let mut case = Case::cpus(1);
    case.group(2, Some(1), 1024);
    case.group(3, Some(1), 1024);
    for _ in 0..9 {
        case.burner(Group::Cgroup(2), 1024, SECOND / 18);
    }
    case.burner(Group::Cgroup(3), 1024, SECOND / 2);
    let expected = |group, weights, by_nice| About::GroupWeight {
        group: Group::Cgroup(group),
        group_weight: 1024,
        task_weights: weights,
        entitled_ns: SECOND / 2,
        by_nice_ns: by_nice,
    };
    assert_eq!(abouts(&case), [expected(2, 9216, 900_000_000), expected(3, 1024, 100_000_000)]);
}

#[test]
fn a_quota_that_binds_is_named_with_its_numbers() {
    let mut case = Case::cpus(1);
    let group = case.group(2, Some(1), 1024);
    group.totals.quota = Some(Quota { quota_ns: 20_000_000, period_ns: 100_000_000 });
    (group.throttled_ns, group.throttles) = (800_000_000, 10);
    case.group(3, Some(2), 1024);
    case.burner(Group::Cgroup(3), 1024, 200_000_000);
    let quota = About::Quota {
        group: Group::Cgroup(2),
        quota_ns: 200_000_000,
        asked_ns: SECOND,
        received_ns: 200_000_000,
        throttles: 10,
        throttled_ns: 800_000_000,
    };
    assert_eq!(abouts(&case), [quota]);
}

#[test]
fn affinity_that_keeps_tasks_from_an_idle_cpu() {
    let mut case = Case::cpus(2);
    (case.0.cpus[1].busy_ns, case.0.cpus[1].idle_ns) = (0, SECOND);
    let cpus = CpuSet::from_iter([0]);
    for run_ns in [600_000_000, 400_000_000] {
        case.burner(ROOT, 1024, run_ns).totals.affinity = Some(cpus.clone());
    }
    let audit = case.audit();
    assert_eq!(audit.findings.len(), 1);
    assert_eq!(audit.findings[0].about, About::Affinity { cpus, wait_ns: SECOND, idle_ns: SECOND });
    assert_eq!(audit.findings[0].foremost.pid, 101, "who waited most");
    case.0.cpus[1].idle_ns = 0;
    assert_eq!(abouts(&case), []);
}

#[test]
fn real_time_and_other_schedulers_are_named() {
    let mut case = Case::cpus(1);
    case.0.ext_runs = true;
    case.0.cpus[0].unfair_ns = 300_000_000;
    case.burner(ROOT, 1024, 100_000_000).totals.policy = Policy::Fifo;
    case.burner(ROOT, 1024, 200_000_000).totals.policy = Policy::RoundRobin;
    case.burner(ROOT, 1024, 700_000_000).totals.policy = Policy::Ext;
    let audit = case.audit();
    let said: Vec<(&About, u32)> = audit.findings.iter().map(|f| (&f.about, f.foremost.pid)).collect();
    let real_time = About::RealTime { cpu: 0, unfair_ns: 300_000_000, wall_ns: SECOND };
    assert_eq!(said, [(&About::NotFair { runtime_ns: 700_000_000 }, 102), (&real_time, 101)]);
    case.0.ext_runs = false;
    let audit = case.audit();
    let said: Vec<&About> = audit.findings.iter().map(|f| &f.about).collect();
    assert_eq!(said, [&real_time], "the fair class runs them");
}

#[test]
fn findings_are_bounded() {
    let mut case = Case::cpus(1);
    for group in 2..152 {
        case.group(group, Some(1), 1024);
        case.burner(Group::Cgroup(group), 335, SECOND / 150);
    }
    let audit = case.audit();
    assert_eq!((audit.findings.len(), audit.findings_left_out), (Finding::MOST, 50));
}

#[test]
fn a_burst_below_the_mean_quota_is_no_debt_and_is_found() {
    // 50 ms of each 100 ms are 500 ms of the second. It ran 200 ms and stood throttled for 100 ms: it asked
    // for 300 ms.
    let mut case = Case::cpus(1);
    let group = case.group(2, Some(1), 1024);
    group.totals.quota = Some(Quota { quota_ns: 50_000_000, period_ns: 100_000_000 });
    (group.throttled_ns, group.throttles) = (100_000_000, 2);
    case.burner(Group::Cgroup(2), 1024, 200_000_000).delta.wait_ns = 100_000_000;
    let audit = case.gives(&[0.2]);
    assert_eq!(audit.lines[0].lag_ns(), 0);
    assert_eq!(audit.lines[0].waiting.throttled_ns, 100_000_000);
    let quota = About::Quota {
        group: Group::Cgroup(2),
        quota_ns: 500_000_000,
        asked_ns: 300_000_000,
        received_ns: 200_000_000,
        throttles: 2,
        throttled_ns: 100_000_000,
    };
    assert_eq!(abouts(&case), [quota]);
    // What it waited beyond that it waited for others: that is owed.
    let mut case = Case::cpus(1);
    let group = case.group(2, Some(1), 1024);
    group.totals.quota = Some(Quota { quota_ns: 50_000_000, period_ns: 100_000_000 });
    (group.throttled_ns, group.throttles) = (100_000_000, 2);
    case.burner(Group::Cgroup(2), 1024, 200_000_000).delta.wait_ns = 130_000_000;
    case.gives(&[0.23]);
}

#[test]
fn the_weight_that_is_named_is_that_of_the_level_that_competes() {
    // A service of weight 20 alone in its slice of weight 1024, beside a group of nine tasks.
    let mut case = Case::cpus(1);
    case.group(2, Some(1), 1024);
    case.group(3, Some(2), 20);
    case.group(4, Some(1), 1024);
    case.burner(Group::Cgroup(3), 1024, SECOND / 2);
    for _ in 0..9 {
        case.burner(Group::Cgroup(4), 1024, SECOND / 18);
    }
    let weights: Vec<(Group, u64)> = abouts(&case)
        .into_iter()
        .filter_map(|about| match about {
            About::GroupWeight { group, group_weight, .. } => Some((group, group_weight)),
            _ => None,
        })
        .collect();
    assert_eq!(weights, [(Group::Cgroup(2), 1024), (Group::Cgroup(4), 1024)]);

    // Of nice 5: what counts outside is the slice's weight.
    let mut case = Case::cpus(1);
    case.group(2, Some(1), 512);
    case.group(3, Some(2), 20);
    case.burner(Group::Cgroup(3), 335, SECOND / 3);
    case.burner(ROOT, 1024, SECOND * 2 / 3);
    let said = abouts(&case).into_iter().find_map(|about| match about {
        About::NiceActsOnNobody { group, competing, group_weight, .. } => {
            Some((group, competing, group_weight))
        }
        _ => None,
    });
    assert_eq!(said, Some((Group::Cgroup(3), Some(Group::Cgroup(2)), 512)));

    // Alone on the machine nobody competes, at any level.
    let mut case = Case::cpus(1);
    case.group(2, Some(1), 20);
    for _ in 0..2 {
        case.burner(Group::Cgroup(2), 335, SECOND / 2);
    }
    assert!(matches!(abouts(&case)[..], [About::NiceActsOnNobody { competing: None, .. }] | []));
}

#[test]
fn who_has_used_up_its_budget_waited_for_nobody_but_others_of_its_kind() {
    // 20 ms of every 100 ms, and it never slept; fair tasks had the rest.
    let mut case = Case::cpus(1);
    case.burner(ROOT, 1024, 4 * SECOND / 5);
    case.burner(ROOT, 1024, SECOND / 5).totals.policy = Policy::Deadline;
    case.0.cpus[0].unfair_ns = SECOND / 5;
    let promised = Reservation { runtime_ns: 20_000_000, deadline_ns: 50_000_000, period_ns: 100_000_000 };
    case.0.reservations.insert(TaskId { pid: 101, start_ns: 1 }, promised);
    let audit = case.audit();
    let waiting = audit.lines[1].waiting;
    assert_eq!(waiting, Waiting { throttled_ns: 4 * SECOND / 5, ..Waiting::default() });
    let budget =
        About::Budget { runtime_ns: SECOND / 5, throttled_ns: 4 * SECOND / 5, reservation: Some(promised) };
    let found: Vec<_> = audit.findings.iter().filter(|f| f.about == budget).collect();
    assert_eq!((found.len(), found[0].foremost.pid), (1, 101));
    // Who ran meanwhile is not to blame.
    let pair = |victim, culprit| {
        let task = |pid| TaskId { pid, start_ns: 1 };
        crate::interference::Pair { victim: task(victim), culprit: task(culprit) }
    };
    let standing = crate::interference::Standing { preemptions: 1, held_ns: SECOND / 10 };
    case.0.interference = Some(crate::interference::Interference {
        pairs: [(pair(101, 100), standing), (pair(100, 101), standing)].into(),
        ..Default::default()
    });
    let hindered = case.audit().hindered(5, |_| true);
    assert_eq!(hindered.iter().map(|h| h.victim.pid).collect::<Vec<_>>(), [100]);

    // Two of them: each may have waited for the other, as long as that one ran.
    case.burner(ROOT, 1024, SECOND / 10).totals.policy = Policy::Deadline;
    case.0.interference.as_mut().unwrap().pairs.insert(pair(101, 102), standing);
    let audit = case.audit();
    assert_eq!(audit.lines[1].waiting.contention_ns, SECOND / 10);
    assert_eq!(audit.lines[2].waiting.contention_ns, SECOND / 5);
    assert!(audit.hindered(5, |_| true).iter().any(|h| h.victim.pid == 101 && h.tasks[0].0.pid == 102));
}

/// Pairs of tasks add up to their groups, whoever adds them: the source, or the audit.
#[test]
fn pairs_of_groups_are_those_of_their_tasks_or_what_the_source_tells() {
    let mut case = Case::cpus(1);
    let (a, b) = (Group::Cgroup(2), Group::Cgroup(3));
    case.group(2, Some(1), 1024);
    case.group(3, Some(1), 1024);
    for group in [a, a, b, b] {
        case.burner(group, 1024, SECOND / 4);
    }
    let task = |pid| TaskId { pid, start_ns: 1 };
    let pair = |victim, culprit, preemptions, held_ns| {
        let pair = crate::interference::Pair { victim: task(victim), culprit: task(culprit) };
        (pair, crate::interference::Standing { preemptions, held_ns })
    };
    // 100 and 101 are of one group, 102 and 103 of the other; 7 is in no line.
    let pairs = [
        pair(100, 102, 1, 10),
        pair(101, 102, 2, 20),
        pair(101, 103, 4, 40),
        pair(102, 103, 8, 5),
        pair(103, 101, 16, 69),
        pair(100, 7, 32, 160),
    ];
    case.0.interference =
        Some(crate::interference::Interference { pairs: pairs.into(), ..Default::default() });
    let of = |victim, culprit, preemptions, imposed_wait_ns| {
        (GroupPair { victim, culprit }, Imposed { imposed_wait_ns, preemptions })
    };
    let expected = [of(a, b, 7, 70), of(b, a, 16, 69), of(b, b, 8, 5)];
    let audit = case.audit();
    assert_eq!(audit.imposed(), expected);
    let hindered = audit.hindered_groups(1, |line| line.task.totals.id.pid == 103);
    assert_eq!(
        hindered,
        [GroupHindrance {
            victim: b,
            wait_ns: 3 * SECOND / 2,
            culprits: vec![(a, expected[1].1), (b, expected[2].1)]
        }]
    );

    case.0.interference =
        Some(crate::interference::Interference { groups: expected.into(), ..Default::default() });
    let told = case.audit();
    assert!(told.interference.as_ref().unwrap().is_by_groups());
    assert_eq!((told.imposed(), told.hindered(5, |_| true)), (expected.to_vec(), Vec::new()));
    assert_eq!(told.hindered_groups(1, |line| line.task.totals.id.pid == 103), hindered);
}

/// A recording finds out at its end that somebody waited: the window cuts the wait to the interval.
#[test]
fn what_is_not_known_is_no_longer_than_the_wait() {
    let mut case = Case::cpus(1);
    let group = Group::Cgroup(1);
    for _ in 0..2 {
        case.burner(group, 1024, SECOND / 2);
    }
    let task = |pid| TaskId { pid, start_ns: 1 };
    let pair = crate::interference::Pair { victim: task(100), culprit: task(101) };
    let standing = crate::interference::Standing { preemptions: 1, held_ns: SECOND / 5 };
    case.0.interference = Some(crate::interference::Interference {
        pairs: [(pair, standing)].into(),
        unknown_ns: [(task(100), 20 * SECOND)].into(),
        ..Default::default()
    });
    let hindered = case.audit().hindered(1, |line| line.task.totals.id == task(100));
    assert_eq!((hindered[0].wait_ns, hindered[0].unknown_ns), (SECOND / 2, SECOND / 2 - SECOND / 5));
}
