//! Cgroups of a test.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tombola_core::snapshot::Group;

/// The mount point of the hierarchy with the cpu controller, where groups can be made there.
pub(crate) fn cpu_hierarchy() -> Option<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
    let mut v2 = None;
    for mount in mounts.lines() {
        let words: Vec<&str> = mount.split(' ').collect();
        if words[2] == "cgroup" && words[3].split(',').any(|option| option == "cpu") {
            return Some(words[1].into());
        }
        if words[2] == "cgroup2" {
            v2 = Some(PathBuf::from(words[1]));
        }
    }
    let v2 = v2?;
    let controllers = fs::read_to_string(v2.join("cgroup.controllers")).ok()?;
    if !controllers.split_whitespace().any(|controller| controller == "cpu") {
        return None;
    }
    fs::write(v2.join("cgroup.subtree_control"), "+cpu").ok()?;
    Some(v2)
}

/// A cgroup that is removed with all below it.
pub(crate) struct Cgroup(pub(crate) PathBuf);

impl Cgroup {
    pub(crate) fn new(root: &Path, name: &str) -> Self {
        let path = root.join(format!("{name}-{}", std::process::id()));
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    pub(crate) fn id(path: &Path) -> Group {
        Group::Cgroup(fs::metadata(path).unwrap().ino())
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        let mut dirs = vec![self.0.clone()];
        let mut next = 0;
        while next < dirs.len() {
            let entries = fs::read_dir(&dirs[next]).into_iter().flatten().filter_map(Result::ok);
            let below: Vec<_> =
                entries.filter(|e| e.file_type().is_ok_and(|t| t.is_dir())).map(|e| e.path()).collect();
            dirs.extend(below);
            next += 1;
        }
        for dir in dirs.iter().rev() {
            // Its last task may be on its way out.
            let mut tries = 0;
            while fs::remove_dir(dir).is_err() && dir.exists() && tries < 200 {
                std::thread::sleep(Duration::from_millis(10));
                tries += 1;
            }
        }
    }
}
