//! The lane: one kernel after another, and what came of it.

use crate::accelerator;
use crate::archive::{Archive, image_of};
use crate::kernels::{Kernel, Kernels};
use crate::machine::{Accelerator, Machine, Patience, Processor, WRONG_CLOCK};
use crate::payload::{Binaries, Plans};
use crate::plan::{Plan, SENTINEL, Step};
use crate::verdict::{Outcome, Run};
use anyhow::{Context as _, Result, bail};
use std::cell::OnceCell;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Everything went well.
pub const GOOD: u8 = 0;
/// A test failed.
pub const FAILED: u8 = 1;
/// The lane could not do its work: no package, no QEMU, a machine that never came up.
pub const TROUBLE: u8 = 3;

/// How long a machine may take to come up under KVM where KVM works: a second or two.
const TRIAL: Duration = Duration::from_secs(6);

/// How often a machine is booted whose clock is wrong.
const BOOTS: usize = 5;

/// What all machines of a run have in common.
pub struct Lane<'a> {
    binaries: Binaries,
    logs: PathBuf,
    own_image: Option<PathBuf>,
    accelerator: OnceCell<Accelerator>,
    interrupted: &'a AtomicBool,
}

impl<'a> Lane<'a> {
    /// A lane that keeps consoles in `logs`. `own_image` stands for the package of a kernel. Without an accelerator
    /// the first machine finds out.
    ///
    /// # Errors
    /// If the directory cannot be made.
    pub fn new(
        binaries: Binaries,
        logs: PathBuf,
        own_image: Option<PathBuf>,
        accelerator: Option<Accelerator>,
        interrupted: &'a AtomicBool,
    ) -> Result<Self> {
        fs::create_dir_all(&logs).with_context(|| format!("making {}", logs.display()))?;
        let accelerator = accelerator.map_or_else(OnceCell::new, OnceCell::from);
        Ok(Self { binaries, logs, own_image, accelerator, interrupted })
    }

    /// Runs the tests whose names contain `only` in these kernels, prints what comes of them, and returns a status.
    pub fn test(&self, kernels: &Kernels, chosen: &[Kernel], only: &str) -> u8 {
        let begin = Instant::now();
        let mut runs = Vec::new();
        for kernel in chosen {
            println!("== kernel {}", kernel.name);
            let start = Instant::now();
            let run = self
                .test_one(kernels, kernel, only)
                .unwrap_or_else(|error| Run { trouble: Some(format!("{error:#}")), ..Run::default() });
            if let Some(trouble) = &run.trouble {
                println!("  TROUBLE {trouble}");
            }
            runs.push((kernel, run, start.elapsed()));
            if self.interrupted.load(Ordering::Relaxed) {
                break;
            }
        }
        println!("\nKernels, {:.0} s in all", begin.elapsed().as_secs_f64());
        for (kernel, run, time) in &runs {
            self.print(kernel, run, *time);
        }
        // A test that failed weighs more than a machine that did not come up.
        if runs.iter().any(|(_, run, _)| run.failed()) {
            FAILED
        } else if runs.iter().any(|(_, run, _)| run.trouble.is_some()) {
            TROUBLE
        } else {
            GOOD
        }
    }

    fn test_one(&self, kernels: &Kernels, kernel: &Kernel, only: &str) -> Result<Run> {
        let Plans { plans, skipped } = self.binaries.plans(kernels, kernel, only)?;
        for verdict in &skipped {
            println!("  {verdict}");
        }
        let mut run = Run::default();
        for (processor, plan) in plans {
            let show = |line: &str| {
                println!("  {}", line.trim_start().trim_start_matches(SENTINEL).trim_start());
            };
            let mut booted = self.boot(kernel, processor, &plan, show)?;
            if let Some(again) = second_plan(&plan, &booted) {
                println!("  once more, in a second machine:");
                let second = self.boot(kernel, processor, &again, show)?;
                settle(&mut booted, &second);
            }
            run.release = booted.release.or(run.release);
            run.verdicts.extend(booted.verdicts);
            run.trouble = run.trouble.or(booted.trouble);
        }
        run.verdicts.extend(skipped);
        Ok(run)
    }

    fn print(&self, kernel: &Kernel, run: &Run, time: Duration) {
        let (passed, skipped, failed) = run.counts();
        let (name, seconds) = (&kernel.name, time.as_secs_f64());
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
            println!(
                "         consoles: {}",
                self.logs.join(format!("console-{}*.log", kernel.name)).display()
            );
        }
    }

    /// Runs one command as root, prints what it said, and returns its status.
    ///
    /// # Errors
    /// If the machine did not come to its end.
    pub fn run(&self, kernel: &Kernel, command: Vec<String>, limit_s: u64) -> Result<u8> {
        let step = Step { name: "command".into(), argv: command, as_user: false, limit_s };
        // One that can do everything: what the command needs is not known.
        let processor = if !kernel.scheduler.is_empty() || self.own_image.is_some() {
            Processor::Complete
        } else {
            Processor::Parallel
        };
        let run = self.boot(kernel, processor, &Plan { steps: vec![step] }, |_| ())?;
        let log = fs::read_to_string(self.log_of(kernel, processor))?;
        for line in output_of(&log) {
            println!("{line}");
        }
        if let Some(why) = run.trouble {
            bail!("{why}; console: {}", self.log_of(kernel, processor).display());
        }
        for verdict in &run.verdicts {
            if let Outcome::Fail(why) = &verdict.outcome {
                eprintln!("tombola-vm: {}: {why}", verdict.name);
                return Ok(status_in(why).unwrap_or(FAILED));
            }
        }
        Ok(GOOD)
    }

    fn boot(
        &self,
        kernel: &Kernel,
        processor: Processor,
        plan: &Plan,
        mut show: impl FnMut(&str),
    ) -> Result<Run> {
        let image = match &self.own_image {
            Some(file) => image_of(file)?,
            None => Archive::open()?.kernel(&kernel.name, &kernel.suite)?,
        };
        let accelerator = match self.accelerator.get() {
            Some(known) => *known,
            None => *self.accelerator.get_or_init(|| self.choose(&image)),
        };
        let initramfs = self.binaries.pack(plan)?;
        let log = self.log_of(kernel, processor);
        let machine =
            Machine { processor, ..self.machine(&image, &initramfs, &log, accelerator, Patience::default()) };
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
        let processor = Processor::Parallel;
        Machine { kernel, initramfs, log, accelerator, processor, patience, interrupted: self.interrupted }
    }

    fn choose(&self, image: &Path) -> Accelerator {
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

    fn log_of(&self, kernel: &Kernel, processor: Processor) -> PathBuf {
        let which = match processor {
            Processor::Parallel => "",
            Processor::Complete => "-complete",
        };
        self.logs.join(format!("console-{}{which}.log", kernel.name))
    }
}

/// How many tests of one machine may get a second try. More are no accident.
const ACCIDENTS: usize = 2;

/// The steps that failed, if there are few. An emulated machine stands still whenever its host does something else, and tests
/// that compare clocks see that; so a failure counts if a fresh machine shows it too.
fn second_plan(plan: &Plan, run: &Run) -> Option<Plan> {
    let verdict = |step: &Step| run.verdicts.iter().find(|v| v.name == step.name).map(|v| &v.outcome);
    let failed = plan.steps.iter().filter(|s| matches!(verdict(s), Some(Outcome::Fail(_)))).count();
    // A panic also takes the steps behind it: they have no verdict yet.
    let open = |step: &&Step| matches!(verdict(step), None | Some(Outcome::Fail(_)));
    let steps: Vec<Step> = plan.steps.iter().filter(open).cloned().collect();
    (run.trouble.is_none() && (1..=ACCIDENTS).contains(&failed)).then_some(Plan { steps })
}

/// What failed in one machine and passed in another has shown nothing: it is skipped by name, never passed.
fn settle(run: &mut Run, second: &Run) {
    for verdict in &mut run.verdicts {
        let Outcome::Fail(reason) = &verdict.outcome else { continue };
        if second.verdicts.iter().any(|v| v.name == verdict.name && v.outcome == Outcome::Pass) {
            let both = format!("failed in one machine ({reason}) and passed in another");
            println!("  {} {both}", verdict.name);
            verdict.outcome = Outcome::Skip(both);
        }
    }
    for verdict in &second.verdicts {
        if run.verdicts.iter().all(|known| known.name != verdict.name) {
            run.verdicts.push(verdict.clone());
        }
    }
    run.trouble.clone_from(&second.trouble);
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
    use crate::verdict::Verdict;

    #[test]
    fn a_failure_gets_a_second_try_and_many_do_not() {
        let step = |name: &str| Step { name: name.into(), argv: Vec::new(), as_user: false, limit_s: 1 };
        let verdict = |name: &str, outcome| Verdict { name: name.into(), outcome };
        let fail = || Outcome::Fail("late".into());
        let plan = Plan { steps: ["a", "b", "c", "d"].map(step).into() };
        let mut run = Run {
            verdicts: vec![verdict("a", Outcome::Pass), verdict("b", fail()), verdict("c", fail())],
            ..Run::default()
        };
        let again = second_plan(&plan, &run).unwrap();
        assert_eq!(again.steps, [step("b"), step("c"), step("d")]);
        let second = Run {
            verdicts: vec![verdict("b", Outcome::Pass), verdict("c", fail()), verdict("d", Outcome::Pass)],
            ..Run::default()
        };
        settle(&mut run, &second);
        assert_eq!(run.counts(), (2, 1, 1));
        run.verdicts = ["b", "c", "d"].map(|name| verdict(name, fail())).into();
        assert_eq!(second_plan(&plan, &run), None);
        assert_eq!(second_plan(&plan, &Run::default()), None);
    }

    #[test]
    fn a_commands_output_and_status_are_found_on_the_console() {
        let log = "[ 1.0] boot\nTOMBOLA-VM BOOT 6.1\n\nTOMBOLA-VM BEGIN command\none\n\nTOMBOLA-VM ALIVE\ntwo\n\n\
                   TOMBOLA-VM FAIL command: exit status: 4 (1.0 s)\n";
        assert_eq!(output_of(log), ["one", "", "two"]);
        assert_eq!(status_in("exit status: 4 (1.0 s)"), Some(4));
        assert_eq!(status_in("signal: 9 (SIGKILL) (1.0 s)"), None);
    }
}
