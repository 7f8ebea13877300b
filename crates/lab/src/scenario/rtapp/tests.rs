use super::*;
use crate::outcome::{Observe, run};
use crate::policy::PolicyKind;
use crate::scenario::Quota;
use proptest::prelude::*;

#[test]
fn a_periodic_task_and_a_burner_are_read_and_run() {
    let text = r#"{
        "tasks": {
            "periodic": { "loop": -1, "run": 20000, "timer": { "ref": "unique", "period": 100000, "mode": "absolute" },
                "cpus": [0], "policy": "SCHED_FIFO", "priority": 10 },
            "hog": { "instance": 2, "priority": 5, "run": 1000 },
            "phased": { "loop": 3, "delay": 50000, "phases": {
                "light": { "loop": 2, "run": 1000, "sleep": 9000 }, "heavy": { "run1": 5000, "run2": 5000, "sleep": 10000 } } }
        },
        "global": { "duration": 2, "calibration": "CPU0" }
    }"#;
    let import = from_rtapp(text, "test", Some(1)).unwrap();
    assert_eq!(import.notes, ["global: calibration: no meaning here"]);
    let tasks = &import.scenario.tasks;
    assert_eq!(tasks[0].periodic, Some(Periodic { period_ns: 100_000_000, deadline_ns: 100_000_000 }));
    assert_eq!((tasks[1].count, tasks[1].tickets, tasks[2].steps.len()), (2, 335, 7));
    let fifo =
        run(&import.scenario, PolicyKind::RoundRobin, 1, 0, Observe::default(), None, &|_| true).unwrap();
    assert_eq!((fifo.tasks[0].runtime_ns, fifo.tasks[0].misses), (400_000_000, 0));
    assert_eq!(fifo.tasks[2].runtime_ns, 36_000_000);
}

#[test]
fn conditions_wake_and_locks_exclude() {
    let text = r#"{ "tasks": {
        "waiter": { "lock": "m", "wait": { "ref": "c", "mutex": "m" }, "unlock": "m", "run": 1000 },
        "sender": { "run": 5000, "sleep": 5000, "signal": "c" } },
        "global": { "duration": 1 } }"#;
    let import = from_rtapp(text, "test", Some(2)).unwrap();
    let result = run(&import.scenario, PolicyKind::Fifo, 1, 0, Observe::default(), None, &|_| true).unwrap();
    // One signal every 10 ms, from 10 ms on; the one at the end wakes nobody who runs.
    assert_eq!(result.tasks[0].runtime_ns, 99_000_000);
}

fn ran(text: &str, cpus: u32, policy: PolicyKind) -> (Import, Vec<u64>) {
    let import = from_rtapp(text, "test", Some(cpus)).unwrap();
    let result = run(&import.scenario, policy, 1, 0, Observe::default(), None, &|_| true).unwrap();
    let ran = result.tasks.iter().map(|task| task.runtime_ns / 1_000_000).collect();
    (import, ran)
}

/// Tokens of a semaphore are kept: three posts before anybody waits are three runs of 7 ms.
#[test]
fn semaphores_remember() {
    let text = r#"{ "tasks": {
        "poster": { "loop": 1, "sem_post1": "s", "sem_post2": "s", "sem_post3": "s", "run": 1000 },
        "taker": { "delay": 50000, "sem_wait": "s", "run": 7000 } }, "global": { "duration": 1 } }"#;
    assert_eq!(ran(text, 1, PolicyKind::Fifo).1, [1, 21]);
}

/// All go on when the slowest has come: each round takes 30 ms, 33 rounds and the begun one in a second.
#[test]
fn a_barrier_holds_all_until_the_last() {
    let text = r#"{ "tasks": {
        "slow": { "run": 30000, "barrier": "b" }, "fast": { "instance": 2, "run": 10000, "barrier": "b" } },
        "global": { "duration": 1 } }"#;
    assert_eq!(ran(text, 3, PolicyKind::Fifo).1, [1000, 2 * 340]);
}

/// Of two runs in one object both are kept; comments and a last comma do not matter; the one phase goes on
/// for ever.
#[test]
fn repeated_events_are_kept_in_order() {
    let text = r#"{ "tasks": { "a": { "loop": 3, "phases": { "p": {
        "loop": -1, "run": 2000, /* then */ "run": 3000, "sleep": 5000, } } } }, "global": { "duration": 1 } }"#;
    let (import, ran) = ran(text, 1, PolicyKind::Fifo);
    assert_eq!(ran, [500]);
    assert!(import.notes.iter().any(|note| note.contains("a.p: run is there more than once: all are kept")));
}

/// Real-time priority 10 without another, idle tasks of weight 3, groups by path, budgets of a whole period.
#[test]
fn settings_mean_what_they_mean_there() {
    let text = r#"{ "tasks": {
        "rt": { "policy": "SCHED_RR", "run": 1000, "sleep": 9000 },
        "idle": { "policy": "SCHED_IDLE", "run": 1000 },
        "batch": { "policy": "SCHED_BATCH", "priority": 5, "taskgroup": "/a/b", "dl-runtime": 3000, "run": 1000, "yield": "" },
        "dl": { "policy": "SCHED_DEADLINE", "dl-runtime": 4000, "run": 1000, "sleep": 1000 },
        "phase": { "phases": { "p": { "cpus": [1], "policy": "SCHED_FIFO", "run": 5 } } } },
        "global": { "duration": 1 } }"#;
    let import = from_rtapp(text, "t", Some(2)).unwrap();
    let tasks = &import.scenario.tasks;
    assert_eq!((tasks[0].class, tasks[0].priority), (Class::RoundRobin, 10));
    assert_eq!((tasks[1].tickets, tasks[2].tickets), (3, 335));
    assert_eq!((tasks[1].request_ns, tasks[2].request_ns), (0, 3_000_000));
    assert_eq!(tasks[3].reserve, Some(Quota { quota_ns: 4_000_000, period_ns: 4_000_000 }));
    assert_eq!((tasks[4].class, tasks[4].cpus.as_deref()), (Class::Fifo, Some(&[1][..])));
    let groups: Vec<(&str, Option<usize>)> =
        import.scenario.groups.iter().map(|group| (group.name.as_str(), group.parent)).collect();
    assert_eq!((groups, tasks[2].group), (vec![("/a", None), ("/a/b", Some(0))], Some(1)));
}

/// Begin and length of every stretch of a task, in ms.
fn stretches(text: &str, cpus: u32, task: usize) -> Vec<(u64, u64)> {
    let import = from_rtapp(text, "test", Some(cpus)).unwrap();
    let slices = crate::laws::slices_under(&import.scenario, PolicyKind::Fifo);
    let own = slices.iter().filter(|slice| slice.task == task);
    own.map(|slice| (slice.from_ns / 1_000_000, slice.ran_ns / 1_000_000)).collect()
}

/// The two pictures of the tutorial: every 20 ms a run of 10, but for the third, of 30. Relative timers count
/// on from its end, absolute ones run after until they are in step again.
#[test]
fn timers_that_are_missed_are_those_of_the_tutorial() {
    let text = |mode: &str| {
        let timer = format!(r#""timer": {{ "ref": "unique", "period": 20000{mode} }}"#);
        format!(
            r#"{{ "tasks": {{ "a": {{ "loop": 1, "phases": {{
                "p": {{ "loop": 2, "run": 10000, {timer} }}, "long": {{ "run": 30000, {timer} }},
                "q": {{ "loop": 3, "run": 10000, {timer} }} }} }} }}, "global": {{ "duration": 1 }} }}"#
        )
    };
    // What goes on without a pause is one stretch.
    let relative = [(0, 10), (20, 10), (40, 40), (90, 10), (110, 10)];
    assert_eq!(stretches(&text(""), 1, 0), relative);
    assert_eq!(stretches(&text(r#", "mode": "relative""#), 1, 0), relative);
    let absolute = [(0, 10), (20, 10), (40, 30), (70, 10), (80, 10), (100, 10)];
    assert_eq!(stretches(&text(r#", "mode": "absolute""#), 1, 0), absolute);
}

/// A timer that is used for the first time counts from the begin of the thread, not from another timer's last
/// release: by hand, with a delay of 5 ms, the second is due at 45 and missed at 75.
#[test]
fn every_timer_counts_for_itself() {
    let text = r#"{ "tasks": { "a": { "loop": 1, "delay": 5000, "phases": {
        "p": { "loop": 2, "run": 10000, "timer": { "ref": "uniqueA", "period": 30000 } },
        "q": { "loop": 3, "run": 10000, "timer": { "ref": "uniqueB", "period": 40000 } } } } },
        "global": { "duration": 1 } }"#;
    // A: 5 + 30, 65. B: 45 has passed at 75, so the next is 115.
    assert_eq!(stretches(text, 1, 0), [(5, 10), (35, 10), (65, 20), (115, 10)]);
    let note = |text: &str| from_rtapp(text, "t", Some(1)).unwrap().notes;
    assert!(note(text).is_empty());
    let shared = text.replace("uniqueA", "tick").replace("\"delay\"", "\"instance\": 2, \"delay\"");
    assert!(note(&shared)[0].contains("one timer \"tick\" for all threads"), "{:?}", note(&shared));
}

/// What comes before a phase that goes on for ever is done once: 7 ms, and then 2 of every 10.
#[test]
fn the_last_phase_may_go_on_for_ever() {
    let text = r#"{ "tasks": { "a": { "loop": 5, "phases": {
        "once": { "run": 7000 }, "on": { "loop": -1, "run": 2000, "sleep": 8000 } } } }, "global": { "duration": 1 } }"#;
    // 7 + 2, and then (1000 − 17)/10 rounds, of which the last has 2 of its 3 ms.
    assert_eq!(ran(text, 1, PolicyKind::Fifo).1, [7 + 2 + 98 * 2 + 2]);
    let hidden = text.replace("\"once\": { \"run\"", "\"once\": { \"loop\": -1, \"run\"");
    let message = from_rtapp(&hidden, "t", Some(1)).unwrap_err().to_string();
    assert!(message.contains("a.once: a phase that loops for ever hides what comes after it"), "{message}");
}

/// The eighth and the eleventh example of rt-app's tutorial: phases on CPUs and in groups of their own. CPUs
/// go back to the thread's, a group stays until another is named.
#[test]
fn what_changes_between_phases_makes_tasks_in_turn() {
    let text = r#"{ "tasks": { "a": { "cpus": [2], "loop": 2, "phases": {
        "p": { "cpus": [0], "run": 1000 }, "q": { "cpus": [1], "run": 2000 }, "r": { "run": 4000 } } } },
        "global": { "duration": 1 } }"#;
    let import = from_rtapp(text, "t", None).unwrap();
    assert_eq!(import.scenario.cpus, 3);
    assert!(import.notes[0].contains("3 CPUs, as many as the file names"), "{:?}", import.notes);
    assert!(import.notes[1].contains("makes 3 tasks of it"), "{:?}", import.notes);
    let slices = crate::laws::slices_under(&import.scenario, PolicyKind::Fifo);
    let order: Vec<_> = slices.iter().map(|s| (s.from_ns / 1_000_000, s.cpu, s.ran_ns / 1_000_000)).collect();
    assert_eq!(order, [(0, 0, 1), (1, 1, 2), (3, 2, 4), (7, 0, 1), (8, 1, 2), (10, 2, 4)]);
    let text = r#"{ "tasks": { "a": { "phases": {
        "p": { "run": 2000, "sleep": 8000, "taskgroup": "/g/h" }, "q": { "run": 2000, "sleep": 8000, "taskgroup": "" },
        "r": { "run": 2000, "sleep": 8000, "taskgroup": "/" } } } }, "global": { "duration": 2 } }"#;
    let (import, ran) = ran(text, 1, PolicyKind::Fifo);
    assert_eq!(ran, [2 * 134, 2 * 66]);
    assert_eq!(import.scenario.instance_names(), ["a.p", "a.r"]);
    assert_eq!((import.scenario.tasks[0].group, import.scenario.tasks[1].group), (Some(1), None));
    // A thread that others call, or that holds something, stays one.
    let called = text.replace("\"run\": 2000", "\"run\": 2000, \"suspend\": \"\"");
    let message = from_rtapp(&called, "t", Some(2)).unwrap_err().to_string();
    assert!(message.contains("a.r: taskgroup that changes between phases"), "{message}");
}

/// The last part goes on for ever, from its second phase on: by hand, ms 0 to 1 on CPU 0, 1 to 3 and then 4
/// of every 10 on CPU 1.
#[test]
fn the_last_part_may_go_on_for_ever() {
    let text = r#"{ "tasks": { "a": { "phases": { "p": { "cpus": [0], "run": 1000 },
        "q": { "cpus": [1], "run": 2000 }, "r": { "cpus": [1], "loop": -1, "run": 4000, "sleep": 6000 } } } },
        "global": { "duration": 1 } }"#;
    // (1000 − 3)/10 rounds, and of the last 4 of its 7 ms.
    assert_eq!(ran(text, 2, PolicyKind::Fifo).1, [1, 2 + 99 * 4 + 4]);
}

/// A setting that stays from the last phase of a round to the first of the next is not what it was.
#[test]
fn a_setting_that_is_another_in_the_second_round_is_refused() {
    let text = r#"{ "tasks": { "a": { "loop": 2, "phases": {
        "p": { "run": 1000 }, "q": { "policy": "SCHED_FIFO", "run": 1000 } } } } }"#;
    let message = from_rtapp(text, "t", Some(1)).unwrap_err().to_string();
    assert!(message.contains("a: policy that is another in the second round"), "{message}");
    let once = text.replace("\"loop\": 2", "\"loop\": 1");
    let tasks = from_rtapp(&once, "t", Some(1)).unwrap().scenario.tasks;
    assert_eq!((tasks[0].class, tasks[1].class), (Class::Fair, Class::Fifo));
}

/// As on the kernel's mailing list: one that never sleeps beside one of the class idle that wakes every 16 ms
/// and has 3 of 1027 parts.
#[test]
fn a_run_of_minus_one_is_for_ever() {
    let text = r#"{ "tasks": {
        "other": { "instance": 1, "cpus": [2], "loop": 1, "run" : -1, // 100% running
            "sleep": 0 },
        "idle": { "cpus": [2], "loop": 2000, "policy": "SCHED_IDLE", "run": 1,
            "timer": { "ref": "unique2", "period": 16000, "mode": "absolute" } } },
        "global": { "duration": 8 } }"#;
    let import = from_rtapp(text, "t", None).unwrap();
    assert_eq!(import.scenario.tasks[0].steps[0], Step::Burn);
    let result =
        run(&import.scenario, PolicyKind::Stride, 1, 0, Observe::default(), None, &|_| true).unwrap();
    // Every µs of it counts as 1024/3 of the other's, and 16 ms are more.
    assert_eq!((result.tasks[1].completed, result.tasks[1].runtime_ns), (500, 500_000));
    assert_eq!(result.tasks[0].runtime_ns, 8_000_000_000 - 500_000);
}

/// Keys of files before `dl-runtime`: the budget is a run, too, as it is in rt-app.
#[test]
fn older_keys_of_deadlines_count() {
    let text = r#"{ "tasks": { "a": { "policy": "SCHED_DEADLINE", "runtime": 3000, "period": 10000, "deadline": 10000,
        "sleep": 1000 } } }"#;
    let task = &from_rtapp(text, "t", Some(1)).unwrap().scenario.tasks[0];
    assert_eq!(task.reserve, Some(Quota { quota_ns: 3_000_000, period_ns: 10_000_000 }));
    assert_eq!(task.steps[0], Step::Run(crate::span::Span::Fixed(3_000_000)));
}

/// A sync takes its mutex and gives it back: both keep going, 1 ms each in turns on one CPU.
#[test]
fn a_sync_does_not_keep_its_mutex() {
    let text = r#"{ "tasks": {
        "a": { "run": 1000, "sync": { "ref": "c", "mutex": "m" } },
        "b": { "run": 1000, "sync": { "ref": "c", "mutex": "m" } } }, "global": { "duration": 1 } }"#;
    assert_eq!(ran(text, 1, PolicyKind::Fifo).1, [500, 500]);
    let sync = r#""sync": { "ref": "c", "mutex": "m" }"#;
    let locked = text.replace(sync, &format!("\"lock\": \"m\", {sync}, \"unlock\": \"m\""));
    assert_eq!(ran(&locked, 1, PolicyKind::Fifo).1, [500, 500]);
}

/// A resume names the thread. Where the text of a suspend is all there is to go by, it counts, and the notes
/// say so.
#[test]
fn a_suspended_thread_is_resumed_by_its_name() {
    let text = r#"{ "tasks": {
        "a": { "suspend": "whatever", "run": 2000 }, "b": { "sleep": 10000, "resume": "a" } }, "global": { "duration": 1 } }"#;
    let (import, got) = ran(text, 1, PolicyKind::Fifo);
    assert_eq!((got[0], import.notes.len()), (198, 0));
    let (import, got) =
        ran(&text.replace("\"resume\": \"a\"", "\"resume\": \"whatever\""), 1, PolicyKind::Fifo);
    assert_eq!((got[0], import.notes.len()), (198, 1), "{:?}", import.notes);
}

#[test]
fn what_is_not_supported_is_named() {
    let text = r#"{ "tasks": { "a": { "mem": 3, "run": 5 }, "b": { "policy": "SCHED_EXT", "fork": "a", "run": 1 } } }"#;
    let message = from_rtapp(text, "t", Some(1)).unwrap_err().to_string();
    assert_eq!(message, "not supported: a: mem, b: fork, b: policy SCHED_EXT");
    for (text, words) in [
        ("{", "line 1, column 1"),
        ("[]", "the file is no object"),
        (r#"{"tasks":{}}"#, "0 tasks"),
        (r#"{"tasks":{"a":{"run":-2}}}"#, "a: run is -2"),
        (r#"{"tasks":{"a":{"run":1,"cpus":[7]}}}"#, "there is no CPU 7"),
        (r#"{"tasks":{"a":{"run":1,"priority":40}}}"#, "nice value"),
        (r#"{"tasks":{"a":{"loop":3}}}"#, "takes no time"),
        (r#"{"tasks":{"a":{"run":1,"instance":1000000000}}}"#, "instance must be"),
        (r#"{"tasks":{"a":{"phases":{"p":{"run":1,"loop":1000000}}}}}"#, "more than 100000 steps"),
    ] {
        let message = from_rtapp(text, "t", Some(1)).unwrap_err().to_string();
        assert!(message.contains(words), "{text}: {message}");
    }
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "\\PC{0,200}") {
        let _ = from_rtapp(&text, "t", Some(1));
    }
}
