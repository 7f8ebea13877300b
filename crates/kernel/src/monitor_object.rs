//! The monitor's BPF object: the built-in one or another of the same layout, with maps sized for this machine.

use crate::error::{Error, Result};
use crate::layout;
use crate::libbpf_log;
use crate::object::{LoadedObject, Parts, kernel_has_member, possible_cpus};
use crate::pins::{OTHERS, WAKEUP};
use crate::settings::Settings;
use crate::wire::MONITOR;
use libbpf_rs::btf::Btf;
use std::borrow::Cow;
use std::fs;

/// Ended tasks remembered on the whole machine, and the least that a CPU remembers, as powers of two: 8,192 of them take
/// 3 MB.
const RING_BITS_TOTAL: u32 = 13;
const RING_BITS_LEAST: u32 = 7;

/// The monitor in the kernel, nothing attached yet.
pub(crate) struct MonitorObject {
    pub(crate) loaded: LoadedObject,
    pub(crate) layout: u64,
    pub(crate) ring_bits: u32,
    pub(crate) max_tasks: u32,
    /// Those of [`OTHERS`] that this kernel needs.
    pub(crate) others: Vec<&'static str>,
}

impl MonitorObject {
    /// Opens the object named in the settings, or the built-in one, and loads it.
    pub(crate) fn load(settings: &Settings) -> Result<Self> {
        libbpf_log::start();
        let bytes = match &settings.object {
            None => Cow::Borrowed(MONITOR),
            Some(path) => Cow::Owned(
                fs::read(path).map_err(|e| Error::Object { what: format!("{}: {e}", path.display()) })?,
            ),
        };
        let layout = layout_of(&bytes)?;
        if layout != built_in_layout()? {
            let what = "its structs differ from those of this binary; compile both from the same bpf/wire.h";
            return Err(Error::Object { what: what.into() });
        }
        let cpus = possible_cpus()?;
        let ring_bits = RING_BITS_TOTAL.saturating_sub(cpus.next_power_of_two().ilog2()).max(RING_BITS_LEAST);
        let max_tasks = settings.max_tasks.get();
        let sleeps_queued = kernel_has_member("sched_entity", "sched_delayed")?;
        let others: Vec<&str> = OTHERS.into_iter().filter(|&name| name != WAKEUP || sleeps_queued).collect();
        let loaded = LoadedObject::load(&Parts {
            bytes: &bytes,
            btf: settings.btf.as_deref(),
            switch: ["sched_lottery", "sched_lottery_3"],
            others: &others,
            rooms: &[
                ("task_map", max_tasks),
                ("cpu_map", cpus),
                ("exited_map", cpus << ring_bits),
                ("group_map", group_room(settings.max_groups.get(), cpus)),
            ],
        })?;
        Ok(Self { loaded, layout, ring_bits, max_tasks, others })
    }
}

/// Entries that a map which puts out the oldest needs to hold so many groups: each CPU keeps up to 128 free ones in reserve
/// (`LOCAL_FREE_TARGET` in `kernel/bpf/bpf_lru_list.c`).
fn group_room(groups: u32, cpus: u32) -> u32 {
    groups + 128 * cpus
}

/// Layout fingerprint of the object in this binary: what every reader here understands.
pub(crate) fn built_in_layout() -> Result<u64> {
    layout_of(MONITOR)
}

fn layout_of(object: &[u8]) -> Result<u64> {
    let damaged = |what: String| Error::Object { what };
    let btf = Btf::from_raw("tombola", object)
        .map_err(|e| damaged(format!("it is no BPF object file ({e})")))?
        .ok_or_else(|| damaged("it has no BTF; compile it with -g".into()))?;
    layout::fingerprint(&btf)
}
