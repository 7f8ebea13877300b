//! What of the measured machine this process can name: PIDs of its namespace, owners of processes.

use nix::unistd::Uid;
use std::fs;

/// `PROC_PID_INIT_INO` of the kernel: the PID namespace that every machine starts with.
const INITIAL: &str = "pid:[4026531836]";

/// A sentence where the PIDs that this process uses are not those the kernel counts in.
pub fn foreign_pids() -> Option<&'static str> {
    let namespace = fs::read_link("/proc/self/ns/pid").ok()?;
    (namespace.as_os_str() != INITIAL).then_some(
        "This process is in a PID namespace of its own, and the kernel counts in the initial one: run it with the PIDs of the host \
         (docker run --pid=host).",
    )
}

/// A sentence where owners of processes are not to be seen: no `/proc`, or one that hides those of others.
pub fn hidden_owners() -> Option<String> {
    match fs::read_to_string("/proc/self/mounts") {
        Err(_) => Some("There is no /proc here, so nobody's owner is known: mount it (mount -t proc proc /proc).".to_owned()),
        Ok(mounts) if !Uid::effective().is_root() => hiding(&mounts).map(|option| {
            format!(
                "/proc is mounted with {option}, which hides the processes of other users: run it as root, or as a member of the group \
                 that the option gid= of that mount names."
            )
        }),
        Ok(_) => None,
    }
}

/// The option of the mount at `/proc` that hides processes, of the lines of `/proc/self/mounts`.
fn hiding(mounts: &str) -> Option<&str> {
    // What was mounted last lies on top.
    let options = mounts.lines().rev().find_map(|line| {
        let mut fields = line.split(' ').skip(1);
        (fields.next()? == "/proc" && fields.next()? == "proc").then(|| fields.next())?
    })?;
    let hides =
        |option: &&str| option.strip_prefix("hidepid=").is_some_and(|how| !["0", "off"].contains(&how));
    options.split(',').find(hides)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mount_that_lies_on_top_tells_whether_processes_are_hidden() {
        for (mounts, expected) in [
            ("proc /proc proc rw,nosuid 0 0\n", None),
            ("proc /proc proc rw,hidepid=0 0 0\n", None),
            ("proc /proc proc rw,hidepid=off 0 0\n", None),
            ("proc /proc proc rw,gid=4,hidepid=2 0 0\n", Some("hidepid=2")),
            ("proc /proc proc rw,hidepid=invisible 0 0\n", Some("hidepid=invisible")),
            ("proc /proc proc rw,hidepid=2 0 0\nproc /proc proc rw 0 0\n", None),
            ("proc /mnt/proc proc rw,hidepid=2 0 0\n", None),
            ("", None),
        ] {
            assert_eq!(hiding(mounts), expected, "{mounts}");
        }
    }
}
