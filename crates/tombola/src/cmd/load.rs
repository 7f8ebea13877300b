//! `tombola load`: a monitor that measures with no process of ours alive.

use crate::cli::LoadArgs;
use crate::exit::Exit;
use crate::interrupt::Interrupt;
use crate::pace::notify;
use crate::wall_time::utc;
use anyhow::{Context, Result};
use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use tombola_kernel::{Loaded, PinnedMonitor, Pins, Settings};

/// Loads, or finds what is loaded already.
pub fn run(args: &LoadArgs, out: &mut dyn Write) -> Result<Exit> {
    // A first Ctrl-C waits until what was begun is whole: a load takes a fraction of a second.
    let _interrupt = Interrupt::catch()?;
    let settings = Settings {
        pins: args.pins.clone().into(),
        btf: args.btf.clone(),
        object: args.obj.clone(),
        max_tasks: args.max_tasks.unwrap_or_default(),
        max_groups: args.max_groups.unwrap_or_default(),
        force: args.force,
        light: args.light,
    };
    match PinnedMonitor::load(&settings).context("cannot load the monitor")? {
        Loaded::Now(monitor) => {
            writeln!(out, "loaded: measuring since {}, {}", utc(monitor.begin_unix_us), kind(&monitor))?;
            let map = &monitor.pins.map;
            let named =
                if *map == Pins::default().map { String::new() } else { format!(" --map {}", map.display()) };
            writeln!(out, "task map {}; read it with 'tombola dump{named}'", map.display())?;
            if let Some(notice) = closed_directory(&monitor.pins) {
                writeln!(out, "{notice}")?;
            }
        }
        Loaded::Already(monitor) => {
            writeln!(
                out,
                "already loaded since {}, by version {}, {}",
                utc(monitor.begin_unix_us),
                monitor.version,
                kind(&monitor)
            )?;
            let without_effect = without_effect(args, &monitor);
            if !without_effect.is_empty() {
                notify(&format!(
                    "without effect on a monitor that is loaded: {}; 'tombola load --force' replaces it, and what it has measured",
                    without_effect.join(", ")
                ));
            }
        }
    }
    Ok(Exit::Ok)
}

/// What is to be known of a monitor beside its age.
fn kind(monitor: &PinnedMonitor) -> String {
    match monitor.max_tasks {
        Some(room) => format!("room for {room} tasks"),
        None => "light: the kernel's own counters, nothing at the switches".to_owned(),
    }
}

/// The flags that a monitor which was there already does not follow.
fn without_effect(args: &LoadArgs, monitor: &PinnedMonitor) -> Vec<String> {
    let object = args.obj.as_ref().map(|path| format!("--obj {}", path.display()));
    let btf = args.btf.as_ref().map(|path| format!("--btf {}", path.display()));
    let room = args.max_tasks.filter(|room| Some(room.get()) != monitor.max_tasks);
    let room = room.map(|room| format!("--max-tasks {}", room.get()));
    let groups = args.max_groups.map(|room| format!("--max-groups {}", room.get()));
    let light = (args.light && !monitor.light).then(|| "--light".to_owned());
    [object, btf, room, groups, light].into_iter().flatten().collect()
}

/// The map is readable for everybody, but a directory above it may not be: systemd mounts bpffs with
/// mode 0700.
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
