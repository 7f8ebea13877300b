//! The grammar of the command line, and as much of it as a run needs.
//!
//! Twenty-five verbs with all their arguments take longer to set up than what they are asked takes to answer.
//! So what is read first is read with the arguments of the one verb that it names; whatever that does not
//! settle (an error, a help text) is told by the whole grammar.

use super::{
    AuditArgs, Cli, CompletionsArgs, ConvertArgs, DemoArgs, DoctorArgs, DumpArgs, ExportArgs, HistArgs,
    InfoArgs, LoadArgs, LogArgs, ManArgs, PeriodsArgs, QueryArgs, RecordArgs, ReplayArgs, ReportArgs,
    ScheduleArgs, SimulateArgs, StatusArgs, TicketsArgs, TimehistArgs, TopArgs, UnloadArgs, WorkloadArgs,
};
use clap::error::ErrorKind;
use clap::{Arg, Args as _, Command, CommandFactory as _, Error, FromArgMatches as _};
use std::env;
use std::ffi::{OsStr, OsString};

/// Adds the arguments of a verb to its command.
type Augment = fn(Command) -> Command;

/// The arguments of each verb. That these are the verbs of the whole grammar is tested.
const VERBS: [(&str, Augment); 25] = [
    ("load", LoadArgs::augment_args),
    ("unload", UnloadArgs::augment_args),
    ("status", StatusArgs::augment_args),
    ("dump", DumpArgs::augment_args),
    ("audit", AuditArgs::augment_args),
    ("top", TopArgs::augment_args),
    ("report", ReportArgs::augment_args),
    ("hist", HistArgs::augment_args),
    ("info", InfoArgs::augment_args),
    ("timehist", TimehistArgs::augment_args),
    ("convert", ConvertArgs::augment_args),
    ("replay", ReplayArgs::augment_args),
    ("periods", PeriodsArgs::augment_args),
    ("log", LogArgs::augment_args),
    ("record", RecordArgs::augment_args),
    ("export", ExportArgs::augment_args),
    ("query", QueryArgs::augment_args),
    ("simulate", SimulateArgs::augment_args),
    ("schedule", ScheduleArgs::augment_args),
    ("tickets", TicketsArgs::augment_args),
    ("workload", WorkloadArgs::augment_args),
    ("doctor", DoctorArgs::augment_args),
    ("completions", CompletionsArgs::augment_args),
    ("man", ManArgs::augment_args),
    ("demo", DemoArgs::augment_args),
];

impl Cli {
    /// What the command line says.
    ///
    /// # Errors
    /// A wrong one; a help text or the version, which are for standard output.
    pub fn read() -> Result<Self, Error> {
        let words: Vec<OsString> = env::args_os().collect();
        Self::from_words(&words)
    }

    /// What these words say, the first of which is the name of the program.
    pub(super) fn from_words(words: &[OsString]) -> Result<Self, Error> {
        match parse(words, || brief(words.get(1).map(OsString::as_os_str))) {
            Err(error) if error.kind() != ErrorKind::DisplayVersion => told_by_the_whole(words),
            told => told,
        }
    }
}

/// What the whole grammar says of these words.
fn told_by_the_whole(words: &[OsString]) -> Result<Cli, Error> {
    parse(words, Cli::command).map_err(|error| match error.kind() {
        // `--interval -1s` is meant as a value and read as a flag `-1`. As a value it is refused for what it
        // is.
        ErrorKind::UnknownArgument => with_values_joined(words)
            .and_then(|joined| parse(&joined, Cli::command).err())
            .filter(|other| matches!(other.kind(), ErrorKind::ValueValidation | ErrorKind::InvalidValue))
            .unwrap_or(error),
        _ => error,
    })
}

/// The words with each that begins like a negative number joined to the flag before it; `None` where there is
/// none.
fn with_values_joined(words: &[OsString]) -> Option<Vec<OsString>> {
    let is_negative = |word: &OsStr| {
        let rest = word.as_encoded_bytes().strip_prefix(b"-");
        rest.and_then(|rest| rest.first()).is_some_and(|first| first.is_ascii_digit() || *first == b'.')
    };
    let is_flag = |word: &OsStr| {
        let bytes = word.as_encoded_bytes();
        bytes.starts_with(b"-") && !bytes.contains(&b'=') && !is_negative(word)
    };
    let own = words.iter().position(|word| word == "--").unwrap_or(words.len());
    let mut joined: Vec<OsString> = Vec::with_capacity(words.len());
    for word in &words[..own] {
        match joined.last_mut() {
            Some(flag) if is_flag(flag) && is_negative(word) => {
                flag.push("=");
                flag.push(word);
            }
            _ => joined.push(word.clone()),
        }
    }
    joined.extend_from_slice(&words[own..]);
    (joined.len() < words.len()).then_some(joined)
}

/// The program with the verb of this name and no other; without any where there is none of this name.
fn brief(name: Option<&OsStr>) -> Command {
    let whole = Command::new("tombola").version(env!("CARGO_PKG_VERSION")).propagate_version(true);
    let named = VERBS.iter().find(|(verb, _)| Some(OsStr::new(verb)) == name);
    named.into_iter().fold(whole, |whole, (verb, augment)| whole.subcommand(augment(Command::new(*verb))))
}

fn parse(words: &[OsString], grammar: impl Fn() -> Command) -> Result<Cli, Error> {
    let matches = without_empty_environment(grammar()).try_get_matches_from(words);
    // A monitor that only the environment names gives way to a flag that asks for another world.
    let matches = matches.or_else(|error| match error.kind() {
        ErrorKind::ArgumentConflict => {
            without_named_monitor(grammar()).try_get_matches_from(words).map_err(|_| error)
        }
        _ => Err(error),
    })?;
    super::files::are_apart(&matches)?;
    Cli::from_arg_matches(&matches)
}

/// A variable of the environment that is empty is none: `MAP_PIN= tombola dump` asks for the default.
fn without_empty_environment(command: Command) -> Command {
    let is_empty = |arg: &Arg| arg.get_env().and_then(env::var_os).is_some_and(|value| value.is_empty());
    let unset = |arg: Arg| if is_empty(&arg) { arg.env(clap::builder::Resettable::Reset) } else { arg };
    command.mut_subcommands(|verb| verb.mut_args(unset))
}

fn without_named_monitor(command: Command) -> Command {
    let unset =
        |arg: Arg| if arg.get_id() == "map" { arg.env(clap::builder::Resettable::Reset) } else { arg };
    without_empty_environment(command).mut_subcommands(|verb| verb.mut_args(unset))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<OsString> {
        line.split(' ').map(OsString::from).collect()
    }

    /// Each verb is added as the whole grammar adds it: all that clap knows of a command is in how it is
    /// written for debugging.
    #[test]
    fn each_verb_has_the_arguments_that_it_has_in_the_whole() {
        // But for its place among its siblings, which a help text shows.
        let written = |command: &Command| format!("{:#?}", command.clone().display_order(0));
        let whole = Cli::command();
        let names: Vec<&str> = whole.get_subcommands().map(Command::get_name).collect();
        assert_eq!(VERBS.map(|(name, _)| name).to_vec(), names);
        for verb in whole.get_subcommands() {
            let brief = brief(Some(OsStr::new(verb.get_name())));
            let [only] = brief.get_subcommands().collect::<Vec<_>>()[..] else {
                panic!("{}", verb.get_name())
            };
            assert_eq!(written(only), written(verb));
        }
    }

    /// Every flag that takes a length of time, of every verb: the message is that of the value with `=`
    /// before it.
    #[test]
    fn a_negative_length_is_refused_as_the_value_it_is_meant_to_be() {
        let whole = Cli::command();
        let mut tried = 0;
        for verb in whole.get_subcommands() {
            let flags = verb.get_arguments().filter(|flag| {
                flag.get_value_names().is_some_and(|names| names.iter().any(|name| name == "TIME"))
            });
            for long in flags.filter_map(Arg::get_long) {
                for value in ["-1s", "-5", "-.5ms"] {
                    let said = |rest: &str| {
                        let line = format!("tombola {} {rest}", verb.get_name());
                        Cli::from_words(&words(&line)).map(drop).unwrap_err().to_string()
                    };
                    let apart = said(&format!("--{long} {value}"));
                    assert_eq!(apart, said(&format!("--{long}={value}")), "{}", verb.get_name());
                    assert!(apart.contains("it must be"), "{apart}");
                    tried += 1;
                }
            }
        }
        assert!(tried > 60, "{tried}");
        // What only looks like it is told as it is: words of a command, a flag that takes nothing or a
        // name.
        for line in ["tombola status -1s", "tombola audit --strict -1s", "tombola dump --output -1s"] {
            let (told, whole) = (Cli::from_words(&words(line)), parse(&words(line), Cli::command));
            assert_eq!(told.unwrap_err().to_string(), whole.unwrap_err().to_string(), "{line}");
        }
        assert!(Cli::from_words(&words("tombola audit -- sleep -1s")).is_ok());
    }

    #[test]
    fn what_is_said_is_what_the_whole_grammar_says() {
        for line in [
            "tombola",
            "tombola --version",
            "tombola -V",
            "tombola --version load",
            "tombola --help",
            "tombola help",
            "tombola help load",
            "tombola dump -V",
            "tombola dump -h",
            "tombola dump --iterations 3",
            "tombola dump --iterations -3",
            "tombola dmup",
            "tombola --frob",
            "tombola load --frob",
            "tombola load --light --max-tasks 7",
            "tombola export",
            "tombola export prometheus --help",
            "tombola tickets",
            "tombola tickets help",
            "tombola simulate",
            "tombola schedule -- make -j8",
        ] {
            let words = words(line);
            let (told, whole) = (Cli::from_words(&words), parse(&words, Cli::command));
            match (told, whole) {
                (Ok(told), Ok(whole)) => assert_eq!(format!("{told:?}"), format!("{whole:?}"), "{line}"),
                (Err(told), Err(whole)) => {
                    assert_eq!(told.to_string(), whole.to_string(), "{line}");
                    assert_eq!((told.kind(), told.exit_code()), (whole.kind(), whole.exit_code()), "{line}");
                }
                (told, whole) => panic!("{line}: {told:?}, and by the whole {whole:?}"),
            }
        }
    }
}
