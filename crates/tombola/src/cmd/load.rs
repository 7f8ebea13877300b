//! `tombola load`: a monitor that measures with no process of ours alive.

use crate::cli::LoadArgs;
use crate::exit::Exit;
use crate::interrupt::Interrupt;
use crate::wall_time::utc;
use anyhow::{Context, Result};
use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use tombola_kernel::{Loaded, PinnedMonitor, Pins, Settings};

/// Loads, or finds what is loaded already.
pub fn run(args: LoadArgs, out: &mut dyn Write) -> Result<Exit> {
    // A first Ctrl-C waits until what was begun is whole: a load takes a fraction of a second.
    let _interrupt = Interrupt::catch()?;
    let settings = Settings {
        pins: args.pins.into(),
        btf: args.btf,
        object: args.obj,
        max_tasks: args.max_tasks,
        max_groups: args.max_groups,
        force: args.force,
    };
    match PinnedMonitor::load(&settings).context("cannot load the monitor")? {
        Loaded::Now(monitor) => {
            writeln!(
                out,
                "loaded: measuring since {}, room for {} tasks",
                utc(monitor.begin_unix_us),
                monitor.max_tasks
            )?;
            writeln!(out, "task map {}; read it with 'tombola dump'", monitor.pins.map.display())?;
            if let Some(notice) = closed_directory(&monitor.pins) {
                writeln!(out, "{notice}")?;
            }
        }
        Loaded::Already(monitor) => {
            writeln!(
                out,
                "already loaded since {}, by version {}, room for {} tasks",
                utc(monitor.begin_unix_us),
                monitor.version,
                monitor.max_tasks
            )?;
        }
    }
    Ok(Exit::Ok)
}

/// The map is readable for everybody, but a directory above it may not be: systemd mounts bpffs with mode 0700.
fn closed_directory(pins: &Pins) -> Option<String> {
    let dir = pins.map.parent().unwrap_or(Path::new("/"));
    let meta = fs::metadata(dir).ok()?;
    (meta.permissions().mode() & 0o001 == 0).then(|| {
        format!(
            "{0} has mode {1:04o}, so only uid {2} can read it; 'sudo chmod 755 {0}' lets others dump",
            dir.display(),
            meta.permissions().mode() & 0o7777,
            meta.uid()
        )
    })
}
