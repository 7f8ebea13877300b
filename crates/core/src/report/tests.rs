use super::fixture::{Task, window};
use super::*;
use crate::policy::Policy;
use crate::rolling::Alpha;
use crate::snapshot::TaskState;
use proptest::prelude::*;

fn report_of(tasks: &[Task], options: Options) -> Report {
    let window = window(tasks);
    let mut rolling = Rolling::new(Alpha::default());
    rolling.update(&window);
    Report::new(window, &rolling, options)
}

fn pids<'a>(rows: impl IntoIterator<Item = &'a Row>) -> Vec<u32> {
    rows.into_iter().map(|r| r.task.totals.id.pid).collect()
}

fn all() -> Options {
    Options { candidates: Candidates::All, ..Options::default() }
}

#[test]
fn rows_are_ordered_by_delta_and_then_by_identity() {
    let older = Task { start_ns: 3, ..Task::ran(5, 70) };
    let report =
        report_of(&[Task::ran(7, 70), Task::ran(5, 70), older, Task::ran(9, 80)], Options::default());
    assert_eq!(pids(&report.rows), [9, 5, 5, 7]);
    assert_eq!(report.rows[1].task.totals.id.start_ns, 3);
}

#[test]
fn sleepers_are_candidates_only_when_all_are_asked_for() {
    let waiting = Task { state: TaskState::Waiting, ..Task::ran(3, 0) };
    let tasks = [Task::ran(1, 10), Task::ran(2, 0), waiting];
    assert_eq!(pids(&report_of(&tasks, Options::default()).rows), [1, 3]);
    assert_eq!(pids(&report_of(&tasks, all()).rows), [1, 2, 3]);
}

#[test]
fn a_real_time_task_that_ran_is_shown_and_is_no_candidate() {
    let fifo = Task { policy: Policy::Fifo, ..Task::ran(1, 500) };
    let sleeping_fifo = Task { policy: Policy::Fifo, ..Task::ran(2, 0) };
    for options in [Options::default(), all()] {
        let report = report_of(&[fifo, sleeping_fifo, Task::ran(3, 20)], options);
        assert_eq!(pids(&report.rows), [1, 3]);
        assert_eq!((report.rows[0].tickets, report.rows[0].ticket_share), (0, 0.0));
        assert_eq!(pids(report.candidates()), [3]);
        assert_eq!(report.rows[1].ticket_share.to_bits(), 1f64.to_bits());
    }
}

#[test]
fn without_tickets_all_shares_are_zero() {
    let fifo = Task { policy: Policy::Fifo, ..Task::ran(1, 500) };
    let report = report_of(&[fifo], Options::default());
    assert_eq!((report.tickets, report.rows[0].ticket_share), (0, 0.0));
    assert!(report.by_share().is_empty());
    assert!(report_of(&[], Options::default()).rows.is_empty());
}

#[test]
fn candidates_by_share_ignore_what_they_ran() {
    let at = |pid, nice, delta_ns| Task { nice, ..Task::ran(pid, delta_ns) };
    let report = report_of(&[at(1, 5, 900), at(2, 0, 1), at(3, 0, 2), at(4, 10, 950)], Options::default());
    assert_eq!(pids(report.by_share()), [2, 3, 1, 4]);
}

#[test]
fn the_first_sample_names_what_its_deltas_reach_back_to() {
    let since = |is_first, origin| {
        let window = Window { is_first, ..window(&[]) };
        let options = Options { origin, ..Options::default() };
        Report::new(window, &Rolling::default(), options).head.since.to_string()
    };
    assert_eq!(since(true, Origin::Loaded), "since load");
    assert_eq!(since(true, Origin::Private), "since attach");
    assert_eq!(since(false, Origin::Private), "since the previous sample");
}

#[test]
fn the_head_counts_the_living_and_the_dead() {
    let dead = Task { ended: true, ..Task::ran(1, 400) };
    let unlisted = ExitTotals { count: 3, runtime_ns: 100 };
    let loss = Loss { untracked_ns: 50, map_full: 2, ..Loss::default() };
    let window =
        Window { unlisted_exits: unlisted, loss, ..window(&[dead, Task::ran(2, 100), Task::ran(3, 0)]) };
    let (books, cpus) = (window.books(), window.cpus.len());
    let head = Report::new(window, &Rolling::default(), Options::default()).head;
    assert_eq!((head.tracked, head.ended, head.unlisted, head.loss), (2, 1, unlisted, loss));
    assert_eq!((head.books, head.cpus, head.length_ns), (books, cpus, 1_000_000_000));
}

#[test]
fn candidates_are_read_from_their_names() {
    for candidates in [Candidates::Runnable, Candidates::All] {
        assert_eq!(candidates.to_string().parse(), Ok(candidates));
    }
    assert!("some".parse::<Candidates>().unwrap_err().to_string().contains("'runnable' or 'all'"));
}

fn any_task() -> impl Strategy<Value = Task> {
    let policy = prop_oneof![3 => Just(Policy::Other), 1 => Just(Policy::Fifo), 1 => Just(Policy::Idle)];
    let delta_ns = prop_oneof![Just(0), Just(70), 1u64..1_000_000_000]; // equals are not rare
    (1u32..60, 1u64..4, -20i8..20, policy, delta_ns, any::<bool>()).prop_map(
        |(pid, start_ns, nice, policy, delta_ns, ended)| Task {
            pid,
            start_ns,
            nice,
            policy,
            delta_ns,
            state: TaskState::Sleeping,
            ended,
        },
    )
}

proptest! {
    #[test]
    fn shares_add_up_and_rows_are_ordered(
        mut tasks in prop::collection::vec(any_task(), 0..40), linear in any::<bool>(), everyone in any::<bool>(),
    ) {
        tasks.sort_by_key(Task::id);
        tasks.dedup_by_key(|t| t.id());
        let scale = if linear { TicketScale::Linear } else { TicketScale::Weight };
        let candidates = if everyone { Candidates::All } else { Candidates::Runnable };
        let options = Options { scale, candidates, ..Options::default() };
        let report = report_of(&tasks, options);

        let shares: f64 = report.rows.iter().map(|r| r.ticket_share).sum();
        let expected = if report.candidates().next().is_some() { 1.0 } else { 0.0 };
        prop_assert!((shares - expected).abs() < 1e-12);

        let id = |r: &Row| r.task.totals.id;
        prop_assert!(report.rows.is_sorted_by_key(|r| (Reverse(r.task.delta.runtime_ns), id(r))));
        prop_assert!(report.by_share().is_sorted_by_key(|r| (Reverse(r.tickets), id(r))));
        // Nobody who ran is left out, and nothing is shown twice.
        let ran: u64 = tasks.iter().map(|t| t.delta_ns).sum();
        prop_assert_eq!(report.rows.iter().map(|r| r.task.delta.runtime_ns).sum::<u64>(), ran);
        let mut ids: Vec<_> = report.rows.iter().map(|r| r.task.totals.id).collect();
        ids.sort_unstable();
        ids.dedup();
        prop_assert_eq!(ids.len(), report.rows.len());
    }
}
