//! `tombola-vm`: tombola's live tests in other kernels.
#![forbid(unsafe_code)]

use anyhow::{Context as _, Result};
use clap::{Parser, Subcommand, ValueEnum};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufReader, Cursor};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tombola_vm::arch::Arch;
use tombola_vm::archive::is_outside;
use tombola_vm::cross;
use tombola_vm::images::image_of;
use tombola_vm::kernels::{Kernel, Kernels};
use tombola_vm::lane::Lane;
use tombola_vm::machine::Accelerator;
use tombola_vm::payload::Binaries;
use tombola_vm::standing::{FAILED, GOOD, TOO_LITTLE, TROUBLE};

/// An unknown kernel, or a file that is none.
const USAGE: u8 = 2;
/// 128 and SIGINT, as shells have it.
const INTERRUPTED: u8 = 130;

/// Boots Debian's kernels under QEMU, with nothing of a distribution in them but tombola, and runs its live
/// tests there.
#[derive(Parser)]
#[command(
    version,
    after_help = "Exit status: 0 all passed, 1 a test failed, 2 usage, 3 something could not be done, and no change of the sources could \
mend that, or three kernels passed, one of them with sched_ext, 4 it could, and they did not.\n\n\
Examples:\n  scripts/run.sh test --vm            every kernel\n  scripts/run.sh test --vm 6.1 7.3    these two\n  \
scripts/run.sh test --vm arm64      those of arm64, built for it first\n  \
scripts/run.sh vm 7.3 -- tombola doctor\n  scripts/run.sh vm --kernel ./bzImage -- tombola doctor\n  \
scripts/run.sh vm 7.3 --with /usr/bin/perf -- perf bench sched pipe"
)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(clap::Args)]
struct Options {
    /// A kernel image of your own (vmlinuz or bzImage) instead of one from the list
    #[arg(long, value_name = "FILE")]
    kernel: Option<PathBuf>,
    /// How machines are driven; auto tries KVM for a few seconds, once a boot, and falls back to emulation
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
        /// What 'cargo test --no-run --message-format=json' printed; for kernels of this machine's
        /// architecture
        #[arg(long, value_name = "FILE")]
        messages: Option<PathBuf>,
        /// Only the tests whose names contain this
        #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
        only: String,
        /// Every test in every kernel; without it the kernels between the oldest and the newest get what
        /// differs in them
        #[arg(long)]
        whole: bool,
        #[command(flatten)]
        options: Options,
        /// Kernels of the list, such as 6.12, or an architecture; all of this machine's if none is given
        names: Vec<String>,
    },
    /// Runs one command as root in a kernel, and ends with its status
    Run {
        #[command(flatten)]
        options: Options,
        /// Series of the list; the newest if none is given
        name: Option<String>,
        /// How long it may take, seconds
        #[arg(long, default_value_t = 600)]
        limit: u64,
        /// How many CPUs the machine has
        #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=64))]
        cpus: u8,
        /// A file to put into /bin of the machine, with the shared libraries it needs; may be given several
        /// times
        #[arg(long, value_name = "FILE")]
        with: Vec<PathBuf>,
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
    /// Emulated, and its clock counts instructions
    Instructions,
}

fn main() -> ExitCode {
    match run(Arguments::parse().verb) {
        Ok(status) => ExitCode::from(status),
        Err(error) => {
            eprintln!("tombola-vm: {error:#}");
            // The last line names the reason.
            ExitCode::from(if is_outside(&error) { TROUBLE } else { TOO_LITTLE })
        }
    }
}

fn run(verb: Verb) -> Result<u8> {
    let kernels = Kernels::built_in()?;
    let interrupted = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        // The second one ends this process at once, and the kernel ends QEMU with it.
        signal_hook::flag::register_conditional_shutdown(
            signal,
            INTERRUPTED.into(),
            Arc::clone(&interrupted),
        )?;
        signal_hook::flag::register(signal, Arc::clone(&interrupted))?;
    }
    let status = match verb {
        Verb::List => {
            for kernel in &kernels.kernel {
                println!("{:<10} {}", kernel.name(), kernel.suite);
            }
            return Ok(0);
        }
        Verb::Test { messages, only, whole, options, names } => {
            let mut chosen = match chosen(&kernels, &options, &names) {
                Ok(chosen) => chosen,
                Err(error) => return Ok(usage(&error)),
            };
            for kernel in &mut chosen {
                kernel.whole |= whole;
            }
            let mut status = GOOD;
            for arch in Arch::ALL {
                let of_arch: Vec<Kernel> =
                    chosen.iter().filter(|kernel| kernel.arch == arch).cloned().collect();
                if of_arch.is_empty() || interrupted.load(Ordering::Relaxed) {
                    continue;
                }
                let tests = of_arch.iter().flat_map(|kernel| kernels.programs(kernel)).collect();
                let lane = options
                    .binaries(arch, messages.as_deref(), &tests)
                    .and_then(|binaries| options.lane(arch, binaries, &interrupted));
                let its = lane.map_or_else(
                    |error| {
                        eprintln!("tombola-vm: TROUBLE no machines of {}: {error:#}", arch.name());
                        if is_outside(&error) { TROUBLE } else { TOO_LITTLE }
                    },
                    |lane| lane.test(&kernels, &of_arch, &only),
                );
                // A test that failed weighs more than machines that did not come up.
                status = if [status, its].contains(&FAILED) { FAILED } else { status.max(its) };
            }
            status
        }
        Verb::Run { options, name, limit, cpus, with, command } => {
            let newest = || kernels.select(&[]).ok()?.last().map(Kernel::name);
            let names: Vec<String> = name.or_else(newest).into_iter().collect();
            let chosen = match chosen(&kernels, &options, &names) {
                Ok(chosen) => chosen,
                Err(error) => return Ok(usage(&error)),
            };
            let kernel = chosen.first().context("vm/kernels.toml is empty")?;
            let binaries = match options.binaries(kernel.arch, None, &BTreeSet::new())?.with(with) {
                Ok(binaries) => binaries,
                Err(error) => return Ok(usage(&error)),
            };
            match options.lane(kernel.arch, binaries, &interrupted)?.run(kernel, cpus.into(), command, limit)
            {
                Err(_) if interrupted.load(Ordering::Relaxed) => INTERRUPTED,
                status => status?,
            }
        }
    };
    Ok(if interrupted.load(Ordering::Relaxed) { INTERRUPTED } else { status })
}

fn usage(error: &anyhow::Error) -> u8 {
    eprintln!("tombola-vm: {error:#}");
    USAGE
}

/// The kernels to boot: an image of the user's stands for one that is in no suite.
fn chosen(kernels: &Kernels, options: &Options, names: &[String]) -> Result<Vec<Kernel>> {
    match &options.kernel {
        None => kernels.select(names),
        Some(file) => {
            image_of(file)?;
            let series = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
            Ok(vec![Kernel { series, ..Kernel::default() }])
        }
    }
}

impl Options {
    /// What a machine of this architecture runs: the host's own binaries, or those that are built now, with
    /// these test programs.
    fn binaries(&self, arch: Arch, messages: Option<&Path>, tests: &BTreeSet<String>) -> Result<Binaries> {
        if arch != Arch::default() {
            return cross::build(arch, tests);
        }
        match messages {
            None => Binaries::find(Cursor::new(""), &self.tombola),
            Some(path) => {
                let file = File::open(path).with_context(|| format!("reading {}", path.display()))?;
                Binaries::find(BufReader::new(file), &self.tombola)
            }
        }
    }

    fn lane<'a>(&self, arch: Arch, binaries: Binaries, interrupted: &'a AtomicBool) -> Result<Lane<'a>> {
        let accelerator = match self.accel {
            Accel::Auto => None,
            Accel::Tcg => Some(Accelerator::Tcg),
            Accel::Kvm => Some(Accelerator::Kvm),
            Accel::Instructions => Some(Accelerator::Instructions),
        };
        Lane::new(arch, binaries, self.logs.clone(), self.kernel.clone(), accelerator, interrupted)
    }
}
