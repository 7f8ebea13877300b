//! The pressure the kernel itself states (PSI): the part of the time in which at least one task of a cgroup
//! waited for a CPU.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// The pressure file of the cgroup of this process, and what it stood at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pressure {
    file: PathBuf,
    /// Path of the cgroup, raw.
    pub cgroup: String,
    begin_us: u64,
    begin: Instant,
}

impl Pressure {
    /// That of the cgroup that this process, and what it starts, is in; `None` where the kernel keeps none.
    pub fn begin() -> Option<Self> {
        let own = fs::read_to_string("/proc/self/cgroup").ok()?;
        let cgroup = own.lines().find_map(|line| line.strip_prefix("0::"))?.to_owned();
        let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
        // The root cgroup has no pressure of its own: what is there is the machine's.
        let file = if cgroup == "/" {
            PathBuf::from("/proc/pressure/cpu")
        } else {
            mount(&mounts)?.join(cgroup.trim_start_matches('/')).join("cpu.pressure")
        };
        let begin_us = total_us(&file)?;
        Some(Self { file, cgroup, begin_us, begin: Instant::now() })
    }

    /// The part of the time since the beginning in which somebody waited, 0 to 1; `None` where the file can
    /// no longer be read.
    pub fn since(&self) -> Option<f64> {
        let waited_us = total_us(&self.file)?.saturating_sub(self.begin_us);
        let passed_us = self.begin.elapsed().as_micros().max(1);
        // The kernel's average is settled at times of its own, so that a short time may have a little more
        // than all.
        Some((waited_us as f64 / passed_us as f64).min(1.0))
    }
}

fn total_us(file: &Path) -> Option<u64> {
    total(&fs::read_to_string(file).ok()?)
}

/// The total of the line `some`.
fn total(text: &str) -> Option<u64> {
    let some = text.lines().find(|line| line.starts_with("some "))?;
    some.split_whitespace().find_map(|word| word.strip_prefix("total="))?.parse().ok()
}

/// Where the unified hierarchy is mounted.
fn mount(mountinfo: &str) -> Option<PathBuf> {
    let is_it = |line: &&str| line.split(" - ").nth(1).is_some_and(|rest| rest.starts_with("cgroup2 "));
    // A mount of a part of the hierarchy would need its root taken off; only the whole is taken.
    let line = mountinfo.lines().filter(is_it).find(|line| line.split(' ').nth(3) == Some("/"))?;
    Some(PathBuf::from(line.split(' ').nth(4)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_writes_is_read() {
        let text = "some avg10=1.50 avg60=0.80 avg300=0.20 total=123456\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n";
        assert_eq!(total(text), Some(123_456));
        assert_eq!(total(""), None);
        let mounts = "24 1 0:22 / /proc rw - proc proc rw\n30 1 0:27 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw\n";
        assert_eq!(mount(mounts), Some(PathBuf::from("/sys/fs/cgroup")));
        assert_eq!(mount("24 1 0:22 / /proc rw - proc proc rw\n"), None);
    }
}
