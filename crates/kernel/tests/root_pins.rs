//! Loading, finding and unloading: what is there before, during and after.
#![allow(clippy::unwrap_used)] // functions that tests share are no #[test] themselves

mod common;

use common::{BpfFs, names_in, wait_for};
use libbpf_rs::libbpf_sys::bpf_map_create_opts;
use libbpf_rs::{MapCore as _, MapFlags, MapHandle, MapType, ProgramHandle};
use nix::fcntl::{Flock, FlockArg};
use nix::mount::{MsFlags, mount};
use std::fs::{self, File};
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::path::Path;
use std::thread;
use tombola_kernel::{Error, Loaded, PinnedMonitor, Settings};

fn load(settings: &Settings) -> PinnedMonitor {
    match PinnedMonitor::load(settings).unwrap() {
        Loaded::Now(monitor) => monitor,
        Loaded::Already(monitor) => panic!("{monitor:?} was there"),
    }
}

/// Pins a hash map of another shape.
fn pin_foreign_map(name: &str, path: &Path) {
    let options = bpf_map_create_opts { sz: size_of::<bpf_map_create_opts>() as u64, ..Default::default() };
    let mut map = MapHandle::create(MapType::Hash, Some(name), 4, 40, 16, &options).unwrap();
    map.pin(path).unwrap();
}

/// The pins beside map, program and link.
const COMPANIONS: [&str; 14] = [
    "control_map",
    "cpu_map",
    "exited_map",
    "group_map",
    "near_map",
    "queued_tasks",
    "queued_tasks_link",
    "sched_exec",
    "sched_exec_link",
    "sched_free",
    "sched_free_link",
    "sched_waking",
    "sched_waking_link",
    "schema_map",
];

/// Those that this kernel needs: a wakeup is looked at only where a task can sleep in its run queue.
fn companions() -> Vec<&'static str> {
    let kernel = fs::read("/sys/kernel/btf/vmlinux").unwrap();
    let sleeps_queued = kernel.windows(15).any(|name| name == b"\0sched_delayed\0");
    COMPANIONS.into_iter().filter(|name| sleeps_queued || !name.starts_with("sched_waking")).collect()
}

/// Id of the program that a file descriptor stands for, as /proc tells.
fn program_id(path: &Path) -> u32 {
    let program = ProgramHandle::from_pinned_path(path).unwrap();
    let info = fs::read_to_string(format!("/proc/self/fdinfo/{}", program.as_fd().as_raw_fd())).unwrap();
    info.lines().find_map(|l| l.strip_prefix("prog_id:")).unwrap().trim().parse().unwrap()
}

#[test]
#[ignore = "needs root and BPF"]
fn root_unload_leaves_no_pin_and_no_program() {
    let fs = BpfFs::mount();
    let settings = fs.settings();
    let monitor = load(&settings);
    assert_eq!(fs.names(), ["link", "prog", "task_map", "task_map_tombola"]);
    assert_eq!(names_in(&monitor.pins.companions()), companions());
    let ids = [program_id(&monitor.pins.prog), program_id(&monitor.pins.companions().join("sched_exec"))];
    let map_id = MapHandle::from_pinned_path(&monitor.pins.map).unwrap().info().unwrap().info.id;
    let removed = PinnedMonitor::unload(&settings.pins).unwrap();
    assert_eq!(removed.len(), 3 + companions().len());
    assert!(fs.names().is_empty(), "{:?}", fs.names());
    // The kernel frees programs and maps after a grace period.
    wait_for("programs and map are gone", || {
        (ids.iter().all(|&id| ProgramHandle::from_prog_id(id).is_err())
            && MapHandle::from_map_id(map_id).is_err())
        .then_some(())
    });
    assert!(PinnedMonitor::unload(&settings.pins).unwrap().is_empty(), "again: nothing to do");
    assert!(matches!(PinnedMonitor::find(&settings.pins), Err(Error::NotLoaded { .. })));
}

#[test]
#[ignore = "needs root and BPF"]
fn root_a_second_load_finds_the_first_which_goes_on() {
    let fs = BpfFs::mount();
    let first = load(&fs.settings());
    let program = program_id(&first.pins.prog);
    match PinnedMonitor::load(&fs.settings()).unwrap() {
        Loaded::Already(found) => assert_eq!(found, first),
        Loaded::Now(second) => panic!("{second:?}"),
    }
    assert_eq!(program_id(&first.pins.prog), program);
    let (a, b) = (first.reader().unwrap().snapshot().unwrap(), first.reader().unwrap().snapshot().unwrap());
    assert_eq!(a.begin_ns, first.begin_ns);
    assert!(b.taken_ns > a.taken_ns && b.cpus[0].busy_ns + b.cpus[0].idle_ns > 0);

    let forced = load(&Settings { force: true, ..fs.settings() });
    assert!(forced.begin_ns > first.begin_ns && program_id(&forced.pins.prog) != program);
    PinnedMonitor::unload(&forced.pins).unwrap();
    assert!(fs.names().is_empty());
}

#[test]
#[ignore = "needs root and BPF"]
fn root_of_many_loaders_at_once_one_wins() {
    let fs = BpfFs::mount();
    let results: Vec<_> = thread::scope(|scope| {
        let loaders: Vec<_> = (0..4).map(|_| scope.spawn(|| PinnedMonitor::load(&fs.settings()))).collect();
        loaders.into_iter().map(|l| l.join().unwrap()).collect()
    });
    let winners = results.iter().filter(|r| matches!(r, Ok(Loaded::Now(_)))).count();
    assert_eq!(winners, 1, "{results:?}");
    for result in &results {
        assert!(matches!(result, Ok(_) | Err(Error::Locked { .. })), "{result:?}");
    }
    PinnedMonitor::unload(&fs.pins()).unwrap();
    assert!(fs.names().is_empty());
}

#[test]
#[ignore = "needs root and BPF"]
fn root_the_lock_holder_is_named() {
    let fs = BpfFs::mount();
    let lock = Flock::lock(File::open(fs.path()).unwrap(), FlockArg::LockExclusiveNonblock).unwrap();
    let me = format!("(pid {})", std::process::id());
    for error in
        [PinnedMonitor::load(&fs.settings()).unwrap_err(), PinnedMonitor::unload(&fs.pins()).unwrap_err()]
    {
        assert!(matches!(&error, Error::Locked { holder, .. } if holder.ends_with(&me)), "{error}");
    }
    assert!(fs.names().is_empty());
    drop(lock);
    load(&fs.settings());
    PinnedMonitor::unload(&fs.pins()).unwrap();
}

#[test]
#[ignore = "needs root and BPF"]
fn root_pins_of_another_layout_are_recognised_and_replaced_by_force() {
    let fs = BpfFs::mount();
    let monitor = load(&fs.settings());
    // Same sizes, other meaning: all that differs is the fingerprint, the second word of struct schema.
    let schema = MapHandle::from_pinned_path(monitor.pins.companions().join("schema_map")).unwrap();
    let mut value = schema.lookup(&[0; 4], MapFlags::ANY).unwrap().unwrap();
    value[8] ^= 1;
    schema.update(&[0; 4], &value, MapFlags::ANY).unwrap();
    drop(schema);
    for error in
        [PinnedMonitor::load(&fs.settings()).unwrap_err(), PinnedMonitor::find(&fs.pins()).unwrap_err()]
    {
        assert!(matches!(error, Error::OtherLayout { .. }), "{error}");
        assert!(error.to_string().contains("--force"), "{error}");
    }
    let forced = load(&Settings { force: true, ..fs.settings() });
    assert!(forced.begin_ns > monitor.begin_ns);
    assert!(forced.reader().unwrap().snapshot().is_ok());
    PinnedMonitor::unload(&fs.pins()).unwrap();
    assert!(fs.names().is_empty());
}

#[test]
#[ignore = "needs root and BPF"]
fn root_a_foreign_map_at_the_pin_is_an_error_until_force() {
    for name in ["task_map", "somebodys"] {
        let fs = BpfFs::mount();
        pin_foreign_map(name, &fs.pins().map);
        let error = PinnedMonitor::load(&fs.settings()).unwrap_err().to_string();
        assert!(error.contains("--force"), "{name}: {error}");
        assert!(PinnedMonitor::find(&fs.pins()).is_err());
        assert_eq!(fs.names(), ["task_map"], "the refusal touches nothing");
        load(&Settings { force: true, ..fs.settings() });
        PinnedMonitor::unload(&fs.pins()).unwrap();
        assert!(fs.names().is_empty());
    }
}

#[test]
#[ignore = "needs root and BPF"]
fn root_a_monitor_without_one_of_its_pins_is_incomplete_and_unload_cleans() {
    let pins = BpfFs::mount().pins();
    let dir = pins.companions();
    let of = |path: &Path, root: &Path| path.strip_prefix(root).unwrap().to_owned();
    let root = pins.map.parent().unwrap();
    let mut all = vec![of(&pins.map, root), of(&pins.prog, root), of(&pins.link, root)];
    for name in companions() {
        all.push(of(&dir.join(name), root));
    }
    for missing in all {
        let fs = BpfFs::mount();
        load(&fs.settings());
        fs::remove_file(fs.path().join(&missing)).unwrap();
        let error = PinnedMonitor::load(&fs.settings()).unwrap_err();
        assert!(matches!(error, Error::Incomplete { .. }), "{}: {error}", missing.display());
        let said = error.to_string();
        assert!(said.contains("--force") && said.contains("unload"), "{said}");
        assert_eq!(
            PinnedMonitor::unload(&fs.pins()).unwrap().len(),
            2 + companions().len(),
            "{}",
            missing.display()
        );
        assert!(fs.names().is_empty(), "{}: {:?}", missing.display(), fs.names());
    }
}

#[test]
#[ignore = "needs root and BPF"]
fn root_a_load_that_fails_half_way_leaves_nothing() {
    // The link goes where nothing can be created: directory and programs are pinned by then.
    let (fs, read_only) = (BpfFs::mount(), BpfFs::mount());
    let flags = MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY;
    mount(None::<&str>, read_only.path(), None::<&str>, flags, None::<&str>).unwrap();
    let mut settings = fs.settings();
    settings.pins.link = read_only.path().join("link");
    let error = PinnedMonitor::load(&settings).unwrap_err();
    assert!(error.to_string().contains(read_only.path().to_str().unwrap()), "{error}");
    assert!(fs.names().is_empty(), "{:?}", fs.names());

    // A pin where the directory of companions comes to be.
    for which in 0..2 {
        let mut settings = fs.settings();
        let path = settings.pins.companions();
        *[&mut settings.pins.prog, &mut settings.pins.link][which] = path;
        assert!(PinnedMonitor::load(&settings).is_err());
        assert!(fs.names().is_empty(), "{which}: {:?}", fs.names());
    }

    // No directory, no load.
    let mut settings = fs.settings();
    settings.pins.prog = fs.path().join("nowhere/prog");
    let error = PinnedMonitor::load(&settings).unwrap_err();
    assert!(matches!(error, Error::PinPlace { .. }), "{error}");
    assert!(fs.names().is_empty());
}

#[test]
#[ignore = "needs root and BPF"]
fn root_what_is_not_ours_in_the_directory_of_companions_stays() {
    let fs = BpfFs::mount();
    let companions = fs.pins().companions();
    fs::create_dir(&companions).unwrap();
    pin_foreign_map("somebodys", &companions.join("somebodys"));
    assert!(PinnedMonitor::load(&fs.settings()).is_err());
    assert_eq!(fs.names(), ["task_map_tombola"]);
    assert_eq!(names_in(&companions), ["somebodys"]);
    fs::remove_file(companions.join("somebodys")).unwrap();
    // What a load leaves that was killed right at its begin.
    load(&fs.settings());
    PinnedMonitor::unload(&fs.pins()).unwrap();
    assert!(fs.names().is_empty());
}
