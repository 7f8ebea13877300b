//! Which program and link belong to which maps, asked of the kernel.

use crate::libbpf_log;
use libbpf_rs::libbpf_sys::{BPF_F_RDONLY, bpf_prog_get_info_by_fd, bpf_prog_info};
use libbpf_rs::{Link, MapCore as _, MapHandle, ProgramHandle};
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::path::{Path, PathBuf};

/// Maps of one program that are looked at; the monitor's has nine.
const MOST_MAPS: usize = 64;

/// Ids of the maps pinned at these paths, as far as there are any.
pub(crate) fn map_ids(pins: &[PathBuf]) -> Vec<u32> {
    pins.iter()
        .filter_map(|pin| MapHandle::from_pinned_path_with_file_flags(pin, BPF_F_RDONLY).ok()?.info().ok())
        .map(|info| info.info.id)
        .collect()
}

/// Whether the program pinned at `prog`, and the program of the link pinned at `link`, use one of these maps.
/// False where this user may not ask.
pub(crate) fn owned(prog: &Path, link: &Path, maps: &[u32]) -> (bool, bool) {
    let uses_one = |program: &ProgramHandle| maps_of(program).iter().any(|id| maps.contains(id));
    let program = ProgramHandle::from_pinned_path(prog).ok().filter(uses_one);
    libbpf_log::start(); // or libbpf complains on standard error where there is no link
    let linked = Link::open(link).ok().and_then(|link| link.info().ok()).map(|info| info.prog_id);
    let owns_link = linked.is_some_and(|id| {
        // Opening a program by its id takes CAP_SYS_ADMIN; that it is the one pinned beside it can be seen
        // without.
        program.as_ref().is_some_and(|program| program.id() == id)
            || ProgramHandle::from_prog_id(id).is_ok_and(|program| uses_one(&program))
    });
    (program.is_some(), owns_link)
}

fn maps_of(program: &ProgramHandle) -> Vec<u32> {
    let mut ids = [0u32; MOST_MAPS];
    let mut info = bpf_prog_info {
        nr_map_ids: u32::try_from(MOST_MAPS).unwrap_or(u32::MAX),
        map_ids: ids.as_mut_ptr() as u64,
        ..Default::default()
    };
    let mut size = u32::try_from(size_of::<bpf_prog_info>()).unwrap_or(u32::MAX);
    // SAFETY: the info says its own size, and its only buffer, for map ids, says how many it holds.
    let result =
        unsafe { bpf_prog_get_info_by_fd(program.as_fd().as_raw_fd(), &raw mut info, &raw mut size) };
    let found = if result == 0 { (info.nr_map_ids as usize).min(MOST_MAPS) } else { 0 };
    ids[..found].to_vec()
}
