//! Readings one after the other: what a reader keeps from the one before, beside readers that have none.
#![allow(clippy::unwrap_used)] // helpers of tests are no #[test] themselves

mod common;

use common::cgroup::{Cgroup, cpu_hierarchy};
use common::{BpfFs, Group, Worker, endless_forks, renice};
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};
use tombola_core::identity::TaskId;
use tombola_core::shared::Shared;
use tombola_core::snapshot::{Snapshot, TaskTotals};
use tombola_kernel::PinnedMonitor;

/// Sleepers that run now and then, by turns reniced, renamed and moved to other CPUs.
fn changing(number: u64) -> Worker {
    let mut round = 0;
    Worker::start(
        &format!("changing{number}"),
        || (),
        move || {
            round += 1;
            match (round + number) % 4 {
                0 => renice(i32::try_from((round / 4) % 20).unwrap()),
                1 => {
                    let _ = fs::write("/proc/thread-self/comm", format!("changed{}", round % 7));
                }
                2 => {
                    common::pin_to(&[common::cpus()[usize::try_from(round).unwrap() % common::cpus().len()]]);
                }
                _ => common::spin(),
            }
            thread::sleep(Duration::from_millis(3 * (number + 1)));
        },
    )
}

/// Threads that call `execve` while their leader lives: their records move to another PID.
fn endless_execs() -> Option<Group> {
    let python = ["/usr/bin/python3", "/usr/local/bin/python3"]
        .into_iter()
        .find(|path| PathBuf::from(path).exists())?;
    let exec = "import os, sys, threading, time\n\
                threading.Thread(target=lambda: os.execv(sys.executable, [sys.executable, '-c', sys.argv[1], sys.argv[1]])).start()\n\
                time.sleep(60)";
    Some(Group::spawn(Command::new(python).args(["-c", exec, exec])))
}

/// A shell that moves from one cgroup to another and back; it ends before they do.
struct Mover {
    _shell: Group,
    _cgroups: [Cgroup; 2],
}

impl Mover {
    fn start() -> Option<Self> {
        let Some(root) = cpu_hierarchy() else {
            println!("NOTE: no cgroup can be made here, so nobody moves");
            return None;
        };
        let cgroups = ["readings-a", "readings-b"].map(|name| Cgroup::new(&root, name));
        let script =
            "while :; do echo $$ >$0/cgroup.procs; sleep .01; echo $$ >$1/cgroup.procs; sleep .01; done";
        let shell =
            Group::spawn(Command::new("/bin/sh").args(["-c", script]).args(cgroups.each_ref().map(|c| &c.0)));
        Some(Self { _shell: shell, _cgroups: cgroups })
    }
}

fn by_id(tasks: &[Shared<TaskTotals>]) -> BTreeMap<TaskId, &TaskTotals> {
    tasks.iter().map(|task| (task.id, &**task)).collect()
}

fn ended(snapshot: &Snapshot) -> BTreeMap<TaskId, &TaskTotals> {
    snapshot.exited.iter().map(|end| (end.totals.id, &*end.totals)).collect()
}

/// Whoever is the same in a first reading before and in one after must be just that in the reading between
/// them; and nobody else is there. How many those are.
fn compare(
    before: &BTreeMap<TaskId, &TaskTotals>,
    between: &BTreeMap<TaskId, &TaskTotals>,
    after: &BTreeMap<TaskId, &TaskTotals>,
) -> usize {
    let still = before.iter().filter(|(id, task)| after.get(id) == Some(*task));
    let mut compared = 0;
    for (id, task) in still {
        assert_eq!(between.get(id), Some(task));
        compared += 1;
    }
    compared
}

#[test]
#[ignore = "needs root and BPF"]
fn root_a_later_reading_finds_what_a_first_one_does() {
    let fs = BpfFs::mount();
    PinnedMonitor::load(&fs.settings()).unwrap();
    let first = || PinnedMonitor::find(&fs.pins()).unwrap().reader().unwrap().snapshot().unwrap();
    let reader = PinnedMonitor::find(&fs.pins()).unwrap().reader().unwrap();
    let _forks = endless_forks();
    let _execs = endless_execs();
    let _mover = Mover::start();
    let _workers: Vec<Worker> = (0..24).map(changing).collect();
    let begin = Instant::now();
    let (mut living, mut gone, mut kept) = (0, 0, 0);
    let mut past = reader.snapshot().unwrap();
    while living.min(gone).min(kept) < 1000 {
        assert!(
            begin.elapsed() < common::LIMIT,
            "{living} living and {gone} ended ones compared, {kept} kept"
        );
        thread::sleep(Duration::from_millis(40));
        let (before, between, after) = (first(), reader.snapshot().unwrap(), first());
        let (then, now, later) = (by_id(&before.tasks), by_id(&between.tasks), by_id(&after.tasks));
        living += compare(&then, &now, &later);
        gone += compare(&ended(&before), &ended(&between), &ended(&after));
        // Who lives in neither has begun and ended in between, or gone on under its leader's PID.
        let ends = ended(&after);
        for (id, task) in now.iter().filter(|(id, task)| id.pid == task.tgid) {
            assert!(then.contains_key(id) || later.contains_key(id) || ends.contains_key(id), "{task:?}");
        }
        let is_kept = |task: &&Shared<TaskTotals>| past.tasks.iter().any(|then| then.is_one(task));
        kept += between.tasks.iter().filter(is_kept).count();
        past = between;
    }
}
