//! Fitting a BPF object to this kernel, and loading it.

use crate::btf_file::{self, KERNEL_BTF};
use crate::error::{Error, Result, os_error};
use crate::libbpf_log;
use crate::possible::possible;
use crate::probe::Rights;
use libbpf_rs::btf::Btf;
use libbpf_rs::btf::types::{Enum, Struct};
use libbpf_rs::libbpf_sys::BPF_F_NO_PREALLOC;
use libbpf_rs::{Link, MapCore as _, MapHandle, Object, ObjectBuilder, ProgramMut};
use std::ffi::OsStr;
use std::io;
use std::path::Path;

/// A BPF object in the kernel, nothing attached yet.
pub(crate) struct LoadedObject {
    object: Object,
    /// Which of the two shapes of the switch program was loaded.
    pub(crate) switch: &'static str,
}

/// What to load of an object.
pub(crate) struct Parts<'a> {
    /// The object file.
    pub(crate) bytes: &'a [u8],
    /// BTF of the running kernel, if not its own.
    pub(crate) btf: Option<&'a Path>,
    /// Names of the switch program that reads the state argument, and of the one that does not: one of them
    /// is loaded.
    pub(crate) switch: [&'static str; 2],
    /// Other programs.
    pub(crate) others: &'a [&'a str],
    /// Room in maps, by name.
    pub(crate) rooms: &'a [(&'a str, u32)],
    /// Hash maps that take memory for what they hold, and not for all their room at once. Only where
    /// [`grows_safely`].
    pub(crate) grown: &'a [&'a str],
}

impl LoadedObject {
    /// Fits the object to this kernel and loads it.
    pub(crate) fn load(parts: &Parts<'_>) -> Result<Self> {
        libbpf_log::start();
        if let Some(btf) = parts.btf {
            check_btf(btf)?;
        }
        let switch = parts.switch[usize::from(!switch_passes_state()?)];
        let broken = |e: libbpf_rs::Error| Error::Object { what: format!("{e:#}") };
        let mut builder = ObjectBuilder::default();
        builder.name("tombola").map_err(broken)?;
        if let Some(btf) = parts.btf {
            builder.btf_custom_path(btf).map_err(broken)?;
        }
        let mut open = builder.open_memory(parts.bytes).map_err(broken)?;
        for mut program in open.progs_mut() {
            let name = program.name().to_owned();
            program.set_autoload(
                name == OsStr::new(switch) || parts.others.iter().any(|other| name == OsStr::new(other)),
            );
        }
        for mut map in open.maps_mut() {
            let room = parts.rooms.iter().find(|(name, _)| map.name() == OsStr::new(name));
            if let Some((_, room)) = room {
                map.set_max_entries(*room).map_err(broken)?;
            }
            if parts.grown.iter().any(|name| map.name() == OsStr::new(name)) {
                map.set_map_flags(BPF_F_NO_PREALLOC).map_err(broken)?;
            }
        }
        let object = open.load().map_err(|e| refused("load", &e))?;
        Ok(Self { object, switch })
    }

    /// A handle to a map of the object.
    pub(crate) fn map(&self, name: &str) -> Result<MapHandle> {
        let missing = || Error::Object { what: format!("it has no map {name}") };
        let map = self.object.maps().find(|m| m.name() == name).ok_or_else(missing)?;
        MapHandle::try_from(&map).map_err(|e| Error::ReadMap { map: name.into(), reason: os_error(&e) })
    }

    /// A program of the object.
    pub(crate) fn program(&self, name: &str) -> Result<ProgramMut<'_>> {
        let missing = || Error::Object { what: format!("it has no program {name}") };
        self.object.progs_mut().find(|p| p.name() == name).ok_or_else(missing)
    }

    /// Attaches a program, until the link is dropped.
    pub(crate) fn attach(&self, name: &str) -> Result<Link> {
        self.program(name)?.attach().map_err(|e| refused("attach", &e))
    }
}

/// One more than the highest number that a CPU of this kernel can ever have.
pub(crate) fn possible_cpus() -> Result<u32> {
    // Arrays are indexed by the number of a CPU, and numbers may be left out.
    possible()
        .iter()
        .last()
        .map(|last| last + 1)
        .or_else(|| u32::try_from(libbpf_rs::num_possible_cpus().ok()?).ok())
        .ok_or_else(|| Error::Object { what: "the number of possible CPUs is unknown".into() })
}

/// Whether `sched_switch` passes the state of the task that leaves, as it does since 5.18: the program that
/// reads this argument is refused where it is missing.
fn switch_passes_state() -> Result<bool> {
    let btf = kernel_btf()?;
    btf_file::tracepoint_arguments(&btf, "sched_switch")
        .map(|arguments| arguments >= 4)
        .ok_or_else(|| no_btf("it does not describe the sched_switch tracepoint"))
}

/// Whether a structure of the running kernel has a member of this name.
pub(crate) fn kernel_has_member(structure: &str, member: &str) -> Result<bool> {
    let btf = kernel_btf()?;
    let found: Option<Struct<'_>> = btf.type_by_name(structure);
    Ok(found.is_some_and(|found| found.iter().any(|m| m.name == Some(OsStr::new(member)))))
}

/// Whether BPF programs of the running kernel may call a helper, by its name in `enum bpf_func_id`.
pub(crate) fn kernel_has_helper(name: &str) -> Result<bool> {
    let btf = kernel_btf()?;
    let found: Option<Enum<'_>> = btf.type_by_name("bpf_func_id");
    Ok(found.is_some_and(|helpers| helpers.iter().any(|helper| helper.name == Some(OsStr::new(name)))))
}

/// Whether a hash map may grow under the run-queue lock. Since 6.1 (fba1a1c6c912, `bpf_mem_alloc`) its
/// elements come from free lists of each CPU, which an interrupt fills up later; nothing is allocated where
/// one is taken. Before, an insertion calls the kernel's allocator, which may wake somebody, and deadlock.
pub(crate) fn grows_safely() -> Result<bool> {
    kernel_has_member("bpf_htab", "ma")
}

fn kernel_btf() -> Result<Btf<'static>> {
    Btf::from_vmlinux().map_err(|_| {
        no_btf("typed tracepoints need a kernel built with CONFIG_DEBUG_INFO_BTF=y, as those of the distributions are")
    })
}

fn no_btf(why: &str) -> Error {
    Error::Btf { path: KERNEL_BTF.into(), why: why.into() }
}

/// Refuses a missing, damaged or foreign BTF file before libbpf meets it.
fn check_btf(path: &Path) -> Result<()> {
    let unusable = |fault: btf_file::Fault| Error::Btf { path: path.to_owned(), why: fault.to_string() };
    btf_file::check(path).map(drop).map_err(unusable)
}

/// The kernel's refusal in one line, with the log beside it where it says more than that.
pub(crate) fn refused(action: &str, error: &libbpf_rs::Error) -> Error {
    let text = libbpf_log::text();
    let verifier_spoke = text.contains("BEGIN PROG LOAD LOG");
    let os = os_error(error);
    let rights = Rights::of_this_process();
    // Who may load and not look into the kernel is told so by the verifier, in words of its own.
    if os.kind() == io::ErrorKind::PermissionDenied && (!verifier_spoke || rights.lack()) {
        let why = format!("{}; {}; see 'tombola doctor'", rights.reasons().join("; "), rights.remedy());
        return Error::Refused { why, log: None };
    }
    let verdict = text.lines().rev().map(str::trim).find(|line| !line.is_empty() && !is_noise(line));
    let why = match (verdict, os.kind()) {
        (Some(line), _) if verifier_spoke => format!("the verifier says '{line}'"),
        (_, io::ErrorKind::OutOfMemory) => {
            "not enough memory for its maps; try a smaller --max-tasks, or --lane".into()
        }
        _ => format!("{action}: {os}; see 'tombola doctor'"),
    };
    Error::Refused { why, log: libbpf_log::save() }
}

/// Lines around the verifier's verdict, which is the last of the others.
fn is_noise(line: &str) -> bool {
    line.starts_with("libbpf:")
        || line.starts_with("processed ")
        || line.starts_with("--")
        || line.starts_with("verification time")
}
