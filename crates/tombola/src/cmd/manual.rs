//! `tombola completions`, `tombola man`: the command line told to shells and to man.

use crate::cli::{Cli, CompletionsArgs, ManArgs};
use crate::exit::Exit;
use crate::text::harmless;
use anyhow::{Context, Result, anyhow};
use clap::{Command, CommandFactory};
use clap_mangen::Man;
use std::fs;
use std::io::Write;

/// Prints the completions of a shell.
pub fn completions(args: &CompletionsArgs, out: &mut dyn Write) -> Result<Exit> {
    // The generator takes no error: it has a buffer that takes everything.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "tombola", &mut script);
    out.write_all(&script)?;
    Ok(Exit::Ok)
}

/// Prints a page, or writes all of them.
pub fn man(args: &ManArgs, out: &mut dyn Write) -> Result<Exit> {
    let mut whole = Cli::command();
    whole.build();
    if let Some(directory) = &args.directory {
        let mut pages = vec![&whole];
        let mut at = 0;
        while let Some(command) = pages.get(at).copied() {
            pages.extend(command.get_subcommands().filter(|verb| verb.get_name() != "help"));
            at += 1;
        }
        fs::create_dir_all(directory).with_context(|| format!("cannot make {}", directory.display()))?;
        for command in pages {
            let path = directory.join(format!("{}.1", file_name(command)));
            fs::write(&path, page(command.clone())?)
                .with_context(|| format!("cannot write {}", path.display()))?;
        }
        return Ok(Exit::Ok);
    }
    let mut command = &whole;
    for verb in &args.verb {
        command = command.find_subcommand(verb).ok_or_else(|| {
            let of = command.get_bin_name().unwrap_or("tombola");
            anyhow!("there is no verb '{}'; {of} --help lists them", harmless(verb.as_bytes()))
        })?;
    }
    out.write_all(&page(command.clone())?)?;
    Ok(Exit::Ok)
}

/// `tombola-audit` for the verb, `tombola` for the whole.
fn file_name(command: &Command) -> String {
    command.get_display_name().unwrap_or(command.get_name()).to_owned()
}

fn page(command: Command) -> Result<Vec<u8>> {
    let mut page = Vec::new();
    // The page takes the name it shows from the command, which has that of its verb since it was built.
    Man::new(command).render(&mut page).context("cannot make the manual page")?;
    Ok(page)
}
