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
    let import = from_rtapp(text, "test", 1).unwrap();
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
    let import = from_rtapp(text, "test", 2).unwrap();
    let result = run(&import.scenario, PolicyKind::Fifo, 1, 0, Observe::default(), None, &|_| true).unwrap();
    // One signal every 10 ms, from 10 ms on; the one at the end wakes nobody who runs.
    assert_eq!(result.tasks[0].runtime_ns, 99_000_000);
}

fn ran(text: &str, cpus: u32, policy: PolicyKind) -> (Import, Vec<u64>) {
    let import = from_rtapp(text, "test", cpus).unwrap();
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
    let import = from_rtapp(text, "t", 2).unwrap();
    let tasks = &import.scenario.tasks;
    assert_eq!((tasks[0].class, tasks[0].priority), (Class::RoundRobin, 10));
    assert_eq!((tasks[1].tickets, tasks[2].tickets), (3, 335));
    assert_eq!((tasks[1].request_ns, tasks[2].request_ns), (0, 3_000_000));
    assert_eq!(tasks[3].reserve, Some(Quota { quota_ns: 4_000_000, period_ns: 4_000_000 }));
    assert_eq!((tasks[4].class, tasks[4].cpus.as_deref()), (Class::Fifo, Some(&[1][..])));
    let groups: Vec<(&str, Option<usize>)> =
        import.scenario.groups.iter().map(|group| (group.name.as_str(), group.parent)).collect();
    assert_eq!((groups, tasks[2].group), (vec![("/a", None), ("/a/b", Some(0))], Some(1)));
    let changes = text.replace("\"p\": {", "\"o\": { \"run\": 7 }, \"p\": {");
    let message = from_rtapp(&changes, "t", 2).unwrap_err().to_string();
    assert!(message.contains("phase.p: policy that changes between phases"), "{message}");
    assert!(message.contains("phase.p: cpus that changes between phases"), "{message}");
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
    let message = from_rtapp(text, "t", 1).unwrap_err().to_string();
    assert_eq!(message, "not supported: a: mem, b: fork, b: policy SCHED_EXT");
    for (text, words) in [
        ("{", "line 1, column 1"),
        ("[]", "the file is no object"),
        (r#"{"tasks":{}}"#, "0 tasks"),
        (r#"{"tasks":{"a":{"run":-1}}}"#, "a: run is -1"),
        (r#"{"tasks":{"a":{"run":1,"cpus":[7]}}}"#, "there is no CPU 7"),
        (r#"{"tasks":{"a":{"run":1,"priority":40}}}"#, "nice value"),
        (r#"{"tasks":{"a":{"loop":3}}}"#, "takes no time"),
        (r#"{"tasks":{"a":{"run":1,"instance":1000000000}}}"#, "instance must be"),
        (r#"{"tasks":{"a":{"phases":{"p":{"run":1,"loop":1000000}}}}}"#, "more than 100000 steps"),
    ] {
        let message = from_rtapp(text, "t", 1).unwrap_err().to_string();
        assert!(message.contains(words), "{text}: {message}");
    }
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "\\PC{0,200}") {
        let _ = from_rtapp(&text, "t", 1);
    }
}
