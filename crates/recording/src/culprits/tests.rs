use super::booked::Booked;
use super::*;
use crate::attributes::Attributes;
use crate::books::{Books, EXITED};
use crate::capabilities::{Capabilities, Scope};
use crate::event::Context;
use crate::normaliser::tests::{any_kind, switch, task, wake};
use proptest::prelude::*;
use std::collections::BTreeMap;

const RUNNABLE: Left = Left::Runnable { preempted: Some(true) };

fn header(can: Capabilities) -> Header {
    Header { begin_ns: Some(0), can: Capabilities { waking: true, ..can }, ..Header::default() }
}

fn moves() -> Header {
    header(Capabilities { migrations: true, ..Capabilities::default() })
}

fn woken(pid: u32, target: u32) -> Kind {
    let (waker, context) = (Some(5), Context::Task);
    Kind::Wake { wakee: task(pid), waker, target: Some(target), stage: Stage::Woken, context }
}

fn migrate(pid: u32, to: u32) -> Kind {
    Kind::Migrate { task: task(pid), from: None, to }
}

/// What is told of (time, CPU, what) at `end_ns`: victim, culprit, held; and what is not known, by victim.
fn told(header: &Header, events: &[(u64, u32, Kind)], end_ns: u64) -> (Vec<[u64; 3]>, Vec<[u64; 2]>) {
    let mut normaliser = Normaliser::new(header);
    let mut culprits = Culprits::new(header);
    for (seq, (ts_ns, cpu, kind)) in (0..).zip(events) {
        let event = Event { ts_ns: *ts_ns, cpu: *cpu, seq, kind: kind.clone() };
        normaliser.event(&event);
        culprits.event(&event, &normaliser);
        normaliser.facts();
    }
    let all = culprits.at(&normaliser, end_ns);
    let held = all.pairs.iter().filter(|(_, standing)| standing.held_ns > 0);
    let pid = |id: TaskId| u64::from(id.pid);
    (
        held.map(|(pair, standing)| [pid(pair.victim), pid(pair.culprit), standing.held_ns]).collect(),
        all.unknown_ns.iter().map(|(id, ns)| [pid(*id), *ns]).collect(),
    )
}

/// 5 has CPU 0 and 6 has CPU 1 from 0 on; 7 sleeps.
fn two_run() -> Vec<(u64, u32, Kind)> {
    vec![(0, 1, switch(0, RUNNABLE, 7)), (0, 1, switch(7, Left::Sleep, 6)), (0, 0, switch(0, RUNNABLE, 5))]
}

#[test]
fn nobody_stands_in_the_way_of_one_that_is_on_its_way() {
    // CPU 0 wakes it and moves it to CPU 1.
    let moved = [(10, 0, wake(7, 5, Stage::Waking)), (12, 0, migrate(7, 1)), (20, 1, switch(6, RUNNABLE, 7))];
    assert_eq!(told(&moves(), &[two_run(), moved.to_vec()].concat(), 30).0, [[6, 7, 10], [7, 6, 8]]);
    // CPU 1 puts it into its queue.
    let put = [(10, 0, wake(7, 5, Stage::Waking)), (13, 1, woken(7, 1)), (20, 1, switch(6, RUNNABLE, 7))];
    let both = header(Capabilities { wakeup: true, migrations: true, ..Capabilities::default() });
    let (pairs, unknown) = told(&both, &[two_run(), put.to_vec()].concat(), 30);
    assert_eq!((pairs, unknown), (vec![[6, 7, 10], [7, 6, 7]], vec![]));
}

#[test]
fn a_wait_is_told_queue_by_queue() {
    // It stays on CPU 1 when it is woken, and CPU 0 takes it over at 15, for 5 that has switched meanwhile.
    let pulled = [
        (10, 0, wake(7, 5, Stage::Waking)),
        (11, 0, switch(5, Left::Sleep, 8)),
        (15, 0, migrate(7, 0)),
        (20, 0, switch(8, Left::Sleep, 7)),
    ];
    let (pairs, unknown) = told(&moves(), &[two_run(), pulled.to_vec()].concat(), 30);
    assert_eq!((pairs, unknown), (vec![[7, 6, 5], [7, 8, 5]], vec![[8, 11]]));
}

#[test]
fn what_is_not_told_is_not_guessed() {
    // Put into the queue of CPU 1, and it comes to CPU 0: it was moved at some time.
    let wakeup = header(Capabilities { wakeup: true, ..Capabilities::default() });
    let events = [(10, 1, woken(7, 1)), (20, 0, switch(5, Left::Sleep, 7))];
    assert_eq!(told(&wakeup, &[two_run(), events.to_vec()].concat(), 30), (vec![], vec![[7, 10]]));
    // Neither moves nor where a wake leads.
    let events = [
        (10, 1, wake(7, 6, Stage::Waking)),
        (20, 1, switch(6, RUNNABLE, 7)),
        (25, 1, switch(7, RUNNABLE, 6)),
    ];
    let (pairs, unknown) = told(&header(Capabilities::default()), &[two_run(), events.to_vec()].concat(), 30);
    assert_eq!((pairs, unknown), (vec![], vec![[6, 5], [7, 15]]));
    // A switch was hidden while it waited: what CPU 1 did is not known.
    let events = [(10, 1, wake(7, 6, Stage::Waking)), (20, 1, switch(9, Left::Sleep, 7))];
    let (pairs, unknown) = told(&moves(), &[two_run(), events.to_vec()].concat(), 30);
    assert_eq!((pairs, unknown), (vec![], vec![[7, 10]]));
    // Events were lost from 14 to 18: it waited before, and from 18 on.
    let loss = Kind::Loss { of_cpu: Some(0), count: None, from_ns: Some(14) };
    let events = [(10, 1, wake(7, 6, Stage::Waking)), (18, 0, loss), (20, 1, switch(6, RUNNABLE, 7))];
    let (pairs, unknown) = told(&moves(), &[two_run(), events.to_vec()].concat(), 20);
    assert_eq!((pairs, unknown), (vec![[7, 6, 4]], vec![[7, 2]]));
}

#[test]
fn a_task_that_may_use_one_cpu_waits_there() {
    let attributes = Attributes { affinity: Some([1].into_iter().collect()), ..Attributes::default() };
    let pinned = Kind::Attributes { pid: 7, start_ns: None, attributes: Box::new(attributes) };
    let events = [(1, 1, pinned), (10, 0, wake(7, 5, Stage::Waking)), (20, 1, switch(6, RUNNABLE, 7))];
    let plain = header(Capabilities::default());
    assert_eq!(told(&plain, &[two_run(), events.to_vec()].concat(), 20), (vec![[7, 6, 10]], vec![]));
}

#[test]
fn of_who_ended_long_ago_nobody_knows_the_name() {
    let of = |pid: usize| TaskId { pid: u32::try_from(pid).unwrap(), start_ns: 1 };
    let (mut booked, waits) = (Booked::default(), of(1));
    for pid in 2..2 * EXITED + 2 {
        booked.held(waits, of(pid), 3);
        booked.held(of(pid), waits, 1);
        booked.ended(of(pid));
    }
    let told = booked.told();
    assert_eq!(told.pairs.len(), 2 * EXITED);
    assert_eq!(told.unknown_ns, BTreeMap::from([(waits, 3 * EXITED as u64)]));
    assert!(told.pairs.keys().all(|pair| pair.victim == waits || pair.victim.pid as usize >= EXITED + 2));
}

fn in_group(pid: u32, group: u64) -> Kind {
    let group = Some(Group::Cgroup(group));
    let attributes = Box::new(Attributes { group, ..Attributes::default() });
    Kind::Attributes { pid, start_ns: None, attributes }
}

fn any_stop() -> impl Strategy<Value = Kind> {
    (0u32..5, 0u64..60).prop_map(|(pid, ns)| Kind::Throttled { pid, ns })
}

/// 5 has the CPU in whose queue 7 and 8 wait from 10 and 12 on; their group stands throttled from 15 to 30.
#[test]
fn nobody_stands_in_the_way_of_one_that_is_behind_its_quota() {
    let stop = Kind::Throttled { pid: 7, ns: 15 };
    let events = |accounts: bool| {
        let mut events = vec![(0, 0, in_group(7, 1)), (0, 0, in_group(8, 1)), (0, 0, in_group(9, 2))];
        events.extend([(0, 0, switch(0, RUNNABLE, 7)), (10, 0, switch(7, RUNNABLE, 5))]);
        events.extend([(12, 1, wake(8, 0, Stage::Waking)), (12, 1, migrate(8, 0))]);
        events.extend([(14, 1, wake(9, 0, Stage::Waking)), (14, 1, migrate(9, 0))]);
        if accounts {
            events.extend([(20, 1, migrate(7, 2)), (20, 1, migrate(7, 0))]);
        }
        events.extend([(30, 0, stop.clone()), (30, 0, switch(5, RUNNABLE, 7))]);
        events.extend([(35, 0, switch(7, RUNNABLE, 8)), (36, 0, switch(8, RUNNABLE, 9))]);
        events
    };
    let quotas = |events: &[(u64, u32, Kind)]| {
        let mut normaliser = Normaliser::new(&moves());
        let mut culprits = Culprits::new(&moves());
        for (seq, (ts_ns, cpu, kind)) in (0..).zip(events) {
            let event = Event { ts_ns: *ts_ns, cpu: *cpu, seq, kind: kind.clone() };
            normaliser.event(&event);
            culprits.event(&event, &normaliser);
            normaliser.facts();
        }
        let all = culprits.at(&normaliser, 36);
        all.quota_ns.iter().map(|(id, ns)| [u64::from(id.pid), *ns]).collect::<Vec<_>>()
    };
    let (pairs, unknown) = told(&moves(), &events(false), 36);
    // 5 before 9: all 16 of it, for its group was never throttled.
    let behind =
        [[5, 7, 5], [5, 8, 1], [7, 5, 5], [7, 8, 1], [8, 5, 3], [8, 7, 5], [9, 5, 16], [9, 7, 5], [9, 8, 1]];
    // Where 5 has waited before is not told.
    assert_eq!((pairs, unknown), (behind.to_vec(), vec![[5, 10]]));
    assert_eq!(quotas(&events(false)), [[7, 15], [8, 15]]);
    // What is accounted for before the stop is told, in another queue, stays as it was.
    assert_eq!(quotas(&events(true)), [[7, 10], [8, 15]]);
}

#[test]
fn pairs_that_find_no_room_are_counted() {
    let of = |pid: usize| TaskId { pid: u32::try_from(pid).unwrap(), start_ns: 1 };
    let mut booked = Booked::default();
    for culprit in 0..booked::MOST_PAIRS + 2 {
        booked.held(of(1), of(culprit + 2), 5);
    }
    let told = booked.told();
    assert_eq!((told.pairs.len(), told.refused, told.unseen_ns), (booked::MOST_PAIRS, 2, 10));
}

proptest! {
    /// Whatever the events say: nobody is kept waiting for longer than it waits.
    #[test]
    fn pairs_are_within_waits_on_any_events(
        events in prop::collection::vec((1u64..4, 0u32..3, prop_oneof![9 => any_kind(), 1 => any_stop()]), 0..60),
        exact in any::<bool>(), grouped in any::<bool>(), looked_ns in 0u64..120, wakeup in any::<bool>(), migrations in any::<bool>(),
        scope in prop_oneof![Just(Scope::Whole), Just(Scope::Cpus), Just(Scope::Tasks)],
    ) {
        let mut events = events;
        // An exec joins two tasks, whose waits may lie beside each other; one that ends and comes at one
        // instant is two of the same identity.
        let is_odd = |kind: &Kind| match kind {
            Kind::Switch { prev: Some(prev), next, .. } => prev.pid == next.pid,
            kind => matches!(kind, Kind::Exec { .. }),
        };
        events.retain(|(.., kind)| !is_odd(kind));
        // At one instant two tasks of a thread id would be one.
        events.iter_mut().fold(0, |now, (ns, ..)| {
            *ns += now;
            *ns
        });
        let begin_ns = exact.then_some(0);
        let can = Capabilities { wakeup, migrations, ..Capabilities::default() };
        let header = Header { begin_ns, scope, ..header(can) };
        let (mut normaliser, mut culprits, mut books) = (Normaliser::new(&header), Culprits::new(&header), Books::default());
        if grouped {
            let told = (1..5).map(|pid| (0, 0, in_group(pid, u64::from(pid % 2))));
            events = told.chain(events).collect();
        }
        let mut has_looked = false;
        for (seq, (ts_ns, cpu, kind)) in (0..).zip(&events) {
            if *ts_ns > looked_ns && !std::mem::replace(&mut has_looked, true) {
                culprits.at(&normaliser, looked_ns);
                books.snapshot(&normaliser, looked_ns, 0);
            }
            let event = Event { ts_ns: *ts_ns, cpu: *cpu, seq, kind: kind.clone() };
            normaliser.event(&event);
            culprits.event(&event, &normaliser);
            normaliser.facts().for_each(|fact| books.fact(fact));
        }
        let all = culprits.at(&normaliser, 200);
        let snapshot = books.snapshot(&normaliser, 200, 0);
        let ended = snapshot.exited.iter().map(|ended| &ended.totals);
        for task in snapshot.tasks.iter().chain(ended) {
            let behind_ns: u64 = all.culprits_of(task.id).iter().map(|(_, standing)| standing.held_ns).sum();
            let [unknown_ns, quota_ns] = [&all.unknown_ns, &all.quota_ns].map(|of| of.get(&task.id).copied().unwrap_or(0));
            let wait_ns = task.usage.wait_ns;
            prop_assert!(
                behind_ns + unknown_ns + quota_ns <= wait_ns,
                "{:?}: {} + {} + {} of {}", task.id, behind_ns, unknown_ns, quota_ns, wait_ns
            );
        }
    }
}
