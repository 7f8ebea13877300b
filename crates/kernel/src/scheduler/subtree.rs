//! Schedulers of subtrees: from 7.1 on a `sched_ext` scheduler may leave the tasks below a cgroup to another
//! one.

use std::fs;
use std::path::Path;
use tombola_core::snapshot::Group;

/// Where the kernel shows the scheduler at the top; those below it are in `sub/sub-<id of the cgroup>`, and
/// so on.
const ROOT: &str = "/sys/kernel/sched_ext/root";

/// Schedulers below the one at the top, each with the cgroup whose subtree it schedules: who hands a subtree
/// on comes first.
pub fn sub_schedulers() -> Vec<(Group, String)> {
    let mut found = Vec::new();
    look(Path::new(ROOT), &mut found);
    found
}

fn look(dir: &Path, found: &mut Vec<(Group, String)>) {
    let entries = fs::read_dir(dir.join("sub")).into_iter().flatten().filter_map(Result::ok);
    let id = |name: &str| name.strip_prefix("sub-")?.parse().ok();
    let mut below: Vec<(u64, _)> =
        entries.filter_map(|e| Some((id(e.file_name().to_str()?)?, e.path()))).collect();
    below.sort_unstable();
    for (id, dir) in below {
        let ops = fs::read_to_string(dir.join("ops")).unwrap_or_default();
        found.push((Group::Cgroup(id), ops.trim().to_owned()));
        look(&dir, found);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nested_schedulers_are_found_with_their_cgroups() {
        let root = tempfile::tempdir().unwrap();
        for (dir, ops) in
            [("sub/sub-71", "lavd_1.0\n"), ("sub/sub-71/sub/sub-80", "cosmos"), ("sub/sub-9", "rusty")]
        {
            let dir = root.path().join(dir);
            fs::create_dir_all(&dir).unwrap();
            fs::write(dir.join("ops"), ops).unwrap();
        }
        let mut found = Vec::new();
        look(root.path(), &mut found);
        let expected = [(9, "rusty"), (71, "lavd_1.0"), (80, "cosmos")];
        assert_eq!(found, expected.map(|(id, ops)| (Group::Cgroup(id), ops.to_owned())));
        found.clear();
        look(Path::new("/nowhere"), &mut found);
        assert!(found.is_empty());
    }
}
