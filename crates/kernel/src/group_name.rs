//! Names of scheduling groups: the paths of cgroups, from the cgroup file system.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{DirEntryExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use tombola_core::snapshot::Group;

/// Directories walked at most for one lookup of new names: a bound for hosts with runaway cgroups.
const MOST_GROUPS: usize = 100_000;

/// Resolves groups to names, and remembers the names of groups that are gone.
///
/// The kernel's id of a cgroup is the inode number of its directory, in the hierarchy of the cpu controller: its own on
/// cgroup v1, the unified one on v2.
#[derive(Debug, Default)]
pub struct GroupNames {
    root: Option<PathBuf>,
    known: BTreeMap<u64, Known>,
}

#[derive(Debug)]
struct Known {
    path: String,
    alive: bool,
}

impl GroupNames {
    /// Finds the hierarchy of the cpu controller. Without one every cgroup is shown by its id.
    pub fn new() -> Self {
        Self { root: cpu_hierarchy(), known: BTreeMap::new() }
    }

    /// Learns the names of these groups, walking the file system at most once.
    pub fn learn(&mut self, groups: impl IntoIterator<Item = Group>) {
        let mut unknown = false;
        for group in groups {
            unknown |= matches!(group, Group::Cgroup(id) if !self.known.contains_key(&id));
        }
        if let (true, Some(root)) = (unknown, self.root.clone()) {
            for known in self.known.values_mut() {
                known.alive = false;
            }
            self.walk(&root);
        }
    }

    /// The group's name: a path that begins with `/`, "autogroup-7", or "cgroup:123" for one whose name was never seen. A
    /// cgroup that is gone keeps its path, with "(deleted)".
    pub fn name(&self, group: Group) -> String {
        match group {
            Group::Unknown => "-".into(),
            Group::Autogroup(n) => format!("autogroup-{n}"),
            Group::Cgroup(id) => match self.known.get(&id) {
                None => format!("cgroup:{id} (deleted)"),
                Some(Known { path, alive: true }) => path.clone(),
                Some(Known { path, alive: false }) => format!("{path} (deleted)"),
            },
        }
    }

    fn walk(&mut self, root: &Path) {
        let Ok(meta) = fs::metadata(root) else { return };
        let mut left = vec![(root.to_owned(), meta.ino())];
        let mut seen = 0;
        while let Some((dir, inode)) = left.pop() {
            let path = dir.strip_prefix(root).unwrap_or(&dir).to_string_lossy().into_owned();
            self.known.insert(inode, Known { path: format!("/{path}"), alive: true });
            seen += 1;
            if seen >= MOST_GROUPS {
                return;
            }
            let Ok(entries) = fs::read_dir(&dir) else { continue };
            left.extend(
                entries
                    .filter_map(Result::ok)
                    .filter(|e| e.file_type().is_ok_and(|t| t.is_dir()))
                    .map(|e| (e.path(), e.ino())),
            );
        }
    }
}

/// Mount point of the hierarchy that has the cpu controller: a v1 mount with the option `cpu`, or else the v2 mount.
fn cpu_hierarchy() -> Option<PathBuf> {
    let mounts = procfs::process::Process::myself().ok()?.mountinfo().ok()?;
    let mounts: Vec<_> = mounts.into_iter().collect();
    mounts
        .iter()
        .find(|m| m.fs_type == "cgroup" && m.super_options.contains_key("cpu"))
        .or_else(|| mounts.iter().find(|m| m.fs_type == "cgroup2"))
        .map(|m| m.mount_point.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_that_vanishes_keeps_its_path() {
        let dir = tempfile::tempdir().unwrap();
        let inner = dir.path().join("a/b");
        fs::create_dir_all(&inner).unwrap();
        let group = Group::Cgroup(fs::metadata(&inner).unwrap().ino());
        let mut names = GroupNames { root: Some(dir.path().to_owned()), known: BTreeMap::new() };
        names.learn([group]);
        assert_eq!(names.name(group), "/a/b");
        fs::remove_dir(&inner).unwrap();
        names.learn([Group::Cgroup(u64::MAX)]);
        assert_eq!(names.name(group), "/a/b (deleted)");
        assert_eq!(names.name(Group::Autogroup(7)), "autogroup-7");
    }
}
