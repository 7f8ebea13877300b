//! Who stood in whose way, against the kernel's own books of waiting.

mod common;

use common::{Worker, cpus, last_cpu, pin_to, schedstat, wait_for};
use nix::time::{ClockId, clock_gettime};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};
use tombola_core::interference::Interference;
use tombola_kernel::{InterferenceMonitor, MaxPairs};

fn waited_ns(tid: u32) -> u64 {
    schedstat(tid).expect("the thread lives").wait_ns
}

#[test]
#[ignore = "needs root and BPF"]
fn root_what_stood_in_the_way_adds_up_to_the_wait() {
    let cpu = last_cpu();
    // Burners wait from the end of a slice; who wakes up waits from the middle of one, of which only the rest
    // stood in its way.
    let [b0, b3, b5] = [0, 3, 5].map(|nice| Worker::burner(nice, Some(cpu)));
    let burners = [b0, b3, b5, Worker::waker(5, cpu)];
    for burner in &burners[..3] {
        burner.has_run(Duration::from_millis(20));
    }
    let mut monitor = InterferenceMonitor::start(MaxPairs::default()).expect("root may load it");
    // Both books are written when a wait ends, so the kernel's, read on either side of ours, enclose them.
    let all_waited = || burners.each_ref().map(|burner| waited_ns(burner.tid));
    let outer = all_waited();
    let before = monitor.read().expect("the map is there");
    let waited = all_waited();
    wait_for("everyone has waited a second more", || {
        let all = burners.iter().zip(waited).all(|(b, before)| waited_ns(b.tid) - before > 1_000_000_000);
        all.then_some(())
    });
    let after = all_waited();
    let interval = monitor.read().expect("the map is there").since(&before);
    let outer_after = all_waited();

    assert_eq!(interval.refused, 0);
    for (number, burner) in burners.iter().enumerate() {
        let victim = interval.pairs.keys().map(|pair| pair.victim).find(|id| id.pid == burner.tid);
        let culprits = interval.culprits_of(victim.expect("it waited behind somebody"));
        let held: u64 = culprits.iter().map(|(_, standing)| standing.held_ns).sum();
        let (inner, around) = (after[number] - waited[number], outer_after[number] - outer[number]);
        // The CPU ran somebody all the time. Of a wait through more slices than are remembered the rest is
        // counted as unseen.
        let (unseen, slack) = (interval.unseen_ns, inner / 20);
        assert!(
            held <= around + slack && held + unseen + slack >= inner,
            "held {held} ns, waited {inner} to {around} ns, unseen {unseen} ns: {culprits:?}"
        );
        assert!(culprits.iter().all(|(id, _)| id.pid != burner.tid), "nobody stands in its own way");
    }
    let preempted: u64 = interval.pairs.values().map(|standing| standing.preemptions).sum();
    assert!(preempted > 0, "three burners on one CPU preempt each other");
}

#[test]
#[ignore = "needs root and BPF"]
fn root_pairs_of_the_dead_make_room() {
    let cpu = last_cpu();
    let mut monitor = InterferenceMonitor::start(MaxPairs::new(1024).unwrap()).expect("root may load it");
    // Short tasks behind a burner, each a pair or two of its own: many times as many as there is room for.
    let burner = Worker::burner(0, Some(cpu));
    burner.has_run(Duration::from_millis(20));
    for round in 0..20 {
        for _ in 0..60 {
            drop(Worker::waker(0, cpu));
        }
        monitor.read().unwrap();
        if round == 19 {
            thread::sleep(Duration::from_millis(50));
        }
    }
    // What is quiet leaves at the second look that finds it so.
    let two_looks = |monitor: &mut InterferenceMonitor| {
        monitor.read().unwrap();
        monitor.read().unwrap()
    };
    let before = two_looks(&mut monitor);
    let victim = Worker::burner(0, Some(cpu));
    victim.has_run(Duration::from_millis(50));
    let after = monitor.read().unwrap();
    println!("put out {}, refused {}, now {}", after.put_out, after.refused, after.pairs.len());
    assert!(after.put_out > 500, "{} pairs were put out", after.put_out);
    assert_eq!(after.refused, before.refused);
    let stood = after.pairs.iter().filter(|(pair, _)| pair.victim.pid == victim.tid).map(|(_, s)| s.held_ns);
    assert!(stood.sum::<u64>() > 0, "who waits now is in a pair");
}

/// Makes the calling thread give way to everybody.
#[allow(clippy::unwrap_used)] // not seen as test code by the lint
fn become_idle() {
    let priority = libc::sched_param { sched_priority: 0 };
    // SAFETY: the call reads the parameter and nothing else; 0 is the calling thread.
    let result = unsafe { libc::sched_setscheduler(0, libc::SCHED_IDLE, &raw const priority) };
    assert_eq!(result, 0, "SCHED_IDLE: {}", std::io::Error::last_os_error());
}

/// What the pairs of a victim hold: by each of these, by all tasks, and by nobody who is known.
fn held_ns(all: &Interference, victim: u32, by: [u32; 2]) -> ([u64; 2], u64, u64) {
    let pairs = || all.pairs.iter().filter(|(pair, _)| pair.victim.pid == victim);
    let of = |pid| pairs().filter(|(pair, _)| pair.culprit.pid == pid).map(|(_, s)| s.held_ns).sum();
    let unknown = all.unknown_ns.iter().filter(|(id, _)| id.pid == victim).map(|(_, ns)| ns).sum();
    (by.map(of), pairs().map(|(_, standing)| standing.held_ns).sum(), unknown)
}

/// An instant on the monotonic clock, and what the culprits had had on their CPU clocks then.
type Bound = (u64, [u64; 2]);

/// What was held while somebody waited: between two instants.
#[derive(Debug)]
struct Look {
    from: Bound,
    held: ([u64; 2], u64, u64),
    to: Bound,
}

#[allow(clippy::unwrap_used)] // not seen as test code by the lint
fn now_ns() -> u64 {
    Duration::from(clock_gettime(ClockId::CLOCK_MONOTONIC).unwrap()).as_nanos().try_into().unwrap()
}

#[test]
#[ignore = "needs root and BPF"]
fn root_a_wait_of_seconds_has_its_culprits_while_it_lasts_and_afterwards() {
    let cpus = cpus();
    let [free, .., taken] = cpus[..] else {
        println!("SKIP: on one CPU who burns would keep the test itself from running");
        return;
    };
    // A thread of its own, for what it makes of itself is not to stay.
    thread::spawn(move || wait_of_seconds(free, taken)).join().unwrap();
}

#[allow(clippy::unwrap_used)] // not seen as test code by the lint
fn wait_of_seconds(free: usize, taken: usize) {
    pin_to(&[free]);
    // The weight of a session is divided between the CPUs by what it has on each: beside burners of nice -20
    // this thread would starve.
    common::renice(-20);
    let prepare = move || {
        pin_to(&[taken]);
        become_idle();
    };
    let victim = Worker::start("starving", prepare, common::spin);
    victim.has_run(Duration::from_millis(20));
    let mut monitor = InterferenceMonitor::start(MaxPairs::default()).expect("root may load it");
    let before = monitor.read().unwrap();
    let outer_before_ns = waited_ns(victim.tid);
    // Two that alternate, and one that wakes up now and then: hundreds of slices of a wait in which the
    // victim gets next to nothing.
    let burners = [Worker::burner(-20, Some(taken)), Worker::burner(-20, Some(taken))];
    let _waker = Worker::waker(0, taken);
    let tids = burners.each_ref().map(|burner| burner.tid);
    let stat = || schedstat(victim.tid).expect("it lives");
    // A wait of two seconds, looked at twice while it is open.
    let look = |monitor: &mut InterferenceMonitor| {
        let bound = || (now_ns(), tids.map(common::exact_runtime_ns));
        let from = bound();
        let all = monitor.read().unwrap().since(&before);
        Look { from, held: held_ns(&all, victim.tid, tids), to: bound() }
    };
    let (mut since, mut slices) = (Instant::now(), stat().slices);
    let mut looks: Vec<Look> = Vec::new();
    wait_for("the victim waits for two seconds at a stretch", || {
        if stat().slices != slices {
            (since, slices) = (Instant::now(), stat().slices);
            looks.clear();
        }
        let due = Duration::from_millis(800 * (looks.len() as u64 + 1));
        if since.elapsed() > due && looks.len() < 2 {
            looks.push(look(&mut monitor));
        }
        let stood_still = stat().slices == slices;
        (looks.len() == 2 && since.elapsed() > Duration::from_secs(2) && stood_still).then_some(())
    });
    let (first, second) = (&looks[0], &looks[1]);
    println!("{first:?} then {second:?}");
    // A CPU's clock is read at its ticks: what is open is known up to the last one.
    let tick_ns = 12_000_000;
    let between = |of: &dyn Fn(&Bound) -> u64| {
        let (shortest, longest) = (of(&second.from) - of(&first.to), of(&second.to) - of(&first.from));
        (shortest.saturating_sub(tick_ns + shortest / 50), longest + tick_ns + longest / 50)
    };
    let (shortest, longest) = between(&|(at_ns, _)| *at_ns);
    // What was nobody's at one look may have a name at the next: together they are the wait, which grows.
    let of_all = |look: &Look| look.held.1 + look.held.2;
    let grown = of_all(second) - of_all(first);
    assert!((shortest..=longest).contains(&grown), "{grown} ns: {shortest} to {longest}");
    for at in 0..2 {
        let held = second.held.0[at] - first.held.0[at];
        let (least, most) = between(&|(_, ran_ns)| ran_ns[at]);
        assert!((least..=most).contains(&held), "{held} ns, it had {least} to {most} ns on its CPU clock");
    }

    let burners_ran = burners.map(|burner| {
        let own_ns = Arc::clone(&burner.own_ns);
        burner.stop();
        own_ns.load(Ordering::Relaxed)
    });
    wait_for("the wait ends", || (stat().slices > slices + 3).then_some(()));
    let inner_ns = waited_ns(victim.tid) - outer_before_ns;
    let all = monitor.read().unwrap().since(&before);
    let outer_ns = waited_ns(victim.tid) - outer_before_ns;
    let (burners_held, held, unknown) = held_ns(&all, victim.tid, tids);
    println!(
        "waited {inner_ns} to {outer_ns} ns, held {held}, unknown {unknown}; {burners_held:?} {burners_ran:?}"
    );
    let slack_ns = inner_ns / 50;
    let known = held + unknown;
    assert!(inner_ns > 2_000_000_000 && known <= outer_ns + slack_ns && known + slack_ns >= inner_ns);
    // All that they ever had, they had while it waited. In a part of the wait it is estimated whose the time
    // was.
    for (held, ran) in burners_held.into_iter().zip(burners_ran) {
        assert!(held <= ran + inner_ns / 10 && held + inner_ns / 10 >= ran, "{held} ns, it had {ran} ns");
    }
}
