//! The live tests, or one command, in other kernels: what `tombola-vm` needs is built, and it is given the
//! list of the tests.

use crate::caller::{Caller, target};
use anyhow::{Context as _, Result, ensure};
use clap::ValueEnum;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

/// Status of a lane that no code of this project can mend; see `vm/src/standing.rs`.
const OUTSIDE: u8 = 3;

/// What is done there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Work {
    /// The live tests.
    Test,
    /// One command.
    Run,
}

/// Builds, lists and runs; the status is that of `tombola-vm`.
///
/// # Errors
/// If something does not build.
pub(crate) fn run(root: &Path, caller: &Caller, work: Work, arguments: &[String]) -> Result<u8> {
    // The tests are built for this machine and run in that one.
    if std::env::consts::ARCH != "x86_64" {
        println!("lane: skipped, it boots x86_64, and this machine is {}", std::env::consts::ARCH);
        return Ok(OUTSIDE);
    }
    // What runs in kernels of another architecture, tombola-vm builds itself.
    let is_foreign = is_foreign(arguments);
    let mut build = caller.cargo(root);
    build.args(["build", "--release", "--locked", "--package", "tombola-vm"]);
    if !is_foreign {
        build.args(["--package", "tombola"]);
    }
    // Standard output is that of the command in there.
    build.stdout(Stdio::null());
    ensure!(build.status().context("cargo build")?.success(), "tombola-vm could not be built");

    // As the caller: cache and logs are the caller's.
    let target = target(root);
    let mut lane = caller.as_caller(&target.join("release/tombola-vm").to_string_lossy());
    lane.arg(if work == Work::Test { "test" } else { "run" });
    lane.arg("--tombola").arg(target.join("release/tombola")).arg("--logs").arg(target.join("vm"));
    if work == Work::Test && !is_foreign {
        lane.arg("--messages").arg(list(root, caller, &target)?);
    }
    let status = lane.args(arguments).status().context("tombola-vm")?;
    Ok(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(crate::FAILED))
}

/// A file with what cargo says of the test programs, which it builds.
fn list(root: &Path, caller: &Caller, target: &Path) -> Result<PathBuf> {
    let messages = target.join("vm-tests.json");
    let mut list = caller.cargo(root);
    list.args(["test", "--workspace", "--no-run", "--locked", "--message-format=json"]);
    let output = list.stderr(Stdio::inherit()).output().context("cargo test --no-run")?;
    ensure!(output.status.success(), "the tests could not be built");
    fs::write(&messages, output.stdout).with_context(|| format!("writing {}", messages.display()))?;
    Ok(messages)
}

/// Whether kernels are named, and all of them are of another architecture, as `arm64` and `6.12-arm64-16k`
/// are.
fn is_foreign(arguments: &[String]) -> bool {
    let names = arguments.iter().take_while(|word| *word != "--");
    let (mut foreign, mut own) = (0, 0);
    for word in names {
        if word == "arm64" || word.contains("-arm64") {
            foreign += 1;
        } else if word == "x86_64"
            || word.split_once('.').is_some_and(|(major, _)| major.parse::<u32>().is_ok())
        {
            own += 1;
        }
    }
    foreign > 0 && own == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_before_the_command_tell_the_architecture() {
        for (line, expected) in [
            ("", false),
            ("6.12", false),
            ("arm64", true),
            ("6.12-arm64-16k --only root_pins", true),
            ("6.12 7.3-arm64", false),
            ("7.3 -- tombola info arm64", false),
            ("--kernel ./bzImage -- uname arm64", false),
        ] {
            let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
            assert_eq!(is_foreign(&words), expected, "{line}");
        }
    }
}
