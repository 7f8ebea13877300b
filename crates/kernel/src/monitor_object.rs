//! The monitor's BPF object: the built-in one or another of the same layout, with maps sized for this
//! machine.

use crate::error::{Error, Result};
use crate::initial_pids::pids_are_initial;
use crate::layout;
use crate::libbpf_log;
use crate::object::{LoadedObject, Parts, grows_safely, kernel_has_member, possible_cpus};
use crate::pins::{ITERATOR, LIGHT_END, LIGHT_ITERATOR, OTHERS, WAKEUP};
use crate::settings::Settings;
use crate::wire::{LIGHT, MONITOR};
use libbpf_rs::btf::Btf;
use std::borrow::Cow;
use std::fs;

/// Ended tasks that a light monitor remembers: 4,096 of them take 1 MB.
const LIGHT_ENDS: u32 = 4096;

/// Ended tasks remembered on the whole machine, and the least that a CPU remembers, as powers of two: 8,192
/// of them take 3 MB.
const RING_BITS_TOTAL: u32 = 13;
const RING_BITS_LEAST: u32 = 7;

/// Places for records that are found without a hash, at most: 4,096 of them take 1.6 MB, whoever is in them.
/// With fewer tasks than that, and pids given in turn, nearly every task has one.
const MOST_NEAR: u32 = 4096;

/// The monitor in the kernel, nothing attached yet.
pub(crate) struct MonitorObject {
    pub(crate) loaded: LoadedObject,
    pub(crate) layout: u64,
    pub(crate) ring_bits: u32,
    pub(crate) max_tasks: u32,
    /// Places in `near_map`, a power of two, beside the room for `max_tasks`; 0: it has no such map.
    pub(crate) near: u32,
    /// The programs beside the first: of the monitor at the switches those of [`OTHERS`] that this kernel
    /// needs.
    pub(crate) others: Vec<&'static str>,
    /// Which of them is the iterator that readers run.
    pub(crate) iterator: &'static str,
}

impl MonitorObject {
    /// Opens the object named in the settings, or the built-in one, and loads it.
    pub(crate) fn load(settings: &Settings) -> Result<Self> {
        libbpf_log::start();
        if settings.light {
            if !pids_are_initial() {
                return Err(Error::LightInNamespace);
            }
            return Self::load_light(settings);
        }
        let bytes = match &settings.object {
            None => Cow::Borrowed(MONITOR),
            Some(path) => Cow::Owned(
                fs::read(path).map_err(|e| Error::Object { what: format!("{}: {e}", path.display()) })?,
            ),
        };
        let layout = layout_of(&bytes, &layout::FULL)?;
        if layout != built_in_layout(false)? {
            let what = "its structs differ from those of this binary; compile both from the same bpf/wire.h";
            return Err(Error::Object { what: what.into() });
        }
        let cpus = possible_cpus()?;
        let ring_bits = RING_BITS_TOTAL.saturating_sub(cpus.next_power_of_two().ilog2()).max(RING_BITS_LEAST);
        let max_tasks = settings.max_tasks.get();
        let near = near_places(max_tasks);
        let sleeps_queued = kernel_has_member("sched_entity", "sched_delayed")?;
        let others: Vec<&str> = OTHERS.into_iter().filter(|&name| name != WAKEUP || sleeps_queued).collect();
        let loaded = LoadedObject::load(&Parts {
            bytes: &bytes,
            btf: settings.btf.as_deref(),
            switch: ["sched_lottery", "sched_lottery_3"],
            others: &others,
            rooms: &[
                ("task_map", max_tasks),
                ("near_map", near),
                ("near_owner", near),
                ("cpu_map", cpus),
                ("exited_map", cpus << ring_bits),
                ("group_map", lru_room(settings.max_groups.get(), cpus)),
            ],
            grown: if grows_safely()? { &["task_map", "near_owner"] } else { &[] },
        })?;
        Ok(Self { loaded, layout, ring_bits, max_tasks, near, others, iterator: ITERATOR })
    }

    /// Loads the built-in light monitor, with room for what its tasks have counted before.
    fn load_light(settings: &Settings) -> Result<Self> {
        let cpus = possible_cpus()?;
        let loaded = LoadedObject::load(&Parts {
            bytes: LIGHT,
            btf: settings.btf.as_deref(),
            switch: [LIGHT_END; 2],
            others: &[LIGHT_ITERATOR],
            rooms: &[
                ("task_map", tasks_now().saturating_mul(2).saturating_add(1024)),
                ("cpu_map", cpus),
                ("exited_map", lru_room(LIGHT_ENDS, cpus)),
                ("group_map", lru_room(settings.max_groups.get(), cpus)),
            ],
            grown: &[],
        })?;
        let (layout, others) = (built_in_layout(true)?, vec![LIGHT_ITERATOR]);
        Ok(Self { loaded, layout, ring_bits: 0, max_tasks: 0, near: 0, others, iterator: LIGHT_ITERATOR })
    }
}

/// Tasks on the machine: the fourth word of `/proc/loadavg`, `running/all`.
fn tasks_now() -> u32 {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let word = text.split_ascii_whitespace().nth(3).and_then(|word| word.split_once('/'));
    word.and_then(|(_, all)| all.parse().ok()).unwrap_or(1 << 15)
}

/// Places beside room for so many tasks: a sixteenth of it, as a power of two, up to [`MOST_NEAR`].
fn near_places(max_tasks: u32) -> u32 {
    1 << (max_tasks / 16).clamp(1, MOST_NEAR).ilog2()
}

/// Entries that a map which puts out the oldest needs to hold so many: each CPU keeps up to 128 free ones in
/// reserve (`LOCAL_FREE_TARGET` in `kernel/bpf/bpf_lru_list.c`).
fn lru_room(entries: u32, cpus: u32) -> u32 {
    entries + 128 * cpus
}

/// Layout fingerprint of the object in this binary, the light one or the other: what every reader here
/// understands.
pub(crate) fn built_in_layout(light: bool) -> Result<u64> {
    if light { layout_of(LIGHT, &layout::LIGHT) } else { layout_of(MONITOR, &layout::FULL) }
}

fn layout_of(object: &[u8], shared: &[&str]) -> Result<u64> {
    let damaged = |what: String| Error::Object { what };
    let btf = Btf::from_raw("tombola", object)
        .map_err(|e| damaged(format!("it is no BPF object file ({e})")))?
        .ok_or_else(|| damaged("it has no BTF; compile it with -g".into()))?;
    layout::fingerprint(&btf, shared)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The programs find a place by a mask: its length less one.
    #[test]
    fn places_are_a_power_of_two_and_at_most_a_sixteenth() {
        let of = [1, 8, 31, 32, 100, 65_536, 1 << 20].map(near_places);
        assert_eq!(of, [1, 1, 1, 2, 4, 4096, 4096]);
    }
}
