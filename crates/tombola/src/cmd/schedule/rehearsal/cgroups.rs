//! Groups of a scenario as cgroups, for as long as it is acted out.
//!
//! Threads of one process can be in different cgroups where these are threaded: a private parent, which this
//! process moves into, and a threaded directory for each group below it.

use crate::text::harmless;
use anyhow::{Context, Result, bail};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use tombola_lab::scenario::Scenario;

/// Largest `cpu.weight`.
const MOST: u64 = 10_000;

/// The cgroups. Dropping them moves this process back and removes them.
pub(super) struct Cgroups {
    /// Where this process was.
    home: PathBuf,
    top: PathBuf,
    /// One for each group of the scenario.
    of_groups: Vec<PathBuf>,
    /// In the order in which they were made.
    made: Vec<PathBuf>,
}

impl Cgroups {
    /// Makes them; `None` for a scenario without groups.
    pub(super) fn make(scenario: &Scenario) -> Result<Option<Self>> {
        if scenario.groups.is_empty() {
            return Ok(None);
        }
        let weights = weights(scenario)?;
        let root = hierarchy()?;
        let home = own(&root)?;
        let top = root.join(format!("tombola-rehearsal-{}", std::process::id()));
        let mut cgroups = Self { home, top: top.clone(), of_groups: Vec::new(), made: Vec::new() };
        cgroups.directory(top.clone())?;
        write(&top.join("cgroup.procs"), &std::process::id().to_string())?;
        // A group may be declared before its parent: parents first.
        let mut places: BTreeMap<usize, PathBuf> = BTreeMap::new();
        while places.len() < scenario.groups.len() {
            for (index, group) in scenario.groups.iter().enumerate() {
                let parent = match group.parent {
                    None => Some(top.clone()),
                    Some(parent) => places.get(&parent).cloned(),
                };
                let (false, Some(parent)) = (places.contains_key(&index), parent) else { continue };
                // Numbered: a name is free to be anything.
                let place = parent.join(format!("group-{index}"));
                cgroups.directory(place.clone())?;
                write(&place.join("cgroup.type"), "threaded")?;
                // After the first threaded child: a parent with processes of its own hands out controllers
                // only to such.
                write(&parent.join("cgroup.subtree_control"), "+cpu")?;
                write(&place.join("cpu.weight"), &weights[index].to_string())?;
                places.insert(index, place);
            }
        }
        cgroups.of_groups = places.into_values().collect();
        Ok(Some(cgroups))
    }

    /// The file that takes the threads of a group.
    pub(super) fn threads(&self, group: Option<usize>) -> PathBuf {
        group.map_or(&self.top, |group| &self.of_groups[group]).join("cgroup.threads")
    }

    fn directory(&mut self, place: PathBuf) -> Result<()> {
        fs::create_dir(&place).with_context(|| format!("cannot make the cgroup {}", place.display()))?;
        self.made.push(place);
        Ok(())
    }
}

impl Drop for Cgroups {
    fn drop(&mut self) {
        // What fails here leaves an empty directory; there is nobody left to tell.
        let _ = fs::write(self.home.join("cgroup.procs"), std::process::id().to_string());
        for place in self.made.iter().rev() {
            let _ = fs::remove_dir(place);
        }
    }
}

/// `cpu.weight` of each group. The kernel turns it into weight · 1024 / 100 tickets, rounded. Among groups
/// alone only ratios count; beside tasks the number itself does.
pub(super) fn weights(scenario: &Scenario) -> Result<Vec<u64>> {
    let mut weights = vec![0; scenario.groups.len()];
    let parents = [None].into_iter().chain((0..scenario.groups.len()).map(Some));
    for parent in parents {
        let children: Vec<usize> =
            (0..scenario.groups.len()).filter(|group| scenario.groups[*group].parent == parent).collect();
        let largest = children.iter().map(|child| scenario.groups[*child].weight).max().unwrap_or(1);
        let their_weights = children.iter().map(|child| scenario.groups[*child].weight);
        let divisor = their_weights.fold(0, num_integer::gcd);
        let beside_tasks = scenario.tasks.iter().any(|task| task.group == parent);
        for child in children {
            let group = &scenario.groups[child];
            let name = harmless(group.name.as_bytes());
            weights[child] = if beside_tasks {
                let weight = (group.weight * 100 + 512) / 1024;
                if !(1..=MOST).contains(&weight) || (weight * 1024 + 50) / 100 != group.weight {
                    bail!(
                        "group '{name}' has the weight {} beside tasks; there the kernel has only those of 1 to {MOST} · 1024/100",
                        group.weight
                    );
                }
                weight
            } else {
                let units = largest / divisor;
                if units > MOST {
                    bail!(
                        "group '{name}' and its sisters divide finer than the kernel's weights of 1 to {MOST}"
                    );
                }
                // As large as possible, so that the kernel's rounding does not matter.
                group.weight / divisor * (MOST / units)
            };
        }
    }
    Ok(weights)
}

/// The root of cgroup v2, if it divides the CPU.
fn hierarchy() -> Result<PathBuf> {
    let mounts = fs::read_to_string("/proc/mounts").context("cannot read /proc/mounts")?;
    let root = mounts.lines().find_map(|line| {
        let mut words = line.split(' ').skip(1);
        let path = words.next()?;
        (words.next()? == "cgroup2").then(|| PathBuf::from(path))
    });
    let root = root.context("groups need cgroup v2, which is not mounted")?;
    let file = root.join("cgroup.subtree_control");
    let on = fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
    if !on.split_ascii_whitespace().any(|controller| controller == "cpu") {
        bail!("groups need the cpu controller; once: echo +cpu | sudo tee {}", file.display());
    }
    Ok(root)
}

/// The cgroup of this process.
fn own(root: &Path) -> Result<PathBuf> {
    let text = fs::read_to_string("/proc/self/cgroup").context("cannot read /proc/self/cgroup")?;
    let path = text.lines().find_map(|line| line.strip_prefix("0::/"));
    Ok(root.join(path.context("this process is in no cgroup of version 2")?))
}

fn write(file: &Path, text: &str) -> Result<()> {
    fs::write(file, text).with_context(|| format!("cannot write {text} to {}", file.display()))
}
