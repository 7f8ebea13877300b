//! The rule for the weights of groups, against the kernel's own effective weight of a task.
#![allow(clippy::unwrap_used)] // helpers of tests are no #[test] themselves

mod common;

use common::{last_cpu, monitor, pin_to, wait_for};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tombola_core::entitlement::{GroupLoad, GroupRule, Level, effective_weight};
use tombola_kernel::{GroupMode, GroupNames, Reader};

/// Its queue's part of a group's load is an average that the kernel renews when it is off by 1/64
/// (`update_tg_load_avg()`), for each of the two groups that are compared; and as much for an average that
/// has not settled.
const SLACK: f64 = 4.0 / 64.0;

struct Busy {
    dir: PathBuf,
    burners: Vec<Child>,
}

impl Busy {
    /// A cgroup of this `cpu.weight` with burners on one CPU.
    fn start(root: &Path, name: &str, weight: u64, burners: usize) -> Self {
        let dir = root.join(format!("{name}-{}", std::process::id()));
        fs::create_dir(&dir).unwrap();
        fs::write(dir.join("cpu.weight"), weight.to_string()).unwrap();
        let burners = (0..burners).map(|_| {
            let child = common::confined_to(last_cpu(), || {
                Command::new("sh").args(["-c", common::BURN]).stdin(Stdio::null()).spawn().unwrap()
            });
            fs::write(dir.join("cgroup.procs"), child.id().to_string()).unwrap();
            child
        });
        Self { burners: burners.collect(), dir }
    }

    /// What its burners weigh together, by the kernel.
    fn weighs(&self, reader: &Reader) -> Option<f64> {
        let weights = reader.effective_weights().unwrap();
        let of =
            |child: &Child| weights.iter().find(|(id, _)| id.pid == child.id()).map(|(_, w)| f64::from(*w));
        self.burners.iter().map(of).sum()
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        for child in &mut self.burners {
            let _ = child.kill();
            let _ = child.wait();
        }
        for _ in 0..200 {
            if fs::remove_dir(&self.dir).is_ok() {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

/// What burners of nice 0 weigh together, all on one CPU, by the rule.
fn by_rule(rule: GroupRule, shares: u64, burners: u32, runnable: f64) -> f64 {
    let group = GroupLoad { shares, runnable, cpus: common::cpus().len() as u64 };
    let load = f64::from(burners) * 1024.0;
    let level = Level { queue_weight: rule.queue_weight(&group, 1.0), load };
    f64::from(burners) * effective_weight(1024.0, [level])
}

#[test]
#[ignore = "root: loads a monitor, makes cgroups"]
fn root_the_rule_for_groups_is_the_kernels() {
    let monitor = monitor();
    let reader = monitor.reader();
    let probe = common::Worker::burner(0, Some(last_cpu()));
    probe.has_run(Duration::from_millis(20));
    if reader.effective_weights().unwrap().is_empty() {
        println!("SKIP: this kernel keeps no effective weight of a task (h_load, 7.3)");
        return;
    }
    drop(probe);
    let names = GroupNames::new();
    let Some(root) = names.mount_point().filter(|root| root.join("cgroup.controllers").exists()) else {
        println!("SKIP: no cgroup v2 with the cpu controller");
        return;
    };
    let _ = fs::write(root.join("cgroup.subtree_control"), "+cpu"); // on already, or the next step tells
    let rule: GroupRule = GroupMode::now().to_string().parse().unwrap();
    pin_to(&[common::cpus()[0]]);
    let light = Busy::start(root, "light", 100, 1);
    let heavy = Busy::start(root, "heavy", 300, 1);
    let pair = Busy::start(root, "pair", 100, 2);
    let fits = |found: f64, expected: f64| (found / expected - 1.0).abs() < SLACK;
    let one = by_rule(rule, 1024, 1, 1.0);
    let three = by_rule(rule, 3072, 1, 1.0);
    // Two burners count as two, or, by a hair below in the average, as one.
    let two = [by_rule(rule, 1024, 2, 2.0), by_rule(rule, 1024, 2, 1.99)];
    let mut seen = (0.0, 0.0);
    wait_for(&format!("the kernel's weights are those of {rule}"), || {
        std::thread::sleep(Duration::from_millis(200));
        let [light, heavy, pair] = [&light, &heavy, &pair].map(|busy| busy.weighs(reader));
        seen = (heavy? / light?, pair? / light?);
        println!("heavy {:.3}, pair {:.3} times the light one", seen.0, seen.1);
        (fits(seen.0, three / one) && two.iter().any(|two| fits(seen.1, two / one))).then_some(())
    });
}
