//! What must not break the scheduler, and what must come back when it ends. Needs a kernel with sched_ext:
//! the lane boots some (`scripts/run.sh test --vm`).
#![allow(clippy::unwrap_used)]

mod common;

use common::{Group, Worker, cpus, last_cpu, pin_to, schedstat, spin, wait_for};
use libbpf_rs::query::ProgInfoIter;
use nix::unistd::gettid;
use std::fs;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};
use tombola_kernel::Error;
use tombola_kernel::SchedExtState;
use tombola_kernel::scheduler::{Flaw, Guard, Scheduler, SchedulerOptions, Slice};

const PATIENCE: Duration = Duration::from_secs(60);

fn alive(scheduler: &Scheduler) {
    if let Some(told) = scheduler.control().farewell().unwrap() {
        panic!("the scheduler is gone: {told}");
    }
    assert!(matches!(SchedExtState::now(), SchedExtState::Loaded { .. }));
}

#[test]
#[ignore = "sched_ext: runs in the lane"]
fn scx_start_stop_and_a_second_scheduler() {
    assert_eq!(SchedExtState::now(), SchedExtState::Disabled);
    let scheduler = Scheduler::start(&SchedulerOptions::default()).unwrap();
    match SchedExtState::now() {
        SchedExtState::Loaded { ops, whole_machine, .. } => {
            assert_eq!((ops.as_str(), whole_machine), ("tombola_lottery", Some(true)));
        }
        other => panic!("{other:?}"),
    }
    match Scheduler::start(&SchedulerOptions::default()) {
        Err(Error::SchedulerBusy { ops }) => assert_eq!(ops, "tombola_lottery"),
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("two schedulers"),
    }
    let told = scheduler.stop(PATIENCE).unwrap().unwrap();
    assert!(!told.is_error(), "{told}");
    assert_eq!(SchedExtState::now(), SchedExtState::Disabled);
    // Once more, and dropped: that is what happens on an error or a panic of ours.
    drop(Scheduler::start(&SchedulerOptions::default()).unwrap());
    wait_for("the fair class is back", || (SchedExtState::now() == SchedExtState::Disabled).then_some(()));
}

/// A task of nice 19 against one of nice -20 with slices of 20 ms, and a watchdog that lets a task wait for 5
/// s: alone, the lottery makes it wait longer in 96 cases of 100 (15/88,776 a draw).
fn starving(guard: Guard, flaw: Option<Flaw>) -> (Scheduler, [Worker; 2]) {
    let options = SchedulerOptions {
        slice: Slice::new(Duration::from_millis(20)).unwrap(),
        guard,
        flaw,
        watchdog: Some(Duration::from_secs(5)),
        ..SchedulerOptions::default()
    };
    let scheduler = Scheduler::start(&options).unwrap();
    (scheduler, [Worker::burner(-20, Some(last_cpu())), Worker::burner(19, Some(last_cpu()))])
}

#[test]
#[ignore = "sched_ext: runs in the lane"]
fn scx_the_guard_comes_before_the_watchdog() {
    let (scheduler, workers) = starving(Guard::new(Duration::from_secs(1)).unwrap(), None);
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_secs(10) {
        thread::sleep(Duration::from_secs(1));
        alive(&scheduler);
    }
    let guarded = scheduler.control().totals().unwrap().guarded;
    println!("guard: {guarded} firings in {:.0?}", begin.elapsed());
    // One a second, less what the lottery itself let it win, and what its turns and the guard's own period
    // take. A worker of the kernel may starve beside it.
    assert!((4..=18).contains(&guarded), "{guarded} firings");
    assert!(schedstat(workers[1].tid).unwrap().runtime_ns > 0);
}

#[test]
#[ignore = "sched_ext: runs in the lane"]
fn scx_without_its_guard_the_watchdog_ends_it_and_says_why() {
    let (scheduler, workers) = starving(Guard::new(Duration::from_secs(1)).unwrap(), Some(Flaw::NoGuard));
    let told = wait_for("the watchdog ends it", || scheduler.control().farewell().unwrap());
    println!("{told}");
    assert!(told.is_error() && told.to_string().contains("watchdog"), "{told}");
    wait_for("the fair class is back", || (SchedExtState::now() == SchedExtState::Disabled).then_some(()));
    // Which gives nice 19 its part.
    let before = schedstat(workers[1].tid).unwrap().runtime_ns;
    wait_for("it runs", || (schedstat(workers[1].tid).unwrap().runtime_ns > before).then_some(()));
}

#[test]
#[ignore = "sched_ext: runs in the lane"]
fn scx_five_hundred_runnable_tasks_all_run() {
    let scheduler = Scheduler::start(&SchedulerOptions {
        slice: Slice::new(Duration::from_millis(1)).unwrap(),
        ..SchedulerOptions::default()
    })
    .unwrap();
    // This thread has to start them and to look after them, so it takes all it can get; what it starts
    // inherits that, and gives it back.
    let control = scheduler.control();
    control.set_tickets(gettid().as_raw().unsigned_abs(), Some(1 << 20)).unwrap();
    let workers: Vec<Worker> = (0..500)
        .map(|_| {
            let worker = Worker::burner(0, None);
            control.set_tickets(worker.tid, None).unwrap();
            worker
        })
        .collect();
    for worker in &workers {
        worker.has_run(Duration::from_millis(1));
    }
    alive(&scheduler);
    let totals = scheduler.control().totals().unwrap();
    println!("500 tasks: {totals:?}");
    assert_eq!(totals.overflow, 0);
    assert!(totals.draws > 500);
    workers.iter().for_each(Worker::tell);
    drop(workers);
    alive(&scheduler);
}

#[test]
#[ignore = "sched_ext: runs in the lane"]
fn scx_a_storm_of_forks_is_scheduled_and_counted() {
    let scheduler = Scheduler::start(&SchedulerOptions::default()).unwrap();
    let before = scheduler.control().totals().unwrap().ended;
    let mut storm = common::endless_forks();
    wait_for("a thousand tasks end", || {
        alive(&scheduler);
        (scheduler.control().totals().unwrap().ended > before + 1000).then_some(())
    });
    storm.kill();
    alive(&scheduler);
    // Nobody who is gone may stay behind in the books: what is active now are tasks that live.
    let tasks = scheduler.control().tasks().unwrap();
    assert!(tasks.iter().any(|task| task.runnable), "the reader itself runs");
}

#[test]
#[ignore = "sched_ext: runs in the lane"]
fn scx_a_cpu_goes_and_comes_back() {
    let switch = "/sys/devices/system/cpu/cpu1/online";
    if cpus().len() < 2 || fs::metadata(switch).is_err() {
        println!("SKIP: no CPU that can be switched off");
        return;
    }
    for state in ["0", "1"] {
        let scheduler = Scheduler::start(&SchedulerOptions::default()).unwrap();
        let workers: Vec<Worker> = (0..4).map(|_| Worker::burner(0, None)).collect();
        fs::write(switch, state).unwrap();
        let told = wait_for("the kernel takes the scheduler out", || scheduler.control().farewell().unwrap());
        println!("cpu1 to {state}: {told}");
        assert!(told.asks_for_restart() && !told.is_error(), "{told}");
        wait_for("the fair class is back", || {
            (SchedExtState::now() == SchedExtState::Disabled).then_some(())
        });
        let before: Vec<u64> = workers.iter().map(|w| schedstat(w.tid).unwrap().runtime_ns).collect();
        for (worker, before) in workers.iter().zip(before) {
            wait_for("everybody goes on", || {
                (schedstat(worker.tid).unwrap().runtime_ns > before + 20_000_000).then_some(())
            });
        }
    }
    alive(&Scheduler::start(&SchedulerOptions::default()).unwrap());
}

#[test]
#[ignore = "sched_ext: runs in the lane"]
fn scx_partial_leaves_everybody_else_alone() {
    let scheduler =
        Scheduler::start(&SchedulerOptions { partial: true, ..SchedulerOptions::default() }).unwrap();
    assert!(matches!(SchedExtState::now(), SchedExtState::Loaded { whole_machine: Some(false) | None, .. }));
    let fair = Worker::burner(0, Some(cpus()[0]));
    let cpu = last_cpu();
    let ours: Vec<Worker> = (0..2)
        .map(|_| {
            Worker::start(
                "ext",
                move || {
                    pin_to(&[cpu]);
                    tombola_kernel::scheduler::join(0).unwrap();
                },
                spin,
            )
        })
        .collect();
    for worker in &ours {
        worker.has_run(Duration::from_millis(200));
    }
    fair.has_run(Duration::from_millis(50));
    alive(&scheduler);
    let tasks = scheduler.control().tasks().unwrap();
    for worker in &ours {
        let task = tasks.iter().find(|task| task.id.pid == worker.tid).unwrap();
        assert!(task.tally.wins > 0, "{task:?}");
    }
    assert!(tasks.iter().all(|task| task.id.pid != fair.tid), "a fair task is in the lottery");
}

#[test]
#[ignore = "sched_ext: runs in the lane"]
fn scx_sysrq_s_throws_it_out_and_the_reason_is_told() {
    let scheduler = Scheduler::start(&SchedulerOptions::default()).unwrap();
    if fs::write("/proc/sysrq-trigger", "S").is_err() {
        println!("SKIP: no SysRq");
        return;
    }
    let told = wait_for("it is thrown out", || scheduler.control().farewell().unwrap());
    println!("{told}");
    assert!(told.to_string().contains("SysRq"), "{told}");
    wait_for("the fair class is back", || (SchedExtState::now() == SchedExtState::Disabled).then_some(()));
}

#[test]
#[ignore = "sched_ext: runs in the lane"]
fn scx_the_machine_stays_responsive_while_everything_burns() {
    let scheduler = Scheduler::start(&SchedulerOptions::default()).unwrap();
    let burners: Vec<Worker> = (0..8).map(|_| Worker::burner(0, None)).collect();
    for _ in 0..20 {
        assert!(Command::new("true").status().unwrap().success());
    }
    let mut sleeping = Group::spawn(Command::new("sleep").arg("1000"));
    alive(&scheduler);
    sleeping.kill();
    drop(burners);
}

/// The verifier gives up at a million instructions; how many it needs differs by kernel, compiler and chance.
#[test]
#[ignore = "sched_ext: runs in the lane"]
fn scx_the_verifier_needs_half_of_what_it_allows_at_most() {
    let scheduler = Scheduler::start(&SchedulerOptions::default()).unwrap();
    let verified: Vec<(String, u32)> = ProgInfoIter::default()
        .map(|info| (info.name.to_string_lossy().into_owned(), info.verified_insns))
        .filter(|(name, _)| name.starts_with("lottery_") || name.starts_with("tombola_"))
        .collect();
    drop(scheduler);
    println!("instructions verified: {verified:?}");
    assert!(
        verified.iter().any(|(name, _)| name == "lottery_dispatc") && verified.len() > 15,
        "{verified:?}"
    );
    assert!(verified.iter().all(|(_, instructions)| *instructions < 500_000), "{verified:?}");
}
