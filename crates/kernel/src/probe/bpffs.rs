//! The BPF file system the pins live in.

use super::{Finding, Verdict};
use nix::sys::statfs::{BPF_FS_MAGIC, statfs};
use nix::unistd::{AccessFlags, eaccess};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

const NAME: &str = "BPF file system";
const USUAL: &str = "/sys/fs/bpf";

/// Two lines: whether the directory is on a BPF file system, and who may do what in it.
pub(super) fn probe(dir: &Path) -> Vec<Finding> {
    let exists = existing(dir);
    let shown = exists.display();
    match statfs(exists) {
        Ok(fs) if fs.filesystem_type() == BPF_FS_MAGIC => {
            vec![Finding::new(NAME, Verdict::Ok, format!("mounted, {shown} is on it")), modes(exists)]
        }
        Ok(_) => {
            let remedy = if dir.starts_with(USUAL) {
                format!("sudo mount -t bpf -o mode=0755 bpf {USUAL}")
            } else {
                format!("choose pins under {USUAL} (--map-pin, --prog-pin, --link-pin)")
            };
            vec![
                Finding::new(NAME, Verdict::Fail, format!("{shown} is on none: nothing can be pinned"))
                    .remedy(remedy),
            ]
        }
        Err(error) => vec![
            Finding::new(NAME, Verdict::Fail, format!("{shown}: {error}"))
                .remedy(format!("as root: mount -t bpf -o mode=0755 bpf {USUAL}")),
        ],
    }
}

/// The nearest directory on the way to `dir` that is there.
pub(super) fn existing(dir: &Path) -> &Path {
    dir.ancestors().find(|dir| !dir.as_os_str().is_empty() && dir.exists()).unwrap_or(Path::new("/"))
}

fn modes(dir: &Path) -> Finding {
    let name = "pin directory";
    let metadata = match std::fs::metadata(dir) {
        Ok(metadata) => metadata,
        Err(error) => {
            return Finding::new(name, Verdict::Fail, format!("{}: {error}", dir.display()))
                .remedy("type it with sudo");
        }
    };
    let mode = metadata.mode() & 0o7777;
    let state = format!("{} has mode {mode:04o}, owner {}", dir.display(), metadata.uid());
    if eaccess(dir, AccessFlags::W_OK | AccessFlags::X_OK).is_err() {
        return Finding::new(name, Verdict::Fail, format!("{state}: this user cannot pin there")).remedy(format!(
            "type it with sudo; or, as root, make a directory under {USUAL} for this user and name it with --map-pin, \
             --prog-pin and --link-pin"
        ));
    }
    if mode & 0o005 != 0o005 {
        // systemd mounts it so.
        return Finding::new(
            name,
            Verdict::Warn,
            format!("{state}: other users cannot reach the pins to read them"),
        )
        .remedy(format!("sudo chmod 0755 {}", dir.display()));
    }
    Finding::new(name, Verdict::Ok, state)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_directory_that_is_there_is_looked_at() {
        assert_eq!(existing(Path::new("/proc/self/no/such")), Path::new("/proc/self"));
        assert_eq!(existing(Path::new("no/such")), Path::new("/"));
    }

    #[test]
    fn another_file_system_is_refused_with_what_to_do() {
        let findings = probe(Path::new("/proc"));
        assert_eq!((findings.len(), findings[0].verdict), (1, Verdict::Fail));
        assert!(findings[0].remedy.as_deref().unwrap().contains("choose pins under /sys/fs/bpf"));
    }
}
