use super::*;
use crate::scenario::expect::Bounds;
use proptest::prelude::*;

const HEAD: &str = "name = \"x\"\nduration = \"1s\"\n";

fn refused(body: &str) -> String {
    Scenario::from_toml(&format!("{HEAD}{body}")).unwrap_err().to_string()
}

#[test]
fn a_whole_scenario_is_read() {
    let text = r#"
# prose is a comment
name = "two users"
cpus = 2
duration = "10s"
quantum = "10ms"
switch_cost = "0us"
[[group]]
name = "alice"
weight = 300
[[task]]
name = "A"
count = 2
group = "alice"
tickets = 3
arrive = "0s"
cpus = [1, 0, 1]
phases = [ { run = "exp(3ms)" }, { sleep = "uniform(1ms,5ms)" }, { wake = "B" }, { lock = "m" }, { unlock = "m" } ]
[[task]]
name = "B"
nice = -5
phases = [ { wait = "A" }, { run = "1ms" } ]
[[task]]
name = "C"
period = "5ms"
run = "1ms"
[expect]
tolerance = 0.1
share.A = 0.5
ratio."A/B" = 2
response_max.C = "3ms"
misses.C = { at_most = 2 }
[expect.for.rr]
share.B = { is = 0.25, within = 0.05 }
sequence = "A.0 A.1"
"#;
    let scenario = Scenario::from_toml(text).unwrap();
    assert_eq!(
        (scenario.cpus, scenario.instances(), scenario.locks.len(), scenario.events.len()),
        (2, 4, 1, 1)
    );
    assert_eq!(scenario.tasks[0].cpus, Some(vec![0, 1]));
    assert_eq!(scenario.tasks[0].steps.len(), 5);
    assert_eq!(scenario.tasks[1].tickets, 3121);
    assert_eq!(scenario.tasks[2].periodic, Some(Periodic { period_ns: 5_000_000, deadline_ns: 5_000_000 }));
    let keys: Vec<&str> = scenario.expect.checks.iter().map(|c| c.key.as_str()).collect();
    assert_eq!(keys.len(), 6, "{keys:?}");
    assert_eq!(scenario.expect.under("rr").count(), 6);
    assert_eq!(scenario.expect.under("stride").count(), 4);
    let bounds = |key: &str| scenario.expect.checks.iter().find(|c| c.key == key).unwrap().bounds;
    assert_eq!(bounds("share.A"), Bounds { low: 0.4, high: 0.6 });
    assert_eq!(bounds("ratio.A/B"), Bounds { low: 1.8, high: 2.2 });
    assert_eq!(bounds("response_max.C"), Bounds { low: 2_700_000.0, high: 3_300_000.0 });
}

fn groups(count: usize) -> String {
    (0..count).fold(String::new(), |text, group| text + &format!("[[group]]\nname='g{group}'\n"))
}

/// Groups within groups.
fn nested(depth: usize) -> String {
    let inner = (1..depth).map(|g| format!("[[group]]\nname='g{g}'\nparent='g{}'\n", g - 1));
    std::iter::once(groups(1)).chain(inner).collect()
}

/// Every refusal names the place.
#[test]
fn what_cannot_be_run_is_refused_where_it_stands() {
    let task = "[[task]]\nname = \"A\"\n";
    for (body, place, words) in [
        ("color = 3\n[[task]]\nname='A'\n".to_owned(), "line 3, column 1", "unknown field"),
        (format!("{task}speed = 3\n"), "line 5, column 1", "unknown field"),
        (format!("{task}run = 3\n"), "line 5, column 7", "invalid type"),
        (format!("{task}run = \"3 x\"\n"), "line 5, column 7", "is no length of time"),
        (format!("{task}tickets = 0\n"), "line 5, column 11", "tickets is 0"),
        (format!("{task}tickets = -1\n"), "line 5, column 11", "tickets is -1"),
        (format!("{task}tickets = 9007199254740993\n"), "line 5, column 11", "tickets is"),
        (format!("{task}tickets = 9007199254740992\ncount = 2\n"), "line 4, column 8", "2^53"),
        (format!("{task}count = 1000000000\n"), "line 5, column 9", "must be 1 to 1000000"),
        (format!("{task}count = 1000000\n[[task]]\nname = \"B\"\n"), "line 7, column 8", "at most 1000000"),
        (format!("{task}nice = 20\n"), "line 5, column 8", "between -20 and 19"),
        (format!("{task}nice = 1\ntickets = 3\n"), "line 5, column 8", "not two"),
        (format!("{task}cpus = []\n"), "line 5, column 8", "no CPU is allowed"),
        (format!("{task}cpus = [1]\n"), "line 5, column 8", "there is no CPU 1"),
        (format!("{task}group = \"g\"\n"), "line 5, column 9", "no group 'g'"),
        (format!("{task}[[task]]\nname = \"A\"\n"), "line 6, column 8", "two tasks 'A'"),
        (format!("{task}deadline = \"1ms\"\n"), "line 5, column 12", "needs a period"),
        (format!("{task}period = \"1ms\"\n"), "line 4, column 8", "needs run"),
        (format!("{task}period = \"0ms\"\nrun = \"1ms\"\n"), "line 5, column 10", "above 0"),
        (
            format!("{task}phases = [{{ lock = \"m\" }}, {{ run = \"1ms\" }}]\n"),
            "line 5, column 11",
            "never unlocked",
        ),
        (
            format!("{task}phases = [{{ run = \"1ms\" }}, {{ unlock = \"m\" }}]\n"),
            "line 5, column 28",
            "not held",
        ),
        (
            format!("{task}phases = [{{ lock = \"m\" }}, {{ lock = \"m\" }}]\n"),
            "line 5, column 27",
            "wait for itself",
        ),
        (format!("{task}phases = [{{ wait = \"A\" }}]\n"), "line 5, column 11", "waits for ever"),
        (format!("{task}phases = [{{ wake = \"B\" }}]\n"), "line 5, column 11", "no task 'B'"),
        (format!("{task}phases = [{{ jump = \"B\" }}]\n"), "line 5, column 13", "unknown variant"),
        (format!("{task}phases = [{{ run = \"0ms\" }}]\n"), "line 4, column 8", "without taking any time"),
        (
            format!("[[group]]\nname = \"g\"\nparent = \"g\"\n{task}"),
            "line 5, column 10",
            "'g' is inside itself",
        ),
        (
            format!("[[group]]\nname='g'\nparent='h'\n[[group]]\nname='h'\nparent='g'\n{task}"),
            "line 5, column 8",
            "'g' is inside itself",
        ),
        // Below a circle, not in it.
        (
            format!("[[group]]\nname='f'\nparent='g'\n[[group]]\nname='g'\nparent='g'\n{task}"),
            "line 8, column 8",
            "'g' is inside itself",
        ),
        (nested(33) + task, "line 99, column 6", "nest deeper than 32"),
        (format!("[[group]]\nname=''\n{task}"), "line 4, column 6", "needs a name"),
        (
            format!("[[group]]\nname='g'\nweight=9007199254740992\n[[group]]\nname='h'\n{task}"),
            "line 7, column 6",
            "sum to more than 2^53",
        ),
        (format!("cpus = 1024\n{}{task}", groups(1000)), "line 2003, column 6", "1000 groups on 1024 CPUs"),
        (format!("[[group]]\nname='g'\nweight=0\n{task}"), "line 5, column 8", "weight is 0"),
        (format!("[[group]]\nname='g'\nperiod='1ms'\n{task}"), "line 5, column 8", "needs a quota"),
        (format!("policies = [\"lotery\"]\n{task}"), "line 3, column 13", "unknown policy 'lotery'"),
        (format!("quantum = \"0ms\"\n{task}"), "line 3, column 11", "quantum is 0"),
        (format!("cpus = 0\n{task}"), "line 3, column 8", "cpus is 0"),
        (format!("{task}[expect]\nshare.B = 1\n"), "line 6, column 7", "no task 'B'"),
        (format!("{task}[expect]\nspeed.A = 1\n"), "line 6, column 1", "unknown expectation"),
        (format!("{task}[expect]\nshare.A = \"x\"\n"), "line 6, column 11", "a number"),
        (format!("{task}[expect]\ntolerance = nan\n"), "line 6, column 13", "a number of 0 or more"),
        (format!("{task}[expect]\nsequence = \"A Z\"\n"), "line 6, column 12", "no task 'Z'"),
        (format!("{task}[expect]\nsequence = \"A.0\"\n"), "line 6, column 12", "no task 'A.0'"),
        (
            format!("{task}count = 2\n[expect]\nsequence = \"A.0 A.2\"\n"),
            "line 7, column 12",
            "no task 'A.2'",
        ),
        (format!("{task}[expect]\nsequence = \"\"\n"), "line 6, column 12", "empty"),
        (format!("{task}[expect.for.best]\nshare.A = 1\n"), "line 5, column 13", "unknown policy"),
    ] {
        let message = refused(&body);
        assert!(
            message.starts_with(place) && message.contains(words),
            "{body}\n -> {message}\n expected {place}: {words}"
        );
    }
    assert_eq!(Scenario::from_toml(&format!("{HEAD}{}{task}", nested(32))).unwrap().groups.len(), 32);
    assert!(refused("").contains("no task"));
    assert!(
        Scenario::from_toml("name = \"x\"\n[[task]]\nname='a'\n")
            .unwrap_err()
            .to_string()
            .contains("duration")
    );
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "\\PC{0,300}") {
        let _ = Scenario::from_toml(&text);
    }

    #[test]
    fn no_change_of_a_scenario_makes_it_panic(at in 0usize..1100, byte in any::<u8>()) {
        let mut bytes = include_bytes!("../../../scenarios/lottery-locks.toml").to_vec();
        let at = at % bytes.len();
        bytes[at] = byte;
        let _ = Scenario::from_toml(&String::from_utf8_lossy(&bytes));
    }
}
