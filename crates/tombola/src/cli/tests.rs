use super::*;
use clap::{CommandFactory, error::ErrorKind};
use tombola_kernel::scheduler::{Guard, Law, Slice};
use tombola_lab::policy::PolicyKind;

fn dump(args: &[&str]) -> Result<DumpArgs, clap::Error> {
    match Cli::try_parse_from(["tombola", "dump"].iter().chain(args))?.verb {
        Verb::Dump(args) => Ok(*args),
        other => panic!("{other:?}"),
    }
}

fn workload(args: &[&str]) -> Result<WorkloadArgs, clap::Error> {
    match Cli::try_parse_from(["tombola", "workload"].iter().chain(args))?.verb {
        Verb::Workload(args) => Ok(args),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_grammar_is_consistent() {
    Cli::command().debug_assert();
}

#[test]
fn every_verb_and_flag_is_described_and_every_verb_has_examples() {
    for verb in Cli::command().get_subcommands() {
        assert!(verb.get_about().is_some(), "{}", verb.get_name());
        let examples = verb.get_after_help().map(ToString::to_string).unwrap_or_default();
        assert!(examples.starts_with("Examples:"), "{}", verb.get_name());
        for flag in verb.get_arguments() {
            assert!(flag.get_help().is_some(), "{} {}", verb.get_name(), flag.get_id());
        }
    }
}

#[test]
fn defaults_are_those_of_the_manual() {
    let args = dump(&[]).unwrap();
    assert_eq!(args.interval.get(), Duration::from_secs(1));
    assert_eq!((args.iterations, args.simulate_draws, args.show.top), (0, 0, None));
    assert_eq!((args.alpha, args.seed), (Alpha::default(), None));
    assert_eq!((args.tickets, args.candidates), (TicketScale::Weight, Candidates::Runnable));
}

#[test]
fn negative_values_reach_their_parser() {
    assert_eq!(workload(&["--nice", "-5"]).unwrap().nice, Nice::new(-5).ok());
    assert_eq!(workload(&["--nice=-20"]).unwrap().nice, Nice::new(-20).ok());
}

#[test]
fn values_outside_their_range_are_usage_errors_that_name_it() {
    for (flag, bad, range) in [
        ("--interval", &["0", "-1", "1e9", "abc", "NaN", "inf", "0.5ms", "2d", ""][..], "from 1ms to 1d"),
        ("--iterations", &["-1", "18446744073709551616", "1.5", "x"], "from 0 to 18446744073709551615"),
        ("--simulate-draws", &["-1", "1000000000000000001"], "from 0 to 1000000000000000000"),
        ("--alpha", &["0", "1.1", "-0.5", "NaN", "inf", "x"], "greater than 0 and at most 1"),
        ("--seed", &["-1", "seven"], "from 0 to 18446744073709551615"),
        ("--tickets", &["cubic"], "'weight' or 'linear'"),
    ] {
        for value in bad {
            let error = dump(&[flag, value]).unwrap_err();
            let text = error.to_string();
            assert_eq!(error.exit_code(), 2, "{flag} {value}");
            assert!(text.contains(range) && text.contains(flag), "{flag} {value}: {text}");
        }
    }
    for (flag, bad, range) in [
        ("--nice", &["20", "-21", "999999999999", "1.5", "x"][..], "between -20 and 19"),
        ("--threads", &["0", "1025", "-1"], "from 1 to 1024"),
        ("--duration", &["0", "-1", "8d"], "from 1ms to 1d"),
        ("--burst", &["0", "1us"], "from 10us to 1d"),
        ("--cpu", &["-1", "65536"], "from 0 to 65535"),
    ] {
        for value in bad {
            let error = workload(&[flag, value]).unwrap_err();
            let text = error.to_string();
            assert_eq!(error.exit_code(), 2, "{flag} {value}");
            assert!(text.contains(range) && text.contains(flag), "{flag} {value}: {text}");
        }
    }
}

#[test]
fn a_schedule_is_told_the_ranges_and_shows_the_defaults_of_the_domain() {
    let parse = |args: &[&str]| match Cli::try_parse_from(["tombola", "schedule"].iter().chain(args))?.verb {
        Verb::Schedule(args) => Ok::<_, clap::Error>(args),
        other => panic!("{other:?}"),
    };
    let args = parse(&["--slice", "2ms", "--policy", "stride", "--partial", "--", "make", "-j8"]).unwrap();
    assert_eq!((args.slice.unwrap().get(), args.policy), (Duration::from_millis(2), Law::Stride));
    assert_eq!((args.partial, args.command.len(), args.top), (true, 2, 20));
    for (flag, bad, range) in [
        ("--slice", &["0", "99us", "1.1s", "-1", "x"][..], "from 100us to 1s"),
        ("--guard", &["0", "99ms", "21s", "NaN"], "from 100ms to 20s"),
        ("--duration", &["0", "2d"], "from 1ms to 1d"),
        ("--interval", &["0", "2d"], "from 1ms to 1d"),
        ("--policy", &["fifo"], "'lottery' or 'stride'"),
        ("--top", &["-1", "1000001"], "from 0 to 1000000"),
    ] {
        for value in bad {
            let error = parse(&[flag, value]).unwrap_err();
            let text = error.to_string();
            assert_eq!(error.exit_code(), 2, "{flag} {value}");
            assert!(text.contains(range) && text.contains(flag), "{flag} {value}: {text}");
        }
    }
    let help = Cli::try_parse_from(["tombola", "schedule", "--help"]).unwrap_err().to_string();
    let help = help.split_ascii_whitespace().collect::<Vec<_>>().join(" "); // whatever the width
    for default in [Slice::default().get(), Guard::default().get()] {
        assert!(help.contains(&format!("[default: {}", interval::Plain(default))), "{help}");
    }
}

#[test]
fn tickets_are_counted_from_1_to_2_to_the_20() {
    let parse = |args: &[&str]| match Cli::try_parse_from(["tombola", "tickets"].iter().chain(args))?.verb {
        Verb::Tickets(args) => Ok::<_, clap::Error>(args.what),
        other => panic!("{other:?}"),
    };
    assert!(matches!(parse(&["show"]).unwrap(), TicketsVerb::Show { .. }));
    let TicketsVerb::Set { pid, tickets, .. } = parse(&["set", "7", "1048576"]).unwrap() else { panic!() };
    assert_eq!((pid, tickets), (7, Some(1 << 20)));
    let TicketsVerb::Set { tickets, by_nice, .. } = parse(&["set", "7", "--by-nice"]).unwrap() else {
        panic!()
    };
    assert_eq!((tickets, by_nice), (None, true));
    let TicketsVerb::Give { tickets, .. } = parse(&["give", "7", "8"]).unwrap() else { panic!() };
    assert_eq!(tickets, None);
    for args in [
        &["set", "7", "0"][..],
        &["set", "7", "1048577"],
        &["set", "7", "-1"],
        &["give", "7", "8", "0"],
        &["set", "7", "x"],
    ] {
        let error = parse(args).unwrap_err();
        assert_eq!(error.exit_code(), 2, "{args:?}");
        assert!(error.to_string().contains("from 1 to 1048576"), "{args:?}: {error}");
    }
    for args in [&["set", "0", "5"][..], &["set", "7"], &["set", "7", "5", "--by-nice"], &["give", "7"], &[]]
    {
        assert_eq!(parse(args).unwrap_err().exit_code(), 2, "{args:?}");
    }
}

#[test]
fn a_simulation_takes_policies_with_commas() {
    let parse = |args: &[&str]| match Cli::try_parse_from(["tombola", "simulate"].iter().chain(args))?.verb {
        Verb::Simulate(args) => Ok::<_, clap::Error>(args),
        other => panic!("{other:?}"),
    };
    let args = parse(&["x", "--policy", "lottery,rr", "--policy", "stride-2^20"]).unwrap();
    assert_eq!(args.policy, [PolicyKind::Lottery, PolicyKind::RoundRobin, PolicyKind::StrideInteger]);
    assert_eq!((args.runs, args.jobs, args.seed, args.cpus), (10, None, None, None));
    assert_eq!((args.format, args.list), (ComparisonFormat::Table, false));
    for bad in [&["x", "--policy", ""][..], &["x", "--policy", "rr,"], &["x", "--cpus", "0"], &["x", "y"]] {
        assert_eq!(parse(bad).unwrap_err().exit_code(), 2, "{bad:?}");
    }
}

#[test]
fn columns_are_named_by_key_or_title_and_a_wrong_one_gets_a_hint() {
    let args = dump(&["--columns", "pid,DELTA_MS,wait_ns"]).unwrap();
    let keys: Vec<&str> = args.show.columns.iter().map(|metric| metric.key).collect();
    assert_eq!(keys, ["pid", "delta_ns", "wait_ns"]);
    let error = dump(&["--columns", "wait_nss"]).unwrap_err();
    assert_eq!(error.exit_code(), 2);
    assert!(error.to_string().contains("did you mean 'wait_ns'?"), "{error}");
}

#[test]
fn unknown_flags_are_usage_errors_and_help_is_none() {
    let unknown = dump(&["--frobnicate"]).unwrap_err();
    assert_eq!((unknown.kind(), unknown.exit_code()), (ErrorKind::UnknownArgument, 2));
    let help = Cli::try_parse_from(["tombola", "dump", "--help"]).unwrap_err();
    assert_eq!((help.kind(), help.exit_code()), (ErrorKind::DisplayHelp, 0));
}
