//! `tombola unload`: detach, and leave nothing behind.

use crate::cli::UnloadArgs;
use crate::exit::Exit;
use crate::interrupt::Interrupt;
use anyhow::{Context, Result};
use std::io::Write;
use tombola_kernel::{PinnedMonitor, Pins};

/// Removes the pins and says which.
pub fn run(args: UnloadArgs, out: &mut dyn Write) -> Result<Exit> {
    let _interrupt = Interrupt::catch()?; // a first Ctrl-C waits until all is removed
    let pins = Pins::from(args.pins);
    let removed = PinnedMonitor::unload(&pins).context("cannot unload the monitor")?;
    if removed.is_empty() {
        writeln!(out, "nothing was loaded at {}", pins.map.display())?;
    } else {
        writeln!(out, "unloaded: {} pins removed", removed.len())?;
    }
    Ok(Exit::Ok)
}
