use super::*;
use tombola_kernel::scheduler::Totals;

fn scenario(text: &str) -> Scenario {
    Scenario::from_toml(&format!("name = \"t\"\n{text}")).unwrap()
}

fn refused(text: &str) -> String {
    refusal::check(&scenario(text), 2).unwrap_err().to_string()
}

#[test]
fn what_cannot_be_acted_out_is_named_with_its_place() {
    let one = "duration = \"1s\"\n[[task]]\nname = \"a\\u001b\"\n";
    for (text, words) in [
        (format!("cpus = 3\n{one}"), "it has 3 CPUs, and this process may use 2"),
        (format!("{one}count = 1025"), "at most 1024 threads"),
        (format!("{one}tickets = 1048577"), "task 'a\\x1b' has 1048577 tickets"),
        (format!("{one}period = \"10ms\"\nrun = \"1ms\""), "task 'a\\x1b' has a period and deadline"),
        (format!("{one}class = \"fifo\""), "a real-time class"),
        (
            format!(
                "{one}phases = [{{ run = \"1ms\" }}, {{ lock = \"l\" }}, {{ run = \"1ms\" }}, {{ unlock = \"l\" }}]"
            ),
            "step 2 of task 'a\\x1b' takes a lock",
        ),
        (
            format!("{one}group = \"g\"\n[[group]]\nname = \"g\"\nquota = \"1ms\"\nperiod = \"10ms\""),
            "group 'g' has a quota",
        ),
    ] {
        let error = refused(&text);
        assert!(error.contains(words), "{text}: {error}");
    }
}

#[test]
fn weights_of_groups_keep_their_ratios_or_are_refused() {
    let groups = |weights: &[u64], beside: bool| {
        use std::fmt::Write as _;
        let mut text = "duration = \"1s\"\n".to_owned();
        for (number, weight) in weights.iter().enumerate() {
            write!(text, "[[group]]\nname = \"g{number}\"\nweight = {weight}\n").unwrap();
            write!(text, "[[task]]\nname = \"t{number}\"\ngroup = \"g{number}\"\n").unwrap();
        }
        if beside {
            text += "[[task]]\nname = \"beside\"\n";
        }
        cgroups::weights(&scenario(&text))
    };
    assert_eq!(groups(&[300, 100], false).unwrap(), [9999, 3333]);
    assert_eq!(groups(&[1024, 1024, 1024], false).unwrap(), [10_000; 3]);
    assert_eq!(groups(&[2048, 512], true).unwrap(), [200, 50]);
    assert!(groups(&[7], true).unwrap_err().to_string().contains("'g0' has the weight 7 beside tasks"));
    assert!(groups(&[10_001, 1], false).unwrap_err().to_string().contains("divide finer"));
}

#[test]
fn the_tolerance_is_that_of_the_number_of_draws() {
    let scenario =
        scenario("duration = \"10s\"\nquantum = \"10ms\"\n[[task]]\nname = \"a\"\n[[task]]\nname = \"b\"");
    let played = |slice_ns| Played {
        length: Duration::from_secs(10),
        cpu_times: vec![Duration::from_secs(5); 2],
        others: 0.0,
        slice_ns,
        figures: Figures { length: Duration::from_secs(10), totals: Totals::default(), tasks: Vec::new() },
    };
    // A thousand draws with p = ½: 5·√(¼/1000) = .0791, and a slice of ten seconds.
    let simulated = vec![vec![0.5, 0.5]; 30];
    let row = &rows(&scenario, &simulated, &played(1e6), Law::Lottery)[0];
    assert!((row.tolerance - 0.0791 - 0.001).abs() < 1e-4, "{row:?}");
    assert!(row.holds());
    // Slices twice as long as asked for: half the draws.
    let row = &rows(&scenario, &simulated, &played(2e7), Law::Lottery)[0];
    assert!((row.tolerance - 0.1118 - 0.002).abs() < 1e-4, "{row:?}");
    // No chance: two slices.
    let row = &rows(&scenario, &simulated, &played(1e6), Law::Stride)[0];
    assert!((row.tolerance - 0.002).abs() < 1e-9, "{row:?}");
}
