//! The worked examples of the field, from windows.

use super::*;
use crate::entitlement::GroupRule;

fn flat(cpus: u32, weights: &[u32]) -> Case {
    let mut case = Case::cpus(cpus);
    for &weight in weights {
        case.burner(ROOT, weight, 0);
    }
    case
}

#[test]
fn weights_are_shares_of_one_cpu() {
    // nice 0, 3, 5 have weights 1024, 526, 335.
    flat(1, &[1024, 526, 335]).gives(&[1024.0 / 1885.0, 526.0 / 1885.0, 335.0 / 1885.0]);
}

#[test]
fn a_task_has_no_more_than_one_cpu() {
    flat(2, &[10, 1, 1]).gives(&[1.0, 0.5, 0.5]);
    flat(2, &[3, 2, 1]).gives(&[1.0, 2.0 / 3.0, 1.0 / 3.0]);
    flat(2, &[5, 4, 1]).gives(&[1.0, 0.8, 0.2]);
}

#[test]
fn the_pinned_share_their_cpu() {
    let mut case = Case::cpus(2);
    case.burner(ROOT, 1, 0);
    for weight in [4, 1] {
        case.burner(ROOT, weight, 0).totals.affinity = Some(CpuSet::from_iter([0]));
    }
    let audit = case.gives(&[1.0, 0.8, 0.2]);
    let limits: Vec<Limit> = audit.lines.iter().map(|l| l.entry.clone().unwrap().limit).collect();
    let full = Limit::Cpus(CpuSet::from_iter([0]));
    assert_eq!(limits, [Limit::Demand, full.clone(), full]);
}

#[test]
fn groups_are_filled_from_the_top() {
    let mut case = Case::cpus(1);
    case.group(2, Some(1), 100);
    case.group(3, Some(2), 100);
    case.group(4, Some(2), 100);
    case.group(5, Some(1), 200);
    for group in [3, 4, 5] {
        case.burner(Group::Cgroup(group), 1024, SECOND / 3);
    }
    let audit = case.gives(&[1.0 / 6.0, 1.0 / 6.0, 2.0 / 3.0]);
    let rows = audit.rows(By::Group, |_| true);
    assert_eq!(
        rows.iter().map(|r| (r.who.clone(), r.weight)).collect::<Vec<_>>(),
        [
            (Who::Group(Group::Cgroup(3)), Some(100)),
            (Who::Group(Group::Cgroup(4)), Some(100)),
            (Who::Group(Group::Cgroup(5)), Some(200)),
        ]
    );
}

#[test]
fn a_task_of_the_root_competes_with_groups() {
    let mut case = Case::cpus(1);
    case.group(2, Some(1), 1024);
    case.burner(ROOT, 1024, 0);
    case.burner(Group::Cgroup(2), 15, 0);
    case.burner(Group::Cgroup(2), 15, 0);
    case.burner(Group::Cgroup(77), 1024, 0); // unknown: counts in the root
    case.burner(Group::Unknown, 1024, 0);
    case.gives(&[0.25, 0.125, 0.125, 0.25, 0.25]);
}

#[test]
fn a_quota_caps_its_group_and_splits_the_wait() {
    let mut case = Case::cpus(2);
    let group = case.group(2, Some(1), 1024);
    group.totals.quota = Some(Quota { quota_ns: 20_000_000, period_ns: 100_000_000 });
    (group.throttled_ns, group.throttles) = (700_000_000, 10);
    case.burner(Group::Cgroup(2), 1024, 200_000_000).totals.affinity = Some(CpuSet::from_iter([0]));
    case.burner(ROOT, 1024, SECOND);
    let audit = case.gives(&[0.2, 1.0]);
    let entry = audit.lines[0].entry.as_ref().unwrap();
    assert_eq!((entry.limit.clone(), entry.account.lag_ns()), (Limit::Quota(Group::Cgroup(2)), 0));
    let split = Waiting { contention_ns: 100_000_000, throttled_ns: 700_000_000, ..Waiting::default() };
    assert_eq!(audit.lines[0].waiting, split);

    // Two tasks on two CPUs: two run queues, each throttled for half of the sum.
    case.burner(Group::Cgroup(2), 1024, 0);
    let audit = case.gives(&[0.1, 1.0, 0.1]);
    assert_eq!(audit.lines[0].waiting.throttled_ns, 350_000_000);
    assert_eq!(audit.lines[2].waiting.throttled_ns, 350_000_000);
}

#[test]
fn what_real_time_takes_is_gone_before_the_rest_is_divided() {
    let mut case = Case::cpus(1);
    case.0.cpus[0].unfair_ns = 300_000_000;
    case.burner(ROOT, 1024, 400_000_000);
    case.burner(ROOT, 1024, 300_000_000);
    case.burner(ROOT, 1024, 300_000_000).totals.policy = Policy::Fifo;
    let audit = case.gives(&[0.35, 0.35]);
    assert_eq!(audit.lines.len(), 3, "the real-time task has a line, and no entry in it");
    assert_eq!(audit.lines[2].entry, None);
    assert_eq!((audit.lines[0].lag_ns(), audit.lines[1].lag_ns()), (-50_000_000, 50_000_000));
    let owed = audit.line_of(audit.fairness.most_owed.unwrap().account).unwrap();
    assert_eq!(owed.task.totals.id.pid, 101);
    let order = Order::new(&case.0, 9).unwrap();
    let lags: Vec<(u32, i64)> = order.first.iter().map(|owed| (owed.id.pid, owed.lag_ns)).collect();
    assert_eq!((lags.as_slice(), order.count), (&[(101, 50_000_000), (100, -50_000_000)][..], 2));
    assert_eq!(Order::new(&case.0, 1).unwrap().first, order.first[..1]);
}

#[test]
fn interrupts_are_taken_from_all_alike() {
    let mut case = Case::cpus(1);
    case.0.cpus[0].taken_ns = 100_000_000;
    case.burner(ROOT, 1024, 600_000_000);
    case.burner(ROOT, 1024, 400_000_000);
    let audit = case.gives(&[0.45, 0.45]);
    let received: Vec<u64> =
        audit.lines.iter().map(|line| line.entry.as_ref().unwrap().account.received_ns).collect();
    assert_eq!(received, [540_000_000, 360_000_000]);
    assert_eq!(audit.lines.iter().map(Line::lag_ns).sum::<i64>(), 0);
    assert_eq!(audit.division.taken_ns, 100_000_000);
}

#[test]
fn what_nobody_is_known_for_is_not_divided() {
    let mut case = Case::cpus(2);
    case.0.unlisted_exits = ExitTotals { count: 3, runtime_ns: 300_000_000 };
    case.0.loss.untracked_ns = 100_000_000;
    case.burner(ROOT, 1024, 800_000_000);
    case.burner(ROOT, 1024, 800_000_000);
    let audit = case.gives(&[0.8, 0.8]);
    assert_eq!((audit.division.unclaimed_ns, audit.division.capacity_ns), (400_000_000, 1_600_000_000));
    assert_eq!(audit.books.residual_ns, 0);
}

#[test]
fn idle_policy_weighs_three_and_ext_its_nice_value() {
    let mut case = Case::cpus(1);
    case.burner(ROOT, 1024, 0).totals.policy = Policy::Idle;
    let ext = case.burner(ROOT, 1024, 0);
    (ext.totals.policy, ext.totals.weight) = (Policy::Ext, 7);
    case.gives(&[3.0 / 1027.0, 1024.0 / 1027.0]);
}

#[test]
fn an_affinity_to_cpus_that_are_not_there_is_none() {
    let mut case = Case::cpus(1);
    case.burner(ROOT, 1024, 0).totals.affinity = Some(CpuSet::from_iter([5]));
    case.burner(ROOT, 1024, 0).totals.affinity = Some(CpuSet::from_iter([0, 5]));
    case.gives(&[0.5, 0.5]);
}

#[test]
fn waits_from_before_the_interval_are_nobodys_fault() {
    let mut case = Case::cpus(1);
    case.burner(ROOT, 1024, 600_000_000).delta.wait_ns = 900_000_000;
    case.burner(ROOT, 1024, 400_000_000);
    let audit = case.gives(&[0.5, 0.5]);
    let split = Waiting { contention_ns: 400_000_000, other_ns: 500_000_000, ..Waiting::default() };
    assert_eq!(audit.lines[0].waiting, split);

    // Where others ran long enough on other CPUs to explain all of it, the length of the interval still
    // bounds it.
    let mut case = Case::cpus(2);
    case.burner(ROOT, 1024, 600_000_000).delta.wait_ns = 900_000_000;
    assert_eq!(case.audit().lines[0].waiting, split);
}

#[test]
fn rows_add_up_and_are_hidden_whole() {
    let mut case = Case::cpus(1);
    let task = case.burner(ROOT, 1024, 100_000_000);
    (task.totals.tgid, task.totals.comm) = (101, b"worker".to_vec());
    case.burner(ROOT, 335, 200_000_000).totals.comm = b"main".to_vec();
    case.burner(ROOT, 1024, 700_000_000).totals.comm = b"worker".to_vec();
    let audit = case.audit();
    let of_process = audit.rows(By::Process, |line| line.task.totals.id.pid == 100);
    assert_eq!(of_process.len(), 1);
    let row = &of_process[0];
    assert_eq!((row.tasks, row.nice, row.weight, row.comm.as_slice()), (2, None, Some(1359), &b"main"[..]));
    assert_eq!(row.usage.runtime_ns, 300_000_000);
    assert_eq!(audit.rows(By::Process, |line| line.task.totals.id.pid == 101), of_process);
    let names: Vec<Who> = audit.rows(By::Comm, |_| true).into_iter().map(|row| row.who).collect();
    assert_eq!(names, [Who::Comm(b"main".to_vec()), Who::Comm(b"worker".to_vec())]);
    for by in [By::Task, By::Process, By::Group, By::Comm] {
        assert_eq!(by.to_string().parse(), Ok(by));
        let rows = audit.rows(by, |_| true);
        let sum: f64 = rows.iter().map(|row| row.fair_share).sum();
        assert!((sum - 1.0).abs() < 1e-9, "{by}");
        assert_eq!(
            rows.iter().map(Row::lag_ns).sum::<i64>(),
            audit.lines.iter().map(Line::lag_ns).sum::<i64>()
        );
    }
}

#[test]
fn the_page_by_hand_of_the_manual() {
    // docs/ledger.md, with seconds of 200 ms: 5 s there are 1 s here.
    let ms = 200_000;
    let mut case = Case::cpus(1);
    case.0.cpus[0].unfair_ns = 500 * ms;
    case.group(2, Some(1), 1024);
    case.group(3, Some(1), 1024);
    for (group, weight, run, wait) in [(2, 1024, 2100, 2900), (2, 110, 100, 100), (3, 15, 2300, 2700)] {
        case.burner(Group::Cgroup(group), weight, run * ms).delta.wait_ns = wait * ms;
    }
    let audit = case.gives(&[0.41, 0.04, 0.45]);
    let lags: Vec<i64> = audit.lines.iter().map(Line::lag_ns).collect();
    assert_eq!(lags, [-10_000_000, 20_000_000, -10_000_000]);
    assert!((audit.fairness.jain.unwrap() - 0.922).abs() < 5e-4);
    let nice = audit.findings.iter().find_map(|f| match f.about {
        About::NiceActsOnNobody { nice, by_nice_ns, .. } => Some((nice.get(), by_nice_ns / ms)),
        _ => None,
    });
    assert_eq!(nice, Some((19, 62)));
}

#[test]
fn a_cycle_of_groups_is_an_error() {
    let mut case = Case::cpus(1);
    case.group(2, Some(3), 1024);
    case.group(3, Some(2), 1024);
    assert!(matches!(Audit::new(&case.0), Err(DemandError::Cycle(_))));
}

#[test]
fn nothing_happened() {
    let audit = Case::cpus(1).audit();
    assert_eq!((audit.lines.len(), audit.findings.len(), audit.fairness.jain), (0, 0, None));
    let mut none = Case::cpus(0);
    none.0.to_ns = none.0.from_ns;
    none.burner(ROOT, 1024, 0);
    assert_eq!(none.audit().lines[0].lag_ns(), 0);
}

#[test]
fn under_concur_a_weight_counts_for_each_cpu_that_its_tasks_keep_busy() {
    // One task in a group beside three in another of the same weight, on three CPUs.
    let division = |rule| {
        let mut case = Case::cpus(3);
        case.0.group_rule = rule;
        case.group(2, Some(1), 1024);
        case.group(3, Some(1), 1024);
        case.burner(Group::Cgroup(2), 1024, 0);
        for _ in 0..3 {
            case.burner(Group::Cgroup(3), 1024, 0);
        }
        case
    };
    // By the whole group's weight each has half of three seconds, and one task cannot use more than one.
    division(GroupRule::Smp).gives(&[1.0, 2.0 / 3.0, 2.0 / 3.0, 2.0 / 3.0]);
    // 1 to 3, a queue each.
    division(GroupRule::Concur).gives(&[0.75; 4]);
    division(GroupRule::Tasks).gives(&[0.75; 4]);
    // 3 to 3: each may use three CPUs.
    division(GroupRule::Max).gives(&[1.0, 2.0 / 3.0, 2.0 / 3.0, 2.0 / 3.0]);
}
