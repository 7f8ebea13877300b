//! That groups are currencies. Needs a kernel with sched_ext: the lane boots some (`scripts/run.sh test
//! --vm`).
#![allow(clippy::unwrap_used)]

mod common;

use common::play::{DRAWS, REJECTED, options, play};
use common::{Group, NamedShell, last_cpu};
use std::fs;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;
use tombola_core::statistics::chi_square;
use tombola_kernel::scheduler::Scheduler;

struct Cgroup(PathBuf);

impl Cgroup {
    fn new(name: &str) -> Self {
        let root = PathBuf::from("/sys/fs/cgroup");
        let _ = fs::write(root.join("cgroup.subtree_control"), "+cpu"); // on already, or the next step tells
        let dir = root.join(format!("tombola-scx-{}-{name}", std::process::id()));
        fs::create_dir(&dir).unwrap();
        Self(dir)
    }

    /// A process of one thread that burns on a CPU, in this group.
    fn burner(&self, shell: &NamedShell, cpu: usize) -> Group {
        let group = common::confined_to(cpu, || Group::spawn(&mut shell.command("while :; do :; done")));
        fs::write(self.0.join("cgroup.procs"), group.pid().to_string()).unwrap();
        group
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        for _ in 0..200 {
            if fs::remove_dir(&self.0).is_ok() {
                return;
            }
            thread::sleep(Duration::from_millis(10));
        }
    }
}

#[test]
#[ignore = "sched_ext: runs in the lane"]
fn scx_a_third_task_in_one_group_leaves_the_other_groups_share_alone() {
    let scheduler = Scheduler::start(&options()).unwrap();
    let (a, b) = (Cgroup::new("a"), Cgroup::new("b"));
    fs::write(a.0.join("cpu.weight"), "200").unwrap();
    let shell = NamedShell::new("currency");
    let cpu = last_cpu();
    let mut groups = vec![a.burner(&shell, cpu), b.burner(&shell, cpu), b.burner(&shell, cpu)];
    for members in [2, 3] {
        if members == 3 {
            groups.push(b.burner(&shell, cpu));
        }
        let pids: Vec<u32> = groups.iter().map(Group::pid).collect();
        let played = play(&scheduler, &pids, DRAWS / 2);
        let wins = played.wins();
        let tickets: Vec<u64> = if members == 2 { vec![4, 1, 1] } else { vec![6, 1, 1, 1] };
        let p = chi_square(&wins, &tickets).unwrap().p_value;
        println!("weights 2 and 1, {members} tasks in the second group: wins {wins:?}, p {p:.3}");
        assert!(p > REJECTED, "{wins:?}");
    }
}
