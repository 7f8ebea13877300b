use super::*;
use crate::event::{Context, Left, Stage};
use crate::interval::{Cause, CpuInterval, Ready, What};
use proptest::prelude::*;

pub(crate) fn task(pid: u32) -> Task {
    Task { pid, ..Task::default() }
}

pub(crate) fn switch(prev: u32, state: Left, next: u32) -> Kind {
    Kind::Switch { prev: Some(task(prev)), state, next: task(next) }
}

pub(crate) fn wake(pid: u32, by: u32, stage: Stage) -> Kind {
    Kind::Wake { wakee: task(pid), waker: Some(by), target: None, stage, context: Context::Task }
}

/// A recording that is complete from 0 on and has `sched_waking`.
fn complete() -> Header {
    let mut header = Header { begin_ns: Some(0), ..Header::default() };
    header.can.waking = true;
    header
}

/// Facts and repairs of (time, CPU, what), up to `end_ns`.
fn run(header: &Header, events: &[(u64, u32, Kind)], end_ns: u64) -> (Vec<Fact>, Repairs) {
    let mut normaliser = Normaliser::new(header);
    let mut facts = Vec::new();
    for (seq, (ts_ns, cpu, kind)) in (0..).zip(events) {
        normaliser.event(&Event { ts_ns: *ts_ns, cpu: *cpu, seq, kind: kind.clone() });
        facts.extend(normaliser.facts());
    }
    normaliser.finish(Some(end_ns));
    facts.extend(normaliser.facts());
    (facts, *normaliser.repairs())
}

fn of(facts: &[Fact], pid: u32) -> Vec<(u64, u64, What)> {
    let told = |fact: &Fact| match fact {
        Fact::Task(i) if i.task.pid == pid => Some((i.from_ns, i.to_ns, i.what)),
        _ => None,
    };
    facts.iter().filter_map(told).collect()
}

const RUNNABLE: Left = Left::Runnable { preempted: Some(true) };

#[test]
fn a_plain_life() {
    let events = [
        (10, 0, switch(0, RUNNABLE, 7)),
        (30, 0, switch(7, Left::Sleep, 8)),
        (40, 0, wake(7, 8, Stage::Waking)),
        (50, 0, switch(8, RUNNABLE, 7)),
        (60, 0, switch(7, Left::Dead, 8)),
    ];
    let (facts, repairs) = run(&complete(), &events, 100);
    let cause = Cause::Task(8);
    assert_eq!(
        of(&facts, 7),
        [
            (0, 10, What::Runnable { since: Ready::Unknown, ran: true }),
            (10, 30, What::Running { cpu: 0, left: Some(Left::Sleep) }),
            (30, 40, What::Blocked { left: Left::Sleep, cause }),
            (40, 50, What::Runnable { since: Ready::Woken(cause), ran: true }),
            (50, 60, What::Running { cpu: 0, left: Some(Left::Dead) }),
        ]
    );
    assert_eq!(of(&facts, 8).last(), Some(&(60, 100, What::Running { cpu: 0, left: None })));
    assert!(facts.iter().any(|f| matches!(f, Fact::Ended { life, at_ns: 60 } if life.id.pid == 7)));
    assert_eq!(repairs, Repairs { cut_end: 1, ..Repairs::default() });
}

#[test]
fn who_gives_its_cpu_away_stays_awake() {
    let events = [
        (10, 0, switch(0, RUNNABLE, 7)),
        (30, 0, switch(7, Left::Yielded, 8)),
        (40, 0, wake(7, 8, Stage::Waking)),
        (50, 0, switch(8, RUNNABLE, 7)),
        (60, 0, switch(7, Left::Yielded, 8)),
    ];
    let (facts, repairs) = run(&complete(), &events, 100);
    assert_eq!(
        of(&facts, 7)[1..],
        [
            (10, 30, What::Running { cpu: 0, left: Some(Left::Yielded) }),
            (30, 50, What::Runnable { since: Ready::Yielded, ran: true }),
            (50, 60, What::Running { cpu: 0, left: Some(Left::Yielded) }),
            (60, 100, What::Runnable { since: Ready::Yielded, ran: false }),
        ]
    );
    assert_eq!(repairs.missing_wakes, 0);
}

#[test]
fn who_is_seen_asleep_has_slept_since_nothing_can_have_been_missed() {
    let named = |pid| Kind::Attributes { pid, start_ns: None, attributes: Box::default() };
    let asleep = |pid, left| Kind::Asleep { pid, left };
    let (sleep, cause) = (Left::Sleep, Cause::Unknown);
    let events = [
        (0, 0, named(7)),
        (0, 0, named(8)),
        (5, 0, switch(0, RUNNABLE, 9)),
        (10, 0, asleep(7, sleep)),
        // Its own events tell more of it.
        (10, 0, asleep(9, sleep)),
        // Nobody has told of it.
        (10, 0, asleep(6, sleep)),
        (50, 0, Kind::Loss { of_cpu: None, count: Some(1), from_ns: Some(40) }),
        // What was seen in the gap holds for that moment alone.
        (45, 0, asleep(7, sleep)),
        (45, 0, asleep(8, sleep)),
        (60, 0, asleep(7, Left::Disk)),
        (90, 0, wake(7, 9, Stage::Waking)),
    ];
    let (facts, _) = run(&complete(), &events, 100);
    assert_eq!(
        of(&facts, 7),
        [
            (0, 40, What::Blocked { left: sleep, cause }),
            (40, 50, What::Unknown(Doubt::Loss)),
            (50, 90, What::Blocked { left: Left::Disk, cause: Cause::Task(9) }),
            (90, 100, What::Runnable { since: Ready::Woken(Cause::Task(9)), ran: false }),
        ]
    );
    assert_eq!(of(&facts, 8), [(0, 100, What::Unknown(Doubt::Start))], "nobody has looked since");
    assert!(matches!(of(&facts, 9)[1], (5, 40, What::Running { .. })), "{facts:?}");
    assert_eq!(of(&facts, 6), []);
    // Where the begin is not told, it may have done anything before it was seen.
    let (facts, _) = run(&Header { begin_ns: None, ..complete() }, &events[..4], 100);
    assert_eq!(
        of(&facts, 7),
        [(0, 10, What::Unknown(Doubt::Start)), (10, 100, What::Blocked { left: sleep, cause })]
    );
}

/// The kernel stamps a task before it tells of its birth, and attributes hold that stamp.
#[test]
fn attributes_of_a_sleeper_that_was_born_here_are_its_own() {
    let attributes = |pid, start_ns| Kind::Attributes {
        pid,
        start_ns: Some(start_ns),
        attributes: Box::new(crate::attributes::Attributes::default()),
    };
    let events = |again_ns| {
        [
            (10, 0, Kind::Fork { parent: task(1), child: task(7) }),
            (10, 0, attributes(7, 9)),
            (20, 0, wake(7, 1, Stage::New)),
            (30, 0, switch(0, RUNNABLE, 7)),
            (40, 0, switch(7, Left::Sleep, 0)),
            (50, 0, attributes(7, again_ns)),
            (60, 0, wake(7, 1, Stage::Waking)),
        ]
    };
    let ends = |facts: &[Fact]| facts.iter().filter(|fact| matches!(fact, Fact::Ended { .. })).count();
    let (facts, repairs) = run(&complete(), &events(9), 70);
    assert_eq!((ends(&facts), repairs.reused_pids), (0, 0), "{facts:?}");
    // Those of one instant on several CPUs may stand in any order.
    let mut turned = events(9);
    turned.swap(0, 1);
    let (facts, repairs) = run(&complete(), &turned, 70);
    assert_eq!((ends(&facts), repairs.reused_pids), (0, 0), "{facts:?}");
    // It was listed while it was being born, and the clock of its stamp is ahead.
    for (told, stamp) in [(8, 9), (10, 12)] {
        let mut events = events(stamp).to_vec();
        events[1] = (told, 0, attributes(7, stamp));
        events.sort_by_key(|(ts, ..)| *ts);
        let (facts, repairs) = run(&complete(), &events, 70);
        assert_eq!((ends(&facts), repairs.reused_pids), (0, 0), "{facts:?}");
    }
    // Another, whose birth was lost.
    let (facts, repairs) = run(&complete(), &events(45), 70);
    assert_eq!((ends(&facts), repairs.reused_pids), (1, 1), "{facts:?}");
}

/// The clock of the CPU where it was born is ahead of that where it runs.
#[test]
fn who_comes_to_a_cpu_before_its_first_wake_is_told_is_one_task() {
    let events = [
        (10, 0, Kind::Fork { parent: task(1), child: task(7) }),
        (15, 1, switch(0, RUNNABLE, 7)),
        (20, 0, wake(7, 1, Stage::New)),
        (40, 1, switch(7, Left::Sleep, 0)),
    ];
    let (facts, repairs) = run(&complete(), &events, 50);
    let ran: Vec<_> = of(&facts, 7).into_iter().filter(|of| matches!(of.2, What::Running { .. })).collect();
    assert_eq!(ran, [(15, 40, What::Running { cpu: 1, left: Some(Left::Sleep) })]);
    assert!(!facts.iter().any(|fact| matches!(fact, Fact::Ended { .. })), "{facts:?}");
    assert_eq!((repairs.reused_pids, repairs.missing_wakes, repairs.idle_wakes), (0, 0, 1));
    // It may have left that CPU by then, too.
    let mut late = events.clone();
    (late[2].0, late[3].0) = (40, 18);
    late.swap(2, 3);
    let (facts, repairs) = run(&complete(), &late, 50);
    assert!(!facts.iter().any(|fact| matches!(fact, Fact::Ended { .. })), "{facts:?}");
    assert_eq!((repairs.reused_pids, repairs.missing_wakes), (0, 0));
}

#[test]
fn a_wake_before_the_switch_out_is_carried_over() {
    let cause = Cause::Task(9);
    let events = |second: u64| {
        [
            (0, 0, switch(0, RUNNABLE, 7)),
            (5, 1, wake(7, 9, Stage::Waking)),
            (10, 0, switch(7, Left::Sleep, 0)),
            (second, 1, wake(7, 9, Stage::Waking)),
            (30, 0, switch(0, RUNNABLE, 7)),
        ]
    };
    let mut once = events(20).to_vec();
    once.remove(3);
    let (facts, repairs) = run(&complete(), &once, 40);
    let told = of(&facts, 7);
    assert!(told.contains(&(10, 10, What::Blocked { left: Left::Sleep, cause })), "{told:?}");
    assert!(told.contains(&(10, 30, What::Runnable { since: Ready::Woken(cause), ran: true })));
    assert_eq!((repairs.carried_wakes, repairs.idle_wakes), (1, 0));
    // Woken again before it ran: the first wake went nowhere.
    let (facts, repairs) = run(&complete(), &events(20), 40);
    let told = of(&facts, 7);
    assert!(told.contains(&(10, 20, What::Blocked { left: Left::Sleep, cause })), "{told:?}");
    assert!(told.contains(&(20, 30, What::Runnable { since: Ready::Woken(cause), ran: true })));
    assert_eq!((repairs.carried_wakes, repairs.idle_wakes), (0, 1));
}

#[test]
fn a_hidden_switch_makes_the_slice_unknown_for_both() {
    let events = [
        (10, 0, switch(0, RUNNABLE, 7)),
        (30, 0, switch(8, Left::Sleep, 0)),
        (40, 0, wake(7, 0, Stage::Waking)),
    ];
    let (facts, repairs) = run(&complete(), &events, 50);
    assert_eq!(repairs.hidden_switches, 1);
    assert!(of(&facts, 7).contains(&(10, 30, What::Unknown(Doubt::Hidden))));
    assert!(of(&facts, 7).contains(&(
        30,
        40,
        What::Blocked { left: Left::Unknown, cause: Cause::Interrupt }
    )));
    assert!(facts.contains(&Fact::Cpu(CpuInterval {
        cpu: 0,
        from_ns: 10,
        to_ns: 30,
        doubt: Some(Doubt::Hidden)
    })));
}

#[test]
fn a_gap_is_unknown_and_no_more_than_the_gap() {
    let loss = Kind::Loss { of_cpu: Some(0), count: Some(3), from_ns: Some(20) };
    let events = [
        (0, 0, switch(0, RUNNABLE, 7)),
        (0, 1, switch(0, RUNNABLE, 9)),
        (5, 1, wake(6, 9, Stage::Waking)),
        (30, 0, loss),
        (40, 1, wake(6, 9, Stage::Waking)),
        (50, 0, switch(8, Left::Sleep, 7)),
    ];
    let (facts, repairs) = run(&complete(), &events, 60);
    assert_eq!((repairs.losses, repairs.lost_events), (1, 3));
    let unknown = |from, to| (from, to, What::Unknown(Doubt::Loss));
    assert_eq!(of(&facts, 7)[1..3], [(0, 20, What::Running { cpu: 0, left: None }), unknown(20, 30)]);
    assert!(of(&facts, 7).contains(&(30, 50, What::Runnable { since: Ready::Unknown, ran: true })));
    assert!(of(&facts, 6).contains(&unknown(20, 30)), "{:?}", of(&facts, 6));
    assert!(of(&facts, 6).contains(&(30, 40, What::Blocked { left: Left::Unknown, cause: Cause::Task(9) })));
    // CPU 1 told everything: who ran there ran on.
    assert_eq!(of(&facts, 9).last(), Some(&(0, 60, What::Running { cpu: 1, left: None })));
}

/// What another CPU tells in a gap is certain at its instant only.
#[test]
fn in_a_gap_nobody_is_sure_to_stay_as_he_is() {
    let loss = Kind::Loss { of_cpu: Some(0), count: None, from_ns: Some(20) };
    let events = [
        (0, 0, switch(0, RUNNABLE, 7)),
        (0, 1, switch(0, RUNNABLE, 9)),
        (10, 1, wake(6, 9, Stage::Waking)),
        (50, 0, loss),
        (30, 1, wake(6, 9, Stage::Waking)),
        (40, 1, switch(9, Left::Sleep, 0)),
        (60, 1, switch(0, RUNNABLE, 6)),
        (70, 0, wake(9, 7, Stage::Waking)),
    ];
    let (facts, repairs) = run(&complete(), &events, 80);
    assert_eq!((repairs.backwards, repairs.losses), (0, 1));
    let unknown = |from, to| (from, to, What::Unknown(Doubt::Loss));
    // Runnable since 10; woken at 30, so it ran and slept unseen between 20 and 30; from 30 on it may have
    // run again until 50.
    let told = of(&facts, 6);
    assert!(told.contains(&unknown(20, 30)) && told.contains(&unknown(30, 50)), "{told:?}");
    assert!(told.contains(&(50, 60, What::Runnable { since: Ready::Unknown, ran: true })), "{told:?}");
    // Seen to leave CPU 1 in the gap, woken after it.
    let told = of(&facts, 9);
    assert!(told.contains(&(0, 40, What::Running { cpu: 1, left: Some(Left::Sleep) })), "{told:?}");
    assert!(told.contains(&unknown(40, 50)), "{told:?}");
    assert_eq!(told.last().map(|(from, ..)| *from), Some(70));
}

#[test]
fn an_exec_by_a_thread_exchanges_the_thread_ids() {
    let events = [
        (0, 0, switch(0, RUNNABLE, 21)),
        (10, 0, Kind::Exec { task: task(20), old_pid: 21 }),
        (20, 0, switch(20, Left::Sleep, 0)),
    ];
    let (facts, repairs) = run(&complete(), &events, 30);
    assert_eq!(repairs.hidden_switches, 0);
    assert!(of(&facts, 20).contains(&(0, 20, What::Running { cpu: 0, left: Some(Left::Sleep) })));
}

pub(crate) fn any_kind() -> impl Strategy<Value = Kind> {
    let pid = 0u32..5;
    let left = prop_oneof![
        Just(RUNNABLE),
        Just(Left::Sleep),
        Just(Left::Disk),
        Just(Left::Dead),
        Just(Left::Unknown)
    ];
    let stage = prop_oneof![Just(Stage::Waking), Just(Stage::Woken), Just(Stage::New)];
    prop_oneof![
        8 => (prop::option::of(pid.clone()), left, pid.clone()).prop_map(|(prev, state, next)| Kind::Switch { prev: prev.map(task), state, next: task(next) }),
        4 => (pid.clone(), pid.clone(), stage).prop_map(|(pid, by, stage)| wake(pid, by, stage)),
        1 => (pid.clone(), pid.clone()).prop_map(|(parent, child)| Kind::Fork { parent: task(parent), child: task(child) }),
        1 => (pid.clone(), pid.clone()).prop_map(|(pid, old_pid)| Kind::Exec { task: task(pid), old_pid }),
        1 => pid.prop_map(|pid| Kind::Exit { task: task(pid) }),
        1 => (prop::option::of(0u32..3), prop::option::of(0u64..40)).prop_map(|(of_cpu, from_ns)| Kind::Loss { of_cpu, count: None, from_ns }),
    ]
}

proptest! {
    /// Whatever the events say: the time of each CPU is told once and whole, and the stretches of a task
    /// follow each other.
    #[test]
    fn books_balance_on_any_events(
        events in prop::collection::vec((0u64..60, 0u32..3, any_kind()), 0..60), exact in any::<bool>(), sorted in any::<bool>(),
    ) {
        let mut events = events;
        if sorted {
            events.sort_by_key(|(ts, ..)| *ts);
        }
        let header = if exact { complete() } else { Header::default() };
        let (facts, _) = run(&header, &events, 70);
        let mut cpus: BTreeMap<u32, Vec<(u64, u64)>> = BTreeMap::new();
        let mut tasks: BTreeMap<TaskId, u64> = BTreeMap::new();
        let execs = events.iter().any(|(.., kind)| matches!(kind, Kind::Exec { .. }));
        for fact in &facts {
            match fact {
                Fact::Cpu(i) => cpus.entry(i.cpu).or_default().push((i.from_ns, i.to_ns)),
                Fact::Task(i) => {
                    prop_assert!(i.from_ns <= i.to_ns);
                    if let What::Running { cpu, .. } = i.what {
                        cpus.entry(cpu).or_default().push((i.from_ns, i.to_ns));
                    }
                    let last = tasks.insert(i.task, i.to_ns);
                    prop_assert!(execs || last.is_none_or(|last| last <= i.from_ns), "{i:?} after {last:?}");
                }
                _ => {}
            }
        }
        for (cpu, mut told) in cpus {
            told.retain(|(from, to)| from < to);
            told.sort_unstable();
            for pair in told.windows(2) {
                prop_assert_eq!(pair[0].1, pair[1].0, "CPU {}: {:?}", cpu, told);
            }
            if let Some(last) = told.last() {
                prop_assert_eq!(last.1, 70);
            }
        }
    }
}

/// Task 7 wakes 8 and 9, leaves to 8, 8 leaves to 9, and CPU 0 comes back to 7 unseen, because 9 is none of
/// the recorded.
#[test]
fn of_a_recording_of_some_tasks_only_what_they_do_to_each_other_is_known() {
    let header = Header { scope: Scope::Tasks, begin_ns: None, ..complete() };
    let events = [
        (10, 0, switch(7, Left::Sleep, 8)),
        (20, 0, wake(7, 8, Stage::Waking)),
        (25, 0, switch(8, Left::Sleep, 7)),
        (30, 0, wake(8, 7, Stage::Waking)),
        (31, 0, wake(9, 7, Stage::Waking)),
        (40, 0, switch(7, RUNNABLE, 9)),
        // Who came behind 9, and when, nobody told.
        (90, 0, switch(8, Left::Sleep, 7)),
        (95, 0, switch(7, Left::Sleep, 0)),
    ];
    let (facts, repairs) = run(&header, &events, 200);
    let runs = |pid: u32| -> Vec<(u64, u64)> {
        let is_run = |what: &What| matches!(what, What::Running { .. });
        of(&facts, pid)
            .into_iter()
            .filter(|(from, to, what)| to > from && is_run(what))
            .map(|(a, b, _)| (a, b))
            .collect()
    };
    // Until it leaves, nobody knows that 8 is one of those that are recorded.
    assert_eq!(runs(7), [(25, 40), (90, 95)]);
    assert_eq!(runs(8), []);
    assert_eq!(runs(9), []);
    let waits = |pid: u32| {
        of(&facts, pid).iter().any(|(from, to, what)| to > from && matches!(what, What::Runnable { .. }))
    };
    assert!(!waits(9), "9 may have run as soon as it was woken: {:?}", of(&facts, 9));
    assert!(!waits(8), "8 came to its CPU unseen: {:?}", of(&facts, 8));
    assert!(waits(7), "7 was preempted at 40 and came at 90: {:?}", of(&facts, 7));
    assert_eq!(repairs.hidden_switches, 0);
    let idle = |fact: &Fact| matches!(fact, Fact::Cpu(CpuInterval { doubt: None, .. }));
    assert!(!facts.iter().any(idle), "that a CPU idles is not known for long: {facts:?}");
}

#[test]
fn of_a_recording_of_some_cpus_a_task_that_goes_to_another_is_out_of_sight() {
    let header = Header { scope: Scope::Cpus, begin_ns: None, ..complete() };
    let to = |pid: u32, cpu: u32| Kind::Wake {
        wakee: task(pid),
        waker: Some(5),
        target: Some(cpu),
        stage: Stage::Waking,
        context: Context::Task,
    };
    let events = [
        (10, 0, switch(7, Left::Sleep, 5)),
        (20, 0, to(7, 1)),
        (21, 0, to(8, 0)),
        (60, 0, switch(5, Left::Sleep, 8)),
        (90, 0, switch(8, Left::Sleep, 7)),
    ];
    let waited = |facts: &[Fact], pid: u32| -> u64 {
        let is_wait = |what: &What| matches!(what, What::Runnable { .. });
        of(facts, pid).iter().filter(|(.., what)| is_wait(what)).map(|(from, to, _)| to - from).sum()
    };
    let (facts, _) = run(&header, &events, 100);
    assert_eq!((waited(&facts, 7), waited(&facts, 8)), (0, 39));
    // The same with the events of all CPUs: 7 waited from its wake on.
    let (facts, _) = run(&Header { scope: Scope::Whole, ..header }, &events, 100);
    assert_eq!((waited(&facts, 7), waited(&facts, 8)), (70, 39));
}
