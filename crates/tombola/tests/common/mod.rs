//! What the live tests of the binary share: a BPF file system of their own, and the binary with pins in it.
#![allow(dead_code)] // every test binary uses a part of it
#![allow(clippy::unwrap_used)] // helpers of tests are no #[test] themselves

pub(crate) mod program;
pub(crate) mod simulated;

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// The one limit of every wait, far beyond what a busy machine needs.
const LIMIT: Duration = Duration::from_secs(120);

/// Waits until `condition` gives something.
pub(crate) fn wait_for<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = condition() {
            return found;
        }
        assert!(start.elapsed() < LIMIT, "not within {LIMIT:?}: {what}");
        thread::sleep(Duration::from_millis(2));
    }
}

/// A BPF file system that nobody else uses; unmounted at the end, which also ends what is pinned there.
pub(crate) struct BpfFs {
    dir: TempDir,
}

impl BpfFs {
    pub(crate) fn mount() -> Self {
        let dir = TempDir::new().unwrap();
        mount(Some("bpf"), dir.path(), Some("bpf"), MsFlags::empty(), None::<&str>).unwrap();
        // A new bpffs has mode 01777.
        fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).unwrap();
        Self { dir }
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn map(&self) -> PathBuf {
        self.path().join("task_map")
    }

    /// Everything in it; the kernel's own two files of a new bpffs are no pins.
    pub(crate) fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(self.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| !["maps.debug", "progs.debug"].contains(&name.as_str()))
            .collect();
        names.sort();
        names
    }

    /// `binary` with its pins here, and a small map.
    pub(crate) fn with(&self, mut binary: Command, verb: &str) -> Command {
        for name in ["MAP_PIN", "PROG_PIN", "LINK_PIN", "BTF_PATH"] {
            binary.env_remove(name);
        }
        binary.arg(verb).stdin(Stdio::null());
        if verb == "dump" {
            binary.arg("--map").arg(self.map());
        } else {
            binary.arg("--map-pin").arg(self.map());
        }
        if verb == "load" || verb == "unload" || verb == "status" {
            binary.arg("--prog-pin").arg(self.path().join("prog"));
            binary.arg("--link-pin").arg(self.path().join("link"));
        }
        if verb == "load" {
            binary.args(["--max-tasks", "4096"]);
        }
        binary
    }

    pub(crate) fn tombola(&self, verb: &str) -> Command {
        // Signals may be ignored where the tests run (nohup, `&`), and tombola leaves ignored ones so.
        let mut command = Command::new("env");
        command.args(["--default-signal=INT,TERM,HUP", env!("CARGO_BIN_EXE_tombola")]);
        self.with(command, verb)
    }

    pub(crate) fn loaded() -> Self {
        let fs = Self::mount();
        let said = ok(&fs.tombola("load").output().unwrap());
        assert!(said.starts_with("loaded: measuring since "), "{said}");
        fs
    }

    /// How many pins there are.
    pub(crate) fn pins(&self) -> usize {
        let pins = files_below(self.path());
        assert!(pins >= 12, "{pins} pins");
        pins
    }

    pub(crate) fn unload(&self) {
        let pins = self.pins();
        let said = ok(&self.tombola("unload").output().unwrap());
        assert_eq!(said, format!("unloaded: {pins} pins removed\n"));
        assert!(self.names().is_empty(), "{:?}", self.names());
    }
}

/// Whether the line that begins so says that nothing was lost, but for switches that this machine's kernel
/// hides: see "In a sample" in docs/troubleshooting.md.
pub(crate) fn lost_nothing(text: &str, begin: &str) -> bool {
    let loss =
        text.lines().find_map(|line| line.strip_prefix(begin)).unwrap_or_else(|| panic!("no loss: {text}"));
    loss.split("; ").all(|part| {
        // One switch, or several.
        part == "none" || part.starts_with("corrected: ") || part.contains(" not shown by the kernel (")
    })
}

/// Files in a directory and below it, the two that every BPF file system has left out.
fn files_below(dir: &Path) -> usize {
    let entries = fs::read_dir(dir).unwrap().map(Result::unwrap);
    let of = |entry: fs::DirEntry| match entry.file_type().unwrap() {
        kind if kind.is_dir() => files_below(&entry.path()),
        _ if ["maps.debug", "progs.debug"].iter().any(|own| entry.file_name() == *own) => 0,
        _ => 1,
    };
    entries.map(of).sum()
}

impl Drop for BpfFs {
    fn drop(&mut self) {
        let _ = umount2(self.dir.path(), MntFlags::MNT_DETACH);
    }
}

/// Standard output of a run that must have been a success.
pub(crate) fn ok(output: &Output) -> String {
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{complaint}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// What a run said that must have failed with status 1, in one line.
pub(crate) fn failed(output: &Output) -> String {
    let complaint = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(output.status.code(), Some(1), "{complaint}");
    assert!(complaint.starts_with("tombola: ") && complaint.ends_with('\n'), "{complaint}");
    assert_eq!(complaint.lines().count(), 1, "{complaint}");
    complaint
}

/// A copy of the binary that any user may run, wherever the build directory is.
pub(crate) fn copy_for_anyone() -> (TempDir, PathBuf) {
    let dir = TempDir::new().unwrap();
    fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).unwrap();
    let copy = dir.path().join("tombola");
    fs::copy(env!("CARGO_BIN_EXE_tombola"), &copy).unwrap();
    (dir, copy)
}
