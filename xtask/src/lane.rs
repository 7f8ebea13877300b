//! The live tests in other kernels: what `tombola-vm` needs is built, and it is given the list of the tests.

use crate::caller::{Caller, target};
use anyhow::{Context as _, Result, ensure};
use std::fs;
use std::path::Path;

/// Status of a lane that no code of this project can mend; see `vm/src/standing.rs`.
const OUTSIDE: u8 = 3;

/// Builds, lists and runs; the status is that of `tombola-vm`.
///
/// # Errors
/// If something does not build.
pub(crate) fn run(root: &Path, caller: &Caller, arguments: &[String]) -> Result<u8> {
    // The tests are built for this machine and run in that one.
    if std::env::consts::ARCH != "x86_64" {
        println!("lane: skipped, it boots x86_64, and this machine is {}", std::env::consts::ARCH);
        return Ok(OUTSIDE);
    }
    let mut build = caller.cargo(root);
    build.args(["build", "--release", "--locked", "--package", "tombola", "--package", "tombola-vm"]);
    ensure!(build.status().context("cargo build")?.success(), "tombola-vm could not be built");

    let target = target(root);
    let messages = target.join("vm-tests.json");
    let mut list = caller.cargo(root);
    list.args(["test", "--workspace", "--no-run", "--locked", "--message-format=json"]);
    let output = list.stderr(std::process::Stdio::inherit()).output().context("cargo test --no-run")?;
    ensure!(output.status.success(), "the tests could not be built");
    fs::write(&messages, output.stdout).with_context(|| format!("writing {}", messages.display()))?;

    // As the caller: cache and logs are the caller's.
    let mut lane = caller.as_caller(&target.join("release/tombola-vm").to_string_lossy());
    lane.arg("test").arg("--tombola").arg(target.join("release/tombola"));
    lane.arg("--logs").arg(target.join("vm")).arg("--messages").arg(&messages).args(arguments);
    let status = lane.status().context("tombola-vm")?;
    Ok(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(crate::FAILED))
}
