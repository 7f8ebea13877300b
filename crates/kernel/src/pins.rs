//! Where a monitor lives in the BPF file system.

use crate::error::{Error, Result};
use crate::ownership;
use nix::fcntl::{Flock, FlockArg};
use nix::sys::statfs::{BPF_FS_MAGIC, statfs};
use nix::unistd::geteuid;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// The programs beside the one of the switch: two follow `execve` and what it may leave behind, one tells who
/// waits at this moment, and [`WAKEUP`].
pub(crate) const OTHERS: [&str; 4] = ["sched_exec", "sched_free", ITERATOR, WAKEUP];

/// The program that finds sleep in the kernel's waits: only in kernels in which a task may sleep in its run
/// queue.
pub(crate) const WAKEUP: &str = "sched_waking";

/// The iterator over the tasks that are in a run queue. Its link is a file: to read it is to run it.
pub(crate) const ITERATOR: &str = "queued_tasks";

/// The light monitor's one program that is attached, and its iterator over all tasks.
pub(crate) const LIGHT_END: &str = "light_free";
pub(crate) const LIGHT_ITERATOR: &str = "kernel_tasks";

/// Where the BPF file system is mounted by convention.
const USUAL: &str = "/sys/fs/bpf";

/// Paths of a pinned monitor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pins {
    /// The task map, keyed by PID.
    pub map: PathBuf,
    /// The switch program.
    pub prog: PathBuf,
    /// The link that keeps the switch program attached.
    pub link: PathBuf,
}

impl Default for Pins {
    fn default() -> Self {
        Self {
            map: "/sys/fs/bpf/task_map".into(),
            prog: "/sys/fs/bpf/sched_lottery".into(),
            link: "/sys/fs/bpf/sched_lottery_link".into(),
        }
    }
}

/// Names in the directory of companions.
pub(crate) mod companion {
    /// Of the monitor at the switches only.
    pub(crate) const NEAR_MAP: &str = "near_map";
    pub(crate) const CPU_MAP: &str = "cpu_map";
    pub(crate) const EXITED_MAP: &str = "exited_map";
    pub(crate) const GROUP_MAP: &str = "group_map";
    pub(crate) const CONTROL_MAP: &str = "control_map";
    pub(crate) const SCHEMA_MAP: &str = "schema_map";
    pub(crate) const MAPS: [&str; 5] = [CPU_MAP, EXITED_MAP, GROUP_MAP, CONTROL_MAP, SCHEMA_MAP];
}

impl Pins {
    /// The directory of everything else that belongs to the monitor, beside its task map: the map's path with
    /// `_tombola` at its end, so that `--map` alone finds it.
    pub fn companions(&self) -> PathBuf {
        let mut name: OsString = self.map.clone().into_os_string();
        name.push("_tombola");
        name.into()
    }

    pub(crate) fn companion(&self, name: &str) -> PathBuf {
        self.companions().join(name)
    }

    /// The pin of the link of a companion program.
    pub(crate) fn companion_link(&self, program: &str) -> PathBuf {
        self.companion(&format!("{program}_link"))
    }

    /// Everything a monitor of either kind pins, in the order in which it is to be removed: links first,
    /// which stops the measuring.
    pub(crate) fn all(&self) -> Vec<PathBuf> {
        self.of_programs(&[OTHERS.as_slice(), &[LIGHT_ITERATOR]].concat())
    }

    /// Everything that a monitor with these programs beside its first pins, in the same order.
    pub(crate) fn of_programs(&self, others: &[&str]) -> Vec<PathBuf> {
        let links = others.iter().map(|name| self.companion_link(name));
        let programs = others.iter().map(|name| self.companion(name));
        let near = others.contains(&ITERATOR).then_some(companion::NEAR_MAP);
        let maps = near.into_iter().chain(companion::MAPS).map(|name| self.companion(name));
        [self.link.clone()]
            .into_iter()
            .chain(links)
            .chain([self.prog.clone()])
            .chain(programs)
            .chain([self.map.clone()])
            .chain(maps)
            .collect()
    }

    /// Whether a map of the monitor exists.
    pub(crate) fn has_maps(&self) -> bool {
        let companions = companion::MAPS.map(|name| self.companion(name));
        companions.iter().chain([&self.map]).any(|path| path.symlink_metadata().is_ok())
    }

    /// Everything of the monitor that exists. Program and link are only counted if they use one of its maps:
    /// they may have the names of another monitor's.
    pub(crate) fn existing(&self) -> Vec<PathBuf> {
        let maps = ownership::map_ids(&[self.map.clone(), self.companion(companion::CPU_MAP)]);
        let (owns_prog, owns_link) = ownership::owned(&self.prog, &self.link, &maps);
        self.all()
            .into_iter()
            .filter(|path| path.symlink_metadata().is_ok())
            .filter(|path| (*path != self.prog || owns_prog) && (*path != self.link || owns_link))
            .collect()
    }

    /// Checks that nothing of another owner is in the way.
    ///
    /// # Errors
    /// [`Error::PinPlace`] if something is.
    pub(crate) fn check_free(&self) -> Result<()> {
        match [&self.prog, &self.link].into_iter().find(|path| path.symlink_metadata().is_ok()) {
            None => Ok(()),
            Some(path) => {
                let why = "it belongs to another monitor; choose another --prog-pin and --link-pin";
                Err(Error::PinPlace { path: path.clone(), why: why.into() })
            }
        }
    }

    /// Checks that all three paths are on a bpffs and free of traps.
    ///
    /// # Errors
    /// [`Error::PinPlace`] if not.
    pub(crate) fn check(&self) -> Result<()> {
        for path in [&self.map, &self.prog, &self.link] {
            check_place(path)?;
        }
        if self.map == self.prog || self.map == self.link || self.prog == self.link {
            return Err(Error::PinPlace {
                path: self.map.clone(),
                why: "two of the three pins have the same path".into(),
            });
        }
        if let Some(path) = [&self.prog, &self.link].into_iter().find(|&path| *path == self.companions()) {
            let why = "the directory of the monitor's other pins goes there; choose another name".into();
            return Err(Error::PinPlace { path: path.clone(), why });
        }
        Ok(())
    }

    /// Takes the lock that loading and unloading hold: the directory of the task map.
    ///
    /// # Errors
    /// [`Error::Locked`] with the holder's name if another process has it.
    pub(crate) fn lock(&self) -> Result<Flock<File>> {
        let dir = directory(&self.map);
        let open = |reason| Error::Pin { action: "lock", path: dir.to_owned(), reason };
        let file = File::open(dir).map_err(open)?;
        Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|(file, errno)| {
            if errno == nix::errno::Errno::EWOULDBLOCK {
                Error::Locked { dir: dir.to_owned(), holder: lock_holder(&file) }
            } else {
                open(errno.into())
            }
        })
    }

    /// Removes every pin that exists, and says which. What is pinned elsewhere is not touched.
    pub(crate) fn remove(&self) -> Result<Vec<PathBuf>> {
        let existing = self.existing();
        for path in &existing {
            fs::remove_file(path).map_err(|reason| Error::Pin {
                action: "remove",
                path: path.clone(),
                reason,
            })?;
        }
        match fs::remove_dir(self.companions()) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => {
                Err(Error::Pin { action: "remove", path: self.companions(), reason: e })
            }
            _ => Ok(existing),
        }
    }
}

fn directory(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Whether a path is known to be outside of every BPF file system.
pub(crate) fn is_elsewhere(path: &Path) -> bool {
    statfs(path).is_ok_and(|fs| fs.filesystem_type() != BPF_FS_MAGIC)
}

fn check_place(path: &Path) -> Result<()> {
    let refuse = |why: String| Err(Error::PinPlace { path: path.to_owned(), why });
    let Some(name) = path.file_name() else {
        return refuse("it names no file".into());
    };
    if name.to_string_lossy().contains('.') {
        return refuse("names in a BPF file system may not contain a dot".into());
    }
    let dir = directory(path);
    let on_bpffs = match statfs(dir) {
        Ok(fs) => fs.filesystem_type() == BPF_FS_MAGIC,
        Err(nix::errno::Errno::EACCES) => {
            return refuse(format!(
                "{} cannot be entered by this user; run as root, or 'sudo chmod 755' it",
                dir.display()
            ));
        }
        Err(nix::errno::Errno::ENOENT) => {
            return refuse(format!(
                "there is no directory {0}; make it with 'sudo mkdir {0}'",
                dir.display()
            ));
        }
        Err(errno) => return refuse(format!("{}: {}", dir.display(), errno.desc())),
    };
    if !on_bpffs {
        let remedy = if dir == Path::new(USUAL) {
            format!("mount one with 'sudo mount -t bpf -o mode=0755 bpf {USUAL}'")
        } else {
            format!("choose a path under {USUAL}")
        };
        return refuse(format!("{} is not on a BPF file system; {remedy}", dir.display()));
    }
    match dir.canonicalize() {
        Ok(real) if std::path::absolute(dir).is_ok_and(|given| given == real) => {}
        Ok(real) => return refuse(format!("a symbolic link leads there; name {} itself", real.display())),
        Err(e) => return refuse(format!("{}: {e}", dir.display())),
    }
    match path.symlink_metadata() {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(e) => refuse(e.to_string()),
        Ok(meta) if meta.is_symlink() => refuse("it is a symbolic link; remove it".into()),
        Ok(meta) if meta.is_dir() => refuse("it is a directory".into()),
        Ok(meta) if meta.uid() != geteuid().as_raw() => {
            refuse(format!("it is owned by another user (uid {}); let that user unload it", meta.uid()))
        }
        Ok(_) => Ok(()),
    }
}

/// "tombola (pid 123)", as far as /proc/locks tells.
fn lock_holder(file: &File) -> String {
    let pid = file.metadata().ok().and_then(|meta| {
        let inode = meta.ino();
        fs::read_to_string("/proc/locks").ok()?.lines().find_map(|line| {
            // "1: FLOCK  ADVISORY  WRITE 708 00:1f:2345 0 EOF"
            let mut words = line.split_ascii_whitespace();
            let (kind, pid, place) = (words.nth(1)?, words.nth(2)?, words.next()?);
            (kind == "FLOCK" && place.rsplit(':').next()? == inode.to_string())
                .then(|| pid.parse::<u32>().ok())?
        })
    });
    match pid {
        Some(pid) => {
            let comm = fs::read(format!("/proc/{pid}/comm")).unwrap_or_default();
            let comm: String = String::from_utf8_lossy(&comm).chars().filter(|c| !c.is_control()).collect();
            format!("{} (pid {pid})", if comm.is_empty() { "a process" } else { &comm })
        }
        None => "another process".into(),
    }
}

/// What to type when `path` exists and this user may not open it.
pub(crate) fn access_remedy(path: &Path) -> String {
    for dir in path.ancestors().skip(1).collect::<Vec<_>>().into_iter().rev() {
        match dir.metadata() {
            Ok(meta) if meta.permissions().mode() & 0o001 == 0 && meta.uid() != geteuid().as_raw() => {
                return format!(
                    "{0} has mode {1:04o}: run as root, or let others in with 'sudo chmod 755 {0}'",
                    dir.display(),
                    meta.permissions().mode() & 0o7777
                );
            }
            _ => {}
        }
    }
    "run as root (before Linux 5.19 kernel.unprivileged_bpf_disabled also keeps other users out)".into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn companions_are_found_from_the_map_alone() {
        assert_eq!(Pins::default().companions(), Path::new("/sys/fs/bpf/task_map_tombola"));
    }

    #[test]
    fn places_that_cannot_hold_a_pin_are_refused_with_a_reason() {
        let why = |path: &str| match check_place(Path::new(path)) {
            Err(Error::PinPlace { why, .. }) => why,
            other => panic!("{path}: {other:?}"),
        };
        assert!(why("/sys/fs/bpf/a.b").contains("dot"));
        assert!(why("/").contains("no file"));
        assert!(why("/tmp/x").contains("choose a path under /sys/fs/bpf"));
        assert!(why("/nonexistent/x").contains("/nonexistent"));
    }
}
