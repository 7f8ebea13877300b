//! An initramfs: a cpio archive of the "new ASCII" format, as
//! Documentation/driver-api/early-userspace/buffer-format.rst of the kernel describes it.

use anyhow::{Context as _, Result};
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Component, Path, PathBuf};

/// An archive in the making. Parent directories are made as they are needed.
#[derive(Debug, Default)]
pub struct Initramfs {
    bytes: Vec<u8>,
    inode: u32,
    there: BTreeSet<PathBuf>,
}

const DIRECTORY: u32 = 0o040_000;
const REGULAR: u32 = 0o100_000;
const CHARACTER: u32 = 0o020_000;

impl Initramfs {
    /// An empty archive, with the device that PID 1 has as its console.
    pub fn new() -> Self {
        let mut archive = Self::default();
        archive.parents(Path::new("/dev/console"));
        archive.entry("dev/console", CHARACTER | 0o600, &[], (5, 1));
        archive
    }

    /// A directory that anybody may enter.
    pub fn directory(&mut self, path: &Path) {
        self.parents(&path.join("x"));
    }

    /// A file of these bytes. A path that is there already keeps its first content.
    pub fn file(&mut self, path: &Path, mode: u32, bytes: &[u8]) {
        self.parents(path);
        let name = relative(path);
        if self.there.insert(name.clone()) {
            self.entry(&name.to_string_lossy(), REGULAR | mode, bytes, (0, 0));
        }
    }

    /// A copy of a file of the host, under the same path or another.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn copy(&mut self, from: &Path, to: &Path) -> Result<()> {
        let what = || format!("reading {}", from.display());
        let bytes = fs::read(from).with_context(what)?;
        let mode = fs::metadata(from).with_context(what)?.permissions().mode() & 0o777;
        self.file(to, mode | 0o444, &bytes);
        Ok(())
    }

    /// The archive.
    pub fn finish(mut self) -> Vec<u8> {
        self.entry("TRAILER!!!", 0, &[], (0, 0));
        self.bytes
    }

    fn parents(&mut self, path: &Path) {
        let mut at = PathBuf::new();
        for part in relative(path.parent().unwrap_or(Path::new("/"))).components() {
            at.push(part);
            if self.there.insert(at.clone()) {
                self.entry(&at.to_string_lossy(), DIRECTORY | 0o755, &[], (0, 0));
            }
        }
    }

    fn entry(&mut self, name: &str, mode: u32, bytes: &[u8], device: (u32, u32)) {
        self.inode += 1;
        let size = u32::try_from(bytes.len()).expect("the format has room for 4 GiB a file");
        let name_size = u32::try_from(name.len() + 1).expect("a path is short");
        let (links, time, check) = (1, 0, 0);
        let fields = [self.inode, mode, 0, 0, links, time, size, 0, 0, device.0, device.1, name_size, check];
        self.bytes.extend_from_slice(b"070701");
        for field in fields {
            self.bytes.extend_from_slice(format!("{field:08x}").as_bytes());
        }
        self.bytes.extend_from_slice(name.as_bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend_from_slice(bytes);
        self.pad();
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

fn relative(path: &Path) -> PathBuf {
    path.components().filter(|part| matches!(part, Component::Normal(_))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;
    use std::process::{Command, Stdio};

    /// The judge is the cpio program, where there is one.
    #[test]
    fn cpio_reads_what_we_write() {
        let mut archive = Initramfs::new();
        archive.file(Path::new("/a/b/odd"), 0o755, b"five\n");
        archive.file(Path::new("/a/b/odd"), 0o644, b"ignored");
        archive.file(Path::new("/init"), 0o755, &[7; 1001]);
        archive.directory(Path::new("/sys/fs"));
        let bytes = archive.finish();
        assert_eq!(bytes.len() % 4, 0);

        let dir = tempfile::tempdir().unwrap();
        let Ok(mut cpio) = Command::new("cpio")
            .args(["-i", "--make-directories", "--quiet", "--no-absolute-filenames", "a/*", "init", "sys/*"])
            .current_dir(dir.path())
            .stdin(Stdio::piped())
            .spawn()
        else {
            println!("SKIP: cpio is not installed");
            return;
        };
        cpio.stdin.take().unwrap().write_all(&bytes).unwrap();
        assert!(cpio.wait().unwrap().success());
        assert_eq!(fs::read(dir.path().join("a/b/odd")).unwrap(), b"five\n");
        assert_eq!(fs::read(dir.path().join("init")).unwrap(), [7; 1001]);
        assert_eq!(fs::metadata(dir.path().join("init")).unwrap().permissions().mode() & 0o777, 0o755);
        assert!(dir.path().join("sys/fs").is_dir());
    }
}
