//! What holds for every window.

use super::*;
use proptest::prelude::*;

/// Windows of two CPUs with up to four nested groups, quotas, pinned, real-time and unknown tasks.
fn windows() -> impl Strategy<Value = Window> {
    let task = (0u64..6, 0u32..40, 0..SECOND, 0..SECOND, 0u64..4, 0u8..12);
    let cpu = (0..SECOND / 2, 0..SECOND / 4);
    let group = (0u64..4, 1u64..4000, 0u64..3 * SECOND, 0..2 * SECOND);
    (
        prop::collection::vec(task, 0..12),
        prop::collection::vec(cpu, 2),
        prop::collection::vec(group, 4),
        0..SECOND / 4,
    )
        .prop_map(|(tasks, cpus, groups, unknown_ns)| {
            let mut case = Case::cpus(2);
            for (cpu, (unfair_ns, taken_ns)) in case.0.cpus.iter_mut().zip(cpus) {
                (cpu.unfair_ns, cpu.taken_ns) = (unfair_ns, taken_ns);
            }
            for (id, (parent, weight, quota_ns, throttled_ns)) in (2..).zip(groups) {
                let group = case.group(id, Some(1 + parent.min(id - 2)), weight);
                group.throttled_ns = throttled_ns;
                if quota_ns < SECOND {
                    group.totals.quota = Some(Quota { quota_ns, period_ns: SECOND });
                }
            }
            for (group, nice, run_ns, wait_ns, mask, policy) in tasks {
                let weight = Nice::all().nth(nice as usize).unwrap().weight();
                let task = case.burner(Group::Cgroup(1 + group), weight, run_ns);
                task.delta.wait_ns = wait_ns;
                task.totals.policy = Policy::from_number(policy);
                task.totals.affinity = (mask > 0).then(|| CpuSet::from_words(&[mask]));
            }
            case.0.unlisted_exits.runtime_ns = unknown_ns;
            case.0
        })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_sums_hold(window in windows()) {
        let audit = Audit::new(&window).unwrap();
        prop_assert_eq!(&Audit::of(window.clone()).unwrap(), &audit, "with the tasks of a window that is given away");
        let division = audit.division;
        prop_assert_eq!(
            division.wall_ns,
            division.capacity_ns + division.unfair_ns + division.taken_ns + division.unclaimed_ns
        );
        let entries: Vec<&Entry> = audit.lines.iter().filter_map(|line| line.entry.as_ref()).collect();
        let entitled_ns: u64 = entries.iter().map(|entry| entry.account.entitled_ns).sum();
        prop_assert!(entitled_ns <= division.capacity_ns + entries.len() as u64, "rounding: one each");
        for line in &audit.lines {
            let waiting = line.waiting;
            let sum_ns = waiting.contention_ns + waiting.throttled_ns + waiting.yielded_ns + waiting.other_ns;
            prop_assert_eq!(sum_ns, line.task.delta.wait_ns);
            if let Some(entry) = &line.entry {
                prop_assert!(entry.account.received_ns <= line.task.delta.runtime_ns);
                // Nobody is owed more than it waited for.
                let wait_ns = i64::try_from(line.task.delta.wait_ns).unwrap();
                prop_assert!(entry.account.lag_ns() <= wait_ns + 1);
            }
        }
    }

    #[test]
    fn the_order_of_groups_does_not_matter(window in windows()) {
        // Tasks are ordered by identity; groups are too, and renaming them turns their order around.
        let rename = |group: Group| match group {
            Group::Cgroup(id @ 2..) => Group::Cgroup(1000 - id),
            other => other,
        };
        let mut other = window.clone();
        for group in &mut other.groups {
            group.totals.id = rename(group.totals.id);
            group.totals.parent = group.totals.parent.map(rename);
        }
        other.groups.sort_by_key(|group| group.totals.id);
        for task in &mut other.tasks {
            task.totals.group = rename(task.totals.group);
        }
        let (one, two) = (Audit::new(&window).unwrap(), Audit::new(&other).unwrap());
        for (a, b) in one.lines.iter().zip(&two.lines) {
            prop_assert!(a.lag_ns().abs_diff(b.lag_ns()) <= 4, "{:?} {:?}", a, b);
            prop_assert_eq!(a.waiting, b.waiting);
        }
        prop_assert_eq!(one.findings.len(), two.findings.len());
    }

    #[test]
    fn the_order_of_tasks_does_not_matter(window in windows()) {
        // The window turned around: identities in the opposite order.
        let mut other = window.clone();
        for task in &mut other.tasks {
            task.totals.id.pid = 1000 - task.totals.id.pid;
        }
        other.tasks.reverse();
        let (one, two) = (Audit::new(&window).unwrap(), Audit::new(&other).unwrap());
        for (a, b) in one.lines.iter().zip(two.lines.iter().rev()) {
            prop_assert!(a.lag_ns().abs_diff(b.lag_ns()) <= 4, "{:?} {:?}", a, b);
            prop_assert_eq!(a.waiting, b.waiting);
        }
    }
}
