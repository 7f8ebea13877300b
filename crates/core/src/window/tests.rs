use super::*;
use crate::identity::TaskId;
use crate::policy::Policy;
use crate::snapshot::Group;
use crate::tickets::Nice;

const MS: u64 = 1_000_000;

fn task(pid: u32, runtime_ns: u64, wait_ns: u64) -> TaskTotals {
    TaskTotals {
        id: TaskId { pid, start_ns: 1 },
        tgid: pid,
        comm: b"task".to_vec(),
        nice: Nice::default(),
        policy: Policy::Other,
        weight: 1024,
        tickets_set: None,
        group: Group::Unknown,
        affinity: None,
        cpu: 0,
        state: TaskState::Sleeping,
        usage: Usage { runtime_ns, wait_ns, ..Usage::default() },
    }
}

fn snapshot(taken_ns: u64, tasks: Vec<TaskTotals>, exited: Vec<ExitedTask>) -> Snapshot {
    let count = exited.len() as u64;
    let runtime_ns = exited.iter().map(|e| e.totals.usage.runtime_ns).sum();
    Snapshot {
        taken_ns,
        read_ns: 0,
        unix_us: taken_ns / 1000,
        begin_ns: 0,
        cpus: Vec::new(),
        tasks: tasks.into_iter().map(Shared::from).collect(),
        exited,
        exits: ExitTotals { count, runtime_ns },
        groups: Vec::new(),
        interference: None,
        loss: Loss::default(),
    }
}

#[test]
fn run_and_wait_fit_into_the_interval_and_what_does_not_is_counted() {
    let earlier = snapshot(100 * MS, vec![task(1, 0, 0), task(2, 0, 0), task(3, 0, 0)], vec![]);
    let later = snapshot(
        200 * MS,
        vec![task(1, 40 * MS, 1000 * MS), task(2, 40 * MS, 60 * MS), task(3, 0, 100 * MS + MS / 2)],
        vec![],
    );
    let window = Window::between(&earlier, &later);
    let waits: Vec<u64> = window.tasks.iter().map(|t| t.delta.wait_ns).collect();
    assert_eq!(waits, [60 * MS, 60 * MS, 100 * MS]);
    // Half a millisecond is within what two snapshots may differ by.
    assert_eq!((window.loss.overlong_waits, window.loss.overlong_ns), (1, 940 * MS));
    assert!(!window.loss.is_none());
    // So is what happens while a snapshot is read.
    let slow =
        Window::between(&Snapshot { read_ns: 500 * MS, ..earlier }, &Snapshot { read_ns: 500 * MS, ..later });
    assert!(slow.loss.is_none(), "{:?}", slow.loss);
}

#[test]
fn an_end_is_reported_once_wherever_its_instant_lies() {
    let end = |ended_ns| vec![ExitedTask { ended_ns, totals: task(1, 50 * MS, 0).into() }];
    let living = snapshot(100 * MS, vec![task(1, 30 * MS, 0)], vec![]);
    for ended_ns in [90, 110, 250].map(|ms| ms * MS) {
        let then = snapshot(200 * MS, vec![], end(ended_ns));
        let now = snapshot(300 * MS, vec![], end(ended_ns));
        let (first, second) = (Window::between(&living, &then), Window::between(&then, &now));
        assert_eq!(first.tasks.len(), 1, "{ended_ns}");
        assert!(first.tasks[0].ended && first.tasks[0].delta.runtime_ns == 20 * MS);
        assert!(second.tasks.is_empty() && second.unlisted_exits.count == 0, "{ended_ns}");
    }
}

#[test]
fn what_was_corrected_is_not_lost() {
    let loss = Loss { corrected_waits: 3, corrected_ns: 7, ..Loss::default() };
    assert!(loss.is_none());
    assert!(!Loss { overlong_waits: 1, ..loss }.is_none());
}

/// Who did nothing is held by both snapshots, or told by each: the window is the same.
#[test]
fn totals_that_two_snapshots_hold_together_are_an_interval_without_anything() {
    let mut busy = task(2, 30 * MS, 9 * MS);
    (busy.usage.wait_max_ns, busy.usage.switches, busy.usage.yields) = (9 * MS, 7, 2);
    busy.usage.waits.record(9 * MS);
    let light = TaskTotals { usage: Usage { light: true, ..busy.usage.clone() }, ..task(3, 0, 0) };
    let earlier = snapshot(100 * MS, vec![task(1, 1, 1), busy, light], vec![]);
    let together = Snapshot { tasks: earlier.tasks.clone(), ..snapshot(200 * MS, vec![], vec![]) };
    assert!(together.tasks.iter().zip(&earlier.tasks).all(|(now, then)| now.is_one(then)));
    let copies = together.tasks.iter().map(|totals| (**totals).clone()).collect();
    let apart = snapshot(200 * MS, copies, vec![]);
    let window = Window::between(&earlier, &together);
    assert_eq!(window, Window::between(&earlier, &apart));
    assert_eq!(window.tasks[1].delta, Usage::default());
}
