//! A machine under QEMU: booted, watched, turned off.

use crate::console::Console;
use crate::verdict::Run;
use anyhow::{Context as _, Result};
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

/// How a machine is driven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accelerator {
    /// Emulation: slow, works everywhere.
    Tcg,
    /// The host's hardware.
    Kvm,
}

/// How long to be patient.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// Until PID 1 says its first word.
    pub boot: Duration,
    /// Without a line on the console.
    pub silence: Duration,
    /// For all of it.
    pub total: Duration,
}

impl Default for Patience {
    /// The silence is longer than the limit of a single step, which PID 1 keeps.
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self { boot: seconds(120), silence: seconds(240), total: seconds(1500) }
    }
}

/// A kernel that panics has this long to say why.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// Ends QEMU however this ends.
struct Qemu(Child);

impl Drop for Qemu {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Boots `kernel` with `initramfs`, writes its console to `log`, and shows the lines that matter.
///
/// # Errors
/// If QEMU cannot be started or a file cannot be written: what happens inside the machine is no error here.
pub fn boot(
    kernel: &Path,
    initramfs: &[u8],
    log: &Path,
    accelerator: Accelerator,
    patience: Patience,
    mut show: impl FnMut(&str),
) -> Result<Run> {
    let dir = tempfile::tempdir()?;
    let initrd = dir.path().join("initramfs");
    fs::write(&initrd, initramfs).with_context(|| format!("writing {}", initrd.display()))?;
    let mut log_file = File::create(log).with_context(|| format!("writing {}", log.display()))?;

    let accelerate = match accelerator {
        Accelerator::Tcg => ["-accel", "tcg,thread=multi", "-cpu", "max"],
        Accelerator::Kvm => ["-accel", "kvm", "-cpu", "host"],
    };
    // Time stamps of an emulated processor are those of the host: the kernel's suspicion would cost it its clock.
    let words =
        "console=ttyS0 panic=-1 loglevel=5 mitigations=off tsc=reliable nowatchdog random.trust_cpu=on";
    let child = Command::new("qemu-system-x86_64")
        .args(accelerate)
        .args(["-smp", "2", "-m", "1G", "-nodefaults", "-nographic", "-no-reboot", "-serial", "stdio"])
        .arg("-kernel")
        .arg(kernel)
        .arg("-initrd")
        .arg(&initrd)
        .args(["-append", words])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("starting qemu-system-x86_64; is it installed?")?;
    let mut qemu = Qemu(child);
    let (send, receive) = mpsc::channel();
    let pipes: [Box<dyn std::io::Read + Send>; 2] = [
        Box::new(qemu.0.stdout.take().context("QEMU without output")?),
        Box::new(qemu.0.stderr.take().context("QEMU without error output")?),
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
    drop(send);

    let start = Instant::now();
    let (mut console, mut heard, mut cut, mut last) = (Console::default(), start, None, None);
    loop {
        match receive.recv_timeout(Duration::from_millis(250)) {
            Ok(line) => {
                heard = Instant::now();
                writeln!(log_file, "{line}").with_context(|| format!("writing {}", log.display()))?;
                if console.line(&line) {
                    show(&line);
                }
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
        if last.is_none() && (console.is_done() || console.has_panicked()) {
            last = Some(Instant::now());
        }
        cut = if last.is_some_and(|at| at.elapsed() > LAST_WORDS) {
            Some("it did not turn itself off".to_owned())
        } else if !console.has_booted() && start.elapsed() > patience.boot {
            Some(format!("no sign of life in {} s", patience.boot.as_secs()))
        } else if heard.elapsed() > patience.silence {
            Some(format!("silent for {} s", patience.silence.as_secs()))
        } else if start.elapsed() > patience.total {
            Some(format!("not done in {} s", patience.total.as_secs()))
        } else {
            continue;
        };
        break;
    }
    drop(qemu);
    Ok(console.finish(cut))
}
