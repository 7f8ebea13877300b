//! The binary as a process: started without pins of the environment, and ended with its test.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::env;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

/// The binary with these arguments. Signals may be ignored where the tests run (nohup, `&`), and tombola
/// leaves ignored ones so: they are set back.
pub(crate) fn tombola(args: &[&str]) -> Command {
    let mut command = Command::new("env");
    for pin in ["MAP_PIN", "PROG_PIN", "LINK_PIN", "BTF_PATH"] {
        command.env_remove(pin);
    }
    command.args(["--default-signal=INT,TERM,HUP", env!("CARGO_BIN_EXE_tombola")]).args(args);
    command.stdin(Stdio::null());
    command
}

pub(crate) fn run(args: &[&str]) -> Output {
    tombola(args).output().unwrap()
}

/// Number of an ordinary user, and of its group.
pub(crate) const NOBODY: u32 = 65534;

pub(crate) fn is_installed(program: &str) -> bool {
    env::var_os("PATH").is_some_and(|path| env::split_paths(&path).any(|dir| dir.join(program).is_file()))
}

/// The binary as an ordinary user with these capabilities and no others, not even within reach.
pub(crate) fn as_nobody(binary: &Path, capabilities: &str) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups", "--no-new-privs"]);
    for set in ["--inh-caps", "--ambient-caps", "--bounding-set"] {
        command.arg(format!("{set}=-all{capabilities}"));
    }
    command.arg(binary);
    command
}

/// A process that does not outlive its test, whatever the test finds.
pub(crate) struct Running(pub(crate) Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Running {
    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(i32::try_from(self.0.id()).unwrap()), signal).unwrap();
    }
}
