use super::*;
use clap::{CommandFactory, error::ErrorKind};
use tombola_core::sim::policy::PolicyKind;

fn dump(args: &[&str]) -> Result<DumpArgs, clap::Error> {
    match Cli::try_parse_from(["tombola", "dump"].iter().chain(args))?.verb {
        Verb::Dump(args) => Ok(args),
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
    assert_eq!((args.iterations, args.simulate_draws, args.top), (0, 0, 5));
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
fn a_simulation_takes_policies_with_commas() {
    let parse = |args: &[&str]| match Cli::try_parse_from(["tombola", "simulate"].iter().chain(args))?.verb {
        Verb::Simulate(args) => Ok::<_, clap::Error>(args),
        other => panic!("{other:?}"),
    };
    let args = parse(&["x", "--policy", "lottery,rr", "--policy", "stride-2^20"]).unwrap();
    assert_eq!(args.policy, [PolicyKind::Lottery, PolicyKind::RoundRobin, PolicyKind::StrideInteger]);
    assert_eq!((args.runs, args.jobs, args.seed, args.cpus), (10, None, None, 1));
    assert_eq!((args.format, args.list), (ComparisonFormat::Table, false));
    for bad in [&["x", "--policy", ""][..], &["x", "--policy", "rr,"], &["x", "--cpus", "0"], &["x", "y"]] {
        assert_eq!(parse(bad).unwrap_err().exit_code(), 2, "{bad:?}");
    }
}

#[test]
fn unknown_flags_are_usage_errors_and_help_is_none() {
    let unknown = dump(&["--frobnicate"]).unwrap_err();
    assert_eq!((unknown.kind(), unknown.exit_code()), (ErrorKind::UnknownArgument, 2));
    let help = Cli::try_parse_from(["tombola", "dump", "--help"]).unwrap_err();
    assert_eq!((help.kind(), help.exit_code()), (ErrorKind::DisplayHelp, 0));
}
