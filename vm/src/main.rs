//! `tombola-vm`: tombola's live tests in other kernels.

use anyhow::{Context as _, Result, bail};
use clap::{Parser, Subcommand, ValueEnum};
use std::fs::{self, File};
use std::io::{BufReader, Cursor};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};
use tombola_vm::archive::{Archive, image_of};
use tombola_vm::kernels::{Kernel, Kernels};
use tombola_vm::machine::{self, Accelerator, Patience};
use tombola_vm::payload::Binaries;
use tombola_vm::plan::{Plan, SENTINEL, Step};
use tombola_vm::verdict::{Outcome, Run, Verdict};

/// A test failed.
const FAILED: u8 = 1;
/// The lane could not do its work: no package, no QEMU, a machine that never came up.
const TROUBLE: u8 = 3;

/// Boots Debian's kernels under QEMU, with nothing of a distribution in them but tombola, and runs its live tests there.
#[derive(Parser)]
#[command(
    version,
    after_help = "Exit status: 0 all passed, 1 a test failed, 2 usage, 3 the lane itself could not work.\n\n\
Examples:\n  scripts/run.sh test --vm            every kernel\n  scripts/run.sh test --vm 6.1 7.3    these two\n  \
scripts/run.sh vm 7.3 -- tombola doctor\n  scripts/run.sh vm --kernel ./bzImage -- tombola doctor"
)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(clap::Args)]
struct Machine {
    /// A kernel image of your own (vmlinuz or bzImage) instead of one from the list
    #[arg(long, value_name = "FILE")]
    kernel: Option<PathBuf>,
    /// How machines are driven; auto tries KVM for a few seconds and falls back to emulation
    #[arg(long, default_value = "auto")]
    accel: Accel,
    /// The release binary of tombola
    #[arg(long, value_name = "FILE", default_value = "target/release/tombola")]
    tombola: PathBuf,
    /// Where the consoles are kept
    #[arg(long, value_name = "DIR", default_value = "target/vm")]
    logs: PathBuf,
}

#[derive(Subcommand)]
enum Verb {
    /// Runs the live tests in these kernels, or in all
    Test {
        /// What 'cargo test --no-run --message-format=json' printed
        #[arg(long, value_name = "FILE")]
        messages: PathBuf,
        #[command(flatten)]
        machine: Machine,
        /// Series of the list, such as 6.12
        names: Vec<String>,
    },
    /// Runs one command as root in a kernel, and ends with its status
    Run {
        #[command(flatten)]
        machine: Machine,
        /// Series of the list; the newest if none is given
        name: Option<String>,
        /// How long it may take, seconds
        #[arg(long, default_value_t = 600)]
        limit: u64,
        /// The command; tombola and a few programs are there
        #[arg(last = true, required = true)]
        command: Vec<String>,
    },
    /// Lists the kernels
    List,
}

#[derive(Clone, Copy, ValueEnum)]
enum Accel {
    Auto,
    Tcg,
    Kvm,
}

fn main() -> ExitCode {
    match run(Arguments::parse().verb) {
        Ok(status) => ExitCode::from(status),
        Err(error) => {
            eprintln!("tombola-vm: {error:#}");
            ExitCode::from(TROUBLE)
        }
    }
}

fn run(verb: Verb) -> Result<u8> {
    let kernels = Kernels::built_in()?;
    match verb {
        Verb::List => {
            for kernel in &kernels.kernel {
                println!("{:<6} {}", kernel.name, kernel.suite);
            }
            Ok(0)
        }
        Verb::Test { messages, machine, names } => {
            let file = File::open(&messages).with_context(|| format!("reading {}", messages.display()))?;
            let binaries = Binaries::find(BufReader::new(file), &machine.tombola)?;
            test(&kernels, &machine, &binaries, &names)
        }
        Verb::Run { machine, name, limit, command } => {
            let binaries = Binaries::find(Cursor::new(""), &machine.tombola)?;
            let names: Vec<String> = match name {
                Some(name) => vec![name],
                None => kernels.kernel.last().map(|kernel| kernel.name.clone()).into_iter().collect(),
            };
            let kernel = chosen(&kernels, &machine, &names)?.pop().context("vm/kernels.toml is empty")?;
            command_in(&machine, &binaries, &kernel, command, limit)
        }
    }
}

/// The kernels to boot: an image of the user's stands for one without a suite.
fn chosen(kernels: &Kernels, machine: &Machine, names: &[String]) -> Result<Vec<Kernel>> {
    match &machine.kernel {
        None => kernels.select(names),
        Some(file) => {
            image_of(file)?;
            let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
            Ok(vec![Kernel { name, suite: String::new(), skip: std::collections::BTreeMap::new() }])
        }
    }
}

fn image(machine: &Machine, kernel: &Kernel) -> Result<PathBuf> {
    match &machine.kernel {
        Some(file) => image_of(file),
        None => Archive::open()?.kernel(&kernel.name, &kernel.suite),
    }
}

fn test(kernels: &Kernels, machine: &Machine, binaries: &Binaries, names: &[String]) -> Result<u8> {
    let mut runs = Vec::new();
    let mut accelerator = None;
    for kernel in chosen(kernels, machine, names)? {
        println!("== kernel {}", kernel.name);
        let start = Instant::now();
        let (plan, skipped) = binaries.plan(kernels, &kernel)?;
        let booted = image(machine, &kernel).and_then(|image| {
            let accelerator = *accelerator.get_or_insert_with(|| accelerator_for(machine, binaries, &image));
            start_machine(machine, binaries, &kernel, &image, &plan, accelerator, |line| {
                println!("  {}", line.trim_start().trim_start_matches(SENTINEL).trim_start());
            })
        });
        let mut run = booted.unwrap_or_else(|e| Run { trouble: Some(format!("{e:#}")), ..Run::default() });
        for (name, reason) in skipped {
            let verdict = Verdict { name, outcome: Outcome::Skip(reason) };
            println!("  {verdict}");
            run.verdicts.push(verdict);
        }
        if let Some(trouble) = &run.trouble {
            println!("  TROUBLE {trouble}");
        }
        runs.push((kernel, run, start.elapsed()));
    }

    println!("\nKernels");
    for (kernel, run, time) in &runs {
        let (passed, skipped, failed) = run.counts();
        let release = run.release.as_deref().unwrap_or("not booted");
        let trouble = run.trouble.as_ref().map(|why| format!("; TROUBLE: {why}")).unwrap_or_default();
        println!(
            "  {:<6} {release:<26} {passed} passed, {skipped} skipped, {failed} failed, {:.0} s{trouble}",
            kernel.name,
            time.as_secs_f64()
        );
        for verdict in run.verdicts.iter().filter(|verdict| matches!(verdict.outcome, Outcome::Fail(_))) {
            println!("         {verdict}");
        }
        if run.failed() || run.trouble.is_some() {
            println!("         console: {}", log_of(machine, kernel).display());
        }
    }
    // A test that failed weighs more than a machine that did not come up.
    Ok(if runs.iter().any(|(_, run, _)| run.failed()) {
        FAILED
    } else if runs.iter().any(|(_, run, _)| run.trouble.is_some()) {
        TROUBLE
    } else {
        0
    })
}

fn log_of(machine: &Machine, kernel: &Kernel) -> PathBuf {
    machine.logs.join(format!("console-{}.log", kernel.name))
}

fn start_machine(
    machine: &Machine,
    binaries: &Binaries,
    kernel: &Kernel,
    image: &Path,
    plan: &Plan,
    accelerator: Accelerator,
    show: impl FnMut(&str),
) -> Result<Run> {
    fs::create_dir_all(&machine.logs).with_context(|| format!("making {}", machine.logs.display()))?;
    let initramfs = binaries.pack(plan)?;
    machine::boot(image, &initramfs, &log_of(machine, kernel), accelerator, Patience::default(), show)
}

/// KVM where a machine really comes up under it: the device may be there and not work.
fn accelerator_for(machine: &Machine, binaries: &Binaries, image: &Path) -> Accelerator {
    match machine.accel {
        Accel::Tcg => return Accelerator::Tcg,
        Accel::Kvm => return Accelerator::Kvm,
        Accel::Auto => {}
    }
    if File::options().read(true).write(true).open("/dev/kvm").is_err() {
        return Accelerator::Tcg;
    }
    let short = Duration::from_secs(15);
    let patience = Patience { boot: short, silence: short, total: short };
    let works = || -> Result<()> {
        let log = tempfile::NamedTempFile::new()?;
        let nothing = binaries.pack(&Plan::default())?;
        let run = machine::boot(image, &nothing, log.path(), Accelerator::Kvm, patience, |_| ())?;
        run.trouble.map_or(Ok(()), |why| bail!(why))
    };
    match works() {
        Ok(()) => Accelerator::Kvm,
        Err(why) => {
            println!("  no KVM ({why:#}): the machine is emulated");
            Accelerator::Tcg
        }
    }
}

fn command_in(
    machine: &Machine,
    binaries: &Binaries,
    kernel: &Kernel,
    command: Vec<String>,
    limit: u64,
) -> Result<u8> {
    let image = image(machine, kernel)?;
    let step = Step { name: "command".into(), argv: command, as_user: false, limit_s: limit, show: true };
    let plan = Plan { steps: vec![step] };
    let accelerator = accelerator_for(machine, binaries, &image);
    let run = start_machine(machine, binaries, kernel, &image, &plan, accelerator, |_| ())?;
    let log = fs::read_to_string(log_of(machine, kernel))?;
    for line in output_of(&log) {
        println!("{line}");
    }
    if let Some(why) = run.trouble {
        bail!("{why}; console: {}", log_of(machine, kernel).display());
    }
    for verdict in &run.verdicts {
        if let Outcome::Fail(why) = &verdict.outcome {
            eprintln!("tombola-vm: {}: {why}", verdict.name);
            return Ok(FAILED);
        }
    }
    Ok(0)
}

/// The lines between the begin of the command and its verdict.
fn output_of(log: &str) -> impl Iterator<Item = &str> {
    log.lines()
        .skip_while(|line| !line.contains(&format!("{SENTINEL} BEGIN")))
        .skip(1)
        .take_while(|line| !line.contains(SENTINEL))
}
