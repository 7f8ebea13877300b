//! `xtask`: what is no shell's business. `scripts/run.sh` builds and calls it; `cargo run -p xtask -- --help`
//! does too.
#![forbid(unsafe_code)]

mod c_format;
mod caller;
mod cargo_messages;
mod every_test;
mod figures;
mod findings;
mod lane;
mod log;
mod packages;
mod stage;
mod summary;

use anyhow::{Context as _, Result};
use caller::Caller;
use clap::{Parser, Subcommand};
use std::env;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// A check or a test failed.
const FAILED: u8 = 1;

/// Tests, packages, findings and figures of tombola's source tree.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Every test this machine can run, with a list of what was skipped
    Test {
        /// The release binary of tombola, which is built before the live tests
        #[arg(long, value_name = "FILE")]
        tombola: PathBuf,
    },
    /// The live tests, or one command, in other kernels; the status is that of tombola-vm
    Lane {
        /// test or run
        #[arg(value_enum)]
        work: lane::Work,
        /// Arguments of 'tombola-vm test' or 'tombola-vm run'
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Whether the C sources are as clang-format would write them
    CFormat,
    /// Whether each library crate packages, has examples and doctests, and holds no unsafe code where it may
    /// not
    Packages,
    /// Runs findings/*.sh, or those named, and says which are still seen
    Findings {
        /// Names of findings, without .sh
        names: Vec<String>,
    },
    /// Tables of the benches from what they measured
    Figures {
        #[command(subcommand)]
        figure: figures::Figure,
    },
}

fn main() -> ExitCode {
    match run(Arguments::parse().verb) {
        Ok(status) => ExitCode::from(status),
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::from(FAILED)
        }
    }
}

fn run(verb: Verb) -> Result<u8> {
    let root = root()?;
    let status = |good: bool| if good { 0 } else { FAILED };
    match verb {
        Verb::Test { tombola } => {
            every_test::EveryTest::new(&root, Caller::find(), tombola)?.run().map(status)
        }
        Verb::Lane { work, arguments } => lane::run(&root, &Caller::find(), work, &arguments),
        Verb::CFormat => c_format::check(&every_test::c_sources(&root)?).map(status),
        Verb::Packages => packages::check(&root, &Caller::find()).map(status),
        Verb::Findings { names } => findings::run(&root, &names).map(status),
        Verb::Figures { figure } => {
            print!("{}", figure.table()?);
            Ok(0)
        }
    }
}

/// The source tree this was built from.
fn root() -> Result<PathBuf> {
    let manifest = env!("CARGO_MANIFEST_DIR");
    Ok(Path::new(manifest).parent().context("xtask lies in no workspace")?.to_owned())
}
