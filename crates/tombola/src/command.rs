//! A command that is run to be watched: a child process, and all that comes from it.

use crate::interrupt::Interrupt;
use crate::limits::cannot_start;
use crate::pace::Waited;
use crate::text::harmless;
use crate::visibility::{Pids, pids};
use anyhow::{Context, Result, anyhow};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, getpgrp};
use rustix::process::{PidfdFlags, pidfd_open};
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::{self, File};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// How often its processes are looked up. One that lives shorter between two looks, and is no child of one
/// that is known, counts as foreign.
const LOOK: Duration = Duration::from_millis(50);

/// A running or ended command.
pub struct Command {
    child: Child,
    /// Tells its end at once; `None` where the kernel has none (before 5.3).
    end: Option<OwnedFd>,
    status: Option<ExitStatus>,
    /// It and its descendants, as far as they were seen, also those that have ended: their PIDs here.
    seen: BTreeSet<u32>,
    /// The same by the PIDs that the kernel counts in, as far as these are known.
    processes: BTreeSet<u32>,
    /// Its own PID among these.
    pid: u32,
    /// Whether the signal that ended this run was passed on.
    forwarded: bool,
}

impl Command {
    /// Starts it, with the standard streams of this process.
    pub fn start(program: &OsString, arguments: &[OsString]) -> Result<Self> {
        Self::start_after(program, arguments, || Ok(()))
    }

    /// Starts a line of the shell that reads nothing, and whose standard output nobody reads.
    pub fn start_line(line: &str) -> Result<Self> {
        let mut shell = std::process::Command::new("sh");
        shell.args(["-c", line]).stdin(Stdio::null()).stdout(Stdio::null());
        Self::spawn(shell, "sh", || Ok(()))
    }

    /// Starts it from a thread of its own that has done `before`: what this does to the thread, such as
    /// changing its scheduling policy, the command inherits, and this process does not have.
    pub fn start_after(
        program: &OsString,
        arguments: &[OsString],
        before: impl FnOnce() -> Result<()> + Send,
    ) -> Result<Self> {
        let mut command = std::process::Command::new(program);
        command.args(arguments);
        Self::spawn(command, &harmless(program.as_encoded_bytes()), before)
    }

    fn spawn(
        mut command: std::process::Command,
        name: &str,
        before: impl FnOnce() -> Result<()> + Send,
    ) -> Result<Self> {
        let failed = |error| cannot_start(&format!("'{name}'"), error);
        // Whatever this loads is loaded before there is something to watch.
        let _ = pids();
        let start = || {
            before()?;
            command.spawn().map_err(failed)
        };
        let child = thread::scope(|scope| {
            let starter = thread::Builder::new().spawn_scoped(scope, start).map_err(failed)?;
            starter.join().map_err(|_| anyhow!("the thread that starts the command panicked"))?
        })?;
        let here = child.id();
        let pid = i32::try_from(here).ok().and_then(rustix::process::Pid::from_raw);
        let end = pid.and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok());
        let seen = BTreeSet::from([here]);
        // It was not waited for yet, so it has its PID.
        let processes = counted(&seen);
        let pid = processes.first().copied().unwrap_or(here);
        Ok(Self { child, end, status: None, seen, processes, pid, forwarded: false })
    }

    /// Its process id, as the kernel counts, or as this process does where that is not known.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Its exit status, or 128 + the number of the signal that killed it; `None` while it runs.
    pub fn exit_status(&self) -> Option<i32> {
        let status = self.status?;
        status.code().or_else(|| status.signal().map(|signal| 128 + signal))
    }

    /// It and its descendants, by the PIDs that the kernel counts in.
    pub fn processes(&self) -> &BTreeSet<u32> {
        &self.processes
    }

    /// Waits for its end, at most for `length`. A signal to this process is passed on, and the wait goes on:
    /// who is told to end may have something to put in order.
    pub fn wait(&mut self, interrupt: &Interrupt, length: Option<Duration>) -> Result<Waited> {
        let end = length.and_then(|length| Instant::now().checked_add(length));
        loop {
            self.look();
            if self.status.is_none() {
                self.status = self.child.try_wait().context("cannot wait for the command")?;
            }
            if self.status.is_some() {
                return Ok(Waited::Last);
            }
            let left = end.map_or(LOOK, |end| end.saturating_duration_since(Instant::now()).min(LOOK));
            if left.is_zero() {
                return Ok(Waited::Full);
            }
            if !interrupt.raised() {
                interrupt.wait_beside(self.end.as_ref().map(OwnedFd::as_fd), left);
            } else if self.forwarded {
                thread::sleep(left);
            }
            if interrupt.raised() && !self.forwarded {
                self.forwarded = true;
                self.forward(interrupt.signal());
            }
        }
    }

    /// Waits for its end, however long it takes; its exit status.
    pub fn finish(&mut self, interrupt: &Interrupt) -> Result<Option<i32>> {
        while self.wait(interrupt, None)? == Waited::Full {}
        Ok(self.exit_status())
    }

    /// Passes a signal on, unless the terminal has sent it to both.
    fn forward(&self, number: Option<i32>) {
        let signal = number.and_then(|number| Signal::try_from(number).ok()).unwrap_or(Signal::SIGTERM);
        if signal == Signal::SIGINT && has_terminal() {
            return;
        }
        if let Ok(pid) = i32::try_from(self.child.id()) {
            let _ = kill(Pid::from_raw(pid), signal); // gone already: nothing to tell
        }
    }

    /// Adds the children of all known processes.
    fn look(&mut self) {
        let mut left: Vec<u32> = self.seen.iter().copied().collect();
        let mut found = BTreeSet::new();
        while let Some(pid) = left.pop() {
            let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else { continue };
            for thread in threads.filter_map(Result::ok) {
                let children = fs::read_to_string(thread.path().join("children")).unwrap_or_default();
                let children = children.split_ascii_whitespace().filter_map(|pid| pid.parse().ok());
                left.extend(children.filter(|child| self.seen.insert(*child) && found.insert(*child)));
            }
        }
        self.processes.extend(counted(&found));
    }
}

/// The PIDs that the kernel counts in, of processes with these PIDs here. Who was waited for meanwhile has
/// none any more.
fn counted(here: &BTreeSet<u32>) -> BTreeSet<u32> {
    match pids() {
        Pids::Initial => here.clone(),
        Pids::Namespace(namespace) if !here.is_empty() => {
            let pids = namespace.pids().unwrap_or_default();
            pids.into_iter().filter(|(_, pid)| here.contains(pid)).map(|(pid, _)| pid).collect()
        }
        Pids::Namespace(_) | Pids::Unknown(_) => BTreeSet::new(),
    }
}

/// Whether this process is in the foreground of a terminal, whose Ctrl-C then goes to the command too.
fn has_terminal() -> bool {
    let group = File::open("/dev/tty").ok().and_then(|tty| rustix::termios::tcgetpgrp(tty).ok());
    group.is_some_and(|group| group.as_raw_nonzero().get() == getpgrp().as_raw())
}
