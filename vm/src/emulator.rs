//! Which QEMU drives the machines: the host's own if it is new enough, otherwise Debian's, in the cache.

use crate::arch::Arch;
use crate::archive::Archive;
use crate::payload::in_path;
use anyhow::{Context as _, Result};
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Older ones emulate CPUs side by side wrongly. 7.2 leaves a pointer in the flags where it emulates
/// cmpxchg16b, which kernels use for every allocation: 6.12 panics within seconds of forking. It also lets a
/// CPU run into a breakpoint by which another patches the kernel's code.
const OLDEST: u32 = 10;
/// Where Debian has one.
const SUITE: &str = "trixie";

/// A QEMU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Emulator {
    /// The program, and what it needs before its options.
    pub argv: Vec<OsString>,
}

impl Emulator {
    /// One for machines of this architecture: the host's own, or one from the cache, which is filled if it
    /// has none.
    ///
    /// # Errors
    /// If the host has none of version 10 or later and Debian's cannot be had.
    pub fn find(archive: &Archive, arch: Arch) -> Result<Self> {
        let (qemu, _) = arch.qemu();
        if let Some(own) = in_path(qemu)
            && version_of(&[own.clone().into()]).is_some_and(|version| version >= OLDEST)
        {
            return Ok(Self { argv: vec![own.into()] });
        }
        let from_debian = match (download(archive, arch), newest_here(archive, arch)) {
            (Ok(root), _) => root,
            (Err(error), Some(root)) => {
                eprintln!("tombola-vm: {error:#}; using {} from the cache", root.display());
                root
            }
            (Err(error), None) => {
                return Err(error.context(format!(
                    "there is no {qemu} of version {OLDEST} or later, and Debian's cannot be had"
                )));
            }
        };
        let emulator = Self { argv: apart(&from_debian, qemu) };
        let shown = version_of(&emulator.argv).map_or("none".into(), |version| version.to_string());
        anyhow::ensure!(
            version_of(&emulator.argv).is_some_and(|version| version >= OLDEST),
            "{} does not run here, or is too old (version {shown})",
            from_debian.display()
        );
        Ok(emulator)
    }
}

/// A program of a Debian that is not installed: with its own loader, libraries and firmware.
fn apart(root: &Path, qemu: &str) -> Vec<OsString> {
    let libraries = root.join("usr/lib/x86_64-linux-gnu");
    let mut argv: Vec<OsString> =
        vec![libraries.join("ld-linux-x86-64.so.2").into(), "--library-path".into(), libraries.into()];
    argv.push(root.join("usr/bin").join(qemu).into());
    for firmware in ["usr/share/qemu", "usr/share/seabios"] {
        argv.extend(["-L".into(), root.join(firmware).into()]);
    }
    argv
}

/// Begins the names of its directories in the cache, before the version.
fn prefix(arch: Arch) -> String {
    if arch == Arch::default() { "qemu-".into() } else { format!("qemu-{}-", arch.name()) }
}

fn download(archive: &Archive, arch: Arch) -> Result<PathBuf> {
    let (_, package) = arch.qemu();
    let suite = archive.suite(SUITE, Arch::default())?;
    let version = suite.version(package)?.with_context(|| format!("no {package} in {SUITE}"))?;
    // The loader separates directories by colons, and an epoch is one more.
    let place = archive.file("emulators").join(prefix(arch) + &version.replace(':', "_"));
    if place.is_dir() {
        return Ok(place);
    }
    eprintln!("tombola-vm: fetching QEMU {version} into the cache, about 40 MB");
    let made = tempfile::tempdir_in(archive.file("emulators"))?;
    let unpacked = made.path().join("unpacked");
    suite.unpack_with_dependencies(&[package], &unpacked)?;
    // Moved into place at the end, so that an interrupted download leaves no half of it.
    fs::rename(&unpacked, &place).with_context(|| format!("writing {}", place.display()))?;
    Ok(place)
}

fn newest_here(archive: &Archive, arch: Arch) -> Option<PathBuf> {
    let prefix = prefix(arch);
    let is_one = |place: &PathBuf| {
        let version = place.file_name().and_then(|name| name.to_str()?.strip_prefix(&prefix));
        version.is_some_and(|version| version.starts_with(|first: char| first.is_ascii_digit()))
    };
    let there = fs::read_dir(archive.file("emulators")).ok()?;
    let there = there.filter_map(|entry| Some(entry.ok()?.path()));
    there.filter(is_one).max_by_key(|place| fs::metadata(place).and_then(|meta| meta.modified()).ok())
}

/// The first number of its version; none if it does not run.
fn version_of(argv: &[OsString]) -> Option<u32> {
    let output = Command::new(&argv[0]).args(&argv[1..]).arg("--version").output().ok()?;
    major(&String::from_utf8_lossy(&output.stdout))
}

fn major(text: &str) -> Option<u32> {
    text.strip_prefix("QEMU emulator version ")?.split('.').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_read_from_what_it_says_of_itself() {
        assert_eq!(
            major("QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7+deb12u18+b3)\nCopyright"),
            Some(7)
        );
        assert_eq!(major("QEMU emulator version 11.1.3\n"), Some(11));
        assert_eq!(major("bash: no such file"), None);
        assert_eq!(version_of(&["/nonexistent/qemu".into()]), None);
    }
}
