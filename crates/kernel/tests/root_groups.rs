//! The groups of tasks: many of them, short ones, deep ones.
#![allow(clippy::unwrap_used)] // helpers of tests are no #[test] themselves

mod common;

use common::cgroup::{Cgroup, cpu_hierarchy};
use common::{monitor, wait_for};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tombola_core::snapshot::{Group, Snapshot};
use tombola_core::window::Window;
use tombola_kernel::{MaxGroups, PrivateMonitor, Settings};

/// More groups than the map has room for by default.
const MANY: usize = 20_000;

/// A shell that burns, in a group of its own.
struct Burner(Child);

impl Burner {
    fn start(before: impl FnMut() -> std::io::Result<()> + Send + Sync + 'static) -> Self {
        let mut command = Command::new("sh");
        command.args(["-c", "while :; do :; done"]).stdin(Stdio::null());
        // SAFETY: what runs between fork and exec are single system calls.
        unsafe { command.pre_exec(before) };
        Self(command.spawn().unwrap())
    }
}

impl Drop for Burner {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn enter(cgroup: &Path) -> impl FnMut() -> std::io::Result<()> + Send + Sync + 'static {
    let procs = cgroup.join("cgroup.procs");
    move || fs::write(&procs, "0")
}

fn group_of(snapshot: &Snapshot, pid: u32) -> Option<Group> {
    snapshot.tasks.iter().find(|task| task.id.pid == pid).map(|task| task.group)
}

fn knows(snapshot: &Snapshot, group: Group) -> bool {
    snapshot.groups.binary_search_by_key(&group, |known| known.id).is_ok()
}

/// Makes sessions, each with one task that lives as long as `true` does.
fn sessions(count: usize) {
    // One shell forks them all: `setsid` execs in the child.
    let script = format!("i=0; while [ $i -lt {count} ]; do setsid true; i=$((i+1)); done");
    assert!(Command::new("sh").args(["-c", &script]).status().unwrap().success());
}

#[test]
#[ignore = "root: loads a monitor, makes cgroups"]
fn root_after_more_groups_than_there_is_room_for_a_new_one_is_known() {
    let Some(root) = cpu_hierarchy() else {
        println!("SKIP: no hierarchy with the cpu controller in which groups can be made");
        return;
    };
    let most: u16 = 256;
    for max_groups in [MaxGroups::new(most.into()).unwrap(), MaxGroups::default()] {
        let settings = Settings { max_groups, ..Settings::default() };
        let monitor = PrivateMonitor::start(&settings).unwrap();
        let reader = monitor.reader();
        let steady = Cgroup::new(&root, "steady");
        let steady_id = Cgroup::id(&steady.0);
        let _burner = Burner::start(enter(&steady.0));
        let parent = Cgroup::new(&root, "many");
        let count = if max_groups == MaxGroups::default() { MANY } else { 4 * usize::from(most) };
        for number in 0..count {
            let dir = parent.0.join(number.to_string());
            fs::create_dir(&dir).unwrap();
            // SAFETY: the child makes system calls only, and ends.
            match unsafe { nix::unistd::fork() }.unwrap() {
                nix::unistd::ForkResult::Child => {
                    let entered = fs::write(dir.join("cgroup.procs"), "0").is_ok();
                    // SAFETY: as above.
                    unsafe { libc::_exit(i32::from(!entered)) };
                }
                nix::unistd::ForkResult::Parent { child } => {
                    let status = nix::sys::wait::waitpid(child, None).unwrap();
                    assert!(matches!(status, nix::sys::wait::WaitStatus::Exited(_, 0)), "{status:?}");
                }
            }
            wait_for("the group is empty", || fs::remove_dir(&dir).ok());
        }
        let late = Cgroup::new(&root, "late");
        fs::write(
            late.0.join(if late.0.join("cpu.shares").exists() { "cpu.shares" } else { "cpu.weight" }),
            "300",
        )
        .unwrap();
        let before = reader.snapshot().unwrap();
        let burner = Burner::start(enter(&late.0));
        std::thread::sleep(Duration::from_millis(1500));
        let after = reader.snapshot().unwrap();
        assert_eq!(group_of(&after, burner.0.id()), Some(Cgroup::id(&late.0)));
        assert!(knows(&after, Cgroup::id(&late.0)), "{:?}", after.loss);
        assert!(knows(&after, steady_id), "who goes on running stays known");
        assert_eq!((after.loss.groups_full, after.loss.groups_deep), (0, 0));
        let window = Window::between(&before, &after);
        assert_eq!(window.loss.unknown_groups, 0);
        assert!(after.groups.len() <= usize::from(most) + 128 * common::cpus().len() || count == MANY);
    }
}

#[test]
#[ignore = "root: loads a monitor"]
fn root_groups_beyond_the_room_are_counted_as_unknown() {
    let monitor =
        PrivateMonitor::start(&Settings { max_groups: MaxGroups::new(1).unwrap(), ..Settings::default() })
            .unwrap();
    if fs::read_to_string("/proc/sys/kernel/sched_autogroup_enabled").is_ok_and(|on| on.trim() == "0") {
        println!("SKIP: sessions have no groups here");
        return;
    }
    let before = monitor.reader().snapshot().unwrap();
    sessions(2 * (1 + 128 * common::cpus().len()));
    let after = monitor.reader().snapshot().unwrap();
    let window = Window::between(&before, &after);
    // A slow second method: every group of a task that ran, looked up one by one.
    let mut unknown: Vec<Group> = window.tasks.iter().map(|task| task.totals.group).collect();
    unknown.sort_unstable();
    unknown.dedup();
    unknown.retain(|group| *group != Group::Unknown && !window.groups.iter().any(|g| g.totals.id == *group));
    assert!(!unknown.is_empty(), "{} groups are known", window.groups.len());
    assert_eq!(window.loss.unknown_groups, unknown.len() as u64);
    assert!(!window.loss.is_none());
}

#[test]
#[ignore = "root: loads a monitor"]
fn root_a_task_that_lives_one_slice_is_its_sessions() {
    if fs::read_to_string("/proc/sys/kernel/sched_autogroup_enabled").map_or(true, |on| on.trim() == "0") {
        println!("SKIP: sessions have no groups here");
        return;
    }
    let monitor = monitor();
    let first = monitor.reader().snapshot().unwrap();
    // Subshells that end at once: most of them in their first slice.
    let shell = common::NamedShell::new("oneslice");
    let mut command = shell.command(
        "read x < /proc/self/autogroup; echo $x; i=0; while [ $i -lt 300 ]; do (:); i=$((i+1)); done",
    );
    // SAFETY: one system call between fork and exec.
    unsafe { command.pre_exec(|| nix::unistd::setsid().map(drop).map_err(Into::into)) };
    let output = command.stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    let number: u64 = text.split([' ', '-']).nth(1).unwrap().parse().unwrap();
    let window = Window::between(&first, &monitor.reader().snapshot().unwrap());
    let mut of: BTreeMap<Group, usize> = BTreeMap::new();
    let mut one_slice = 0;
    for task in common::named(&window, "oneslice") {
        *of.entry(task.totals.group).or_default() += 1;
        one_slice += usize::from(task.delta.switches == 1);
    }
    println!("{of:?}, {one_slice} of one slice, session {number}");
    assert!(one_slice > 10, "too few to tell: {one_slice}");
    assert_eq!(of.keys().collect::<Vec<_>>(), [&Group::Autogroup(number)]);
}

#[test]
#[ignore = "root: loads a monitor, makes cgroups"]
fn root_a_group_twenty_levels_deep_hangs_on_the_root() {
    let Some(root) = cpu_hierarchy() else {
        println!("SKIP: no hierarchy with the cpu controller in which groups can be made");
        return;
    };
    let is_v2 = root.join("cgroup.controllers").exists();
    let top = Cgroup::new(&root, "deep");
    let mut dir = top.0.clone();
    let mut path = vec![Cgroup::id(&dir)];
    for _ in 1..20 {
        if is_v2 {
            fs::write(dir.join("cgroup.subtree_control"), "+cpu").unwrap();
        }
        dir = dir.join("d");
        fs::create_dir(&dir).unwrap();
        path.push(Cgroup::id(&dir));
    }
    let monitor = monitor();
    let burner = Burner::start(enter(&dir));
    std::thread::sleep(Duration::from_millis(300));
    let snapshot = monitor.reader().snapshot().unwrap();
    let mut at = group_of(&snapshot, burner.0.id());
    let mut found = Vec::new();
    while let Some(group) = at {
        let known =
            snapshot.groups.iter().find(|known| known.id == group).expect("every group up to the root");
        found.push(group);
        at = known.parent;
    }
    let root_id = found.pop().unwrap();
    found.reverse();
    assert_eq!(found, path);
    assert_eq!(root_id, Cgroup::id(&root));
    assert_eq!(snapshot.loss.groups_deep, 0);
}
