//! `tombola simulate` from outside: scenarios, policies, formats, and what it says about bad input.
#![allow(clippy::unwrap_used)] // the functions the tests share are no #[test] themselves

mod common;

use common::{failed, ok, wait_for};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use std::fs;
use std::io::Read as _;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use tempfile::TempDir;
use tombola_lab::library::SCENARIOS;
use tombola_lab::policy::PolicyKind;

fn simulate(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tombola"))
        .arg("simulate")
        .args(args)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

/// A directory with one scenario in it.
fn file(text: &str) -> (TempDir, PathBuf) {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("scenario.toml");
    fs::write(&path, text).unwrap();
    (dir, path)
}

/// What is said about a scenario that cannot be run, without the directory.
fn refusal(text: &str) -> String {
    let (dir, path) = file(text);
    let complaint = failed(&simulate(&[path.to_str().unwrap()]));
    complaint.replace(&format!("{}/", dir.path().display()), "")
}

#[test]
fn every_built_in_scenario_comes_out_as_it_says() {
    for scenario in SCENARIOS {
        let output = simulate(&[scenario.name, "--runs", "1"]);
        let said = String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(0), "{}: {said}", scenario.name);
        assert!(output.stderr.is_empty(), "{}", scenario.name);
        assert!(said.contains("hold") && !said.contains("FAIL"), "{}: {said}", scenario.name);
    }
}

#[test]
fn the_list_names_every_policy_and_scenario_on_a_line() {
    let said = ok(&simulate(&["--list"]));
    let names = PolicyKind::all().map(PolicyKind::name).chain(SCENARIOS.iter().map(|s| s.name));
    for name in names {
        let start = format!("  {name} ");
        let lines: Vec<&str> = said.lines().filter(|line| line.starts_with(&start)).collect();
        assert!(matches!(lines[..], [line] if line.len() > 35), "{name}: {lines:?}");
    }
}

#[test]
fn the_timeline_of_stride_is_that_of_the_paper() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("out.csv");
    fs::write(&path, "an older and much longer timeline\n".repeat(100_000)).unwrap();
    ok(&simulate(&["stride-3-2-1", "--policy", "stride,rr", "--timeline", path.to_str().unwrap()]));
    let timeline = fs::read_to_string(&path).unwrap();
    let mut lines = timeline.lines();
    assert_eq!(lines.next(), Some("time,cpu,task,ran_ns,reason"));
    let rows: Vec<Vec<&str>> = lines.map(|line| line.split(',').collect()).collect();
    assert_eq!(rows[0], ["0", "0", "A", "10000000", "expired"]);
    let tasks: String = rows.iter().map(|row| row[2]).collect();
    assert_eq!(tasks, "ABAABC".repeat(1000));
    let ran: u64 = rows.iter().map(|row| row[3].parse::<u64>().unwrap()).sum();
    assert_eq!(ran, 60_000_000_000, "one CPU that is never idle, for 60 s");
}

#[test]
fn the_picture_shows_the_beginning() {
    let said = ok(&simulate(&["stride-3-2-1", "--policy", "stride", "--timeline", "ascii"]));
    let (_, picture) = said.split_once("timeline of stride").unwrap();
    let line = format!("\n   0 {}\n   A A\n   B B\n   C C\n", &"ABAABC".repeat(20)[..100]);
    assert!(picture.contains("a column is 10ms"), "{picture}");
    assert!(picture.ends_with(&line), "{picture}");
}

#[test]
fn a_policy_without_slices_says_that_its_timeline_is_empty() {
    let output = simulate(&["two-users", "--policy", "fluid", "--timeline", "ascii"]);
    assert!(ok(&output).ends_with(&format!("   0 {}\n", ".".repeat(100))));
    assert!(String::from_utf8_lossy(&output.stderr).contains("the timeline is empty"));
}

#[test]
fn jobs_do_not_change_a_byte() {
    for format in ["table", "json", "csv"] {
        let with = |jobs: &str| {
            let args =
                ["web-and-batch", "--policy", "lottery,eevdf-linux", "--runs", "5", "--format", format];
            ok(&simulate(&[&args[..], &["--jobs", jobs]].concat()))
        };
        let one = with("1");
        assert!(one.lines().count() > 3, "{one}");
        assert_eq!(one, with("2"), "{format}");
        assert_eq!(one, with("7"), "{format}");
    }
}

#[test]
fn the_seed_decides_and_is_the_scenarios_own_by_default() {
    let run = |args: &[&str]| ok(&simulate(&[&["three-burners", "--policy", "lottery"], args].concat()));
    assert_eq!(run(&[]), run(&["--seed", "1"]));
    assert_ne!(run(&[]), run(&["--seed", "2"]));
}

const SMALL: &str = "\
name = 'small'
duration = '1s'
quantum = '10ms'
seed = 5
[[task]]
name = 'A'
tickets = 3
[[task]]
name = 'B'
count = 2
tickets = 1
[[task]]
name = 'T'
tickets = 1
run = '2ms'
period = '20ms'
[expect.for.stride]
share.A = { is = 0.54, within = 0.02 }
";

#[test]
fn the_table_is_as_it_was() {
    let (_dir, path) = file(SMALL);
    let said = ok(&simulate(&[path.to_str().unwrap(), "--policy", "lottery,stride,eevdf", "--runs", "4"]));
    insta::assert_snapshot!("table", said);
}

#[test]
fn the_json_is_as_it_was() {
    // Without chance: the intervals' last digits depend on the machine's mathematics.
    let (_dir, path) = file(SMALL);
    let said = ok(&simulate(&[path.to_str().unwrap(), "--policy", "stride", "--format", "json"]));
    insta::assert_snapshot!("json", said);
}

#[test]
fn csv_has_a_row_for_each_task_and_policy_and_no_formulas() {
    let (dir, path) =
        file("name='x'\nduration='1s'\n[[task]]\nname='=1+1'\ntickets=1\n[[task]]\nname='a,b'\ntickets=2\n");
    let table = dir.path().join("out.csv");
    let args = [path.to_str().unwrap(), "--policy", "rr,stride", "--format", "csv", "--output"];
    let said = ok(&simulate(&[&args[..], &[table.to_str().unwrap()]].concat()));
    assert_eq!(said, "", "the result is in the file");
    let text = fs::read_to_string(&table).unwrap();
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let titles = reader.headers().unwrap().clone();
    assert_eq!(titles.iter().take(5).collect::<Vec<_>>(), ["task", "count", "policy", "runs", "share"]);
    let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    let shares: Vec<(&str, &str, &str)> = rows.iter().map(|row| (&row[0], &row[2], &row[4])).collect();
    let expected = [
        ("'=1+1", "rr", "0.5"),
        ("'=1+1", "stride", "0.33"),
        ("a,b", "rr", "0.5"),
        ("a,b", "stride", "0.67"),
    ];
    assert_eq!(shares, expected);
}

/// What a user sees of the draws: right lotteries pass, wrong ones are rejected, and the others are no
/// lotteries.
#[test]
fn wrong_lotteries_are_rejected_before_the_eyes_of_the_user() {
    let (_dir, path) = file(
        "name='x'\nduration='100s'\n[[task]]\nname='a'\nnice=0\n[[task]]\nname='b'\nnice=3\n[[task]]\nname='c'\nnice=5\n",
    );
    let names = |wanted: fn(PolicyKind) -> bool| -> Vec<&str> {
        PolicyKind::all().filter(|policy| wanted(*policy)).map(PolicyKind::name).collect()
    };
    let wrong = names(|p| p.traits().wrong);
    let right = names(|p| p.traits().judged && !p.traits().wrong);
    let no_lottery = ["stride", "rr", "eevdf"];
    let policies = [&wrong[..], &right, &no_lottery].concat();
    let args = [path.to_str().unwrap(), "--runs", "3", "--policy", &policies.join(",")];
    let table = ok(&simulate(&args));
    let json = ok(&simulate(&[&args[..], &["--format", "json"]].concat()));
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let csv = ok(&simulate(&[&args[..], &["--format", "csv"]].concat()));
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    let titles = reader.headers().unwrap().clone();
    let column = |title: &str| titles.iter().position(|known| known == title).unwrap();
    let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    for (index, policy) in policies.iter().enumerate() {
        let line = table.lines().find(|line| line.starts_with(&format!("{policy} "))).unwrap();
        let draws = &json["policies"][index]["draws"];
        let row = rows.iter().find(|row| &row[2] == *policy).unwrap();
        let rejected = &row[column("draws_rejected")];
        if wrong.contains(policy) {
            assert!(line.contains("  REJECTED  "), "{line}");
            assert!(draws["p"].as_f64().unwrap() < 1e-6 && draws["rejected"] == true, "{policy}: {draws}");
            assert!(row[column("p_draws")].parse::<f64>().unwrap() < 1e-6 && rejected == "true", "{row:?}");
        } else if right.contains(policy) {
            assert!(line.contains("  passes  "), "{line}");
            assert!(draws["p"].as_f64().unwrap() > 1e-6 && draws["rejected"] == false, "{policy}: {draws}");
            assert!(rejected == "false" && &row[column("draws")] == "30003", "{row:?}");
        } else {
            assert!(line.contains("  not random  "), "{line}");
            assert!(draws.is_null() && rejected.is_empty(), "{policy}: {draws}");
        }
    }
}

#[test]
fn waits_and_responses_can_be_expected() {
    // Round robin between two burners of 10 ms: every wait is 10 ms but the first of A, which does not wait.
    // T needs 1 ms every 25 ms of a machine of its own.
    let text = "name='x'\nduration='10s'\npolicies=['rr']\ncpus=2\n[[task]]\nname='A'\ncpus=[0]\n[[task]]\nname='B'\ncpus=[0]\n\
        [[task]]\nname='T'\ncpus=[1]\nrun='1ms'\nperiod='25ms'\n[expect]\ntolerance=0.0625\n";
    let expected: String = ["wait_p50", "wait_p90", "wait_p99", "wait_max"]
        .iter()
        .map(|metric| format!("{metric}.B='10ms'\n"))
        .chain(["p50", "p90", "p99", "max", "mean"].iter().map(|part| format!("response_{part}.T='1ms'\n")))
        .collect();
    let (_dir, path) = file(&format!("{text}wait_mean.A={{at_least='9.9ms',at_most='10ms'}}\n{expected}"));
    let said = ok(&simulate(&[path.to_str().unwrap()]));
    assert!(said.contains("all 10 hold"), "{said}");
    let (_dir, path) = file(&format!("{text}wait_p90.B={{at_most='9ms'}}\n"));
    let output = simulate(&[path.to_str().unwrap()]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains("FAILS  rr: wait_p90.B = 10ms, expected at most 9ms"), "{said}");
    assert_eq!(output.status.code(), Some(3));
}

#[test]
fn an_expectation_that_does_not_hold_ends_with_3() {
    let (_dir, path) =
        file("name='x'\nduration='1s'\n[[task]]\nname='A'\n[[task]]\nname='B'\n[expect]\nshare.A=0.6\n");
    let path = path.to_str().unwrap();
    let output = simulate(&[path, "--policy", "stride,rr"]);
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains("FAILS  stride: share.A = 0.5, expected 0.6"), "{said}");
    assert!(said.contains("1 of 1 FAIL"), "{said}");
    assert_eq!(simulate(&[path, "--policy", "rr", "--format", "json"]).status.code(), Some(3));
}

#[test]
fn periodic_tasks_are_analysed_beside_the_simulation() {
    let said = ok(&simulate(&["liu-layland"]));
    for line in ["RM, Liu-Layland 0.828427 (sufficient)        exceeded", "T1 1ms, T2 4ms"] {
        assert!(said.contains(line), "{line}: {said}");
    }
    assert!(ok(&simulate(&["dhall", "--format", "json"])).contains("\"utilisation\": 1.1523809"));
    assert!(!ok(&simulate(&["three-burners"])).contains("analysis"));
}

#[test]
fn bad_scenarios_are_refused_with_the_place() {
    let task = "name='x'\nduration='1s'\n[[task]]\nname='A'\n";
    for (text, place, reason) in [
        (format!("{task}tikets = 3\n"), "line 5, column 1: ", "unknown field `tikets`"),
        (format!("{task}count = 1000000000\n"), "line 5, column 9: ", "1000000"),
        (format!("{task}tickets = 0\n"), "line 5, column 11: ", "tickets"),
        (format!("{task}cpus = []\n"), "line 5, column 8: ", "CPU"),
        (format!("policies = ['nope']\n{task}"), "line 1, column 13: ", "unknown policy 'nope'"),
        ("name = \n".to_owned(), "line 1, column ", ""),
    ] {
        let said = refusal(&text);
        assert!(said.starts_with(&format!("tombola: scenario.toml: {place}")), "{said}");
        assert!(said.contains(reason), "{said}");
    }
}

#[test]
fn a_deadlock_names_who_waits_for_what() {
    let phases = |first, second| {
        format!(
            "phases=[{{lock='{first}'}},{{run='20ms'}},{{lock='{second}'}},{{unlock='{second}'}},{{unlock='{first}'}}]"
        )
    };
    let (one, two) = (phases("m", "n"), phases("n", "m"));
    let said = refusal(&format!(
        "name='x'\nduration='1s'\npolicies=['rr']\n[[task]]\nname='A'\n{one}\n[[task]]\nname='B'\n{two}\n"
    ));
    assert!(said.contains("under rr: deadlock at "), "{said}");
}

#[test]
fn what_is_not_there_is_said() {
    let said = failed(&simulate(&["nope"]));
    assert!(said.contains("nope: no such file, and no built-in scenario"), "{said}");
    let said = failed(&simulate(&["three-burners", "--output", "/nowhere/out"]));
    assert!(
        said.contains(
            "cannot create '/nowhere/out': there is no directory '/nowhere'; create it with: mkdir -p"
        ),
        "{said}"
    );
    let said = failed(&simulate(&["/dev/zero"]));
    assert!(said.contains("cannot read /dev/zero: it is longer than "), "{said}");
    let (_dir, path) = file("");
    fs::write(&path, b"name = 'x'\nabout = '\xff'\n").unwrap();
    let said = failed(&simulate(&[path.to_str().unwrap()]));
    assert!(said.contains("scenario.toml: line 2: this is no UTF-8 text"), "{said}");
    let mut full = Command::new(env!("CARGO_BIN_EXE_tombola"));
    full.args(["simulate", "stride-3-2-1"]).stdout(fs::File::create("/dev/full").unwrap());
    let said = failed(&full.output().unwrap());
    assert!(said.contains("cannot write the result: standard output: No space left on device"), "{said}");
}

#[test]
fn usage_errors_end_with_2() {
    for (args, said) in [
        (&[][..], "required"),
        (&["three-burners", "--policy", "lottery,nope"], "unknown policy 'nope'; the policies are fluid"),
        (&["three-burners", "--runs", "0"], "from 1 to 100000"),
        (&["three-burners", "--jobs", "0"], "from 1 to 1024"),
        (&["three-burners", "--seed", "-1"], "from 0 to 18446744073709551615"),
        (&["three-burners", "--format", "xml"], "xml"),
        (&["three-burners", "--cpus", "2"], "--cpus goes with a workload of rt-app"),
        (&["three-burners", "--list"], "--list"),
        (&["three-burners", "--timeline", "ascii", "--format", "csv"], "--format table only"),
    ] {
        let output = simulate(args);
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {complaint}");
        assert!(output.stdout.is_empty() && complaint.contains(said), "{args:?}: {complaint}");
    }
}

/// Why a value is not what a schema says, if so: types, needed and known properties, items, references and
/// alternatives.
fn fault(root: &Value, schema: &Value, value: &Value, at: &str) -> Option<String> {
    if let Some(name) = schema["$ref"].as_str() {
        let named =
            root.pointer(name.trim_start_matches('#')).unwrap_or_else(|| panic!("{name} leads nowhere"));
        return fault(root, named, value, at);
    }
    if let Some(any) = schema["anyOf"].as_array() {
        let ends: Option<Vec<String>> = any.iter().map(|one| fault(root, one, value, at)).collect();
        return ends.map(|ends| ends.join("; "));
    }
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(n) if n.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let fits = |word: &Value| word == kind || (word == "number" && kind == "integer");
    let allowed = &schema["type"];
    if !(fits(allowed) || allowed.as_array().is_some_and(|words| words.iter().any(fits))) {
        return Some(format!("{at} is {value}, and no {allowed}"));
    }
    match value {
        Value::Array(items) => items
            .iter()
            .enumerate()
            .find_map(|(i, item)| fault(root, &schema["items"], item, &format!("{at}/{i}"))),
        Value::Object(map) => {
            let needed = schema["required"].as_array().into_iter().flatten();
            let missing = needed.filter_map(Value::as_str).find(|key| !map.contains_key(*key));
            let missing = missing.map(|key| format!("{at} has no {key}"));
            missing.or_else(|| {
                map.iter().find_map(|(key, value)| match schema["properties"].get(key) {
                    Some(schema) => fault(root, schema, value, &format!("{at}/{key}")),
                    None => Some(format!("{at}/{key} is in no schema")),
                })
            })
        }
        _ => None,
    }
}

/// Scenarios with expectations without an upper or a lower bound, with sequences, periods, chance and none,
/// and tasks that never complete anything or never come.
#[test]
fn json_is_what_its_schema_says() {
    let schema: Value = serde_json::from_str(&ok(&simulate(&["--json-schema"]))).unwrap();
    let dir = TempDir::new().unwrap();
    let late = dir.path().join("late.toml");
    let text = "name='x'\nduration='50ms'\n[[task]]\nname='a'\n[[task]]\nname='b'\narrive='1s'\n[expect]\n\
        share.a={at_least=0.5}\nwait_max.a={at_most='1ms'}\nsequence='a'\n";
    fs::write(&late, text).unwrap();
    for scenario in
        [late.to_str().unwrap(), "dhall", "stride-3-2-1", "web-and-batch", "lottery-transfer", "cbs"]
    {
        let args = [scenario, "--runs", "2", "--policy", "fluid,lottery,rr,edf", "--format", "json"];
        let value: Value = serde_json::from_slice(&simulate(&args).stdout).unwrap();
        assert_eq!(fault(&schema, &schema, &value, ""), None, "{scenario}");
        if scenario.ends_with("late.toml") {
            let rr = &value["policies"][2];
            assert!(rr["tasks"][0]["response_mean_ns"].is_null(), "a burner never responds: {rr}");
            let expectations = rr["expectations"].as_array().unwrap();
            let share = expectations.iter().find(|it| it["key"] == "share.a").unwrap();
            assert_eq!((&share["low"], &share["high"]), (&0.5.into(), &Value::Null));
        }
    }
}

#[test]
fn standard_output_takes_one_result() {
    for (args, said) in [
        (
            vec!["three-burners", "--html", "-"],
            "--html - takes standard output for itself; give a file to --output",
        ),
        (vec!["three-burners", "--record", "-"], "--record - takes standard output for itself"),
        (
            vec!["three-burners", "--output", "/dev/null", "--html", "-", "--record", "-"],
            "give a file to --record",
        ),
    ] {
        let output = simulate(&args);
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {complaint}");
        assert!(output.stdout.is_empty() && complaint.contains(said), "{args:?}: {complaint}");
    }
    let page = ok(&simulate(&["three-burners", "--policy", "rr", "--output", "/dev/null", "--html", "-"]));
    assert!(page.starts_with("<!doctype html>") && page.trim_end().ends_with("</html>"));
}

#[test]
fn what_cannot_be_written_is_named() {
    let dir = TempDir::new().unwrap();
    let said = failed(&simulate(&["three-burners", "--output", dir.path().to_str().unwrap()]));
    assert!(said.contains("it is a directory; name a file in it"), "{said}");
    for (flag, what) in [("--timeline", "the timeline"), ("--record", "the recording")] {
        let said = failed(&simulate(&[
            "three-burners",
            "--policy",
            "rr",
            "--output",
            "/dev/null",
            flag,
            "/dev/full",
        ]));
        assert!(said.contains(&format!("cannot write {what} to '/dev/full'")), "{said}");
    }
}

/// What the kernel's integers cannot hold is said beside the verdict on its draws: 1 of 2^40 counts as 2^20.
#[test]
fn tickets_that_the_kernel_cannot_hold_are_named() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("wide.toml");
    let text = "name='x'\nduration='1s'\n[[task]]\nname='rich'\ntickets=1099511627776\n[[task]]\nname='poor'\ntickets=1\n";
    fs::write(&path, text).unwrap();
    let said = |policy: &str| {
        let output = simulate(&[path.to_str().unwrap(), "--policy", policy, "--runs", "1"]);
        ok(&output);
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let note = said("lottery-kernel");
    assert!(note.contains("tickets of poor: 1, which count as 1048576"), "{note}");
    assert!(!said("lottery").contains("which count as"));
    fs::write(&path, text.replace("tickets=1\n", "tickets=274877906944\n")).unwrap(); // 4 : 1 is held
    assert!(!said("lottery-kernel").contains("which count as"));
}

#[test]
fn a_workload_of_rt_app_runs_under_every_policy() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("two.json");
    let text = r#"{"tasks": {"a": {"run": 2000, "sleep": 8000}, "b": {"loop": -1, "run": 5000}},
                   "global": {"duration": 1, "logdir": "./"}}"#;
    fs::write(&path, text).unwrap();
    let output = simulate(&["--rt-app", path.to_str().unwrap(), "--policy", "rr,eevdf"]);
    let said = ok(&output);
    assert!(said.starts_with("scenario two: 1 CPU, 1s"), "{said}");
    assert!(said.lines().any(|line| line.starts_with("b     eevdf")), "{said}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("logdir"), "what has no meaning is named");
    let by_name = simulate(&[path.to_str().unwrap(), "--policy", "rr,eevdf"]);
    assert_eq!(ok(&by_name), said, "a file that ends with .json is a workload of rt-app");
    fs::write(&path, text.replace("\"sleep\"", "\"teleport\"")).unwrap();
    let said = failed(&simulate(&["--rt-app", path.to_str().unwrap()]));
    assert!(said.contains("not supported") && said.contains("teleport"), "{said}");
}

/// What leaves after one line hears no complaint.
#[test]
fn a_reader_that_leaves_early_is_no_error() {
    for args in ["--list", "three-burners", "three-burners --format csv --timeline /dev/stdout"] {
        let command =
            format!("'{}' simulate {args} | head -1; echo ${{PIPESTATUS[0]}}", env!("CARGO_BIN_EXE_tombola"));
        let output = Command::new("bash").args(["-c", &command]).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(said.lines().count() == 2 && said.ends_with("\n0\n"), "{args}: {said}");
        assert!(output.stderr.is_empty(), "{args}: {output:?}");
    }
}

/// A process that does not outlive its test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn an_interrupt_prints_what_is_done_so_far() {
    let (_dir, path) = file(
        "name='long'\nduration='800000h'\nquantum='1ms'\n[[task]]\nname='A'\n[[task]]\nname='B'\n[expect]\nshare.A=0.9\n",
    );
    // Signals may be ignored where the tests run, and tombola leaves ignored ones so.
    let mut command = Command::new("env");
    command.args(["--default-signal=INT", env!("CARGO_BIN_EXE_tombola"), "simulate"]);
    command.arg(&path).args(["--policy", "rr,stride", "--jobs", "1"]);
    let mut running = Running(command.stdout(Stdio::piped()).spawn().unwrap());
    let pid = running.0.id();
    wait_for("the signal is caught", || {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:"))?;
        (u64::from_str_radix(mask.trim(), 16).ok()? & 2 != 0).then_some(())
    });
    kill(Pid::from_raw(i32::try_from(pid).unwrap()), Signal::SIGINT).unwrap();
    let mut said = String::new();
    running.0.stdout.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!(running.0.wait().unwrap().code(), Some(0), "nothing is held against half a run: {said}");
    // Policies take turns: either may have begun by then.
    let is_told = |policy: &str| said.lines().any(|line| line.split(' ').next() == Some(policy));
    assert!(said.contains("interrupted") && is_told("rr") && is_told("stride"), "{said}");
}
