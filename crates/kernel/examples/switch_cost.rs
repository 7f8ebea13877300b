//! Runs a command under a monitor's object and an empty one, and says what a context switch costs in the
//! programs of the first above those of the second.
//!
//! `scripts/bench-against.sh` compares objects of two commits that way, whose layouts may differ: so this
//! loads them itself, with room as their loaders give it.
//!
//! ```text
//! switch_cost [--grown] OBJECT EMPTY COMMAND...    nanoseconds a switch, by the kernel's own counting (BPF_ENABLE_STATS)
//! switch_cost [--grown] OBJECT - COMMAND...        no counting: only what the command says
//! ```
//!
//! `--grown` is for an object whose loader lets the map of tasks grow.

use anyhow::{Context, Result, bail, ensure};
use libbpf_rs::btf::Btf;
use libbpf_rs::btf::types::Struct;
use libbpf_rs::libbpf_sys::{BPF_F_NO_PREALLOC, BPF_STATS_RUN_TIME, bpf_enable_stats};
use libbpf_rs::query::ProgInfoIter;
use libbpf_rs::{Link, MapCore as _, MapFlags, Object, ObjectBuilder};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::fd::{FromRawFd as _, OwnedFd};
use std::process::{Command, Stdio};
use std::time::Duration;
use std::{env, fs, thread};

const TASKS: u32 = 65536;
const NEAR: u32 = 4096;
const RING_BITS: u32 = 12;

/// Programs that are not counted in a switch: the other shape of the first, and what readers run.
const LEFT_OUT: [&str; 2] = ["sched_lottery_3", "queued_tasks"];

fn main() -> Result<()> {
    let mut words: Vec<String> = env::args().skip(1).collect();
    let grown = words.first().is_some_and(|word| word == "--grown");
    words.drain(..usize::from(grown));
    let [object, empty, command @ ..] = words.as_slice() else { bail!("usage: see the top of this example") };
    let (program, arguments) = command.split_first().context("which command?")?;
    let (monitor, _links) = load(object, grown)?;
    let mut child = Command::new(program);
    child.args(arguments);
    if empty == "-" {
        ensure!(child.status()?.success(), "{program} failed");
        return Ok(());
    }
    let (floor, _floor_links) = load(empty, false)?;
    // SAFETY: a plain system call; the descriptor it returns is this process's own, and counting ends with
    // it.
    let counting = unsafe { bpf_enable_stats(BPF_STATS_RUN_TIME) };
    ensure!(counting >= 0, "the kernel does not count: {}", std::io::Error::last_os_error());
    // SAFETY: as above.
    let _counting = unsafe { OwnedFd::from_raw_fd(counting) };
    let of = [&monitor, &floor].map(names);
    let before = of.each_ref().map(counts);
    ensure!(child.stdout(Stdio::null()).status()?.success(), "{program} failed");
    thread::sleep(Duration::from_millis(20)); // its processes have ended
    let after = of.each_ref().map(counts);
    let [mine, nothing] = [0, 1].map(|at| {
        let grew = |(name, (time, runs)): (&String, &(u64, u64))| {
            let (earlier, fewer) = before[at][name];
            (name.clone(), (time - earlier, runs - fewer))
        };
        after[at].iter().map(grew).collect::<BTreeMap<String, (u64, u64)>>()
    });
    let switches = mine.get("sched_lottery").map_or(0, |(_, runs)| *runs);
    ensure!(switches > 0, "no switch was counted");
    let above: f64 = mine
        .iter()
        .map(|(name, &(time, runs))| {
            let same_hook = if name == "sched_waking" { "floor_waking" } else { "floor_switch" };
            let (floor_time, floor_runs) = nothing[same_hook];
            time as f64 - runs as f64 * floor_time as f64 / floor_runs.max(1) as f64
        })
        .sum();
    println!("{:.1}", above / switches as f64);
    Ok(())
}

/// Loads, begins and attaches all that is to be counted.
fn load(path: &str, grown: bool) -> Result<(Object, Vec<Link>)> {
    let failed = || format!("cannot load {path}");
    let cpus = u32::try_from(libbpf_rs::num_possible_cpus()?)?;
    let kernel = Btf::from_vmlinux().context("this kernel has no BTF")?;
    let has_member = |structure: &str, member: &str| {
        let found: Option<Struct<'_>> = kernel.type_by_name(structure);
        found.is_some_and(|found| found.iter().any(|m| m.name == Some(OsStr::new(member))))
    };
    let sleeps_queued = has_member("sched_entity", "sched_delayed");
    // Elsewhere a map that allocates under the run-queue lock can deadlock.
    let grown = grown && has_member("bpf_htab", "ma");
    let mut open = ObjectBuilder::default().open_file(path).with_context(failed)?;
    for mut program in open.progs_mut() {
        let left_out = LEFT_OUT.iter().any(|name| program.name() == OsStr::new(name));
        let needless = program.name() == OsStr::new("sched_waking") && !sleeps_queued;
        program.set_autoload(!left_out && !needless);
    }
    for mut map in open.maps_mut() {
        let name = map.name().to_string_lossy().into_owned();
        match name.as_str() {
            "task_map" => map.set_max_entries(TASKS)?,
            "near_map" | "near_owner" => map.set_max_entries(NEAR)?,
            "cpu_map" => map.set_max_entries(cpus)?,
            "exited_map" => map.set_max_entries(cpus << RING_BITS)?,
            _ => {}
        }
        if grown && ["task_map", "near_owner"].contains(&name.as_str()) {
            map.set_map_flags(BPF_F_NO_PREALLOC)?;
        }
    }
    let object = open.load().with_context(failed)?;
    let programs = object.progs_mut().filter(|program| program.autoload());
    let links =
        programs.map(|program| program.attach()).collect::<Result<Vec<_>, _>>().with_context(failed)?;
    if let Some(control) = object.maps().find(|map| map.name() == "control_map") {
        // struct control: begin_ns, begin_boot_ns, ring_bits, near_mask (padding before it was there).
        let now = u64::try_from(nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC)?.tv_sec())?;
        let begin = (now * 1_000_000_000).to_ne_bytes();
        let value = [&begin[..], &begin, &RING_BITS.to_ne_bytes(), &(NEAR - 1).to_ne_bytes()].concat();
        control.update(&0u32.to_ne_bytes(), &value, MapFlags::ANY)?;
    }
    Ok((object, links))
}

/// Names of the programs of an object by their ids.
fn names(object: &Object) -> BTreeMap<u32, String> {
    use std::os::fd::{AsFd as _, AsRawFd as _};
    let id = |fd: i32| {
        let text = fs::read_to_string(format!("/proc/self/fdinfo/{fd}")).ok()?;
        text.lines().find_map(|line| line.strip_prefix("prog_id:")?.trim().parse().ok())
    };
    object
        .progs()
        .filter_map(|program| {
            let fd = program.autoload().then(|| program.as_fd().as_raw_fd())?;
            Some((id(fd)?, program.name().to_string_lossy().into()))
        })
        .collect()
}

/// Time in ns and runs of these programs so far, by name.
fn counts(names: &BTreeMap<u32, String>) -> BTreeMap<String, (u64, u64)> {
    ProgInfoIter::default()
        .filter_map(|info| Some((names.get(&info.id)?.clone(), (info.run_time_ns, info.run_cnt))))
        .collect()
}
