//! Debian's packages, into a cache of our own: apt does the work, with lists, sources and state of its own,
//! so that the machine's set-up stays as it is. The mirror is the one the machine uses.

use crate::arch::Arch;
use crate::sources::source_of;
use anyhow::{Context as _, Result, bail, ensure};
use nix::fcntl::{Flock, FlockArg};
use std::error::Error;
use std::fmt;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;
use std::{env, fs};

/// Lists older than this are renewed.
const FRESH: Duration = Duration::from_secs(20 * 3600);

/// The cache and what apt needs to fill it.
#[derive(Debug)]
pub struct Archive {
    dir: PathBuf,
}

/// One suite of the archive, with a fresh list of its packages. Nobody else fills the cache while it lives:
/// two lanes at once would write the same lists.
#[derive(Debug)]
pub struct Suite<'a> {
    archive: &'a Archive,
    name: &'a str,
    arch: Arch,
    _alone: Flock<File>,
}

impl Archive {
    /// In `$XDG_CACHE_HOME/tombola/vm` or `~/.cache/tombola/vm`.
    ///
    /// # Errors
    /// If there is no home, or the directory cannot be made.
    pub fn open() -> Result<Self> {
        let cache = match env::var_os("XDG_CACHE_HOME").filter(|dir| !dir.is_empty()) {
            Some(dir) => PathBuf::from(dir),
            None => PathBuf::from(env::var_os("HOME").context("neither XDG_CACHE_HOME nor HOME is set")?)
                .join(".cache"),
        };
        let dir = cache.join("tombola/vm");
        for part in ["lists/partial", "archives/partial", "sources", "kernels", "emulators", "cross"] {
            fs::create_dir_all(dir.join(part))
                .with_context(|| format!("making {}", dir.join(part).display()))?;
        }
        Ok(Self { dir })
    }

    /// A suite of Debian, with packages for the host and for `arch`, its list renewed if that is old.
    ///
    /// # Errors
    /// If there is no apt, no Debian archive among the machine's sources, or no network.
    pub fn suite<'a>(&'a self, name: &'a str, arch: Arch) -> Result<Suite<'a>> {
        let suite = Suite { archive: self, name, arch, _alone: self.lock()? };
        suite.renew()?;
        Ok(suite)
    }

    /// A place in the cache.
    pub fn file(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    fn lock(&self) -> Result<Flock<File>> {
        let path = self.dir.join("lock");
        let file = File::create(&path).with_context(|| format!("writing {}", path.display()))?;
        match Flock::lock(file, FlockArg::LockExclusive) {
            Ok(lock) => Ok(lock),
            Err((_, error)) => bail!("locking {}: {error}", path.display()),
        }
    }
}

impl Suite<'_> {
    /// Names of its packages that match a pattern of apt's, in no order.
    ///
    /// # Errors
    /// If there is no apt.
    pub fn search(&self, pattern: &str) -> Result<Vec<String>> {
        let text = self.ask(&["search", "--names-only", pattern])?;
        Ok(text.lines().filter_map(|line| Some(line.split_whitespace().next()?.to_owned())).collect())
    }

    /// Version of the newest package of this name; none if there is none.
    ///
    /// # Errors
    /// If there is no apt.
    pub fn version(&self, package: &str) -> Result<Option<String>> {
        let text = self.ask(&["show", "--no-all-versions", package])?;
        Ok(text.lines().find_map(|line| Some(line.strip_prefix("Version: ")?.to_owned())))
    }

    /// Unpacks a package, alone, into a new directory.
    ///
    /// # Errors
    /// If it cannot be downloaded or unpacked.
    pub fn unpack(&self, package: &str, to: &Path) -> Result<()> {
        let debs = tempfile::tempdir_in(&self.archive.dir)?;
        let mut apt = self.apt("apt-get");
        apt.current_dir(debs.path()).args(["--quiet", "--quiet", "download", package]);
        fetch(&mut apt).with_context(|| format!("downloading {package}"))?;
        extract_all(debs.path(), to)
    }

    /// Unpacks packages and all that they need to run, their C library included, into a new directory.
    ///
    /// # Errors
    /// If they cannot be downloaded or unpacked.
    pub fn unpack_with_dependencies(&self, packages: &[&str], to: &Path) -> Result<()> {
        let debs = tempfile::tempdir_in(&self.archive.dir)?;
        fs::create_dir_all(debs.path().join("partial"))?;
        let mut apt = self.apt("apt-get");
        // The state says that nothing is installed, so "everything that is missing" is everything.
        apt.arg("-o").arg(format!("Dir::Cache::archives={}", debs.path().display()));
        apt.args(["--quiet", "--quiet", "--yes", "--no-install-recommends", "--download-only", "install"]);
        fetch(apt.args(packages))
            .with_context(|| format!("downloading {} and what they need", packages.join(", ")))?;
        extract_all(debs.path(), to)
    }

    fn renew(&self) -> Result<()> {
        let (dir, suite) = (&self.archive.dir, self.name);
        let foreign =
            if self.arch == Arch::default() { String::new() } else { format!(".{}", self.arch.name()) };
        let stamp = dir.join("lists").join(format!("{suite}{foreign}.stamp"));
        let derived = source_of(suite).ok_or_else(|| {
            Outside(
                "the machine's apt sources name no Debian archive; give an image with --kernel FILE".into(),
            )
        })?;
        let same = fs::read_to_string(self.sources()).is_ok_and(|text| text == derived);
        let fresh = fs::metadata(&stamp)
            .and_then(|meta| meta.modified())
            .is_ok_and(|time| time.elapsed().is_ok_and(|age| age < FRESH));
        if same && fresh {
            return Ok(());
        }
        fs::write(self.sources(), derived)
            .with_context(|| format!("writing {}", self.sources().display()))?;
        let mut apt = self.apt("apt-get");
        apt.args(["--quiet", "--quiet", "-o", "APT::Update::Error-Mode=any", "update"]);
        fetch(&mut apt).with_context(|| format!("reading the package list of {suite}"))?;
        fs::write(&stamp, "").with_context(|| format!("writing {}", stamp.display()))
    }

    fn sources(&self) -> PathBuf {
        self.archive.dir.join("sources").join(format!("{}.sources", self.name))
    }

    fn ask(&self, question: &[&str]) -> Result<String> {
        let found = self.apt("apt-cache").args(question).output().context("apt-cache")?;
        Ok(String::from_utf8_lossy(&found.stdout).into_owned())
    }

    /// apt with everything of ours, and the machine's keys and proxies.
    fn apt(&self, program: &str) -> Command {
        let dir = &self.archive.dir;
        let mut command = Command::new(program);
        let mut set = |name: &str, value: &Path| {
            command.arg("-o").arg(format!("{name}={}", value.display()));
        };
        set("Dir::State::Lists", &dir.join("lists"));
        set("Dir::State::status", Path::new("/dev/null"));
        set("Dir::State::extended_states", Path::new("/dev/null"));
        set("Dir::Etc::SourceList", &self.sources());
        set("Dir::Etc::SourceParts", Path::new("/dev/null"));
        set("Dir::Cache", dir);
        for option in [
            "Dir::Cache::pkgcache=",
            "Dir::Cache::srcpkgcache=",
            "APT::Architecture=amd64",
            "APT::Architectures::=amd64",
            "APT::Sandbox::User=",
            "APT::Get::List-Cleanup=false",
            "Acquire::Languages=none",
            "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false",
            "Debug::NoLocking=true", // we hold a lock of our own
            "Acquire::Retries=1",
            "Acquire::http::Timeout=20",
            "Acquire::https::Timeout=20",
        ] {
            command.args(["-o", option]);
        }
        if self.arch != Arch::default() {
            command.arg("-o").arg(format!("APT::Architectures::={}", self.arch.debian()));
        }
        command.env("LC_ALL", "C").stdin(Stdio::null());
        command
    }
}

/// A reason that no change of this source tree could mend.
#[derive(Debug)]
struct Outside(String);

impl fmt::Display for Outside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for Outside {}

/// Whether an error has a reason that no change of this source tree could mend.
pub fn is_outside(error: &anyhow::Error) -> bool {
    error.chain().any(<dyn Error>::is::<Outside>)
}

/// Runs apt for something from the network, and tells an archive that cannot be reached from one that has not
/// what was asked for.
fn fetch(apt: &mut Command) -> Result<()> {
    let program = apt.get_program().to_string_lossy().into_owned();
    let output = match apt.stdout(Stdio::null()).output() {
        Ok(output) => output,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            bail!(Outside(format!("there is no {program} here")))
        }
        Err(error) => return Err(error).context(program),
    };
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    eprint!("{said}");
    match unreachable_line(&said) {
        Some(line) => bail!(Outside(format!("{program}: {line}"))),
        None => bail!("{program}: {}", output.status),
    }
}

/// What apt says where an archive does not answer, or answers that it cannot now.
fn unreachable_line(said: &str) -> Option<&str> {
    const WORDS: [&str; 10] = [
        "Temporary failure resolving",
        "Could not resolve",
        "Could not connect",
        "Cannot initiate the connection",
        "Unable to connect",
        "Connection failed",
        "Connection timed out",
        "Network is unreachable",
        "Could not wait for server fd",
        "Undetermined Error",
    ];
    // "503  Service Unavailable", as the methods of apt print an answer; 404 is an archive that has it not.
    let is_answer =
        |line: &str| ["500", "502", "503", "504"].iter().any(|code| line.contains(&format!(" {code}  ")));
    said.lines().map(str::trim).find(|line| WORDS.iter().any(|words| line.contains(words)) || is_answer(line))
}

fn run(command: &mut Command) -> Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    let status = command.stdout(Stdio::null()).status().with_context(|| program.clone())?;
    ensure!(status.success(), "{program}: {status}");
    Ok(())
}

/// Unpacks the packages that lie in a directory.
fn extract_all(debs: &Path, to: &Path) -> Result<()> {
    let mut count = 0;
    for entry in fs::read_dir(debs)? {
        let deb = entry?.path();
        if deb.extension().is_some_and(|extension| extension == "deb") {
            run(Command::new("dpkg-deb").arg("--extract").arg(&deb).arg(to))?;
            count += 1;
        }
    }
    ensure!(count > 0, "apt-get downloaded nothing");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_that_does_not_answer_is_nothing_that_we_can_mend() {
        for said in [
            "E: Failed to fetch x  Temporary failure resolving 'archive'",
            "W: y\n   Could not connect to archive:80 (192.0.2.1). - connect (111: Connection refused)",
            "E: Failed to fetch x  503  Service Unavailable [IP: 192.0.2.1 80]",
        ] {
            assert!(unreachable_line(said).is_some(), "{said}");
        }
        for said in [
            "E: Failed to fetch x  404  Not Found [IP: 192.0.2.1 80]",
            "E: The repository 'x y Release' does not have a Release file.",
            "E: Unable to locate package linux-image-6.17",
        ] {
            assert_eq!(unreachable_line(said), None, "{said}");
        }
    }

    #[test]
    fn the_reason_is_found_below_what_was_being_done() {
        let outside = anyhow::Error::new(Outside("no network".into())).context("downloading x");
        assert!(is_outside(&outside));
        assert!(!is_outside(&anyhow::anyhow!("no network").context("downloading x")));
        let fetched = fetch(&mut Command::new("/no/such/apt")).context("reading the list");
        assert!(fetched.is_err_and(|error| is_outside(&error)));
    }
}
