//! The lane: what runs in which machine, and what came of it.

use crate::accelerator;
use crate::again::{second_plan, settle};
use crate::arch::Arch;
use crate::archive::{Archive, is_outside};
use crate::emulator::Emulator;
use crate::images::{image_from, image_of};
use crate::kernels::{Kernel, Kernels};
use crate::machine::{Accelerator, Machine, Patience, WRONG_CLOCK};
use crate::payload::{Binaries, Job, Plans, SMP};
use crate::plan::{Plan, SENTINEL, Step};
use crate::side_by_side::side_by_side;
use crate::standing::{FAILED, GOOD, Shown, judge};
use crate::verdict::{Outcome, Run};
use anyhow::{Context as _, Result, bail};
use std::cmp::Reverse;
use std::collections::VecDeque;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// How long a machine may take to come up under KVM where KVM works: a second or two.
const TRIAL: Duration = Duration::from_secs(6);

/// How often a machine is booted whose clock is wrong.
const BOOTS: usize = 5;

/// What all machines of a run have in common.
pub struct Lane<'a> {
    arch: Arch,
    binaries: Binaries,
    logs: PathBuf,
    own_image: Option<PathBuf>,
    emulator: Emulator,
    accelerator: OnceLock<Accelerator>,
    interrupted: &'a AtomicBool,
}

/// A kernel and its image.
struct Subject<'k> {
    kernel: &'k Kernel,
    image: PathBuf,
}

/// One machine of a kernel, or the one that does once more what went wrong in it.
struct Turn<'s> {
    subject: &'s Subject<'s>,
    job: Job,
    first: Option<Run>,
}

/// What came of a kernel.
struct Report<'k> {
    kernel: &'k Kernel,
    run: Run,
    /// Whether no change of ours could mend its trouble.
    outside: bool,
    /// Of its machines, one after another.
    time: Duration,
}

impl<'a> Lane<'a> {
    /// A lane of machines of one architecture that keeps consoles in `logs`. `own_image` stands for the
    /// package of a kernel. Without an accelerator the first machine finds out.
    ///
    /// # Errors
    /// If the directory cannot be made, or there is no QEMU.
    pub fn new(
        arch: Arch,
        binaries: Binaries,
        logs: PathBuf,
        own_image: Option<PathBuf>,
        accelerator: Option<Accelerator>,
        interrupted: &'a AtomicBool,
    ) -> Result<Self> {
        fs::create_dir_all(&logs).with_context(|| format!("making {}", logs.display()))?;
        let emulator = Emulator::find(&Archive::open()?, arch)?;
        let accelerator = accelerator.map_or_else(OnceLock::new, OnceLock::from);
        Ok(Self { arch, binaries, logs, own_image, emulator, accelerator, interrupted })
    }

    /// Runs the tests whose names contain `only` in these kernels, prints what comes of them, and returns a
    /// status.
    pub fn test(&self, kernels: &Kernels, chosen: &[Kernel], only: &str) -> u8 {
        let begin = Instant::now();
        let mut reports: Vec<Report> = chosen
            .iter()
            .map(|kernel| Report { kernel, run: Run::default(), outside: false, time: Duration::ZERO })
            .collect();
        // All images first: a download beside a machine would disturb it.
        let mut subjects = Vec::new();
        for report in &mut reports {
            match self.image(report.kernel) {
                Ok(image) => subjects.push(Subject { kernel: report.kernel, image }),
                Err(error) => {
                    report.outside = is_outside(&error);
                    report.has_trouble(&format!("{error:#}"));
                }
            }
        }
        let turns = self.turns(kernels, &subjects, only, &mut reports);
        let cpus = thread::available_parallelism().map_or(1, usize::from);
        side_by_side(
            turns,
            cpus,
            |turn| {
                let start = Instant::now();
                (self.take(turn), start.elapsed())
            },
            |turn, (run, time)| {
                let report = reports.iter_mut().find(|report| report.is_of(turn.subject))?;
                report.time += time;
                Some((cpus, self.ended(report, turn, run)?))
            },
        );
        println!("\nKernels, {:.0} s in all", begin.elapsed().as_secs_f64());
        for report in &reports {
            self.print(report);
        }
        let names: Vec<String> = reports.iter().map(|report| report.kernel.name()).collect();
        let shown: Vec<Shown> = reports
            .iter()
            .zip(&names)
            .map(|(Report { run, outside, .. }, name)| Shown { name, run, outside: *outside })
            .collect();
        // Of another architecture there is no usual list.
        let mut usual = kernels.kernel.iter().filter(|kernel| kernel.arch == Arch::default());
        let whole = self.arch == Arch::default()
            && only.is_empty()
            && usual.all(|one| chosen.iter().any(|kernel| kernel.name() == one.name()));
        let (status, line) = judge(&shown, whole);
        println!("{line}");
        status
    }

    /// What every machine is to do, with the CPUs that it takes of the host. Those that can share the host
    /// come last, so that they find each other.
    fn turns<'s>(
        &self,
        kernels: &Kernels,
        subjects: &'s [Subject<'s>],
        only: &str,
        reports: &mut [Report<'_>],
    ) -> VecDeque<(usize, Turn<'s>)> {
        let mut turns = Vec::new();
        for subject in subjects {
            let Some(report) = reports.iter_mut().find(|report| report.is_of(subject)) else { continue };
            match self.binaries.plans(kernels, subject.kernel, only) {
                Ok(Plans { jobs, skipped }) => {
                    for verdict in &skipped {
                        report.say(&verdict.to_string());
                    }
                    report.run.verdicts.extend(skipped);
                    turns.extend(jobs.into_iter().map(|job| (job.cpus, Turn { subject, job, first: None })));
                }
                Err(error) => report.has_trouble(&format!("{error:#}")),
            }
        }
        turns.sort_by_key(|(cpus, _)| Reverse(*cpus));
        turns.into()
    }

    fn take(&self, turn: &Turn<'_>) -> Result<Run> {
        let Turn { subject: Subject { kernel, image }, job: Job { machine, smp, plan, .. }, .. } = turn;
        self.boot(image, &self.log_of(kernel, machine), *smp, plan, |line| {
            println!(
                "  {:<6} {}",
                kernel.name(),
                line.trim_start().trim_start_matches(SENTINEL).trim_start()
            );
        })
    }

    /// Enters what came of a machine into the report, or returns what is to be done once more.
    fn ended<'s>(&self, report: &mut Report<'_>, turn: Turn<'s>, run: Result<Run>) -> Option<Turn<'s>> {
        let run = match run {
            Ok(run) => run,
            Err(error) => {
                report.run.add(turn.first.unwrap_or_default());
                report.has_trouble(&format!("{error:#}"));
                return None;
            }
        };
        if let Some(trouble) = &run.trouble {
            report.say(&format!("TROUBLE {trouble}"));
        }
        let Some(first) = turn.first else {
            let again = second_plan(&turn.job.plan, &run);
            let Some(plan) = again.filter(|_| !self.interrupted.load(Ordering::Relaxed)) else {
                report.run.add(run);
                return None;
            };
            let names: Vec<&str> = plan.steps.iter().map(|step| step.name.as_str()).collect();
            report.say(&format!("once more, in a fresh machine of its own: {}", names.join(", ")));
            let job = Job { machine: format!("{}-again", turn.job.machine), plan, ..turn.job };
            return Some(Turn { first: Some(run), job, ..turn });
        };
        report.run.add(settle(first, run));
        None
    }

    fn print(&self, Report { kernel, run, time, .. }: &Report<'_>) {
        let (passed, skipped, failed) = run.counts();
        let (name, seconds) = (kernel.name(), time.as_secs_f64());
        match &run.release {
            Some(release) => {
                println!(
                    "  {name:<6} {release:<28} {passed} passed, {skipped} skipped, {failed} failed, {seconds:.0} s"
                );
            }
            None => println!("  {name:<6} not booted"),
        }
        for verdict in run.verdicts.iter().filter(|verdict| verdict.outcome != Outcome::Pass) {
            println!("         {verdict}");
        }
        if let Some(trouble) = &run.trouble {
            println!("         TROUBLE {trouble}");
        }
        if run.release.is_some() && (run.failed() || run.trouble.is_some()) {
            println!("         consoles: {}", self.log_of(kernel, "*").display());
        }
    }

    /// Runs one command as root, prints what it said, and returns its status.
    ///
    /// # Errors
    /// If the machine did not come to its end.
    pub fn run(&self, kernel: &Kernel, smp: usize, command: Vec<String>, limit_s: u64) -> Result<u8> {
        let step = Step { name: "command".into(), argv: command, as_user: false, limit_s };
        let log = self.log_of(kernel, "command");
        let run = self.boot(&self.image(kernel)?, &log, smp, &Plan { steps: vec![step] }, |_| ())?;
        for line in output_of(&fs::read_to_string(&log)?) {
            println!("{line}");
        }
        if let Some(why) = run.trouble {
            bail!("{why}; console: {}", log.display());
        }
        for verdict in &run.verdicts {
            if let Outcome::Fail(why) = &verdict.outcome {
                eprintln!("tombola-vm: {}: {why}", verdict.name);
                return Ok(status_in(why).unwrap_or(FAILED));
            }
        }
        Ok(GOOD)
    }

    fn image(&self, kernel: &Kernel) -> Result<PathBuf> {
        match &self.own_image {
            Some(file) => image_of(file),
            None => image_from(&Archive::open()?, kernel),
        }
    }

    fn boot(
        &self,
        image: &Path,
        log: &Path,
        smp: usize,
        plan: &Plan,
        mut show: impl FnMut(&str),
    ) -> Result<Run> {
        if self.interrupted.load(Ordering::Relaxed) {
            return Ok(Run { trouble: Some("interrupted".into()), ..Run::default() });
        }
        let accelerator = *self.accelerator.get_or_init(|| self.choose(image));
        let initramfs = self.binaries.pack(plan)?;
        // Its seconds are no seconds of ours, and PID 1 speaks by its own.
        let patience = match accelerator {
            Accelerator::Instructions => {
                Patience { boot: Duration::from_secs(600), silence: Duration::MAX, ..Patience::default() }
            }
            Accelerator::Tcg | Accelerator::Kvm => Patience::default(),
        };
        let machine = Machine { smp, ..self.machine(image, &initramfs, log, accelerator, patience) };
        let mut left = BOOTS;
        loop {
            let run = machine.boot(&mut show)?;
            left -= 1;
            match &run.trouble {
                // It is found before the first step, and the next boot measures anew.
                Some(why) if why.starts_with(WRONG_CLOCK) && left > 0 => {
                    eprintln!("tombola-vm: {why}: once more");
                }
                _ => return Ok(run),
            }
        }
    }

    fn machine<'m>(
        &'m self,
        kernel: &'m Path,
        initramfs: &'m [u8],
        log: &'m Path,
        accelerator: Accelerator,
        patience: Patience,
    ) -> Machine<'m> {
        let (arch, emulator, interrupted) = (self.arch, &self.emulator, self.interrupted);
        Machine { arch, kernel, initramfs, log, emulator, accelerator, smp: SMP, patience, interrupted }
    }

    fn choose(&self, image: &Path) -> Accelerator {
        if self.arch != Arch::default() {
            return Accelerator::Tcg;
        }
        let Ok(archive) = Archive::open() else { return Accelerator::Tcg };
        let (accelerator, why) = accelerator::choose(&archive.file("accelerator"), || {
            let log = self.logs.join("console-kvm.log");
            let nothing = self.binaries.pack(&Plan::default())?;
            let patience = Patience { boot: TRIAL, silence: TRIAL, total: TRIAL };
            let run = self.machine(image, &nothing, &log, Accelerator::Kvm, patience).boot(|_| ())?;
            run.trouble.map_or(Ok(()), |why| bail!(why))
        });
        if let Some(why) = why {
            eprintln!("tombola-vm: no KVM ({why}): machines are emulated");
        }
        accelerator
    }

    fn log_of(&self, kernel: &Kernel, machine: &str) -> PathBuf {
        self.logs.join(format!("console-{}-{machine}.log", kernel.name()))
    }
}

impl Report<'_> {
    fn is_of(&self, subject: &Subject<'_>) -> bool {
        self.kernel.name() == subject.kernel.name()
    }

    fn say(&self, line: &str) {
        println!("  {:<6} {line}", self.kernel.name());
    }

    fn has_trouble(&mut self, why: &str) {
        self.say(&format!("TROUBLE {why}"));
        self.run.add(Run { trouble: Some(why.to_owned()), ..Run::default() });
    }
}

/// The lines between the begin of the command and its verdict.
fn output_of(log: &str) -> Vec<&str> {
    let is_ours = |line: &&str| line.starts_with(SENTINEL);
    let mut lines: Vec<&str> = log
        .lines()
        .skip_while(|line| !line.contains(&format!("{SENTINEL} BEGIN")))
        .skip(1)
        .take_while(|line| !is_ours(line) || line.contains("ALIVE"))
        .filter(|line| !is_ours(line))
        .collect();
    // PID 1 begins its lines with a line's end.
    lines.pop_if(|line| line.is_empty());
    lines
}

/// The exit status in a failure's reason, if it ended with one.
fn status_in(why: &str) -> Option<u8> {
    why.strip_prefix("exit status: ")?.split(' ').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commands_output_and_status_are_found_on_the_console() {
        let log = "[ 1.0] boot\nTOMBOLA-VM BOOT 6.1\n\nTOMBOLA-VM BEGIN command\none\n\nTOMBOLA-VM ALIVE\ntwo\n\n\
                   TOMBOLA-VM FAIL command: exit status: 4 (1.0 s)\n";
        assert_eq!(output_of(log), ["one", "", "two"]);
        assert_eq!(status_in("exit status: 4 (1.0 s)"), Some(4));
        assert_eq!(status_in("signal: 9 (SIGKILL) (1.0 s)"), None);
    }
}
