//! A machine under QEMU: booted, watched, turned off.

use crate::arch::Arch;
use crate::console::Console;
use crate::emulator::Emulator;
use crate::payload::in_path;
use crate::verdict::Run;
use anyhow::{Context as _, Result, bail};
use nix::fcntl::{Flock, FlockArg};
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

/// How a machine is driven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accelerator {
    /// Emulation: slow, works everywhere.
    Tcg,
    /// Emulation of one CPU after another, in a time of 2 ns for each instruction, and none for idleness.
    /// The same work takes about the same time, whatever else the host does.
    Instructions,
    /// The host's hardware.
    Kvm,
}

/// How long to be patient.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// Until PID 1 says its first word.
    pub boot: Duration,
    /// Without a word of PID 1, which says every 20 s that it is there.
    pub silence: Duration,
    /// For all of it.
    pub total: Duration,
}

impl Default for Patience {
    /// The kernel's own watchdogs speak within 60 s, so that a stall is told before silence is.
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self { boot: seconds(120), silence: seconds(120), total: seconds(3000) }
    }
}

/// A kernel that panics, or is done, has this long to say why and to turn itself off.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// A machine to boot.
#[derive(Clone, Copy, Debug)]
pub struct Machine<'a> {
    /// What it is.
    pub arch: Arch,
    /// The kernel's image.
    pub kernel: &'a Path,
    /// Everything else that is in it.
    pub initramfs: &'a [u8],
    /// Where its console is kept.
    pub log: &'a Path,
    /// What runs it.
    pub emulator: &'a Emulator,
    /// How that drives it.
    pub accelerator: Accelerator,
    /// How many CPUs it has.
    pub smp: usize,
    /// When to give it up.
    pub patience: Patience,
    /// Set from outside to turn it off.
    pub interrupted: &'a AtomicBool,
}

/// Ends QEMU however this ends.
struct Qemu(Child);

impl Drop for Qemu {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Machine<'_> {
    /// Boots it, keeps its console, and shows the lines that matter. It is off when this returns.
    ///
    /// # Errors
    /// If QEMU cannot be started or a file cannot be written: what happens inside the machine is no error
    /// here.
    pub fn boot(&self, mut show: impl FnMut(&str)) -> Result<Run> {
        let mut log = self.open_log()?;
        let dir = tempfile::tempdir()?;
        let initrd = dir.path().join("initramfs");
        fs::write(&initrd, self.initramfs).with_context(|| format!("writing {}", initrd.display()))?;
        let mut qemu = Qemu(self.start(&initrd)?);
        let lines = lines_of(&mut qemu.0)?;

        let start = Instant::now();
        let (mut console, mut heard, mut last, mut newest) = (Console::default(), start, None, String::new());
        let mut clock = None;
        let cut = loop {
            match lines.recv_timeout(Duration::from_millis(100)) {
                Ok(line) => {
                    writeln!(log, "{line}").with_context(|| format!("writing {}", self.log.display()))?;
                    let words = console.words();
                    if console.line(&line) {
                        show(&line);
                    }
                    if console.words() > words {
                        heard = Instant::now();
                    }
                    if let Some(clock_ms) = console.take_clock_ms() {
                        let now = Instant::now();
                        let (at, then_ms) = *clock.get_or_insert((now, clock_ms));
                        if self.accelerator != Accelerator::Instructions
                            && let Some(why) = wrong_clock(now - at, clock_ms.saturating_sub(then_ms))
                        {
                            break Some(why);
                        }
                    }
                    newest = line;
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) if console.has_booted() => break None,
                Err(RecvTimeoutError::Disconnected) => {
                    break Some(format!("it never came up; its last words: {newest}"));
                }
            }
            if last.is_none() && (console.is_done() || console.has_panicked()) {
                last = Some(Instant::now());
            }
            if let Some(why) = self.cut(&console, start, heard, last) {
                break Some(why);
            }
        };
        drop(qemu);
        Ok(console.finish(cut))
    }

    /// Why to turn it off now.
    fn cut(
        &self,
        console: &Console,
        start: Instant,
        heard: Instant,
        last: Option<Instant>,
    ) -> Option<String> {
        let Patience { boot, silence, total } = self.patience;
        if self.interrupted.load(Ordering::Relaxed) {
            Some("interrupted".to_owned())
        } else if last.is_some_and(|at| at.elapsed() > LAST_WORDS) {
            Some("it did not turn itself off".to_owned())
        } else if !console.has_booted() && start.elapsed() > boot {
            Some(format!("no sign of life in {} s", boot.as_secs()))
        } else if console.has_booted() && last.is_none() && heard.elapsed() > silence {
            Some(format!("silent for {} s", silence.as_secs()))
        } else if start.elapsed() > total {
            Some(format!("not done in {} s", total.as_secs()))
        } else {
            None
        }
    }

    /// An empty log that nobody else writes.
    fn open_log(&self) -> Result<Flock<File>> {
        let what = || format!("writing {}", self.log.display());
        let file =
            File::options().create(true).truncate(false).write(true).open(self.log).with_context(what)?;
        let Ok(file) = Flock::lock(file, FlockArg::LockExclusiveNonblock) else {
            bail!(
                "{} is in use by another lane; wait for its end, or choose another --logs",
                self.log.display()
            );
        };
        file.set_len(0).with_context(what)?;
        Ok(file)
    }

    fn start(&self, initrd: &Path) -> Result<Child> {
        let accelerate = match self.accelerator {
            Accelerator::Tcg => self.arch.emulated(),
            Accelerator::Instructions => self.arch.counted(),
            Accelerator::Kvm => &["-accel", "kvm", "-cpu", "host"],
        };
        let words = format!("{} panic=-1 loglevel=5 mitigations=off nowatchdog", self.arch.words());
        // The kernel ends QEMU when the thread that starts it ends, and that is when this process does, by
        // whatever signal.
        let guard = ["setpriv", "--pdeathsig=KILL", "--"];
        let mut argv: Vec<&OsStr> = Vec::new();
        if in_path(guard[0]).is_some() {
            argv.extend(guard.map(OsStr::new));
        }
        argv.extend(self.emulator.argv.iter().map(OsString::as_os_str));
        Command::new(argv[0])
            .args(&argv[1..])
            .args(accelerate)
            .args([
                "-smp",
                &self.smp.to_string(),
                "-m",
                "1G",
                "-nodefaults",
                "-nographic",
                "-no-reboot",
                "-serial",
                "stdio",
            ])
            .args(["-append", &words, "-kernel"])
            .arg(self.kernel)
            .arg("-initrd")
            .arg(initrd)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("starting QEMU")
    }
}

/// Begins the reason of a machine whose clock is wrong.
pub const WRONG_CLOCK: &str = "its clock runs at";

/// A kernel measures the frequency of its time stamps while it boots, and on a busy host the emulation may
/// mislead it: then it sleeps, ticks and accounts in another time than ours.
fn wrong_clock(ours: Duration, its_ms: u64) -> Option<String> {
    let rate = its_ms as f64 / (ours.as_secs_f64() * 1000.0);
    // Half a second is enough to outlast the way of a line to us.
    let tells = ours.as_secs_f64().max(its_ms as f64 / 1000.0) > 0.5;
    (tells && !(0.8..=1.25).contains(&rate)).then(|| format!("{WRONG_CLOCK} {rate:.2} times the host's"))
}

/// Output and error output of QEMU, as they come.
fn lines_of(qemu: &mut Child) -> Result<Receiver<String>> {
    let (send, receive) = mpsc::channel();
    let pipes: [Box<dyn Read + Send>; 2] = [
        Box::new(qemu.stdout.take().context("QEMU without output")?),
        Box::new(qemu.stderr.take().context("QEMU without error output")?),
    ];
    for pipe in pipes {
        let send = send.clone();
        thread::spawn(move || {
            let mut reader = BufReader::new(pipe);
            let mut line = Vec::new();
            while reader.read_until(b'\n', &mut line).is_ok_and(|length| length > 0) {
                if send.send(String::from_utf8_lossy(&line).trim_end().to_owned()).is_err() {
                    break;
                }
                line.clear();
            }
        });
    }
    Ok(receive)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_wrong_if_its_second_is_not_ours() {
        let ours = Duration::from_millis;
        assert_eq!(wrong_clock(ours(0), 0), None);
        assert_eq!(wrong_clock(ours(1080), 1001), None);
        assert_eq!(wrong_clock(ours(1500), 1001).as_deref(), Some("its clock runs at 0.67 times the host's"));
        assert!(wrong_clock(ours(210), 1000).is_some());
    }
}
