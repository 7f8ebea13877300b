//! What of the measured machine this process can name: PIDs of its namespace, owners of processes.

use anyhow::{Result, anyhow, bail};
use nix::unistd::Uid;
use std::fs;
use std::sync::OnceLock;
use tombola_kernel::{PidNamespace, pids_are_initial};

/// The numbers by which this process knows tasks.
pub enum Pids {
    /// Those in which the kernel counts.
    Initial,
    /// Those of a namespace of its own, which can be asked.
    Namespace(PidNamespace),
    /// Those of a namespace that cannot be asked, with a sentence that says so.
    Unknown(String),
}

/// The PIDs of this process. In a namespace of its own the first call loads a program.
pub fn pids() -> &'static Pids {
    static PIDS: OnceLock<Pids> = OnceLock::new();
    PIDS.get_or_init(|| {
        if pids_are_initial() {
            return Pids::Initial;
        }
        PidNamespace::of_this_process().map_or_else(
            |error| {
                Pids::Unknown(format!(
                    "This process is in a PID namespace of its own, and the kernel counts in the initial one. What its PIDs \
                     are there cannot be found out: {error}. Or run it with the PIDs of the host (docker run --pid=host)."
                ))
            },
            Pids::Namespace,
        )
    })
}

/// The PID that the kernel counts in, of the task with this PID here.
///
/// # Errors
/// There is none; nobody knows it.
pub fn counted(here: u32) -> Result<u32> {
    let namespace = match pids() {
        Pids::Initial => return Ok(here),
        Pids::Unknown(why) => bail!("{why}"),
        Pids::Namespace(namespace) => namespace,
    };
    let found = namespace.pids()?.into_iter().find(|(_, pid)| *pid == here);
    found.map(|(pid, _)| pid).ok_or_else(|| anyhow!("there is no task {here} in this PID namespace"))
}

/// A sentence where the PIDs that this process uses tell nothing of the tasks that are measured.
pub fn foreign_pids() -> Option<&'static str> {
    match pids() {
        Pids::Unknown(why) => Some(why),
        Pids::Initial | Pids::Namespace(_) => None,
    }
}

/// A sentence for whoever is in a PID namespace of its own and looks at the machine.
pub fn whose_pids() -> Option<&'static str> {
    match pids() {
        Pids::Initial => None,
        Pids::Namespace(_) => Some(
            "this process is in a PID namespace of its own: PIDs are shown as the host has them, -p and -t take those of the \
             namespace; a wait of a task outside it counts when it is over",
        ),
        Pids::Unknown(_) => Some(
            "this process is in a PID namespace of its own: PIDs are shown as the host has them, and which of them is whose \
             here is not known; a wait of a task outside it counts when it is over",
        ),
    }
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
