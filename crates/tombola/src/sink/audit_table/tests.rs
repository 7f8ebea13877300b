use super::super::fixture::{burners, hostile, judged, task, window};
use super::*;
use crate::audit_view::{CommandView, longest};
use crate::groups::Groups;
use tombola_core::audit::{Audit, By, Row};
use tombola_core::cpu_set::CpuSet;
use tombola_core::interference::{Interference, Pair, Standing};
use tombola_core::metric;
use tombola_core::policy::Policy;
use tombola_core::snapshot::{Group, GroupTotals, Loss, Quota};
use tombola_core::source::Origin;
use tombola_core::window::{GroupWindow, Window};
use unicode_width::UnicodeWidthStr;

/// Two CPUs, one of them pinned to and shared, groups with a quota, an autogroup of one, a real-time task.
pub(in crate::sink) fn example() -> (Audit, Groups) {
    let mut tasks = burners();
    let solo = task(104, b"solo", 10, Policy::Other, 90_000_000);
    tasks.push(solo);
    for task in &mut tasks {
        task.delta.wait_ns = 400_000_000;
        task.delta.waits.record(3_000_000);
        task.totals.affinity = Some(CpuSet::from_iter([0]));
    }
    tasks[0].totals.group = Group::Cgroup(2);
    tasks[1].totals.group = Group::Cgroup(3);
    tasks[2].totals.group = Group::Cgroup(3);
    tasks[4].totals.group = Group::Autogroup(9);
    tasks[4].totals.affinity = None;
    let mut window = window(tasks);
    window.cpus[0].unfair_ns = 250_000_000;
    let group = |id, parent, weight, quota_ns| GroupWindow {
        totals: GroupTotals {
            id,
            parent,
            weight,
            quota: (quota_ns > 0).then_some(Quota { quota_ns, period_ns: 100_000_000 }),
            throttled_ns: 0,
            throttles: 0,
        },
        throttled_ns: quota_ns * 15,
        throttles: if quota_ns > 0 { 9 } else { 0 },
    };
    let root = Some(Group::Cgroup(1));
    window.groups = vec![
        group(Group::Cgroup(1), None, 1024, 0),
        group(Group::Cgroup(2), root, 100, 0),
        group(Group::Cgroup(3), root, 200, 20_000_000),
        group(Group::Autogroup(9), root, 1024, 0),
    ];
    let [first, second, third] = [0, 1, 2].map(|at| window.tasks[at].totals.id);
    let pairs =
        [(first, second, 7, 250_000_000), (first, third, 0, 100_000_000), (second, third, 2, 400_000_000)];
    let pairs = pairs.map(|(victim, culprit, preemptions, held_ns)| {
        (Pair { victim, culprit }, Standing { preemptions, held_ns })
    });
    window.interference = Some(Interference { pairs: pairs.into(), ..Interference::default() });
    let groups = Groups::from([
        (Group::Cgroup(1), "/".to_owned()),
        (Group::Cgroup(2), "/system.slice/nginx.service".to_owned()),
        (Group::Cgroup(3), format!("/docker/{}", "3f2a".repeat(16))),
        (Group::Autogroup(9), "autogroup-9".to_owned()),
    ]);
    (Audit::new(&window).unwrap(), groups)
}

pub(in crate::sink) fn view<'a>(audit: &'a Audit, rows: &'a [Row], groups: &'a Groups) -> AuditView<'a> {
    AuditView {
        iteration: 1,
        audit,
        origin: Origin::Private,
        scheduler: None,
        group_mode: None,
        by: By::Task,
        rows,
        longest: longest(rows),
        columns: &[],
        width: None,
        rows_left_out: 0,
        findings: audit.findings.iter().collect(),
        groups,
        hindered: audit.hindered(5, |_| true),
        hindered_groups: audit.hindered_groups(5, |_| true),
        command: None,
        nice_check: false,
    }
}

#[test]
fn tasks_of_three_groups() {
    let (audit, groups) = example();
    let rows = audit.rows(By::Task, |_| true);
    insta::assert_snapshot!(render(&view(&audit, &rows, &groups)));
}

#[test]
fn groups_in_each_others_way_where_a_log_tells_no_tasks() {
    let (mut audit, groups) = example();
    let told = audit.imposed().into_iter().collect();
    audit.interference = Some(Interference { groups: told, ..Interference::default() });
    assert_eq!(audit.hindered(5, |_| true), []);
    let table = render(&view(&audit, &[], &groups));
    let at = table.find("in the way of").unwrap();
    insta::assert_snapshot!(&table[at..]);
}

#[test]
fn who_waited_longest_is_told_also_where_its_row_is_left_out() {
    let (audit, groups) = example();
    let mut rows = audit.rows(By::Task, |_| true);
    rows.last_mut().unwrap().usage.wait_ns += 1;
    let all = render(&view(&audit, &rows, &groups));
    let line = all.lines().find(|line| line.starts_with("waited longest: ")).unwrap();
    for count in 1..rows.len() {
        let view = AuditView { rows: &rows[..count], ..view(&audit, &rows, &groups) };
        assert!(render(&view).contains(line), "{count} rows");
    }
}

#[test]
fn rows_by_process_group_and_name() {
    let (audit, groups) = example();
    let mut text = String::new();
    for by in [By::Process, By::Group, By::Comm] {
        let rows = audit.rows(by, |_| true);
        write_rows(&mut text, &AuditView { by, ..view(&audit, &rows, &groups) });
    }
    insta::assert_snapshot!(text);
}

#[test]
fn a_narrow_terminal_gets_fewer_columns_and_is_told_which_are_missing() {
    let (audit, groups) = example();
    let rows = audit.rows(By::Task, |_| true);
    for width in [60, 80, 100, 120] {
        let mut text = String::new();
        write_rows(&mut text, &AuditView { width: Some(width), ..view(&audit, &rows, &groups) });
        let lines: Vec<&str> = text.lines().take(1 + rows.len()).collect();
        assert!(lines.iter().all(|line| line.width() <= width), "{width}: {text}");
        assert!(text.contains("no room for P50_MS"), "{width}: {text}");
        for kept in ["PID", "COMM", "RUN_MS", "WAIT_MS", "LAG_MS"] {
            assert!(lines[0].contains(kept), "{width}: {text}");
        }
    }
    let columns = [metric::audit::find("lag_ns").unwrap(), metric::audit::find("bound").unwrap()];
    let mut text = String::new();
    write_rows(&mut text, &AuditView { columns: &columns, ..view(&audit, &rows, &groups) });
    assert_eq!(text.lines().next(), Some("  LAG_MS  BOUND"));
}

#[test]
fn findings_only_and_a_command() {
    let (audit, groups) = example();
    let rows = audit.rows(By::Task, |_| true);
    let command = Some(CommandView { pid: 104, exit_status: Some(137) });
    let view = AuditView {
        nice_check: true,
        command,
        iteration: 2,
        rows_left_out: 7,
        ..view(&audit, &rows, &groups)
    };
    let text = render(&view);
    assert!(!text.contains("PREEMPTED") && !text.contains("rows more"), "{text}");
    assert!(text.ends_with("command: process 104, ended with status 137\n"), "{text}");
}

#[test]
fn hostile_names_stay_in_their_row() {
    let mut groups = Groups::new();
    for id in 1..3 {
        groups.insert(Group::Cgroup(id), "/a\x1b[2J\nb".to_owned());
    }
    let audit = Audit::new(&window(hostile())).unwrap();
    let rows = audit.rows(By::Task, |_| true);
    let text = render(&view(&audit, &rows, &groups));
    assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{text:?}");
    let table: Vec<&str> = text.lines().skip_while(|line| !line.contains("PREEMPTED")).collect();
    assert_eq!(table.len(), 2 + rows.len());
    let (longest, table) = table.split_last().unwrap();
    assert!(longest.starts_with("waited longest: "), "{longest}");
    assert!(table.iter().all(|line| line.width() == table[0].width()), "{text}");
}

#[test]
fn tickets_that_were_set_have_a_mark() {
    let mut tasks = hostile();
    tasks[0].totals.tickets_set = Some(77);
    let audit = Audit::new(&window(tasks)).unwrap();
    let rows = audit.rows(By::Task, |_| true);
    let text = render(&view(&audit, &rows, &Groups::new()));
    assert!(text.contains(" 77* "), "{text}");
    assert!(
        text.contains("\n* tickets that were set count in place of the weight by nice value\n"),
        "{text}"
    );
}

#[test]
fn what_is_shown_says_what_it_is_worth() {
    let audit = Audit::new(&judged(window(burners()))).unwrap();
    let (rows, groups) = (audit.rows(By::Task, |_| true), Groups::new());
    let certainty = |view: &AuditView<'_>| {
        let text = render(view);
        text.lines().find_map(|line| line.strip_prefix("certainty: ")).unwrap().to_owned()
    };
    let both = "run time (+2.500 ms at most), wait (+2.500 ms at most) bounded: something is not known";
    let blind = "entitlement unknown: weights and groups are not recorded";
    let view = view(&audit, &rows, &groups);
    assert_eq!(certainty(&view), format!("{both}; lengths of waits, preemptions exact; {blind}"));
    let columns = [metric::audit::find("wakeups").unwrap()];
    let wakes = AuditView { columns: &columns, ..view };
    assert_eq!(certainty(&wakes), format!("{both}; wakes exact; {blind}"));
    let findings = AuditView { nice_check: true, ..wakes };
    assert_eq!(certainty(&findings), format!("{both}; {blind}"));
    let (live, groups) = example();
    assert!(!render(&super::tests::view(&live, &[], &groups)).contains("certainty"));
}

#[test]
fn loss_and_nobody() {
    let loss = Loss { untracked_ns: 3_400_000, map_full: 12, ..Loss::default() };
    let audit = Audit::new(&Window { loss, loss_total: loss, ..window(vec![]) }).unwrap();
    let groups = Groups::new();
    insta::assert_snapshot!(render(&AuditView { rows_left_out: 3, ..view(&audit, &[], &groups) }));
}

#[test]
fn a_scheduler_in_bpf_is_named_harmlessly() {
    let (audit, groups) = example();
    let scheduler = Some("\u{1b}x (sched_ext), whole machine".to_owned());
    let text = render(&AuditView { scheduler, ..view(&audit, &[], &groups) });
    assert_eq!(text.lines().nth(1), Some("scheduler: \\x1bx (sched_ext), whole machine"));
}

#[test]
fn a_kernel_with_another_rule_for_groups_is_named() {
    let (audit, groups) = example();
    let text = render(&AuditView { group_mode: Some("concur".to_owned()), ..view(&audit, &[], &groups) });
    let told = text.lines().nth(1).unwrap();
    assert!(told.starts_with("group weights: ") && told.contains("(cgroup_mode concur)"), "{told}");
}
