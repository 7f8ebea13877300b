//! Building for machines of another architecture: compilers and libraries of Debian, unpacked into the cache
//! and entered for the time of a build. Nothing is installed, and the host's own tool chain need not know the
//! other architecture.

use crate::arch::Arch;
use crate::archive::Archive;
use crate::foreign::Foreign;
use crate::payload::Binaries;
use anyhow::{Context as _, Result, bail, ensure};
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io::Cursor;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, fs};

/// The suite that has a rustc as young as this workspace needs. What was unpacked once stays in use: remove
/// it from the cache to have it anew.
const SUITE: &str = "testing";

/// What builds. 'ARCH' is replaced by what Debian calls the other architecture, 'CC' by the prefix of its
/// compiler.
const TOOLS: [&str; 24] = [
    "rustc",
    "cargo",
    "libstd-rust-dev",
    "libstd-rust-dev:ARCH",
    "gcc",
    "libc6-dev",
    "gcc-CC",
    "libc6-dev:ARCH",
    "libelf-dev",
    "libelf-dev:ARCH",
    "zlib1g-dev",
    "zlib1g-dev:ARCH",
    "clang",
    "make",
    "pkgconf",
    "gawk",
    "base-files",
    "bash",
    "dash",
    "coreutils",
    "findutils",
    "grep",
    "sed",
    "qemu-user",
];

/// What the machine gets of programs and libraries, of the same suite: they run with the C library that was
/// linked against.
const PROGRAMS: [&str; 9] =
    ["base-files", "coreutils", "dash", "grep", "procps", "util-linux", "libelf1t64", "zlib1g", "libgcc-s1"];

/// Names that the installation of a package would have set.
const ALTERNATIVES: [(&str, &str); 2] = [("awk", "gawk"), ("cc", "gcc")];

/// Enters a tree, with directories of the host bound into it, in a name space of its own, and becomes a
/// command there.
const ENTER: &str = r#"
set -e
root=$1
shift
while [ "$1" != -- ]; do
    mkdir -p "$root$1"
    mount --rbind "$1" "$root$1"
    shift
done
shift
exec chroot "$root" /usr/bin/env -i "$@"
"#;

/// Builds the programs that a machine of this architecture runs, and these test programs.
///
/// # Errors
/// If Debian's packages cannot be had, their tree cannot be entered, or the build fails.
pub fn build(arch: Arch, tests: &BTreeSet<String>) -> Result<Binaries> {
    let archive = Archive::open()?;
    let tools = tree(&archive, arch, Arch::default(), "tools", &TOOLS, "450 MB")?;
    let root = tree(&archive, arch, arch, "programs", &PROGRAMS, "25 MB")?;
    let emulator = tools.join("usr/bin").join(format!("qemu-{}", processor(arch)));
    ensure!(
        emulator.is_file(),
        "{} is not there; remove {} and try again",
        emulator.display(),
        tools.display()
    );

    let workspace = workspace()?;
    let target = target()?.join(arch.name());
    fs::create_dir_all(&target).with_context(|| format!("making {}", target.display()))?;
    let cargo_home = cargo_home()?;
    // The host's cargo knows how to fetch; in the tree there is no network to be set up.
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut fetch = Command::new(cargo);
    fetch.current_dir(&workspace).args(["fetch", "--locked", "--target", arch.triple()]);
    done(&mut fetch).context("fetching crates")?;

    let places = [Path::new("/dev"), Path::new("/proc"), &workspace, &target, &cargo_home];
    let build = |arguments: &[&str]| -> Result<Vec<u8>> {
        let mut command = Command::new("unshare");
        command.args(["--mount", "--propagation=private"]);
        if !nix::unistd::geteuid().is_root() {
            command.arg("--map-root-user");
        }
        command.args(["sh", "-c", ENTER, "sh"]).arg(&tools).args(places).arg("--");
        command.arg("-C").arg(&workspace).args(variables(arch, &target, &cargo_home));
        command.arg("cargo").args(arguments).args(["--locked", "--offline", "--target", arch.triple()]);
        let output =
            command.stdin(Stdio::null()).stderr(Stdio::inherit()).output().context("starting unshare")?;
        ensure!(
            output.status.success(),
            "building for {}: cargo {}: {}",
            arch.name(),
            arguments[0],
            output.status
        );
        Ok(output.stdout)
    };
    eprintln!("tombola-vm: building for {}, with the tools in {}", arch.name(), tools.display());
    // One by one: packages that are built together agree on the features of what they share, and it would be
    // built once more.
    build(&["build", "--package", "tombola-vm", "--bin", "tombola-vm-init"])?;
    // The tests of tombola's own are built with the binary that they test.
    let mut arguments = vec!["test", "--no-run", "--message-format=json-render-diagnostics"];
    arguments.extend(["--package", "tombola-kernel", "--package", "tombola"]);
    arguments.extend(tests.iter().flat_map(|test| ["--test", test]));
    if tests.is_empty() {
        arguments = vec!["build", "--package", "tombola", "--bin", "tombola"];
    }
    let messages = build(&arguments)?;
    let here = target.join(arch.triple()).join("debug");
    Binaries::find_foreign(
        Cursor::new(messages),
        &here.join("tombola"),
        &here.join("tombola-vm-init"),
        Foreign { root, emulator },
    )
}

/// What cargo has to know in the tree. Executables come out stripped: the host's tools cannot do it.
fn variables(arch: Arch, target: &Path, cargo_home: &Path) -> Vec<OsString> {
    let linker = format!("{}-gcc", arch.multiarch());
    let of_target =
        |name: &str| format!("CARGO_TARGET_{}_{name}", arch.triple().replace('-', "_").to_uppercase());
    let set = |name: &str, value: &Path| {
        let mut word = OsString::from(name);
        word.push("=");
        word.push(value);
        word
    };
    let mut words: Vec<OsString> = [
        "PATH=/usr/bin:/usr/sbin",
        "HOME=/root",
        "LANG=C.UTF-8",
        "PKG_CONFIG_ALLOW_CROSS=1",
        "CARGO_PROFILE_DEV_STRIP=symbols",
        "CARGO_PROFILE_DEV_DEBUG=none",
    ]
    .map(OsString::from)
    .to_vec();
    words.push(format!("PKG_CONFIG_LIBDIR=/usr/lib/{}/pkgconfig", arch.multiarch()).into());
    words.push(format!("{}={linker}", of_target("LINKER")).into());
    words.push(set("CARGO_TARGET_DIR", target));
    words.push(set("CARGO_HOME", cargo_home));
    words.extend(env::var_os("CARGO_BUILD_JOBS").map(|jobs| set("CARGO_BUILD_JOBS", Path::new(&jobs))));
    words
}

/// A tree of packages of an architecture, and all that they need, in the cache.
fn tree(
    archive: &Archive,
    arch: Arch,
    of: Arch,
    name: &str,
    packages: &[&str],
    size: &str,
) -> Result<PathBuf> {
    let place = archive.file("cross").join(arch.name()).join(name);
    if place.is_dir() {
        return Ok(place);
    }
    let suite = archive.suite(SUITE, arch)?;
    if place.is_dir() {
        return Ok(place); // while this waited for its turn
    }
    eprintln!("tombola-vm: fetching {name} for {} into the cache, once: about {size}", arch.name());
    let full = |package: &&str| {
        let word = package.replace("ARCH", arch.debian()).replace("CC", arch.multiarch());
        if of == Arch::default() { word } else { format!("{word}:{}", of.debian()) }
    };
    let packages: Vec<String> = packages.iter().map(full).collect();
    let made = tempfile::tempdir_in(archive.file("cross"))?;
    let unpacked = made.path().join("unpacked");
    suite.unpack_with_dependencies(&packages.iter().map(String::as_str).collect::<Vec<_>>(), &unpacked)?;
    for (link, program) in ALTERNATIVES {
        let bin = unpacked.join("usr/bin");
        if bin.join(program).exists() && !bin.join(link).exists() {
            symlink(program, bin.join(link)).with_context(|| format!("linking {link}"))?;
        }
    }
    fs::create_dir_all(place.parent().context("a cache without a directory")?)?;
    fs::rename(&unpacked, &place).with_context(|| format!("writing {}", place.display()))?;
    Ok(place)
}

/// What rustc and QEMU call the processor.
fn processor(arch: Arch) -> &'static str {
    arch.triple().split('-').next().unwrap_or_default()
}

/// The sources that this program was built from.
fn workspace() -> Result<PathBuf> {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    match manifest.parent() {
        Some(workspace) if workspace.join("Cargo.lock").is_file() => Ok(workspace.to_owned()),
        _ => bail!("the sources are no longer in {}; build tombola-vm anew", manifest.display()),
    }
}

/// Where cargo builds: this program lies in it, in the directory of its profile.
fn target() -> Result<PathBuf> {
    let own = env::current_exe()?;
    Ok(own.ancestors().nth(2).context("this program is in no directory of cargo's")?.to_owned())
}

fn cargo_home() -> Result<PathBuf> {
    match env::var_os("CARGO_HOME").filter(|dir| !dir.is_empty()) {
        Some(dir) => Ok(dir.into()),
        None => {
            Ok(PathBuf::from(env::var_os("HOME").context("neither CARGO_HOME nor HOME is set")?)
                .join(".cargo"))
        }
    }
}

fn done(command: &mut Command) -> Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    let status = command.stdin(Stdio::null()).status().with_context(|| program.clone())?;
    ensure!(status.success(), "{program}: {status}");
    Ok(())
}
