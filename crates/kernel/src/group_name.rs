//! Names of scheduling groups: the paths of cgroups, from the cgroup file system.

use nix::sys::statfs::{CGROUP_SUPER_MAGIC, CGROUP2_SUPER_MAGIC, fstatfs};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::os::unix::fs::{DirEntryExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use tombola_core::snapshot::Group;

/// Directories walked at most for one lookup of new names: a bound for hosts with runaway cgroups.
const MOST_GROUPS: usize = 100_000;

/// The kernel's id of the root of a hierarchy. Where the directory of the mount has another one, only a part
/// of the hierarchy is mounted.
const ROOT_ID: u64 = 1;

/// Resolves groups to names, and remembers the names of groups that are gone.
///
/// The kernel's id of a cgroup is the inode number of its directory, in the hierarchy of the cpu controller:
/// its own on cgroup v1, the unified one on v2. Ids are never used again, so what is known of one stays so.
#[derive(Debug, Default)]
pub struct GroupNames {
    root: Option<PathBuf>,
    known: BTreeMap<u64, Known>,
    /// Walks of the whole tree: only for ids that are new, and only where the kernel does not tell the path
    /// of an id.
    walks: usize,
}

/// What is known of an id.
#[derive(Debug, PartialEq, Eq)]
enum Known {
    /// It has, or had, this path.
    Path { path: String, alive: bool },
    /// It is gone, and nobody has seen its path.
    Gone,
    /// It is nowhere in what is mounted here.
    Elsewhere,
}

impl GroupNames {
    /// Finds the hierarchy of the cpu controller. Without one every cgroup is shown by its id.
    pub fn new() -> Self {
        Self::below(cpu_hierarchy())
    }

    fn below(root: Option<PathBuf>) -> Self {
        Self { root, known: BTreeMap::new(), walks: 0 }
    }

    /// Where the hierarchy of the cpu controller is mounted, if it is.
    pub fn mount_point(&self) -> Option<&Path> {
        self.root.as_deref()
    }

    /// Learns the names of these groups, and whether those that have one are still there.
    pub fn learn(&mut self, groups: impl IntoIterator<Item = Group>) {
        let Some(root) = self.root.clone() else { return };
        let inode = |path: &Path| fs::metadata(path).map(|meta| meta.ino());
        let mount = File::open(&root).ok().filter(is_cgroup_fs);
        let mut unknown = Vec::new();
        for id in
            groups.into_iter().filter_map(|group| if let Group::Cgroup(id) = group { Some(id) } else { None })
        {
            match self.known.get_mut(&id) {
                Some(Known::Path { path, alive }) => {
                    *alive =
                        *alive && inode(&root.join(path.trim_start_matches('/'))).is_ok_and(|now| now == id);
                }
                Some(Known::Gone | Known::Elsewhere) => {}
                None => match mount.as_ref().map(|mount| path_of(mount, id)) {
                    Some(Ok(path)) => {
                        let known = path.strip_prefix(&root).map_or(Known::Elsewhere, living);
                        self.known.insert(id, known);
                    }
                    Some(Err(nix::Error::ESTALE)) => {
                        self.known.insert(id, Known::Gone);
                    }
                    // Who may not ask so has to look.
                    Some(Err(_)) | None => unknown.push(id),
                },
            }
        }
        if unknown.is_empty() {
            return;
        }
        self.walk(&root);
        let is_whole = inode(&root).is_ok_and(|id| id == ROOT_ID);
        for id in unknown {
            self.known.entry(id).or_insert(if is_whole { Known::Gone } else { Known::Elsewhere });
        }
    }

    /// The group's name: a path that begins with `/`, "autogroup-7", or "cgroup:123" for one whose name is
    /// not known. A cgroup that is gone has "(deleted)" after it.
    pub fn name(&self, group: Group) -> String {
        match group {
            Group::Unknown => "-".into(),
            Group::Autogroup(n) => format!("autogroup-{n}"),
            Group::Cgroup(id) => match self.known.get(&id) {
                None | Some(Known::Elsewhere) => format!("cgroup:{id}"),
                Some(Known::Gone) => format!("cgroup:{id} (deleted)"),
                Some(Known::Path { path, alive: true }) => path.clone(),
                Some(Known::Path { path, alive: false }) => format!("{path} (deleted)"),
            },
        }
    }

    fn walk(&mut self, root: &Path) {
        self.walks += 1;
        let Ok(meta) = fs::metadata(root) else { return };
        let mut left = vec![(root.to_owned(), meta.ino())];
        let mut seen = 0;
        while let Some((dir, inode)) = left.pop() {
            self.known.insert(inode, living(dir.strip_prefix(root).unwrap_or(&dir)));
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

/// Whether ids are the kernel's there.
fn is_cgroup_fs(mount: &File) -> bool {
    fstatfs(mount).is_ok_and(|fs| [CGROUP_SUPER_MAGIC, CGROUP2_SUPER_MAGIC].contains(&fs.filesystem_type()))
}

/// A group at this path below the mount.
fn living(path: &Path) -> Known {
    Known::Path { path: format!("/{}", path.to_string_lossy()), alive: true }
}

/// `struct file_handle` of `open_by_handle_at(2)`, as kernfs makes it (`FILEID_KERNFS`, 5.5).
#[repr(C)]
struct Handle {
    bytes: u32,
    kind: i32,
    id: [u8; 8],
}

/// The path of a cgroup, by its id, in the hierarchy that `mount` is of: one call instead of a walk.
///
/// # Errors
/// `ESTALE` if there is no such cgroup, `EPERM` for who has no `CAP_DAC_READ_SEARCH`.
fn path_of(mount: &File, id: u64) -> nix::Result<PathBuf> {
    const FILEID_KERNFS: i32 = 0xfe;
    let handle = Handle { bytes: 8, kind: FILEID_KERNFS, id: id.to_ne_bytes() };
    // SAFETY: the kernel reads the handle, which is as long as it says, and writes nothing into memory of
    // ours.
    let fd = unsafe {
        libc::syscall(
            libc::SYS_open_by_handle_at,
            mount.as_raw_fd(),
            &raw const handle,
            libc::O_PATH | libc::O_DIRECTORY | libc::O_CLOEXEC,
        )
    };
    let fd = nix::errno::Errno::result(fd)?;
    let fd = i32::try_from(fd).map_err(|_| nix::Error::EBADF)?;
    // SAFETY: the call has just returned this descriptor, and nobody else knows it.
    let dir = File::from(unsafe { OwnedFd::from_raw_fd(fd) });
    let path = fs::read_link(format!("/proc/self/fd/{}", dir.as_raw_fd())).map_err(|_| nix::Error::ENOENT)?;
    if path.to_string_lossy().ends_with(" (deleted)") { Err(nix::Error::ESTALE) } else { Ok(path) }
}

/// Mount point of the hierarchy that has the cpu controller: a v1 mount with the option `cpu`, or else the v2
/// mount.
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
        let mut names = GroupNames::below(Some(dir.path().to_owned()));
        names.learn([group]);
        assert_eq!(names.name(group), "/a/b");
        fs::remove_dir(&inner).unwrap();
        names.learn([group]);
        assert_eq!(names.name(group), "/a/b (deleted)");
        assert_eq!(names.name(Group::Autogroup(7)), "autogroup-7");
    }

    #[test]
    fn what_is_not_mounted_here_is_not_called_deleted() {
        // A temporary directory is no root of a hierarchy: more may be elsewhere.
        let dir = tempfile::tempdir().unwrap();
        let mut names = GroupNames::below(Some(dir.path().to_owned()));
        let group = Group::Cgroup(u64::MAX);
        names.learn([group]);
        assert_eq!(names.name(group), format!("cgroup:{}", u64::MAX));
        let mut names = GroupNames::below(None);
        names.learn([group]);
        assert_eq!(names.name(group), format!("cgroup:{}", u64::MAX));
    }

    #[test]
    fn the_tree_is_walked_once_for_an_id() {
        let dir = tempfile::tempdir().unwrap();
        let mut names = GroupNames::below(Some(dir.path().to_owned()));
        for _ in 0..3 {
            names.learn([Group::Cgroup(u64::MAX), Group::Cgroup(u64::MAX - 1)]);
        }
        assert_eq!(names.walks, 1);
    }

    #[test]
    fn the_kernel_tells_the_path_of_an_id() {
        let mut names = GroupNames::new();
        let Some(root) = names.root.clone() else {
            println!("SKIP: no hierarchy of the cpu controller is mounted");
            return;
        };
        let below = fs::read_dir(&root).unwrap().filter_map(std::result::Result::ok);
        let dir = below.filter(|e| e.file_type().is_ok_and(|t| t.is_dir())).map(|e| e.path()).next();
        let dir = dir.unwrap_or(root.clone());
        let group = Group::Cgroup(fs::metadata(&dir).unwrap().ino());
        names.learn([group, Group::Cgroup(u64::MAX >> 1)]);
        assert_eq!(names.name(group), format!("/{}", dir.strip_prefix(&root).unwrap().display()));
        if nix::unistd::geteuid().is_root() {
            assert_eq!(names.walks, 0);
            let gone = Group::Cgroup(u64::MAX >> 1);
            assert_eq!(names.name(gone), format!("cgroup:{} (deleted)", u64::MAX >> 1));
        }
    }
}
