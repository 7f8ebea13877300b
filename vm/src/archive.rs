//! Kernels from Debian's packages, into a cache of our own: apt does the work, with lists, sources and state of its own, so
//! that the machine's set-up stays as it is. The mirror is the one the machine uses.

use anyhow::{Context as _, Result, bail, ensure};
use nix::fcntl::{Flock, FlockArg};
use std::cmp::Reverse;
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
        for part in ["lists/partial", "archives/partial", "sources", "kernels"] {
            fs::create_dir_all(dir.join(part))
                .with_context(|| format!("making {}", dir.join(part).display()))?;
        }
        Ok(Self { dir })
    }

    /// The image of the newest package of a series, downloaded if it is not there.
    ///
    /// # Errors
    /// If there is no apt, no Debian archive among the machine's sources, no such package, or no network.
    pub fn kernel(&self, series: &str, suite: &str) -> Result<PathBuf> {
        let _alone = self.lock()?;
        let found = self.renew(suite).and_then(|()| self.download(series, suite));
        match (found, self.newest_here(series)) {
            (Ok(image), _) => Ok(image),
            (Err(error), Some(image)) => {
                eprintln!("tombola-vm: {error:#}; using {} from the cache", image.display());
                Ok(image)
            }
            (Err(error), None) => Err(error),
        }
    }

    /// A place in the cache for something that is not a kernel.
    pub fn file(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Two lanes at once would write the same lists.
    fn lock(&self) -> Result<Flock<File>> {
        let path = self.dir.join("lock");
        let file = File::create(&path).with_context(|| format!("writing {}", path.display()))?;
        match Flock::lock(file, FlockArg::LockExclusive) {
            Ok(lock) => Ok(lock),
            Err((_, error)) => bail!("locking {}: {error}", path.display()),
        }
    }

    fn renew(&self, suite: &str) -> Result<()> {
        let sources = self.dir.join("sources").join(format!("{suite}.sources"));
        let stamp = self.dir.join("lists").join(format!("{suite}.stamp"));
        let derived = derive(&machine_sources(), suite)
            .context("the machine's apt sources name no Debian archive; give an image with --kernel FILE")?;
        let same = fs::read_to_string(&sources).is_ok_and(|text| text == derived);
        let fresh = fs::metadata(&stamp)
            .and_then(|meta| meta.modified())
            .is_ok_and(|time| time.elapsed().is_ok_and(|age| age < FRESH));
        if same && fresh {
            return Ok(());
        }
        fs::write(&sources, derived).with_context(|| format!("writing {}", sources.display()))?;
        let status = self
            .apt("apt-get", suite)
            .args(["--quiet", "--quiet", "-o", "APT::Update::Error-Mode=any", "update"])
            .stdout(Stdio::null())
            .status()
            .context("apt-get")?;
        ensure!(status.success(), "apt-get could not read the package list of {suite}");
        fs::write(&stamp, "").with_context(|| format!("writing {}", stamp.display()))
    }

    fn download(&self, series: &str, suite: &str) -> Result<PathBuf> {
        let pattern = format!("^linux-(binary|image)-{}[.][0-9].*-cloud-amd64$", series.replace('.', "[.]"));
        let found = self
            .apt("apt-cache", suite)
            .args(["search", "--names-only", &pattern])
            .output()
            .context("apt-cache")?;
        let text = String::from_utf8_lossy(&found.stdout).into_owned();
        let names = text.lines().filter_map(|line| line.split_whitespace().next());
        let package = newest(names).with_context(|| format!("no kernel {series} in {suite}"))?;
        let place = self.dir.join("kernels").join(package);
        if let Some(image) = image_in(&place) {
            return Ok(image);
        }
        let debs = tempfile::tempdir_in(&self.dir)?;
        let status = self
            .apt("apt-get", suite)
            .current_dir(debs.path())
            .args(["--quiet", "--quiet", "download", package])
            .stdout(Stdio::null())
            .status()
            .context("apt-get")?;
        ensure!(status.success(), "apt-get could not download {package}");
        let deb = fs::read_dir(debs.path())?.next().context("apt-get downloaded nothing")??.path();
        let unpacked = debs.path().join("unpacked");
        let status = Command::new("dpkg-deb")
            .arg("--extract")
            .arg(&deb)
            .arg(&unpacked)
            .status()
            .context("dpkg-deb")?;
        ensure!(status.success(), "{package} could not be unpacked");
        let image =
            find_image(&unpacked).with_context(|| format!("there is no kernel image in {package}"))?;
        // Moved into place at the end, so that an interrupted download leaves no half of a kernel.
        let done = debs.path().join("done");
        fs::create_dir(&done)?;
        fs::rename(&image, done.join("vmlinuz"))?;
        fs::rename(&done, &place).with_context(|| format!("writing {}", place.display()))?;
        image_in(&place).context("the image vanished")
    }

    fn newest_here(&self, series: &str) -> Option<PathBuf> {
        let names: Vec<String> = fs::read_dir(self.dir.join("kernels"))
            .ok()?
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .filter(|name| {
                ["linux-binary-", "linux-image-"]
                    .iter()
                    .any(|kind| name.starts_with(&format!("{kind}{series}.")))
            })
            .collect();
        image_in(&self.dir.join("kernels").join(newest(names.iter().map(String::as_str))?))
    }

    /// apt with everything of ours, and the machine's keys and proxies.
    fn apt(&self, program: &str, suite: &str) -> Command {
        let mut command = Command::new(program);
        let mut set = |name: &str, value: &Path| {
            command.arg("-o").arg(format!("{name}={}", value.display()));
        };
        set("Dir::State::Lists", &self.dir.join("lists"));
        set("Dir::State::status", Path::new("/dev/null"));
        set("Dir::Etc::SourceList", &self.dir.join("sources").join(format!("{suite}.sources")));
        set("Dir::Etc::SourceParts", Path::new("/dev/null"));
        set("Dir::Cache::archives", &self.dir.join("archives"));
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
        command.stdin(Stdio::null());
        command
    }
}

/// All source files of the machine, those in the newer format first.
fn machine_sources() -> Vec<(String, bool)> {
    let mut files: Vec<PathBuf> = fs::read_dir("/etc/apt/sources.list.d")
        .map(|dir| dir.filter_map(|entry| Some(entry.ok()?.path())).collect())
        .unwrap_or_default();
    files.sort();
    files.push("/etc/apt/sources.list".into());
    files
        .iter()
        .filter_map(|file| {
            let stanzas = match file.extension()?.to_str()? {
                "sources" => true,
                "list" => false,
                _ => return None,
            };
            Some((fs::read_to_string(file).ok()?, stanzas))
        })
        .collect()
}

/// A suite of Debian itself, which its mirrors carry beside the others.
fn is_debian(suite: &str) -> bool {
    let base = suite.split('-').next().unwrap_or(suite);
    ["bullseye", "bookworm", "trixie", "forky", "duke", "sid", "unstable", "testing", "stable"]
        .contains(&base)
        && !suite.contains("security")
}

/// A source of the machine with another suite, in the newer format. Each text comes with whether it is in that format.
fn derive(texts: &[(String, bool)], suite: &str) -> Option<String> {
    texts.iter().find_map(|(text, stanzas)| {
        if *stanzas {
            let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
            lines.join("\n").split("\n\n").find_map(|stanza| derive_stanza(stanza, suite))
        } else {
            text.lines().find_map(|line| derive_line(line, suite))
        }
    })
}

fn derive_stanza(stanza: &str, suite: &str) -> Option<String> {
    // A field goes on in lines that begin with a blank: so a key may be written out.
    let field = |wanted: &str| {
        let mut lines = stanza.lines().skip_while(|line| {
            line.starts_with(char::is_whitespace)
                || !line.split_once(':').is_some_and(|(name, _)| name.trim().eq_ignore_ascii_case(wanted))
        });
        let first = lines.next()?.split_once(':')?.1.trim().to_owned();
        let more = lines.take_while(|line| line.starts_with(char::is_whitespace));
        Some(more.fold(first, |text, line| text + "\n" + line))
    };
    let is_binary = field("Types")?.split_whitespace().any(|kind| kind == "deb");
    let enabled = field("Enabled").is_none_or(|value| value != "no");
    if !is_binary || !enabled || !field("Suites")?.split_whitespace().any(is_debian) {
        return None;
    }
    let signed = field("Signed-By").map(|key| format!("Signed-By: {key}\n")).unwrap_or_default();
    Some(format!("Types: deb\nURIs: {}\nSuites: {suite}\nComponents: main\n{signed}", field("URIs")?))
}

fn derive_line(line: &str, suite: &str) -> Option<String> {
    let rest = line.trim().strip_prefix("deb")?.strip_prefix(char::is_whitespace)?.trim_start();
    let (options, rest) = match rest.strip_prefix('[') {
        Some(inner) => inner.split_once(']')?,
        None => ("", rest),
    };
    let mut words = rest.split_whitespace();
    let (uri, of) = (words.next()?, words.next()?);
    if !is_debian(of) {
        return None;
    }
    let signed = options
        .split_whitespace()
        .find_map(|option| option.strip_prefix("signed-by="))
        .map(|key| format!("Signed-By: {key}\n"))
        .unwrap_or_default();
    Some(format!("Types: deb\nURIs: {uri}\nSuites: {suite}\nComponents: main\n{signed}"))
}

/// The newest of packages by the numbers in their names; of two of one version the smaller, split one.
fn newest<'a>(names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    names.max_by_key(|name| {
        let numbers: Vec<u64> =
            name.split(|c: char| !c.is_ascii_digit()).filter_map(|n| n.parse().ok()).collect();
        (numbers, Reverse(*name))
    })
}

fn image_in(place: &Path) -> Option<PathBuf> {
    let image = place.join("vmlinuz");
    image.is_file().then_some(image)
}

fn find_image(dir: &Path) -> Option<PathBuf> {
    let mut entries: Vec<PathBuf> =
        fs::read_dir(dir).ok()?.filter_map(|entry| Some(entry.ok()?.path())).collect();
    entries.sort();
    entries.iter().find_map(|path| {
        if path.is_dir() && !path.is_symlink() {
            return find_image(path);
        }
        let named = path.file_name()?.to_str()?.starts_with("vmlinuz");
        (named && path.is_file()).then(|| path.clone())
    })
}

/// The image named by the user.
///
/// # Errors
/// If it is not an x86 kernel image.
pub fn image_of(file: &Path) -> Result<PathBuf> {
    let bytes = fs::read(file).with_context(|| format!("reading {}", file.display()))?;
    // Documentation/arch/x86/boot.rst: the header's magic is at 0x202.
    if bytes.get(0x202..0x206) != Some(b"HdrS") {
        bail!("{} is no x86 kernel image (a vmlinuz or bzImage)", file.display());
    }
    Ok(file.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_derived_from_either_format() {
        let stanzas = "Types: deb\nURIs: http://mirror/debian-security\nSuites: bookworm-security\nComponents: main\n\n\
                       # a note\nTypes: deb deb-src\nURIs: http://mirror/debian\nSuites: bookworm bookworm-updates\n\
                       Components: main contrib\nSigned-By: /usr/share/keyrings/k.gpg\n";
        let expected = "Types: deb\nURIs: http://mirror/debian\nSuites: trixie-backports\nComponents: main\n\
                        Signed-By: /usr/share/keyrings/k.gpg\n";
        assert_eq!(derive(&[(stanzas.into(), true)], "trixie-backports").as_deref(), Some(expected));

        let lines = "# deb http://no/debian bookworm main\ndeb-src http://no/debian bookworm main\n\
                     deb http://other/apt nodistro main\n\
                     deb [arch=amd64 signed-by=/usr/share/keyrings/k.gpg] http://mirror/debian trixie main\n";
        assert_eq!(derive(&[(lines.into(), false)], "trixie-backports").as_deref(), Some(expected));

        let inline = stanzas.replace("/usr/share/keyrings/k.gpg", "\n -----BEGIN\n .\n xsBN: A\n -----END");
        let derived = derive(&[(inline, true)], "trixie-backports").unwrap();
        assert!(derived.ends_with("Signed-By: \n -----BEGIN\n .\n xsBN: A\n -----END\n"), "{derived}");

        let ubuntu = "Types: deb\nURIs: http://mirror/ubuntu\nSuites: noble\nComponents: main\n";
        assert_eq!(derive(&[(ubuntu.into(), true)], "bullseye"), None);
        let off = stanzas.replace("# a note\n", "Enabled: no\n");
        assert_eq!(derive(&[(off, true)], "bullseye"), None);
    }

    #[test]
    fn the_newest_package_is_found_by_its_numbers() {
        let names = [
            "linux-image-6.19.6+deb13-cloud-amd64",
            "linux-image-6.19.14+deb13-cloud-amd64",
            "linux-binary-6.19.14+deb13-cloud-amd64",
            "linux-binary-6.19.8+deb13-cloud-amd64",
        ];
        assert_eq!(newest(names.into_iter()), Some("linux-binary-6.19.14+deb13-cloud-amd64"));
        let abi = ["linux-image-6.1.0-9-cloud-amd64", "linux-image-6.1.0-50-cloud-amd64"];
        assert_eq!(newest(abi.into_iter()), Some("linux-image-6.1.0-50-cloud-amd64"));
        assert_eq!(newest([].into_iter()), None);
    }
}
