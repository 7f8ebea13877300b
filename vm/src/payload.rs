//! What goes into a machine: our binaries, the programs that tests call, and the libraries of both.

use crate::foreign::Foreign;
use crate::initramfs::Initramfs;
use crate::kernels::{Kernel, Kernels, Selection};
use crate::plan::{PLAN_PATH, Plan, Step, USER_PINS};
use crate::verdict::{Outcome, Verdict};
use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::io::BufRead;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

/// Programs of the host that tests call; one that is missing makes tests skip.
const PROGRAMS: [&str; 17] = [
    "sh", "env", "setpriv", "setsid", "sleep", "cat", "ls", "true", "kill", "id", "uname", "mkdir", "grep",
    "chrt", "dmesg", "mount", "unshare",
];

/// The binaries of ours that a machine gets.
#[derive(Clone, Debug)]
pub struct Binaries {
    /// The release binary of tombola.
    tombola: PathBuf,
    /// PID 1.
    init: PathBuf,
    /// Test programs by name, with their paths.
    tests: BTreeMap<String, Vec<PathBuf>>,
    /// Where the tests of the command line expect the binary that they test.
    expected: BTreeSet<PathBuf>,
    /// Files of the user's, for `/bin`.
    with: Vec<PathBuf>,
    /// Of another architecture: where its programs and libraries are.
    foreign: Option<Foreign>,
}

/// What is to be done in one kernel.
#[derive(Clone, Debug)]
pub struct Plans {
    /// A machine each.
    pub jobs: Vec<Job>,
    /// What is not to be done, and why.
    pub skipped: Vec<Verdict>,
}

/// What one machine is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// Which of its kernel's machines it is: a word, in the name of its console.
    pub machine: String,
    /// CPUs of the host that it should have for itself.
    pub cpus: usize,
    /// CPUs that it has.
    pub smp: usize,
    /// Its steps.
    pub plan: Plan,
}

/// Tests of the monitor compare clocks on both CPUs of their machine.
const MONITOR_CPUS: usize = 2;
/// Tests of the scheduler count draws, most of them of one CPU, and do not care how long they take.
const SCHEDULER_CPUS: usize = 1;
/// CPUs of a machine, unless it is there to have more.
pub const SMP: usize = 2;

/// The part of cargo's messages that is needed here.
#[derive(Deserialize)]
struct Message {
    reason: String,
    target: Option<Target>,
    executable: Option<PathBuf>,
    profile: Option<Profile>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
    kind: Vec<String>,
}

#[derive(Deserialize)]
struct Profile {
    test: bool,
}

impl Binaries {
    /// From what `cargo test --no-run --message-format=json` printed, and the release binary.
    ///
    /// # Errors
    /// On a message that is no JSON, or if a binary is missing.
    pub fn find(messages: impl BufRead, tombola: &Path) -> Result<Self> {
        let init = env::current_exe()?.with_file_name("tombola-vm-init");
        Self::read(messages, tombola, &init, None)
    }

    /// The same of another architecture.
    ///
    /// # Errors
    /// As [`Binaries::find`].
    pub fn find_foreign(
        messages: impl BufRead,
        tombola: &Path,
        init: &Path,
        foreign: Foreign,
    ) -> Result<Self> {
        Self::read(messages, tombola, init, Some(foreign))
    }

    fn read(messages: impl BufRead, tombola: &Path, init: &Path, foreign: Option<Foreign>) -> Result<Self> {
        let mut found = Self {
            tombola: tombola.to_owned(),
            init: init.to_owned(),
            tests: BTreeMap::new(),
            expected: BTreeSet::new(),
            with: Vec::new(),
            foreign,
        };
        for file in [&found.tombola, &found.init] {
            ensure!(file.is_file(), "{} is not there; build it first", file.display());
        }
        for line in messages.lines() {
            let line = line?;
            let message: Message = serde_json::from_str(&line).context("a message of cargo")?;
            let (Some(target), Some(executable)) = (message.target, message.executable) else { continue };
            if message.reason != "compiler-artifact" {
                continue;
            }
            let is_test = message.profile.is_some_and(|profile| profile.test);
            if is_test && target.kind == ["test"] {
                found.tests.entry(target.name).or_default().push(executable);
            } else if !is_test && target.name == "tombola" {
                found.expected.insert(executable);
            }
        }
        Ok(found)
    }

    /// Puts files of the user's into `/bin` as well, under their own names and with the libraries that they
    /// need.
    ///
    /// # Errors
    /// If one is no file.
    pub fn with(self, files: Vec<PathBuf>) -> Result<Self> {
        for file in &files {
            ensure!(file.is_file(), "{} is no file", file.display());
        }
        Ok(Self { with: files, ..self })
    }

    /// The steps for one kernel whose names contain `only`, machine by machine, and what is skipped of them.
    /// What is asked for by name runs in every kernel.
    ///
    /// # Errors
    /// If a test program or a test of the list is not there, or a program does not run here.
    pub fn plans(&self, kernels: &Kernels, kernel: &Kernel, only: &str) -> Result<Plans> {
        let is_whole = kernel.whole || !only.is_empty();
        let besides = |list| if is_whole { list } else { [].as_slice() };
        let mut monitor = vec![self.doctor(false), self.doctor(true)];
        for (list, as_user) in [
            (kernels.root.as_slice(), false),
            (besides(&kernels.whole.root), false),
            (&kernels.user, true),
            (besides(&kernels.whole.user), true),
        ] {
            monitor.extend(self.steps(list, as_user, kernels.limit_s)?);
        }
        let mut all = vec![("monitor".to_owned(), MONITOR_CPUS, SMP, monitor)];
        for (number, list) in (1..).zip(&kernel.scheduler) {
            let steps = self.steps(list, false, kernels.scheduler_limit_s)?;
            all.push((format!("scheduler-{number}"), SCHEDULER_CPUS, SMP, steps));
        }
        for (cpus, list) in &kernel.wide {
            let smp = cpus.parse().with_context(|| format!("'{cpus}' is no number of CPUs"))?;
            let steps = self.steps(list, false, kernels.scheduler_limit_s)?;
            all.push((format!("{cpus}-cpus"), MONITOR_CPUS, smp, steps));
        }
        let (mut jobs, mut skipped) = (Vec::new(), Vec::new());
        for (machine, cpus, smp, mut steps) in all {
            steps.retain(|step| step.name.contains(only));
            steps.retain(|step| match kernel.skip.get(step.name.trim_start_matches("user ")) {
                None => true,
                Some(reason) => {
                    skipped.push(Verdict { name: step.name.clone(), outcome: Outcome::Skip(reason.clone()) });
                    false
                }
            });
            if !steps.is_empty() {
                jobs.push(Job { machine, cpus, smp, plan: Plan { steps } });
            }
        }
        Ok(Plans { jobs, skipped })
    }

    fn steps(&self, selections: &[Selection], as_user: bool, limit_s: u64) -> Result<Vec<Step>> {
        let mut steps = Vec::new();
        for selection in selections {
            for (path, test) in self.selected(selection)? {
                let name = if as_user { format!("user {test}") } else { test.clone() };
                let mut argv = vec![in_machine(path).to_string_lossy().into_owned()];
                argv.extend(["--ignored", "--exact", "--nocapture", "--test-threads=1"].map(str::to_owned));
                argv.push(test);
                steps.push(Step { name, argv, as_user, limit_s });
            }
        }
        Ok(steps)
    }

    /// The live tests of a selection, each with its program. Two crates may have a program of one name.
    fn selected(&self, selection: &Selection) -> Result<Vec<(&Path, String)>> {
        let Selection { program, test: wanted } = selection;
        let paths = self.tests.get(program).with_context(|| format!("no test program {program}"))?;
        let mut found = Vec::new();
        for path in paths {
            let tests = self.live_tests(path)?.into_iter();
            found.extend(
                tests
                    .filter(|test| wanted.as_ref().is_none_or(|wanted| wanted == test))
                    .map(|test| (path.as_path(), test)),
            );
        }
        let what = wanted.as_deref().unwrap_or("any");
        ensure!(!found.is_empty(), "no live test in {program} ({what}), as vm/kernels.toml wants it");
        Ok(found)
    }

    fn doctor(&self, as_user: bool) -> Step {
        let mut argv = vec![in_machine(&self.tombola).to_string_lossy().into_owned(), "doctor".into()];
        if as_user {
            argv.push(format!("--map-pin={USER_PINS}/task_map"));
        }
        let name = if as_user { "user doctor" } else { "doctor" };
        Step { name: name.into(), argv, as_user, limit_s: 60 }
    }

    /// The initramfs for a plan.
    ///
    /// # Errors
    /// If a file cannot be read.
    pub fn pack(&self, plan: &Plan) -> Result<Vec<u8>> {
        let mut archive = Initramfs::new();
        for dir in ["/proc", "/sys", "/tmp", "/run", "/root"] {
            archive.directory(Path::new(dir));
        }
        let mut libraries = BTreeSet::new();
        // First: of two files with one path the archive keeps the first. As they are: stripping spoils an
        // object of BPF programs.
        for file in &self.with {
            libraries.extend(self.libraries_of(file));
            archive.copy(file, &in_machine(file))?;
        }
        let mut put = |archive: &mut Initramfs, from: &Path, to: &Path| -> Result<()> {
            libraries.extend(self.libraries_of(from));
            let stripped = tempfile::NamedTempFile::new()?;
            // A debug build is ten times the size; stripping fails on scripts, which are small anyway.
            let strip = Command::new("strip").arg("-o").arg(stripped.path()).arg(from).output();
            let is_stripped = strip.is_ok_and(|output| output.status.success());
            let source = if is_stripped { fs::read(stripped.path())? } else { fs::read(from)? };
            archive.file(to, 0o755, &source);
            Ok(())
        };
        put(&mut archive, &self.init, Path::new("/init"))?;
        put(&mut archive, &self.tombola, &in_machine(&self.tombola))?;
        for expected in &self.expected {
            put(&mut archive, &self.tombola, expected)?;
        }
        for path in self.tests.values().flatten() {
            if plan.steps.iter().any(|step| Path::new(&step.argv[0]) == in_machine(path)) {
                put(&mut archive, path, &in_machine(path))?;
            }
        }
        for program in PROGRAMS {
            let found =
                self.foreign.as_ref().map_or_else(|| in_path(program), |foreign| foreign.program(program));
            if let Some(path) = found {
                put(&mut archive, &path, &Path::new("/bin").join(program))?;
            }
        }
        for library in &libraries {
            archive.copy(&self.here(library), library)?;
        }
        archive.file(Path::new(PLAN_PATH), 0o644, &serde_json::to_vec(plan)?);
        archive.file(
            Path::new("/etc/passwd"),
            0o644,
            b"root:x:0:0::/root:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n",
        );
        archive.file(Path::new("/etc/group"), 0o644, b"root:x:0:\nnogroup:x:65534:\n");
        Ok(archive.finish())
    }

    /// Names of a test program's ignored tests that need root, or a kernel with `sched_ext`.
    fn live_tests(&self, program: &Path) -> Result<Vec<String>> {
        let mut command =
            self.foreign.as_ref().map_or_else(|| Command::new(program), |foreign| foreign.command(program));
        let output = command.args(["--ignored", "--list"]).output()?;
        ensure!(output.status.success(), "{} --list failed", program.display());
        let text = String::from_utf8(output.stdout)?;
        let tests = text.lines().filter_map(|line| line.strip_suffix(": test"));
        let is_live = |test: &&str| test.contains("root") || test.starts_with("scx_");
        Ok(tests.filter(is_live).map(str::to_owned).collect())
    }

    /// The shared libraries of a program, and its loader, as the loader itself says: their paths in the
    /// machine.
    fn libraries_of(&self, program: &Path) -> Vec<PathBuf> {
        let ldd = || {
            let mut ldd = Command::new("ldd");
            ldd.arg(program);
            ldd
        };
        let mut command = self.foreign.as_ref().map_or_else(ldd, |foreign| foreign.loader(program));
        let Ok(output) = command.output() else { return Vec::new() };
        String::from_utf8_lossy(&output.stdout)
            .lines()
            .filter_map(|line| line.split_whitespace().find(|word| word.starts_with('/')).map(PathBuf::from))
            .filter(|path| self.here(path).is_file())
            .collect()
    }

    /// Where a library of the machine lies here.
    fn here(&self, library: &Path) -> PathBuf {
        self.foreign.as_ref().map_or_else(|| library.to_owned(), |foreign| foreign.here(library))
    }
}

/// Where a binary of ours lies in the machine.
fn in_machine(path: &Path) -> PathBuf {
    Path::new("/bin").join(path.file_name().unwrap_or_default())
}

/// A program in the search path, or where programs of the administrator are.
pub(crate) fn in_path(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    let more = ["/usr/sbin", "/sbin"].map(PathBuf::from);
    env::split_paths(&path).chain(more).map(|dir| dir.join(program)).find(|file| file.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    /// A stand-in for a test program, with two live tests and one that is none.
    fn program(dir: &Path, name: &str) -> PathBuf {
        let path = dir.join(name);
        let list = format!("#!/bin/sh\nprintf 'root_{name}_1: test\\nroot_{name}_2: test\\nslow: test\\n'\n");
        fs::write(&path, list).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    #[test]
    fn a_users_file_goes_in_as_it_is_and_before_what_is_there_anyway() {
        let dir = tempfile::tempdir().unwrap();
        let own = dir.path().join("sh");
        fs::write(&own, "not the host's").unwrap();
        let binaries = Binaries {
            tombola: program(dir.path(), "tombola"),
            init: program(dir.path(), "init"),
            tests: BTreeMap::new(),
            expected: BTreeSet::new(),
            with: Vec::new(),
            foreign: None,
        };
        let binaries = binaries.with(vec![own]).unwrap();
        let image = binaries.pack(&Plan::default()).unwrap();
        let count = |text: &[u8]| image.windows(text.len()).filter(|part| *part == text).count();
        // A name comes after its header, which ends with a sum of zeros.
        assert_eq!((count(b"00000000bin/sh\0"), count(b"not the host's")), (1, 1));

        let missing = dir.path().join("missing");
        let refused = binaries.with(vec![missing]).unwrap_err().to_string();
        assert!(refused.contains("missing is no file"), "{refused}");
    }

    #[test]
    fn a_plan_follows_the_list() {
        let dir = tempfile::tempdir().unwrap();
        let binaries = Binaries {
            tombola: "/x/tombola".into(),
            init: "/x/init".into(),
            tests: ["a", "b", "s"].map(|name| (name.to_owned(), vec![program(dir.path(), name)])).into(),
            expected: BTreeSet::new(),
            with: Vec::new(),
            foreign: None,
        };
        let list = "root = ['a', 'b:root_b_2']\nuser = ['a']\nlimit_s = 1\n\
                    scheduler_limit_s = 9\nwhole = { root = ['b:root_b_1'], user = ['b:root_b_2'] }\n[[kernel]]\nname = 'old'\nsuite = 'x'\n[kernel.skip]\n\
                    root_a_2 = 'no such field'\n[[kernel]]\nname = 'new'\nsuite = 'x'\nwhole = true\nscheduler = [['s:root_s_1'], ['s:root_s_2', 'b']]\nwide = { 4 = ['b'] }\n";
        let kernels: Kernels = toml::from_str(list).unwrap();
        let steps = |kernel: usize, only: &str| {
            let Plans { jobs, skipped } = binaries.plans(&kernels, &kernels.kernel[kernel], only).unwrap();
            let names = jobs.iter().flat_map(|job| &job.plan.steps);
            let names = names.map(|step| format!("{} {}", step.name, step.limit_s));
            (names.collect::<Vec<_>>(), skipped.iter().map(ToString::to_string).collect::<Vec<_>>())
        };
        let (names, skipped) = steps(0, "");
        assert_eq!(names, ["doctor 60", "user doctor 60", "root_a_1 1", "root_b_2 1", "user root_a_1 1"]);
        assert_eq!(skipped, ["SKIP  root_a_2: no such field", "SKIP  user root_a_2: no such field"]);
        // The scheduler's tests come in machines of their own.
        let jobs = binaries.plans(&kernels, &kernels.kernel[1], "").unwrap().jobs;
        let machines: Vec<_> =
            jobs.iter().map(|job| (job.machine.as_str(), job.smp, job.plan.steps.len())).collect();
        assert_eq!(
            machines,
            [("monitor", 2, 9), ("scheduler-1", 2, 1), ("scheduler-2", 2, 3), ("4-cpus", 4, 2)]
        );
        let (names, skipped) = steps(1, "_s_1");
        assert_eq!((names, skipped.len()), (vec!["root_s_1 9".to_owned()], 0));
        assert_eq!(steps(1, "user root_a").0, ["user root_a_1 1", "user root_a_2 1"]);
        // Not in the old kernel unless it is asked for.
        assert_eq!(steps(0, "root_b_1").0, ["root_b_1 1"]);

        let wrong: Kernels = toml::from_str(&list.replace("b:root_b_2", "b:root_b_3")).unwrap();
        let refused = binaries.plans(&wrong, &wrong.kernel[0], "").unwrap_err().to_string();
        assert!(refused.contains("root_b_3"), "{refused}");
    }
}
