//! What the live tests share: a BPF file system of their own, loads that run until they are stopped, and the
//! kernel's own books.
#![allow(dead_code)] // every test binary uses a part of it
#![allow(clippy::unwrap_used)] // helpers of tests are no #[test] themselves

pub(crate) mod cgroup;
pub(crate) mod play;
pub(crate) mod verifier;

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::signal::{Signal, killpg};
use nix::time::{ClockId, clock_gettime};
use nix::unistd::{Pid, gettid};
use std::collections::{BTreeMap, BTreeSet};
use std::hint::black_box;
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use std::{env, fs};
use tempfile::TempDir;
use tombola_core::snapshot::{Loss, Snapshot, TaskState};
use tombola_core::window::{TaskWindow, Window};
use tombola_kernel::{MaxTasks, Pins, PrivateMonitor, Settings};

/// The one limit of every wait, far beyond what a busy machine needs.
pub(crate) const LIMIT: Duration = Duration::from_secs(120);

/// Waits until `condition` gives something.
pub(crate) fn wait_for<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = condition() {
            return found;
        }
        assert!(start.elapsed() < LIMIT, "not within {LIMIT:?}: {what}");
        thread::sleep(Duration::from_millis(2));
    }
}

/// A BPF file system that nobody else uses, unmounted at the end.
pub(crate) struct BpfFs {
    dir: TempDir,
}

impl BpfFs {
    pub(crate) fn mount() -> Self {
        let dir = TempDir::new().unwrap();
        mount(Some("bpf"), dir.path(), Some("bpf"), MsFlags::empty(), None::<&str>).unwrap();
        // A temporary directory is mode 0700, and the root of a new bpffs 01777.
        fs::set_permissions(dir.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        Self { dir }
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn pins(&self) -> Pins {
        Pins {
            map: self.path().join("task_map"),
            prog: self.path().join("prog"),
            link: self.path().join("link"),
        }
    }

    pub(crate) fn settings(&self) -> Settings {
        Settings { pins: self.pins(), max_tasks: MaxTasks::new(4096).unwrap(), ..Settings::default() }
    }

    /// Everything in it, by name; the kernel's own two files of a new bpffs are no pins.
    pub(crate) fn names(&self) -> Vec<String> {
        names_in(self.path())
    }
}

impl Drop for BpfFs {
    fn drop(&mut self) {
        let _ = umount2(self.dir.path(), MntFlags::MNT_DETACH);
    }
}

pub(crate) fn names_in(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| !["maps.debug", "progs.debug"].contains(&name.as_str()))
        .collect();
    names.sort();
    names
}

/// A private monitor with the given room.
pub(crate) fn monitor() -> PrivateMonitor {
    PrivateMonitor::start(&Settings::default()).unwrap()
}

/// A snapshot in which every CPU runs what it was seen to switch to.
pub(crate) fn seen(monitor: &PrivateMonitor) -> Snapshot {
    wait_for("every CPU runs what it was seen to switch to", || {
        Some(monitor.reader().snapshot().unwrap()).filter(|snapshot| !has_unseen_switch(snapshot))
    })
}

/// Whether a task sleeps that the monitor takes for running. There are kernels that show no tracepoint the
/// switches away from some threads: what runs after one of these is known only when it leaves the CPU.
pub(crate) fn has_unseen_switch(snapshot: &Snapshot) -> bool {
    snapshot.cpus.iter().filter_map(|cpu| cpu.running).any(|running| {
        let stat = fs::read_to_string(format!("/proc/{}/stat", running.id.pid)).unwrap_or_default();
        stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('S'))
    })
}

/// Whether nothing was lost but what such a kernel did not show.
pub(crate) fn is_complete(loss: &Loss) -> bool {
    // Whoever leaves its CPU in such a switch is taken for running, and its wait for what it is not.
    let hidden = loss.unseen_switches > 0;
    let (overlong_waits, overlong_ns) = if hidden { (0, 0) } else { (loss.overlong_waits, loss.overlong_ns) };
    Loss { unseen_switches: 0, unseen_ns: 0, overlong_waits, overlong_ns, ..*loss }.is_none()
}

/// The tasks of a window with this name.
pub(crate) fn named<'w>(window: &'w Window, comm: &str) -> Vec<&'w TaskWindow> {
    window.tasks.iter().filter(|t| t.totals.comm == comm.as_bytes()).collect()
}

/// The row of this pid, which must be one.
pub(crate) fn row(window: &Window, pid: u32) -> &TaskWindow {
    let rows: Vec<_> = window.tasks.iter().filter(|t| t.totals.id.pid == pid).collect();
    assert_eq!(rows.len(), 1, "rows of pid {pid}: {rows:#?}");
    rows[0]
}

// --- CPUs --------------------------------------------------------------------------------------------------

pub(crate) fn cpus() -> Vec<usize> {
    let allowed = sched_getaffinity(Pid::from_raw(0)).unwrap();
    (0..CpuSet::count()).filter(|&cpu| allowed.is_set(cpu).unwrap()).collect()
}

/// The CPU that the tests load: not the first, where most interrupts go.
pub(crate) fn last_cpu() -> usize {
    *cpus().last().unwrap()
}

/// Does something, such as starting a child, on one CPU only.
pub(crate) fn confined_to<T>(cpu: usize, act: impl FnOnce() -> T) -> T {
    let allowed = cpus();
    pin_to(&[cpu]);
    let result = act();
    pin_to(&allowed);
    result
}

/// Makes the calling thread real-time, so that nothing of the fair class takes its CPU away.
pub(crate) fn become_fifo() {
    let priority = libc::sched_param { sched_priority: 1 };
    // SAFETY: the call reads the parameter and nothing else; 0 is the calling thread.
    let result = unsafe { libc::sched_setscheduler(0, libc::SCHED_FIFO, &raw const priority) };
    assert_eq!(result, 0, "SCHED_FIFO: {}", std::io::Error::last_os_error());
}

fn is_fifo() -> bool {
    // SAFETY: no memory is involved; 0 is the calling thread.
    unsafe { libc::sched_getscheduler(0) == libc::SCHED_FIFO }
}

pub(crate) fn renice(nice: i32) {
    // SAFETY: no memory is involved; 0 is the calling thread.
    let result = unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, nice) };
    assert_eq!(result, 0, "nice {nice}: {}", std::io::Error::last_os_error());
}

// --- loads -------------------------------------------------------------------------------------------------

/// A thread that works until it is stopped.
pub(crate) struct Worker {
    pub(crate) tid: u32,
    /// Its own CPU time as it last looked, nanoseconds.
    pub(crate) own_ns: Arc<AtomicU64>,
    /// The most CPU time that one round took: where the whole machine stood still meanwhile (an emulated one,
    /// on a busy host) the kernel has booked that to whoever was on the CPU.
    pub(crate) longest_round_ns: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Worker {
    /// Starts a thread; `prepare` runs in it first, then `round` again and again.
    pub(crate) fn start(
        name: &str,
        prepare: impl FnOnce() + Send + 'static,
        round: impl FnMut() + Send + 'static,
    ) -> Self {
        Self::start_and(name, prepare, round, || ())
    }

    /// The same; `meanwhile` runs in the calling thread between the start and the wait for the thread's first
    /// word.
    pub(crate) fn start_and(
        name: &str,
        prepare: impl FnOnce() + Send + 'static,
        mut round: impl FnMut() + Send + 'static,
        meanwhile: impl FnOnce(),
    ) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let own_ns = Arc::new(AtomicU64::new(0));
        let longest_round_ns = Arc::new(AtomicU64::new(0));
        let (send, receive) = mpsc::channel();
        let (until, own, longest) = (Arc::clone(&stop), Arc::clone(&own_ns), Arc::clone(&longest_round_ns));
        let thread = thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || {
                prepare();
                send.send(gettid().as_raw().unsigned_abs()).unwrap();
                let mut used_ns = 0;
                // A real-time thread that nobody can stop would take the machine with it.
                let limit_ns = if is_fifo() { 20_000_000_000 } else { u64::MAX };
                while !until.load(Ordering::Relaxed) && used_ns < limit_ns {
                    round();
                    let now_ns = own_cpu_ns();
                    longest.fetch_max(now_ns - used_ns, Ordering::Relaxed);
                    used_ns = now_ns;
                    own.store(used_ns, Ordering::Relaxed);
                }
            })
            .unwrap();
        meanwhile();
        Self { tid: receive.recv().unwrap(), own_ns, longest_round_ns, stop, thread: Some(thread) }
    }

    /// Burns without a break.
    pub(crate) fn burner(nice: i32, cpu: Option<usize>) -> Self {
        let prepare = move || {
            renice(nice);
            if let Some(cpu) = cpu {
                pin_to(&[cpu]);
            }
        };
        Self::start(&format!("burner{nice}"), prepare, spin)
    }

    /// Bursts and sleeps on one CPU, so that it comes to wait in the middle of others' slices.
    pub(crate) fn waker(nice: i32, cpu: usize) -> Self {
        let prepare = move || {
            renice(nice);
            pin_to(&[cpu]);
        };
        Self::start("waker", prepare, || {
            spin();
            thread::sleep(Duration::from_micros(2700)); // out of step with ticks and slices
        })
    }

    /// Short bursts and short sleeps.
    pub(crate) fn sleeper(number: u64) -> Self {
        Self::start(
            &format!("sleeper{number}"),
            || (),
            move || {
                for _ in 0..20 * (number + 1) {
                    spin();
                }
                thread::sleep(Duration::from_micros(500 * (number + 1)));
            },
        )
    }

    /// Waits until it has had that much CPU time.
    pub(crate) fn has_run(&self, length: Duration) {
        wait_for("a worker gets CPU time", || {
            (Duration::from_nanos(self.own_ns.load(Ordering::Relaxed)) >= length).then_some(())
        });
    }

    pub(crate) fn stop(mut self) {
        self.end();
    }

    /// Tells it to stop, without waiting for it: of many that share a CPU each has to get it once more to
    /// hear of it.
    pub(crate) fn tell(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    fn end(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.end();
    }
}

/// Confines the calling thread to these CPUs.
pub(crate) fn pin_to(cpus: &[usize]) {
    let mut set = CpuSet::new();
    for &cpu in cpus {
        set.set(cpu).unwrap();
    }
    sched_setaffinity(Pid::from_raw(0), &set).unwrap();
}

/// Some microseconds of arithmetic.
pub(crate) fn spin() {
    let mut state = black_box(1u64);
    for _ in 0..5000 {
        state = black_box(state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1));
    }
}

pub(crate) fn own_cpu_ns() -> u64 {
    let time = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).unwrap();
    Duration::from(time).as_nanos().try_into().unwrap()
}

/// A process group that is killed at the end.
pub(crate) struct Group {
    pub(crate) child: Child,
}

impl Group {
    pub(crate) fn spawn(command: &mut Command) -> Self {
        let child = command
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self { child }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn kill(&mut self) {
        let _ = killpg(Pid::from_raw(self.child.id().try_into().unwrap()), Signal::SIGKILL);
        let _ = self.child.wait();
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A shell under a name of its own, which its children inherit.
pub(crate) struct NamedShell {
    _dir: TempDir,
    path: PathBuf,
}

impl NamedShell {
    pub(crate) fn new(comm: &str) -> Self {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join(comm);
        symlink(fs::canonicalize("/bin/sh").unwrap(), &path).unwrap();
        Self { _dir: dir, path }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn command(&self, script: &str) -> Command {
        let mut command = Command::new(&self.path);
        command.args(["-c", script]);
        command
    }
}

/// A shell script that burns without a break and without a child.
pub(crate) const BURN: &str = "while :; do :; done";

/// Two process groups that talk over sockets, hundreds of thousands of switches a second; nothing where
/// neither of the two known programs is installed.
pub(crate) fn messaging() -> Option<Group> {
    if is_installed("perf") {
        let mut perf = Command::new("perf");
        return Some(Group::spawn(perf.args(["bench", "sched", "messaging", "-g", "1", "-l", "1000000000"])));
    }
    if is_installed("stress-ng") {
        let mut stress = Command::new("stress-ng");
        return Some(Group::spawn(stress.args(["--switch", "4", "--timeout", "0"])));
    }
    println!("NOTE: neither perf nor stress-ng is installed, so the load has no messaging in it");
    None
}

pub(crate) fn is_installed(program: &str) -> bool {
    env::var_os("PATH").is_some_and(|path| env::split_paths(&path).any(|dir| dir.join(program).is_file()))
}

/// Forks short-lived processes until it is dropped.
pub(crate) fn endless_forks() -> Group {
    Group::spawn(Command::new("/bin/sh").args(["-c", "while :; do (:); done"]))
}

// --- the kernel's own books --------------------------------------------------------------------------------

/// /proc/TID/schedstat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Schedstat {
    pub(crate) runtime_ns: u64,
    pub(crate) wait_ns: u64,
    pub(crate) slices: u64,
}

pub(crate) fn schedstat(tid: u32) -> Option<Schedstat> {
    let text = fs::read_to_string(format!("/proc/{tid}/schedstat")).ok()?;
    let mut numbers = text.split_ascii_whitespace().map(|n| n.parse::<u64>().unwrap());
    Some(Schedstat { runtime_ns: numbers.next()?, wait_ns: numbers.next()?, slices: numbers.next()? })
}

/// The books of every task of the machine.
pub(crate) fn all_schedstats() -> BTreeMap<u32, Schedstat> {
    settle_own_threads();
    let numbers = |dir: &Path| -> Vec<u32> {
        fs::read_dir(dir)
            .map(|d| d.filter_map(|e| e.ok()?.file_name().to_str()?.parse().ok()).collect())
            .unwrap_or_default()
    };
    numbers(Path::new("/proc"))
        .into_iter()
        .flat_map(|pid| numbers(&PathBuf::from(format!("/proc/{pid}/task"))))
        .filter_map(|tid| Some((tid, schedstat(tid)?)))
        .collect()
}

/// The kernel brings the run time of a running task up to date at its ticks, and when somebody asks for the
/// CPU clock of a thread of the own process (`task_sched_runtime()`).
pub(crate) fn settle_own_threads() {
    for entry in fs::read_dir("/proc/self/task").unwrap() {
        let tid: i32 = entry.unwrap().file_name().to_str().unwrap().parse().unwrap();
        // MAKE_THREAD_CPUCLOCK(tid, CPUCLOCK_SCHED) of include/linux/posix-timers_types.h
        let _ = clock_gettime(ClockId::from_raw((!tid << 3) | 4 | 2));
    }
}

/// Run time of a thread of this process, up to this moment.
pub(crate) fn exact_runtime_ns(tid: u32) -> u64 {
    let tid = i32::try_from(tid).unwrap();
    let time = clock_gettime(ClockId::from_raw((!tid << 3) | 4 | 2)).unwrap();
    Duration::from(time).as_nanos().try_into().unwrap()
}

/// CPU time of all reaped children of this process, nanoseconds.
pub(crate) fn children_ns() -> u64 {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).unwrap();
    let us =
        |time: nix::sys::time::TimeVal| u64::try_from(time.tv_sec() * 1_000_000 + time.tv_usec()).unwrap();
    (us(usage.user_time()) + us(usage.system_time())) * 1000
}

/// Time that the hypervisor gave to others on all CPUs, nanoseconds. The kernel takes it off a task's run
/// time where it knows of it (`PARAVIRT_TIME_ACCOUNTING`); the run queue's clock, and so the monitor, does
/// not.
pub(crate) fn stolen_ns() -> u64 {
    let stat = fs::read_to_string("/proc/stat").unwrap();
    let jiffies: u64 = stat.lines().next().unwrap().split_ascii_whitespace().nth(8).unwrap().parse().unwrap();
    jiffies * 10_000_000 // USER_HZ is 100
}

/// A snapshot between two readings of the kernel's books.
pub(crate) struct Bracket {
    /// [`stolen_ns`] before the first reading: on a busy machine a bracket takes seconds, in which time is
    /// stolen too.
    pub(crate) stolen_before_ns: u64,
    pub(crate) before: BTreeMap<u32, Schedstat>,
    pub(crate) snapshot: Snapshot,
    /// How long it took to read.
    pub(crate) reading_ns: u64,
    pub(crate) after: BTreeMap<u32, Schedstat>,
    /// Who went on waiting for too long: what the monitor knows of that wait is in no book yet.
    pub(crate) waiting_on: BTreeSet<u32>,
    /// [`stolen_ns`] after the last reading.
    pub(crate) stolen_after_ns: u64,
}

impl Bracket {
    pub(crate) fn take(monitor: &PrivateMonitor) -> Self {
        let stolen_before_ns = stolen_ns();
        let before = all_schedstats();
        let start = Instant::now();
        let snapshot = monitor.reader().snapshot().unwrap();
        let reading_ns = start.elapsed().as_nanos().try_into().unwrap();
        let mut after = all_schedstats();
        // The kernel books a wait when it ends, the monitor knows of those that are open.
        let start = Instant::now();
        let mut waiting_on = BTreeSet::new();
        for task in snapshot.tasks.iter().filter(|t| t.state == TaskState::Waiting) {
            let pid = task.id.pid;
            let Some(earlier) = before.get(&pid) else { continue };
            while after.get(&pid).is_some_and(|now| now.slices == earlier.slices) {
                if start.elapsed() > Duration::from_secs(2) {
                    waiting_on.insert(pid);
                    break;
                }
                thread::sleep(Duration::from_micros(200));
                if let Some(now) = schedstat(pid) {
                    after.insert(pid, now);
                } else {
                    after.remove(&pid);
                }
            }
        }
        Self {
            stolen_before_ns,
            before,
            snapshot,
            reading_ns,
            after,
            waiting_on,
            stolen_after_ns: stolen_ns(),
        }
    }
}

/// 1 % or 2 ms, whichever is more.
pub(crate) fn tolerance_ns(of: u64) -> u64 {
    (of / 100).max(2_000_000)
}
