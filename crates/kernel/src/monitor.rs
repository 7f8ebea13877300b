//! A running monitor: pinned, to outlive this process, or private to it.

use crate::clock;
use crate::cpu_books::cpu_times;
use crate::error::{Error, Result, os_error};
use crate::initial_pids::pids_are_initial;
use crate::monitor_object::{MonitorObject, built_in_layout};
use crate::object::LoadedObject;
use crate::pinned_map::{open_pin, open_pin_error};
use crate::pins::{LIGHT_ITERATOR, OTHERS, Pins, WAKEUP, companion};
use crate::reader::{FullReader, LightReader, Reader};
use crate::settings::Settings;
use crate::task_iterator::TaskIterator;
use crate::visit::visit_every_cpu;
use crate::wire::{Wire, c_bytes, c_field, control, cpu_slot, light_task, schema};
use libbpf_rs::{Link, MapCore as _, MapFlags};
use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// "tombola" in the bytes of a u64 (`SCHEMA_MAGIC` in `bpf/wire.h`).
pub(crate) const SCHEMA_MAGIC: u64 = 0x0061_6c6f_626d_6f74;

/// What a load came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Loaded {
    /// A monitor measures since now.
    Now(PinnedMonitor),
    /// One of this layout was there already.
    Already(PinnedMonitor),
}

/// A monitor that is pinned, as its schema map describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PinnedMonitor {
    /// Where.
    pub pins: Pins,
    /// Version of tombola that loaded it.
    pub version: String,
    /// When it began to measure, microseconds since the Unix epoch, on the wall clock of that moment.
    pub begin_unix_us: u64,
    /// The same on the monotonic clock, nanoseconds.
    pub begin_ns: u64,
    /// Room in its task map; `None` where there is no bound.
    pub max_tasks: Option<u32>,
    /// Whether it is a light one: the kernel's own counters, and nothing where tasks are switched.
    pub light: bool,
}

/// A monitor that ends with this value.
pub struct PrivateMonitor {
    reader: Reader,
    _links: Vec<Link>,
}

impl PrivateMonitor {
    /// Loads and attaches a monitor without pins.
    ///
    /// # Errors
    /// Whatever keeps this kernel or this user from it.
    pub fn start(settings: &Settings) -> Result<Self> {
        let monitor = MonitorObject::load(settings)?;
        let links = attach(&monitor)?;
        let schema = describe(&monitor, settings, Instants::now());
        begin(&monitor, &links, &schema)?;
        let iterator = iterator_of(&monitor, &links)?;
        let reader = if settings.light {
            LightReader::of_object(&monitor.loaded, iterator, &schema)?.into()
        } else {
            FullReader::of_object(&monitor.loaded, iterator, &schema)?.into()
        };
        Ok(Self { reader, _links: links })
    }

    /// Reads it.
    pub fn reader(&self) -> &Reader {
        &self.reader
    }
}

impl PinnedMonitor {
    /// Loads a monitor and pins it, or finds one that is there.
    ///
    /// # Errors
    /// [`Error::Locked`] while another process does the same; [`Error::OtherLayout`] and
    /// [`Error::Incomplete`] for pins that only `force` replaces; whatever keeps this kernel or this user
    /// from loading. After an error nothing of the attempt is left.
    pub fn load(settings: &Settings) -> Result<Loaded> {
        let pins = &settings.pins;
        pins.check()?;
        let _lock = pins.lock()?;
        if settings.force {
            pins.remove()?;
        } else {
            match Self::find(pins) {
                Ok(found) => return Ok(Loaded::Already(found)),
                Err(Error::NotLoaded { .. }) => {}
                Err(Error::Shape { path, why }) => {
                    return Err(Error::Shape {
                        path,
                        why: format!("{why}; 'tombola load --force' replaces it"),
                    });
                }
                Err(other) => return Err(other),
            }
        }
        pins.check_free()?;
        let monitor = MonitorObject::load(settings)?;
        let mut links = attach(&monitor)?;
        let schema = describe(&monitor, settings, Instants::now());
        let pinned = pin_all(&monitor, &mut links, pins).and_then(|()| begin(&monitor, &links, &schema));
        if let Err(error) = pinned {
            let _ = pins.remove(); // the first error is the one to tell
            return Err(error);
        }
        Self::find(pins).map(Loaded::Now)
    }

    /// The monitor pinned at these paths.
    ///
    /// # Errors
    /// [`Error::NotLoaded`] if nothing is there, [`Error::Incomplete`] or [`Error::OtherLayout`] if it cannot
    /// be used.
    pub fn find(pins: &Pins) -> Result<Self> {
        if !pins.has_maps() {
            return Err(match fs::symlink_metadata(&pins.map) {
                Err(e) if e.kind() == io::ErrorKind::PermissionDenied => open_pin_error(&pins.map, e),
                _ => Error::NotLoaded { map: pins.map.clone() },
            });
        }
        let schema = read_schema(pins)?;
        let version = String::from_utf8_lossy(&c_bytes(&schema.version)).into_owned();
        let is_light = schema.light != 0;
        if schema.layout != built_in_layout(is_light)? {
            return Err(Error::OtherLayout { map: pins.map.clone(), version });
        }
        let pins = Pins {
            map: pins.map.clone(),
            prog: OsStr::from_bytes(&c_bytes(&schema.prog_pin)).into(),
            link: OsStr::from_bytes(&c_bytes(&schema.link_pin)).into(),
        };
        // The program that not every kernel needs is there as a whole or not at all.
        let mut optional = vec![pins.companion(WAKEUP), pins.companion_link(WAKEUP)];
        if optional.iter().any(|p| p.symlink_metadata().is_ok()) {
            optional.clear();
        }
        // A reader may be shown the maps alone, and have no way to where the programs are pinned.
        let is_missing =
            |p: &PathBuf| p.symlink_metadata().is_err_and(|error| error.kind() == io::ErrorKind::NotFound);
        let others: &[&str] = if is_light { &[LIGHT_ITERATOR] } else { &OTHERS };
        let missing: Vec<String> = pins
            .of_programs(others)
            .iter()
            .filter(|p| is_missing(p) && !optional.contains(p))
            .map(|p| p.display().to_string())
            .collect();
        if !missing.is_empty() || schema.begin_ns == 0 {
            let what = if missing.is_empty() {
                "measuring never began".into()
            } else {
                format!("missing: {}", missing.join(", "))
            };
            return Err(Error::Incomplete { map: pins.map, what });
        }
        Ok(Self {
            version,
            begin_unix_us: schema.begin_unix_ns / 1000,
            begin_ns: schema.begin_ns,
            max_tasks: (!is_light).then_some(schema.max_tasks),
            light: is_light,
            pins,
        })
    }

    /// Reads it.
    ///
    /// # Errors
    /// [`Error::OpenPin`] where the pins may not be read, [`Error::Shape`] or [`Error::NotAMap`] if they are
    /// not what they should be.
    pub fn reader(&self) -> Result<Reader> {
        let schema = read_schema(&self.pins)?;
        if schema.light != 0 && !pids_are_initial() {
            Err(Error::LightInNamespace)
        } else if schema.light != 0 {
            LightReader::of_pins(&self.pins, &schema).map(Reader::from)
        } else {
            FullReader::of_pins(&self.pins, &schema).map(Reader::from)
        }
    }

    /// Removes a monitor, whole or not, and says which pins were there. Pins of other monitors stay.
    ///
    /// # Errors
    /// [`Error::Locked`] while somebody loads; [`Error::Pin`] where a pin may not be removed;
    /// [`Error::OpenPin`] where the kernel lets this user see nothing of it, so that a part of it would stay.
    pub fn unload(pins: &Pins) -> Result<Vec<PathBuf>> {
        pins.check()?;
        let _lock = pins.lock()?;
        // What was loaded knows best where it is pinned.
        let pins = match Self::find(pins) {
            Ok(found) => found.pins,
            // Who may not look cannot tell whose program and link are pinned there: they would stay, and go
            // on measuring.
            Err(Error::OpenPin { path, reason, remedy })
                if reason.kind() == io::ErrorKind::PermissionDenied =>
            {
                return Err(Error::OpenPin { path, reason, remedy });
            }
            Err(_) => pins.clone(),
        };
        pins.remove()
    }
}

fn read_schema(pins: &Pins) -> Result<schema> {
    let map = match open_pin(&pins.map) {
        Err(Error::OpenPin { reason, .. }) if reason.kind() == io::ErrorKind::NotFound => {
            let what = format!("{} is missing", pins.map.display());
            return Err(Error::Incomplete { map: pins.map.clone(), what });
        }
        other => other?,
    };
    let path = pins.companion(companion::SCHEMA_MAP);
    if path.symlink_metadata().is_err_and(|e| e.kind() == io::ErrorKind::NotFound) {
        if map.name() != "task_map" {
            let why = format!("it is the map '{}', not a monitor's task_map", map.name().to_string_lossy());
            return Err(Error::Shape { path: pins.map.clone(), why });
        }
        let what = format!("no schema in {}", pins.companions().display());
        return Err(Error::Incomplete { map: pins.map.clone(), what });
    }
    let value = open_pin(&path)?
        .lookup(&0u32.to_ne_bytes(), MapFlags::ANY)
        .map_err(|e| Error::ReadMap { map: companion::SCHEMA_MAP.into(), reason: os_error(&e) })?;
    match value.as_deref().and_then(schema::read) {
        Some(schema) if schema.magic == SCHEMA_MAGIC => Ok(schema),
        Some(_) => {
            Err(Error::Incomplete { map: pins.map.clone(), what: "the schema was never written".into() })
        }
        None => Err(Error::OtherLayout { map: pins.map.clone(), version: "unknown".into() }),
    }
}

/// The first program's link, and those of the others in their order.
fn attach(monitor: &MonitorObject) -> Result<Vec<Link>> {
    let loaded = &monitor.loaded;
    [loaded.switch].iter().chain(&monitor.others).map(|name| loaded.attach(name)).collect()
}

/// A descriptor of the link of the iterator that readers run.
fn iterator_of(monitor: &MonitorObject, links: &[Link]) -> Result<OwnedFd> {
    let link = monitor.others.iter().zip(&links[1..]).find(|(name, _)| **name == monitor.iterator);
    let missing = || Error::Object { what: format!("it has no program {}", monitor.iterator) };
    let (_, link) = link.ok_or_else(missing)?;
    link.as_fd()
        .try_clone_to_owned()
        .map_err(|reason| Error::ReadMap { map: monitor.iterator.into(), reason })
}

fn pin_all(monitor: &MonitorObject, links: &mut [Link], pins: &Pins) -> Result<()> {
    let loaded = &monitor.loaded;
    let dir = pins.companions();
    let failed = |path: &Path, reason: io::Error| Error::Pin { action: "pin", path: path.to_owned(), reason };
    let _ = fs::remove_dir(&dir); // empty, as a load leaves it that was killed right after the next line
    fs::create_dir(&dir).map_err(|e| failed(&dir, e))?;
    chmod(&dir, 0o755)?;
    // Maps first: by them a program and a link are known as this monitor's, should the pinning end half-way.
    let near = (monitor.near > 0).then(|| ("near_map", pins.companion(companion::NEAR_MAP)));
    let maps = [
        ("task_map", pins.map.clone()),
        ("cpu_map", pins.companion(companion::CPU_MAP)),
        ("exited_map", pins.companion(companion::EXITED_MAP)),
        ("group_map", pins.companion(companion::GROUP_MAP)),
        ("control_map", pins.companion(companion::CONTROL_MAP)),
        ("schema_map", pins.companion(companion::SCHEMA_MAP)),
    ];
    for (name, path) in maps.into_iter().chain(near) {
        loaded.map(name)?.pin(&path).map_err(|e| failed(&path, os_error(&e)))?;
        chmod(&path, 0o644)?;
    }
    let others = monitor.others.iter().map(|&name| (name, pins.companion(name), pins.companion_link(name)));
    let programs = [(loaded.switch, pins.prog.clone(), pins.link.clone())].into_iter().chain(others);
    for ((name, path, link_path), link) in programs.zip(links) {
        loaded.program(name)?.pin(&path).map_err(|e| failed(&path, os_error(&e)))?;
        link.pin(&link_path).map_err(|e| failed(&link_path, os_error(&e)))?;
        if name == monitor.iterator {
            chmod(&link_path, 0o644)?;
        }
    }
    Ok(())
}

/// Readers need no root; only the owner writes.
fn chmod(path: &Path, mode: u32) -> Result<()> {
    fs::set_permissions(path, Permissions::from_mode(mode)).map_err(|reason| Error::Pin {
        action: "set the mode of",
        path: path.to_owned(),
        reason,
    })
}

/// One instant on three clocks, nanoseconds.
#[derive(Clone, Copy)]
struct Instants {
    monotonic: u64,
    boot: u64,
    unix: u64,
}

impl Instants {
    fn now() -> Self {
        Self { monotonic: clock::monotonic_ns(), boot: clock::boot_ns(), unix: clock::unix_ns() }
    }
}

fn describe(monitor: &MonitorObject, settings: &Settings, now: Instants) -> schema {
    schema {
        magic: SCHEMA_MAGIC,
        layout: monitor.layout,
        begin_ns: now.monotonic,
        begin_boot_ns: now.boot,
        begin_unix_ns: now.unix,
        ring_bits: monitor.ring_bits,
        max_tasks: monitor.max_tasks,
        light: settings.light.into(),
        pad: 0,
        version: c_field(env!("CARGO_PKG_VERSION").as_bytes()),
        prog_pin: c_field(settings.pins.prog.as_os_str().as_bytes()),
        link_pin: c_field(settings.pins.link.as_os_str().as_bytes()),
    }
}

/// Lets the programs count, everything else being in place, and shows them every CPU.
fn begin(monitor: &MonitorObject, links: &[Link], schema: &schema) -> Result<()> {
    let loaded = &monitor.loaded;
    let write = |name: &str, value: &[u8]| write(loaded, name, 0, value);
    write("schema_map", schema.bytes())?;
    if schema.light != 0 {
        note_begin(monitor, links)?;
    }
    // The kernel copies a value in no order: what the programs read once they see that they are to begin is
    // there before.
    for begin_ns in [0, schema.begin_ns] {
        let control = control {
            begin_ns,
            begin_boot_ns: schema.begin_boot_ns,
            ring_bits: schema.ring_bits,
            near_mask: monitor.near.saturating_sub(1),
        };
        write("control_map", control.bytes())?;
    }
    if schema.light == 0 {
        visit_every_cpu();
    }
    Ok(())
}

/// Notes what the kernel has counted before, of tasks by their iterator and of CPUs.
fn note_begin(monitor: &MonitorObject, links: &[Link]) -> Result<()> {
    for (cpu, times) in cpu_times() {
        let slot = cpu_slot { busy_ns: times.busy_ns, idle_ns: times.idle_ns, ..cpu_slot::default() };
        write(&monitor.loaded, companion::CPU_MAP, cpu, slot.bytes())?;
    }
    TaskIterator::of_link(monitor.iterator, iterator_of(monitor, links)?).read::<light_task>().map(drop)
}

fn write(loaded: &LoadedObject, map: &str, at: u32, value: &[u8]) -> Result<()> {
    loaded
        .map(map)?
        .update(&at.to_ne_bytes(), value, MapFlags::ANY)
        .map_err(|e| Error::ReadMap { map: map.into(), reason: os_error(&e) })
}
