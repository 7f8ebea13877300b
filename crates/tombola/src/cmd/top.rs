//! `tombola top`: the live view.

use super::simulate;
use crate::cli::TopArgs;
use crate::exit::Exit;
use crate::past;
use crate::source::{self, Simulated, Wanted};
use crate::tui::{self, App, Column, Glyphs, Measuring, Set, Theme, config};
use anyhow::{Result, bail};
use std::env;
use tombola_core::source::Source;
use tombola_kernel::MaxPairs;

/// Shows the live machine, or a simulated one, until told to end.
pub fn run(args: &TopArgs) -> Result<Exit> {
    if let Err(reason) = tui::fits() {
        bail!("{reason}");
    }
    let path = args.config.clone().or_else(config::path);
    let set = settings(args, path.as_deref())?;
    let wanted = Wanted {
        interference: (!args.no_interference).then(MaxPairs::default),
        tickets: true,
        owners: true,
        light: args.light,
        ..Wanted::default()
    };
    let measuring = if let Some(path) = &args.simulate {
        let (scenario, policy) = (simulate::load(path)?, args.policy);
        let open = move || {
            let seed = scenario.seed;
            Ok(Box::new(Simulated::new(scenario, policy, seed)) as Box<dyn Source>)
        };
        Measuring::start(open, set.interval)?
    } else {
        let (map, past, culprits) = (args.map.clone(), args.past.clone(), !args.no_interference);
        let open = move || past::open_or(&past, culprits, || source::open(map.as_deref(), wanted));
        Measuring::start(open, set.interval)?
    };
    tui::run(App::new(set), measuring, path.as_deref())?;
    Ok(Exit::Ok)
}

/// Flags, then the file, then the defaults.
fn settings(args: &TopArgs, path: Option<&std::path::Path>) -> Result<Set> {
    let mut set = path.map_or_else(|| Ok(Set::default()), config::load)?;
    if let Some(interval) = args.interval {
        set.interval = interval.get();
    }
    if !args.columns.is_empty() {
        set.columns = Column::distinct(args.columns.iter().copied());
    }
    set.mouse &= !args.no_mouse;
    let no_color = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    set.theme = match args.theme {
        Some(theme) => theme,
        None if no_color => Theme::Mono,
        None => set.theme,
    };
    set.glyphs = if is_utf8() { Glyphs::Unicode } else { Glyphs::Ascii };
    Ok(set)
}

/// Whether the locale has UTF-8: the first of the three variables that is set decides.
fn is_utf8() -> bool {
    let set = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().filter_map(|name| env::var(name).ok());
    let locale = set.into_iter().find(|value| !value.is_empty()).unwrap_or_default().to_lowercase();
    locale.contains("utf-8") || locale.contains("utf8")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Cli, Verb};
    use clap::Parser;
    use std::fs;

    fn columns(path: &std::path::Path, flags: &[&str]) -> Vec<Column> {
        let cli = Cli::try_parse_from([&["tombola", "top"], flags].concat()).unwrap();
        let Verb::Top(args) = cli.verb else { panic!("another verb") };
        settings(&args, Some(path)).unwrap().columns
    }

    #[test]
    fn columns_of_a_flag_come_before_the_files_and_these_before_the_usual_ones() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.toml");
        assert_eq!(columns(&path, &[]), Column::usual());
        fs::write(&path, "[top]\ncolumns = [\"lag_ns\", \"comm\", \"LAG_MS\"]\n").unwrap();
        assert_eq!(columns(&path, &[]), ["lag_ns", "comm"].map(Column::of));
        let of_flag = columns(&path, &["--columns", "migrations,PID,migr,cpu%"]);
        assert_eq!(of_flag, [Column::of("migrations"), Column::of("pid"), Column::CPU]);
    }

    #[test]
    fn the_help_has_the_usual_columns_and_an_unknown_one_a_hint() {
        let help = Cli::try_parse_from(["tombola", "top", "--help"]).unwrap_err().to_string();
        let one_line = help.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(one_line.contains(&format!("[default: {}]", Column::usual_names())), "{help}");
        let error = Cli::try_parse_from(["tombola", "top", "--columns", "lagns"]).unwrap_err().to_string();
        assert!(error.contains("did you mean 'lag_ns'?"), "{error}");
    }
}
