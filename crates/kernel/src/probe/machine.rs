//! The machine around the monitor: kernel, CPUs, namespaces, cgroups.

use super::{Finding, Verdict, kernel_file};
use crate::initial_pids::pids_are_initial;
use nix::sys::statfs::{CGROUP2_SUPER_MAGIC, statfs};
use nix::sys::utsname::uname;
use std::path::Path;

/// A kernel release, used to explain what older kernels ask for, and never to decide what this one can do.
pub(super) struct Release {
    pub(super) text: String,
    number: Option<(u32, u32)>,
}

impl Release {
    pub(super) fn running() -> Self {
        let text = uname().map_or_else(
            |error| format!("unknown ({error})"),
            |name| format!("{} {}", name.release().to_string_lossy(), name.machine().to_string_lossy()),
        );
        Self::of(text)
    }

    pub(super) fn of(text: String) -> Self {
        let mut parts = text.split(|c: char| !c.is_ascii_digit()).map(str::parse);
        let number = match (parts.next(), parts.next()) {
            (Some(Ok(major)), Some(Ok(minor))) => Some((major, minor)),
            _ => None,
        };
        Self { text, number }
    }

    /// Whether this kernel is older than `major.minor`; one that cannot be told counts as new.
    pub(super) fn before(&self, major: u32, minor: u32) -> bool {
        self.number.is_some_and(|number| number < (major, minor))
    }
}

pub(super) fn kernel(release: &Release) -> Finding {
    if release.before(5, 10) {
        return Finding::new(
            "kernel",
            Verdict::Warn,
            format!("{}: older than 5.10, not tried", release.text),
        )
        .remedy("use a kernel of 5.10 or later");
    }
    Finding::new("kernel", Verdict::Ok, release.text.as_str())
}

pub(super) fn surroundings() -> Vec<Finding> {
    vec![pid_namespace(), cgroups(), cpus()]
}

fn pid_namespace() -> Finding {
    let name = "PID namespace";
    if pids_are_initial() {
        return Finding::new(name, Verdict::Ok, "the initial one: PIDs are those ps shows here");
    }
    Finding::new(
        name,
        Verdict::Info,
        "one of its own: PIDs are shown as the host has them, and asked for by those ps shows here where programs can be \
         loaded; no light monitor",
    )
    .remedy("for the same PIDs everywhere: run on the host, or start the container with --pid=host")
}

fn cgroups() -> Finding {
    let (verdict, detail) = match statfs("/sys/fs/cgroup") {
        Ok(fs) if fs.filesystem_type() == CGROUP2_SUPER_MAGIC => (Verdict::Ok, "v2 at /sys/fs/cgroup"),
        Ok(_) if Path::new("/sys/fs/cgroup/unified/cgroup.procs").exists() => {
            (Verdict::Info, "hybrid: v1 controllers, v2 at /sys/fs/cgroup/unified")
        }
        Ok(_) if Path::new("/sys/fs/cgroup/cpu").exists() => {
            (Verdict::Info, "v1, one hierarchy a controller")
        }
        _ => (Verdict::Info, "none mounted at /sys/fs/cgroup: cgroups have no names"),
    };
    Finding::new("cgroups", verdict, detail)
}

fn cpus() -> Finding {
    let read = |which| kernel_file(&format!("/sys/devices/system/cpu/{which}"));
    let detail = match (read("possible"), read("online")) {
        (Some(possible), Some(online)) => format!("online {online} of possible {possible}"),
        _ => "/sys/devices/system/cpu cannot be read".to_owned(),
    };
    Finding::new("CPUs", Verdict::Info, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_compare_by_number_and_an_odd_one_counts_as_new() {
        let before = |text: &str| Release::of(text.to_owned()).before(5, 11);
        assert!(before("5.10.0-28-amd64 x86_64") && before("4.19") && before("5.9-rc1"));
        assert!(!before("5.11.0") && !before("6.1.0-13-amd64") && !before("10.0"));
        assert!(!before("unknown") && !before(""));
    }
}
