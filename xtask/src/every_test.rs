//! Every test this machine can run, one stage after another, whatever became of those before.

use crate::c_format;
use crate::caller::{Caller, is_there, works};
use crate::log::Tests;
use crate::packages;
use crate::stage::watch;
use crate::summary::Summary;
use anyhow::{Context as _, Result};
use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where the BPF file system belongs.
const BPFFS: &str = "/sys/fs/bpf";

/// The stages, and what came of them.
pub(crate) struct EveryTest<'a> {
    root: &'a Path,
    caller: Caller,
    tombola: PathBuf,
    /// In CI the lock file is what it is.
    locked: &'static [&'static str],
    summary: Summary,
}

impl<'a> EveryTest<'a> {
    /// For a source tree. `tombola` is where its release binary lies.
    pub(crate) fn new(root: &'a Path, caller: Caller, tombola: PathBuf) -> Result<Self> {
        let locked: &[&str] =
            if env::var_os("CI").is_some_and(|ci| !ci.is_empty()) { &["--locked"] } else { &[] };
        anyhow::ensure!(
            works(caller.cargo(root).arg("--version")),
            "no cargo in the path: see https://rustup.rs"
        );
        Ok(Self { root, caller, tombola, locked, summary: Summary::default() })
    }

    /// Runs them, prints the summary, and returns whether nothing failed.
    pub(crate) fn run(mut self) -> Result<bool> {
        self.sources()?;
        self.tests("tests without root", &[], |this| this.cargo(&["test", "--workspace", "--no-fail-fast"]))?;
        self.packages();
        self.live()?;
        self.summary.not_run("other kernels: scripts/run.sh test --vm");
        print!("{}", self.summary);
        Ok(self.summary.is_good())
    }

    /// What only reads the sources.
    fn sources(&mut self) -> Result<()> {
        if works(self.caller.cargo(self.root).args(["fmt", "--version"])) {
            let mut format = self.caller.cargo(self.root);
            self.stage("format", format.args(["fmt", "--all", "--check"]))?;
        } else {
            self.skip("format", "cargo has no rustfmt");
        }
        if works(self.caller.cargo(self.root).args(["clippy", "--version"])) {
            let mut clippy = self.cargo(&["clippy", "--workspace", "--all-targets"]);
            self.stage("clippy", clippy.args(["--", "-D", "warnings"]))?;
        } else {
            self.skip("clippy", "cargo has no clippy");
        }
        if is_there("shellcheck") {
            let mut shellcheck = Command::new("shellcheck");
            // What a script sources is looked for from here.
            shellcheck.current_dir(self.root).arg("--external-sources");
            shellcheck.args(files(self.root, &["scripts", "scripts/bench", "findings", "fleet"], &["sh"])?);
            shellcheck.arg(self.root.join(".ci/run"));
            self.stage("shellcheck", &mut shellcheck)?;
        } else {
            self.skip("shellcheck", "it is not installed");
        }
        if is_there("clang-format") {
            println!("== format of C");
            let good = c_format::check(&c_sources(self.root)?)?;
            self.summary.ended("format of C", good, Tests::default());
        } else {
            self.skip("format of C", "clang-format is not installed");
        }
        let mut docs = self.cargo(&["doc", "--workspace", "--no-deps"]);
        self.stage("documentation", docs.env("RUSTDOCFLAGS", "-D warnings"))
    }

    fn packages(&mut self) {
        println!("== packages");
        let good = packages::check(self.root, &self.caller).unwrap_or_else(|error| {
            println!("{error:#}");
            false
        });
        self.summary.ended("packages", good, Tests::default());
    }

    /// The tests that need root and a kernel that loads BPF.
    fn live(&mut self) -> Result<()> {
        let mut build = self.cargo(&["build", "--release", "--package", "tombola"]);
        self.stage("release binary", &mut build)?;
        let name = "live tests as root";
        if let Some(why) = self.no_live_tests() {
            if self.summary.ignored().any(is_live) {
                self.skip(name, &why);
            }
            return Ok(());
        }
        let mounted = Mounted::make(self.caller.clone());
        // Built by the caller, run by root: cargo hands every test binary to this runner.
        let runner = if self.caller.builds_as_root() {
            None
        } else {
            Some(format!("CARGO_TARGET_{}_RUNNER", host()?.to_uppercase().replace('-', "_")))
        };
        self.tests(name, &["--ignored", "--test-threads=1", "root"], |this| {
            let mut tests = this.cargo(&["test", "--workspace", "--no-fail-fast"]);
            if let Some(variable) = &runner {
                tests.env(variable, "sudo --preserve-env=PATH --");
            }
            tests
        })?;
        self.summary.ran(is_live);
        drop(mounted);
        Ok(())
    }

    /// Why the live tests cannot run here, if they cannot.
    fn no_live_tests(&self) -> Option<String> {
        if !self.caller.can_be_root() {
            return Some("no root and no sudo".into());
        }
        let doctor = self.caller.as_root(&self.tombola.to_string_lossy()).arg("doctor").output();
        let Ok(output) = doctor else { return Some(format!("{} does not run", self.tombola.display())) };
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let line = said.lines().find_map(|line| line.strip_prefix("FAIL  bpf() trial"))?;
        Some(line.trim().to_owned())
    }

    fn cargo(&self, args: &[&str]) -> Command {
        let mut cargo = self.caller.cargo(self.root);
        cargo.args(args).args(self.locked);
        cargo
    }

    fn stage(&mut self, name: &str, command: &mut Command) -> Result<()> {
        println!("== {name}");
        let (status, said) = watch(command)?;
        self.summary.ended(name, status.success(), Tests::read(&said));
        Ok(())
    }

    /// A stage of cargo's tests, `arguments` being those of the harness. The machine may be busy with other
    /// things, and tests that compare clocks see that: what failed is tried once more by itself, if it is
    /// little.
    fn tests(&mut self, name: &str, arguments: &[&str], cargo: impl Fn(&Self) -> Command) -> Result<()> {
        println!("== {name}");
        let (status, said) = watch(cargo(self).args(["--", "--show-output"]).args(arguments))?;
        let mut tests = Tests::read(&said);
        let mut good = status.success();
        if !good && tests.may_be_accidents() {
            println!("== {name}, once more what failed");
            let flags = arguments.iter().filter(|argument| argument.starts_with("--"));
            let names = tests.failures.iter().map(|(name, _)| name);
            // Only test programs: an example in the documentation has no accidents, and its name no exact
            // form.
            let mut once_more = cargo(self);
            once_more.args(["--tests", "--", "--show-output", "--exact"]).args(flags).args(names);
            tests.settle(&Tests::read(&watch(&mut once_more)?.1));
            good = tests.failed == 0;
        }
        self.summary.ended(name, good, tests);
        Ok(())
    }

    fn skip(&mut self, name: &str, why: &str) {
        println!("== {name}: skipped, {why}");
        self.summary.skipped(name, why);
    }
}

/// Whether the harness's filter of the live tests takes this one.
fn is_live(name: &str) -> bool {
    name.contains("root")
}

/// The C that clang-format checks.
pub(crate) fn c_sources(root: &Path) -> Result<Vec<PathBuf>> {
    files(root, &["crates/kernel/bpf"], &["c", "h"])
}

/// The files of these directories that end so, in order.
fn files(root: &Path, dirs: &[&str], extensions: &[&str]) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for dir in dirs {
        let dir = root.join(dir);
        for entry in dir.read_dir().with_context(|| format!("reading {}", dir.display()))? {
            let path = entry?.path();
            let extension = path.extension().and_then(|extension| extension.to_str());
            if extension.is_some_and(|extension| extensions.contains(&extension)) {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

/// The target that rustc builds for by itself.
fn host() -> Result<String> {
    let output = Command::new("rustc").arg("-vV").output().context("rustc -vV")?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let host = said.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("rustc -vV names no host")?.to_owned())
}

/// A BPF file system that is mounted for the time of the tests.
struct Mounted(Caller);

impl Mounted {
    /// Mounts one where none is, and says so.
    fn make(caller: Caller) -> Option<Self> {
        let kind = Command::new("stat").args(["-f", "-c", "%T", BPFFS]).output().ok()?;
        if kind.stdout.starts_with(b"bpf_fs") {
            return None;
        }
        let mut mount = caller.as_root("mount");
        if !works(mount.args(["-t", "bpf", "-o", "mode=0755", "bpf", BPFFS])) {
            eprintln!("xtask: no BPF file system at {BPFFS}, and it cannot be mounted: what pins will fail");
            return None;
        }
        println!("mounted the BPF file system at {BPFFS}");
        Some(Self(caller))
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // Pins do not keep a BPF file system busy: unmounting one that is not empty would unload a monitor.
        let mut find = self.0.as_root("find");
        let left = find.args([BPFFS, "-mindepth", "1", "!", "-name", "*.debug", "-print", "-quit"]).output();
        if left.is_ok_and(|output| output.status.success() && output.stdout.is_empty())
            && works(self.0.as_root("umount").arg(BPFFS))
        {
            println!("unmounted the BPF file system again");
        }
    }
}
