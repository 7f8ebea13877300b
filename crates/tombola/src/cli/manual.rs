//! The flags of `completions` and `man`.

use clap::Args;
use clap_complete::Shell;
use std::path::PathBuf;

/// Print what a shell needs to complete verbs, flags and values.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tombola completions bash > ~/.local/share/bash-completion/completions/tombola
  tombola completions zsh > \"${fpath[1]}/_tombola\"
  tombola completions fish > ~/.config/fish/completions/tombola.fish")]
pub struct CompletionsArgs {
    /// The shell
    #[arg(value_name = "bash|elvish|fish|powershell|zsh", value_enum, hide_possible_values = true)]
    pub shell: Shell,
}

/// Print the manual page, or write that of every verb into a directory.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tombola man | man -l -
  tombola man audit | man -l -
  tombola man export prometheus | man -l -
  sudo tombola man --directory /usr/local/share/man/man1")]
pub struct ManArgs {
    /// Verb whose page is printed, and a verb of that one's [default: tombola itself]
    #[arg(value_name = "VERB", conflicts_with = "directory")]
    pub verb: Vec<String>,
    /// Directory for tombola.1, tombola-VERB.1 and those of verbs of a verb's
    #[arg(long, value_name = "DIR")]
    pub directory: Option<PathBuf>,
}
