//! PID 1 of the lane's machines: mounts what a system has, runs the plan, says how each step ended, turns the
//! machine off.
#![forbid(unsafe_code)]

use anyhow::{Context as _, Result};
use nix::mount::{MsFlags, mount};
use nix::sys::reboot::{RebootMode, reboot};
use nix::sys::resource::{RLIM_INFINITY, Resource, setrlimit};
use nix::sys::signal::{Signal, kill};
use nix::sys::time::TimeValLike as _;
use nix::sys::wait::waitpid;
use nix::time::{ClockId, clock_gettime};
use nix::unistd::{Pid, sync};
use std::fs;
use std::io::{Read, Write as _};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};
use tombola_vm::plan::{PLAN_PATH, Plan, SENTINEL, Step, USER, USER_PINS, skip_reason};

/// The host holds two readings of the clock against its own, this far apart.
const CLOCK_CHECK: Duration = Duration::from_secs(1);

/// How often PID 1 says that it is there while a step runs: so the host can tell a long step from a machine
/// that hangs.
const HEARTBEAT: Duration = Duration::from_secs(20);

/// One write, from the start of a line: the kernel writes to the same console.
fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(format!("\n{SENTINEL} {text}\n").as_bytes());
    let _ = out.flush();
}

fn main() {
    if Pid::this().as_raw() != 1 {
        eprintln!("tombola-vm-init: this is the PID 1 of a virtual machine; see 'tombola-vm --help'");
        std::process::exit(2);
    }
    if let Err(error) = run() {
        say(&format!("TROUBLE {error:#}"));
    }
    sync();
    // QEMU runs with -no-reboot, so this turns the machine off, on every kernel.
    let _ = reboot(RebootMode::RB_AUTOBOOT);
}

fn run() -> Result<()> {
    mounts()?;
    // Maps counted against it before 5.11, and an ordinary user may not raise it: what a unit's LimitMEMLOCK=
    // does.
    setrlimit(Resource::RLIMIT_MEMLOCK, RLIM_INFINITY, RLIM_INFINITY)
        .context("the limit of locked memory")?;
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").context("the kernel's release")?;
    say(&format!("BOOT {}", release.trim()));
    for pause in [CLOCK_CHECK, Duration::ZERO] {
        say(&format!("CLOCK {}", clock_gettime(ClockId::CLOCK_MONOTONIC)?.num_milliseconds()));
        thread::sleep(pause);
    }
    let text = fs::read(PLAN_PATH).context(PLAN_PATH)?;
    let plan: Plan = serde_json::from_slice(&text).context(PLAN_PATH)?;
    for step in &plan.steps {
        say(&format!("BEGIN {}", step.name));
        let start = Instant::now();
        let (ended, output) = execute(step)?;
        let seconds = start.elapsed().as_secs_f64();
        let skip = skip_reason(&output);
        match (ended, skip) {
            (Ok(()), None) => say(&format!("PASS {}: {seconds:.1} s", step.name)),
            (Ok(()), Some(reason)) => say(&format!("SKIP {}: {reason}", step.name)),
            (Err(why), _) => say(&format!("FAIL {}: {why} ({seconds:.1} s)", step.name)),
        }
    }
    say("DONE");
    Ok(())
}

/// What a system has mounted. Nothing lies over `/tmp`: the binaries may be there, under the paths they were
/// built at.
fn mounts() -> Result<()> {
    let plain = MsFlags::empty();
    for (kind, place, needed) in [
        ("proc", "/proc", true),
        ("sysfs", "/sys", true),
        ("devtmpfs", "/dev", true),
        ("bpf", "/sys/fs/bpf", true),
        ("cgroup2", "/sys/fs/cgroup", true),
        ("tracefs", "/sys/kernel/tracing", false),
    ] {
        let mounted = mount(Some(kind), place, Some(kind), plain, None::<&str>);
        if needed {
            mounted.with_context(|| format!("mounting {kind} at {place}"))?;
        }
    }
    fs::create_dir_all("/dev/shm").context("/dev/shm")?;
    // The default of the kernel's own sources; Debian's say otherwise.
    let _ = fs::write("/proc/sys/kernel/sched_autogroup_enabled", "1");
    // As systemd does it for every machine that uses weights.
    fs::write("/sys/fs/cgroup/cgroup.subtree_control", "+cpu").context("the cpu controller")?;
    fs::create_dir(USER_PINS).context(USER_PINS)?;
    chown(USER_PINS, Some(USER), Some(USER)).context(USER_PINS)?;
    fs::set_permissions("/sys/fs/bpf", fs::Permissions::from_mode(0o755)).context("/sys/fs/bpf")?;
    fs::set_permissions("/tmp", fs::Permissions::from_mode(0o1777)).context("/tmp")
}

/// Runs a step to its end or its limit, and ends whatever it left running.
fn execute(step: &Step) -> Result<(Result<(), String>, String)> {
    let mut argv = step.argv.clone();
    if step.as_user {
        let rights = "-all,+bpf,+perfmon";
        let ids = [format!("--reuid={USER}"), format!("--regid={USER}")];
        let drop = [&["setpriv".into()], ids.as_slice(), &["--clear-groups".into(), "--no-new-privs".into()]]
            .concat();
        let sets = ["inh-caps", "ambient-caps", "bounding-set"].map(|set| format!("--{set}={rights}"));
        argv = [drop, sets.into(), argv].concat();
    }
    let (mut reader, writer) = std::io::pipe()?;
    let mut command = Command::new(&argv[0]);
    command.args(&argv[1..]).stdin(Stdio::null()).stdout(writer.try_clone()?).stderr(writer);
    command.env_clear().envs([("PATH", "/bin"), ("HOME", "/tmp"), ("LC_ALL", "C"), ("RUST_BACKTRACE", "0")]);
    let mut child = match command.current_dir("/tmp").spawn() {
        Ok(child) => child,
        Err(error) => return Ok((Err(format!("cannot start {}: {error}", argv[0])), String::new())),
    };
    drop(command); // it holds the writing ends of the pipe
    let (send, receive) = mpsc::channel();
    thread::spawn(move || {
        let (mut all, mut part) = (Vec::new(), [0; 4096]);
        while let Ok(length @ 1..) = reader.read(&mut part) {
            // As it comes: the kernel may panic before the end.
            let _ = std::io::stdout().write_all(&part[..length]);
            all.extend_from_slice(&part[..length]);
        }
        let _ = send.send(all);
    });

    let limit = Duration::from_secs(step.limit_s);
    let start = Instant::now();
    let mut said = start;
    let ended = loop {
        if let Some(status) = child.try_wait()? {
            break if status.success() { Ok(()) } else { Err(status.to_string()) };
        }
        if start.elapsed() > limit {
            break Err(format!("not done in {} s", step.limit_s));
        }
        if said.elapsed() > HEARTBEAT {
            said = Instant::now();
            say("ALIVE");
        }
        thread::sleep(Duration::from_millis(20));
    };
    // Everything but PID 1; the next step begins alone.
    let _ = kill(Pid::from_raw(-1), Signal::SIGKILL);
    while waitpid(Pid::from_raw(-1), None).is_ok() {}
    let output = receive.recv_timeout(Duration::from_secs(10)).unwrap_or_default();
    Ok((ended, String::from_utf8_lossy(&output).into_owned()))
}
