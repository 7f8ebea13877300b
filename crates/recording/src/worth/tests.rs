use super::*;
use crate::capabilities::Capabilities;
use crate::event::{Kind, Left, Stage};
use crate::normaliser::tests::{switch, wake};
use tombola_core::worth::Kind as Figure;

/// All that a recording can tell, of a machine with two CPUs.
fn able() -> Header {
    let can = Capabilities {
        prev: true,
        waking: true,
        migrations: true,
        groups: true,
        yields: true,
        resolution_ns: 1,
        ..Capabilities::default()
    };
    Header { cpus: Some(2), can, ..Header::default() }
}

#[test]
fn what_a_recording_cannot_tell_lowers_what_is_made_of_it() {
    use Worth::{Bounded, Exact, Unknown};
    let worths = |header: &Header, breaks_off| {
        let Best { run, wait, switches, preemptions, yields, wakes, culprits, entitlement } =
            best(header, breaks_off);
        [run, wait, switches, preemptions, yields, wakes, culprits, entitlement].map(|verdict| verdict.worth)
    };
    let whole = able();
    assert_eq!(worths(&whole, false), [Exact, Exact, Exact, Exact, Exact, Exact, Exact, Bounded]);
    let with = |can| Header { can, ..able() };
    let silent = with(Capabilities { waking: false, ..whole.can });
    assert_eq!(worths(&silent, false), [Exact, Unknown, Exact, Exact, Exact, Unknown, Unknown, Bounded]);
    // As foreign formats are.
    let can =
        Capabilities { resolution_ns: 1000, groups: false, migrations: false, yields: false, ..whole.can };
    let coarse = with(can);
    assert_eq!(worths(&coarse, false), [Bounded, Bounded, Exact, Bounded, Unknown, Exact, Unknown, Unknown]);
    let placed = with(Capabilities { wakeup: true, migrations: false, ..whole.can });
    assert_eq!(worths(&placed, false)[6], Bounded);
    // With one CPU there is one queue.
    assert_eq!(worths(&Header { cpus: Some(1), ..placed }, false)[6], Exact);
    let all_but_late = [Unknown, Unknown, Unknown, Unknown, Unknown, Unknown, Unknown, Bounded];
    assert_eq!(worths(&whole, true)[..6], all_but_late[..6]);
    let part = Header { scope: Scope::Tasks, ..whole };
    assert_eq!(worths(&part, false), all_but_late);
}

/// What is not known at `looks`, and at the end: since the begin, and of the time since the look before.
fn doubts(header: &Header, events: &[(u64, u32, Kind)], looks: &[u64]) -> Vec<(Doubts, Doubts)> {
    let mut normaliser = Normaliser::new(header);
    let mut judge = Judge::new(header);
    let mut events = events.iter().peekable();
    let mut before = Doubts::default();
    let look = |at_ns: &u64| {
        while let Some((ts_ns, cpu, kind)) = events.next_if(|(ts_ns, ..)| ts_ns <= at_ns) {
            let event = Event { ts_ns: *ts_ns, cpu: *cpu, seq: 0, kind: kind.clone() };
            normaliser.event(&event);
            judge.event(&event, &normaliser);
            normaliser.facts().for_each(drop);
        }
        let grounds = judge.grounds(&normaliser, *at_ns, false);
        let added = grounds.when_seen.cpus_ns - before.cpus_ns;
        let tasks = grounds.when_seen.tasks_ns - before.tasks_ns;
        let cut_waits = grounds.when_seen.cut_waits - before.cut_waits;
        before = grounds.when_seen;
        (grounds.since_begin, Doubts { tasks_ns: tasks, cpus_ns: added, cut_waits, no_wake_ns: 0 })
    };
    looks.iter().map(look).collect()
}

/// From 100 on CPU 0 tells, from 130 on CPU 1, and by then who ran there is not known.
#[test]
fn who_ran_on_a_cpu_before_its_first_event_is_not_known() {
    let events = [
        (100, 0, switch(0, Left::Runnable { preempted: None }, 7)),
        (130, 1, switch(8, Left::Sleep, 0)),
        (150, 0, switch(7, Left::Sleep, 0)),
    ];
    let times = |doubts: Doubts| (doubts.cpus_ns, doubts.tasks_ns);
    // At 110 nobody has told of CPU 1 but the header, and who was there is not told either. 8 ran up to 130,
    // nobody knows since when.
    let seen = doubts(&able(), &events, &[110, 160]);
    assert_eq!([times(seen[0].0), times(seen[1].0)], [(10, 10), (30, 30)]);
    assert_eq!(times(seen[1].1), (20, 20), "ten of it were told before");
    // A header that does not tell how many CPUs there are says nothing of it at 110, and all of it later.
    let uncounted = Header { cpus: None, ..able() };
    let seen = doubts(&uncounted, &events, &[110, 160]);
    assert_eq!([times(seen[0].0), times(seen[1].1)], [(0, 0), (30, 30)]);
    // A recording that is complete from 100 on: 8 ran there from 100 to 130.
    let complete = Header { begin_ns: Some(100), ..able() };
    let seen = doubts(&complete, &events, &[160]);
    assert_eq!(times(seen[0].0), (0, 0));
}

#[test]
fn what_is_found_out_later_was_not_known_before() {
    // 9 is told to have a nice value at 100, and to be woken at 300: it slept since the begin.
    let named = Kind::Attributes { pid: 9, start_ns: None, attributes: Box::default() };
    let events = [
        (100, 0, switch(0, Left::Runnable { preempted: None }, 7)),
        (100, 0, named),
        (300, 0, wake(9, 7, Stage::Waking)),
        (310, 0, switch(7, Left::Sleep, 9)),
    ];
    let complete = Header { begin_ns: Some(100), cpus: Some(1), ..able() };
    let seen = doubts(&complete, &events, &[200, 250, 400]);
    let tasks: Vec<(u64, u64)> = seen.iter().map(|(whole, part)| (whole.tasks_ns, part.tasks_ns)).collect();
    assert_eq!(tasks, [(100, 100), (150, 50), (0, 0)]);
}

#[test]
fn a_wait_that_had_begun_before_is_counted() {
    // 7 comes to its CPU at 150 and waited at least since the begin; 8 waits from 160 to 170.
    let events = [
        (100, 0, switch(0, Left::Runnable { preempted: None }, 6)),
        (150, 0, switch(6, Left::Sleep, 7)),
        (160, 0, wake(8, 7, Stage::Waking)),
        (170, 0, switch(7, Left::Sleep, 8)),
        (180, 0, switch(8, Left::Runnable { preempted: Some(true) }, 0)),
    ];
    let complete = Header { begin_ns: Some(100), cpus: Some(1), ..able() };
    let seen = doubts(&complete, &events, &[155, 175, 200]);
    let cut: Vec<u64> = seen.iter().map(|(whole, _)| whole.cut_waits).collect();
    assert_eq!(cut, [2, 2, 2], "those of 6 and 7");
    let judged = |at: usize| {
        let (since_begin, when_seen) = seen[at];
        let judged = Grounds { best: best(&complete, false), since_begin, when_seen }.judge_since(None);
        (judged[1].worth, judged.iter().find(|of| of.kind == Figure::Lengths).unwrap().worth)
    };
    // What was waited in the recording is known.
    assert_eq!((judged(0), judged(2)), ((Worth::Exact, Worth::Bounded), (Worth::Exact, Worth::Exact)));
    // From 165 on: the wait of 8 had begun.
    let mut normaliser = Normaliser::new(&complete);
    let mut judge = Judge::new(&complete);
    for (ts_ns, cpu, kind) in events {
        if ts_ns == 170 {
            judge.begin(165);
        }
        let event = Event { ts_ns, cpu, seq: 0, kind };
        normaliser.event(&event);
        judge.event(&event, &normaliser);
        normaliser.facts().for_each(drop);
    }
    assert_eq!(judge.grounds(&normaliser, 200, false).since_begin.cut_waits, 1);
}
