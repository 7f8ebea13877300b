//! Who stood in whose way, against the kernel's own books of waiting.

mod common;

use common::{Worker, last_cpu, schedstat, wait_for};
use std::time::Duration;
use tombola_kernel::{InterferenceMonitor, MaxPairs};

fn waited_ns(tid: u32) -> u64 {
    schedstat(tid).expect("the thread lives").wait_ns
}

#[test]
#[ignore = "needs root and BPF"]
fn root_what_stood_in_the_way_adds_up_to_the_wait() {
    let cpu = last_cpu();
    // Burners wait from the end of a slice; who wakes up waits from the middle of one, of which only the rest stood in its way.
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
        // The CPU ran somebody all the time. Of a wait through more slices than are remembered the rest is counted as unseen.
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
    let mut monitor = InterferenceMonitor::start(MaxPairs::new(64).unwrap()).expect("root may load it");
    // Short tasks behind a burner, each a pair or two of its own: many times as many as there is room for.
    let burner = Worker::burner(0, Some(cpu));
    burner.has_run(Duration::from_millis(20));
    for round in 0..20 {
        for _ in 0..20 {
            drop(Worker::waker(0, cpu));
        }
        monitor.read().unwrap();
        if round == 19 {
            std::thread::sleep(Duration::from_millis(50));
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
    assert!(after.put_out > 64, "{} pairs were put out", after.put_out);
    assert_eq!(after.refused, before.refused);
    let stood = after.pairs.iter().filter(|(pair, _)| pair.victim.pid == victim.tid).map(|(_, s)| s.held_ns);
    assert!(stood.sum::<u64>() > 0, "who waits now is in a pair");
}
